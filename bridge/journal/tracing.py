"""Following a business key: all that was said of it, and what keeps it from going on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlalchemy import BigInteger, Connection, func, literal, select, text, tuple_

from bridge.delivery.outcomes import COLLECTED, NO_CREDENTIAL
from bridge.journal.ahead import deliveries_of, messages_of, waits_for
from bridge.journal.controls import controls
from bridge.journal.database import Facts
from bridge.journal.flows import steps_of
from bridge.journal.quarantine import advice
from bridge.journal.schema import (
    IS_OPEN,
    attempts,
    deliveries,
    messages,
    more_keys,
    search_keys,
    transitions,
)

Row = dict[str, Any]

ROWS_MAX = 1000
BEHIND_MAX = 1000

_QUARANTINED = text("state = 'QUARANTINED'")


def found_by(connection: Connection, facts: Facts, value: str, *, limit: int = ROWS_MAX) -> list[int]:
    """The messages that have a value, the oldest first."""
    rows = connection.execute(
        select(search_keys.c.message_id)
        .where(search_keys.c.hash == facts.search_hash(value))
        .distinct()
        .order_by(search_keys.c.message_id.desc())
        .limit(min(limit, ROWS_MAX))
    )
    return sorted(row.message_id for row in rows)


def trace(connection: Connection, facts: Facts, value: str, *, limit: int = 200) -> list[Row]:
    """The newest messages that have a value, oldest first, each with its deliveries. No content."""
    ids = found_by(connection, facts, value, limit=limit)
    names: dict[int, list[str]] = {}
    for row in connection.execute(
        select(search_keys.c.message_id, search_keys.c.name).where(
            search_keys.c.hash == facts.search_hash(value), search_keys.c.message_id.in_(ids)
        )
    ):
        names.setdefault(row.message_id, []).append(row.name)
    sent: dict[int, list[Row]] = {}
    for found in connection.execute(
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.route,
            deliveries.c.api,
            deliveries.c.operation,
            deliveries.c.state,
            deliveries.c.reason,
            deliveries.c.aside,
            deliveries.c.attempts,
        )
        .where(deliveries.c.message_id.in_(ids))
        .order_by(deliveries.c.id)
    ).mappings():
        sent.setdefault(found["message_id"], []).append(dict(found))
    return [
        {**row, "found_by": sorted(names.get(row["id"], ())), "deliveries": sent.get(row["id"], [])}
        for row in connection.execute(
            select(
                messages.c.id,
                messages.c.channel,
                messages.c.received_at_us,
                messages.c.message_type,
                messages.c.control_id,
                messages.c.state,
                messages.c.reason,
                messages.c.flags,
                messages.c.replay_of,
            )
            .where(messages.c.id.in_(ids))
            .order_by(messages.c.id)
        ).mappings()
    ]


def why(connection: Connection, facts: Facts, value: str) -> list[Row]:
    """What of a value does not go on, and why: one row for each lane that is not empty, with words."""
    ids = found_by(connection, facts, value)
    keys = {
        row.key_hash
        for row in connection.execute(
            select(messages.c.key_hash).where(messages.c.id.in_(ids), messages.c.key_hash.is_not(None))
        )
    } | {
        row.key_hash
        for row in connection.execute(select(more_keys.c.key_hash).where(more_keys.c.message_id.in_(ids)))
    }
    stopped = controls(connection)
    rows: list[Row] = []
    for key in sorted(keys):
        rows += [_message_row(row) for row in _stuck_messages(connection, key)]
        for api in _apis(connection, key):
            row = _head(connection, api, key)
            if row is None:
                continue
            by = [
                asdict(each)
                for each in stopped
                if (each.scope, each.name)
                in {("api", api), ("channel", row["channel"]), ("route", f"{row['channel']}/{row['route']}")}
            ]
            rows.append(
                {
                    **row,
                    "behind": _behind(connection, api, key, row),
                    "stopped_by": by,
                    "words": _words(row, by, _before(connection, row)),
                }
            )
    unique = {(row["what"], row["id"]): row for row in rows}
    return sorted(unique.values(), key=lambda row: (row["message_id"], row["id"]))


def _stuck_messages(connection: Connection, key: bytes) -> Sequence[Any]:
    return connection.execute(
        select(messages.c.id, messages.c.channel, messages.c.reason, messages.c.aside).where(
            _QUARANTINED, messages.c.aside == 0, messages_of([key])
        )
    ).all()


def _message_row(row: Any) -> Row:
    return {
        "what": "message",
        "id": row.id,
        "message_id": row.id,
        "channel": row.channel,
        "route": "",
        "api": "",
        "state": "QUARANTINED",
        "reason": row.reason,
        "behind": 0,
        "stopped_by": [],
        "words": f"message {row.id} is in quarantine ({row.reason}), and its key waits for a person: "
        f"{advice(row.reason)}",
    }


def _apis(connection: Connection, key: bytes) -> list[str]:
    found = set()
    for condition in (IS_OPEN, _QUARANTINED):
        rows = connection.execute(select(deliveries.c.api).where(condition, deliveries_of([key])).distinct())
        found |= {row.api for row in rows}
    return sorted(found)


def _head(connection: Connection, api: str, key: bytes) -> Row | None:
    """The first delivery of a lane that is not done and not set aside."""
    heads = [
        connection.execute(
            select(deliveries)
            .where(condition, deliveries.c.api == api, deliveries_of([key]), deliveries.c.aside == 0)
            .order_by(deliveries.c.message_id, deliveries.c.id)
            .limit(1)
        )
        .mappings()
        .first()
        for condition in (IS_OPEN, _QUARANTINED)
    ]
    row = min(
        (each for each in heads if each is not None),
        key=lambda each: (each["message_id"], each["id"]),
        default=None,
    )
    if row is None:
        return None
    last = connection.execute(
        select(attempts.c.status, attempts.c.reason, attempts.c.ended_at_us)
        .where(attempts.c.delivery_id == row["id"])
        .order_by(attempts.c.number.desc())
        .limit(1)
    ).first()
    since = connection.execute(
        select(func.max(transitions.c.at_us)).where(
            transitions.c.message_id == row["message_id"], transitions.c.delivery_id == row["id"]
        )
    ).scalar()
    return {
        "what": "delivery",
        "id": row["id"],
        "message_id": row["message_id"],
        "channel": row["channel"],
        "route": row["route"],
        "api": api,
        "operation": row["operation"],
        "state": row["state"],
        "reason": row["reason"],
        "attempts": row["attempts"],
        "due_at_us": row["due_at_us"],
        "since_us": since,
        "last_status": None if last is None else last.status,
        "last_reason": None if last is None else last.reason,
    }


def _behind(connection: Connection, api: str, key: bytes, head: Row) -> int:
    of_head = (literal(head[name], BigInteger) for name in ("message_id", "id"))
    later = tuple_(deliveries.c.message_id, deliveries.c.id) > tuple_(*of_head)
    inner = (
        select(deliveries.c.id)
        .where(IS_OPEN, deliveries.c.api == api, deliveries_of([key]), later)
        .limit(BEHIND_MAX)
    ).subquery()
    return connection.execute(select(func.count()).select_from(inner)).scalar_one()


def _before(connection: Connection, head: Row) -> str | None:
    """What the head of a lane waits for all the same: in another of its lanes, or in its message's flow."""
    found = select(deliveries).where(deliveries.c.message_id == head["message_id"]).order_by(deliveries.c.id)
    sent = [dict(row) for row in connection.execute(found).mappings()]
    (ours,) = (row for row in sent if row["id"] == head["id"])
    return waits_for(connection, steps_of(connection, head["message_id"]), sent, ours)


def _words(row: Row, stopped: Sequence[Row], before: str | None) -> str:
    if stopped:
        each = stopped[0]
        return (
            f"{each['scope']} {each['name']} is paused by {each['actor']} ({each['reason']}); "
            f"`bridge resume {each['name']} --reason …` lets it go"
        )
    answered = "" if row["last_status"] is None else f"it answered {row['last_status']}, "
    last = "" if row["last_reason"] is None else f" ({answered}{row['last_reason']})"
    match row["state"]:
        case "QUARANTINED":
            return f"delivery {row['id']} is in quarantine ({row['reason']}): {advice(row['reason'])}"
        case "READY" | "RETRY_WAIT" | "AMBIGUOUS" | "HELD" if before is not None:
            return f"it waits for {before}"
        case "RETRY_WAIT" if row["last_reason"] == NO_CREDENTIAL:
            return f"the API was not asked: its token server gave no token{last}; it is tried again by itself"
        case "RETRY_WAIT" | "AMBIGUOUS":
            return f"the API did not take it{last}; it is tried again by itself"
        case "HELD":
            return f"it is held{last or ' (' + row['reason'] + ')'}; it is tried again by itself"
        case "IN_FLIGHT":
            return "it is being sent just now"
        case "ACCEPTED" if row["reason"] == COLLECTED:
            return "it waits for the file that it goes into; `bridge batches --sent` shows what waits"
        case "ACCEPTED":
            return "the API has taken it for later, and is asked what became of it"
        case _:
            return "it is its turn; if it stays so, see `bridge status` for a stopped operation"

"""What waits for a person: in quarantine, or held; with what to do about it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, func, select, text

from bridge.delivery.outcomes import FAULT_OF_OURS
from bridge.journal.file_places import places_in_files
from bridge.journal.flows import if_discarded
from bridge.journal.quarantine_tally import HELD, QUARANTINED, At, Which, later
from bridge.journal.restored import RESTORED
from bridge.journal.schema import IS_OPEN, attempts, deliveries, messages, requests, revised_requests

Row = dict[str, Any]

ANY, BEGINNING = Which(), At()

_LAST_STATUS = (
    select(attempts.c.status)
    .where(attempts.c.delivery_id == deliveries.c.id)
    .order_by(attempts.c.number.desc())
    .limit(1)
    .scalar_subquery()
    .label("status")
)

ADVICE: Mapping[str, str] = {
    "no-key": "if `order_by` looks at the wrong place, correct it, reload, and retry; else correct the "
    "message (quarantine edit), or skip it",
    "no-target": "add its facility to the route, reload, and retry",
    "no-route": "no route takes it: correct the channel file and retry, or discard (see `on_no_route`)",
    "mapping-failed": "see its issues with `bridge show`, correct the mapping or the message, and retry",
    "internal-fault": "a fault of the bridge: keep it, report it, and retry with the next version",
    "control-id-conflict": "ask the sender: retry it if it is a new message, discard it if it is not",
    "type-not-accepted": "accept its type in the channel file and retry, or discard",
    "operation-not-mapped": "name a call for it in the route, reload, and retry --remap; or discard it",
    "outcome-unknown": "look at the API whether it was applied: if so discard, if not retry",
    RESTORED: "it may have been sent after the copy of the journal was made: look at its APIs; if so "
    "discard, if not retry",
    "not-found": "what it is about is not there: create it and retry, or discard",
    "request-refused": "it cannot be sent as it is: correct the message or the mapping and retry, or discard",
    "request-invalid": "its API's contract does not allow it at the places named: correct the mapping or "
    "the contract, reload, and retry --remap; or discard it",
    "answered-ae": "the receiver refuses it: ask there why, correct the message and retry, or discard",
    "answered-ar": "the receiver refuses it: ask there why, correct the message and retry, or discard",
    "name-taken": "another file has its name: look at the folder, move that file away and retry, or discard",
    "api-retired": "its API is retired: name another in the route, reload, and retry --remap; or discard it",
    "label-exceeds-route": "its label is above what the API may carry: discard it, or agree that it may",
    "token-key-unavailable": "the key of tokens cannot be had: provide it, reload, and retry --remap",
    "captured-missing": "the call that makes the record has not been: send it, then retry; or discard",
    "undo-by-hand": "a later step of its flow failed: undo it at its API, then discard this task",
    "undo": "the call that would undo it cannot be made: correct that, reload, and retry --remap; or discard",
    "follows-quarantined": "what it follows is set aside: see to that first, and it goes by itself",
    "confirm-target-refused": "its API took it and named nowhere to ask: look there, then discard",
    "confirmed-failed": "its API took it and then failed: look there, then retry or discard",
    "confirm-not-known": "no call is known by what was called back with: look at its API, then discard it",
    "rejected-by-receiver": "its receiver refuses it, for these codes: correct it and retry, and it goes "
    "into the next file; or discard it",
    "acknowledged-file-unknown": "no file is known by what was acknowledged: see whose it is, then discard",
    "acknowledged-member-unknown": "its file has no such message: ask the receiver, then discard it",
    "acknowledged-otherwise": "another thing was said before, and stands: ask the receiver which holds",
    "acknowledged-count-differs": "its receiver counts otherwise than the file does: ask there, settle the "
    "file (`bridge files settle`), and discard this",
    "acknowledged-ambiguous": "several files have a message of this ID: settle the right one, discard this",
    "confirm-unknown": "its API took it and never said what became of it: look there, then retry or discard",
    "consent-no-patient": "whose data it is cannot be told: have the mapping say so and retry, or discard",
    "consent-not-asked": "its API asks for consent since it was made: retry --remap, so that it is asked for",
    "consent-denied": "it may have been sent before the patient said no: look at the API, then discard it",
    "projection-error": "a whole message has no fields to protect: take `protect` out, or send records",
    "config-missing": "a file that it was made by has no digest: report it, and retry --remap",
    "multiple-matches": "the server has several with its identifier: merge them there, and retry",
    "reference-not-there": "what it refers to is not there: see that it is sent before, and retry",
    "referred-to": "others refer to it, so the server keeps it: see to these first, or discard",
    "precondition-failed": "another has changed the record at the API: settle it there, then discard this",
    "conflict": "look at the API's record, then retry or discard",
    "idempotency-conflict": "the API knows another request under this key: look there before anything else",
}
"""What to do, by the reason for which something is in quarantine."""
_ADVICE_ELSE = "correct the mapping or the message (quarantine edit, or retry --remap), or discard it"


def advice(reason: str) -> str:
    """What to do about something in quarantine."""
    return ADVICE.get(reason.partition(":")[0], _ADVICE_ELSE)


def quarantined(
    connection: Connection,
    which: Which = ANY,
    *,
    held: bool = False,
    after: At = BEGINNING,
    limit: int = 200,
) -> list[Row]:
    """What waits for a person, the oldest first, after a place; with ``held`` also what waits for its API."""
    rows: list[Row] = []
    if which.api is None:
        query = select(messages).where(QUARANTINED, *which.of(messages), messages.c.id > after.message_id)
        found = connection.execute(query.order_by(messages.c.id).limit(limit)).mappings()
        rows += [
            _row(row, "message", message_id=row["id"], route="", api="", operation="", status=None)
            for row in found
        ]
    for condition in [QUARANTINED, *([HELD] if held else [])]:
        sent = select(deliveries, _LAST_STATUS).where(condition, *which.of(deliveries), later(after))
        sent = sent.order_by(deliveries.c.message_id, deliveries.c.id).limit(limit)
        rows += [_row(row, "delivery") for row in connection.execute(sent).mappings()]
    rows.sort(key=lambda row: (row["message_id"], row["what"] == "delivery", row["id"]))
    del rows[limit:]
    ids = {row["message_id"] for row in rows}
    places, came = places_in_files(connection, ids), _came(connection, ids)
    for row in rows:
        place, message = places.get(row["message_id"]), came[row["message_id"]]
        row["file"] = None if place is None else place._asdict()
        row |= {name: message[name] for name in ("received_at_us", "message_type", "control_id")}
        row["if_discarded"] = ""
        if row["what"] == "delivery" and (then := if_discarded(connection, row["message_id"], row["id"])):
            row["if_discarded"] = then
            row["advice"] += f" (which {then})"
    return rows


def _came(connection: Connection, ids: Iterable[int]) -> dict[int, Mapping[Any, Any]]:
    """Of messages, when they came and what they are, by id."""
    columns = (messages.c.id, messages.c.received_at_us, messages.c.message_type, messages.c.control_id)
    rows = connection.execute(select(*columns).where(messages.c.id.in_(list(ids)))).mappings()
    return {row["id"]: row for row in rows}


def _where(reason: str, issues: str) -> str:
    """Where a message cannot be read, as in ``line 4``, where that is the reason."""
    if not (reason.startswith("unreadable") and issues):
        return ""
    [first, *_] = json.loads(issues)
    return str(first["source"])


def _row(found: Mapping[Any, Any], what: str, **given: Any) -> Row:
    names = ("id", "message_id", "channel", "route", "api", "operation", "state", "reason", "status")
    return {
        "what": what,
        **{name: given[name] if name in given else found[name] for name in names},
        "aside": bool(found["aside"]),
        "place": _where(found["reason"], found["issues"]) if what == "message" else "",
        "advice": advice(found["reason"]) if found["state"] == "QUARANTINED" else "tried again by itself",
    }


def requests_of(connection: Connection, message_id: int) -> dict[int, bytes]:
    """The requests of a message's deliveries as they are sent now, by delivery. This is content."""
    rows = connection.execute(
        select(
            deliveries.c.id, func.coalesce(revised_requests.c.request, requests.c.request).label("request")
        )
        .join(requests, requests.c.delivery_id == deliveries.c.id)
        .outerjoin(
            revised_requests,
            (revised_requests.c.delivery_id == deliveries.c.id)
            & (revised_requests.c.revision == deliveries.c.revision),
        )
        .where(deliveries.c.message_id == message_id)
    )
    return {row.id: bytes(row.request) for row in rows}


def at_fault(connection: Connection) -> int:
    """How many deliveries are open whose last attempt met a fault of the bridge."""
    met = select(func.count()).where(IS_OPEN, deliveries.c.reason == FAULT_OF_OURS)
    return connection.execute(met).scalar_one()


def oldest_open_us(connection: Connection) -> int | None:
    """When the oldest message arrived of which something is still open."""
    first = connection.execute(select(func.min(deliveries.c.message_id)).where(IS_OPEN)).scalar()
    waiting = connection.execute(select(func.min(messages.c.id)).where(text("state = 'RECEIVED'"))).scalar()
    ids = [each for each in (first, waiting) if each is not None]
    if not ids:
        return None
    return connection.execute(select(messages.c.received_at_us).where(messages.c.id == min(ids))).scalar()

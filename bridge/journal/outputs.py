"""What the old engine makes, as it passes the tap: paired with what the bridge made, and let through or kept.

All of it is decided within the writer's transactions, one after the other, so that an output and the delivery
it stands for always find each other, whichever came first.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from sqlalchemy import Connection, func, or_, select, update

from bridge.delivery.state import DELIVERY_OPEN
from bridge.journal.feeding import AGAIN, NEGATIVE
from bridge.journal.schema import deliveries, messages, more_keys
from bridge.journal.stage_schema import (
    IS_MISSING_THERE,
    IS_OWED_TO_ENGINE,
    IS_UNPAIRED,
    feeds,
    outputs,
    pairs,
)
from bridge.journal.statements import insert_rows
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

PASSING, PASSED, DECLINED, SWALLOWED = "PASSING", "PASSED", "DECLINED", "SWALLOWED"
"""States of an output: nobody knows whether it got through; it was taken; it got there and was not taken; it
was kept. Of the first and the third the same goes on again where the engine sends it again."""
OURS, THEIRS, QUIET, PAIRED, REFUSED = "OURS", "THEIRS", "QUIET", "PAIRED", "REFUSED"
"""States of a pair: one side waits for the other; our side made nothing, and the other should not either;
both are there; the old engine has refused the message."""
UNCOUNTED = "uncounted"
"""The stage of a pair that is not counted where its other side does not come."""
LATE_MAX_US = 7 * 86_400 * 1_000_000
"""Older pairs that lack an output are not what one stands for: control IDs and targets come again."""
Doing = Literal["pass", "swallow", "wait", "busy", "repeat"]

_INSERT_OUTPUT = insert_rows(outputs)
_INSERT_PAIR = insert_rows(pairs)


class Pairing(NamedTuple):
    """How what the bridge made is found by what the old engine makes of the same message; ``made`` False: it
    has made nothing, on purpose."""

    match_hash: bytes
    sender: str
    message_type: str
    stage: str
    made: bool = True


class Output(NamedTuple):
    """Something that the old engine has made. ``unpaired`` is what becomes of one that stands for nothing the
    bridge has made: pass it on, swallow it, or wait, since the bridge may still come to it. Up to
    ``since_message_id`` messages were relayed only, and nothing was made of them. ``begun`` are the feeds by
    which the engine may have been given something again that it is owed yet."""

    channel: str
    route: str
    match_hash: bytes
    body_hash: bytes
    output: bytes
    at_us: Microseconds
    stage: str
    unpaired: Literal["pass", "swallow", "wait"]
    control_id: str = ""
    since_message_id: int = 0
    begun: frozenset[int] = frozenset()


class Turn(NamedTuple):
    """What is to be done with it, and under which number. ``code`` is what a repeat was answered."""

    doing: Doing
    output_id: int = 0
    code: str = ""


def _take(tx: Transaction, items: Sequence[Output]) -> list[Turn]:
    return [_take_one(tx, each) for each in items]


def _take_one(tx: Transaction, output: Output) -> Turn:
    connection = tx.connection
    candidate = connection.execute(
        select(pairs)
        .where(pairs.c.match_hash == output.match_hash, IS_UNPAIRED, pairs.c.state.in_([OURS, QUIET]))
        .order_by(pairs.c.id)
        .limit(1)
    ).one_or_none()
    last = connection.execute(
        select(outputs.c.id, outputs.c.state, outputs.c.code, outputs.c.body_hash)
        .where(outputs.c.match_hash == output.match_hash)
        .order_by(outputs.c.id.desc())
        .limit(1)
    ).one_or_none()
    same = last if last is not None and bytes(last.body_hash) == output.body_hash else None
    if candidate is None and (same is None or same.state == SWALLOWED):
        candidate = _late(connection, output)  # what went on before does not go on again because of it
    if same is not None and (same.state == PASSING or candidate is None):
        if same.state not in (PASSING, DECLINED):
            return Turn("repeat", same.id, same.code)
        again = update(outputs).where(outputs.c.id == same.id).values(at_us=output.at_us)
        connection.execute(again)
        return Turn("pass", same.id, same.code)
    if candidate is None:
        if output.unpaired == "wait":
            return Turn("wait")
        return _unpaired(tx, output)
    if candidate.sender == "legacy":
        if _comes_again(connection, output, candidate):
            return Turn("repeat", 0 if last is None else last.id, "" if last is None else last.code)
        if _ours_open(connection, output, candidate):
            return Turn("busy")
        doing: Doing = "pass"
    else:
        doing = "swallow"
    output_id = _insert(tx, output, candidate.message_id, doing)
    # That it was refused is a difference, whatever is made of it.
    state = REFUSED if candidate.state == REFUSED else PAIRED
    connection.execute(
        update(pairs)
        .where(pairs.c.id == candidate.id)
        .values(state=state, output_id=output_id, theirs_at_us=output.at_us)
    )
    return Turn(doing, output_id)


def _late(connection: Connection, output: Output) -> Any:
    """The oldest pair that ended, or was refused, without this: whose the message is stands there. An engine
    that could do nothing for an hour sends what it had queued all the same, or what it has refused."""
    return connection.execute(
        select(pairs)
        .where(
            pairs.c.match_hash == output.match_hash,
            IS_MISSING_THERE,
            pairs.c.ours_at_us > output.at_us - LATE_MAX_US,
        )
        .order_by(pairs.c.id)
        .limit(1)
    ).one_or_none()


def _unpaired(tx: Transaction, output: Output) -> Turn:
    doing: Doing = "swallow" if output.unpaired == "swallow" else "pass"
    output_id = _insert(tx, output, None, doing)
    pair = _pair(
        tx,
        output.channel,
        output.route,
        output.match_hash,
        state=THEIRS,
        output_id=output_id,
        theirs_at_us=output.at_us,
        sender="bridge" if doing == "swallow" else "legacy",
        stage=UNCOUNTED if _is_uncounted(tx.connection, output) else output.stage,
    )
    _INSERT_PAIR.many(tx.connection, [pair])
    return Turn(doing, output_id)


def _is_uncounted(connection: Connection, output: Output) -> bool:
    """Whether nothing was to be made of the message here: it came before that began, or after it ended."""
    if not output.control_id or not output.since_message_id:
        return output.stage.startswith(("relay@", "complete@"))
    newest = select(func.max(messages.c.id)).where(
        messages.c.control_id == output.control_id, messages.c.channel == output.channel
    )
    return (connection.execute(newest).scalar() or 0) <= output.since_message_id


def _insert(tx: Transaction, output: Output, message_id: int | None, doing: Doing) -> int:
    output_id = tx.next_id("outputs")
    _INSERT_OUTPUT.many(
        tx.connection,
        [
            {
                "id": output_id,
                "channel": output.channel,
                "route": output.route,
                "at_us": output.at_us,
                "match_hash": output.match_hash,
                "body_hash": output.body_hash,
                "message_id": message_id,
                "state": SWALLOWED if doing == "swallow" else PASSING,
                "code": "",
                "output": output.output,
            }
        ],
    )
    return output_id


def _comes_again(connection: Connection, output: Output, pair: Any) -> bool:
    """Whether the engine is to be given the message once more: what it makes of it now is of the time before,
    and would overtake what it is given again of the same key."""
    owed = select(feeds.c.id).where(
        feeds.c.message_id == pair.message_id, IS_OWED_TO_ENGINE, feeds.c.line.contains(f" {AGAIN}")
    )
    ids = set(connection.execute(owed).scalars())
    return bool(ids) and not ids & output.begun


def _ours_open(connection: Connection, output: Output, pair: Any) -> bool:
    """Whether something of its keys is open on our side that came before: it must not be overtaken."""
    first = pair.key_hash
    further = select(more_keys.c.key_hash).where(more_keys.c.message_id == pair.message_id)
    ours = select(deliveries.c.id).where(
        deliveries.c.channel == output.channel,
        deliveries.c.route == output.route,
        deliveries.c.message_id < pair.message_id,
        deliveries.c.state.in_([str(state) for state in DELIVERY_OPEN]),
        or_(deliveries.c.key_hash == first, deliveries.c.key_hash.in_(further)),
    )
    return connection.execute(ours.limit(1)).first() is not None


def _pair(tx: Transaction, channel: str, route: str, match_hash: bytes, **more: Any) -> dict[str, Any]:
    return {
        "id": tx.next_id("pairs"),
        "channel": channel,
        "route": route,
        "match_hash": match_hash,
        "key_hash": None,
        "message_id": None,
        "message_type": "",
        "delivery_id": None,
        "output_id": None,
        "ours_at_us": None,
        "theirs_at_us": None,
        "ended_at_us": None,
        **more,
    }


TAKE_OUTPUT: Work[Output, Turn] = Work("take-output", _take)
"""Journal an output of the old engine, and say what is to be done with it."""


class Done(NamedTuple):
    """What became of an output that was passed on: PASSED, DECLINED, or PASSING if it did not get through."""

    output_id: int
    state: str
    code: str


def _done(tx: Transaction, items: Sequence[Done]) -> list[None]:
    for each in items:
        tx.connection.execute(
            update(outputs)
            .where(outputs.c.id == each.output_id, outputs.c.state.in_([PASSING, DECLINED]))
            .values(state=each.state, code=each.code)
        )
    return [None] * len(items)


OUTPUT_DONE: Work[Done, None] = Work("output-done", _done)
"""Note how an output was received where it went on to."""


class OursMade(NamedTuple):
    """A delivery that the old engine has a counterpart for."""

    channel: str
    route: str
    message_id: int
    delivery_id: int
    key_hash: bytes
    at_us: Microseconds
    pairing: Pairing


def pair_ours(tx: Transaction, made: Sequence[OursMade]) -> None:
    """Pair deliveries with what the old engine has made already, or let them wait for it."""
    if not made:
        return
    connection = tx.connection
    waiting = _theirs_waiting(connection, [each.pairing.match_hash for each in made])
    refused = _refused(connection, [each.message_id for each in made])
    rows = []
    for each in made:
        ours: dict[str, Any] = {
            "key_hash": each.key_hash,
            "message_id": each.message_id,
            "message_type": each.pairing.message_type,
            "delivery_id": each.delivery_id,
            "ours_at_us": each.at_us,
            "stage": each.pairing.stage,
        }
        theirs = waiting.get(each.pairing.match_hash)
        if theirs:
            connection.execute(update(pairs).where(pairs.c.id == theirs.pop(0)).values(state=PAIRED, **ours))
            continue
        state = REFUSED if each.message_id in refused else OURS if each.pairing.made else QUIET
        rows.append(
            _pair(
                tx, each.channel, each.route, each.pairing.match_hash,
                **{**ours, "state": state, "sender": each.pairing.sender},
            )
        )  # fmt: skip
    _INSERT_PAIR.many(connection, rows)


def _theirs_waiting(connection: Connection, hashes: Sequence[bytes]) -> dict[bytes, list[int]]:
    rows = connection.execute(
        select(pairs.c.id, pairs.c.match_hash)
        .where(pairs.c.match_hash.in_(list(dict.fromkeys(hashes))), IS_UNPAIRED, pairs.c.state == THEIRS)
        .order_by(pairs.c.id)
    )
    found: dict[bytes, list[int]] = {}
    for row in rows:
        found.setdefault(bytes(row.match_hash), []).append(row.id)
    return found


def _refused(connection: Connection, ids: Sequence[int]) -> set[int]:
    rows = connection.execute(
        select(feeds.c.message_id).where(
            feeds.c.message_id.in_(list(dict.fromkeys(ids))), feeds.c.code.in_(sorted(NEGATIVE))
        )
    )
    return {row.message_id for row in rows}


class Handing(NamedTuple):
    """How far the old engine is with the keys of a message: whether it still owes an answer or an output, or
    one is on its way through the tap, and when anything of these keys last moved there; None where nothing of
    them ever did."""

    owing: bool
    passing: bool
    moved_at_us: Microseconds | None


def handing(
    connection: Connection, channel: str, route: str, message_id: int, keys: Sequence[bytes]
) -> Handing:
    """What stands in the way of a message of these keys being the bridge's, on the old engine's side."""
    some = select(more_keys.c.message_id).where(more_keys.c.key_hash.in_(list(keys)))
    theirs = (
        select(pairs.c.message_id, pairs.c.state, pairs.c.output_id, pairs.c.ours_at_us, pairs.c.theirs_at_us)
        .where(
            or_(pairs.c.key_hash.in_(list(keys)), pairs.c.message_id.in_(some)),
            pairs.c.channel == channel,
            pairs.c.route == route,
            pairs.c.sender == "legacy",
            pairs.c.message_id < message_id,
        )
        .order_by(pairs.c.id.desc())
        .limit(HANDING_ROWS_MAX)
    )
    rows = connection.execute(theirs).all()
    if not rows:
        return Handing(False, False, None)
    fed = connection.execute(
        select(feeds.c.state, func.max(feeds.c.at_us).label("at_us"))
        .where(feeds.c.message_id.in_([row.message_id for row in rows]))
        .group_by(feeds.c.state)
    ).all()
    ids = [row.output_id for row in rows if row.output_id is not None]
    made = connection.execute(select(outputs.c.state, outputs.c.at_us).where(outputs.c.id.in_(ids))).all()
    passing = any(row.state == PASSING for row in made)
    times = [row.ours_at_us or 0 for row in rows] + [row.theirs_at_us or 0 for row in rows]
    # One that was not taken moves when the engine tries again; one that has given up does not hold the key.
    times += [row.at_us for row in (*fed, *made)]
    owing = any(row.state == "OWED" for row in fed) or any(row.state == OURS for row in rows)
    return Handing(owing, passing, max(times))


HANDING_ROWS_MAX = 200
"""The newest of a key that are looked at: older ones have long settled."""


def messages_waiting(connection: Connection, channel: str, up_to_id: int) -> int:
    """Messages of a channel up to an id that translation has not come to."""
    return connection.execute(
        select(func.count())
        .select_from(messages)
        .where(messages.c.channel == channel, messages.c.state == "RECEIVED", messages.c.id <= up_to_id)
    ).scalar_one()

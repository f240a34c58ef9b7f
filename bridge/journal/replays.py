"""A message once more, by a person or by a sender that was refused: never applied twice without need."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from sqlalchemy import Connection, func, select

from bridge.journal.database import Facts
from bridge.journal.flow_schema import undone_of
from bridge.journal.schema import deliveries, messages, requests, revised_requests
from bridge.message import Microseconds

REPLAYS_OF_REPLAYS_MAX = 100
REPLAY = "replay"
"""The flag of a message that a person has taken in once more."""
ONLY = "only:"
"""What stands before the name of the one API that a replay is for, among its flags."""
NEW_KEY = "new-key"
"""Among the flags of a replay: its requests go under keys of their own, so that an API applies them again."""


def only_to(flags: str) -> str:
    """The API that a replay is for alone; empty where it is for all, and for what is no replay.

    >>> only_to("replay only:stream.clinical"), only_to("replay"), only_to("control-id-reused")
    ('stream.clinical', '', '')
    """
    return next((each.removeprefix(ONLY) for each in flags.split() if each.startswith(ONLY)), "")


class First(NamedTuple):
    """What a delivery of a replay is once more: what that was sent as, empty where it was not, and when the
    message came that is replayed."""

    sent_as: str
    arrived_at_us: Microseconds


def sent_first(connection: Connection, facts: Facts, replays: Sequence[Any]) -> dict[int, First]:
    """Of each delivery of a replayed message, by id, the delivery of the original to the same API by the same
    route, or of several the one in its place. ``replays`` are rows of deliveries with ``message_id`` and
    ``replay_of``; those whose original is gone are left out."""
    if not replays:
        return {}
    arrived = first_arrivals(connection, {row.replay_of for row in replays})
    involved = {row.message_id for row in replays} | {row.replay_of for row in replays}
    placed: dict[tuple[int, str, str], list[Any]] = {}
    for row in connection.execute(
        select(
            deliveries.c.id,
            deliveries.c.message_id,
            deliveries.c.revision,
            deliveries.c.sent_as,
            deliveries.c.api,
            deliveries.c.route,
        )
        .join(requests, requests.c.delivery_id == deliveries.c.id)
        .where(deliveries.c.message_id.in_(involved))
        .order_by(deliveries.c.id)
    ):
        placed.setdefault((row.message_id, row.api, row.route), []).append(row)
    found: dict[int, First] = {}
    for row in replays:
        ours = [each.id for each in placed.get((row.message_id, row.api, row.route), ())]
        first, sent_as = placed.get((row.replay_of, row.api, row.route), []), ""
        if row.id in ours and (at := ours.index(row.id)) < len(first):
            sent_as = first[at].sent_as or facts.sent_as(first[at].id, first[at].revision)
        if row.replay_of in arrived:
            found[row.id] = First(sent_as, arrived[row.replay_of])
    return found


def first_arrivals(connection: Connection, ids: Iterable[int]) -> dict[int, Microseconds]:
    """When each message came; of one that is a replay itself, when the one came that it replays."""
    found: dict[int, Microseconds] = {}
    stands_for = {each: each for each in ids}
    for _ in range(REPLAYS_OF_REPLAYS_MAX):
        rows = connection.execute(
            select(messages.c.id, messages.c.replay_of, messages.c.received_at_us).where(
                messages.c.id.in_(set(stands_for.values()))
            )
        ).all()
        known = {row.id: row for row in rows}
        for asked, at in stands_for.items():
            if at in known:
                found[asked] = known[at].received_at_us
        stands_for = {
            asked: known[at].replay_of
            for asked, at in stands_for.items()
            if at in known and known[at].replay_of is not None
        }
        if not stands_for:
            break
    return found


def carry_over(connection: Connection, facts: Facts, original: int, made: Sequence[dict[str, Any]]) -> None:
    """Let each delivery whose request is the original's be sent under the original's idempotency key, so that
    an API which honours it does not apply it again. Another request has a key of its own, and so has each of
    a replay that a person wants applied again."""
    if not made or _under_new_keys(connection, made[0]["message_id"]):
        return
    request = func.coalesce(revised_requests.c.request, requests.c.request)
    rows = connection.execute(
        select(
            deliveries.c.id,
            deliveries.c.revision,
            deliveries.c.sent_as,
            deliveries.c.api,
            deliveries.c.route,
            request.label("request"),
        )
        .join(requests, requests.c.delivery_id == deliveries.c.id)
        .outerjoin(
            revised_requests,
            (revised_requests.c.delivery_id == deliveries.c.id)
            & (revised_requests.c.revision == deliveries.c.revision),
        )
        .where(deliveries.c.message_id == original)
        .order_by(deliveries.c.id)
    ).all()
    # What was undone is to be done once more: the key of before would say that it is.
    gone = set(connection.execute(undone_of(original)).scalars())
    left = [row for row in rows if row.id not in gone]
    for row in made:
        for sent in left:
            if (sent.api, sent.route, sent.request) == (row["api"], row["route"], row["request"]):
                row["sent_as"] = sent.sent_as or facts.sent_as(sent.id, sent.revision)
                left.remove(sent)
                break


def _under_new_keys(connection: Connection, message_id: int) -> bool:
    flags = connection.execute(select(messages.c.flags).where(messages.c.id == message_id)).scalar()
    return NEW_KEY in (flags or "").split()


def requests_to(connection: Connection, message_ids: Sequence[int], api: str) -> list[tuple[int, bytes]]:
    """What these messages had sent to an API, or were to: each with its message."""
    request = func.coalesce(revised_requests.c.request, requests.c.request)
    rows = connection.execute(
        select(deliveries.c.message_id, request.label("request"))
        .join(requests, requests.c.delivery_id == deliveries.c.id)
        .outerjoin(
            revised_requests,
            (revised_requests.c.delivery_id == deliveries.c.id)
            & (revised_requests.c.revision == deliveries.c.revision),
        )
        .where(deliveries.c.message_id.in_(list(message_ids)), deliveries.c.api == api)
        .order_by(deliveries.c.id)
    )
    return [(row.message_id, row.request) for row in rows]

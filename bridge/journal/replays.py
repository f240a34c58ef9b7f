"""A message once more, by a person or by a sender that was refused: never applied twice without need."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Connection, func, select

from bridge.journal.database import Facts
from bridge.journal.schema import deliveries, requests, revised_requests


def sent_first(connection: Connection, facts: Facts, replays: Sequence[Any]) -> dict[int, str]:
    """What each delivery of a replayed message, by id, was sent as at first: the delivery of the original to
    the same API by the same route, or of several the one in its place.

    ``replays`` are rows of deliveries with ``message_id`` and ``replay_of``. Where the original is gone, or
    sent nothing there, it is left out.
    """
    if not replays:
        return {}
    messages = {row.message_id for row in replays} | {row.replay_of for row in replays}
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
        .where(deliveries.c.message_id.in_(messages))
        .order_by(deliveries.c.id)
    ):
        placed.setdefault((row.message_id, row.api, row.route), []).append(row)
    found: dict[int, str] = {}
    for row in replays:
        ours = [each.id for each in placed.get((row.message_id, row.api, row.route), ())]
        first = placed.get((row.replay_of, row.api, row.route), [])
        if row.id in ours and (at := ours.index(row.id)) < len(first):
            found[row.id] = first[at].sent_as or facts.sent_as(first[at].id, first[at].revision)
    return found


def carry_over(connection: Connection, facts: Facts, original: int, made: Sequence[dict[str, Any]]) -> None:
    """Let each delivery whose request is the original's be sent under the original's idempotency key, so that
    an API which honours it does not apply it again. Another request has a key of its own."""
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
    left = list(rows)
    for row in made:
        for sent in left:
            if (sent.api, sent.route, sent.request) == (row["api"], row["route"], row["request"]):
                row["sent_as"] = sent.sent_as or facts.sent_as(sent.id, sent.revision)
                left.remove(sent)
                break

"""Barriers: which keys wait for a person, and from which message on.

A message in quarantine occupies its keys on every API of its channel, a delivery in quarantine those of its
API. Nothing of such a key from that message on may go. What was set aside occupies nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Select, func, select, text

from bridge.journal.schema import deliveries, messages, more_keys
from bridge.journal.writer import Transaction, Work

_QUARANTINED = text("state = 'QUARANTINED'")
"""As text in the statement: a partial index does not serve a parameter."""
_KEYS_ASKED_MAX = 200


@dataclass(frozen=True, slots=True)
class Barred:
    """Which of these keys are barred on an API, asked in the order of commits."""

    api: str
    keys: tuple[bytes, ...]


@dataclass(frozen=True, slots=True)
class Barriers:
    """What is barred on an API at one moment.

    ``keys`` gives for each key the id of the first message in quarantine, ``channels`` whose key it is;
    ``routes`` are those, as channel and route, that have a delivery in quarantine.
    """

    keys: Mapping[bytes, int]
    channels: Mapping[bytes, str]
    routes: frozenset[tuple[str, str]]


def _queries(api: str) -> list[tuple[Any, Select[Any]]]:
    """Each with its column of keys: of messages and of deliveries, their first key and the further ones."""
    of_messages = (_QUARANTINED, messages.c.aside == 0)
    of_deliveries = (_QUARANTINED, deliveries.c.aside == 0, deliveries.c.api == api)
    # A key is of one channel.
    first = func.min(messages.c.id).label("first"), func.min(messages.c.channel).label("channel")
    first_sent = (
        func.min(deliveries.c.message_id).label("first"),
        func.min(deliveries.c.channel).label("channel"),
    )
    return [
        (
            messages.c.key_hash,
            select(messages.c.key_hash.label("key"), *first).where(
                *of_messages, messages.c.key_hash.is_not(None)
            ),
        ),
        (
            more_keys.c.key_hash,
            select(more_keys.c.key_hash.label("key"), *first)
            .join(messages, messages.c.id == more_keys.c.message_id)
            .where(*of_messages),
        ),
        (
            deliveries.c.key_hash,
            select(deliveries.c.key_hash.label("key"), *first_sent).where(*of_deliveries),
        ),
        (
            more_keys.c.key_hash,
            select(more_keys.c.key_hash.label("key"), *first_sent)
            .join(deliveries, deliveries.c.message_id == more_keys.c.message_id)
            .where(*of_deliveries),
        ),
    ]


def barriers(connection: Connection, api: str, keys: Sequence[bytes] | None = None) -> Barriers:
    """What is barred on an API; of its keys all, or those among ``keys``.

    A key of a message stands for its channel too, so messages of channels that do not use the API do no harm.
    """
    found: dict[bytes, int] = {}
    channels: dict[bytes, str] = {}
    asked = None if keys is None or len(keys) > _KEYS_ASKED_MAX else list(keys)
    for column, query in _queries(api):
        chosen = query if asked is None else query.where(column.in_(asked))
        for row in connection.execute(chosen.group_by(column)):
            found[row.key] = min(row.first, found.get(row.key, row.first))
            channels[row.key] = row.channel
    if keys is not None:
        wanted = set(keys)
        found = {key: first for key, first in found.items() if key in wanted}
    stuck = connection.execute(
        select(deliveries.c.channel, deliveries.c.route)
        .where(_QUARANTINED, deliveries.c.aside == 0, deliveries.c.api == api)
        .distinct()
    )
    return Barriers(found, channels, frozenset((row.channel, row.route) for row in stuck))


def _barred(tx: Transaction, questions: Sequence[Barred]) -> list[Barriers]:
    return [barriers(tx.connection, each.api, each.keys) for each in questions]


BARRED: Work[Barred, Barriers] = Work("barred", _barred)
"""Read barriers with the writer, so that the answer comes in line with the outcomes that make new ones."""

"""Legal holds: what retention must not touch, until somebody ends them; each with name and reason."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import Connection, delete, func, insert, select

from bridge.journal.actions import ActionRow, note
from bridge.journal.controls import not_resumed
from bridge.journal.database import Facts
from bridge.journal.schema import legal_holds, messages, search_keys
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

HoldScope = Literal["channel", "key"]


@dataclass(frozen=True, slots=True)
class LegalHold:
    """A hold on a channel by its name, or on all about one key, given as it is and kept as its hash."""

    scope: HoldScope
    name: str
    at_us: Microseconds
    actor: str
    reason: str
    begins: bool


def _hold(tx: Transaction, items: Sequence[LegalHold]) -> list[bool]:
    return [_hold_one(tx, each) for each in items]


def _hold_one(tx: Transaction, each: LegalHold) -> bool:
    name = each.name if each.scope == "channel" else tx.facts.search_hash(each.name).hex()
    this = (legal_holds.c.scope == each.scope, legal_holds.c.name == name)
    if each.begins:
        # Whoever ended the second of two would end the first with it.
        if tx.connection.execute(select(legal_holds.c.name).where(*this)).first() is not None:
            return False
        tx.connection.execute(
            insert(legal_holds).values(
                scope=each.scope, name=name, at_us=each.at_us, actor=each.actor, reason=each.reason
            )
        )
    elif not tx.connection.execute(delete(legal_holds).where(*this)).rowcount:
        return False
    action = "legal-hold" if each.begins else "legal-hold-end"
    note(tx, ActionRow(each.at_us, each.actor, action, f"{each.scope} {name}", each.reason))
    return True


HOLD: Work[LegalHold, bool] = Work("legal-hold", _hold)
"""Begin or end a hold; False where there is one already, or was none to end."""


def holds(connection: Connection) -> list[dict[str, Any]]:
    """All holds, the oldest first, each with how many ``messages`` it covers now."""
    rows = connection.execute(select(legal_holds).order_by(legal_holds.c.at_us)).mappings().all()
    return [{**row, "messages": _of(connection, row["scope"], row["name"])} for row in rows]


def covered(connection: Connection, facts: Facts, scope: HoldScope, name: str) -> int:
    """How many messages a hold on this covers now; a key is given as it is."""
    return _of(connection, scope, name if scope == "channel" else facts.search_hash(name).hex())


def _of(connection: Connection, scope: str, name: str) -> int:
    if scope == "channel":
        query = select(func.count()).select_from(messages).where(messages.c.channel == name)
    else:
        has = search_keys.c.hash == bytes.fromhex(name)
        query = select(func.count(search_keys.c.message_id.distinct())).where(has)
    return connection.execute(query).scalar_one()


@dataclass(frozen=True, slots=True)
class Held:
    """The channels of which nothing may go, and the search hashes of keys about which nothing may."""

    channels: frozenset[str]
    hashes: tuple[bytes, ...]


def held(connection: Connection) -> Held:
    """What is held now. Where an older copy of the journal was put back, each channel is that nobody has
    resumed since: a hold of after the copy must be made again before anything goes."""
    rows = connection.execute(select(legal_holds.c.scope, legal_holds.c.name)).all()
    keys = sorted(row.name for row in rows if row.scope == "key")
    channels = {row.name for row in rows if row.scope == "channel"} | not_resumed(connection)
    return Held(frozenset(channels), tuple(map(bytes.fromhex, keys)))

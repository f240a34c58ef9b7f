"""What a person has stopped, or let through: kept, so that a restart changes nothing, and audited."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import Connection, delete, insert, select

from bridge.journal.actions import ActionRow, note
from bridge.journal.database import NOT_RESUMED
from bridge.journal.schema import controls as table
from bridge.journal.schema import facts
from bridge.journal.writer import Transaction, Work
from bridge.message import Microseconds

Scope = Literal["channel", "route", "api", "resend"]


@dataclass(frozen=True, slots=True)
class Control:
    """Something that is stopped until ``until_us``, or until somebody ends it.

    ``name`` is a channel's, ``CHANNEL/ROUTE``, or an API's. With ``intake`` a channel takes nothing either.
    Of scope ``resend``: repeats of this channel are taken for new messages.
    """

    scope: Scope
    name: str
    intake: bool
    until_us: Microseconds | None
    at_us: Microseconds
    actor: str
    reason: str

    @property
    def subject(self) -> str:
        """Scope and name, as audit rows have them."""
        return f"{'channel' if self.scope == 'resend' else self.scope} {self.name}"


def pause(tx: Transaction, items: Sequence[Control]) -> list[None]:
    """Note that things are stopped, in a transaction that has a reason to."""
    for each in items:
        _remove(tx.connection, each)
        tx.connection.execute(
            insert(table).values(
                scope=each.scope,
                name=each.name,
                intake=int(each.intake),
                until_us=each.until_us,
                at_us=each.at_us,
                actor=each.actor,
                reason=each.reason,
            )
        )
        action = "resend-allow" if each.scope == "resend" else "pause"
        note(tx, ActionRow(each.at_us, each.actor, action, each.subject, each.reason))
    return [None] * len(items)


def _resume(tx: Transaction, items: Sequence[Control]) -> list[bool]:
    done = []
    for each in items:
        found = _remove(tx.connection, each)
        if each.scope == "channel" and each.name in (before := not_resumed(tx.connection)):
            keep_not_resumed(tx.connection, before - {each.name})
        if found:
            action = "resend-end" if each.scope == "resend" else "resume"
            note(tx, ActionRow(each.at_us, each.actor, action, each.subject, each.reason))
        done.append(found)
    return done


def _remove(connection: Connection, control: Control) -> bool:
    gone = connection.execute(
        delete(table).where(table.c.scope == control.scope, table.c.name == control.name)
    )
    return bool(gone.rowcount)


PAUSE: Work[Control, None] = Work("pause", pause)
"""Note that something is stopped; what was noted of it before is replaced."""
RESUME: Work[Control, bool] = Work("resume", _resume)
"""Note that it goes on; False where it was not stopped."""


def controls(connection: Connection) -> list[Control]:
    """All that is stopped now, the oldest first."""
    rows = connection.execute(select(table).order_by(table.c.at_us))
    return [
        Control(row.scope, row.name, bool(row.intake), row.until_us, row.at_us, row.actor, row.reason)
        for row in rows
    ]


def not_resumed(connection: Connection) -> frozenset[str]:
    """Channels that were paused in doubt and not resumed since, however often they were paused: their old
    engines are given nothing, and nothing of them is deleted."""
    found = connection.execute(select(facts.c.value).where(facts.c.name == NOT_RESUMED)).scalar()
    return frozenset(() if found is None else json.loads(found))


def keep_not_resumed(connection: Connection, channels: Iterable[str]) -> None:
    """Note which channels these are."""
    connection.execute(delete(facts).where(facts.c.name == NOT_RESUMED))
    value = json.dumps(sorted(channels)).encode()
    connection.execute(insert(facts).values(name=NOT_RESUMED, value=value))

"""The writing half of the journal's writer: one batch, one transaction, and what becomes of each item.

It runs where the disk may be waited for: in a thread of the node, or in a process of its own. What it says it
says in words, which come to the other half, `Writer.hear`, in their order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, NamedTuple

from sqlalchemy import Connection, RootTransaction, func, select
from sqlalchemy.exc import DBAPIError

from bridge.errors import BridgeError, ItemRefused, JournalRefused, JournalUnavailable
from bridge.journal.chain import Whose, head_of
from bridge.journal.database import Database, Facts, Ownership, said
from bridge.journal.statements import COPIED_MIN_ROWS
from bridge.journal.transaction import NUMBERED, Transaction, Work

LOOK_AGAIN_S = 0.5
"""How often a database that is away is looked for."""

COMMITTED: Final = "committed"
"""``results, seconds, failing``: a batch has ended, with a result or an exception for each item, in order."""
WENT_AWAY: Final = "went-away"
"""``reason``: nothing can be written until further word."""
CAME_BACK: Final = "came-back"
"""It can be written again."""
FOUND_AGAIN: Final = "found-again"
"""``applied``: it is known again whether a transaction is on disk whose COMMIT got no answer."""
LOST: Final = "lost"
"""``reason``: the writing half has ended, and nothing will be written any more."""

Tell = Callable[..., None]
"""Takes one of these words, and what belongs to it."""
Waits = Callable[[float], bool]
"""Waits so many seconds, and tells whether the bridge ends; then it does not wait."""
_Parts = Sequence[tuple[Work[Any, Any], Sequence[Any]]]


class Batch(NamedTuple):
    """What is to be written together: items by their work. ``configuration`` is the digest of the files that
    the node runs by."""

    configuration: str
    parts: _Parts


class Committer:
    """Writes batches, one after the other, as ``ownership`` allows."""

    def __init__(
        self,
        database: Database,
        ownership: Ownership,
        seconds: Callable[[], float],
        tell: Tell,
        closing: Waits,
    ) -> None:
        """``seconds`` is a clock that only goes on. Raises as `Ownership.connect` does."""
        self._kind, self._ownership = database.kind, ownership
        self._seconds, self._tell, self._closing = seconds, tell, closing
        self._counters: dict[str, int] = {}
        self._lost = False
        """Another has the journal now, for good."""
        self._failing = False
        connection = ownership.connect()
        with connection.begin():
            self._facts = Facts(connection)
            for table in NUMBERED:
                newest = connection.execute(select(func.max(table.c.id))).scalar()
                self._counters[table.name] = newest or 0
            self._head = head_of(connection)

    def write(self, batch: Batch) -> None:
        """Write a batch, and tell how it ended."""
        started_s = self._seconds()
        results, away = self._write(batch)
        if away:
            self._failing = True
            self._tell(WENT_AWAY, away)
        self._tell(COMMITTED, results, self._seconds() - started_s, self._failing)
        if away and self._found_again():
            self._came_back()

    def _came_back(self) -> None:
        self._failing = False
        self._tell(CAME_BACK)

    def _write(self, batch: Batch) -> tuple[list[Any], str]:
        """How each item ended; and why nothing more can be written until the database is found again."""
        away = ""
        try:
            return self._again_where_lost(batch), ""
        except JournalRefused as lost:
            self._lost = True
            away = str(lost)
            failure: Exception = JournalUnavailable(away)
        except _Away as error:
            away = str(error)
            failure = JournalUnavailable(away)
        except Exception as error:  # noqa: BLE001 - one faulty item must not take its neighbours with it
            if isinstance(error, DBAPIError) and self._kind.is_away(error):
                self._failing = True
                failure = JournalUnavailable(f"the journal could not write: {said(error)}")
            elif sum(len(items) for _, items in batch.parts) > 1:
                return self._each_alone(batch)
            else:
                failure = ItemRefused(f"the journal refused an item: {type(error).__name__}")
                failure.__cause__ = error
        return [failure for _, items in batch.parts for _ in items], away

    def _each_alone(self, batch: Batch) -> tuple[list[Any], str]:
        results: list[Any] = []
        away = ""
        for work, items in batch.parts:
            for item in items:
                if away:
                    results.append(JournalUnavailable(away))
                else:
                    ended, away = self._write(batch._replace(parts=[(work, [item])]))
                    results += ended
        return results, away

    def _again_where_lost(self, batch: Batch) -> list[Any]:
        """Write, and once more where a connection was lost that can be made anew. Raises `_Away` if not."""
        try:
            return self._one_transaction(batch)
        except _Lost:
            pass
        try:
            return self._one_transaction(batch)
        except _Lost as error:
            raise _Away(str(error)) from error

    def _one_transaction(self, batch: Batch) -> list[Any]:
        ends: list[Any] = []
        counters = dict(self._counters)
        try:
            connection = self._ownership.connect()
        except DBAPIError as error:
            raise _Lost(f"the journal cannot be reached: {said(error)}") from error
        writing = connection.begin()
        try:
            self._ownership.enter(connection)
            facts = self._facts
            whose = Whose(facts.journal_id, facts.epoch, facts.in_doubt, batch.configuration)
            transaction = Transaction(connection, facts, counters, self._head, whose)
            for work, items in batch.parts:
                results = work.run(transaction, items)
                assert len(results) == len(items), f"{work.name} owes one result for each item"
                ends += results
            if len(transaction.wrote.steps) >= COPIED_MIN_ROWS:
                transaction.write_steps()
            with self._ownership.together(connection):
                head = transaction.finish()
        except BaseException as error:
            _undo(connection, writing)
            if isinstance(error, DBAPIError) and error.connection_invalidated:
                raise _Lost(f"the connection to the journal was lost: {said(error)}") from error
            raise
        try:
            writing.commit()
        except BaseException as error:
            if not (isinstance(error, DBAPIError) and error.connection_invalidated):
                _undo(connection, writing)
                raise
            if not self._was_applied(str(error.orig)):
                raise _Lost(f"the connection to the journal was lost: {said(error)}") from error
        self._ownership.committed()
        self._counters, self._head = counters, head
        self._failing = False
        transaction.committed()
        return ends

    def _was_applied(self, reason: str) -> bool:
        """Whether a transaction is on disk whose COMMIT got no answer, asked until that is known.

        Raises `_Away` where the bridge ends before.
        """
        told = False
        while True:
            try:
                applied = self._ownership.was_applied()
            except DBAPIError as error:
                if not told:
                    told = True
                    self._tell(WENT_AWAY, f"the journal went away while it committed: {said(error)}")
                if self._closing(LOOK_AGAIN_S):
                    raise _Away(f"it is not known whether this was written: {reason}") from error
            else:
                if told:
                    self._came_back()
                self._tell(FOUND_AGAIN, applied)
                return applied

    def _found_again(self) -> bool:
        """Look for the database until it is there; False where the bridge ends, or another node has it."""
        while not (self._lost or self._closing(0.0)):
            try:
                self._ownership.connect()
            except DBAPIError:
                self._closing(LOOK_AGAIN_S)
            except JournalRefused as lost:
                self._lost = True
                self._tell(WENT_AWAY, str(lost))
            else:
                return True
        return False


class _Lost(BridgeError):
    """A connection was lost, and nothing of its transaction is on disk."""


class _Away(BridgeError):
    """There is no connection, nor could one be made."""


def _undo(connection: Connection, writing: RootTransaction) -> None:
    """Roll back; where the connection is gone, the server does it."""
    with suppress(DBAPIError):
        writing.rollback()
    if not (connection.closed or connection.invalidated):
        # After a COMMIT that failed SQLAlchemy takes the transaction for ended. The database may not.
        with suppress(connection.dialect.loaded_dbapi.Error):
            connection.connection.rollback()

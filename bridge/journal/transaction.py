"""One transaction of the writer: the numbers it gives out, and what is kept of all that it changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Generic, TypeVar

from sqlalchemy import Connection, func, select

from bridge.journal.audit_schema import disclosures
from bridge.journal.batch_schema import batches, collected, collections
from bridge.journal.chain import Head, Whose, Written, extend
from bridge.journal.database import Facts
from bridge.journal.file_schema import file_steps, taken_files
from bridge.journal.schema import actions, deliveries, messages, transitions
from bridge.journal.stage_schema import feeds, outputs, pairs
from bridge.journal.statements import insert_rows
from bridge.message import Microseconds

Item = TypeVar("Item")
Result = TypeVar("Result")

NUMBERED = (
    messages, deliveries, transitions, actions, taken_files, file_steps, feeds, outputs, pairs,
    batches, disclosures, collected, collections,
)  # fmt: skip
"""Tables whose ids the writer gives."""

_INSERT_TRANSITION = insert_rows(transitions)
_INSERT_DISCLOSURE = insert_rows(disclosures)
_INSERT_ACTION = insert_rows(actions)
_INSERT_FILE_STEP = insert_rows(file_steps)


class Transaction:
    """One transaction of the writer, and the numbers it gives out."""

    def __init__(
        self, connection: Connection, facts: Facts, counters: dict[str, int], head: Head, whose: Whose
    ) -> None:
        """``head`` is how far the chain was before, ``whose`` what stands in its rows."""
        self.connection, self.facts, self.counters = connection, facts, counters
        self.head, self._whose = head, whose
        self.wrote = Written()
        self._afterwards: list[Callable[[], object]] = []
        self._steps_are_written = False

    def next_id(self, table: str) -> int:
        """The next id of a table; ids rise in the order of commits."""
        self.counters[table] += 1
        return self.counters[table]

    def next_seq(self, channel: str) -> int:
        """The next place in a channel, without gaps."""
        name = f"seq of {channel}"
        if name not in self.counters:
            newest = select(func.max(messages.c.seq)).where(messages.c.channel == channel)
            self.counters[name] = self.connection.execute(newest).scalar() or 0
        return self.next_id(name)

    def transition(
        self,
        message_id: int,
        delivery_id: int | None,
        from_state: str | None,
        to_state: str,
        at_us: Microseconds,
        reason: str,
        actor: str = "bridge",
        detail: str = "",
    ) -> None:
        """Record a change of state; it is written in this transaction. ``detail`` is of `audit.details`."""
        # Plain text: a driver looks long for what an enumeration could mean.
        before, after = None if from_state is None else str(from_state), str(to_state)
        step_id = self.next_id("transitions")
        self.wrote.steps.append(
            (step_id, message_id, delivery_id, before, after, at_us, actor, reason, detail)
        )

    def action(self, row: Mapping[str, Any]) -> None:
        """Write a row of `actions`, without its id."""
        numbered = {**row, "id": self.next_id("actions")}
        _INSERT_ACTION.many(self.connection, [numbered])
        self.wrote.action(numbered)

    def file_step(self, row: Mapping[str, Any]) -> None:
        """Write a row of `file_steps`, without its id."""
        numbered = {**row, "id": self.next_id("file_steps")}
        _INSERT_FILE_STEP.many(self.connection, [numbered])
        self.wrote.file_step(numbered)

    def disclose(self, went: Sequence[Any]) -> None:
        """Keep what went where about whom, of deliveries that are deleted now: rows with the columns of
        `disclosures`, but for the id."""
        rows = [
            {**row._mapping, "id": self.next_id("disclosures"), "patient": bytes(row.patient)} for row in went
        ]
        _INSERT_DISCLOSURE.many(self.connection, rows)
        self.wrote.disclose(rows)

    def retire(self, steps: Sequence[int], at_us: Microseconds) -> None:
        """Let the chain know that retention deletes these steps."""
        self.wrote.retired += steps
        self.wrote.latest_us = max(self.wrote.latest_us, at_us)

    def let_go(self, up_to: int) -> None:
        """Let the chain say that its own rows up to this one are deleted."""
        self.wrote.let_go = up_to

    def afterwards(self, do: Callable[[], object]) -> None:
        """Have something done where this is written, once it is on disk. It must not raise."""
        self._afterwards.append(do)

    def committed(self) -> None:
        """It is on disk."""
        for do in self._afterwards:
            do()

    def write_steps(self) -> None:
        """Write the changes of state that were recorded before `finish`, where many go better alone."""
        _INSERT_TRANSITION.in_order(self.connection, self.wrote.steps)
        self._steps_are_written = True

    def finish(self) -> Head:
        """Write what was recorded, and the row of the chain that covers it; how far the chain is then."""
        if not self._steps_are_written:
            self.write_steps()
        return extend(self.connection, self.head, self._whose, self.wrote)


@dataclass(frozen=True, eq=False)
class Work(Generic[Item, Result]):
    """A named piece of writing: all items of one transaction at once, one result for each, in order.

    It may run again with the same items after a rollback, so it must depend on nothing but them. What crosses
    to another process is its name and the module of ``run``, which knows it there too.
    """

    name: str
    run: Callable[[Transaction, Sequence[Item]], Sequence[Result]]
    waited_for: bool = False
    """Whether a sender waits for it to be on disk."""

    def __post_init__(self) -> None:
        _KNOWN[self.run.__module__, self.name] = self

    def __reduce__(self) -> tuple[Callable[[str, str], Work[Any, Any]], tuple[str, str]]:
        return _known, (self.run.__module__, self.name)


_KNOWN: dict[tuple[str, str], Work[Any, Any]] = {}


def _known(module: str, name: str) -> Work[Any, Any]:
    if (module, name) not in _KNOWN:
        import_module(module)
    return _KNOWN[module, name]

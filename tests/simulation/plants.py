"""Faults put into the bridge on purpose, which a simulation must find. Each patches the running process."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sqlalchemy import Engine, event
from twisted.internet.defer import Deferred, succeed

from bridge.delivery.lanes import Lanes
from bridge.delivery.window import Window
from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.journal.repeats import Repeats
from bridge.journal.sqlite import SqliteFile
from bridge.message import Received
from bridge.runtime.deliver import Outlet
from bridge.runtime.intake import Intake
from bridge.transports.base import Answer, Flaw

Patch = Callable[[object, str, object], None]


def acknowledge_before_commit(patch: Patch) -> None:
    """The sender hears AA as soon as its message is read."""
    whole = Intake.take

    def take(self: Intake, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        whole(self, received, flaw)
        return succeed(Answer(acknowledge(peek(received.body), AckCode.AA, control_id="1", at_us=0), None))

    patch(Intake, "take", take)


def no_sync_at_commit(patch: Patch) -> None:
    """`synchronous=NORMAL`, which with a write-ahead log syncs at checkpoints only."""
    whole = SqliteFile.writer

    def writer(self: SqliteFile) -> Engine:
        engine = whole(self)

        @event.listens_for(engine, "connect")
        def relax(connection: Any, _record: object) -> None:
            connection.execute("PRAGMA synchronous = NORMAL")

        return engine

    patch(SqliteFile, "writer", writer)


def outcome_not_awaited(patch: Patch) -> None:
    """The lane goes on while the outcome of its delivery is not on disk yet."""
    whole = Outlet._settle

    async def settle(self: Outlet, *arguments: Any) -> Any:
        writing = whole(self, *arguments)
        try:
            pending: Any = writing.send(None)
        except StopIteration as ended:
            return ended.value
        pending.addErrback(lambda _: None)
        return _settlement(writing)

    patch(Outlet, "_settle", settle)


def _settlement(writing: Any) -> Any:
    found = writing.cr_frame.f_locals["settlement"]
    writing.close()
    return found


def quarantine_passed_over(patch: Patch) -> None:
    """What is in quarantine is taken for done, and its key goes on."""
    patch(Lanes, "block", Lanes.finished)


def repeats_not_known(patch: Patch) -> None:
    """A message that comes again is taken for a new one."""
    patch(Repeats, "first", lambda *_: None)


def last_of_a_page_forgotten(patch: Patch) -> None:
    """What is read back after a start lacks its last item."""
    whole = Window.end_page

    def end_page(self: Any, pairs: Any, *, full: bool) -> Any:
        return whole(self, pairs, full=full)[:-1]

    patch(Window, "end_page", end_page)


PLANTS: Mapping[str, Callable[[Patch], None]] = {
    plant.__name__: plant
    for plant in (
        acknowledge_before_commit,
        no_sync_at_commit,
        outcome_not_awaited,
        quarantine_passed_over,
        repeats_not_known,
        last_of_a_page_forgotten,
    )
}
FOUND_EARLY = ("acknowledge_before_commit", "repeats_not_known")
"""Those that a handful of seeds finds."""

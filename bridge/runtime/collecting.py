"""Collecting: deliveries that go into one file, which is closed by time or count, written once, and then ends
them.

What waits is ACCEPTED in the journal. To close is one row there; after it the file is made of what the row
names, always the same bytes under the same name, and put where it belongs as often as it takes to know that
it is there. So wherever a process ends, the next one goes on, and no delivery is in two files or in none.
"""

from __future__ import annotations

from collections.abc import Callable, Set
from hashlib import sha256
from typing import Any

import orjson
import structlog

from bridge.config.topology import Api
from bridge.delivery.outcomes import Verdict
from bridge.destinations.base import CollectedFile, Collects, Destination
from bridge.errors import JournalUnavailable
from bridge.journal.collections import (
    CLOSE_COLLECTION,
    END_COLLECTED,
    Closing,
    Collection,
    Gathered,
    Joined,
    Rested,
    Written,
    gathered,
    members,
    unwritten,
)
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.runtime.may_go import MayGo
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.deliver")

READ_AT_ONCE = 500
AGAIN_AFTER_S = 10.0
"""A file that could not be written is tried again after so long, each time."""
_NOT_JOURNALED = "journal-unavailable"
_NOTHING = Gathered(0, 0, 0, frozenset())


class Collecting:
    """What of one API waits for a file, and the file that is being written."""

    def __init__(
        self,
        api: Callable[[], tuple[Api, Destination]],
        journal: Journal,
        world: Surroundings,
        tasks: Tasks,
        paused: Set[str],
        rested: Callable[[Rested], None],
        written: Callable[[Collection, Microseconds], None],
        may_go: MayGo,
    ) -> None:
        """``paused`` are the gates that a person has shut, ``rested`` is told of each that ends with
        its file or goes into none; ``written`` of each file of which its receiver says by when what became
        of it."""
        self._api, self._journal, self._world, self._tasks = api, journal, world, tasks
        self._paused, self._rested, self._written, self._may_go = paused, rested, written, may_go
        self._waiting = _NOTHING
        self._unwritten: list[Collection] = []
        self._busy = False
        self._again_at_us: Microseconds = 0
        self._trouble = ""
        """Why no file could be closed or written the last time; empty where one could."""

    async def start(self) -> None:
        """Learn what waits, and which files were closed. Raises JournalUnavailable."""
        name = self._api()[0].name
        self._waiting = await self._journal.read(gathered, name)
        self._unwritten = await self._journal.read(unwritten, name)

    def joined(self, joined: Joined) -> None:
        """A delivery waits for a file since just now."""
        was = self._waiting
        self._waiting = Gathered(
            was.count + 1,
            was.size_bytes + joined.size_bytes,
            was.oldest_at_us or self._world.now_us(),
            was.channels | {joined.channel},
        )
        if self._why():
            self.look_again()

    def _why(self) -> str:
        """Why a file is to be closed now; empty where it is not."""
        destination, waiting = self._api()[1], self._waiting
        if not isinstance(destination, Collects) or (rules := destination.collect) is None:
            return ""
        if not waiting.count or self._is_paused():
            return ""
        if waiting.count >= rules.or_count:
            return "count"
        if waiting.size_bytes >= destination.collected_max_bytes:
            return "size"
        due_at_us = rules.due_at_us(waiting.oldest_at_us)
        return "time" if due_at_us is not None and due_at_us <= self._world.now_us() else ""

    def _is_paused(self) -> bool:
        shut = self._paused
        return "api" in shut or any(f"channel {each}" in shut for each in self._waiting.channels)

    def look_again(self) -> None:
        """Close and write what it is time for."""
        if self._busy or "api" in self._paused or self._world.now_us() < self._again_at_us:
            return
        if self._unwritten or self._why():
            self._busy = True
            self._tasks.spawn("collect", self._collect())

    async def _collect(self) -> None:
        try:
            while True:
                while self._unwritten:
                    if not await self._write(self._unwritten[0]):
                        return
                    self._unwritten.pop(0)
                if not (why := self._why()) or not await self._close(why):
                    return
        except JournalUnavailable as error:
            self._failed(_NOT_JOURNALED, str(error))
        finally:
            self._busy = False

    async def _close(self, why: str) -> bool:
        """Close a file; False where nothing of what waits may go now."""
        api, destination = self._api()
        assert isinstance(destination, Collects), "it was asked why"
        assert destination.collect is not None, "it was asked why"
        rules, now_us = destination.collect, self._world.now_us()
        # What was counted here may have been counted twice, by what was read and by who told of it.
        least = rules.or_count if why == "count" else 1
        counts = least, rules.or_count
        size_max = destination.collected_max_bytes
        left_out = await self._may_go.left_out(api.name, rules.or_count)
        closing = Closing(api.name, rules.partner, counts, size_max, why, now_us, left_out)
        closed = await self._journal.submit(CLOSE_COLLECTION, closing)
        if self._trouble == _NOT_JOURNALED:
            self._trouble = ""
        self._waiting = await self._gathered_now(api.name)
        for each in closed.apart:
            self._rested(each)
        if left_out:
            log.warning("left-out-of-file", api=api.name, count=len(left_out), ended=len(closed.apart))
        if closed.collection is not None:
            self._unwritten.append(closed.collection)
        elif len(left_out) > len(closed.apart):
            # What waits on would be asked about again at once.
            self._again_at_us = self._world.now_us() + int(AGAIN_AFTER_S * 1e6)
            return False
        return True

    async def _gathered_now(self, name: str) -> Gathered:
        """What waits, when nothing joined while it was read."""
        while True:
            before = self._waiting
            found = await self._journal.read(gathered, name)
            if self._waiting is before:
                return found

    async def _write(self, collection: Collection) -> bool:
        """Put a closed file where it belongs, and end its deliveries. Whether that is done."""
        api, destination = self._api()
        if not isinstance(destination, Collects) or destination.collect is None:
            return self._failed("not-collected", "the API's file has no `collect` any more")
        requests: list[bytes] = []
        after = collection.first - 1
        while page := await self._journal.read(members, collection, after, READ_AT_ONCE):
            requests += [each.request for each in page]
            after = page[-1].place
        facts = destination.collect.facts(collection.number, collection.closed_at_us, collection.control)
        key = f"{self._journal.facts.journal_id}-{collection.sent_as}"
        outcome, made = await destination.put(requests, facts, key)
        if outcome.verdict is not Verdict.DELIVERED or made is None:
            return self._failed(outcome.reason, "its deliveries wait for it")
        said = destination.collect.acknowledged
        await self._end(collection, made, None if said is None else said.within)
        log.info(
            "file-written", api=api.name, file=collection.number, count=collection.count, why=collection.why
        )
        self._trouble, self._again_at_us = "", 0
        return True

    async def _end(self, collection: Collection, made: CollectedFile, within_s: float | None) -> None:
        digest, totals = sha256(made.content).digest(), orjson.dumps(made.totals).decode()
        within_us = None if within_s is None else int(within_s * 1e6)
        after, done, at_us = collection.first - 1, 0, 0
        while after < collection.last:
            at_us = self._world.now_us()
            so_far = collection, after, done, made.controls, within_us
            written = Written(*so_far, made.name, digest, len(made.content), totals, at_us)
            some = await self._journal.submit(END_COLLECTED, written)
            after, done = some.last, some.done
            for each in some.ended:
                self._rested(each)
        if within_us is not None:
            self._written(collection, at_us + within_us)

    def _failed(self, reason: str, text: str) -> bool:
        self._trouble = reason
        self._again_at_us = self._world.now_us() + int(AGAIN_AFTER_S * 1e6)
        log.error("file-not-written", api=self._api()[0].name, reason=reason, detail=text)
        return False

    @property
    def not_written(self) -> tuple[int, Microseconds]:
        """How many files were closed and are not written yet, and when the oldest of them was; 0 for none."""
        return len(self._unwritten), self._unwritten[0].closed_at_us if self._unwritten else 0

    def status(self) -> dict[str, Any]:
        """How things stand, in names and numbers."""
        destination = self._api()[1]
        rules = destination.collect if isinstance(destination, Collects) else None
        due = (
            None if rules is None or not self._waiting.count else rules.due_at_us(self._waiting.oldest_at_us)
        )
        unwritten, since_us = self.not_written
        return {
            "waiting": self._waiting.count,
            "unwritten": unwritten,
            "unwritten_since_us": since_us or None,
            "due_at_us": due,
            "trouble": self._trouble,
        }

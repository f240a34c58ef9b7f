"""Acknowledging: files that were collected are over once their receivers have said what became of all in
them.

What waits is ACCEPTED in the journal, each by what its file calls it. An acknowledgement comes by a channel
of ours, as any message does, so it is on disk before it counts, and is applied again after a crash until its
own delivery has ended: what was said of a message is kept once. Where it does not fit, nothing of it counts,
and a person looks at it. What is not said in time is told, and still waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set
from dataclasses import replace
from typing import Any

import structlog

from bridge.config.topology import Api
from bridge.destinations.base import AcknowledgedBy, Collects, Destination
from bridge.errors import JournalUnavailable
from bridge.formats.acknowledged import Acknowledgement, Told, Word, decided
from bridge.journal.acknowledging import (
    ACKNOWLEDGE,
    Heard,
    Saying,
    awaited_files,
    file_numbered,
    meant_by,
    sent_in,
)
from bridge.journal.collections import AWAITED, Collection, Rested
from bridge.journal.journal import Journal
from bridge.message import Microseconds
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.deliver")

AT_ONCE = 500
"""What was said of so many is written in one transaction, so that none keeps senders waiting."""
AGAIN_AFTER_S = 10.0


class Acknowledging:
    """The files of one API that their receivers acknowledge."""

    def __init__(
        self,
        api: Callable[[], tuple[Api, Destination]],
        journal: Journal,
        world: Surroundings,
        tasks: Tasks,
        ended: Callable[[Rested], None],
    ) -> None:
        """``ended`` is told of each of which it is known what became."""
        self._api, self._journal, self._world, self._tasks = api, journal, world, tasks
        self._ended = ended
        self.aside: Set[tuple[str, str]] = frozenset()
        """Channels and their routes of which what is rejected stops no other of its key."""
        self._awaited: dict[int, Collection] = {}
        self._told_of: set[int] = set()
        self._busy = False
        self._again_at_us: Microseconds = 0

    async def start(self) -> None:
        """Learn which files are awaited. Raises JournalUnavailable."""
        found = await self._journal.read(awaited_files, self._api()[0].name)
        self._awaited = {each.collection_id: each for each in found}

    def written(self, collection: Collection, due_at_us: Microseconds) -> None:
        """A file was written just now, of which its receiver says what becomes."""
        self._awaited[collection.collection_id] = replace(
            collection, acknowledged=AWAITED, due_at_us=due_at_us
        )

    @property
    def overdue(self) -> int:
        """How many files should have been acknowledged by now."""
        now_us = self._world.now_us()
        return sum(each.due_at_us is not None and each.due_at_us <= now_us for each in self._awaited.values())

    def status(self) -> dict[str, Any]:
        """How things stand, in numbers."""
        return {"awaited": len(self._awaited), "overdue": self.overdue}

    def look_again(self) -> None:
        """Tell of what is overdue, once each; or take silence for what its API's file says that it is."""
        now_us, rules = self._world.now_us(), self._rules()
        late = [
            each for each in self._awaited.values() if each.due_at_us is not None and each.due_at_us <= now_us
        ]
        if rules is not None and rules.silence == "accepted":
            if late and not self._busy and self._again_at_us <= now_us:
                self._busy = True
                self._tasks.spawn("acknowledge", self._accept(late))
            return
        for each in late:
            if each.collection_id not in self._told_of:
                self._told_of.add(each.collection_id)
                log.warning("file-not-acknowledged", api=each.api, file=each.number, count=each.count)

    def _rules(self) -> AcknowledgedBy | None:
        destination = self._api()[1]
        collect = destination.collect if isinstance(destination, Collects) else None
        return None if collect is None else collect.acknowledged

    async def told(self, said: Acknowledgement) -> str:
        """An acknowledgement has come; the code of what it comes to. Raises JournalUnavailable."""
        rules = self._rules()
        if said.envelope is not None and rules is not None and rules.by == "envelope":
            said = replace(said, rest=said.envelope)
        meant = await self._journal.read(meant_by, self._api()[0].name, said)
        if meant.collection is None:
            return meant.code
        told, code = decided(said, meant.sent)
        if told or (said.envelope is not None and not meant.collection.codes):
            await self._say(meant.collection, told, said.codes)
        return code

    async def awaits(self, number: int) -> bool:
        """Whether a file is awaited, by its number."""
        found = await self._journal.read(file_numbered, self._api()[0].name, number)
        return found is not None and found.acknowledged == AWAITED

    async def settle(self, number: int, word: Word, codes: str) -> str:
        """A person says what became of all of a file of which nothing was said; what was done, in words."""
        api = self._api()[0].name
        collection = await self._journal.read(file_numbered, api, number)
        assert collection is not None, "it is awaited"
        sent = await self._journal.read(sent_in, collection, unsaid=True)
        heard = await self._say(collection, [Told(each.place, word, codes) for each in sent], codes)
        return f"file {number} of {api}: {heard.file}, {len(heard.ended)} deliveries"

    async def _accept(self, late: Sequence[Collection]) -> None:
        try:
            for each in late:
                sent = await self._journal.read(sent_in, each, unsaid=True)
                await self._say(each, [Told(one.place, Word.ACCEPTED, "") for one in sent], "")
        except JournalUnavailable as error:
            self._again_at_us = self._world.now_us() + int(AGAIN_AFTER_S * 1e6)
            log.error("journal-unavailable", api=self._api()[0].name, reason=str(error))
        finally:
            self._busy = False

    async def _say(self, collection: Collection, told: Sequence[Told], codes: str) -> Heard:
        ended: list[Rested] = []
        heard = Heard([], AWAITED)
        for first in range(0, max(1, len(told)), AT_ONCE):
            part, at_us = told[first : first + AT_ONCE], self._world.now_us()
            saying = Saying(collection, part, codes, self.aside, at_us)
            heard = await self._journal.submit(ACKNOWLEDGE, saying)
            ended += heard.ended
            for each in heard.ended:
                self._ended(each)
        if heard.file != AWAITED:
            self._awaited.pop(collection.collection_id, None)
            self._told_of.discard(collection.collection_id)
            log.info("file-acknowledged", api=collection.api, file=collection.number, said=heard.file)
        return Heard(ended, heard.file)

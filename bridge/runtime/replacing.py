"""A file in place of another of its day: what that one has not sent need not be sent any more."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from bridge.delivery.files import FileState
from bridge.journal.journal import Journal
from bridge.journal.reruns import (
    REPLACED,
    WITHDRAW,
    Withdraw,
    is_untranslated,
    others_of_day,
    waiting_for_a_person,
)
from bridge.journal.resolutions import RESOLVE, Resolution, Resolved
from bridge.journal.taken_files import TakenFile
from bridge.journal.threads import Hurry
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.files")

LOOK_EVERY_S = 0.2


class HurriedOff(Exception):
    """The bridge ends, and the file is offered again."""


class Replacing:
    """What withdraws files. ``relax`` lets keys go on that waited for something which is decided."""

    def __init__(
        self, journal: Journal, world: Surroundings, relax: Callable[[Resolved], Awaitable[None]]
    ) -> None:
        self._journal, self._world, self._relax = journal, world, relax

    async def replace(self, file: TakenFile, hurry: Hurry) -> None:
        """Let what other files of its day have not sent end there. What may have been sent goes on, and what
        waits to be translated is waited for. May be done again, as after a crash.

        Raises JournalUnavailable, HurriedOff.
        """
        which = file.channel, file.business_date, file.file_id, (FileState.TAKEN, FileState.SPLIT)
        others = tuple(await self._journal.read(others_of_day, *which))
        while await self._journal.read(is_untranslated, others):
            if hurry.told:
                raise HurriedOff
            await self._world.pause(LOOK_EVERY_S)
        count = 0
        after_id: int | None = 0
        while after_id is not None:
            withdrawn = await self._journal.submit(WITHDRAW, Withdraw(others, after_id, self._world.now_us()))
            count += withdrawn.withdrawn
            after_id = withdrawn.next_id
        count += await self._end_quarantined(others, f"{REPLACED} by file {file.file_id}")
        log.info("file-replaces", channel=file.channel, file=file.file_id, withdrawn=count)

    async def _end_quarantined(self, file_ids: tuple[int, ...], reason: str) -> int:
        """Let what waits for a person end, since another file brings it anew."""
        count = 0
        while True:
            messages, deliveries = await self._journal.read(waiting_for_a_person, file_ids)
            decisions = [
                *(self._discard(None, number, reason) for number in messages),
                *(self._discard(number, None, reason) for number in deliveries),
            ]
            done = 0
            for each in decisions:
                resolved = await self._journal.submit(RESOLVE, each)
                if resolved.done:
                    done += 1
                    await self._relax(resolved)
            count += done
            if not done:
                return count

    def _discard(self, delivery_id: int | None, message_id: int | None, reason: str) -> Resolution:
        return Resolution(delivery_id, message_id, "discard", "bridge", reason, self._world.now_us())

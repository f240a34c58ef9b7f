"""What an API says of its own end, kept where somebody will hear of it in time."""

from __future__ import annotations

from typing import Final

import structlog

from bridge.delivery.outcomes import Ending, Outcome
from bridge.errors import JournalUnavailable
from bridge.journal.journal import Journal
from bridge.journal.notices import NOTICE, Notice
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.endings")

SEEN: Final = "n"
"""The letter of this policy."""


class Endings:
    """What the operations of one API said last. Only what is new is written, and logged once."""

    def __init__(self, api: str, journal: Journal, world: Surroundings, tasks: Tasks) -> None:
        self._api, self._journal, self._world, self._tasks = api, journal, world, tasks
        self._said: dict[str, Ending] = {}

    def look(self, operation: str, outcome: Outcome) -> str:
        """Keep what an answer says of its API's end, where that is new; the letter of this policy."""
        said = outcome.ending
        if said is not None and self._said.get(operation) != said:
            self._said[operation] = said
            self._tasks.spawn("notice", self._keep(operation, said))
        return SEEN

    async def _keep(self, operation: str, said: Ending) -> None:
        at_us = self._world.now_us()
        log.warning("api-ends", api=self._api, operation=operation, sunset_at_us=said.sunset_at_us)
        notice = Notice(self._api, operation, said.deprecated_at_us, said.sunset_at_us, at_us)
        try:
            await self._journal.submit(NOTICE, notice)
        except JournalUnavailable as error:
            log.error("journal-unavailable", api=self._api, reason=str(error))
            self._said.pop(operation, None)  # the next answer says it again

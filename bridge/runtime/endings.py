"""What an API says of its own end, kept where somebody will hear of it in time."""

from __future__ import annotations

from typing import Final

import structlog

from bridge.config.topology import Api
from bridge.delivery.outcomes import Ending, Outcome
from bridge.errors import JournalUnavailable
from bridge.governance.lifecycle import SUNSET
from bridge.journal.journal import Journal
from bridge.journal.notices import NOTICE, Notice, notices
from bridge.message import Microseconds
from bridge.runtime.calendar import contract_ends, lifecycle_of
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.endings")

SEEN: Final = "n"
"""The letter of this policy."""


class Endings:
    """What the operations of one API said last. Only what is new is written, and logged once."""

    def __init__(self, api: Api, journal: Journal, world: Surroundings, tasks: Tasks) -> None:
        self._api, self._journal, self._world, self._tasks = api.name, journal, world, tasks
        self._said: dict[str, Ending] = {}
        self.use(api)

    def use(self, api: Api) -> None:
        """Go by another file: by its contract, and by what it says of the API's own word."""
        self._heeds, self._by_contract = lifecycle_of(api).heed_sunset, contract_ends(api)

    async def restore(self) -> None:
        """Know again what answers have said of their end."""
        for each in await self._journal.read(notices):
            if each.api == self._api:
                self._said[each.operation] = Ending(each.deprecated_at_us, each.sunset_at_us)

    def shut(self, operation: str, now_us: Microseconds) -> str:
        """Why an operation may not be called now: it has ended, by its API's own word or its contract."""
        if not self._heeds:
            return ""
        said = self._said.get(operation)
        for ends_at_us in (None if said is None else said.sunset_at_us, self._by_contract.get(operation)):
            if ends_at_us is not None and now_us >= ends_at_us:
                return SUNSET.reason
        return ""

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

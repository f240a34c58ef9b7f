"""Traces: told from the journal a little later, so that nothing waits for a collector and none is lost."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

import structlog

from bridge.errors import JournalUnavailable, PeerUnavailable
from bridge.journal.journal import Journal
from bridge.journal.spans import TOLD, spans_after, traced_up_to
from bridge.journal.writer import LAZY_S
from bridge.observe.otlp import Collector, document
from bridge.runtime.surroundings import Surroundings
from bridge.units import SecretRef

log = structlog.get_logger("bridge.traces")

LOOK_EVERY_S: Final = 1.0
WAIT_MAX_S: Final = 60.0


class Traces:
    """Tells a collector what the journal says, in order, again from where it was after a restart."""

    def __init__(self, journal: Journal, collector: Collector, world: Surroundings) -> None:
        self._journal, self._collector, self._world = journal, collector, world

    async def run(self) -> None:
        """Tell, until this is cancelled."""
        at: int | None = None
        wait_s = LOOK_EVERY_S
        while True:
            try:
                if at is None:
                    at = await self._journal.read(traced_up_to)
                    await self._journal.submit(TOLD, at)
                at = await self._tell(at)
                wait_s = LOOK_EVERY_S
            except (PeerUnavailable, JournalUnavailable) as error:
                wait_s = min(WAIT_MAX_S, 2 * wait_s)
                log.warning("traces-not-told", reason=str(error), again_in_s=wait_s)
            await self._world.pause(wait_s)

    async def _tell(self, at: int) -> int:
        while True:
            spans, last = await self._journal.read(spans_after, at)
            if last == at:
                return at
            if spans:
                await self._collector.send(document(spans, self._journal.facts.journal_id))
            # One that is told twice is the same span: ids come from what they stand for.
            await self._journal.submit(TOLD, last, within_s=LAZY_S)
            at = last


class Told(Protocol):
    """What of a node's plan says where traces go."""

    @property
    def traces(self) -> str:
        """The collector's URL."""

    @property
    def traces_headers(self) -> SecretRef | None:
        """The secret with further headers."""

    @property
    def secrets(self) -> Callable[[SecretRef], str]:
        """Looks a secret up."""


async def tell(journal: Journal, plan: Told, world: Surroundings) -> None:
    """Tell the collector of a plan, until this is cancelled. Raises SecretUnavailable."""
    text = "" if plan.traces_headers is None else plan.secrets(plan.traces_headers)
    pairs = (line.partition(":") for line in text.splitlines() if ":" in line)
    headers = {name.strip(): value.strip() for name, _, value in pairs}
    await Traces(journal, Collector(plan.traces, headers, world.reactor), world).run()

"""Metrics that are counted in the journal, as often as counting is cheap."""

from __future__ import annotations

from typing import Final

import structlog

from bridge.errors import JournalUnavailable
from bridge.journal.feeding import owed_to_engines
from bridge.journal.ledger import ledger
from bridge.journal.notices import notices
from bridge.journal.owed_answers import owed_counts
from bridge.runtime.calendar import left_s
from bridge.runtime.parts import Parts

log = structlog.get_logger("bridge.counting")

COUNT_EVERY_S: Final = 15.0
COUNT_REST: Final = 20.0
"""Counting a journal of millions takes seconds: so many times as long it is left alone after that."""


async def keep_counting(parts: Parts) -> None:
    """Keep these metrics true, for as long as the node runs."""
    world = parts.world
    while True:
        began_s = world.reactor.seconds()
        try:
            parts.metrics.count(await parts.journal.read(ledger))
            await _count_owed(parts)
            said = await parts.journal.read(notices)
            parts.metrics.tell_ends(left_s(parts.topology.apis, said, world.now_us()))
        except JournalUnavailable as error:
            log.error("journal-unavailable", reading="ledger", reason=str(error))
        took_s = world.reactor.seconds() - began_s
        await world.pause(max(COUNT_EVERY_S, COUNT_REST * took_s))


async def _count_owed(parts: Parts) -> None:
    owed = await parts.journal.read(owed_counts)
    for name in parts.application_acks:
        parts.metrics.application_acks_owed.labels(name).set(owed.get(name, 0))
    engines = await parts.journal.read(owed_to_engines)
    for name, staging in parts.staging.items():
        if staging.staged:
            waits = engines[name].messages if name in engines else 0
            parts.metrics.engine_owed.labels(name).set(waits)

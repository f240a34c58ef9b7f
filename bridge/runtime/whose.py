"""Whose a message is: known once something was made of it, which is waited for."""

from __future__ import annotations

from typing import Final

import structlog

from bridge.errors import JournalUnavailable
from bridge.journal.feeding import is_bridges
from bridge.journal.journal import Journal
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.feed")

MADE_WITHIN_S: Final = 5.0
LOOK_AGAIN_S: Final = 0.02


async def bridge_delivers(journal: Journal, world: Surroundings, message_id: int) -> bool:
    """Whether all of a message is the bridge's to deliver; False where that is not known in time."""
    until_s = world.reactor.seconds() + MADE_WITHIN_S
    while True:
        try:
            found = await journal.read(is_bridges, message_id)
        except JournalUnavailable as error:
            log.error("journal-unavailable", message=message_id, reason=str(error))
            found = None
        if found is not None or world.reactor.seconds() > until_s:
            return bool(found)
        await world.pause(LOOK_AGAIN_S)

"""What patients decided for a time that is over goes from the journal: it says nothing any more."""

from __future__ import annotations

from typing import Final

from bridge.destinations.base import NoAnswer
from bridge.governance.consent_rules import is_over
from bridge.journal.consents import FORGET_CONSENTS, Forget, Old, consents_before
from bridge.journal.journal import Journal
from bridge.runtime.consent_files import answered
from bridge.runtime.surroundings import Surroundings

PAGE_CONSENTS: Final = 200
KEPT_DAYS: Final = 30
"""So long what is over is kept, for whoever asks and for a clock that was set wrong."""
_DAY_US: Final = 86_400_000_000


async def forget_what_is_over(journal: Journal, world: Surroundings, pause_s: float) -> int:
    """Look at all consents of tables once, with pauses; how many rows went. Raises JournalUnavailable."""
    before_us, after, count = world.now_us() - KEPT_DAYS * _DAY_US, ("", b""), 0
    while True:
        page = await journal.read(consents_before, after, before_us, PAGE_CONSENTS)
        over = tuple(each for each in page if _says_nothing(each, before_us))
        if over or not page:
            count += await journal.submit(FORGET_CONSENTS, Forget(over, before_us))
        if not page:
            return count
        after = page[-1].table, page[-1].known_as
        await world.pause(pause_s)


def _says_nothing(old: Old, before_us: int) -> bool:
    try:
        return all(is_over(each, before_us) for each in answered(old.content))
    except (NoAnswer, ValueError):
        return False  # whatever it is, nobody has said that it is over

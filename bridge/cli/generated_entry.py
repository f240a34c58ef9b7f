"""What the entries of synthetic files are drawn from, each by itself. All is invented."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from random import Random
from typing import Final

from bridge.cli.invented import chance_of

FIRST_DAY: Final = date(2026, 1, 5)
"""The day that files are of, where nobody says another."""
ITEMS: Final = (
    ("V-100", "I-7", "00614141123452", "Gloves, nitrile", "BX"),
    ("V-210", "I-8", "00614141999996", "Suture 3-0", "EA"),
    ("V-330", "I-9", "", "Saline 0.9 %, 1 l", "CS"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What one entry of a file is drawn from."""

    chance: Random
    number: int
    seed: int
    made: date
    """The day of its file."""

    @property
    def day(self) -> date:
        """A day of the weeks before."""
        return self.made - timedelta(days=self.chance.randrange(60))

    def often(self, share: float) -> bool:
        """True so often."""
        return self.chance.random() < share

    def money(self, most: int) -> str:
        """An amount with cents, or without where there are none."""
        return self.chance.choice((f"{self.chance.randint(1, most)}.{self.chance.randrange(100):02}", "40"))


def entry_of(kind: str, seed: int, number: int, made: date) -> Entry:
    """What an entry of a file is drawn from, by itself, so that more entries change none."""
    return Entry(chance_of(f"{seed}/{kind}/{number}"), number, seed, made)

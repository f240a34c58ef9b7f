"""Claims in a place that are another's: told where they are old. Pure.

A claim's word begins with its owner: the journal, and the channel of it. Another channel that takes from the
same place, another bridge, or one that is no more, has claims there too, and those are left alone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from bridge.transports.base import is_former_word
from bridge.transports.watching import OWN

LOOK_EVERY_S: Final = 60.0
OLD_S: Final = 900.0
"""What is claimed is mostly read within minutes; what lies there for longer may be nobody's any more."""
OTHERS_MAX_COUNT: Final = 1000


@dataclass(frozen=True, slots=True)
class Other:
    """A claim of another's: its word, and its file's name, empty where there is none or it is not to be
    seen."""

    word: str
    name: str


class OtherClaims:
    """What is remembered of them from one look to the next."""

    def __init__(self) -> None:
        self._since_s: dict[Other, float] = {}
        self._looked_s: float | None = None

    def due(self, now_s: float) -> bool:
        """Whether it is time to look at them."""
        return self._looked_s is None or now_s - self._looked_s >= LOOK_EVERY_S

    def seen(
        self, others: Iterable[Other], owner: str, wants: Callable[[str], bool], now_s: float
    ) -> list[Other]:
        """Note what is there. Those that an earlier version has claimed for this journal, with a file that
        this channel ``wants``, are its own to take."""
        self._looked_s, since_s = now_s, self._since_s
        found = {each: since_s.get(each, now_s) for each in others}
        mine = [each for each in found if is_former_word(each.word, owner) and each.name and wants(each.name)]
        self._since_s = {each: at_s for each, at_s in found.items() if each not in mine}
        return mine

    def old(self, now_s: float) -> Iterator[tuple[str, str]]:
        """What was claimed long ago: by its name, and what is to be done."""
        for each, at_s in self._since_s.items():
            if now_s - at_s >= OLD_S:
                yield (
                    each.name or each.word,
                    f"another bridge or channel claimed it over {OLD_S / 60:.0f} minutes ago: see to that "
                    f"one, or where it is no more, move the file back out of {OWN}/{each.word}",
                )

"""Sets of ids as a short text, ``17-40,42``, and such sets joined."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator


def written(ids: Iterable[int]) -> str:
    """The text of some ids, in whatever order they come.

    >>> written([5, 3, 4, 9])
    '3-5,9'
    """
    parts: list[str] = []
    first = last = -1
    for each in sorted(ids):
        if each == last + 1 and first >= 0:
            last = each
            continue
        if first >= 0:
            parts.append(f"{first}-{last}" if last > first else str(first))
        first = last = each
    if first >= 0:
        parts.append(f"{first}-{last}" if last > first else str(first))
    return ",".join(parts)


def read(text: str) -> Iterator[tuple[int, int]]:
    """The ranges of such a text, both ends in it. Raises ValueError."""
    for part in text.split(",") if text else ():
        first, dash, last = part.partition("-")
        low, high = int(first), int(last if dash else first)
        if not 0 <= low <= high:
            raise ValueError(f"{part!r} is no range of ids")
        yield low, high


class Ranges:
    """Ids of many texts, joined where they meet.

    >>> known = Ranges([(1, 3), (9, 9), (4, 5)])
    >>> 5 in known, 6 in known, len(known)
    (True, False, 6)
    """

    def __init__(self, ranges: Iterable[tuple[int, int]]) -> None:
        self._firsts: list[int] = []
        self._lasts: list[int] = []
        for first, last in sorted(ranges):
            if self._lasts and first <= self._lasts[-1] + 1:
                self._lasts[-1] = max(self._lasts[-1], last)
            else:
                self._firsts.append(first)
                self._lasts.append(last)

    def __contains__(self, each: int) -> bool:
        at = bisect_right(self._firsts, each) - 1
        return at >= 0 and each <= self._lasts[at]

    def __len__(self) -> int:
        return sum(last - first + 1 for first, last in zip(self._firsts, self._lasts, strict=True))

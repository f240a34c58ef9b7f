"""What a look comes to: which files are to be taken now, which behind the others, and what is told. Pure.

Of a hundred thousand files it takes as long as many messages do, so it runs in the thread that looks.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from typing import Final, TypeVar

from bridge.transports.base import Looked
from bridge.transports.setbacks import Setbacks
from bridge.transports.watching import Ready, Seen, Watch

TAKEN_REMEMBERED_MAX = 200_000
"""Files that stay where they lie are remembered, so that not each look asks the journal of each."""

LINKED: Final = "it has a second name (a hard link)"
LEFT: Final = "a temporary name, not written to for an hour: its sender may have ended in the middle"

F = TypeVar("F")


@dataclass(frozen=True, slots=True)
class Sifted:
    """What is finished and does not rest: what goes first, and what somebody must see to."""

    first: list[Ready]
    behind: list[Ready]
    odd: list[tuple[str, str]]
    """Names of files that are not whole, and hold nothing back any more, each with why."""
    looked: Looked


class Sifting:
    """What is remembered of a place's files, beside what a `Watch` sees. Not for two threads at once."""

    def __init__(self) -> None:
        self.setbacks = Setbacks()
        self._taken: dict[tuple[str, str], None] = {}

    def taken(self, seen: Seen) -> None:
        """This one was taken, and stays."""
        self._taken[seen.name, seen.as_text] = None

    def sift(
        self, watch: Watch, files: list[Seen], now_s: float, *, claimed: Collection[str], stay: bool
    ) -> Sifted:
        """What is to be done about the files of a look, and about those that were ``claimed`` before it; with
        ``stay`` about none that was taken."""
        self.setbacks.only({*claimed, *(each.name for each in files)})
        if stay:
            self._forget(files)
            files = [each for each in files if (each.name, each.as_text) not in self._taken]
        ready, waiting = watch.look(files, now_s)
        first, behind = self.due(ready, lambda each: each.seen.name, now_s)
        odd = [(name, LINKED) for name in watch.stuck(files, now_s)]
        odd += [(name, LEFT) for name in watch.left(files, now_s)]
        return Sifted(first, behind, odd, Looked(waiting=waiting, queued=len(first)))

    def due(self, files: Iterable[F], key: Callable[[F], str], now_s: float) -> tuple[list[F], list[F]]:
        """Those that do not rest, by the ``key`` of their setbacks: what goes first, and what somebody must
        see to."""
        first: list[F] = []
        behind: list[F] = []
        for each in files:
            known_as = key(each)
            if not self.setbacks.rests(known_as, now_s):
                (behind if self.setbacks.behind(known_as) else first).append(each)
        return first, behind

    def _forget(self, files: list[Seen]) -> None:
        there = {(each.name, each.as_text) for each in files}
        self._taken = {key: None for key in self._taken if key in there}
        while len(self._taken) > TAKEN_REMEMBERED_MAX:
            del self._taken[next(iter(self._taken))]

"""In which order an old engine is given what it is owed: see `bridge.runtime.feed`."""

from __future__ import annotations

from collections import OrderedDict, deque
from typing import Final

from bridge.journal.feeding import OwedFeed

LINES_MAX: Final = 1024
"""Lines that are kept though nothing is owed on them."""


class Line:
    """The messages of one connection of a sender, in order. ``after`` are feeds of its host from before,
    which must be over; ``heard`` is what the engine has answered to the first, until that is dealt with."""

    __slots__ = ("after", "busy", "heard", "owed")

    def __init__(self, after: set[int]) -> None:
        self.owed: deque[OwedFeed] = deque()
        self.after = after
        self.busy = False
        self.heard: tuple[str, bytes] | None = None


class FeedOrder:
    """What is owed, by lines."""

    def __init__(self) -> None:
        self._lines: OrderedDict[str, Line] = OrderedDict()
        self._of_host: dict[str, dict[int, None]] = {}
        """What is owed of each host, by feed."""
        self._again_of_host: dict[str, dict[int, None]] = {}
        """What is to be given once more of each host: what came later waits for it."""

    def take(self, item: OwedFeed) -> Line:
        """The line that something owed stands in now."""
        of_host = self._of_host.setdefault(item.host, {})
        line = self._lines.get(item.line)
        if line is None:
            line = self._lines[item.line] = Line(set(of_host))
            self._forget_lines()
        self._lines.move_to_end(item.line)
        of_host[item.feed_id] = None
        if item.is_again:
            self._again_of_host.setdefault(item.host, {})[item.feed_id] = None
        line.owed.append(item)
        return line

    def may_go(self, line: Line) -> bool:
        """Whether something is owed on a line, and nothing is to be given before it. All waiting is for what
        came before, so something can always go."""
        if not line.owed or line.after:
            return False
        item = line.owed[0]
        again = self._again_of_host.get(item.host)
        return again is None or item.is_again or next(iter(again)) > item.feed_id

    def over(self, item: OwedFeed) -> list[Line]:
        """A feed was answered; the lines that waited for it."""
        of_host = self._of_host[item.host]
        del of_host[item.feed_id]
        if not of_host:
            del self._of_host[item.host]
        again = self._again_of_host.get(item.host, {})
        was_again = again.pop(item.feed_id, item) is None
        if not again:
            self._again_of_host.pop(item.host, None)
        waited = [line for line in self._lines.values() if was_again or item.feed_id in line.after]
        for line in waited:
            line.after.discard(item.feed_id)
        return waited

    def _forget_lines(self) -> None:
        """Let lines go that were idle longest; one that is used again begins as a new one does."""
        for name in [name for name, line in self._lines.items() if not line.owed and not line.busy]:
            if len(self._lines) <= LINES_MAX:
                return
            del self._lines[name]

"""A bounded view of a queue that lives in the journal.

What was just committed is handed over directly while the reader keeps up. Once it does not, new items are
left where they are, in the journal, and read back page by page in order; a backlog of a million costs no
more memory than one of a thousand.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")

ASIDE_MAX_ITEMS = 1000
"""What may be put aside while a page is read."""


class Window(Generic[T]):
    """Where a reader stands. Ids rise in the order of commits.

    Every item is either taken when it is offered, or found by a page: never both, never neither. At first
    the reader is behind, since nothing is known of what the journal holds.
    """

    __slots__ = ("_aside", "_missed", "_reading", "behind", "cursor")

    def __init__(self) -> None:
        self.cursor = 0
        """Everything up to this id has been taken."""
        self.behind = True
        """There may be items after the cursor that only the journal holds."""
        self._reading = False
        self._missed = False
        self._aside: list[tuple[int, T]] = []

    def offer(self, item_id: int, item: T, *, room: bool) -> bool:
        """Whether an item that was just committed is to be taken now. If not, it comes with a page."""
        if item_id <= self.cursor:
            return False  # a page has brought it already
        if not self.behind and room:
            self.cursor = item_id
            return True
        self.behind = True
        if self._reading and len(self._aside) < ASIDE_MAX_ITEMS and not self._missed:
            self._aside.append((item_id, item))
        else:
            self._missed = True
        return False

    def left(self) -> None:
        """Items are committed that nobody offers: they, and what came after them, are found by a page."""
        self.behind = self._missed = True

    def begin_page(self) -> bool:
        """Whether to read a page now, of items after ``cursor``; `end_page` or `page_failed` must follow."""
        if self._reading or not self.behind:
            return False
        self._reading = True
        self._missed = False
        self._aside.clear()
        return True

    def end_page(self, page: Sequence[tuple[int, T]], *, full: bool) -> list[T]:
        """The items to take, in order, after a page was read; ``full`` tells that there may be more.

        An item that was committed too late for the page was offered while it was read, and was put aside.
        """
        assert self._reading
        self._reading = False
        taken = list(page)
        last_id = page[-1][0] if page else self.cursor
        if not full:
            taken += [(item_id, item) for item_id, item in self._aside if item_id > last_id]
        self.behind = full or self._missed
        self._aside.clear()
        if taken:
            self.cursor = taken[-1][0]
        return [item for _, item in taken]

    def page_failed(self) -> None:
        """The page could not be read; it will be asked for again."""
        self._reading = False
        self._aside.clear()

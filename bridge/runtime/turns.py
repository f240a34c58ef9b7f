"""Whose call is next at one API: live channels before bulk ones, each kind's channels by turns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.message import Microseconds
from bridge.runtime.precedence import STEP_S, Precedence

LIVE_SHARE: Final = 4
"""Of so many calls that an API takes at once, one is kept for live channels."""
CALL_S: Final = 0.001
"""About what one call takes of the node's time, for the rest that bulk owes for it."""


class Turns:
    """The turns at one API. A call that was begun is to be told as `ended`."""

    def __init__(
        self,
        precedence: Precedence,
        is_bulk: Callable[[str], bool],
        is_clear: Callable[[Entry], bool] = lambda _entry: True,
    ) -> None:
        """``is_clear`` tells whether the key of an entry is the bridge's, and not the old engine's."""
        self._precedence, self._is_bulk, self.is_clear = precedence, is_bulk, is_clear
        self._bulk: set[int] = set()
        """Deliveries of bulk channels that are under way."""
        self._some_live = False
        """Whether a live channel has ever had a call here: what nobody uses needs no reserve."""

    def take(
        self,
        lanes: Lanes,
        now_us: Microseconds,
        closed: Callable[[Entry], str | None],
        calls_max: int,
    ) -> Entry | None:
        """The delivery whose turn it is, of an API that takes ``calls_max`` calls at once; None for none."""
        entry = lanes.next_ready(now_us, closed, self._is_bulk)
        if entry is not None:
            self._some_live = True
            self._precedence.live()
        elif self._bulk_may(calls_max):
            entry = lanes.next_ready(now_us, closed)
            if entry is not None and self._is_bulk(entry.channel):
                self._bulk.add(entry.delivery_id)
                self._precedence.worked(CALL_S)
        return entry

    def _bulk_may(self, calls_max: int) -> bool:
        kept = -(-calls_max // LIVE_SHARE) if self._some_live and calls_max > 1 else 0
        return len(self._bulk) < calls_max - kept and not self._precedence.wait_s()

    def ended(self, entry: Entry) -> None:
        """A call is over, or was not begun after all."""
        self._bulk.discard(entry.delivery_id)

    def look_again_us(self, now_us: Microseconds) -> Microseconds | None:
        """When bulk may go on that gives way now; None where nothing does."""
        wait_s = self._precedence.wait_s()
        return now_us + int(max(wait_s, STEP_S) * 1e6) if wait_s else None

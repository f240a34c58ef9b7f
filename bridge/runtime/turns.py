"""Whose call is next at one API: live channels before bulk ones, each kind's channels by turns.

Neither starves the other. Bulk leaves a quarter of the calls at once to live channels, and a quarter of what
an API's rate lets go after a pause; and where live channels have more than the API takes, every fourth call
is bulk's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridge.config.topology import Api
from bridge.delivery.lane import Entry
from bridge.delivery.lanes import Lanes
from bridge.delivery.rate import Rate
from bridge.message import Microseconds
from bridge.runtime.precedence import STEP_S, Precedence
from bridge.runtime.rates import Rates

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
        rate_of: Callable[[Api], Rate | None] = lambda api: Rates().of(api),
    ) -> None:
        """``is_clear`` tells whether the key of an entry is the bridge's, and not the old engine's;
        ``rate_of`` gives an API's rate, which may be that of others too."""
        self.rate_of = rate_of
        self._precedence, self._is_bulk, self.is_clear = precedence, is_bulk, is_clear
        self._bulk: set[int] = set()
        """Deliveries of bulk channels that are under way."""
        self._live_in_a_row = 0
        self._some_live = False
        """Whether a live channel has ever had a call here: what nobody uses needs no reserve."""

    def take(
        self,
        lanes: Lanes,
        now_us: Microseconds,
        closed: Callable[[Entry], str | None],
        calls_max: int,
        rate: Rate | None = None,
    ) -> Entry | None:
        """The delivery whose turn it is, of an API that takes ``calls_max`` calls at once; None for none.

        ``rate`` is the API's, which has let a call go.
        """
        spare = rate is None or not rate.spare_us(LIVE_SHARE)
        if self._live_in_a_row >= LIVE_SHARE - 1:
            self._live_in_a_row = 0
            if (entry := self._take_bulk(lanes, now_us, closed, calls_max, spare=True)) is not None:
                return entry
        entry = lanes.next_ready(now_us, closed, self._is_bulk)
        if entry is None:
            return self._take_bulk(lanes, now_us, closed, calls_max, spare=spare)
        self._live_in_a_row += 1
        self._some_live = True
        self._precedence.live()
        return entry

    def _take_bulk(
        self,
        lanes: Lanes,
        now_us: Microseconds,
        closed: Callable[[Entry], str | None],
        calls_max: int,
        *,
        spare: bool,
    ) -> Entry | None:
        if not self._bulk_may(calls_max, spare=spare):
            return None
        entry = lanes.next_ready(now_us, closed, lambda channel: not self._is_bulk(channel))
        if entry is not None:
            self._live_in_a_row = 0
            self._bulk.add(entry.delivery_id)
            self._precedence.worked(CALL_S)
        return entry

    def _bulk_may(self, calls_max: int, *, spare: bool) -> bool:
        if self._some_live and not spare:
            return False
        kept = -(-calls_max // LIVE_SHARE) if self._some_live and calls_max > 1 else 0
        return len(self._bulk) < calls_max - kept and not self._precedence.wait_s()

    def ended(self, entry: Entry) -> None:
        """A call is over, or was not begun after all."""
        self._bulk.discard(entry.delivery_id)

    def look_again_us(self, now_us: Microseconds, rate: Rate | None = None) -> Microseconds | None:
        """When bulk may go on that gives way now; None where nothing does."""
        wait_us = int(max(wait_s, STEP_S) * 1e6) if (wait_s := self._precedence.wait_s()) else 0
        if rate is not None and self._some_live:
            wait_us = max(wait_us, rate.spare_us(LIVE_SHARE, 1))
        return now_us + wait_us if wait_us else None

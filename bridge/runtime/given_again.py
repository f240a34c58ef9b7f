"""What the old engine of one channel is given once more, and its output told from what it made before.

An engine queues unseen: what it was given the first time may come out of it after the step back, before the
earlier messages of the same key that it is given again. So nothing is given again before the engine has been
quiet, and until a message is given again its output from the first time is kept: it comes once more.
"""

from __future__ import annotations

from bridge.runtime.surroundings import Surroundings

QUIET_MAX_S = 15.0
"""The longest that quiet is waited for: other senders may keep the engine busy all the time."""


class GivenAgain:
    """What of it the engine was sent so far, and when its output last passed a tap."""

    def __init__(self, world: Surroundings) -> None:
        self._world = world
        self._moved_s = 0.0
        self._begun: set[int] = set()

    @property
    def begun(self) -> frozenset[int]:
        """The feeds that the engine was sent, as far as the journal may not say that they have ended."""
        return frozenset(self._begun)

    def came_out(self) -> None:
        """Something of the engine came to a tap."""
        self._moved_s = self._world.reactor.seconds()

    def begins(self, feed_id: int) -> None:
        """The engine is about to be sent it: from now on its output may be of this time."""
        self._begun.add(feed_id)

    def ended(self, feed_id: int) -> None:
        """The journal says what became of it."""
        self._begun.discard(feed_id)

    async def quiet(self, settle_s: float) -> None:
        """Wait until nothing has come out for so long, from now on; at most `QUIET_MAX_S`."""
        seconds = self._world.reactor.seconds
        began_s = seconds()
        while True:
            quiet_s = seconds() - max(began_s, self._moved_s)
            wait_s = min(settle_s - quiet_s, began_s + QUIET_MAX_S - seconds())
            if wait_s <= 0:
                return
            await self._world.pause(wait_s)

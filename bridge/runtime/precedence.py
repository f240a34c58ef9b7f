"""Precedence: who waits for answers goes before files, for which nobody waits by the second.

A bridge does its work in one thread, on one disk. Bulk work comes in pieces, and before each it gives way: as
long as live work is under way, it rests in proportion to what it last took, so that it keeps a share of the
time and no more. Where nothing live happens, nothing rests.
"""

from __future__ import annotations

from typing import Final

from bridge.runtime.surroundings import Surroundings

QUIET_S: Final = 0.02
QUIET_MAX_S: Final = 0.25
"""Live work is under way until so long after its last step: twice what its commits take, within these."""
NEWEST: Final = 0.2
"""How much the newest commit counts in that, beside those before it."""
BULK_S: Final = 1.0
"""Bulk work is under way until so long after its last piece."""
LIVE_S: Final = 2.0
"""After a live message, pieces of bulk work stay small for so long."""
BULK_SHARE: Final = 0.25
"""Of the time in which live work is under way, so much is bulk's all the same."""
REST_MAX_S: Final = 0.25
STEP_S: Final = 0.001
"""Timers are no finer than this."""
_REST: Final = 1 / BULK_SHARE - 1


class Precedence:
    """Who goes first in one node. All of it is for the reactor's thread, but for `wait_s`."""

    def __init__(self, world: Surroundings) -> None:
        self._world = world
        self._live_at_s = float("-inf")
        self._rests_until_s = 0.0
        self._bulk_at_s = float("-inf")
        self._quiet_s = QUIET_S

    def committed(self, seconds: float) -> None:
        """A commit of live work took so long: its next step comes no sooner."""
        quiet_s = (1 - NEWEST) * self._quiet_s + NEWEST * 2 * seconds
        self._quiet_s = min(QUIET_MAX_S, max(QUIET_S, quiet_s))

    def live(self) -> None:
        """A live message has come, or went a step on."""
        self._live_at_s = self._world.reactor.seconds()

    @property
    def is_live(self) -> bool:
        """Whether there was live work a moment ago, and pieces should be small."""
        now_s: float = self._world.reactor.seconds()
        return now_s - self._live_at_s < LIVE_S

    @property
    def is_bulk(self) -> bool:
        """Whether there was bulk work a moment ago."""
        now_s: float = self._world.reactor.seconds()
        return now_s - self._bulk_at_s < BULK_S

    def worked(self, seconds: float) -> None:
        """A piece of bulk work took so long; it is rested from while live work is under way."""
        self._bulk_at_s = now_s = self._world.reactor.seconds()
        rests_until_s = max(self._rests_until_s, now_s) + seconds * _REST
        self._rests_until_s = min(rests_until_s, now_s + REST_MAX_S)

    def wait_s(self, worked_s: float | None = None) -> float:
        """How long bulk work is to rest now; 0 where it may go on. From any thread.

        ``worked_s`` is what the piece before took, of one that is not known here by `worked`.
        """
        now_s: float = self._world.reactor.seconds()
        rests_s = self._rests_until_s - now_s if worked_s is None else min(worked_s * _REST, REST_MAX_S)
        return max(0.0, min(self._live_at_s + self._quiet_s - now_s, rests_s))

    async def give_way(self) -> None:
        """Wait until a piece of bulk work may begin."""
        while (wait_s := self.wait_s()) > 0:
            await self._world.pause(max(wait_s, STEP_S))

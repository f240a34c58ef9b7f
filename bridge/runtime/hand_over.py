"""Hand-over: a key becomes the bridge's only once the old engine is through with it.

Of a key that the old engine had, what is the bridge's waits in its lane: until the engine has answered all
that it was fed of the key, each output that the bridge expects of it has gone through the tap or is given up
as missing, and nothing of the key has come out for the settle time, since an engine queues unseen. Which keys
are clear is asked of the journal, so a start after a crash asks again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import structlog

from bridge.config.topology import Channel
from bridge.delivery.lane import Entry
from bridge.delivery.stages import Standing
from bridge.errors import JournalUnavailable
from bridge.journal.journal import Journal
from bridge.journal.outputs import handing
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.hand-over")

CLEAR_MAX_KEYS = 100_000
LOOK_EVERY_S = 0.1

Place = tuple[str, str, int]
"""Channel, route and message."""


class _Mark:
    """Up to which message a key is clear, and the last one of it that was the old engine's since."""

    __slots__ = ("cleared", "legacy")

    def __init__(self) -> None:
        self.cleared: int | None = None
        self.legacy = 0


class HandOver:
    """Which keys are clear to be the bridge's, all channels together."""

    def __init__(
        self,
        journal: Journal,
        world: Surroundings,
        standing_of: Callable[[str, str], tuple[Channel, Standing] | None],
        opened: Callable[[], None],
    ) -> None:
        self._journal, self._world, self._standing_of, self._opened = journal, world, standing_of, opened
        self._marks: OrderedDict[tuple[str, str, bytes], _Mark] = OrderedDict()
        self._waiting: dict[Place, tuple[Sequence[bytes], int]] = {}
        self._tasks = Tasks()
        self._looking = False
        self._forgotten = 0
        """How often something was forgotten: what was asked of the journal before that counts no more."""

    def is_clear(self, entry: Entry) -> bool:
        """Whether a delivery may go, as far as the old engine is concerned; if not, it is looked at again."""
        found = self._standing_of(entry.channel, entry.route)
        if found is None or found[1].stage == "complete":
            return True
        if all(self._is_known(entry.channel, entry.route, key, entry.message_id) for key in entry.keys):
            return True
        place = (entry.channel, entry.route, entry.message_id)
        if place not in self._waiting:
            self._waiting[place] = (entry.keys, self._world.now_us())
            if not self._looking:
                self._looking = True
                self._tasks.spawn("hand-over", self._look())
        return False

    def _is_known(self, channel: str, route: str, key: bytes, message_id: int) -> bool:
        mark = self._marks.get((channel, route, key))
        return mark is not None and mark.cleared is not None and not mark.cleared < mark.legacy < message_id

    def legacy(self, channel: str, route: str, keys: Sequence[bytes], message_id: int) -> None:
        """A message of these keys is the old engine's: what comes after it must be looked at again."""
        for key in keys:
            mark = self._marks.setdefault((channel, route, key), _Mark())
            mark.legacy = max(mark.legacy, message_id)
        self._bound()

    def _bound(self) -> None:
        while len(self._marks) > CLEAR_MAX_KEYS:
            self._marks.popitem(last=False)

    def forget(self, channel: str, route: str) -> None:
        """Where the route stands is another: nothing of it is known any more, and what waits asks again.
        What waited may be the old engine's now, and must not clear its key for what comes after it."""
        self._forgotten += 1
        for waiting in [each for each in self._waiting if each[:2] == (channel, route)]:
            del self._waiting[waiting]
        for place in [each for each in self._marks if each[:2] == (channel, route)]:
            del self._marks[place]

    def waiting(self) -> Mapping[tuple[str, str], tuple[int, int]]:
        """How many messages of each route wait for their keys, and since when the first does."""
        found: dict[tuple[str, str], tuple[int, int]] = {}
        for (channel, route, _), (_, since_us) in self._waiting.items():
            number, first = found.get((channel, route), (0, since_us))
            found[channel, route] = number + 1, min(first, since_us)
        return found

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.stop()

    async def _look(self) -> None:
        try:
            while self._waiting:
                if await self._look_once():
                    self._opened()
                if self._waiting:
                    await self._world.pause(LOOK_EVERY_S)
        finally:
            self._looking = False

    async def _look_once(self) -> bool:
        cleared = False
        for place, (keys, _) in list(self._waiting.items()):
            channel, route, message_id = place
            found, forgotten = self._standing_of(channel, route), self._forgotten
            if found is None or not found[1].sends or await self._is_settled(*found, route, message_id, keys):
                if self._forgotten != forgotten or place not in self._waiting:
                    continue
                cleared = True
                del self._waiting[place]
                for key in keys:
                    mark = self._marks.setdefault((channel, route, key), _Mark())
                    mark.cleared = max(mark.cleared or 0, message_id)
                self._bound()
        return cleared

    async def _is_settled(
        self, channel: Channel, standing: Standing, route: str, message_id: int, keys: Sequence[bytes]
    ) -> bool:
        legacy: Any = channel.legacy
        if legacy is None:
            return True
        try:
            theirs = await self._journal.read(handing, channel.name, route, message_id, keys)
        except JournalUnavailable as error:
            log.error("journal-unavailable", channel=channel.name, reason=str(error))
            return False
        if theirs.owing or theirs.passing:
            return False
        moved_at_us = theirs.moved_at_us
        if moved_at_us is None:
            # Nothing of it is known: the engine may hold it all the same, from before.
            moved_at_us = standing.since_us
        return self._world.now_us() - moved_at_us >= int(legacy.settle * 1e6)

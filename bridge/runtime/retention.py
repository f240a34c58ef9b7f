"""Retention while traffic goes on: a little at a time, with pauses, and disk space given back."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

import structlog

from bridge.config.topology import Channel
from bridge.errors import JournalUnavailable
from bridge.journal.journal import Journal
from bridge.journal.retention import LOOKED_AT_MAX, RETIRE, Retire, What, beyond, page
from bridge.journal.space import GIVE_BACK, vacuum
from bridge.message import Microseconds
from bridge.runtime.consents_over import forget_what_is_over
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.retention")

FIRST_AFTER_S: Final = 60.0
ROUND_EVERY_S: Final = 3600.0
BEYOND_STEPS_MAX = 20
"""In so many steps a round looks for old messages behind younger ones, as a clock that was ahead leaves them;
the next goes on from there."""
BATCH_MIN, BATCH_FIRST = 5, 30
"""Messages of a batch: at least, and to begin with."""


@dataclass(slots=True)
class Pace:
    """How fast retention goes. ``batch`` is the messages of its next batch."""

    batch_s: float
    """So long a batch should hold the writer: a message that comes then is answered that much later."""
    rest: float
    """So many times as long as a batch has taken is the writer left to others after it."""
    rest_min_s: float
    batch: int = BATCH_FIRST


class Retention:
    """What keeps a journal from growing for ever."""

    def __init__(self, journal: Journal, world: Surroundings) -> None:
        self._journal, self._world = journal, world
        self._amid_traffic = Pace(batch_s=0.004, rest=4.0, rest_min_s=0.02)
        self._alone = Pace(batch_s=0.04, rest=0.25, rest_min_s=0.001)
        self._commits = 0
        self._beyond: dict[tuple[What, str], int] = {}

    async def run(self, channels: Callable[[], Mapping[str, Channel]]) -> None:
        """Rounds, until this is cancelled. ``channels`` gives those of now."""
        await self._world.pause(FIRST_AFTER_S)
        while True:
            try:
                await self.round(channels())
            except JournalUnavailable as error:
                log.error("journal-unavailable", reading="retention", reason=str(error))
            await self._world.pause(ROUND_EVERY_S)

    async def round(self, channels: Mapping[str, Channel]) -> dict[What, int]:
        """Look at every channel once; how many messages went, and how many lost their content."""
        done: dict[What, int] = {"messages": 0, "bodies": 0}
        now_us = self._world.believed_us()
        for name, channel in list(channels.items()):
            kept: tuple[tuple[What, float | None], ...] = (
                ("messages", channel.keep_messages_s),
                ("bodies", channel.keep_bodies_s),
            )
            for what, keep_s in kept:
                if keep_s is not None:
                    count = await self._channel(what, name, now_us - int(keep_s * 1e6))
                    done[what] += count
                    if count:
                        log.info("retained", channel=name, **{what: count})
        believed = replace(self._world, now_us=lambda: now_us)
        if forgotten := await forget_what_is_over(self._journal, believed, self._amid_traffic.rest_min_s):
            log.info("retained", consents=forgotten)
        if any(done.values()):
            await self._give_back()
        return done

    async def _channel(self, what: What, name: str, before_us: Microseconds) -> int:
        after, count, steps = 0, 0, iter(range(BEYOND_STEPS_MAX))
        while True:
            pace = self._pace()
            found = await self._journal.read(page, name, after, before_us, pace.batch)
            if not found.any_old:
                further = await self._further(what, name, found.after, before_us, steps)
                if further is None:
                    return count
                after = further
                continue
            after = found.after
            retire = Retire(what, name, found.ids, before_us, self._world.now_us())
            began_s = self._world.reactor.seconds()
            count += await self._journal.submit(RETIRE, retire)
            took_s = self._world.reactor.seconds() - began_s
            pace.batch = following_batch(pace.batch, took_s / pace.batch_s)
            await self._rest(pace, took_s)

    async def _further(
        self, what: What, name: str, after: int, before_us: Microseconds, steps: Iterator[int]
    ) -> int | None:
        """The number after which there are old messages again, behind younger ones; None where this round
        finds none in the ``steps`` that it has left."""
        after = max(after, self._beyond.pop((what, name), 0))
        for _ in steps:
            began_s = self._world.reactor.seconds()
            found = await self._journal.read(beyond, name, after, before_us)
            if found is None or found.any_old:
                return None if found is None else found.after
            after = found.after
            await self._rest(self._pace(), self._world.reactor.seconds() - began_s)
        self._beyond[what, name] = after
        return None

    def _pace(self) -> Pace:
        """That of a journal which nobody else has written to since the batch before, or of a busy one."""
        before, self._commits = self._commits, self._journal.writer.commits
        return self._alone if self._commits - before <= 1 else self._amid_traffic

    async def _rest(self, pace: Pace, took_s: float) -> None:
        await self._world.pause(max(pace.rest_min_s, pace.rest * took_s))

    async def _give_back(self) -> None:
        """Give free pages back to the disk, a few in each transaction."""
        left = 1
        while left:
            pace = self._pace()
            began_s = self._world.reactor.seconds()
            left = await self._journal.submit(GIVE_BACK, None)
            await self._rest(pace, self._world.reactor.seconds() - began_s)
        await self._journal.in_reader(vacuum)


def following_batch(size: int, share: float) -> int:
    """How many messages the next batch has, after one of ``size`` which took ``share`` of the time it may:
    more while that is quick, fewer at once when it is not. How quick it is, database, disk and indexes say.

    >>> following_batch(100, 0.25), following_batch(100, 1.0), following_batch(100, 25.0)
    (125, 100, 50)
    """
    factor = min(1.25, max(0.5, 1 / max(share, 0.01)))
    return max(BATCH_MIN, min(LOOKED_AT_MAX, int(size * factor)))

"""Retention while traffic goes on: a little at a time, with pauses, and disk space given back."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import structlog

from bridge.config.topology import Channel
from bridge.errors import JournalUnavailable
from bridge.journal.journal import Journal
from bridge.journal.retention import LOOKED_AT_MAX, RETIRE, Retire, What, page
from bridge.journal.space import GIVE_BACK, vacuum
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.retention")

FIRST_AFTER_S: Final = 60.0
ROUND_EVERY_S: Final = 3600.0
REST: Final = 4.0
"""So many times as long as a batch has taken is traffic left alone after it."""
REST_MIN_S: Final = 0.02
BATCH_S: Final = 0.004
"""So long a batch should hold the writer: a message that comes then is answered that much later."""
BATCH_MIN, BATCH_FIRST = 15, 30
"""Messages of a batch: at least, and to begin with."""


class Retention:
    """What keeps a journal from growing for ever."""

    def __init__(self, journal: Journal, world: Surroundings) -> None:
        self._journal, self._world = journal, world
        self._batch = BATCH_FIRST

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
        for name, channel in list(channels.items()):
            kept: tuple[tuple[What, float | None], ...] = (
                ("messages", channel.keep_messages_s),
                ("bodies", channel.keep_bodies_s),
            )
            for what, keep_s in kept:
                if keep_s is not None:
                    count = await self._channel(what, name, keep_s)
                    done[what] += count
                    if count:
                        log.info("retained", channel=name, **{what: count})
        if any(done.values()):
            await self._give_back()
        return done

    async def _channel(self, what: What, name: str, keep_s: float) -> int:
        before_us = self._world.now_us() - int(keep_s * 1e6)
        after, count = 0, 0
        while True:
            found = await self._journal.read(page, name, after, before_us, self._batch)
            if not found.any_old:
                return count
            after = found.after
            retire = Retire(what, name, found.ids, before_us, self._world.now_us())
            began_s = self._world.reactor.seconds()
            count += await self._journal.submit(RETIRE, retire)
            took_s = self._world.reactor.seconds() - began_s
            self._batch = following_batch(self._batch, took_s)
            await self._world.pause(max(REST_MIN_S, REST * took_s))

    async def _give_back(self) -> None:
        """Give free pages back to the disk, a few in each transaction."""
        left = 1
        while left:
            began_s = self._world.reactor.seconds()
            left = await self._journal.submit(GIVE_BACK, None)
            took_s = self._world.reactor.seconds() - began_s
            await self._world.pause(max(REST_MIN_S, REST * took_s))
        await self._journal.in_reader(vacuum)


def following_batch(size: int, took_s: float) -> int:
    """How many messages the next batch has, after one of ``size``: more while that is quick, fewer at once
    when it is not. How quick it is, database, disk and indexes say.

    >>> following_batch(100, 0.001), following_batch(100, 0.004), following_batch(100, 0.1)
    (125, 100, 50)
    """
    share = BATCH_S / max(took_s, 0.0001)
    return max(BATCH_MIN, min(LOOKED_AT_MAX, int(size * min(1.25, max(0.5, share)))))

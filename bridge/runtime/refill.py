"""Refill: what the journal holds for an API, brought to its lanes as these have room."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import structlog

from bridge.config.topology import Api
from bridge.delivery.lane import Entry, Reload
from bridge.delivery.lanes import Lanes
from bridge.delivery.window import Window
from bridge.errors import JournalUnavailable
from bridge.journal import open_deliveries as journaled
from bridge.journal.barriers import BARRED, Barred, Barriers, barriers
from bridge.journal.journal import Journal
from bridge.journal.open_deliveries import Waiting
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.deliver")

LIVE_MAX_ENTRIES = 5000
LIVE_LEAST_ENTRIES = 64
"""So much a channel may have in memory, however many others there are."""
LANES_MAX = 50_000
PAGE_ENTRIES = 1000
JOURNAL_WAIT_S = 1.0


class Refill:
    """The lanes of one API, and the readers that keep them filled.

    ``api`` is as it stands in the files now; ``move`` is called when something came.
    """

    def __init__(
        self,
        api: Callable[[], Api],
        journal: Journal,
        world: Surroundings,
        tasks: Tasks,
        move: Callable[[], None],
    ) -> None:
        self.lanes = Lanes()
        self._api, self._said = api().name, api
        self._journal, self._world, self._tasks, self._move = journal, world, tasks, move
        self._windows: dict[str, Window[Entry]] = {}
        """A channel's own, so that a backlog of one is not in the way of another."""
        self._late: tuple[bytes, ...] = ()

    async def start(self) -> Barriers:
        """Learn which keys are barred, before anything is read; returns what is."""
        found = await self._journal.read(barriers, self._api)
        for channel in await self._journal.read(journaled.channels_of_api, self._api):
            self._window(channel)
        late = await self._journal.read(journaled.late_lanes, self._api)
        self._late = tuple(late)
        self.lanes.theirs.channel_of.update(found.channels)
        for known in (found.keys, late):
            for key, message_id in known.items():
                self.lanes.bar(key, message_id)
        return found

    def offer(self, entry: Entry) -> bool:
        """A delivery was just journaled. Whether it is taken now; if not, it comes with a page."""
        window = self._window(entry.channel)
        if not window.offer(entry.delivery_id, entry, room=self._room(entry.channel)):
            return False
        self.lanes.admit(entry, self._world.now_us())
        return True

    @property
    def behind(self) -> bool:
        """Whether the journal may hold what is not known here yet."""
        return any(window.behind for window in self._windows.values())

    def _window(self, channel: str) -> Window[Entry]:
        return self._windows.setdefault(channel, Window())

    def _room(self, channel: str) -> bool:
        share = max(LIVE_LEAST_ENTRIES, LIVE_MAX_ENTRIES // max(1, len(self._windows)))
        return self.lanes.live_of[channel] < share and len(self.lanes) < LANES_MAX

    def read_on(self) -> None:
        """Begin to read what there is room for."""
        for reload in self.lanes.to_read():
            self._tasks.spawn("read-lane", self._read_lane(reload))
        behind = [(channel, window) for channel, window in self._windows.items() if window.behind]
        for channel, window in behind:
            if self._room(channel) and window.begin_page():
                self._tasks.spawn("read-deliveries", self._read_page(channel, window))
        if not behind and self._late:
            # All that the journal held is known; now the lanes whose ids are not in order can be read in
            # theirs, each by itself.
            late, self._late = self._late, ()
            self._tasks.spawn("read-late-lanes", self.relax(late))

    async def relax(self, keys: Sequence[bytes]) -> Barriers:
        """Learn anew whether keys are barred, and read their lanes from the beginning; returns what is."""
        found = await self._barred(keys)
        self.lanes.lift(keys, found.keys)
        self._move()
        return found

    async def until_ours(self) -> None:
        """Wait until the journal has answered this process as the one whose journal it is."""
        await self._barred(())

    async def _barred(self, keys: Sequence[bytes]) -> Barriers:
        while True:
            try:
                return await self._journal.submit(BARRED, Barred(self._api, tuple(keys)))
            except JournalUnavailable as error:
                await self._wait("barriers", error)

    async def _read_page(self, channel: str, window: Window[Entry]) -> None:
        try:
            page = await self._journal.read(journaled.of_api, self._api, channel, window.cursor, PAGE_ENTRIES)
        except JournalUnavailable as error:
            window.page_failed()
            await self._wait("page", error)
            self._move()
            return
        now_us = self._world.now_us()
        pairs = [(waiting.delivery_id, self._entry(waiting)) for waiting in page]
        for entry in window.end_page(pairs, full=len(page) == PAGE_ENTRIES):
            self.lanes.admit(entry, now_us)
        self._move()

    async def _read_lane(self, reload: Reload) -> None:
        while True:
            try:
                page = await self._journal.read(
                    journaled.of_lane, self._api, reload.lane, reload.after, PAGE_ENTRIES
                )
                break
            except JournalUnavailable as error:
                await self._wait("lane", error)
        self.lanes.reloaded(
            reload,
            [self._entry(waiting) for waiting in page],
            full=len(page) == PAGE_ENTRIES,
            now_us=self._world.now_us(),
        )
        self._move()

    async def _wait(self, what: str, error: JournalUnavailable) -> None:
        log.error("journal-unavailable", api=self._api, reading=what, reason=str(error))
        await self._world.pause(JOURNAL_WAIT_S)

    def _entry(self, waiting: Waiting) -> Entry:
        # A time further away than any wait is left by a clock that was set back since.
        latest_us = self._world.now_us() + int(self._said().retry.longest_s * 1e6)
        return Entry(
            waiting.delivery_id,
            waiting.message_id,
            waiting.keys,
            min(waiting.due_at_us, latest_us),
            waiting.channel,
            waiting.route,
            waiting.operation,
        )

"""What is done about files while time passes: bytes that need not be kept longer go, and a missed one is
told."""

from __future__ import annotations

import structlog
from twisted.internet.threads import deferToThread

from bridge.config.topology import Channel
from bridge.errors import JournalUnavailable
from bridge.journal.files_kept import done_with, newest_file_at_us
from bridge.journal.journal import Journal
from bridge.journal.spool import Spool
from bridge.journal.taken_files import FORGET_FILE
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.files")

TEND_EVERY_S = 60.0
FORGOTTEN_AT_ONCE_MAX = 100


class FileTending:
    """The files of one channel, while time passes."""

    def __init__(
        self, channel: Channel, journal: Journal, spool: Spool, metrics: Metrics, world: Surroundings
    ) -> None:
        self._journal, self._spool, self._metrics, self._world = journal, spool, metrics, world
        self._began_us: Microseconds = world.now_us()
        self._overdue = self._stopped = False
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Go by what this channel says; it has the same name."""
        self._name = channel.name
        options = channel.source.options
        # What messages are kept for, their files are not kept longer.
        limits = (getattr(options, "keep_for", 0.0), channel.keep_messages_s, channel.keep_bodies_s)
        self._keep_us = int(min(each for each in limits if each is not None) * 1e6)
        self._expect_s: float | None = getattr(channel.source.options, "expect_every", None)

    @property
    def overdue(self) -> bool:
        """Whether a file is missed."""
        return self._overdue

    async def run(self) -> None:
        """Look every `TEND_EVERY_S`, until `stop`, or until it is cancelled."""
        while not self._stopped:
            try:
                await self.look()
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._name, reason=str(error))
            await self._world.pause(TEND_EVERY_S)

    def stop(self) -> None:
        """Look no more."""
        self._stopped = True

    async def look(self) -> None:
        """One look. Raises JournalUnavailable."""
        await self._see_whether_one_is_missed()
        before_us = self._world.believed_us() - self._keep_us
        while found := await self._journal.read(done_with, self._name, before_us, FORGOTTEN_AT_ONCE_MAX):
            for file_id, kept in found:
                # The row first: bytes without a row go at the next start, the other way would be a fault.
                await self._journal.submit(FORGET_FILE, file_id)
                await deferToThread(self._spool.remove, kept)

    async def _see_whether_one_is_missed(self) -> None:
        if self._expect_s is None:
            return
        newest_us = await self._journal.read(newest_file_at_us, self._name)
        since_us = max(newest_us or 0, self._began_us if newest_us is None else 0)
        overdue = self._world.now_us() - since_us > self._expect_s * 1e6
        self._metrics.files_overdue.labels(self._name).set(int(overdue))
        if overdue and not self._overdue:
            log.warning("file-missed", channel=self._name, expected_every_s=self._expect_s)
        self._overdue = overdue

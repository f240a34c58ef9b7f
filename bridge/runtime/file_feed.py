"""Feed of files: the old job gets every file byte for byte, in the order in which they were taken.

A file is owed to it in the transaction that took it. It is written beside its place first, the journal notes
that it is there whole, and then it gets its name. So a crash at any point leaves something that tells what
was done, and the job sees each file once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import structlog
from twisted.internet.defer import CancelledError
from twisted.internet.threads import deferToThread

from bridge.config.legacy import Legacy
from bridge.config.topology import Channel
from bridge.errors import JournalUnavailable, PeerUnavailable, SpoolDamaged, place_of
from bridge.journal.feeding_files import (
    FED_FILE,
    GIVEN,
    OWED,
    PLACING,
    REFUSED,
    FedFile,
    OwedFile,
    owed_files,
)
from bridge.journal.journal import Journal
from bridge.journal.spool import Chunk, Spool
from bridge.journal.taken_files import chunks_of
from bridge.migration.relay.placing import Places, Placing, is_placeable, places_of
from bridge.runtime.given_again import GivenAgain
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.units import SecretRef

log = structlog.get_logger("bridge.feed")

PAGE_FILES = 20
READ_BYTES = 1024**2
AGAIN_S, AGAIN_MAX_S = 0.2, 15.0
"""How long is waited before a folder is looked at again, doubling up to the second."""


class FileFeed:
    """The way to the old job of one channel that takes files."""

    def __init__(
        self,
        channel: Channel,
        journal: Journal,
        spool: Spool,
        world: Surroundings,
        secrets: Callable[[SecretRef], str],
    ) -> None:
        self._secrets = secrets
        self._placing: Places | None = None
        self._legacy: Legacy | None = None
        self._name, self._journal, self._spool, self._world = channel.name, journal, spool, world
        self._tasks = Tasks()
        self._again, self._running, self._stopped, self._doubted = False, False, True, False
        self._owed = 0
        self.again = GivenAgain(world)
        """Of a job that has had every file, nothing."""
        self.last_control_id = ""
        self.away = ""
        """Why the old job's folder cannot be written to; empty where it can."""
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Feed from now on as this channel says."""
        if channel.legacy == self._legacy:
            return
        if self._placing is not None:
            self._placing.close()
        self._legacy = channel.legacy
        self._placing = None
        if self._legacy is not None:
            self._placing = places_of(self._legacy, self._secrets, self._world.reactor.seconds)

    @property
    def owed(self) -> int:
        """How many files wait that were seen at the last look."""
        return self._owed

    def start(self) -> None:
        """Begin with what the journal holds."""
        self._stopped = False
        self.look()

    def doubt(self, doubted: bool) -> None:
        """While the journal is in doubt the job may have been given what it says is owed: nothing goes."""
        self._doubted = doubted
        self.look()

    def look(self) -> None:
        """The journal holds something new for the job."""
        self._again = True
        if not (self._stopped or self._doubted or self._running) and self._placing is not None:
            self._running = True
            self._tasks.spawn("feed-files", self._run())

    @contextmanager
    def giving_again(self) -> Iterator[None]:
        """A job that has had every file is given none again."""
        yield

    async def stop(self) -> None:
        """Begin no file any more; one that is being written ends, and is found by the next start."""
        self._stopped = True
        await self._tasks.stop()
        if self._placing is not None:
            self._placing.close()

    async def _run(self) -> None:
        again_s = AGAIN_S
        try:
            while self._again and not self._stopped:
                self._again = False
                try:
                    page = await self._journal.read(owed_files, self._name, PAGE_FILES)
                    self._owed = len(page)
                    for file in page:
                        await self._give(file)
                        self._owed -= 1
                        again_s, self.away = AGAIN_S, ""
                    self._again = self._again or len(page) == PAGE_FILES
                except CancelledError:
                    raise
                except Exception as error:  # noqa: BLE001 - a fault of ours ends no feeding
                    self._tell(error)
                    self._again = True
                    await self._world.pause(again_s)
                    again_s = min(again_s * 2, AGAIN_MAX_S)
        finally:
            self._running = False

    def _tell(self, error: Exception) -> None:
        """Say once why files wait."""
        known = isinstance(error, (PeerUnavailable, JournalUnavailable, SpoolDamaged))
        place = place_of(error)
        why = str(error) if known else f"a fault of the bridge at {place}"
        if self.away != why and known:
            log.warning("job-away", channel=self._name, reason=why)
        elif self.away != why:
            log.error("feed-fault", channel=self._name, fault=type(error).__name__, place=place)
        self.away = why

    async def _give(self, file: OwedFile) -> None:
        """See one file to its place. Raises PeerUnavailable where that cannot be now, and as the journal."""
        placing, hidden = self._placing, self._hidden(file)
        assert placing is not None, "only a channel with an old job feeds one"
        if not is_placeable(file.name):
            log.error("job-refuses", channel=self._name, file=file.file_id, reason="name")
            await self._note(file, REFUSED, "name-refused")
            return
        if file.state == PLACING and file.place != placing.directory:
            # Its folder is another now. What lies hidden in the old one was never seen.
            if not file.place.startswith("/"):
                log.error("job-moved", channel=self._name, file=file.file_id, place=file.place)
                await self._note(file, REFUSED, "place-changed")
                return
            old = Placing(file.place, 0o600)
            if not await deferToThread(old.forget, file.name, hidden):
                await self._note(file, GIVEN)
                return
            file = file._replace(state=OWED)
        if file.state == OWED:
            chunks = await self._journal.read(chunks_of, file.file_id)
            await deferToThread(placing.write, file.name, hidden, self._content(file, chunks))
            await self._note(file, PLACING)
        shown = await deferToThread(placing.show, file.name, hidden)
        if shown == "taken":
            raise PeerUnavailable("the job has not taken the file before that has the same name")
        await self._note(file, GIVEN)
        log.info("file-given", channel=self._name, file=file.file_id, before=shown == "gone")

    def _hidden(self, file: OwedFile) -> str:
        return f".bridge-{self._journal.facts.journal_id}-{file.file_id}.part"

    def _content(self, file: OwedFile, chunks: tuple[Chunk, ...]) -> Iterator[bytes]:
        content = self._spool.open(file.kept, chunks)
        try:
            while data := content.read(READ_BYTES):
                yield data
        finally:
            content.close()

    async def _note(self, file: OwedFile, state: str, reason: str = "") -> None:
        place = "" if self._placing is None else self._placing.directory
        await self._journal.submit(
            FED_FILE, FedFile(file.file_id, state, place, reason, self._world.now_us())
        )

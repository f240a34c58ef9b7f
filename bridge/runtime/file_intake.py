"""Intake of files: see a file to disk, then its messages, each with its place; once, whatever happens
between.

A file is read once, to the spool and its digest. Then all of it is taken apart without a trace, so that a
file with a mistake in its middle gives no message at all. Only then is it journaled: a small one together
with its messages, a large one by itself and its messages after it, part by part, each with how far the file
is.
"""

from __future__ import annotations

import errno
from collections.abc import Callable
from dataclasses import replace
from typing import Any, BinaryIO, TypeVar

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from bridge.config.topology import Channel
from bridge.delivery.files import FileState
from bridge.delivery.state import MessageState
from bridge.errors import JournalUnavailable, PeerUnavailable, SpoolDamaged
from bridge.formats.base import Unsplittable
from bridge.journal.flags import FILE_RESTORED
from bridge.journal.journal import Journal
from bridge.journal.messages import Receipt, Untranslated
from bridge.journal.restored import is_rest_doubtful
from bridge.journal.spool import GONE, Spool, Spooled
from bridge.journal.taken_files import (
    END_FILE,
    RELEASED,
    REPLAYED,
    SENT_BEFORE,
    SETTLE_FILE,
    SPLIT_FILE,
    TAKE_FILE,
    FilePart,
    FileStep,
    NewFile,
    Placed,
    TakenFile,
    chunks_of,
    file_as_seen,
    file_of_claim,
    file_of_id,
    unsplit,
)
from bridge.journal.threads import Hurry
from bridge.journal.writer import LAZY_S
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.file_feed import FileFeed
from bridge.runtime.file_messages import PART_MAX_MESSAGES, FileMessages, Looking, Read, local_day
from bridge.runtime.file_reasons import NOT_READABLE, REASONS, TOO_LARGE
from bridge.runtime.files_apart import READ_BYTES
from bridge.runtime.partly_taken import Partly, PartlyTaken
from bridge.runtime.replacing import HurriedOff, Replacing
from bridge.runtime.senders_told import SendersTold
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.translate import Translate
from bridge.transports.base import (
    Arriving,
    Fate,
    FileChanged,
    FileUnusable,
    Looked,
    Telling,
    former_word,
    owner_of,
)
from bridge.units import SecretRef

log = structlog.get_logger("bridge.files")

T = TypeVar("T")

JOURNAL_WAIT_S = 1.0
SLICE_BYTES = 32 * 1024
SMALL_PART_MESSAGES = 8
"""Pieces of the work on a file, while others are live."""
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})


class FileIntake:
    """The door for files of one channel."""

    def __init__(
        self,
        channel: Channel,
        journal: Journal,
        spool: Spool,
        translate: Translate,
        metrics: Metrics,
        world: Surroundings,
        secrets: Callable[[SecretRef], str],
        beside: tuple[Staging, FileFeed, Replacing],
    ) -> None:
        self._staging, self._feed, self._replacing = beside
        self._secrets, self._precedence = secrets, translate.precedence
        self._journal, self._spool, self._translate = journal, spool, translate
        self._metrics, self._world = metrics, world
        self._threads = ThreadPool(0, 1, f"file intake {channel.name}")
        self._resend_until_us: Microseconds | None = None
        self._hurry = Hurry()
        self._telling = SendersTold(journal, world)
        self._partly = PartlyTaken(self._begun)
        self._looked = Looked()
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Judge from now on by what this channel says; it has the same name."""
        self._channel, self._bulk = channel, channel.priority == "bulk"
        self._options: Any = channel.source.options
        self._messages = FileMessages(
            channel, self._journal.facts, self._spool, self._world, self._secrets, self._staging
        )
        self._partly.look_through_at_end()

    def allow_resend(self, until_us: Microseconds | None) -> None:
        """Take files and messages that came before until then, because a person asked for them."""
        self._resend_until_us = until_us

    @property
    def owner(self) -> str:
        """The journal's and the channel's own word: what begins so is nobody else's."""
        return owner_of(self._journal.facts.journal_id, self._channel.name)

    def claim_word(self) -> str:
        """A new word for a claim."""
        return f"{self.owner}{self._world.random_bytes(8).hex()}"

    def scratch(self) -> BinaryIO:
        """A file without a name, beside the journal."""
        return self._spool.scratch(self._world.random_bytes(12).hex())

    def hurry(self) -> None:
        """Leave the file under way at the next place where that does no harm."""
        self._hurry.tell()

    def settled(self, file_id: int) -> None:
        """Note that nothing is left to be done where the file lay."""

        def not_noted(failure: Failure) -> None:
            log.warning("file-not-settled", file=file_id, reason=str(failure.value))

        self._journal.submit(SETTLE_FILE, file_id, within_s=LAZY_S).addErrback(not_noted)

    def looked(self, looked: Looked) -> None:
        """Show what a look came to; say so where the place cannot be looked at, and when it can again."""
        name = self._channel.name
        self._metrics.files_waiting.labels(name).set(looked.waiting)
        self._metrics.files_queued.labels(name).set(looked.queued)
        self._metrics.files_odd.labels(name).set(looked.odd + len(looked.held_up))
        before, self._looked = self._looked.reason, looked
        self._metrics.files_place.labels(name).set(0 if looked.reason else 1)
        if looked.reason != before:
            if looked.reason:
                log.warning("files-out-of-reach", channel=name, reason=looked.reason)
            else:
                log.info("files-in-reach", channel=name)

    @property
    def held_up(self) -> tuple[str, ...]:
        """Files that need somebody, by name and with what to do."""
        return self._looked.held_up

    @property
    def out_of_reach(self) -> str:
        """Why the place of the files could not be looked at the last time; empty where it could."""
        return self._looked.reason

    def status(self) -> dict[str, Any]:
        """What the last look came to, for a person who asks."""
        looked = self._looked
        return {
            "files_out_of_reach": looked.reason,
            "files_odd": looked.odd,
            "files_odd_named": list(looked.odd_named),
            "files_queued": looked.queued,
            "files_waiting": looked.waiting,
            "files_held_up": list(looked.held_up),
        }

    # Taking.

    def take(self, arriving: Arriving) -> Deferred[Fate]:
        """See a file to disk, then its messages; as `transports.base.FileIntake` says."""
        return Deferred.fromCoroutine(self._take(arriving))

    async def _take(self, arriving: Arriving) -> Fate:
        self._hurry.forget()
        try:
            known = await self._journal.read(self._known, arriving)
            if known is not None:
                return replace(await self._to_end(known), known=True, sha256=known.sha256)
            try:
                read = await self._in_thread(self._read, arriving)
            except FileUnusable as error:
                if arriving.stays or not error.denied:
                    raise
                log.warning("file-held-up", channel=self._channel.name, reason=str(error))
                read = Read(Spooled(arriving.size_bytes, b"", GONE, ()), refused=NOT_READABLE)
            file = await self._take_new(arriving, read)
            if read.failed is not None and file.state is FileState.TAKEN:
                return await self._fail(file, *read.failed)
            return await self._to_end(file)
        except (JournalUnavailable, HurriedOff) as error:
            return self._later(str(error) or "the bridge ends")
        except OSError as error:
            full = error.errno in _NO_ROOM
            reason = "no room beside the journal" if full else f"{error.strerror} beside the journal"
            return self._later(reason)

    def _later(self, reason: str) -> Fate:
        self._metrics.files_retried.labels(self._channel.name).inc()
        log.warning("file-waits", channel=self._channel.name, reason=reason)
        return Fate(None, good=False, again=True)

    def _known(self, connection: Any, arriving: Arriving) -> TakenFile | None:
        """The file as the journal has it already, where a crash came before it was put away."""
        channel = self._channel.name
        if arriving.claim is not None:
            return file_of_claim(connection, channel, arriving.claim, former_word(arriving.claim, self.owner))
        return file_as_seen(connection, channel, arriving.name, arriving.seen_as, settled=arriving.stays)

    async def _take_new(self, arriving: Arriving, read: Read) -> TakenFile:
        now_us, channel = self._world.now_us(), self._channel
        resent = self._resend_until_us is not None and now_us < self._resend_until_us
        messages: tuple[Placed, ...] | None = None
        day, reruns = read.business_date, channel.reruns
        if read.pieces is not None and reruns.rerun != "replace":
            messages = tuple(self._messages.placed(each, now_us, day, resent=resent) for each in read.pieces)
        new = NewFile(
            channel=channel.name,
            name=arriving.name,
            seen_as=arriving.seen_as,
            claim=arriving.claim,
            peer=arriving.peer,
            received_at_us=now_us,
            spooled=read.spooled,
            resent="take" if resent else self._options.resent,
            same_since_us=now_us - int(self._options.resent_within * 1e6),
            by_name=self._options.resent_by == "name_and_content",
            reason=read.refused,
            messages=messages,
            settled=arriving.stays,
            batches=read.batches,
            held=read.held,
            to_engine=self._staging.feeds,
            business_date="" if day is None else f"{day:%Y%m%d}",
            rerun=None if day is None else reruns.rerun,
            answered=getattr(self._options, "tells", False),
            late=day is not None and reruns.came_late(day, local_day(now_us)),
        )
        took = await self._journal.submit(TAKE_FILE, new)
        if took.file.kept == GONE or took.known:
            await self._in_thread(self._spool.remove, read.spooled.kept)
        self._feed.look()
        if messages is not None:
            self._hand_on(messages, took.receipts)
        self._metrics.files.labels(channel.name, took.file.state).inc()
        self._metrics.file_bytes.labels(channel.name).inc(read.spooled.size_bytes)
        log.info(
            "file-taken",
            channel=channel.name,
            file=took.file.file_id,
            state=str(took.file.state),
            reason=took.file.reason,
            size_bytes=took.file.size_bytes,
        )
        return took.file

    async def _to_end(self, file: TakenFile) -> Fate:
        """What becomes of a file that is in the journal; one that is not split yet, is."""
        if file.state is FileState.TAKEN:
            return await self._split(file)
        good = file.state not in (FileState.REFUSED, FileState.FAILED)
        text = REASONS.get(file.reason, "")
        fate = Fate(file.file_id, good, file.reason, text, file.place, messages=file.messages)
        return replace(fate, size_bytes=file.size_bytes)

    async def _fail(self, file: TakenFile, reason: str, place: str, text: str) -> Fate:
        step = FileStep(file.file_id, FileState.FAILED, reason, self._world.now_us(), place)
        await self._journal.submit(END_FILE, step)
        self._metrics.files.labels(file.channel, FileState.FAILED).inc()
        log.error("file-failed", channel=file.channel, file=file.file_id, reason=reason, place=place)
        return Fate(file.file_id, False, reason, text, place)

    # In the thread: read from where the file lies.

    def _read(self, arriving: Arriving) -> Read:
        if arriving.size_bytes > self._options.max_size:
            return Read(Spooled(arriving.size_bytes, b"", GONE, ()), refused=TOO_LARGE)
        key = arriving.name, arriving.seen_as
        partly = self._partly.of(key)
        growing = partly.growing
        incoming = arriving.open()
        try:
            if growing.size_bytes:
                incoming.skip(growing.size_bytes)
            while data := incoming.read(READ_BYTES):
                if growing.size_bytes + len(data) > self._options.max_size:
                    self._partly.give_up(key)
                    return Read(Spooled(growing.size_bytes, b"", GONE, ()), refused=TOO_LARGE)
                growing.write(data)
                if (looking := partly.looking) is not None:
                    self._look_at(looking, data)
                if self._hurry.told:
                    raise HurriedOff
            if not incoming.unchanged():
                raise FileChanged
            spooled = growing.finish()
            self._partly.done(key)
        except BaseException as error:
            if not isinstance(error, PeerUnavailable):  # where the place went away, it goes on later
                self._partly.give_up(key)
            raise
        finally:
            incoming.close()
        return self._messages.dated(self._messages.looked_through(spooled, partly.looking), arriving.name)

    def _look_at(self, looking: Looking, data: bytes) -> None:
        """Look through what has come; in small pieces, with rests, while others are live."""
        if not (self._bulk and self._precedence.is_live):
            looking.feed(data)
            return
        for at in range(0, len(data), SLICE_BYTES):
            began_s = self._world.reactor.seconds()
            looking.feed(data[at : at + SLICE_BYTES])
            if wait_s := self._precedence.wait_s(self._world.reactor.seconds() - began_s):
                self._hurry.rest(wait_s)

    def _begun(self) -> Partly:
        return Partly(self._spool.incoming(self._world.random_bytes(12).hex()), self._messages.looking())

    # Messages.

    async def _split(self, file: TakenFile) -> Fate:
        """Journal the messages of a file from where the last commit ended."""
        if file.rerun == "replace" and not file.messages and file.reason != REPLAYED:
            await self._replacing.replace(file, self._hurry)
        chunks = await self._journal.read(chunks_of, file.file_id)
        doubtful = await self._journal.read(is_rest_doubtful, file.file_id)
        parts = self._messages.parts(file, chunks, self._part_messages, FILE_RESTORED if doubtful else "")
        done, last = file.messages, False
        try:
            while not last:
                if self._bulk:
                    await self._precedence.give_way()
                began_s = self._world.reactor.seconds()
                placed, last = await self._in_thread(next, parts)
                tells = getattr(self._options, "tells", False)
                part = FilePart(file.file_id, done, placed, last, self._world.now_us(), tells)
                receipts = await self._journal.submit(SPLIT_FILE, part)
                self._hand_on(placed, receipts)
                done += len(placed)
                if self._bulk:
                    self._precedence.worked(self._world.reactor.seconds() - began_s)
                if self._hurry.told and not last:
                    raise HurriedOff
        except Unsplittable as error:
            return await self._fail(file, error.reason, f"byte {error.offset_bytes}", str(error))
        except SpoolDamaged as error:
            return await self._fail(file, "damaged", "", str(error))
        finally:
            parts.close()
        self._metrics.files.labels(file.channel, FileState.SPLIT).inc()
        log.info("file-split", channel=file.channel, file=file.file_id, messages=done)
        return Fate(file.file_id, True, messages=done, size_bytes=file.size_bytes)

    def _part_messages(self) -> int:
        return SMALL_PART_MESSAGES if self._bulk and self._precedence.is_live else PART_MAX_MESSAGES

    def _hand_on(self, placed: tuple[Placed, ...], receipts: tuple[Receipt, ...]) -> None:
        for each, receipt in zip(placed, receipts, strict=False):
            self._metrics.messages.count(self._channel.name, receipt.state)
            if receipt.state is MessageState.RECEIVED:
                body = each.arrival.body
                self._translate.offer(
                    Untranslated(receipt.message_id, body, receipt.flags, receipt.replay_of)
                )

    # What senders are told.

    def telling(self) -> Deferred[Telling | None]:
        """As `transports.base.FileIntake` says."""
        return Deferred.fromCoroutine(self._telling.next(self._channel.name, self._messages))

    def told(self, file_id: int) -> Deferred[None]:
        """As `transports.base.FileIntake` says."""
        return Deferred.fromCoroutine(self._telling.done(file_id))

    # After a crash, and when a person asks.

    def resume(self) -> Deferred[None]:
        """Go on with files whose messages were not all journaled when the last process ended. Never fails."""
        return Deferred.fromCoroutine(self._resume())

    async def _resume(self) -> None:
        if not self._threads.started:
            self._threads.start()
        self._hurry.forget()
        while True:
            try:
                for file in await self._journal.read(unsplit, self._channel.name):
                    await self._split(file)
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)
            except HurriedOff:
                return
            else:
                return

    async def again(self, file_id: int, actor: str) -> Fate | None:
        """Take the messages of a kept file once more, because a person wants it; None for no such file.

        Raises JournalUnavailable.
        """
        file = await self._journal.read(file_of_id, file_id)
        if file is None:
            return None
        chunks = await self._journal.read(chunks_of, file_id)
        read = await self._in_thread(
            self._messages.look_through, Spooled(file.size_bytes, file.sha256, file.kept, chunks)
        )
        if read.failed is not None:
            return Fate(file_id, False, read.failed[0], read.failed[2], read.failed[1])
        # What was held is taken for the first time, unless it had come before.
        held = file.state is FileState.QUARANTINED and file.reason != SENT_BEFORE
        reason = RELEASED if held else REPLAYED
        step = FileStep(file_id, FileState.TAKEN, reason, self._world.now_us(), actor=actor)
        if not await self._journal.submit(END_FILE, step):
            return None
        return await self._split(replace(file, state=FileState.TAKEN, reason=reason, messages=0))

    def stop(self) -> None:
        """Let go of the thread, once nothing is under way."""
        if self._threads.started:
            self._threads.stop()

    def _in_thread(self, call: Callable[..., T], *arguments: Any) -> Deferred[T]:
        if not self._threads.started:
            self._threads.start()
        return deferToThreadPool(self._world.reactor, self._threads, call, *arguments)

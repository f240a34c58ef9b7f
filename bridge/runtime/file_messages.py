"""The messages of a file, as the journal takes them: each with its place, judged by its header. It blocks.

Nobody waits for an answer to a message of a file, so what another sender would be refused, a person sees.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any, BinaryIO

from bridge.config.batches import Reruns
from bridge.config.topology import Channel, KeyOf
from bridge.delivery.state import MessageState
from bridge.formats.base import Batch, Format, Opened, Splitter, Unsplittable
from bridge.formats.business_dates import day_of
from bridge.journal.batches import FoundBatch
from bridge.journal.database import Facts
from bridge.journal.flags import RESENT
from bridge.journal.repeats import Arrival
from bridge.journal.reruns import LATE
from bridge.journal.spool import INLINE, Chunk, Spool, Spooled
from bridge.journal.taken_files import REPLAYED, Placed, TakenFile
from bridge.message import CONTROL_ID_MAX_CHARACTERS, Microseconds
from bridge.runtime.file_reasons import EMPTY
from bridge.runtime.files_apart import Apart, Found, Whole, decoders_of, held_for
from bridge.runtime.intake import (
    MESSAGE_TYPE_MAX_CHARACTERS,
    NO_CONTROL_ID,
    TRACE_ID_BYTES,
    decide,
)
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.units import SecretRef

PART_MAX_MESSAGES = 256
PART_MAX_BYTES = 4 * 1024**2
"""So much of a file is journaled at once, and held in memory."""
NO_DAY = "no-business-date"


@dataclass(frozen=True, slots=True)
class Read:
    """A file that was read: its bytes, why it is not taken, and its messages where it is small."""

    spooled: Spooled
    refused: str = ""
    failed: tuple[str, str, str] | None = None
    """Reason, place and text, where it is no file of the channel's format."""
    pieces: tuple[Found, ...] | None = None
    batches: tuple[FoundBatch, ...] = ()
    business_date: date | None = None
    held: tuple[str, str] | None = None
    """Reason and place, where a batch is not as it says and the channel wants to be asked."""


def local_day(at_us: Microseconds) -> date:
    """The day that a moment is of, where this machine stands."""
    return datetime.fromtimestamp(at_us / 1e6, UTC).astimezone().date()


class Looking:
    """A file that is taken apart without a trace while it arrives, so that its bytes are not read twice."""

    def __init__(self, splitter: Splitter) -> None:
        self._splitter = splitter
        self._failed: Unsplittable | None = None

    def feed(self, data: bytes) -> None:
        """Bytes have come. What is wrong with them is told at the end: they are kept all the same."""
        if self._failed is None:
            try:
                self._splitter.feed(data)
            except Unsplittable as error:
                self._failed = error

    def end(self) -> Sequence[Batch]:
        """All has come; the batches that it holds. Raises Unsplittable."""
        if self._failed is not None:
            raise self._failed
        self._splitter.end()
        return self._splitter.batches


class FileMessages:
    """What becomes messages of one channel. A new one is made when the channel's file changes."""

    def __init__(
        self,
        channel: Channel,
        facts: Facts,
        spool: Spool,
        world: Surroundings,
        secrets: Callable[[SecretRef], str],
        staging: Staging,
    ) -> None:
        """Raises SecretUnavailable where a decoder needs a secret that is not there."""
        self._channel, self._format = channel, channel.reads()
        self._facts, self._spool, self._world, self._staging = facts, spool, world, staging
        self._options: Any = channel.source.options
        decoders = decoders_of(self._options, secrets)
        self._apart = Apart(self._format, self._options, decoders, self._scratch)
        self._name, self._window_us = channel.name.encode(), int(channel.duplicates_window_s * 1e6)

    def look_through(self, spooled: Spooled) -> Read:
        """Take all of it apart without a trace; the messages of a small file are kept."""
        small = spooled.kept == INLINE
        kept: list[Found] = []
        whole = Whole()
        try:
            for number, entry, piece in self._pieces(spooled.kept, spooled.chunks, whole):
                if small:
                    kept.append((number, entry, piece))
        except Unsplittable as error:
            return Read(spooled, failed=(error.reason, f"byte {error.offset_bytes}", str(error)))
        if not whole.size_bytes:
            if self._options.empty == "refuse":
                return Read(spooled, refused=EMPTY)
            return Read(spooled, pieces=())
        return self._read(spooled, kept if small else None, whole.batches)

    def looking(self) -> Looking | None:
        """What looks through a file while it arrives; None where something must be undone before."""
        if self._apart.decoders:
            return None
        return Looking(self._format.splitter(self._options.max_message))

    def looked_through(self, spooled: Spooled, looking: Looking | None) -> Read:
        """The same as `look_through`, of a file that was looked through while it arrived."""
        if looking is None or spooled.kept == INLINE:
            return self.look_through(spooled)
        try:
            batches = [FoundBatch("", each) for each in looking.end()]
        except Unsplittable as error:
            return Read(spooled, failed=(error.reason, f"byte {error.offset_bytes}", str(error)))
        return self._read(spooled, None, batches)

    def _read(self, spooled: Spooled, kept: list[Found] | None, batches: list[FoundBatch]) -> Read:
        held = held_for(self._channel, batches)
        pieces = tuple(kept) if kept is not None and held is None else None
        return Read(spooled, pieces=pieces, batches=tuple(batches), held=held)

    def dated(self, read: Read, name: str) -> Read:
        """With the day that it is of, where the channel says where that stands; held where it stands
        nowhere."""
        reruns = self._channel.reruns
        if reruns.business_date is None or read.refused or read.failed is not None:
            return read
        day = self._day(read, name, reruns)
        if day is None:
            held = read.held or (NO_DAY, reruns.business_date.place)
            return replace(read, held=held, pieces=None)
        return replace(read, business_date=day)

    def _day(self, read: Read, name: str, reruns: Reruns) -> date | None:
        said = reruns.business_date
        if said is None or said.name is not None:
            return reruns.in_name(name)
        if said.batch:
            return reruns.in_text(next((each.batch.made for each in read.batches if each.batch.made), None))
        if read.pieces is not None:
            first = next((each[2] for each in read.pieces), None)
        else:
            first = next((each[2] for each in self._pieces(read.spooled.kept, read.spooled.chunks)), None)
        return (
            None if first is None or reruns.of is None else reruns.in_text(self._said(reruns.of, first.body))
        )

    def _said(self, path: KeyOf, body: bytes) -> str | None:
        message = self._format.read(body)
        return None if message.refused is not None else path(message)

    def _pieces(self, kept: str, chunks: tuple[Chunk, ...], whole: Whole | None = None) -> Iterator[Found]:
        """The messages of a kept file in order, with number and entry; ``whole`` is for what it is in all.

        Raises Unsplittable, SpoolDamaged.
        """
        came_bytes = sum(chunk.size_bytes for chunk in chunks)
        return self._apart.pieces(self._spool.open(kept, chunks), came_bytes, whole or Whole())

    @property
    def format(self) -> Format:
        """How its bytes are read."""
        return self._format

    def opened(self, kept: str, chunks: tuple[Chunk, ...], entry: str) -> Opened:
        """What came, as the format has it: of a file that was decoded, this entry of it.

        Raises SpoolDamaged, Unsplittable.
        """
        came_bytes = sum(chunk.size_bytes for chunk in chunks)
        return self._apart.entry(self._spool.open(kept, chunks), came_bytes, entry)

    def _scratch(self) -> BinaryIO:
        return self._spool.scratch(self._world.random_bytes(12).hex())

    def parts(
        self, file: TakenFile, chunks: tuple[Chunk, ...], messages_max: Callable[[], int], flag: str = ""
    ) -> Generator[tuple[tuple[Placed, ...], bool]]:
        """The messages that are not journaled yet, in parts; the last one is marked, and may be empty.

        ``messages_max`` says how large a part may be now, and never more than `PART_MAX_MESSAGES`; ``flag``
        is noted of each.
        """
        part: list[Placed] = []
        size, resent, day = 0, file.reason == REPLAYED, day_of(file.business_date)
        for each in self._pieces(file.kept, chunks):
            if each[0] <= file.messages:
                continue
            if part and (len(part) >= messages_max() or size + len(each[2].body) > PART_MAX_BYTES):
                yield tuple(part), False
                part, size = [], 0
            part.append(self.placed(each, file.received_at_us, day, resent=resent, flag=flag))
            size += len(each[2].body)
        yield tuple(part), True

    def placed(
        self,
        found: Found,
        received_at_us: Microseconds,
        business_date: date | None,
        *,
        resent: bool,
        flag: str = "",
    ) -> Placed:
        """A message with its place, ready to be journaled."""
        number, entry, piece = found
        reruns, content = self._channel.reruns, None
        arrival = self._arrival(piece.body, received_at_us, resent=resent)
        if flag:
            arrival = arrival._replace(flags=f"{arrival.flags} {flag}".strip())
        if reruns.keeps_contents:
            content = self._facts.hash(self._name, self._format.content(piece.body))
        if reruns.late is not None and self._is_late(piece.body, received_at_us, business_date):
            arrival = arrival._replace(flags=f"{arrival.flags} {LATE}".strip())
        return Placed(arrival, number, entry, piece.offset_bytes, content)

    def _is_late(self, body: bytes, received_at_us: Microseconds, business_date: date | None) -> bool:
        message = self._format.read(body)
        day = business_date or local_day(received_at_us)
        return message.refused is None and self._channel.reruns.is_late(message, day)

    def _arrival(self, body: bytes, at_us: Microseconds, *, resent: bool) -> Arrival:
        channel, facts = self._channel, self._facts
        header = self._format.header(body)
        decision = decide(header, body[:3], None, channel)
        state, reason = decision.state, decision.reason
        objection = self._format.objection(body, ()) if state is MessageState.RECEIVED else None
        noted = ""
        if objection is not None and objection.holds:
            at = f" {objection.path}" if objection.path else ""
            state, reason = MessageState.QUARANTINED, f"not-strict: {objection.code}{at}"
        elif objection is not None:
            noted = objection.code
        if self._staging.feeds and state is not MessageState.RECEIVED:
            state = MessageState.RELAYED  # the old job has it, in its file
        elif state is MessageState.REFUSED:
            state = MessageState.QUARANTINED
        control_id = header.control_id
        return Arrival(
            channel=channel.name,
            received_at_us=at_us,
            peer="file",
            message_type=header.message_code_event[:MESSAGE_TYPE_MAX_CHARACTERS],
            control_id=control_id.decode("utf-8", "replace")[:CONTROL_ID_MAX_CHARACTERS],
            body=body,
            fingerprint=facts.hash(body),
            repeat_hash=facts.hash(self._name, control_id) if control_id else None,
            repeats_since_us=at_us + 1 if resent else at_us - self._window_us,
            state=state,
            reason=reason,
            flags=" ".join(filter(None, ("" if control_id else NO_CONTROL_ID, RESENT if resent else ""))),
            trace_id=self._world.random_bytes(TRACE_ID_BYTES),
            answer=None,
            answer_code="",
            control_ids_unique=channel.control_ids_unique and not resent,
            tolerated=noted,
        )

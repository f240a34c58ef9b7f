"""A folder in which the old engine puts files: each goes on whole to where it went before, or is kept.

A file is claimed first, and its messages are judged one by one. What passes is written beside its place,
the journal notes that it is there whole, and then it gets its name; only then does the claim go. So a crash
at any point leaves something that tells what was done, and the receiver sees each file once. A file of which
some messages are the bridge's goes on without these; what cannot be read as messages is one output that
stands for nothing, and goes on as such.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import BinaryIO, Final, NamedTuple

import structlog
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThread

from bridge.config.legacy import FileTap
from bridge.errors import JournalUnavailable, PeerUnavailable
from bridge.formats.hl7v2_ack import peek
from bridge.migration.relay.outputs import Around, Judged, Outputs
from bridge.migration.relay.placing import Placing, is_placeable
from bridge.tls.client import Exchanges
from bridge.transports.base import Arriving, Fate, Looked, Telling
from bridge.transports.collecting import Collector
from bridge.transports.file_drop import FileDropOptions
from bridge.transports.file_drop_folder import LocalFolder
from bridge.transports.files_told import told
from bridge.units import size_text

log = structlog.get_logger("bridge.tap")

PLACED: Final = "placed"
"""The code of outputs whose file lies whole beside its place."""
WORD_BYTES: Final = 8
_BEGIN: Final = re.compile(rb"(?:\A|(?<=[\r\n\x0b]))MSH(?=[^A-Za-z0-9\s])")
_BEFORE: Final = b"\xef\xbb\xbf\x0b\r\n\t "
"""What may stand before the first message and says nothing."""


class Piece(NamedTuple):
    """Part of a file: its bytes as they stand there, and the message that they are, None where they are
    none."""

    raw: bytes
    message: bytes | None


def cut(content: bytes) -> list[Piece]:
    r"""A file's messages, or all of it as one piece that is none. Joined, the bytes are the file's.

    >>> [each.message for each in cut(b"MSH|^~\\&|A\r\nPID|1\r\nMSH|^~\\&|B\r\n")]
    [b'MSH|^~\\&|A\rPID|1\r', b'MSH|^~\\&|B\r']
    >>> [each.message for each in cut(b"BHS|^~\\&\rMSH|^~\\&|A\rBTS|1\r")]
    [None]
    """
    begins = [found.start() for found in _BEGIN.finditer(content)]
    if not begins or content[: begins[0]].strip(_BEFORE):
        return [Piece(content, None)]
    begins[0] = 0
    raw = [content[one:other] for one, other in zip(begins, [*begins[1:], len(content)], strict=True)]
    return [Piece(each, _message(each)) for each in raw]


def _message(raw: bytes) -> bytes:
    plain = raw.replace(b"\r\n", b"\r").replace(b"\n", b"\r").replace(b"\x1c", b"")
    return plain.strip(_BEFORE) + b"\r"


class FolderTap:
    """One folder: what a `Collector` finds there is handed in here."""

    def __init__(self, options: FileTap, name: str, outputs: Outputs, around: Around) -> None:
        self._options, self._name, self._outputs, self._around = options, name, outputs, around
        self._placing = Placing(options.pass_to, int(options.permissions, 8))
        self._collector = Collector(
            name, taken := _options(options), LocalFolder(options.directory, taken), self, around.reactor,
            told(name, around.now_us),
        )  # fmt: skip
        self._unreadable = self._unwritable = ""

    @property
    def away(self) -> str:
        """Why nothing can pass now: one of the folders cannot be used, or the receiver is behind."""
        return self._unreadable or self._unwritable

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """A folder has none."""
        return {}

    def look_at_certificates(self) -> Exchanges:
        """A folder has none."""
        return ()

    async def start(self) -> IListeningPort | None:
        """Begin to look."""
        await self._collector.start()
        return None

    async def stop(self) -> None:
        """Take no further file."""
        await self._collector.drain()

    # What the collector asks.

    @property
    def owner(self) -> str:
        """The journal's own word: what begins so is nobody else's."""
        return f"tap-{self._around.journal_id}-"

    def claim_word(self) -> str:
        """A new word for a claim."""
        return f"{self.owner}{self._around.random_bytes(WORD_BYTES).hex()}"

    def take(self, arriving: Arriving) -> Deferred[Fate]:
        """See one file on, or keep it; it is offered again where that cannot be now."""
        return Deferred.fromCoroutine(self._take(arriving))

    def resume(self) -> Deferred[None]:
        """Nothing is begun that a claim does not tell of."""
        done: Deferred[None] = Deferred()
        done.callback(None)
        return done

    def scratch(self) -> BinaryIO:
        """Nothing is unpacked here."""
        raise PeerUnavailable("a tap unpacks nothing")

    def hurry(self) -> None:
        """A file is not left half way."""

    def settled(self, file_id: int) -> None:
        """Files of a tap have no number."""

    def telling(self) -> Deferred[Telling | None]:
        """Nothing: the old engine is told nothing of its files."""
        return succeed(None)

    def told(self, file_id: int) -> Deferred[None]:  # noqa: ARG002 - nobody is told
        """Nothing to be noted."""
        return succeed(None)

    def looked(self, looked: Looked) -> None:
        """Remember whether the folder can be looked at, and every file of it be taken."""
        reason = looked.reason or "; ".join(looked.held_up[:1])
        if reason and reason != self._unreadable:
            log.warning("tap-away", tap=self._name, reason=looked.reason or "a file of it is held up")
        self._unreadable = reason

    # One file.

    async def _take(self, arriving: Arriving) -> Fate:
        content = await deferToThread(_read, arriving, self._options.max_size)
        if content is None:
            return Fate(None, False, "oversized", f"larger than {size_text(self._options.max_size)}")
        if not is_placeable(arriving.name):
            return Fate(None, False, "name", "no name that a file can be given where it goes")
        again = Fate(None, good=False, again=True)
        try:
            pieces = cut(content)
            judged = [
                await self._judge(piece, f"{arriving.claim} {place}") for place, piece in enumerate(pieces)
            ]
            if any(each.what == "busy" for each in judged):
                return again
            passing = [place for place, each in enumerate(judged) if each.what == "pass"]
            if passing:
                part = b"".join(pieces[place].raw for place in passing)
                await self._pass_on(arriving, part, [judged[place] for place in passing])
        except PeerUnavailable as error:
            if str(error) != self._unwritable:
                log.warning("not-passed-on", tap=self._name, reason=str(error))
            self._unwritable = str(error)
            return again
        except JournalUnavailable as error:
            log.error("journal-unavailable", tap=self._name, reason=str(error))
            return again
        self._unwritable = ""
        return Fate(None, good=True)

    async def _judge(self, piece: Piece, word: str) -> Judged:
        """What is to be done with one piece. One that tells no message is not like any other, though it has
        the same bytes."""
        message, match_hash, told = piece.message, None, ""
        if message is not None and peek(message).readable:
            match_hash, told = self._outputs.match_message(message)
        if match_hash is None:
            match_hash = self._outputs.match_id(b"\0" + word.encode())
        return await self._outputs.judge(match_hash, piece.raw if message is None else message, told)

    async def _pass_on(self, arriving: Arriving, content: bytes, judged: Sequence[Judged]) -> None:
        """Raises PeerUnavailable and JournalUnavailable; asked again, it goes on where it was."""
        hidden = f".bridge-{arriving.claim}.part"
        if not any(each.code == PLACED for each in judged):
            await deferToThread(self._placing.write, arriving.name, hidden, [content])
            await self._outputs.note([(each.output_id, "PASSING", PLACED) for each in judged])
        if await deferToThread(self._placing.show, arriving.name, hidden) == "taken":
            raise PeerUnavailable(
                f"a file before of the same name still lies in {self._options.pass_to}; its receiver has not "
                "taken it"
            )
        await self._outputs.note([(each.output_id, "PASSED", PLACED) for each in judged])


def _options(tap: FileTap) -> FileDropOptions:
    return FileDropOptions.model_validate(
        {
            "directory": tap.directory,
            "include": tap.include,
            "finished": tap.finished,
            **({"stable_for": tap.stable_for} if tap.finished == "stable" else {}),
            "poll": tap.poll,
            "order": tap.order,
            "after": "delete",
        }
    )


def _read(arriving: Arriving, max_bytes: int) -> bytes | None:
    """All of a file; None where it is larger. Raises FileGone and PeerUnavailable."""
    if arriving.size_bytes > max_bytes:
        return None
    incoming = arriving.open()
    try:
        parts: list[bytes] = []
        while (data := incoming.read(1024**2)) and sum(map(len, parts)) <= max_bytes:
            parts.append(data)
    finally:
        incoming.close()
    content = b"".join(parts)
    return content if len(content) <= max_bytes else None

"""A plain reader of EDIFACT: one message of an interchange, as segments of elements (ISO 9735).

Reading never raises on content: what cannot be taken apart gives a message that says why. `pydifact` is not
used here, but is the second opinion of channels that are strict: it knows no repetitions, takes a released
apostrophe before the letters UNA for a service string advice, and needs 50 µs for a segment, of which the
bridge has to find the ends itself in any case, since a file is never held as a whole.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from bridge.formats.base import ReadProblem
from bridge.formats.edi import EdiDelimiters, EdiMessage, EdiSegment
from bridge.formats.edifact_syntax import CODECS, SWITCHING, UNA_BYTES, BadSeparators, Separators, codec_of

SEGMENTS_MAX: Final = 500_000
BLANK: Final = b"\r\n\t \0\x1a"
BYTE_ORDER_MARK: Final = b"\xef\xbb\xbf"
_ELEMENT, _COMPONENT, _REPETITION = "\x1d", "\x1f", "\x1e"
_DELIMITERS: Final = EdiDelimiters(_ELEMENT, _COMPONENT, _REPETITION)
"""What stands between values once they are read: characters that ISO 9735 keeps for separators alone, so that
a plus or a colon which was released is a character like any other."""
_OURS: Final = frozenset({_ELEMENT, _COMPONENT, _REPETITION})
_AROUND: Final = frozenset({b"UNA", b"UNB", b"UNG", b"UNH", b"UNE", b"UNZ"})


class EdifactMessage(EdiMessage):
    """One message, UNH to UNT, with the UNB and UNG that it stands in."""

    def __init__(
        self,
        segments: tuple[EdiSegment, ...],
        refused: ReadProblem | None,
        problems: tuple[ReadProblem, ...] = (),
        encoding: tuple[str, str] = ("ascii", "format"),
    ) -> None:
        super().__init__(segments, _DELIMITERS, refused)
        self.problems = problems
        self.encoding, self.decided_by = encoding

    @classmethod
    def read(cls, body: bytes, codec: str = "") -> EdifactMessage:
        """The first message of an interchange; with ``codec``, in that character set whatever UNB says."""
        data = body.removeprefix(BYTE_ORDER_MARK).lstrip(BLANK)
        separators = Separators()
        try:
            if data.startswith(b"UNA"):
                separators = Separators.of_una(data[:UNA_BYTES])
                data = data[UNA_BYTES:].lstrip(BLANK)
            elif data.startswith(b"UNB"):
                separators = Separators.of_unb(data)
        except BadSeparators as error:
            return EdifactMessage.not_read("bad-separators", str(error))
        if not data.startswith(b"UNB"):
            return EdifactMessage.not_read("no-unb", "no UNB segment at the start")
        if data.count(separators.terminator) > SEGMENTS_MAX:
            return EdifactMessage.not_read("too-many-segments", f"it has more than {SEGMENTS_MAX} segments")
        pieces = separators.segments(data)
        separators = separators.with_version(pieces[0])
        return _first(pieces, separators, codec)

    @classmethod
    def not_read(cls, code: str, text: str) -> EdifactMessage:
        """One that is refused, and why."""
        return cls((), ReadProblem(code, "UNB", text))

    @property
    def message_type(self) -> str:
        """The type of message, UNH S009 0065, as in ORDERS; '' where absent."""
        return self.value("UNH", 2) or ""

    @property
    def version(self) -> str:
        """Version, release, agency and what an association adds, as in D.96A.UN.EAN008; '' where absent."""
        parts = [self.value("UNH", 2, 1, component) for component in (2, 3, 4, 5)]
        return ".".join(each for each in parts if each)

    @property
    def control_id(self) -> str:
        """The message's own reference, UNH 0062; '' where absent."""
        return self.value("UNH", 1) or ""


def _first(pieces: list[bytes], separators: Separators, codec: str) -> EdifactMessage:
    envelope: list[bytes] = []
    message: list[bytes] = []
    wrapped = False
    for piece in pieces:
        segment = piece.lstrip(BLANK)
        name = segment[:3]
        if not message and name not in (b"UNB", b"UNG", b"UNH"):
            continue
        if b"\n" in segment or b"\r" in segment:
            segment, wrapped = segment.translate(None, b"\r\n"), True
        if message:
            if name in _AROUND:
                break
            message.append(segment)
            if name == b"UNT":
                return _read([*envelope, *message], separators, codec, wrapped=wrapped)
        elif name == b"UNH":
            message = [segment]
        else:
            envelope = [segment] if name == b"UNB" else [*envelope[:1], segment]
    if message:
        return EdifactMessage.not_read("no-unt", "a message ends without UNT: it is not whole")
    return EdifactMessage.not_read("no-message", "there is no UNH segment")


def _read(segments: list[bytes], separators: Separators, declared: str, *, wrapped: bool) -> EdifactMessage:
    unb = separators.elements(segments[0])
    repertoire = separators.text(unb[1]) if len(unb) > 1 else ""
    if repertoire in SWITCHING:
        return EdifactMessage.not_read(
            "unsupported-repertoire", f"{repertoire} switches between character sets"
        )
    problems = [ReadProblem("line-end-in-segment", "", "a line ends within a segment")] if wrapped else []
    own = declared or CODECS.get(repertoire, "")
    codec = codec_of(b"".join(segments), own)
    if codec != own:
        problems.append(ReadProblem("charset-mismatch", "UNB-01", "characters that the repertoire has not"))
    read = [
        EdiSegment(fields[0], index, fields, _DELIMITERS)
        for index, fields in enumerate(_fields(each.decode(codec), separators) for each in segments if each)
    ]
    decided_by = "fallback" if codec != own else "channel" if declared else "unb"
    return EdifactMessage(tuple(read), None, tuple(problems), (codec, decided_by))


def _fields(text: str, separators: Separators) -> list[str]:
    """Name and elements, with our separators in the place of theirs, and without what released something."""
    table, released = _changing(separators)
    if released is not None and separators.release.decode("ascii") in text:
        return released.sub(lambda found: _changed(found, table), text).split(_ELEMENT)
    return text.translate(table).split(_ELEMENT)


def _changed(found: re.Match[str], table: dict[int, str]) -> str:
    if (data := found["data"]) is not None:
        return " " if data in _OURS else data
    return table[ord(found[0])]


@lru_cache(maxsize=64)
def _changing(separators: Separators) -> tuple[dict[int, str], re.Pattern[str] | None]:
    table = dict.fromkeys(map(ord, _OURS), " ")
    table[ord(separators.component)] = _COMPONENT
    table[ord(separators.element)] = _ELEMENT
    if separators.repetition:
        table[ord(separators.repetition)] = _REPETITION
    if not separators.release:
        return table, None
    signs = "".join(map(re.escape, map(chr, table)))
    release = re.escape(separators.release.decode("ascii"))
    return table, re.compile(f"{release}(?P<data>.?)|[{signs}]", re.DOTALL)

"""A file of XML, taken apart as it arrives: each element of a name is a record, or each document is. Pure.

A record comes out as a document of its own: the declaration of its file, the tags that it stood in with
their attributes and namespaces, the header where one is wanted, and in them the record, byte for byte as it
came. One that is no well-formed XML comes out in the same way, for a person, and the file is read on behind
it: behind the end tag of its name, or where the next one begins. Several documents may follow each other.
What a document says of its records is held against them where it ends.
"""

from __future__ import annotations

import hashlib
from typing import Final
from xml.parsers import expat

from bridge.formats.base import Batch, Pieces, Unsplittable
from bridge.formats.xml_bytes import DECLARATION_MAX_BYTES, UNREAD, Around, Broken, XmlBytes, width_of
from bridge.formats.xml_defused import (
    ATTRIBUTES_MAX_COUNT,
    DEPTH_MAX_LEVELS,
    OF_FILES,
    PARSE_ERRORS,
    STEP_BYTES,
    TOKEN_MAX_BYTES,
    XmlRefused,
    ends_early,
    hold_names,
    parser_of,
    token_too_large,
    too_deep,
    too_many_attributes,
    why,
)
from bridge.formats.xml_options import XmlOptions
from bridge.formats.xml_totals import Said, XmlTotals
from bridge.formats.xml_tree import ends, local
from bridge.units import size_text

AROUND_MAX_BYTES: Final = 64 * 1024
"""What each message is given beside its record."""
GROWTH_MAX_TIMES: Final = 50
GROWTH_FREE_BYTES: Final = 16 * 1024**2
"""Messages come to so many times their file at most, and to so much whatever that is."""
BATCHES_MAX_COUNT: Final = 10_000


class XmlFile:
    """One file: a `Splitter`."""

    def __init__(self, options: XmlOptions, message_max_bytes: int) -> None:
        self.batches: list[Batch] = []
        self._options, self._max = options, message_max_bytes
        self._record, self._header = options.reading.record, options.reading.header
        self._buffer = bytearray()
        self._base = self._lines = 0
        """Where the buffer begins in the file, and how many lines have ended before it."""
        self._bytes = XmlBytes("ascii")
        self._mark: bytes | None = None
        """What says how its signs are written; None before that is known."""
        self._messages = self._given_bytes = 0
        self._pieces = Pieces()
        self._parser: expat.XMLParserType | None = None
        self._open(0, b"")

    def _open(self, offset: int, declaration: bytes) -> None:
        """A document begins."""
        self._began = self._fed = offset
        self._declaration = declaration
        self._shift = self._known = 0
        """Where in the file that began which its parser was given, and how many names it has found."""
        self._path: list[str] = []
        self._around: list[Around] = []
        self._tag_at = -1
        """Where the tag of the innermost of these begins, while that was not read."""
        self._held = 0
        """So many of these have records."""
        self._kept: tuple[int, bytes] = 0, b""
        """In how many of these the header stands that was kept, and its bytes."""
        self._header_at: tuple[int, int] | None = None
        """How deep a header stands and where it begins, while it has not ended."""
        self._envelope: tuple[bytes, bytes] | None = None
        self._seen = offset
        """What stands before is known: nothing begins there."""
        self._start = self._element = self._ended = -1
        """Where the message and its element begin, and where the document has ended."""
        self._broken: Broken | None = None
        self._any_other = False
        self._first = self._messages + 1
        self._totals = XmlTotals(self._options.totals, self._line_of, self._tag_end, self._told)
        self._digest = hashlib.sha256()

    def feed(self, data: bytes) -> Pieces:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        for at in range(0, len(data), STEP_BYTES):
            self._buffer += data[at : at + STEP_BYTES]
            self._advance(last=False)
        return self._taken()

    def end(self) -> Pieces:
        """The file has ended; the rest of its messages. Raises Unsplittable."""
        self._advance(last=True)
        return self._taken()

    def _taken(self) -> Pieces:
        pieces, self._pieces = self._pieces, Pieces()
        return pieces

    def _advance(self, *, last: bool) -> None:
        more = True
        while more:
            if self._broken is not None:
                more = self._go_on(self._broken, last=last)
            elif self._parser is not None:
                more = self._parse(self._parser, last=last)
            else:
                more = self._begin(last=last)
        self._drop(self._needed())

    def _needed(self) -> int:
        """From where on the bytes of the file are still needed."""
        if self._parser is None and self._broken is None:
            return self._base
        if self._start >= 0:
            return self._start
        if not self._record and self._ended < 0:
            return self._began
        # What a new parser is told first stood before, or stands nowhere.
        at = self._fed if self._parser is None else max(self._at(self._parser), self._base)
        if 0 <= self._tag_at < at - AROUND_MAX_BYTES:
            self._read_tag()
        starts = (
            -1 if self._header_at is None else self._header_at[1],
            self._tag_at,
            self._totals.start_bytes,
        )
        return min(at, *(start if 0 <= start >= at - AROUND_MAX_BYTES else at for start in starts))

    def _drop(self, until: int) -> None:
        count = until - self._base
        assert count >= 0, "what was let go of does not come back"
        self._lines += self._buffer.count(b"\n", 0, count)
        del self._buffer[:count]
        self._base = until

    def _begin(self, *, last: bool) -> bool:
        """Look for the beginning of a document; whether there is one."""
        buffer = self._buffer
        if self._mark is None:
            if len(buffer) < 4 and not last:
                return False
            width, there, self._mark = width_of(buffer)
            self._bytes = XmlBytes(width)
            self._drop(len(there))
        signs = self._bytes
        self._drop(self._base + signs.blank_end(buffer))
        if len(buffer) < DECLARATION_MAX_BYTES and not last:
            return False
        if not buffer:
            if self._messages or self.batches:
                return False
            raise self._refused("no-xml", self._base, "There is no XML in this file.")
        size = signs.declaration_end(buffer)
        if not buffer.startswith(signs.begins) or size < 0:
            text = "Expected XML, and it is something else. What is in another form, as EBCDIC or packed,"
            raise self._refused("no-xml", self._base, f"{text} is undone by `decode` before.")
        self._open(self._base, self._mark + bytes(buffer[:size]))
        self._parser = self._reads_from(self._base, self._mark)
        return True

    def _reads_from(self, offset: int, before: bytes) -> expat.XMLParserType:
        """A parser for what stands there in the file; what it has to know of what stands ``before``."""
        parser = parser_of(self._options.charset)
        if before:
            parser.Parse(before, False)
        self._known, self._fed, self._shift = 0, offset, offset - len(before)
        parser.StartElementHandler, parser.EndElementHandler = self._begins, self._ends
        self._inner = self._totals.inner(parser, self._record_ends)
        return parser

    def _at(self, parser: expat.XMLParserType) -> int:
        """Where in the file the parser is."""
        return self._shift + max(parser.CurrentByteIndex, 0)

    def _parse(self, parser: expat.XMLParserType, *, last: bool) -> bool:
        """Read what has come; whether there is more to do."""
        data = bytes(memoryview(self._buffer)[self._fed - self._base :])
        self._fed += len(data)
        try:
            parser.Parse(data, False)
            self._known = hold_names(parser, self._known)
            if self._fed - self._at(parser) > TOKEN_MAX_BYTES and self._ended < 0:
                raise token_too_large()
            if last and self._ended < 0:
                self._cut_off(parser)
        except PARSE_ERRORS as error:
            return self._stopped(parser, why(error))
        if self._fed - self._needed() > self._max and (self._start >= 0 or not self._record):
            if not self._record or self._options.bad_record == "refuse":
                raise self._too_large()
            # Something in it may never end. Where its own end tag is there, it is that alone.
            return self._stopped(parser, XmlRefused("message-too-large", str(self._too_large())))
        return False

    def _stopped(self, parser: expat.XMLParserType, refused: XmlRefused) -> bool:
        """The parser goes no further; True, since something else can be done. Raises Unsplittable."""
        offset = self._place_where(parser, refused)
        if self._ended >= 0:
            self._parser = None
            self._drop(max(offset, self._ended))
            return True
        of_record = self._start >= 0 or (bool(self._record) and self._begins_record(parser, refused, offset))
        if not of_record or refused.reason in OF_FILES or self._options.bad_record == "refuse":
            raise self._refused(refused.reason, offset, str(refused))
        signs, element = self._bytes, self._element - self._base
        parser.StartElementHandler = parser.EndElementHandler = parser.CharacterDataHandler = None
        name = signs.name_in(self._buffer[element : element + TOKEN_MAX_BYTES])
        around = self._around[-1].name if self._around else b""
        # Of an end tag that does not fit, the parser tells the place of its name.
        search = max(offset - 2 * signs.size, self._element + signs.size)
        self._broken = Broken(refused, offset, signs.end_of(name, around), search)
        return True

    def _place_where(self, parser: expat.XMLParserType, refused: XmlRefused) -> int:
        if refused.reason == "doctype":
            return self._base + max(self._buffer.find(self._bytes.written("<!DOCTYPE")), 0)
        at = parser.ErrorByteIndex if refused.at_bytes is None else refused.at_bytes
        return max(self._shift + at, self._began)

    def _begins_record(self, parser: expat.XMLParserType, refused: XmlRefused, offset: int) -> bool:
        """Whether the tag in which the parser has stopped is that of a record, which then begins."""
        if self._tag_at >= 0:
            self._read_tag()
        until, size = offset - self._base, self._bytes.size
        # What is refused is told by where its tag begins, all else by what is wrong in it.
        until += size if refused.at_bytes is not None else 0
        at = self._bytes.last_begin(self._buffer, until, self._seen - self._base)
        name = self._bytes.name_in(self._buffer[at : at + AROUND_MAX_BYTES]) if at >= 0 else b""
        path = [*self._path[: len(self._around)], self._bytes.text(name)]
        if not self._around or not ends(path, self._record):
            return False
        self._record_begins(parser, self._base + at, [])
        return True

    def _cut_off(self, parser: expat.XMLParserType) -> None:
        """The file ends, and the document has not. Raises what the parser says where it is not taken."""
        try:
            parser.Parse(b"", True)  # what it has put off comes now, and may be the end
        except expat.ExpatError as error:
            quarantines = self._options.bad_record == "quarantine" and ends_early(error)
            if not quarantines or self._start >= 0 or self._messages < self._first:
                raise
        if self._ended < 0:
            self._judge(ended=False)

    def _go_on(self, broken: Broken, *, last: bool) -> bool:
        """Look for the end of a broken record, and read on behind it; whether it was found."""
        self._fed = self._base + len(self._buffer)
        too_large = self._fed - self._start > self._max
        search, element = broken.search_bytes - self._base, self._element - self._base
        give_up = last or too_large
        end = self._bytes.found(broken.end, self._buffer, search, element, give_up=give_up)
        if end >= 0 and self._record:
            before = self._declaration + b"".join(each.tag for each in self._around)
            self._take(self._base + end, broken)
            self._parser = self._reads_from(self._base + end, before)
            return True
        if too_large:
            raise self._too_large()
        if last:
            self._take(self._fed, broken)
            self._judge(ended=False)
            return False
        searched = max(broken.search_bytes, self._fed - AROUND_MAX_BYTES)
        self._broken = broken._replace(search_bytes=searched)
        return False

    def _begins(self, name: str, attributes: list[str]) -> None:
        """An element outside of records begins."""
        parser, path = self._parser, self._path
        assert parser is not None, "it calls this"
        if len(path) >= DEPTH_MAX_LEVELS:
            raise too_deep(parser)
        if len(attributes) > 2 * ATTRIBUTES_MAX_COUNT:
            raise too_many_attributes(parser)
        offset = self._shift + parser.CurrentByteIndex
        self._seen = offset + 1
        if self._tag_at >= 0:
            self._read_tag()
        name = local(name)
        path.append(name)
        if (name == self._record[-1] and ends(path, self._record)) if self._record else len(path) == 1:
            path.pop()
            self._record_begins(parser, offset, attributes)
            return
        self._around.append(UNREAD)
        self._tag_at, self._envelope = offset, None
        if self._header_at is None:
            if ends(path, self._header):
                self._header_at = len(path), offset
            elif len(path) > 1:
                self._any_other = True
        self._totals.begins(parser, path, attributes, offset)

    def _read_tag(self) -> None:
        """The start tag of the innermost element, which is asked for only where others stand in that."""
        self._around[-1] = self._bytes.around(self._buffer, self._tag_at - self._base)
        self._tag_at = -1

    def _ends(self, _: str) -> None:
        """An element outside of records ends."""
        parser = self._parser
        assert parser is not None, "it calls this"
        depth, told = len(self._path), self._at(parser)
        self._seen = told + 1
        if self._totals.reading_depth == depth:
            self._totals.ends(parser, told)
        self._path.pop()
        around, self._tag_at = self._around.pop(), -1
        at, kept = self._kept
        if self._header_at is not None and self._header_at[0] == depth:
            start = self._header_at[1]
            self._kept = depth - 1, self._bytes_of(start, told)
            self._header_at = None
        elif kept and at >= depth:
            # What has held records takes their header with it; any other stands between it and them.
            closed = self._bytes.closing(around.name)
            self._kept = (0, b"") if depth <= self._held else (depth - 1, around.tag + kept + closed)
        self._held, self._envelope = min(self._held, depth - 1), None
        if not self._path:
            self._ended = self._bytes.root_end(self._buffer, told - self._base) + self._base
            self._judge(ended=True)

    def _bytes_of(self, start: int, told: int) -> bytes:
        """A header, from where it begins to where its end was told."""
        if start < self._base:
            text = f"The header is larger than {size_text(AROUND_MAX_BYTES)}: each message would have it."
            raise self._refused("header-too-large", start, text)
        end = self._bytes.element_end(self._buffer, start - self._base, told - self._base)
        return bytes(self._buffer[start - self._base : end])

    def _record_begins(self, parser: expat.XMLParserType, offset: int, attributes: list[str]) -> None:
        self._element = offset
        self._start = offset if self._record else self._began
        self._held, self._header_at = len(self._around), None
        self._totals.record_begins(parser, attributes)
        parser.StartElementHandler, parser.EndElementHandler = self._inner

    def _record_ends(self) -> None:
        parser = self._parser
        assert parser is not None, "it calls this"
        told = self._at(parser)
        end = self._bytes.element_end(self._buffer, self._element - self._base, told - self._base)
        self._totals.record_ends(self._element)
        self._take(self._base + end, None)
        parser.StartElementHandler, parser.EndElementHandler = self._begins, self._ends
        if not self._record:
            self._ended = self._base + end
            self._judge(ended=True)

    def _take(self, end: int, broken: Broken | None) -> None:
        """A message, which ends there in the file."""
        body = bytes(memoryview(self._buffer)[self._start - self._base : end - self._base])
        if not self._record:
            assert self._mark is not None, "it is known by now"
            body = self._mark + body
        else:
            if self._envelope is None:
                self._envelope = self._made_envelope()
            noted = b"" if broken is None else self._bytes.written(f"<!-- {self._noted(broken, end)} -->")
            before, behind = self._envelope
            body = b"".join((before, noted, body, behind))
        if len(body) > self._max:
            raise self._too_large()
        self._given_bytes += len(body)
        if self._given_bytes > GROWTH_FREE_BYTES + GROWTH_MAX_TIMES * end:
            text = f"Messages come to {GROWTH_MAX_TIMES} times their file, by what stands around each record."
            raise self._refused("grows-too-much", self._start, text)
        self._messages += 1
        self._seen = end
        self._totals.count()
        self._digest.update(body)
        self._pieces.add(self._start, body)
        self._start = self._element = -1
        self._broken = None

    def _made_envelope(self) -> tuple[bytes, bytes]:
        at, kept = self._kept
        tags = [each.tag for each in self._around]
        before = b"".join((self._declaration, *tags[:at], kept, *tags[at:]))
        behind = b"".join(self._bytes.closing(each.name) for each in reversed(self._around))
        if len(before) + len(behind) > AROUND_MAX_BYTES:
            text = f"What stands around a record and before it is larger than {size_text(AROUND_MAX_BYTES)}."
            raise self._refused("header-too-large", self._start, text)
        return before, behind

    def _judge(self, *, ended: bool) -> None:
        """Hold what a document says against what it has; it ends here, or is cut off."""
        said, judged = self._totals.judged()
        is_none = self._record and ended and self._messages < self._first
        if is_none and self._any_other and not (judged.declared and not judged.differences):
            text = "No element of it is a record, and there are others: `record` names none of them."
            raise self._refused("no-record", self._began, text)
        if len(self.batches) >= BATCHES_MAX_COUNT:
            text = f"The file has more than {BATCHES_MAX_COUNT} documents."
            raise self._refused("too-many-batches", self._began, text)
        if self._record:
            self.batches.append(
                Batch(
                    kind="records",
                    control_id="",
                    made="",
                    offset_bytes=self._began,
                    first=self._first,
                    last=self._messages,
                    declared=judged.declared,
                    found=judged.found,
                    differences=judged.differences,
                    ended=ended and said,
                    digest=self._digest.digest(),
                )
            )
        if not ended:
            self._parser, self._ended = None, self._fed
            self._drop(self._fed)

    def _tag_end(self, start: int) -> int:
        return self._base + self._bytes.tag_end(self._buffer, start - self._base)

    def _told(self, name: str, said: Said) -> None:
        """Something is said of the records. Whoever reads the file for that has an ear of its own."""

    def _line_of(self, offset: int) -> int:
        return self._lines + self._buffer.count(b"\n", 0, offset - self._base) + 1

    def _noted(self, broken: Broken, end: int) -> str:
        # What is missing in it may be missed only where something else ends.
        at = broken.offset_bytes if broken.offset_bytes < end else self._start
        return f"{broken.why.reason} in line {self._line_of(at)} of the file"

    def _refused(self, reason: str, offset: int, text: str) -> Unsplittable:
        if offset < self._base:  # what stood there is gone, and with it where its line began
            return Unsplittable(reason, offset, f"Byte {offset} of the file: {text}")
        line = self._line_of(offset)
        column = offset - self._base - self._buffer.rfind(b"\n", 0, max(0, offset - self._base))
        return Unsplittable(reason, offset, f"Line {line}, byte {column}: {text}")

    def _too_large(self) -> Unsplittable:
        text = f"A message is larger than {size_text(self._max)}."
        return Unsplittable("message-too-large", max(self._start, self._began), text)

"""Where tags end in the bytes of a file, one byte for a sign of ASCII or two. Pure.

A parser says where something begins. What it has accepted is taken as right here.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple

from bridge.formats.xml_defused import TOKEN_MAX_BYTES, XmlRefused

Width = Literal["ascii", "utf-16-le", "utf-16-be"]
"""How a sign of ASCII stands in a file: UTF-8 and character sets of one byte have it as it is."""
DECLARATION_MAX_BYTES: Final = 1024
_BLANK: Final = " \t\r\n"
_AROUND: Final = _BLANK + "\x1a\0"
"""What may stand before and behind a document: some senders end files with Ctrl-Z, or fill them up."""
_FIRST: Final = (b"<", b" ", b"\t", b"\r", b"\n")
_MARKS: Final[dict[bytes, Width]] = {
    b"\xef\xbb\xbf": "ascii",
    b"\xff\xfe": "utf-16-le",
    b"\xfe\xff": "utf-16-be",
}


def width_of(data: bytes | bytearray) -> tuple[Width, bytes, bytes]:
    """How a file is written, as its first bytes show; the mark that it begins with, and the one that it could
    begin with."""
    for mark, width in _MARKS.items():
        if data.startswith(mark):
            return width, mark, mark
    first, second = data[:1], data[1:2]
    if first in _FIRST and second == b"\0":
        return "utf-16-le", b"", b"\xff\xfe"
    if first == b"\0" and second in _FIRST and data[2:3] == b"\0":
        return "utf-16-be", b"", b"\xfe\xff"
    return "ascii", b"", b""


class Around(NamedTuple):
    """An element that others stand in: its start tag as it came, and its name as it stands there."""

    tag: bytes
    name: bytes


UNREAD: Final = Around(b"", b"")


class Broken(NamedTuple):
    """A record that cannot be read: why, where that was seen, what finds its end, and from where on."""

    why: XmlRefused
    offset_bytes: int
    end: re.Pattern[bytes]
    search_bytes: int


class XmlBytes:
    """Signs of one file."""

    def __init__(self, width: Width) -> None:
        self.width = width
        self.size = 1 if width == "ascii" else 2
        """Bytes of a sign."""
        sign = self.written
        any_ = b"." * self.size
        one, two, end = map(re.escape, map(sign, "'\">"))
        plain = b"(?:(?!%b|%b|%b)%b)*" % (one, two, end, any_)
        quoted = b"%b(?:(?!%b)%b)*%b|%b(?:(?!%b)%b)*%b" % (one, one, any_, one, two, two, any_, two)
        self._tag = re.compile(b"%b(?:(?:%b)%b)*%b" % (plain, quoted, plain, end), re.DOTALL)
        if width == "ascii":
            self._tag = re.compile(rb"""[^"'>]*(?:(?:"[^"]*"|'[^']*')[^"'>]*)*>""")
        self._blank = b"(?:%b)" % b"|".join(re.escape(sign(each)) for each in _BLANK)
        self._name = re.compile(
            b"%b((?:(?!%b|%b|%b)%b)*)" % (re.escape(sign("<")), self._blank, re.escape(sign("/")), end, any_),
            re.DOTALL,
        )
        equals = re.escape(sign("="))
        self._attribute = re.compile(
            b"%b+((?:(?!%b|%b|%b)%b)+)%b*%b%b*(%b)"
            % (self._blank, self._blank, equals, end, any_, self._blank, equals, self._blank, quoted),
            re.DOTALL,
        )
        self._around = re.compile(b"(?:%b)*" % b"|".join(re.escape(sign(each)) for each in _AROUND))
        self._empty_end = sign("/>")
        self._end, self._closes = sign(">"), sign("</")
        self.begins = sign("<")
        self._declares = re.compile(re.escape(sign("<?xml")) + self._blank)

    def written(self, text: str) -> bytes:
        """Signs of ASCII, as they stand in the file."""
        return text.encode("ascii" if self.width == "ascii" else self.width)

    def text(self, name: bytes) -> str:
        """A name of the file without its prefix; '' where it is not in UTF-8."""
        try:
            return name.decode("utf-8" if self.width == "ascii" else self.width).rpartition(":")[2]
        except UnicodeDecodeError:
            return ""

    def last_begin(self, data: bytes | bytearray, until: int, since: int) -> int:
        """Where the last tag begins before there, and not before ``since``; -1 where none does."""
        found = data.rfind(self.begins, max(since, 0), until)
        while found >= 0 and (until - found) % self.size:
            found = data.rfind(self.begins, max(since, 0), found + self.size - 1)
        return found

    def tag_end(self, data: bytes | bytearray, start: int) -> int:
        """Where a tag with attributes ends that begins there."""
        found = self._tag.match(data, start, start + TOKEN_MAX_BYTES + DECLARATION_MAX_BYTES)
        return len(data) if found is None else found.end()

    def element_end(self, data: bytes | bytearray, start: int, told: int) -> int:
        """Where an element ends that begins at ``start``, and of which the parser told the end at ``told``:
        the beginning of its end tag, or what follows an empty element."""
        if data[told - 2 * self.size : told] == self._empty_end and self.tag_end(data, start) == told:
            return told
        at = data.find(self._end, told)
        while at >= 0 and (at - told) % self.size:
            at = data.find(self._end, at + 1)
        return len(data) if at < 0 else at + self.size

    def name_in(self, tag: bytes | bytearray) -> bytes:
        """The name of a start tag, with its prefix."""
        found = self._name.match(tag)
        return b"" if found is None else bytes(found[1])

    def root_end(self, data: bytes | bytearray, told: int) -> int:
        """Where a root ends of which the parser told the end there."""
        return self.tag_end(data, told) if data.startswith(self._closes, told) else told

    def start_tag(self, data: bytes | bytearray, start: int) -> bytes:
        """The start tag that begins there; of an empty element, the one that it would have with a content."""
        tag = bytes(data[start : self.tag_end(data, start)])
        return tag[: -2 * self.size] + self._end if tag.endswith(self._empty_end) else tag

    def with_attribute(self, tag: bytes, name: str, text: bytes) -> bytes:
        """A start tag with another text in an attribute, whatever its prefix is."""
        wanted, at = name.encode("utf-8" if self.width == "ascii" else self.width), len(self.begins)
        at += len(self.name_in(tag))
        while (found := self._attribute.match(tag, at)) is not None:
            if found[1].rpartition(self.written(":"))[2] == wanted:
                start, end = found.span(2)
                return tag[: start + self.size] + text + tag[end - self.size :]
            at = found.end()
        return tag

    def around(self, data: bytes | bytearray, start: int) -> Around:
        """The element whose start tag begins there."""
        tag = self.start_tag(data, start)
        return Around(tag, self.name_in(tag))

    def closing(self, name: bytes) -> bytes:
        """The end tag of a name that stands in the file."""
        return self._closes + name + self._end

    def blank_end(self, data: bytes | bytearray) -> int:
        """Where what may stand before a document ends."""
        found = self._around.match(data)
        return 0 if found is None else found.end()

    def declaration_end(self, data: bytes | bytearray) -> int:
        """Where the declaration ends that a document begins with: 0 where it has none, -1 where it never
        ends."""
        if self._declares.match(data) is None:
            return 0
        at = data.find(self.written("?>"), 0, DECLARATION_MAX_BYTES)
        return -1 if at < 0 else at + 2 * self.size

    def end_of(self, name: bytes, around: bytes) -> re.Pattern[bytes]:
        """What finds where a broken element ends: behind an end tag of its name (group 1), before the next
        one of its name, or before the end tag of what is ``around`` it."""
        closes, end = re.escape(self._closes), b"%b*%b" % (self._blank, re.escape(self._end))
        follows = b"|".join((self._blank, re.escape(self.written("/")), re.escape(self._end)))
        pattern = b"(%b%b%b)|%b%b(?=%b)" % (
            *(closes, re.escape(name), end),
            *(re.escape(self.begins), re.escape(name), follows),
        )
        return re.compile(pattern + b"|%b%b%b" % (closes, re.escape(around), end) if around else pattern)

    def found(
        self, end: re.Pattern[bytes], data: bytearray, start: int, element: int, *, give_up: bool
    ) -> int:
        """Where a broken ``element`` ends by `end_of`: behind its end tag, from ``start`` on; or, where that
        is missing, before what follows it. -1 where that is not known, and more may come."""
        found = self._aligned(end, data, start, element)
        if (found is None and give_up) or (found is not None and not found[1]):
            found = self._aligned(end, data, element + self.size, element)
        if found is None:
            return -1
        return found.end() if found[1] else found.start()

    def _aligned(
        self, pattern: re.Pattern[bytes], data: bytearray, start: int, at: int
    ) -> re.Match[bytes] | None:
        found = pattern.search(data, start)
        while found is not None and (found.start() - at) % self.size:
            found = pattern.search(data, found.start() + 1)
        return found

"""Many rows at once, where all of them are plain: details of one shape, whose texts need no escapes. Pure.

A row by itself takes ten times what it takes here. What is not plain is left to be read by itself; the bytes
of the messages are the same either way.
"""

from __future__ import annotations

import codecs
import re
import struct
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from itertools import accumulate, islice
from typing import Final

import orjson

from bridge.formats.control_totals import DIGITS_MAX

_ESCAPED: Final = bytes((*range(32), *b'"\\'))
"""What JSON writes otherwise than it is."""
_LAST_DIGITS: Final = 3
_LASTS: Final = [f"{number:0{_LAST_DIGITS}}" for number in range(10**_LAST_DIGITS)]
_CYCLES: Final = [b"".join(b"%d" % digit * 10**place for digit in range(10)) for place in range(_LAST_DIGITS)]
_LINE_END: Final = re.compile(rb"\r\n?|\n")
_LINES_LOOKED_AT: Final = 100
"""Behind so many lines in quotes, the quote is believed to be a mistake."""


def ascii_table(charset: str, but: bytes = b"") -> bytes:
    """For `bytes.translate`: ASCII of what is plain in a character set, and NUL for all else. ``but`` stays.

    >>> b'\\xf1\\xc1\\x7f\\n'.translate(ascii_table("cp037", but=b"\\n"))
    b'1A\\x00\\n'
    """
    table = bytearray(256)
    for byte in range(256):
        try:
            text = bytes((byte,)).decode(charset)
        except UnicodeError:
            continue
        if len(text) == 1 and text.isascii() and ord(text) not in _ESCAPED:
            table[byte] = ord(text)
    for byte in but:
        table[byte] = byte
    return bytes(table)


def plain_table(charset: str, but: bytes = b"") -> bytes | None:
    """For `bytes.translate`: NUL for what is not plain in a character set; all else, and ``but``, stays.
    None for a character set that is not ASCII with something more.

    >>> b'\\xfc\\x81"1\\n'.translate(plain_table("windows-1252", but=b"\\n"))
    b'\\xfc\\x00\\x001\\n'
    """
    lower = bytes(range(128))
    try:
        if lower.decode(charset) != lower.decode("ascii"):
            return None
    except UnicodeError:
        return None
    table = bytearray(ascii_table(charset, but))
    for byte in range(128, 256):
        # Those of UTF-8 are characters together. In others, what is none may take the next byte with it.
        whole = bytes((byte,)).decode(charset, "ignore") or codecs.lookup(charset).name == "utf-8"
        table[byte] = byte if whole else 0
    return bytes(table)


def line_end_of(data: bytes | bytearray, quote: bytes = b"", *, last: bool) -> bytes | None:
    """What ends the lines of a file, by its first one: LF, which may follow CR, or CR alone; None as long as
    no line has ended, unless nothing follows. A line end within quotes is none.

    >>> [line_end_of(each, last=False) for each in (b"a\\rb", b"a\\r\\nb", b"a\\r")]
    [b'\\r', b'\\n', None]
    """
    for count, found in enumerate(_LINE_END.finditer(data)):
        if count < _LINES_LOOKED_AT and quote and data.count(quote, 0, found.start()) % 2:
            continue
        if found[0] != b"\r":
            return b"\n"
        return b"\r" if last or found.end() < len(data) else None
    return b"\n" if last else None


class Plain(ABC):
    """Details that stand one after the other, each in a line of its own."""

    count: int

    @abstractmethod
    def offsets(self, first: int) -> Iterable[int]:
        """Where each begins, with where the first one does."""

    @abstractmethod
    def texts(self, name: str) -> Sequence[str]:
        """A column."""

    @abstractmethod
    def total(self, name: str) -> int | None:
        """The sum of a column that is digits alone; None where it is not."""

    @abstractmethod
    def written(self, line: int, ends: bytes) -> tuple[list[bytes], bytes]:
        """Each as a message: the number of its line, itself, and ``ends``. With line 0 as a row alone. And
        all of them together.
        """


class Columns(Plain):
    """Rows by the texts of their columns, of which none is escaped in JSON."""

    def __init__(self, lines: Sequence[bytes], columns: Mapping[str, Sequence[str]]) -> None:
        """``lines`` are they as they came, with their line ends."""
        self.count, self._lines, self._columns = len(lines), lines, columns

    def offsets(self, first: int) -> Iterable[int]:
        """Where each begins."""
        return islice(accumulate(map(len, self._lines), initial=first), self.count)

    def texts(self, name: str) -> Sequence[str]:
        """A column; empty texts where there is none."""
        return self._columns.get(name) or [""] * self.count

    def total(self, name: str) -> int | None:
        """The sum of a column that is digits alone."""
        texts = self.texts(name)
        joined, lengths = "".join(texts), set(map(len, texts))
        if not (joined.isascii() and joined.isdecimal()) or 0 in lengths or max(lengths) > DIGITS_MAX:
            return None
        return sum(map(int, texts))

    def written(self, line: int, ends: bytes) -> tuple[list[bytes], bytes]:
        """Each as a message or a row: what stands between the texts is put there for all of them."""
        befores = [f'",{_quoted(name)}:"' for name in self._columns]
        befores[0] = befores[0].replace('",', "{", 1)
        columns = list(self._columns.values())
        if len(columns) > 1 and columns[0].count(columns[0][0]) == self.count:
            # As what tells a detail is: it is a part of what stands between.
            first = columns.pop(0)[0]
            befores[:2] = [f"{befores[0]}{first}{befores[1]}"]
        if line:
            runs, lasts = _lines(line, self.count)
            befores[0] = f',"rows":[{befores[0]}'
            columns.insert(0, lasts)
        else:
            runs = [(befores.pop(0), self.count)]
        after = '"}' + ends.decode()
        between: list[str] = []
        for text, count in runs:
            between += [f"{after}\n{text}"] * count
        step = 2 * len(columns)
        parts = [""] * (step * self.count)
        for at, column in enumerate(columns):
            parts[2 * at :: step] = column
        for at, text in enumerate(befores):
            parts[2 * at + 1 :: step] = [text] * self.count
        parts[step - 1 :: step] = [*between[1:], after]
        bodies = (runs[0][0] + "".join(parts)).encode().split(b"\n")
        return bodies, b"".join(bodies)


class Places(Plain):
    """Rows of one length in ASCII, of which none is escaped in JSON, by the places of their fields.

    All that is done to a place is done to it in all rows, with slices that step from row to row.
    """

    def __init__(self, block: bytes, size: int, length: int, places: Mapping[str, slice]) -> None:
        """``size`` is how long a row is with its line end, and ``length`` without."""
        self.count = len(block) // size
        self._block, self._size, self._length = block, size, length
        self._fields = {name: (min(at.start, length), min(at.stop, length)) for name, at in places.items()}
        self._places = places

    def offsets(self, first: int) -> Iterable[int]:
        """Where each begins."""
        return range(first, first + len(self._block), self._size)

    def texts(self, name: str) -> Sequence[str]:
        """A field of each."""
        start, stop = self._fields.get(name, (0, 0))
        text = self._block.decode("ascii")
        return [text[at + start : at + stop] for at in range(0, len(text), self._size)]

    def total(self, name: str) -> int | None:
        """The sum of a field that is digits alone."""
        start, stop = self._fields.get(name, (0, 0))
        if not 0 < stop - start <= DIGITS_MAX:
            return None
        found = 0
        for place in range(start, stop):
            digits = self._block[place :: self._size]
            if not digits.isdigit():
                return None
            found = found * 10 + sum(digits) - ord("0") * self.count
        return found

    def written(self, line: int, ends: bytes) -> tuple[list[bytes], bytes]:
        """Each as a message or a row."""
        digits = len(str(line))
        alike = 10**digits - line
        if line and alike < self.count:
            cut = alike * self._size
            first, rest = (
                Places(part, self._size, self._length, self._places)
                for part in (self._block[:cut], self._block[cut:])
            )
            (bodies, together), (others, behind) = first.written(line, ends), rest.written(line + alike, ends)
            return bodies + others, together + behind
        shape = bytearray(b'{"line":%d,"rows":[{' % line if line else b"{")
        places: list[tuple[int, int]] = []
        for at, (name, (start, stop)) in enumerate(self._fields.items()):
            shape += b'%b%b:"' % (b"" if not at else b",", _quoted(name).encode())
            places += zip(range(len(shape), len(shape) + stop - start), range(start, stop), strict=True)
            shape += b" " * (stop - start) + b'"'
        shape += b"}" + ends
        length, block, size = len(shape), self._block, self._size
        made = shape * self.count
        for to, place in places:
            made[to::length] = block[place::size]
        if line:
            before = len(b'{"line":')
            for at in range(digits):
                made[before + at :: length] = _digits(line, self.count, digits - 1 - at)
        return list(struct.unpack(f"{length}s" * self.count, made)), bytes(made)


def _quoted(name: str) -> str:
    return orjson.dumps(name).decode()


def _lines(line: int, count: int) -> tuple[list[tuple[str, int]], list[str]]:
    """The numbers of lines from one on: how so many messages begin, and the digits that differ."""
    if line < len(_LASTS):
        return [('{"line":', count)], [str(number) for number in range(line, line + count)]
    runs: list[tuple[str, int]] = []
    lasts: list[str] = []
    while count:
        thousands, first = divmod(line, len(_LASTS))
        taken = min(count, len(_LASTS) - first)
        runs.append((f'{{"line":{thousands}', taken))
        lasts += _LASTS[first : first + taken]
        line, count = line + taken, count - taken
    return runs, lasts


def _digits(number: int, count: int, place: int) -> bytes:
    """The digit at a place, from the right, of numbers from one on.

    >>> _digits(98, 5, 0), _digits(98, 5, 1), _digits(2998, 4, 3)
    (b'89012', b'99000', b'2233')
    """
    step = 10**place
    if place < _LAST_DIGITS:
        cycle, first = _CYCLES[place], number % (10 * step)
        return (cycle * (count // len(cycle) + 2))[first : first + count]
    found = b""
    while count:
        taken = min(count, step - number % step)
        found += b"%d" % (number // step % 10) * taken
        number, count = number + taken, count - taken
    return found

"""Interchanges that were cut into lines of one width, as old transfers do; put together again. Pure.

ISA has 106 characters without a line end (X12.5 §3.2), so one among them is of a line that was cut there, and
all lines are as wide as that one. Of wider lines it takes two to know. A line end that stands anywhere else
than behind a full line or a whole segment is not guessed about.
"""

from __future__ import annotations

from typing import Final

from bridge.formats.base import Unsplittable

ISA_BYTES: Final = 106
TERMINATOR_AT: Final = 105
WIDTH_MAX_BYTES: Final = 512
"""Wider lines are not looked for: the records of all common systems are narrower."""
LOOKED_AT_MAX_BYTES: Final = 2 * (WIDTH_MAX_BYTES + 2)
SEPARATORS_AT: Final = (3, 6, 17, 20, 31, 34, 50, 53, 69, 76, 81, 83, 89, 99, 101, 103)
"""Where the elements of ISA are parted."""
BLANK: Final = b" \t\r\n"
UNEVEN: Final = (
    "Lines were cut in the middle of segments, and not all of them at the same width: the line ends cannot "
    "be told from what they stand in. Send the file without them."
)
UNSURE: Final = (
    "A line end stands in the middle of a segment, and the file is too short to tell whether lines were cut "
    "at this width. Send the file without it."
)
NOT_AS_WIDE: Final = (
    "ISA is not as X12.5 has it, 106 characters with each element as wide as its place: what separates "
    "cannot be found. Elements that are shorter need blanks behind them."
)


class NotSure(Exception):
    """A line end stands in the middle of a segment, and nothing behind it tells why."""


def width_of(beginning: bytes, *, is_all: bool, begins_line: bool = True) -> int | None:
    """The width of the lines that an interchange was cut into, 0 where it was not; None where more of it is
    needed to tell. Raises NotSure.

    ``beginning`` is from ISA on; ``is_all`` says that the file ends there. Of one that does not begin a line
    nothing says how wide its first line is.
    """
    looked_at = beginning[:LOOKED_AT_MAX_BYTES]
    first = _line_end(looked_at, 0)
    if first < 0 or first > WIDTH_MAX_BYTES:
        return 0 if is_all or len(looked_at) > WIDTH_MAX_BYTES else None
    if first < TERMINATOR_AT:
        if _is_narrow(looked_at[:first]):
            return 0
        if begins_line:
            return first
        raise NotSure
    odd = any(looked_at[at] != looked_at[3] for at in SEPARATORS_AT)
    if odd or looked_at[TERMINATOR_AT:ISA_BYTES] in BLANK:
        return 0  # this is no ISA as it should be, or lines are segments
    is_whole = _ends_segment(looked_at, first)
    if not begins_line:
        if is_whole:
            return 0
        raise NotSure
    begins = first + len(line_end_at(looked_at, first))
    second = _line_end(looked_at, begins)
    if second < 0 and len(looked_at) - begins > first:
        return 0  # the rest is one line: the line end is in a value
    if second - begins == first:
        return 0 if is_whole and _ends_segment(looked_at, second) else first
    if not is_all and (second < 0 or not looked_at[second:].strip(BLANK)):
        return None
    if is_whole:
        return 0
    raise NotSure


def _is_narrow(line: bytes) -> bool:
    """Whether a line has all elements of an ISA, which then only is narrower than it should be."""
    separator = line[3:4]
    return len(line) < 4 or (line.count(separator) >= len(SEPARATORS_AT) and not line.endswith(separator))


def _ends_segment(looked_at: bytes, at: int) -> bool:
    """Whether a line end stands where one segment ends: behind its terminator, or before it."""
    terminator = looked_at[TERMINATOR_AT:ISA_BYTES]
    return looked_at[:at].rstrip(BLANK).endswith(terminator) or looked_at[at:].lstrip(BLANK)[:1] == terminator


def line_end_at(data: bytes, at: int) -> bytes:
    """What a line ends with that ends there."""
    return data[at : at + 2] if data[at : at + 2] == b"\r\n" else data[at : at + 1]


class Wrapped:
    """The lines of an interchange that was cut, one after the other."""

    def __init__(self, width: int, line_end: bytes) -> None:
        self._width, self._line_end = width, line_end
        self._raw = bytearray()
        self._isa = self._last = b""

    @property
    def has_begun(self) -> bool:
        """Whether a line was taken."""
        return bool(self._isa)

    def add(self, data: bytes) -> None:
        """More of the file."""
        self._raw += data

    def rest(self) -> bytes:
        """What was not asked for as a line."""
        return bytes(self._raw)

    def line(self, terminator: bytes, offset_bytes: int, *, is_all: bool) -> tuple[bytes, int] | None:
        """The next line, with its line end where that parts segments, and how many bytes were taken out
        behind it; None where there is none, or more of the file is needed. Raises Unsplittable.

        ``terminator`` is empty where ISA has not been read yet.
        """
        raw, width, line_end = self._raw, self._width, self._line_end
        at = raw.find(line_end)
        if at < 0:
            if not is_all and len(raw) < width + len(line_end):
                return None
            if len(raw) > width:
                raise Unsplittable("wrapped-unevenly", offset_bytes, UNEVEN)
            line, taken_out = bytes(raw), 0
            self._isa += line[: ISA_BYTES - len(self._isa)]
            raw.clear()
            return (line, taken_out) if line else None
        line = bytes(raw[:at])
        self._isa += line[: ISA_BYTES - len(self._isa)]
        del raw[: at + len(line_end)]
        self._last = line.rstrip(BLANK)[-1:] or self._last
        if at == width:
            return line, len(line_end)
        # A blank line stands between segments too where the one before it ended with a segment.
        if at < width and self._last == (terminator or self._isa[TERMINATOR_AT:]):
            return line + line_end, 0
        raise Unsplittable("wrapped-unevenly", offset_bytes, UNEVEN)


def unwrapped(body: bytes) -> bytes:
    """A whole file with its lines put together, where they were cut; else as it is. Raises Unsplittable.

    Of several interchanges the first one tells.
    """
    at = len(body) - len(body.lstrip(BLANK + b"\xef\xbb\xbf"))
    try:
        width = width_of(body[at : at + LOOKED_AT_MAX_BYTES], is_all=len(body) - at <= LOOKED_AT_MAX_BYTES)
    except NotSure:
        return body
    if not width:
        return body
    wrapped, found = Wrapped(width, line_end_at(body, at + width)), [body[:at]]
    wrapped.add(body[at:])
    while (line := wrapped.line(b"", 0, is_all=True)) is not None:
        found.append(line[0])
    return b"".join(found)


def _line_end(data: bytes, begins: int) -> int:
    found = [at for at in (data.find(b"\r", begins), data.find(b"\n", begins)) if at >= 0]
    return min(found, default=-1)

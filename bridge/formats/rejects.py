"""What was not taken of a file, as a file that its sender can correct and send again. Pure.

Of HL7 v2 it is a batch, of X12 each transaction in an interchange of its own, of JSON what its items were in;
of rows it is the head of the file, the rows as they came, and a trailer with the totals of these.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Final, Protocol

from bridge.formats.base import Batch, Format, Unsplittable
from bridge.formats.delimited import Delimited
from bridge.formats.fixed import Fixed, place_of
from bridge.formats.json_records import JsonFormat
from bridge.formats.rows import BadRow, RowsFile, RowsFormat, Total

READ_BYTES: Final = 64 * 1024
MESSAGE_MAX_BYTES: Final = 16 * 1024**2
_LINE_ENDS: Final = (b"\r\n", b"\n", b"\r")


class Opened(Protocol):
    """A file as it came, read once from its beginning."""

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


@dataclass(frozen=True, slots=True)
class Rejected:
    """A message that was not taken: its number in its file, and its bytes as the journal has them."""

    number: int
    body: bytes = field(repr=False)


def rejects_of(format_: Format, rejected: Sequence[Rejected], opened: Callable[[], Opened]) -> bytes:
    """A file of what was not taken. ``opened`` gives the file as it came, which rows are cut out of."""
    bodies = [each.body for each in rejected]
    if isinstance(format_, RowsFormat):
        content = opened()
        try:
            return _rows(format_, frozenset(each.number for each in rejected), content)
        finally:
            content.close()
    if isinstance(format_, JsonFormat):
        if format_.options.records == "array":
            return b"[" + b",\n".join(bodies) + b"]\n"
        return b"".join(each.rstrip(b"\r\n") + b"\n" for each in bodies)
    if bodies and bodies[0].startswith(b"MSH"):
        lines = [each.rstrip(b"\r\n") + b"\r" for each in bodies]
        return b"".join([b"BHS|^~\\&\r", *lines, b"BTS|%d\r" % len(lines)])
    return b"".join(bodies)


# Rows.


def _rows(format_: RowsFormat, numbers: frozenset[int], content: Opened) -> bytes:
    head: list[bytes] = []
    kept: list[bytes] = []
    trailer = b""
    for kind, number, row in _told_apart(format_, content):
        if kind == "head":
            head.append(row)
        elif kind == "trailer":
            trailer = row
        elif number in numbers:
            kept.append(row)
    written = b"".join(_ended([*head, *kept]))
    return written + _with_totals(format_, written, trailer) if trailer else written


def _ended(rows: list[bytes]) -> list[bytes]:
    """Rows of which each has its line end, where others have one: the last one of a file may have none."""
    end = next((each for each in _LINE_ENDS if rows and rows[0].endswith(each)), b"")
    return [row if not end or row.endswith(_LINE_ENDS) else row + end for row in rows]


def _told_apart(format_: RowsFormat, content: Opened) -> Iterator[tuple[str, int, bytes]]:
    """Each row as it came: what it is, and the number of the message that it is in."""
    splitter, options = format_.splitter(MESSAGE_MAX_BYTES), format_.options
    number, inside, skipped = 0, 0, 0
    for raw, row in _cut(splitter, content):
        if skipped < options.skip:
            skipped += 1
            yield "head", 0, raw
        elif not splitter.is_blank(row):
            try:
                read = splitter.read(row)
            except BadRow:
                number, inside = number + 1, 0
                yield "detail", number, raw
                continue
            if read is not None and read.kind == "detail":
                number += not inside
                inside = (inside + 1) % options.rows
                yield "detail", number, raw
            else:
                yield "head" if read is None or read.kind == "header" else "trailer", 0, raw


def _cut(splitter: RowsFile, content: Opened) -> Iterator[tuple[bytes, bytes]]:
    """Each row of a file with its line end, and as the splitter gives it."""
    buffer = bytearray()
    while True:
        data = content.read(READ_BYTES)
        buffer += data
        before = bytes(buffer)
        rows = splitter.cut(buffer, last=not data)
        at = max(0, len(before) - len(buffer) - sum(size for size, _, _ in rows))
        for size, _, row in rows:
            yield before[at : at + size], row
            at += size
        if not data:
            return


def _batch(format_: RowsFormat, content: bytes) -> Batch | None:
    splitter = format_.splitter(MESSAGE_MAX_BYTES)
    try:
        splitter.feed(content)
        splitter.end()
    except Unsplittable:
        return None
    return splitter.batches[0] if splitter.batches else None


def _with_totals(format_: RowsFormat, written: bytes, trailer: bytes) -> bytes:
    """The trailer with the totals of what is written; nothing where it cannot be made to say them."""
    batch = _batch(format_, written)
    if batch is None:
        return b""
    totals = {each.trailer: _said(each, batch.found) for each in format_.options.totals}
    ended = None
    if isinstance(format_, Delimited):
        ended = _delimited(format_, trailer, totals)
    elif isinstance(format_, Fixed):
        ended = _fixed(format_, trailer, totals)
    whole = None if ended is None else _batch(format_, written + ended)
    return ended if ended is not None and whole is not None and whole.is_right else b""


def _said(total: Total, found: Mapping[str, str]) -> str:
    value = Decimal(found.get(total.trailer, "0"))
    return f"{value.scaleb(total.decimals):f}" if total.of == "sum" else f"{value:f}"


def _delimited(format_: Delimited, trailer: bytes, totals: Mapping[str, str]) -> bytes | None:
    options = format_.options
    read = format_.splitter(MESSAGE_MAX_BYTES).read(trailer)
    if read is None or options.trailer is None:
        return None
    values = [totals.get(name, read.texts.get(name, "")) for name in options.trailer.columns]
    special = (options.separator, "\r", "\n", *((options.quote,) if options.quote else ()))
    quoted = [
        f"{options.quote}{each.replace(options.quote, options.quote * 2)}{options.quote}"
        if options.quote and any(one in each for one in special)
        else each
        for each in values
    ]
    end = next((each for each in _LINE_ENDS if trailer.endswith(each)), b"")
    return options.separator.join(quoted).encode(options.charset) + end


def _fixed(format_: Fixed, trailer: bytes, totals: Mapping[str, str]) -> bytes | None:
    options, row = format_.options, bytearray(trailer)
    declared = options.trailer
    if declared is None or declared.copybook:
        return None
    for name, text in totals.items():
        where = place_of(declared, name)
        if where is None or name in declared.packed:
            return None
        width = where.stop - where.start
        zeros = "0" if row[where.start : where.start + 1].decode(options.charset) != " " else " "
        sign = "-" if text.startswith("-") else ""
        digits = text.removeprefix("-")
        filled = sign + digits.rjust(width - len(sign), zeros) if zeros == "0" else text.rjust(width)
        if len(filled) != width or len(row) < where.stop:
            return None
        row[where] = filled.encode(options.charset)
    return bytes(row)

"""Rows that were not taken, as a file that its sender can correct and send again: the head of the file, the
rows as they came, and a trailer with the totals of these. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final

from bridge.formats.base import Batch, Opened, Rejected, Unsplittable
from bridge.formats.control_totals import written
from bridge.formats.rows import BadRow, RowsFile, RowsFormat

READ_BYTES: Final = 64 * 1024
MESSAGE_MAX_BYTES: Final = 16 * 1024**2
LINE_ENDS: Final = (b"\r\n", b"\n", b"\r")
Ends = Callable[[bytes, Mapping[str, str]], bytes | None]
"""A trailer as it came, with other totals by their names; None where it cannot be made to say them."""


def rejected_rows(
    format_: RowsFormat, rejected: Sequence[Rejected], opened: Callable[[], Opened], ends: Ends
) -> bytes:
    """Rows that were not taken as they came, behind the head of their file.

    ``ends`` makes its trailer say other totals.
    """
    content = opened()
    try:
        return _rows(format_, frozenset(each.number for each in rejected), content, ends)
    finally:
        content.close()


def _rows(format_: RowsFormat, numbers: frozenset[int], content: Opened, ends: Ends) -> bytes:
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
    rows = b"".join(_ended([*head, *kept]))
    return rows + _with_totals(format_, rows, trailer, ends) if trailer else rows


def _ended(rows: list[bytes]) -> list[bytes]:
    """Rows of which each has its line end, where others have one: the last one of a file may have none."""
    end = next((each for each in LINE_ENDS if rows and rows[0].endswith(each)), b"")
    return [row if not end or row.endswith(LINE_ENDS) else row + end for row in rows]


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
        at = added = 0
        if splitter.begun(buffer, last=not data):
            added = splitter.ended(buffer) if buffer and not data else 0
            while (found := splitter.cut(buffer, at, last=not data)) is not None:
                size, _, row = found
                end = min(at + size, len(buffer) - added)
                yield bytes(buffer[at:end]), row
                at += size
        del buffer[:at]
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


def _with_totals(format_: RowsFormat, rows: bytes, trailer: bytes, ends: Ends) -> bytes:
    """The trailer with the totals of what is written; nothing where it cannot be made to say them."""
    batch = _batch(format_, rows)
    if batch is None:
        return b""
    totals = {each.trailer: written(each, batch.found) for each in format_.options.totals}
    ended = ends(trailer, totals)
    whole = None if ended is None else _batch(format_, rows + ended)
    return ended if ended is not None and whole is not None and whole.is_right else b""

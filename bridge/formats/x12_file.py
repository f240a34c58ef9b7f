"""A file of X12 interchanges, taken apart as it arrives: its transactions, and what trailers say. Pure.

    ISA { GS { ST ... SE } GE } IEA                                     (X12.5, X12.6)

Each transaction comes out as an interchange of its own, with the ISA and GS that it stood in, so that it can
be read by itself. SE01, GE01 and IEA01 are held against what came, and so is the payment of an 835: BPR02 is
the sum of CLP04 less the adjustments of PLB (005010X221A1 1.10.2).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Final, NamedTuple

from bridge.formats.base import Batch, Difference, Piece, Unsplittable
from bridge.formats.edi_levels import Counted, Levels, Totals
from bridge.formats.x12_wrapped import (
    BLANK,
    ISA_BYTES,
    LOOKED_AT_MAX_BYTES,
    NOT_AS_WIDE,
    SEPARATORS_AT,
    TERMINATOR_AT,
    UNSURE,
    NotSure,
    Wrapped,
    line_end_at,
    width_of,
)
from bridge.units import size_text

_COMPONENT_AT: Final = 104
_BLANK: Final = BLANK + b"\0\x1a"
"""What may stand between interchanges; between segments it is `BLANK`."""
_CUTS_KEPT_COUNT: Final = 10_000
_MARK: Final = b"\xef\xbb\xbf"
_AMOUNT: Final = re.compile(rb"[+-]?(?:\d{1,18}(?:\.\d{0,9})?|\.\d{1,9})")
_PLB_AMOUNTS: Final = (4, 6, 8, 10, 12, 14)


@dataclass(slots=True)
class _Payment:
    """What an 835 pays, and what it says that it pays."""

    said: Decimal | None = None
    claims: Decimal = Decimal(0)
    adjustments: Decimal = Decimal(0)
    place: str = ""
    unreadable: str = ""


class _Patterns(NamedTuple):
    """What is looked for in an interchange. Before a segment stands the terminator of another."""

    read: re.Pattern[bytes]
    """A segment in which something is read."""
    claim: re.Pattern[bytes]
    """A claim with an amount, CLP04."""

    @classmethod
    def of(cls, separator: bytes, terminator: bytes) -> _Patterns:
        """Those of an interchange with these."""
        after, end = re.escape(separator), re.escape(terminator)
        element = b"[^%b%b]" % (after, end)
        return cls(
            re.compile(
                b"%b[ \\t\\r\\n]*(?=[BGIPS])(?:G[ES]%b|S[ET]%b|ISA|IEA|BPR|PLB)" % (end, after, after)
            ),
            re.compile(b"%bCLP%b(?:%b*%b){3}(%b+)" % (end, after, element, after, element)),
        )


class X12File:
    """One file: a `Splitter`.

    Most segments of a file only have to be there: they are taken together, up to the next one that is read.
    """

    def __init__(self, message_max_bytes: int, *, ta1: bool = False) -> None:
        """``ta1`` says whether each TA1 comes out too, as an interchange of its own."""
        self._ta1 = ta1
        self._max = message_max_bytes
        self._buffer = bytearray()
        self._offset = 0
        """Of the buffer's first byte in the file, but for the line ends that were taken out before it."""
        self._separator = self._terminator = b""
        self._patterns = _Patterns.of(b"*", b"~")
        self._isa = self._gs = b""
        self._levels = Levels(_COUNTED)
        self._segments: list[bytes] = []
        """Of the transaction that has begun: one segment each, or several with what ends them between."""
        self._count = self._size = 0
        self._payment: _Payment | None = None
        self._any, self._begins_line = False, True
        self._wrapped: Wrapped | None = None
        self._cuts: list[tuple[int, int]] = []
        """Where line ends were taken out, and how many bytes of them until there."""

    @property
    def batches(self) -> Sequence[Batch]:
        """As `Splitter` says."""
        return self._levels.batches

    def feed(self, data: bytes) -> list[Piece]:
        """Add bytes; the transactions that are complete. Raises Unsplittable."""
        pieces: list[Piece] = []
        self._take(data, pieces, is_all=False)
        return pieces

    def _take(self, data: bytes, pieces: list[Piece], *, is_all: bool) -> None:
        """Go on as far as the bytes go, line by line where lines were cut."""
        if self._wrapped is None:
            self._buffer += data
        else:
            self._wrapped.add(data)
        while True:
            while self._begin(is_all=is_all) if not self._terminator else self._advance(pieces):
                pass
            if (wrapped := self._wrapped) is None:
                return
            if wrapped.has_begun and not self._terminator and not self._buffer.strip(_BLANK):
                # The interchange has ended with its line: the next one may be cut otherwise, or not at all.
                self._buffer += wrapped.rest()
                self._wrapped, self._begins_line = None, True
                continue
            end = self._offset + len(self._buffer)
            found = wrapped.line(self._terminator, self._in_file(end), is_all=is_all)
            if found is None:
                return
            line, taken_out = found
            self._buffer += line
            if taken_out:
                before = self._cuts[-1][1] if self._cuts else 0
                self._cuts.append((end + len(line), before + taken_out))

    def _in_file(self, offset: int) -> int:
        """An offset, with the line ends that were taken out before it."""
        at = bisect_right(self._cuts, offset, key=lambda cut: cut[0])
        return offset + (self._cuts[at - 1][1] if at else 0)

    def end(self) -> Sequence[Piece]:
        """The file has ended. Raises Unsplittable where a transaction has not."""
        pieces: list[Piece] = []
        self._take(b"", pieces, is_all=True)
        if self._terminator and self._buffer.strip(_BLANK):
            # The last segment of some senders has no terminator.
            self._buffer += self._terminator
            self._advance(pieces)
        if self._buffer.strip(_BLANK):
            text = "This is no X12 interchange: expected ISA."
            raise Unsplittable("no-isa", self._in_file(self._offset), text)
        if not self._any:
            raise Unsplittable("no-isa", 0, "No interchange begins in this file: expected ISA.")
        if self._levels and self._levels.innermost.kind == "transaction":
            raise Unsplittable("no-se", self._levels.innermost.offset_bytes, "A transaction ends without SE.")
        while self._levels:
            self._levels.close(None, self._in_file(self._offset))
        return pieces

    def _begin(self, *, is_all: bool) -> bool:
        """Look for ISA, whose places say what separates; whether it is there."""
        buffer = self._buffer
        lead = len(buffer) - len(buffer.lstrip(_BLANK + (_MARK if not self._any else b"")))
        self._begins_line |= any(each in buffer[:lead] for each in b"\r\n")
        del buffer[:lead]
        self._offset += lead
        if buffer and not b"ISA".startswith(buffer[:3]):
            reason = "bytes-after-interchange" if self._any else "no-isa"
            text = "Expected ISA, and something else stands there."
            raise Unsplittable(reason, self._in_file(self._offset), text)
        if len(buffer) < ISA_BYTES or not self._is_whole(is_all=is_all):
            return False
        isa = bytes(buffer[:ISA_BYTES])
        begins = self._in_file(self._offset)
        separator, terminator = isa[3:4], isa[TERMINATOR_AT:ISA_BYTES]
        component = isa[_COMPONENT_AT:TERMINATOR_AT]
        fields = isa[:TERMINATOR_AT].split(separator)
        if len(fields) != 17 and any(isa[at : at + 1] != separator for at in SEPARATORS_AT):
            raise Unsplittable("bad-isa", begins, NOT_AS_WIDE)
        if len({separator, terminator, component}) != 3 or separator.isalnum() or terminator.isalnum():
            text = "ISA does not name three different separators in its places."
            raise Unsplittable("bad-delimiters", begins, text)
        if len(fields) != 17:
            raise Unsplittable("bad-isa", begins, "ISA has not its 16 elements.")
        self._separator, self._terminator, self._isa, self._any = separator, terminator, isa, True
        self._begins_line = False
        self._patterns = _Patterns.of(separator, terminator)
        self._levels.begin("interchange", _text(fields, 13), _text(fields, 9), begins)
        del buffer[:ISA_BYTES]
        self._offset += ISA_BYTES
        return True

    def _is_whole(self, *, is_all: bool) -> bool:
        """Whether what was fed can be read as it is. Where lines were cut it is put aside, to be taken line
        by line.
        """
        if self._wrapped is not None:
            return True
        buffer = self._buffer
        try:
            looked_at = bytes(buffer[:LOOKED_AT_MAX_BYTES])
            width = width_of(looked_at, is_all=is_all, begins_line=self._begins_line)
        except NotSure:
            raise Unsplittable("wrapped-unevenly", self._in_file(self._offset), UNSURE) from None
        if width:
            self._wrapped = Wrapped(width, line_end_at(bytes(buffer[: width + 2]), width))
            self._wrapped.add(bytes(buffer))
            buffer.clear()
        return width == 0

    def _advance(self, pieces: list[Piece]) -> bool:
        """Take the segments that are complete; whether an interchange has ended, and another may begin."""
        buffer, terminator = self._buffer, self._terminator
        cut = buffer.rfind(terminator)
        if cut < 0:
            if len(buffer) + self._size > self._max:
                raise self._too_large(self._in_file(self._offset))
            return False
        # With the end of a segment before it, as before all others.
        data = b"".join((terminator, buffer[: cut + 1]))
        at, ended, before = 1, False, self._offset - 1
        while at < len(data) and not ended:
            if self._levels.innermost.kind == "transaction":
                found = self._patterns.read.search(data, at - 1)
                begins = found.start() + 1 if found is not None else len(data)
                if begins > at:
                    self._together(data[at:begins], before + at)
                    at = begins
                    continue
            end = data.index(terminator, at)
            segment = data[at:end]
            if body := _body(segment):
                offset = self._in_file(before + at + segment.index(body))
                ended = self._segment(body, offset, pieces)
            at = end + 1
        del buffer[: at - 1]
        self._offset += at - 1
        if len(self._cuts) > _CUTS_KEPT_COUNT:
            # All offsets that are still asked for are behind the last one of these.
            del self._cuts[: max(bisect_right(self._cuts, self._offset, key=lambda cut: cut[0]) - 1, 0)]
        if self._size > self._max:
            raise self._too_large(self._in_file(self._offset))
        return ended

    def _together(self, data: bytes, offset: int) -> None:
        """Take whole segments of a transaction of which nothing is asked but that they are there, and what
        claims pay.
        """
        end, size = self._terminator, len(data)
        text = data[:-1]
        if end not in b"\r\n" and (b"\n" in text or b"\r" in text):
            text = text.lstrip(BLANK).replace(end + b"\r\n", end).replace(end + b"\n", end)
        count = text.count(end) + 1
        is_odd = (end != b"\r" and b"\r" in text) or (end != b"\n" and b"\n" in text)
        has_blank = text[:1] in (b" ", b"\t") or end + b" " in text or end + b"\t" in text
        if is_odd or has_blank or not text or text[:1] == end or text[-1:] == end or end + end in text:
            segments = [body for segment in data.split(end) if (body := _body(segment))]
            count, size = len(segments), sum(map(len, segments)) + len(segments)
            text = end.join(segments)
        self._size += size
        if not count:
            return
        self._count += count
        self._segments.append(text)
        if self._payment is not None:
            self._add_claims(self._payment, text, data, offset)

    def _add_claims(self, payment: _Payment, text: bytes, data: bytes, offset: int) -> None:
        amounts = self._patterns.claim.findall(self._terminator + text)
        if all(map(_AMOUNT.fullmatch, amounts)):
            payment.claims = sum((Decimal(amount.decode("ascii")) for amount in amounts), payment.claims)
            return
        for segment in data.split(self._terminator):
            fields = _body(segment).split(self._separator)
            if fields[0] == b"CLP":
                self._add(payment, b"CLP", fields, self._in_file(offset + segment.index(b"CLP")))
            offset += len(segment) + 1

    def _segment(self, body: bytes, offset: int, pieces: list[Piece]) -> bool:
        fields = body.split(self._separator)
        name, inside = fields[0], self._levels.innermost.kind == "transaction"
        if inside:
            self._size += len(body) + 1
        if inside and name not in (b"ST", b"GS", b"GE", b"IEA", b"ISA"):
            self._segments.append(body)
            self._count += 1
            if self._payment is not None:
                self._add(self._payment, name, fields, offset)
            if name == b"SE":
                pieces.append(self._transaction(fields, offset))
            return False
        if inside:
            raise Unsplittable("no-se", self._levels.innermost.offset_bytes, "A transaction ends without SE.")
        match name:
            case b"GS":
                self._levels.leave("group", offset)
                self._gs = body
                self._levels.begin("group", _text(fields, 6), _text(fields, 4), offset)
            case b"ST":
                self._levels.begin("transaction", _text(fields, 2), "", offset)
                self._segments, self._count, self._size = [body], 1, len(body) + 1
                self._payment = _Payment() if fields[1:2] == [b"835"] else None
            case b"GE" if self._levels.innermost.kind == "group":
                self._levels.close(_said(fields), offset)
            case b"IEA":
                self._levels.leave("group", offset)
                self._levels.close(_said(fields), offset)
                self._terminator, self._gs = b"", b""
                return True
            case b"TA1":  # an answer to an interchange; it carries no transaction
                if self._ta1:
                    pieces.append(self._answer(body, offset))
            case _:
                text = "A segment stands outside of a transaction."
                raise Unsplittable("segment-outside", offset, text)
        return False

    def _transaction(self, fields: list[bytes], offset: int) -> Piece:
        begins = self._levels.innermost.offset_bytes
        if self._size > self._max:
            raise self._too_large(begins)
        self._levels.message(self._count, self._terminator.join(self._segments))
        group = self._gs.split(self._separator)
        parts = [self._isa[:TERMINATOR_AT], self._gs, *self._segments]
        if self._gs:
            parts.append(self._separator.join((b"GE", b"1", *group[6:7])))
        parts.append(self._separator.join((b"IEA", b"1" if self._gs else b"0", self._isa_number())))
        body = self._terminator.join(part for part in parts if part) + self._terminator
        self._levels.close(_said(fields), offset, None if self._payment is None else _judged(self._payment))
        self._segments, self._count, self._size, self._payment = [], 0, 0, None
        return Piece(begins, body)

    def _answer(self, ta1: bytes, offset: int) -> Piece:
        self._levels.beside(ta1)
        parts = (self._isa[:TERMINATOR_AT], ta1, self._separator.join((b"IEA", b"0", self._isa_number())))
        return Piece(offset, self._terminator.join(parts) + self._terminator)

    def _isa_number(self) -> bytes:
        return self._isa[:TERMINATOR_AT].split(self._separator)[13]

    @staticmethod
    def _add(payment: _Payment, name: bytes, fields: list[bytes], offset: int) -> None:
        match name:
            case b"BPR":
                payment.place = f"BPR02 at byte {offset}"
                payment.said = _amount(payment, fields, 2, payment.place)
            case b"CLP":
                payment.claims += _amount(payment, fields, 4, f"CLP04 at byte {offset}")
            case b"PLB":
                for number in _PLB_AMOUNTS:
                    if number < len(fields) and fields[number]:
                        place = f"PLB{number:02} at byte {offset}"
                        payment.adjustments += _amount(payment, fields, number, place)

    def _too_large(self, offset: int) -> Unsplittable:
        return Unsplittable(
            "message-too-large", offset, f"A transaction is larger than {size_text(self._max)}."
        )


_COUNTED: Final = {
    "transaction": Counted("segments", "SE01", "SE02"),
    "group": Counted("transactions", "GE01", "GE02"),
    "interchange": Counted("groups", "IEA01", "IEA02"),
}


def _body(segment: bytes) -> bytes:
    """A segment without what parts it from the one before. Blanks behind it belong to its last element."""
    return segment.lstrip(BLANK).rstrip(b"\r\n")


def _said(trailer: list[bytes]) -> tuple[str, str]:
    return _text(trailer, 1), _text(trailer, 2)


def _judged(payment: _Payment) -> Totals:
    totals = Totals()
    if payment.unreadable:
        totals.differences.append(Difference("amount", "unreadable", "", payment.unreadable))
    else:
        totals.judge("amount", payment.said, payment.claims - payment.adjustments, payment.place)
    return totals


def _amount(payment: _Payment, fields: list[bytes], number: int, place: str) -> Decimal:
    text = fields[number] if number < len(fields) else b""
    if not text:
        return Decimal(0)
    if not _AMOUNT.fullmatch(text):
        payment.unreadable = payment.unreadable or place
        return Decimal(0)
    return Decimal(text.decode("ascii"))


def _text(fields: list[bytes], number: int) -> str:
    value = fields[number] if number < len(fields) else b""
    return value.decode("utf-8", "replace").strip()[:200]

"""A file of EDIFACT interchanges, taken apart as it arrives: its messages, and what trailers say. Pure.

    [UNA] UNB { [UNG] { UNH ... UNT } [UNE] } UNZ                       (ISO 9735-1)

Each message comes out as an interchange of its own, with the UNA, UNB and UNG that it stood in, so that it
can be read by itself. UNT, UNE and UNZ are held against what came, and so are the control totals of messages
about goods: the lines and quantities of CNT, and of an invoice the sum of its lines, MOA 79 (D.96A).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Final

from bridge.formats.base import Batch, Difference, Piece, Unsplittable
from bridge.formats.edi_levels import Counted, Levels, Totals
from bridge.formats.edifact import BLANK, BYTE_ORDER_MARK, EdifactMessage
from bridge.formats.edifact_syntax import UNA_BYTES, BadSeparators, Separators
from bridge.units import size_text

_SERVICE: Final = frozenset({b"UNA", b"UNB", b"UNG", b"UNH", b"UNT", b"UNE", b"UNZ"})
_COUNTED_BY_NAME: Final = frozenset({b"LIN", b"UNS"})
_AMOUNT: Final = re.compile(r"[+-]?(?:\d{1,18}(?:[.,]\d{0,9})?|[.,]\d{1,9})")
_COUNTED: Final = {
    "message": Counted("segments", "UNT-01", "UNT-02"),
    "group": Counted("messages", "UNE-01", "UNE-02"),
    "interchange": Counted("messages", "UNZ-01", "UNZ-02"),
}
"""UNZ counts the groups of an interchange that has groups."""
LINES: Final = {
    "ORDERS": "21",
    "ORDCHG": "21",
    "ORDRSP": "",
    "DESADV": "12",
    "RECADV": "",
    "INVOIC": "47",
    "INVRPT": "",
    "SLSRPT": "",
    "PRICAT": "",
}
"""Messages whose CNT 2 counts their LIN; and the quantity (QTY 6063) that CNT 1 sums, if each has one."""
_LINE_AMOUNT, _LINES_AMOUNT = "203", "79"


class _Sums:
    """What the lines of one message come to, and what it says that they do."""

    def __init__(self, quantity: str, *, is_invoice: bool) -> None:
        self._quantity, self._is_invoice = quantity, is_invoice
        self._lines = self._quantities = self._amounts = 0
        self._sum = self._amount = Decimal(0)
        self._said: dict[str, tuple[Decimal, str]] = {}
        self._in_summary = False
        self._unreadable: list[Difference] = []

    def count(self, name: bytes) -> None:
        """A line begins, or what is said of all of them."""
        if name == b"LIN":
            self._lines += 1
        else:
            self._in_summary = True

    def add(self, name: bytes, qualifier: str, value: str, place: str) -> None:
        """One segment of those that are summed."""
        match name:
            case b"QTY" if qualifier == self._quantity and self._lines:
                self._quantities += 1
                self._sum += self._number("quantity", value, place)
            case b"MOA" if qualifier == _LINE_AMOUNT and self._lines and not self._in_summary:
                self._amounts += 1
                self._amount += self._number("amount", value, place)
            case b"MOA" if qualifier == _LINES_AMOUNT and self._in_summary:
                self._said["amount"] = self._number("amount", value, place), place
            case b"CNT" if qualifier in ("1", "2"):
                what = "quantity" if qualifier == "1" else "lines"
                self._said[what] = self._number(what, value, place), place

    @property
    def amount(self) -> Decimal | None:
        """What the lines of an invoice come to; None where it does not say it line by line."""
        return self._amount if self._is_invoice and self._amounts else None

    def totals(self) -> Totals | None:
        """What is to be held against what; None where the message says nothing that is known here."""
        found = {"lines": Decimal(self._lines)}
        if self._quantity and self._quantities == self._lines:
            found["quantity"] = self._sum
        if self.amount is not None:
            found["amount"] = self.amount
        judged = Totals(differences=self._unreadable)
        unreadable = {each.what for each in self._unreadable}
        for what, (said, place) in self._said.items():
            if what in found and what not in unreadable:
                judged.judge(what, said, found[what], place)
        return judged if judged.found or judged.differences else None

    def _number(self, what: str, value: str, place: str) -> Decimal:
        if _AMOUNT.fullmatch(value):
            return Decimal(value.replace(",", "."))
        if all(each.what != what for each in self._unreadable):
            self._unreadable.append(Difference(what, "unreadable", "", place))
        return Decimal(0)


def _begins(quantity: str, separators: Separators) -> tuple[bytes, ...]:
    """How the segments begin that are summed, in this interchange."""
    qualified = {b"QTY": [quantity], b"MOA": [_LINE_AMOUNT, _LINES_AMOUNT], b"CNT": ["1", "2"]}
    return (
        *_COUNTED_BY_NAME,
        *(
            separators.element.join((name, qualifier.encode())) + separators.component
            for name, qualifiers in qualified.items()
            for qualifier in qualifiers
        ),
    )


class EdifactFile:
    """One file: a `Splitter`."""

    def __init__(self, message_max_bytes: int) -> None:
        self._max = message_max_bytes
        self._levels = Levels(_COUNTED)
        self._buffer = bytearray()
        self._offset = 0
        """Of the buffer's first byte in the file."""
        self._looked = 0
        """So much of the buffer was looked through, and ends no segment."""
        self._separators: Separators | None = None
        self._una = self._unb = self._ung = b""
        self._segments: list[bytes] = []
        """Of the message that has begun."""
        self._size = 0
        self._sums: _Sums | None = None
        self._summed: tuple[bytes, ...] = ()
        """How the segments begin that are summed."""
        self._any = False

    @property
    def batches(self) -> Sequence[Batch]:
        """As `Splitter` says."""
        return self._levels.batches

    def feed(self, data: bytes) -> list[Piece]:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        self._buffer += data
        pieces: list[Piece] = []
        while self._begin() if self._separators is None else self._advance(pieces):
            pass
        return pieces

    def end(self) -> Sequence[Piece]:
        """The file has ended. Raises Unsplittable where a message has not."""
        pieces: list[Piece] = []
        if self._separators is not None and self._buffer.strip(BLANK):
            # The last segment of some senders has no terminator.
            self._buffer += self._separators.terminator
            self._advance(pieces)
        if self._buffer.strip(BLANK):
            raise Unsplittable("no-unb", self._offset, "This is no EDIFACT interchange: expected UNA or UNB.")
        if not self._any:
            raise Unsplittable("no-unb", 0, "No interchange begins in this file: expected UNA or UNB.")
        if self._levels and self._levels.innermost.kind == "message":
            raise self._no_unt()
        while self._levels:
            self._levels.close(None, self._offset)
        return pieces

    def _begin(self) -> bool:
        """Look for UNA or UNB, which say what separates; whether it is there."""
        buffer = self._buffer
        self._skip(len(buffer) - len(buffer.lstrip(BLANK + (BYTE_ORDER_MARK if not self._any else b""))))
        if buffer and not b"UNA".startswith(buffer[:3]) and not b"UNB".startswith(buffer[:3]):
            reason = "bytes-after-interchange" if self._any else "no-unb"
            raise Unsplittable(reason, self._offset, "Expected UNA or UNB, and something else stands there.")
        start = bytes(buffer[:UNA_BYTES])
        if len(start) < UNA_BYTES:
            return False
        try:
            if start.startswith(b"UNA"):
                self._separators, self._una = Separators.of_una(start), start
                self._skip(UNA_BYTES)
            else:
                self._separators, self._una = Separators.of_unb(start), b""
        except BadSeparators as error:
            raise Unsplittable("bad-separators", self._offset, str(error)) from None
        self._any = True
        return True

    def _skip(self, size: int) -> None:
        del self._buffer[:size]
        self._offset += size

    def _advance(self, pieces: list[Piece]) -> bool:
        """Take the segments that are complete; whether an interchange has ended, and another may begin."""
        assert self._separators is not None
        whole = self._separators.whole(self._buffer, self._looked)
        if not whole and len(self._buffer) + self._size > self._max:
            raise self._too_large(self._offset)
        data, at, ended = bytes(self._buffer[:whole]), 0, False
        for segment in self._separators.segments(data)[:-1]:
            if came := segment.lstrip(BLANK):
                begins = self._offset + at + len(segment) - len(came)
                # Lines may be of a fixed length, whatever they cut.
                wrapped = b"\n" in came or b"\r" in came
                body = came.translate(None, b"\r\n") if wrapped else came
                ended = self._segment(body, came, begins, pieces)
            at += len(segment) + 1
            if ended:
                break
        self._skip(at)
        self._looked = 0 if ended else len(self._buffer)
        return ended

    def _segment(self, body: bytes, came: bytes, offset: int, pieces: list[Piece]) -> bool:
        """Take one segment, without line ends in it and as it came; whether its interchange has ended."""
        name = body[:3]
        if name not in _SERVICE and self._segments:
            self._segments.append(came)
            self._size += len(came) + 1
            if self._size > self._max:
                raise self._too_large(self._levels.innermost.offset_bytes)
            if self._sums is not None and body.startswith(self._summed):
                self._sum(self._sums, name, body, offset)
            return False
        assert self._separators is not None
        elements = self._separators.elements(body)
        if self._segments:
            if name != b"UNT":
                raise self._no_unt()
            pieces.append(self._message(body, elements, offset))
            return False
        if not self._levels and name != b"UNB":
            raise Unsplittable("no-unb", offset, "Expected UNB, and something else stands there.")
        return self._around(name, body, elements, offset)

    def _around(self, name: bytes, body: bytes, elements: list[bytes], offset: int) -> bool:
        """Take a segment that stands around messages, or begins one; whether its interchange has ended."""
        levels = self._levels
        assert self._separators is not None
        match name:
            case b"UNB" if not levels:
                self._separators = self._separators.with_version(body)
                self._unb, self._ung = body, b""
                levels.begin("interchange", self._text(elements, 5), self._text(elements, 4), offset)
            case b"UNG":
                levels.leave("group", offset)
                self._ung = body
                levels.begin("group", self._text(elements, 5), self._text(elements, 4), offset)
            case b"UNH":
                levels.begin("message", self._text(elements, 1), "", offset)
                self._segments, self._size = [body], len(body) + 1
                kind = self._text(elements, 2)
                known = kind in LINES
                self._sums = _Sums(LINES[kind], is_invoice=kind == "INVOIC") if known else None
                self._summed = _begins(LINES.get(kind, ""), self._separators)
            case b"UNE" if levels.innermost.kind == "group":
                levels.close(self._said(elements), offset)
                self._ung = b""
            case b"UNZ":
                levels.leave("group", offset)
                levels.close(self._said(elements), offset)
                self._separators = None
                return True
            case _:
                raise Unsplittable("segment-outside", offset, "A segment stands outside of a message.")
        return False

    def _message(self, unt: bytes, elements: list[bytes], offset: int) -> Piece:
        assert self._separators is not None
        separators, begins = self._separators, self._levels.innermost.offset_bytes
        self._segments.append(unt)
        end, between = separators.terminator, separators.element
        self._levels.message(len(self._segments), end.join(self._segments))
        parts = [self._unb, *([self._ung] if self._ung else []), *self._segments]
        if self._ung:
            parts.append(between.join((b"UNE", b"1", *separators.elements(self._ung)[5:6])))
        parts.append(between.join((b"UNZ", b"1", *separators.elements(self._unb)[5:6])))
        # A file may have a million messages: one that is as it says is a part of the sums around it.
        totals = None if self._sums is None else self._sums.totals()
        if self._sums is not None and self._sums.amount is not None:
            self._levels.add(self._sums.amount)
        self._levels.close(self._said(elements), offset, totals if totals and totals.differences else None)
        self._segments, self._size, self._sums = [], 0, None
        return Piece(begins, self._una + end.join(parts) + end)

    def _sum(self, sums: _Sums, name: bytes, body: bytes, offset: int) -> None:
        if name in _COUNTED_BY_NAME:
            sums.count(name)
            return
        assert self._separators is not None
        elements = self._separators.elements(body)
        components = self._separators.parts(elements[1], self._separators.component) if elements[1:] else []
        qualifier, value = (self._text(components, number) for number in (0, 1))
        sums.add(name, qualifier, value, f"{name.decode('ascii')}-01.2 at byte {offset}")

    def _said(self, trailer: list[bytes]) -> tuple[str, str]:
        return self._text(trailer, 1), self._text(trailer, 2)

    def _text(self, elements: list[bytes], number: int) -> str:
        assert self._separators is not None
        return self._separators.text(elements[number]) if number < len(elements) else ""

    def _no_unt(self) -> Unsplittable:
        return Unsplittable("no-unt", self._levels.innermost.offset_bytes, "A message ends without UNT.")

    def _too_large(self, offset: int) -> Unsplittable:
        return Unsplittable("message-too-large", offset, f"A message is larger than {size_text(self._max)}.")


def messages_of(body: bytes) -> list[EdifactMessage]:
    """All messages of the interchanges in ``body``; one that is refused where it cannot be taken apart."""
    splitter = EdifactFile(len(body) + UNA_BYTES)
    try:
        pieces = [*splitter.feed(body), *splitter.end()]
    except Unsplittable as error:
        return [EdifactMessage.not_read(error.reason, str(error))]
    return [EdifactMessage.read(each.body) for each in pieces] or [
        EdifactMessage.not_read("no-message", "there is no UNH segment")
    ]

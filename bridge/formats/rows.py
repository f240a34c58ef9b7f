"""Files of rows, delimited or of fixed width: header, details and trailer, and what the trailer says. Pure.

Details become messages, so many rows in each, with the header of their file: JSON, in which a row is an
object of texts by their columns. A row that cannot be taken apart becomes a message of its own that says why,
so that a person sees it and the others go on; or the file is refused. Totals of the trailer are held against
the rows.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Final, Literal, NamedTuple

import orjson
from pydantic import Field

from bridge.component import Options
from bridge.formats.base import Batch, Header, Opened, Pieces, ReadProblem, Rejected, Share, Unsplittable
from bridge.formats.control_totals import TOTALS_MAX_COUNT, ControlTotals, Total
from bridge.formats.document import Document, DocumentForm
from bridge.formats.rows_plain import Plain
from bridge.units import size_text

Kind = Literal["header", "detail", "trailer"]
KINDS: Final[tuple[Kind, ...]] = ("header", "detail", "trailer")
SKIP_MAX_COUNT: Final = 1_000
RUN_MIN_BYTES: Final = 1024
RUN_MAX_BYTES: Final = 256 * 1024
"""So much is looked at together: rows by themselves are looked for in less and less of it."""


class RowsOptions(Options):
    """What a format of rows may say, however its rows are written."""

    charset: str = Field("utf-8", description="The character set, as in utf-8, windows-1252 or cp037.")
    skip: int = Field(
        0,
        ge=0,
        le=SKIP_MAX_COUNT,
        description="So many rows at the start of a file are not read: headings, where `columns` names them.",
    )
    rows: int = Field(
        1,
        gt=0,
        le=10_000,
        description="So many details make one message. A mapping that counts (`occurrence`) sees the rows of "
        "its message.",
    )
    bad_row: Literal["quarantine", "refuse"] = Field(
        "quarantine",
        description="A row that cannot be taken apart: quarantine (a message of its own, for a person; the "
        "others go on), or refuse (the file is not taken).",
    )
    totals: tuple[Total, ...] = Field(
        (), max_length=TOTALS_MAX_COUNT, description="What the trailer says of the details."
    )


def columns_read(
    rows: int, item: Iterable[str], header: Iterable[str], trailer: Iterable[str]
) -> Mapping[str, frozenset[str]]:
    """Names of columns by what reads them, as `NamesColumns` says. Where several rows make one message, what
    is read are not the columns of one."""
    own = frozenset(item) if rows == 1 else frozenset[str]()
    found = {"item": own, "root": own, "header": frozenset(header), "trailer": frozenset(trailer)}
    return {base: names for base, names in found.items() if names}


class BadRow(Exception):
    """A row that cannot be taken apart. ``reason`` is a code."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)


class RowRead(NamedTuple):
    """One row: what it is, and its texts by their columns."""

    kind: Kind
    texts: Mapping[str, str]


class RowsFile(ABC):
    """One file of rows: a `Splitter`. What differs is how rows are cut and read.

    Rows are taken many at once where all of them are plain, and one by one where not; the same comes of them.
    """

    form: DocumentForm

    def __init__(self, options: RowsOptions, message_max_bytes: int) -> None:
        self.batches: list[Batch] = []
        self._rules, self._max = options, message_max_bytes
        self._buffer = bytearray()
        self._offset = 0
        self._line = self._skipped = 0
        self._header: Mapping[str, str] = {}
        self._ends = b"]}"
        """What stands behind the rows of a message: the header of their file."""
        self._trailer: tuple[Mapping[str, str], int, int] | None = None
        self._waiting: list[bytes] = []
        """Details of the next message, as they are written in it."""
        self._waiting_at = self._waiting_line = 0
        self._messages = 0
        self._totals = ControlTotals(options.totals)
        self._digest = hashlib.sha256()
        self._run = RUN_MAX_BYTES
        """So much is looked at together now."""

    @abstractmethod
    def begun(self, data: bytearray, *, last: bool) -> bool:
        """Whether enough has come to tell rows apart, at the beginning of a file."""

    @abstractmethod
    def cut(self, data: bytearray, start: int, *, last: bool) -> tuple[int, int, bytes] | None:
        """The row that begins there, with how many bytes and lines it takes; None where it has not ended."""

    @abstractmethod
    def whole(self, data: bytearray, start: int, stop: int) -> int:
        """Where the last line that ends between these ends; not behind ``start`` where there is none."""

    @abstractmethod
    def plain(self, block: bytes) -> Plain | None:
        """Whole lines, where each of them is a detail and nothing speaks against taking them together."""

    @abstractmethod
    def ended(self, data: bytearray) -> int:
        """The file ends here: what its last row lacks at its end is added. How many bytes that took."""

    @abstractmethod
    def read(self, row: bytes) -> RowRead | None:
        """One row; None where it is nothing to be taken. Raises BadRow."""

    def is_blank(self, row: bytes) -> bool:
        """Whether there is nothing in a row."""
        return row[:1] <= b" " and not row.strip(b"\r\n \t\x1a\0")

    def feed(self, data: bytes) -> Pieces:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        self._buffer += data
        pieces = Pieces()
        self._advance(pieces, last=False)
        if len(self._buffer) > self._max:
            raise Unsplittable("row-too-large", self._offset, f"A row is larger than {size_text(self._max)}.")
        return pieces

    def end(self) -> Pieces:
        """The file has ended; the rest of its messages. Raises Unsplittable."""
        pieces = Pieces()
        self._advance(pieces, last=True)
        self._flush(pieces)
        self._judge()
        return pieces

    def _advance(self, pieces: Pieces, *, last: bool) -> None:
        """Take the rows that are complete."""
        data, at = self._buffer, 0
        if not self.begun(data, last=last):
            return
        added = self.ended(data) if last and data else 0
        end = self.whole(data, 0, len(data))
        while at < end:
            stop = self.whole(data, at, min(at + self._run, end))
            if stop > at and self._take_plain(bytes(data[at:stop]), pieces):
                at = stop
                self._run = min(self._run * 2, RUN_MAX_BYTES)
            elif self._run > RUN_MIN_BYTES:
                self._run = max(self._run // 4, RUN_MIN_BYTES)
            else:
                at = self._take_each(data, at, max(stop, at + 1), pieces, last=last)
                if at < stop:
                    break
                self._run *= 2
        if last:
            at = self._take_each(data, at, len(data), pieces, last=True)
        del data[:at]
        self._offset -= added

    def _take_each(self, data: bytearray, at: int, stop: int, pieces: Pieces, *, last: bool) -> int:
        """Rows one by one, as long as they begin before ``stop``; where the next one begins."""
        while at < stop and (row := self.cut(data, at, last=last)) is not None:
            self._take(*row, pieces)
            at += row[0]
        return at

    def _take_plain(self, block: bytes, pieces: Pieces) -> bool:
        """Rows all at once; whether that could be."""
        if self._skipped < self._rules.skip or self._trailer is not None:
            return False
        plain = self.plain(block)
        if plain is None:
            return False
        offsets_bytes, line, most = list(plain.offsets(self._offset)), self._line + 1, self._rules.rows
        if most == 1:
            bodies, together = plain.written(line, self._ends)
            if len(together) > self._max and max(map(len, bodies)) > self._max:
                return False
            self._messages += plain.count
            self._digest.update(together)
            pieces.offsets_bytes += offsets_bytes
            pieces.bodies += bodies
        else:
            rows, at = plain.written(0, b"")[0], 0
            while at < plain.count:
                if not self._waiting:
                    self._waiting_at, self._waiting_line = offsets_bytes[at], line + at
                taken = min(most - len(self._waiting), plain.count - at)
                self._waiting += rows[at : at + taken]
                at += taken
                if len(self._waiting) >= most:
                    self._flush(pieces)
        for total in self._totals.summed:
            self._count_in(total, plain, line)
        self._totals.count += plain.count
        self._line += plain.count
        self._offset += len(block)
        return True

    def _take(self, size: int, lines: int, row: bytes, pieces: Pieces) -> None:
        at, line = self._offset, self._line + 1
        self._offset += size
        self._line += lines
        if self._skipped < self._rules.skip:
            self._skipped += 1
            return
        if self.is_blank(row):
            return
        try:
            read = self.read(row)
        except BadRow as bad:
            if self._rules.bad_row == "refuse":
                raise Unsplittable(bad.reason, at, f"The row in line {line} cannot be taken apart.") from None
            self._flush(pieces)
            text = row.decode("latin-1")
            self._piece(orjson.dumps({"bad": bad.reason, "line": line, "row": text}), at, pieces)
            self._totals.count += 1
            return
        if read is None:
            return
        if self._trailer is not None:
            raise Unsplittable("row-after-trailer", at, f"A row stands after the trailer, in line {line}.")
        match read.kind:
            case "header":
                self._header = read.texts
                self._ends = b'],"header":' + orjson.dumps(read.texts) + b"}" if read.texts else b"]}"
            case "trailer":
                self._trailer = read.texts, at, line
            case _:
                self._detail(read.texts, at, line, pieces)

    def _detail(self, texts: Mapping[str, str], at: int, line: int, pieces: Pieces) -> None:
        if not self._waiting:
            self._waiting_at, self._waiting_line = at, line
        self._waiting.append(orjson.dumps(texts))
        self._totals.count += 1
        for total in self._totals.summed:
            self._add(total, texts.get(total.column, ""), line)
        if len(self._waiting) >= self._rules.rows:
            self._flush(pieces)

    def _count_in(self, total: Total, plain: Plain, line: int) -> None:
        units = plain.total(total.column)
        if units is not None:
            self._totals.add_units(total, units)
            return
        for at, text in enumerate(plain.texts(total.column)):
            self._add(total, text, line + at)

    def _add(self, total: Total, text: str, line: int) -> None:
        if not self._totals.add(total, text):
            self._totals.unreadable(total, f"{total.column} in line {line}")

    def _flush(self, pieces: Pieces) -> None:
        if not self._waiting:
            return
        # As orjson writes {"line": ..., "rows": [...], "header": {...}}, with the header written once.
        body = b'{"line":%d,"rows":[%b%b' % (self._waiting_line, b",".join(self._waiting), self._ends)
        self._piece(body, self._waiting_at, pieces)
        self._waiting = []

    def _piece(self, body: bytes, at: int, pieces: Pieces) -> None:
        if len(body) > self._max:
            raise Unsplittable("message-too-large", at, f"A message is larger than {size_text(self._max)}.")
        self._messages += 1
        self._digest.update(body)
        pieces.add(at, body)

    def _judge(self) -> None:
        if not self._rules.totals and self._trailer is None:
            return
        texts, at, line = self._trailer or (None, self._offset, self._line)
        judged = self._totals.judged(texts, lambda name: f"{name} of the trailer in line {line}")
        self.batches.append(
            Batch(
                kind="rows",
                control_id="",
                made="",
                offset_bytes=at,
                first=1,
                last=self._messages,
                declared=judged.declared,
                found=judged.found,
                differences=judged.differences,
                ended=self._trailer is not None,
                digest=self._digest.digest(),
            )
        )


class RowsFormat(ABC):
    """A format of rows: a `Format`."""

    form: DocumentForm
    strict = False

    @property
    @abstractmethod
    def options(self) -> RowsOptions:
        """What its channel says of it."""

    @abstractmethod
    def splitter(self, message_max_bytes: int) -> RowsFile:
        """What takes a file of rows apart."""

    @abstractmethod
    def rejects(self, rejected: Sequence[Rejected], opened: Callable[[], Opened]) -> bytes:
        """Rows that were not taken, behind the head of their file."""

    def header(self, body: bytes) -> Header:  # noqa: ARG002 - rows have no types and no numbers of their own
        """Its format is its type; whoever sends files of rows says nowhere that they are a test."""
        return Header(message_code_event=self.form, processing_id=b"P", readable=True)

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:  # noqa: ARG002
        """None: what cannot be taken apart is a message that says so."""
        return None

    def content(self, body: bytes) -> bytes:
        """Its rows, wherever in whichever file they stand."""
        try:
            said = orjson.loads(body)
            return orjson.dumps(said["rows"] if "rows" in said else said["row"])
        except (ValueError, TypeError, KeyError):
            return body

    def shares(self, body: bytes) -> Mapping[str, Share]:
        """What its rows add to sums and hash totals; a row that cannot be taken apart adds nothing."""
        totals = ControlTotals(self.options.totals)
        if not totals.summed:
            return {}
        try:
            rows = orjson.loads(body).get("rows", [])
        except (ValueError, AttributeError):
            rows = []
        for row in rows:
            for total in totals.summed:
                totals.add(total, row.get(total.column, ""))
        found = totals.judged(None, str).found
        return {
            each.trailer: Share(Decimal(found[each.trailer]), each.digits if each.of == "hash" else 0)
            for each in totals.summed
        }

    def read(self, body: bytes) -> Document:
        """The rows of a message with their header; refused where it holds a row that is none."""
        try:
            said = orjson.loads(body)
            rows, header, bad = said.get("rows", []), said.get("header", {}), said.get("bad")
            line = said.get("line")
        except (ValueError, AttributeError):
            rows, header, bad, line = [], {}, "no-rows", None
        if bad is not None:
            where, text = f"line {line}" if isinstance(line, int) else "", "the row cannot be taken apart"
            return Document(self.form, None, refused=ReadProblem(str(bad)[:40], where, text))
        return Document.of_rows(rows, form=self.form, header=header)

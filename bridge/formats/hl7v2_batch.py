"""Batches of HL7 v2 (v2.5.1 §2.10.3): what their headers and trailers say, and whether it is so. Pure.

    [FHS] { [BHS] { MSH ... } [BTS] } [FTS]

Each of the four may be missing. A trailer without its header counts what came since the last one; a header
where another batch has not ended ends that one without a trailer.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.formats.base import Batch, Difference, Unsplittable
from bridge.formats.hl7v2_batch_totals import BatchTotal, Sum, number_of

ENVELOPES: Final = (b"FHS", b"BHS", b"BTS", b"FTS")
BATCHES_MAX_COUNT: Final = 10_000
"""In one file; each is kept with its totals."""
FIELD_MAX_CHARACTERS: Final = 200
_NO_SEPARATOR: Final = re.compile(rb"[A-Za-z0-9\s]")
_COUNT: Final = re.compile(rb"\s*(\d{1,18})\s*")
_MADE, _CONTROL_ID = 6, 10
"""BHS-7 and BHS-11, FHS-7 and FHS-11: places in a line that was cut at its separator, which is field 1."""


def is_envelope(line: bytes) -> bool:
    """Whether a line is a segment of a batch.

    >>> is_envelope(b"BTS|2"), is_envelope(b"BTSX|2"), is_envelope(b"MSH|^")
    (True, False, False)
    """
    after = line[3:4]
    return line[:3] in ENVELOPES and (not after or not _NO_SEPARATOR.match(after))


@dataclass(slots=True)
class _Open:
    """A batch or file that has begun. ``inside`` counts what its trailer will count."""

    control_id: str
    made: str
    offset_bytes: int
    first: int
    inside: int = 0
    line: bytes = b""
    digest: hashlib._Hash = field(default_factory=hashlib.sha256)


class Envelopes:
    """The batches of one file, as its lines and messages come."""

    def __init__(self, totals: Sequence[str] = ()) -> None:
        """``totals`` are the fields whose sums BTS-3 says, in its order, as FT1-11 or FT1-11.1."""
        self.batches: list[Batch] = []
        self._totals = [BatchTotal.of(each) for each in totals]
        self._sums = [Sum() for _ in totals]
        """Since the last batch began, or ended."""
        self._messages = 0
        self._separator = b"|"
        self._file: _Open | None = None
        self._batch: _Open | None = None
        self._loose_since = 1
        """The first message that is in no batch with a header, for a trailer that has none."""

    @property
    def heads(self) -> list[bytes]:
        """The headers that the next message stands below: BHS, and FHS."""
        return [each.line for each in (self._batch, self._file) if each is not None]

    def messages(self, count: int, bodies: bytes) -> None:
        """So many messages have come, one after the other."""
        for total, summed in zip(self._totals, self._sums, strict=True):
            total.add(summed, bodies)
        self._messages += count
        if self._batch is not None:
            self._batch.inside += count
            self._batch.digest.update(bodies)

    def line(self, line: bytes, offset_bytes: int) -> None:
        """A header or trailer has come. Raises Unsplittable for more batches than are taken."""
        if len(self.batches) >= BATCHES_MAX_COUNT:
            text = f"The file has more than {BATCHES_MAX_COUNT} batches."
            raise Unsplittable("too-many-batches", offset_bytes, text)
        self._separator = line[3:4] or b"|"
        fields = line.split(self._separator)
        match line[:3]:
            case b"FHS":
                self._end_file(None, offset_bytes)
                self._file = self._opened(fields, offset_bytes)
            case b"BHS":
                self._end_batch(None, offset_bytes)
                self._sums = [Sum() for _ in self._totals]
                self._batch = self._opened(fields, offset_bytes)
            case b"BTS":
                self._end_batch(fields, offset_bytes)
            case _:
                self._end_batch(None, offset_bytes)
                self._end_file(fields, offset_bytes)

    def end(self, offset_bytes: int) -> None:
        """The file has ended."""
        self._end_batch(None, offset_bytes)
        self._end_file(None, offset_bytes)

    def _opened(self, fields: list[bytes], offset_bytes: int) -> _Open:
        control_id, made = _text(fields, _CONTROL_ID), _text(fields, _MADE)
        line = fields[0][:3] + (separator := self._separator) + separator.join(fields[1:])
        return _Open(control_id, made, offset_bytes, self._messages + 1, line=line)

    def _end_batch(self, trailer: list[bytes] | None, offset_bytes: int) -> None:
        begun, self._batch = self._batch, None
        if begun is None and trailer is None:
            return
        sums, self._sums = self._sums, [Sum() for _ in self._totals]
        if begun is None:
            # What it counts was not kept by itself: its messages are those since the last trailer.
            begun = _Open("", "", offset_bytes, self._loose_since, self._messages + 1 - self._loose_since)
        self._loose_since = self._messages + 1
        if self._file is not None:
            self._file.inside += 1
            self._file.digest.update(begun.digest.digest())
        self._keep("batch", begun, trailer, "BTS-1", offset_bytes, sums)

    def _end_file(self, trailer: list[bytes] | None, offset_bytes: int) -> None:
        begun, self._file = self._file, None
        if begun is None and trailer is None:
            return
        if begun is None:
            batches = sum(each.kind == "batch" for each in self.batches)
            begun = _Open("", "", offset_bytes, 1, batches)
        elif begun.inside == 0 and self._messages >= begun.first:
            begun.inside = 1  # messages without BHS are the file's only batch
        self._keep("file", begun, trailer, "FTS-1", offset_bytes)

    def _keep(
        self,
        kind: str,
        begun: _Open,
        trailer: list[bytes] | None,
        name: str,
        offset_bytes: int,
        sums: Sequence[Sum] = (),
    ) -> None:
        what = "messages" if kind == "batch" else "batches"
        declared: dict[str, str] = {}
        differences: list[Difference] = []
        count = trailer[1] if trailer is not None and len(trailer) > 1 else b""
        if count.strip():
            place = f"{name} at byte {offset_bytes}"
            read = _COUNT.fullmatch(count)
            declared[what] = str(int(read[1])) if read else "unreadable"
            if read is None or int(read[1]) != begun.inside:
                differences.append(Difference(what, declared[what], str(begun.inside), place))
        found = {what: str(begun.inside)}
        said = [] if trailer is None or len(trailer) < 4 else trailer[3].split(b"~")
        place = f"BTS-3 at byte {offset_bytes}"
        for at, (total, summed) in enumerate(zip(self._totals, sums, strict=False)):
            found[total.name] = summed.text
            if at < len(said) and (text := said[at].split(b"^")[0].strip()):
                declared[total.name] = amount = number_of(text)
                if summed.differs(amount):
                    differences.append(Difference(total.name, amount, summed.text, place))
        self.batches.append(
            Batch(
                kind=kind,
                control_id=begun.control_id,
                made=begun.made,
                offset_bytes=begun.offset_bytes,
                first=begun.first,
                last=self._messages,
                declared=declared,
                found=found,
                differences=tuple(differences),
                ended=trailer is not None,
                digest=begun.digest.digest(),
            )
        )


def _text(fields: list[bytes], place: int) -> str:
    value = fields[place] if place < len(fields) else b""
    return value.decode("utf-8", "replace").strip()[:FIELD_MAX_CHARACTERS]

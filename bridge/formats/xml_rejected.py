"""Records that were not taken, as a file that its sender can correct and send again: the file as it came,
with these records alone and the totals of these. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple

from bridge.formats.base import Batch, Opened, Rejected, Unsplittable
from bridge.formats.control_totals import written
from bridge.formats.xml_bytes import Broken
from bridge.formats.xml_file import XmlFile
from bridge.formats.xml_options import XmlOptions
from bridge.formats.xml_totals import Said

MESSAGE_MAX_BYTES: Final = 16 * 1024**2
READ_BYTES: Final = 64 * 1024


class _Place(NamedTuple):
    """Where a total stands in what was written, and its name."""

    name: str
    start: int
    size: int


class _Kept(XmlFile):
    """A file that is read once more. ``written`` is all of it but the records that are not wanted."""

    def __init__(self, options: XmlOptions, numbers: frozenset[int]) -> None:
        self.written = bytearray()
        self.places: list[list[_Place]] = []
        """Of each document that has a wanted record."""
        self._numbers = numbers
        self._copied = self._document_at = 0
        self._here: list[_Place] = []
        self._any = self._left_out = False
        super().__init__(options, MESSAGE_MAX_BYTES)

    def _copy(self, until: int, *, record: bool = False) -> None:
        data = bytes(self._buffer[self._copied - self._base : until - self._base])
        if self._left_out and not record:
            # The line on which it stood goes with it.
            data = data[self._bytes.blank_end(data) :]
        if data:
            self._left_out = False
        self.written += data
        self._copied = max(until, self._copied)

    def _drop(self, until: int) -> None:
        self._copy(until)
        super()._drop(until)

    def _told(self, name: str, said: Said) -> None:
        self._copy(said.start_bytes)
        self._here.append(_Place(name, len(self.written), said.end_bytes - said.start_bytes))
        super()._told(name, said)

    def _take(self, end: int, broken: Broken | None) -> None:
        self._copy(self._start)
        if self._messages + 1 in self._numbers:
            self._copy(end, record=True)
            self._any = True
        else:
            self._copied, self._left_out = end, True
        super()._take(end, broken)

    def _judge(self, *, ended: bool) -> None:
        self._copy(self._ended if ended else self._fed)
        if self._any:
            self.places.append(self._here)
            self._document_at = len(self.written)
        else:
            del self.written[self._document_at :]
        self._here, self._any, self._left_out = [], False, False
        super()._judge(ended=ended)

    def patched(self, batches: Sequence[Batch]) -> bytes:
        """What was written, with the totals of what is there."""
        totals = {each.trailer: each for each in self._options.totals}
        for places, batch in reversed(list(zip(self.places, batches, strict=False))):
            for name, start, size in reversed(places):
                text = self._bytes.written(written(totals[name], batch.found))
                here = bytes(self.written[start : start + size])
                attribute = name.rpartition("@")[2] if "@" in name else ""
                self.written[start : start + size] = self._saying_so(here, attribute, text)
        return bytes(self.written)

    def _saying_so(self, here: bytes, attribute: str, text: bytes) -> bytes:
        if not attribute:
            return self._bytes.start_tag(here, 0) + text
        return self._bytes.with_attribute(here, attribute, text)


def rejected_records(
    options: XmlOptions, rejected: Sequence[Rejected], opened: Callable[[], Opened]
) -> bytes:
    """The file that is ``opened``, with these records alone."""
    kept = _Kept(options, frozenset(each.number for each in rejected))
    content = opened()
    try:
        while data := content.read(READ_BYTES):
            kept.feed(data)
        kept.end()
    finally:
        content.close()
    again = XmlFile(options, MESSAGE_MAX_BYTES)
    try:
        again.feed(bytes(kept.written))
        again.end()
    except Unsplittable:
        return bytes(kept.written)
    return kept.patched(again.batches)

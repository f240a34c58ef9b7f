"""gzip (RFC 1952), with any number of members."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Final

from bridge.component import Options
from bridge.decoders.base import READ_BYTES, Budget, Entry, Stream, Undecodable

_GZIP: Final = 16 + zlib.MAX_WBITS


class GzipOptions(Options):
    """A file compressed with gzip."""

    def entries(self, source: Entry, budget: Budget) -> Iterator[Entry]:
        """What was compressed."""
        yield Entry(source.name, _Unzipped(source.stream, budget))


class _Unzipped:
    def __init__(self, source: Stream, budget: Budget) -> None:
        self._source, self._budget = source, budget
        self._member = zlib.decompressobj(_GZIP)
        self._held = b""
        self._begun = False

    def read(self, size: int) -> bytes:
        while True:
            if not self._held and not (more := self._source.read(READ_BYTES)):
                if self._begun and not self._member.eof:
                    raise Undecodable("compressed-cut", "The compressed file ends before its end.")
                return b""
            if not self._held:
                self._held = more
            if self._member.eof:
                # After a member comes another, or padding of zeros.
                self._held = self._held.lstrip(b"\0")
                if not self._held:
                    continue
                self._member, self._begun = zlib.decompressobj(_GZIP), False
            self._begun = True
            try:
                data = self._member.decompress(self._held, size)
            except zlib.error:
                text = "This is not compressed with gzip, or is damaged."
                raise Undecodable("compressed-damaged", text) from None
            self._held = self._member.unused_data or self._member.unconsumed_tail
            if data:
                self._budget.spend(len(data))
                return data

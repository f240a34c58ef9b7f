"""Text in another character set, EBCDIC among them, as UTF-8."""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Options
from bridge.decoders.base import Budget, Entry, Stream, Undecodable

EBCDIC: Final = frozenset({"cp037", "cp273", "cp424", "cp500", "cp875", "cp1026", "cp1047", "cp1140"})
_CP1047: Final = {0x5F: "^", 0xB0: "¬", 0xAD: "[", 0xBA: "Ý", 0xBB: "¨", 0xBD: "]"}
"""Where code page 1047 of z/OS is not 037; Python has none of it."""
_TABLE_1047: Final = "".join(_CP1047.get(each, bytes([each]).decode("cp037")) for each in range(256))


def _codec(name: str) -> str:
    if name.lower() in ("cp1047", "ibm1047", "ibm-1047"):
        return "cp1047"
    try:
        found = codecs.lookup(name)
    except LookupError:
        found = None
    if found is None or not found._is_text_encoding:
        raise ValueError("expected a character set, as in cp037, cp500, cp1047, utf-16 or windows-1252")
    return found.name


class TextOptions(Options):
    """Text in another character set. The format is then told `charset: utf-8`."""

    charset: Annotated[str, AfterValidator(_codec)] = Field(
        description="The character set, as in cp037, cp500, cp1047, cp273 or cp1140 (EBCDIC), or utf-16."
    )

    def entries(self, source: Entry, budget: Budget) -> Iterator[Entry]:
        """The same text in UTF-8; in EBCDIC, NEL ends a line."""
        yield Entry(source.name, _Recoded(source.stream, self.charset, budget))


class _Recoded:
    def __init__(self, source: Stream, charset: str, budget: Budget) -> None:
        self._source, self._budget = source, budget
        self._lines = charset in EBCDIC
        self._table = _TABLE_1047 if charset == "cp1047" else None
        self._decoder = codecs.getincrementaldecoder("latin-1" if self._table else charset)()
        self._ended = False

    def read(self, size: int) -> bytes:
        while not self._ended:
            data = self._source.read(size)
            self._ended = not data
            try:
                if self._table is not None:
                    text = codecs.charmap_decode(data, "strict", self._table)[0]
                else:
                    text = self._decoder.decode(data, final=not data)
            except UnicodeDecodeError:
                raise Undecodable("charset", "The file is not in the character set of `decode`.") from None
            if self._lines:
                text = text.replace("\x85", "\n")
            if made := text.encode("utf-8", "surrogatepass"):
                self._budget.spend(len(made))
                return made
        return b""

"""XML as tests read it: a format with options, and a file taken apart in steps of any size."""

from __future__ import annotations

from typing import Any

from bridge.formats.base import Batch, Piece
from bridge.formats.xml_format import XmlFormat
from bridge.formats.xml_options import XmlOptions

TOTALS = [
    {"trailer": "Trailer/Count"},
    {"trailer": "Trailer/Total", "of": "sum", "column": "Amount"},
]


def reads(**options: Any) -> XmlFormat:
    return XmlFormat(XmlOptions.model_validate(options))


def split(
    made: XmlFormat, data: bytes, *, step: int = 1_000_000, most: int = 1_000_000
) -> tuple[list[Piece], list[Batch]]:
    splitter, found = made.splitter(most), list[Piece]()
    for start in range(0, len(data), step):
        found += splitter.feed(data[start : start + step])
    found += splitter.end()
    return found, splitter.batches


def values(made: XmlFormat, data: bytes, **options: int) -> list[Any]:
    """What each message says, or why it says nothing."""
    read = [made.read(piece.body) for piece in split(made, data, **options)[0]]
    return [each.root if each.refused is None else each.refused.code for each in read]

"""What has no segments: the rows of a file, a JSON document, XML, a record. As names and values.

Numbers stay as they were written: no float is ever made of one. Reading never raises on content.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal

from bridge.formats.base import ReadProblem

DocumentForm = Literal["delimited", "fixed", "json", "xml", "record"]
FORMS: Final[tuple[DocumentForm, ...]] = ("delimited", "fixed", "json", "xml", "record")
ROWS_MAX_COUNT: Final = 1_000_000
NESTING_MAX_LEVELS: Final = 64
Row = Mapping[str, Any]
TEXT: Final = "#text"
"""The name of the text of what has other names too, as an element of XML with attributes."""


class Document:
    """One document. ``root`` is what `$root` means: all of it, or, of a file, its first row.

    ``rows`` are gone through by `for_each: row`; ``header`` and ``trailer`` are what stands before and after.
    """

    __slots__ = ("form", "header", "refused", "root", "rows", "trailer")

    segments: tuple[()] = ()
    encoding, decided_by = "utf-8", "format"
    problems: tuple[ReadProblem, ...] = ()
    version = ""

    def __init__(
        self,
        form: DocumentForm,
        root: Any,
        *,
        rows: Sequence[Row] = (),
        header: Row | None = None,
        trailer: Row | None = None,
        refused: ReadProblem | None = None,
    ) -> None:
        self.form = form
        self.root = root
        self.rows = rows
        self.header = header or {}
        self.trailer = trailer or {}
        self.refused = refused

    @classmethod
    def of_rows(
        cls,
        rows: Sequence[Row],
        *,
        form: DocumentForm = "delimited",
        header: Row | None = None,
        trailer: Row | None = None,
    ) -> Document:
        """A file, of its rows."""
        if len(rows) > ROWS_MAX_COUNT:
            return cls(
                form, None, refused=ReadProblem("too-many-rows", "", f"more than {ROWS_MAX_COUNT} rows")
            )
        return cls(form, rows[0] if rows else {}, rows=rows, header=header, trailer=trailer)

    @classmethod
    def of_csv(cls, text: str) -> Document:
        """A small file of values with commas between them, whose first line names the columns."""
        try:
            lines = csv.reader([line + "\n" for line in text.split("\n")], strict=True)
            head = [name.strip() for name in next(lines, [])]
            rows = [dict(zip(head, cells, strict=False)) for cells in lines if cells]
        except csv.Error:
            return cls(
                "delimited", None, refused=ReadProblem("no-csv", "", "no values with commas between them")
            )
        return cls.of_rows(rows)

    @classmethod
    def of_json(cls, body: bytes | str) -> Document:
        """A JSON document (RFC 8259)."""
        try:
            root = json.loads(body, parse_float=str, parse_int=str, parse_constant=_no_constant)
        except (ValueError, RecursionError):
            return cls("json", None, refused=_why("no-json", "it is not JSON"))
        if _too_deep(root):
            text = f"it is nested deeper than {NESTING_MAX_LEVELS} levels"
            return cls("json", None, refused=ReadProblem("too-deep", "", text))
        return cls(
            "json",
            root,
            rows=[each for each in root if isinstance(each, dict)] if isinstance(root, list) else (),
        )

    @classmethod
    def of_record(cls, fields: Mapping[str, Any], meta: Mapping[str, str] | None = None) -> Document:
        """A canonical record: its fields, ``key``, ``operation`` and ``ext``, and what is known about it."""
        return cls("record", fields, header=meta)

    @property
    def message_type(self) -> str:
        """Its format: documents have no types of their own."""
        return self.form

    def named(self, name: str) -> tuple[()]:  # noqa: ARG002 - the shape of a message of segments
        """None: it has no segments."""
        return ()

    def value(self, segment: str, field: int, *_: int) -> None:
        """None: it has no segments."""


def _why(code: str, text: str) -> ReadProblem:
    return ReadProblem(code, "", text)


def _no_constant(text: str) -> str:
    raise ValueError(text)


def _too_deep(root: Any) -> bool:
    waiting: list[tuple[Any, int]] = [(root, 1)]
    while waiting:
        node, level = waiting.pop()
        if level > NESTING_MAX_LEVELS:
            return True
        waiting += [(each, level + 1) for each in _inside(node)]
    return False


def _inside(node: Any) -> Iterator[Any]:
    if isinstance(node, dict):
        yield from node.values()
    elif isinstance(node, list):
        yield from node

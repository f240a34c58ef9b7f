"""JSON in files and in bodies that are posted: a document, lines (NDJSON), or the items of an array. Pure.

A line that is no JSON is a message of its own, which waits for a person while the others go on. An array is
taken apart as it arrives, so that what is held is an item and not the file.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Sequence
from typing import Final, Literal

from pydantic import Field

from bridge.component import Component, Options
from bridge.formats.base import Batch, Header, Opened, Piece, ReadProblem, Rejected, Unsplittable
from bridge.formats.document import NESTING_MAX_LEVELS, Document
from bridge.units import size_text

_BLANK: Final = b" \t\r\n\x1a\0"
_MARK: Final = b"\xef\xbb\xbf"
_TOKEN: Final = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]', re.DOTALL)


class JsonOptions(Options):
    """Options of JSON."""

    records: Literal["document", "lines", "array"] = Field(
        "document",
        description="What a message is: document (all of a file or body), lines (each line), or array (each "
        "item of the one array that a file is).",
    )


class JsonFile:
    """One file: a `Splitter`."""

    def __init__(self, options: JsonOptions, message_max_bytes: int) -> None:
        self.batches: list[Batch] = []
        self._records, self._max = options.records, message_max_bytes
        self._buffer = bytearray()
        self._offset = 0
        """Of the buffer's first byte in the file."""
        self._count = 0
        self._digest = hashlib.sha256()
        self._array: Literal["before", "inside", "after"] = "before"
        self._depth = 0
        self._seen = 0
        """So much of the buffer was looked at within an item that has not ended."""
        self._comma = False
        """An item must follow, or none may before a comma."""

    def feed(self, data: bytes) -> list[Piece]:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        self._buffer += data
        pieces: list[Piece] = []
        if self._records == "lines":
            self._lines(pieces, last=False)
        elif self._records == "array":
            self._items(pieces)
        if len(self._buffer) > self._max:
            text = f"A message is larger than {size_text(self._max)}."
            raise Unsplittable("message-too-large", self._offset, text)
        return pieces

    def end(self) -> list[Piece]:
        """The file has ended; the rest of its messages. Raises Unsplittable."""
        pieces: list[Piece] = []
        if self._records == "lines":
            self._lines(pieces, last=True)
        elif self._records == "array":
            if self._array != "after" or self._buffer.strip(_BLANK):
                raise Unsplittable("no-array", self._offset, "The file is not one whole JSON array.")
        elif self._buffer.strip(_BLANK):
            self._piece(0, bytes(self._buffer), pieces)
        self._judge()
        return pieces

    def _piece(self, at: int, body: bytes, pieces: list[Piece]) -> None:
        if at + self._offset == 0:
            body = body.removeprefix(_MARK)
        if len(body) > self._max:
            text = f"A message is larger than {size_text(self._max)}."
            raise Unsplittable("message-too-large", self._offset + at, text)
        self._count += 1
        self._digest.update(body)
        pieces.append(Piece(self._offset + at, body))

    def _lines(self, pieces: list[Piece], *, last: bool) -> None:
        end = len(self._buffer) if last else self._buffer.rfind(b"\n") + 1
        at = 0
        for line in bytes(self._buffer[:end]).split(b"\n"):
            if line.strip(_BLANK):
                self._piece(at, line.strip(_BLANK), pieces)
            at += len(line) + 1
        del self._buffer[:end]
        self._offset += end

    def _items(self, pieces: list[Piece]) -> None:
        buffer = self._buffer
        if self._array == "before":
            lead = len(buffer) - len(buffer.lstrip(_BLANK + _MARK))
            self._drop(lead)
            if not buffer:
                return
            if buffer[:1] != b"[":
                raise Unsplittable("no-array", self._offset, "The file does not begin as a JSON array.")
            self._drop(1)
            self._array = "inside"
        while self._array == "inside" and (found := _next(buffer, self._seen)) is not None:
            start, token = found
            self._seen = start + len(token)
            if token in (b"[", b"{"):
                self._depth += 1
                if self._depth > NESTING_MAX_LEVELS:
                    text = f"An item is nested deeper than {NESTING_MAX_LEVELS} levels."
                    raise Unsplittable("too-deep", self._offset + start, text)
            elif token in (b"]", b"}") and self._depth:
                self._depth -= 1
            elif token in (b",", b"]") and not self._depth:
                self._item(start, last=token == b"]", pieces=pieces)
            elif token == b"}":
                raise Unsplittable("no-array", self._offset + start, "A brace ends nothing here.")

    def _item(self, end: int, *, last: bool, pieces: list[Piece]) -> None:
        body = bytes(self._buffer[:end])
        if body.strip(_BLANK):
            self._piece(len(body) - len(body.lstrip(_BLANK)), body.strip(_BLANK), pieces)
        elif not last or self._comma:
            raise Unsplittable("no-array", self._offset + end, "An item is missing between commas.")
        self._comma = not last
        self._drop(end + 1)
        if last:
            self._array = "after"

    def _drop(self, count: int) -> None:
        del self._buffer[:count]
        self._offset += count
        self._seen = 0

    def _judge(self) -> None:
        if self._records == "document":
            return
        self.batches.append(
            Batch(
                kind="rows",
                control_id="",
                made="",
                offset_bytes=0,
                first=1,
                last=self._count,
                declared={},
                found={"rows": str(self._count)},
                differences=(),
                ended=True,
                digest=self._digest.digest(),
            )
        )


def _next(buffer: bytearray, at: int) -> tuple[int, bytes] | None:
    """The next token that matters, and where it is; None where it is not all there yet."""
    found = _TOKEN.search(buffer, at)
    if found is None:
        return None
    # A quote before it has not ended yet: what looks like a token stands within a text.
    if buffer.find(b'"', at, found.start()) >= 0:
        return None
    return found.start(), found[0]


class JsonFormat:
    """One channel's JSON: a `Format`."""

    strict = False

    def __init__(self, options: JsonOptions) -> None:
        self._options = options

    def header(self, body: bytes) -> Header:  # noqa: ARG002 - a document has no type and no number of its own
        """Its format is its type; whoever sends it says nowhere that it is a test."""
        return Header(message_code_event="json", processing_id=b"P", readable=True)

    def read(self, body: bytes) -> Document:
        """The document; refused where it is none."""
        return Document.of_json(body)

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:  # noqa: ARG002
        """None: nothing is strict here."""
        return None

    def content(self, body: bytes) -> bytes:
        """All of it, however its keys are ordered and spaced."""
        try:
            said = json.loads(body, parse_float=str, parse_int=str)
            return json.dumps(said, sort_keys=True).encode()
        except (ValueError, RecursionError):
            return body

    def rejects(
        self,
        rejected: Sequence[Rejected],
        opened: Callable[[], Opened],  # noqa: ARG002 - only rows are cut
    ) -> bytes:
        """Lines, or an array of the items."""
        bodies = [each.body for each in rejected]
        if self._options.records == "array":
            return b"[" + b",\n".join(bodies) + b"]\n"
        return b"".join(each.rstrip(b"\r\n") + b"\n" for each in bodies)

    def splitter(self, message_max_bytes: int) -> JsonFile:
        """What takes a file apart."""
        return JsonFile(self._options, message_max_bytes)


COMPONENT = Component(
    kind="format",
    name="json",
    summary="JSON: documents, lines of them, or the items of an array.",
    options=JsonOptions,
    example="records: lines\n",
    takes="files",
    build=JsonFormat,
)

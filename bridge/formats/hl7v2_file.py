"""HL7 v2 messages that stand in a file one after the other, as bytes in and messages out. Pure.

A message begins with MSH at the beginning of a line, and ends where the next one begins. Frame bytes, blanks,
Ctrl-Z and NULs between messages, a byte order mark before the first and a last line without its end do no
harm. What stands before the first message and is none of these may be the rest of a message whose beginning
is lost: such a file is not taken. Batches (HL7 v2.5.1 §2.10.3) are none of these files.
"""

from __future__ import annotations

import re
from typing import Final

from bridge.formats.base import Piece, Unsplittable

_START: Final = b"MSH"
_BEFORE: Final = b"\r\n\x0b\x1c\0\x1a \t"
"""What may stand before the MSH of a message."""
_NOTHING: Final = _BEFORE
_MARKS: Final = (b"\xef\xbb\xbf",)
_ENVELOPES: Final = (b"FHS", b"BHS", b"BTS", b"FTS")
_NO_SEPARATOR: Final = re.compile(rb"[A-Za-z0-9\s]")
_LOOK_AHEAD_BYTES: Final = 4
_NO_MESSAGE = "No message begins in this file: expected MSH at the beginning of a line."


class Hl7v2File:
    """One file: a `Splitter`."""

    def __init__(self, message_max_bytes: int) -> None:
        self._max = message_max_bytes
        self._buffer = bytearray()
        self._offset = 0
        """Of the buffer's first byte in the file."""
        self._scanned = 0
        self._inside = False
        self._begun = False

    def feed(self, data: bytes) -> list[Piece]:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        self._buffer += data
        pieces: list[Piece] = []
        done = 0
        while (found := self._find(self._scanned)) >= 0:
            if self._inside:
                pieces.append(self._piece(done, found))
            else:
                self._before_first(found)
            self._inside, done, self._scanned = True, found, found + len(_START)
        self._scanned = max(self._scanned, len(self._buffer) - _LOOK_AHEAD_BYTES)
        if done:
            del self._buffer[:done]
            self._offset += done
            self._scanned -= done
        if len(self._buffer) > self._max + _LOOK_AHEAD_BYTES:
            if not self._inside:
                raise Unsplittable("no-message", self._offset, _NO_MESSAGE)
            raise self._too_large(self._offset)
        return pieces

    def end(self) -> list[Piece]:
        """The file has ended; its last message. Raises Unsplittable."""
        if self._inside:
            return [self._piece(0, len(self._buffer))]
        self._before_first(len(self._buffer))
        raise Unsplittable("no-message", self._offset, _NO_MESSAGE)

    def _find(self, start: int) -> int:
        """Where the next message begins, or -1; one at the very end waits for the byte after MSH."""
        buffer = self._buffer
        while (found := buffer.find(_START, start)) >= 0:
            after = buffer[found + 3 : found + 4]
            if not after:
                return -1
            if not _NO_SEPARATOR.match(after) and self._may_begin(found):
                return found
            start = found + 1
        return -1

    def _may_begin(self, at: int) -> bool:
        if at == 0:
            return self._offset == 0
        if self._buffer[at - 1] in b"\r\n\x0b\x1c\0":
            return True
        return not self._inside and not self._buffer[:at].removeprefix(_MARKS[0]).strip(_NOTHING)

    def _before_first(self, end: int) -> None:
        """Look at what stands before the first message."""
        lead = bytes(self._buffer[:end])
        if self._offset == 0:
            lead = lead.removeprefix(_MARKS[0])
        if _has_envelope(lead.lstrip(_NOTHING)):
            raise self._batch(self._offset)
        if lead.strip(_NOTHING):
            text = "Bytes stand before the first MSH: the beginning of a message may be lost."
            raise Unsplittable("bytes-before-message", self._offset, text)

    def _piece(self, start: int, end: int) -> Piece:
        raw = bytes(self._buffer[start:end])
        size = len(raw.rstrip(_BEFORE))
        ending = 2 if raw.startswith(b"\r\n", size) else int(raw[size : size + 1] in (b"\r", b"\n"))
        body = raw[: size + ending]
        if size > self._max:
            raise self._too_large(self._offset + start)
        if _has_envelope(body):
            raise self._batch(self._offset + start)
        return Piece(self._offset + start, body)

    def _too_large(self, offset: int) -> Unsplittable:
        return Unsplittable("message-too-large", offset, f"A message is larger than {self._max} bytes.")

    @staticmethod
    def _batch(offset: int) -> Unsplittable:
        text = "This is a batch, with FHS, BHS, BTS or FTS: batches are not taken apart in this version."
        return Unsplittable("batch", offset, text)


def _has_envelope(body: bytes) -> bool:
    """Whether a line is a segment of a batch. Looked for by the ends of its names first: a pattern over all
    lines takes fifty times as long."""
    for ending in (b"HS", b"TS"):
        at = body.find(ending, 1)
        while at >= 0:
            begins = at == 1 or body[at - 2] in b"\r\n"
            after = body[at + 2 : at + 3]
            if begins and body[at - 1 : at + 2] in _ENVELOPES and after and not _NO_SEPARATOR.match(after):
                return True
            at = body.find(ending, at + 1)
    return False

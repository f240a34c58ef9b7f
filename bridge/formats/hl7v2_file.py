"""HL7 v2 messages that stand in a file one after the other, as bytes in and messages out. Pure.

A message begins with MSH at the beginning of a line, and ends where the next one begins. Frame bytes, blanks,
Ctrl-Z and NULs between messages, a byte order mark before the first and a last line without its end do no
harm. What stands before the first message and is none of these may be the rest of a message whose beginning
is lost: such a file is not taken. Headers and trailers of batches stand between messages, `hl7v2_batch`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Final

from bridge.formats.base import Batch, Pieces, Unsplittable
from bridge.formats.hl7v2_batch import ENVELOPES, Envelopes, is_envelope
from bridge.units import size_text

_START: Final = b"MSH"
_BEFORE: Final = b"\r\n\x0b\x1c\0\x1a \t"
"""What may stand before the MSH of a message."""
_NOTHING: Final = _BEFORE
_MARKS: Final = (b"\xef\xbb\xbf",)
_UTF_16: Final = "The file is text in UTF-16: say `decode: [{text: {charset: utf-16}}]`."
_ENCODED: Final = {
    b"\xff\xfe": _UTF_16,
    b"\xfe\xff": _UTF_16,
    b"\x1f\x8b": "The file is compressed with gzip: say `decode: [{gzip: {}}]`.",
}
"""What a file that must be decoded first begins with, and what to do."""
_NO_SEPARATOR: Final = re.compile(rb"[A-Za-z0-9\s]")
_BEGINS: Final = re.compile(rb"MSH[^A-Za-z0-9\s]")
_FIRST_OF_ENVELOPES: Final = bytes({each[0] for each in ENVELOPES})
_LINE_ENDS: Final = b"\r\n\x0b\x1c\0"
_LOOK_AHEAD_BYTES: Final = 4
_NO_MESSAGE = "No message begins in this file: expected MSH at the beginning of a line."


class Hl7v2File:
    """One file: a `Splitter`."""

    def __init__(
        self, message_max_bytes: int, *, envelopes: bool = False, totals: Sequence[str] = ()
    ) -> None:
        """``envelopes`` says whether BHS and FHS of its batch stand behind each message; ``totals`` are the
        fields whose sums BTS-3 says, in its order."""
        self._max, self._with_envelopes = message_max_bytes, envelopes
        self._buffer = bytearray()
        self._offset = 0
        """Of the buffer's first byte in the file."""
        self._scanned = 0
        self._inside = False
        self._envelopes = Envelopes(totals)

    @property
    def batches(self) -> Sequence[Batch]:
        """The batches that have ended so far."""
        return self._envelopes.batches

    def feed(self, data: bytes) -> Pieces:
        """Add bytes; the messages that are complete. Raises Unsplittable."""
        self._buffer += data
        pieces = Pieces()
        done = self._take_plain(pieces)
        while (found := self._find(self._scanned)) >= 0:
            if self._inside:
                self._take_piece(done, found, pieces)
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

    def end(self) -> Pieces:
        """The file has ended; its last message. Raises Unsplittable."""
        end = self._offset + len(self._buffer)
        pieces = Pieces()
        if self._inside:
            self._take_piece(0, len(self._buffer), pieces)
        elif not self._before_first(len(self._buffer)):
            raise Unsplittable("no-message", self._offset, _NO_MESSAGE)
        self._envelopes.end(end)
        return pieces

    def _take_plain(self, pieces: Pieces) -> int:
        """Take the messages that have come all at once, where each is nothing but lines up to the next one:
        then what is looked at one by one below is known of all. So far they reach, or 0.
        """
        if not self._inside:
            return 0
        buffer = self._buffer
        begins = _BEGINS.finditer(buffer, max(1, self._scanned))
        ends = [at for found in begins if buffer[(at := found.start()) - 1] in _LINE_ENDS]
        if not ends:
            return 0
        with memoryview(buffer) as view:
            data = bytes(view[: ends[-1]])
        if not _are_plain(data, ends):
            return 0
        bodies = [data[start:end] for start, end in pairwise((0, *ends))]
        if max(map(len, bodies)) > self._max:
            return 0
        pieces.offsets_bytes += [self._offset + at for at in (0, *ends[:-1])]
        pieces.bodies += map(self._with_envelope, bodies) if self._with_envelopes else bodies
        self._envelopes.messages(len(bodies), data)
        self._scanned = ends[-1] + len(_START)
        return ends[-1]

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
        if self._buffer[at - 1] in _LINE_ENDS:
            return True
        return not self._inside and not self._buffer[:at].removeprefix(_MARKS[0]).strip(_NOTHING)

    def _before_first(self, end: int) -> bool:
        """Look at what stands before the first message; whether it is headers and trailers of batches."""
        lead = bytes(self._buffer[:end])
        mark = len(_MARKS[0]) if self._offset == 0 and lead.startswith(_MARKS[0]) else 0
        body, lines = _without_envelopes(lead[mark:])
        if body.strip(_NOTHING):
            text = "Bytes stand before the first MSH: the beginning of a message may be lost."
            if self._offset == 0:
                text = next((words for mark, words in _ENCODED.items() if lead.startswith(mark)), text)
            raise Unsplittable("bytes-before-message", self._offset, text)
        self._take(lines, self._offset + mark)
        return bool(lines)

    def _take_piece(self, start: int, end: int, pieces: Pieces) -> None:
        raw, lines = _without_envelopes(bytes(self._buffer[start:end]))
        size = len(raw.rstrip(_BEFORE))
        ending = 2 if raw.startswith(b"\r\n", size) else int(raw[size : size + 1] in (b"\r", b"\n"))
        body = raw[: size + ending]
        if size > self._max:
            raise self._too_large(self._offset + start)
        self._envelopes.messages(1, body)
        whole = self._with_envelope(body) if self._with_envelopes else body
        self._take(lines, self._offset + start)
        pieces.add(self._offset + start, whole)

    def _with_envelope(self, body: bytes) -> bytes:
        """A message, and behind it the headers that it stands below, in its own separator."""
        heads = [respelt for head in self._envelopes.heads if (respelt := _respelt(head, body[3:4]))]
        if not heads:
            return body
        text = body.rstrip(b"\r\n")
        end = body[len(text) :] or b"\r"
        return end.join((text, *heads)) + end

    def _take(self, lines: list[tuple[int, bytes]], offset: int) -> None:
        for at, line in lines:
            self._envelopes.line(line, offset + at)

    def _too_large(self, offset: int) -> Unsplittable:
        return Unsplittable("message-too-large", offset, f"A message is larger than {size_text(self._max)}.")


def without_headers(body: bytes) -> bytes:
    """A message without the headers of its batch behind it."""
    return _without_envelopes(body)[0]


def _respelt(head: bytes, separator: bytes) -> bytes:
    """A header with another separator; nothing where that stands in it as a value."""
    if head[3:4] == separator:
        return head
    return b"" if separator in head else head.replace(head[3:4], separator)


def _are_plain(data: bytes, ends: Sequence[int]) -> bool:
    """Whether messages that end there are followed by nothing of their file: no blanks, no frames, no headers
    and trailers.
    """
    if b"\x0b" in data or b"\x1c" in data:
        return False
    if not {data[end - 1] for end in ends} <= set(b"\r\n"):
        return False
    if not {data[end - 2] for end in ends}.isdisjoint(_BEFORE):
        tails = {data[end - 3 : end] for end in ends}
        if not all(tail[1:] == b"\r\n" and tail[0] not in _BEFORE for tail in tails):
            return False
    pairs, find = list(pairwise((0, *ends))), data.rfind
    lasts = [find(b"\r", start, end - 2) + 1 for start, end in pairs]
    if b"\n" in data:
        lasts = [max(at, find(b"\n", at, end - 2) + 1) for at, (_, end) in zip(lasts, pairs, strict=True)]
    if {data[at] for at in lasts}.isdisjoint(_FIRST_OF_ENVELOPES + _NOTHING):
        return True
    return not any(data[at : at + 3] in ENVELOPES or data[at] in _NOTHING for at in lasts)


def _without_envelopes(raw: bytes) -> tuple[bytes, list[tuple[int, bytes]]]:
    """What stands before the headers and trailers at the end of some bytes, and these with their places.

    They stand nowhere else: before the message that follows, or after the last one.
    """
    found: list[tuple[int, bytes]] = []
    while True:
        text = raw.rstrip(_BEFORE)
        # Backwards as far as the last CR, and from there forwards: what has none is short, or has LF alone.
        begin = text.rfind(b"\r") + 1
        begin = text.rfind(b"\n", begin) + 1 or begin
        line = text[begin:]
        if line[:3] not in ENVELOPES:
            at = max(line.rfind(b"\x0b"), line.rfind(b"\x1c")) + 1
            begin, line = begin + at, line[at:].lstrip(_NOTHING)
        if not is_envelope(line):
            return raw, found[::-1]
        found.append((len(text) - len(line), line))
        raw = raw[:begin]

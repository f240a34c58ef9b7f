"""How well a whole file of HL7 v2 messages can be read: counts and reasons, no values."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_charset import Charset, wide_codec
from bridge.formats.hl7v2_header import lead_size

_FROM_MESSAGE: Final = Charset()
_BLANK: Final = b"\x0b\x1c\x1a\0 \t\r\n\xef\xbb\xbf"
_START: Final = re.compile(
    rb"(?:\A|(?<=[\r\n\x0b\x1c\0])|(?<=\xef\xbb\xbf))(?:\xef\xbb\xbf)?"
    rb"(?P<name>MSH|FHS|BHS|BTS|FTS)(?=[^A-Za-z0-9\s]|[\r\n\x1c]|\Z)"
)
_LINE: Final = re.compile(rb"[^\r\n]*")
_LINE_END: Final = re.compile(rb"[ \t]*(?:\r\n|\r|\n)?")


@dataclass(frozen=True, slots=True)
class FileCheck:
    """What is in a file. Every message is either read or refused.

    ``problems`` counts messages that were read with something to notice, ``reproduced`` those whose segments,
    put together again, give their bytes. ``envelopes`` counts FHS, BHS, BTS and FTS lines. ``reasons`` and
    ``noticed`` count the codes: of refusals, and of problems (once for each message).
    """

    read: int
    problems: int
    refused: int
    reproduced: int
    envelopes: int
    reasons: Mapping[str, int]
    noticed: Mapping[str, int]

    @property
    def messages(self) -> int:
        """How many there are, read or refused."""
        return self.read + self.refused


def check_file(data: bytes, charset: Charset = _FROM_MESSAGE) -> FileCheck:
    """Read everything in ``data``: one message, several, MLLP frames, or batches in their envelopes.

    Each MSH at the start of a line begins a message. Text that belongs to none (before the first, or after an
    envelope line) counts as refused, and so does a file without any. One message is in memory at a time.
    """
    reasons: Counter[str] = Counter()
    noticed: Counter[str] = Counter()
    read = problems = reproduced = envelopes = 0
    for name, content in _sections(data):
        if name not in {b"MSH", b""}:
            envelopes += 1
            continue
        message = Hl7Message.read(content, charset)
        if message.refused is not None:
            reasons[message.refused.code] += 1
            continue
        read += 1
        problems += bool(message.problems)
        noticed.update({problem.code for problem in message.problems})
        reproduced += message.serialise() == content
    if not read and not reasons:
        reasons["no-msh" if envelopes else "empty"] += 1
    return FileCheck(read, problems, reasons.total(), reproduced, envelopes, dict(reasons), dict(noticed))


def split_messages(data: bytes) -> Iterator[bytes]:
    """The messages in ``data`` as they stand there, without frames and envelopes."""
    return (content for name, content in _sections(data) if name == b"MSH")


def _sections(data: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Messages (``MSH``), envelope lines by their name, and text that belongs to neither (``b""``)."""
    lead = lead_size(data)
    if wide_codec(data[lead : lead + 8]) is not None:
        yield b"MSH", data
        return
    starts = _START.finditer(data)
    found = next(starts, None)
    yield from _stray(data[: found.start() if found is not None else len(data)])
    while found is not None:
        following = next(starts, None)
        section = data[found.start("name") : following.start() if following is not None else len(data)]
        if found["name"] == b"MSH":
            yield b"MSH", _without_frame(section)
        else:
            line = _LINE.match(section)
            yield found["name"], b""
            yield from _stray(section[line.end() if line is not None else 0 :])
        found = following


def _stray(text: bytes) -> Iterator[tuple[bytes, bytes]]:
    if text.strip(_BLANK):
        yield b"", text


def _without_frame(section: bytes) -> bytes:
    """The message and its last line end, without what stands between it and the next one."""
    content = len(section.rstrip(_BLANK))
    end = _LINE_END.match(section, content)
    return section[: end.end() if end is not None else content]

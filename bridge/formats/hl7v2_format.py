"""HL7 v2 as a format: what the spine asks of the bytes of a channel."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Final

from bridge.component import Component
from bridge.formats.base import Opened, ReadProblem, Rejected
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_ack import MshPeek, peek
from bridge.formats.hl7v2_file import Hl7v2File, without_headers
from bridge.formats.hl7v2_options import Hl7v2Options
from bridge.formats.hl7v2_strict import objection

_LINE_END: Final = re.compile(rb"\r\n?|\n")


class Hl7v2Format:
    """One channel's HL7 v2: a `Format`."""

    def __init__(self, options: Hl7v2Options) -> None:
        self._charset, self.strict = options.as_charset(), options.strict
        self._envelopes, self._totals = options.envelopes, options.totals

    def header(self, body: bytes) -> MshPeek:
        """MSH, undecoded."""
        return peek(body)

    def read(self, body: bytes) -> Hl7Message:
        """The message, split where it is asked."""
        return Hl7Message.read(body, self._charset)

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:
        """The first thing that is not as the standard has it, on a channel that is strict."""
        return objection(body, self._charset, tolerated) if self.strict else None

    def content(self, body: bytes) -> bytes:
        """Its type and what stands behind MSH: time and control ID are new each time."""
        body = without_headers(body) if self._envelopes else body
        ends = _LINE_END.search(body)
        rest = body[ends.end() :] if ends is not None else b""
        return peek(body).message_code_event.encode() + b"\r" + _LINE_END.sub(b"\r", rest).rstrip()

    def rejects(
        self,
        rejected: Sequence[Rejected],
        opened: Callable[[], Opened],  # noqa: ARG002 - only rows are cut
    ) -> bytes:
        """A batch of the messages."""
        bodies = [without_headers(each.body) if self._envelopes else each.body for each in rejected]
        lines = [body.rstrip(b"\r\n") + b"\r" for body in bodies]
        return b"".join([b"BHS|^~\\&\r", *lines, b"BTS|%d\r" % len(lines)])

    def splitter(self, message_max_bytes: int) -> Hl7v2File:
        """One or several messages in a file, without an envelope."""
        return Hl7v2File(message_max_bytes, envelopes=self._envelopes, totals=self._totals)


COMPONENT = Component(
    kind="format",
    name="hl7v2",
    summary="HL7 v2 in its ER7 encoding: segments, fields, components.",
    options=Hl7v2Options,
    example="charset: from-message\nfallback: [utf-8, windows-1252]\n",
    build=Hl7v2Format,
)

"""The message that says over an idle connection that the bridge is still there. Pure."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Options
from bridge.formats.hl7v2_ack import peek
from bridge.message import Microseconds
from bridge.units import DurationS

MESSAGE_MAX_CHARS: Final = 4096
_STANDARD: Final = "MSH|^~\\&|BRIDGE||||{time}||NMD^N02^NMD_N02|{id}|P|2.5.1\nNCK|{time}"
"""Unsolicited application management data with the clock, HL7 v2.5.1 §14.3.3."""
_SAMPLE_ID: Final = "H0"


def _message(text: str) -> str:
    if any(ord(each) < 32 and each not in "\r\n" for each in text):
        raise ValueError("expected segments, each on a line of its own, and no other control characters")
    if peek(_filled(text, _SAMPLE_ID, 0).encode()).control_id != _SAMPLE_ID.encode():
        raise ValueError("expected an HL7 v2 message that begins with MSH and has {id} as its MSH-10")
    return text


def _filled(text: str, control_id: str, at_us: Microseconds) -> str:
    time = datetime.fromtimestamp(at_us // 1_000_000, UTC).strftime("%Y%m%d%H%M%S+0000")
    segments = text.replace("{id}", control_id).replace("{time}", time).splitlines()
    return "".join(f"{segment}\r" for segment in segments if segment)


class Heartbeat(Options):
    """A message for receivers that take silence for a dead sender."""

    every: DurationS = Field(
        30.0,
        gt=0,
        le=86400,
        description="Sent over a connection that was idle for so long, which stays open.",
    )
    message: Annotated[str, AfterValidator(_message)] = Field(
        _STANDARD,
        max_length=MESSAGE_MAX_CHARS,
        description="What is sent, a segment on each line; `{id}` and `{time}` are filled in.",
    )
    answered: bool = Field(
        True,
        description="Whether the receiver acknowledges it. Then an answer must come within `answer_within`, "
        "or the connection is closed.",
    )

    def made(self, control_id: str, at_us: Microseconds, codec: str) -> bytes:
        """The bytes of one heartbeat."""
        return _filled(self.message, control_id, at_us).encode(codec)

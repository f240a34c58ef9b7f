"""The bytes around a block, as files say them: for listeners and for receivers."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options

_MARK = re.compile(r"(?!0d)[0-9a-f]{2}|00(?!0d|00)[0-9a-f]{2}|(?!0d|00)[0-9a-f]{2}00")


def _mark(text: str) -> str:
    if not _MARK.fullmatch(text):
        raise ValueError(
            "expected one byte in two small hexadecimal digits, as in 0b, or one character of UTF-16 in "
            "four, as in 000b or 0b00; 0d is taken"
        )
    return text


class BlockBytes(Options):
    """What wraps a message, for systems that use other bytes than the standard's."""

    start: Annotated[str, AfterValidator(_mark)] = Field(
        "0b", description="The byte before a message; `000b` or `0b00` where frames are UTF-16 too."
    )
    end: Annotated[str, AfterValidator(_mark)] = Field(
        "1c", description="The byte after a message, in as many digits."
    )
    carriage_return: bool = Field(True, description="Whether a CR follows; the standard says so.")

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end must be two different bytes")
        if _zero(self.start) != _zero(self.end):
            raise ValueError("start and end must both be one byte, or both UTF-16 in the same byte order")
        return self

    @property
    def start_mark(self) -> bytes:
        """The byte, or the two bytes of UTF-16, before a message."""
        return bytes.fromhex(self.start)

    @property
    def end_mark(self) -> bytes:
        """The byte or two after a message, without the CR."""
        return bytes.fromhex(self.end)

    @property
    def after_mark(self) -> bytes:
        """The CR that follows, in one byte or two; nothing where none does."""
        if not self.carriage_return:
            return b""
        return {None: b"\r", 0: b"\0\r", 1: b"\r\0"}[_zero(self.start)]


def _zero(text: str) -> int | None:
    """Which byte of a character of UTF-16 is zero; None for a single byte."""
    return None if len(text) == 2 else bytes.fromhex(text).index(0)

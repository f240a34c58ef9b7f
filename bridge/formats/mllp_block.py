"""The bytes around a block, as files say them: for listeners and for receivers."""

from __future__ import annotations

import re
from typing import Annotated, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Options


def _byte(text: str) -> str:
    if not re.fullmatch(r"(?!0d)[0-9a-f]{2}", text):
        raise ValueError("expected one byte in two small hexadecimal digits, as in 0b; 0d is taken")
    return text


class BlockBytes(Options):
    """What wraps a message, for systems that use other bytes than the standard's."""

    start: Annotated[str, AfterValidator(_byte)] = Field("0b", description="The byte before a message.")
    end: Annotated[str, AfterValidator(_byte)] = Field("1c", description="The byte after a message.")
    carriage_return: bool = Field(True, description="Whether a CR follows; the standard says so.")

    @model_validator(mode="after")
    def _two(self) -> Self:
        if self.start == self.end:
            raise ValueError("start and end must be two different bytes")
        return self

    @property
    def start_byte(self) -> bytes:
        """The byte before a message."""
        return bytes.fromhex(self.start)

    @property
    def end_byte(self) -> bytes:
        """The byte after a message, without the CR."""
        return bytes.fromhex(self.end)

"""What a channel says of its HL7 v2 messages."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field, StringConstraints

from bridge.component import Options
from bridge.formats.hl7v2_batch_totals import PATH
from bridge.formats.hl7v2_charset import FROM_MESSAGE, Charset, known_codec

ALIASES_MAX_COUNT = 64
TOTALS_MAX_COUNT = 8


def _codec(name: str) -> str:
    if known_codec(name) is None:
        raise ValueError("expected a character set, as in utf-8, windows-1252 or iso-8859-1")
    return name


def _codec_or_message(name: str) -> str:
    if name != FROM_MESSAGE and known_codec(name) is None:
        raise ValueError(f"expected {FROM_MESSAGE} or a character set, as in utf-8 or windows-1252")
    return name


class Hl7v2Options(Options):
    """Options of the HL7 v2 format."""

    charset: Annotated[str, AfterValidator(_codec_or_message)] = Field(
        FROM_MESSAGE, description="The character set: `from-message` (MSH-18), or one that overrides it."
    )
    fallback: tuple[Annotated[str, AfterValidator(_codec)], ...] = Field(
        ("utf-8", "windows-1252"), description="Tried in this order where the message does not decode."
    )

    aliases: Annotated[
        dict[str, Annotated[str, AfterValidator(_codec)]], Field(max_length=ALIASES_MAX_COUNT)
    ] = Field(
        default_factory=dict,
        description="Names in MSH-18 that are not in HL7 table 0211, with the character set that they mean.",
    )
    strict: bool = Field(
        False,
        description="Refuse with AR what is otherwise tolerated, and what python-hl7 cannot read; for "
        "senders that are held to the standard.",
    )

    envelopes: bool = Field(
        False,
        description="Whether each message of a batch is kept with the headers that it stands below, BHS and "
        "FHS, behind its own segments: mappings read them as `BHS-11`. They are part of the message from "
        "then on, so the same message in another batch is another.",
    )
    totals: tuple[Annotated[str, StringConstraints(pattern=PATH)], ...] = Field(
        (),
        max_length=TOTALS_MAX_COUNT,
        description="What BTS-3 says: the fields whose sums over a batch its repetitions are, in their "
        "order, as in [FT1-11.1]. They are held against it as its count is.",
    )

    def as_charset(self) -> Charset:
        """What the reader is told."""
        return Charset(self.charset, self.fallback, tuple(self.aliases.items()))

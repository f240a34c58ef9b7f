"""X12 as a format: what the spine asks of the transactions of a channel, which come in files."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, Field

from bridge.component import Component, Options
from bridge.formats.base import Header, Opened, ReadProblem, Rejected, Share, amount_of_one
from bridge.formats.x12 import X12Message
from bridge.formats.x12_file import X12File
from bridge.formats.x12_guide import SEGMENTS_LIMIT, SEGMENTS_MAX_COUNT, Unchecked, findings, need_library

_NUMBERS: Final = (("ISA", 13), ("GS", 6), ("ST", 2))
_AROUND: Final = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA"})


def _there(name: Literal["pyx12"]) -> Literal["pyx12"]:
    need_library()
    return name


class GuideOptions(Options):
    """What a transaction is held against: the implementation guides that a library has."""

    by: Annotated[Literal["pyx12"], AfterValidator(_there)] = Field(
        description="The library; it is the extra `x12`. It has 835, 837 P and I, 834, 820, 277CA and 999 of "
        "5010, and most of 4010."
    )
    findings: Literal["quarantine", "note"] = Field(
        "quarantine",
        description="A transaction that its guide does not allow waits for a person, or is taken and noted.",
    )
    unchecked: Literal["take", "quarantine"] = Field(
        "take",
        description="What the library has no guide for, fails on, or is too large: taken and noted, or held.",
    )
    max_segments: int = Field(
        SEGMENTS_MAX_COUNT,
        ge=1,
        le=SEGMENTS_LIMIT,
        description="A transaction with more is not checked: it takes 0.2 ms a segment, and others wait.",
    )


class X12Options(Options):
    """Options of the X12 format. An interchange says itself what separates it."""

    guide: GuideOptions | None = Field(
        None, description="Hold transactions against their implementation guides, before they are taken."
    )
    ta1: bool = Field(
        False,
        description="Whether each TA1, which stands outside of transactions, is a message of its own, of the "
        "type TA1; else it is passed over.",
    )


class X12Format:
    """One channel's X12: a `Format`."""

    strict = False

    def __init__(self, options: X12Options) -> None:
        self._guide, self._ta1 = options.guide, options.ta1

    def header(self, body: bytes) -> Header:
        """Type (ST01), numbers (ISA13, GS06, ST02, or TA101), processing (ISA15), and implementation."""
        message = X12Message.read(body)
        if message.refused is not None:
            return Header()
        places = (("ISA", 13), ("TA1", 1)) if message.message_type == "TA1" else _NUMBERS
        numbers = (message.value(*each) for each in places)
        return Header(
            message_code_event=message.message_type,
            control_id="-".join(each.strip() for each in numbers if each).encode(),
            processing_id=(message.value("ISA", 15) or "").encode(),
            version=message.version.encode(),
            readable=True,
        )

    def read(self, body: bytes) -> X12Message:
        """The transaction, with the ISA and GS that it stands in."""
        return X12Message.read(body)

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:  # noqa: ARG002
        """The first thing that its guide does not allow, where the channel holds transactions against it."""
        if self._guide is None:
            return None
        try:
            found = findings(body, segments_max=self._guide.max_segments)
        except Unchecked as why:
            held = self._guide.unchecked == "quarantine"
            return ReadProblem("guide-unchecked", why.code, f"this transaction was not checked: {why}", held)
        if not found:
            return None
        first, held = found[0], self._guide.findings == "quarantine"
        return ReadProblem("guide", f"{first.place} {first.code}", "its guide does not allow this", held)

    def content(self, body: bytes) -> bytes:
        """Its type and the segments between ST and SE: those around it have new numbers and times."""
        return self.read(body).content(body, _AROUND)

    def shares(self, body: bytes) -> Mapping[str, Share]:
        """What an 835 pays, as its claims and adjustments come to it."""
        return amount_of_one(self.splitter(len(body) + 1), body)

    def rejects(
        self,
        rejected: Sequence[Rejected],
        opened: Callable[[], Opened],  # noqa: ARG002 - only rows are cut
    ) -> bytes:
        """Each transaction in its interchange."""
        return b"".join(each.body for each in rejected)

    def splitter(self, message_max_bytes: int) -> X12File:
        """Interchanges, one after the other."""
        return X12File(message_max_bytes, ta1=self._ta1)


COMPONENT = Component(
    kind="format",
    name="x12",
    summary="X12 interchanges in files: each transaction by itself, counts and payments held against it.",
    options=X12Options,
    example="{}\n",
    takes="files",
    build=X12Format,
)

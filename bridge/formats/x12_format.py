"""X12 as a format: what the spine asks of the transactions of a channel, which come in files."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Final

from bridge.component import Component, Options
from bridge.formats.base import Header, Opened, ReadProblem, Rejected, Share, Unsplittable
from bridge.formats.x12 import X12Message
from bridge.formats.x12_file import X12File

_AROUND: Final = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA"})


class X12Options(Options):
    """Options of the X12 format. There are none: an interchange says itself what separates it."""


class X12Format:
    """One channel's X12: a `Format`."""

    strict = False

    def __init__(self, options: X12Options) -> None:
        pass

    def header(self, body: bytes) -> Header:
        """Type (ST01), numbers (ISA13, GS06, ST02), whether it is real (ISA15), and implementation."""
        message = X12Message.read(body)
        if message.refused is not None:
            return Header()
        numbers = (message.value("ISA", 13), message.value("GS", 6), message.value("ST", 2))
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
        """None: nothing is strict here."""
        return None

    def content(self, body: bytes) -> bytes:
        """Its type and the segments between ST and SE: those around it have new numbers and times."""
        message = X12Message.read(body)
        if message.refused is not None:
            return body
        inside = [[each.name, *each.elements()] for each in message.segments if each.name not in _AROUND]
        return json.dumps([message.message_type, *inside]).encode()

    def shares(self, body: bytes) -> Mapping[str, Share]:
        """What an 835 pays, as its claims and adjustments come to it."""
        file = self.splitter(len(body) + 1)
        try:
            file.feed(body)
            file.end()
        except Unsplittable:
            return {}
        amounts = [each.found["amount"] for each in file.batches if "amount" in each.found]
        return {"amount": Share(Decimal(amounts[0]))} if amounts else {}

    def rejects(
        self,
        rejected: Sequence[Rejected],
        opened: Callable[[], Opened],  # noqa: ARG002 - only rows are cut
    ) -> bytes:
        """Each transaction in its interchange."""
        return b"".join(each.body for each in rejected)

    def splitter(self, message_max_bytes: int) -> X12File:
        """Interchanges, one after the other."""
        return X12File(message_max_bytes)


COMPONENT = Component(
    kind="format",
    name="x12",
    summary="X12 interchanges in files: each transaction by itself, counts and payments held against it.",
    options=X12Options,
    example="{}\n",
    takes="files",
    build=X12Format,
)

"""Files made of HL7 v2 messages: a batch with its count (v2.5.1 §2.10.3). Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal

from pydantic import AfterValidator, Field

from bridge.formats.gathered import (
    CONTROL_NUMBER_MAX,
    FileFacts,
    Gathers,
    Member,
    NotGathered,
    control_number,
    plain_name,
)
from bridge.formats.hl7v2_ack import peek

Name = Annotated[str, AfterValidator(plain_name), Field(max_length=180)]


class Hl7Batch(Gathers):
    """A batch of HL7 v2 messages: FHS, BHS, the messages, BTS with their count, FTS."""

    takes: ClassVar[Literal["record", "message"]] = "message"
    sending_application: Name = Field("", description="BHS-3 and FHS-3.")
    sending_facility: Name = Field("", description="BHS-4 and FHS-4.")
    receiving_application: Name = Field("", description="BHS-5 and FHS-5.")
    receiving_facility: Name = Field("", description="BHS-6 and FHS-6.")
    numbers_from: int = Field(
        1,
        gt=0,
        le=CONTROL_NUMBER_MAX,
        description="The lowest control number, BHS-11 and FHS-11: to go on where another engine stopped. "
        "Each file for these four has one more than the one before, by whichever API.",
    )
    file_envelope: bool = Field(True, description="Whether FHS and FTS stand around the batch.")

    def member(self, content: Mapping[str, Any] | bytes) -> Member:
        """As `Gathers` says."""
        assert isinstance(content, bytes), "messages"
        body = content.strip(b"\r\n\x0b\x1c\0\x1a")
        if not body.startswith(b"MSH"):
            raise NotGathered("expected an HL7 v2 message, which begins with MSH")
        return Member(body.replace(b"\r\n", b"\r").replace(b"\n", b"\r") + b"\r", {})

    @property
    def partner(self) -> tuple[str, int]:
        """As `Gathers` says."""
        return "|".join(("hl7v2", *self._between())), self.numbers_from

    def controls(self, members: Sequence[Member], facts: FileFacts) -> tuple[str, ...]:  # noqa: ARG002
        """Each one's MSH-10, which MSA-2 says."""
        return tuple(peek(each.content).control_id.decode("utf-8", "replace") for each in members)

    def file(self, members: Sequence[Member], facts: FileFacts) -> bytes:
        """As `Gathers` says."""
        made = f"{facts.closed_at:%Y%m%d%H%M%S%z}"
        after = ["^~\\&", *self._between(), made, "", "", "", str(control_number(facts.control))]
        head, count = "|".join(after), len(members)
        before = [f"FHS|{head}\r", f"BHS|{head}\r"] if self.file_envelope else [f"BHS|{head}\r"]
        behind = [f"BTS|{count}\r", "FTS|1\r"] if self.file_envelope else [f"BTS|{count}\r"]
        return b"".join(
            (
                *(each.encode() for each in before),
                *(m.content for m in members),
                *(e.encode() for e in behind),
            )
        )

    def _between(self) -> tuple[str, str, str, str]:
        sender = self.sending_application, self.sending_facility
        return *sender, self.receiving_application, self.receiving_facility

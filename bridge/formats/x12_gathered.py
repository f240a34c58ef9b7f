"""Files made of X12 transactions: one interchange (X12.5), with its groups and counts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field

from bridge.component import Options
from bridge.formats.gathered import FileFacts, Gathers, Member, NotGathered, plain_name
from bridge.formats.x12 import X12Message

_CONTROL_NUMBER_MAX: Final = 1_000_000_000
_ENVELOPES: Final = frozenset({"ISA", "GS"})


class Party(Options):
    """Who sends or receives an interchange."""

    qualifier: str = Field("ZZ", pattern=r"^[A-Z0-9]{2}$", description="ISA05 or ISA07.")
    id: Annotated[str, AfterValidator(plain_name)] = Field(
        min_length=1, max_length=15, description="ISA06 or ISA08, and GS02 or GS03."
    )


class X12Interchange(Gathers):
    """An interchange of X12: the transactions in groups of one kind and version, numbered anew, with SE01,
    GE01 and IEA01."""

    takes: ClassVar[Literal["record", "message"]] = "message"
    sender: Party = Field(description="Who sends it.")
    receiver: Party = Field(description="Who receives it.")
    usage: Literal["P", "T"] = Field("P", description="ISA15: P for production, T for tests.")
    acknowledge: bool = Field(False, description="ISA14: whether a TA1 is asked for.")

    def member(self, content: Mapping[str, Any] | bytes) -> Member:
        """As `Gathers` says: ST to SE in our delimiters, with what its group was."""
        assert isinstance(content, bytes), "messages"
        message = X12Message.read(content)
        if message.refused is not None:
            raise NotGathered(f"expected an X12 transaction: {message.refused.code}")
        found = [segment for segment in message.segments if segment.name not in _ENVELOPES]
        given, lines = message.delimiters, []
        kept = given.component, given.repetition
        foreign = [each for each in "*~:^" if each not in kept]
        for segment in found:
            texts = [segment.name, *segment.elements()]
            if any(each in text for text in texts for each in foreign):
                raise NotGathered("an element has a character that is a delimiter here")
            table = str.maketrans({given.component: ":", given.repetition: "^"})
            lines.append("*".join(text.translate(table) for text in texts))
        group = {"gs01": message.value("GS", 1) or "", "gs08": message.value("GS", 8) or message.version}
        return Member("~".join(lines).encode() + b"~", group)

    def file(self, members: Sequence[Member], facts: FileFacts) -> bytes:
        """As `Gathers` says."""
        at, number = facts.closed_at, f"{facts.number % _CONTROL_NUMBER_MAX:09}"
        sender, receiver = self.sender, self.receiver
        isa = ["ISA", "00", " " * 10, "00", " " * 10, sender.qualifier, f"{sender.id:15}", receiver.qualifier]
        isa += [f"{receiver.id:15}", f"{at:%y%m%d}", f"{at:%H%M}", "^", "00501", number]
        parts = ["*".join([*isa, str(int(self.acknowledge)), self.usage, ":"])]
        groups = 0
        for (kind, version), same in groupby(
            members, key=lambda each: (each.adds["gs01"], each.adds["gs08"])
        ):
            groups += 1
            gs = ["GS", kind, sender.id, receiver.id, f"{at:%Y%m%d}", f"{at:%H%M}", str(groups), "X", version]
            parts.append("*".join(gs))
            count = 0
            for count, each in enumerate(same, 1):
                parts += _renumbered(each.content.decode(), f"{count:04}")
            parts.append(f"GE*{count}*{groups}")
        parts.append(f"IEA*{groups}*{number}")
        return ("~\n".join(parts) + "~\n").encode()

    def totals(self, members: Sequence[Member]) -> dict[str, str]:
        """As `Gathers` says."""
        return {"count": str(len(members))}


def _renumbered(transaction: str, number: str) -> list[str]:
    """The segments of a transaction, with another ST02 and SE02, and SE01 as it is."""
    segments = transaction.rstrip("~").split("~")
    first, last = segments[0].split("*"), segments[-1].split("*")
    first[2:3] = [number]
    return ["*".join(first), *segments[1:-1], "*".join([last[0], str(len(segments)), number])]

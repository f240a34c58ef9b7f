"""Files made of X12 transactions: one interchange (X12.5), with its groups and counts. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import AfterValidator, Field

from bridge.component import Options
from bridge.formats.gathered import (
    CONTROL_NUMBER_MAX,
    FileFacts,
    Gathers,
    Member,
    NotGathered,
    control_number,
    plain_name,
)
from bridge.formats.x12 import X12Message

GROUPS_MAX: Final = 100
_GROUP_STEP: Final = CONTROL_NUMBER_MAX + 1
_ENVELOPES: Final = frozenset({"ISA", "GS"})


class Party(Options):
    """Who sends or receives an interchange."""

    qualifier: str = Field("ZZ", pattern=r"^[A-Z0-9]{2}$", description="ISA05 or ISA07.")
    id: Annotated[str, AfterValidator(plain_name)] = Field(
        min_length=1, max_length=15, description="ISA06 or ISA08, and GS02 or GS03."
    )


class X12Interchange(Gathers):
    """An interchange of X12: the transactions in a group for each kind and version, numbered anew, with SE01,
    GE01 and IEA01.

    An acknowledgement of a group has its GS06 alone, and no ISA13: so no two groups for a receiver may share
    one. ISA13 counts the interchanges for a receiver. GS06 is the same number for the first group, and for
    each further one 10,000,000 more. ST02 counts the transactions of the interchange.
    """

    takes: ClassVar[Literal["record", "message"]] = "message"
    sender: Party = Field(description="Who sends it.")
    receiver: Party = Field(description="Who receives it.")
    usage: Literal["P", "T"] = Field("P", description="ISA15: P for production, T for tests.")
    numbers_from: int = Field(
        1,
        gt=0,
        le=CONTROL_NUMBER_MAX,
        description="The lowest control number, ISA13: to go on where another engine stopped. Each "
        "interchange from this sender to this receiver has one more than the one before, by whichever API.",
    )
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

    @property
    def partner(self) -> tuple[str, int]:
        """As `Gathers` says."""
        who = (f"{each.qualifier}*{each.id}" for each in (self.sender, self.receiver))
        return "*".join(("x12", *who)), self.numbers_from

    def controls(self, members: Sequence[Member], facts: FileFacts) -> tuple[str, ...]:
        """Each one's GS06 and ST02, which AK102 and AK202 say."""
        called: dict[int, str] = {}
        for group, same in _grouped(members, facts):
            called |= {at: f"{group}-{number}" for at, number, _ in same}
        return tuple(called[at] for at in range(len(members)))

    def file(self, members: Sequence[Member], facts: FileFacts) -> bytes:
        """As `Gathers` says."""
        at, number = facts.closed_at, f"{control_number(facts.control):09}"
        sender, receiver = self.sender, self.receiver
        isa = ["ISA", "00", " " * 10, "00", " " * 10, sender.qualifier, f"{sender.id:15}", receiver.qualifier]
        isa += [f"{receiver.id:15}", f"{at:%y%m%d}", f"{at:%H%M}", "^", "00501", number]
        parts = ["*".join([*isa, str(int(self.acknowledge)), self.usage, ":"])]
        groups = _grouped(members, facts)
        for group, same in groups:
            kind, version = _kind(same[0][2])
            gs = ["GS", kind, sender.id, receiver.id, f"{at:%Y%m%d}", f"{at:%H%M}", str(group), "X", version]
            parts.append("*".join(gs))
            for _, control, each in same:
                parts += _renumbered(each.content.decode(), control)
            parts.append(f"GE*{len(same)}*{group}")
        parts.append(f"IEA*{len(groups)}*{number}")
        return ("~\n".join(parts) + "~\n").encode()

    def totals(self, members: Sequence[Member]) -> dict[str, str]:
        """As `Gathers` says."""
        return {"count": str(len(members))}


def _kind(member: Member) -> tuple[str, str]:
    return member.adds["gs01"], member.adds["gs08"]


_Grouped = list[tuple[int, list[tuple[int, str, Member]]]]
"""Groups by GS06: of each member where it stands among all, its ST02, and itself."""


def _grouped(members: Sequence[Member], facts: FileFacts) -> _Grouped:
    """The groups of an interchange. Raises NotGathered."""
    of_kind: dict[tuple[str, str], list[tuple[int, Member]]] = {}
    for at, each in enumerate(members):
        of_kind.setdefault(_kind(each), []).append((at, each))
    if len(of_kind) > GROUPS_MAX:
        raise NotGathered(f"an interchange has transactions of at most {GROUPS_MAX} kinds and versions")
    found, count = [], 0
    for group, same in enumerate(of_kind.values()):
        numbered = [(at, f"{count + number:04}", each) for number, (at, each) in enumerate(same, 1)]
        found.append((control_number(facts.control) + group * _GROUP_STEP, numbered))
        count += len(same)
    return found


def _renumbered(transaction: str, number: str) -> list[str]:
    """The segments of a transaction, with another ST02 and SE02, and SE01 as it is."""
    segments = transaction.rstrip("~").split("~")
    first, last = segments[0].split("*"), segments[-1].split("*")
    first[2:3] = [number]
    return ["*".join(first), *segments[1:-1], "*".join([last[0], str(len(segments)), number])]

"""Answers to X12 files: an interchange with TA1 for each interchange, and a 999 for each group. Pure.

TA1 is X12.5's interchange acknowledgement and is written where ISA14 asks for it; 999 is 005010X231A1, the
implementation acknowledgement, with AK1, AK2, IK5 and AK9 for what came, and IK3 and IK4 for what its guide
does not allow. It says whether a transaction could
be taken, and not what later became of it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from bridge.formats.x12 import X12Message
from bridge.formats.x12_guide import NO_NAME, Finding
from bridge.message import Microseconds

VERSION: Final = "005010X231A1"
CONTROL_NUMBER_MAX: Final = 999_999_999
GROUP_ERROR: Final = "5"
"""AK905: the number of transactions is not what GE01 says."""
_CODES: Final = {"segments": "4", "control number": "3"}
_ELEMENTS_WRONG: Final = "8"
_SEGMENT_ERRORS: Final = "5"
"""IK502 (X12 element 618): counts do not match, control numbers do not, segments have errors."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A transaction that came, as an interchange of its own; whether it was taken; what differed, and what
    its guide does not allow."""

    interchange: X12Message
    accepted: bool
    differs: str = ""
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True)
class Groups:
    """What trailers said: the counts of GE01 by the group's number (GS06), the interchanges (ISA13) whose
    trailer does not fit, each with the code of TA105 (X12 element I18)."""

    declared: Mapping[str, int]
    wrong: Mapping[str, str]


def x12_answer(taken: Sequence[Taken], groups: Groups, *, control_number: int, at_us: Microseconds) -> bytes:
    """One interchange, from the receiver of the first one back to its sender; nothing for no transactions."""
    if not taken:
        return b""
    first = taken[0].interchange
    separator, ends = first.delimiters.field, "~"
    at = datetime.fromtimestamp(at_us / 1e6, UTC)
    isa = [_padded(first, number) for number in range(1, 17)]
    isa[4:8] = [isa[6], isa[7], isa[4], isa[5]]
    isa[8], isa[9] = at.strftime("%y%m%d"), at.strftime("%H%M")
    number = f"{control_number % (CONTROL_NUMBER_MAX + 1):09}"
    isa[12], isa[13] = number, "0"
    lines = [["ISA", *isa], *_interchanges(taken, groups)]
    by_group: dict[tuple[str, str], list[Taken]] = {}
    for each in taken:
        key = each.interchange.value("ISA", 13) or "", each.interchange.value("GS", 6) or ""
        by_group.setdefault(key, []).append(each)
    day, minute = at.strftime("%Y%m%d"), at.strftime("%H%M")
    gs = first.value("GS", 3) or "", first.value("GS", 2) or ""
    lines.append(["GS", "FA", *gs, day, minute, "1", "X", VERSION])
    for count, members in enumerate(by_group.values(), 1):
        lines += _functional(count, members, groups)
    lines += [["GE", str(len(by_group)), "1"], ["IEA", "1", number]]
    return "".join(separator.join(line).rstrip(separator) + ends for line in lines).encode("utf-8")


def _interchanges(taken: Sequence[Taken], groups: Groups) -> list[list[str]]:
    seen: dict[str, X12Message] = {}
    for each in taken:
        seen.setdefault(each.interchange.value("ISA", 13) or "", each.interchange)
    lines = []
    for number, message in seen.items():
        if (message.value("ISA", 14) or "") != "1" and number not in groups.wrong:
            continue
        code = groups.wrong.get(number, "000")
        dates = message.value("ISA", 9) or "", message.value("ISA", 10) or ""
        lines.append(["TA1", number, *dates, "A" if code == "000" else "E", code])
    return lines


def _functional(count: int, members: Sequence[Taken], groups: Groups) -> list[list[str]]:
    gs = [members[0].interchange.value("GS", number) or "" for number in (1, 6, 8)]
    lines = [["ST", "999", f"{count:04}", VERSION], ["AK1", *gs]]
    for each in members:
        st = [each.interchange.value("ST", number) or "" for number in (1, 2, 3)]
        lines.append(_trimmed(["AK2", *st]))
        lines += _explained(each)
        if each.accepted and not each.differs and not each.findings:
            lines.append(["IK5", "A"])
        else:
            code = _CODES.get(each.differs, _SEGMENT_ERRORS)
            lines.append(["IK5", "E" if each.accepted else "R", code])
    accepted = sum(each.accepted for each in members)
    declared = groups.declared.get(gs[1], len(members))
    says = "R" if not accepted else "P" if accepted < len(members) else "A"
    if says == "A" and any(each.differs or each.findings for each in members):
        says = "E"
    end = ["AK9", says, str(declared), str(len(members)), str(accepted)]
    if declared != len(members):
        end[1] = "E" if says == "A" else says
        end.append(GROUP_ERROR)
    lines.append(end)
    lines.append(["SE", str(len(lines) + 1), f"{count:04}"])
    return lines


def _explained(taken: Taken) -> list[list[str]]:
    """IK3 for each segment with a finding, IK4 for each of its elements; IK304 8 says that these follow.

    What is not taken without a finding, as amounts that do not add up, has none: no code of these says so.
    """
    lines: list[list[str]] = []
    component = taken.interchange.delimiters.component
    before: tuple[str, int, str] | None = None
    for each in taken.findings:
        if each.segment == NO_NAME:
            continue  # what has no name cannot be pointed at
        code = _ELEMENTS_WRONG if each.element else each.code
        if (each.segment, each.position, code) != before:
            lines.append(["IK3", each.segment, str(each.position), "", code])
            before = each.segment, each.position, code
        if each.element:
            place = f"{each.element}{component}{each.component}" if each.component else str(each.element)
            lines.append(["IK4", place, "", each.code])
    return lines


def _padded(message: X12Message, number: int) -> str:
    """An element of ISA as it stood there: its places are fixed."""
    return message.named("ISA")[0].field(number)


def _trimmed(line: list[str]) -> list[str]:
    while line and not line[-1]:
        line.pop()
    return line

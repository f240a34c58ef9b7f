"""Groups of segments: what opens one, what leads it, and what it may hold. `source.groups` of a mapping file.

Nothing is lost where the order differs from the standard's: see `arrange` (`contexts.py`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Final

from bridge.located import Mapping, Node, Place, Scalar, did_you_mean
from bridge.mapping.document import Report, open_mapping, text_of, texts_of
from bridge.mapping.hl7_fields import SEGMENTS, known_segment
from bridge.mapping.key_texts import GROUP_KEYS
from bridge.mapping.messages import AnySegment
from bridge.mapping.syntax import Where

GROUPS_MAX_COUNT: Final = 64
GROUPS_MAX_LEVELS: Final = 8
RESERVED: Final = frozenset({"row", "message"})
_NAME = re.compile(r"[a-z_][a-z0-9_]{0,63}")
_OPENING = re.compile(
    r"(?P<segment>[A-Z][A-Z0-9]{1,2})"
    r"(?:\((?P<element>[0-9]{1,4})\s*=\s*(?:'(?P<quoted>[^'\\]*)'|(?P<value>[^()',=|\s]+))\s*\))?"
)


@dataclass(frozen=True, slots=True)
class Lines:
    """Which anchors are further lines of an instance that is there: text that stands in several segments.

    Those with one of the values in each field of ``where``, and the same as it in all fields of ``same``.
    """

    same: tuple[int, ...]
    where: tuple[tuple[int, frozenset[str]], ...]

    def of(self, segment: AnySegment) -> tuple[str, ...] | None:
        """What is equal in all lines of one text; None of a segment that is no line."""
        for number, values in self.where:
            if segment.field(number) not in values:
                return None
        return tuple(segment.field(number) for number in self.same)


@dataclass(frozen=True, slots=True)
class Group:
    """One group. ``where`` narrows its anchor, as in `N1(1=PR)`; ``parents`` are the groups that may hold it.

    Of ``around`` those of the instances around it count where an instance has none that fits, as X12 says of
    what a claim and its services may both name. An anchor that ``lines`` knows opens no further instance.
    """

    name: str
    place: Place
    anchor: str
    where: Where | None
    lead: tuple[str, ...]
    has: frozenset[str]
    parents: tuple[str, ...] = ()
    around: frozenset[str] = frozenset()
    lines: Lines | None = None

    @property
    def held(self) -> frozenset[str]:
        """The anchor, what leads it, and what it may hold."""
        return self.has | {self.anchor, *self.lead}

    @property
    def closed(self) -> frozenset[str]:
        """What is looked for in an instance alone: where it has none, none around it is meant."""
        return self.held - self.around


Groups = Dict[str, Group]


def read_groups(node: Node | None, form: str, report: Report) -> Groups:
    """The groups of `source:`, those that hold others first."""
    if node is None:
        return {}
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", "groups must be a mapping from names to groups")
        return {}
    if len(node.entries) > GROUPS_MAX_COUNT:
        report.add(node.place, "E204", f"there are more than {GROUPS_MAX_COUNT} groups")
        return {}
    found: dict[str, Group] = {}
    for key, value in node.entries:
        group = _group(key, value, form, report)
        if group is None:
            continue
        if (other := next((one for one in found.values() if _same_opening(one, group)), None)) is not None:
            said = f"the groups {other.name!r} and {key.text!r} open with the same segment"
            report.add(key.place, "E222", said)
        found[key.text] = group
    for key, value in node.entries:
        _parents(key, value, found, report)
    return found


def chain_of(group: Group, groups: Groups) -> tuple[str, ...]:
    """A group and those that may be around it, by name, the innermost first."""
    chain = [group.name]
    for name in chain:
        chain += [each for each in groups[name].parents if each in groups and each not in chain]
    return tuple(chain)


def _group(key: Scalar, value: Node, form: str, report: Report) -> Group | None:
    what = f"group {key.text!r}"
    if _NAME.fullmatch(key.text) is None or key.text in RESERVED:
        report.add(key.place, "E206", f"{key.text!r} cannot name a group", "small letters, digits and _")
        return None
    entries = open_mapping(value, what, tuple(GROUP_KEYS), report, required=("anchor",))
    if entries is None:
        return None
    anchor = text_of(entries.get("anchor"), f"{what}: anchor", report)
    if anchor is None:
        return None
    opening = _OPENING.fullmatch(anchor.text)
    if opening is None:
        hint = "a segment, as in OBR, or N1(1=PR) for one with a value"
        report.add(anchor.place, "E105", f"{what}: {anchor.text!r} names no segment", hint)
        return None
    names = {opening["segment"]: anchor}
    lead = _segments(entries.get("lead"), f"{what}: lead", report)
    has = _segments(entries.get("has"), f"{what}: has", report)
    around = _segments(entries.get("around"), f"{what}: around", report)
    for each in (*lead, *has):
        names.setdefault(each.text, each)
    for each in around:
        if each.text not in names:
            hint = "`around` is for what the group may hold itself, and for that alone: name it in `has` too"
            report.add(each.place, "E234", f"{what} holds no {each.text}", hint)
    if form == "hl7v2":
        for name, where in names.items():
            if not known_segment(name):
                report.add(where.place, "E108", f"HL7 v2 has no segment {name}", did_you_mean(name, SEGMENTS))
    inside = entries.get("in")
    condition = None
    if opening["element"] is not None:
        wanted = opening["quoted"] if opening["quoted"] is not None else opening["value"]
        condition = Where(int(opening["element"]), wanted)
    return Group(
        key.text,
        key.place,
        opening["segment"],
        condition,
        tuple(each.text for each in lead),
        frozenset(each.text for each in has),
        () if inside is None else tuple(each.text for each in texts_of(inside, f"{what}: in", report)),
        frozenset(each.text for each in around),
        _lines(entries.get("lines"), f"{what}: lines", report),
    )


def _lines(node: Node | None, what: str, report: Report) -> Lines | None:
    entries = (
        None if node is None else open_mapping(node, what, ("same", "where"), report, required=("same",))
    )
    if entries is None:
        return None
    same = [_number(each, what, report) for each in texts_of(entries.get("same"), f"{what}: same", report)]
    where: list[tuple[int, frozenset[str]]] = []
    told = entries.get("where")
    if told is not None and not isinstance(told, Mapping):
        report.add(told.place, "E204", f"{what}: where must be a mapping from fields to values")
    for key, value in told.entries if isinstance(told, Mapping) else ():
        values = texts_of(value, f"{what}: where", report)
        where.append((_number(key, what, report), frozenset(each.text for each in values)))
    return Lines(tuple(same), tuple(where))


def _number(text: Scalar, what: str, report: Report) -> int:
    """The number of a field of the anchor; 0, and a problem, where it is none."""
    if re.fullmatch(r"[1-9][0-9]{0,3}", text.text) is None:
        report.add(
            text.place, "E206", f"{what}: {text.text[:40]!r} is no number of a field", "as in same: [3, 4]"
        )
        return 0
    return int(text.text)


def _segments(node: Node | None, what: str, report: Report) -> list[Scalar]:
    if node is None:
        return []
    found = texts_of(node, what, report)
    for each in found:
        if re.fullmatch(r"[A-Z][A-Z0-9]{1,2}", each.text) is None:
            report.add(each.place, "E105", f"{what}: {each.text[:40]!r} names no segment", "as in NTE")
    return found


def _same_opening(one: Group, other: Group) -> bool:
    return one.anchor == other.anchor and (one.where is None or one.where == other.where)


def _parents(key: Scalar, value: Node, groups: Groups, report: Report) -> None:
    group = groups.get(key.text)
    if group is None or not group.parents:
        return
    place = (value.get("in") or value).place if isinstance(value, Mapping) else key.place
    for parent in group.parents:
        if parent not in groups:
            said = f"group {key.text!r}: there is no group {parent!r}"
            report.add(place, "E234", said, did_you_mean(parent, groups))
        elif circle := _circle((group.name, parent), groups):
            report.add(place, "E234", f"group {key.text!r} is inside itself: {' in '.join(circle)}")


def _circle(chain: tuple[str, ...], groups: Groups) -> tuple[str, ...] | None:
    """The way from a group back to itself, or one that is too long; None where there is none."""
    if chain[-1] in chain[:-1] or len(chain) > GROUPS_MAX_LEVELS + 1:
        return chain
    for parent in groups[chain[-1]].parents if chain[-1] in groups else ():
        if circle := _circle((*chain, parent), groups):
            return circle
    return None

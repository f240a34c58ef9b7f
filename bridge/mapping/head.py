"""The head of a mapping file: its name, version, owner, target, and what it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from bridge.canonical.records import MODEL
from bridge.located import Mapping, Node, Scalar, did_you_mean
from bridge.mapping.document import Entries, Report, open_mapping, text_of, texts_of, word_of
from bridge.mapping.each import Source
from bridge.mapping.groups import Groups, read_groups

_NAME = re.compile(r"[a-z][a-z0-9-]{0,99}")
_VERSION = re.compile(r"(?:0|[1-9][0-9]{0,8})(?:\.(?:0|[1-9][0-9]{0,8})){2}")
_MESSAGE_TYPE = re.compile(r"[A-Z][A-Z0-9]{2}(?:\^(?:[A-Z0-9]{1,10}|\*))?")
HL7_VERSIONS: Final = (
    "2.1",
    "2.2",
    "2.3",
    "2.3.1",
    "2.4",
    "2.5",
    "2.5.1",
    "2.6",
    "2.7",
    "2.7.1",
    "2.8",
    "2.8.1",
    "2.8.2",
    "2.9",
    "2.9.1",
)
_OF_CHANNEL: Final = {
    "encoding": "write `format: {hl7v2: {charset: ...}}` in the channel file",
    "line_ends": "a channel takes CR, LF and CRLF; nothing needs to be written",
}
_FORMATS_LATER: Final = ("x12", "fixed", "delimited", "json", "record")


@dataclass(frozen=True, slots=True)
class Head:
    """What stands at the top of a mapping file. No versions: every version is taken."""

    name: str
    version: str
    owner: str
    format: str
    accept: frozenset[str]
    versions: frozenset[str]
    zone: ZoneInfo | None
    on_no_record: str
    source: Source


def read_head(top: Entries, report: Report) -> Head:
    """The head, with '' in the place of what could not be read."""
    name = _matching(
        top.get("mapping"), "mapping", _NAME, "small letters, digits and hyphens: adt-admit", report
    )
    version = _matching(top.get("version"), "version", _VERSION, "three numbers: 1.0.0", report)
    owner = text_of(top.get("owner"), "owner", report)
    word_of(top.get("target"), "target", (MODEL,), report)
    on_no_record = word_of(top.get("on_no_record"), "on_no_record", ("fail", "allow"), report) or "fail"
    accept: frozenset[str] = frozenset()
    versions: frozenset[str] = frozenset()
    zone = None
    groups: Groups = {}
    if (node := top.get("source")) is not None and (source := _source(node, report)) is not None:
        word_of(source.get("format"), "source.format", ("hl7v2",), report, later=_FORMATS_LATER)
        accept = _accept(source.get("accept"), report)
        versions = frozenset(
            each.text
            for each in texts_of(source.get("versions"), "source.versions", report)
            if word_of(each, "each of source.versions", HL7_VERSIONS, report)
        )
        zone = _zone(source.get("timezone"), report)
        groups = read_groups(source.get("groups"), "hl7v2", report)
    reads = Source("hl7v2", groups, zone is not None)
    return Head(
        name, version, owner.text if owner else "", "hl7v2", accept, versions, zone, on_no_record, reads
    )


def _source(node: Node, report: Report) -> Entries | None:
    if isinstance(node, Mapping):
        for key, _ in node.entries:
            if key.text in _OF_CHANNEL:
                report.add(key.place, "E207", f"{key.text} belongs to the channel", _OF_CHANNEL[key.text])
        node = Mapping(tuple(each for each in node.entries if each[0].text not in _OF_CHANNEL), node.place)
    known = ("format", "accept", "versions", "timezone", "groups")
    return open_mapping(node, "source", known, report, required=("format", "accept"))


def _matching(node: Node | None, what: str, pattern: re.Pattern[str], hint: str, report: Report) -> str:
    found = text_of(node, what, report)
    if found is None:
        return ""
    if pattern.fullmatch(found.text) is None:
        report.add(found.place, "E206", f"{what} is not written as it must be", hint)
    return found.text


def _accept(node: Node | None, report: Report) -> frozenset[str]:
    found: dict[str, Scalar] = {}
    for each in texts_of(node, "source.accept", report):
        if _MESSAGE_TYPE.fullmatch(each.text) is None:
            report.add(
                each.place, "E206", "a message type is written as ADT^A01", "message code ^ trigger event"
            )
        elif each.text in found:
            report.add(each.place, "E222", f"source.accept: {each.text} stands twice")
        found[each.text] = each
    return frozenset(found)


def _zone(node: Node | None, report: Report) -> ZoneInfo | None:
    if isinstance(node, Mapping):
        report.add(node.place, "E190", "time zones by sender are not built yet", "name one zone")
        return None
    found = text_of(node, "source.timezone", report)
    if found is None:
        return None
    zones = available_timezones()
    if found.text not in zones:
        hint = did_you_mean(found.text, zones) or "as in America/Chicago or Europe/Vienna"
        report.add(found.place, "E201", f"unknown time zone {found.text!r}", hint)
        return None
    return ZoneInfo(found.text)

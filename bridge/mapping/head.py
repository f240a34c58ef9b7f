"""The head of a mapping file: its name, version, owner, target, and what it takes."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from datetime import tzinfo
from typing import Final
from zoneinfo import ZoneInfo

from bridge.canonical.base import fields
from bridge.canonical.envelope import Meta
from bridge.canonical.records import MODEL, RECORDS
from bridge.formats.document import FORMS
from bridge.formats.xml_tree import ALL_OF_IT, Names, XmlReading, element_named, names_of
from bridge.located import Mapping, Node, Scalar, did_you_mean
from bridge.mapping.check import Scope, check_expression, read_expression
from bridge.mapping.document import Entries, Report, open_mapping, text_of, texts_of, word_of
from bridge.mapping.each import Source
from bridge.mapping.groups import Groups, read_groups
from bridge.mapping.reading import Zone
from bridge.mapping.syntax import Path
from bridge.mapping.times import ZonesBySender, zone_names
from bridge.mapping.values import SEGMENT_FORMS
from bridge.message import ADDS

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
META_NAMES: Final = frozenset(Meta.model_fields)
FORMATS: Final = ("hl7v2", "x12", "edifact", *FORMS)
_ACCEPTED: Final[Dict[str, tuple[re.Pattern[str], str, str]]] = {
    "x12": (re.compile(r"[0-9]{3}"), "a transaction set is written as 835", "its three digits, ST01"),
    "edifact": (re.compile(r"[A-Z]{6}"), "a message type is written as ORDERS", "its six letters, UNH 0065"),
}
_HL7_TYPE: Final = (_MESSAGE_TYPE, "a message type is written as ADT^A01", "message code ^ trigger event")
_KEYS: Final = ("format", "accept", "versions", "timezone", "groups")
_KEYS_OF: Final[Dict[str, tuple[str, ...]]] = {
    "hl7v2": _KEYS,
    "x12": ("format", "accept", "implementation", "timezone", "groups"),
    "edifact": ("format", "accept", "implementation", "timezone", "groups"),
    "delimited": ("format", "columns", "header", "trailer", "timezone"),
    "fixed": ("format", "columns", "header", "trailer", "timezone"),
    "json": ("format", "timezone"),
    "xml": ("format", "record", "header", "lists", "timezone"),
    "record": ("format", "record", "timezone"),
}
_EVERY_KEY: Final = {key for keys in _KEYS_OF.values() for key in keys}


@dataclass(frozen=True, slots=True)
class Head:
    """What stands at the top of a mapping file. No versions: every version is taken. ``form`` is '' where a
    word stands there that is no format."""

    name: str
    version: str
    owner: str
    form: str
    accept: frozenset[str]
    versions: frozenset[str]
    zone: Zone
    on_no_record: str
    source: Source
    of_record: str = ""
    """The kind of record that it reads, where it reads records."""
    paths: tuple[Path, ...] = ()
    """What says who the sender is, where that decides about something."""
    xml: XmlReading = ALL_OF_IT
    """What of a document is read, where it reads XML."""


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
    zone: Zone = None
    read: tuple[Path, ...] = ()
    groups: Groups = {}
    form, source = "hl7v2", None
    names: Dict[str, frozenset[str]] = {}
    xml = ALL_OF_IT
    if (node := top.get("source")) is not None and (source := _source(node, report)) is not None:
        form = word_of(source.get("format"), "source.format", FORMATS, report) or ""
        form = "hl7v2" if "format" not in source else form
    if source is not None and form:
        accept = _accept(source.get("accept"), form, report) if form in SEGMENT_FORMS else frozenset({form})
        versions = _versions(source, form, report)
        zone, read = _zone(source.get("timezone"), form, report)
        groups = read_groups(source.get("groups"), form, report)
        names = _names(source, form, report)
        xml = _xml(source, report) if form == "xml" else xml
    reads = Source(form, groups, zone is not None, names)
    said = source.get("record") if form == "record" and source is not None else None
    of_record = said.text if isinstance(said, Scalar) else ""
    return Head(
        name,
        version,
        owner.text if owner else "",
        form,
        accept,
        versions,
        zone,
        on_no_record,
        reads,
        of_record,
        read,
        xml,
    )


def _source(node: Node, report: Report) -> Entries | None:
    format_node = node.get("format") if isinstance(node, Mapping) else None
    form = format_node.text if isinstance(format_node, Scalar) else ""
    required = ("format", "accept") if form in ("", *SEGMENT_FORMS) else ("format",)
    # Of a word that is no format no key is wrong.
    allowed = _KEYS_OF.get(form, tuple(_EVERY_KEY) if form else _KEYS)
    if isinstance(node, Mapping):
        elsewhere = {*_OF_CHANNEL, *_EVERY_KEY} - {*allowed}
        for key, _ in node.entries:
            if key.text in _OF_CHANNEL:
                report.add(key.place, "E207", f"{key.text} belongs to the channel", _OF_CHANNEL[key.text])
            elif key.text in elsewhere:
                forms = [name for name, keys in _KEYS_OF.items() if key.text in keys]
                hint = f"`{key.text}` is for {' and '.join(filter(None, (', '.join(forms[:-1]), forms[-1])))}"
                report.add(key.place, "E200", f"source: {form or 'hl7v2'} has no {key.text!r}", hint)
        node = Mapping(tuple(each for each in node.entries if each[0].text not in elsewhere), node.place)
    return open_mapping(node, "source", allowed, report, required=required)


def _versions(source: Entries, form: str, report: Report) -> frozenset[str]:
    if form in _ACCEPTED:
        return frozenset(
            each.text for each in texts_of(source.get("implementation"), "source.implementation", report)
        )
    return frozenset(
        each.text
        for each in texts_of(source.get("versions"), "source.versions", report)
        if word_of(each, "each of source.versions", HL7_VERSIONS, report)
    )


def _names(source: Entries, form: str, report: Report) -> Dict[str, frozenset[str]]:
    """The names that paths may have, by what they begin with; none where any is taken."""
    if form == "xml":
        # Records go on before what stands behind them has come.
        nothing: frozenset[str] = frozenset()
        return {"trailer": nothing} if "header" in source else {"trailer": nothing, "header": nothing}
    if form == "record":
        record = text_of(source.get("record"), "source.record", report)
        if record is None:
            return {}
        model = RECORDS.get(record.text)
        if model is None:
            hint = did_you_mean(record.text, RECORDS)
            report.add(record.place, "E210", f"unknown record {record.text!r}", hint)
            return {}
        known = frozenset({"key", "operation", "ext", ADDS, *fields(model)})
        return {"item": known, "root": known, "header": META_NAMES}
    found = {
        base: frozenset(each.text for each in texts_of(source[key], f"source.{key}", report))
        for key, base in (("columns", "item"), ("header", "header"), ("trailer", "trailer"))
        if key in source
    }
    return {**found, "root": found["item"]} if "item" in found else found


def _xml(source: Entries, report: Report) -> XmlReading:
    """What of a document is read, as the channel says it too."""
    record, header = (_element(source.get(key), f"source.{key}", report) for key in ("record", "header"))
    said = texts_of(source.get("lists"), "source.lists", report)
    lists = [_element(each, "each of source.lists", report) for each in said]
    return XmlReading(record, header, tuple(filter(None, lists)))


def _element(node: Node | None, what: str, report: Report) -> Names:
    found = text_of(node, what, report)
    if found is None:
        return ()
    try:
        return names_of(element_named(found.text))
    except ValueError as error:
        report.add(found.place, "E206", f"{what} names no element", str(error))
        return ()


def _matching(node: Node | None, what: str, pattern: re.Pattern[str], hint: str, report: Report) -> str:
    found = text_of(node, what, report)
    if found is None:
        return ""
    if pattern.fullmatch(found.text) is None:
        report.add(found.place, "E206", f"{what} is not written as it must be", hint)
    return found.text


def _accept(node: Node | None, form: str, report: Report) -> frozenset[str]:
    found: dict[str, Scalar] = {}
    for each in texts_of(node, "source.accept", report):
        pattern, said, hint = _ACCEPTED.get(form, _HL7_TYPE)
        if pattern.fullmatch(each.text) is None:
            report.add(each.place, "E206", said, hint)
        elif each.text in found:
            report.add(each.place, "E222", f"source.accept: {each.text} stands twice")
        found[each.text] = each
    return frozenset(found)


def _zone(node: Node | None, form: str, report: Report) -> tuple[Zone, tuple[Path, ...]]:
    """The zone that is declared, or zones by sender; and the path that says who that is."""
    if not isinstance(node, Mapping):
        return _zone_named(node, report), ()
    keys = ("by", "zones", "otherwise")
    entries = open_mapping(node, "source.timezone", keys, report, required=keys[:2])
    if entries is None or (text := text_of(entries.get("by"), "source.timezone.by", report)) is None:
        return None, ()
    tree, scope = read_expression(text, report), Scope({}, form=form)
    if tree is None or check_expression(tree, text, scope, report) is None:
        return None, ()
    if not isinstance(tree, Path) or (tree.which, tree.repetition) != (1, 1) or tree.whole:
        report.add(text.place, "E206", "by is a path that says who the sender is", "as in by: MSH-4.1")
        return None, ()
    named = entries.get("zones")
    zones: dict[str, tzinfo] = {}
    if named is not None and not isinstance(named, Mapping):
        report.add(named.place, "E204", "zones must be a mapping from senders to time zones")
    for key, each in getattr(named, "entries", ()):
        if (zone := _zone_named(each, report)) is not None:
            zones[key.text] = zone
    otherwise = _zone_named(entries.get("otherwise"), report)
    found = ZonesBySender(tree.segment, tree.field, tree.component or 1, zones, otherwise)
    return found, (tree,)


def _zone_named(node: Node | None, report: Report) -> ZoneInfo | None:
    found = text_of(node, "source.timezone", report)
    if found is None:
        return None
    zones = zone_names()
    if found.text not in zones:
        hint = did_you_mean(found.text, zones) or "as in America/Chicago or Europe/Vienna"
        report.add(found.place, "E201", f"unknown time zone {found.text!r}", hint)
        return None
    return ZoneInfo(found.text)

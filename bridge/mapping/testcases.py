"""Tests that stand in a mapping file: a message, and what must come of it.

The schema is closed, as for rules: a misspelt expectation must not pass.
"""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass
from typing import Final

from bridge.canonical.base import FieldType, fields
from bridge.canonical.records import RECORDS
from bridge.located import Mapping, Node, Place, Scalar, Sequence, did_you_mean
from bridge.mapping.codes import CODES
from bridge.mapping.document import Entries, Report, list_of, open_mapping, text_of, texts_of, word_of
from bridge.mapping.emit_json import JSON
from bridge.mapping.head import Head
from bridge.mapping.inputs import KEYS, TestInput, read_input
from bridge.mapping.message_block import MESSAGE
from bridge.mapping.places import SEGMENT, place_to_read
from bridge.mapping.syntax import Path
from bridge.message import ADDS, OPERATIONS

_ISSUE = re.compile(r"(R[0-9]{3})(?: ([A-Za-z][A-Za-z0-9_.()=-]*))?")
_BESIDE_FIELDS: Final = ("key", "operation", "clear", "ext", ADDS)


@dataclass(frozen=True, slots=True)
class ExpectedRecord:
    """What a test says of one record; fields that it does not name are not looked at.

    A field that is None must be absent, those of ``clear`` must be sent as "delete".
    """

    key: str | None
    operation: str | None
    clear: tuple[str, ...] | None
    fields: Dict[str, Node | None]
    ext: Node | None = None
    """What is expected of fields of the site's own."""
    adds: tuple[str, ...] | None = None
    """The lists whose entries must be further ones."""


@dataclass(frozen=True, slots=True)
class ExpectedMessage:
    """What a test says of the message that is made: all of it, or what stands at places of it.

    With neither, none may be made. A place of which "" is said must be empty, a segment must not be there.
    """

    whole: str | None = None
    values: tuple[tuple[Path, str], ...] = ()
    absent: tuple[str, ...] = ()

    @property
    def none(self) -> bool:
        """Whether no message may be made."""
        return self.whole is None and not self.values and not self.absent


@dataclass(frozen=True, slots=True)
class TestCase:
    """One test. ``records`` has exactly the records of each kind that it names, in order."""

    __test__ = False  # Its name makes test runners take it for a test of theirs.

    name: str
    place: Place
    input: TestInput
    records: Dict[str, tuple[ExpectedRecord, ...]]
    issues: tuple[str, ...] | None
    failed: bool | None
    made: ExpectedMessage | None = None
    json: Node | None = None
    """The document that must be made, name by name; an empty list for none."""

    @property
    def message(self) -> str:
        """What goes in, where it is text."""
        return self.input.text


def read_tests(
    node: Node | None, emitted: frozenset[str], head: Head, report: Report
) -> tuple[TestCase, ...]:
    """The tests of a file."""
    found: list[TestCase] = []
    for each in list_of(node, "tests", report):
        case = _test(each, emitted, head, report)
        if case is None:
            continue
        if any(case.name == other.name for other in found):
            report.add(case.place, "E222", f"two tests are called {case.name!r}")
        found.append(case)
    return tuple(found)


def _test(node: Node, emitted: frozenset[str], head: Head, report: Report) -> TestCase | None:
    keys = ("name", *KEYS, "expect")
    entries = open_mapping(node, "a test", keys, report, required=("name", "expect"))
    if entries is None:
        return None
    name = text_of(entries.get("name"), "the name of a test", report)
    message = read_input(node, entries, head.form, report, head.xml)
    expected = entries.get("expect")
    if expected is None or name is None or message is None:
        return None
    known = ("issues", "failed", MESSAGE, JSON, *RECORDS)
    opened = open_mapping(expected, "expect", known, report, unknown="E282")
    if opened is None:
        return None
    if isinstance(expected, Mapping) and not expected.entries:
        said = f"test {name.text!r} expects nothing"
        report.add(expected.place, "E280", said, "name a record, `message`, `issues: []` or `failed: true`")
    records: dict[str, tuple[ExpectedRecord, ...]] = {}
    for record in RECORDS:
        if record not in opened:
            continue
        if record not in emitted:
            report.add(opened[record].place, "E282", f"the mapping emits no {record}")
        records[record] = _records(record, opened[record], report)
    made: ExpectedMessage | None = None
    if MESSAGE in opened:
        if MESSAGE not in emitted:
            report.add(opened[MESSAGE].place, "E282", "the mapping emits no message")
        made = _made(opened[MESSAGE], report)
    if JSON in opened and JSON not in emitted:
        report.add(opened[JSON].place, "E282", "the mapping emits no JSON")
    issues = _issues(opened["issues"], report) if "issues" in opened else None
    failed = word_of(opened.get("failed"), "failed", ("true", "false"), report)
    return TestCase(
        name.text,
        name.place,
        message,
        records,
        issues,
        None if failed is None else failed == "true",
        made,
        opened.get(JSON),
    )


def _records(record: str, node: Node, report: Report) -> tuple[ExpectedRecord, ...]:
    known = fields(RECORDS[record])
    nodes = node.items if isinstance(node, Sequence) else (node,)
    found = [_record(record, each, known, report) for each in nodes]
    return tuple(each for each in found if each is not None)


def _record(record: str, node: Node, known: Dict[str, FieldType], report: Report) -> ExpectedRecord | None:
    names = (*_BESIDE_FIELDS, *known)
    entries = open_mapping(node, f"an expected {record}", names, report, unknown="E220")
    if entries is None:
        return None
    if isinstance(node, Mapping) and not node.entries:
        report.add(node.place, "E280", f"nothing is expected of this {record}", "name its key, or a field")
    key = text_of(entries.get("key"), "key", report)
    operation = word_of(entries.get("operation"), "operation", OPERATIONS, report)
    clear, adds = (_names(record, name, entries, known, report) for name in ("clear", ADDS))
    values = {name: _value(entries[name]) for name in entries if name not in _BESIDE_FIELDS}
    return ExpectedRecord(key.text if key else None, operation, clear, values, entries.get("ext"), adds)


def _names(
    record: str, name: str, entries: Entries, known: Dict[str, FieldType], report: Report
) -> tuple[str, ...] | None:
    """The fields that one entry of an expected record names."""
    if name not in entries:
        return None
    named = [] if _is_empty(entries[name]) else texts_of(entries[name], name, report)
    for each in named:
        if each.text not in known:
            hint = did_you_mean(each.text, known)
            report.add(each.place, "E220", f"{record} has no field {each.text!r}", hint)
    return tuple(each.text for each in named)


def _made(node: Node, report: Report) -> ExpectedMessage | None:
    if isinstance(node, Sequence):
        if node.items:
            report.add(node.place, "E282", "a mapping makes one message", "write its places, or [] for none")
        return ExpectedMessage()
    if isinstance(node, Scalar):
        text = text_of(node, MESSAGE, report)
        return None if text is None else ExpectedMessage(text.text)
    if not node.entries:
        report.add(node.place, "E280", "nothing is expected of the message", "name a place: PID-5.1: DOE")
    values: list[tuple[Path, str]] = []
    absent: list[str] = []
    for key, value in node.entries:
        if not isinstance(value, Scalar):
            report.add(value.place, "E204", f"message.{key.text} must be a text")
        elif SEGMENT.fullmatch(key.text) is not None:
            if value.text:
                hint = f'as in {key.text}-1: ..., or "" for a segment that is not there'
                report.add(value.place, "E282", f"{key.text} is a whole segment", hint)
            absent.append(key.text)
        elif (path := place_to_read(key, report)) is not None:
            values.append((path, value.text))
    return ExpectedMessage(None, tuple(values), tuple(absent))


def _value(node: Node) -> Node | None:
    """None for ``""`` and ``null``: the field must be absent."""
    if isinstance(node, Scalar) and (node.text == "" or (node.text == "null" and node.style == "plain")):
        return None
    return node


def _is_empty(node: Node) -> bool:
    return isinstance(node, Sequence) and not node.items


def _issues(node: Node, report: Report) -> tuple[str, ...]:
    found: list[str] = []
    for each in list_of(node, "issues", report):
        text = text_of(each, "each of issues", report)
        if text is None:
            continue
        match = _ISSUE.fullmatch(text.text)
        if match is None or match[1] not in CODES:
            hint = "a code and what it is about: R010 family, R900 encounter.patient"
            report.add(text.place, "E282", f"{text.text!r} is no issue", hint)
        found.append(text.text)
    return tuple(found)

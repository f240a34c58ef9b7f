"""Runs the tests that stand in a mapping file, through the same plan that runs in production."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Sequence as Items
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from bridge.fhir.check import faults
from bridge.fhir.digits import read_json
from bridge.fhir.exchange import without_nulls
from bridge.formats.document import Document
from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence, plain
from bridge.mapping.branches import Branches
from bridge.mapping.emit_json import JSON
from bridge.mapping.message_block import MESSAGE
from bridge.mapping.plan import Plan
from bridge.mapping.reading import Reads, Run, reader
from bridge.mapping.testcases import ExpectedMessage, ExpectedRecord, TestCase
from bridge.message import ADDS, Issue, MadeMessage, Mapped, Record


@dataclass(frozen=True, slots=True)
class Difference:
    """What a test expected and what came.

    ``what`` is a record, a ``record.field``, ``message``, a ``message.place``, ``issues`` or ``failed``.
    """

    test: str
    place: Place
    what: str
    expected: str
    got: str

    def __str__(self) -> str:
        return f"{self.place}: {self.test}: {self.what}: expected {self.expected}, got {self.got}"


@dataclass(frozen=True, slots=True)
class TestResult:
    """One test with its differences; none means that it passed."""

    __test__ = False  # Its name makes test runners take it for a test of theirs.

    name: str
    place: Place
    differences: tuple[Difference, ...]

    @property
    def passed(self) -> bool:
        """Whether all was as expected."""
        return not self.differences


def run_tests(plan: Plan) -> tuple[TestResult, ...]:
    """Run every test of the file. The texts hold values: the messages are the file's own."""
    return tuple(_run(plan, case) for case in plan.tests)


def gone_through(plan: Plan) -> Branches:
    """Which rules and branches the tests of the file go through."""
    branches = plan.traced.slots.branches
    branches.seen.clear()
    for case in plan.tests:
        plan.run(case.input.read(), lineage=True)
    return branches


def passes(plan: Plan) -> bool:
    """Whether every test of the file passes; the first that does not ends it."""
    return all(_run(plan, case).passed for case in plan.tests)


def failures(plan: Plan) -> list[Problem]:
    """A problem for each difference of each test: places and names, and nothing of what messages hold."""
    return [
        Problem(
            difference.place,
            "E283",
            f"the test {difference.test!r} fails: {difference.what} is not as expected",
            "`bridge map test` shows what came",
        )
        for result in run_tests(plan)
        for difference in result.differences
    ]


def _run(plan: Plan, case: TestCase) -> TestResult:
    mapped = plan.run(case.input.read())
    found: list[Difference] = []

    def differ(what: str, expected: str, got: str) -> None:
        found.append(Difference(case.name, case.place, what, expected, got))

    for record, expected in case.records.items():
        made = [each for each in mapped.records if each.record == record]
        if len(made) != len(expected):
            differ(record, _count(len(expected)), _count(len(made)))
            continue
        for index, (want, have) in enumerate(zip(expected, made, strict=True), start=1):
            name = record if len(expected) == 1 else f"{record}({index})"
            for what, wanted, got in _record_differences(want, have):
                differ(f"{name}.{what}", wanted, got)
    if case.made is not None:
        for what, wanted, got in _message_differences(case.made, mapped.messages):
            differ(what, wanted, got)
    if case.json is not None:
        for what, wanted, got in _document_differences(case.json, mapped.messages):
            differ(what, wanted, got)
    for what, wanted, got in _no_fhir(mapped.messages):
        differ(what, wanted, got)
    if case.failed is not None and case.failed != mapped.failed:
        differ("failed", str(case.failed).lower(), str(mapped.failed).lower())
    if case.issues is not None and not _issues_match(case.issues, mapped.issues):
        got_issues = ", ".join(_issue_text(issue) for issue in mapped.issues)
        differ("issues", f"[{', '.join(case.issues)}]", f"[{got_issues}]")
    elif case.issues is None and found and mapped.failed:
        differ("issues", "no failure", _failure(mapped))
    return TestResult(case.name, case.place, tuple(found))


def _document_differences(want: Node, have: tuple[MadeMessage, ...]) -> Iterator[tuple[str, str, str]]:
    wanted = want.items if isinstance(want, Sequence) else (want,)
    if len(have) != len(wanted):
        yield JSON, _documents(len(wanted)), _documents(len(have))
        return
    for number, (one, other) in enumerate(zip(wanted, have, strict=True), start=1):
        name = JSON if len(wanted) == 1 else f"{JSON}({number})"
        yield from _below(name, one, Document.of_json(other.body).root)


def _no_fhir(made: tuple[MadeMessage, ...]) -> Iterator[tuple[str, str, str]]:
    """Where a document that says of itself that it is a resource of FHIR is none of R4."""
    for number, each in enumerate(made, start=1):
        name = JSON if len(made) == 1 else f"{JSON}({number})"
        read = read_json(each.body) if each.format == JSON else None
        if isinstance(read, dict) and "resourceType" in read:
            for fault in faults(without_nulls(read)):
                yield f"{name}.{fault.place}", fault.text.removeprefix("expected "), fault.code


def _documents(number: int) -> str:
    return {0: "none", 1: "1 document"}.get(number, f"{number} documents")


def _below(what: str, want: Node, have: Any) -> Iterator[tuple[str, str, str]]:
    """Where a document is not as expected; names that are not expected are not looked at."""
    if isinstance(want, Mapping) and isinstance(have, dict):
        for key, value in want.entries:
            absent = isinstance(value, Scalar) and value.text == ""
            if key.text in have and not absent:
                yield from _below(f"{what}.{key.text}", value, have[key.text])
            elif (key.text in have) is absent:
                got = _shown(have[key.text]) if absent else "nothing"
                yield f"{what}.{key.text}", "nothing" if absent else _shown(plain(value)), got
    elif isinstance(want, Sequence) and isinstance(have, list) and len(want.items) == len(have):
        for number, (one, other) in enumerate(zip(want.items, have, strict=True), start=1):
            yield from _below(f"{what}({number})", one, other)
    elif not isinstance(want, Scalar) or want.text != _as_text(have):
        yield what, _shown(plain(want)), _shown(have)


def _as_text(value: Any) -> str:
    if value is None:
        return "null"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _message_differences(
    want: ExpectedMessage, have: tuple[MadeMessage, ...]
) -> Iterator[tuple[str, str, str]]:
    if len(have) != (0 if want.none else 1):
        yield MESSAGE, "none" if want.none else "1 message", f"{len(have)} messages"
        return
    if not have:
        return
    made = Hl7Message.read(have[0].body)
    if want.whole is not None:
        wanted, got = _lines(want.whole), [segment.serialise() for segment in made.segments]
        for line, (one, other) in enumerate(zip_longest(wanted, got, fillvalue="nothing"), start=1):
            if one != other:
                yield f"{MESSAGE}, line {line}", one, other
    for name in want.absent:
        if made.named(name):
            yield f"{MESSAGE}.{name}", "no such segment", f"{len(made.named(name))}"
    for path, expected in want.values:
        value = reader(path, traced=False)(Run(made, Reads(frozenset({path.segment})), 0, None))
        got_text = "" if value is None else '""' if value is NULL else _joined(value)
        if got_text != expected:
            yield f"{MESSAGE}.{path.text}", expected or "nothing", got_text or "nothing"


def _lines(text: str) -> list[str]:
    return [line for line in re.split("[\\r\\n]+", text) if line.strip()]


def _joined(value: object) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _count(number: int) -> str:
    return "1 record" if number == 1 else f"{number} records"


def _failure(mapped: Mapped) -> str:
    return ", ".join(_issue_text(issue) for issue in mapped.issues)


def _record_differences(want: ExpectedRecord, have: Record) -> list[tuple[str, str, str]]:
    found: list[tuple[str, str, str]] = []
    if want.key is not None and want.key != have.key:
        found.append(("key", want.key, have.key))
    if want.operation is not None and want.operation != have.operation:
        found.append(("operation", want.operation, have.operation))
    cleared = [name for name, value in have.fields.items() if value is None]
    for name, wanted_names, names in (("clear", want.clear, cleared), (ADDS, want.adds, have.adds)):
        if wanted_names is not None and sorted(wanted_names) != sorted(names):
            found.append(
                (name, ", ".join(sorted(wanted_names)) or "nothing", ", ".join(sorted(names)) or "nothing")
            )
    if want.ext is not None:
        found.extend(_below("ext", want.ext, dict(have.ext)))
    for name, node in want.fields.items():
        if name in have.fields and isinstance(node, Mapping | Sequence):
            found.extend(_below(name, node, have.fields[name]))
        elif name not in have.fields:
            if node is not None:
                found.append((name, _shown(plain(node)), "nothing"))
        elif not isinstance(node, Scalar) or not _matches(node, have.fields[name]):
            wanted = "nothing" if node is None else _shown(plain(node))
            found.append((name, wanted, _shown(have.fields[name])))
    return found


def _matches(node: Scalar, value: Any) -> bool:
    return node.text == (str(value).lower() if isinstance(value, bool) else value)


def _shown(value: object) -> str:
    if value is None:
        return "delete"
    return str(value).lower() if isinstance(value, bool) else str(value)


def _issues_match(expected: Items[str], issues: Items[Issue]) -> bool:
    """Whether each expectation has an issue of its own and none is left."""
    left = list(issues)
    for text in sorted(expected, key=len, reverse=True):
        found = next((issue for issue in left if text in _names(issue)), None)
        if found is None:
            return False
        left.remove(found)
    return not left


def _names(issue: Issue) -> set[str]:
    """All ways in which a test may write an issue."""
    names = (issue.field, issue.record, f"{issue.record}.{issue.field}", issue.source)
    return {issue.code, *(f"{issue.code} {name}" for name in names if name)}


def _issue_text(issue: Issue) -> str:
    name = ".".join(part for part in (issue.record, issue.field) if part)
    return f"{issue.code} {name}" if name else issue.code

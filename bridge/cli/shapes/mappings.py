"""What commands about mappings and names say as JSON: map, explain, records, deidentify."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict


class MappingNamed(TypedDict):
    """Which mapping, exactly."""

    mapping: str
    version: str
    digest: str


class SegmentCounts(TypedDict):
    """Values of a segment, or of a column, by what became of them."""

    segment: str
    used: int
    ignored: int
    unmapped: int


class UnmappedPlace(TypedDict):
    """A place that no rule reads, what it is called, and why it is unmapped."""

    path: str
    name: str
    values: int
    messages: int
    in_failed_messages: int
    because: str


class IgnoredBy(TypedDict):
    """An entry of `ignore`, and how many values it left out."""

    path: str
    because: str
    values: int


class UnusedIgnore(TypedDict):
    """An entry of `ignore` that left out nothing."""

    mapping: str
    path: str


class IssueCount(TypedDict):
    """How often a mapping noted something."""

    code: str
    field: str
    source: str
    count: int


class Coverage(TypedDict):
    """``used`` + ``ignored`` + ``unmapped`` = ``total``, the values of all messages that a mapping takes."""

    messages: int
    records: int
    used: int
    ignored: int
    unmapped: int
    total: int
    issues: int
    errors: int
    failed: int
    without_record: int
    other_types: dict[str, int]
    errors_by_code: dict[str, int]
    mappings: list[MappingNamed]
    segments: list[SegmentCounts]
    unmapped_places: list[UnmappedPlace]
    ignored_by: list[IgnoredBy]
    unused_ignores: list[UnusedIgnore]
    issues_by_code: list[IssueCount]


SheetRow = TypedDict(
    "SheetRow",
    {
        "record": str,
        "field": str,
        "meaning": str,
        "comes from": str,
        "called": str,
        "rule": str,
        "without a value": str,
        "cannot be read": str,
        "not in the table": str,
        "tag": str,
        "samples": str,
        "line": str,
    },
)
SheetRow.__doc__ = "A field of a record: where it comes from, by which rule, and what happens without it."


class LeftOut(TypedDict):
    """A path that is left out, and why."""

    path: str
    because: str


class NotRead(TypedDict):
    """A place of the samples that no rule reads."""

    path: str
    called: str
    values: str
    because: str


class Sheet(TypedDict):
    """The mapping as a sheet, a row for each field."""

    mapping: str
    version: str
    owner: str
    digest: str
    accept: list[str]
    rows: list[SheetRow]
    ignored: list[LeftOut]
    unmapped: list[NotRead]


class ImpactExample(TypedDict):
    """A message in which it changes; values are masked unless they were asked for."""

    message: str
    before: Any
    after: Any


class ImpactChange(TypedDict):
    """One kind of change of one field, in how many values and messages."""

    record: str
    field: str
    what: str
    values: int
    messages: int
    examples: list[ImpactExample]


class Impact(TypedDict):
    """What another version would make otherwise. ``fails_now``: messages that would fail with it alone."""

    before: MappingNamed
    after: MappingNamed
    messages: int
    changed: int
    fails_now: int
    changes: list[ImpactChange]


class TestResult(TypedDict):
    """One test of a mapping file."""

    mapping: str
    test: str
    passed: bool
    differences: list[str]


class Share(TypedDict):
    """So many of so many."""

    covered: int
    total: int


class Missed(TypedDict):
    """A rule or branch that no test goes through, and which of its outcomes are missing."""

    place: str
    what: str
    outcomes: list[str]


class Survived(TypedDict):
    """A change of the file that no test notices."""

    place: str
    what: str


class Mutation(TypedDict):
    """``score`` in percent of the changes with which the file still loads; ``refused`` would not load."""

    score: float
    noticed: int
    refused: int
    survived: list[Survived]


class TestedMapping(TypedDict):
    """What the tests of one file go through; ``mutation`` only with --mutate."""

    mapping: str
    rules: Share
    branches: Share
    missed: list[Missed]
    mutation: Mutation | None


class Tested(TypedDict):
    """The tests of all files, and what they go through."""

    tests: list[TestResult]
    mappings: list[TestedMapping]


class TriedRecord(TypedDict):
    """A canonical record; None of a field means delete. ``adds`` are lists whose entries are further ones."""

    record: str
    key: str
    operation: str
    fields: dict[str, Any]
    ext: dict[str, Any]
    adds: list[str]


class Issue(TypedDict):
    """What a mapping noted of a message; the text holds no value."""

    code: str
    record: str
    field: str
    text: str
    source: str
    table: str


class Leaf(TypedDict):
    """A value of the message: its bytes begin at ``start``, None where that cannot be told."""

    place: str
    start: int | None
    size: int


class Origin(TypedDict):
    """Where a field came from: its rule, the paths that gave it, the values that were read."""

    record: str
    key: str
    field: str
    rule: str
    sources: list[str]
    leaves: list[Leaf]
    taken: list[str]


class MessageChange(TypedDict):
    """A place of a made message that was changed, and by which rule."""

    place: str
    what: str
    rule: str
    sources: list[str]
    leaves: list[Leaf]


class MadeMessage(TypedDict):
    """A message or document that was made."""

    format: str
    body: str
    changes: list[MessageChange]


class Accounted(TypedDict):
    """A value of the message and what became of it."""

    place: str
    start: int | None
    size: int
    status: Literal["used", "ignored", "unmapped"]
    because: str


class Tried(TypedDict):
    """What a mapping makes of one message, and what became of each of its values."""

    message: str
    records: list[TriedRecord]
    issues: list[Issue]
    failed: bool
    lineage: list[Origin]
    messages: list[MadeMessage]
    values: list[Accounted]


class Meaning(TypedDict):
    """What a name stands for: facts by name, rows by column."""

    kind: str
    name: str
    text: str
    facts: dict[str, str]
    rows: list[dict[str, str]]
    example: str


class NamedLeaf(TypedDict):
    """A value that was read, with the name of its place; ``text`` None where values are not shown."""

    place: str
    name: str
    start: int | None
    size: int
    text: str | None


class ExplainedValue(TypedDict):
    """Why a field is what it is; ``value`` None where values are not shown, or where it means delete."""

    record: str
    number: int
    field: str
    value: Any
    rule: str
    sources: list[str]
    leaves: list[NamedLeaf]
    taken: list[str]
    tag: str
    mapping: str
    version: str
    digest: str


class Explained(TypedDict):
    """`bridge explain MAPPING MESSAGE record.field`: of each record that has it."""

    values: list[ExplainedValue]
    issues: list[Issue]


class RecordField(TypedDict):
    """A field of a record; ``path`` has [] where there are several: ``identifiers[].value``."""

    path: str
    kind: str
    values: list[str]
    needed: bool
    tag: str
    text: str


class RecordType(TypedDict):
    """A canonical record, what it is known by and what it follows."""

    record: str
    version: str
    text: str
    identity: str
    after: list[str]
    tag: str
    fields: list[RecordField]
    example: dict[str, Any]


class Deidentified(TypedDict):
    """How many messages were written into ``folder``; ``refused`` counts those left out, by code."""

    messages: int
    refused: dict[str, int]
    folder: str

"""What commands that look at files say as JSON: check, parse, compare."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class Mistake(TypedDict):
    """A mistake in a file, or a warning, with its place; lines and columns count from 1."""

    file: str
    line: int
    column: int
    severity: Literal["error", "warning"]
    code: str
    text: str
    hint: str | None
    environments: list[str]


class Checked(TypedDict):
    """``ok``: nothing is wrong, though there may be warnings."""

    ok: bool
    problems: list[Mistake]


class ReadFile(TypedDict):
    """What could be read of a file; ``reasons`` counts refusals, ``noticed`` what was odd."""

    file: str
    read: int
    problems: int
    refused: int
    reproduced: int
    reasons: dict[str, int]
    noticed: dict[str, int]


class ReadFiles(TypedDict):
    """The files, and their sums: `bridge parse --check`."""

    files: list[ReadFile]
    read: int
    problems: int
    refused: int
    reproduced: int


class Unsplit(TypedDict):
    """Why a file could not be taken apart, and the byte where that was seen."""

    reason: str
    byte: int
    text: str


class BatchDifference(TypedDict):
    """What a batch says of itself and what was found, and where it says so."""

    what: str
    declared: str
    found: str
    place: str


class LookedBatch(TypedDict):
    """A batch of a file, and whether it is as it says."""

    batch: str
    messages: int
    balance: Literal["balanced", "undeclared", "no-trailer", "differs"]
    declared: dict[str, str]
    found: dict[str, str]
    report: list[BatchDifference]


class HeldBack(TypedDict):
    """What a message is held back for, or, if it is not ``held``, is noted with it; never with a value."""

    message: int
    byte: int
    code: str
    place: str
    text: str
    held: bool


class LookedThrough(TypedDict):
    """A file that was looked through: `bridge files check`."""

    file: str
    ok: bool
    messages: int
    failed: Unsplit | None
    batches: list[LookedBatch]
    findings: list[HeldBack]


class ReadField(TypedDict):
    """A field: repetitions of components of subcomponents."""

    number: int
    repetitions: list[list[list[str]]]


class ReadSegment(TypedDict):
    """``names`` are those of places that hold a value, by path; ``unknown`` are paths that no version has."""

    name: str
    occurrence: int
    fields: list[ReadField]
    title: str
    known: bool
    names: dict[str, str]
    unknown: list[str]


class Noticed(TypedDict):
    """Something odd about a message, or why it was refused; the text holds no value."""

    code: str
    path: str
    text: str


class ReadMessage(TypedDict):
    """A message as a named tree."""

    message: str
    segments: list[ReadSegment]
    problems: list[Noticed]


class ReadEdiSegment(TypedDict):
    """``values`` by place, as in ``CLP[2]-01``; ``names`` are those of its places that are known."""

    name: str
    occurrence: int
    title: str
    values: dict[str, str]
    names: dict[str, str]


class ReadEdiMessage(TypedDict):
    """A message of X12 or EDIFACT, with the envelopes that it stands in."""

    message: str
    form: str
    type: str
    version: str
    control_id: str
    problems: list[Noticed]
    segments: list[ReadEdiSegment]


class Difference(TypedDict):
    """One place where two messages differ; the values are None where they are masked."""

    message: str
    path: str
    name: str
    a: str | None
    b: str | None


class Alone(TypedDict):
    """A message that the other file does not have."""

    message: str
    why: str


class Compared(TypedDict):
    """How many pairs there were, and where they differ."""

    messages: int
    differences: list[Difference]
    alone: list[Alone]

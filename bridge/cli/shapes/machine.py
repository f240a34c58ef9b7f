"""What commands about other engines and about this machine say as JSON: migrate, doctor, bench."""

from __future__ import annotations

from typing import Any, Literal

from typing_extensions import TypedDict


class ChannelPlan(TypedDict):
    """A channel of an export: what it is made of, and what of that could be converted."""

    channel: str
    name: str
    id: str
    file: str
    version: str
    revision: str
    enabled: bool
    initial_state: str
    tags: list[str]
    source: str
    inbound: str
    destinations: list[str]
    elements: int
    converted: int
    approximated: int
    manual: int
    dropped: int
    points: float
    wave: int
    runs: bool
    blocked: list[str]
    dead: str
    double_of: str
    writes_to: list[str]
    calls: list[str]
    depends_on: list[str]
    held: str
    differs: list[str]


class Assessed(TypedDict):
    """What an export of another engine has, and what of it can be converted."""

    channels: int
    elements: int
    converted: int
    approximated: int
    manual: int
    dropped: int
    points: float
    refused: list[Any]
    inventory: list[ChannelPlan]
    ports: list[dict[str, Any]]
    connectors: list[dict[str, Any]]
    kinds: list[dict[str, Any]]
    groups: list[dict[str, Any]]
    libraries: list[dict[str, Any]]
    waves: list[dict[str, Any]]
    server: list[dict[str, Any]]
    secrets: list[dict[str, Any]]
    details: list[dict[str, Any]]


class WrittenFile(TypedDict):
    """A file of an import, and whether it is new, changed, the same, or in conflict."""

    path: str
    change: str


class Imported(Assessed):
    """The same, with the files that were written."""

    files: list[WrittenFile]


class Finding(TypedDict):
    """What the doctor found about one thing, and what to do."""

    about: str
    grade: Literal["good", "warning", "bad"]
    found: str
    advice: str


class Spread(TypedDict):
    """Of all rounds."""

    median: float
    smallest: float
    largest: float


class Ratio(Spread):
    """A ratio of two figures of one run, and whether it is what it should be."""

    ratio: str
    held: str
    reached: bool


class Limit(TypedDict):
    """A figure that is held against a limit."""

    figure: str
    median: float
    at_most: float
    reached: bool


class MeasuredAudit(TypedDict):
    """`bridge bench audit`: each round's figures, and what is held."""

    rounds: list[dict[str, float]]
    limits: list[Limit]


class Measured(TypedDict):
    """All ratios and figures of a benchmark."""

    rounds: int
    ratios: list[Ratio]
    figures: dict[str, Spread]

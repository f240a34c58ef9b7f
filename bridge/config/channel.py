"""Channel files: ``channels/NAME.yaml``, one declared feed each."""

from __future__ import annotations

import re
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, WithJsonSchema, model_validator

from bridge.component import Catalog, Options
from bridge.config.batches import Batches, Reruns
from bridge.config.channel_expressions import (
    read_days,
    read_order_by,
    read_search,
    read_selects,
    read_whens,
)
from bridge.config.components import choose
from bridge.config.gates import GatesFile
from bridge.config.legacy import Legacy, Parity
from bridge.config.names import Name, OperationName
from bridge.config.not_built import Pruned
from bridge.config.topology import (
    Configured,
    KeyOf,
    NoFacility,
    OnNoKey,
    OnNoRoute,
    OnPoison,
    Otherwise,
    Priority,
    When,
)
from bridge.config.validate import WrongAt, validate
from bridge.delivery.stages import Stage
from bridge.formats.base import NamesColumns
from bridge.located import Mapping, Problem, Scalar
from bridge.mapping.check import ANY_NAME, Names
from bridge.message import OPERATIONS, Operation
from bridge.units import DurationS

ROUTES_MAX_COUNT: Final = 200
CHOICES_MAX_COUNT: Final = 200
SEARCH_MAX_COUNT: Final = 8
ONE_OF_TWO: Final = "expected `operations: {upsert: ...}` or `operation: ...`, one of the two"
TYPES_OF: Final = {
    "hl7v2": r"[A-Z][A-Z0-9]{2}(\^([A-Z0-9]{1,10}|\*))?",
    "x12": "[0-9]{3}|TA1",
    "edifact": "[A-Z]{6}",
}
"""How types are written, by the formats that have several."""
_TYPE: Final = f"(?:{'|'.join(TYPES_OF.values())})"


def is_message_type(text: str) -> bool:
    """Whether text is a type, ``ADT^A01`` or ``ADT``, all events of one, ``ADT^*``; ``837`` or ``INVOIC``."""
    return re.fullmatch(_TYPE, text) is not None


def _message_type(text: str) -> str:
    if not is_message_type(text):
        raise ValueError(
            "expected a message type, ADT^A01, all events of one, ADT^*, 837 or INVOIC; rows, JSON and XML "
            "have none: leave `accept` out"
        )
    return text


def _processing_id(text: str) -> str:
    if not re.fullmatch("[A-Z]", text):
        raise ValueError("expected a processing ID of HL7 table 0103: P, T or D")
    return text


MessageType = Annotated[
    str,
    AfterValidator(_message_type),
    WithJsonSchema({"type": "string", "pattern": f"^{_TYPE}$", "examples": ["ADT^A01", "ADT^*"]}),
]
_Expression = {"type": "string", "examples": ["PID-3(5=MR)"]}
_Keys = {
    "anyOf": [
        _Expression,
        {"type": "array", "items": _Expression},
        {
            "type": "object",
            "properties": {"all": {"type": "array", "items": _Expression, "minItems": 1}},
            "additionalProperties": False,
        },
    ]
}
OrderBy = Annotated[
    Any,
    WithJsonSchema({"anyOf": [_Expression, {"type": "object", "additionalProperties": _Keys}]}),
]


class Duplicates(Options):
    """When a message is taken for a repetition."""

    window: DurationS = Field(
        604800.0,
        gt=0,
        description="How long a message is known: the same control ID and body within it are answered as "
        "the first was, and not processed again.",
    )
    control_ids: Literal["reused", "unique"] = Field(
        "reused",
        description="What the same control ID with another body is: reused, a new message, which is "
        "processed; or unique, a conflict, which waits in quarantine for a person.",
    )


class RouteTo(Options):
    """Where the record of a route goes."""

    api: Name | None = Field(None, description="The API, by the name in its own file.")
    select: str | None = Field(
        None, description="Instead of `api`: what of the message says which API, as in MSH-4.1."
    )
    from_: Annotated[dict[str, Name], Field(max_length=CHOICES_MAX_COUNT)] = Field(
        default_factory=dict, alias="from", description="With `select`: the API for each value."
    )
    otherwise: NoFacility | None = Field(
        None,
        description="With `select`: what becomes of a message with another value: quarantine (a person "
        "decides; the default), or ignore (nothing is sent, and it is counted).",
    )
    operations: dict[Operation, OperationName] = Field(
        default_factory=dict,
        description="Which operation of the API takes which operation of the record: upsert, replace, "
        "cancel, delete, merge.",
    )
    operation: OperationName | None = Field(
        None, description="Short for one operation of the API that takes every kind."
    )

    @model_validator(mode="after")
    def _one_of_two(self) -> Self:
        if self.operations and self.operation is not None:
            raise ValueError(ONE_OF_TWO)
        if (self.api is None) == (self.select is None):
            raise ValueError("expected `api: NAME`, or `select: MSH-4.1` with `from: {VALUE: NAME}`")
        if (self.select is not None) != bool(self.from_):
            raise ValueError("`select` and `from` go together: `from` names the API for each value")
        if self.otherwise is not None and self.select is None:
            raise ValueError("`otherwise` goes with `select`: there is one API for every message here")
        return self

    def calls(self) -> dict[Operation, str]:
        """The API's operation for each of the record's."""
        if self.operation is not None:
            return dict.fromkeys(OPERATIONS, self.operation)
        return dict(self.operations)


class RouteFile(Options):
    """One route: a record or the message of a mapping to an API, or the message as it came."""

    route: Name = Field(description="The route's name, once in its channel.")
    after: Annotated[tuple[Name, ...], Field(max_length=ROUTES_MAX_COUNT)] = Field(
        (),
        description="Routes above this one: what this carries of a message goes once all that these carry "
        "of it is done. Without it, it goes side by side with them.",
    )
    undo: OperationName | None = Field(
        None,
        description="What undoes this step where one that comes after it fails for good: an operation of its "
        "API, whose request is made with the step's own, or by_hand (a person has it as a task).",
    )
    if_fails: Literal["person", "undo"] | None = Field(
        None,
        description="With `after`: what follows once this step has failed for good. person (it waits in "
        "quarantine; where a person discards it, what came before it is undone; the default), or undo (that "
        "happens by itself, where its API surely has not taken it).",
    )
    when: str | None = Field(
        None,
        description="A condition on the message; without it the route takes every message. One that it does "
        "not take is not mapped for it.",
    )
    mapping: Name | None = Field(
        None,
        description="The mapping, by the name in its own file. Needed, but for an API with `send: original`.",
    )
    record: str | None = Field(
        None,
        description="Which of the mapping's records this route carries. Needed with `mapping`, but for an "
        "API with `send: message`: that is sent the message that the mapping makes.",
    )
    to: RouteTo = Field(description="The API and its operations.")
    on_poison: OnPoison = Field(
        "block_key",
        description="A request that the API refuses for good needs a person. Until then: block_key (its key "
        "waits), quarantine_and_continue (its key goes on, for states of which the next one says all again), "
        "or block_route (the whole route waits, for ledgers).",
    )


class Retention(Options):
    """How long messages are kept after their last step, once nothing of them is open."""

    messages: DurationS | None = Field(
        None,
        gt=0,
        description="How long a message is kept, with all that became of it, as in 730d. Counts stay.",
    )
    bodies: DurationS | None = Field(
        None,
        gt=0,
        description="How long its content is kept, where that is shorter, as in 90d; what became of it "
        "still shows.",
    )

    @model_validator(mode="after")
    def _content_goes_first(self) -> Self:
        if self.messages is not None and self.bodies is not None and self.bodies > self.messages:
            raise ValueError("expected `bodies` to be no longer than `messages`")
        return self


class ChannelFile(Options):
    """A channel: one declared feed."""

    channel: Name = Field(description="The channel's name, once among all channels.")
    owner: str = Field("", description="Who answers for this feed.")
    description: str = Field("", description="What this feed is, for people.")
    pattern: Literal["synchronous", "event", "canonical", "orchestrated"] | None = Field(
        None,
        description="What those who depend on this feed may expect, held against how it is set up: "
        "synchronous (the sender hears what its one API says), event (it hears once its message is safe), "
        "canonical (so too, and only records leave), or orchestrated (so too, and several APIs take part).",
    )
    source: Any = Field(description="Where messages come from.", json_schema_extra={"component": "transport"})
    format: Any = Field(
        "hl7v2", description="How their bytes are read.", json_schema_extra={"component": "format"}
    )
    accept: frozenset[MessageType] = Field(
        frozenset(),
        description="Message types that are processed, within what the mappings accept. "
        "Without it: all that they accept. Needed where a route has no mapping; but rows, JSON and XML have "
        "no types, and all is taken.",
    )
    otherwise: Otherwise = Field(
        "reject", description="Other types: reject (AR), ignore (AA, kept), or quarantine (AA, a person)."
    )
    processing_ids: Annotated[
        frozenset[Annotated[str, AfterValidator(_processing_id)]], Field(min_length=1)
    ] = Field(frozenset({"P"}), description="MSH-11 that may pass here; others are refused with AR.")
    order_by: OrderBy = Field(
        None,
        description="What order is kept for: an expression, or `default` and one for each message type. "
        "May be left out only with `on_no_key: serial` or `unordered`.",
    )
    on_no_key: OnNoKey = Field(
        "quarantine",
        description="A message without a key: quarantine, serial (one after the other), or unordered.",
    )
    retention: Retention = Field(
        default_factory=lambda: Retention(messages=None, bodies=None),
        description="How long what is over is kept; without it, for ever.",
    )
    on_no_route: OnNoRoute = Field(
        "quarantine",
        description="A message that no route takes: quarantine (a person decides), or filter (nothing is "
        "sent, and it is counted).",
    )
    duplicates: Duplicates = Field(
        default_factory=lambda: Duplicates.model_validate({}), description="When a message is a repetition."
    )
    batches: Batches = Field(
        default_factory=lambda: Batches.model_validate({}), description="What is asked of batches in files."
    )
    priority: Priority | None = Field(
        None,
        description="Who goes first where both have work: live, or bulk, which keeps a quarter of the time "
        "and of the calls meanwhile. Without it, files from folders and servers are bulk, all else is live.",
    )
    search: Annotated[dict[Name, str], Field(max_length=SEARCH_MAX_COUNT)] = Field(
        default_factory=dict,
        description="Values by which messages are found beside their key, as in account: PID-18.1.",
    )
    legacy: Legacy | None = Field(None, description="The engine that this feed went to before.")
    stage: Stage | None = Field(
        None,
        description="Where a new route starts: relay, shadow, primary or complete. Without it `relay` with "
        "`legacy`, else `complete`. Where it stands now, `bridge stage` says.",
    )
    parity: Parity = Field(
        default_factory=lambda: Parity.model_validate({}),
        description="How what the old engine and the bridge make is compared.",
    )
    gates: GatesFile = Field(
        default_factory=lambda: GatesFile.model_validate({}),
        description="What must hold before a route goes a stage further.",
    )
    slo: dict[str, Any] = Field(default_factory=dict, description="Service levels; not watched yet.")
    routes: tuple[RouteFile, ...] = Field(
        min_length=1, max_length=ROUTES_MAX_COUNT, description="Where the records go."
    )

    @model_validator(mode="after")
    def _moves_from_somewhere(self) -> Self:
        if self.legacy is None and self.stage not in (None, "complete"):
            raise ValueError(
                "expected `legacy: {mllp: ...}` beside this stage: it says where the old engine is"
            )
        if self.stage == "canary":
            raise ValueError(
                "a canary is begun with `bridge stage CHANNEL canary 5%`, and no file starts in it"
            )
        routes = {route.route for route in self.routes}
        for tap in () if self.legacy is None else self.legacy.taps:
            if tap.route not in routes:
                raise ValueError(f"`taps` names the route {tap.route}, which this channel has not")
        return self

    @model_validator(mode="after")
    def _kept_as_long_as_known(self) -> Self:
        for name in ("messages", "bodies"):
            kept = getattr(self.retention, name)
            if kept is not None and kept < self.duplicates.window:
                raise WrongAt(
                    ("retention", name),
                    f"expected `{name}` to be no shorter than `duplicates: {{window: ...}}` "
                    "(7d if not given): a repeat is known by the message that it repeats",
                )
        return self


@dataclass(frozen=True, slots=True)
class ReadChannel:
    """A channel file on its own, all of it right; ``whens`` and ``selects`` are those of its routes."""

    file: ChannelFile
    digest: str
    source: Configured
    format: Configured
    order_by: AbstractMapping[str, tuple[KeyOf, ...]]
    whens: tuple[When | None, ...]
    selects: tuple[KeyOf | None, ...]
    search: AbstractMapping[str, KeyOf]
    reruns: Reruns


def read_channel(
    pruned: Pruned, digest: str, catalog: Catalog, folder: Path | None = None
) -> tuple[ReadChannel | None, list[Problem]]:
    """Read one file of the configuration in ``folder``. What it says of other files is not looked at."""
    tree, gone = pruned.tree, pruned.gone
    file, problems = validate(ChannelFile, tree, gone=gone, folder=folder)
    source = None
    if (node := tree.get("source")) is not None:
        source, found = choose("transport", node, catalog, gone, folder)
        problems += found
    named = tree.get("format") or Scalar("hl7v2", tree.place)
    format_, found = choose("format", named, catalog, gone)
    problems += found
    problems += _without_key(pruned)
    problems += _halves(pruned)
    reads = ("hl7v2", ANY_NAME) if format_ is None else (format_.component.name, _columns(format_))
    order_by, found = read_order_by(pruned, *reads)
    problems += found
    whens, found = read_whens(tree, *reads)
    problems += found
    selects, found = read_selects(tree, *reads)
    problems += found
    search, found = read_search(tree, *reads)
    problems += found
    days, found = read_days(tree, *reads)
    problems += found
    refused = any(problem.severity == "error" for problem in problems)
    if refused or file is None or source is None or format_ is None:
        return None, problems
    said = file.batches
    reruns = Reruns(said.business_date, said.rerun, said.late, *days)
    return ReadChannel(file, digest, source, format_, order_by, whens, selects, search, reruns), problems


def _columns(format_: Configured) -> Names:
    """The columns of a format whose rows have names that are known before a file is there."""
    return format_.options.columns_of if isinstance(format_.options, NamesColumns) else ANY_NAME


def _halves(pruned: Pruned) -> list[Problem]:
    """Routes with a record and no mapping, or no call."""
    problems = []
    for route in getattr(pruned.tree.get("routes"), "items", ()):
        if not isinstance(route, Mapping):
            continue
        if route.get("record") is None:
            continue
        if route.get("mapping") is None and (route.place, "mapping") not in pruned.gone:
            hint = RouteFile.model_fields["mapping"].description
            problems.append(Problem(route.place, "C121", "the key `mapping` is missing", hint))
        to = route.get("to")
        if not isinstance(to, Mapping):
            continue
        calls = {"operations", "operation"} & {key.text for key, _ in to.entries}
        known = {field.alias or name for name, field in RouteTo.model_fields.items()}
        odd = {key.text for key, _ in to.entries} - known  # which may be one of the two, misspelt
        if not calls and not odd and not any(place == to.place for place, _ in pruned.gone):
            problems.append(Problem(to.place, "C122", ONE_OF_TWO))
    return problems


def _without_key(pruned: Pruned) -> list[Problem]:
    """What is missing or misnamed in ``order_by``."""
    tree = pruned.tree
    node, on_no_key = tree.get("order_by"), tree.get("on_no_key")
    problems = []
    if isinstance(node, Mapping):
        for key, _ in node.entries:
            if key.text != "default" and (not is_message_type(key.text) or "*" in key.text):
                text = "expected `default` or a message type, as in ADT^A40"
                problems.append(Problem(key.place, "C122", text))
    if isinstance(on_no_key, Scalar) and on_no_key.text != "quarantine":
        return problems
    hint = "without a key every message is quarantined; `on_no_key: serial` keeps the order of all"
    if node is None and (tree.place, "order_by") not in pruned.gone:
        problems.append(Problem(tree.place, "C121", "the key `order_by` is missing", hint))
    wanted = isinstance(node, Mapping) and node.get("default") is None
    if node is not None and wanted and (node.place, "default") not in pruned.gone:
        problems.append(Problem(node.place, "C121", "the key `default` is missing", hint))
    return problems

"""API files: ``channels/apis/NAME.yaml``. They are the catalogue, the only place that names targets."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import Field, model_validator

from bridge.component import (
    SEND_ORIGINAL,
    WHOLE_MESSAGES,
    Catalog,
    Component,
    OperationOptions,
    Options,
    Send,
)
from bridge.config.catalogue_rules import unprotected
from bridge.config.components import by_marker, choose, configure
from bridge.config.names import Name, OperationName
from bridge.config.not_built import Pruned
from bridge.config.templates import path_placeholders, templates_of
from bridge.config.topology import Configured, RepeatSafety
from bridge.config.validate import validate
from bridge.located import Mapping, Node, Problem, Scalar, Sequence, did_you_mean
from bridge.units import DurationS, RatePerS

IN_FLIGHT_MAX_COUNT: Final = 1024
OPERATIONS_MAX_COUNT: Final = 200


Domain = Literal[
    "patient",
    "provider",
    "encounter",
    "order",
    "result",
    "claim",
    "invoice",
    "supplier",
    "inventory",
    "workforce",
    "scheduling",
    "financial",
]


class Owner(Options):
    """Who answers for an API."""

    team: str = Field("", description="The team.")
    oncall: str = Field("", description="How to reach it now.")


class Limits(Options):
    """What protects an API from the bridge."""

    in_flight: int = Field(
        8, ge=1, le=IN_FLIGHT_MAX_COUNT, description="Calls to this API at once, all channels together."
    )
    rate: RatePerS | None = Field(
        None, gt=0, description="Calls to this API in a while, as in 20/s; without it as many as it takes."
    )
    burst: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="With `rate`: how many may go at once after a pause; left out, what goes in a second.",
    )
    per: Literal["api", "credential"] = Field(
        "api",
        description="With `rate`: what it limits: api (the calls to this one), or credential (those to all "
        "APIs with the same `auth` that say so, together).",
    )

    @model_validator(mode="after")
    def _burst_of_a_rate(self) -> Self:
        if self.burst is not None and self.rate is None:
            raise ValueError("burst is how far `rate` may be exceeded: write a rate too, or neither")
        if self.per == "credential" and self.rate is None:
            raise ValueError("per says what `rate` limits: write a rate too, or neither")
        return self


class BreakerFile(Options):
    """When an operation that fails is left alone, and for how long; one call then tries it again."""

    window: DurationS = Field(30.0, gt=0, le=3600, description="The calls of this last while are looked at.")
    min_calls: int = Field(10, ge=1, le=10_000, description="Fewer calls in the window say nothing.")
    failure_ratio: float = Field(
        0.5, gt=0, le=1, description="The share of them that must fail before the operation is left alone."
    )
    consecutive: int = Field(5, ge=1, le=1000, description="So many failures in a row do it too.")
    open: DurationS = Field(30.0, gt=0, description="How long it is left alone, times how often in a row.")
    open_max: DurationS = Field(300.0, gt=0, description="The longest that it is left alone.")

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.open > self.open_max:
            raise ValueError("open cannot be longer than open_max")
        return self


class Retry(Options):
    """What follows a call that failed. Waits double from ``base`` to ``cap``, each with full jitter."""

    base: DurationS = Field(1.0, gt=0, description="The longest first wait.")
    cap: DurationS = Field(300.0, gt=0, description="The longest wait of all.")
    poison_attempts: int = Field(
        3, ge=1, le=100, description="How often the API may refuse one request before a person looks at it."
    )
    not_found_for: DurationS = Field(
        3600.0,
        gt=0,
        description="How long 404 or 410 on a path that names the record is tried again before a person "
        "looks at it: what it is about may still come.",
    )

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.base > self.cap:
            raise ValueError("the first wait, base, cannot be longer than cap")
        return self


class ApiFile(Options):
    """An API of the catalogue. Its destination's keys stand beside these."""

    api: Name = Field(description="The API's name, once among all APIs.")
    description: str = Field("", description="What this API is, for people.")
    layer: Literal["system", "process", "experience"] = Field(
        "system", description="Which layer of the API landscape: system, process or experience."
    )
    domain: Domain | None = Field(None, description="What the API is about.")
    owner: Owner = Field(
        default_factory=lambda: Owner.model_validate({}), description="Who answers for this API."
    )
    version: str = Field("", description="The version that this file describes.")
    send: Send = Field(
        "record",
        description="What is sent: record (a mapping's record, cut to `send_only`), message (one that a "
        "mapping made), or original (the message as it came). The last two are sent whole, for receivers "
        "that may have it all.",
    )
    auth: Any = Field(
        "none",
        description="Who the bridge is to this API; none is for loopback only.",
        json_schema_extra={"component": "credential"},
    )
    repeat_safety: RepeatSafety = Field(
        "none",
        description="What makes a repeated call harmless: header (the API honours Idempotency-Key; an MLLP "
        "receiver knows a repeat by its MSH-10), natural_key (the path names the record; a file's name its "
        "delivery), query_before_retry (the API is asked first whether it took effect, by the `query` of "
        "each operation), or none: then a person decides after a call that may have happened.",
    )
    limits: Limits = Field(
        default_factory=lambda: Limits.model_validate({}), description="What protects the API."
    )
    retry: Retry = Field(
        default_factory=lambda: Retry.model_validate({}), description="What follows a call that failed."
    )
    breaker: BreakerFile = Field(
        default_factory=lambda: BreakerFile.model_validate({}),
        description="When an operation that fails is left alone.",
    )
    operations: Annotated[dict[OperationName, Any], Field(min_length=1, max_length=OPERATIONS_MAX_COUNT)] = (
        Field(
            default_factory=dict,
            description="What can be called, and the record's fields that each call may carry. Needed, but "
            "with `send: original` and `send: message`, where there is nothing to choose.",
            json_schema_extra={"component": "operation"},
        )
    )


@dataclass(frozen=True, slots=True)
class ReadApi:
    """An API file on its own, all of it right."""

    file: ApiFile
    digest: str
    destination: Configured
    operations: dict[str, OperationOptions]
    credential: Configured | None
    policies: tuple[Configured, ...] = ()


def _sends(tree: Mapping) -> str:
    """What an API's file says that is sent."""
    node = tree.get("send")
    return node.text if isinstance(node, Scalar) and node.text else "record"


def read_api(
    pruned: Pruned, digest: str, catalog: Catalog, folder: Path | None = None
) -> tuple[ReadApi | None, list[Problem]]:
    """Read one file of the configuration in ``folder``."""
    tree, gone = pruned.tree, pruned.gone
    component, problems = _destination(pruned, catalog)
    ours, theirs = _split(tree, component, catalog)
    policies, found = _policies(pruned, catalog, folder)
    problems += found
    more = (*(() if component is None else _keys(component)), *_markers(catalog))
    file, found = validate(ApiFile, ours, gone=gone, more_names=more)
    problems += found
    destination: Configured | None = None
    if component is not None:
        options, found = validate(component.options, theirs, gone=gone, folder=folder)
        problems += found
        destination = None if options is None else Configured(component, options)
    credential, found = _credential(pruned, catalog, folder)
    problems += found
    operations, found = _operations(tree, component, pruned)
    problems += found
    if component is not None:
        problems += _sending(pruned, component)
    problems += unprotected(tree, destination, gone)
    wrong = any(problem.severity == "error" for problem in problems) or (tree.place, "send") in gone
    if wrong or file is None or destination is None:
        return None, problems
    return ReadApi(file, digest, destination, operations, credential, policies), problems


def _destination(pruned: Pruned, catalog: Catalog) -> tuple[Component | None, list[Problem]]:
    component, problems = by_marker(pruned.tree, catalog)
    taken_out = {key for place, key in pruned.gone if place == pruned.tree.place}
    markers = {each.marker for each in catalog.components if each.kind == "destination"}
    if component is None and taken_out & markers:
        return None, []
    return component, problems


def _keys(component: Component) -> list[str]:
    return [field.alias or name for name, field in component.options.model_fields.items()]


def _split(tree: Mapping, component: Component | None, catalog: Catalog) -> tuple[Mapping, Mapping]:
    """The keys of `ApiFile`, with those that nobody knows, and the keys of the destination.

    Where it is not known which destination is meant, those of any.
    """
    meant = [each for each in catalog.components if each.kind == "destination"]
    if component is not None:
        meant = [component]
    names = {key for each in meant for key in _keys(each)} - set(ApiFile.model_fields)
    theirs = tuple(entry for entry in tree.entries if entry[0].text in names)
    others = names | set(_markers(catalog))
    ours = tuple(entry for entry in tree.entries if entry[0].text not in others)
    return Mapping(ours, tree.place), Mapping(theirs, tree.place)


def _markers(catalog: Catalog) -> list[str]:
    return [each.marker for each in catalog.components if each.kind == "policy" and each.marker]


def _policies(
    pruned: Pruned, catalog: Catalog, folder: Path | None
) -> tuple[tuple[Configured, ...], list[Problem]]:
    """Every policy of the catalog, with what the file says of it or with its defaults. Of those that are
    asked only where they are declared, the ones that it declares."""
    found: list[Configured] = []
    problems: list[Problem] = []
    for component in catalog.components:
        if component.kind != "policy":
            continue
        node = pruned.tree.get(component.marker) if component.marker else None
        if node is None and component.when_declared:
            continue
        configured, wrong = configure(
            component, Mapping((), pruned.tree.place) if node is None else node, pruned.gone, folder
        )
        problems += wrong
        if configured is not None:
            found.append(configured)
    return tuple(found), problems


def _credential(
    pruned: Pruned, catalog: Catalog, folder: Path | None
) -> tuple[Configured | None, list[Problem]]:
    node = pruned.tree.get("auth")
    if node is None or (isinstance(node, Scalar) and node.text == "none"):
        return None, []
    return choose("credential", node, catalog, pruned.gone, folder)


def _operations(
    tree: Mapping, component: Component | None, pruned: Pruned
) -> tuple[dict[str, OperationOptions], list[Problem]]:
    operations: dict[str, OperationOptions] = {}
    problems: list[Problem] = []
    node = tree.get("operations")
    if _sends(tree) in WHOLE_MESSAGES:
        return {SEND_ORIGINAL: OperationOptions.model_validate({})}, problems
    if component is None or component.operation is None or not isinstance(node, Mapping):
        return operations, problems
    for key, value in node.entries:
        options, found = validate(component.operation, value, gone=pruned.gone)
        problems += found
        if options is not None:
            operations[key.text] = options
        if isinstance(value, Mapping):
            for template in templates_of(value):
                problems += _placeholders(template, value.get("send_only"))
            problems += _unasked(tree, key, value)
    problems += _uncaptured(node, operations)
    return operations, problems


def _uncaptured(node: Mapping, operations: dict[str, OperationOptions]) -> Iterator[Problem]:
    """A call that takes of an answer what none gives; where one cannot be read, nobody can say."""
    if len(operations) < len(node.entries):
        return
    given = {name for each in operations.values() for name in getattr(each, "capture", {})}
    for key, _ in node.entries:
        for name in getattr(operations.get(key.text), "takes", ()):
            if name not in given:
                text = f"`{key.text[:40]}` needs {{captured.{name}}}, and no operation here captures it"
                yield Problem(key.place, "C194", text, did_you_mean(name, given))


def _unasked(tree: Mapping, name: Scalar, operation: Mapping) -> Iterator[Problem]:
    """An operation of an API that is to be asked, and no question."""
    safety = tree.get("repeat_safety")
    asked = isinstance(safety, Scalar) and safety.text == "query_before_retry"
    if asked and operation.get("query") is None:
        text = f"`repeat_safety` is query_before_retry, and `{name.text[:40]}` has no `query`"
        hint = "add query: {path: ...}, a GET that finds what this call made"
        yield Problem(name.place, "C145", text, hint)


def _sending(pruned: Pruned, component: Component) -> Iterator[Problem]:
    """What does not fit between what is sent, and the kind of API that it is sent to."""
    tree, words = pruned.tree, _sends(pruned.tree)
    if words in get_args(Send) and words not in component.sends:
        can = " or ".join(f"`send: {each}`" for each in component.sends)
        node = tree.get("send") or tree
        if (tree.place, "send") not in pruned.gone:
            yield Problem(node.place, "C122", f"`{component.marker}` takes no {words}: expected {can}")
        return
    if words in WHOLE_MESSAGES:
        yield from _sending_all(tree)
    elif tree.get("operations") is None and (tree.place, "operations") not in pruned.gone:
        hint = "what can be called, and the record's fields that each call may carry"
        yield Problem(tree.place, "C121", "the key `operations` is missing", hint)
    safety = tree.get("repeat_safety")
    if (
        isinstance(safety, Scalar)
        and safety.text in get_args(RepeatSafety)
        and safety.text not in component.repeat_safety
    ):
        text = f"`{safety.text}` means nothing for `{component.marker}`"
        yield Problem(safety.place, "C122", text, f"expected one of: {', '.join(component.repeat_safety)}")
    auth = tree.get("auth")
    if not component.credentials and auth is not None and getattr(auth, "text", "") != "none":
        yield Problem(auth.place, "C122", f"`{component.marker}` takes no credential", "leave `auth` out")


def _sending_all(tree: Mapping) -> Iterator[Problem]:
    key = tree.key("operations")
    if key is not None:
        hint = "leave `operations` out: a route names this API alone"
        yield Problem(key.place, "C143", "whole messages are sent: there is nothing to call by name", hint)
    carries, send = tree.get("carries"), tree.get("send")
    phi = carries.get("phi") if isinstance(carries, Mapping) else None
    if getattr(phi, "text", "").lower() != "true" and send is not None:
        text = "whole messages leave, and `send_only` limits nothing"
        hint = "write `carries: {phi: true}` once it is agreed that this receiver may have them"
        yield Problem(send.place, "C144", text, hint, "warning")


def _placeholders(path: Node | None, listed: Node | None) -> list[Problem]:
    if not isinstance(path, Scalar):
        return []
    sent = {"key"}
    if isinstance(listed, Sequence):
        sent |= {item.text for item in listed.items if isinstance(item, Scalar)}
    return [
        Problem(
            path.at(offset),
            "C136",
            f"`{field}` stands here, which this operation may not send",
            f"add {field} to send_only",
        )
        for field, offset in path_placeholders(path.text)
        if field not in sent
    ]

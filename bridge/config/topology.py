"""What a site's files come to, once everything in them is right: the values that the runtime works from."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal

from bridge.component import Component, OperationOptions, Options
from bridge.config.batches import BatchRelease, BatchTotals, Reruns
from bridge.config.gates import GATES, Gate
from bridge.config.legacy import Legacy, Parity
from bridge.contracts.contract import Contract
from bridge.delivery.backoff import RetryPolicy
from bridge.delivery.breaker import BreakerPolicy
from bridge.delivery.flow import IfFails
from bridge.delivery.stages import Stage
from bridge.formats.base import Format
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_ack_modes import Mode
from bridge.located import Place, Problem
from bridge.mapping.plan import Plan
from bridge.message import Operation
from bridge.units import SecretRef

KeyOf = Callable[[Hl7Message], str | None]
When = Callable[[Hl7Message], bool]
Otherwise = Literal["reject", "ignore", "quarantine"]
OnNoKey = Literal["quarantine", "serial", "unordered"]
OnNoRoute = Literal["quarantine", "filter"]
Priority = Literal["live", "bulk"]
OnPoison = Literal["block_key", "quarantine_and_continue", "block_route"]
NoFacility = Literal["quarantine", "ignore"]
Acknowledge = Literal["journaled", "translated", "delivered", "relayed", "never"]
AnswerLate = Literal["AE", "AA"]
RepeatSafety = Literal["header", "natural_key", "query_before_retry", "none"]


@dataclass(frozen=True, slots=True)
class Configured:
    """A component, with options that its model has accepted."""

    component: Component
    options: Options


@dataclass(frozen=True, slots=True)
class About:
    """What the catalogue says of an API, for people; empty where it says nothing."""

    description: str = ""
    layer: str = "system"
    domain: str = ""
    team: str = ""
    oncall: str = ""
    version: str = ""


@dataclass(frozen=True, slots=True)
class Api:
    """A target of the catalogue. ``credential`` is None for ``auth: none``, ``rate_per_s`` for no limit; that
    is of this API, or of all with its credential that say so.

    ``policies`` are all of the catalog's, each with its options for this API, in the order in which they are
    asked. ``sends`` are, by operation, the fields that leave as they are. ``bodies`` are what makes the body
    where it is not these fields: a plan, or None for the record's envelope. ``newer_wins`` are, by operation,
    the fields by which the newer of two states of a record is known, where an older one is not sent.
    ``contract`` is what the API says that it takes and answers, None where nobody has said. ``digest`` is
    over its file, these plans and it.
    """

    name: str
    destination: Configured
    operations: Mapping[str, OperationOptions]
    credential: Configured | None
    repeat_safety: RepeatSafety
    in_flight_max: int
    rate_per_s: float | None
    burst: int | None
    rate_per: Literal["api", "credential"]
    breaker: BreakerPolicy
    retry: RetryPolicy
    digest: str
    policies: tuple[Configured, ...] = ()
    sends: Mapping[str, frozenset[str]] = field(default_factory=dict)
    bodies: Mapping[str, Plan | None] = field(default_factory=dict)
    newer_wins: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    about: About = About()
    contract: Contract | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Route:
    """One record of one mapping to one API, or to one of several.

    ``record`` is '' for the message that the mapping makes. Without a plan it is the message as it came.

    ``when`` None takes every message that the mapping accepts. ``operations`` gives for each operation that a
    record can ask for the API's operation that does it. With ``select`` the message says which API, by
    ``choices``; without it, it is ``api``. ``of_flow`` tells that it goes ``after`` others, or others after
    it; ``undo`` is the operation that undoes what it did, `BY_HAND`, or empty.
    """

    name: str
    when: When | None
    plan: Plan | None = field(repr=False)
    record: str
    api: str
    operations: Mapping[Operation, str]
    on_poison: OnPoison
    select: KeyOf | None = None
    choices: Mapping[str, str] = field(default_factory=dict)
    otherwise: NoFacility = "quarantine"
    after: tuple[str, ...] = ()
    undo: str = ""
    if_fails: IfFails = "person"
    of_flow: bool = False

    @property
    def apis(self) -> tuple[str, ...]:
        """All APIs that it can send to."""
        return tuple(dict.fromkeys(self.choices.values())) if self.select is not None else (self.api,)

    def api_for(self, message: Hl7Message) -> str | None:
        """The API for a message, or None where none of the choices is for it."""
        if self.select is None:
            return self.api
        return self.choices.get(self.select(message) or "")


@dataclass(frozen=True, slots=True)
class Channel:
    """One declared feed. ``accept`` holds message types, ``ADT^A01``, and patterns, ``ADT^*``.

    ``order_by`` has the keys that order is kept for, of which a message must have all; none where the channel
    keeps the order of everything; ``order_words`` is the same as it is written. ``search`` gives the values
    by which a message is found, by their names.
    ``application_ack`` is where application acknowledgements go, None for the sender's own connection.
    ``legacy`` is the old engine, None where there is none, and ``stage`` where a new route starts.
    ``batches_in_blocks`` tells that a block may hold a batch. ``priority`` bulk gives way to live.
    ``reruns`` is what it says of the days that files are of.
    ``tap_plans`` make records of what the old engine sends, by route, where a tap names a mapping.
    ``versions`` are the HL7 versions that one of its mappings takes; empty where one of them takes any.
    """

    name: str
    source: Configured
    format: Configured
    accept: frozenset[str]
    otherwise: Otherwise
    processing_ids: frozenset[str]
    order_by: tuple[KeyOf, ...]
    order_by_type: Mapping[str, tuple[KeyOf, ...]]
    order_words: str
    on_no_key: OnNoKey
    on_no_route: OnNoRoute
    duplicates_window_s: float
    batch_release: BatchRelease
    batch_totals: BatchTotals
    reruns: Reruns
    control_ids_unique: bool
    keep_messages_s: float | None
    keep_bodies_s: float | None
    search: Mapping[str, KeyOf]
    acknowledge: Acknowledge
    answer_within_s: float
    answer_late: AnswerLate
    mode: Mode
    application_ack: str | None
    routes: tuple[Route, ...]
    versions: frozenset[str]
    digest: str
    priority: Priority = "live"
    batches_in_blocks: bool = False
    legacy: Legacy | None = None
    tap_plans: Mapping[str, Plan] = field(default_factory=dict, repr=False)
    stage: Stage = "complete"
    parity: Parity = field(default_factory=lambda: Parity.model_validate({}))
    gates: Mapping[Stage, Gate] = field(default_factory=lambda: GATES)

    def reads(self) -> Format:
        """How its bytes are read."""
        build = self.format.component.build
        assert build is not None, f"{self.format.component.name} cannot be built"
        made: Format = build(self.format.options)
        return made

    def accepts(self, message_type: str) -> bool:
        """Whether messages of this type are processed; what becomes of others, `otherwise` says."""
        return accepts(self.accept, message_type)

    def keys_of(self, message: Hl7Message) -> tuple[tuple[str, ...], bool]:
        """The keys that order is kept for, each once, and whether the message has all that it needs."""
        wanted = self.order_by_type.get(message.message_type, self.order_by)
        found = [key_of(message) for key_of in wanted]
        keys = tuple(dict.fromkeys(key for key in found if key is not None))
        return keys, bool(found) and None not in found


@dataclass(frozen=True, slots=True)
class SourceFile:
    """A file as it was read; ``name`` is its path below the configuration's folder."""

    name: str
    digest: str
    content: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Topology:
    """All channels and APIs of a site.

    ``digest`` is the SHA-256 over all files, ``files`` that of each by its path below the folder; ``paths``
    gives the file of a thing, by kind (channel, api, mapping) and name.
    ``secrets`` are the references that files hold, with their places; none has been looked up.
    ``environment`` is the one whose values files took, or None; ``production`` is what its file says.
    """

    channels: Mapping[str, Channel]
    apis: Mapping[str, Api]
    plans: Mapping[str, Plan] = field(repr=False)
    mapping_files: tuple[SourceFile, ...]
    digest: str
    files: Mapping[str, str]
    secrets: tuple[tuple[SecretRef, Place], ...]
    warnings: tuple[Problem, ...]
    environment: str | None = None
    production: bool = False
    paths: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def channels_of(self, api: str) -> frozenset[str]:
        """The channels that have a route to an API."""
        return frozenset(
            channel.name
            for channel in self.channels.values()
            if any(api in route.apis for route in channel.routes)
        )


OF_ONE_TYPE: Final = frozenset({"delimited", "fixed", "json", "xml"})
"""Formats whose messages do not say of what type they are: the one type is called as the format is."""


def accepts(patterns: frozenset[str], message_type: str) -> bool:
    """Whether a type, or every type of a pattern, is among ``patterns``.

    >>> accepts(frozenset({"ADT^*"}), "ADT^A01"), accepts(frozenset({"ADT^A01"}), "ADT^*")
    (True, False)
    """
    return message_type in patterns or f"{message_type.partition('^')[0]}^*" in patterns

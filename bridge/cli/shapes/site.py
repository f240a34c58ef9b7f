"""What commands about APIs, files of the site and proofs say as JSON."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from pydantic import ConfigDict
from typing_extensions import TypedDict


class Notice(TypedDict):
    """What an API's answers said of its end."""

    operation: str
    sunset_us: int | None


class Api(TypedDict):
    """An API of the catalogue, with its calls of the time asked for."""

    layer: str
    domain: str
    version: str
    team: str
    oncall: str
    lifecycle: str
    sunset: str | None
    carries: list[str]
    calls: int
    failed: int
    open: int
    quarantined: int
    last_call_us: int | None
    notices: list[Notice]
    contract: str
    versions: list[dict[str, Any]]
    health: str


class Apis(TypedDict):
    """``left_out``: calls that did not pass every policy, None without a journal. ``unmanaged``: hosts."""

    apis: dict[str, Api]
    left_out: dict[str, int] | None
    unmanaged: list[list[Any]]


class ContractChange(TypedDict):
    """What two documents differ in; ``breaking`` breaks who calls by the older one."""

    code: str
    severity: Literal["breaking", "fits"] | str
    operation: str
    place: str
    words: str


class LintRule(TypedDict):
    """A rule for contracts, with --rules."""

    code: str
    severity: str
    text: str
    why: str


class LintFinding(TypedDict):
    """Where a contract breaks a rule."""

    rule: str
    severity: str
    operation: str
    place: str
    text: str
    why: str
    found: NotRequired[str]


class Drift(TypedDict):
    """Where an API does otherwise than its contract says; in names of the contract, without values."""

    api: str
    operation: str
    kind: str
    pointer: str
    rule: str
    contract_digest: str
    state: str
    times: int
    first_seen_at_us: int
    seen_at_us: int
    actor: str
    reason: str
    words: str


class Accepted(TypedDict):
    """What is expected from now on, and how many messages are tried again."""

    done: str
    accepted: list[str]
    tried_again: int


class Ending(TypedDict):
    """When an operation ends, by whose word, and what happens then."""

    api: str
    operation: str
    by: str
    ends_at_us: int
    days_left: int
    then: str
    owner: str


class Named(TypedDict):
    """By name."""

    added: list[str]
    removed: list[str]
    changed: list[str]


class RehearsedChange(TypedDict):
    """A change of the last messages, without values."""

    record: str
    field: str
    what: str
    count: int
    messages: int


class Rehearsed(TypedDict):
    """What a changed mapping makes otherwise of the last messages."""

    messages: int
    changed: int
    fails_now: int
    changes: list[RehearsedChange]


class ExchangedFiles(TypedDict):
    """Files of TLS that are other ones, of a channel, a tap or an API; in use where ``why_not`` is empty."""

    kind: Literal["channel", "tap", "api"]
    name: str
    why_not: str


class Reloaded(TypedDict):
    """By which files the node runs now; ``impact`` by channel and mapping, ``tried`` what was left alone.
    ``journal_key`` is the current key of the journal where others were taken, or else empty."""

    digest: str
    channels: Named
    apis: Named
    certificates: list[ExchangedFiles]
    impact: dict[str, Rehearsed]
    tried: list[str]
    journal_key: str
    warnings: list[str]


class BundleFile(TypedDict):
    """A file of a bundle, what happened to it, and what it is about."""

    path: str
    what: Literal["added", "removed", "changed"]
    areas: list[str]
    changes: list[str]


class Needs(TypedDict):
    """Who must agree."""

    groups: list[str]
    persons: int


class DoesNotCount(TypedDict):
    """A statement that does not count, and why."""

    person: str
    code: str
    text: str


class BundleTests(TypedDict):
    """How much of a changed mapping its tests go through."""

    mapping: str
    tests: int
    rules: int
    covered: int


class BundleImpact(TypedDict):
    """What it makes otherwise of the last messages."""

    mapping: str
    messages: int
    changed: int
    fails_now: int


class BundleContract(TypedDict):
    """What changed in a contract."""

    apis: list[str]
    before: str
    now: str
    breaking: int
    changes: list[ContractChange]
    not_compared: str


class Bundle(TypedDict):
    """What changed in the files since they were approved, who must agree, and who has."""

    bundle: str
    kind: str
    environment: str | None
    base: str | None
    state: str
    author: str | None
    files: list[BundleFile]
    needs: Needs
    approved_by: dict[str, Any]
    missing: list[str]
    does_not_count: list[DoesNotCount]
    emergency_until_us: int | None
    warnings: list[str]
    tests: list[BundleTests]
    impact: list[BundleImpact]
    no_impact: list[str]
    contracts: list[BundleContract]


class ListedBundle(TypedDict):
    """A bundle that was proposed or approved."""

    bundle: str
    of: str
    state: str
    author: str
    proposed: str
    by: str
    files: int


class Evidence(TypedDict):
    """Whether a file of evidence holds; ``limits`` is what it cannot show."""

    good: bool
    signed_by: str | list[str]
    head: dict[str, Any]
    counts: dict[str, int]
    problems: list[Any]
    limits: list[str]


class Gate(TypedDict):
    """What must hold before a route goes further."""

    gate: str
    holds: bool
    found: str
    wanted: str


class Stage(TypedDict):
    """Where a route stands between the old engine and the bridge. ``trend``: pairs compared and different,
    of each of the last seven days."""

    channel: str
    route: str
    stage: str
    words: str
    since_us: int | None
    actor: str
    reason: str
    compared: int
    same: int
    explained: int
    different: int
    trend: list[list[int]]
    next: str
    gates: list[Gate]
    waiting_keys: int
    waiting_since_us: int | None
    engine: dict[str, Any]


class Moved(TypedDict):
    """What a move of stages did, a line for each."""

    done: list[str]


class RouteParity(TypedDict):
    """How both sides compare: counts, sums of money by place, and differences by their shapes."""

    route: str
    mapping: str
    compared: int
    outcomes: dict[str, int]
    by_type: dict[str, dict[str, int]]
    rules: dict[str, int]
    money: dict[str, dict[str, str]]
    late: dict[str, int]
    unpaired: dict[str, int]
    clusters: list[dict[str, Any]]


class ChainFinding(TypedDict):
    """What is wrong with the chain, and at which row."""

    kind: str
    where: str
    what: str


class Verified(TypedDict):
    """Whether the journal is as it was written; ``limits`` is what that does not show."""

    good: bool
    commits: int
    first_commit: int
    last_commit: int
    rows: int
    retired: int
    before_the_chain: int
    let_go: int
    checkpoints: int
    signed_up_to: int
    anchors: int
    anchored_up_to: int
    unknown_keys: list[str]
    findings: list[ChainFinding]
    limits: list[str]


class Complete(TypedDict):
    """Changes of state, and how many have no row in the chain; ``ratio`` 1.0 where none."""

    changes: int
    not_begun: int
    broken: int
    other_state: int
    not_started: int
    of_nothing: int
    wrong: int
    ratio: float


Entry = TypedDict(
    "Entry",
    {
        "id": int,
        "at": int,
        "kind": str,
        "actor": str,
        "reason": str,
        "action": NotRequired[str],
        "object": NotRequired[str],
        "message": NotRequired[int],
        "delivery": NotRequired[int],
        "from": NotRequired[str | None],
        "to": NotRequired[str],
        "detail": NotRequired[Any],
    },
)
Entry.__doc__ = (
    "Who did what, or what changed, ``at`` (microseconds); about a message, a delivery, an object."
)


class Violation(TypedDict):
    """A rule that the history broke, and where."""

    invariant: str
    where: str
    what: str


class History(TypedDict):
    """Whether the whole history keeps the rules."""

    messages: int
    deliveries: int
    steps: int
    violations: list[Violation]


class Backup(TypedDict):
    """Whether a copy can be opened and read."""

    messages: int
    opened: int
    wrong: list[Any]


Key = TypedDict(
    "Key",
    {
        "name": str,
        "id": str,
        "is": Literal["current", "retired", "missing"],
        "values": int,
        "in_use": bool,
    },
)
Key.__doc__ = "A key, and how many values are sealed by it."


class Keys(TypedDict):
    """The keys of a journal, and how many values are sealed by each."""

    keys: list[Key]
    not_encrypted: int


class FollowedEvent(TypedDict):
    """A line for each event: its attributes (CloudEvents 1.0) stand beside these."""

    __pydantic_config__ = ConfigDict(extra="allow")  # type: ignore[misc]

    sequence: Any
    kept_at: str
    on: str
    data: Any

"""What commands about messages say as JSON. Times that end in ``_us`` are microseconds since 1970 in UTC."""

from __future__ import annotations

from typing import Any, NotRequired

from typing_extensions import TypedDict


class ListedMessage(TypedDict):
    """A message as lists have it: no content. ``became`` is in words."""

    id: int
    channel: str
    seq: int
    received_at_us: int
    message_type: str
    control_id: str
    body_size_bytes: int
    state: str
    reason: str
    flags: str
    tolerated: str
    charset: str
    answer_code: str
    answer_reached: int | None
    duplicate_of: int | None
    became: NotRequired[str]


class Size(TypedDict):
    """Content is never shown here; this is how much of it there is."""

    bytes: int


class StoryMessage(TypedDict):
    """A message with all that is known of it; hashes and ids in hexadecimal digits."""

    id: int
    channel: str
    seq: int
    received_at_us: int
    peer: str
    message_type: str
    control_id: str
    body_size_bytes: int
    fingerprint: str | None
    repeat_hash: str | None
    duplicate_of: int | None
    flags: str
    key_hash: str | None
    state: str
    reason: str
    issues: str
    trace_id: str
    answer_code: str
    replay_of: int | None
    aside: int
    body_revision: int
    tolerated: str
    charset: str
    body: Size | None
    answer: Size | None
    answer_reached: int | None
    application_code: NotRequired[str]
    application_state: NotRequired[str]


class StoryDelivery(TypedDict):
    """One delivery of it to an API."""

    id: int
    message_id: int
    channel: str
    route: str
    api: str
    operation: str
    key_hash: str | None
    state: str
    reason: str
    attempts: int
    poison_attempts: int
    revision: int
    due_at_us: int | None
    mapping: str
    mapping_digest: str
    aside: int
    held_since_us: int | None
    sent_as: int | None
    late: int
    verdicts: str
    contract_digest: str | None
    patient: str | None
    request: Size | None


class StoryAttempt(TypedDict):
    """One call; ``status`` is that of HTTP where there was an answer."""

    delivery_id: int
    number: int
    started_at_us: int
    ended_at_us: int | None
    verdict: str
    status: int | None
    reason: str
    span_id: str | None
    verdicts: str


class StoryStep(TypedDict):
    """One change of state, by whom and why."""

    id: int
    message_id: int
    delivery_id: int | None
    from_state: str | None
    to_state: str
    at_us: int
    actor: str
    reason: str
    detail: str


class Content(TypedDict):
    """With --reveal: the message, its requests by delivery, and what was answered last to those that were not
    taken. Each character is a byte (Latin-1)."""

    body: str | None
    requests: dict[str, str]
    answers: dict[str, str]


class FilePlace(TypedDict):
    """Where a message stood in its file: its number from 1, the entry of an archive, and at which byte."""

    file_id: int
    name: str
    record: int
    entry: str
    offset_bytes: int


class Correction(TypedDict):
    """Who has corrected a message, when and why."""

    at_us: int
    actor: str
    reason: str


class Story(TypedDict):
    """One message and all that became of it. ``flow`` and ``waits_for`` are words, by delivery; ``answers``
    are the attempts that were not taken and whose answer --reveal shows."""

    message: StoryMessage
    deliveries: list[StoryDelivery]
    attempts: list[StoryAttempt]
    flow: dict[str, str]
    waits_for: dict[str, str]
    transitions: list[StoryStep]
    file: FilePlace | None
    corrections: list[Correction]
    answers: dict[str, int]
    content: NotRequired[Content]


class Entries(TypedDict):
    """How many messages came to which end."""

    received: int
    delivered: int
    suppressed: int
    filtered: int
    ignored: int
    duplicate: int
    discarded: int
    superseded: int
    quarantined: int
    refused: int
    relayed: int
    recorded: int
    open: int


class RouteEntries(TypedDict):
    """The same of the deliveries of a route."""

    channel: str
    route: str
    open: int
    quarantined: int
    delivered: int
    recorded: int
    discarded: int
    superseded: int
    suppressed: int
    filtered: int


class Oddities(TypedDict):
    """What was tolerated of a channel's senders, and in which character sets they write, by count."""

    tolerated: dict[str, int]
    charsets: dict[str, int]


class Stopped(TypedDict):
    """What a person has stopped."""

    subject: str
    scope: str
    intake: bool
    until_us: int | None
    actor: str
    reason: str


class Disk(TypedDict):
    """Of the journal."""

    free_bytes: int
    total_bytes: int
    reserve_bytes: int
    low: bool


class Approved(TypedDict):
    """By whose word a node runs."""

    bundle: str
    author: str
    by: str
    review_missing: list[str]
    until_us: int | None


class Failing(TypedDict):
    """Since when nothing succeeded, and how the newest call ended; ``status`` is that of HTTP."""

    since_us: int
    reason: str
    status: int | None


class OperationStatus(TypedDict):
    """Whether an operation is called just now, and why not; how many keys wait for it, and what fails while
    any does."""

    state: str
    reason: str
    until_us: int | None
    in_flight: int
    waiting: int
    failing: Failing | None
    changed: list[Any]


class CollectingStatus(TypedDict):
    """What of an API goes into files of many deliveries: what waits for the next, which were closed and are
    not written yet, and why the last try failed, if it did."""

    waiting: int
    unwritten: int
    unwritten_since_us: int | None
    due_at_us: int | None
    trouble: str


class ApiStatus(TypedDict):
    """An API as the node sees it."""

    in_flight: int
    lanes: int
    lanes_waiting: int
    keys_blocked: int
    withheld: dict[str, Any]
    collecting: CollectingStatus
    acknowledging: dict[str, Any]
    paused: list[str]
    blocked_routes: list[str]
    operations: dict[str, OperationStatus]


class EngineStatus(TypedDict):
    """An old engine that still gets messages."""

    away: Any
    owed: int
    oldest_us: int | None
    taps: Any


class TlsOfCalls(TypedDict):
    """Files of TLS for calls of the bridge's own: when `ca` and `certificate` end, in seconds since 1970, and
    why they cannot be used, empty where they can."""

    ends_s: dict[str, float]
    unusable: str


class ClockDoubt(TypedDict):
    """A time of day that does not count yet for what cannot be undone."""

    ahead_s: int
    counts_in_s: int


class NodeClock(TypedDict):
    """The time of day as a node has it."""

    now_us: int
    doubt: ClockDoubt | None
    behind_s: int


class Node(TypedDict):
    """A running node. Of each channel what its way in tells: ports, connections, files."""

    environment: str | None
    production: bool
    channels: dict[str, dict[str, Any]]
    apis: dict[str, ApiStatus]
    engines: dict[str, EngineStatus]
    tls_of_calls: dict[str, TlsOfCalls]
    flows_waiting: int
    consent_sources: dict[str, str]
    stopped: list[Stopped]
    approvals: Approved | None
    journal_failing: bool
    journal_trouble: str
    disk: Disk | None
    clock: NodeClock


class Status(TypedDict):
    """The ledger; ``node`` None where none runs. ``worries`` only with --check."""

    balanced: bool
    channels: dict[str, Entries]
    routes: list[RouteEntries]
    senders: dict[str, Oddities]
    node: Node | None
    worries: NotRequired[list[str]]


class TracedDelivery(TypedDict):
    """Where a message went."""

    id: int
    message_id: int
    route: str
    api: str
    operation: str
    state: str
    reason: str
    aside: int
    attempts: int


class Traced(TypedDict):
    """A message that has the key, and by which places it was found."""

    id: int
    channel: str
    received_at_us: int
    message_type: str
    control_id: str
    state: str
    reason: str
    flags: str
    replay_of: int | None
    found_by: list[str]
    deliveries: list[TracedDelivery]


class Why(TypedDict):
    """What keeps a key from going on, in words, and how many wait behind it."""

    what: str
    id: int
    message_id: int
    channel: str
    route: str
    api: str
    operation: str
    state: str
    reason: str
    attempts: int
    due_at_us: int | None
    since_us: int | None
    last_status: int | None
    last_reason: str
    behind: int
    stopped_by: list[Any]
    words: str


class Quarantined(TypedDict):
    """What needs a person, and what to do; ``file`` is where a file had it, ``place`` what cannot be read,
    ``if_discarded`` what would follow of that in its flow."""

    what: str
    id: int
    message_id: int
    received_at_us: int
    message_type: str
    control_id: str
    channel: str
    route: str
    api: str
    operation: str
    state: str
    reason: str
    status: int | None
    aside: bool
    advice: str
    if_discarded: str
    place: str
    file: FilePlace | None


class QuarantinedFor(TypedDict):
    """How many messages or deliveries need a person for one reason, and what to do; ``aside`` of them are set
    aside, the oldest came at ``oldest_us``."""

    what: str
    channel: str
    api: str
    reason: str
    count: int
    aside: int
    oldest_us: int
    advice: str


class UnmappedCode(TypedDict):
    """A place where codes came that no table has, whose they are, and which messages wait for them."""

    channel: str
    mapping: str
    field: str
    source: str
    table: str
    sender: str
    count: int
    first_us: int
    last_us: int
    waiting: list[int]

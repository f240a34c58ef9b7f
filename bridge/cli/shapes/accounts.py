"""What commands about files taken, batches, replays, consent and disclosures say as JSON."""

from __future__ import annotations

from typing import Any, Literal, NotRequired

from typing_extensions import TypedDict

from bridge.cli.shapes.journal import Entries


class TakenFile(TypedDict):
    """A file that was taken; ``received`` in ISO 8601, ``kept``: its bytes are still there."""

    file: int
    received: str
    channel: str
    name: str
    size_bytes: int
    sha256: str
    state: str
    reason: str
    place: str
    messages: int
    kept: bool
    business_date: str
    rerun: str


class Done(TypedDict):
    """What was done, a line for each."""

    done: list[str]


class Batch(TypedDict):
    """A batch, what it says of itself (``declared``) and what was counted (``found``)."""

    batch: int
    received: str
    channel: str
    file: int | None
    name: str
    state: str
    entry: str
    kind: str
    control_id: str
    made: str
    first: int
    last: int
    declared: dict[str, str]
    found: dict[str, str]
    balance: str
    report: list[dict[str, str]]


class SentFile(TypedDict):
    """A file that deliveries were collected into."""

    file: int
    api: str
    closed: str
    by: str
    count: int
    totals: dict[str, str]
    name: str
    size_bytes: int | None
    sha256: str
    written: str | None
    control_number: int
    acknowledged: str
    acknowledged_at: str | None
    due: str | None
    overdue: bool
    codes: str


class Waiting(TypedDict):
    """What waits for the next file."""

    count: int
    since: str | None


class SentBatches(TypedDict):
    """With --sent: files that were made, and what waits for the next one, by API."""

    files: list[SentFile]
    waiting: dict[str, Waiting]


class Account(Entries):
    """What came in a batch, or outside of any, and what became of it."""

    channel: str
    batch: int | None
    control_id: str
    declared: str
    balanced: bool
    amounts: dict[str, dict[str, str]]
    """With --amounts, of each total of a batch what was received, and what of that became what."""


class Misfit(TypedDict):
    """What does not fit."""

    type: str
    channel: str
    batch: int | None
    text: str


class Reconciled(TypedDict):
    """One day."""

    day: str
    accounts: list[Account]
    misfits: list[Misfit]


class Side(TypedDict):
    """So many records, and what their amounts come to."""

    records: int
    amount: str


class ReportMisfit(TypedDict):
    """What does not fit: by the delivery, by the line of the report, or by both."""

    type: str
    delivery_id: int | None
    message_id: int | None
    file_id: int | None
    record: int | None
    line: int | None


class MatchedReport(TypedDict):
    """With --report: what came for an API, what was sent, and what its report has."""

    api: str
    received: Side
    sent: Side
    posted: Side
    misfits: list[ReportMisfit]


class Replayed(TypedDict):
    """``messages``: how many can be; ``apis``: how many of their deliveries to each, and ``taken``: how many
    of these it has taken; ``knows_repeats`` by their key, so that it applies none of those again, but with
    ``new_key``; ``unsafe`` cannot tell a repeat; ``left_out``: how many are refused, ignored, gone or not
    there. The rest only with --yes."""

    messages: int
    apis: dict[str, int]
    taken: dict[str, int]
    knows_repeats: list[str]
    new_key: bool
    unsafe: list[str]
    left_out: int
    replayed: NotRequired[list[int]]


class EventType(TypedDict):
    """Which event a record is: the first row that fits decides."""

    record: str
    operations: list[str]
    where: dict[str, list[str]]
    type: str


class Disclosed(TypedDict):
    """A delivery of a patient's data; ``patient`` is a keyed hash, ``kept``: the message is still there."""

    at_us: int
    patient: str
    message_id: int
    delivery_id: int
    api: str
    operation: str
    mapping: str
    mapping_digest: str
    outcome: str
    kept: bool
    revealed: str | None


class DisclosedPatient(TypedDict):
    """With --by patient: all that went out about one of them; ``patient`` is a keyed hash."""

    patient: str
    revealed: str | None
    deliveries: int
    apis: list[str]
    messages: list[int]
    first_us: int
    last_us: int


class LegalHold(TypedDict):
    """What retention must not delete; ``messages``: so many it covers now."""

    scope: Literal["channel", "key"]
    name: str
    at_us: int
    actor: str
    reason: str
    messages: int


class ConsentDecision(TypedDict):
    """What is decided, why, by which consents, and of what."""

    word: str
    reason: str
    by: list[str]
    of: list[str]


class ConsentApi(TypedDict):
    """An API that asks for consent."""

    api: str
    mode: str
    purpose: Any
    recipient: list[str]
    decisions: list[ConsentDecision]


class ConsentOverride(TypedDict):
    """A person's word that data of a patient, who stands as a hash, go to an API whatever was decided."""

    patient: str
    api: str
    until_us: int
    at_us: int
    actor: str
    reason: str


class Consents(TypedDict):
    """What would be decided for a patient, API by API."""

    apis: list[ConsentApi]
    sources_in_trouble: Any

"""What the spine asks of a destination, and a destination of its credential."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Any, Final, Literal, Protocol, runtime_checkable

import orjson
import structlog

from bridge.contracts.contract import Sent
from bridge.delivery.outcomes import FAULT_OF_OURS, Outcome, Verdict
from bridge.errors import BridgeError, SecretUnavailable, place_of
from bridge.formats.acknowledged import Acknowledgement
from bridge.formats.gathered import FileFacts
from bridge.message import ADDS, EXT, Content, Microseconds, Record
from bridge.tls.client import Exchanges
from bridge.units import NO_LINE, SecretRef, is_line

log = structlog.get_logger("bridge.secrets")

SECRET_KEPT_MAX_S: Final = 300

Secrets = Callable[[SecretRef], str]
"""Looks a secret up. Raises LookupError, OSError, ValueError or a BridgeError where there is none."""

Permits = Callable[[str, str], bool]
"""Whether a host, the first, may be called at an address, the second."""

GUARDED, IDENTIFIED, KNOWN, SENT, JUDGED = "tiuso"
"""Letters of the policies that a destination keeps at each attempt: the address is the target's own, the call
says which delivery it is, the bridge can say who it is, it was sent, and what came of it was judged."""

TARGET_REFUSED: Final = "target-refused"
"""The reason of an outcome where the target's name stands for an address that it may not have."""


class RequestRefused(Exception):
    """A record cannot become a request of this operation. The text names fields, never values.

    ``about`` says in a code and a place what is wrong, where that can be told: it is journaled.
    """

    def __init__(self, text: str, about: str = "") -> None:
        super().__init__(text)
        self.about = about


Alias = Callable[[str, bytes], str]
"""What stands for a value outside: a keyed hash, of 32 hexadecimal digits. The first says what for."""


def _no_alias(what: str, value: bytes) -> str:  # noqa: ARG001
    return ""


class NoAnswer(BridgeError):
    """Who was asked about a patient has not said what is decided. The text is a code."""


class Registry(Protocol):
    """Who is asked for a patient's consents."""

    async def ask(self, patient: str) -> bytes:
        """What it says of a patient, as JSON. Raises NoAnswer."""
        ...


Keep = Callable[[str, bytes], Awaitable[str]]
"""Keeps one consent, as JSON, in a table of that name; why it cannot be kept, or empty. Raises
JournalUnavailable."""


@runtime_checkable
class KeepsConsents(Protocol):
    """A destination whose deliveries are consents, which are kept in the journal."""

    def keep_with(self, keep: Keep) -> None:
        """Keep consents so from now on."""
        ...


Tell = Callable[[str, str, str], Awaitable[str]]
"""What an API says became of a call that it accepted: its name, what it calls the call, and its word. The
code of what that means here; raises JournalUnavailable."""


@runtime_checkable
class TellsConfirmed(Protocol):
    """A destination whose deliveries are what an API says of calls that it accepted."""

    def tell_with(self, tell: Tell) -> None:
        """Tell so from now on."""
        ...


Acknowledge = Callable[[str, Acknowledgement], Awaitable[str]]
"""What the receiver of a file of an API says of it: the API's name, and what was said. The code of what that
means here; raises JournalUnavailable."""


@runtime_checkable
class Acknowledges(Protocol):
    """A destination whose deliveries are acknowledgements of files."""

    def acknowledge_with(self, acknowledge: Acknowledge) -> None:
        """Acknowledge so from now on."""
        ...


@dataclass(frozen=True, slots=True)
class Origin:
    """Which message of which channel a request comes from.

    ``lane`` is what order is kept for, as the journal has it. ``alias`` gives what stands outside for that,
    or for a record's key; without a journal it is empty.
    """

    channel: str = ""
    message_id: int = 0
    received_at_us: Microseconds = 0
    lane: bytes = b""
    alias: Alias = field(default=_no_alias, repr=False, compare=False)


UNKNOWN: Final = Origin()


class Prepares(Protocol):
    """What makes requests. It opens nothing, and has nothing to send them with."""

    def prepare(self, operation: str, content: Content, origin: Origin) -> bytes:
        """As `Destination.prepare` says."""
        ...


@dataclass(frozen=True, slots=True)
class CollectedFile:
    """A file that was made of many deliveries, its totals by name, and what each of them is called in it;
    none where its receiver does not say what became of them."""

    name: str
    content: bytes = field(repr=False)
    totals: Mapping[str, str]
    controls: Sequence[str] = ()


class AcknowledgedBy(Protocol):
    """How receivers of files say what became of these."""

    @property
    def within(self) -> float:
        """So many seconds after it was written, all should be known."""
        ...

    @property
    def silence(self) -> Literal["alert", "accepted"]:
        """What it means that nothing was said of a message by then."""
        ...

    @property
    def by(self) -> Literal["messages", "envelope"]:
        """Whether it is said of each message, or of the interchange alone."""
        ...


class Closes(Protocol):
    """When a file that is collected is closed."""

    @property
    def or_count(self) -> int:
        """So many deliveries are the most that one has."""
        ...

    def due_at_us(self, oldest_at_us: Microseconds) -> Microseconds | None:
        """When one is to be closed in which something waits since then; None: by its count alone."""
        ...

    @property
    def partner(self) -> tuple[str, int]:
        """For whom control numbers must be unique, and the lowest of them; empty where files have none."""
        ...

    @property
    def acknowledged(self) -> AcknowledgedBy | None:
        """What is known of how its receiver acknowledges it; None where it does not."""
        ...

    def facts(self, number: int, closed_at_us: Microseconds, control: int) -> FileFacts:
        """What a file says of itself, by its number among those of its API and among those of its partner."""
        ...


@runtime_checkable
class Collects(Protocol):
    """A destination that makes one file of many deliveries. `send` only says that a request goes into one."""

    @property
    def collect(self) -> Closes | None:
        """When a file is closed; None where each delivery is one."""
        ...

    @property
    def collected_max_bytes(self) -> int:
        """The most that a file may hold."""
        ...

    async def put(
        self, requests: Sequence[bytes], facts: FileFacts, idempotency_key: str
    ) -> tuple[Outcome, CollectedFile | None]:
        """Put the file that requests make, in their order, where it belongs, whole, or find that it is there.
        The same requests make the same file. None with an outcome that they make none."""
        ...


@runtime_checkable
class Describes(Protocol):
    """What makes requests that a contract can describe."""

    def sent(self, request: bytes) -> Sent | None:
        """A request of `prepare` as its contract sees it; None where these bytes are none."""
        ...


@runtime_checkable
class Confirms(Protocol):
    """A destination that can ask what became of a call that was accepted."""

    async def confirm(self, operation: str, target: str, *, traceparent: str) -> Outcome:
        """DELIVERED where it was done, POISON where it failed for good, and RETRY where that is not known yet
        or nobody answered."""
        ...

    def told(self, operation: str, word: str) -> Outcome:
        """The same, of a word that the API has called back with."""
        ...


@runtime_checkable
class FillsIn(Protocol):
    """What makes requests that may need values of earlier answers before they can be sent. Pure."""

    def needs(self, request: bytes) -> tuple[str, tuple[str, ...]] | None:
        """The record that a request is about, and the values it needs, by name; None where it is whole."""
        ...

    def fill(self, request: bytes, values: Mapping[str, str]) -> bytes | None:
        """The request with these values; None where one is missing."""
        ...


class Destination(Protocol):
    """One API with its operations.

    `prepare` is pure: the same content gives the same bytes, and these bytes are journaled, so that each
    attempt sends what was decided once. `send` does not raise: whatever happens on the wire is an outcome.
    """

    def prepare(self, operation: str, content: Content, origin: Origin) -> bytes:
        """The final request: a record, limited to what the operation may carry, or in the shape that its
        body has there; or a whole message.

        Raises RequestRefused where the content cannot be made into one.
        """
        ...

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        """One attempt with a request of `prepare`. Bounded in time by the timeouts of API and credential."""
        ...

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:
        """Ask whether a request that may have taken effect did; bounded in time as `send` is.

        DELIVERED where it did, None where it did not, and AMBIGUOUS where the answer says neither. Asked only
        where the API's file says that it can be.
        """
        ...

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in the files of TLS and in secrets, for new connections and calls, and
        what became of those of TLS. What is under way ends as it began. Does not raise."""
        ...

    async def close(self) -> None:
        """Let go of all connections."""
        ...


def fault_of_ours(error: Exception, verdict: Verdict) -> Outcome:
    """What a fault of ours makes of a call: HOLD where nothing of it can have left, else AMBIGUOUS.

    The log has type and place of the error. Its text may quote a key or a patient, and is kept nowhere.
    """
    structlog.get_logger("bridge.deliver").error(
        "attempt-fault", fault=type(error).__name__, place=place_of(error), verdict=verdict.value
    )
    return Outcome(verdict, FAULT_OF_OURS)


def stopped_at(steps: str, outcome: Outcome) -> Outcome:
    """An outcome of a call that came no further than the last of ``steps``."""
    return outcome._replace(steps=f"{steps}!{outcome.reason}")


def read_file(request: bytes) -> tuple[dict[str, Any], bytes] | None:
    """Where a file comes from, and its bytes; None for a request that is no file's."""
    head, found, content = request.partition(b"\n")
    try:
        match orjson.loads(head):
            case {"channel": str(), "message_id": int(), "operation": str()} as fields if found:
                return dict(fields), content
    except orjson.JSONDecodeError:
        return None
    return None


def listed_fields(record: Record, send_only: tuple[str, ...], *, nulls: bool) -> dict[str, Any]:
    """What of a record may leave: ``key`` and its fields, where they are listed.

    Fields of the site's own stand below ``ext``, the names of lists that are added to in ``adds``, where that
    is listed. Fields that the sender asked to delete are None with
    ``nulls``, and left out without.
    """
    fields = {**record.fields, "key": record.key}
    listed = {
        name: fields[name] for name in send_only if name in fields and (nulls or fields[name] is not None)
    }
    if record.adds and ADDS in send_only:
        listed[ADDS] = [name for name in record.adds if name in listed]
    if record.ext:
        own = {name: value for name, value in record.ext.items() if EXT + name in send_only}
        if own := {name: value for name, value in own.items() if nulls or value is not None}:
            listed["ext"] = own
    return listed


@runtime_checkable
class TellsOrigin(Protocol):
    """A destination whose requests say when what they tell arrived, and of what they are a replay: facts of a
    message, which make no other request of what is sent."""

    def completed(self, request: bytes, arrived_at_us: Microseconds, replay_of: str) -> bytes:
        """The request with both. ``replay_of`` is the idempotency key that it had first, empty for none, and
        ``arrived_at_us`` when the message came that is now replayed. Pure."""
        ...


@cache
def tells_origin(kind: type[object]) -> bool:
    """Whether destinations of a class are `TellsOrigin`. Asked of each call, and Python looks long for it."""
    return issubclass(kind, TellsOrigin)


class Credential(Protocol):
    """Who the bridge is to an API. Asked inside the reactor's loop, by many calls at once."""

    async def headers(self) -> Mapping[str, str] | Outcome:
        """The headers of a call, or the outcome that the call has without them."""
        ...

    def forget(self, used: Mapping[str, str]) -> None:
        """Do not give these headers again: the API refused them. What is newer than these stays."""
        ...

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in the files that this was made from, and what became of those of TLS.
        Does not raise."""
        ...

    async def close(self) -> None:
        """Let go of all connections, and of what was kept."""
        ...


class CredentialOptions(Protocol):
    """The options of any credential component."""

    def open(self, secrets: Secrets, now_us: Callable[[], Microseconds]) -> Credential:
        """The credential that these options describe."""
        ...


def asked_anew(secrets: Secrets) -> Secrets:
    """Looks secrets up where they are kept, since what is known of them will not do."""
    return lambda reference: secrets(replace(reference, anew=True))


def usable_secret(secrets: Secrets, reference: SecretRef) -> str | None:
    """The secret, or None where it cannot be had or used; the log says why, and nothing of the secret.

    One that no header can hold, `is_line`, is not used: it would be another header, or another secret.
    """
    try:
        secret = secrets(reference)
    except (LookupError, OSError, ValueError, BridgeError) as error:
        reason = str(error) if isinstance(error, SecretUnavailable) else type(error).__name__
        log.warning("secret-not-used", reference=str(reference), reason=reason)
        return None
    if is_line(secret):
        return secret
    log.warning("secret-not-used", reference=str(reference), reason=NO_LINE)
    return None

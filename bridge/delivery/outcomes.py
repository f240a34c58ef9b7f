"""What a call came to, in the words that decide what happens next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final, NamedTuple

from bridge.message import Microseconds


class Verdict(StrEnum):
    """The classes of `governance` for an attempt's end; each decides the delivery's next state."""

    DELIVERED = "delivered"
    """The API took it."""
    ACCEPTED = "accepted"
    """The API has taken it, and will say later what became of it."""
    RETRY = "retry"
    """The destination's fault, and nothing happened there: try again, at no cost to the message."""
    POISON = "poison"
    """The API refuses this request and would refuse it again."""
    HOLD = "hold"
    """Nothing is wrong with the message, but the operation cannot be called as it is set up."""
    NOT_FOUND = "not_found"
    """What the path names is not there, or not yet: hold that key, and no other."""
    AMBIGUOUS = "ambiguous"
    """The call may have happened: only a repeat that is harmless may follow by itself."""
    REFUSED = "refused"
    """A policy of ours says that it may not be sent: nothing was, and a person must look at it."""
    WITHHELD = "withheld"
    """A policy of ours says that it may not be sent yet: nothing was, and it waits until that changes."""
    SUPPRESSED = "suppressed"
    """A policy of ours says that it is not to be sent: nothing was, and nothing will be."""


COLLECTED: Final = "collected"
"""The reason of an outcome that is ACCEPTED because its request goes into a file with others. Its key does
not wait: what follows stands behind it in that file, or in a later one."""

FAULT_OF_OURS: Final = "fault-of-ours"
"""The reason of an outcome where something of ours failed, and not the API."""

NO_CREDENTIAL: Final = "auth-unavailable"
"""The reason of an outcome without a credential; where it is RETRY, a token server gave no token."""

TAKEN: Final = frozenset({Verdict.DELIVERED, Verdict.ACCEPTED})
"""Of these the API has the request."""

NOT_CALLED: Final = frozenset({Verdict.REFUSED, Verdict.WITHHELD, Verdict.SUPPRESSED})
"""Of these nobody was called, so they say nothing of the API."""

MAY_HAVE_LEFT: Final = frozenset({Verdict.DELIVERED, Verdict.ACCEPTED, Verdict.AMBIGUOUS})
"""Of these the request has left, or may have, whatever the reason says."""

NOTHING_LEFT: Final = frozenset(
    {
        *("request-unreadable", "operation-unknown", "not-at-this-stage", "closing", "target-refused"),
        *("name-not-resolved", "connect-failed", "connect-timeout", "request-timeout", "disconnected"),
        *("disconnected-before", "disconnected-after-handshake"),
        *("not-gathered", "name-refused", "folder-missing", "no-right-to-write", "no-hard-links"),
        "disk-read-only",
        *("host-key", "no-such-host", "refused", "no-ssh", "no-common-algorithm", "ssh"),
        *("key-unusable", "secret", "login-kind", "login-refused"),
        *("auth-refused", "auth-unusable", "broker-too-old", "topic-missing"),
        *("jetstream-off", "monitor-unusable", "stream-missing", "stream-unavailable", "stream-not-proven"),
        *("stream-in-memory", "stream-persists-later", "stream-without-acks", "stream-takes-other-subjects"),
        *("stream-not-sync-always", "write-waits", FAULT_OF_OURS),
    }
)
"""Reasons of an attempt without a status that ended before anything of its request left; so do all that begin
with `NOTHING_LEFT_TLS`. Whatever has another reason may have left: whoever accounts for disclosures would
rather name one too many than none."""
NOTHING_LEFT_TLS: Final = "tls-"


@dataclass(frozen=True, slots=True)
class Ending:
    """What an API says of its own end: since when it is deprecated, and when it ends. None: not said."""

    deprecated_at_us: Microseconds | None
    sunset_at_us: Microseconds | None


@dataclass(frozen=True, slots=True)
class Advertised:
    """How often an API says that it may be called; ``per_s`` None: not said; for ``rest_s`` not at all."""

    per_s: float | None
    rest_s: float


@dataclass(frozen=True, slots=True)
class Answered:
    """What an API answered, for whoever looks at it before it is forgotten; it is logged nowhere, and kept
    sealed where the request was not taken.

    ``headers`` have lower-case names.
    """

    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Asked:
    """Where and for how long an API that has accepted a call is asked what became of it; ``target`` is empty
    where it is not asked, and ``called`` is what it calls the call where it will tell us."""

    target: str
    within_s: float
    called: str = ""


class Outcome(NamedTuple):
    """The end of one attempt. ``reason`` is a short code for logs and screens, never patient data.

    A named tuple and no dataclass, because one is made for every call, and made anew twice on its way.

    ``retry_after_s`` is what the destination asked for, already limited to what the bridge honours. ``steps``
    are the letters of the policies that it passed on its way, as far as it came, ``ending`` what the API
    said of its own end, and ``advertised`` how often it may be called; ``captured`` is which record the
    answer was about, and what later calls need of it, by name, and ``confirm`` where one that was
    accepted is asked about. Two are the same where their first four are: the rest makes no other outcome.
    ``answer`` is what it answered, until that has been looked at. ``shared`` tells that it says
    nothing more of its operation: another delivery was in the same call, has the same outcome, and counts for
    both, or a fault of ours came back with one delivery.
    """

    verdict: Verdict
    reason: str
    status: int | None = None
    retry_after_s: float | None = None
    steps: str = ""
    ending: Ending | None = None
    advertised: Advertised | None = None
    answer: Answered | None = None
    captured: tuple[str, Mapping[str, str]] | None = None
    confirm: Asked | None = None
    shared: bool = False

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Outcome) and self[:4] == other[:4]

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self[:4])

    def __repr__(self) -> str:
        # What the API answered, and what is kept of it, may be of a patient.
        return f"Outcome({self.verdict}, {self.reason!r}, {self.status}, steps={self.steps!r})"


_OF_ONE: Final = frozenset({400, 409, 412, 422, 423})


def about_one(outcome: Outcome) -> bool:
    """Whether an answer says of one request that it is to be tried again, and nothing of any other: by its
    status, or by what it says beside 2xx."""
    status = outcome.status or 0
    return outcome.verdict is Verdict.RETRY and (status in _OF_ONE or status // 100 == 2)

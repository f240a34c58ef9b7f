"""What passes a tap, and who decides what becomes of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

from twisted.internet.interfaces import IListeningPort

from bridge.formats.base import Format
from bridge.message import Microseconds
from bridge.tls.client import Exchanges
from bridge.units import SecretRef

End = Literal["PASSED", "DECLINED", "PASSING"]
"""How an output fares where it goes to: it was taken; it got there and was not; it did not get through."""
PassOn = Callable[[], Awaitable[tuple[End, str]]]
"""Sends an output on; how it fared, and with which code."""


@dataclass(frozen=True, slots=True)
class Passed:
    """What became of an output: passed on, swallowed, a repeat of one that was, or refused for now."""

    what: Literal["passed", "swallowed", "repeat", "busy"]
    code: str = ""


@dataclass(frozen=True, slots=True)
class Judged:
    """What is to be done with an output, as `Passed` says but not done yet; ``code`` is what was noted of it
    before."""

    what: Literal["pass", "swallow", "repeat", "busy"]
    output_id: int
    code: str


class Outputs(Protocol):
    """Who decides what becomes of what the old engine makes."""

    def match_id(self, control_id: bytes) -> bytes:
        """What stands for the message that an output is about."""
        ...

    def match_message(self, message: bytes) -> tuple[bytes | None, str]:
        """What stands for the message that an output is about, and its control ID as far as that is told;
        None where the output does not say."""
        ...

    def match_target(self, method: str, path: str) -> bytes:
        """What stands for the thing that a call writes to."""
        ...

    async def take(self, match_hash: bytes, output: bytes, pass_on: PassOn, control_id: str = "") -> Passed:
        """See to one output, about the message of a control ID where that is told.

        Raises JournalUnavailable where it cannot be journaled; nothing is done then.
        """
        ...

    async def judge(self, match_hash: bytes, output: bytes, control_id: str = "") -> Judged:
        """Journal one output, and say what is to be done with it. Raises as `take`."""
        ...

    async def note(self, ended: Sequence[tuple[int, End, str]]) -> None:
        """Write of outputs that pass how they fared, and a code. Raises as `take`."""
        ...


@dataclass(frozen=True, slots=True)
class Around:
    """What a tap needs of the world."""

    reactor: Any
    now_us: Callable[[], Microseconds]
    random_bytes: Callable[[int], bytes]
    journal_id: str
    secrets: Callable[[SecretRef], str]


class OpenTap(Protocol):
    """A tap that listens once it is started."""

    @property
    def away(self) -> str:
        """Why nothing can pass now; empty where it can."""
        ...

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """When what is in use for TLS ends, in seconds since 1970, by its option; empty without TLS."""
        ...

    def look_at_certificates(self) -> Exchanges:
        """Take for new connections what has changed in the files of TLS, and what became of it. Does not
        raise."""
        ...

    async def start(self) -> IListeningPort | None:
        """Listen. Raises twisted.internet.error.CannotListenError where the port is taken."""
        ...

    async def stop(self) -> None:
        """Take nothing more."""
        ...


def value_at(place: str, reads: Format, body: bytes) -> bytes:
    """What a message has at a place, as in ``PID-3.1``. Empty without one."""
    segment, _, rest = place.partition("-")
    field, _, component = rest.partition(".")
    found = next(iter(reads.read(body).named(segment)), None)
    value = None if found is None else found.value(int(field), 1, int(component or 1), 1)
    return str(value or "").encode()

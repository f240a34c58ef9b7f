"""What events are sent to: the one port that an endpoint, JetStream and Kafka stand behind.

A stream that is a library's runs in the reactor's loop. Its calls have one limit of time and one way to end,
here, whatever the library does: what may have left is AMBIGUOUS, and a repeat has the same event id.
"""

from __future__ import annotations

import asyncio
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Literal, Protocol

import structlog

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    GUARDED,
    IDENTIFIED,
    JUDGED,
    KNOWN,
    SENT,
    TARGET_REFUSED,
    stopped_at,
)
from bridge.destinations.events_cloud import JSON, STRUCTURED, Event, as_headers, structured
from bridge.destinations.in_loop import in_loop
from bridge.tls.client import Exchanges

log = structlog.get_logger("bridge.events")

Mode = Literal["structured", "binary"]
NOT_KNOWN: Final = frozenset({"auth-unavailable", "auth-unusable", "tls-files-unusable"})
"""Reasons of a call that ended before the bridge could say who it is."""
_HOST: Final = (
    r"(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,9}))"
)
_SERVER: Final = re.compile(_HOST + r":(?P<port>[0-9]{1,5})")
_LOOPBACK: Final = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


def server_of(text: str) -> tuple[str, int]:
    """Host and port of ``HOST:PORT``. Raises ValueError."""
    found = _SERVER.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise ValueError("expected HOST:PORT, as in nats-1.example:4222")
    return found["six"] or found["host"], int(found["port"])


def is_this_machine(host: str) -> bool:
    """Whether a host can only be this machine."""
    return _LOOPBACK.fullmatch(host) is not None


@dataclass(frozen=True, slots=True)
class Payload:
    """An event as it stands in one message of a stream."""

    event: Event
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def payload(event: Event, mode: Mode, prefix: str) -> Payload:
    """An event in its mode; ``prefix`` is what its attributes' headers begin with in the binary one."""
    if mode == "binary":
        return Payload(event, {**as_headers(event, prefix), "content-type": JSON}, event.data)
    return Payload(event, {"content-type": f"{STRUCTURED}; charset=UTF-8"}, structured(event))


class Stream(Protocol):
    """Where events go. `publish` does not raise, and an outcome DELIVERED means that the event is kept there
    as durably as its kind can say."""

    async def publish(self, event: Event) -> Outcome:
        """One attempt, bounded in time, with the letters of what it passed."""
        ...

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in files of TLS and in secrets, as `Destination` says. Does not raise."""
        ...

    async def close(self) -> None:
        """Let go of everything. Calls under way end."""
        ...


@dataclass(frozen=True, slots=True)
class Looked:
    """What a look at a stream has shown. ``outcome`` is what an event would come to now, None where it would
    be kept; ``doubts`` are what is as it may be, and better were otherwise."""

    outcome: Outcome | None
    text: str = ""
    doubts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Followed:
    """One event as it stands in a stream: its place, when it was kept, and what it says."""

    sequence: int
    kept_at: str
    subject: str
    attributes: Mapping[str, str]
    data: bytes = field(repr=False)


@dataclass(slots=True)
class Attempt:
    """One call. ``left`` tells that bytes of its event may be on their way."""

    left: bool = False


class NotReady(Exception):
    """Nothing can be published now. Carries the outcome that says why."""

    def __init__(self, outcome: Outcome) -> None:
        super().__init__(outcome.reason)
        self.outcome = outcome


class LoopStream(ABC):
    """A `Stream` whose library is asyncio's."""

    def __init__(self, within_s: float, *, guarded: bool) -> None:
        self._within_s, self._guarded = within_s, guarded
        self._calls: set[asyncio.Task[Outcome]] = set()
        self._ending: asyncio.Future[None] | None = None
        self._closed = False

    @abstractmethod
    async def attempt(self, event: Event, attempt: Attempt) -> Outcome:
        """One call in the loop, which may be cancelled at each point where it waits."""

    @abstractmethod
    async def look(self) -> Looked:
        """Look at the stream, in the loop, and publish nothing."""

    @abstractmethod
    async def end(self) -> None:
        """Let go of all connections, in the loop."""

    @abstractmethod
    def doubt(self) -> None:
        """A call's time was up: the connection that it used may be worth nothing."""

    async def publish(self, event: Event) -> Outcome:
        """One attempt, as `Stream` says."""
        if self._closed:
            return Outcome(Verdict.RETRY, "closing")
        outcome = await in_loop(self._bounded(event))
        if outcome.reason == TARGET_REFUSED:
            return stopped_at(GUARDED, outcome)
        steps = (GUARDED if self._guarded else "") + IDENTIFIED + KNOWN
        if outcome.reason in NOT_KNOWN:
            return stopped_at(steps, outcome)
        return outcome._replace(steps=steps + SENT + JUDGED)

    async def close(self) -> None:
        """End, with what is under way."""
        self._closed = True
        await in_loop(self._close())

    async def _close(self) -> None:
        if self._ending is not None and not self._ending.done():
            self._ending.set_result(None)
        if self._calls:
            await asyncio.wait(set(self._calls), timeout=self._within_s)
        await self.end()

    def _outcome_of(self, call: asyncio.Task[Outcome], attempt: Attempt) -> Outcome:
        """What a call came to. Where a library takes what a peer says for what it is not, and raises
        something of its own, that is an outcome too: no lane waits for it."""
        if (error := call.exception()) is None:
            return call.result()
        log.error("stream-fault", fault=type(error).__name__)
        self.doubt()
        return Outcome(Verdict.AMBIGUOUS if attempt.left else Verdict.RETRY, "answer-unreadable")

    async def _bounded(self, event: Event) -> Outcome:
        loop, attempt = asyncio.get_running_loop(), Attempt()
        if self._ending is None:
            self._ending = loop.create_future()
        call = loop.create_task(self.attempt(event, attempt))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)
        try:
            either: set[asyncio.Future[Any]] = {call, self._ending}
            await asyncio.wait(either, timeout=self._within_s, return_when=asyncio.FIRST_COMPLETED)
            if call.done():
                return self._outcome_of(call, attempt)
            if not self._closed:
                self.doubt()
            reason = "closing" if self._closed else "publish-timeout" if attempt.left else "connect-timeout"
            return Outcome(Verdict.AMBIGUOUS if attempt.left else Verdict.RETRY, reason)
        except asyncio.CancelledError:
            if attempt.left:
                self.doubt()
            raise
        finally:
            call.cancel()

"""Events into a stream of NATS JetStream: each publication, until every server that holds it has it on disk.

One subject for each partition and type. The event's id is its `Nats-Msg-Id`, so that within the stream's
duplicate window a repeat is known there and kept once. Nothing is published before it is proven that what the
stream acknowledges is synced.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import datetime
from functools import partial
from typing import Any, Final

import nats.errors
import orjson
import structlog
from nats.js.api import ConsumerConfig, DeliverPolicy

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.addresses import Addresses, AddressRefused
from bridge.destinations.base import TARGET_REFUSED, Permits, Secrets, usable_secret
from bridge.destinations.events_cloud import Event, read_message
from bridge.destinations.events_nats_keys import NKey
from bridge.destinations.events_nats_line import Line, Login, answered, failed, not_connected
from bridge.destinations.events_nats_proof import (
    ADVICE,
    VARZ_MAX_BYTES,
    Told,
    against,
    holders,
    not_proven,
    told_by,
)
from bridge.destinations.events_options import NatsOptions
from bridge.destinations.events_stream import (
    Attempt,
    Followed,
    Looked,
    LoopStream,
    Mode,
    NotReady,
    payload,
    server_of,
)
from bridge.destinations.http_failures import CallFailed, TargetRefused, classify_failure
from bridge.destinations.http_session import Session
from bridge.destinations.in_loop import from_loop
from bridge.tls.client import Exchanges, Stamp, Tls, client_context, look_again, stamp
from bridge.units import SecretRef

log = structlog.get_logger("bridge.events")

PREFIX: Final = "ce-"
"""Of the headers in binary mode (CloudEvents NATS Protocol Binding)."""
MESSAGE_ID: Final = "Nats-Msg-Id"
EXPECTED: Final = "Nats-Expected-Stream"
HEADER_MARGIN_BYTES: Final = 4
"""Of each header beside its name and value; the server's limit is of headers and body together."""
INFO: Final = "$JS.API.STREAM.INFO."
WINDOW_SHORT_S: Final = 120.0
"""A duplicate window that is shorter than this is shorter than many an outage."""
_NO_STREAM: Final = 10059
_NO_TLS: Final = Tls.model_validate({})


class NatsStream(LoopStream):
    """One stream of JetStream: a `Stream`."""

    def __init__(self, options: NatsOptions, mode: Mode, secrets: Secrets, permits: Permits | None) -> None:
        super().__init__(options.within, guarded=permits is not None)
        self._options, self._mode, self._secrets, self._permits = options, mode, secrets, permits
        self._targets = [Addresses(*server_of(each), permits) for each in options.servers]
        self._next = 0
        self._line: Line | None = None
        self._lines: set[Line] = set()
        self._monitors: dict[str, Session] = {}
        self._proven_until_s = 0.0
        self._one_at_a_time: asyncio.Lock | None = None
        self._stamp: Stamp = ()
        self._told_reason = ""

    def __repr__(self) -> str:
        return f"nats {self._options.stream}"

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._lines)

    async def attempt(self, event: Event, attempt: Attempt) -> Outcome:
        """Publish one event, once the stream has proven itself."""
        try:
            line = await self.ready()
        except NotReady as error:
            self._tell(error.outcome.reason)
            return error.outcome
        self._told_reason = ""
        said = payload(event, self._mode, PREFIX)
        headers = {**said.headers, MESSAGE_ID: event.id, EXPECTED: self._options.stream}
        size = sum(len(name) + len(value) + HEADER_MARGIN_BYTES for name, value in headers.items())
        if size + len(said.body) > line.client.max_payload:
            return Outcome(Verdict.POISON, "too-large")
        subject = f"{self._options.subject}.{event.partition(self._options.partitions)}.{event.type}"
        attempt.left = True
        try:
            answer = await line.request(subject, said.body, headers, self._options.within)
        except Exception as error:
            outcome = failed(error)
            if outcome is None:
                raise
            if outcome.verdict is not Verdict.POISON:
                self._let_go(line)
            return outcome
        outcome = answered(_object(answer.data))
        if outcome.verdict is not Verdict.DELIVERED:
            self._proven_until_s = 0.0  # what is odd about the stream now is looked at before the next
        return outcome

    def _tell(self, reason: str) -> None:
        """Once for each reason, what to do about the stream."""
        if reason != self._told_reason and reason in ADVICE:
            log.warning("stream-not-used", stream=self._options.stream, reason=reason, advice=ADVICE[reason])
        self._told_reason = reason

    def doubt(self) -> None:
        """Nothing came back in time: the next goes to another server."""
        if self._line is not None:
            self._let_go(self._line)

    def _let_go(self, line: Line) -> None:
        line.retire()
        if self._line is line:
            self._line, self._next = None, self._next + 1

    # Ready: connected, and proven.

    async def ready(self) -> Line:
        """A connection to a server of a stream that has proven itself. Raises NotReady."""
        loop = asyncio.get_running_loop()
        line = self._line
        if line is not None and line.usable and loop.time() < self._proven_until_s:
            return line
        if self._one_at_a_time is None:
            self._one_at_a_time = asyncio.Lock()
        async with self._one_at_a_time:
            line = self._line
            if line is None or not line.usable:
                if line is not None:
                    self._let_go(line)
                line = self._line = await self._connect()
                self._proven_until_s = 0.0
            if loop.time() >= self._proven_until_s:
                await self._prove(line)
                self._proven_until_s = loop.time() + self._options.prove_every
        return line

    async def _connect(self) -> Line:
        """The first server that takes a connection, from the one after that which was let go."""
        login, tls = self._login(), self._tls()
        last = Outcome(Verdict.RETRY, "connect-failed")
        for offset in range(len(self._targets)):
            at = (self._next + offset) % len(self._targets)
            last_or_line = await self._connect_to(at, login, tls)
            if isinstance(last_or_line, Line):
                self._next = at
                return last_or_line
            # What a person must look at is worth more than that another server is away.
            last = last if last.verdict is Verdict.HOLD else last_or_line
        raise NotReady(last)

    async def _connect_to(self, at: int, login: Login, tls: ssl.SSLContext | None) -> Line | Outcome:
        target, (host, port) = self._targets[at], server_of(self._options.servers[at])
        within_s = self._options.connect_within
        try:
            await target.look_up(within_s)
        except AddressRefused:
            return Outcome(Verdict.HOLD, TARGET_REFUSED)
        except (OSError, UnicodeError) as error:
            return not_connected(error)
        failure: BaseException = OSError("the name stands for no address")
        for address in target.found:
            line = Line()
            self._lines.add(line)
            line.lost.add_done_callback(partial(self._forget, line))
            try:
                async with asyncio.timeout(within_s):
                    await line.open(address, port, login, None if tls is None else (tls, host), within_s)
            except (OSError, UnicodeError, TimeoutError, nats.errors.Error) as error:
                failure = error
            else:
                return line
        return not_connected(failure, secured=tls is not None)

    def _forget(self, line: Line, _lost: asyncio.Future[None]) -> None:
        self._lines.discard(line)

    def _login(self) -> Login:
        options = self._options
        seed = self._secret(options.nkey)
        try:
            nkey = None if seed is None else NKey(seed)
        except ValueError:
            raise NotReady(Outcome(Verdict.HOLD, "auth-unusable")) from None
        user, password = self._secret(options.user), self._secret(options.password)
        return Login(user, password, self._secret(options.token), nkey, self._secret(options.jwt))

    def _secret(self, reference: SecretRef | None) -> str | None:
        if reference is None:
            return None
        if (secret := usable_secret(self._secrets, reference)) is None:
            raise NotReady(Outcome(Verdict.HOLD, "auth-unavailable"))
        return secret

    def _tls(self) -> ssl.SSLContext | None:
        if (tls := self._options.tls) is None:
            return None
        try:
            self._stamp = stamp(tls)
            return client_context(tls)
        except OSError:
            self._stamp = ()
            raise NotReady(Outcome(Verdict.HOLD, "tls-files-unusable")) from None

    async def _prove(self, line: Line) -> None:
        """Ask the stream, and each server that holds it. Raises NotReady unless all is as it must be."""
        info = await self.info(line)
        if (wrong := against(info, f"{self._options.subject}.>")) is not None:
            raise NotReady(wrong)
        told = await self.told()
        if (wrong := not_proven(info, line.server, told)) is not None:
            raise NotReady(wrong)

    async def info(self, line: Line) -> dict[str, Any]:
        """What the stream says of itself. Raises NotReady."""
        options = self._options
        try:
            answer = await line.request(INFO + options.stream, b"", {}, options.connect_within)
        except Exception as error:
            if (outcome := failed(error)) is None:
                raise
            self._let_go(line)
            # Nothing of an event has left: whatever it was is no more than that it must be tried again.
            verdict = Verdict.HOLD if outcome.verdict is Verdict.HOLD else Verdict.RETRY
            raise NotReady(Outcome(verdict, outcome.reason)) from None
        info = _object(answer.data)
        if refusal := info.get("error"):
            missing = isinstance(refusal, dict) and refusal.get("err_code") == _NO_STREAM
            raise NotReady(
                Outcome(Verdict.HOLD, "stream-missing")
                if missing
                else Outcome(Verdict.RETRY, "stream-unavailable")
            )
        return info

    async def told(self) -> dict[str, Told]:
        """What each monitoring endpoint says, by the name of its server; those that say nothing are left out.

        Raises NotReady where one must not be asked, or is none.
        """
        answers = await asyncio.gather(*(self._varz(each) for each in self._options.monitors))
        return {each.server: each for each in answers if each is not None}

    async def _varz(self, url: str) -> Told | None:
        within_s = self._options.connect_within
        session = self._monitors.get(url)
        if session is None:
            try:
                session = Session(url, self._options.tls or _NO_TLS, self._permits)
            except OSError:
                raise NotReady(Outcome(Verdict.HOLD, "tls-files-unusable")) from None
            self._monitors[url] = session

        async def ask() -> Any:
            await session.find_target(within_s)
            path = url.partition("://")[2].partition("/")[2]
            return await session.call(
                "GET",
                f"/{path}/varz" if path else "/varz",
                {"Accept": "application/json"},
                None,
                connect_s=within_s,
                total_s=within_s,
                body_max_bytes=VARZ_MAX_BYTES,
            )

        try:
            response = await from_loop(ask())
        except TargetRefused:
            raise NotReady(Outcome(Verdict.HOLD, TARGET_REFUSED)) from None
        except CallFailed as error:
            if (outcome := classify_failure(error)).verdict is Verdict.HOLD:
                raise NotReady(outcome) from None
            return None
        told = told_by(_object(response.body)) if response.status == 200 else None
        if told is None:
            raise NotReady(Outcome(Verdict.HOLD, "monitor-unusable"))
        return told

    # For people.

    async def look(self) -> Looked:
        """Whether an event would be kept now, and what there is to know of the stream."""
        try:
            line = await self.ready()
            info = await self.info(line)
        except NotReady as error:
            return Looked(error.outcome)
        config = info.get("config") or {}
        servers = sorted(set(holders(info, line.server)))
        window_s = config.get("duplicate_window", 0) / 1e9
        doubts = []
        if len(servers) < 2:
            doubts.append("one server holds the stream: when it is away, events wait (`--replicas 3`)")
        if window_s < WINDOW_SHORT_S:
            doubts.append(
                f"a repeat is known for {window_s:g} s only: one that comes later is stored once more, with "
                "the same id (`--dupe-window 1h`)"
            )
        text = f"{self._options.stream} on {', '.join(servers)}: synced before it is acknowledged"
        return Looked(None, text, tuple(doubts))

    async def follow(self, last: int, since: datetime | None) -> AsyncIterator[Followed]:
        """The events of the stream in their order, and then those that come: from a moment on, or with the
        ``last`` that there are. Raises NotReady."""
        line = await self._connect()
        self._line = line
        info = await self.info(line)
        newest = (info.get("state") or {}).get("last_seq", 0)
        wanted = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_SEQUENCE)
        wanted.opt_start_seq = max(1, newest - last + 1)
        if since is not None:
            wanted = ConsumerConfig(deliver_policy=DeliverPolicy.BY_START_TIME, opt_start_time=since)
        following = await line.client.jetstream().subscribe(
            f"{self._options.subject}.>", stream=self._options.stream, ordered_consumer=True, config=wanted
        )
        async for message in following.messages:
            attributes, data = read_message(message.headers or {}, message.data, PREFIX)
            told = message.metadata
            yield Followed(told.sequence.stream, str(told.timestamp), message.subject, attributes, data)

    # Files and end.

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in the files of TLS, for new connections."""
        made, found = look_again(self._options.tls, self._stamp or None)
        if made is None:
            return found
        self._stamp = ()
        for session in self._monitors.values():
            session.retire()
        self._monitors.clear()
        if self._line is not None:
            self._line.retire()
        return found

    async def end(self) -> None:
        """Let go of all connections."""
        monitors, self._monitors = tuple(self._monitors.values()), {}
        for session in monitors:
            await from_loop(session.close())
        for line in tuple(self._lines):
            await line.cut()


def _object(body: bytes) -> dict[str, Any]:
    try:
        read = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}
    return read if isinstance(read, dict) else {}

"""A receiver of HL7 v2 over MLLP: its options, and what an answer means.

One message at a time on each connection, and as many connections as there are calls under way. An answer
counts for a message only where its MSA-2 is that message's MSH-10, byte for byte. A connection on which
anything went otherwise than it should is closed before another message can meet what is left on it.
"""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Component, OperationOptions, Options
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.addresses import Addresses, AddressRefused
from bridge.destinations.base import (
    GUARDED,
    IDENTIFIED,
    JUDGED,
    KNOWN,
    SENT,
    TARGET_REFUSED,
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    stopped_at,
)
from bridge.destinations.in_loop import in_loop
from bridge.destinations.mllp_heartbeat import Heartbeat
from bridge.destinations.mllp_send_line import Framing, Line
from bridge.formats.hl7v2_ack import peek
from bridge.formats.mllp_block import BlockBytes
from bridge.message import Content, Microseconds
from bridge.tls.client import (
    Exchanges,
    Stamp,
    Tls,
    client_certificate_refused,
    client_context,
    look_again,
    stamp,
    untrusted,
)
from bridge.units import DurationS, SizeBytes, size_text

CLOSE_WAIT_MAX_S: Final = 1.0
"""How long a connection may take to close in order; then it is cut."""
_ADDRESS: Final = re.compile(
    r"tcp:(?:\[(?P<six>[0-9A-Fa-f:.]{2,45})\]|(?P<host>[A-Za-z0-9_-]{1,63}(?:\.[A-Za-z0-9_-]{1,63}){0,9}))"
    r":(?P<port>[0-9]{1,5})"
)
_LOOPBACK: Final = re.compile(r"localhost|127(\.[0-9]{1,3}){3}|::1")


def _connect(text: str) -> str:
    found = _ADDRESS.fullmatch(text)
    if found is None or not 1 <= int(found["port"]) <= 65535:
        raise ValueError(
            "expected an endpoint, tcp:HOST:PORT, as in tcp:engine.example:6661 or tcp:[::1]:6661"
        )
    return text


class MllpTls(Tls):
    """TLS to the receiver. Its certificate is always verified, and its name too."""

    server_name: str | None = Field(
        None,
        min_length=1,
        max_length=253,
        pattern=r"^[A-Za-z0-9.:-]+$",
        description="The name that its certificate must have, where that is not the host of `connect`.",
    )


class MllpReceiver(Options):
    """The receiver, and how it is spoken to."""

    connect: Annotated[str, AfterValidator(_connect)] = Field(
        description="Where it listens: `tcp:HOST:PORT`."
    )
    plain: bool = Field(
        False,
        description="That messages may cross the network without TLS, to a receiver on another machine.",
    )
    tls: MllpTls | None = Field(None, description="TLS; `{}` trusts the authorities of the system.")
    wait_for: Literal["first", "application"] = Field(
        "first",
        description="What ends a call: first (the first answer: AA in original mode, CA in enhanced mode), "
        "or application (the AA, AE or AR that follows a CA on the same connection).",
    )
    on_ae: Literal["retry", "quarantine"] = Field(
        "retry",
        description="What AE and CE are: retry (its trouble: sent again, for as long as it takes), or "
        "quarantine (refused: sent `retry.poison_attempts` times, then a person looks at it).",
    )
    on_ar: Literal["retry", "quarantine"] = Field(
        "quarantine", description="What AR and CR are, in the same words."
    )
    connect_within: DurationS = Field(
        5.0, gt=0, le=300, description="Name, TCP connection and TLS handshake together."
    )
    answer_within: DurationS = Field(
        30.0, gt=0, le=3600, description="The longest that an answer is waited for."
    )
    idle_close: DurationS = Field(
        60.0,
        gt=0,
        le=86400,
        description="A connection without a message for so long is closed; less than the receiver's own "
        "limit.",
    )
    pause: DurationS = Field(
        0.0, ge=0, le=60, description="What a connection rests between an answer and its next message."
    )
    heartbeat: Heartbeat | None = Field(
        None,
        description="A message sent over idle connections, for receivers that want one; `{}` sends the "
        "standard's. In place of `idle_close`.",
    )
    keepalive: bool = Field(True, description="Whether TCP looks if an idle connection's peer is there.")
    block: BlockBytes = Field(default_factory=lambda: BlockBytes.model_validate({}))
    max_message: SizeBytes = Field(
        16 * 1024**2, gt=0, description="A larger message is refused before it is sent."
    )
    max_answer: SizeBytes = Field(1024**2, gt=0, description="A larger answer is none.")

    @model_validator(mode="after")
    def _protected(self) -> Self:
        if self.tls is not None and self.plain:
            raise ValueError("`plain: true` says that there is no TLS: write it or `tls`, and not both")
        if self.tls is None and not self.plain and not _LOOPBACK.fullmatch(self.address[0]):
            raise ValueError(
                "without TLS the messages cross the network in the clear: write `tls: {...}`, or "
                "`plain: true` where that network is trusted"
            )
        return self

    @model_validator(mode="after")
    def _kept_or_closed(self) -> Self:
        if self.heartbeat is not None and "idle_close" in self.model_fields_set:
            raise ValueError("`heartbeat` keeps idle connections and `idle_close` closes them: write one")
        return self

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        found = _ADDRESS.fullmatch(self.connect)
        assert found is not None, "the model has accepted it"
        return found["six"] or found["host"], int(found["port"])


class MllpSendOptions(Options):
    """A receiver of messages over MLLP."""

    mllp: MllpReceiver = Field(description="Where messages go, and how the receiver answers.")


def build(
    options: MllpSendOptions,
    operations: Mapping[str, OperationOptions],
    credential: CredentialOptions | None,
    secrets: Secrets,  # noqa: ARG001 - certificates are files
    now_us: Callable[[], Microseconds],
    permits: Permits | None = None,
) -> MllpSend:
    """The destination of one receiver. Opens no file and no connection."""
    assert credential is None, "who the bridge is stands in its certificate"
    return MllpSend(options.mllp, frozenset(operations), now_us, permits)


def prepares(options: MllpSendOptions, operations: Mapping[str, OperationOptions]) -> MllpMessages:
    """What makes the messages for one receiver."""
    return MllpMessages(options.mllp, frozenset(operations))


class MllpMessages:
    """What makes the messages for one receiver, and has nothing to send them with."""

    def __init__(self, options: MllpReceiver, operations: frozenset[str]) -> None:
        block = options.block
        self._options, self._operations = options, operations
        self._framing = Framing(block.start_mark, block.end_mark, block.after_mark)

    def prepare(self, operation: str, content: Content, origin: Origin) -> bytes:  # noqa: ARG002
        """The message: what is journaled is what stands in the block. Raises RequestRefused."""
        if operation not in self._operations:
            raise RequestRefused(f"the API has no operation {operation}")
        if not isinstance(content, bytes):
            raise RequestRefused("an MLLP receiver takes messages, and no records")
        if len(content) > self._options.max_message:
            raise RequestRefused(
                f"the message is larger than max_message, {size_text(self._options.max_message)}"
            )
        if self._framing.cuts(content):
            raise RequestRefused("the message holds a byte that would begin or end its block")
        if not peek(content).control_id:
            raise RequestRefused("the message has no MSH-10, and its answer could be another's")
        return content


class MllpSend(MllpMessages):
    """One receiver: a `Destination`."""

    def __init__(
        self,
        options: MllpReceiver,
        operations: frozenset[str],
        now_us: Callable[[], Microseconds],
        permits: Permits | None = None,
    ) -> None:
        super().__init__(options, operations)
        self._guarded = permits is not None
        self._addresses = Addresses(*options.address, permits)
        self._now_us = now_us
        self._idle: list[Line] = []
        self._lines: set[Line] = set()
        self._connecting: set[asyncio.Task[Any]] = set()
        self._beating: set[asyncio.Task[None]] = set()
        self._beats = 0
        self._context: ssl.SSLContext | None = None
        self._stamp: Stamp = ()
        self._closed = False

    def __repr__(self) -> str:
        return f"<MllpSend {self._options.connect}>"

    @property
    def connections(self) -> int:
        """How many are open."""
        return len(self._lines)

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:  # noqa: ARG002
        """One attempt. What the receiver knows a repeat by is MSH-10, which stays as it came."""
        control_id = peek(request).control_id
        if not control_id or self._framing.cuts(request):
            return Outcome(Verdict.POISON, "request-unreadable")
        outcome = await in_loop(self._call(request, control_id))
        if outcome.reason == TARGET_REFUSED:
            return stopped_at(GUARDED, outcome)
        guarded = GUARDED if self._guarded else ""
        return outcome._replace(steps=guarded + IDENTIFIED + KNOWN + SENT + JUDGED)

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:  # noqa: ARG002
        """Nobody can be asked here; no file of an API says otherwise."""
        return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in the files of TLS, for new connections; those that rest are closed."""
        tls = self._options.tls
        now = () if tls is None else stamp(tls)
        made, found = look_again(tls, None if self._context is None else self._stamp)
        if made is not None:
            self._context, self._stamp = made, now
            for line in tuple(self._idle):
                line.end()
        return found

    async def close(self) -> None:
        """Close all connections. Calls under way end, as AMBIGUOUS where bytes had left."""
        self._closed = True
        await in_loop(self._end_all())

    async def _call(self, request: bytes, control_id: bytes) -> Outcome:
        line = await self._idle_line(control_id) or await self._open()
        if isinstance(line, Outcome):
            return line
        try:
            outcome = await line.exchange(request, control_id)
        except BaseException:
            line.cut()
            raise
        self._let_rest(line)
        return outcome

    def _let_rest(self, line: Line) -> None:
        if not line.usable or self._closed:
            line.end()
            return
        self._idle.append(line)
        if (heartbeat := self._options.heartbeat) is None:
            line.rest(self._options.idle_close, line.end)
        else:
            line.rest(heartbeat.every, lambda: self._begin_beat(line, heartbeat))

    def _begin_beat(self, line: Line, heartbeat: Heartbeat) -> None:
        # While it beats it is nobody else's: a message then goes over another connection.
        self._idle.remove(line)
        beating = asyncio.get_running_loop().create_task(self._beat(line, heartbeat))
        self._beating.add(beating)
        beating.add_done_callback(self._beating.discard)

    async def _beat(self, line: Line, heartbeat: Heartbeat) -> None:
        at_us = self._now_us()
        self._beats += 1
        control_id = f"H{at_us // 1_000_000}-{self._beats}"
        if not line.wake(control_id.encode()):
            line.cut()
            return
        message = heartbeat.made(control_id, at_us, self._framing.codec)
        if heartbeat.answered:
            # AE and AR come from a receiver that is there, which is all that is asked.
            await line.exchange(message, control_id.encode())
        else:
            line.say(message, control_id.encode())
        self._let_rest(line)

    async def _idle_line(self, control_id: bytes) -> Line | None:
        """A connection that has nothing to read: neither its end, nor an answer that nobody waits for."""
        while self._idle:
            line = self._idle.pop()
            try:
                await line.pause(self._options.pause)
            except BaseException:
                line.cut()
                raise
            if line.wake(control_id):
                return line
            line.cut()
        return None

    async def _open(self) -> Line | Outcome:
        if self._ended():
            return Outcome(Verdict.RETRY, "closing")
        options, host = self._options, self._options.address[0]
        named: str | None = None
        if options.tls is not None:
            named = options.tls.server_name or host
            try:
                if self._context is None:
                    self._stamp = stamp(options.tls)
                    self._context = client_context(options.tls)
            except OSError:
                return Outcome(Verdict.HOLD, "tls-files-unusable")
        try:
            await self._addresses.look_up(options.connect_within)
        except AddressRefused:
            return Outcome(Verdict.HOLD, TARGET_REFUSED)
        except (OSError, UnicodeError) as error:
            return _not_connected(error)
        connecting = asyncio.get_running_loop().create_task(
            self._addresses.connect(self._line, None if options.tls is None else self._context, named)
        )
        self._connecting.add(connecting)
        try:
            async with asyncio.timeout(options.connect_within):
                line = await connecting
        except asyncio.CancelledError:
            if self._ended() and not _told_to_end():
                return Outcome(Verdict.RETRY, "closing")
            raise
        except (OSError, UnicodeError) as error:
            return _not_connected(error)
        finally:
            self._connecting.discard(connecting)
        if self._ended():
            line.cut()
            return Outcome(Verdict.RETRY, "closing")
        return line

    def _ended(self) -> bool:
        return self._closed

    def _line(self) -> Line:
        options = self._options
        line = Line(
            self._framing,
            options.max_answer,
            self._judge,
            answer_within_s=options.answer_within,
            keepalive=options.keepalive,
            application=options.wait_for == "application",
            now_us=self._now_us,
        )
        line.on_open, line.on_lost = self._lines.add, self._forget
        return line

    def _forget(self, line: Line) -> None:
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)

    def _judge(self, code: str) -> Outcome:
        """What an acknowledgement code comes to (HL7 table 0008)."""
        reason = f"answered-{code.lower()}"
        if code in ("AA", "CA"):
            return Outcome(Verdict.DELIVERED, reason)
        answer = self._options.on_ae if code in ("AE", "CE") else self._options.on_ar
        return Outcome(Verdict.RETRY if answer == "retry" else Verdict.POISON, reason)

    async def _end_all(self) -> None:
        for connecting in tuple(self._connecting):
            connecting.cancel()
        for line in tuple(self._lines):
            if line in self._idle:
                line.end()
            else:
                line.cut()
        if lost := [line.lost for line in self._lines]:
            await asyncio.wait(lost, timeout=CLOSE_WAIT_MAX_S)
        if self._lines:
            for line in tuple(self._lines):
                line.cut()
            await asyncio.wait([line.lost for line in self._lines], timeout=CLOSE_WAIT_MAX_S)


def _told_to_end() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _not_connected(error: BaseException) -> Outcome:
    """No byte of a message has left."""
    match error:
        case TimeoutError():
            return Outcome(Verdict.RETRY, "connect-timeout")
        case ssl.SSLCertVerificationError():
            return Outcome(Verdict.HOLD, untrusted(error))
        case ssl.SSLError() if client_certificate_refused(error):
            return Outcome(Verdict.HOLD, "tls-client-certificate")
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return Outcome(Verdict.RETRY, "connect-failed")
        case ssl.SSLError() | UnicodeError():
            return Outcome(Verdict.HOLD, "tls-handshake")
        case socket.gaierror():
            return Outcome(Verdict.RETRY, "name-not-resolved")
    return Outcome(Verdict.RETRY, "connect-failed")


COMPONENT = Component(
    kind="destination",
    name="mllp_send",
    summary="Another engine that takes HL7 v2 messages over MLLP.",
    options=MllpSendOptions,
    example='mllp: {connect: "tcp:127.0.0.1:6661", answer_within: 10s}\n',
    marker="mllp",
    sends=("original", "message"),
    repeat_safety=("header", "none"),
    credentials=False,
    build=build,
    prepares=prepares,
)

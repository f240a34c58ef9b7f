"""The MLLP listener: blocks from legacy senders, acknowledgements back.

Answers leave in the order of the blocks on their connection, those that are ready together in one write.
A connection with too much unanswered is not read further until answers have left, so that memory stays
bounded whatever a sender does.
"""

from __future__ import annotations

import ipaddress
from collections import Counter, deque
from collections.abc import Callable
from typing import Self

import structlog
from pydantic import Field, model_validator
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IListeningPort, IReactorTime
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure

from bridge.component import Component, Options
from bridge.formats.mllp_framing import Block, Event, MllpFraming, Oversized, Truncated, frame
from bridge.message import Microseconds, Received
from bridge.transports.base import Answer, Flaw, Intake
from bridge.transports.mllp_addresses import ListenAddress, ListenerAddress, Network
from bridge.transports.mllp_answers import Acknowledge, AnswerOptions, LaterAnswers, Mode, check_together
from bridge.transports.mllp_client import ListenerOfSender
from bridge.units import DurationS, SizeBytes

log = structlog.get_logger("bridge.mllp")

JUNK_MAX_BYTES = 4096
"""Bytes outside any block before a peer is taken for something that does not speak MLLP."""
CARRIAGE_RETURN_WAIT_S = 0.2
"""How long the CR after an FS is waited for; some senders leave it out."""
HELD_MIN_BYTES = 1024**2
"""A connection that holds less is never cut to free memory."""
UNANSWERED_BYTES_MAX = 256 * 1024**2
"""All connections of one listener together, blocks that are not yet answered or not yet complete."""


class MllpOptions(Options):
    """Options of an MLLP source."""

    listen: ListenAddress = Field(
        description="Where to listen: `tcp:PORT`, or `tcp:PORT:interface=ADDRESS` for one address only."
    )
    acknowledge: Acknowledge = Field(
        "journaled",
        description="When AA is said: once the message is on disk, once it is mapped, or once every API has "
        "taken it. With the last two one that fails meanwhile is answered AE, and is the sender's again. Or "
        "never, for senders that expect no answer.",
    )
    answer: AnswerOptions = Field(default_factory=lambda: AnswerOptions.model_validate({}))
    mode: Mode = Field(
        "original",
        description="HL7 acknowledgement mode: original (AA, AE or AR), enhanced (CA, CE or CR once it is on "
        "disk, then AA, AE or AR, as MSH-15 and MSH-16 ask), or from-message (by these two; original where "
        "both are empty).",
    )
    application_ack: ListenerAddress | None = Field(
        None,
        description="Where the sender listens for application acknowledgements, `tcp:HOST:PORT`; without it "
        "they go back on its own connection.",
    )
    max_block: SizeBytes = Field(16 * 1024**2, gt=0, description="A larger block is answered AR.")
    max_connections: int = Field(512, gt=0, description="Open connections at once.")
    max_connections_per_peer: int = Field(32, gt=0, description="Open connections from one address.")
    max_unanswered: int = Field(
        64, gt=0, description="Blocks of one connection that may wait for their answer before it is read on."
    )
    idle: DurationS = Field(86400.0, gt=0, description="A connection on which nothing arrives is closed.")
    block_within: DurationS = Field(60.0, gt=0, description="A block that has begun must end within this.")
    drain: DurationS = Field(10.0, gt=0, description="How long stopping waits for answers still to be sent.")
    allow_from: tuple[Network, ...] = Field(
        (), description="Addresses and networks that may connect; empty allows all."
    )

    @model_validator(mode="after")
    def _agree(self) -> Self:
        check_together(
            self.acknowledge,
            self.mode,
            answer="answer" in self.model_fields_set,
            application_ack=self.application_ack is not None,
        )
        return self


class MllpConnection(Protocol):
    """One connection. Its answers wait in line until all before them are ready."""

    transport: Server
    listener: MllpListener
    peer: str

    def __init__(self) -> None:
        self._line: deque[_Slot] = deque()
        self._later = LaterAnswers(self._say)
        self._unanswered_bytes = 0
        self._held = 0
        self._paused = self._peer_full = self._closing = self._told_of_junk = False
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._framing = MllpFraming(self.listener.options.max_block)
        self.listener.opened(self)
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._watch()

    def dataReceived(self, data: bytes) -> None:
        was_inside = self._framing.inside_block
        events = self._framing.feed(data)
        # A block is timed from its begin: bytes that trickle in do not prolong it.
        same_block = was_inside and not events and not self._framing.awaits_carriage_return
        self._take(events)
        if self._framing.skipped_bytes and not self._told_of_junk:
            # Once for each connection: what stands outside blocks may be a message without its start byte.
            self._told_of_junk = True
            self.listener.dropped["bytes-outside-blocks"] += 1
            log.warning("bytes-outside-blocks", channel=self.listener.channel, peer=self.peer)
        if self._framing.skipped_bytes > JUNK_MAX_BYTES:
            self._drop("not-mllp")
        elif (
            self.listener.unanswered_bytes > UNANSWERED_BYTES_MAX
            and self._held > HELD_MIN_BYTES
            and not self._line
        ):
            # Nothing of this connection waits for an answer, so pausing it would free nothing; what it
            # has sent of its block has not been acknowledged, so nothing is lost by cutting it.
            self._drop("memory-limit")
        elif not same_block:
            self._watch()

    def _take(self, events: list[Event]) -> None:
        listener = self.listener
        for event in events:
            flaw: Flaw | None = None
            match event:
                case Block(body):
                    pass
                case Oversized(body):
                    flaw = "oversized"
                case Truncated(body):
                    flaw = "truncated"
            slot = _Slot(len(body))
            self._line.append(slot)
            self._unanswered_bytes += slot.size_bytes
            answer = listener.take(self.peer, body, flaw)
            answer.addCallbacks(
                self._answer_ready, self._no_answer, callbackArgs=(slot,), errbackArgs=(slot,)
            )
        self._hold()
        if events:
            self._flow()

    def _answer_ready(self, answer: Answer, slot: _Slot) -> None:
        slot.answer = answer
        line = self._line
        ready: list[Answer] = []
        while line and (first := line[0].answer) is not None:
            self._unanswered_bytes -= line.popleft().size_bytes
            ready.append(first)
        if not ready:
            return
        self._hold()
        reached = self.connected and not self._closing
        if reached:
            self.transport.write(b"".join(frame(each.data) for each in ready if each.data is not None))
        for each in ready:
            if each.data is not None:
                self.listener.intake.answered(each, bool(reached))
        # Each follows its first, which has just been said.
        self._later.add([each.later for each in ready if each.later is not None])
        if not self.connected:
            self._later.cancel()
        elif reached and any(each.cut for each in ready):
            self._drop("not-journaled")
        self._flow()
        if self._owes_nothing:
            self.listener.quiet(self)

    @property
    def _owes_nothing(self) -> bool:
        return not self._line and not self._later

    def _say(self, answer: Answer) -> None:
        """A second answer has come."""
        if answer.data is not None:
            reached = bool(self.connected and not self._closing)
            if reached:
                self.transport.write(frame(answer.data))
            self.listener.intake.answered(answer, reached)
        self._flow()
        if self._owes_nothing:
            self.listener.quiet(self)

    def _no_answer(self, failure: Failure, slot: _Slot) -> None:
        """A fault of ours: the sender must not wait for ever, and sends again what got no answer."""
        log.error("intake-fault", channel=self.listener.channel, fault=type(failure.value).__name__)
        self._drop("intake-fault")
        self._answer_ready(Answer(None, None), slot)

    def _hold(self) -> None:
        """Tell the listener how many bytes this connection holds."""
        held = self._unanswered_bytes + self._framing.buffered_bytes
        self.listener.unanswered_bytes += held - self._held
        self._held = held

    def _flow(self) -> None:
        """Read on, or stop reading, by what waits for an answer and by what the peer takes."""
        listener = self.listener
        full = (
            self._peer_full
            or listener.draining
            or len(self._line) >= listener.options.max_unanswered
            or self._later.full
            or (listener.unanswered_bytes > UNANSWERED_BYTES_MAX and bool(self._line))
        )
        if full != self._paused and self.connected:
            self._paused = full
            if full:
                self.transport.pauseProducing()
            else:
                self.transport.resumeProducing()

    # The transport calls these when the peer does not take its answers (IPushProducer, seen from below).
    def pauseProducing(self) -> None:
        self._peer_full = True
        self._flow()

    def resumeProducing(self) -> None:
        self._peer_full = False
        self._flow()

    def stopProducing(self) -> None:
        self._peer_full = True

    def _watch(self) -> None:
        """Begin to wait anew: for the CR that may be missing, for the end of a block, or for the next one."""
        framing, options = self._framing, self.listener.options
        if framing.awaits_carriage_return:
            wait_s = CARRIAGE_RETURN_WAIT_S
        elif framing.inside_block:
            wait_s = options.block_within
        else:
            wait_s = options.idle
        self._wait_s = wait_s
        # The timer is not moved with each block: when it fires, it looks since when is being waited.
        self._since_s = self.listener.reactor.seconds()
        if self._timer is None or self._timer.getTime() - self._since_s > wait_s:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self.listener.reactor.callLater(wait_s, self._timeout)

    def _timeout(self) -> None:
        self._timer = None
        left_s = self._since_s + self._wait_s - self.listener.reactor.seconds()
        if left_s > 0 or self._paused or not self._owes_nothing:
            self._timer = self.listener.reactor.callLater(max(left_s, 0.1), self._timeout)
        elif self._framing.awaits_carriage_return:
            self._take(self._framing.end_now())
            self._watch()
        else:
            self._drop("block-timeout" if self._framing.inside_block else "idle")

    def _drop(self, reason: str) -> None:
        log.warning("connection-dropped", channel=self.listener.channel, peer=self.peer, reason=reason)
        self.listener.dropped[reason] += 1
        self._closing = True
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.connected = 0
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._framing.inside_block or not reason.check(ConnectionDone, ConnectionAborted):
            log.info(
                "connection-lost",
                channel=self.listener.channel,
                peer=self.peer,
                unfinished_block=self._framing.inside_block,
                unanswered=len(self._line),
            )
        self._framing = MllpFraming(self.listener.options.max_block)
        self._hold()
        self.listener.closed(self)
        self._later.cancel()

    def drain(self) -> None:
        """Read no more; close once the last answer has left."""
        self._flow()
        if self._owes_nothing:
            self.transport.loseConnection()


class _Slot:
    __slots__ = ("answer", "size_bytes")

    def __init__(self, size_bytes: int) -> None:
        self.answer: Answer | None = None
        self.size_bytes = size_bytes


class MllpListener(Factory):
    """One listening port of one channel. `start` it; a drained one cannot be started again."""

    noisy = False

    def __init__(
        self,
        channel: str,
        options: MllpOptions,
        intake: Intake,
        *,
        reactor: IReactorTime,
        now_us: Callable[[], Microseconds],
    ) -> None:
        self.channel, self.intake, self.reactor = channel, intake, reactor
        self.unanswered_bytes = 0
        self.draining = False
        self.dropped: Counter[str] = Counter()
        """Connections refused or cut, by reason."""
        self._now_us = now_us
        self._open: set[MllpConnection] = set()
        self._per_peer: Counter[str] = Counter()
        self.use(options)
        self._port: IListeningPort | None = None
        self._all_closed: Deferred[None] | None = None

    async def start(self) -> IListeningPort:
        """Listen. Raises twisted.internet.error.CannotListenError where the port is taken."""
        self._port = await serverFromString(self.reactor, self.options.listen).listen(self)
        return self._port

    def can_use(self, options: MllpOptions) -> bool:
        """Whether these options are about the same port."""
        return options.listen == self.options.listen

    def use(self, options: MllpOptions) -> None:
        """Take these options: limits from the next block on, all else with new connections."""
        self.options = options
        self._allowed = tuple(ipaddress.ip_network(network) for network in options.allow_from)

    @property
    def connections(self) -> int:
        """How many senders are connected."""
        return len(self._open)

    def take(self, peer: str, body: bytes, flaw: Flaw | None) -> Deferred[Answer]:
        """Hand one block to the spine."""
        return self.intake.take(Received(self.channel, body, self._now_us(), peer), flaw)

    def buildProtocol(self, addr: IAddress | None) -> MllpConnection | None:
        """A connection for a peer that may have one, None for any other."""
        host = addr.host if isinstance(addr, IPv4Address | IPv6Address) else ""
        if (reason := self._refusal(host)) is not None:
            log.warning("connection-refused", channel=self.channel, peer=host, reason=reason)
            self.dropped[reason] += 1
            return None
        connection = MllpConnection()
        connection.listener, connection.peer = self, host
        return connection

    def _refusal(self, host: str) -> str | None:
        if self.draining:
            return "draining"
        if self._allowed and not self._may_connect(host):
            return "not-allowed"
        if len(self._open) >= self.options.max_connections:
            return "too-many-connections"
        if self._per_peer[host] >= self.options.max_connections_per_peer:
            return "too-many-connections-of-peer"
        return None

    def _may_connect(self, host: str) -> bool:
        try:
            address = ipaddress.ip_address(host.partition("%")[0])
        except ValueError:
            return False
        # A dual-stack socket names an IPv4 peer as ::ffff:a.b.c.d; the site wrote a.b.c.d.
        if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        return any(address in network for network in self._allowed if network.version == address.version)

    def opened(self, connection: MllpConnection) -> None:
        """A connection came up."""
        self._open.add(connection)
        self._per_peer[connection.peer] += 1

    def closed(self, connection: MllpConnection) -> None:
        """A connection is gone."""
        self._open.discard(connection)
        self._per_peer[connection.peer] -= 1
        if not self._per_peer[connection.peer]:
            del self._per_peer[connection.peer]
        if self._all_closed is not None and not self._open:
            done, self._all_closed = self._all_closed, None
            done.callback(None)

    def quiet(self, connection: MllpConnection) -> None:
        """A connection has nothing left to say."""
        if self.draining and connection.connected:
            connection.transport.loseConnection()

    async def drain(self) -> None:
        """Listen and read no more, let answers leave, and close; after ``options.drain`` cut what is left."""
        self.draining = True
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        for connection in tuple(self._open):
            connection.drain()
        if self._open:
            closed: Deferred[None] = Deferred()
            self._all_closed = closed
            cut = self.reactor.callLater(self.options.drain, self._cut)
            await closed
            if cut.active():
                cut.cancel()

    def _cut(self) -> None:
        for connection in tuple(self._open):
            connection.transport.abortConnection()


COMPONENT = Component(
    kind="transport",
    name="mllp",
    summary="Listens for HL7 v2 over MLLP and answers once the message is journaled.",
    options=MllpOptions,
    example='listen: "tcp:2575"\nmax_block: 16MiB\nidle: 1h\nallow_from: [10.1.0.0/16, "::1"]\n',
    build=MllpListener,
    back_channel=ListenerOfSender,
)

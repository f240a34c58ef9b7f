"""One MLLP connection: blocks in, acknowledgements out, in the order of the blocks.

Answers that are ready together leave in one write. A connection with too much unanswered is not read further
until answers have left, so that memory stays bounded whatever a sender does.
"""

from __future__ import annotations

from collections import deque
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.interfaces import IDelayedCall, IHandshakeListener
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.tcp import Server
from twisted.python.failure import Failure
from zope.interface import implementer

from bridge.formats.mllp_framing import Block, Event, MllpFraming, Oversized, Truncated
from bridge.transports.base import Answer, Flaw
from bridge.transports.mllp_answers import LaterAnswers
from bridge.transports.mllp_framings import framed, framing_for
from bridge.transports.mllp_handshake import TlsConnection, refusal_of, speaks

if TYPE_CHECKING:
    from bridge.transports.mllp import MllpListener

log = structlog.get_logger("bridge.mllp")

JUNK_MAX_BYTES = 4096
"""Bytes outside any block before a peer is taken for something that does not speak MLLP."""
CARRIAGE_RETURN_WAIT_S = 0.2
"""How long the CR after an FS is waited for; some senders leave it out."""
HELD_MIN_BYTES = 1024**2
"""A connection that holds less is never cut to free memory."""
UNANSWERED_BYTES_MAX = 256 * 1024**2
"""All connections of one listener together, blocks that are not yet answered or not yet complete."""


@implementer(IHandshakeListener)
class MllpConnection(Protocol):
    """One connection. Its answers wait in line until all before them are ready."""

    transport: Server
    listener: MllpListener
    host: str
    heard_s: float
    """When anything last came, by the reactor's clock."""
    peer: str
    """The host, and the name in the certificate where one was asked for."""
    number: int = 0
    """Which connection of its listener it is."""
    known: bool
    """No TLS, or its handshake is over."""

    def __init__(self) -> None:
        self._line: deque[_Slot] = deque()
        self._later = LaterAnswers(self._say)
        self._unanswered_bytes = 0
        self._held = 0
        self._paused = self._peer_full = self._closing = self._told_of_junk = False
        self._timer: IDelayedCall | None = None
        self._beginning: bytes | None = b""

    def connectionMade(self) -> None:
        options = self.listener.options
        self._framing = framing_for(options.framing, options.block, options.max_block)
        self._framed = partial(framed, options.framing, options.block)
        self.heard_s = self.listener.reactor.seconds()
        self.listener.opened(self)
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        self.transport.registerProducer(self, True)
        self._watch()

    def handshakeCompleted(self) -> None:
        self.known = True
        if (secured := self._secured()) is not None:
            self.peer = " ".join(filter(None, (self.host, secured.shaking.name)))
        self._watch()

    def dataReceived(self, data: bytes) -> None:
        self.heard_s = self.listener.reactor.seconds()
        if self._beginning is not None and self._speaks_something_else(data):
            return
        was_inside = self._framing.inside_block and not self._framing.may_end_now
        events = self._framing.feed(data)
        # A block is timed from its begin: bytes that trickle in do not prolong it.
        same_block = was_inside and not events and not self._framing.may_end_now
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

    def _secured(self) -> TlsConnection | None:
        below: Any = self.transport
        return below if isinstance(below, TlsConnection) else None

    def _speaks_something_else(self, data: bytes) -> bool:
        beginning = (self._beginning or b"") + data
        spoken = speaks(beginning)
        reason = {"http": "http-on-mllp-port", "tls": "tls-on-plain-port"}.get(spoken)
        # Until it is clear there are at most three bytes of it.
        self._beginning = beginning if spoken == "unknown" else None
        if reason is not None:
            self._refuse(reason)
        return reason is not None

    def _refuse(self, reason: str) -> None:
        self.listener.refused(self.peer, reason)
        self._closing = True
        self.transport.abortConnection()

    def _take(self, events: list[Event]) -> None:
        listener = self.listener
        for event in events:
            flaw: Flaw | None = None
            noticed: tuple[str, ...] = ()
            match event:
                case Block(body, noticed):
                    pass
                case Oversized(body):
                    flaw = "oversized"
                case Truncated(body):
                    flaw = "truncated"
            slot = _Slot(len(body))
            self._line.append(slot)
            self._unanswered_bytes += slot.size_bytes
            answer = listener.take(self.peer, body, flaw, noticed, self.number)
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
            self._write(b"".join(self._framed(each.data) for each in ready if each.data is not None))
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

    def _write(self, data: bytes) -> None:
        """Give the transport bytes; without TLS, and with nothing before them, to the socket at once.

        Otherwise the loop is told to say when the socket takes bytes, says so, and is told to stop: more
        than half of what an answer costs.
        """
        transport = self.transport
        if (
            self._secured() is None
            and isinstance(transport, Server)
            and transport.connected
            and not (transport.disconnecting or transport.dataBuffer or transport._tempDataBuffer)
        ):
            sent = transport.writeSomeData(data)
            # Where the connection is broken, the transport finds out by itself.
            data = data[sent:] if isinstance(sent, int) else data
        if data:
            transport.write(data)

    @property
    def _owes_nothing(self) -> bool:
        return not self._line and not self._later

    def _say(self, answer: Answer) -> None:
        """A second answer has come."""
        if answer.data is not None:
            reached = bool(self.connected and not self._closing)
            if reached:
                self._write(self._framed(answer.data))
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
        if not self.known:
            wait_s = self.listener.handshake_s
        elif framing.may_end_now:
            wait_s = options.end_after if options.framing == "none" else CARRIAGE_RETURN_WAIT_S
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
        elif not self.known:
            self._refuse("tls-handshake-timeout")
        elif self._framing.may_end_now:
            self._take(self._framing.end_now())
            self._watch()
        else:
            self._drop("block-timeout" if self._framing.inside_block else "idle")

    @property
    def silent_s(self) -> float:
        """For how long nothing was heard of the peer; 0 while it is owed an answer."""
        return self.listener.reactor.seconds() - self.heard_s if self._owes_nothing else 0.0

    def give_way(self) -> None:
        """Make room at once for a new connection of the same peer."""
        self._drop("stale")
        self.listener.closed(self)

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
        if not self.known and (secured := self._secured()) is not None:
            # A probe that connects and goes says nothing, and nothing is said of it.
            if secured.heard and not self._closing and not self.listener.draining:
                shaking = secured.shaking
                refusal = shaking.refusal or refusal_of(reason.value)
                self.listener.refused(self.host, refusal, shaking.certificate)
        elif self._framing.inside_block or (
            # Many end TLS without its farewell. Blocks tell by themselves whether they are whole.
            self._secured() is None
            and self._beginning is None
            and not reason.check(ConnectionDone, ConnectionAborted)
        ):
            log.info(
                "connection-lost",
                channel=self.listener.channel,
                peer=self.peer,
                unfinished_block=self._framing.inside_block,
                unanswered=len(self._line),
            )
        if self.known and not self._closing and not self.listener.draining:
            self._take(self._framing.at_end(clean=bool(reason.check(ConnectionDone))))
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

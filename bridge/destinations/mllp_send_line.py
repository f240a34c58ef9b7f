"""One connection to an MLLP receiver: a message out, its answer in, strictly in turn.

Which answer is whose: a control ID is used once on a connection, so an answer that comes late or twice is
that of a message before, and of none that is still to come. One that is of neither ends the connection.
"""

from __future__ import annotations

import asyncio
import select
import socket
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final, NamedTuple

from bridge.delivery.outcomes import TAKEN, Answered, Outcome, Verdict
from bridge.formats.hl7v2_ack import AckCode, acknowledge
from bridge.formats.hl7v2_answer import Answer, read_answer
from bridge.formats.mllp_framing import Block, MllpFraming, frame, holds
from bridge.message import Microseconds
from bridge.tls.client import client_certificate_refused

MESSAGES_MAX_COUNT: Final = 4096
"""So many messages go over one connection, which remembers their control IDs; then another is made."""
STRAY_ANSWERS_MAX_COUNT: Final = 16
"""Answers for earlier messages that are let go while one is waited for."""
JUNK_MAX_BYTES: Final = 4096
"""Bytes outside any block before a peer is taken for something that does not speak MLLP."""
CARRIAGE_RETURN_WAIT_S: Final = 0.2
"""How long the CR after the end byte is waited for; some receivers leave it out."""

_APPLICATION: Final = frozenset({AckCode.AA, AckCode.AE, AckCode.AR})
_WANT_ACCEPT: Final = frozenset({b"AL", b"SU"})
"""MSH-15 of an application acknowledgement that asks for an accept acknowledgement (HL7 table 0155)."""


class Framing(NamedTuple):
    """The bytes around a message: one each, or two where the frame is UTF-16 as the message is."""

    start: bytes
    end: bytes
    after: bytes

    @property
    def codec(self) -> str:
        """What a message of ours is written in."""
        return "utf-8" if len(self.start) == 1 else "utf-16-le" if self.start[1] == 0 else "utf-16-be"

    def cuts(self, message: bytes) -> bool:
        """Whether the message holds what would begin or end its block."""
        return holds(message, self.start) or holds(message, self.end)

    def around(self, message: bytes) -> bytes:
        """The message as one block."""
        return frame(message, self.start, self.end + self.after)


class _Lost(Exception):
    """The connection ended; the cause says how, if it was an error."""


class Line(asyncio.Protocol):
    """One connection. ``lost`` fires when it is gone."""

    def __init__(
        self,
        framing: Framing,
        answer_max_bytes: int,
        judge: Callable[[str], Outcome],
        *,
        answer_within_s: float,
        keepalive: bool,
        application: bool,
        now_us: Callable[[], Microseconds],
    ) -> None:
        self._bytes, self._judge, self._now_us = framing, judge, now_us
        self._framing = MllpFraming(
            answer_max_bytes, start=framing.start, end=framing.end, after=framing.after
        )
        self._answer_within_s = answer_within_s
        self._keepalive, self._application = keepalive, application
        self._committed = False
        self._loop = asyncio.get_running_loop()
        self.lost: asyncio.Future[None] = self._loop.create_future()
        self.on_open: Callable[[Line], None] = lambda _: None
        self.on_lost: Callable[[Line], None] = lambda _: None
        self._transport: asyncio.Transport | None = None
        self._used: set[bytes] = set()
        self._blocks: deque[bytes | None] = deque()
        self._news: asyncio.Future[None] | None = None
        self._waiting = False
        self._bad = False
        self._cause: BaseException | None = None
        self._rested_at_s = 0.0
        self._timer: asyncio.TimerHandle | None = None

    # What the destination asks.

    @property
    def usable(self) -> bool:
        """Whether another message may follow."""
        return not self._bad and not self.lost.done() and len(self._used) < MESSAGES_MAX_COUNT

    def wake(self, control_id: bytes) -> bool:
        """End the rest; whether this message may go over this connection.

        It may not where anything is there to be read: the receiver has closed, or has said something that
        nobody asked for. Nor where an answer could be that of a message before with the same control ID.
        """
        self._stop_timer()
        return (
            self.usable
            and control_id not in self._used
            and not self._framing.inside_block
            and not self._readable()
        )

    async def pause(self, pause_s: float) -> None:
        """Wait until it has rested so long since its last answer."""
        rest_s = self._rested_at_s + pause_s - self._loop.time()
        if rest_s > 0 and self.usable:
            await asyncio.wait([self.lost], timeout=rest_s)

    def rest(self, rest_s: float, then: Callable[[], None]) -> None:
        """No message for now; after a while ``then`` is called."""
        self._rested_at_s = self._loop.time()
        self._stop_timer()
        self._timer = self._loop.call_later(rest_s, then)

    def say(self, message: bytes, control_id: bytes) -> None:
        """Send what nobody needs to answer; an answer that comes all the same is let go."""
        self._used.add(control_id)
        if self._transport is not None:
            self._transport.write(self._bytes.around(message))

    def end(self) -> None:
        """Close in order: what was written still goes."""
        self._bad = True
        self._stop_timer()
        if self._transport is not None:
            self._transport.close()

    def cut(self) -> None:
        """Close at once: what still comes is never read."""
        self._bad = True
        self._stop_timer()
        if self._transport is not None:
            self._transport.abort()

    async def exchange(self, message: bytes, control_id: bytes) -> Outcome:
        """Send a message, and say what its answer means. Cuts the connection where it is out of step."""
        if self._transport is None or not self.usable:
            return Outcome(Verdict.RETRY, "disconnected")
        self._used.add(control_id)
        self._waiting, self._committed = True, False
        self._transport.write(self._bytes.around(message))
        try:
            async with asyncio.timeout(self._answer_within_s):
                return await self._read(control_id)
        except TimeoutError:
            # Only on this connection can the late answer come, so it must be gone before the next message.
            self.cut()
            reason = "application-answer-timeout" if self._committed else "answer-timeout"
            return Outcome(Verdict.AMBIGUOUS, reason)
        except _Lost as lost:
            if lost.__cause__ is not None and client_certificate_refused(lost.__cause__):
                # Under TLS 1.3 this comes after the handshake; the server looks before it reads a message.
                return Outcome(Verdict.HOLD, "tls-client-certificate")
            return Outcome(Verdict.AMBIGUOUS, "disconnected")
        finally:
            self._waiting = False
            left, self._blocks = self._blocks, deque()
            for block in left:
                self._unasked(block)

    async def _read(self, control_id: bytes) -> Outcome:
        strays = 0
        while True:
            block = await self._next_block()
            answer = None if block is None else read_answer(block)
            if answer is None:
                return self._out_of_step("answer-unreadable")
            if answer.control_id != control_id:
                strays += 1
                if answer.control_id not in self._used or strays > STRAY_ANSWERS_MAX_COUNT:
                    return self._out_of_step("answer-for-another-message")
                continue
            if self._application and answer.code is AckCode.CA and strays <= STRAY_ANSWERS_MAX_COUNT:
                strays += self._committed
                self._committed = True
                continue
            if self._application and answer.code in _APPLICATION:
                self._accept(answer)
            outcome = self._judge(answer.code)
            return (
                outcome if outcome.verdict in TAKEN else outcome._replace(answer=Answered({}, block or b""))
            )

    def _accept(self, answer: Answer) -> None:
        """Say CA to an application acknowledgement that asks for it (HL7 v2.5.1 §2.9.3)."""
        if answer.header.accept_acknowledgement in _WANT_ACCEPT and self._transport is not None:
            ours = f"A{len(self._used)}-{self._now_us()}"
            said = acknowledge(answer.header, AckCode.CA, control_id=ours, at_us=self._now_us())
            self._transport.write(self._bytes.around(said))

    def _out_of_step(self, reason: str) -> Outcome:
        self.cut()
        return Outcome(Verdict.AMBIGUOUS, reason)

    async def _next_block(self) -> bytes | None:
        """The next block, or None for one that cannot be read. Raises _Lost."""
        while not self._blocks:
            if self.lost.done():
                raise _Lost from self._cause
            self._news = self._loop.create_future()
            await self._news
        return self._blocks.popleft()

    def _readable(self) -> bool:
        """Whether bytes or an end lie in the socket that the loop has not read yet."""
        found = None if self._transport is None else self._transport.get_extra_info("socket")
        if found is None or found.fileno() < 0:
            return True
        looking = select.poll()
        looking.register(found.fileno(), select.POLLIN)
        return bool(looking.poll(0))

    # What the loop tells.

    def connection_made(self, transport: Any) -> None:
        """The connection, and its handshake, are done."""
        self._transport = transport
        found = transport.get_extra_info("socket")
        if self._keepalive and found is not None:
            with suppress(OSError):
                found.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        self.on_open(self)

    def data_received(self, data: bytes) -> None:
        """Bytes came; in a rest they are an answer that nobody waits for."""
        self._stop_timer_of_carriage_return()
        self._take(self._framing.feed(data))
        if self._framing.may_end_now and self._waiting:
            self._timer = self._loop.call_later(CARRIAGE_RETURN_WAIT_S, self._end_block)

    def connection_lost(self, exc: Exception | None) -> None:
        """It is gone."""
        self._stop_timer()
        self._cause = exc
        if not self.lost.done():
            self.lost.set_result(None)
        self._tell()
        self.on_lost(self)

    def _end_block(self) -> None:
        if self._framing.may_end_now:
            self._take(self._framing.end_now())

    def _take(self, events: list[Any]) -> None:
        for event in events:
            body = event.body if isinstance(event, Block) else None
            if self._waiting:
                self._blocks.append(body)
            else:
                self._unasked(body)
        if self._waiting and (
            len(self._blocks) > STRAY_ANSWERS_MAX_COUNT or self._framing.skipped_bytes > JUNK_MAX_BYTES
        ):
            self._blocks.clear()
            self._blocks.append(None)
        self._tell()

    def _unasked(self, body: bytes | None) -> None:
        """An answer that nobody waits for: once more for a message before, or the peer is out of step."""
        answer = None if body is None else read_answer(body)
        if answer is None or answer.control_id not in self._used:
            self.cut()

    def _tell(self) -> None:
        if self._news is not None and not self._news.done():
            self._news.set_result(None)

    def _stop_timer_of_carriage_return(self) -> None:
        if self._waiting:
            self._stop_timer()

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

"""What `bridge capture` does: a listener whose intake writes files in place of a journal."""

from __future__ import annotations

import os
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import CannotListenError
from twisted.internet.protocol import connectionDone
from twisted.python.failure import Failure

from bridge.errors import PeerUnavailable
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_ack import AckCode, AckError, acknowledge, peek
from bridge.formats.hl7v2_mask import masked
from bridge.message import Received
from bridge.observe.log import configure
from bridge.transports.base import Answer, Flaw
from bridge.transports.mllp import MllpListener
from bridge.transports.mllp_connection import MllpConnection
from bridge.transports.mllp_options import MllpOptions

SEGMENTS_TOLD_MAX: Final = 200
EVENTS_FILE: Final = "events.jsonl"
_UNREADABLE: Final = AckError("100", "The message does not begin with a readable MSH segment.")


@dataclass(frozen=True, slots=True)
class Limits:
    """When a capture ends: after ``messages`` (None for no such end), ``lasts_s``; and how much it writes."""

    messages: int | None
    lasts_s: float
    written_max_bytes: int


class Capture:
    """One capture, into a folder of its own. It is its listener's `Intake`."""

    def __init__(
        self,
        folder: Path,
        options: MllpOptions,
        answers: tuple[bytes, ...] | None,
        limits: Limits,
        *,
        mask: bool,
    ) -> None:
        """``answers`` are said one after the other, the last one again and again; None says AA."""
        self._folder, self._options, self._answers = folder, options, answers
        self._limits, self._mask = limits, mask
        self._events = _new_file(folder / EVENTS_FILE)
        self._written_bytes = self._messages = self._connections = 0
        self._tolerated: Counter[str] = Counter()
        self._refused: Counter[str] = Counter()
        self._full: Deferred[None] = Deferred()
        self._began_us = _now_us()

    async def start(self, reactor: Any) -> int:
        """Listen; the port. Raises PeerUnavailable where that cannot be."""
        configure()
        self._reactor = reactor
        self._listener = _Listener(
            "capture", self._options, self, reactor=reactor, now_us=_now_us, tell_refused=self._tell_refused
        )
        self._listener.capture = self
        try:
            port = await self._listener.start()
        except (CannotListenError, OSError) as error:
            # What captured nothing leaves nothing, so that the same command can be given again.
            os.close(self._events)
            (self._folder / EVENTS_FILE).unlink(missing_ok=True)
            self._folder.rmdir()
            raise PeerUnavailable(f"cannot listen on {self._options.listen}: {error}") from error
        return int(getattr(port.getHost(), "port", 0))

    async def until(self, told_to_stop: Deferred[None]) -> str:
        """Capture until a limit is reached or somebody stops it; what was seen, in words."""
        timer = self._reactor.callLater(self._limits.lasts_s, self._end)
        told_to_stop.addCallback(lambda _: self._end())
        await self._full
        if timer.active():
            timer.cancel()
        await self._listener.drain()
        os.close(self._events)
        counts = {**self._tolerated, **self._refused}
        told = "; ".join(f"{code} {count}" for code, count in sorted(counts.items())) or "nothing odd"
        if self._written_bytes >= self._limits.written_max_bytes:
            told += "; not all was written"
        return f"{self._messages} messages on {self._connections} connections: {told}"

    def _end(self) -> None:
        if not self._full.called:
            self._full.callback(None)

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        """Write a block down, and say what to answer."""
        self._messages += 1
        header, message = peek(received.body), Hl7Message.read(received.body)
        codes = [*received.tolerated, *dict.fromkeys(problem.code for problem in message.problems)]
        self._tolerated.update(codes)
        name = f"{self._messages:06d}.hl7"
        kept = masked(received.body) if self._mask else received.body
        answer = None if flaw == "truncated" else self._answer(header.readable, received.body, flaw)
        self.event(
            "message",
            peer=received.peer,
            file=name if self._write(name, kept) else None,
            size_bytes=len(received.body),
            flaw=flaw,
            refused=None if message.refused is None else message.refused.code,
            tolerated=codes,
            charset=f"{message.encoding} {message.decided_by}",
            type=header.message_code_event,
            control_id=header.control_id.decode("latin-1"),
            version=header.version.decode("latin-1"),
            segments=[each.name for each in message.segments[:SEGMENTS_TOLD_MAX]] if not self._mask else None,
            answered=None if answer is None else len(answer),
        )
        if self._limits.messages is not None and self._messages >= self._limits.messages:
            self._reactor.callLater(0, self._end)
        return succeed(Answer(answer, self._messages))

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        """Note whether an answer was written."""
        self.event("answered", message=answer.message_id, reached_socket=reached_socket)

    def _answer(self, readable: bool, body: bytes, flaw: Flaw | None) -> bytes | None:
        header = peek(body)
        if self._answers is None:
            good = readable and flaw is None
            code, error = (AckCode.AA, None) if good else (AckCode.AR, _UNREADABLE)
            ours = f"CAPTURE{self._messages}"
            return acknowledge(header, code, control_id=ours, at_us=_now_us(), error=error)
        if not self._answers:
            return None
        return _for(self._answers[min(self._messages, len(self._answers)) - 1], header.control_id)

    def opened(self) -> int:
        """A connection came up; its number."""
        self._connections += 1
        return self._connections

    def event(self, what: str, **facts: object) -> None:
        """Write down that something happened, now."""
        line = orjson.dumps({"event": what, "after_us": _now_us() - self._began_us, **facts}) + b"\n"
        self._put(self._events, line)

    def raw(self, number: int, data: bytes) -> None:
        """Keep bytes of a connection as they came; none where content is masked."""
        if not self._mask:
            self._write(f"connection-{number:04d}.bytes", data, again=True)

    def _tell_refused(self, reason: str) -> None:
        self._refused[reason] += 1
        self.event("refused", reason=reason)

    def _write(self, name: str, data: bytes, *, again: bool = False) -> bool:
        """Write a file, or more of it; False where the limit does not allow it."""
        if self._written_bytes + len(data) > self._limits.written_max_bytes:
            self._written_bytes = self._limits.written_max_bytes
            return False
        file = _new_file(self._folder / name, again=again)
        try:
            self._put(file, data)
        finally:
            os.close(file)
        return True

    def _put(self, file: int, data: bytes) -> None:
        if self._written_bytes + len(data) > self._limits.written_max_bytes:
            self._written_bytes = self._limits.written_max_bytes
            return
        self._written_bytes += len(data)
        while data:
            data = data[os.write(file, data) :]


class _Connection(MllpConnection):
    """A connection of which every read is written down."""

    listener: _Listener

    def connectionMade(self) -> None:  # noqa: N802 - Twisted's name
        self._number = self.listener.capture.opened()
        self.listener.capture.event("opened", connection=self._number, peer=self.host)
        super().connectionMade()

    def dataReceived(self, data: bytes) -> None:  # noqa: N802 - Twisted's name
        self.listener.capture.event("read", connection=self._number, size_bytes=len(data))
        self.listener.capture.raw(self._number, data)
        super().dataReceived(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: N802 - Twisted's name
        how = type(reason.value).__name__
        self.listener.capture.event("closed", connection=self._number, how=how)
        super().connectionLost(reason)


class _Listener(MllpListener):
    connection = _Connection
    capture: Capture


def _new_file(path: Path, *, again: bool = False) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | (0 if again else os.O_EXCL), 0o600)


def _for(answer: bytes, control_id: bytes) -> bytes:
    """An answer from a file, for this message: MSA-2 is its control ID."""
    lines = answer.replace(b"\r\n", b"\r").replace(b"\n", b"\r").split(b"\r")
    for number, line in enumerate(lines):
        fields = line.split(answer[3:4])
        if fields[0] == b"MSA":
            fields[2:3] = [control_id]
            lines[number] = answer[3:4].join(fields)
    return b"\r".join(lines)


def _now_us() -> int:
    return time.time_ns() // 1000

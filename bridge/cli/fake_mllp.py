"""An engine that takes HL7 v2 over MLLP and is not there: for tests and for drills.

It takes each message once, knows a repeat by MSH-10 and body, writes down every block, and breaks on demand.
`FakeReceiver` runs inside the running loop; ``python -m bridge.cli.fake_mllp --help`` runs it alone.
"""

from __future__ import annotations

import asyncio
import hashlib
import ssl
from collections import Counter
from contextlib import nullcontext, suppress
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import IO, Final, Literal

import click
import orjson

from bridge.formats.hl7v2_ack import AckCode, MshPeek, acknowledge, peek
from bridge.formats.mllp_framing import Block, MllpFraming, frame

MESSAGE_MAX_BYTES: Final = 16 * 1024 * 1024
READ_MAX_BYTES: Final = 65_536
ANSWERED_AT_US: Final = 1_700_000_000_000_000

Kind = Literal[
    "answer", "late", "never", "cut", "lose", "close", "twice", "stranger", "ahead", "before", "garbage",
    "raw", "split", "commit",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Fault:
    """One way to break, for messages whose MSH-10 begins with ``control_id``, ``times`` times (None: always).

    ``answer`` answers ``code``, and takes nothing unless that is AA or CA; ``late`` takes, and answers after
    ``seconds``; ``never`` takes, and does not answer; ``cut`` closes and takes nothing; ``lose`` takes, and
    closes without an answer; ``close`` answers, and closes; ``twice`` answers twice; ``stranger`` answers
    under a control ID that nobody sent; ``ahead`` answers, and also for ``text``, a control ID still to come;
    ``before`` answers for the message before first; ``garbage`` answers what is no message, ``raw`` exactly
    ``text``; ``split`` sends its answer byte by byte; ``commit`` says CA, and after ``seconds`` ``code``,
    which asks for an accept acknowledgement where ``text`` is AL.
    """

    kind: Kind
    code: str = "AE"
    seconds: float = 0.0
    text: str = ""
    control_id: str = ""
    times: int | None = 1


@dataclass(frozen=True, slots=True)
class Chances:
    """What share of messages breaks, 0 to 1, drawn from ``seed``, control ID and attempt alone."""

    fail_ratio: float = 0.0
    drop_ratio: float = 0.0
    seed: int = 0

    def fault(self, control_id: str, attempt: int) -> Fault | None:
        """The fault of one attempt, numbered from 1 for each control ID."""
        drawn = hashlib.sha256(f"{self.seed}:{control_id}:{attempt}".encode()).digest()
        chance = int.from_bytes(drawn[:6]) / 2**48
        if chance < self.fail_ratio:
            return Fault("answer", code="AE")
        return Fault("lose") if chance < self.fail_ratio + self.drop_ratio else None


@dataclass(frozen=True, slots=True)
class Taken:
    """One block as it arrived, numbered from 1, on which connection; ``control_id`` is its MSH-10."""

    number: int
    connection: int
    control_id: str
    body_sha256: str
    body: bytes = field(default=b"", repr=False)


class FakeReceiver:
    """The engine. ``blocks`` holds all that came, ``applied`` what had an effect, in the order they came."""

    def __init__(self, *, chances: Chances | None = None, log: IO[bytes] | None = None) -> None:
        self.blocks: list[Taken] = []
        self.applied: list[Taken] = []
        self.connections = 0
        self.open = 0
        self._chances, self._log = chances or Chances(), log
        self._faults: list[Fault] = []
        self._tries: Counter[str] = Counter()
        self._known: set[tuple[str, str]] = set()
        self._server: asyncio.Server | None = None
        self._serving: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(
        self, *, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
    ) -> str:
        """Listen, on a free port unless one is given. What an API file says under ``connect``."""
        self._server = await asyncio.start_server(self._serve, host, port, ssl=tls)
        return f"tcp:{host}:{self._server.sockets[0].getsockname()[1]}"

    async def stop(self) -> None:
        """Close all connections, also those that wait."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        if self._serving:
            await asyncio.wait(self._serving)
        self._server = None

    def plant(self, *faults: Fault) -> None:
        """Break what comes, in this order where several faults fit one message."""
        self._faults.extend(faults)

    def hang_up(self) -> None:
        """Close all connections, as an engine does with those that are idle."""
        for writer in tuple(self._writers):
            writer.close()

    def say(self, text: bytes) -> None:
        """Say something on all connections that nobody asked for."""
        for writer in tuple(self._writers):
            writer.write(text)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        self._writers.add(writer)
        self.connections += 1
        self.open += 1
        number, framing = self.connections, MllpFraming(MESSAGE_MAX_BYTES)
        try:
            with suppress(ConnectionError, ssl.SSLError):
                while data := await reader.read(READ_MAX_BYTES):
                    for event in framing.feed(data):
                        if isinstance(event, Block) and not await self._take(event.body, number, writer):
                            return
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            self.open -= 1
            self._writers.discard(writer)
            self._serving.discard(task)
            writer.close()

    async def _take(self, body: bytes, connection: int, writer: asyncio.StreamWriter) -> bool:
        """Take one block; False where that ends its connection."""
        header = peek(body)
        taken = Taken(
            len(self.blocks) + 1,
            connection,
            header.control_id.decode("utf-8", "replace"),
            hashlib.sha256(body).hexdigest(),
            body,
        )
        before = next((each for each in reversed(self.blocks) if each.connection == connection), taken)
        self.blocks.append(taken)
        fault = self._fault(taken.control_id)
        if fault is not None and fault.kind == "cut":
            writer.transport.abort()
            return False
        if fault is None or fault.kind != "answer" or fault.code in ("AA", "CA"):
            self._apply(taken)
        return await self._answer(header, fault, writer, peek(before.body))

    async def _answer(
        self, header: MshPeek, fault: Fault | None, writer: asyncio.StreamWriter, before: MshPeek
    ) -> bool:
        match fault:
            case Fault(kind="never"):
                return True
            case Fault(kind="lose"):
                writer.transport.abort()
                return False
            case Fault(kind="commit", seconds=seconds):
                writer.write(_answer(header, "CA"))
                await asyncio.sleep(seconds)
            case Fault(kind="late", seconds=seconds):
                await asyncio.sleep(seconds)
        answer = _said(header, fault, before)
        if fault is not None and fault.kind == "split":
            for at in range(len(answer)):
                writer.write(answer[at : at + 1])
                await asyncio.sleep(0)
            return True
        writer.write(answer)
        if fault is not None and fault.kind == "close":
            writer.close()
            return False
        return True

    def _fault(self, control_id: str) -> Fault | None:
        for position, fault in enumerate(self._faults):
            if control_id.startswith(fault.control_id):
                if fault.times is not None:
                    left = fault.times - 1
                    self._faults[position : position + 1] = [replace(fault, times=left)] if left else []
                return fault
        self._tries[control_id] += 1
        return self._chances.fault(control_id, self._tries[control_id])

    def _apply(self, taken: Taken) -> None:
        known = (taken.control_id, taken.body_sha256)
        if known in self._known or peek(taken.body).message_type.startswith(b"ACK"):
            return
        self._known.add(known)
        self.applied.append(taken)
        if self._log is not None:
            row = {**asdict(taken), "body": taken.body.decode("latin-1")}
            self._log.write(orjson.dumps(row) + b"\n")
            self._log.flush()


def _said(header: MshPeek, fault: Fault | None, before: MshPeek) -> bytes:
    """What is written back in the end."""
    answer = _answer(header, "AA")
    match fault:
        case Fault(kind="answer", code=code):
            return _answer(header, code)
        case Fault(kind="twice"):
            return answer + answer
        case Fault(kind="stranger"):
            return _answer(header._replace(control_id=b"NOBODYS"), "AA")
        case Fault(kind="ahead", text=text):
            return answer + _answer(header._replace(control_id=text.encode()), "AA")
        case Fault(kind="before"):
            return _answer(before, "AA") + answer
        case Fault(kind="garbage"):
            return frame(b"\xff\x00 no message")
        case Fault(kind="raw", text=text):
            return text.encode("latin-1")
        case Fault(kind="commit", code=code, text=text):
            asks = b"|||" + text.encode() if text else b""
            return _answer(header, code).replace(b"\rMSA", asks + b"\rMSA")
    return answer


def _answer(header: MshPeek, code: str) -> bytes:
    # A code that the standard does not know is written in place of one that it does.
    known = AckCode(code) if code in set(AckCode) else AckCode.AA
    said = acknowledge(header, known, control_id="FAKE", at_us=ANSWERED_AT_US)
    return frame(said.replace(b"MSA|" + known.encode(), b"MSA|" + code.encode()))


@click.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=0, show_default=True, help="Port to listen on; 0 takes a free one.")
@click.option("--fail-ratio", default=0.0, type=click.FloatRange(0, 1), help="Share answered with AE.")
@click.option("--drop-ratio", default=0.0, type=click.FloatRange(0, 1), help="Share taken, not answered.")
@click.option("--seed", default=0, show_default=True, help="Which messages break.")
@click.option(
    "--log",
    "log_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="File that gets a JSON line for each message taken, before it is answered.",
)
def main(
    *, host: str, port: int, fail_ratio: float, drop_ratio: float, seed: int, log_path: Path | None
) -> None:
    """Run the fake receiver until it is told to stop; its first line of output is its address."""
    asyncio.run(_serve(host, port, Chances(fail_ratio, drop_ratio, seed), log_path))


async def _serve(host: str, port: int, chances: Chances, log_path: Path | None) -> None:
    asked_to_stop = asyncio.Event()
    for signal in (SIGINT, SIGTERM):
        asyncio.get_running_loop().add_signal_handler(signal, asked_to_stop.set)
    with log_path.open("ab") if log_path else nullcontext() as log:
        receiver = FakeReceiver(chances=chances, log=log)
        click.echo(await receiver.start(host=host, port=port))
        await asked_to_stop.wait()
        await receiver.stop()


if __name__ == "__main__":
    main()

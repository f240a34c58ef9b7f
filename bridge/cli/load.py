"""A load of MLLP senders, as a process of its own: ``python -m bridge.cli.load --help``.

Each connection sends its next message when the last one's answer is there; with a rate, not before its time
has come, and the answer is then timed from that moment. Prints one JSON line.
"""

from __future__ import annotations

import asyncio
import json
import time
from functools import partial
from typing import cast

import click

from bridge.cli.bench_site import KINDS, message
from bridge.cli.synthetic import admission
from bridge.formats.mllp_framing import END, frame

ANSWER_MAX_BYTES = 65536


_CONTROL_ID = "@CONTROL@"


def _body(kind: str, patient: int) -> bytes:
    if kind == "short":
        return admission(patient, 1, "A08", control_id=_CONTROL_ID).body
    return message(kind, patient, _CONTROL_ID)


class _Sender(asyncio.Protocol):
    def __init__(self, load: Load, number: int) -> None:
        self._load, self._number, self._sent, self._at_s = load, number, 0, 0.0
        self._transport: asyncio.Transport | None = None
        self._through = False
        self._answer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._send()

    def _send(self) -> None:
        assert self._transport is not None
        if time.monotonic() >= self._load.until_s or self._sent >= self._load.messages_max:
            self._through = True
            self._transport.close()
            return
        self._sent += 1
        if self._load.every_s is None:
            self._send_now()
            return
        # Who comes too late for its time is late for all that waits, and not only for itself.
        self._at_s = self._load.time_of(self._number, self._sent)
        wait_s = self._at_s - time.perf_counter()
        if wait_s > 0:
            asyncio.get_running_loop().call_later(wait_s, self._send_body)
        else:
            self._send_body()

    def _send_now(self) -> None:
        self._at_s = time.perf_counter()
        self._send_body()

    def _send_body(self) -> None:
        assert self._transport is not None
        # Only the control ID and what follows from it change, so that making a message costs little.
        self._transport.write(frame(self._load.template(self._number, self._sent)))

    def data_received(self, data: bytes) -> None:
        self._answer += data
        if not self._answer.endswith(END + b"\r"):
            return
        self._load.waits_s.append(time.perf_counter() - self._at_s)
        self._load.accepted += b"|AA|" in self._answer
        self._answer = b""
        self._send()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        self._load.cut += not self._through
        self._load.ended()


class Load:
    """One run of the load."""

    def __init__(
        self,
        connections: int,
        seconds: float,
        keys: int,
        prefix: str,
        messages_max: int,
        *,
        kind: str = "short",
        rate_per_s: float = 0.0,
    ) -> None:
        self.connections, self.keys, self.prefix, self.messages_max = connections, keys, prefix, messages_max
        self.every_s = connections / rate_per_s if rate_per_s else None
        """How often a connection sends; None for as often as it can."""
        self.waits_s: list[float] = []
        self.accepted = self.cut = 0
        self._open = connections
        self._done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._templates = [_body(kind, patient).split(_CONTROL_ID.encode()) for patient in range(keys)]
        # Now, since making these takes a while.
        self._began_s, self.until_s = time.perf_counter(), time.monotonic() + seconds

    def time_of(self, connection: int, number: int) -> float:
        """When a connection is to send its message of this number, from 1."""
        assert self.every_s is not None
        return self._began_s + self.every_s * (number - 1 + connection / self.connections)

    def template(self, connection: int, number: int) -> bytes:
        """Message ``number`` of a connection. A connection keeps to its own patients."""
        mine = connection + self.connections * (number % max(1, self.keys // self.connections))
        before, after = self._templates[mine % self.keys]
        return before + f"{self.prefix}{connection:03}{number:07}".encode() + after

    def ended(self) -> None:
        """A connection is through."""
        self._open -= 1
        if not self._open and not self._done.done():
            self._done.set_result(None)

    async def run(self, port: int) -> dict[str, float]:
        """Send, and say how it went."""
        loop = asyncio.get_running_loop()
        started_s = time.monotonic()
        for number in range(self.connections):
            await loop.create_connection(partial(_Sender, self, number), "127.0.0.1", port)
        await self._done
        spent_s = time.monotonic() - started_s
        waits_s = sorted(self.waits_s) or [0.0]
        return {
            "answers": len(self.waits_s),
            "accepted": self.accepted,
            "cut": self.cut,
            "seconds": spent_s,
            "per_second": len(self.waits_s) / spent_s,
            "p50_ms": waits_s[len(waits_s) // 2] * 1000,
            "p99_ms": waits_s[len(waits_s) * 99 // 100] * 1000,
        }


@click.command()
@click.option("--port", type=int, required=True, help="Port on 127.0.0.1 to send to.")
@click.option("--connections", default=64, show_default=True)
@click.option("--seconds", default=5.0, show_default=True)
@click.option("--keys", default=2000, show_default=True, help="How many patients the messages are about.")
@click.option("--prefix", default="L", show_default=True, help="Begin of all control IDs.")
@click.option("--messages-max", default=10**9, help="Messages of one connection at most.")
@click.option("--kind", type=click.Choice(("short", *KINDS)), default="short", help="Which messages.")
@click.option("--rate", default=0.0, help="Messages a second of all connections; 0: as many as can be.")
def main(
    port: int,
    connections: int,
    seconds: float,
    keys: int,
    prefix: str,
    messages_max: int,
    kind: str,
    rate: float,
) -> None:
    """Send messages over many connections for a while."""

    async def run() -> dict[str, float]:
        load = Load(connections, seconds, keys, prefix, messages_max, kind=kind, rate_per_s=rate)
        return await load.run(port)

    try:
        import uvloop
    except ImportError:
        result = asyncio.run(run())
    else:
        result = uvloop.run(run())
    click.echo(json.dumps(result))


if __name__ == "__main__":
    main()

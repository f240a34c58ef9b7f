"""An old engine that is not there: HL7 v2 in over MLLP, calls out over HTTP, for demonstrations and drills.

It queues what it takes on disk before it answers, maps by a configuration of its own, and calls where it is
told to, in order, again and again until it is answered. Its quirk: it writes wards in small letters.
`FakeLegacy` runs inside the running loop; ``python -m bridge.cli.fake_legacy --help`` runs it alone, and
started again in the same folder it goes on where it was.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from signal import SIGINT, SIGTERM
from typing import Any, Final

import aiohttp
import click
import orjson

from bridge.catalog import STANDARD
from bridge.config.load import load
from bridge.config.topology import Channel, Topology
from bridge.destinations.base import UNKNOWN
from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.formats.mllp_framing import Block, MllpFraming, frame
from bridge.runtime.release import requests_of

MESSAGE_MAX_BYTES: Final = 16 * 1024 * 1024
READ_MAX_BYTES: Final = 65_536
AGAIN_S: Final = 0.1
ANSWERED_AT_US: Final = 1_700_000_000_000_000
CONTROL_ID_HEADER: Final = "X-Message-ID"
QUIRK_FIELD: Final = "ward"


class FakeLegacy:
    """The engine. ``posts`` says for each route where its calls go."""

    def __init__(self, topology: Topology, posts: Mapping[str, str], folder: Path) -> None:
        (self._channel,) = topology.channels.values()
        self._posts = dict(posts)
        self._requests = {name: requests_of(api) for name, api in topology.apis.items()}
        folder.mkdir(parents=True, exist_ok=True)
        self._taken, self._done = folder / "taken.jsonl", folder / "done"
        self._last: dict[str, asyncio.Task[None]] = {}
        self._ended: set[int] = set()
        self._taken_count = self._count = int(self._done.read_text() or 0) if self._done.exists() else 0
        self._tasks: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.port = 0

    async def start(self, *, port: int = 0) -> int:
        """Listen, and go on with what was taken before. The port."""
        self._session = aiohttp.ClientSession()
        lines = self._taken.read_bytes().splitlines(keepends=True) if self._taken.exists() else []
        for line in lines[self._count :]:
            if line.endswith(b"\n"):  # what was cut short was not answered
                self._begin(orjson.loads(line)["body"].encode("latin-1"))
        if lines and not lines[-1].endswith(b"\n"):
            self._taken.write_bytes(b"".join(lines[:-1]))
        self._log = self._taken.open("ab")
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        self.port = self._server.sockets[0].getsockname()[1]
        return self.port

    async def stop(self) -> None:
        """Close all."""
        if self._server is not None:
            self._server.close()
        for task in tuple(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._session.close()
        self._log.close()

    def _begin(self, body: bytes) -> None:
        """Queue a message behind the last of its patient."""
        number, self._taken_count = self._taken_count, self._taken_count + 1
        patient = str(self._channel.keys_of(self._channel.reads().read(body))[0])
        work = self._work(number, body, self._last.get(patient))
        task = self._last[patient] = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None, "asyncio runs each connection as a task"
        self._tasks.add(task)
        framing = MllpFraming(MESSAGE_MAX_BYTES)
        with suppress(ConnectionError):
            while data := await reader.read(READ_MAX_BYTES):
                for event in framing.feed(data):
                    if isinstance(event, Block):
                        writer.write(frame(self._take(event.body)))
                await writer.drain()
        self._tasks.discard(task)
        writer.close()

    def _take(self, body: bytes) -> bytes:
        self._log.write(orjson.dumps({"body": body.decode("latin-1")}) + b"\n")
        self._log.flush()
        os.fsync(self._log.fileno())
        self._begin(body)
        header = peek(body)
        control_id = f"E{header.control_id.decode('latin-1')}"[:20]
        return acknowledge(header, AckCode.AA, control_id=control_id, at_us=ANSWERED_AT_US)

    async def _work(self, number: int, body: bytes, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        for route, request in self._made(body):
            await self._post(route, request, peek(body).control_id.decode("latin-1"))
        self._ended.add(number)
        while self._count in self._ended:
            self._ended.discard(self._count)
            self._count += 1
        partial = self._done.with_suffix(".partial")
        partial.write_text(str(self._count))
        partial.replace(self._done)

    def _made(self, body: bytes) -> list[tuple[str, dict[str, Any]]]:
        channel: Channel = self._channel
        message = channel.reads().read(body)
        made = []
        for route in channel.routes:
            plan = route.plan
            if plan is None or not plan.accepts(message.message_type):
                continue
            for record in plan.run(message).records:
                operation = route.operations.get(record.operation)
                if record.record != route.record or operation is None:
                    continue
                prepared = self._requests[route.api].prepare(operation, record, UNKNOWN)
                request: dict[str, Any] = orjson.loads(prepared)
                if QUIRK_FIELD in (request["body"] or {}):
                    request["body"][QUIRK_FIELD] = request["body"][QUIRK_FIELD].lower()
                made.append((route.name, request))
        return made

    async def _post(self, route: str, request: dict[str, Any], control_id: str) -> None:
        headers = {
            CONTROL_ID_HEADER: control_id,
            "Idempotency-Key": f"engine-{route}-{control_id}",
            "Content-Type": "application/json",
        }
        url, body = self._posts[route] + request["path"], orjson.dumps(request["body"])
        while True:
            with suppress(aiohttp.ClientError, TimeoutError):
                async with self._session.request(
                    request["method"], url, data=body, headers=headers, timeout=aiohttp.ClientTimeout(60)
                ) as answer:
                    if answer.status < 500:
                        return
            await asyncio.sleep(AGAIN_S)


@click.command()
@click.option("--site", type=click.Path(path_type=Path, exists=True), required=True, help="What it maps by.")
@click.option("--state", type=click.Path(path_type=Path), required=True, help="Where it keeps what it took.")
@click.option("--port", default=0, help="Where it listens.")
@click.option("--post", "posts", multiple=True, metavar="ROUTE=URL", help="Where the calls of a route go.")
def main(site: Path, state: Path, port: int, posts: tuple[str, ...]) -> None:
    """Run the fake engine until it is told to stop; its first line of output is its port."""
    asyncio.run(_run(site, state, port, dict(each.split("=", 1) for each in posts)))


async def _run(site: Path, state: Path, port: int, posts: dict[str, str]) -> None:
    told = asyncio.Event()
    for number in (SIGINT, SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    engine = FakeLegacy(load(site, STANDARD), posts, state)
    click.echo(await engine.start(port=port))
    await told.wait()
    await engine.stop()


if __name__ == "__main__":
    main()

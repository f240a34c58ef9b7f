"""What the tests of events share: a proxy before a NATS server that breaks on demand, and destinations."""

from __future__ import annotations

import asyncio
import re
from typing import Any

from http_peers import NOW_US, no_secrets

from bridge.destinations.base import Origin, Secrets
from bridge.destinations.events import EventsOut, build
from bridge.destinations.events_options import EventOperation, EventsOptions
from bridge.governance.target_guard import NetworkOptions
from bridge.message import Record

PUBLISH = "publish"
ORIGIN = Origin(
    "adt", 17, NOW_US, b"lane", lambda what, value: (what.encode() + value).hex().ljust(32, "0")[:32]
)
_PUBLISHED = re.compile(rb"HPUB bridge\.evt\.\S+ \S+ (\d+) (\d+)\r\n")


def events_out(
    way: dict[str, Any],
    *,
    secrets: Secrets = no_secrets,
    guarded: bool = False,
    send_only: tuple[str, ...] = ("key", "patient", "ward", "status", "class", "event_time"),
    **more: Any,
) -> EventsOut:
    """A destination that sends encounters."""
    options = EventsOptions.model_validate({"events": {**way, **more}})
    operations = {PUBLISH: EventOperation.model_validate({"send_only": send_only})}
    permits = NetworkOptions.model_validate({}).permits() if guarded else None
    return build(options, operations, None, secrets, lambda: NOW_US, permits)


def encounter(number: int = 1, **fields: Any) -> Record:
    return Record("encounter", f"V-{number}", "upsert", {"patient": "P-1", "ward": "W", **fields})


class NatsProxy:
    """Before a server: it notes what is published and what is acknowledged, and breaks one of them.

    ``cut`` ends the connection before an event reaches the server, ``lose`` before its acknowledgement
    reaches the sender, ``hang`` swallows the acknowledgement, and ``delay`` lets it wait.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.faults: list[str] = []
        self.published: list[bytes] = []
        self.kept: set[bytes] = set()

    async def start(self) -> int:
        self._server = await asyncio.start_server(self._came, "127.0.0.1", 0)
        port: int = self._server.sockets[0].getsockname()[1]
        return port

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for each in self._tasks:
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _came(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self._port)
            await asyncio.wait(
                {
                    asyncio.ensure_future(self._there(reader, back)),
                    asyncio.ensure_future(self._back(there, writer)),
                },
                return_when=asyncio.FIRST_COMPLETED,
            )
        except OSError:
            pass
        finally:
            for each in (writer, back):
                each.transport.abort()
            self._tasks.discard(task)

    def _take(self, *kinds: str) -> str:
        if self.faults and self.faults[0] in kinds:
            return self.faults.pop(0)
        return ""

    async def _there(self, reader: asyncio.StreamReader, back: asyncio.StreamWriter) -> None:
        seen = b""
        while data := await reader.read(65536):
            seen += data
            while (found := _PUBLISHED.search(seen)) is not None:
                end = found.end() + int(found[2])
                if len(seen) < end:
                    break
                self.published.append(seen[found.end() + int(found[1]) : end])
                seen = seen[end:]
                if self._take("cut"):
                    return
            back.write(data)

    async def _back(self, there: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await there.read(65536):
            if b'"seq":' in data and b"PING" not in data:
                self.kept |= set(re.findall(rb'"seq":(\d+)', data))
                if self._take("lose"):
                    return
                if self._take("hang"):
                    continue
                if self._take("delay"):
                    await asyncio.sleep(0.02)
            writer.write(data)

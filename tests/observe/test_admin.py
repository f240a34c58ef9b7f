"""The admin pages, asked over real HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from many_connections import said_to_one_more
from nodes import hospital
from reactor_tests import in_reactor, pause
from twisted.internet import reactor as the_reactor

from bridge.destinations.in_loop import in_loop
from bridge.observe.admin import LIMITS, site

reactor: Any = the_reactor
CANARY = "KANARIE"


@dataclass(frozen=True, slots=True)
class Page:
    status: int
    headers: dict[str, str]
    text: str


async def _ask(port: int, path: str, method: str) -> Page:
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, f"http://127.0.0.1:{port}/{path}") as response,
    ):
        headers = {name.lower(): value for name, value in response.headers.items()}
        return Page(response.status, headers, await response.text())


async def ask(port: int, path: str, method: str = "GET") -> Page:
    page: Page = await in_loop(_ask(port, path, method))
    return page


@asynccontextmanager
async def pages(reasons: list[str]) -> AsyncIterator[int]:
    port = reactor.listenTCP(
        0, site(lambda: reasons, lambda: b"bridge_x 1\n", reactor), interface="127.0.0.1"
    )
    try:
        yield port.getHost().port
    finally:
        await port.stopListening()


@in_reactor
async def test_a_node_that_is_ready_says_so() -> None:
    async with pages([]) as port:
        assert (await ask(port, "healthz")).text == "alive\n"
        ready = await ask(port, "readyz")
        assert (ready.status, ready.text) == (200, "ready\n")


@in_reactor
async def test_a_node_that_is_not_ready_says_why_and_is_alive() -> None:
    reasons = ["stopping", "the journal cannot write"]
    async with pages(reasons) as port:
        ready = await ask(port, "readyz")
        assert (ready.status, ready.text.splitlines()) == (503, reasons)
        assert (await ask(port, "healthz")).status == 200
        reasons.clear()
        assert (await ask(port, "readyz")).status == 200


@in_reactor
async def test_pages_are_told_apart_and_never_cached() -> None:
    async with pages([]) as port:
        for path in ("healthz", "readyz", "metrics"):
            page = await ask(port, path)
            assert (page.status, page.headers["cache-control"]) == (200, "no-store")
            assert page.headers["content-type"].startswith("text/plain")
        assert "version=" in (await ask(port, "metrics")).headers["content-type"]
        assert (await ask(port, "metrics")).text == "bridge_x 1\n"


@in_reactor
async def test_there_is_nothing_else_to_ask_or_to_change() -> None:
    async with pages([]) as port:
        for path in ("", CANARY, f"healthz/{CANARY}", "metrics/../etc"):
            page = await ask(port, path)
            assert (page.status, CANARY in page.text) == (404, False), path
            assert page.text == "There is no such page: ask for /healthz, /readyz, /metrics.\n"
        for method in ("POST", "PUT", "DELETE"):
            page = await ask(port, "healthz", method)
            assert (page.status, page.headers["allow"]) == (405, "GET, HEAD")
        seen = await ask(port, "healthz", "HEAD")
        assert (seen.status, seen.headers["content-length"], seen.text) == (200, "6", "")
        for path in ("healthz/", "healthz?verbose"):
            assert (await ask(port, path)).text == "alive\n"


async def _heard(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, said: bytes) -> bytes:
    writer.write(said)
    return await asyncio.wait_for(reader.readuntil(b".\n"), 20)


@in_reactor
async def test_a_body_that_no_page_needs_is_refused_before_it_was_sent() -> None:
    async def call(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            return await _heard(
                reader, writer, b"GET /healthz HTTP/1.1\r\nContent-Length: 99999999999\r\n\r\n"
            )
        finally:
            writer.close()

    async with pages([]) as port:
        said = await in_loop(call(port))
        assert said.startswith(b"HTTP/1.1 413 ")
        assert b"connection: close" in said.lower()
        assert said.endswith(b"A body of at most 1024 bytes is taken here: send none.\n")
        assert (await ask(port, "healthz")).text == "alive\n"


@in_reactor
async def test_no_more_are_connected_than_the_pages_take_and_the_next_is_heard_once_they_are_gone() -> None:
    async with pages([]) as port:
        assert await in_loop(said_to_one_more(port, LIMITS.connections_max_count)) == b""

        answered = False
        while not answered:
            try:
                answered = (await ask(port, "healthz")).status == 200
            except aiohttp.ClientError:
                await pause(0.01)


@in_reactor
async def test_the_pages_of_a_node_are_on_loopback_and_follow_it(tmp_path: Path) -> None:
    async with hospital(tmp_path) as made:
        assert made.node is not None
        assert made.node._admin is not None
        admin: Any = made.node._admin.getHost()
        assert admin.host == "127.0.0.1"
        port = made.node.addresses()["admin"]
        assert (await ask(port, "readyz")).text == "ready\n"
        assert "bridge_connections{" in (await ask(port, "metrics")).text
        made.node.journal.writer.failing = True
        assert (await ask(port, "readyz")).text == "the journal cannot write\n"
        made.node.journal.writer.failing = False
        assert (await ask(port, "readyz")).status == 200

"""The admin pages, asked over real HTTP."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from nodes import hospital
from reactor_tests import in_reactor
from twisted.internet import reactor as the_reactor

from bridge.destinations.in_loop import in_loop
from bridge.observe.admin import site

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
    port = reactor.listenTCP(0, site(lambda: reasons, lambda: b"bridge_x 1\n"), interface="127.0.0.1")
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


@pytest.mark.filterwarnings("ignore:twisted.web.resource._Unsafe:DeprecationWarning")  # Twisted's own use
@in_reactor
async def test_there_is_nothing_else_to_ask_or_to_change() -> None:
    async with pages([]) as port:
        for path in ("", CANARY, f"healthz/{CANARY}", "metrics/../etc"):
            page = await ask(port, path)
            assert (page.status == 404) is not path.startswith("healthz/"), path
            assert CANARY not in page.text
        for method in ("POST", "PUT", "DELETE"):
            assert (await ask(port, "healthz", method)).status in (405, 501)
        assert (await ask(port, "healthz", "HEAD")).text == ""


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

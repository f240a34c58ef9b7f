"""What servers answer, byte by byte, and whether the connection is used again after it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

import pytest
from http_peers import ENCOUNTER, KEY, TRACEPARENT, calling
from reactor_tests import in_reactor

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_connection import HEAD_MAX_BYTES, head
from bridge.destinations.in_loop import in_loop

DELIVERED = Outcome(Verdict.DELIVERED, "delivered", 200)
LOST = Outcome(Verdict.AMBIGUOUS, "disconnected")


@dataclass
class Raw:
    """A server that answers every request with the same bytes, and counts its connections."""

    answer: tuple[bytes, ...]
    connections: int = 0
    tasks: set[asyncio.Task[None]] = field(default_factory=set)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while True:
                await reader.readuntil(b"}")
                for part in self.answer:
                    writer.write(part)
                    await writer.drain()
                    await asyncio.sleep(0.002)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()


CASES: dict[str, tuple[tuple[bytes, ...], Outcome, int]] = {
    "with a length": ((b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",), DELIVERED, 1),
    "in pieces": ((b"HTTP/1.1 20", b"0 OK\r\nConte", b"nt-Length: 2\r", b"\n\r\n{", b"}"), DELIVERED, 1),
    "in chunks": (
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", b"2\r\n{}\r\n", b"0\r\n\r\n"),
        DELIVERED,
        1,
    ),
    "without content": (
        (b"HTTP/1.1 204 No Content\r\n\r\n",),
        Outcome(Verdict.DELIVERED, "delivered", 204),
        1,
    ),
    "after an interim one": (
        (b"HTTP/1.1 100 Continue\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        DELIVERED,
        1,
    ),
    "after an interim one in the same bytes": (
        (b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n",),
        DELIVERED,
        1,
    ),
    "and the end": ((b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n",), DELIVERED, 2),
    "of HTTP/1.0": ((b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n",), DELIVERED, 2),
    "and another after it": ((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n" * 2,), DELIVERED, 2),
    "and bytes after it": ((b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore",), DELIVERED, 2),
    "with odd line ends": ((b"HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",), DELIVERED, 1),
    "another protocol": (
        (b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n",),
        Outcome(Verdict.AMBIGUOUS, "unexpected-status", 101),
        2,
    ),
    "no HTTP": ((b"MSH|^~\\&|NOT|HTTP\r\n\r\n",), LOST, 2),
    "a head without end": ((b"HTTP/1.1 200 OK\r\nA: " + b"x" * (HEAD_MAX_BYTES + 1),), LOST, 2),
    "interim ones without end": ((b"HTTP/1.1 100 Continue\r\n\r\n" * 4000,), LOST, 2),
}


@pytest.mark.parametrize("case", CASES)
@in_reactor
async def test_an_answer_means_this_and_its_connection_is_used_again_or_not(case: str) -> None:
    answer, outcome, connections = CASES[case]
    raw = Raw(answer)
    server: asyncio.Server = await in_loop(asyncio.start_server(raw.serve, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    async with calling(f"http://127.0.0.1:{port}", timeouts={"connect": "1s", "request": "2s"}) as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        for _ in range(2):
            assert await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT) == outcome
            await in_loop(asyncio.sleep(0.01))
    server.close()
    assert raw.connections == connections


@in_reactor
async def test_what_a_server_says_unasked_is_no_answer() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"}")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await asyncio.sleep(0.02)
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        await reader.read()
        writer.close()

    server: asyncio.Server = await in_loop(asyncio.start_server(serve, "127.0.0.1", 0))
    port = server.sockets[0].getsockname()[1]
    async with calling(f"http://127.0.0.1:{port}") as api:
        request = api.prepare("putEncounter", ENCOUNTER)
        assert await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT) == DELIVERED
        await in_loop(asyncio.sleep(0.05))
        assert await api.send(request, idempotency_key=KEY, traceparent=TRACEPARENT) == DELIVERED
    server.close()


HEADERS: list[Mapping[str, str]] = [
    {"A": "b\r\nC: d"},
    {"A": "b\nC: d"},
    {"A": "b\x00"},
    {"A": " b"},
    {"A": "b "},
    {"A": ""},
    {"A b": "c"},
    {"A:": "c"},
    {"": "c"},
    {"A": "ä"},
]


@pytest.mark.parametrize("headers", HEADERS)
def test_a_header_that_could_be_read_as_another_is_not_written(headers: Mapping[str, str]) -> None:
    with pytest.raises(ValueError, match="cannot be sent"):
        head("PUT", "/a", b"Host: h\r\n", headers, 0)


def test_a_head_is_the_request_line_its_headers_and_the_size() -> None:
    assert (
        head("PUT", "/a", b"Host: h\r\n", {"A": "b"}, 3)
        == b"PUT /a HTTP/1.1\r\nHost: h\r\nA: b\r\nContent-Length: 3\r\n\r\n"
    )
    assert head("DELETE", "/a", b"Host: h\r\n", {}, None) == b"DELETE /a HTTP/1.1\r\nHost: h\r\n\r\n"

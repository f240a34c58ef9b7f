"""What the old engine's calls meet at a tap: limits of size and of number, and words that say what to do."""

from __future__ import annotations

import asyncio
from pathlib import Path

from captured_logs import captured_logs
from many_connections import said_to_one_more
from reactor_tests import in_reactor, pause
from staged_site import staged

from bridge.destinations.in_loop import in_loop
from bridge.migration.relay.taps import CONNECTIONS_MAX_COUNT

HEAD = b"PUT /patients/1 HTTP/1.1\r\nHost: b\r\nContent-Type: application/json\r\n"
CANARY = b"KANARIE"


async def heard(port: int, said: bytes) -> bytes:
    """What a connection hears that sends these bytes, and sends no more until the answer is there."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(said)
        return await asyncio.wait_for(reader.readuntil(b"at once.\n"), 20)
    finally:
        writer.close()


@in_reactor
async def test_a_call_that_is_too_large_is_refused_before_all_of_it_came_with_what_to_do(
    tmp_path: Path,
) -> None:
    piece = b"%x\r\n%s\r\n" % (len(CANARY) * 1024**2, CANARY * 1024**2)
    sent = {
        "announced": HEAD + b"Content-Length: 99999999999\r\n\r\n",
        "in pieces": HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + 3 * piece,
    }
    with captured_logs() as logged:
        async with staged(tmp_path) as site:
            for said in sent.values():
                answer = await in_loop(heard(site.ports["patients"], said))
                assert answer.startswith(b"HTTP/1.1 413 ")
                assert b"larger than 16777216 bytes, `max_body` of the tap. Set more there" in answer
            assert site.patients.applied == []
    lines = [line for line in logged.getvalue().splitlines() if "not-passed-on" in line]
    assert len(lines) == 2
    assert all("`max_body` of the tap" in line for line in lines)
    assert CANARY.decode() not in logged.getvalue()


@in_reactor
async def test_an_engine_with_too_many_connections_is_refused_more_until_some_are_gone_and_told_of(
    tmp_path: Path,
) -> None:
    async def asked(port: int) -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            writer.write(b"GET /patients/1 HTTP/1.1\r\nHost: b\r\n\r\n")
            return await asyncio.wait_for(reader.read(9), 20)
        finally:
            writer.close()

    with captured_logs() as logged:
        async with staged(tmp_path) as site:
            assert await in_loop(said_to_one_more(site.ports["patients"], CONNECTIONS_MAX_COUNT)) == b""
            while await in_loop(asked(site.ports["patients"])) != b"HTTP/1.1 ":
                await pause(0.01)
    [line] = [line for line in logged.getvalue().splitlines() if "sender-refused" in line]
    assert "too-many-connections" in line

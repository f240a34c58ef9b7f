"""Senders that frame their messages in another way, or not, and such as leave dead connections behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from mllp_doors import Door, listening
from pydantic import ValidationError
from reactor_tests import in_reactor, until

from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import frame
from bridge.transports.mllp_options import MllpOptions

A, B = b"MSH|^~\\&|A\rPID|1\r", b"MSH|^~\\&|B\rPID|2\r"
NONE: dict[str, Any] = {"framing": "none", "end_after": "50ms"}


def answer_to(body: bytes) -> bytes:
    return b"ack " + body[:20]


@in_reactor
async def test_without_frames_a_message_ends_with_the_next_one_and_with_silence() -> None:
    async with listening(**NONE) as site:
        peer = await site.connect()
        peer.send(A + B)
        expected = answer_to(A) + answer_to(B)
        assert await peer.exactly(len(expected)) == expected, "bare, as the messages came"
        peer.send(A)
        assert await peer.exactly(len(answer_to(A))) == answer_to(A), "and the connection is kept"
        assert [body for body, _ in site.door.taken] == [A, B, A]


@in_reactor
async def test_without_frames_a_message_that_comes_in_pieces_is_one() -> None:
    async with listening(framing="none", end_after="50ms") as site:
        peer = await site.connect()
        peer.send(A + b"PV1|1")
        await until(lambda: site.listener.unanswered_bytes > 0, "it is being read")
        await in_loop(asyncio.sleep(0.2))
        assert site.door.taken == [], "its last segment is not ended: silence says nothing"
        peer.send(b"|I\r")
        await peer.exactly(len(answer_to(A)))
        assert site.door.taken == [(A + b"PV1|1|I\r", None)]


@in_reactor
async def test_without_frames_a_message_ends_with_its_connection() -> None:
    async with listening(framing="none", end_after="30s") as site:
        whole, cut = await site.connect(), await site.connect()
        whole.send(A)
        whole.close()
        await until(lambda: site.door.taken == [(A, None)], "it is taken")
        cut.send(B + b"PV1|")
        cut.close()
        await until(lambda: site.door.taken[1:] == [(B + b"PV1|", "truncated")], "it is recorded as cut")
        assert site.door.reached == [False, False], "nobody was there to hear"


@in_reactor
async def test_an_fs_without_cr_ends_a_block_where_the_connection_ends_too() -> None:
    async with listening() as site:
        peer = await site.connect()
        peer.send(frame(A)[:-1])
        peer.close()
        await until(lambda: site.door.taken == [(A, None)], "it is taken")


@in_reactor
async def test_an_fs_within_a_text_does_not_hurry_the_rest_of_the_block() -> None:
    async with listening() as site:
        peer = await site.connect()
        peer.send(b"\x0bMSH|a\x1c")
        await until(lambda: site.listener.unanswered_bytes > 0, "it is being read")
        peer.send(b"b")
        await in_loop(asyncio.sleep(0.4))
        peer.send(b"c\x1c\r")
        await peer.answers(1)
        assert site.door.taken == [(b"MSH|a\x1cbc", None)]


BYTES: dict[str, tuple[dict[str, Any], bytes, bytes]] = {
    "STX and ETX": ({"start": "02", "end": "03"}, b"\x02", b"\x03\r"),
    "STX and ETX without CR": ({"start": "02", "end": "03", "carriage_return": False}, b"\x02", b"\x03"),
    "SOH and MLLP's end": ({"start": "01"}, b"\x01", b"\x1c\r"),
}


@pytest.mark.parametrize("name", BYTES)
@in_reactor
async def test_blocks_may_have_other_bytes_both_ways(name: str) -> None:
    options, start, end = BYTES[name]
    async with listening(block=options) as site:
        peer = await site.connect()
        peer.send((start + A + end) * 2 + start + B + end)
        expected = b"".join(start + answer_to(body) + end for body in (A, A, B))
        assert await peer.exactly(len(expected)) == expected
        assert [body for body, _ in site.door.taken] == [A, A, B]


WIDE: dict[str, dict[str, Any]] = {
    "utf-16-be": {"start": "000b", "end": "001c"},
    "utf-16-le": {"start": "0b00", "end": "1c00"},
}


@pytest.mark.parametrize("codec", WIDE)
@in_reactor
async def test_frames_may_be_utf_16_as_their_messages_are(codec: str) -> None:
    # U+1C00 and U+0B1C hold, at half a character, the bytes that end a block in one order or the other.
    bodies = [text.encode(codec) for text in ("MSH|^~\\&|A\r", "MSH|^~\\&|\u1c00\u1c1c\u0b1c\u000d\r", "")]
    start, end = "\x0b".encode(codec), "\x1c\r".encode(codec)
    async with listening(block=WIDE[codec]) as site:
        peer = await site.connect()
        stream = b"".join(start + body + end for body in bodies)
        for at in range(len(stream)):
            peer.send(stream[at : at + 1])
        expected = b"".join(start + answer_to(body) + end for body in bodies)
        assert await peer.exactly(len(expected)) == expected
        assert [body for body, _ in site.door.taken] == bodies


WRONG: list[tuple[dict[str, Any], str]] = [
    ({"block": {"start": "0d"}}, "expected one byte"),
    ({"block": {"start": "0x"}}, "expected one byte"),
    ({"block": {"start": "0B"}}, "expected one byte"),
    ({"block": {"start": "1c"}}, "two different bytes"),
    ({"block": {"start": "000d"}}, "expected one byte"),
    ({"block": {"start": "0b0b"}}, "expected one byte"),
    ({"block": {"start": "000b"}}, "both be one byte"),
    ({"block": {"start": "000b", "end": "1c00"}}, "same byte order"),
    ({"framing": "none", "block": {"start": "02"}}, "for framing: mllp"),
    ({"end_after": "1s"}, "for framing: none"),
    ({"stale_after": "0s"}, "greater than 0"),
]


@pytest.mark.parametrize(("options", "words"), WRONG)
def test_options_that_cannot_be_meant_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        MllpOptions.model_validate({"listen": "tcp:0", **options})


@in_reactor
async def test_a_stale_connection_gives_way_to_a_new_one_of_its_peer() -> None:
    async with listening(max_connections_per_peer=2, stale_after="50ms") as site:
        old, used = await site.connect(), await site.connect()
        await until(lambda: site.listener.connections == 2, "both are there")
        await in_loop(asyncio.sleep(0.1))
        used.send(frame(b"one"))
        assert await used.answers(1) == [b"ack one"]
        new = await site.connect()
        new.send(frame(b"two"))
        assert await new.answers(1) == [b"ack two"]
        assert await old.rest() == b"", "the one that was silent longest is closed"
        used.send(frame(b"three"))
        assert await used.answers(1) == [b"ack three"]
        assert site.listener.connections == 2
        assert site.listener.dropped == {"stale": 1}


@in_reactor
async def test_a_connection_that_is_in_use_or_owed_an_answer_gives_way_to_none() -> None:
    async with listening(Door(at_once=False), max_connections=1, stale_after="50ms") as site:
        peer = await site.connect()
        peer.send(frame(b"one"))
        await until(lambda: len(site.door.waiting) == 1, "it waits for its answer")
        await in_loop(asyncio.sleep(0.1))
        other = await site.connect()
        assert await other.rest() == b""
        site.door.answer(0)
        assert await peer.answers(1) == [b"ack one"]
        assert site.listener.dropped == {"too-many-connections": 1}


@in_reactor
async def test_without_the_option_the_new_connection_is_refused() -> None:
    async with listening(max_connections_per_peer=1) as site:
        peer = await site.connect()
        await until(lambda: site.listener.connections == 1, "it is there")
        await in_loop(asyncio.sleep(0.1))
        other = await site.connect()
        assert await other.rest() == b""
        peer.send(frame(b"one"))
        assert await peer.answers(1) == [b"ack one"]

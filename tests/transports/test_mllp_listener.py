"""The MLLP listener on real sockets: answers in order, limits that hold, and a stop that loses nothing."""

from __future__ import annotations

from typing import Any

import pytest
from mllp_doors import Door, listening
from pydantic import ValidationError
from reactor_tests import in_reactor, pause, until
from twisted.internet.defer import Deferred, succeed

from bridge.formats.mllp_framing import frame
from bridge.transports.base import Answer
from bridge.transports.mllp_options import MllpOptions


@in_reactor
async def test_a_stop_lets_second_answers_leave_that_are_there_with_the_first() -> None:
    async with listening(Door(at_once=False)) as site:
        peer = await site.connect()
        peer.send(frame(b"one") + frame(b"two"))
        await until(lambda: len(site.door.waiting) == 2, "both are taken")
        stopping = Deferred.fromCoroutine(site.listener.drain())
        later: Deferred[Answer] = Deferred()
        for (body, answer), second in zip(reversed(site.door.waiting), (later, None), strict=True):
            there = Answer(b"later " + body, 1, application=True)
            answer.callback(Answer(b"first " + body, 1, later=second or succeed(there)))
        said = [b"first one", b"first two", b"later one"]
        assert await peer.answers(3) == said
        later.callback(Answer(b"later two", 2, application=True))
        assert await peer.rest() == frame(b"later two")
        await stopping
        assert site.door.reached == [True] * 4


@in_reactor
async def test_a_second_answer_whose_connection_is_gone_is_cancelled() -> None:
    async with listening(Door(at_once=False)) as site:
        peer = await site.connect()
        peer.send(frame(b"one"))
        await until(lambda: len(site.door.waiting) == 1, "it is taken")
        gone: list[bool] = []
        later: Deferred[Answer] = Deferred(lambda _cancelled: gone.append(True))
        site.door.waiting[0][1].callback(Answer(b"first", 1, later=later))
        assert await peer.answers(1) == [b"first"]
        peer.abort()
        await until(lambda: gone == [True], "nobody waits for it")


@in_reactor
async def test_blocks_of_one_read_are_answered_in_their_order() -> None:
    async with listening() as site:
        peer = await site.connect()
        peer.send(b"".join(frame(b"m%d" % number) for number in range(20)))
        assert await peer.answers(20) == [b"ack m%d" % number for number in range(20)]
        assert site.door.reached == [True] * 20


@in_reactor
async def test_an_answer_that_is_ready_early_waits_for_those_before_it() -> None:
    async with listening(Door(at_once=False)) as site:
        peer = await site.connect()
        peer.send(frame(b"a") + frame(b"b") + frame(b"c"))
        await until(lambda: len(site.door.waiting) == 3, "three blocks taken")
        site.door.answer(2)
        site.door.answer(1)
        await pause(0.05)
        assert site.door.reached == []
        site.door.answer(0)
        assert await peer.answers(3) == [b"ack a", b"ack b", b"ack c"]


@in_reactor
async def test_a_block_without_its_carriage_return_is_answered_after_a_moment() -> None:
    async with listening() as site:
        peer = await site.connect()
        peer.send(b"\x0bbody\x1c")
        assert await peer.answers(1) == [b"ack body"]
        peer.send(frame(b"next"))
        assert await peer.answers(1) == [b"ack next"]


@in_reactor
async def test_flaws_are_told_and_the_connection_stays() -> None:
    async with listening(max_block="1KiB") as site:
        peer = await site.connect()
        peer.send(frame(b"x" * 5000) + b"\x0bsilent" + frame(b"good"))
        assert await peer.answers(2) == [b"ack " + b"x" * 20, b"ack good"]
        flaws = [flaw for _, flaw in site.door.taken]
        assert flaws == ["oversized", "truncated", None]


@in_reactor
async def test_too_much_unanswered_stops_the_reading_until_answers_leave() -> None:
    async with listening(Door(at_once=False), max_unanswered=4) as site:
        peer = await site.connect()
        peer.send(b"".join(frame(b"%03d" % number + b"x" * 60_000) for number in range(40)))
        await pause(0.3)
        held = len(site.door.taken)
        assert 4 <= held < 12, "the rest stays in the sender's socket"
        site.door.at_once = True
        while site.door.waiting:
            site.door.answer(0)
        answers = await peer.answers(40)
        assert [answer[4:7] for answer in answers] == [b"%03d" % number for number in range(40)]
        assert site.listener.unanswered_bytes == 0


@in_reactor
async def test_an_answer_whose_connection_is_gone_did_not_reach_it() -> None:
    async with listening(Door(at_once=False)) as site:
        peer = await site.connect()
        peer.send(frame(b"a"))
        await until(lambda: bool(site.door.waiting), "the block is taken")
        peer.close()
        await until(lambda: site.listener.connections == 0, "the connection is gone")
        site.door.answer(0)
        assert site.door.reached == [False]
        assert site.listener.unanswered_bytes == 0


DROPPED = [
    ("not-mllp", b"no start byte at all" * 500, {}),
    ("idle", b"", {"idle": "100ms"}),
    ("block-timeout", b"\x0bnever ends", {"block_within": "100ms"}),
]


@pytest.mark.parametrize(("reason", "data", "options"), DROPPED)
@in_reactor
async def test_a_connection_that_leads_nowhere_is_dropped(
    reason: str, data: bytes, options: dict[str, Any]
) -> None:
    async with listening(**options) as site:
        peer = await site.connect()
        peer.send(data)
        assert await peer.rest() == b""
        assert site.listener.dropped[reason] == 1
        assert site.door.taken == []


@in_reactor
async def test_bytes_that_trickle_in_do_not_prolong_a_block() -> None:
    async with listening(block_within="300ms") as site:
        peer = await site.connect()
        for _ in range(20):
            peer.send(b"\x0bx" if _ == 0 else b"x")
            await pause(0.05)
            if site.listener.dropped:
                break
        assert site.listener.dropped["block-timeout"] == 1


REFUSED = [
    ("not-allowed", {"allow_from": ["10.0.0.0/8", "::1"]}, 0),
    ("too-many-connections", {"max_connections": 2}, 2),
    ("too-many-connections-of-peer", {"max_connections_per_peer": 1}, 1),
]


@pytest.mark.parametrize(("reason", "options", "let_in"), REFUSED)
@in_reactor
async def test_a_peer_that_may_not_connect_is_let_go_without_a_word(
    reason: str, options: dict[str, Any], let_in: int
) -> None:
    async with listening(**options) as site:
        for _ in range(let_in):
            peer = await site.connect()
            peer.send(frame(b"a"))
            assert await peer.answers(1) == [b"ack a"]
        refused = await site.connect()
        assert await refused.rest() == b""
        assert site.listener.dropped[reason] == 1


@in_reactor
async def test_a_peer_in_the_list_may_connect() -> None:
    async with listening(allow_from=["127.0.0.0/8"]) as site:
        peer = await site.connect()
        peer.send(frame(b"a"))
        assert await peer.answers(1) == [b"ack a"]


@in_reactor
async def test_a_fault_of_ours_cuts_the_connection_rather_than_let_the_sender_wait() -> None:
    async with listening(Door(at_once=False)) as site:
        peer = await site.connect()
        peer.send(frame(b"a"))
        await until(lambda: bool(site.door.waiting), "the block is taken")
        site.door.waiting.pop()[1].errback(RuntimeError("a fault"))
        assert await peer.rest() == b""
        assert site.listener.dropped["intake-fault"] == 1
        await until(lambda: site.listener.connections == 0, "the connection is gone")
        assert site.listener.unanswered_bytes == 0


@in_reactor
async def test_draining_answers_what_was_taken_and_takes_no_more() -> None:
    async with listening(Door(at_once=False)) as site:
        peer = await site.connect()
        idle = await site.connect()
        peer.send(frame(b"a"))
        await until(lambda: bool(site.door.waiting), "the block is taken")
        drained = Deferred.fromCoroutine(site.listener.drain())
        await pause(0.05)
        peer.send(frame(b"late"))
        await pause(0.05)
        assert not drained.called
        assert await idle.rest() == b""
        site.door.answer(0)
        assert await peer.answers(1) == [b"ack a"]
        await drained
        assert [body for body, _ in site.door.taken] == [b"a"]
        with pytest.raises(ConnectionRefusedError):
            await site.connect()


@in_reactor
async def test_draining_ends_although_an_answer_never_comes() -> None:
    async with listening(Door(at_once=False), drain="100ms") as site:
        peer = await site.connect()
        peer.send(frame(b"a"))
        await until(lambda: bool(site.door.waiting), "the block is taken")
        await site.listener.drain()
        assert site.listener.connections == 0


BAD_OPTIONS: list[dict[str, Any]] = [
    {"listen": "2575"},
    {"listen": "tcp:99999"},
    {"listen": "unix:/tmp/x"},
    {"listen": "tcp:1", "max_block": "16"},
    {"listen": "tcp:1", "allow_from": ["10.0.0.1/8"]},
    {"listen": "tcp:1", "max_unanswered": 0},
    {"listen": "tcp:1", "maxblock": "1MiB"},
]


@pytest.mark.parametrize("options", BAD_OPTIONS)
def test_options_that_make_no_sense_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        MllpOptions.model_validate(options)

"""Our own end of an MLLP connection: which block is an answer, and what becomes of the others."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from ack_listener import AckListener
from reactor_tests import in_reactor, pause
from twisted.internet import reactor

from bridge.destinations.in_loop import in_loop
from bridge.errors import PeerSilent, PeerUnavailable
from bridge.formats.hl7v2_ack import AckCode, MshPeek, acknowledge
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.transports.mllp_addresses import split_address
from bridge.transports.mllp_client import ListenerOfSender


def told(number: int) -> bytes:
    return acknowledge(MshPeek(control_id=b"M%d" % number), AckCode.AA, control_id=f"B{number}", at_us=0)


@asynccontextmanager
async def listening(*does: str, late_s: float = 0.1) -> AsyncIterator[tuple[AckListener, ListenerOfSender]]:
    listener = AckListener(does, late_s=late_s)
    port = await in_loop(listener.start())
    way = ListenerOfSender(f"tcp:127.0.0.1:{port}", reactor, answer_max_s=0.5)
    try:
        yield listener, way
    finally:
        way.hang_up()
        await in_loop(listener.stop())
        await pause(0)


async def ask(way: ListenerOfSender, number: int) -> str:
    reply = await way.ask(told(number), lambda block: Acknowledged.read(block).control_id == f"B{number}")
    return Acknowledged.read(reply).code


TAKEN = [
    ("confirm", "CA"),
    ("late", "CA"),
    ("wrong-first", "CA"),
    ("twice", "CA"),
    ("no-cr", "CA"),
    ("AE", "AE"),
]


@pytest.mark.parametrize(("does", "code"), TAKEN)
@in_reactor
async def test_the_answer_is_the_one_to_our_control_id_and_the_connection_stays(does: str, code: str) -> None:
    async with listening(does) as (listener, way):
        assert await ask(way, 1) == code
        assert await ask(way, 2) == "CA"
        assert (listener.connections, listener.heard) == (1, [("AA", "M1"), ("AA", "M2")])


@pytest.mark.parametrize("does", ["silent", "close", "wrong", "nonsense"])
@in_reactor
async def test_where_none_comes_the_connection_is_closed_and_the_next_is_a_new_one(does: str) -> None:
    async with listening(does) as (listener, way):
        with pytest.raises(PeerSilent):
            await ask(way, 1)
        assert await ask(way, 2) == "CA"
        assert listener.connections == 2


@in_reactor
async def test_an_answer_that_comes_too_late_is_not_taken_for_the_next_one() -> None:
    async with listening("late", late_s=0.8) as (listener, way):
        with pytest.raises(PeerSilent, match="no answer within"):
            await ask(way, 1)
        assert await ask(way, 2) == "CA"
        assert listener.connections == 2


@in_reactor
async def test_nobody_there_is_told_apart_from_no_answer() -> None:
    async with listening() as (listener, way):
        await in_loop(listener.stop())
        with pytest.raises(PeerUnavailable, match="cannot connect to") as raised:
            await ask(way, 1)
        assert not isinstance(raised.value, PeerSilent)


@in_reactor
async def test_a_name_that_does_not_exist_is_nobody_there() -> None:
    with pytest.raises(PeerUnavailable, match="cannot connect to"):
        await ask(ListenerOfSender("tcp:nobody.invalid:2576", reactor), 1)


@pytest.mark.parametrize(
    "text", ["", "tcp:2575", "tcp::1", "udp:host:1", "tcp:host:0", "tcp:host:65536", "tcp:host:²", "host:1"]
)
def test_an_address_is_a_host_and_a_port(text: str) -> None:
    with pytest.raises(ValueError, match="expected"):
        split_address(text)

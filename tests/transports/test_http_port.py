"""What a port of HTTP takes: no more at once, no longer and no larger than its limits say."""

from __future__ import annotations

from typing import Any

import pytest
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from bridge.transports.http_port import IGNORED_MAX_BYTES, BoundedRequest, HttpLimits, HttpPort

LIMITS = HttpLimits(body_max_bytes=10, connections_max_count=2, idle_max_s=60.0, arrive_max_s=20.0)
ASKED = b"GET / HTTP/1.1\r\nHost: b\r\n\r\n"
waiting: list[BoundedRequest] = []


class Asked(BoundedRequest):
    """Says how much came; with ``/later`` only when the test does."""

    def too_large(self) -> None:
        self.refuse()
        self.say(413, b"too large", {})

    def arrived(self) -> None:
        if self.path == b"/later":
            waiting.append(self)
        else:
            self.say(200, b"%d bytes" % self.got_bytes, {})


class Wire(StringTransport):
    """As sockets are: who produces nothing any more may say so twice."""

    def unregisterProducer(self) -> None:
        self.producer = None


class Peer:
    """Somebody who is connected."""

    def __init__(self, port: HttpPort) -> None:
        wire: Any = Wire  # Twisted says no types of it
        self.wire = wire()
        self.connection: Any = port.buildProtocol(None)
        self.connection.makeConnection(self.wire)

    def says(self, data: bytes) -> bytes:
        """What it hears when it sends this."""
        self.wire.clear()
        self.connection.dataReceived(data)
        said: bytes = self.wire.value()
        return said

    @property
    def cut(self) -> bool:
        """Whether its connection was given up."""
        return bool(self.wire.disconnecting)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def port(clock: Clock) -> HttpPort:
    waiting.clear()
    return HttpPort(LIMITS, Asked, reactor=clock)


def test_a_request_is_answered_and_the_next_on_its_connection_too(port: HttpPort) -> None:
    peer = Peer(port)
    assert peer.says(ASKED).endswith(b"0 bytes")
    assert peer.says(b"POST / HTTP/1.1\r\nContent-Length: 10\r\n\r\n0123456789").endswith(b"10 bytes")
    assert peer.says(ASKED + ASKED).count(b"0 bytes") == 2
    assert not peer.cut


LARGE = {
    "announced": b"POST / HTTP/1.1\r\nContent-Length: 11\r\n\r\n",
    "in pieces": b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\nb\r\n01234567890",
}


@pytest.mark.parametrize("how", LARGE)
def test_a_body_that_is_too_large_is_refused_before_all_of_it_came_and_not_kept(
    port: HttpPort, how: str
) -> None:
    peer = Peer(port)
    said = peer.says(LARGE[how])
    assert said.startswith(b"HTTP/1.1 413 ")
    assert b"100 Continue" not in said
    [asked] = peer.connection.requests
    assert asked.content.getvalue() == b""
    assert not peer.cut, "it would not hear why"


def test_who_sends_on_although_refused_is_cut_off(port: HttpPort) -> None:
    peer = Peer(port)
    assert peer.says(b"POST / HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    peer.says(b"x" * IGNORED_MAX_BYTES)
    assert not peer.cut
    peer.says(b"x")
    assert peer.cut


DRIPPED = {"a head": b"GET / HTTP/1.1\r\nHost: ", "a body": b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\n"}


@pytest.mark.parametrize("what", DRIPPED)
@pytest.mark.parametrize("after", [b"", ASKED], ids=["the first request", "a later request"])
def test_who_drips_a_request_byte_by_byte_is_cut_off(
    port: HttpPort, clock: Clock, what: str, after: bytes
) -> None:
    peer = Peer(port)
    peer.says(after + DRIPPED[what])
    for _ in range(4):
        assert not peer.cut
        clock.advance(4.9)
        peer.says(b"x")
    clock.advance(0.5)
    assert peer.cut


def test_the_time_of_a_request_ends_once_it_is_there(port: HttpPort, clock: Clock) -> None:
    peer = Peer(port)
    peer.says(b"GET /later HTTP/1.1\r\n\r\n")
    clock.advance(10 * LIMITS.idle_max_s)
    assert not peer.cut, "its answer takes as long as it takes"
    [asked] = waiting
    asked.say(200, b"done", {})
    assert peer.wire.value().endswith(b"done")
    clock.advance(LIMITS.idle_max_s)
    assert peer.cut


def test_who_does_not_read_its_last_answer_is_cut_off(port: HttpPort, clock: Clock) -> None:
    peer = Peer(port)
    assert peer.says(b"GET / HTTP/1.0\r\n\r\n").endswith(b"0 bytes")
    clock.advance(LIMITS.idle_max_s)
    clock.advance(peer.connection.abortTimeout)
    assert peer.wire.disconnected


def test_one_connection_too_many_is_refused_until_another_goes(clock: Clock) -> None:
    told: list[str] = []
    port = HttpPort(LIMITS, Asked, reactor=clock, tell_full=told.append)
    first, _ = Peer(port), Peer(port)
    assert port.buildProtocol(None) is None
    assert (told, port.connections) == ([""], 2)
    first.connection.connectionLost()
    assert Peer(port).says(ASKED).endswith(b"0 bytes")


def test_a_port_that_closes_answers_who_waits_and_sends_everybody_else_away(port: HttpPort) -> None:
    idle, asking = Peer(port), Peer(port)
    asking.says(b"GET /later HTTP/1.1\r\n\r\n")
    port.stopFactory()
    assert (idle.cut, asking.cut) == (True, False)
    [asked] = waiting
    asked.say(200, b"done", {})
    assert asking.wire.value().endswith(b"done")
    assert asking.cut

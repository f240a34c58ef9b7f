"""TLS to the old engine: the rules of calls to APIs, their words, and an end to every wait."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from certificates import Made, make
from reactor_tests import in_reactor
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.threads import deferToThread

from bridge.cli.synthetic import admission
from bridge.errors import PeerSilent, PeerUnavailable
from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.formats.mllp_framing import Block, MllpFraming, frame
from bridge.migration.relay.peer import MllpPeer
from bridge.migration.relay.tls import tls_to
from bridge.tls.client import Tls
from bridge.transports.mllp_client import connect

MESSAGE = admission(7, 1, "A08", control_id="M1").body
ANSWER_MAX_S = 20.0


def serving(made: Made, *, ciphers: str = "", authority: Made | None = None, v1_2: bool = False) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if ciphers:
        context.set_ciphers(ciphers)
    context.load_cert_chain(made.path, made.key_path)
    if authority is not None:
        context.load_verify_locations(authority.path)
        context.verify_mode = ssl.CERT_REQUIRED
    if v1_2:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    return context


class Engine:
    """An engine whose TLS is that of a plain server: it says by an alert why it refuses, and takes one
    connection after the other."""

    def __init__(self, tls: ssl.SSLContext) -> None:
        self.blocks: list[bytes] = []
        self._tls, self._listens = tls, socket.create_server(("127.0.0.1", 0))
        self.port = self._listens.getsockname()[1]
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def stop(self) -> None:
        """Take no more connections; the last has ended."""
        self._listens.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listens.close()

    def _run(self) -> None:
        while True:
            try:
                plain, _ = self._listens.accept()
            except OSError:
                return
            with plain, suppress(OSError), self._tls.wrap_socket(plain, server_side=True) as speaks:
                self._answer(speaks)

    def _answer(self, speaks: ssl.SSLSocket) -> None:
        framing = MllpFraming(65_536)
        while data := speaks.recv(65_536):
            for event in framing.feed(data):
                assert isinstance(event, Block)
                self.blocks.append(event.body)
                speaks.sendall(frame(acknowledge(peek(event.body), AckCode.AA, control_id="E1", at_us=0)))


@asynccontextmanager
async def engine(tls: ssl.SSLContext, **ours: Path) -> AsyncIterator[tuple[Engine, MllpPeer]]:
    made = Engine(tls)
    peer = MllpPeer(f"tcp:localhost:{made.port}", reactor, Tls.model_validate(ours))
    try:
        yield made, peer
    finally:
        peer.hang_up()
        await deferToThread(made.stop)


def wants_ours(ca: Made, folder: Path, *, v1_2: bool) -> Any:
    return serving(make(folder, "asks", ca), authority=ca, v1_2=v1_2)


BROKEN: list[tuple[Callable[[Made, Path], Any], str]] = [
    (lambda ca, folder: serving(make(folder, "old", ca, days=(-9, -1))), "tls-untrusted-expired"),
    (lambda ca, folder: serving(make(folder, "new", ca, days=(1, 9))), "tls-untrusted-not-yet-valid"),
    (lambda ca, folder: serving(make(folder, "x", ca, names=("x.example",))), "tls-untrusted-wrong-host"),
    (lambda ca, folder: serving(make(folder, "other", make(folder, "other-ca"))), "tls-untrusted"),
    (lambda ca, folder: serving(make(folder, "cl", ca, purpose="client")), "tls-untrusted-wrong-purpose"),
    (lambda ca, folder: serving(make(folder, "weak", ca, key="RSA-1024"), ciphers="ALL:@SECLEVEL=0"),
     "tls-untrusted-weak-key"),
    (lambda ca, folder: serving(make(folder, "rsa", ca, key="RSA-2048"), ciphers="AES128-SHA", v1_2=True),
     "tls-handshake"),
    # TLS 1.2 has no alert for a certificate that is missing.
    (lambda ca, folder: wants_ours(ca, folder, v1_2=True), "tls-handshake"),
    (lambda ca, folder: wants_ours(ca, folder, v1_2=False), "tls-client-certificate"),
]  # fmt: skip


@pytest.mark.parametrize(("server", "reason"), BROKEN)
@in_reactor
async def test_what_calls_to_apis_refuse_is_refused_here_in_the_same_words_and_gets_no_byte(
    tmp_path: Path, server: Callable[[Made, Path], Any], reason: str
) -> None:
    ca = make(tmp_path, "ca")
    async with engine(server(ca, tmp_path), ca=ca.path) as (receiver, peer):
        with pytest.raises(PeerUnavailable, match=rf"{reason}: .*[a-z`]$") as raised:
            await peer.ask(MESSAGE, ANSWER_MAX_S)
        assert not isinstance(raised.value, PeerSilent), "nobody has read it"
        assert receiver.blocks == []


@in_reactor
async def test_an_authority_between_is_trusted_as_it_stands_as_for_apis(tmp_path: Path) -> None:
    between = make(tmp_path, "between", make(tmp_path, "ca"), ca=True)
    own = make(tmp_path, "engine", between)
    async with engine(serving(own), ca=between.path) as (receiver, peer):
        assert (await peer.ask(MESSAGE, ANSWER_MAX_S))[0] == "AA"
        assert len(receiver.blocks) == 1


@in_reactor
async def test_a_certificate_of_ours_is_shown_with_what_stands_between(tmp_path: Path) -> None:
    ca = make(tmp_path, "ca")
    between = make(tmp_path, "between", ca, ca=True)
    ours = make(tmp_path, "ours", between, purpose="client").chained(between)
    files = {"ca": ca.path, "certificate": ours.path, "key": ours.key_path}
    async with engine(serving(make(tmp_path, "engine", ca), authority=ca), **files) as (_, peer):
        assert (await peer.ask(MESSAGE, ANSWER_MAX_S))[0] == "AA"


@in_reactor
async def test_half_of_a_renewed_certificate_is_told_and_the_other_half_is_taken(tmp_path: Path) -> None:
    ca = make(tmp_path, "ca")
    ours = make(tmp_path, "ours", ca, purpose="client", fresh=True)
    files = {"ca": ca.path, "certificate": ours.path, "key": ours.key_path}
    before = ours.key_path.read_bytes()
    async with engine(serving(make(tmp_path, "engine", ca), authority=ca), **files) as (_, peer):
        make(tmp_path, "ours", ca, purpose="client", fresh=True)
        after = ours.key_path.read_bytes()
        ours.key_path.write_bytes(before)
        with pytest.raises(PeerUnavailable, match=f"{ours.path} and {ours.key_path} do not belong together"):
            await peer.ask(MESSAGE, ANSWER_MAX_S)
        ours.key_path.write_bytes(after)
        assert (await peer.ask(MESSAGE, ANSWER_MAX_S))[0] == "AA"


@in_reactor
async def test_a_file_that_cannot_be_used_is_named(tmp_path: Path) -> None:
    ca, empty = make(tmp_path, "ca"), tmp_path / "empty.pem"
    empty.touch()
    closed = make(tmp_path, "closed", ca, purpose="client", password=b"opens")
    for files, words in (
        ({"ca": tmp_path / "none.pem"}, "none.pem cannot be read: No such file"),
        ({"ca": empty}, "empty.pem holds no certificate"),
        ({"certificate": closed.path, "key": closed.key_path}, "closed.key is encrypted"),
        ({"certificate": ca.path, "key": empty}, "empty.pem is no private key"),
    ):
        async with engine(serving(make(tmp_path, "engine", ca)), **files) as (_, peer):
            with pytest.raises(PeerUnavailable, match=words):
                await peer.ask(MESSAGE, ANSWER_MAX_S)


class Silent(Protocol):
    """A listener that says nothing."""


@in_reactor
async def test_who_says_nothing_when_tls_begins_is_not_waited_for_longer_than_a_connection(
    tmp_path: Path,
) -> None:
    world: Any = reactor
    port = await TCP4ServerEndpoint(world, 0, interface="127.0.0.1").listen(Factory.forProtocol(Silent))
    try:
        over = tls_to("127.0.0.1", Tls.model_validate({"ca": make(tmp_path, "ca").path}))
        with pytest.raises(PeerUnavailable, match=r"no connection with TLS within 0\.2 s"):
            await connect(world, "127.0.0.1", port.getHost().port, within_s=0.2, over=over)
    finally:
        await port.stopListening()

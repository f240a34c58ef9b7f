"""TLS on the MLLP listener, on real sockets: who is let in, who is refused, and with which word."""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from captured_logs import captured_logs
from certificates import Made, make, revoked
from OpenSSL import SSL
from reactor_tests import in_reactor, pause, until
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed

from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import END, frame
from bridge.message import Received
from bridge.transports import mllp_handshake
from bridge.transports.base import Answer, Flaw
from bridge.transports.mllp import MllpListener
from bridge.transports.mllp_handshake import REFUSALS
from bridge.transports.mllp_options import MllpOptions

PEERS = ("lab.example", "*.ward.example", "urn:site:pacs", "legacy")
MESSAGE = frame(b"MSH|^~\\&|A")


class Taken:
    """An intake that takes all, and notes from whom."""

    def __init__(self) -> None:
        self.peers: list[str] = []
        self.bodies: list[bytes] = []
        self.held: list[Deferred[Answer]] = []

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        self.peers.append(received.peer)
        self.bodies.append(received.body)
        if self.held:
            return self.held.pop()
        return succeed(Answer(b"ack " + received.body[3:11], len(self.bodies)))

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        pass


@dataclass(frozen=True)
class Pki:
    """Authorities, and the listener's own certificate."""

    folder: Path
    ca: Made
    other: Made
    between: Made
    server: Made

    def peer(self, name: str = "peer", by: Made | None = None, **options: Any) -> Made:
        """A sender's certificate; a good one, if nothing else is said."""
        options = {"names": ("lab.example",), "purpose": "client"} | options
        return make(self.folder, name, by or self.ca, **options)


@pytest.fixture(name="pki", scope="module")
def _pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    folder = tmp_path_factory.mktemp("pki")
    ca = make(folder, "ca")
    return Pki(
        folder, ca, make(folder, "other"), make(folder, "between", ca, ca=True), make(folder, "server", ca)
    )


class Site:
    """A listener on a free port, and senders to it."""

    def __init__(self, pki: Pki, listener: MllpListener, intake: Taken, port: int) -> None:
        self.pki, self.listener, self.intake, self.port = pki, listener, intake, port
        self.told: list[str] = []

    def context(
        self, shown: Made | None, *, trusts: Made | None = None, tls13: bool = True
    ) -> ssl.SSLContext:
        """A sender's context, which lets the listener judge what it shows."""
        context = ssl.create_default_context(cafile=str((trusts or self.pki.ca).path))
        context.maximum_version = ssl.TLSVersion.TLSv1_3 if tls13 else ssl.TLSVersion.TLSv1_2
        context.set_ciphers("ALL:@SECLEVEL=0")
        if shown is not None:
            context.load_cert_chain(shown.path, shown.key_path)
        return context

    async def connect(
        self, context: ssl.SSLContext | None
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        name = None if context is None else "localhost"
        opened: Any = await in_loop(
            asyncio.open_connection("127.0.0.1", self.port, ssl=context, server_hostname=name)
        )
        return opened  # type: ignore[no-any-return]

    def blocking(self, context: ssl.SSLContext, session: Any = None) -> tuple[Any, bool]:
        """Send a message as a simple sender does; the TLS session, and whether an older one was resumed.

        asyncio drops the alert by which a client refuses a server, so it cannot stand for such a sender.
        """
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=10) as plain,
            context.wrap_socket(plain, server_hostname="localhost", session=session) as secured,
        ):
            secured.sendall(MESSAGE)
            assert secured.recv(4096)
            return secured.session, bool(secured.session_reused)

    async def say(self, data: bytes, context: ssl.SSLContext | None) -> bytes:
        """Connect, say it, and read one answer, or to the end where there is none."""

        async def said() -> bytes:
            name = None if context is None else "localhost"
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", self.port, ssl=context, server_hostname=name
            )
            try:
                writer.write(data)
                return await asyncio.wait_for(reader.readuntil(END + b"\r"), 10)
            finally:
                writer.transport.abort()
                await asyncio.sleep(0)

        try:
            answer: bytes = await in_loop(said())
        except (OSError, asyncio.IncompleteReadError):
            return b""
        return answer


@asynccontextmanager
async def listening(
    pki: Pki, tls: dict[str, Any] | None = None, *, plain: bool = False, **options: Any
) -> AsyncIterator[Site]:
    given = {"certificate": pki.server.path, "key": "secret://file/server.key", "client_ca": pki.ca.path}
    given |= {"peers": PEERS} | (tls or {})
    source = {"listen": "tcp:0:interface=127.0.0.1", "drain": "2s"} | options
    if not plain:
        source["tls"] = given
    made, intake, told = MllpOptions.model_validate(source), Taken(), list[str]()
    listener = MllpListener(
        "adt",
        made,
        intake,
        reactor=reactor,
        now_us=lambda: int(world_s() * 1e6),
        secrets=lambda reference: (pki.folder / reference.name).read_text(),
        tell_refused=told.append,
    )
    port: Any = await listener.start()
    site = Site(pki, listener, intake, port.getHost().port)
    site.told = told
    try:
        yield site
    finally:
        await listener.drain()
        await pause(0)


def world_s() -> float:
    import time

    return time.time()


VERSIONS = pytest.mark.parametrize("tls13", [True, False], ids=["TLS 1.3", "TLS 1.2"])

GOOD: dict[str, tuple[Callable[[Pki], Made], str]] = {
    "P-256": (lambda pki: pki.peer(), "lab.example"),
    "RSA 2048": (lambda pki: pki.peer(key="RSA-2048"), "lab.example"),
    "Ed25519": (lambda pki: pki.peer(key="Ed25519"), "lab.example"),
    "no purpose named": (lambda pki: pki.peer(purpose="none"), "lab.example"),
    "an intermediate is sent": (lambda pki: pki.peer(by=pki.between).chained(pki.between), "lab.example"),
    "a wildcard allows it": (lambda pki: pki.peer(names=("x.example", "A4.Ward.example")), "a4.ward.example"),
    "a URI": (lambda pki: pki.peer(names=("urn:site:pacs",)), "urn:site:pacs"),
    "a common name, no other": (lambda pki: pki.peer(names=None, common_name="legacy"), "legacy"),
}


@VERSIONS
@pytest.mark.parametrize("case", GOOD)
@in_reactor
async def test_a_sender_with_a_good_certificate_is_taken_by_its_name(
    pki: Pki, case: str, tls13: bool
) -> None:
    shown, name = GOOD[case]
    async with listening(pki) as site:
        answer = await site.say(MESSAGE, site.context(shown(pki), tls13=tls13))
        assert answer == frame(b"ack |^~\\&|A")
        assert site.intake.peers == [f"127.0.0.1 {name}"]
        assert (site.told, site.listener.dropped.total()) == ([], 0)


def _impostor(pki: Pki) -> Made:
    """An authority that calls itself as ours does."""
    return make(pki.folder, "impostor", common_name="ca", key="P-256")


BAD: dict[str, tuple[Callable[[Pki], Made | None], str]] = {
    "none": (lambda _: None, "tls-no-certificate"),
    "self-signed": (
        lambda pki: make(pki.folder, "self", ca=False, names=("lab.example",), purpose="client"),
        "tls-self-signed",
    ),
    "another authority": (lambda pki: pki.peer(by=pki.other), "tls-unknown-ca"),
    "another authority, which is sent too": (
        lambda pki: pki.peer(by=pki.other).chained(pki.other),
        "tls-unknown-ca",
    ),
    "an authority of the same name": (lambda pki: pki.peer(by=_impostor(pki)), "tls-unknown-ca"),
    "expired": (lambda pki: pki.peer(days=(-9, -1)), "tls-expired"),
    "not yet valid": (lambda pki: pki.peer(days=(1, 9)), "tls-not-yet-valid"),
    "for servers only": (lambda pki: pki.peer(purpose="server"), "tls-wrong-purpose"),
    "RSA 1024": (lambda pki: pki.peer(key="RSA-1024"), "tls-weak-key"),
    "an intermediate of P-224": (
        lambda pki: pki.peer(by=(low := make(pki.folder, "p224", pki.ca, ca=True, key="P-224"))).chained(low),
        "tls-weak-key",
    ),
    "signed with SHA-1": (
        lambda pki: pki.peer(
            by=(by := make(pki.folder, "rsa", pki.ca, ca=True, key="RSA-2048")), sha1=True
        ).chained(by),
        "tls-weak-signature",
    ),
    "a name that is not in peers": (lambda pki: pki.peer(names=("ris.example",)), "tls-peer-not-allowed"),
    "two labels for one star": (lambda pki: pki.peer(names=("a.b.ward.example",)), "tls-peer-not-allowed"),
    "a star of its own": (lambda pki: pki.peer(names=("*.ward.example",)), "tls-peer-not-allowed"),
    "a common name beside others": (
        lambda pki: pki.peer(names=("ris.example",), common_name="legacy"),
        "tls-peer-not-allowed",
    ),
    "only an address": (lambda pki: pki.peer(names=("127.0.0.1",)), "tls-peer-not-allowed"),
    "that of an authority": (lambda pki: make(pki.folder, "sub", pki.ca, ca=True), "tls-authority-as-peer"),
    "the authority's own": (lambda pki: pki.ca, "tls-authority-as-peer"),
    "an intermediate is missing": (lambda pki: pki.peer(by=pki.between), "tls-unknown-ca"),
    "an intermediate that is no authority": (
        lambda pki: pki.peer(by=(leaf := pki.peer("leaf"))).chained(leaf),
        "tls-issuer-not-authority",
    ),
    "an intermediate without basic constraints": (
        lambda pki: pki.peer(by=(old := pki.peer("old", basic_constraints=False))).chained(old),
        "tls-issuer-not-authority",
    ),
    "an intermediate too many": (
        lambda pki: pki.peer(
            by=(
                low := make(
                    pki.folder,
                    "low",
                    (top := make(pki.folder, "top", pki.ca, ca=True, path_length=0)),
                    ca=True,
                )
            )
        ).chained(low, top),
        "tls-issuer-not-authority",
    ),
    "an expired intermediate": (
        lambda pki: pki.peer(by=(ended := make(pki.folder, "ended", pki.ca, ca=True, days=(-9, -1)))).chained(
            ended
        ),
        "tls-expired",
    ),
    "a weak intermediate": (
        lambda pki: pki.peer(by=(weak := make(pki.folder, "weak", pki.ca, ca=True, key="RSA-1024"))).chained(
            weak
        ),
        "tls-weak-key",
    ),
}


@VERSIONS
@pytest.mark.parametrize("case", BAD)
@in_reactor
async def test_a_sender_with_a_bad_certificate_is_refused_for_its_reason(
    pki: Pki, case: str, tls13: bool
) -> None:
    shown, reason = BAD[case]
    with captured_logs() as logged:
        async with listening(pki) as site:
            assert await site.say(MESSAGE, site.context(shown(pki), tls13=tls13)) == b""
            await until(lambda: site.listener.connections == 0, "the connection is gone")
            assert site.told == [reason]
            assert site.listener.dropped == {reason: 1}
            assert site.intake.bodies == []
    assert logged.getvalue().count('"sender-refused"') == 1
    assert f'"reason":"{reason}"' in logged.getvalue()
    assert ('"certificate":"CN=' in logged.getvalue()) == (case != "none")
    assert "Traceback" not in logged.getvalue()


@in_reactor
async def test_a_revoked_certificate_is_refused_and_others_of_its_authority_are_not(pki: Pki) -> None:
    gone, good = pki.peer("gone"), pki.peer("good")
    async with listening(pki, {"crl": revoked(pki.folder, pki.ca, gone)}) as site:
        assert await site.say(MESSAGE, site.context(gone)) == b""
        assert await site.say(MESSAGE, site.context(good)) != b""
        stranger = pki.peer("unlisted", by=pki.between).chained(pki.between)
        assert await site.say(MESSAGE, site.context(stranger)) == b""
        assert site.told == ["tls-revoked", "tls-revocation-unknown"]


def client_hello(version: bytes) -> bytes:
    """A ClientHello of this version without extensions (RFC 4346 §7.4.1.2)."""
    body = version + b"r" * 32 + b"\0" + b"\0\x04\xc0\x13\x00\x2f" + b"\x01\0"
    handshake = b"\x01" + len(body).to_bytes(3, "big") + body
    return b"\x16\x03\x01" + len(handshake).to_bytes(2, "big") + handshake


SAID = {
    "MLLP without TLS": (MESSAGE, "tls-plain-text"),
    "HTTP": (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", "http-on-mllp-port"),
    "something else": (b"SSH-2.0-OpenSSH_9.2\r\n", "tls-not-tls"),
    "TLS 1.1": (client_hello(b"\x03\x02"), "tls-version"),
    "SSL 3": (client_hello(b"\x03\x00"), "tls-version"),
    "a byte at a time": (b"HEAD / HTTP/1.0\r\n\r\n", "http-on-mllp-port"),
    "a broken hello": (b"\x16\x03\x01\x00\x05\x01\x00\x00\x01\x00", "tls-handshake"),
}


@pytest.mark.parametrize("case", SAID)
@in_reactor
async def test_what_is_no_handshake_is_refused_in_one_word(pki: Pki, case: str) -> None:
    data, reason = SAID[case]
    async with listening(pki) as site:
        _, writer = await site.connect(None)
        for piece in [data[:1], data[1:2], data[2:3], data[3:]] if case == "a byte at a time" else [data]:
            writer.write(piece)
            await pause(0.01)
        writer.close()
        await until(lambda: site.listener.connections == 0, "the connection is gone")
        assert (site.told, site.intake.bodies) == ([reason], [])


@in_reactor
async def test_a_probe_that_says_nothing_is_not_spoken_of_and_a_cut_handshake_is(pki: Pki) -> None:
    with captured_logs() as logged:
        async with listening(pki) as site:
            for said, told in ((b"", []), (client_hello(b"\x03\x03")[:20], ["tls-handshake-cut"])):
                _, writer = await site.connect(None)
                await until(lambda: site.listener.connections == 1, "connected")
                writer.write(said)
                writer.close()
                await until(lambda: site.listener.connections == 0, "gone")
                assert site.told == told
    assert logged.getvalue().count("{") == 1


@in_reactor
async def test_a_handshake_that_never_ends_is_ended_and_counts_to_the_limit_until_then(pki: Pki) -> None:
    async with listening(pki, {"handshake": "300ms"}, max_connections=1) as site:
        _, slow = await site.connect(None)
        slow.write(client_hello(b"\x03\x03")[:20])
        await until(lambda: site.listener.connections == 1, "the first is there")
        assert await site.say(MESSAGE, site.context(pki.peer())) == b""
        assert site.listener.dropped["too-many-connections"] == 1
        await until(lambda: site.listener.connections == 0, "the handshake is ended")
        assert site.told == ["tls-handshake-timeout"]
        assert await site.say(MESSAGE, site.context(pki.peer())) != b""
        slow.close()


@in_reactor
async def test_a_sender_that_does_not_trust_the_listener_is_told_apart(pki: Pki) -> None:
    async with listening(pki) as site:
        context = site.context(pki.peer(), trusts=pki.other)
        with pytest.raises(ssl.SSLCertVerificationError):
            await in_loop(asyncio.to_thread(site.blocking, context))
        await until(lambda: site.listener.connections == 0, "the connection is gone")
        assert site.told == ["tls-not-trusted-by-peer"]


OWN = {"RSA": "RSA-2048", "Ed25519": "Ed25519"}


@pytest.mark.parametrize("kind", OWN)
@in_reactor
async def test_the_listener_shows_a_certificate_of_any_good_kind_with_its_chain(pki: Pki, kind: str) -> None:
    own = make(pki.folder, f"own-{kind}", pki.between, key=OWN[kind]).chained(pki.between)
    async with listening(pki, {"certificate": own.path, "key": f"secret://file/own-{kind}.key"}) as site:
        assert await site.say(MESSAGE, site.context(pki.peer())) != b""


@in_reactor
async def test_a_cipher_without_forward_secrecy_or_authentication_is_not_spoken(pki: Pki) -> None:
    async with listening(pki) as site:
        for ciphers in ("AES128-SHA", "ECDHE-ECDSA-AES128-SHA", "ECDHE-ECDSA-AES128-GCM-SHA256"):
            context = site.context(pki.peer(), tls13=False)
            context.set_ciphers(f"{ciphers}:@SECLEVEL=0")
            answer = await site.say(MESSAGE, context)
            assert (answer != b"") == ciphers.endswith("GCM-SHA256")
        assert site.told == ["tls-no-shared-cipher"] * 2


@in_reactor
async def test_a_sender_may_not_begin_a_handshake_anew(pki: Pki) -> None:
    shown = pki.peer()

    def renegotiate(port: int) -> bool:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_max_proto_version(SSL.TLS1_2_VERSION)
        context.use_certificate(shown.certificate)
        context.use_privatekey(shown.key)
        with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
            plain.setblocking(True)
            secured = SSL.Connection(context, plain)
            secured.set_connect_state()
            secured.do_handshake()
            secured.renegotiate()
            try:
                secured.do_handshake()
                secured.sendall(MESSAGE)
                secured.recv(100)
            except SSL.Error:
                return False
            return secured.total_renegotiations() > 0

    async with listening(pki) as site:
        assert not await in_loop(asyncio.to_thread(renegotiate, site.port))


@in_reactor
async def test_http_within_tls_is_told_too(pki: Pki) -> None:
    async with listening(pki) as site:
        assert await site.say(b"GET / HTTP/1.1\r\n\r\n", site.context(pki.peer())) == b""
        await until(lambda: site.listener.connections == 0, "the connection is gone")
        assert (site.told, site.intake.bodies) == (["http-on-mllp-port"], [])


@VERSIONS
@in_reactor
async def test_draining_lets_answers_leave_and_waits_for_no_farewell(pki: Pki, tls13: bool) -> None:
    async with listening(pki, drain="5m") as site:
        waiting = Deferred[Answer]()
        site.intake.held.append(waiting)
        reader, writer = await site.connect(site.context(pki.peer(), tls13=tls13))
        _, idle = await site.connect(site.context(pki.peer(), tls13=tls13))
        writer.write(MESSAGE)
        await until(lambda: site.intake.bodies != [], "taken")
        drained = Deferred.fromCoroutine(site.listener.drain())
        await pause(0.05)
        waiting.callback(Answer(b"late", 1))
        assert await in_loop(reader.readuntil(END + b"\r")) == frame(b"late")
        await drained
        for each in (writer, idle):
            each.transport.abort()


@in_reactor
async def test_a_large_message_and_many_at_once_come_whole(pki: Pki) -> None:
    async with listening(pki) as site:
        reader, writer = await site.connect(site.context(pki.peer()))
        bodies = [b"MSH" + b"x" * 3_000_000, *(b"MSH%d" % number for number in range(500))]
        writer.write(b"".join(map(frame, bodies)))
        answers = [await in_loop(reader.readuntil(END + b"\r")) for _ in bodies]
        assert answers == [frame(b"ack " + body[3:11]) for body in bodies]
        assert site.intake.bodies == bodies
        assert site.listener.unanswered_bytes == 0
        writer.transport.abort()


SPOKEN = [
    (b"", "unknown"),
    (b"\x16", "unknown"),
    (b"\x16\x03", "tls"),
    (b"\x16\x04", "other"),
    (b"\x0b", "mllp"),
    (b"G", "unknown"),
    (b"GET", "unknown"),
    (b"GET ", "http"),
    (b"GETX", "other"),
    (b"PRI * HTTP/2.0", "http"),
    (b"MSH|", "other"),
]


@pytest.mark.parametrize(("beginning", "spoken"), SPOKEN)
def test_what_is_spoken_shows_in_the_first_bytes(beginning: bytes, spoken: str) -> None:
    assert mllp_handshake.speaks(beginning) == spoken


def test_every_refusal_is_in_the_list_and_in_the_readme() -> None:
    used = {*mllp_handshake._BY_VERIFY_CODE.values(), *(word for _, word in mllp_handshake._BY_REASON)}
    assert used <= set(REFUSALS)
    page = (Path(__file__).parents[2] / "channels" / "README.md").read_text("utf-8")
    assert [word for word, meaning in REFUSALS.items() if f"| `{word}` | {meaning} |" not in page] == []


@in_reactor
async def test_without_client_ca_a_sender_needs_no_certificate(pki: Pki) -> None:
    async with listening(pki, {"client_ca": None, "peers": ()}) as site:
        assert await site.say(MESSAGE, site.context(None)) != b""
        assert site.intake.peers == ["127.0.0.1"]


@in_reactor
async def test_without_peers_every_sender_of_the_authority_is_taken(pki: Pki) -> None:
    async with listening(pki, {"peers": ()}) as site:
        assert await site.say(MESSAGE, site.context(pki.peer(names=("any.example",)))) != b""
        assert await site.say(MESSAGE, site.context(pki.peer("x", by=pki.other))) == b""
        assert site.intake.peers == ["127.0.0.1 any.example"]


@in_reactor
async def test_the_least_version_can_be_raised(pki: Pki) -> None:
    async with listening(pki, {"min_version": "TLSv1.3"}) as site:
        assert await site.say(MESSAGE, site.context(pki.peer(), tls13=False)) == b""
        assert await site.say(MESSAGE, site.context(pki.peer())) != b""
        assert site.told == ["tls-version"]


@VERSIONS
@in_reactor
async def test_a_session_is_never_resumed_so_that_each_connection_is_verified(pki: Pki, tls13: bool) -> None:
    async with listening(pki) as site:
        context = site.context(pki.peer(), tls13=tls13)
        session, reused = await in_loop(asyncio.to_thread(site.blocking, context))
        assert not reused
        _, reused = await in_loop(asyncio.to_thread(site.blocking, context, session))
        assert not reused
        assert len(site.intake.bodies) == 2


@in_reactor
async def test_a_storm_of_refusals_is_counted_whole_and_logged_in_part(pki: Pki) -> None:
    with captured_logs() as logged:
        async with listening(pki) as site:
            for _ in range(20):
                await site.say(MESSAGE, None)
            assert site.told == ["tls-plain-text"] * 20
    assert logged.getvalue().count("tls-plain-text") == 5


PLAIN = [
    ("TLS", client_hello(b"\x03\x03"), ["tls-on-plain-port"]),
    ("HTTP", b"GET / HTTP/1.0\r\n\r\n", ["http-on-mllp-port"]),
    ("nothing", b"", []),
]


@pytest.mark.parametrize(("case", "data", "told"), PLAIN)
@in_reactor
async def test_a_plain_port_says_what_else_is_spoken_there(
    pki: Pki, case: str, data: bytes, told: list[str]
) -> None:
    with captured_logs() as logged:
        async with listening(pki, plain=True) as site:
            _, writer = await site.connect(None)
            writer.write(data)
            if not data:
                writer.transport.abort()
            await until(lambda: not site.listener.connections and len(site.told) == len(told), "gone")
            writer.close()
            assert (site.told, site.intake.bodies) == (told, [])
    assert logged.getvalue().count("{") == len(told)

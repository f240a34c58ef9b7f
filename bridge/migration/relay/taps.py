"""The doors of taps: a reverse HTTP proxy, an MLLP listener that passes on, and a folder."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlsplit

import orjson
import structlog
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort

from bridge.config.legacy import HttpTap, MllpTap, Tap
from bridge.destinations.http_failures import CallFailed
from bridge.destinations.http_session import Session, looked_at
from bridge.errors import BridgeError, CertificateRefused, JournalUnavailable, PeerSilent
from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.message import Received
from bridge.migration.relay.folder_tap import FolderTap
from bridge.migration.relay.outputs import Around, End, OpenTap, Outputs
from bridge.migration.relay.peer import MllpPeer
from bridge.tls.client import Exchanges, why_unusable
from bridge.transports.base import Answer, Flaw
from bridge.transports.http_port import BoundedRequest, HttpLimits, HttpPort
from bridge.transports.http_tls import HttpTlsPort
from bridge.transports.mllp import MllpListener
from bridge.transports.mllp_options import MllpOptions
from bridge.transports.mllp_peers import Rationed
from bridge.transports.mllp_tls import TlsFiles

log = structlog.get_logger("bridge.tap")

CONNECT_MAX_S, CALL_MAX_S, ANSWER_MAX_S = 5.0, 30.0, 30.0
LATER: Final = {"Retry-After": "1"}
ANSWER_MAX_BYTES = 16 * 1024**2
IDLE_S, ARRIVE_MAX_S = 60.0, 300.0
CONNECTIONS_MAX_COUNT = 64
"""Of an old engine to one tap of HTTP: each may hold a whole body in memory."""
NOT_PASSED_ON = frozenset(
    "connection keep-alive proxy-authenticate proxy-authorization te trailer transfer-encoding upgrade host "
    "content-length accept-encoding user-agent expect".split()
)
"""Headers of one connection alone (RFC 9110 §7.6.1), and those that the session says itself."""


def tap_of(tap: Tap, name: str, outputs: Outputs, around: Around) -> OpenTap:
    """The tap that a channel file describes; ``name`` is for the log.

    Raises CertificateRefused and SecretUnavailable where the files of its TLS cannot be used.
    """
    if tap.http is not None:
        return _HttpTap(tap.http, name, outputs, around)
    if tap.file is not None:
        return FolderTap(tap.file, name, outputs, around)
    assert tap.mllp is not None, "what is imported has no door"
    return _MllpTap(tap.mllp, name, outputs, around)


class _Call(BoundedRequest):
    """One call of the old engine."""

    def too_large(self) -> None:
        """Say so, to the old engine and to who looks after both."""
        door: _HttpTap = self.channel.factory
        said = door.too_large()
        self.refuse()
        self.say(413, f"{said}\n".encode(), {"content-type": "text/plain; charset=utf-8"})

    def arrived(self) -> None:
        """See to it."""
        door: _HttpTap = self.channel.factory
        Deferred.fromCoroutine(door.take(self)).addErrback(self._fault)

    def _fault(self, failure: Any) -> None:
        log.error("tap-fault", fault=type(failure.value).__name__)
        self.say(500, b"", {})


class _HttpTap(HttpPort):
    """A reverse proxy for the old engine's calls."""

    away = ""

    def __init__(self, options: HttpTap, name: str, outputs: Outputs, around: Around) -> None:
        limits = HttpLimits(options.max_body, CONNECTIONS_MAX_COUNT, IDLE_S, ARRIVE_MAX_S)
        super().__init__(limits, _Call, reactor=around.reactor, tell_full=self._full)
        self._told = Rationed(around.reactor)
        self._options, self._name, self._outputs, self._around = options, name, outputs, around
        self._base = urlsplit(options.pass_to).path.rstrip("/")
        self._session: Session | None = None
        self._tls = None
        if options.tls is not None:
            self._tls = TlsFiles(name, options.tls, around.secrets, around.now_us)
        self._port: IListeningPort | None = None

    def _full(self, host: str) -> None:
        self._told.tell_refused(log, self._name, host, "too-many-connections", "")

    def too_large(self) -> str:
        """What is said of a call that is larger than the tap takes."""
        said = f"its body is larger than {self._options.max_body} bytes, `max_body` of the tap"
        self._tell("PASSING", said)
        return f"The call was not passed on: {said}. Set more there, or send less at once."

    async def start(self) -> IListeningPort:
        """Listen."""
        factory: Any = self
        port = factory
        if self._tls is not None and (tls := self._options.tls) is not None:
            port = HttpTlsPort(self._tls.current, factory, self._around.reactor, self._name, tls.handshake)
        self._port = await serverFromString(self._around.reactor, self._options.listen).listen(port)
        return self._port

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """As `OpenTap` says."""
        return {} if self._tls is None else self._tls.ends_s

    def look_at_certificates(self) -> Exchanges:
        """As `OpenTap` says; where it passes on, the files of now count from the next call."""
        found = () if self._tls is None else self._tls.look_again()
        self._session, passing = looked_at(self._session, self._options.pass_to, self._options.pass_tls)
        if self._session is None and "" not in passing:
            self.away = "".join(passing)
        return found + passing

    def _opened(self) -> Session:
        """Where it passes on. Raises CertificateRefused."""
        try:
            self._session = self._session or Session(self._options.pass_to, self._options.pass_tls)
        except OSError:
            refused = why_unusable(self._options.pass_tls)
            self.away = str(refused)
            raise refused from None
        self.away = ""
        return self._session

    async def stop(self) -> None:
        """Close."""
        if self._port is not None and (ended := self._port.stopListening()) is not None:
            await ended
        if self._session is not None:
            await self._session.close()

    async def take(self, call: _Call) -> None:
        """See to one call."""
        assert call.content is not None, "a whole request has its body"
        body = call.content.read()
        method, target = call.method.decode("ascii", "replace"), call.uri.decode("latin-1")
        if method in ("GET", "HEAD", "OPTIONS"):
            await self._pass_by(call, method, target)  # what only asks changes nothing, and is nobody's
            return
        path = target.partition("?")[0]
        name = self._options.control_id
        sent = None if name is None else call.getHeader(name.encode())
        control_id = None if sent is None else sent.decode("utf-8", "replace")
        match_hash = (
            self._outputs.match_target(method, path) if sent is None else self._outputs.match_id(sent)
        )
        answered: list[Any] = []

        async def pass_on() -> tuple[End, str]:
            status, headers, answer, failed = await self._call(call, method, target, body)
            answered.extend((status, headers, answer))
            end: End = "PASSED" if 200 <= status < 300 else "DECLINED" if status < 500 else "PASSING"
            self._tell(end, failed or f"answered {status}")
            return end, str(status)

        try:
            passed = await self._outputs.take(
                match_hash, _written(method, path, body), pass_on, control_id or ""
            )
        except JournalUnavailable:
            call.say(503, b"", LATER)
            return
        match passed.what:
            case "passed":
                call.say(answered[0], answered[2], answered[1])
            case "swallowed" | "repeat":
                call.say(int(passed.code or 200), b"", {})
            case _:
                call.say(503, b"", LATER)

    async def _pass_by(self, call: _Call, method: str, target: str) -> None:
        status, headers, answer, failed = await self._call(call, method, target, None)
        self._tell("PASSING" if failed else "PASSED", failed)
        call.say(status, answer, headers)

    def _tell(self, end: End, reason: str) -> None:
        if end != "PASSED":
            log.warning("not-passed-on", tap=self._name, reason=reason)

    async def _call(
        self, call: _Call, method: str, target: str, body: bytes | None
    ) -> tuple[int, dict[str, str], bytes, str]:
        """The answer: status, headers and body; and why there is none where 502 is said in its place."""
        headers = {
            name.decode("latin-1"): values[0].decode("latin-1")
            for name, values in call.requestHeaders.getAllRawHeaders()
            if name.decode("latin-1").lower() not in NOT_PASSED_ON
        }
        try:
            session = self._opened()
            await session.find_target(CONNECT_MAX_S)
            response = await session.call(
                method,
                self._base + target,
                headers,
                body,
                connect_s=CONNECT_MAX_S,
                total_s=CALL_MAX_S,
                body_max_bytes=ANSWER_MAX_BYTES,
            )
        except CertificateRefused as refused:
            return 502, {}, b"", str(refused)
        except (CallFailed, ValueError) as error:
            return 502, {}, b"", type(error).__name__
        kept = {name: value for name, value in response.headers.items() if name not in NOT_PASSED_ON}
        return response.status, kept, response.body, ""


def _written(method: str, path: str, body: bytes) -> bytes:
    """A call as it is kept: as our own requests are, so that both can be compared."""
    try:
        content = orjson.loads(body) if body else None
    except orjson.JSONDecodeError:
        content = {"(text)": body.decode("utf-8", "replace")}
    return orjson.dumps({"body": content, "method": method, "path": path}, option=orjson.OPT_SORT_KEYS)


class _MllpTap:
    """A listener for the old engine's messages, which passes them on."""

    away = ""

    def __init__(self, options: MllpTap, name: str, outputs: Outputs, around: Around) -> None:
        self._options, self._name, self._outputs, self._around = options, name, outputs, around
        listen = MllpOptions.model_validate(
            {"listen": options.listen, "max_block": options.max_block, "tls": options.tls}
        )
        self._listener = MllpListener(
            name, listen, self, reactor=around.reactor, now_us=around.now_us, secrets=around.secrets
        )
        self._peers: list[MllpPeer] = []

    async def start(self) -> IListeningPort | None:
        """Listen."""
        return await self._listener.start()

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """As `OpenTap` says."""
        return self._listener.certificates_end_s

    def look_at_certificates(self) -> Exchanges:
        """As `OpenTap` says."""
        return self._listener.look_at_certificates()

    async def stop(self) -> None:
        """Close."""
        await self._listener.drain()
        for peer in self._peers:
            peer.hang_up()

    def take(self, received: Received, flaw: Flaw | None = None) -> Deferred[Answer]:
        """As `Intake` says."""
        return Deferred.fromCoroutine(self._take(received, flaw))

    def answered(self, answer: Answer, reached_socket: bool) -> None:
        """As `Intake` says; the old engine sends again what it did not hear of."""

    async def _take(self, received: Received, flaw: Flaw | None) -> Answer:
        header = peek(received.body)
        if flaw is not None or not header.readable:
            return Answer(self._say(received.body, AckCode.AR), None)
        answered: list[bytes] = []

        async def pass_on() -> tuple[End, str]:
            try:
                code, answer = await self._ask(received.body)
            except BridgeError as error:
                log.warning("not-passed-on", tap=self._name, reason=str(error))
                self.away = "" if isinstance(error, PeerSilent) else str(error)
                return "PASSING", "AE"
            self.away = ""
            answered.append(answer)
            # An acknowledgement whose code nobody knows counts, as everywhere; what is no HL7 does not.
            if code in ("AA", "CA") or (not code and peek(answer).readable):
                return "PASSED", code
            log.warning("not-passed-on", tap=self._name, reason=f"answered {code or 'no HL7'}")
            return "DECLINED", code

        match_hash, told = self._outputs.match_message(received.body)
        try:
            passed = await self._outputs.take(
                match_hash or self._outputs.match_id(b""), received.body, pass_on, told
            )
        except JournalUnavailable:
            return Answer(self._say(received.body, AckCode.AE), None)
        if passed.what == "passed":
            return Answer(answered[0] if answered else self._say(received.body, AckCode.AE), None)
        code = AckCode.AE if passed.what == "busy" else AckCode.AA
        return Answer(self._say(received.body, code), None)

    async def _ask(self, body: bytes) -> tuple[str, bytes]:
        peer = next((each for each in self._peers if not each.asking), None)
        if peer is None:
            peer = MllpPeer(self._options.pass_to, self._around.reactor, self._options.pass_tls)
            self._peers.append(peer)
        return await peer.ask(body, ANSWER_MAX_S)

    def _say(self, body: bytes, code: AckCode) -> bytes:
        control_id = self._around.random_bytes(8).hex().upper()
        return acknowledge(peek(body), code, control_id=control_id, at_us=self._around.now_us())

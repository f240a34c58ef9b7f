"""Files that are posted over HTTP: 202 says that a body is on disk and can be taken apart, and nothing less.

A body is kept on disk while it arrives, and nobody who is not known may send one. With an `Idempotency-Key`
the same post again has the same answer, also after a crash; what is refused says why (RFC 9457).
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from typing import Any, BinaryIO, Final

import orjson
import structlog
from twisted.internet.defer import Deferred, DeferredLock, maybeDeferred
from twisted.internet.endpoints import serverFromString
from twisted.internet.interfaces import IListeningPort
from twisted.python.failure import Failure

from bridge.component import Component
from bridge.errors import PeerUnavailable, SecretUnavailable
from bridge.message import Microseconds
from bridge.tls.client import Exchanges
from bridge.transports.base import Arriving, Fate, FileChanged, FileGone, FileIntake, FileUnusable, printable
from bridge.transports.http_in_options import HttpInOptions
from bridge.transports.http_port import BoundedRequest, HttpLimits, HttpPort
from bridge.transports.http_tls import HttpTlsPort
from bridge.transports.mllp_tls import Secrets, TlsFiles

log = structlog.get_logger("bridge.http_in")

KEY: Final = re.compile(r"[!-~]{1,200}")
"""What an Idempotency-Key may be."""
_TITLES: Final = {
    400: "The request cannot be used.",
    401: "It is not known who posts.",
    404: "Nothing is posted here.",
    405: "Only POST is taken here.",
    409: "This was sent before.",
    413: "The body is too large.",
    422: "The body cannot be taken.",
    500: "A fault of the bridge; the body was not taken.",
    503: "It cannot be kept now: post it again later.",
}
_STATUS: Final = {"sent-before": 409, "too-large": 413}
LATER_S: Final = 5
_HEADERS: Final[Mapping[int, Mapping[str, str]]] = {
    401: {"www-authenticate": "Bearer"},
    405: {"allow": "POST"},
    503: {"retry-after": str(LATER_S)},
}


class _Body:
    """A body that has arrived: an `Incoming`."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        file.seek(0)

    def read(self, size: int) -> bytes:
        return self._file.read(size)

    def skip(self, size: int) -> None:
        self._file.seek(size)

    def unchanged(self) -> bool:
        return True

    def close(self) -> None:
        """The request has it still."""


class _Post(BoundedRequest):
    """One request. Its sender is known before a byte of its body is kept."""

    sender = ""

    @property
    def door(self) -> HttpIn:
        """The listener."""
        door: HttpIn = self.channel.factory
        return door

    def scratch(self) -> BinaryIO:
        """On disk, where it is not to be read by others."""
        return self.door.intake.scratch()

    def headed(self) -> None:
        """See who posts."""
        self.sender = self.door.sender_of(self)
        if not self.sender:
            self.door.tell_refused("unknown-sender")
            self.refuse()
            self.problem(401, "unknown-sender")

    def too_large(self) -> None:
        """Say so."""
        self.refuse()
        self.problem(413, "too-large")

    def arrived(self) -> None:
        """Take it, if it is for here."""
        if self.path.decode("latin-1") != self.door.options.path:
            self.problem(404, "no-such-path")
            return
        if self.method != b"POST":
            self.problem(405, "method")
            return
        Deferred.fromCoroutine(self.door.take(self)).addErrback(self._fault)

    def _fault(self, failure: Failure) -> None:
        log.error("http-in-fault", channel=self.door.channel, fault=type(failure.value).__name__)
        self.problem(500, "internal-fault")

    def problem(self, status: int, reason: str, detail: str = "", place: str = "") -> None:
        """Say what is wrong (RFC 9457)."""
        words = {"type": f"urn:bridge:problem:{reason}", "title": _TITLES[status], "status": status}
        more = {"detail": detail, "place": place}
        body = orjson.dumps({**words, **{name: text for name, text in more.items() if text}})
        self.say(status, body, {"content-type": "application/problem+json", **_HEADERS.get(status, {})})

    def header(self, name: bytes) -> str | None:
        """A header, whatever its bytes are; None where it is absent."""
        values = self.requestHeaders.getRawHeaders(name)
        return values[-1].decode("latin-1") if values else None


class HttpIn(HttpPort):
    """One listening port of one channel: a `Listener`."""

    def __init__(
        self,
        channel: str,
        options: HttpInOptions,
        intake: FileIntake,
        *,
        reactor: Any,
        now_us: Callable[[], Microseconds],
        secrets: Secrets,
        tell_refused: Callable[[str], None] = lambda reason: None,  # noqa: ARG005
    ) -> None:
        """Raises CertificateRefused and SecretUnavailable where what it needs cannot be used."""
        super().__init__(
            _limits(options), _Post, reactor=reactor, tell_full=lambda _: tell_refused("too-many-connections")
        )
        self.channel, self.intake = channel, intake
        self._secrets, self.tell_refused = secrets, tell_refused
        self._tls = None if options.tls is None else TlsFiles(channel, options.tls, secrets, now_us)
        self._port: IListeningPort | None = None
        self._one = DeferredLock()
        self._trouble = ""
        self.use(options)

    async def start(self) -> IListeningPort:
        """Listen. Raises twisted.internet.error.CannotListenError where the port is taken."""
        await self.intake.resume()
        factory: Any = self
        port: Any = self
        if self._tls is not None and (tls := self.options.tls) is not None:
            port = HttpTlsPort(
                self._tls.current, factory, self.reactor, self.channel, tls.handshake, self.tell_refused
            )
        self._port = await serverFromString(self.reactor, self.options.listen).listen(port)
        return self._port

    @property
    def certificates_end_s(self) -> Mapping[str, float]:
        """As `Listener` says."""
        return {} if self._tls is None else self._tls.ends_s

    @property
    def certificates_not_reloaded(self) -> str:
        """As `Listener` says."""
        return "" if self._tls is None else self._tls.not_reloaded

    def look_at_certificates(self) -> Exchanges:
        """Take what has changed in the files of TLS, for new connections, and in tokens. Where one of these
        cannot be had, those of before stay."""
        trouble, found = "", () if self._tls is None else self._tls.look_again()
        try:
            self.use(self.options)
        except SecretUnavailable as unavailable:
            trouble = f"its tokens are those of before, {unavailable}"
            if trouble != self._trouble:
                log.warning("secret-not-used", channel=self.channel, why=trouble)
        self._trouble = trouble
        return (*found, trouble) if trouble else found

    def prepare(self, options: HttpInOptions) -> bool:
        """Whether these options need no other port. Raises PeerUnavailable where only TLS differs."""
        if options.listen != self.options.listen:
            return False
        if options.tls != self.options.tls:
            raise PeerUnavailable(
                f"`tls` cannot change on the open port {options.listen}: "
                f"`bridge pause {self.channel} --intake`, reload, and resume"
            )
        return True

    def use(self, options: HttpInOptions) -> None:
        """Take these options, from the next request on. Raises SecretUnavailable."""
        tokens = {
            name: hashlib.sha256(self._secrets(reference).encode()).digest()
            for name, reference in options.tokens.items()
        }
        self.options, self.limits, self._tokens = options, _limits(options), tokens

    def sender_of(self, post: _Post) -> str:
        """Who posts: by token, or by certificate; empty for nobody that is known."""
        if not self._tokens:
            shaking = getattr(post.channel.transport, "shaking", None)
            return shaking.name if shaking is not None and shaking.name else "known by its certificate"
        kind, _, token = (post.header(b"authorization") or "").partition(" ")
        shown = hashlib.sha256(token.strip().encode("latin-1")).digest()  # the bytes that came
        known = [name for name, digest in self._tokens.items() if hmac.compare_digest(digest, shown)]
        return known[0] if known and kind.casefold() == "bearer" else ""

    async def take(self, post: _Post) -> None:
        """Hand one body in, after those before it, and answer."""
        key = post.header(b"idempotency-key")
        if key is not None and not KEY.fullmatch(key):
            post.problem(400, "idempotency-key", "Expected 1 to 200 visible characters in Idempotency-Key.")
            return
        content: Any = post.content
        digest = _digest(content)
        claim = None if key is None else f"http {hashlib.sha256(f'{post.sender} {key}'.encode()).hexdigest()}"
        arriving = Arriving(
            name=printable(key or ""),
            # Nothing of it lies anywhere: what comes again is another post.
            seen_as=self.intake.claim_word(),
            claim=claim,
            peer=post.sender,
            size_bytes=post.got_bytes,
            stays=False,
            open=lambda: _Body(content),
        )
        await self._one.acquire()
        try:
            fate = await self.intake.take(arriving)
        except (PeerUnavailable, FileGone, FileChanged, FileUnusable):
            post.problem(503, "not-kept")
            return
        finally:
            self._one.release()
        self._answer(post, fate, digest)

    def _answer(self, post: _Post, fate: Fate, digest: bytes) -> None:
        if fate.again:
            post.problem(503, "not-kept")
            return
        if fate.file_id is not None:
            self.intake.settled(fate.file_id)
        if fate.known and fate.sha256 and fate.sha256 != digest:
            post.problem(422, "idempotency-key-reused", "Another body came under this Idempotency-Key.")
        elif not fate.good:
            post.problem(_STATUS.get(fate.reason, 422), fate.reason, fate.text, fate.place)
        else:
            said = {"file": fate.file_id, "messages": fate.messages, "sha256": digest.hex()}
            post.say(202, orjson.dumps(said), {"content-type": "application/json"})

    async def drain(self) -> None:
        """Listen no more, answer what has arrived, and disconnect everybody."""
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
        await self._one.acquire()
        self._one.release()


def _limits(options: HttpInOptions) -> HttpLimits:
    return HttpLimits(options.max_size, options.max_connections, options.idle, options.body_within)


def _digest(file: Any) -> bytes:
    file.seek(0)
    return hashlib.file_digest(file, "sha256").digest()


COMPONENT = Component(
    kind="transport",
    name="http_in",
    summary="Takes bodies that are posted over HTTP, each once; 202 once it is journaled.",
    options=HttpInOptions,
    example='listen: "tcp:8443"\npath: /lab\ntokens: {lab: secret://file/lab-token}\n',
    takes="files",
    build=HttpIn,
)

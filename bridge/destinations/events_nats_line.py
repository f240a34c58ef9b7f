"""One connection to a NATS server, over the library, and what its errors mean.

The library is told not to connect again by itself: what it would keep for later could then be sent after its
outcome was told, behind what came since. A connection that breaks takes with it whatever it still had.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final

import nats.errors
import nats.js.api
import nats.js.errors
from nats.aio.client import Client

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.events_nats_keys import NKey
from bridge.tls.client import client_certificate_refused, untrusted

CLOSE_WAIT_MAX_S: Final = 1.0
_TOO_LARGE: Final = frozenset({10054, 10097})
"""JetStream error codes: the message is larger than the stream's limit, or than the server's."""
_NOT_THIS_STREAM: Final = frozenset({10060, 10059})
"""Another stream takes this subject, or the stream is gone."""
_LASTS: Final = frozenset({10109, 10076, 10039})
"""The stream is sealed, or JetStream is not enabled here or for this account."""


@dataclass(frozen=True, slots=True)
class Login:
    """Who the bridge is to the server; all None for nobody in particular."""

    user: str | None = field(default=None, repr=False)
    password: str | None = field(default=None, repr=False)
    token: str | None = field(default=None, repr=False)
    nkey: NKey | None = field(default=None, repr=False)
    jwt: str | None = field(default=None, repr=False)


class NotProtected(ConnectionError):
    """TLS was asked for, and the server does not speak it: nothing was said to it."""


class _Client(Client):
    """The library's client, that says nothing to a server without TLS where TLS was asked for, and to which
    servers that another one names are nothing."""

    must_be_protected = False

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        if initial_connection and self.must_be_protected and not info.get("tls_required"):
            # What would follow is a password in the clear.
            raise NotProtected
        await super()._process_info({**info, "connect_urls": None}, initial_connection)


class Line:
    """One connection. ``lost`` fires when it is gone."""

    def __init__(self) -> None:
        self.client = _Client()
        self.lost: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.retired = False
        self.calls = 0
        self._asked: dict[str, asyncio.Future[None]] = {}
        self._error: BaseException | None = None
        self._closing: asyncio.Task[None] | None = None

    @property
    def usable(self) -> bool:
        """Whether another event may go over it."""
        return not self.retired and not self.lost.done() and bool(self.client.is_connected)

    @property
    def server(self) -> str:
        """The name of the server, by itself."""
        return str(self.client._server_info.get("server_name", ""))

    async def open(
        self, address: str, port: int, login: Login, tls: tuple[ssl.SSLContext, str] | None, within_s: float
    ) -> None:
        """Connect. ``tls`` is a context, and the name that the certificate must have. Raises what is told by
        `not_connected`."""
        client, named = self.client, f"[{address}]" if ":" in address else address
        client.must_be_protected = tls is not None
        options: dict[str, Any] = {"user": login.user, "password": login.password, "token": login.token}
        if tls is not None:
            options |= {"tls": tls[0], "tls_hostname": tls[1]}
        if (nkey := login.nkey) is not None:
            jwt = login.jwt
            client._public_nkey = nkey.public
            options["signature_cb"] = nkey.sign
            if jwt is not None:
                options["user_jwt_cb"] = jwt.encode
        try:
            await client.connect(
                [f"nats://{named}:{port}"],
                error_cb=self._failed,
                disconnected_cb=self._gone,
                closed_cb=self._gone,
                allow_reconnect=False,
                max_reconnect_attempts=1,
                reconnect_time_wait=0,
                connect_timeout=max(1, round(within_s)),
                name="interface-bridge",
                ping_interval=20,
                **options,
            )
        except nats.errors.NoServersError:
            await self.cut()
            raise (self._error or OSError("no connection")) from None
        except BaseException:
            await self.cut()
            raise

    async def request(self, subject: str, body: bytes, headers: Mapping[str, str], within_s: float) -> Any:
        """A message and its answer. Raises ConnectionLost where the connection is gone before that, and
        PermissionError where the server does not let the bridge publish there."""
        self.calls += 1
        loop = asyncio.get_running_loop()
        asking = loop.create_task(self.client.request(subject, body, timeout=within_s, headers=dict(headers)))
        denied = self._asked.setdefault(subject, loop.create_future())
        try:
            either: set[asyncio.Future[Any]] = {asking, self.lost, denied}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if asking.done():
                return asking.result()
            raise PermissionError if denied.done() else ConnectionLost
        finally:
            self._asked.pop(subject, None)
            asking.cancel()
            self.calls -= 1
            if self.retired and not self.calls:
                await self.cut()

    def retire(self) -> None:
        """Let no further event go over it; what is under way may end, and then it is closed."""
        self.retired = True
        if not self.calls and not self.lost.done():
            self._closing = asyncio.get_running_loop().create_task(self.cut())

    async def cut(self) -> None:
        """Close, now."""
        self.retired = True
        with suppress(TimeoutError, OSError, nats.errors.Error):
            async with asyncio.timeout(CLOSE_WAIT_MAX_S):
                await self.client.close()
        await self._gone()

    async def _gone(self) -> None:
        if not self.lost.done():
            self.lost.set_result(None)

    async def _failed(self, error: BaseException) -> None:
        self._error = error
        text = str(error)
        if "ermissions violation for publish to" in text.lower():
            denied = self._asked.get(text.rpartition(" to ")[2].strip("\"' "))
            if denied is not None and not denied.done():
                denied.set_result(None)


class ConnectionLost(Exception):
    """The connection broke while an answer was waited for."""


def not_connected(error: BaseException, *, secured: bool = False) -> Outcome:
    """Why there is no connection: no byte of an event has left.

    ``secured`` tells that TLS was asked for: then some servers refuse a client's certificate, or its absence,
    by a close that says nothing.
    """
    cause = error.__cause__ if isinstance(error, OSError) and error.__cause__ is not None else error
    match cause:
        case ConnectionResetError() if secured:
            return Outcome(Verdict.RETRY, "disconnected-after-handshake")
        case NotProtected():
            return Outcome(Verdict.HOLD, "tls-not-offered")
        case ssl.SSLCertVerificationError():
            return Outcome(Verdict.HOLD, untrusted(cause))
        case ssl.SSLError() if client_certificate_refused(cause):
            return Outcome(Verdict.HOLD, "tls-client-certificate")
        case ssl.SSLEOFError() | ssl.SSLZeroReturnError():
            return Outcome(Verdict.RETRY, "connect-failed")
        case ssl.SSLError() | UnicodeError():
            return Outcome(Verdict.HOLD, "tls-handshake")
        case socket.gaierror():
            return Outcome(Verdict.RETRY, "name-not-resolved")
        case TimeoutError():
            return Outcome(Verdict.RETRY, "connect-timeout")
        case nats.errors.Error() if "uthorization" in str(cause) or "uthentication" in str(cause):
            return Outcome(Verdict.HOLD, "auth-refused")
    return Outcome(Verdict.RETRY, "connect-failed")


def answered(answer: Mapping[str, Any]) -> Outcome:
    """What the answer to a publication means (JetStream's PubAck)."""
    error = answer.get("error")
    if not isinstance(error, dict):
        if isinstance(answer.get("seq"), int) and answer.get("stream"):
            return Outcome(Verdict.DELIVERED, "known-there" if answer.get("duplicate") else "kept-there")
        return Outcome(Verdict.AMBIGUOUS, "answer-unreadable")
    code, status = error.get("err_code"), error.get("code")
    if code in _TOO_LARGE:
        return Outcome(Verdict.POISON, "too-large")
    if code in _NOT_THIS_STREAM:
        return Outcome(Verdict.HOLD, "stream-is-another")
    if code in _LASTS:
        return Outcome(Verdict.HOLD, "stream-not-writable")
    # Not stored: it says that it cannot now. Numbers that nobody knows are its trouble, not the event's.
    return Outcome(Verdict.RETRY, f"stream-error-{code}" if isinstance(code, int) else "stream-error", status)


def failed(error: BaseException) -> Outcome | None:
    """What became of a publication that has no answer; None for what is no fault of a connection."""
    match error:
        case nats.errors.NoRespondersError():
            # Nobody takes this subject now: the stream is not there, or has no leader. Nothing was stored.
            return Outcome(Verdict.RETRY, "stream-not-there")
        case PermissionError():
            return Outcome(Verdict.HOLD, "not-permitted")
        case nats.errors.MaxPayloadError():
            return Outcome(Verdict.POISON, "too-large")
        case ConnectionLost():
            return Outcome(Verdict.AMBIGUOUS, "disconnected")
        case nats.errors.TimeoutError():
            return Outcome(Verdict.AMBIGUOUS, "publish-timeout")
        case nats.errors.ConnectionClosedError() | nats.errors.OutboundBufferLimitError():
            return Outcome(Verdict.RETRY, "disconnected-before")
        case nats.errors.Error() | OSError():
            return Outcome(Verdict.AMBIGUOUS, "disconnected")
    return None

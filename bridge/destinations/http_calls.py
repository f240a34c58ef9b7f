"""Calls to one origin, as destinations over HTTP make them: guarded, signed, authorised, bounded in time.

One `Session` per API, made at the first call inside the reactor's loop. Redirects are not followed, cookies
not kept, TLS is verified, proxies from the environment are not used. What an answer means is the caller's to
say, by a ``judge``; its body is not logged.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from typing import Final

from pydantic import Field
from twisted.internet.defer import CancelledError
from yarl import URL

from bridge.component import Options
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    GUARDED,
    IDENTIFIED,
    JUDGED,
    KNOWN,
    SENT,
    Credential,
    CredentialOptions,
    Permits,
    RequestRefused,
    Secrets,
    fault_of_ours,
    stopped_at,
)
from bridge.destinations.http_connection import Response
from bridge.destinations.http_failures import CallFailed, classify_failure
from bridge.destinations.http_limits import advertised
from bridge.destinations.http_notices import ending
from bridge.destinations.http_session import Session, Timeouts, looked_at
from bridge.destinations.http_signing import Signer, SignOptions
from bridge.destinations.in_loop import in_loop
from bridge.message import Microseconds
from bridge.tls.client import Exchanges, Tls
from bridge.units import SizeBytes, size_text

RESPONSE_BODY_MAX_BYTES: Final = 65_536
JSON: Final = "application/json"
HEADER_VALUE: Final = re.compile(r"[!-~]{1,255}")
UNREADABLE: Final = Outcome(Verdict.POISON, "request-unreadable")
Judge = Callable[[Response], Outcome]
"""What an answer means for the delivery."""


class CallOptions(Options):
    """What every API over HTTP may say of its calls."""

    timeouts: Timeouts = Field(default_factory=lambda: Timeouts.model_validate({}))
    tls: Tls = Field(default_factory=lambda: Tls.model_validate({}))
    sign: SignOptions | None = Field(
        None,
        description="Calls are signed (RFC 9421), with a digest of their body (RFC 9530), as in "
        "`{key: secret://file/signing.pem, key_id: bridge-1}`; left out, they are not.",
    )
    max_body: SizeBytes = Field(1_048_576, gt=0, description="A larger request is refused before it is sent.")


@dataclass(frozen=True, slots=True)
class Call:
    """One request: ``target`` is a path below the base URL, or where it is ``absolute`` below the host, with
    what stands behind its question mark."""

    method: str
    target: str
    body: bytes | None = field(default=None, repr=False)
    content_type: str = JSON
    absolute: bool = False


class Calls:
    """The calls of one API."""

    def __init__(
        self,
        url: str,
        options: CallOptions,
        credential: CredentialOptions | None,
        secrets: Secrets,
        now_us: Callable[[], Microseconds],
        permits: Permits | None = None,
        *,
        answer_max_bytes: int = RESPONSE_BODY_MAX_BYTES,
    ) -> None:
        """Below ``url``. Opens no file and no connection; ``credential`` None is ``auth: none``. Of an
        answer's body ``answer_max_bytes`` are read, and where it has more, no more than that counts."""
        self._url, self._options, self._permits = url, options, permits
        self._credential: Credential | None = None if credential is None else credential.open(secrets, now_us)
        self._signer = None if options.sign is None else Signer(options.sign, secrets, now_us)
        self._answer_max_bytes = answer_max_bytes
        self._base_path = URL(url).raw_path.rstrip("/")
        self._origin = str(URL(url).origin())
        self._session: Session | None = None
        self._closed = False

    async def make(
        self, call: Call, headers: Mapping[str, str], judge: Judge, *, spent_s: float = 0.0
    ) -> Outcome:
        """One call: its target looked at, then who the bridge is, then sent. Each has its letter in the
        outcome, as far as the call came. ``spent_s`` of its time is over before it begins.

        A key or token that the API refuses is asked for anew, and a new one tried, once.
        """
        session = self._opened()
        if isinstance(session, Outcome):
            return stopped_at(GUARDED, session)
        loop = asyncio.get_running_loop()
        started_s = loop.time() - spent_s
        try:
            await session.find_target(self._options.timeouts.connect)
        except CallFailed as error:
            return stopped_at(GUARDED, classify_failure(error))
        steps = IDENTIFIED if self._permits is None else GUARDED + IDENTIFIED
        spent_s = loop.time() - started_s
        if call.body is not None:
            headers = {**headers, "Content-Type": call.content_type}
        if self._signer is not None:
            url = self._origin + self._path_of(call)
            try:
                signed = self._signer.signed(call.method, url, headers, call.body)
            except Exception as error:  # noqa: BLE001 - a fault of ours is an outcome too
                signed = fault_of_ours(error, Verdict.HOLD)
            if isinstance(signed, Outcome):
                return stopped_at(steps + KNOWN, signed)
            headers = signed
        if self._credential is None:
            outcome = await self._send(session, call, headers, judge, spent_s)
        else:
            used = await self._known_by(self._credential)
            if isinstance(used, Outcome):
                return stopped_at(steps + KNOWN, used)
            outcome = await self._send(session, call, {**headers, **used}, judge, spent_s)
            if outcome.status == 401:
                outcome = await self._once_more(call, headers, judge, used, outcome, started_s)
        return outcome._replace(steps=steps + KNOWN + SENT + JUDGED)

    async def _known_by(self, credential: Credential) -> Mapping[str, str] | Outcome:
        """The headers that say who the bridge is, or what a call has come to that has none."""
        try:
            return await in_loop(credential.headers())
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours is an outcome too
            return fault_of_ours(error, Verdict.HOLD)

    async def _once_more(
        self,
        call: Call,
        headers: Mapping[str, str],
        judge: Judge,
        used: Mapping[str, str],
        refused: Outcome,
        started_s: float,
    ) -> Outcome:
        """The API refused who the bridge said it is: with a newer word, once, where there is one."""
        assert self._credential is not None, "somebody gave these headers"
        self._credential.forget(used)
        renewed = await self._known_by(self._credential)
        if isinstance(renewed, Outcome):
            # Where a new token may be had a little later, the refusal of the old one is not the last word.
            return renewed if renewed.verdict is Verdict.RETRY else refused
        spent_s = asyncio.get_running_loop().time() - started_s
        session = self._opened()
        if renewed == used or spent_s >= self._options.timeouts.request or isinstance(session, Outcome):
            return refused
        return await self._send(session, call, {**headers, **renewed}, judge, spent_s)

    def _opened(self) -> Session | Outcome:
        if self._closed:
            return Outcome(Verdict.RETRY, "closing")
        try:
            self._session = self._session or Session(self._url, self._options.tls, self._permits)
        except OSError:
            return Outcome(Verdict.HOLD, "tls-files-unusable")
        return self._session

    async def _send(
        self, session: Session, call: Call, headers: Mapping[str, str], judge: Judge, spent_s: float
    ) -> Outcome:
        try:
            response = await session.call(
                call.method,
                self._path_of(call),
                headers,
                call.body,
                connect_s=self._options.timeouts.connect,
                total_s=self._options.timeouts.request - spent_s,
                body_max_bytes=self._answer_max_bytes,
            )
        except CallFailed as error:
            return classify_failure(error)
        outcome, told = judge(response), response.headers
        ends, limits = ending(told), advertised(told)
        if ends is None and limits is None:
            return outcome
        return outcome._replace(ending=ends, advertised=limits)

    def _path_of(self, call: Call) -> str:
        return call.target if call.absolute else self._base_path + call.target or "/"

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in the files of TLS and in secrets, as `Destination` says."""
        self._session, found = looked_at(self._session, self._url, self._options.tls)
        for each in (self._credential, self._signer):
            found += () if each is None else each.look_at_files()
        return found

    async def close(self) -> None:
        """Let go of all connections. Calls that are under way end, as AMBIGUOUS where bytes had left."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._credential is not None:
            await in_loop(self._credential.close())


class OverHttp:
    """What every destination over HTTP does in the same way: a request is looked at before it is called, and
    files and connections are its calls' affair."""

    def __init__(self, calls: Calls, operations: Collection[str]) -> None:
        self._calls, self._known = calls, operations

    def unfit(self, operation: str | None, *headers: str) -> Outcome | None:
        """Why a request is not sent: it could not be read (``operation`` None), one of these values cannot be
        a header's, or its operation is no longer there. None where it is."""
        if operation is None or not all(map(HEADER_VALUE.fullmatch, headers)):
            return UNREADABLE
        return None if operation in self._known else Outcome(Verdict.HOLD, "operation-unknown")

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in the files of TLS and in secrets, as `Destination` says."""
        return self._calls.look_at_files()

    async def close(self) -> None:
        """Let go of all connections. Calls that are under way end, as AMBIGUOUS where bytes had left."""
        await self._calls.close()


def within(request: bytes, max_body: int) -> bytes:
    """A request that is no larger than it may be. Raises RequestRefused."""
    if len(request) > max_body:
        raise RequestRefused(f"the request is larger than max_body, {size_text(max_body)}")
    return request

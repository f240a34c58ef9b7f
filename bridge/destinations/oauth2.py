"""How the bridge tells an API who it is: a token from the API owner's token server (RFC 6749 §4.4).

One token for each API, shared by all its calls. It is asked for when a call needs it, and again in the
background before it ends. Secret, token and what the token server says are shown nowhere but for its status
and the words of `ERRORS`: what fails is told by a reason, and once by a line of the log.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Final, Literal
from urllib.parse import quote_plus, urlencode

import orjson
import structlog
from pydantic import AfterValidator, Field
from twisted.internet.defer import Deferred
from yarl import URL

from bridge.component import Component, Options
from bridge.delivery.outcomes import NO_CREDENTIAL, Outcome, Verdict
from bridge.destinations.base import Secrets, asked_anew, usable_secret
from bridge.destinations.http_failures import CallFailed, classify_failure
from bridge.destinations.http_responses import retry_after
from bridge.destinations.http_session import Session, looked_at
from bridge.destinations.http_urls import absolute_url
from bridge.message import Microseconds
from bridge.tls.client import Exchanges, Tls
from bridge.units import LINE, DurationS, SecretRef

log = structlog.get_logger("bridge.tokens")

RESPONSE_MAX_BYTES: Final = 65_536
TOKEN_MAX_BYTES: Final = 16_384
LIFETIME_ASSUMED_S: Final = 300.0
"""For a token whose server does not say how long it lives (RFC 6749 §5.1: ``expires_in`` is recommended)."""
LIFETIME_MAX_S: Final = 86_400.0
REFRESH_RATIO: Final = 0.8
"""At this part of its lifetime a token is asked for anew, or up to `REFRESH_SPREAD` of it before."""
REFRESH_SPREAD: Final = 0.1
FAILED_WAIT_S: Final = 1.0
FAILED_WAIT_MAX_S: Final = 60.0
FORCED_AGAIN_MIN_S: Final = 5.0
"""A token that came because the API refused another is not given up for being refused before this."""

ERRORS: Final = frozenset(
    {
        *("invalid_request", "invalid_client", "invalid_grant", "unauthorized_client"),
        *("unsupported_grant_type", "invalid_scope"),
    }
)
"""What a token server may say is wrong (RFC 6749 §5.2, RFC 7523 §3.2); its own words may say anything."""

UNAVAILABLE: Final = Outcome(Verdict.HOLD, "auth-unavailable")
REFUSED: Final = Outcome(Verdict.HOLD, "auth-refused")
UNUSABLE: Final = Outcome(Verdict.HOLD, "auth-unusable")
LATER: Final = Outcome(Verdict.RETRY, NO_CREDENTIAL)
CLOSING: Final = Outcome(Verdict.RETRY, "closing")

_CLIENT_ID: Final = re.compile(r"[ -~]{1,1024}")
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,255}")
_AUDIENCE: Final = re.compile(r"[!-~]{0,1024}")
_TOKEN: Final = re.compile(rf"[!-~]{{1,{TOKEN_MAX_BYTES}}}")
_DIGITS: Final = re.compile(r"[0-9]{1,10}")


def _matching(pattern: re.Pattern[str], expected: str) -> AfterValidator:
    def check(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError(expected)
        return text

    return AfterValidator(check)


Scope = Annotated[str, _matching(_SCOPE, "expected one scope, without spaces or quotes (RFC 6749 §3.3)")]


class TokenOptions(Options):
    """What is said of every token server."""

    token_url: Annotated[str, AfterValidator(absolute_url)] = Field(
        description="Where tokens are asked for, as the API's owner gave it."
    )
    client_id: Annotated[str, _matching(_CLIENT_ID, "expected visible ASCII (RFC 6749 A.1)")] = Field(
        description="The bridge's name at the token server."
    )
    scopes: tuple[Scope, ...] = Field(
        (), description="What the token is to allow; by default the server's own."
    )
    audience: Annotated[str, _matching(_AUDIENCE, "expected visible ASCII without spaces")] = Field(
        "", description="Which API the token is for, where the token server asks for an audience."
    )
    timeout: DurationS = Field(10.0, gt=0, description="The longest that a token is waited for.")
    tls: Tls = Field(
        default_factory=lambda: Tls.model_validate({}), description="Certificates for the token server."
    )


class OAuth2Options(TokenOptions):
    """Client credentials: the bridge asks a token server for a token, and shows it to the API."""

    secret: Annotated[SecretRef, LINE] = Field(
        description="Where the client's secret is kept, never the secret itself."
    )
    client_auth: Literal["basic", "post"] = Field(
        "basic", description="Where id and secret stand: in an Authorization header, or in the form."
    )

    def open(self, secrets: Secrets, now_us: Callable[[], Microseconds]) -> Tokens:
        """The credential that these options describe."""

        def request(secrets: Secrets) -> TokenRequest | Outcome:
            secret = usable_secret(secrets, self.secret)
            return UNAVAILABLE if secret is None else token_request(self, secret)

        return Tokens(self, str(self.secret), request, secrets, now_us)


COMPONENT = Component(
    kind="credential",
    name="oauth2_client_credentials",
    summary="A token from a token server (OAuth 2.0 client credentials).",
    options=OAuth2Options,
    example="token_url: https://idp.example/oauth2/token\nclient_id: bridge\n"
    "secret: secret://file/rcm-client\nscopes: [encounters.write]\n",
)


TokenRequest = tuple[dict[str, str], bytes]
"""Headers and form."""


@dataclass(frozen=True, slots=True)
class Granted:
    """What a token server gave: a token, and how many seconds it lives."""

    token: str = field(repr=False)
    lifetime_s: float


def token_request(options: OAuth2Options, secret: str) -> TokenRequest:
    """Headers and form of a token request (RFC 6749 §4.4.2).

    With ``basic``, id and secret are form-encoded first, as §2.3.1 asks.
    """
    headers, form = grant(options)
    if options.client_auth == "basic":
        pair = f"{quote_plus(options.client_id)}:{quote_plus(secret)}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    else:
        form |= {"client_id": options.client_id, "client_secret": secret}
    return headers, urlencode(form).encode()


def grant(options: TokenOptions) -> tuple[dict[str, str], dict[str, str]]:
    """Headers and fields that every request for client credentials has (RFC 6749 §4.4.2)."""
    form = {"grant_type": "client_credentials"}
    if options.scopes:
        form["scope"] = " ".join(options.scopes)
    if options.audience:
        form["audience"] = options.audience
    headers = {
        "Accept": "application/json",
        "Connection": "close",  # the next request is minutes away
        "Content-Type": "application/x-www-form-urlencoded",
    }
    return headers, form


def read_response(
    status: int, headers: Mapping[str, str], body: bytes, *, now_us: Microseconds
) -> Granted | Outcome:
    """What a token server's answer means (RFC 6749 §5).

    HOLD ``auth-refused`` for 400, 401 and 403, RETRY ``auth-unavailable`` with its Retry-After for 408, 429
    and 5xx, HOLD ``auth-unusable`` for everything else that is not a Bearer token of visible ASCII, among
    it a body above `RESPONSE_MAX_BYTES`. A lifetime is at most `LIFETIME_MAX_S`.
    """
    if status in {400, 401, 403}:
        return REFUSED
    if status in {408, 425, 429} or status >= 500:
        return LATER._replace(retry_after_s=retry_after(headers, now_us=now_us))
    if status not in range(200, 300) or len(body) > RESPONSE_MAX_BYTES:
        return UNUSABLE
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return UNUSABLE
    match answer:
        case {"access_token": str(token), "token_type": str(kind)} if (
            kind.lower() == "bearer" and _TOKEN.fullmatch(token)
        ):
            lifetime_s = _lifetime_s(answer.get("expires_in"))
            return UNUSABLE if lifetime_s is None else Granted(token, lifetime_s)
    return UNUSABLE


def told_error(body: bytes) -> str:
    """Which of `ERRORS` a token server's answer names; empty where it names none.

    >>> told_error(b'{"error": "invalid_client", "error_description": "hunter2"}'), told_error(b"<html>")
    ('invalid_client', '')
    """
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    error = answer.get("error") if isinstance(answer, dict) else None
    return error if isinstance(error, str) and error in ERRORS else ""


def _lifetime_s(told: Any) -> float | None:
    if told is None:
        return LIFETIME_ASSUMED_S
    if isinstance(told, str) and _DIGITS.fullmatch(told):
        told = int(told)  # some servers write the number as text
    if isinstance(told, bool) or not isinstance(told, int | float) or told <= 0:
        return None
    return float(min(told, LIFETIME_MAX_S))


def refresh_ratio(client_id: str) -> float:
    """At which part of its lifetime a client's token is asked for anew: 0.7 to 0.8, always the same.

    Drawn from its id, so that the clients of one token server do not all come at one moment.
    """
    drawn = int.from_bytes(hashlib.sha256(client_id.encode()).digest()[:4]) / 2**32
    return REFRESH_RATIO - REFRESH_SPREAD * drawn


@dataclass(frozen=True, slots=True)
class _Kept:
    headers: Mapping[str, str] = field(repr=False)
    since_us: Microseconds
    lifetime_us: Microseconds
    refresh_us: Microseconds
    forced: bool

    def age_us(self, now_us: Microseconds) -> Microseconds | None:
        """None where it has ended; after a clock was set back nobody can say whether it has."""
        age_us = now_us - self.since_us
        return age_us if 0 <= age_us < self.lifetime_us else None


@dataclass(frozen=True, slots=True)
class _Failed:
    outcome: Outcome
    since_us: Microseconds
    wait_us: Microseconds

    def until_then(self, now_us: Microseconds) -> Outcome | None:
        """What a call hears that comes before the token server is asked again."""
        left_us = self.since_us + self.wait_us - now_us
        # More than the whole wait is left only after a clock was set back.
        if not 0 < left_us <= self.wait_us:
            return None
        if self.outcome.verdict is not Verdict.RETRY:
            return self.outcome
        return self.outcome._replace(retry_after_s=left_us / 1e6)


class Tokens:
    """One API's token: however many calls want one, at most one token request is under way.

    While the token lives, calls go on with it, also while the next is asked for and when that fails. A
    request that failed is not repeated for `FAILED_WAIT_S`, twice as long after each further failure up to
    `FAILED_WAIT_MAX_S`, or for as long as the server's Retry-After; calls without a token hear of the same
    failure until then. The secret is looked up for each request.
    """

    __slots__ = (
        "_closed",
        "_failed",
        "_failures",
        "_fetching",
        "_forced",
        "_kept",
        "_name",
        "_now_us",
        "_options",
        "_request",
        "_secrets",
        "_session",
        "_told",
    )

    def __init__(
        self,
        options: TokenOptions,
        name: str,
        request: Callable[[Secrets], TokenRequest | Outcome],
        secrets: Secrets,
        now_us: Callable[[], Microseconds],
    ) -> None:
        """``request`` is made anew for each token, in a thread; ``name`` is what it is shown as."""
        self._options, self._name, self._request, self._now_us = options, name, request, now_us
        self._secrets = secrets
        self._kept: _Kept | None = None
        self._failed: _Failed | None = None
        self._failures = 0
        self._forced = False
        self._fetching: asyncio.Task[Mapping[str, str] | Outcome] | None = None
        self._session: Session | None = None
        self._closed = False
        self._told: tuple[str, int | None, str] | None = None

    def __repr__(self) -> str:
        options = self._options
        return f"<Tokens of {options.client_id} at {options.token_url} by {self._name}>"

    async def headers(self) -> Mapping[str, str] | Outcome:
        """The headers of a call, or the outcome that the call has without them."""
        if self._closed:
            return CLOSING
        now_us = self._now_us()
        failed = None if self._failed is None else self._failed.until_then(now_us)
        kept = self._kept
        if kept is not None and (age_us := kept.age_us(now_us)) is not None:
            if age_us >= kept.refresh_us and failed is None:
                self._fetch_once()
            return kept.headers
        if failed is not None and self._fetching is None:
            return failed
        fetching = self._fetch_once()
        # Unlike awaiting the task, this leaves it to the others where one call is cancelled.
        await asyncio.wait([fetching])
        return CLOSING if fetching.cancelled() else fetching.result()

    def forget(self, used: Mapping[str, str]) -> None:
        """Ask for another token at the next call, where the one that the API refused is still kept.

        Calls that are refused together with the same token force one request between them.
        """
        kept = self._kept
        if kept is None or kept.headers != used:
            return
        if kept.forced and 0 <= self._now_us() - kept.since_us < FORCED_AGAIN_MIN_S * 1e6:
            return  # some servers give the same token again: asking on would not help, and never end
        self._kept = None
        self._forced = True

    def look_at_files(self) -> Exchanges:
        """Ask for the next token with the certificates of now. The token that is kept stays good."""
        self._session, found = looked_at(self._session, self._options.token_url, self._options.tls)
        return found

    async def close(self) -> None:
        """Give up a request that is under way, let go of all connections and of the token."""
        self._closed = True
        self._kept = None
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait([self._fetching])
        session, self._session = self._session, None
        if session is not None:
            await Deferred.fromCoroutine(session.close()).asFuture(asyncio.get_running_loop())

    def _fetch_once(self) -> asyncio.Task[Mapping[str, str] | Outcome]:
        if self._fetching is None:
            self._fetching = asyncio.get_running_loop().create_task(self._fetch())
            self._fetching.add_done_callback(self._fetched)
        return self._fetching

    def _fetched(self, _: asyncio.Task[Mapping[str, str] | Outcome]) -> None:
        self._fetching = None

    async def _fetch(self) -> Mapping[str, str] | Outcome:
        since_us = self._now_us()  # the token is younger than this, whenever the answer comes
        granted = await self._ask()
        if isinstance(granted, Outcome):
            wait_s = min(FAILED_WAIT_S * 2.0 ** min(self._failures, 30), FAILED_WAIT_MAX_S)
            self._failures += 1
            wait_s = max(wait_s, granted.retry_after_s or 0.0)
            now_us = self._now_us()
            self._failed = _Failed(granted, now_us, int(wait_s * 1e6))
            return self._failed.until_then(now_us) or granted
        self._failed, self._failures, self._told = None, 0, None
        self._kept = _Kept(
            headers={"Authorization": f"Bearer {granted.token}"},
            since_us=since_us,
            lifetime_us=int(granted.lifetime_s * 1e6),
            refresh_us=int(granted.lifetime_s * refresh_ratio(self._options.client_id) * 1e6),
            forced=self._forced,
        )
        self._forced = False
        return self._kept.headers

    async def _ask(self) -> Granted | Outcome:
        # The token server may have refused a secret that is another by now.
        refused = self._failed is not None and self._failed.outcome == REFUSED
        secrets = asked_anew(self._secrets) if refused else self._secrets
        request = await asyncio.to_thread(self._request, secrets)
        if isinstance(request, Outcome):
            return request
        headers, form = request
        url = URL(self._options.token_url, encoded=True)
        try:
            session = self._session = self._session or Session(self._options.token_url, self._options.tls)
        except OSError:
            return Outcome(Verdict.HOLD, "auth-tls-files-unusable")
        asked = session.call(
            "POST",
            url.raw_path,
            headers,
            form,
            connect_s=self._options.timeout,
            total_s=self._options.timeout,
            body_max_bytes=RESPONSE_MAX_BYTES,
        )
        try:
            response = await Deferred.fromCoroutine(asked).asFuture(asyncio.get_running_loop())
        except CallFailed as error:
            # However far the token request came, nothing of the call itself has been sent.
            failure = classify_failure(error)
            self._tell(failure.reason)
            return (
                Outcome(Verdict.HOLD, f"auth-{failure.reason}") if failure.verdict is Verdict.HOLD else LATER
            )
        if not response.whole:
            self._tell("answer-cut", response.status)
            return LATER
        said = read_response(response.status, response.headers, response.body, now_us=self._now_us())
        if isinstance(said, Outcome):
            self._tell(said.reason, response.status, told_error(response.body))
        return said

    def _tell(self, reason: str, status: int | None = None, error: str = "") -> None:
        """Say once in the log why there is no token, until it is another reason or there is one again."""
        if self._told != (reason, status, error):
            self._told = reason, status, error
            url = self._options.token_url
            log.warning("token-not-had", token_url=url, reason=reason, status=status, error=error)

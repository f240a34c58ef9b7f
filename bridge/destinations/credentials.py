"""How the bridge tells an API who it is: a key in a header, or a name and a password (RFC 7617).

A secret is looked up when it is needed, kept in memory for at most `SECRET_KEPT_MAX_S`, and shown nowhere:
what fails is told by a reason, never by the text of an error that may quote the secret.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Mapping
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Component, Options
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import SECRET_KEPT_MAX_S, Secrets, usable_secret
from bridge.message import Microseconds
from bridge.tls.client import Exchanges
from bridge.units import SecretRef

UNAVAILABLE: Final = Outcome(Verdict.HOLD, "auth-unavailable")

_TOKEN: Final = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,100}")
_OURS: Final = frozenset(
    {"accept", "accept-encoding", "connection", "content-length", "content-type", "expect", "host"}
    | {"idempotency-key", "te", "traceparent", "tracestate", "trailer", "transfer-encoding", "upgrade"}
    | {"cookie", "user-agent"}
)


def _header_name(name: str) -> str:
    if not _TOKEN.fullmatch(name):
        raise ValueError("expected the name of a header (RFC 9110 §5.1), as in X-API-Key")
    if name.lower() in _OURS:
        raise ValueError("this header is set by the bridge itself: name the one that carries the key")
    return name


def _scheme(prefix: str) -> str:
    if prefix and not _TOKEN.fullmatch(prefix):
        raise ValueError("expected one word, as in ApiKey")
    return prefix


class ApiKeyOptions(Options):
    """A key that the API's owner gave to the bridge."""

    key: SecretRef = Field(description="Where the key is kept, never the key itself.")
    header: Annotated[str, AfterValidator(_header_name)] = Field(
        "X-API-Key", description="The header that carries the key."
    )
    prefix: Annotated[str, AfterValidator(_scheme)] = Field(
        "", description="A word before the key, as in `Authorization: ApiKey ...`."
    )

    def open(self, secrets: Secrets, now_us: Callable[[], Microseconds]) -> KeptHeader:
        """The credential that these options describe."""
        return KeptHeader(f"{self.header} from {self.key}", lambda: authorisation(self, secrets), now_us)


class BasicOptions(Options):
    """A name and a password that the API's owner gave to the bridge."""

    username: Annotated[str, Field(pattern=r"^[!-9;-~](?:[ -9;-~]{0,253}[!-9;-~])?$")] = Field(
        description="The name; it cannot hold a colon."
    )
    password: SecretRef = Field(description="Where the password is kept, never the password itself.")

    def open(self, secrets: Secrets, now_us: Callable[[], Microseconds]) -> KeptHeader:
        """The credential that these options describe."""
        return KeptHeader(f"Basic from {self.password}", lambda: basic(self, secrets), now_us)


API_KEY = Component(
    kind="credential",
    name="api_key",
    summary="A key in a header of each call.",
    options=ApiKeyOptions,
    example="key: secret://env/EHR_API_KEY\nheader: X-API-Key\n",
)


def authorisation(options: ApiKeyOptions, secrets: Secrets) -> Mapping[str, str] | Outcome:
    """The header to send, or HOLD ``auth-unavailable`` where there is no `usable_secret`."""
    secret = usable_secret(secrets, options.key)
    if secret is None:
        return UNAVAILABLE
    return {options.header: f"{options.prefix} {secret}" if options.prefix else secret}


BASIC = Component(
    kind="credential",
    name="basic",
    summary="A name and a password with each call (HTTP Basic).",
    options=BasicOptions,
    example="username: bridge\npassword: secret://file/erp-password\n",
)


def basic(options: BasicOptions, secrets: Secrets) -> Mapping[str, str] | Outcome:
    """The header of RFC 7617 §2, or HOLD ``auth-unavailable`` where there is no `usable_secret`."""
    secret = usable_secret(secrets, options.password)
    if secret is None:
        return UNAVAILABLE
    pair = base64.b64encode(f"{options.username}:{secret}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


class KeptHeader:
    """One API's header, kept for a while. A failed look-up is not kept, so the next call asks again."""

    __slots__ = ("_find", "_kept", "_kept_at_us", "_name", "_now_us")

    def __init__(
        self, name: str, find: Callable[[], Mapping[str, str] | Outcome], now_us: Callable[[], Microseconds]
    ) -> None:
        self._name, self._find, self._now_us = name, find, now_us
        self._kept: Mapping[str, str] | None = None
        self._kept_at_us: Microseconds = 0

    def __repr__(self) -> str:
        return f"<{self._name}>"

    async def headers(self) -> Mapping[str, str] | Outcome:
        """The headers of a call, or the outcome that the call has without them."""
        now_us = self._now_us()
        # A clock that was set back makes the age negative, and what is kept no longer counts as fresh.
        if self._kept is not None and 0 <= now_us - self._kept_at_us < SECRET_KEPT_MAX_S * 1_000_000:
            return self._kept
        self._kept = None
        found = self._find()
        if isinstance(found, Outcome):
            return found
        self._kept, self._kept_at_us = found, now_us
        return found

    def forget(self, used: Mapping[str, str]) -> None:
        """Look it up again at the next call, where the one that the API refused is still kept."""
        if self._kept == used:
            self._kept = None

    def look_at_files(self) -> Exchanges:
        """Look it up again at the next call."""
        self._kept = None
        return ()

    async def close(self) -> None:
        """Let go of what is kept."""
        self._kept = None

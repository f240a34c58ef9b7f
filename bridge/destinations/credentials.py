"""How the bridge tells an API who it is: a key in a header, or a name and a password (RFC 7617).

A secret is looked up when it is needed, kept in memory for at most `SECRET_KEPT_MAX_S`, and shown nowhere:
what fails is told by a reason, never by the text of an error that may quote the secret.
"""

from __future__ import annotations

import asyncio
import base64
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Annotated, Final

from pydantic import AfterValidator, Field

from bridge.component import Component, Options
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import SECRET_KEPT_MAX_S, Secrets, asked_anew, usable_secret
from bridge.message import Microseconds
from bridge.tls.client import Exchanges
from bridge.units import LINE, SecretRef

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

    key: Annotated[SecretRef, LINE] = Field(description="Where the key is kept, never the key itself.")
    header: Annotated[str, AfterValidator(_header_name)] = Field(
        "X-API-Key", description="The header that carries the key."
    )
    prefix: Annotated[str, AfterValidator(_scheme)] = Field(
        "", description="A word before the key, as in `Authorization: ApiKey ...`."
    )

    def open(self, secrets: Secrets, now_us: Callable[[], Microseconds]) -> KeptHeader:
        """The credential that these options describe."""
        return KeptHeader(f"{self.header} from {self.key}", partial(authorisation, self), secrets, now_us)


class BasicOptions(Options):
    """A name and a password that the API's owner gave to the bridge."""

    username: Annotated[str, Field(pattern=r"^[!-9;-~](?:[ -9;-~]{0,253}[!-9;-~])?$")] = Field(
        description="The name; it cannot hold a colon."
    )
    password: Annotated[SecretRef, LINE] = Field(
        description="Where the password is kept, never the password itself."
    )

    def open(self, secrets: Secrets, now_us: Callable[[], Microseconds]) -> KeptHeader:
        """The credential that these options describe."""
        return KeptHeader(f"Basic from {self.password}", partial(basic, self), secrets, now_us)


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
    """One API's header, kept for a while. A failed look-up is not kept, so the next call asks again.

    It is looked up in a thread: a Vault may have to be waited for.
    """

    __slots__ = ("_anew", "_find", "_kept", "_kept_at_us", "_looking", "_name", "_now_us", "_secrets")

    def __init__(
        self,
        name: str,
        find: Callable[[Secrets], Mapping[str, str] | Outcome],
        secrets: Secrets,
        now_us: Callable[[], Microseconds],
    ) -> None:
        self._name, self._find, self._secrets, self._now_us = name, find, secrets, now_us
        self._kept: Mapping[str, str] | None = None
        self._kept_at_us: Microseconds = 0
        self._anew = False
        self._looking = asyncio.Lock()

    def __repr__(self) -> str:
        return f"<{self._name}>"

    async def headers(self) -> Mapping[str, str] | Outcome:
        """The headers of a call, or the outcome that the call has without them."""
        if (kept := self._fresh()) is not None:
            return kept
        async with self._looking:
            if (kept := self._fresh()) is not None:
                return kept
            secrets = asked_anew(self._secrets) if self._anew else self._secrets
            self._kept, self._anew, now_us = None, False, self._now_us()
            found = await asyncio.to_thread(self._find, secrets)
            if isinstance(found, Outcome):
                return found
            self._kept, self._kept_at_us = found, now_us
            return found

    def _fresh(self) -> Mapping[str, str] | None:
        # A clock that was set back makes the age negative, and what is kept no longer counts as fresh.
        fresh = 0 <= self._now_us() - self._kept_at_us < SECRET_KEPT_MAX_S * 1_000_000
        return self._kept if fresh and not self._anew else None

    def forget(self, used: Mapping[str, str]) -> None:
        """Ask for it anew at the next call, unless another one than the API refused is kept."""
        if self._kept is None or self._kept == used:
            self._kept, self._anew = None, True

    def look_at_files(self) -> Exchanges:
        """Look it up again at the next call."""
        self._kept = None
        return ()

    async def close(self) -> None:
        """Let go of what is kept."""
        self._kept = None

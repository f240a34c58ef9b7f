"""Secrets in a Vault (KV version 2), for sites that keep them there: ``secret://vault/MOUNT/PATH#FIELD``.

The API is that of HashiCorp Vault and OpenBao. Where the Vault is and who the bridge is to it, the
environment says: VAULT_ADDR, VAULT_TOKEN_FILE (which an agent keeps fresh) or VAULT_TOKEN, and, where they
are needed, VAULT_NAMESPACE and VAULT_CACERT.
"""

from __future__ import annotations

import http.client
import json
import math
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from bridge.errors import SecretUnavailable
from bridge.units import SecretRef

KEPT_S: Final = 60.0
"""So long a secret is given without asking again."""
LAST_KNOWN_S: Final = 3600.0
"""So long one is given although the Vault does not answer any more."""
ASKED_AGAIN_S: Final = 10.0
"""So long a Vault is left alone after it was asked for a secret."""
WAIT_S: Final = 5.0
ANSWER_MAX_BYTES: Final = 1024 * 1024
TOKEN_MAX_BYTES: Final = 16_384
KEPT_MAX: Final = 1000


class Vault:
    """Secrets of a Vault, kept for a while. Threads may ask.

    Who asks for a secret first waits for it, `WAIT_S` at most. After that nobody waits: what is known is
    given at once and asked for anew beside, so that a Vault which hangs holds up nothing. What it said last
    counts for `LAST_KNOWN_S`.
    """

    def __init__(self, environment: Mapping[str, str], now_s: Callable[[], float]) -> None:
        """``now_s`` is a clock that nobody sets, in seconds."""
        self._environment, self._now_s = environment, now_s
        self._known: dict[str, tuple[str, float]] = {}
        self._asked_at_s: dict[str, float] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Vault {self._environment.get('VAULT_ADDR', '')}>"

    def read(self, reference: SecretRef) -> str:
        """The secret. Raises SecretUnavailable, with the reason and never with a value."""
        now_s = self._now_s()
        with self._lock:
            found, known_at_s = self._known.get(reference.name, ("", -math.inf))
            asked_at_s = self._asked_at_s.get(reference.name)
            fresh = now_s - known_at_s < KEPT_S
            asks = not fresh and (asked_at_s is None or now_s - asked_at_s >= ASKED_AGAIN_S)
            if asks:
                if len(self._asked_at_s) >= KEPT_MAX:
                    self._asked_at_s.clear()
                    self._known.clear()
                self._asked_at_s[reference.name] = now_s
        if asks and asked_at_s is None:
            return self._ask(reference)
        if asks:
            threading.Thread(target=self._ask_beside, args=(reference,), daemon=True).start()
        if now_s - known_at_s < LAST_KNOWN_S:
            return found
        raise SecretUnavailable(f"{reference}: the Vault has not given it, and is asked again")

    def _ask(self, reference: SecretRef) -> str:
        found = fetch(reference, self._environment)
        with self._lock:
            self._known[reference.name] = found, self._now_s()
        return found

    def _ask_beside(self, reference: SecretRef) -> None:
        try:
            self._ask(reference)
        except SecretUnavailable as refused:
            import structlog

            structlog.get_logger("bridge.vault").warning("secret-unavailable", reason=str(refused))


def fetch(reference: SecretRef, environment: Mapping[str, str]) -> str:
    """Ask the Vault once. Raises SecretUnavailable."""
    path, _, field = reference.name.partition("#")
    mount, _, rest = path.partition("/")
    headers = {"X-Vault-Token": _token(reference, environment), "X-Vault-Request": "true"}
    if namespace := environment.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    target = f"/v1/{quote(mount)}/data/{quote(rest)}"
    try:
        with closing(_connection(reference, environment)) as connection:
            connection.request("GET", _below(environment) + target, headers=headers)
            with closing(connection.getresponse()) as response:
                status, body = response.status, response.read(ANSWER_MAX_BYTES + 1)
    except (OSError, http.client.HTTPException, ValueError) as error:
        # The text of an error may quote a header; its kind says enough.
        raise SecretUnavailable(f"{reference}: the Vault was not reached: {type(error).__name__}") from None
    if status != http.HTTPStatus.OK:
        says = _STATUSES.get(status, "look at its log")
        raise SecretUnavailable(f"{reference}: the Vault says {status}: {says}")
    found = _field_of(body, field)
    if found is None:
        raise SecretUnavailable(f"{reference}: the Vault's answer has no text {field} (KV version 2)")
    return found


_STATUSES: Final[Mapping[int, str]] = {
    403: "the token has ended, or its policy does not allow reading this",
    404: "there is nothing at this path",
    429: "it is asked too often",
    503: "it is sealed, or being maintained",
}


def _connection(reference: SecretRef, environment: Mapping[str, str]) -> http.client.HTTPConnection:
    address = urlsplit(environment.get("VAULT_ADDR", ""))
    if address.scheme not in ("https", "http") or not address.hostname:
        raise SecretUnavailable(f"{reference}: VAULT_ADDR is not set, as in https://vault.example:8200")
    if address.scheme == "http":
        if address.hostname not in ("localhost", "127.0.0.1", "::1"):
            raise SecretUnavailable(f"{reference}: VAULT_ADDR must be https, but on this machine itself")
        return http.client.HTTPConnection(address.hostname, address.port, timeout=WAIT_S)
    context = ssl.create_default_context(cafile=environment.get("VAULT_CACERT") or None)
    return http.client.HTTPSConnection(address.hostname, address.port, timeout=WAIT_S, context=context)


def _below(environment: Mapping[str, str]) -> str:
    return urlsplit(environment.get("VAULT_ADDR", "")).path.rstrip("/")


def _field_of(body: bytes, field: str) -> str | None:
    """A field of the secret in an answer; None where it is none of KV version 2, or holds no text."""
    if len(body) > ANSWER_MAX_BYTES:
        return None
    try:
        answer: Any = json.loads(body)
        found = answer["data"]["data"][field]
    except (ValueError, RecursionError, KeyError, TypeError, IndexError):
        return None
    return found if isinstance(found, str) and found else None


def _token(reference: SecretRef, environment: Mapping[str, str]) -> str:
    if name := environment.get("VAULT_TOKEN_FILE"):
        try:
            with Path(name).open(encoding="ascii") as file:
                token = file.read(TOKEN_MAX_BYTES).strip()
        except (OSError, ValueError):
            raise SecretUnavailable(f"{reference}: VAULT_TOKEN_FILE cannot be read") from None
    else:
        token = environment.get("VAULT_TOKEN", "")
    if not token or not token.isascii() or not token.isprintable():
        raise SecretUnavailable(f"{reference}: no token; set VAULT_TOKEN_FILE or VAULT_TOKEN")
    return token

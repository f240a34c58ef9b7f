"""Secrets in a Vault (KV version 2), for sites that keep them there: ``secret://vault/MOUNT/PATH#FIELD``.

The API is that of HashiCorp Vault and OpenBao. Where the Vault is and who the bridge is to it, the
environment says: VAULT_ADDR, VAULT_TOKEN_FILE (which an agent keeps fresh) or VAULT_TOKEN, and, where they
are needed, VAULT_NAMESPACE and VAULT_CACERT.
"""

from __future__ import annotations

import http.client
import io
import json
import math
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from functools import partial
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
ANEW_AGAIN_S: Final = 3.0
"""So long it is left alone where what it gave last will not do."""
WAIT_S: Final = 5.0
ANSWER_MAX_BYTES: Final = 1024 * 1024
TOKEN_MAX_BYTES: Final = 16_384
KEPT_MAX: Final = 1000


@dataclass(slots=True)
class _Known:
    found: str = field(default="", repr=False)
    at_s: float = -math.inf
    asked_at_s: float = -math.inf
    asking: threading.Thread | None = None
    waits: bool = False
    hung: bool = False
    refused: str = ""


class Vault:
    """Secrets of a Vault, kept for a while. Threads may ask.

    What it said last counts for `LAST_KNOWN_S`, is given at once, and is asked for anew beside, so that a
    Vault which hangs holds up nothing. Who asks where nothing is known, or nothing that still counts, waits
    for it, `WAIT_S` at most, and for one that hung not again within `KEPT_S`. So does who asks for a
    reference that is `anew`, and is given what is known where nothing else can be had. The main
    thread, whose waiting holds up everything, waits once for all secrets together: while one hangs it is told
    so at once.
    """

    def __init__(self, environment: Mapping[str, str], now_s: Callable[[], float]) -> None:
        """``now_s`` is a clock that nobody sets, in seconds."""
        self._environment, self._now_s = environment, now_s
        self._known: dict[str, _Known] = {}
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"<Vault {self._environment.get('VAULT_ADDR', '')}>"

    def read(self, reference: SecretRef) -> str:
        """The secret. Raises SecretUnavailable, with the reason and never with a value."""
        now_s = self._now_s()
        with self._lock:
            if reference.name not in self._known and len(self._known) >= KEPT_MAX:
                self._known.clear()
            known = self._known.setdefault(reference.name, _Known())
            counts, asked_s = now_s - known.at_s < LAST_KNOWN_S, now_s - known.asked_at_s
            wants = reference.anew or now_s - known.at_s >= KEPT_S
            if wants and asked_s >= (ANEW_AGAIN_S if reference.anew else ASKED_AGAIN_S):
                hung = any(each.hung for each in self._known.values()) if _holds_up_all() else known.hung
                known.waits = not hung or (asked_s >= KEPT_S and not _holds_up_all())
                known.asked_at_s = now_s
                known.asking = threading.Thread(target=self._ask, args=(reference, known), daemon=True)
                known.asking.start()
            asking = known.asking if reference.anew or (known.waits and not counts) else None
        if asking is not None:
            # Not only `fetch` has an end: looking up the Vault's name may take longer.
            asking.join(WAIT_S)
        with self._lock:
            if asking is not None and asking.is_alive():
                known.refused, known.hung = _late(reference), True
            if now_s - known.at_s < LAST_KNOWN_S:
                return known.found
            raise SecretUnavailable(known.refused or _late(reference))

    def _ask(self, reference: SecretRef, known: _Known) -> None:
        try:
            found, refused = fetch(reference, self._environment, self._now_s), ""
        except SecretUnavailable as error:
            found, refused = "", str(error)
        with self._lock:
            known.refused, known.hung = refused, refused == _late(reference)
            if found:
                known.found, known.at_s = found, self._now_s()
            told = refused if known.found else ""  # else whoever waits is told
        if told:
            import structlog

            structlog.get_logger("bridge.vault").warning("secret-unavailable", reason=told)


def _holds_up_all() -> bool:
    """Whether who waits here holds up everything: the reactor runs in the main thread."""
    return threading.current_thread() is threading.main_thread()


def fetch(reference: SecretRef, environment: Mapping[str, str], now_s: Callable[[], float]) -> str:
    """Ask the Vault once, for `WAIT_S` however slowly it answers. Raises SecretUnavailable."""
    path, _, name = reference.name.partition("#")
    mount, _, rest = path.partition("/")
    headers = {"X-Vault-Token": _token(reference, environment), "X-Vault-Request": "true"}
    if namespace := environment.get("VAULT_NAMESPACE"):
        headers["X-Vault-Namespace"] = namespace
    target = f"/v1/{quote(mount)}/data/{quote(rest)}"
    until_s = now_s() + WAIT_S
    try:
        with closing(_connection(reference, environment)) as connection:
            connection.response_class = partial(_response, lambda: until_s - now_s())  # type: ignore[assignment]
            connection.request("GET", _below(environment) + target, headers=headers)
            with closing(connection.getresponse()) as response:
                status, body = response.status, response.read(ANSWER_MAX_BYTES + 1)
    except TimeoutError:
        raise SecretUnavailable(_late(reference)) from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        # The text of an error may quote a header; its kind says enough.
        raise SecretUnavailable(f"{reference}: the Vault was not reached: {type(error).__name__}") from None
    if status != http.HTTPStatus.OK:
        says = _STATUSES.get(status, "look at its log")
        raise SecretUnavailable(f"{reference}: the Vault says {status}: {says}")
    found = _field_of(body, name)
    if found is None:
        raise SecretUnavailable(f"{reference}: the Vault's answer has no text {name} (KV version 2)")
    return found


def _late(reference: SecretRef) -> str:
    return f"{reference}: the Vault has not answered within {WAIT_S:g} s; it is asked again"


class _Within(io.RawIOBase):
    """What a socket receives as long as there is time. A socket's own limit is one for each piece."""

    def __init__(self, sock: socket.socket, left_s: Callable[[], float]) -> None:
        self._sock, self._left_s = sock, left_s
        self._pieces = sock.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        return io.BufferedReader(self)

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int | None:
        left_s = self._left_s()
        if left_s <= 0:
            raise TimeoutError
        self._sock.settimeout(left_s)
        return self._pieces.readinto(buffer)

    def close(self) -> None:
        self._pieces.close()
        super().close()


def _response(left_s: Callable[[], float], sock: socket.socket, **options: Any) -> http.client.HTTPResponse:
    within: Any = _Within(sock, left_s)
    return http.client.HTTPResponse(within, **options)


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


def _field_of(body: bytes, name: str) -> str | None:
    """A field of the secret in an answer; None where it is none of KV version 2, or holds no text."""
    if len(body) > ANSWER_MAX_BYTES:
        return None
    try:
        answer: Any = json.loads(body)
        found = answer["data"]["data"][name]
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

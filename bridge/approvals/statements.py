"""Statements: a person proposes a bundle, agrees to it, or lets it run in an emergency; each signed.

A signature is Ed25519 (RFC 8032) over a line that says what this is and the statement in its canonical form.
The author stands in each statement, so that nobody agrees to a bundle under another author than the one that
all others see.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, get_args

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from bridge.approvals.canonical import canonical
from bridge.message import Microseconds

Does = Literal["propose", "approve", "emergency"]
PUBLIC: Final = "ed25519:"
PRIVATE: Final = "ed25519-private:"
KEY_BYTES: Final = 32
REASON_MAX_CHARACTERS: Final = 1000
EMERGENCY_MAX_S: Final = 24 * 3600
EMERGENCY_MAX_US: Final = EMERGENCY_MAX_S * 1_000_000
_SIGNED_AS: Final = b"bridge statement on a bundle, version 1\n"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one person says of one bundle. ``key`` is the public key that it is signed with."""

    bundle: str
    author: str
    person: str
    does: Does
    at_us: Microseconds
    expires_at_us: Microseconds | None
    reason: str
    key: str
    signature: str = ""

    def as_json(self) -> dict[str, Any]:
        """The same for a file."""
        return asdict(self)

    @classmethod
    def of_json(cls, value: Any) -> Statement:
        """What `as_json` gave. Raises ValueError where it is something else."""
        if not isinstance(value, dict):
            raise ValueError("no statement")
        texts = ("bundle", "author", "person", "does", "reason", "key", "signature")
        at_us, expires_at_us = value.get("at_us"), value.get("expires_at_us")
        right = all(isinstance(value.get(name), str) for name in texts)
        if not right or not _is_time(at_us) or not (expires_at_us is None or _is_time(expires_at_us)):
            raise ValueError("no statement")
        if set(value) != {*texts, "at_us", "expires_at_us"} or value["does"] not in get_args(Does):
            raise ValueError("no statement of this version")
        return cls(**value)

    @property
    def signed(self) -> bytes:
        """What the signature is over."""
        without = {name: value for name, value in self.as_json().items() if name != "signature"}
        return _SIGNED_AS + canonical(without)

    def sign(self, private: str) -> Statement:
        """The same, signed with the private half of its key. Raises ValueError where that is no key."""
        key = _private(private)
        signing = replace(self, key=public_of(private))
        return replace(signing, signature=base64.b64encode(key.sign(signing.signed)).decode())

    @property
    def genuine(self) -> bool:
        """Whether it is as its key signed it."""
        try:
            key = Ed25519PublicKey.from_public_bytes(_bytes(self.key, PUBLIC))
            key.verify(base64.b64decode(self.signature, validate=True), self.signed)
        except (ValueError, InvalidSignature, binascii.Error):
            return False
        return True


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def new_private(random_bytes: Callable[[int], bytes]) -> str:
    """A new private key, as text."""
    return PRIVATE + base64.b64encode(random_bytes(KEY_BYTES)).decode()


def public_of(private: str) -> str:
    """The public half of a private key, as text. Raises ValueError where it is none."""
    return PUBLIC + base64.b64encode(_private(private).public_key().public_bytes_raw()).decode()


def is_public(text: str) -> bool:
    """Whether a text is a public key.

    >>> is_public("ed25519:" + "A" * 43 + "="), is_public("ed25519:AAAA")
    (True, False)
    """
    try:
        return len(_bytes(text, PUBLIC)) == KEY_BYTES
    except ValueError:
        return False


def _private(text: str) -> Ed25519PrivateKey:
    return Ed25519PrivateKey.from_private_bytes(_bytes(text.strip(), PRIVATE))


def _bytes(text: str, kind: str) -> bytes:
    if not text.startswith(kind):
        raise ValueError(f"expected a key that begins with {kind}")
    try:
        found = base64.b64decode(text.removeprefix(kind), validate=True)
    except binascii.Error:
        raise ValueError("the key is cut off, or was changed") from None
    if len(found) != KEY_BYTES:
        raise ValueError("the key is cut off, or was changed")
    return found

"""Statements: a person proposes a bundle, agrees to it, or lets it run in an emergency; each signed.

A signature is Ed25519 (RFC 8032) over a line that says what this is, and the statement in its one form as
JSON. The author stands in each statement, so that nobody agrees to a bundle under another author than the
one that all others see.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, Literal, get_args

from bridge.audit.canonical import canonical
from bridge.audit.notes import Note, Signer, Verifier
from bridge.message import Microseconds

Does = Literal["propose", "approve", "emergency"]
REASON_MAX_CHARACTERS: Final = 1000
EMERGENCY_MAX_S: Final = 24 * 3600
EMERGENCY_MAX_US: Final = EMERGENCY_MAX_S * 1_000_000
_SIGNED_AS: Final = "bridge statement on a bundle, version 1"


@dataclass(frozen=True, slots=True)
class Statement:
    """What one person says of one bundle. ``key`` is the line of the public key that it is signed with."""

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
    def signed(self) -> str:
        """What the signature is over."""
        without = {name: value for name, value in self.as_json().items() if name != "signature"}
        return f"{_SIGNED_AS}\n{canonical(without)}\n"

    def sign(self, signer: Signer) -> Statement:
        """The same, signed."""
        signing = replace(self, key=signer.verifier.line)
        return replace(signing, signature=signature_of(signer, signing.signed))

    @property
    def genuine(self) -> bool:
        """Whether it is as its key signed it."""
        return is_signed(self.signed, self.key, self.signature)


def signature_of(signer: Signer, text: str) -> str:
    """The signature of a person over a text, as base64."""
    ((_, _, signature),) = Note.read(signer.sign(text)).signatures
    return base64.b64encode(signature).decode()


def is_signed(text: str, key: str, signature: str) -> bool:
    """Whether a text is signed with the key of this line."""
    try:
        return Verifier.parse(key).verifies(text, base64.b64decode(signature, validate=True))
    except (ValueError, binascii.Error):
        return False


def _is_time(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0

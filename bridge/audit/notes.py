"""Signed notes (C2SP signed-note) with Ed25519 keys, in the words of Go's ``sumdb/note``, which reads them
too.

A note is a text, an empty line, and a line for each signature: ``— NAME BASE64(key id, signature)``. A key is
told by its name and an id, which comes from name and key.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

KEY_BYTES, ID_BYTES = 32, 4
NAME_MAX_CHARACTERS: Final = 200
NOTE_MAX_CHARACTERS: Final = 1 << 20
SIGNATURES_MAX: Final = 64
_ED25519: Final = b"\x01"
_DASH: Final = "— "
_PRIVATE: Final = "PRIVATE+KEY+"
_LINE = re.compile(f"{_DASH}(?P<name>[^ +]+) (?P<signature>[A-Za-z0-9+/]+=*)")


def _must_be_name(name: str) -> None:
    if not name or len(name) > NAME_MAX_CHARACTERS or "+" in name or any(map(str.isspace, name)):
        raise ValueError("expected a name of a key without blanks and `+`, as in hospital-north/bridge")


def _key_id(name: str, public: bytes) -> bytes:
    return sha256(name.encode() + b"\n" + _ED25519 + public).digest()[:ID_BYTES]


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error:
        raise ValueError("this is no base64") from None


@dataclass(frozen=True, slots=True)
class Verifier:
    """A public key by its name: what whoever checks signatures has been given, on another way than the
    notes."""

    name: str
    public: bytes

    def __post_init__(self) -> None:
        _must_be_name(self.name)
        if len(self.public) != KEY_BYTES:
            raise ValueError("a public key of Ed25519 has 32 bytes")

    @property
    def id(self) -> bytes:
        """What tells this key in a signature line."""
        return _key_id(self.name, self.public)

    @property
    def line(self) -> str:
        """The key as one line, ``NAME+ID+KEY``."""
        return f"{self.name}+{self.id.hex()}+{base64.b64encode(_ED25519 + self.public).decode()}"

    @classmethod
    def parse(cls, line: str) -> Verifier:
        """A key by its line. Raises ValueError."""
        name, _, rest = line.strip().partition("+")
        told_id, _, key = rest.partition("+")
        found = _decoded(key)
        if found[:1] != _ED25519:
            raise ValueError(
                "expected a public key of Ed25519, NAME+ID+KEY; `bridge audit key show` shows it"
            )
        verifier = cls(name, found[1:])
        if verifier.id.hex() != told_id:
            raise ValueError("the id of this key is not the one of its name and content: a part was changed")
        return verifier

    def verifies(self, text: str, signature: bytes) -> bool:
        """Whether this key has signed the text."""
        try:
            Ed25519PublicKey.from_public_bytes(self.public).verify(signature, text.encode())
        except InvalidSignature:
            return False
        return True


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key by its name. It is not shown when this is printed."""

    name: str
    seed: bytes = field(repr=False)

    def __post_init__(self) -> None:
        _must_be_name(self.name)
        if len(self.seed) != KEY_BYTES:
            raise ValueError("a private key of Ed25519 has 32 bytes")

    @property
    def verifier(self) -> Verifier:
        """The public key."""
        public = Ed25519PrivateKey.from_private_bytes(self.seed).public_key().public_bytes_raw()
        return Verifier(self.name, public)

    @property
    def line(self) -> str:
        """The private key as one line, which is a secret."""
        key = base64.b64encode(_ED25519 + self.seed).decode()
        return f"{_PRIVATE}{self.name}+{self.verifier.id.hex()}+{key}"

    @classmethod
    def parse(cls, line: str) -> Signer:
        """A private key by its line. Raises ValueError, which never shows it."""
        text = line.strip()
        if not text.startswith(_PRIVATE):
            raise ValueError(
                "expected a private key, PRIVATE+KEY+NAME+ID+KEY; `bridge audit key new` makes one"
            )
        name, _, rest = text.removeprefix(_PRIVATE).partition("+")
        told_id, _, key = rest.partition("+")
        found = _decoded(key)
        if found[:1] != _ED25519:
            raise ValueError("expected a private key of Ed25519")
        signer = cls(name, found[1:])
        if signer.verifier.id.hex() != told_id:
            raise ValueError("the id of this key is not the one of its name and content: a part was changed")
        return signer

    def sign(self, text: str) -> str:
        """The note: a text that ends with a line break, with a signature. Raises ValueError for another."""
        _must_be_text(text)
        signature = Ed25519PrivateKey.from_private_bytes(self.seed).sign(text.encode())
        line = base64.b64encode(self.verifier.id + signature).decode()
        return f"{text}\n{_DASH}{self.name} {line}\n"


def _must_be_text(text: str) -> None:
    if not text.endswith("\n") or len(text) > NOTE_MAX_CHARACTERS:
        raise ValueError("the text of a note ends with a line break, and is at most 1 MiB long")
    if any(character < " " and character != "\n" for character in text):
        raise ValueError("the text of a note has no control characters")


@dataclass(frozen=True, slots=True)
class Note:
    """A note as it was read: the text, and by name of key what signs it. Nothing is verified yet."""

    text: str
    signatures: tuple[tuple[str, bytes, bytes], ...]
    """Name of the key, its id, the signature."""

    @classmethod
    def read(cls, note: str) -> Note:
        """A note by what it looks like. Raises ValueError where it is none."""
        text, found, lines = note.rpartition("\n\n")
        if not found or not lines.endswith("\n") or len(note) > NOTE_MAX_CHARACTERS:
            raise ValueError("expected a signed note: a text, an empty line, and lines of signatures")
        _must_be_text(text + "\n")
        signatures = []
        for line in lines.splitlines()[: SIGNATURES_MAX + 1]:
            matched = _LINE.fullmatch(line)
            kept = _decoded(matched["signature"]) if matched else b""
            if matched is None or len(kept) <= ID_BYTES:
                raise ValueError("expected a line of a signature, `— NAME BASE64`")
            signatures.append((matched["name"], kept[:ID_BYTES], kept[ID_BYTES:]))
        if not signatures or len(signatures) > SIGNATURES_MAX:
            raise ValueError(f"expected 1 to {SIGNATURES_MAX} signatures")
        return cls(text + "\n", tuple(signatures))

    def signed_by(self, verifiers: Sequence[Verifier]) -> list[Verifier]:
        """Those of the keys that have signed it.

        Raises ValueError where a signature says that it is by one of them, and is not: somebody has changed
        the text, or made the signature up.
        """
        found = []
        for name, key_id, signature in self.signatures:
            for verifier in verifiers:
                if (verifier.name, verifier.id) != (name, key_id):
                    continue
                if not verifier.verifies(self.text, signature):
                    raise ValueError(f"the signature of {name} does not belong to this text")
                found.append(verifier)
        return found

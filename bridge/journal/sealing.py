"""Bodies at rest: compressed where they are long, encrypted where there is a key; and the keys.

A value stands as it is, or begins with `MARK` and says what was done to it:

    MARK | form | [key id 4 | salt 16 | nonce 12] | content
    form: 0 as it is, 1 zstd, 2 AES-256-GCM, 3 zstd and then AES-256-GCM

What is encrypted is bound to the column it stands in (additional data of GCM). A key encrypts nothing itself:
each salt makes a key of it (HKDF, RFC 5869) which seals `VALUES_MAX` values at most, so that no nonce, which
is random, comes twice (NIST SP 800-38D section 8.3).
"""

from __future__ import annotations

import base64
import binascii
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

import zstandard
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from bridge.errors import ItemRefused, JournalRefused

MARK = b"\x00BJ"
_AS_IT_IS, _ZSTD, _AES = 0, 1, 2
KEY_BYTES, KEY_ID_BYTES, SALT_BYTES, NONCE_BYTES = 32, 4, 16, 12
_KEY_ID_AT, _SALT_AT = 4, 8
_NONCE_AT, CONTENT_AT = 24, 36
COMPRESSED_FROM_BYTES = 2048
"""Shorter bodies gain little: a message of 1 KB costs 9 µs to save 400 bytes."""
LEVEL = 3
VALUES_MAX = 1 << 24
OPENED_MAX_BYTES = 1 << 30
NAME_MAX_CHARACTERS = 40
KEYS_MAX = 64


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the journal. ``id`` comes from the key itself, so that another key is never taken for it."""

    name: str
    id: bytes
    secret: bytes = field(repr=False)

    @classmethod
    def made(cls, name: str, secret: bytes) -> Key:
        """A key by its 32 bytes."""
        return cls(name, _derived(secret, b"", b"interface-bridge key id", KEY_ID_BYTES), secret)

    @property
    def line(self) -> str:
        """The key as a line of the secret that holds all keys."""
        return f"{self.name} {base64.b64encode(self.secret).decode()}"


@dataclass(frozen=True, slots=True)
class Keyring:
    """The keys of a journal. The first one seals; the others are retired, and still open what they sealed."""

    keys: tuple[Key, ...]

    @classmethod
    def read(cls, text: str, where: str) -> Keyring:
        """The keys in a secret: a line for each, ``NAME BASE64``, the current one first.

        Raises JournalRefused, which names the line and never shows what is in it.
        """
        keys: dict[bytes, Key] = {}
        for number, line in enumerate(text.splitlines(), 1):
            words = line.split()
            if not words or words[0].startswith("#"):
                continue
            wrong = f"{where}, line {number}: "
            if len(words) != 2 or len(words[0]) > NAME_MAX_CHARACTERS:
                raise JournalRefused(
                    f"{wrong}expected a name and a key in base64, as `bridge journal keys new` writes them"
                )
            try:
                secret = base64.b64decode(words[1], validate=True)
            except (binascii.Error, ValueError):
                secret = b""
            if len(secret) != KEY_BYTES:
                raise JournalRefused(f"{wrong}the key {words[0]!r} is not {KEY_BYTES} bytes in base64")
            made = Key.made(words[0], secret)
            if made.id in keys or made.name in {key.name for key in keys.values()}:
                raise JournalRefused(f"{wrong}the key {words[0]!r} stands there twice")
            keys[made.id] = made
        if not keys:
            raise JournalRefused(
                f"{where} holds no key: `bridge journal keys new` makes one, or unset BRIDGE_JOURNAL_KEYS"
            )
        if len(keys) > KEYS_MAX:
            raise JournalRefused(f"{where} holds more than {KEYS_MAX} keys; take out those that seal nothing")
        return cls(tuple(keys.values()))

    def find(self, key_id: bytes) -> Key | None:
        """The key of this id."""
        return next((key for key in self.keys if key.id == key_id), None)


class Seals:
    """What the connections of one database seal and open bodies with; keys may be exchanged under way."""

    def __init__(
        self, keyring: Keyring | None = None, random_bytes: Callable[[int], bytes] | None = None
    ) -> None:
        """Without ``keyring`` nothing is encrypted; without ``random_bytes`` it can open and not seal."""
        self._random_bytes = random_bytes
        self._local = threading.local()
        self._opening = lru_cache(maxsize=256)(_cipher)
        self.keyring = self._opens = keyring
        self._sealing: _Sealing | None = None

    def with_keys(self, keyring: Keyring) -> Seals:
        """Seals of their own with other keys."""
        return Seals(keyring, self._random_bytes)

    def chance(self, size_bytes: int) -> bytes:
        """Random bytes, for a key of something that is only passing."""
        assert self._random_bytes is not None, "a key needs chance"
        return self._random_bytes(size_bytes)

    def expect(self, keyring: Keyring) -> None:
        """Open with all of these already, among which are all that were in use so far."""
        self._opens = keyring

    def use(self, keyring: Keyring | None) -> None:
        """Seal with the first of these from now on, and open with all of them."""
        self.keyring = self._opens = keyring

    def seal(self, value: bytes, place: str) -> bytes:
        """A value as it is kept; ``place`` is the column."""
        form = _AS_IT_IS
        content = value
        if len(value) >= COMPRESSED_FROM_BYTES:
            shorter = self._zstd().compress(value)
            if len(shorter) < len(value):
                form, content = _ZSTD, shorter
        if self.keyring is not None:
            return self._encrypted(form | _AES, content, self.keyring.keys[0], place)
        if form == _AS_IT_IS and not value.startswith(MARK):
            return value
        return MARK + bytes((form,)) + content

    def open(self, kept: bytes, place: str) -> bytes:
        """A value as it was given. Raises ItemRefused where its key is not there, or it was altered."""
        if not kept.startswith(MARK):
            return kept
        form = kept[len(MARK)] if len(kept) > len(MARK) else -1
        if not 0 <= form <= _ZSTD | _AES:
            raise ItemRefused(f"{place}: a value of an unknown form: a newer bridge wrote it")
        content = self._decrypted(kept, place) if form & _AES else kept[len(MARK) + 1 :]
        if not form & _ZSTD:
            return content
        try:
            size = zstandard.frame_content_size(content)
            if not 0 <= size <= OPENED_MAX_BYTES:
                raise ItemRefused(f"{place}: a value of {size} bytes, more than {OPENED_MAX_BYTES}")
            return zstandard.ZstdDecompressor().decompress(content)
        except zstandard.ZstdError:
            raise ItemRefused(f"{place}: a value is damaged and cannot be unpacked") from None

    def _zstd(self) -> zstandard.ZstdCompressor:
        # One compressor serves one thread at a time.
        found: zstandard.ZstdCompressor | None = getattr(self._local, "zstd", None)
        if found is None:
            found = self._local.zstd = zstandard.ZstdCompressor(level=LEVEL, write_content_size=True)
        return found

    def _encrypted(self, form: int, content: bytes, key: Key, place: str) -> bytes:
        assert self._random_bytes is not None, "sealing with a key needs chance"
        sealing = self._sealing
        if sealing is None or sealing.key is not key or sealing.left <= 0:
            salt = self._random_bytes(SALT_BYTES)
            sealing = self._sealing = _Sealing(key, salt, _cipher(key.secret, salt), VALUES_MAX)
        sealing.left -= 1
        head = MARK + bytes((form,)) + key.id + sealing.salt
        nonce = self._random_bytes(NONCE_BYTES)
        return head + nonce + sealing.cipher.encrypt(nonce, content, head + place.encode())

    def _decrypted(self, kept: bytes, place: str) -> bytes:
        key_id, salt = kept[_KEY_ID_AT:_SALT_AT], kept[_SALT_AT:_NONCE_AT]
        key = None if self._opens is None else self._opens.find(key_id)
        if key is None:
            raise ItemRefused(f"{place}: {missing([key_id], self._opens)}")
        try:
            return self._opening(key.secret, salt).decrypt(
                kept[_NONCE_AT:CONTENT_AT], kept[CONTENT_AT:], kept[:_NONCE_AT] + place.encode()
            )
        except (InvalidTag, ValueError):
            raise ItemRefused(
                f"{place}: a value was altered, or belongs elsewhere: it does not open"
            ) from None


@dataclass(slots=True)
class _Sealing:
    key: Key
    salt: bytes
    cipher: AESGCM
    left: int


def key_id_of(kept: bytes) -> bytes | None:
    """The id of the key that a value is sealed with; None where it is not encrypted."""
    encrypted = kept.startswith(MARK) and len(kept) > CONTENT_AT and kept[len(MARK)] & _AES
    return kept[_KEY_ID_AT:_SALT_AT] if encrypted else None


def missing(key_ids: list[bytes], keyring: Keyring | None) -> str:
    """What to say of keys that are needed and not there."""
    wanted = ", ".join(sorted(each.hex() for each in key_ids))
    known = (
        "no keys are given"
        if keyring is None
        else "given are " + ", ".join(f"{key.name} ({key.id.hex()})" for key in keyring.keys)
    )
    return (
        f"the journal is encrypted with a key of the id {wanted}, and {known}: "
        "name the secret that holds it with BRIDGE_JOURNAL_KEYS"
    )


def _derived(secret: bytes, salt: bytes, what: bytes, length: int) -> bytes:
    return HKDF(hashes.SHA256(), length, salt or None, what).derive(secret)


def _cipher(secret: bytes, salt: bytes) -> AESGCM:
    return AESGCM(_derived(secret, salt, b"interface-bridge bodies", KEY_BYTES))

"""NKEYS of NATS: an Ed25519 seed as text, and what it signs. Pure.

A seed is base32 of two bytes of kind, 32 bytes and a checksum (CRC-16/XMODEM), by the specification of NKEYS.
"""

from __future__ import annotations

import base64
import binascii
import re
from typing import Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

_SEED: Final = 18 << 3
_USER: Final = 20 << 3
_TEXT: Final = re.compile(r"SU[A-Z2-7]{56}")


class NKey:
    """The key of a user: its name in public, and its signatures. Shows no part of its seed."""

    __slots__ = ("_key", "public")

    def __init__(self, seed: str) -> None:
        """Raises ValueError where the text is no user's seed."""
        if not _TEXT.fullmatch(seed):
            raise ValueError("expected the seed of a user's NKEY, 58 letters and digits that begin with SU")
        raw = base64.b32decode(seed + "=" * (-len(seed) % 8))
        body, checksum = raw[:-2], int.from_bytes(raw[-2:], "little")
        if binascii.crc_hqx(body, 0) != checksum:
            raise ValueError("the seed's checksum does not fit: it was cut or changed")
        if body[0] & 0xF8 != _SEED or ((body[0] & 0x07) << 5 | body[1] >> 3) != _USER:
            raise ValueError("expected the seed of a user's NKEY")
        self._key = Ed25519PrivateKey.from_private_bytes(body[2:])
        public = bytes([_USER]) + self._key.public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)
        whole = public + binascii.crc_hqx(public, 0).to_bytes(2, "little")
        self.public: Final = base64.b32encode(whole).decode().rstrip("=")

    def sign(self, nonce: str) -> bytes:
        """The signature of what the server gave, as base64."""
        return base64.b64encode(self._key.sign(nonce.encode()))

"""What stands in the journal for keys and identifiers: hashes under the journal's own index key."""

from __future__ import annotations

import hashlib

SEARCH, PATIENT = b"search", b"patient"
"""What the hashes of search values, and of patients, begin with, so that they are none of those of lanes."""


ALIAS = b"alias"
"""What those begin with that leave the journal: they tell nothing of those that stand in it."""


def as_bytes(text: str) -> bytes:
    """A value as it is hashed. JSON can hold half a character (RFC 8259 §8.2), which is no UTF-8."""
    return text.encode("utf-8", "surrogatepass")


class Hashes:
    """Hashes under one index key, the same in a journal for ever."""

    def __init__(self, index_key: bytes) -> None:
        self.index_key = index_key
        self._keyed = hashlib.blake2b(key=index_key, digest_size=16)

    def hash(self, *parts: bytes) -> bytes:
        """16 bytes that stand for the parts and tell nothing of them."""
        digest = self._keyed.copy()
        for part in parts:
            digest.update(len(part).to_bytes(4, "big"))
            digest.update(part)
        return digest.digest()

    def search_hash(self, value: str) -> bytes:
        """What a value stands as by which messages are found: an identifier as people know it, without the
        assigning authority that may follow ``^``."""
        return self.hash(SEARCH, as_bytes(value.partition("^")[0]))

    def patient(self, key: str) -> str:
        """What a patient stands as in deliveries and disclosures, in hexadecimal; empty for no key."""
        return self.hash(PATIENT, as_bytes(key)).hex() if key else ""

    def alias(self, what: str, value: bytes) -> str:
        """What stands for a value outside the journal, the same each time: 32 hexadecimal digits. The index
        key never leaves, so nobody outside can try values."""
        return self.hash(ALIAS, what.encode(), value).hex()

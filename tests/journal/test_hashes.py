"""What stands in the journal for a value: the same for the same value, whatever a sender puts into it."""

from __future__ import annotations

from bridge.delivery.stages import key_everywhere
from bridge.journal.hashes import Hashes, as_bytes

HASHES = Hashes(b"a key for tests, of 32 bytes or so")
HALF = "\ud800"
"""What a document of JSON may hold as ``"\\ud800"``, and UTF-8 has no bytes for."""


def test_half_a_character_is_hashed_as_any_other() -> None:
    found = {HASHES.search_hash(HALF), HASHES.search_hash("\udfff"), HASHES.hash(as_bytes(HALF))}
    assert len(found) == 3
    assert HASHES.search_hash(f"{HALF}^WARD") == HASHES.search_hash(HALF)
    assert HASHES.patient(HALF) != HASHES.patient("")
    assert key_everywhere("salt", HALF) != key_everywhere("salt", "")


def test_what_is_hashed_of_a_text_are_its_bytes_in_utf_8() -> None:
    assert as_bytes("Müller–7") == "Müller–7".encode()

"""Masking: nothing that a message says is left, and all of its shape."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hl7v2_fixtures import QUIRKS, WELL_FORMED, fixture
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_mask import masked

WORD = "Kanarie"


@pytest.mark.parametrize("path", WELL_FORMED, ids=lambda path: path.stem)
def test_a_masked_message_has_the_shape_of_the_message(path: Path) -> None:
    body = path.read_bytes()
    before, after = Hl7Message.read(body), Hl7Message.read(masked(body))
    assert after.named("MSH")[0].serialise() == before.named("MSH")[0].serialise()
    for one, other in zip(before.segments[1:], after.segments[1:], strict=True):
        assert (one.name, one.fields_count) == (other.name, other.fields_count)
        assert re.sub(r"[^|^~&\\]", "x", one.serialise()) == re.sub(r"[^|^~&\\]", "x", other.serialise())
        assert not re.search(r"[a-wyzA-WYZ0-8]", re.sub(r"\\[A-Z.a-z0-9]+\\", "", other.serialise()[3:]))


@given(
    # What stands in a second MSH is kept, as that of the first is.
    st.sampled_from([path for path in (*WELL_FORMED, *QUIRKS) if path.read_bytes().count(b"MSH|") < 2]),
    st.integers(0, 400),
    st.sampled_from(["|", "\r", "^", "\\", " "]),
)
def test_a_planted_word_outside_msh_is_never_left(path: Path, at: int, before: str) -> None:
    body = path.read_bytes()
    header = len(re.split(rb"[\r\n]", body)[0]) + 1
    at = min(header + at, len(body))
    planted = body[:at] + (before + WORD).encode() + body[at:]
    assert WORD.encode() not in masked(planted)
    assert len(masked(planted)) == len(planted)


@given(st.binary(max_size=200))
def test_any_bytes_can_be_masked(body: bytes) -> None:
    assert len(masked(body)) == len(body)
    assert masked(masked(body)) == masked(body)


def test_what_is_no_message_is_masked_wholly() -> None:
    assert masked(b"Kanarie 1947\r") == b"Xxxxxxx 9999\r"
    assert WORD.encode("utf-16-le") not in masked("MSH|^~\\&|Kanarie\rPID|Kanarie".encode("utf-16-le"))


def test_the_escapes_of_the_standard_stay() -> None:
    note = masked(b"MSH|^~\\&|A\rNTE|1|L|a\\T\\b\\.br\\c\\X0D\\\r").split(b"\r")[1]
    assert note == b"NTE|9|X|x\\T\\x\\.br\\x\\X9X\\"
    assert masked(fixture("hl7v2/adt_a01")) != fixture("hl7v2/adt_a01")

"""Whom a message is about that goes as it came, by its own numbers."""

from __future__ import annotations

import pytest
from lane_messages import merge, message

from bridge.formats.document import Document
from bridge.formats.hl7v2 import Hl7Message
from bridge.runtime.patients import patients_in


@pytest.mark.parametrize(
    ("body", "patients"),
    [
        (message(1, 1).body, ("NORTH:100001",)),
        (merge(1, 2).body, ("NORTH:100001", "NORTH:100002")),
        (merge(1, 2).body.replace(b"MRG|100002^^^NORTH", b"MRG|100002"), ("NORTH:100001", "NORTH:100002")),
        (message(1, 1).body.split(b"PID|")[0], ()),
    ],
)
def test_a_message_is_about_its_patient_and_the_one_that_it_ends(
    body: bytes, patients: tuple[str, ...]
) -> None:
    assert patients_in(Hl7Message.read(body)) == patients


def test_of_two_merges_in_one_message_each_number_has_the_authority_of_its_own_pair() -> None:
    pair = b"PID|1||7^^^EAST^MR\rMRG|8\r"
    found = patients_in(Hl7Message.read(merge(1, 2).body + pair))
    assert sorted(found) == ["EAST:7", "EAST:8", "NORTH:100001", "NORTH:100002"]


def test_a_document_is_about_nobody_that_its_segments_tell() -> None:
    assert patients_in(Document.of_record({})) == ()  # type: ignore[arg-type]

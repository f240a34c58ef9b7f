"""Keys for order: one text for a message, qualified by the assigning authority."""

from __future__ import annotations

import pytest
from mapping_texts import message_with

from bridge.config.yaml_tree import read_tree
from bridge.formats.hl7v2 import Hl7Message
from bridge.mapping.keys import Key, compile_key


def key_of(text: str) -> Key:
    node, _ = read_tree(text, "c.yaml")
    assert node is not None
    key, problems = compile_key(node)
    assert key is not None, problems
    return key


KEYS = [
    # expression, PID-3, the key
    ("PID-3(5=MR)", "1^^^EAST^PI~2^^^NORTH^MR", "2^NORTH"),
    ("PID-3(5=MR).1", "1^^^EAST^PI~2^^^NORTH^MR", "2^NORTH"),
    ("PID-3", "1^^^EAST^PI~2^^^NORTH^MR", "1^EAST"),
    ("PID-3(2).1", "1^^^EAST^PI~2^^^NORTH^MR", "2^NORTH"),
    ("PID-3(5=MR)", "2^^^NORTH&1.2.3&ISO^MR", "2^NORTH"),
    ("PID-3(5=MR)", "2^^^^MR", "2"),
    ("PID-3.5", "2^^^NORTH^MR", "MR"),
    ("PID-3(5=MR)", "2^^^NORTH^PI", None),
    ("PID-3(5=MR)", "^^^NORTH^MR", None),
    ("PID-3(5=MR)", '""^^^NORTH^MR', None),
    ("PID-3", '""', None),
    ("PID-3", "", None),
    ("[PID-18, PID-3]", "2^^^NORTH^MR", "2^NORTH"),
    ("PV1-19", "", "V-77"),
    ("\"join('-', PV1-19.1, PID-3.1)\"", "2", "V-77-2"),
    ("\"join('-', PV1-19.1, PID-3.1)\"", "", None),
    ("MRG-1", "2", None),
]


@pytest.mark.parametrize(("text", "identifiers", "expected"), KEYS)
def test_a_key_is_qualified_by_its_assigning_authority(
    text: str, identifiers: str, expected: str | None
) -> None:
    assert key_of(text)(message_with(PID_3=identifiers)) == expected


def test_a_message_that_cannot_be_read_has_no_key() -> None:
    assert key_of("PID-3")(Hl7Message.read(b"?")) is None


@pytest.mark.parametrize(
    ("text", "code", "column"),
    [
        ("{all: [PID-3, MRG-1]}", "E204", 1),
        ("PID-3(*)", "E112", 1),
        ("PID-5", "E107", 1),
        ("PV1-2 = 'I'", "E112", 1),
        ("PID-3(5=MR", "E105", 6),
        ("[PID-3, mrn]", "E114", 9),
    ],
)
def test_what_is_no_key_is_refused_where_it_stands(text: str, code: str, column: int) -> None:
    node, _ = read_tree(text, "c.yaml")
    assert node is not None
    key, problems = compile_key(node)
    assert key is None
    assert [(problem.code, problem.place.column) for problem in problems] == [(code, column)]

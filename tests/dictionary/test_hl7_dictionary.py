"""The dictionary of HL7 v2 names: what it knows, by version, and that it invents nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from code_reading import ROOT

from bridge.cli.trees import leaves, names_of
from bridge.dictionary.hl7v2 import dictionary
from bridge.dictionary.hl7v2_names import UNKNOWN, Names
from bridge.formats.hl7v2_check import split_messages
from bridge.formats.hl7v2_tree import named_tree
from bridge.mapping.hl7_fields import COMPLEX, FIELDS_MAX, SEGMENTS

FIXTURES = sorted((ROOT / "legacy_fixtures").rglob("*.hl7"))

FIELDS: list[tuple[str, int, str | None, tuple[str, str, int] | None]] = [
    ("PID", 3, "2.5.1", ("Patient Identifier List", "CX", 0)),
    ("PID", 3, "2.2", ("Patient ID", "CM_PAT_ID", 0)),
    ("PID", 8, "2.5.1", ("Administrative Sex", "IS", 1)),
    ("PID", 8, "2.8.2", ("Administrative Sex", "CWE", 1)),
    ("PID", 40, None, ("Patient Telecommunication Information", "XTN", 0)),
    ("OBX", 5, "2.5.1", ("Observation Value", "", 0)),
    ("PV1", 19, "2.5.1", ("Visit Number", "CX", 0)),
    ("FT1", 10, "2.3", ("Transaction Quantity", "NM", 0)),
    ("PID", 0, None, None),
    ("PID", 41, None, None),
    ("QQQ", 1, None, None),
]


@pytest.mark.parametrize(("segment", "number", "version", "expected"), FIELDS)
def test_a_field_has_the_name_type_and_table_of_its_version(
    segment: str, number: int, version: str | None, expected: tuple[str, str, int] | None
) -> None:
    found = dictionary().field(segment, number, version)
    assert (found and (found.name, found.data_type, found.table)) == expected


LEAVES: list[tuple[str, str, int, int, int, str, str, bool]] = [
    ("2.5.1", "PID", 5, 1, 1, "", "Patient Name: Family Name, Surname", True),
    ("2.5.1", "PID", 3, 4, 2, "", "Patient Identifier List: Assigning Authority, Universal ID", True),
    ("2.5.1", "PID", 1, 1, 1, "", "Set ID - PID", True),
    ("2.5.1", "PID", 1, 2, 1, "", f"Set ID - PID: component {UNKNOWN}", False),
    ("2.5.1", "PID", 3, 13, 1, "", f"Patient Identifier List: component {UNKNOWN}", False),
    ("2.5.1", "OBX", 5, 2, 1, "CE", "Observation Value: Text", True),
    ("2.5.1", "OBX", 5, 1, 1, "NM", "Observation Value", True),
    ("2.5.1", "OBX", 5, 2, 1, "NM", f"Observation Value: component {UNKNOWN}", False),
    ("2.3", "PID", 39, 1, 1, "", "Tribal Citizenship (from v2.5): Identifier", True),
    ("nonsense", "PID", 8, 1, 1, "", "Administrative Sex: Identifier", True),
    ("", "ZPI", 1, 1, 1, "", "the site's own field", False),
    ("2.5.1", "QQQ", 1, 1, 1, "", UNKNOWN, False),
]


@pytest.mark.parametrize("case", LEAVES, ids=[f"{each[0]} {each[1]}-{each[2]}.{each[3]}" for each in LEAVES])
def test_a_place_is_named_and_an_unknown_one_said_to_be_unknown(
    case: tuple[str, str, int, int, int, str, str, bool],
) -> None:
    version, segment, field, component, subcomponent, told, text, known = case
    found = Names(version).leaf(segment, field, component, subcomponent, told)
    assert (found.text, found.known) == (text, known)


def test_it_holds_all_versions_from_2_1_to_2_8_2() -> None:
    names = dictionary()
    assert names.versions == (
        "2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8", "2.8.1", "2.8.2",
    )  # fmt: skip
    assert len(names.segments) > 180
    assert len(names.structures) > 400
    assert len(names.tables) > 500
    assert names.known_version("2.9") is None


def test_everything_in_it_has_a_name() -> None:
    names = dictionary()
    for name in names.segments:
        found = names.segment(name)
        assert found is not None, name
        assert found.name, name
    assert all((table := names.table(each)) is not None and table.name for each in names.tables)


def test_what_the_compiler_of_mappings_knows_agrees_with_it() -> None:
    names = dictionary()
    # Version 2.9 has more fields than those the dictionary knows, never fewer.
    for name, most in FIELDS_MAX.items():
        found = names.segment(name)
        assert found is not None, name
        assert found.count <= most, name
    for (segment, number), data_type in COMPLEX.items():
        field = names.field(segment, number)
        assert field is not None
        versions = [names.field(segment, number, each) for each in field.versions]
        assert data_type in {each.data_type for each in versions if each}, (segment, number)
    assert set(names.segments) - SEGMENTS == set()


def test_a_message_type_finds_its_structure() -> None:
    names = dictionary()
    assert names.structure_of("ADT", "A04") == "ADT_A01"
    assert names.structure_of("ORU", "R01") == "ORU_R01"
    assert names.structure_of("ACK", "A01") == "ACK"
    assert names.structure_of("ADT", "Q99") is None
    found = names.structure("ORU_R01", "2.5.1")
    assert found is not None
    assert found.syntax.startswith("MSH [{SFT}] {[PID [PD1]")


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_every_value_of_the_fixtures_has_a_name_or_is_said_to_be_unknown(path: Path) -> None:
    data = path.read_bytes()
    for message in list(split_messages(data)) or [data]:
        tree = named_tree(message)
        names = names_of(tree)
        for segment in tree.segments:
            assert names.segment(segment.name).text
            for leaf in leaves(segment, names):
                assert leaf.name
                assert leaf.known or "unknown" in leaf.name or leaf.path.startswith("Z"), leaf.path


def test_nothing_reads_it_before_somebody_asks() -> None:
    code = (
        "import bridge.dictionary.hl7v2 as d, bridge.cli.hl7_names\n"
        "assert d.dictionary.cache_info().currsize == 0\n"
        "d.dictionary(); d.dictionary()\n"
        "assert d.dictionary.cache_info().misses == 1\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr

"""Code tables in files, by sender and day; fragments that mappings share; and what a digest covers."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest
from mapping_texts import companions_of, issues_of, message_with, patient_text, plan_of, problems_of

from bridge.catalog import STANDARD
from bridge.config.load import load, load_mapping
from bridge.config.yaml_tree import read_tree
from bridge.errors import ConfigurationRefused
from bridge.mapping.companions import pinned

CSV = """\
from,to,valid_from,valid_to,sender,note
F,female,,,,
M,male,,,,
"A,B",other,,,,quoted
X,unknown,2024-01-01,2024-06-30,,first half
X,other,2024-07-01,,,second half
M,female,,,EAST,they count otherwise
M,other,2024-02-01,2024-02-29,EAST,for one month
"""
TABLE = "tables: {sex: {file: tables/sex.csv, owner: registration, as_of: PV1-44, sender: MSH-4.1}}\n"
RULE = "      sex: {from: PID-8, translate: sex, unmapped: null}\n"


def sex(sent: str, sender: str, day: str) -> Any:
    plan = _plan()
    mapped = plan.run(message_with(PID_8=sent, MSH_4=sender, PV1_44=day))
    return mapped.records[0].fields.get("sex", "absent"), issues_of(mapped)


def _plan() -> Any:

    return plan_of(patient_text(RULE, more=TABLE), beside={"tables/sex.csv": CSV})


LOOKED_UP = [
    # code, sender, day, what it becomes, issues
    ("F", "NORTH", "20240301", "female", []),
    ("F", "NORTH", "", "female", []),
    ("A,B", "NORTH", "", "other", []),
    ("X", "NORTH", "20240101", "unknown", []),
    ("X", "NORTH", "202406302359", "unknown", []),
    ("X", "NORTH", "20240701", "other", []),
    ("X", "NORTH", "2024", "unknown", []),
    ("X", "NORTH", "20231231", "absent", ["R030 sex"]),
    ("X", "NORTH", "", "absent", ["R030 sex"]),
    ("X", "NORTH", "soon", "absent", ["R030 sex"]),
    ("M", "NORTH", "20240215", "male", []),
    ("M", "EAST", "20240301", "female", []),
    ("M", "EAST", "20240215", "other", []),
    ("M", "EAST", "", "female", []),
    ("Q", "EAST", "20240215", "absent", ["R030 sex"]),
]


@pytest.mark.parametrize(("code", "sender", "day", "expected", "issues"), LOOKED_UP)
def test_a_code_means_what_it_means_to_its_sender_on_its_day(
    code: str, sender: str, day: str, expected: str, issues: list[str]
) -> None:
    assert sex(code, sender, day) == (expected, issues)


BROKEN = [
    # the table's file, line, code, a word of what is said
    ("from,to\nF,femal\n", 2, "E241", "female"),
    ("from;to\nF;female\n", 1, "E247", "'from' and 'to'"),
    ("from;to;source\nF;female;x\n", 1, "E247", "separated by semicolons"),
    ("from\tto\nF\tfemale\n", 1, "E247", "separated by tabs"),
    ("from,too\nF,female\n", 1, "E247", "'to'"),
    ("from,to\nF\n", 2, "E247", "1 values"),
    ("from,to\n,female\n", 2, "E247", "empty"),
    ("from,to\n", 1, "E247", "no rows"),
    ("from,to,to\nF,female,x\n", 1, "E247", "twice"),
    ("from,to\nF,female\nF,male\n", 3, "E246", "twice"),
    ("from,to,valid_from\nF,female,soon\n", 2, "E247", "2024-01-31"),
    ("from,to,valid_from\nF,female,2024-01\n", 2, "E247", "2024-01-31"),
    ("from,to,valid_from,valid_to\nF,female,2024-02-01,2024-01-01\n", 2, "E247", "before"),
    ("from,to,valid_from,valid_to\nF,female,,2024-02-01\nF,male,2024-02-01,\n", 3, "E246", "twice"),
    ('from,to\n"F,female\n', 3, "E247", "CSV"),
    ("from,to\nF,\xff\n", 2, "E247", "UTF-8"),
]


@pytest.mark.parametrize(("table", "line", "code", "word"), BROKEN, ids=[each[0] for each in BROKEN])
def test_a_mistake_in_a_table_is_shown_at_its_line(table: str, line: int, code: str, word: str) -> None:
    text = patient_text(RULE, more="tables: {sex: tables/sex.csv}\n")
    found = [each for each in problems_of(text, beside={"tables/sex.csv": table}) if each.code != "E245"]
    assert [(each.place.file, each.place.line, each.code) for each in found] == [
        ("tables/sex.csv", line, code)
    ], "\n".join(map(str, found))
    assert word in f"{found[0].text} {found[0].hint}"


IN_THE_MAPPING = [
    ("tables: {sex: tables/sx.csv}", "E240", "'tables/sex.csv'"),
    ("tables: {sex: tables/sex.csv}", "E245", "as_of"),
    ("tables: {sex: {file: tables/sex.csv, as_of: PV1-44}}", "E245", "sender"),
    ("tables: {sex: {file: tables/sex.csv, as_of: PV1-44, sender: PV-4}}", "E105", "PV"),
    ("tables: {sex: {file: tables/sex.csv, as_of: PV1-44, sender: length(MSH-4.1)}}", "E112", "number"),
    ("tables: {sex: {file: tables/sex.csv, as_of: PV1-44, sender: MSH-4.1, fil: x}}", "E200", "'file'"),
    ("tables: {sex: {codes: {F: female}, file: tables/sex.csv}}", "E224", "delete one"),
    ("tables: {sex: {codes: {F: female}, as_of: PV1-44}}", "E224", "delete as_of"),
]


@pytest.mark.parametrize(("table", "code", "word"), IN_THE_MAPPING)
def test_a_table_is_told_which_sender_and_which_day(table: str, code: str, word: str) -> None:
    found = problems_of(patient_text(RULE, more=f"{table}\n"), beside={"tables/sex.csv": CSV})
    assert {problem.code for problem in found} == {code}
    assert any(word in f"{problem.text} {problem.hint}" for problem in found)


FRAGMENT = """\
fragment: person
owner: registration
tables: {sex: {F: female, M: male}}
let: {shown: PID-5.1 | upper}
set: {family: shown, sex: {from: PID-8, translate: sex}, given: PID-5.2}
ignore: [{path: PID-1, because: set id}]
"""
INCLUDING = "tables: {include: person}\nlet: {include: person}\nignore: [{include: person}]\n"


def test_a_fragment_gives_the_part_of_the_same_name_and_the_mapping_goes_before_it() -> None:
    plan = patient_plan_with("      include: person\n      given: {const: own}\n")
    (record,) = plan.run(message_with()).records
    assert (record.fields["family"], record.fields["sex"], record.fields["given"]) == (
        "OKAFOR",
        "female",
        "own",
    )
    assert [entry.text for entry in plan.ignores] == ["PID-1"]


def patient_plan_with(rules: str) -> Any:

    return plan_of(patient_text(rules, more=INCLUDING), beside={"fragments/person.yaml": FRAGMENT})


BESIDE = "fragments/person.yaml"
BROKEN_FRAGMENTS = [
    ("include: persn", FRAGMENT, "m.yaml", "E248", "'person'"),
    ("include: []", FRAGMENT, "m.yaml", "E204", "several"),
    ("include: person", "fragment: person\n", "m.yaml", "E248", "it has: fragment"),
    (
        "include: person",
        "fragment: person\nset: {include: person}\n",
        "fragments/person.yaml",
        "E248",
        "itself",
    ),
    (
        "include: person",
        "fragment: person\nset: {famly: PID-5.1}\n",
        "fragments/person.yaml",
        "E220",
        "'family'",
    ),
    ("include: person", "fragment: person\nemit: []\n", "fragments/person.yaml", "E200", "set"),
]


@pytest.mark.parametrize(("rule", "fragment", "file", "code", "word"), BROKEN_FRAGMENTS)
def test_a_mistake_in_a_fragment_is_shown_where_it_stands(
    rule: str, fragment: str, file: str, code: str, word: str
) -> None:
    found = problems_of(patient_text(f"      {rule}\n"), beside={"fragments/person.yaml": fragment})
    assert found[0].code == code
    assert found[0].place.file == file
    assert word in f"{found[0].text} {found[0].hint}"


def test_the_digest_of_a_mapping_changes_with_its_tables_and_with_nothing_else_beside_it() -> None:
    text = patient_text(RULE, more="tables: {sex: tables/sex.csv}\n")
    tree, _ = read_tree(text, "m.yaml")
    without = pinned(text.encode(), tree, {})
    assert without == (text.encode(), hashlib.sha256(text.encode()).hexdigest())
    beside = companions_of({"tables/sex.csv": CSV, "tables/other.csv": CSV})
    content, digest = pinned(text.encode(), tree, beside)
    assert content.endswith(b"# tables/sex.csv sha256:0\n")
    assert b"other.csv" not in content
    assert digest == hashlib.sha256(content).hexdigest()
    assert read_tree(content.decode(), "m.yaml")[0] == tree


def site(folder: Path) -> Path:
    text = patient_text(RULE, more=TABLE).replace("mapping: trial", "mapping: m")
    for name, content in (("m.yaml", text), ("tables/sex.csv", CSV)):
        (folder / "mappings" / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / "mappings" / name).write_text(content)
    return folder


def test_a_folder_brings_its_tables_and_a_changed_table_is_another_configuration(tmp_path: Path) -> None:
    plan = load_mapping(site(tmp_path) / "mappings" / "m.yaml")
    assert plan.run(message_with(PID_8="F")).records[0].fields["sex"] == "female"
    (tmp_path / "mappings" / "tables" / "sex.csv").write_text(CSV.replace("F,female", "F,other"))
    changed = load_mapping(tmp_path / "mappings" / "m.yaml")
    assert changed.digest != plan.digest
    (tmp_path / "mappings" / "tables" / "sex.csv").write_text("from,to\nF,woman\n")
    with pytest.raises(ConfigurationRefused) as refused:
        load_mapping(tmp_path / "mappings" / "m.yaml")
    told = [(each.place.file, each.code) for each in refused.value.problems]
    assert (str(tmp_path / "mappings" / "tables" / "sex.csv"), "E241") in told


def test_what_a_node_keeps_of_a_mapping_names_its_tables(tmp_path: Path) -> None:
    root = site(tmp_path)
    for name in ("channels/ehr-adt.yaml", "channels/apis/ehr.patients.yaml"):
        source = Path(__file__).parents[2] / name
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        text = source.read_text().replace("mapping: adt-admit", "mapping: m")
        text = text.replace("[ADT^A01, ADT^A03, ADT^A04, ADT^A08, ADT^A11, ADT^A40]", "[ADT^A01]")
        text = text.replace(", merge: mergePatients", "")
        (root / name).write_text(text[: text.find("  - route: encounter")] if "route:" in text else text)
    topology = load(root, STANDARD)
    plan = topology.plans["m"]
    kept = {file.name: file for file in topology.mapping_files}
    assert set(kept) == {"mappings/m.yaml", "mappings/tables/sex.csv"}
    mapping = kept["mappings/m.yaml"]
    assert mapping.digest == plan.digest == hashlib.sha256(mapping.content).hexdigest()
    assert kept["mappings/tables/sex.csv"].digest.encode() in mapping.content

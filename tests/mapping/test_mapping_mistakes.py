"""Mistakes in mapping files are shown where they stand, with their code and a hint that helps."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mapping_texts import HEAD, patient_text, problems_of

import bridge.mapping
from bridge.mapping.codes import CODES

R = 11  # The line of the first rule in `patient_text`.

EMIT = """\
emit:
  - record: patient
    key: PID-3(5=MR).1
    set: {identifiers: {list: [{value: PID-3(5=MR).1}]}}
"""
TABLED = EMIT.replace("}]}}", "}]}, race: {from: PID-10.1, translate: sex}}")
GROUPED = HEAD.replace("format: hl7v2", "format: hl7v2, groups: {GROUPS}") + EMIT
CHARGE = (
    HEAD
    + """\
emit:
  - record: charge
    key: FT1-2.1
    set:
      account: PID-18.1
      code: FT1-7.1
      kind: {const: charge}
      quantity: {const: 1}
      service_date: FT1-4.1
      amount: AMOUNT
      currency: {const: USD}
"""
)
ENCOUNTER = "  - {record: encounter, key: PV1-19.1, set: {patient: {ref: patient}}}\n"

RULES = [
    # rule of a patient, line, column, code, a word of the text or hint
    ("      famly: PID-5.1", R, 7, "E220", "did you mean 'family'"),
    ("      ext: {study: ZST-1}", R, 7, "E220", "`ext` stands beside `set`"),
    ("      family: PID-5", R, 15, "E107", "PID-5.1"),
    ("      family: PID-5.1 | trimm", R, 25, "E110", "'trim'"),
    ("      family: PID-99", R, 15, "E106", "40"),
    ("      family: PDI-5.1", R, 15, "E108", "'PID'"),
    ("      family: PIX-5.1", R, 15, "E108", "'PID'"),
    ("      family: PVI-3.1", R, 15, "E108", "'PV1'"),
    ("      family: PID-5.99", R, 15, "E119", "it has 15"),
    ("      family: OBX-99", R, 15, "E106", ""),
    ("      family: MSH-4.1.7", R, 15, "E119", "it has none"),
    ("      family: PID-5.1.9", R, 15, "E119", "it has 5"),
    ("      family: PID-8.8.2", R, 15, "E119", "it has none"),
    ("      family: PID-3(40=MR).1", R, 15, "E119", "it has 12"),
    ("      family: Pid-5.1", R, 15, "E105", "'PID'"),
    ("      family: pid-5.1", R, 15, "E105", "PID"),
    ("      family: PIDD-5.1", R, 15, "E105", "three capitals"),
    ("      family: PID-5[1].1", R, 20, "E105", "parentheses"),
    ("      family: PID-5.1.1.1", R, 24, "E105", "PID-3(2).4.1"),
    ("      family: PID-0", R, 15, "E105", "from 1"),
    ("      family: join(' ', PID-5.1", R, 32, "E101", "')'"),
    ("      family: PID-5.1 PID-5.2", R, 23, "E104", "join"),
    ("      family: PID-5.1 + \u2018x\u2019", R, 25, "E104", "straight"),
    ('      family: "\'DOE"', R, 16, "E102", "closing"),
    ("      family: PID-5.1 | substr('a')", R, 32, "E112", "number"),
    ("      family: PID-5.1 | trim(1)", R, 25, "E111", "takes 1"),
    ("      family: mrn", R, 15, "E114", "quotes: 'mrn'"),
    ("      family: trim", R, 15, "E114", "trim(...)"),
    ("      family: PID-3(*).1", R, 15, "E244", "first"),
    ("      family: PV1-2 = 'I'", R, 15, "E244", "bool"),
    ("      family: if(PV1-2, PID-5.1)", R, 18, "E112", "present"),
    ("      family: if(PV1-2 = 1, PID-5.1)", R, 24, "E113", "quotes"),
    ("      family: if(PV1-2 = 'I', PID-5.1, 7)", R, 15, "E113", "number"),
    ("      family: PID-5.1 | date_fmt('%y%m%d')", R, 34, "E116", "%Y"),
    ("      family: $.name", R, 15, "E109", "rows"),
    ("      family: PID(x)-5.1", R, 15, "E105", "NTE(2)"),
    ("      family: NTE(*)-3", R, 15, "E244", "first"),
    ("      family: PV-5", R, 15, "E105", "three capitals"),
    ("      family: $nme.x", R, 15, "E105", "$root"),
    ("      family: {from: PID-5.1, onerror: null}", R, 31, "E221", "'on_error'"),
    ("      family: {from: PID-5.1, on_error: none}", R, 41, "E205", "keep_raw"),
    ("      family: {from: PID-5.1, on_error: hold}", R, 41, "E190", "hold"),
    ("      family: {from: PID-5.1, const: DOE}", R, 15, "E224", "exactly one"),
    ("      family: {required: true}", R, 15, "E224", "exactly one"),
    ("      family: {from: PID-5.1, unmapped: keep}", R, 41, "E224", "translate"),
    ("      family: {from: PID-5.1, on_error: default}", R, 41, "E224", "default: ..."),
    ("      family: {from: PID-5.1, tag: PUB}", R, 36, "E226", "PHI"),
    ("      family: {ref: patient}", R, 21, "E244", "expression"),
    ("      family: {for_each: NK1, set: {}}", R, 16, "E221", "for_each"),
    ("      sex: PID-8", R, 12, "E242", "add translate"),
    ("      sex: {from: PID-8, translate: sx}", R, 37, "E240", "tables"),
    ("      sex: {const: man}", R, 20, "E225", "female"),
    ("      sex: if(PID-8 = 'F', 'female', 'man')", R, 12, "E225", "male"),
    ("      birth_date: {from: PID-7, default: someday}", R, 42, "E225", "HL7 date"),
    ("      birth_date: {from: PID-7, on_error: keep_raw}", R, 43, "E224", "raw"),
    ("      replaces: {ref: encounter}", R, 23, "E230", "above"),
    ("      race: {list: {for_each: PID-10.1, set: PID-10.1}}", R, 31, "E233", "without"),
    ("      race: {list: {for_each: oder, set: PID-10.1}}", R, 31, "E233", "field"),
    ("      race: {list: {for_each: PDI, set: PID-10.1}}", R, 31, "E108", "'PID'"),
    ("      family: {from: PID-5.1, mode: add}", R, 37, "E224", "lists"),
    ("      family: [PID-5.1, 7]", R, 7, "E113", "number"),
]

FILES = [
    # file, line, column, code, a word of the text or hint
    (HEAD.replace("version: 1.0.0", "version: 1.0") + EMIT, 2, 10, "E206", "1.0.0"),
    (HEAD.replace("owner: clinical-integration\n", "") + EMIT, 1, 1, "E203", "'owner'"),
    (HEAD.replace("canonical/1", "canonical/2") + EMIT, 4, 9, "E205", "canonical/1"),
    (HEAD.replace("Chicago", "Chigago") + EMIT, 5, 54, "E201", "'America/Chicago'"),
    (HEAD.replace("ADT^A01", "ADT_A01") + EMIT, 5, 34, "E206", "ADT^A01"),
    (HEAD.replace("hl7v2", "edifax") + EMIT, 5, 18, "E205", "edifact"),
    (HEAD.replace("format: hl7v2", "format: hl7v2, encoding: ascii") + EMIT, 5, 25, "E207", "charset"),
    (GROUPED.replace("GROUPS", "a: {anchor: OBZ}"), 5, 46, "E108", "OBX"),
    (GROUPED.replace("GROUPS", "a: {anchor: OBX, in: b}"), 5, 55, "E234", "'b'"),
    (GROUPED.replace("GROUPS", "row: {anchor: OBX}"), 5, 34, "E206", "letters"),
    (GROUPED.replace("GROUPS", "a: {anchor: OBX}, b: {anchor: OBX}"), 5, 52, "E222", "same segment"),
    (HEAD + EMIT + "test: []\n", 10, 1, "E200", "'tests'"),
    (HEAD + "emit: []\n", 6, 7, "E204", "empty"),
    (HEAD + EMIT.replace("record: patient", "record: pateint"), 7, 13, "E210", "'patient'"),
    (HEAD + EMIT.replace("    key: PID-3(5=MR).1\n", ""), 7, 5, "E211", "join"),
    (
        HEAD + EMIT.replace("{identifiers: {list: [{value: PID-3(5=MR).1}]}}", "{}"),
        9,
        10,
        "E223",
        "'identifiers'",
    ),
    (HEAD + EMIT + EMIT.removeprefix("emit:\n"), 10, 13, "E222", "excludes"),
    # Money is never a float: not written as one, and with no more digits than an amount has.
    (CHARGE.replace("AMOUNT", "1.5e3"), 15, 18, "E104", "'e3'"),
    (CHARGE.replace("AMOUNT", "{const: 1e3}"), 15, 23, "E225", "decimal"),
    (CHARGE.replace("AMOUNT", "{from: FT1-11.1, default: 12.345678}"), 15, 7, "E225", "this default"),
    (HEAD + EMIT.replace("    set", "    for_each: oder\n    set"), 9, 15, "E233", "groups"),
    (HEAD + EMIT.replace("    set", "    operation: upsrt\n    set"), 9, 16, "E205", "'upsert'"),
    (HEAD + EMIT.replace("    set", "    when: PV1-2\n    set"), 9, 11, "E112", "compare"),
    (HEAD + EMIT + ENCOUNTER.replace("ref: patient", "ref: patent"), 10, 61, "E230", "'patient'"),
    (HEAD + "let: {a: b, b: a}\n" + EMIT, 6, 7, "E115", "a -> b -> a"),
    (HEAD + "let: {trim: PID-5.1}\n" + EMIT, 6, 7, "E206", "word or function"),
    (HEAD + "let: {spare: PID-5.1}\n" + EMIT, 6, 7, "E251", "never used"),
    (HEAD + "tables: {sex: {F: female}}\n" + EMIT, 6, 10, "E250", "never used"),
    (HEAD + "tables: {sex: sex.csv}\n" + TABLED, 6, 15, "E240", "tables/sex.csv"),
    (HEAD + "tables: {sex: tables/none.csv}\n" + TABLED, 6, 15, "E240", "mappings/tables/"),
    (HEAD + EMIT + "ignore: [{path: PID, because: no}]\n", 10, 17, "E270", "NK1-*"),
    (HEAD + EMIT + "ignore: [{path: PID-3, because: no}]\n", 10, 17, "E271", "PID-3(5=MR).1"),
    (HEAD + EMIT + "ignore: [{path: PID-1}]\n", 10, 10, "E203", "'because'"),
    (
        HEAD + EMIT + "ignore: [{path: NK1-*, because: no}, {path: NK1-2, because: no}]\n",
        10,
        45,
        "E272",
        "NK1-* stands before it",
    ),
    (HEAD + EMIT.replace("key: PID-3(5=MR).1", "key: concat(PID-3.4.1, PID-3.1)"), 8, 10, "E212", "half"),
    (HEAD + EMIT.replace("key: PID-3(5=MR).1", "key: \"'patient'\""), 8, 10, "E212", "every message"),
    (HEAD + EMIT.replace("key: PID-3(5=MR).1", "key: join(':', PID-3.1, PID-1)"), 8, 10, "E213", "PID-1"),
    (HEAD + EMIT.replace("key: PID-3(5=MR).1", "key: MSH-10"), 8, 10, "E213", "MSH-10"),
    (
        HEAD.replace("accept", "versions: ['2.2', '2.3'], accept")
        + EMIT.replace("{identifiers", "{death_note: PID-33, identifiers").replace("death_note", "language"),
        9,
        21,
        "E118",
        "PID-33",
    ),
    (
        HEAD.replace("America/Chicago", "{by: MSH-4.1, zones: {NORTH: America/Chigago}}") + EMIT,
        5,
        83,
        "E201",
        "America/Chicago",
    ),
    (HEAD.replace("America/Chicago", "{by: MSH-4.1}") + EMIT, 5, 54, "E203", "zones"),
    (HEAD.replace("America/Chicago", "{by: \"'N'\", zones: {N: UTC}}") + EMIT, 5, 59, "E206", "by: MSH-4.1"),
    (HEAD + EMIT + "    ext: {study: ZST-1}\n", 10, 11, "E227", "tag: PHI"),
    (HEAD + EMIT + "    ext: {Study: {from: ZST-1, tag: PHI}}\n", 10, 11, "E206", "small letters"),
    (HEAD + EMIT + "tests: [{name: a, expect: {issues: []}}]\n", 10, 9, "E281", "input"),
    (
        HEAD
        + EMIT
        + "tests:\n  - name: a\n    input:\n      MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5\n      PID|1||7\n"
        + "    expect: {}\n",
        13,
        7,
        "E281",
        "write it under `input: |`, a line",
    ),
    (HEAD + EMIT + "tests: [{name: a, input: PID, expect: {issues: []}}]\n", 10, 26, "E281", "no HL7"),
    (HEAD + EMIT + "tests: [{name: a, input: 'MSH|^~\\&|', expect: {}}]\n", 10, 47, "E280", "nothing"),
    (
        HEAD + EMIT + "tests: [{name: a, input: 'MSH|^~\\&|', expect: {patent: []}}]\n",
        10,
        48,
        "E282",
        "'patient'",
    ),
    (
        HEAD + EMIT + "tests: [{name: a, input: 'MSH|^~\\&|', expect: {patient: {famly: X}}}]\n",
        10,
        58,
        "E220",
        "'family'",
    ),
    (
        HEAD + EMIT + "tests: [{name: a, input: 'MSH|^~\\&|', expect: {issues: [R999 x]}}]\n",
        10,
        57,
        "E282",
        "R010",
    ),
    (
        HEAD.replace(", timezone: America/Chicago", "")
        + EMIT
        + ENCOUNTER.replace("}}}", "}, start: PV1-44}}"),
        10,
        78,
        "E202",
        "timezone",
    ),
]


def check(text: str, line: int, column: int, code: str, word: str) -> None:
    found = problems_of(text)
    shown = "\n".join(map(str, found))
    assert len(found) == 1, shown
    (problem,) = found
    assert (problem.place.line, problem.place.column, problem.code) == (line, column, code), shown
    assert word in f"{problem.text} {problem.hint}", shown
    assert problem.code in CODES


@pytest.mark.parametrize(
    ("rule", "line", "column", "code", "word"), RULES, ids=[each[0].strip() for each in RULES]
)
def test_a_mistake_in_a_rule_is_shown_once_and_where_it_stands(
    rule: str, line: int, column: int, code: str, word: str
) -> None:
    check(patient_text(rule + "\n"), line, column, code, word)


@pytest.mark.parametrize(
    ("text", "line", "column", "code", "word"), FILES, ids=[f"{each[3]}-{each[4]}" for each in FILES]
)
def test_a_mistake_in_a_file_is_shown_once_and_where_it_stands(
    text: str, line: int, column: int, code: str, word: str
) -> None:
    check(text, line, column, code, word)


def test_a_file_without_mistakes_has_no_problems() -> None:
    assert problems_of(HEAD + EMIT + ENCOUNTER) == []


@pytest.mark.parametrize("more", ["", ", columns: [a]", ", versions: ['2.5']"])
def test_of_a_word_that_is_no_format_nothing_else_is_held_against_a_format(more: str) -> None:
    text = patient_text("      family: $.name\n").replace("hl7v2, accept: [ADT^A01]", f"csv{more}")
    assert [problem.code for problem in problems_of(text)] == ["E205"]


@pytest.mark.parametrize(
    ("key", "form", "hint"),
    [
        ("columns: [a]", "hl7v2", "`columns` is for delimited and fixed"),
        ("implementation: [a]", "hl7v2", "`implementation` is for x12 and edifact"),
        ("record: a", "hl7v2", "`record` is for xml and record"),
        ("lists: [a]", "hl7v2", "`lists` is for xml"),
        ("versions: ['2.5']", "x12", "`versions` is for hl7v2"),
    ],
)
def test_a_key_of_another_format_is_told_with_the_formats_that_have_it(
    key: str, form: str, hint: str
) -> None:
    accept = "ADT^A01" if form == "hl7v2" else "835"
    text = HEAD.replace("format: hl7v2, accept: [ADT^A01]", f"format: {form}, accept: [{accept}], {key}")
    found = [each for each in problems_of(text + EMIT) if each.code in ("E190", "E200")]
    assert [(each.code, each.hint) for each in found] == [("E200", hint)]


def test_all_mistakes_are_shown_at_once_in_the_order_of_the_file() -> None:
    text = (
        patient_text("      famly: PID-5.1\n      given: PID-5\n      sex: PID-8\n")
        .replace("Chicago", "Chigago")
        .replace("1.0.0", "one")
    )
    assert [problem.code for problem in problems_of(text)] == ["E206", "E201", "E220", "E107", "E242"]


def test_a_value_of_a_table_must_be_allowed_in_the_field_it_is_used_for() -> None:
    text = patient_text(
        "      sex: {from: PID-8, translate: sex}\n", more="tables: {sex: {M: male, X: man}}\n"
    )
    (problem,) = problems_of(text)
    assert (problem.code, problem.place.line, problem.place.column) == ("E241", 6, 28)
    assert problem.hint is not None
    assert "female" in problem.hint


def test_nesting_and_length_of_an_expression_are_limited() -> None:
    deep = "(" * 40 + "PID-5.1" + ")" * 40
    piped = "PID-5.1" + " | trim" * 40
    long = "join(' '" + ", PID-5.1" * 300 + ")"
    for expression in (deep, piped, long):
        (problem,) = problems_of(patient_text(f'      family: "{expression}"\n'))
        assert problem.code == "E103"


def test_lets_that_stand_on_each_other_are_limited() -> None:
    lets = "".join(f"  n{number}: n{number - 1} | trim\n" for number in range(1, 40))
    text = patient_text("      family: n39\n", more="let:\n  n0: PID-5.1\n" + lets)
    assert {problem.code for problem in problems_of(text)} == {"E103"}


def test_every_code_has_its_sentence_and_every_sentence_is_used() -> None:
    folder = Path(bridge.mapping.__file__).parent
    sources = [path.read_text("utf-8") for path in folder.rglob("*.py") if path.name != "codes.py"]
    used = {code for source in sources for code in re.findall(r'"([ER][0-9]{3})"', source)}
    assert used == set(CODES)
    assert all(sentence.endswith(".") for sentence in CODES.values())


@pytest.mark.parametrize(
    "path", ["OBX-5.99", "ZPV-3.99.9", "PID-3(5=MR).4.3", "PV1-3.11", "PID-5.1.5", "PID-19.3"]
)
def test_of_a_place_that_a_version_has_or_whose_type_is_not_known_nothing_is_said(path: str) -> None:
    assert problems_of(patient_text(f"      family: {path}\n")) == []

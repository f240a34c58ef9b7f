"""What mappings leave out, and why a field is what it is: `map coverage`, `map try`, `explain` of a value."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import subprocess
import sys
import time
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from charge_files import FIXED, fixed, write_charges
from code_reading import ROOT
from command_line import bridge

from bridge.cli.coverage_page import STYLE, html_table
from bridge.cli.demo import CHANNEL
from bridge.cli.demo_site import write_site

HL7 = ROOT / "legacy_fixtures" / "hl7v2"
ADMIT = ROOT / "mappings" / "adt-admit.yaml"
RELABEL = ROOT / "mappings" / "examples" / "adt-relabel.yaml"
NAMES = ("Marlow", "Ines", "Quarry", "100234", "Okafor", "5550142")
CHARGES = 5
TWICE = b"\rOBR|1|P1|F1|600-7^Culture^LN\rOBX|1|NM|X^Text^L||many||||||F\rOBX|2|NM|X^Text^L||many||||||F\r"
SUMS = ("messages", "records", "used", "ignored", "unmapped", "total", "issues", "errors")


def as_json(*arguments: object) -> Any:
    ended = bridge(*arguments, "--format", "json")
    assert ended.err == ""
    return json.loads(ended.out)


# coverage


def test_coverage_as_json_adds_up() -> None:
    found = as_json("map", "coverage", ADMIT, HL7)
    assert tuple(found)[: len(SUMS)] == SUMS
    assert found["used"] + found["ignored"] + found["unmapped"] == found["total"]
    assert (found["messages"], found["errors"], found["failed"]) == (6, 0, 0)
    assert sum(each["values"] for each in found["unmapped_places"]) == found["unmapped"]
    assert sum(each["values"] for each in found["ignored_by"]) == found["ignored"]
    assert (
        sum(each[name] for each in found["segments"] for name in ("used", "ignored", "unmapped"))
        == found["total"]
    )
    assert found["other_types"] == {"ACK^A01": 1, "ORU^R01": 1}


def test_coverage_says_which_place_is_unmapped_what_it_is_called_and_why() -> None:
    places = {each["path"]: each for each in as_json("map", "coverage", ADMIT, HL7)["unmapped_places"]}
    assert places["PID-17.1"]["because"] == "no rule reads it"
    assert places["PID-17.1"]["name"].startswith("Religion")
    assert places["PID-18.4"]["because"] == "rules read other parts of this field"


def test_coverage_notices_an_entry_of_ignore_that_leaves_out_nothing(tmp_path: Path) -> None:
    mapping = tmp_path / "adt-admit.yaml"
    entry = '  - {path: "NK1-*",'
    mapping.write_text(ADMIT.read_text().replace(entry, '  - {path: "UB2-*", because: none}\n' + entry))
    unused = as_json("map", "coverage", mapping, HL7)["unused_ignores"]
    assert {"mapping": "adt-admit", "path": "UB2-*"} in unused
    assert {"mapping": "adt-admit", "path": "NK1-*"} not in unused


def test_coverage_for_a_person_ends_with_the_sums() -> None:
    ended = bridge("map", "coverage", ADMIT, HL7)
    assert ended.status == 0
    assert ended.out.startswith("adt-admit 1.2.0: 6 messages, 11 records, 0 issues, 0 errors")
    assert re.fullmatch(
        r"\d+ used \(\d+ %\), \d+ ignored \(\d+ %\), \d+ unmapped \(\d+ %\): \d+ values",
        ended.out.splitlines()[-1],
    )


def test_no_coverage_holds_a_value(tmp_path: Path) -> None:
    page = tmp_path / "coverage.html"
    table = bridge("map", "coverage", ADMIT, HL7, "--html", page, "--all")
    data = bridge("map", "coverage", ADMIT, HL7, "--format", "json")
    for name in NAMES:
        assert name not in table.out + data.out + page.read_text("utf-8")


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        assert not {name for name, _ in attrs} & {"src", "href", "onclick"}
        if tag not in ("meta", "br", "wbr"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_of_a_coverage_is_one_file_without_scripts(tmp_path: Path) -> None:
    page = tmp_path / "coverage.html"
    assert bridge("map", "coverage", ADMIT, HL7, "--html", page).status == 0
    tags = Tags()
    tags.feed(page.read_text("utf-8"))
    assert tags.open == []
    assert "table" in tags.seen
    assert "script" not in tags.seen


def test_what_a_message_says_does_not_become_html(tmp_path: Path) -> None:
    page, feed = tmp_path / "coverage.html", tmp_path / "feed.hl7"
    feed.write_bytes(
        (HL7 / "adt_a01.hl7").read_bytes() + b"<b>bold</b>\r<i>x|<script>alert(1)</script>\r\n"
        b"MSH|^~\\&|A|B|||||ADT^<u>|1|P|2.5\r"
    )
    assert bridge("map", "coverage", ADMIT, feed, "--html", page).status == 0
    text = page.read_text("utf-8")
    assert "<script" not in text
    assert "<b>bold" not in text
    assert "ADT^&lt;u&gt;" in text


def test_coverage_can_be_a_gate() -> None:
    arguments = ("map", "coverage", ADMIT, HL7, "--unmapped-at-most")
    assert bridge(*arguments, "90").status == 0
    ended = bridge(*arguments, "5")
    assert (ended.status, ended.err) == (1, "more than 5 % is unmapped\n")


def test_a_message_that_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    feed = tmp_path / "feed.hl7"
    refused = ROOT / "legacy_fixtures" / "quirks" / "refused_duplicate_delimiters.hl7"
    feed.write_bytes((HL7 / "adt_a01.hl7").read_bytes() + refused.read_bytes())
    ended = bridge("map", "coverage", ADMIT, feed, "--format", "json")
    found = json.loads(ended.out)
    assert (ended.status, found["errors"], found["messages"]) == (1, 1, 1)


WRONG: dict[str, tuple[tuple[object, ...], str]] = {
    "no mapping": ((HL7,), "name a mapping"),
    "no messages": ((ADMIT,), "name files or folders of messages"),
    "no such file": ((ADMIT, "nowhere.hl7"), "nowhere.hl7: No such file"),
    "nothing in it": ((ADMIT, ROOT / "LICENSE"), "no HL7 v2 message"),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_use_of_coverage_is_told(case: str) -> None:
    arguments, said = WRONG[case]
    ended = bridge("map", "coverage", *arguments)
    assert ended.status == 2
    assert said in ended.err


# channels


def test_files_are_read_as_a_channel_reads_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nowhere = "http://127.0.0.1:9"
    site = write_site(tmp_path / "site", patients_url=nowhere, encounters_url=nowhere)
    write_charges(site, tmp_path / "in", FIXED)
    (tmp_path / "night.txt").write_bytes(fixed(CHARGES))
    monkeypatch.chdir(site)
    mapping = "mappings/nightly-charges.yaml"
    assert "name it with --channel" in bridge("map", "try", mapping, tmp_path / "night.txt").err
    named = (mapping, tmp_path / "night.txt", "--channel")
    tried = as_json("map", "try", *named, CHANNEL)
    assert [len(each["records"]) for each in tried] == [1] * CHARGES
    covered = as_json("map", "coverage", *named, CHANNEL)
    assert (covered["messages"], covered["records"], covered["unmapped"]) == (CHARGES, CHARGES, 0)
    samples = {row["field"]: row["samples"] for row in as_json("map", "docs", *named, CHANNEL)["rows"]}
    assert samples["amount"] == f"{CHARGES} of {CHARGES}"
    assert as_json("map", "impact", mapping, *named, CHANNEL)["messages"] == CHARGES
    assert f"did you mean '{CHANNEL}'?" in bridge("map", "try", *named, CHANNEL[:-1]).err
    (tmp_path / "night.txt").write_bytes(b"X\n")
    assert "night.txt" in bridge("map", "try", *named, CHANNEL).said


# try


def test_map_try_says_what_became_of_all_values() -> None:
    ended = bridge("map", "try", ADMIT, HL7 / "adt_a08.hl7")
    (line,) = [each for each in ended.out.splitlines() if " values: " in each]
    total, used, ignored, unmapped = map(int, re.findall(r"\d+", line))
    assert used + ignored + unmapped == total
    (made,) = as_json("map", "try", ADMIT, HL7 / "adt_a08.hl7")
    assert len(made["values"]) == total


def test_map_try_watches_and_shows_mistakes_while_a_file_is_written(tmp_path: Path) -> None:
    mapping = tmp_path / "adt-admit.yaml"
    mapping.write_text(ADMIT.read_text())
    out = tmp_path / "said"
    with out.open("wb") as said:
        command = ["map", "try", str(mapping), str(HL7 / "adt_a01.hl7"), "--watch"]
        process = subprocess.Popen(
            [sys.executable, "-m", "bridge.cli.main", *command],
            stdout=said,
            stderr=said,
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        try:
            _wait(out, "Marlow")
            mapping.write_text(ADMIT.read_text().replace("family:", "famly:", 1))
            _wait(out, "patient has no field 'famly'")
            mapping.write_text(ADMIT.read_text().replace("PID-5.1\n", "PID-5.1 | upper\n", 1))
            _wait(out, "MARLOW")
        finally:
            process.kill()
            process.wait()


def _wait(file: Path, text: str) -> None:
    until = time.monotonic() + 25
    while text not in file.read_text("utf-8", "replace"):
        assert time.monotonic() < until, file.read_text("utf-8", "replace")[-2000:]
        time.sleep(0.05)


# test


def test_map_test_says_what_the_tests_go_through_and_do_not_notice() -> None:
    ended = bridge("map", "test", RELABEL, "--mutate", "--coverage")
    assert ended.status == 0
    assert "adt-relabel.yaml: 3 of 3 rules, 1 of 1 branches" in ended.out
    assert "adt-relabel.yaml: 9 of 9 changes noticed, 100 %; 1 would not load" in ended.out


def test_map_test_as_json_has_tests_coverage_and_mutation() -> None:
    found = as_json_of_tests(RELABEL, "--mutate")
    assert {test["passed"] for test in found["tests"]} == {True}
    (mapping,) = found["mappings"]
    assert (mapping["rules"], mapping["missed"]) == ({"covered": 3, "total": 3}, [])
    assert mapping["mutation"] == {"score": 100.0, "noticed": 9, "refused": 1, "survived": []}
    assert as_json_of_tests(RELABEL)["mappings"][0]["mutation"] is None


def as_json_of_tests(*arguments: object) -> Any:
    return json.loads(bridge("map", "test", *arguments, "--format", "json").out)


def test_map_test_shows_what_no_test_notices_and_can_be_a_gate(tmp_path: Path) -> None:
    mapping = tmp_path / "adt-relabel.yaml"
    text = RELABEL.read_text()
    mapping.write_text(text[: text.index("  - name: a cancellation")].replace("MSH-10: W-1, ", ""))
    mapping.write_text(mapping.read_text().replace('remove: ["Z*", PID-19', 'remove: ["Z*", PID-20, PID-19'))
    ended = bridge("map", "test", mapping, "--mutate", "--score-at-least", "95")
    assert ended.status == 1
    assert "entry 2 is gone, and no test notices" in ended.out
    assert "the tests notice less than 95 %" in ended.err
    assert bridge("map", "test", mapping, "--mutate", "--score-at-least", "50").status == 0


def test_map_test_without_a_file_tests_all_mappings_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = bridge("map", "test")
    assert (ended.status, "this folder has none in mappings/" in ended.err) == (2, True), ended.said
    assert bridge("init", ".").status == 0
    ended = bridge("map", "test")
    assert (ended.status, ended.err) == (0, "4 tests, 0 failed\n")


# explain


def test_explain_says_where_a_value_came_from() -> None:
    ended = bridge("explain", ADMIT, HL7 / "adt_a01.hl7", "patient.sex")
    assert ended.status == 0
    assert ended.out.startswith("patient.sex = female\n")
    words = [line.split() for line in ended.out.splitlines()]
    lines = ADMIT.read_text().splitlines()
    number = 1 + next(at for at, line in enumerate(lines) if "translate: sex," in line)
    assert ["rule", f"adt-admit.yaml:{number}:7"] in words
    assert "sex:                {from: PID-8, translate: sex, unmapped: null}" in ended.out
    assert ["PID-8", *"Administrative Sex: Identifier".split(), "285", "F"] in words
    assert ["from", "the", "file", "row", "of", "a", "table"] in words


def test_explain_as_json_gives_bytes_that_are_in_the_message() -> None:
    body = (HL7 / "adt_a01.hl7").read_bytes()
    (value,) = as_json("explain", ADMIT, HL7 / "adt_a01.hl7", "encounter.start")["values"]
    assert value["value"] == "2026-03-04T10:15:00+01:00"
    for leaf in value["leaves"]:
        assert body[leaf["start"] : leaf["start"] + leaf["size"]].decode() == leaf["text"]
    assert [leaf["place"] for leaf in value["leaves"]] == ["MSH-9.2", "EVN-6"]


def test_of_two_records_with_one_key_each_has_its_own_origin(tmp_path: Path) -> None:
    message = tmp_path / "two.hl7"
    message.write_bytes((HL7 / "oru_r01.hl7").read_bytes().partition(b"\rOBR|")[0] + TWICE)
    mapping = ROOT / "mappings" / "lab-results.yaml"
    found = as_json("explain", mapping, message, "result.value_text")
    read = [leaf["text"] for value in found["values"] for leaf in value["leaves"] if "-5" in leaf["place"]]
    places = [leaf["place"] for value in found["values"] for leaf in value["leaves"] if "-5" in leaf["place"]]
    assert read == [value["value"] for value in found["values"]] == ["many", "many"]
    assert places == ["OBX-5", "OBX[2]-5"]
    shown = re.findall(r"value_text +(\w+) .* (\d+)-(\d+) ", bridge("map", "try", mapping, message).out)
    body = message.read_bytes().decode()
    assert [body[int(start) : int(end) + 1] for _, start, end in shown] == ["many", "many"]


NOT_THERE = {
    "nothing in the message": ("adt_a01", "encounter.reason", "the encounter has no reason"),
    "no such record": ("adt_a40", "encounter.class", "makes no encounter of it"),
    "a message that fails": ("oru_r01", "patient.sex", "the message fails in adt-admit (R002)"),
    "no so many": ("adt_a01", "patient(2).sex", "there are 1 record of kind patient, and no number 2"),
}


@pytest.mark.parametrize("case", NOT_THERE)
def test_explain_says_why_a_field_is_not_there(case: str) -> None:
    message, field, said = NOT_THERE[case]
    ended = bridge("explain", ADMIT, HL7 / f"{message}.hl7", field)
    assert ended.status == 1
    assert said in ended.out


INIT_MESSAGE = (
    "MSH|^~\\&|DESK|NORTH|BRIDGE|HUB|20260302091500||ADT^A01|Q1|P|2.5.1\r"
    "PID|1||100777^^^NORTH^MR||MARLOWE^JUNE||19711105|X\r"
)


def test_explain_does_not_call_a_value_missing_that_its_rule_read(tmp_path: Path) -> None:
    assert bridge("init", tmp_path / "site").status == 0
    mapping, message = tmp_path / "site" / "mappings" / "admissions.yaml", tmp_path / "one.hl7"
    message.write_text(INIT_MESSAGE)
    said = bridge("explain", mapping, message, "patient.sex").out
    assert said.startswith("the patient has no sex. What was noted of it:\n  ! R030 PID-8: "), said
    mapping.write_text(mapping.read_text().replace("family:     PID-5.1", "family: if(PID-8 = 'F', PID-5.1)"))
    said = bridge("explain", mapping, message, "patient.family").out
    assert said == "the patient has no family: its rule gives nothing of what it reads (PID-8)\n"
    message.write_text(INIT_MESSAGE.replace("|X", ""))
    said = bridge("explain", mapping, message, "patient.sex").out
    assert said == "the patient has no sex: what its rule reads is not in the message\n"


WRONG_FIELD = {
    "encounter.nosuch": "it has rules for: ",
    "patient.sx": "did you mean 'sex'?",
    "pateint.sex": "did you mean 'patient'?",
    "sex": "write record.field",
}


@pytest.mark.parametrize("field", WRONG_FIELD)
def test_explain_of_a_field_that_no_rule_sets_names_the_nearest(field: str) -> None:
    ended = bridge("explain", ADMIT, HL7 / "adt_a01.hl7", field)
    assert ended.status == 2
    assert WRONG_FIELD[field] in ended.err


# impact


@pytest.fixture
def other(tmp_path: Path) -> Path:
    """adt-admit with one rule changed, and a message feed beside it."""
    mapping = tmp_path / "adt-admit.yaml"
    text = ADMIT.read_text().replace("family:             PID-5.1\n", "family:             PID-5.1 | upper\n")
    mapping.write_text(text.replace("version: 1.0.0", "version: 1.1.0"))
    return mapping


def test_impact_finds_exactly_the_field_of_a_planted_change(other: Path, tmp_path: Path) -> None:
    feed = tmp_path / "feed"
    assert bridge("generate", "ADT", "--count", "150", "--to", feed).status == 0
    ended = bridge("map", "impact", ADMIT, other, feed, "--format", "json")
    found = json.loads(ended.out)
    assert ended.status == 1
    ((record, field, what),) = {(each["record"], each["field"], each["what"]) for each in found["changes"]}
    assert (record, field, what) == ("patient", "family", "changes")
    assert 0 < found["changed"] == found["changes"][0]["messages"] < found["messages"] <= 150
    assert found["fails_now"] == 0
    assert all(example["before"].startswith("‹") for example in found["changes"][0]["examples"])


def test_impact_shows_values_only_where_it_is_asked_to(other: Path, tmp_path: Path) -> None:
    page = tmp_path / "impact.html"
    hidden = bridge("map", "impact", ADMIT, other, HL7, "--html", page)
    assert "Marlow" not in hidden.out + page.read_text("utf-8")
    shown = bridge("map", "impact", ADMIT, other, HL7, "--reveal", "--html", page)
    assert "Marlow → MARLOW" in " ".join(shown.out.split())
    assert "MARLOW" in page.read_text("utf-8")


def test_impact_of_the_same_mapping_is_none() -> None:
    ended = bridge("map", "impact", ADMIT, ADMIT, HL7)
    assert ended.status == 0
    assert (
        ended.out
        == "adt-admit 1.2.0 to adt-admit 1.2.0: 0 of 6 messages would be mapped otherwise, 0 would fail\n"
    )


# docs


def test_docs_has_a_line_for_each_field_with_where_it_comes_from() -> None:
    found = json.loads(bridge("map", "docs", ADMIT, HL7, "--format", "json").out)
    rows = {(row["record"], row["field"]): row for row in found["rows"]}
    family = rows["patient", "family"]
    assert (family["comes from"], family["tag"]) == ("PID-5.1", "PHI")
    assert family["called"].startswith("Patient Name")
    assert family["rule"].split() == ["family:", "PID-5.1"]
    assert rows["patient", "sex"]["not in the table"] == "null"
    assert rows["encounter", ""]["meaning"].startswith("when event != 'A40'")
    assert rows["encounter", "class"]["samples"].endswith(" of 5")
    assert {"path": "MSH-*", "because": "envelope"} in found["ignored"]


SHEETS: dict[str, tuple[str, str, dict[str, str]]] = {
    "x12": (
        "examples/remittance-835",
        "claims[].lines[].charged",
        {"comes from": "SVC-02", "called": "service: charged", "without a value": "the entry is left out"},
    ),
    "within a line": (
        "examples/remittance-835",
        "claims[].adjustments[].group",
        {"comes from": "for each CAS\nCAS-01", "rule": "group: {from: CAS-01, translate: group}"},
    ),
    "rows": ("feeds/shifts", "worker", {"comes from": "$.facility\n$.employee", "called": ""}),
    "rows of fixed width": ("examples/nightly-charges", "amount", {"comes from": "$.amount", "tag": "FIN"}),
    "a record": (
        "examples/rcm-encounter",
        "visitClass",
        {"comes from": "$.class", "without a value": "OTHER"},
    ),
    "json": ("fhir/fhir-patient", "name[].family", {"comes from": "$.family", "record": "json"}),
}


@pytest.mark.parametrize("case", SHEETS)
def test_docs_tell_of_every_format_where_a_field_comes_from_and_what_that_is_called(case: str) -> None:
    mapping, field, wanted = SHEETS[case]
    path = ROOT / "mappings" / f"{mapping}.yaml"
    rows = json.loads(bridge("map", "docs", path, "--format", "json").out)["rows"]
    row = next(each for each in rows if each["field"] == field)
    assert {name: row[name] for name in wanted} == wanted


def test_docs_say_what_of_the_samples_no_rule_reads() -> None:
    arguments = ("map", "docs", ADMIT, HL7)
    places = {each["path"]: each for each in as_json(*arguments)["unmapped"]}
    assert (places["PID-17.1"]["called"], places["PID-17.1"]["because"]) == (
        "Religion: Identifier",
        "no rule reads it",
    )
    assert "## Not read" in bridge(*arguments).out
    assert ",not read," in bridge(*arguments, "--format", "csv").out
    assert "<h2>Not read</h2>" in bridge(*arguments, "--format", "html").out


def test_docs_are_written_for_a_review_a_spreadsheet_and_a_browser(tmp_path: Path) -> None:
    markdown = bridge("map", "docs", ADMIT, HL7).out
    assert markdown.startswith("# adt-admit 1.2.0\n")
    table = [line for line in markdown.splitlines() if line.startswith("| ")]
    assert {len(re.split(r"(?<!\\)\|", line)) for line in table} == {4, 6, 14}
    page = bridge("map", "docs", ADMIT, HL7, "--format", "html").out
    tags = Tags()
    tags.feed(page)
    assert (tags.open, "script" in tags.seen) == ([], False)
    for name in NAMES:
        assert name not in markdown + page


def test_no_cell_of_a_sheet_is_a_formula(tmp_path: Path) -> None:
    mapping = tmp_path / "adt-admit.yaml"
    text = ADMIT.read_text().replace("because: envelope", "because: '=HYPERLINK(\"http://example.org\")'")
    mapping.write_text(text)
    rows = list(csv.reader(io.StringIO(bridge("map", "docs", mapping, "--format", "csv").out)))
    assert {len(row) for row in rows} == {12}
    cells = [cell for row in rows for cell in row]
    assert not [cell for cell in cells if cell.startswith(("=", "+", "-", "@"))]
    assert '\'=HYPERLINK("http://example.org")' in cells


def test_a_page_moves_its_tables_sideways_and_says_none_where_there_is_nothing() -> None:
    made = html_table(["place", "values"], [("PID-3.1", 2)], right=["values"])
    assert made.startswith('<div class="table"><table>')
    assert html_table(["place", "values"], []) == "<p>none</p>"
    assert ".table { overflow-x: auto }" in STYLE

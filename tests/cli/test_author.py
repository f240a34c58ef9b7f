"""The commands of those who write files: check, parse, map try, schema."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
from code_reading import ROOT
from command_line import ESCAPE, bridge, bridge_process
from jsonschema import Draft202012Validator

from bridge.cli.demo_site import write_site
from bridge.cli.generated_entry import FIRST_DAY
from bridge.cli.generated_files import lines_of
from bridge.formats.x12 import X12Message

HL7 = ROOT / "legacy_fixtures" / "hl7v2"
QUIRKS = ROOT / "legacy_fixtures" / "quirks"
EDIFACT = ROOT / "legacy_fixtures" / "edifact"
ADMIT = ROOT / "mappings" / "adt-admit.yaml"


def first_line_with(text: str) -> int:
    """The first line of it in which a text stands, from 1."""
    return 1 + next(at for at, line in enumerate(ADMIT.read_text().splitlines()) if text in line)


FAMILY, SEX = first_line_with("family:"), first_line_with("translate: sex,")
"""The lines of two of its rules."""
RELABEL = ROOT / "mappings" / "examples" / "adt-relabel.yaml"
PROBLEM = {"file", "line", "column", "severity", "code", "text", "hint", "environments"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    return write_site(
        tmp_path / "site", patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9"
    )


def as_json(*arguments: object) -> Any:
    ended = bridge(*arguments, "--format", "json")
    assert ended.err == ""
    return json.loads(ended.out)


# check


def test_check_says_what_it_has_read_where_there_is_no_mistake(site: Path) -> None:
    ended = bridge("check", "--config", site)
    assert all(line.startswith("warning: channels/") for line in ended.out.splitlines())
    assert ended.err == "1 channel, 2 APIs, 1 mapping: no mistakes\n"


def test_check_as_json_says_yes(site: Path) -> None:
    found = as_json("check", "--config", site)
    assert found["ok"] is True
    assert {problem["severity"] for problem in found["problems"]} <= {"warning"}


def test_check_as_json_gives_each_mistake_with_its_place(site: Path) -> None:
    channel = site / "channels" / "ehr-adt.yaml"
    channel.write_text(channel.read_text().replace("owner: demonstration", "ownr: demonstration"))
    found = as_json("check", "--config", site)
    assert set(found) == {"ok", "problems"}
    assert found["ok"] is False
    assert all(set(problem) == PROBLEM for problem in found["problems"])
    unknown = [problem for problem in found["problems"] if problem["line"] == 2]
    assert unknown
    assert {(each["file"], each["column"], each["severity"]) for each in unknown} == {
        ("channels/ehr-adt.yaml", 1, "error")
    }
    assert "'owner'" in "".join(each["hint"] + each["text"] for each in unknown)


def test_check_connects_to_nothing_and_writes_nothing(site: Path) -> None:
    before = sorted(path.relative_to(site) for path in site.rglob("*"))
    bridge("check", "--config", site)
    assert sorted(path.relative_to(site) for path in site.rglob("*")) == before


# parse

COUNTS: dict[str, tuple[list[Path], dict[str, int], int]] = {
    "good": (sorted(HL7.glob("adt_*.hl7")), {"read": 6, "problems": 0, "refused": 0, "reproduced": 6}, 0),
    "odd": ([QUIRKS / "blank_lines.hl7"], {"read": 1, "problems": 1, "refused": 0, "reproduced": 1}, 0),
    "refused": (
        [HL7 / "adt_a01.hl7", QUIRKS / "refused_not_hl7.hl7"],
        {"read": 1, "problems": 0, "refused": 1, "reproduced": 1},
        1,
    ),
    "two in a file": ([QUIRKS / "two_msh.hl7"], {"read": 2, "problems": 0, "refused": 0, "reproduced": 2}, 0),
}


@pytest.mark.parametrize("case", COUNTS)
def test_parse_check_counts(case: str) -> None:
    files, counts, status = COUNTS[case]
    found = as_json("parse", "--check", *files)
    assert {name: found[name] for name in counts} == counts
    assert set(found) == {"files", *counts}
    assert [each["file"] for each in found["files"]] == [str(path) for path in files]
    for each in found["files"]:
        assert set(each) == {"file", *counts, "reasons", "noticed"}
        assert sum(each["reasons"].values()) == each["refused"]
    ended = bridge("parse", "--check", *files)
    assert ended.status == status
    assert ended.out.splitlines()[-1] == ", ".join(f"{count} {name}" for name, count in counts.items())


def test_parse_check_shows_no_content() -> None:
    shown = bridge("parse", "--check", HL7 / "adt_a01.hl7").out
    assert "Marlow" not in shown
    assert "Marlow" in bridge("parse", HL7 / "adt_a01.hl7").out


def test_parse_shows_each_value_with_its_path() -> None:
    lines = [line.split() for line in bridge("parse", HL7 / "adt_a01.hl7").out.splitlines()]
    assert ["PID-5(1).1", *"Patient Name: Family Name, Surname".split(), "Marlow"] in lines
    assert ["MSH-9.2", *"Message Type: Trigger Event".split(), "A01"] in lines
    assert ["PID", "Patient", "Identification"] in lines


def test_parse_says_of_what_it_does_not_know_that_it_is_unknown(tmp_path: Path) -> None:
    message = tmp_path / "odd.hl7"
    message.write_text("MSH|^~\\&|A|B|||||ADT^A01|1|P|2.5.1\rPID|1||7^^^N^MR^^^^^^^^x\rQQQ|1\rZPI|1|2\r")
    (tree,) = as_json("parse", message)
    assert [(each["name"], each["known"], each["unknown"]) for each in tree["segments"]] == [
        ("MSH", True, []),
        ("PID", True, ["PID-3.13"]),
        ("QQQ", False, ["QQQ-1"]),
        ("ZPI", False, ["ZPI-1", "ZPI-2"]),
    ]
    said = bridge("parse", message).out
    assert "QQQ  unknown to HL7 v2.1 to v2.8.2" in said
    assert "ZPI  the site's own segment" in said
    assert "Patient Identifier List: component unknown to HL7 v2.1 to v2.8.2" in said


def test_parse_as_json_gives_the_whole_tree() -> None:
    (tree,) = as_json("parse", HL7 / "adt_a01.hl7")
    assert {"message", "segments", "problems"} <= set(tree)
    assert [segment["name"] for segment in tree["segments"]][:3] == ["MSH", "EVN", "PID"]
    assert {"name", "occurrence", "fields"} <= set(tree["segments"][0])


@pytest.fixture
def remittance(tmp_path: Path) -> Path:
    path = tmp_path / "remittance.835"
    path.write_bytes(b"".join(lines_of("835", 1, 2, FIRST_DAY)))
    return path


def test_parse_shows_each_value_of_x12_at_the_place_that_mappings_read(remittance: Path) -> None:
    lines = [line.split() for line in bridge("parse", remittance).out.splitlines()]
    assert ["ISA-11", "repetition", "separator", "^"] in lines
    assert ["ST-01", "transaction", "835"] in lines
    assert ["CLP", "claim", "payment"] in lines
    (tree,) = as_json("parse", remittance)
    assert (tree["form"], tree["type"], tree["problems"]) == ("x12", "835", [])
    (message,) = X12Message.read_all(remittance.read_bytes())
    claims = [each["values"] for each in tree["segments"] if each["name"] == "CLP"]
    assert [value for claim in claims for place, value in claim.items() if place.endswith("-01")] == [
        segment.value(1) for segment in message.named("CLP")
    ]


def test_a_name_of_a_file_is_told_whatever_its_bytes_are(tmp_path: Path) -> None:
    odd = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\x1b[2J.hl7"))
    odd.write_bytes((HL7 / "adt_a01.hl7").read_bytes())
    (file,) = as_json("parse", "--check", odd)["files"]
    assert file["file"].endswith("/\\udcff\x1b[2J.hl7")
    shown = bridge("parse", odd).out.splitlines()[0]
    assert shown.endswith("/\\udcff\\x1b[2J.hl7 #1")


def test_messages_may_come_through_a_pipe() -> None:
    reading, writing = os.pipe()
    os.write(writing, (HL7 / "adt_a01.hl7").read_bytes())
    os.close(writing)
    (file,) = as_json("parse", "--check", f"/dev/fd/{reading}")["files"]
    os.close(reading)
    assert file["read"] == 1


def test_what_has_no_end_is_read_to_the_limit_and_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bridge.cli.author.FILE_MAX_BYTES", 4 * 1024**2)
    ended = bridge("parse", "/dev/zero")
    assert (ended.status, "larger than 4 MiB" in ended.err) == (2, True)


def test_a_folder_that_is_a_link_to_itself_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "loop").symlink_to("loop")
    ended = bridge("check", "--config", tmp_path / "loop")
    assert (ended.status, "C150" in ended.out) == (1, True)


def test_parse_as_json_says_what_was_noticed_as_its_schema_has_it(tmp_path: Path) -> None:
    message = tmp_path / "lf.hl7"
    message.write_bytes((HL7 / "adt_a01.hl7").read_bytes().replace(b"\r", b"\n"))
    (tree,) = as_json("parse", message)
    assert [each["code"] for each in tree["problems"] if "line" in each["code"]] == ["lf-line-ends"]


def test_parse_shows_each_message_of_an_edifact_interchange() -> None:
    trees = as_json("parse", EDIFACT / "orders.edi")
    assert [(each["type"], each["control_id"]) for each in trees] == [("ORDERS", "1"), ("ORDERS", "2")]
    unb = trees[0]["segments"][0]
    assert (unb["title"], unb["values"]["UNB-01.1"]) == ("interchange header", "UNOC")


def test_parse_check_counts_x12_and_edifact_among_others(remittance: Path) -> None:
    found = as_json("parse", "--check", remittance, EDIFACT / "orders.edi", HL7 / "adt_a01.hl7")
    assert [each["read"] for each in found["files"]] == [1, 2, 1]
    assert (found["refused"], found["reproduced"]) == (0, 4)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("ISA*00*", "short-isa"),
        ("UNB+UNOC:3+A+B+260101:0800+1'UNH+1+ORDERS:D:96A:UN'", "no-unt"),
    ],
)
def test_parse_says_why_an_interchange_cannot_be_taken_apart(tmp_path: Path, text: str, code: str) -> None:
    broken = tmp_path / "broken"
    broken.write_text(text)
    shown = bridge("parse", broken)
    assert (shown.status, shown.err) == (1, "")
    counted = bridge("parse", "--check", broken)
    assert counted.status == 1
    (reasons,) = (each["reasons"] for each in as_json("parse", "--check", broken)["files"])
    (reason,) = reasons
    assert f"! {reason} " in shown.out


def test_check_says_what_the_place_that_it_hints_at_is_called(tmp_path: Path) -> None:
    for folder in ("mappings", "channels/apis"):
        (tmp_path / folder).mkdir(parents=True)
    text = ADMIT.read_text("utf-8")
    assert "PID-5.1" in text
    (tmp_path / "mappings" / ADMIT.name).write_text(text.replace("PID-5.1", "PID-5"))
    said = bridge("check", "--config", tmp_path).said
    assert "did you mean PID-5.1? (Patient Name: Family Name, Surname)" in said


# map try


def test_map_try_shows_each_value_with_its_source_and_rule() -> None:
    ended = bridge("map", "try", ADMIT, HL7 / "adt_a01.hl7")
    assert ended.status == 0
    row = next(line.split() for line in ended.out.splitlines() if line.split()[:1] == ["family"])
    assert row[:3] == ["family", "Marlow", "PID-5.1"]
    assert row[3:] == ["232-237", f"adt-admit.yaml:{FAMILY}:7"]


def test_map_try_as_json_gives_records_lineage_and_issues() -> None:
    (made,) = as_json("map", "try", ADMIT, HL7 / "adt_a01.hl7")
    assert set(made) == {"message", "records", "issues", "failed", "lineage", "messages", "values"}
    assert [record["record"] for record in made["records"]] == ["patient", "encounter"]
    for record in made["records"]:
        assert set(record) == {"record", "key", "operation", "fields", "ext", "adds"}
        told = {line["field"] for line in made["lineage"] if line["record"] == record["record"]}
        assert set(record["fields"]) <= told, "every value has its source"
    told = {"record", "key", "field", "rule", "sources", "leaves", "taken"}
    assert all(set(line) == told for line in made["lineage"])
    (family,) = [line for line in made["lineage"] if line["field"] == "family"]
    assert family["leaves"] == [{"place": "PID-5(1).1", "start": 232, "size": 6}]


def test_map_try_shows_a_message_that_is_made_with_the_rule_of_each_change() -> None:
    ended = bridge("map", "try", RELABEL, HL7 / "adt_a01.hl7")
    assert "MSH|^~\\&|EHR|NORTHGATE|LEGACY|REGION|" in ended.out
    assert "MSH-4.1 set" in ended.out
    assert "adt-relabel.yaml:28:7" in ended.out
    (made,) = as_json("map", "try", RELABEL, HL7 / "adt_a01.hl7")
    (message,) = made["messages"]
    assert message["body"].startswith("MSH|^~\\&|EHR|NORTHGATE|LEGACY|REGION|20260304101502+0100||")
    assert [(each["place"], each["what"]) for each in message["changes"]] == [
        ("MSH-4.1", "set"),
        ("MSH-5.1", "set"),
        ("MSH-6.1", "set"),
    ]


def test_map_try_of_a_message_that_fails_says_why_without_values() -> None:
    (made,) = as_json("map", "try", ADMIT, HL7 / "oru_r01.hl7")
    assert (made["failed"], made["records"]) == (True, [])
    assert [issue["code"] for issue in made["issues"]] == ["R002"]
    assert set(made["issues"][0]) == {"code", "record", "field", "text", "source", "table"}


def test_map_try_of_a_mapping_with_mistakes_shows_all_of_them(tmp_path: Path) -> None:
    mapping = tmp_path / "broken.yaml"
    mapping.write_text(
        ADMIT.read_text().replace("family:", "famly:").replace("translate: sex,", "translate: sx,")
    )
    ended = bridge("map", "try", mapping, HL7 / "adt_a01.hl7")
    assert (ended.status, ended.out) == (3, "")
    lines = ended.err.splitlines()
    assert any(line.startswith(f"{mapping}:{FAMILY}:7: ") and "'family'" in line for line in lines)
    assert any(line.startswith(f"{mapping}:{SEX}:") and "'sex'" in line for line in lines)


# schema


def test_schema_writes_valid_schemas_that_shipped_files_name(tmp_path: Path) -> None:
    ended = bridge("schema", tmp_path / "schemas")
    assert ended.status == 0
    written = sorted((tmp_path / "schemas").iterdir())
    assert [path.name for path in written] == [
        "api.schema.json",
        "approvers.schema.json",
        "channel.schema.json",
        "environment.schema.json",
        "mapping.schema.json",
    ]
    assert sorted(ended.out.split()) == [str(path) for path in written]
    for path in written:
        schema = json.loads(path.read_bytes())
        Draft202012Validator.check_schema(schema)
        assert schema["description"]


def test_schema_again_replaces_what_was_there(tmp_path: Path) -> None:
    (tmp_path / "channel.schema.json").write_text("old")
    assert bridge("schema", tmp_path).status == 0
    assert json.loads((tmp_path / "channel.schema.json").read_bytes())


# output


@pytest.mark.parametrize(
    "arguments",
    [("parse", HL7 / "adt_a01.hl7"), ("map", "try", ADMIT, HL7 / "adt_a01.hl7"), ("check", "--config", ".")],
    ids=["parse", "map try", "check"],
)
def test_output_into_a_pipe_has_no_escape_codes(arguments: tuple[object, ...]) -> None:
    assert ESCAPE not in bridge_process(*arguments, TERM="xterm-256color").said


STEERING = "\x1b]0;gone\x07\x1b[2J\x9b2J\u202eesrever"
"""What would name a terminal's window anew, empty it, once more for one that reads C1, and turn it around."""


@pytest.mark.parametrize(
    "arguments",
    [
        ("parse",),
        ("parse", "--format", "json"),
        ("map", "try", ADMIT),
        ("map", "try", ADMIT, "--format", "json"),
    ],
)
def test_no_value_of_a_message_steers_the_terminal_of_who_looks(
    tmp_path: Path, arguments: tuple[object, ...]
) -> None:
    message = tmp_path / "odd.hl7"
    text = (HL7 / "adt_a01.hl7").read_text("utf-8").replace("Marlow", STEERING)
    assert STEERING in text
    message.write_text(f"{text}\x1b[3;4H\x1b]0;x|1\n", "utf-8")
    said = bridge(*arguments, message).out
    assert "[2J" in said, "it is shown"
    assert [each for each in said if not each.isprintable() and each not in "\n\u202e"] == []
    assert ("\u202e" in said) == ("json" in arguments), "programs read what is there"


# environments


@pytest.fixture
def two_environments(site: Path) -> Path:
    api = site / "channels" / "apis" / "ehr.patients.yaml"
    api.write_text(api.read_text().replace("in_flight: 8", "in_flight: value://calls"))
    folder = site / "channels" / "environments"
    folder.mkdir()
    for name, production, calls in (("prod", "true", "8"), ("test", "false", "many")):
        text = f"environment: {name}\nproduction: {production}\nvalues: {{calls: {calls}}}\n"
        (folder / f"{name}.yaml").write_text(text)
    return site


def test_check_says_in_which_environments_a_mistake_is_one(two_environments: Path) -> None:
    ended = bridge("check", "--config", two_environments)
    assert ended.status == 1
    (line,) = (each for each in ended.out.splitlines() if not each.startswith("warning: "))
    assert "C122: expected a whole number" in line
    assert line.endswith("value://calls is in channels/environments/test.yaml:3  (in test)")
    problems = as_json("check", "--config", two_environments)["problems"]
    (problem,) = (each for each in problems if each["severity"] == "error")
    assert problem["environments"] == ["test"]


def test_check_of_one_environment_looks_at_that_one(
    two_environments: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ended = bridge("check", "--config", two_environments, "--environment", "prod")
    assert (ended.status, ended.err) == (0, "1 channel, 2 APIs, 1 mapping, as in prod: no mistakes\n")
    monkeypatch.setenv("BRIDGE_ENVIRONMENT", "test")
    assert bridge("check", "--config", two_environments).status == 1


def test_run_without_an_environment_is_told_which_there_are(two_environments: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'journal.db'}"
    ended = bridge("run", "--config", two_environments, "--journal", url)
    assert (ended.status, ended.out) == (3, "")
    assert "C172" in ended.err
    assert "say --environment prod or test" in ended.err
    assert not (tmp_path / "journal.db").exists()


def test_doctor_names_the_environment_or_says_that_it_is_missing(
    two_environments: Path, tmp_path: Path
) -> None:
    common = ("doctor", "--config", two_environments, "--journal", f"sqlite:///{tmp_path / 'journal.db'}")
    named = json.loads(bridge(*common, "--environment", "prod", "--format", "json").out)
    assert [each["found"] for each in named if each["about"] == "environment"] == ["prod, production"]
    missing = json.loads(bridge(*common, "--format", "json").out)
    (found,) = (each for each in missing if each["about"] == "configuration")
    assert found["grade"] == "bad"
    assert "say --environment prod or test" in found["found"]


def test_doctor_takes_a_folder_that_was_just_begun_as_good(tmp_path: Path) -> None:
    assert bridge("init", tmp_path / "begun").status == 0
    common = ("doctor", "--journal", f"sqlite:///{tmp_path / 'journal.db'}", "--config")
    ended = bridge(*common, tmp_path / "begun")
    assert (ended.status, "say --environment test" in ended.out) == (0, True)
    assert bridge(*common, tmp_path / "nowhere").status == 1


def test_a_folder_stands_for_the_files_in_it() -> None:
    found = json.loads(bridge("parse", "--check", HL7, "--format", "json").out)
    assert [Path(row["file"]).name for row in found["files"]] == sorted(path.name for path in HL7.iterdir())
    assert found["read"] == found["reproduced"] == len(found["files"])

"""Ways out that are no HTTP API: what is sent, and what route and API must say alike."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from config_site import MAPPING, write_site
from jsonschema import Draft202012Validator

from bridge.catalog import STANDARD
from bridge.config.api import read_api
from bridge.config.load import load
from bridge.config.not_built import prune
from bridge.config.schema import API, json_schemas
from bridge.config.yaml_tree import read_tree
from bridge.delivery.state import MessageState
from bridge.errors import ConfigurationRefused
from bridge.located import Mapping, Problem
from bridge.runtime.intake import decide

C, COPY, OUT, M = (
    "channels/adt.yaml",
    "channels/apis/copy.yaml",
    "channels/apis/out.yaml",
    "mappings/adt-admit.yaml",
)
FILES = {
    C: """\
channel: adt
source: {mllp: {listen: "tcp:2575"}}
accept: [ADT^A01, ORU^*]
order_by: PID-3.1
routes:
  - route: copy
    when: PV1-2 in ['I', 'O']
    to: {api: copy}
  - route: patient
    mapping: adt-admit
    record: patient
    to: {api: out, operations: {upsert: writePatient}}
""",
    COPY: """\
api: copy
mllp: {connect: "tcp:10.1.2.3:6661", plain: true}
send: original
carries: {phi: true}
repeat_safety: header
owner: {team: interfaces}
""",
    OUT: """\
api: out
file: {directory: /var/spool/out, name: "{channel}-{delivery}.json"}
repeat_safety: natural_key
operations:
  writePatient: {send_only: [key, family]}
""",
    M: MAPPING,
}


def problems_of(folder: Path, files: dict[str, str]) -> list[Problem]:
    try:
        return list(load(write_site(folder, dict(files)), STANDARD).warnings)
    except ConfigurationRefused as refused:
        return list(refused.problems)


def edited(path: str, old: str, new: str) -> dict[str, str]:
    assert FILES[path].count(old) == 1
    return {**FILES, path: FILES[path].replace(old, new)}


def test_a_site_with_a_copy_over_mllp_and_a_folder_is_read(tmp_path: Path) -> None:
    topology = load(write_site(tmp_path, dict(FILES)), STANDARD)
    assert topology.warnings == ()
    channel = topology.channels["adt"]
    copy, patient = channel.routes
    assert (copy.plan, copy.record, copy.apis, dict(copy.operations)) == (None, "", ("copy",), {})
    assert patient.plan is not None
    assert copy.when is not None
    assert channel.versions == frozenset(), "a route without a mapping takes any version"
    assert channel.accepts("ORU^R01")
    assert list(topology.apis["copy"].operations) == ["send"]
    assert topology.apis["out"].destination.component.name == "file_out"


PROBLEMS: list[tuple[str, dict[str, str], list[tuple[str, str]]]] = [
    (
        "whole messages without a word about patients' data",
        edited(COPY, "carries: {phi: true}\n", ""),
        [(f"{COPY}:3:7: C144", "send_only")],
    ),
    (
        "whole messages, and that they hold no patients' data",
        edited(COPY, "phi: true", "phi: false"),
        [(f"{COPY}:3:7: C144", "send_only")],
    ),
    (
        "a receiver of messages, and nothing said of what is sent",
        edited(COPY, "send: original\ncarries: {phi: true}\n", ""),
        [(f"{COPY}:1:1: C122", "expected `send: original`")],
    ),
    (
        "records over MLLP",
        edited(COPY, "send: original\ncarries: {phi: true}", "send: record"),
        [(f"{COPY}:3:7: C122", "expected `send: original`")],
    ),
    (
        "messages that a mapping makes",
        edited(COPY, "send: original\ncarries: {phi: true}", "send: message"),
        [(f"{C}:6:5: C143", "needs `mapping`"), (f"{COPY}:3:7: C144", "send_only")],
    ),
    (
        "operations of whole messages",
        edited(COPY, "repeat_safety: header", "operations: {put: {}}"),
        [(f"{COPY}:5:1: C143", "leave `operations` out")],
    ),
    (
        "a repeat that a receiver cannot know",
        edited(COPY, "header", "natural_key"),
        [(f"{COPY}:5:16: C122", "header, none")],
    ),
    (
        "a credential that nobody asks for",
        edited(COPY, "repeat_safety: header", "auth: {api_key: {key: secret://env/KEY}}"),
        [(f"{COPY}:5:7: C122", "takes no credential")],
    ),
    (
        "messages in the clear",
        edited(COPY, ", plain: true", ""),
        [(f"{COPY}:2:7: C122", "in the clear")],
    ),
    (
        "a misspelt option",
        edited(COPY, "plain: true", "plain: true, anser_within: 5s"),
        [(f"{COPY}:2:51: C120", "did you mean 'answer_within'?")],
    ),
    (
        "two ways out",
        edited(COPY, "send: original", "send: original\nbase_url: http://127.0.0.1"),
        [(f"{COPY}:2:1: C122", "expected only one of")],
    ),
    (
        "a name that leads elsewhere",
        edited(OUT, "{channel}-{delivery}.json", "../{delivery}"),
        [(f"{OUT}:2:41: C122", "expected letters, digits")],
    ),
    (
        "a folder without operations",
        edited(OUT, "operations:\n  writePatient: {send_only: [key, family]}\n", ""),
        [(f"{C}:12:41: C132", "no operation"), (f"{OUT}:1:1: C121", "`operations` is missing")],
    ),
    (
        "a field that the record does not have",
        edited(OUT, "family", "famly"),
        [(f"{OUT}:5:35: C135", "did you mean 'family'?")],
    ),
    (
        "a mapping on the way to whole messages",
        {
            **FILES,
            C: FILES[C]
            .replace(", ORU^*", "")
            .replace("{api: copy}", "{api: copy, operation: x}\n    mapping: adt-admit\n    record: patient"),
        },
        [
            (f"{C}:8:21: C143", "`operation`"),
            (f"{C}:9:5: C143", "`mapping`"),
            (f"{C}:10:5: C143", "`record`"),
        ],
    ),
    (
        "no mapping on the way to records",
        edited(C, "    mapping: adt-admit\n    record: patient\n", ""),
        [(f"{C}:9:5: C143", "needs `mapping`"), (f"{M}:1:10: C141", "no route uses")],
    ),
    (
        "half of what a record needs",
        edited(C, "    record: patient\n", ""),
        [(f"{C}:9:5: C121", "`record` is missing")],
    ),
    (
        "a choice between records and whole messages",
        edited(C, "{api: copy}", "{select: MSH-4.1, from: {N: copy, S: out}}"),
        [(f"{C}:6:5: C143", "the API out is sent records")],
    ),
    (
        "no word of what is accepted",
        edited(C, "accept: [ADT^A01, ORU^*]\n", ""),
        [(f"{C}:1:1: C121", "`accept` is missing")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(
    ("files", "expected"), [row[1:] for row in PROBLEMS], ids=[row[0] for row in PROBLEMS]
)
def test_each_mistake_is_shown_at_its_place(
    tmp_path: Path, files: dict[str, str], expected: list[tuple[str, str]]
) -> None:
    shown = [str(problem) for problem in problems_of(tmp_path, files)]
    assert [begin for begin, _ in expected] == [line[: line.index(": ", 8) + 6] for line in shown]
    for (_, words), line in zip(expected, shown, strict=True):
        assert words in line


RELABEL = """\
mapping: relabel
version: 1.0.0
owner: clinical-integration
target: canonical/1
source: {format: hl7v2, accept: [ADT^A01]}
emit: [{message: hl7v2, from: copy, remove: [PID-19]}]
"""
MADE = {
    **FILES,
    C: FILES[C]
    .replace(", ORU^*", "")
    .replace("    to: {api: copy}", "    mapping: relabel\n    to: {api: copy}"),
    COPY: FILES[COPY].replace("send: original", "send: message"),
    "mappings/relabel.yaml": RELABEL,
}


def test_a_route_with_a_mapping_and_no_record_carries_the_message_that_it_makes(tmp_path: Path) -> None:
    topology = load(write_site(tmp_path, dict(MADE)), STANDARD)
    assert topology.warnings == ()
    made, patient = topology.channels["adt"].routes
    assert made.plan is not None
    assert (made.plan.name, made.record, dict(made.operations)) == ("relabel", "", {})
    assert patient.record == "patient"
    assert list(topology.apis["copy"].operations) == ["send"]


MADE_PROBLEMS: list[tuple[str, str, str, str, list[tuple[str, str]]]] = [
    ("a mapping that makes none", C, "mapping: relabel", "mapping: adt-admit",
     [(f"{C}:8:14: C146", "adt-admit makes none"), ("mappings/relabel.yaml:1:10: C141", "no route uses")]),
    ("no mapping", C, "    mapping: relabel\n", "",
     [(f"{C}:6:5: C143", "needs `mapping`"), ("mappings/relabel.yaml:1:10: C141", "no route uses")]),
    ("a record", C, "mapping: relabel", "mapping: relabel\n    record: patient",
     [(f"{C}:9:5: C143", "`record` says nothing"), (f"{C}:9:13: C133", "makes no record"),
      (f"{C}:10:9: C122", "expected `operations")]),
    ("operations", C, "{api: copy}", "{api: copy, operation: send}", [(f"{C}:9:21: C143", "`operation`")]),
    ("a choice between records and messages", C, "{api: copy}", "{select: MSH-4.1, from: {N: copy, S: out}}",
     [(f"{C}:6:5: C121", "`record` is missing")]),
    ("a type that the mapping does not take", C, "[ADT^A01]", "[ADT^A01, ADT^A99]",
     [(f"{C}:3:19: C134", "ADT^A99")]),
    ("no word about patients' data", COPY, "carries: {phi: true}\n", "",
     [(f"{COPY}:3:7: C144", "send_only")]),
    ("operations of the API", COPY, "repeat_safety: header", "operations: {put: {}}",
     [(f"{COPY}:5:1: C143", "leave `operations` out")]),
    ("messages where records alone are taken", OUT,
     'file: {directory: /var/spool/out, name: "{channel}-{delivery}.json"}',
     "base_url: http://127.0.0.1\nsend: message",
     [(f"{OUT}:3:7: C122", "expected `send: record`")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("path", "old", "new", "expected"),
    [row[1:] for row in MADE_PROBLEMS],
    ids=[row[0] for row in MADE_PROBLEMS],
)
def test_each_mistake_about_made_messages_is_shown_at_its_place(
    tmp_path: Path, path: str, old: str, new: str, expected: list[tuple[str, str]]
) -> None:
    assert MADE[path].count(old) == 1
    shown = [str(problem) for problem in problems_of(tmp_path, {**MADE, path: MADE[path].replace(old, new)})]
    assert [begin for begin, _ in expected] == [line[: line.index(": ", 8) + 6] for line in shown]
    for (_, words), line in zip(expected, shown, strict=True):
        assert words in line


def test_the_examples_of_the_page_are_right(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "channels" / "apis" / "README.md").read_text()
    shown = [block.partition("```")[0] for block in page.split("```yaml\n")[1:]]
    kinds = set()
    for text in shown:
        tree, problems = read_tree(text, "page")
        assert isinstance(tree, Mapping)
        read, found = read_api(prune(tree, "api"), "", STANDARD)
        assert [*problems, *found] == []
        assert read is not None
        kinds.add(read.destination.component.name)
    assert kinds == set(STANDARD.names("destination"))


def marked(text: str) -> bool:
    """Whether an editor marks something."""
    return bool(list(Draft202012Validator(json_schemas(STANDARD)[API]).iter_errors(yaml.safe_load(text))))


def test_an_editor_accepts_each_kind_and_marks_what_does_not_fit_it() -> None:
    assert not marked(FILES[COPY])
    assert not marked(FILES[OUT])
    assert not marked(FILES[OUT].partition("operations:")[0] + "send: original\n")
    assert not marked(MADE[COPY])
    assert not marked(FILES[OUT].partition("operations:")[0] + "send: message\n")
    assert marked(FILES[COPY].replace("send: original\n", ""))
    assert marked(FILES[COPY].replace("send: original", "send: record"))
    assert marked(FILES[COPY].replace("header", "natural_key"))
    assert marked(FILES[COPY].replace("plain:", "plane:"))
    assert marked(FILES[OUT].replace("send_only", "send"))


def of_rows(accept: str, form: str = "json") -> dict[str, str]:
    """A channel that sends what came, of a format that is no HL7 v2."""
    return {
        C: f"""\
channel: adt
source: {{file_drop: {{directory: /var/spool/in}}}}
format: {form}
{accept}
on_no_key: serial
routes:
  - route: copy
    to: {{api: copy}}
""",
        COPY: """\
api: copy
file: {directory: /var/spool/out, name: "{channel}-{delivery}.json"}
send: original
carries: {phi: true}
repeat_safety: natural_key
""",
    }


@pytest.mark.parametrize("form", ["delimited", "json", "xml: {record: Order}"])
def test_of_rows_json_and_xml_all_is_sent_on_as_it_came_without_a_word_about_types(
    tmp_path: Path, form: str
) -> None:
    form = form if ":" not in form else f"{{{form}}}"
    channel = load(write_site(tmp_path, of_rows("", form)), STANDARD).channels["adt"]
    header = channel.reads().header(b"anything")
    assert decide(header, b"any", None, channel).state is MessageState.RECEIVED


def test_types_of_another_format_are_a_mistake_that_says_so(tmp_path: Path) -> None:
    for accept, form, code, text in (
        ("accept: [ADT^A01]", "json", "C134", "ADT^A01 is no type of json"),
        ("accept: [json]", "json", "C122", "rows, JSON and XML have none: leave `accept` out"),
        ("accept: [ADT^A01]", "edifact", "C134", "ADT^A01 is no type of edifact"),
        ("accept: [INVOIC]", "hl7v2", "C134", "INVOIC is no type of hl7v2"),
        ("", "edifact", "C121", "the key `accept` is missing"),
    ):
        [problem] = problems_of(tmp_path, of_rows(accept, form))
        assert (problem.code, text in problem.text) == (code, True), problem
    for accept, form in (("accept: [INVOIC]", "edifact"), ("accept: [835, TA1]", "x12")):
        assert problems_of(tmp_path, of_rows(accept, form)) == []

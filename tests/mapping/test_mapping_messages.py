"""Mappings that make messages: what is set, taken out and added, mistakes in the file, and issues."""

from __future__ import annotations

import re
from pathlib import Path

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from mapping_texts import HEAD, MESSAGE, issues_of, message_with, plan_of, problems_of

from bridge.formats.document import Document
from bridge.formats.hl7v2 import Delimiters, Hl7Message
from bridge.formats.hl7v2_escape import escape
from bridge.mapping.codes import CODES
from bridge.mapping.plan import Plan
from bridge.mapping.selftest import run_tests
from bridge.message import Mapped

COPY = HEAD + "tables: {sites: {NORTH: N1}}\nemit:\n  - message: hl7v2\n    from: copy\n"
PLAIN = COPY.replace("tables: {sites: {NORTH: N1}}\n", "")
FOLDER = Path(__file__).parents[2]
FIXTURES = sorted((FOLDER / "legacy_fixtures").rglob("*.hl7"))


def run(text: str, message: Hl7Message | None = None) -> Mapped:
    return plan_of(text).run(message or message_with())


def made(text: str, message: Hl7Message | None = None) -> bytes:
    mapped = run(text, message)
    assert mapped.issues == (), mapped.issues
    (one,) = mapped.messages
    return one.body


CHANGES: list[tuple[str, str, list[tuple[str, str]]]] = [
    # what, the rules, and the parts of the message that become others
    ("a constant", "set: {MSH-5.1: {const: 'A & B'}}", [("|BRIDGE|", "|A \\T\\ B|")]),
    ("an expression", "set: {PID-5.1: PID-5.1 | upper}", [("okafor", "OKAFOR")]),
    ("by a table", "set: {MSH-4.1: {from: MSH-4.1, translate: sites}}", [("|NORTH|BRIDGE", "|N1|BRIDGE")]),
    ("a choice", "set: {PID-8: [PID-30, PID-8]}", []),
    ("nothing empties", "set: {PID-8: PID-30}", [("|F|", "||")]),
    ("null empties", "set: {PID-8: null}", [("|F|", "||")]),
    ("nothing where nothing is", "set: {PV2-3.2: PID-30, PID-3(5=SS).1: PID-30}", []),
    ("a default", "set: {PID-8: {from: PID-30, default: U}}", [("|F|", "|U|")]),
    ("a repetition", "set: {PID-3(2).4.1: {const: W}}", [("100234^^^NORTH", "100234^^^W")]),
    ("a type", "set: {PID-3(5=MR).5: {const: MRN}}", [("NORTH^MR", "NORTH^MRN")]),
    (
        "by what stood there before",
        "set: {PID-3(5=MR).5: {const: PI}, PID-3(5=MR).4.1: {const: W}}",
        [("100234^^^NORTH^MR", "100234^^^W^PI")],
    ),
    ("two rules that swap", "set: {PID-5.1: PID-5.2, PID-5.2: PID-5.1}", [("okafor^MAREN", "MAREN^okafor")]),
    ("a number", "set: {EVN-3: count(PID-3(*).1)}", [("20240102031000", "20240102031000|2")]),
    ("a let", "let: {name: PID-5.1 | title}\n    set: {PID-5.1: name}", [("okafor", "Okafor")]),
    ("a field", "remove: PID-13", [("|||||(512)555-0100", "|||||")]),
    ("a repetition out", "remove: [PID-3(5=PI)]", [("4711^^^EAST^PI~", "")]),
    ("a component out", "remove: [PID-3.4]", [("EAST^PI", "^PI"), ("NORTH^MR", "^MR")]),
    ("a segment out", "remove: [PV1(*), 'Z*']", [("\rPV1|1|I|3W^310^B||||||||||||||||V-77", "")]),
    (
        "a segment",
        "append: [{segment: ZBR, after: EVN, set: {ZBR-1: MSH-10, ZBR-3.2: PID-7}}]",
        [("20240102031000\r", "20240102031000\rZBR|Q1||^19800229\r")],
    ),
    ("a segment of nothing", "append: [{segment: ZBR, set: {ZBR-1: PID-30}}]", []),
    ("a segment that is not wanted", "append: [{segment: ZBR, when: PID-8 = 'M', set: {ZBR-1: MSH-10}}]", []),
    ("delimiters", "delimiters: '|^~%&'", [("^~\\&", "^~%&")]),
    ("a character set", "charset: iso-8859-1", [("|2.5.1", "|2.5.1||||||8859/1")]),
]


@pytest.mark.parametrize(("rules", "parts"), [row[1:] for row in CHANGES], ids=[row[0] for row in CHANGES])
def test_a_copy_is_what_came_but_for_what_is_changed(rules: str, parts: list[tuple[str, str]]) -> None:
    wanted = MESSAGE
    for old, new in parts:
        assert wanted.count(old) == 1
        wanted = wanted.replace(old, new)
    assert made(f"{COPY if 'sites' in rules else PLAIN}    {rules}\n") == wanted.encode()


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.name)
def test_a_copy_without_changes_is_every_message_of_the_fixtures(path: Path) -> None:
    message = Hl7Message.read(path.read_bytes())
    if message.refused is not None or re.fullmatch(r"[A-Z]{3}\^[A-Z0-9]+", message.message_type) is None:
        assert message.refused is not None or path.stem == "ack" or "^" not in message.message_type
        return
    mapped = run(PLAIN.replace("ADT^A01", message.message_type), message)
    if len(message.named("MSH")) == 1:
        assert [each.body for each in mapped.messages] == [path.read_bytes()]
    else:
        assert issues_of(mapped) == ["R005 "]


NEW = """\
emit:
  - message: hl7v2
    from: new
    delimiters: '|$~\\&'
    set:
      MSH-7: MSH-7
      MSH-9.1: MSH-9.1
      MSH-9.2: MSH-9.2
      MSH-10: MSH-10
      MSH-11: MSH-11
      MSH-12: MSH-12
      PID-3.1: PID-3(5=MR).1
      PID-5.1: PID-5.1
      PV1-2: PV1-2
    append:
      - {segment: NTE, set: {NTE-3: {const: 'a $ b'}}}
"""


SEVERAL = MESSAGE + "\rDG1|1||i10^one\rDG1|2||e11^two||||X\rDG1|3||i10^three\rNTE|1||note"
GROUPED = PLAIN.replace(
    "timezone: America/Chicago}", "timezone: America/Chicago, groups: {part: {anchor: DG1, has: [NTE]}}}"
)
REPEATED: list[tuple[str, str, list[tuple[str, str]]]] = [
    (
        "each segment",
        "repeat: [{for_each: DG1, set: {DG1-3.1: DG1-3.1 | upper, DG1-1: index | text}}]",
        [("i10", "I10"), ("e11", "E11")],
    ),
    (
        "each that a condition chooses",
        "repeat: [{for_each: DG1, when: DG1-3.1 = 'i10', set: {DG1-4: DG1-3.2}}]",
        [("^one", "^one|one"), ("^three", "^three|three")],
    ),
    (
        "each repetition",
        "repeat: [{for_each: PID-3, set: {PID-3.4.1: PID-3.4.1 | lower}}]",
        [("100234^^^NORTH", "100234^^^north"), ("4711^^^EAST", "4711^^^east")],
    ),
    (
        "a repetition out",
        "repeat: [{for_each: PID-3, when: PID-3.1 = '4711', remove: [PID-3]}]",
        [("4711^^^EAST^PI~", "")],
    ),
    (
        "a segment out",
        "repeat: [{for_each: DG1, when: DG1-7 = 'X', remove: [DG1]}]",
        [("\rDG1|2||e11^two||||X", "")],
    ),
    (
        "a field out",
        "repeat: [{for_each: DG1, when: DG1-1 = '2', remove: [DG1-7]}]",
        [("two||||X", "two||||")],
    ),
    ("nothing where nothing is", "repeat: [{for_each: DG1, set: {DG1-9: PID-30}}]", []),
    ("of what is not there", "repeat: [{for_each: AL1, set: {AL1-3.1: AL1-3.1 | upper}}]", []),
    (
        "what stood there before",
        "set: {PID-5.1: DG1(2)-3.1}\n"
        "    repeat: [{for_each: DG1, set: {DG1-3.1: DG1-3.2, DG1-3.2: DG1-3.1}}]",
        [("okafor", "e11"), ("i10^one", "one^i10"), ("e11^two", "two^e11"), ("i10^three", "three^i10")],
    ),
    (
        "a new one for each",
        "append: [{segment: ZDX, after: DG1, for_each: DG1, when: DG1-3.1 = 'i10', "
        "set: {ZDX-1: index | text, ZDX-2: DG1-3.2}}]",
        [("^three", "^three\rZDX|1|one\rZDX|3|three")],
    ),
    (
        "what stands behind each",
        "append: [{segment: ZID, after: PID, for_each: PID-3, set: {ZID-1: PID-3.1}, "
        "then: [{segment: ZAA, set: {ZAA-1: PID-3.4.1}}, {segment: ZNO, set: {ZNO-1: PID-30}}]}]",
        [("0100\r", "0100\rZID|4711\rZAA|EAST\rZID|100234\rZAA|NORTH\r")],
    ),
]


@pytest.mark.parametrize(("rules", "parts"), [row[1:] for row in REPEATED], ids=[row[0] for row in REPEATED])
def test_each_of_several_is_changed_and_nothing_else(rules: str, parts: list[tuple[str, str]]) -> None:
    wanted = SEVERAL
    for old, new in parts:
        assert old in wanted
        wanted = wanted.replace(old, new)
    assert made(PLAIN + f"    {rules}\n", Hl7Message.read(SEVERAL.encode())).decode() == wanted


def test_in_an_instance_of_a_group_what_stands_in_it_is_changed() -> None:
    rules = "    repeat:\n      - for_each: part\n        set:\n"
    rules += "          DG1-3.1: DG1-3.1 | upper\n          NTE-3: "
    came = Hl7Message.read(SEVERAL.encode())
    mapped = plan_of(f"{GROUPED}{rules}if(DG1-1 = '3', DG1-3.2)\n").run(came)
    wanted = SEVERAL.replace("i10", "I10").replace("e11", "E11").replace("note", "three")
    assert mapped.messages[0].body.decode() == wanted
    missing = plan_of(f"{GROUPED}{rules}DG1-3.2\n").run(came)
    assert [(issue.code, issue.field) for issue in missing.issues] == [("R050", "NTE-3"), ("R001", "")]


def test_a_change_of_each_says_which_one() -> None:
    rules = "repeat: [{for_each: DG1, set: {DG1-4: DG1-3.2}}, {for_each: PID-3, set: {PID-3.6: PID-3.1}}]"
    mapped = plan_of(PLAIN + f"    {rules}\n").run(Hl7Message.read(SEVERAL.encode()), lineage=True)
    places = [change.place for change in mapped.messages[0].changes]
    assert places == ["DG1(1)-4", "DG1(2)-4", "DG1(3)-4", "PID-3(1).6", "PID-3(2).6"]


def test_a_new_message_has_segments_for_each_of_a_document_and_of_lists_in_it() -> None:
    text = """
emit:
  - message: hl7v2
    from: new
    set:
      MSH-7: $.at
      MSH-9.1: {const: ORU}
      MSH-10: $.id
      MSH-11: {const: P}
      MSH-12: {const: 2.5.1}
    append:
      - segment: OBR
        for_each: $.orders
        set: {OBR-1: index | text, OBR-3.1: $.number}
        then:
          - {segment: OBX, for_each: $.results, set: {OBX-1: index | text, OBX-3.1: $.code, OBX-5: $.value}}
          - {segment: NTE, set: {NTE-3: $.note}}
"""
    head = HEAD.replace("{format: hl7v2, accept: [ADT^A01], timezone: America/Chicago}", "{format: json}")
    orders = [
        {"number": "F1", "results": [{"code": "a", "value": "1|2"}, {"code": "b"}], "note": "n"},
        {"number": "F2", "results": []},
    ]
    document = Document.of_json(orjson.dumps({"id": "7", "at": "2024", "orders": orders}))
    mapped = plan_of(head + text).run(document)
    assert mapped.messages[0].body.decode().split("\r") == [
        "MSH|^~\\&|||||2024||ORU|7|P|2.5.1||||||UNICODE UTF-8",
        "OBR|1||F1",
        "OBX|1||a||1\\F\\2",
        "OBX|2||b",
        "NTE|||n",
        "OBR|2||F2",
        "",
    ]
    refused = problems_of(head + text + "    repeat: [{for_each: OBX, remove: [OBX]}]\n")
    assert [problem.code for problem in refused] == ["E224"]


def test_there_is_an_end_to_what_is_added() -> None:
    rules = "append: [{segment: ZAA, for_each: NTE, set: {ZAA-1: NTE-1}}]"
    many = MESSAGE + "".join(f"\rNTE|{number}" for number in range(1200))
    mapped = plan_of(PLAIN + f"    {rules}\n").run(Hl7Message.read(many.encode()))
    assert [issue.code for issue in mapped.issues] == ["R040", "R001"]


def test_a_new_message_has_what_is_set_in_the_order_of_the_file() -> None:
    assert made(HEAD + NEW).decode().split("\r") == [
        "MSH|$~\\&|||||20240102031500||ADT$A01|Q1|P|2.5.1||||||UNICODE UTF-8",
        "PID|||100234||okafor",
        "PV1||I",
        "NTE|||a \\S\\ b",
        "",
    ]


ISSUES: list[tuple[str, str, Hl7Message, list[str], str]] = [
    ("no such segment", "set: {PV2-3.2: {const: X}}", message_with(), ["R050 PV2-3.2", "R001 "], ""),
    ("no such repetition", "set: {PID-3(5=SS).1: {const: X}}", message_with(),
     ["R050 PID-3(5=SS).1", "R001 "], ""),
    ("two that fit", "set: {PID-3(5=MR).4: {const: X}}", message_with(PID_3="1^^^A^MR~2^^^B^MR"),
     ["R051 PID-3(5=MR).4", "R001 "], ""),
    ("no segment to come after", "append: [{segment: ZBR, after: PV2, set: {ZBR-1: MSH-10}}]", message_with(),
     ["R050 ", "R001 "], ""),
    ("a NUL", "set: {PID-5.1: PID-5.2}", message_with(PID_5="A^B\0C"), ["R020 PID-5.1", "R001 "], ""),
    ("an unknown code", "set: {MSH-4.1: {from: MSH-5.1, translate: sites}}", message_with(),
     ["R030 MSH-4.1", "R001 "], ""),
    ("an unknown code that is kept", "set: {MSH-4.1: {from: MSH-5.1, translate: sites, unmapped: keep}}",
     message_with(), ["R030 MSH-4.1"], "|BRIDGE|BRIDGE|"),
    ("what is required", "set: {PID-8: {from: PID-30, required: true}}", message_with(),
     ["R010 PID-8", "R001 "], ""),
    ("a letter that is not there", "charset: ascii", message_with(PID_5="M\u00fcller"),
     ["R052 ", "R001 "], ""),
    ("a letter that is escaped", "charset: ascii\n    unwritable: escape", message_with(PID_5="M\u00fcller"),
     ["R052 "], "M\\XC3BC\\ller"),
    ("a letter that is replaced", "charset: ascii\n    unwritable: replace",
     message_with(PID_5="M\u00fcller"), ["R052 "], "M?ller"),
    ("a letter of a rule's", "set: {PID-5.1: {const: M\u00fcller}}",
     Hl7Message.read(MESSAGE.replace("|2.5.1", "|2.5.1||||||ASCII").encode()), ["R052 ", "R001 "], ""),
]  # fmt: skip


@pytest.mark.parametrize(
    ("rules", "message", "issues", "part"), [row[1:] for row in ISSUES], ids=[row[0] for row in ISSUES]
)
def test_what_cannot_be_made_is_an_issue_at_its_place_and_no_message(
    rules: str, message: Hl7Message, issues: list[str], part: str
) -> None:
    mapped = run(f"{COPY if 'sites' in rules else PLAIN}    {rules}\n", message)
    assert issues_of(mapped) == issues
    assert mapped.failed is not bool(part)
    assert [part.encode() in each.body for each in mapped.messages] == ([True] if part else [])
    assert all(
        each.code in CODES and "ller" not in each.text and "100234" not in each.text for each in mapped.issues
    )


def test_an_issue_of_a_letter_names_the_field_that_holds_it() -> None:
    mapped = run(PLAIN + "    charset: ascii\n", message_with(PID_5="M\u00fcller"))
    assert mapped.issues[0].source == "PID-5"


def test_a_segment_that_stands_several_times_is_told_where_one_is_set_and_not_where_all_are_taken_out() -> (
    None
):
    twice = Hl7Message.read((MESSAGE + "\rOBX|1|A\rOBX|2|B\r").encode())
    assert issues_of(run(PLAIN + "    set: {OBX-2: {const: C}}\n", twice)) == ["R005 "]
    assert b"OBX|1|C\rOBX|2|B" in run(PLAIN + "    set: {OBX-2: {const: C}}\n", twice).messages[0].body
    assert b"OBX|1|\rOBX|2|\r" in made(PLAIN + "    remove: [OBX-2]\n", twice)


def test_one_message_makes_one_message() -> None:
    two = "".join(
        f"  - message: hl7v2\n    from: copy\n    when: {when}\n" for when in ("PID-8 = 'F'", "PID-8 != 'M'")
    )
    mapped = run(HEAD + "emit:\n" + two)
    assert (mapped.failed, mapped.messages, issues_of(mapped)) == (True, (), ["R054 "])
    other = run(HEAD + "emit:\n" + two.replace("!= 'M'", "= 'M'"))
    assert len(other.messages) == 1


def test_records_and_a_message_are_made_side_by_side() -> None:
    text = HEAD + (
        "emit:\n  - {record: patient, key: PID-3.1, set: {identifiers: {list: [{value: PID-3.1}]}}}\n"
        "  - {message: hl7v2, from: copy, remove: [PV1]}\n"
    )
    mapped = run(text)
    assert ([each.record for each in mapped.records], len(mapped.messages)) == (["patient"], 1)
    plan = plan_of(text)
    assert (plan.makes_message, set(plan.records)) == (True, {"patient"})


def test_every_change_has_its_rule_and_its_sources() -> None:
    text = PLAIN + (
        "    set: {PID-5.1: PID-5.2, PID-8: PID-30}\n    remove: [PV1, NK1]\n"
        "    append: [{segment: ZBR, set: {ZBR-1: MSH-10}}]\n"
    )
    (one,) = plan_of(text).run(message_with(), lineage=True).messages
    assert [(each.place, each.what, each.rule, each.sources) for each in one.changes] == [
        ("PID-5.1", "set", "m.yaml:9:11", ("PID-5.2",)),
        ("PID-8", "emptied", "m.yaml:9:29", ()),
        ("PV1", "removed", "m.yaml:10:14", ()),
        ("ZBR", "added", "m.yaml:11:24", ()),
        ("ZBR-1", "set", "m.yaml:11:35", ("MSH-10",)),
    ]
    (other,) = plan_of(text).run(message_with()).messages
    assert (other.body, other.changes) == (one.body, ())


MISTAKES: list[tuple[str, int, int, str, str]] = [
    ("set: {PID-3(*).1: MSH-10}", 9, 11, "E292", "name one"),
    ("set: {OBX(2)-5.1: MSH-10}", 9, 11, "E292", "`repeat`"),
    ("set: {OBX(3=K)-5.1: MSH-10}", 9, 11, "E292", "`repeat`"),
    ("set: {OBX(*)-5.1: MSH-10}", 9, 11, "E292", "`repeat`"),
    ("remove: [OBX(2)-5]", 9, 14, "E292", "`repeat`"),
    ("remove: [OBX(1)-5.1]", 9, 14, "E292", "`repeat`"),
    ("set: {MSH-1: MSH-10}", 9, 11, "E291", "delimiters"),
    ("set: {MSH-2: MSH-10}", 9, 11, "E291", "delimiters"),
    ("set: {pid-5: MSH-10}", 9, 11, "E290", "PID-5.1"),
    ("set: {ZPI: MSH-10}", 9, 11, "E290", "PID-5.1"),
    ("set: {PIDD-5.1: MSH-10}", 9, 11, "E105", "three capitals"),
    ("set: {PDI-5.1: MSH-10}", 9, 11, "E108", "'PID'"),
    ("set: {PID-99: MSH-10}", 9, 11, "E106", "40"),
    ("set: {PID-5: MSH-10}", 9, 11, "E107", "PID-5.1"),
    ("set: {PID-5.1: PID-5}", 9, 20, "E107", "PID-5.1"),
    ("set: {PID-5.1: PID-3(*).1}", 9, 20, "E244", "first"),
    ("set: {PID-8: PV1-2 = 'I'}", 9, 18, "E244", "bool"),
    ("set: {PID-8: {ref: patient}}", 9, 24, "E244", "expression"),
    ("set: {PID-8: {for_each: OBX, set: {}}}", 9, 19, "E221", "for_each"),
    ("set: {PID-8: MSH-10, PID-8(1): MSH-10}", 9, 26, "E222", "line 9"),
    ("set: {PID-5.1: MSH-10, PID-5.1.1: MSH-10}", 9, 28, "E222", "line 9"),
    ("set: {PID-19: MSH-10}\n    remove: [PID-19]", 10, 14, "E222", "line 9"),
    ("set: {ZPI-1: MSH-10}\n    remove: ['Z*']", 10, 14, "E222", "line 9"),
    ("set: {MSH-18: MSH-10}\n    charset: utf-8", 9, 11, "E222", "delete one"),
    ("set: [PID-5.1]", 9, 10, "E204", "mapping"),
    ("remove: [MSH]", 9, 14, "E291", "head"),
    ("remove: [MSH-10]", 9, 14, "E291", "known"),
    ("remove: [PDI]", 9, 14, "E108", "'PID'"),
    ("remove: [PDI-3]", 9, 14, "E108", "'PID'"),
    ("remove: [pid]", 9, 14, "E290", "capitals"),
    ("remove: [PID-3, PID-3(2)]", 9, 21, "E222", "line 9"),
    ("append: [{segment: zbr, set: {}}]", 9, 24, "E105", "three capitals"),
    ("append: [{segment: QQQ, set: {}}]", 9, 24, "E108", "no segment"),
    ("append: [{segment: MSH, set: {}}]", 9, 24, "E291", "once"),
    ("append: [{segment: ZBR, set: {PID-1: MSH-10}}]", 9, 35, "E290", "ZBR-1"),
    ("append: [{segment: ZBR}]", 9, 14, "E203", "'set'"),
    ("append: [{segment: ZBR, for_each: OXB, set: {}}]", 9, 39, "E108", "OXB"),
    (
        "append: [{segment: ZBR, set: {ZBR-1: MSH-10}, then: [{segment: ZZZ, after: ZBR, set: {}}]}]",
        9,
        73,
        "E200",
        "after",
    ),
    ("repeat: [{set: {PID-8: MSH-10}}]", 9, 14, "E203", "'for_each'"),
    ("repeat: [{for_each: DG1}]", 9, 14, "E203", "remove"),
    ("repeat: [{for_each: DG1, set: {PID-8: MSH-10}}]", 9, 36, "E290", "DG1"),
    ("repeat: [{for_each: PID-3, remove: [PID-8]}]", 9, 41, "E290", "PID-3"),
    ("repeat: [{for_each: NTE(2)-3, set: {NTE-3: MSH-10}}]", 9, 25, "E233", "repetitions"),
    ("repeat: [{for_each: DG1, set: {DG1-3.1: MSH-10}}]\n    remove: [DG1-3]", 10, 14, "E222", "line 9"),
    ("charset: utf-16", 9, 14, "E294", "iso-8859-1"),
    ("delimiters: '|^~&'", 9, 17, "E294", "five"),
    ("delimiters: '|^^~&'", 9, 17, "E294", "five"),
    ("unwritable: drop", 9, 17, "E205", "replace"),
    ("key: MSH-10", 9, 5, "E224", "order_by"),
    ("record: patient", 9, 5, "E224", "another entry"),
    ("removed: [PID-19]", 9, 5, "E200", "'remove'"),
]


@pytest.mark.parametrize(
    ("rules", "line", "column", "code", "word"), MISTAKES, ids=[row[0] for row in MISTAKES]
)
def test_a_mistake_is_shown_once_and_where_it_stands(
    rules: str, line: int, column: int, code: str, word: str
) -> None:
    found = problems_of(f"{PLAIN}    {rules}\n")
    # `PLAIN` ends in line 8.
    places = [(problem.place.line - 1, problem.place.column, problem.code) for problem in found]
    assert places == [(line - 1, column, code)], "\n".join(map(str, found))
    assert word in f"{found[0].text} {found[0].hint}"


HEADS = [
    (PLAIN.replace("    from: copy\n", ""), 7, 5, "E203", "'from'"),
    (PLAIN.replace("copy", "copie"), 8, 11, "E205", "'copy'"),
    (PLAIN.replace("hl7v2\n    from", "x12\n    from"), 7, 14, "E190", "x12"),
    (HEAD + NEW.replace("      MSH-10: MSH-10\n", ""), 11, 7, "E293", "MSH-10"),
    (HEAD + NEW + "    remove: [PID]\n", 22, 13, "E224", "nothing to take out"),
    (PLAIN + "  - {message: hl7v2, from: copy}\n", 9, 6, "E222", "excludes"),
    (PLAIN.replace("format: hl7v2, accept: [ADT^A01]", "format: json"), 8, 11, "E224", "from: new"),
]


@pytest.mark.parametrize(("text", "line", "column", "code", "word"), HEADS, ids=[row[3] for row in HEADS])
def test_a_mistake_of_the_whole_is_shown_once_and_where_it_stands(
    text: str, line: int, column: int, code: str, word: str
) -> None:
    (found,) = problems_of(text)
    assert (found.place.line, found.place.column, found.code) == (line, column, code), str(found)
    assert word in f"{found.text} {found.hint}"


EXPECT = (
    PLAIN
    + r"""    set: {PID-5.1: PID-5.1 | upper, PID-8: PID-30}
    remove: [PV1]
tests:
  - name: one
    input: |
      MSH|^~\&|HIS|NORTH|BRIDGE|HUB|20240102||ADT^A01|Q1|P|2.5.1
      PID|1||100234^^^NORTH^MR||okafor^""||||||||F
      PV1|1|I
    expect:
"""
)
WHOLE = r"""message: |
  MSH|^~\&|HIS|NORTH|BRIDGE|HUB|20240102||ADT^A01|Q1|P|2.5.1
  PID|1||100234^^^NORTH^MR||OKAFOR^""||||||||F"""


def differences(expect: str) -> list[tuple[str, str, str]]:
    indented = "".join(f"      {line}\n" for line in expect.splitlines())
    (result,) = run_tests(plan_of(EXPECT + indented))
    return [(each.what, each.expected, each.got) for each in result.differences]


OUTCOMES: list[tuple[str, list[tuple[str, str, str]]]] = [
    ("message: {PID-5.1: OKAFOR, PID-3(5=MR).1: '100234', PV1: '', PID-8: ''}", []),
    ("message: {PID-5.2: '\"\"', PID-3(*).1: '100234'}\nissues: []\nfailed: false", []),
    (WHOLE, []),
    ("message: {PID-5.1: okafor}", [("message.PID-5.1", "okafor", "OKAFOR")]),
    ("message: {PID-5.1: ''}", [("message.PID-5.1", "nothing", "OKAFOR")]),
    ("message: {PID-30: Y}", [("message.PID-30", "Y", "nothing")]),
    ("message: {PID: ''}", [("message.PID", "no such segment", "1")]),
    ("message: []", [("message", "none", "1 messages")]),
    (WHOLE.replace("OKAFOR", "X"), [("message, line 2", 'PID|1||100234^^^NORTH^MR||X^""||||||||F',
                                    'PID|1||100234^^^NORTH^MR||OKAFOR^""||||||||F')]),
    (WHOLE + "\n  PV1|1|I", [("message, line 3", "PV1|1|I", "nothing")]),
]  # fmt: skip


@pytest.mark.parametrize(("expect", "found"), OUTCOMES)
def test_a_test_of_the_file_says_what_the_message_must_be(
    expect: str, found: list[tuple[str, str, str]]
) -> None:
    assert differences(expect) == found


EXPECTATIONS = [
    ("message: {}", "E280"),
    ("message: {pid-5: X}", "E282"),
    ("message: {PDI-5: X}", "E108"),
    ("message: {ZPI: X}", "E282"),
    ("message: {PID-5.1: [X]}", "E204"),
    ("message: [X]", "E282"),
    ("patient: []", "E282"),
]


@pytest.mark.parametrize(("expect", "code"), EXPECTATIONS)
def test_a_misspelt_expectation_never_passes(expect: str, code: str) -> None:
    assert [problem.code for problem in problems_of(f"{EXPECT}      {expect}\n")] == [code]


def test_a_mapping_of_records_makes_no_message_that_a_test_could_expect() -> None:
    emit = "emit:\n  - {record: patient, key: PID-3.1, set: {identifiers: {list: [{value: PID-3.1}]}}}\n"
    text = HEAD + emit + EXPECT[EXPECT.index("tests:") :]
    assert [problem.code for problem in problems_of(text + "      message: {PID-5.1: X}\n")] == ["E282"]


def test_the_example_of_the_page_has_no_mistake() -> None:
    page = (FOLDER / "mappings" / "README.md").read_text("utf-8")
    (example,) = re.findall(r"\n```\n(emit:.*?)```", page, re.DOTALL)
    plan = plan_of(HEAD + "tables: {facility: {NORTH: N1}}\n" + example)
    assert plan.makes_message


def test_the_shipped_example_passes_its_own_tests_and_tries_every_type_it_accepts() -> None:
    path = FOLDER / "mappings" / "examples" / "adt-relabel.yaml"
    plan = plan_of(path.read_text("utf-8"))
    assert plan.name == path.stem
    assert [result.differences for result in run_tests(plan) if not result.passed] == []
    assert {Hl7Message.read(each.message.encode()).message_type for each in plan.tests} == plan.accept


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


def _through(target: str) -> Plan:
    return plan_of(f"{PLAIN}    set: {{{target}: EVN-7.1}}\n    charset: utf-8\n")


PLANS = {target: _through(target) for target in ("PID-5.1", "PID-3(2).1", "PID-19", "PV1-2")}


@given(TEXTS, st.sampled_from(sorted(PLANS)))
def test_what_a_rule_gives_is_what_the_receiver_reads(text: str, target: str) -> None:
    message = message_with(EVN_7=escape(text, Delimiters.defaults()))
    mapped = PLANS[target].run(message)
    (one,) = mapped.messages
    read = Hl7Message.read(one.body)
    segment, rest = target.split("-")
    repetition = 2 if "(2)" in rest else 1
    field = int(re.match(r"\d+", rest)[0])  # type: ignore[index]
    assert read.value(segment, field, repetition) == message.value("EVN", 7) == text

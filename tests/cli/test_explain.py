"""`bridge explain`: every name has a meaning, and what is not known is not invented."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from code_reading import ROOT
from command_line import bridge

from bridge.canonical.base import fields
from bridge.canonical.records import RECORDS
from bridge.catalog import STANDARD
from bridge.cli.main import COMMANDS
from bridge.cli.meanings import Meaning, find, meanings
from bridge.config.advice import ADVICE as FILE_ADVICE
from bridge.config.api import ApiFile
from bridge.config.channel import ChannelFile
from bridge.config.codes import CODES as FILE_CODES
from bridge.config.reference import keys
from bridge.config.settings import VARIABLES
from bridge.delivery.meanings import AFTER_VERDICT, OF_DELIVERY, OF_MESSAGE
from bridge.delivery.outcomes import Verdict
from bridge.delivery.state import DeliveryState, MessageState
from bridge.destinations.reasons import REASONS as ATTEMPTS
from bridge.formats.hl7v2_ack import TABLE_0357, AckCode
from bridge.journal.quarantine import ADVICE as REASONS
from bridge.mapping.advice import ADVICE as MAPPING_ADVICE
from bridge.mapping.codes import CODES as MAPPING_CODES
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.head import _EVERY_KEY as SOURCE_READS
from bridge.mapping.key_texts import ENTRY_KEYS, GROUP_KEYS, IGNORE_KEYS, RULE_KEYS, SOURCE_KEYS
from bridge.observe.log_words import LOG_WORDS
from bridge.runtime.file_reasons import REASONS as FILE_REASONS
from bridge.tls.client import _UNTRUSTED as UNTRUSTED

KNOWN = meanings(STANDARD)
OF_OTHERS = {"sync_interval"}
"""Keys of files that are not ours."""

SAID_BY_DESTINATIONS = sorted(
    {
        reason
        for file in (ROOT / "bridge" / "destinations").glob("*.py")
        for reason in re.findall(r'Outcome\(\s*Verdict\.[A-Z]+,\s*"([a-z0-9-]+)"', file.read_text())
    }
)
"""Every reason that is written where an attempt's outcome is made."""

SAID_OF_CONTENT = sorted(
    {
        reason
        for pattern in ("formats/*.py", "decoders/*.py")
        for file in (ROOT / "bridge").glob(pattern)
        for reason in re.findall(
            r'\b(?:Unsplittable|Undecodable|BadRow|XmlRefused|self\._refused)\(\s*"([a-z0-9-]+)"',
            file.read_text(),
        )
    }
)
"""Every reason that is written where a file cannot be decoded or taken apart."""

NAMED: dict[str, list[str]] = {
    "code": [*FILE_CODES, *MAPPING_CODES],
    "state": [*map(str, MessageState), *map(str, DeliveryState)],
    "component": [component.name for component in STANDARD.components],
    "function": [*FUNCTIONS],
    "acknowledgement": [*map(str, AckCode), *TABLE_0357],
    "reason": [*REASONS],
    "reason of an attempt": [*SAID_BY_DESTINATIONS, *UNTRUSTED.values()],
    "reason of a file": [*FILE_REASONS, *SAID_OF_CONTENT, "bytes-after-interchange"],
    "variable": [*VARIABLES],
    "command": [*COMMANDS],
    "record": [*RECORDS],
    "field": [f"{name}.{field}" for name, model in RECORDS.items() for field in fields(model)],
    "key": [key.path for model in (ChannelFile, ApiFile) for key in keys(model)],
    "option": [
        f"source.mllp.{key.path}"
        for component in STANDARD.components
        if component.name == "mllp"
        for key in keys(component.options)
    ],
}


@pytest.mark.parametrize("kind", NAMED)
def test_everything_that_has_a_name_is_explained(kind: str) -> None:
    assert NAMED[kind]
    for name in NAMED[kind]:
        found = find(KNOWN, name)
        assert found, name
        assert all(each.text.strip() for each in found), name
        assert any(each.name.casefold() == name.casefold() for each in found), name


def test_no_meaning_is_empty_or_stands_twice() -> None:
    assert [each.name for each in KNOWN if not each.text.strip() or not each.name] == []
    assert [each for each in KNOWN if any(not value.strip() for _, value in each.facts)] == []
    named = [(each.kind, each.name, each.text, each.facts) for each in KNOWN]
    assert sorted({each for each in named if named.count(each) > 1}) == []


def test_states_and_verdicts_have_their_words_and_words_their_state() -> None:
    assert set(OF_MESSAGE) == set(MessageState)
    assert set(OF_DELIVERY) == set(DeliveryState)
    assert set(AFTER_VERDICT) == set(Verdict)


def test_what_to_do_is_said_of_codes_that_there_are() -> None:
    assert FILE_ADVICE.keys() <= FILE_CODES.keys()
    assert MAPPING_ADVICE.keys() <= MAPPING_CODES.keys()
    for do, example in (*FILE_ADVICE.values(), *MAPPING_ADVICE.values()):
        assert do.endswith("."), do
        assert example.strip(), do


def explained(*name: str) -> list[dict[str, Any]]:
    ended = bridge("explain", *name, "--format", "json")
    assert ended.status == 0, ended.said
    found: list[dict[str, Any]] = json.loads(ended.out)
    return found


SAID: list[tuple[tuple[str, ...], str, str]] = [
    (("mllp",), "transport", "max_block"),
    (("HL7V2",), "format", "fallback"),
    (("http_api",), "destination", "operations.*.send_only"),
    (("api_key",), "credential", "auth: {api_key: ...}"),
    (("source.mllp.max_block",), "key of a channel file", "16MiB"),
    (("max_block",), "key of a channel file", "source.mllp.max_block"),
    (("limits.in_flight",), "key of an API file", "a whole number from 1 to 1024"),
    (("repeat_safety",), "key of an API file", "one of: header, natural_key"),
    (("routes.on_poison",), "key of a channel file", "block_route"),
    (("production",), "key of an environment file", "true or false"),
    (("strip_zeros",), "function", "strip_zeros(text)"),
    (("IF",), "function", "if(condition, then, otherwise?)"),
    (("unwritable",), "key of a mapping file", "replace"),
    (("emit[].remove",), "key of a mapping file", "Segments, fields"),
    (("on_reject",), "key of a mapping file", "fail_message"),
    (("source.timezone",), "key of a mapping file", "senders that give no offset"),
    (("set.*.default",), "key of a mapping file", "Where the value is absent"),
    (("R052",), "issue of a message", "another `charset`"),
    (("c130",), "code of a file", "write the mapping into mappings/"),
    (("E220",), "code of a mapping", "famly"),
    (("R010",), "issue of a message", "A required value is missing."),
    (("ae",), "acknowledgement", "table 0008"),
    (("207",), "acknowledgement error", "Application internal error."),
    (("held",), "delivery state", "QUARANTINED, READY"),
    (("Delivered",), "delivery state", "nothing: it is final"),
    (("received",), "message state", "MAPPED, QUARANTINED, REFUSED"),
    (("outcome-unknown",), "quarantine reason", "if so discard, if not retry"),
    (("unprocessable",), "reason of an attempt", "422"),
    (("auth-unavailable",), "reason of an attempt", "its secret cannot be read"),
    (("tls-untrusted-expired",), "reason of an attempt", "has expired"),
    (("sent-before",), "reason of a file", "the same content"),
    (("too-large",), "reason of a file", "`max_size`"),
    (("decryption",), "reason of a file", "is it encrypted"),
    (("404",), "reason of an attempt", "its key waits, for `retry.not_found_for`"),
    (("500",), "reason of an attempt", "`repeat_safety` decides"),
    (("503",), "reason of an attempt", "unavailable"),
    (("unavailable",), "reason of an attempt", "goes again by itself"),
    (("patient",), "record", "identifiers (needed)"),
    (("patient.family",), "record field", "PHI"),
    (("patient.identifiers.system",), "record field", "assigning authority"),
    (("bridge_journal",), "environment variable", "sqlite:///var/bridge.db"),
    (("pause",), "command", COMMANDS["pause"][1]),
    (("quarantine", "list"), "command", "bridge quarantine list --help"),
    (("bridge", "map", "test"), "command", "bridge map test --help"),
    (("json_lines",), "not built", "lines of JSON are `json: {records: lines}`"),
    (("slo",), "not built", "not watched yet"),
]


@pytest.mark.parametrize(
    "key",
    [*RULE_KEYS, *ENTRY_KEYS, *SOURCE_KEYS, *GROUP_KEYS, *IGNORE_KEYS, "message", "remove", "json", "let"],
)
def test_every_key_of_a_mapping_file_is_explained_as_one(key: str) -> None:
    assert [each for each in find(KNOWN, key) if each.kind == "key of a mapping file"]


def test_the_keys_of_a_source_that_are_explained_are_those_that_are_read() -> None:
    assert set(SOURCE_KEYS) == SOURCE_READS


@pytest.mark.parametrize(("name", "kind", "words"), SAID, ids=[" ".join(row[0]) for row in SAID])
def test_a_name_is_explained_as_what_it_is(name: tuple[str, ...], kind: str, words: str) -> None:
    found = [each for each in explained(*name) if each["kind"] == kind]
    assert found
    assert words in json.dumps(found, ensure_ascii=False).replace('\\"', '"')


def test_what_to_do_about_an_attempt_names_keys_that_there_are() -> None:
    named = {key for text in ATTEMPTS.values() for key in re.findall(r"`(\w+):", text)} - OF_OTHERS
    assert named
    assert not [key for key in named if not find(KNOWN, key)]


def test_a_name_of_several_things_is_told_as_all_of_them() -> None:
    kinds = ["message state", "delivery state", "line of the log"]
    assert [each["kind"] for each in explained("QUARANTINED")] == kinds
    assert {each["kind"] for each in explained("conflict")} == {"quarantine reason", "reason of an attempt"}
    assert len(explained("limits.in_flight")) == 2, "an API has them, and each operation"


def test_a_reason_with_a_code_is_told_with_the_code() -> None:
    assert [each["name"] for each in explained("mapping-failed:R010")] == ["mapping-failed", "R010"]


def test_a_function_shows_its_examples() -> None:
    (found,) = explained("first_of")
    assert found["rows"] == [{"example": 'first_of(None, "B", "C")', "gives": "'B'"}]


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("strip_zeroes", "strip_zeros"),
        ("QUARANTIND", "QUARANTINED"),
        ("max_blok", "max_block"),
        ("PDI", "PID"),
    ],
)
def test_a_misspelt_name_is_answered_with_the_nearest(name: str, meant: str) -> None:
    ended = bridge("explain", name)
    assert (ended.status, ended.out) == (1, "")
    assert f"did you mean '{meant}'?" in ended.err


def test_a_name_like_no_other_is_answered_with_where_to_look() -> None:
    ended = bridge("explain", "q" * 500)
    assert (ended.status, ended.out) == (1, "")
    assert "`bridge explain` lists the kinds" in ended.err
    assert len(ended.err) < 200


# HL7


def test_of_hl7_it_says_what_a_field_is_and_what_mappings_read() -> None:
    found, data_type = explained("pid-3")
    assert (found["kind"], found["name"]) == ("HL7 field", "PID-3")
    assert found["text"] == "Patient Identifier List."
    assert found["facts"]["data type"] == "CX: made of components, as in PID-3.1"
    rows = [row for row in found["rows"] if row["mapping"] == "adt-admit"]
    assert any("patient.identifiers" in row["becomes"] for row in rows)
    assert (data_type["kind"], data_type["name"]) == ("HL7 data type", "CX")
    assert {"place": "CX.1", "name": "ID Number"}.items() <= data_type["rows"][0].items()


@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        ("PID", "HL7 segment", "at most 40"),
        ("PID", "HL7 fields", "Patient Identifier List"),
        ("PID-55", "HL7 field", "No version has it"),
        ("ZPI-4", "HL7 field", "site's own"),
        ("FT1-5", "HL7 field", "none of those here reads it"),
        ("OBX-5", "HL7 field", "varies"),
        ("PID-3.1", "HL7 component", "Patient Identifier List: ID Number."),
        ("PID-3.4.2", "HL7 subcomponent", "Assigning Authority: Universal ID."),
        ("PID-8.1", "HL7 component", "Administrative Sex: Identifier."),
        ("PID-1.1", "HL7 component", "Set ID - PID."),
        ("PID-1.2", "HL7 component", "no version of HL7 v2"),
        ("PID-8", "HL7 table", "Female"),
        ("cx", "HL7 data type", "Extended Composite ID"),
        ("CX.5", "HL7 component", "Identifier Type Code"),
        ("ADT^A01", "HL7 message", "ADT_A01"),
        ("adt_a04", "HL7 message", "Register a patient"),
        ("table 0203", "HL7 table", "Medical record number"),
        ("HL70203", "HL7 table", "Medical record number"),
        ("0203 MR", "HL7 code", "Identifier type: Medical record number."),
        ("0203 NONE", "HL7 code", "not in the table"),
    ],
)
def test_of_hl7_names_it_says_what_the_dictionary_knows(name: str, kind: str, words: str) -> None:
    assert words in json.dumps([each for each in explained(name) if each["kind"] == kind])


def test_a_message_or_table_that_is_not_in_the_dictionary_is_not_invented() -> None:
    for name in ("ADT^Q99", "table 9999", "QQ.1"):
        assert bridge("explain", name).status == 1, name


def test_what_mappings_leave_out_is_told_too() -> None:
    text = json.dumps(explained("MSH"))
    assert "left out: " in text


def test_the_mappings_are_those_of_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    (tmp_path / "mappings" / "broken.yaml").write_text("mapping: broken\n")
    ended = bridge("explain", "PID-3", "--config", tmp_path)
    assert ended.status == 0
    assert "none of those here reads it" in ended.out
    assert "broken.yaml: left out, since it has mistakes" in ended.err


# Without a name


def test_of_a_field_it_says_what_becomes_of_it_in_a_message_that_is_made(tmp_path: Path) -> None:
    (tmp_path / "mappings").mkdir()
    example = ROOT / "mappings" / "examples" / "adt-relabel.yaml"
    (tmp_path / "mappings" / "adt-relabel.yaml").write_text(example.read_text())

    def rows(name: str) -> list[list[str]]:
        found = explained(name, "--config", str(tmp_path))[0]
        return [list(row.values()) for row in found["rows"]]

    assert rows("PID-19") == [["adt-relabel", "PID-19", "taken out of the message made"]]
    assert rows("ZPI") == [["adt-relabel", "Z*", "taken out of the message made"]]
    assert rows("MSH-4") == [
        ["adt-relabel", "MSH-4.1", "message.MSH-4.1"],
        ["adt-relabel", "MSH-4.1", "set in the message made"],
    ]


def test_without_a_name_the_kinds_are_listed() -> None:
    ended = bridge("explain")
    assert ended.status == 0
    kinds = {each.kind for each in KNOWN}
    assert [kind for kind in kinds if kind not in ended.out] == []
    assert json.loads(bridge("explain", "--format", "json").out).keys() >= kinds


def test_for_a_person_a_meaning_begins_with_its_name_and_kind() -> None:
    lines = bridge("explain", "C130").out.splitlines()
    assert lines[0] == "C130: code of a file"
    assert lines[1].strip() == FILE_CODES["C130"]
    assert lines[-2].strip() == FILE_ADVICE["C130"][1]


def test_what_is_named_so_comes_before_what_ends_so() -> None:
    known = [Meaning("a", "x.name", "text", also=("name",)), Meaning("b", "Name", "text")]
    assert [each.kind for each in find(known, "NAME")] == ["b", "a"]
    assert find(known, "nam") == []


def test_every_command_below_a_group_is_explained() -> None:
    commands = {each.name for each in KNOWN if each.kind == "command"}
    assert {"quarantine retry", "journal verify", "map try"} <= commands


@pytest.mark.parametrize("said", ["#x", "#1x", "#-1", "#0", "#9", "#"])
def test_a_message_of_a_file_is_named_by_its_number_alone(said: str) -> None:
    message = f"{ROOT / 'legacy_fixtures' / 'hl7v2' / 'adt_a01.hl7'}{said}"
    ended = bridge("explain", ROOT / "mappings" / "adt-admit.yaml", message, "patient.sex")
    assert (ended.status, ended.out) == (2, "")


def test_a_name_of_a_file_may_have_the_sign_of_numbers_in_it(tmp_path: Path) -> None:
    odd = tmp_path / "ward#3"
    odd.write_bytes((ROOT / "legacy_fixtures" / "hl7v2" / "adt_a01.hl7").read_bytes())
    for name in (odd, f"{odd}#1"):
        ended = bridge("explain", ROOT / "mappings" / "adt-admit.yaml", name, "patient.sex")
        assert ended.status == 0, ended.said


def test_every_line_of_the_log_that_the_page_lists_is_explained() -> None:
    page = (Path(__file__).parents[2] / "README.md").read_text().partition("**Logs** go to")[2]
    assert set(re.findall(r"`([a-z-]+)`", page.partition("\n\n")[0])) == set(LOG_WORDS)


@pytest.mark.parametrize("name", ["resent", "control-id-reused", "late-record"])
def test_a_flag_of_a_message_is_explained_before_a_key_of_the_same_name(name: str) -> None:
    assert bridge("explain", name).out.startswith(f"{name}: flag of a message\n")

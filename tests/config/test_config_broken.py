"""Broken configurations: each problem stands at its place, says what is expected, and comes alone."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_site import API, CATALOG, CHANNEL, FILES, MAPPING, edited, write_site

from bridge.config.codes import CODES
from bridge.config.load import load
from bridge.errors import ConfigurationRefused
from bridge.located import Problem

C, A, M = FILES
Files = dict[str, str | bytes]
Expected = list[tuple[str, str]]
"""What begins the line that is shown, ``file:line:column: code``, and words that stand in it."""


def problems_of(folder: Path, files: Files) -> list[Problem]:
    try:
        return list(load(write_site(folder, files), CATALOG).warnings)
    except ConfigurationRefused as refused:
        return list(refused.problems)


def with_file(path: str, content: str | bytes) -> Files:
    return {**FILES, path: content}


TO = "{api: ehr.patients, operations: {upsert: putPatient}}"
SELECT = "{select: MSH-4.1, from: {NORTH: ehr.patients}, operations: {upsert: putPatient}}"

BROKEN: list[tuple[str, Files, Expected]] = [
    (
        "messages that are kept shorter than repeats are known",
        edited(C, "routes:", "retention: {messages: 3d}\nroutes:"),
        [(f"{C}:8:23: C122", "expected `messages` to be no shorter than `duplicates: {window: ...}`")],
    ),
    (
        "content that is kept shorter than repeats are known",
        edited(
            C, "routes:", "duplicates: {window: 20d}\nretention:\n  messages: 30d\n  bodies: 10d\nroutes:"
        ),
        [(f"{C}:11:11: C122", "expected `bodies` to be no shorter")],
    ),
    (
        "a poison policy that is none",
        edited(C, "    record:", "    on_poison: ignore\n    record:"),
        [(f"{C}:12:16: C122", "quarantine_and_continue")],
    ),
    (
        "an API and a choice among several",
        edited(C, "{api: ehr.patients, ", "{api: ehr.patients, select: MSH-4.1, from: {N: ehr.patients}, "),
        [(f"{C}:13:9: C122", "expected `api: NAME`, or `select: MSH-4.1`")],
    ),
    (
        "a choice without its APIs",
        edited(C, TO, "{select: MSH-4.1, operations: {upsert: putPatient}}"),
        [(f"{C}:13:9: C122", "`select` and `from` go together"), (f"{A}:1:6: C141", "no route uses")],
    ),
    (
        "a choice among APIs, one of which is not there",
        edited(C, TO, SELECT.replace("ehr.patients}", "ehr.patients, SOUTH: ehr.patient}")),
        [(f"{C}:13:62: C131", "did you mean 'ehr.patients'?")],
    ),
    (
        "what becomes of others, where there is one API for all",
        edited(C, TO, TO.replace("{api: ehr.patients,", "{api: ehr.patients, otherwise: ignore,")),
        [(f"{C}:13:9: C122", "`otherwise` goes with `select`")],
    ),
    (
        "a burst without its rate",
        edited(A, "repeat_safety: header", "limits: {burst: 5}"),
        [(f"{A}:4:9: C122", "write a rate too")],
    ),
    (
        "an API that is to be asked, and no question",
        edited(A, "repeat_safety: header", "repeat_safety: query_before_retry"),
        [(f"{A}:6:3: C145", "add query: {path: ...}")],
    ),
    (
        "a question about a field that the record does not have",
        edited(A, "    method:", "    query: {path: '/patients/{kee}'}\n    method:"),
        [(f"{A}:7:30: C135", "did you mean 'key'?"), (f"{A}:7:30: C136", "`kee` stands here")],
    ),
    (
        "a breaker that is open longer than it may be",
        edited(A, "repeat_safety: header", "breaker: {open: 10m}"),
        [(f"{A}:4:10: C122", "open cannot be longer than open_max")],
    ),
    (
        "a breaker with a misspelt key",
        edited(A, "repeat_safety: header", "breaker: {consecutve: 3}"),
        [(f"{A}:4:11: C120", "did you mean 'consecutive'?")],
    ),
    (
        "a limit of an operation without its unit",
        edited(A, "    method:", "    limits: {rate: 20}\n    method:"),
        [(f"{A}:7:20: C122", "expected a rate with its unit")],
    ),
    (
        "a misspelt key",
        edited(C, "accept:", "acept:"),
        [(f"{C}:6:1: C120", "did you mean 'accept'?")],
    ),
    (
        "a misspelt key that is needed",
        edited(C, "    mapping:", "    maping:"),
        [
            (f"{C}:9:5: C121", "`mapping` is missing"),
            (f"{C}:11:5: C120", "did you mean 'mapping'?"),
            (f"{M}:1:10: C141", "no route uses"),
        ],
    ),
    (
        "a misspelt listener option",
        edited(C, "listen: tcp:2575", "listen: tcp:2575\n    idel: 5s"),
        [(f"{C}:5:5: C120", "did you mean 'idle'?")],
    ),
    (
        "a missing listener option",
        edited(C, "listen: tcp:2575", "idle: 5s"),
        [(f"{C}:4:5: C121", "`listen` is missing")],
    ),
    (
        "a duration without its unit",
        edited(C, "listen: tcp:2575", "listen: tcp:2575\n    idle: 5"),
        [(f"{C}:5:11: C122", "expected a duration with its unit")],
    ),
    (
        "a duration of nothing",
        edited(C, "listen: tcp:2575", "listen: tcp:2575\n    idle: 0s"),
        [(f"{C}:5:11: C122", "expected more than 0")],
    ),
    (
        "an unknown transport",
        edited(C, "  mllp:", "  mlpp:"),
        [(f"{C}:3:3: C123", "did you mean 'mllp'?")],
    ),
    (
        "two transports",
        edited(C, "    listen: tcp:2575", "    listen: tcp:2575\n  mllp2: {}"),
        [(f"{C}:3:3: C122", "expected one transport")],
    ),
    (
        "an unknown format",
        edited(C, "{hl7v2: {charset: utf-8}}", "hl7v3"),
        [(f"{C}:5:9: C123", "did you mean 'hl7v2'?")],
    ),
    (
        "a message type that is none",
        edited(C, "ADT^A08]", "ADT-A08]"),
        [(f"{C}:6:19: C122", "expected a message type")],
    ),
    (
        "a type that the mapping does not accept",
        edited(C, "ADT^A08]", "ADT^A09]"),
        [(f"{C}:6:19: C134", "did you mean 'ADT^A0")],
    ),
    (
        "all events, where the mapping accepts some",
        edited(C, "ADT^A08]", "ADT^*]"),
        [(f"{C}:6:19: C134", "list the types: ADT^A01, ADT^A08")],
    ),
    (
        "a word where a list is expected",
        edited(C, "accept: [ADT^A01, ADT^A08]", "accept: ADT^A01"),
        [(f"{C}:6:9: C122", "expected a list")],
    ),
    (
        "a value that is none of the words",
        edited(C, "order_by", "otherwise: quarantin\norder_by"),
        [(f"{C}:7:12: C122", "did you mean 'quarantine'?")],
    ),
    (
        "a channel without routes",
        with_file(C, CHANNEL.partition("routes:")[0] + "routes: []\n"),
        [
            (f"{C}:8:9: C122", "expected at least 1"),
            (f"{A}:1:6: C141", "no route uses the API"),
            (f"{M}:1:10: C141", "no route uses the mapping"),
        ],
    ),
    (
        "no order and no word about messages without a key",
        edited(C, "order_by: PID-3.1\n", ""),
        [(f"{C}:1:1: C121", "on_no_key: serial")],
    ),
    (
        "an order for some types only",
        edited(C, "order_by: PID-3.1", "order_by: {ADT^A01: PID-3.1}"),
        [(f"{C}:7:11: C121", "`default` is missing")],
    ),
    (
        "an order for what is no message type",
        edited(C, "order_by: PID-3.1", "order_by: {default: PID-3.1, A-40: PID-3.1}"),
        [(f"{C}:7:30: C122", "expected `default` or a message type")],
    ),
    (
        "a name with a space",
        edited(C, "channel: adt", "channel: ADT feed"),
        [(f"{C}:1:10: C122", "expected a name of small letters")],
    ),
    (
        "an operation of a record that is none",
        edited(C, "{upsert: putPatient}", "{upsrt: putPatient}"),
        [(f"{C}:13:42: C122", "did you mean 'upsert'?")],
    ),
    (
        "no operation",
        edited(C, ", operations: {upsert: putPatient}", ""),
        [(f"{C}:13:9: C122", "one of the two")],
    ),
    (
        "an unknown mapping",
        edited(C, "mapping: adt-admit", "mapping: adt-admits"),
        [(f"{C}:11:14: C130", "did you mean 'adt-admit'?"), (f"{M}:1:10: C141", "no route uses")],
    ),
    (
        "an unknown API",
        edited(C, "api: ehr.patients", "api: ehr.patient"),
        [(f"{C}:13:15: C131", "did you mean 'ehr.patients'?"), (f"{A}:1:6: C141", "no route uses")],
    ),
    (
        "an unknown operation",
        edited(C, "upsert: putPatient", "upsert: putPateint"),
        [(f"{C}:13:50: C132", "did you mean 'putPatient'?")],
    ),
    (
        "a record that the mapping does not make",
        edited(C, "record: patient", "record: pateint"),
        [(f"{C}:12:13: C133", "did you mean 'patient'?")],
    ),
    (
        "a call missing for what the mapping's table can make",
        {
            **FILES,
            M: MAPPING.replace(
                "emit:", "tables:\n  op: {A01: upsert, A08: replace, A40: merge}\nemit:"
            ).replace(
                "    key: PID-3.1\n",
                "    key: PID-3.1\n    operation: {from: MSH-9.2, translate: op, default: cancel}\n",
            ),
        },
        [(f"{C}:13:9: C137", "cancel, merge, replace")],
    ),
    (
        "a call missing for the mapping's own word",
        edited(M, "    key: PID-3.1\n", "    key: PID-3.1\n    operation: delete\n"),
        [(f"{C}:13:9: C137", "add delete to operations")],
    ),
    (
        "a field that the record does not have",
        edited(A, "family]", "famly]"),
        [(f"{A}:9:22: C135", "did you mean 'family'?")],
    ),
    (
        "a path with a field that is not sent",
        edited(A, "/patients/{key}", "/patients/{given}"),
        [(f"{A}:8:21: C136", "add given to send_only")],
    ),
    (
        "an API without a place",
        edited(A, "base_url: https://ehr.example\n", ""),
        [(f"{A}:1:1: C121", "`base_url` is missing")],
    ),
    (
        "a key that neither the API nor its destination knows",
        edited(A, "base_url:", "base_ulr: x\nbase_url:"),
        [(f"{A}:2:1: C120", "did you mean 'base_url'?")],
    ),
    (
        "an API without operations",
        with_file(A, API.partition("operations:")[0] + "operations: {}\n"),
        [(f"{C}:13:50: C132", "no operation `putPatient`"), (f"{A}:5:13: C122", "expected at least 1")],
    ),
    (
        "an operation without its path",
        edited(A, "    path: /patients/{key}\n", ""),
        [(f"{A}:7:5: C121", "`path` is missing")],
    ),
    (
        "another method",
        edited(A, "PUT", "GET"),
        [(f"{A}:7:13: C122", "expected one of: PUT, POST")],
    ),
    (
        "no credential outside this machine",
        edited(A, "{api_key: {key: secret://env/EHR_KEY}}", "none"),
        [(f"{A}:3:7: C140", "loopback only")],
    ),
    (
        "nothing said of a credential outside this machine",
        edited(A, "auth: {api_key: {key: secret://env/EHR_KEY}}\n", ""),
        [(f"{A}:2:11: C140", "loopback only")],
    ),
    (
        "no encryption outside this machine",
        edited(A, "https://ehr", "http://ehr"),
        [(f"{A}:2:11: C140", "in the clear")],
    ),
    (
        "an address that only begins like loopback",
        edited(A, "https://ehr.example", "http://127.0.0.1.example"),
        [(f"{A}:2:11: C140", "in the clear")],
    ),
    (
        "an unknown credential",
        edited(A, "{api_key:", "{apikey:"),
        [(f"{A}:3:8: C123", "did you mean 'api_key'?")],
    ),
    (
        "a secret itself",
        edited(A, "secret://env/EHR_KEY", "hunter2"),
        [(f"{A}:3:23: C122", "never the secret itself")],
    ),
    (
        "a limit that is no number",
        edited(A, "operations:", "limits: {in_flight: many}\noperations:"),
        [(f"{A}:5:21: C122", "expected a whole number")],
    ),
    (
        "a limit out of range",
        edited(A, "operations:", "limits: {in_flight: 0}\noperations:"),
        [(f"{A}:5:21: C122", "expected 1 or more")],
    ),
    (
        "a first wait longer than all",
        edited(A, "operations:", "retry: {base: 1h}\noperations:"),
        [(f"{A}:5:8: C122", "cannot be longer than cap")],
    ),
    (
        "two channels on one port",
        with_file("channels/other.yaml", CHANNEL.replace("channel: adt", "channel: other")),
        [("channels/other.yaml:4:13: C138", "port 2575")],
    ),
    (
        "one port, on one address and on all",
        with_file(
            "channels/other.yaml",
            CHANNEL.replace("channel: adt", "channel: other").replace(
                "tcp:2575", "tcp:2575:interface=127.0.0.1"
            ),
        ),
        [("channels/other.yaml:4:13: C138", "port 2575")],
    ),
    (
        "two channels of one name",
        with_file("channels/other.yaml", CHANNEL.replace("2575", "2576")),
        [("channels/other.yaml:1:10: C139", f"it first stands in {C}")],
    ),
    (
        "two APIs of one name",
        with_file("channels/apis/other.yaml", API),
        [("channels/apis/other.yaml:1:6: C139", f"it first stands in {A}")],
    ),
    (
        "two mappings of one name",
        with_file("mappings/other.yaml", MAPPING),
        [("mappings/other.yaml:1:10: C139", f"it first stands in {M}")],
    ),
    (
        "two routes of one name",
        with_file(C, CHANNEL + CHANNEL.partition("routes:\n")[2]),
        [(f"{C}:14:12: C139", "it first stands in line 9")],
    ),
    (
        "an API that nobody uses",
        with_file("channels/apis/other.yaml", API.replace("ehr.patients", "other")),
        [("channels/apis/other.yaml:1:6: C141", "no route uses the API other")],
    ),
    (
        "a name that is not read",
        with_file("channels/lab.yml", CHANNEL),
        [("channels/lab.yml:1:1: C154", "rename it")],
    ),
    (
        "quotes of a word processor",
        edited(A, "repeat_safety: header", "repeat_safety: \u201cheader\u201d"),
        [(f"{A}:4:16: C122", "curly quotes")],
    ),
    (
        "what looks like a space behind a value",
        edited(A, "repeat_safety: header", "repeat_safety: header\u00a0"),
        [(f"{A}:4:16: C122", "looks like a space")],
    ),
    (
        "YAML that cannot be read",
        edited(C, "PID-8.1 in ['F', 'M']", "if(PID-8.1, 'a: b')"),
        [(f"{C}:10:25: C101", "quotes")],
    ),
    (
        "a list where keys are expected",
        with_file(A, "- api: ehr.patients\n"),
        [(f"{A}:1:1: C106", "expected keys with values")],
    ),
    ("no text", with_file(A, ""), [(f"{A}:1:1: C106", "empty")]),
    ("bytes", with_file(C, b"channel: \xff\n"), [(f"{C}:1:10: C111", "UTF-8")]),
    (
        "mistakes in all files at once",
        {
            C: CHANNEL.replace("accept:", "acept:").replace("upsert: putPatient", "upsert: putPateint"),
            A: API.replace("family]", "famly]").replace("PUT", "GET"),
            M: MAPPING,
        },
        [
            (f"{C}:6:1: C120", "accept"),
            (f"{C}:13:50: C132", "putPatient"),
            (f"{A}:7:13: C122", "PUT"),
        ],
    ),
]


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in BROKEN], ids=[row[0] for row in BROKEN])
def test_each_mistake_is_shown_at_its_place_and_brings_no_other(
    tmp_path: Path, files: Files, expected: Expected
) -> None:
    problems = problems_of(tmp_path, files)
    shown = [str(problem) for problem in problems]
    assert [begin for begin, _ in expected] == [line[: line.index(": ", 8) + 6] for line in shown]
    for (_, words), line in zip(expected, shown, strict=True):
        assert words in line
    assert all(problem.code in CODES for problem in problems)
    assert "hunter2" not in "".join(shown)
    assert "pydantic" not in "".join(shown)


def test_a_warning_does_not_refuse(tmp_path: Path) -> None:
    files: Files = {**FILES, "channels/apis/other.yaml": API.replace("ehr.patients", "other")}
    assert [problem.code for problem in load(write_site(tmp_path, files), CATALOG).warnings] == ["C141"]


EXPRESSIONS: list[tuple[str, Files, Expected]] = [
    (
        "several keys that are no list",
        edited(C, "PID-3.1\nroutes", "{default: {all: PID-3.1}}\nroutes"),
        [(f"{C}:7:27: E204", "expected 1 to 8 keys in a list")],
    ),
    (
        "several keys, and another word beside them",
        edited(C, "PID-3.1\nroutes", "{default: {all: [PID-3.1], any: [PID-2]}}\nroutes"),
        [(f"{C}:7:38: E204", "expected one path, or `all` with several")],
    ),
    (
        "one of several keys that is no single value",
        edited(C, "PID-3.1\nroutes", "{default: {all: [PID-3.1, PID-5]}}\nroutes"),
        [(f"{C}:7:37: E107", "")],
    ),
    (
        "a choice by something that is no path",
        edited(C, TO, SELECT.replace("MSH-4.1", "PID-5")),
        [(f"{C}:13:18: E107", "")],
    ),
    (
        "a search value that is no path",
        edited(C, "order_by:", "search: {account: PID-5}\norder_by:"),
        [(f"{C}:7:19: E107", "")],
    ),
]


@pytest.mark.parametrize(
    ("files", "expected"), [row[1:] for row in EXPRESSIONS], ids=[row[0] for row in EXPRESSIONS]
)
def test_an_expression_of_a_channel_is_checked_where_it_stands(
    tmp_path: Path, files: Files, expected: Expected
) -> None:
    (shown,) = [str(problem) for problem in problems_of(tmp_path, files)]
    ((begin, words),) = expected
    assert shown.startswith(begin)
    assert words in shown


def test_the_site_that_the_others_break_is_right(tmp_path: Path) -> None:
    assert problems_of(tmp_path, dict(FILES)) == []


NOT_BUILT: list[tuple[str, str, str, str]] = [
    (C, "  mllp:\n    listen: tcp:2575", "  http: {}", "3:3"),
    (C, "\n  mllp:\n    listen: tcp:2575", " http", "2:9"),
    (C, "  mllp:\n    listen: tcp:2575", "  http: {}", "3:3"),
    (C, "{hl7v2: {charset: utf-8}}", "json_lines", "5:9"),
    (A, "{api_key: {key: secret://env/EHR_KEY}}", "mtls", "3:7"),
]


@pytest.mark.parametrize(
    ("path", "old", "new", "at"), NOT_BUILT, ids=[row[2].strip()[:40] for row in NOT_BUILT]
)
def test_what_is_designed_but_not_built_is_refused_and_never_ignored(
    tmp_path: Path, path: str, old: str, new: str, at: str
) -> None:
    problems = problems_of(tmp_path, edited(path, old, new))
    assert [(f"{path}:{at}", "C190")] == [(str(problem.place), problem.code) for problem in problems]
    assert "not built in this version" in problems[0].text
    assert problems[0].hint


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (C, "    listen:", "    acknowledge: journaled\n    listen:"),
        (C, "order_by:", "stage: complete\norder_by:"),
        (C, "order_by:", 'legacy: {mllp: "tcp:h:1"}\nstage: shadow\norder_by:'),
        (C, "order_by:", "duplicates: {control_ids: reused, window: 1h}\norder_by:"),
        (C, "    record:", "    on_poison: block_key\n    record:"),
        (A, "repeat_safety: header", "repeat_safety: natural_key\nlifecycle: {state: active}"),
    ],
)
def test_the_values_that_are_built_may_be_written_out(tmp_path: Path, path: str, old: str, new: str) -> None:
    assert problems_of(tmp_path, edited(path, old, new)) == []


@pytest.mark.parametrize(
    ("path", "old", "new"),
    [
        (C, "order_by:", "slo: {silence: 30m}\norder_by:"),
    ],
)
def test_what_has_no_effect_yet_is_warned_of(tmp_path: Path, path: str, old: str, new: str) -> None:
    problems = problems_of(tmp_path, edited(path, old, new))
    assert [(problem.code, problem.severity) for problem in problems] == [("C191", "warning")]


def test_every_code_that_is_told_has_its_sentence_and_every_sentence_its_code() -> None:
    folder = Path(load.__code__.co_filename).parent
    source = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "codes.py")
    assert [code for code in CODES if f'"{code}"' not in source] == []

"""The commands of an operator, on a journal that the demonstration has filled."""

from __future__ import annotations

import json
import os
import pty
import re
import shutil
import socket
import sys
from pathlib import Path
from typing import Any

import pytest
from command_line import ESCAPE, Ended, bridge, bridge_process
from free_port import free_port
from shapes_held import holds
from signed_bundles import signer_of

from bridge.cli.finding import _tell
from bridge.cli.following import NO_MESSAGE
from bridge.cli.output import moment
from bridge.cli.reading import reading
from bridge.cli.synthetic import FAMILIES
from bridge.journal import sqlite
from bridge.journal.database import Database
from bridge.journal.finding import Wanted, find
from bridge.journal.ledger import ENTRIES
from bridge.journal.sqlite import sqlite_module

# No word of letters A to F alone: control IDs of our own are random hexadecimal digits.
CONTENT = (*FAMILIES[:4], "ELM STREET", "AUSTIN", "WELBY", "(512)555", "NORTH:100000")
MESSAGE = {
    "id", "channel", "seq", "received_at_us", "message_type", "control_id", "body_size_bytes", "state",
    "reason", "flags", "answer_code", "answer_reached", "duplicate_of",
}  # fmt: skip


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A journal with 18 messages: 16 delivered, a repeat, and one that was refused."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    ended = bridge_process("demo", "--patients", "4", "--keep", folder)
    assert ended.status == 0, ended.said
    assert "every message is accounted for" in ended.out
    return folder / "journal.db"


@pytest.fixture
def journal(demo: Path, tmp_path: Path) -> Path:
    """A copy that a test may spoil."""
    return Path(shutil.copy(demo, tmp_path / "journal.db"))


def on(journal: Path, *arguments: object) -> Ended:
    return bridge(*arguments, "--journal", f"sqlite:///{journal}")


def as_json(journal: Path, *arguments: object) -> Any:
    ended = on(journal, *arguments, "--format", "json")
    assert (ended.status, ended.err) == (0, "")
    return json.loads(ended.out)


# why


@pytest.mark.parametrize("command", ["why", "trace"])
def test_a_key_that_no_message_has_reassures_nobody(demo: Path, command: str) -> None:
    ended = on(demo, command, "99999999")
    assert (ended.status, ended.out) == (1, NO_MESSAGE + "\n")
    ended = on(demo, command, "99999999", "--format", "json")
    assert (ended.status, json.loads(ended.out)) == (1, [])


# status


def test_status_shows_a_ledger_that_balances(demo: Path) -> None:
    ended = on(demo, "status")
    assert ended.status == 0
    assert ["ehr-adt", "18", "16", "1", "1", "even"] in [line.split() for line in ended.out.splitlines()]


def test_status_as_json_counts_every_entry(demo: Path) -> None:
    found = as_json(demo, "status")
    assert set(found) == {"balanced", "channels", "routes", "senders", "node"}
    assert found["node"] is None, "none runs on it"
    assert found["balanced"] is True
    counts = found["channels"]["ehr-adt"]
    assert set(counts) == {"received", *ENTRIES}
    assert found["senders"] == {"ehr-adt": {"tolerated": {}, "charsets": {"utf-8 msh-18": 16}}}
    assert counts["received"] == sum(counts[entry] for entry in ENTRIES) == 18
    assert {(route["channel"], route["route"], route["delivered"]) for route in found["routes"]} == {
        ("ehr-adt", "patient", 16),
        ("ehr-adt", "encounter", 16),
    }


def test_status_of_a_channel_shows_no_other(demo: Path) -> None:
    assert as_json(demo, "status", "--channel", "ehr-adt") == as_json(demo, "status")
    found = on(demo, "status", "--channel", "ehr-adtt")
    assert (found.status, "did you mean" in found.err) == (2, True)


def test_status_of_problems_shows_nothing_else(demo: Path, journal: Path) -> None:
    said = on(demo, "status", "--problems").out
    assert said
    assert on(demo, "status", "--check").out.endswith(said)
    assert "messages by channel" not in said
    _change(journal, "DROP TRIGGER messages_as_received", "UPDATE messages SET seq = 99 WHERE seq = 18")
    ended = on(journal, "status", "--problems")
    assert ended.status == 1
    assert "messages by channel" not in ended.out


def test_status_of_a_ledger_that_does_not_balance_is_1(journal: Path) -> None:
    _change(journal, "DROP TRIGGER messages_as_received", "UPDATE messages SET seq = 99 WHERE seq = 18")
    ended = on(journal, "status")
    assert ended.status == 1
    assert "81 missing" in ended.out
    assert on(journal, "status", "--format", "json").status == 1


# messages


def test_messages_are_listed_newest_first(demo: Path) -> None:
    rows = as_json(demo, "messages")
    assert [row["seq"] for row in rows] == list(range(18, 0, -1))
    assert all(set(row) >= MESSAGE for row in rows)


FILTERS: dict[str, tuple[tuple[str, ...], int]] = {
    "state": (("--state", "REFUSED"), 1),
    "state in small letters": (("--state", "duplicate"), 1),
    "channel": (("--channel", "ehr-adt"), 18),
    "control ID": (("--control-id", "NOBODY"), 1),
    "control ID sent twice": (("--control-id", "MSG0000000001"), 2),
    "limit": (("--limit", "3"), 3),
    "two at once": (("--state", "DUPLICATE", "--control-id", "MSG0000000001"), 1),
}


@pytest.mark.parametrize("case", FILTERS)
def test_messages_can_be_narrowed_by(case: str, demo: Path) -> None:
    arguments, count = FILTERS[case]
    assert len(as_json(demo, "messages", *arguments)) == count


def test_the_table_of_messages_says_the_same_as_json(demo: Path) -> None:
    shown = on(demo, "messages").out
    for row in as_json(demo, "messages"):
        assert row["control_id"] in shown
    assert shown.count("type-not-accepted") == 1


# show


def test_show_tells_all_that_became_of_a_message(demo: Path) -> None:
    story = as_json(demo, "show", 1)
    parts = {
        "message",
        "deliveries",
        "attempts",
        "transitions",
        "waits_for",
        "flow",
        "file",
        "corrections",
        "answers",
    }
    assert set(story) == parts
    assert set(story["message"]) >= MESSAGE
    assert {(each["route"], each["state"]) for each in story["deliveries"]} == {
        ("patient", "DELIVERED"),
        ("encounter", "DELIVERED"),
    }
    assert [each["to_state"] for each in story["transitions"] if each["delivery_id"] is None] == [
        "RECEIVED",
        "MAPPED",
    ]
    assert len(story["attempts"]) == sum(each["attempts"] for each in story["deliveries"]) >= 2


def test_show_counts_content_and_never_shows_it(demo: Path) -> None:
    story = as_json(demo, "show", 1)
    assert set(story["message"]["body"]) == set(story["message"]["answer"]) == {"bytes"}
    assert all(set(each["request"]) == {"bytes"} for each in story["deliveries"])


@pytest.mark.parametrize(
    "arguments", [("messages",), ("show", "1"), ("show", "18"), ("status",)], ids=" ".join
)
@pytest.mark.parametrize("output", ["table", "json"])
def test_no_command_prints_what_a_message_holds(arguments: tuple[str, ...], output: str, demo: Path) -> None:
    shown = on(demo, *arguments, "--format", output).said
    assert [word for word in CONTENT if word in shown or word.encode().hex() in shown.lower()] == []


def test_the_content_that_is_looked_for_is_in_the_journal(demo: Path) -> None:
    data = demo.read_bytes()
    assert [word for word in CONTENT if word.encode() not in data] == []


@pytest.mark.parametrize(
    "words",
    [
        ("show", "HUGE"),
        ("audit", "search", "--message", "HUGE"),
        ("audit", "search", "--delivery", "HUGE"),
        ("batches", "--file", "HUGE"),
        ("messages", "--before", "HUGE"),
        ("replay", "HUGE"),
        ("show", "-1"),
        ("reconcile", "--day", "9999-12-31"),
    ],
    ids=" ".join,
)
def test_a_number_that_no_journal_gives_is_wrong_use(words: tuple[str, ...], demo: Path) -> None:
    given = [word.replace("HUGE", "9" * 23) for word in words]
    ended = on(demo, *(given if given[-1] != "-1" else ("show", "--", "-1")))
    assert ended.status == 2, ended.said
    assert "a fault" not in ended.err


def test_a_program_that_asks_for_parity_gets_json_also_where_nothing_was_compared(demo: Path) -> None:
    ended = on(demo, "parity", "show", "ehr-adt", "--format", "json")
    assert (ended.status, json.loads(ended.out)) == (1, [])


@pytest.mark.parametrize(("name", "why"), [("there", "is there already"), ("nowhere/x", "has no folder")])
def test_a_message_is_written_to_no_file_that_is_there_and_to_no_folder_that_is_not(
    demo: Path, tmp_path: Path, name: str, why: str
) -> None:
    (tmp_path / "there").write_text("kept")
    ended = on(demo, "show", "1", "--reveal", "--reason", "x", "--body-to", str(tmp_path / name))
    assert (ended.status, why in ended.err) == (2, True)
    assert (tmp_path / "there").read_text() == "kept"


def test_show_of_a_message_that_is_not_there_is_1(demo: Path) -> None:
    ended = on(demo, "show", 4711)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err == "no message 4711 in this journal; `bridge messages` lists them\n"


# journals that cannot be read


def _change(journal: Path, *statements: str) -> None:
    connection = sqlite_module().connect(str(journal))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def _foreign(journal: Path) -> None:
    journal.unlink()
    _change(journal, "CREATE TABLE theirs (id INTEGER)")


SPOILED: dict[str, tuple[Any, str]] = {
    "missing": (lambda path: path.unlink(), "no journal at"),
    "of another program": (_foreign, "holds other tables and no journal"),
    "no database": (lambda path: path.write_bytes(b"longer than a header" * 30), "cannot be used"),
    "a folder": (lambda path: (path.unlink(), path.mkdir()), "cannot be used"),
    "newer": (
        lambda path: _change(path, "UPDATE facts SET value = CAST('99' AS BLOB) WHERE name = 'oldest_code'"),
        "written by a newer bridge",
    ),
    "older": (
        lambda path: _change(path, "UPDATE facts SET value = CAST('0' AS BLOB) WHERE name = 'schema'"),
        "`bridge journal upgrade`",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", SPOILED)
@pytest.mark.parametrize("arguments", [("status",), ("messages",), ("show", "1")], ids=" ".join)
def test_a_journal_that_cannot_be_read_is_3_with_words(
    case: str, arguments: tuple[str, ...], journal: Path
) -> None:
    spoil, words = SPOILED[case]
    spoil(journal)
    ended = on(journal, *arguments)
    assert (ended.status, ended.out) == (3, "")
    assert ended.err.startswith("bridge: ")
    assert words in ended.err
    assert "Traceback" not in ended.err


def test_a_journal_on_a_read_only_disk_is_read_where_no_log_of_a_writer_lies_beside_it(
    journal: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "on_a_read_only_disk", lambda _file: True)
    folder = sorted(path.name for path in journal.parent.iterdir())
    file = Database(f"sqlite:///{journal}")
    with file.reader.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM messages").scalar() == 18
        assert sorted(path.name for path in journal.parent.iterdir()) == folder, "nothing is made beside it"
    file.close()
    journal.with_name(journal.name + "-wal").touch()
    file = Database(f"sqlite:///{journal}")
    with file.reader.begin() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM messages").scalar() == 18
        assert journal.with_name(journal.name + "-shm").exists(), "with a log it is read with the log"
    file.close()


def test_an_auditor_gives_a_public_key_as_a_line_or_as_its_file(journal: Path, tmp_path: Path) -> None:
    line = signer_of("north/bridge").verifier.line
    file = tmp_path / "north.pub"
    file.write_text(f"{line}\n")
    as_line, as_file = (on(journal, "audit", "verify", "--key", key) for key in (line, file))
    assert (as_line.status, as_line.out) == (as_file.status, as_file.out)
    assert as_file.err == ""
    wrong = on(journal, "audit", "verify", "--key", tmp_path / "other.pub")
    assert (wrong.status, "No such file" in wrong.err) == (2, True)


def test_reading_makes_no_journal(tmp_path: Path) -> None:
    on(tmp_path / "none.db", "status")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("mysql://db.example/bridge", "is not built into this version"),
        ("postgresql://db.example", "names no database"),
        ("sqlite://", "needs a file"),
        ("journal.db", "cannot be read; expected sqlite:///path/to/journal.db"),
    ],
)
def test_a_url_that_names_no_journal_is_3_with_words(url: str, words: str) -> None:
    ended = bridge("status", "--journal", url)
    assert ended.status == 3
    assert words in ended.err


def test_the_journal_can_be_named_by_the_environment(demo: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_JOURNAL", f"sqlite:///{demo}")
    assert bridge("status").status == 0


# journal upgrade


def test_upgrade_does_nothing_to_tables_of_this_version(journal: Path) -> None:
    ended = on(journal, "journal", "upgrade")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith(" already\n")


def test_upgrade_fills_no_empty_file(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    journal.touch()
    ended = on(journal, "journal", "upgrade")
    assert (ended.status, ended.out) == (3, "")
    assert "no journal" in ended.err
    assert not journal.stat().st_size


def test_upgrade_of_a_journal_that_is_not_there_is_3(tmp_path: Path) -> None:
    ended = on(tmp_path / "none.db", "journal", "upgrade")
    assert (ended.status, ended.out) == (3, "")
    assert "no journal at" in ended.err


def test_upgrade_under_a_running_node_is_refused(journal: Path) -> None:
    owner = Database(f"sqlite:///{journal}").own()
    try:
        ended = on(journal, "journal", "upgrade")
    finally:
        owner.release()
    assert ended.status == 3
    assert "another process runs on the journal" in ended.err


# doctor


def test_doctor_as_json_has_a_grade_for_everything(demo: Path) -> None:
    ended = on(demo, "doctor", "--format", "json", "--config", demo.parent)
    findings = json.loads(ended.out)
    assert all(set(finding) == {"about", "grade", "found", "advice"} for finding in findings)
    assert {finding["grade"] for finding in findings} <= {"good", "warning", "bad"}
    assert {"Python", "SQLite", "disk", "journal", "clock", "configuration"} <= {
        finding["about"] for finding in findings
    }
    assert ended.status == int(any(finding["grade"] == "bad" for finding in findings))
    assert all(finding["advice"] for finding in findings if finding["grade"] != "good")


def test_doctor_looks_at_the_folders_that_files_go_to(demo: Path, tmp_path: Path) -> None:
    site = tmp_path / "site"
    shutil.copytree(demo.parent / "channels", site / "channels")
    shutil.copytree(demo.parent / "mappings", site / "mappings")
    (tmp_path / "out").mkdir()
    for name in ("out", "nowhere"):
        text = (
            f"api: {name}\nfile: {{directory: {tmp_path / name}, name: '{{delivery}}.hl7'}}\nsend: original\n"
        )
        (site / "channels" / "apis" / f"{name}.yaml").write_text(text)
    channel = site / "channels" / "ehr-adt.yaml"
    source = f"  file_drop: {{directory: {tmp_path}, done: {tmp_path}/out, errors: {tmp_path}/nowhere}}\n"
    channel.write_text(re.sub(r"  mllp: .*\n", source, channel.read_text()))
    findings = json.loads(on(demo, "doctor", "--format", "json", "--config", site).out)
    grades = {each["about"]: each["grade"] for each in findings}
    assert (grades["folder of out"], grades["folder of nowhere"]) == ("good", "bad")
    assert grades["folder of ehr-adt"] == grades["folder of ehr-adt (done)"] == "good"
    assert grades["folder of ehr-adt (errors)"] == "bad"


def test_doctor_looks_at_the_admin_port_and_at_the_interfaces_of_channels(
    demo: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(demo.parent / "channels", tmp_path / "channels")
    shutil.copytree(demo.parent / "mappings", tmp_path / "mappings")
    channel = tmp_path / "channels" / "ehr-adt.yaml"
    listen = f"tcp:{free_port()}:interface=192.0.2.1"
    text, count = re.subn(r"tcp:\d+(:interface=[\d.]+)?", listen, channel.read_text())
    assert count == 1
    channel.write_text(text)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        monkeypatch.setenv("BRIDGE_ADMIN_PORT", str(taken.getsockname()[1]))
        ended = on(demo, "doctor", "--format", "json", "--config", tmp_path)
    found = {each["about"]: each for each in json.loads(ended.out)}
    assert found["admin port"]["grade"] == "warning"
    assert "BRIDGE_ADMIN_PORT" in found["admin port"]["advice"]
    assert found["port of ehr-adt"]["grade"] == "bad"
    assert "no interface of this machine has that address" in found["port of ehr-adt"]["advice"]


def test_doctor_of_a_foreign_journal_is_1(journal: Path) -> None:
    _foreign(journal)
    ended = on(journal, "doctor")
    assert ended.status == 1
    assert "holds other tables" in " ".join(ended.out.split())


# output


def _in_terminal(*arguments: object, **environment: str) -> str:
    child, terminal = pty.fork()
    if not child:
        os.environ.update(environment)
        os.execv(sys.executable, [sys.executable, "-m", "bridge.cli.main", *map(str, arguments)])
    read = b""
    try:
        while data := os.read(terminal, 65536):
            read += data
    except OSError:
        pass  # how a terminal says that nobody writes to it any more
    os.close(terminal)
    os.waitpid(child, 0)
    return read.decode()


def test_a_terminal_gets_style_unless_it_asks_for_none(demo: Path) -> None:
    arguments = ("status", "--journal", f"sqlite:///{demo}")
    styled = _in_terminal(*arguments, TERM="xterm-256color", NO_COLOR="")
    plain = _in_terminal(*arguments, TERM="xterm-256color", NO_COLOR="1")
    assert "even" in styled
    assert "even" in plain
    assert ESCAPE in styled
    assert ESCAPE not in plain


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_a_narrow_terminal_breaks_no_name_no_state_and_no_time(demo: Path, columns: int) -> None:
    shown = _in_terminal(
        "messages", "--journal", f"sqlite:///{demo}", TERM="xterm", NO_COLOR="1", COLUMNS=str(columns)
    )
    for row in as_json(demo, "messages"):
        for value in (row["channel"], row["message_type"], row["control_id"], row["state"]):
            assert value in shown
        assert moment(row["received_at_us"]) in shown
    assert max(map(len, re.sub(r"\x1b\[[?\d]*[A-Za-z]", "", shown).splitlines())) <= columns


@pytest.mark.parametrize("arguments", [("status",), ("messages",), ("show", "1"), ("doctor",)], ids=" ".join)
def test_output_into_a_pipe_has_no_escape_codes(arguments: tuple[str, ...], demo: Path) -> None:
    assert ESCAPE not in on(demo, *arguments).said


def test_output_of_a_process_into_a_pipe_has_no_escape_codes(demo: Path) -> None:
    ended = bridge_process("messages", "--journal", f"sqlite:///{demo}", TERM="xterm-256color")
    assert ended.status == 0
    assert ESCAPE not in ended.said


# explain, of a message in the journal


def test_explain_of_a_journaled_message_uses_the_mapping_as_it_was_and_shows_no_value(demo: Path) -> None:
    ended = on(demo, "explain", "adt-admit", "1", "patient.family")
    assert ended.status == 0, ended.said
    assert "family:             PID-5.1" in ended.out
    assert "Family Name, Surname" in ended.out
    assert not any(text in ended.out for text in CONTENT)
    (value,) = as_json(demo, "explain", "adt-admit", "1", "patient.family")["values"]
    assert (value["value"], value["leaves"][0]["text"]) == (None, None)
    assert value["leaves"][0]["place"] == "PID-5.1"


def test_explain_of_a_journaled_message_names_the_mappings_that_made_its_records(demo: Path) -> None:
    ended = on(demo, "explain", "lab", "1", "patient.family")
    assert ended.status == 2
    assert "by: adt-admit" in ended.err
    assert "no message 999" in on(demo, "explain", "adt-admit", "999", "patient.family").err


def test_map_impact_reads_the_newest_messages_of_a_journal(demo: Path, tmp_path: Path) -> None:
    old = Path(__file__).parents[2] / "mappings" / "adt-admit.yaml"
    new = tmp_path / "adt-admit.yaml"
    new.write_text(
        old.read_text().replace("city:               PID-11.3\n", "city:               PID-11.3 | lower\n")
    )
    ended = on(demo, "map", "impact", old, new, "--last", "5", "--format", "json")
    found = json.loads(ended.out)
    assert (ended.status, found["messages"], found["changed"]) == (1, 5, 5)
    assert [(each["record"], each["field"]) for each in found["changes"]] == [("patient", "city")]
    assert "AUSTIN" not in ended.said


# JSON

READS: dict[str, tuple[object, ...]] = {
    "messages": (),
    "show": (1,),
    "status": ("--check",),
    "trace": ("100000",),
    "why": ("100000",),
    "quarantine list": (),
    "quarantine summary": (),
    "quarantine show": ("m18",),
    "codes list": (),
    "files list": (),
    "batches": ("--sent",),
    "reconcile": (),
    "disclosures": ("--since", "1d"),
    "legal-hold list": (),
    "journal verify": (),
    "journal keys list": (),
    "audit complete": (),
    "audit search": (),
    "audit verify": (),
    "apis drift": (),
}


@pytest.mark.parametrize("command", READS)
def test_what_is_read_of_a_journal_is_as_its_schema_says(demo: Path, command: str) -> None:
    ended = on(demo, *command.split(), *READS[command], "--format", "json")
    assert ended.status in (0, 1), ended.said
    holds(command, json.loads(ended.out))


def test_a_line_of_tail_is_as_its_schema_says(demo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with reading(f"sqlite:///{demo}") as reads:
        for row in find(reads, Wanted(), limit=50):
            _tell(row, "json", problems=False)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 18
    for line in lines:
        holds("tail", json.loads(line))

"""Finding, following and exporting messages, as somebody types it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import bridge, bridge_process
from databases import journal_url
from lane_messages import message
from nodes import hospital
from reactor_tests import in_reactor
from twisted.internet.threads import deferToThread

from bridge.cli.synthetic import FAMILIES
from bridge.formats.hl7v2_file import Hl7v2File
from bridge.journal.actions import latest


@pytest.fixture(scope="module")
def journal(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A journal with 18 messages: 16 delivered, a repeat, and one that was refused."""
    folder = tmp_path_factory.mktemp("demo") / "kept"
    ended = bridge_process("demo", "--patients", "4", "--keep", folder)
    assert ended.status == 0, ended.said
    return f"sqlite:///{folder / 'journal.db'}"


def found(journal: str, *arguments: object) -> list[int]:
    ended = bridge("messages", "--journal", journal, "--format", "json", *arguments)
    assert ended.status == 0, ended.said
    return [row["id"] for row in json.loads(ended.out)]


def test_pages_follow_one_another_and_the_next_is_told(journal: str) -> None:
    first = bridge("messages", "--journal", journal, "--limit", 5)
    assert "more: --before 14" in first.err
    assert found(journal, "--limit", 5, "--before", 14) == [13, 12, 11, 10, 9]
    assert "more" not in bridge("messages", "--journal", journal, "--before", 3).said


@pytest.mark.parametrize(
    ("arguments", "count"),
    [
        (("--type", "ADT^A01"), None),
        (("--state", "refused"), 1),
        (("--state", "DELIVERED"), 16),
        (("--problem", "repeated"), 1),
        (("--since", "1h"), 18),
        (("--until", "1h"), 0),
        (("--since", "2026-01-01T00:00", "--until", "2026-01-01T00:01"), 0),
        (("--key", "nobody"), 0),
    ],
)
def test_messages_are_found_by(arguments: tuple[str, ...], count: int | None, journal: str) -> None:
    rows = found(journal, *arguments)
    assert len(rows) == count if count is not None else rows


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--since", "yesterday"), "expected how long ago, 2h, or a time"),
        (("--until", "99999999999999d"), "expected how long ago"),
        (("--state", "DELIVERD"), "did you mean 'DELIVERED'"),
        (("--key-name", "account"), "goes with --key"),
        (("--text", " "), "expected a text"),
    ],
)
def test_a_question_that_cannot_be_understood_is_wrong_use(
    arguments: tuple[str, ...], words: str, journal: str
) -> None:
    ended = bridge("messages", "--journal", journal, *arguments)
    assert ended.status == 2
    assert words in ended.said


@pytest.mark.parametrize(
    "command",
    [
        ("messages",),
        ("export", "-"),
        ("tail",),
        ("quarantine", "list"),
        ("codes", "list"),
        ("codes", "retry", "--reason", "none"),
        ("files", "list"),
        ("batches",),
        ("reconcile",),
    ],
)
def test_an_empty_answer_about_a_channel_that_nobody_knows_is_wrong_use(
    command: tuple[str, ...], journal: str
) -> None:
    ended = bridge(*command, "--journal", journal, "--channel", "ehr-adtt")
    assert ended.status == 2
    assert "nothing is known of a channel 'ehr-adtt'; did you mean 'ehr-adt'?" in ended.said


@pytest.mark.parametrize(
    "command",
    [
        ("messages", "--text", "x"),
        ("export", "-", "--reveal"),
        ("show", "1", "--reveal"),
        ("disclosures", "NORTH:1"),
        ("files", "take", "1"),
        ("apis", "accept", "ehr.patients", "putPatient"),
    ],
)
def test_that_a_reason_is_missing_is_told_whether_or_not_a_node_runs(
    command: tuple[str, ...], journal: str
) -> None:
    ended = bridge(*command, "--journal", journal)
    assert ended.status == 2
    assert "--reason" in ended.err


@pytest.mark.parametrize("command", [("quarantine", "list"), ("batches", "--sent"), ("disclosures",)])
def test_an_empty_answer_about_an_api_that_nobody_knows_is_wrong_use(
    command: tuple[str, ...], journal: str
) -> None:
    ended = bridge(*command, "--journal", journal, "--api", "ehr.patient")
    assert ended.status == 2
    assert "nothing is known of an API 'ehr.patient'; did you mean 'ehr.patients'?" in ended.said


@pytest.mark.parametrize(
    "command", [("quarantine", "list", "--api", "ehr.patients"), ("files", "list", "--channel", "ehr-adt")]
)
def test_an_empty_answer_about_a_known_name_is_an_answer(command: tuple[str, ...], journal: str) -> None:
    ended = bridge(*command, "--journal", journal)
    assert ended.status == 0, ended.said


def test_that_nothing_was_compared_is_no_agreement(journal: str) -> None:
    ended = bridge("parity", "show", "ehr-adt", "--journal", journal)
    assert (ended.status, ended.said) == (
        1,
        "nothing of ehr-adt was compared yet; `bridge stage` shows where it stands\n",
    )
    assert bridge("parity", "show", "ehr-adtt", "--journal", journal).status == 2


def test_files_are_not_looked_for_in_a_state_that_none_has(journal: str) -> None:
    ended = bridge("files", "list", "--journal", journal, "--state", "take")
    assert ended.status == 2
    assert "no state 'TAKE'; did you mean 'TAKEN'?" in ended.said


def test_a_look_into_bodies_needs_a_node_that_writes_it_down(journal: str, tmp_path: Path) -> None:
    for arguments in (
        ("messages", "--text", "x", "--reason", "y"),
        ("export", tmp_path / "f", "--reveal", "--reason", "y"),
    ):
        ended = bridge(*arguments, "--journal", journal)
        assert ended.status == 3
        assert "no node answers" in ended.err
    assert not (tmp_path / "f").exists()


def test_an_export_is_masked_and_can_be_read_again(journal: str, tmp_path: Path) -> None:
    file = tmp_path / "all.hl7"
    ended = bridge("export", file, "--journal", journal, "--state", "MAPPED")
    assert (ended.status, ended.err) == (0, "16 messages written, masked\n")
    assert file.stat().st_mode & 0o777 == 0o600
    splitter = Hl7v2File(1_000_000)
    pieces = [*splitter.feed(file.read_bytes()), *splitter.end()]
    assert len(pieces) == 16
    assert not any(name.encode() in file.read_bytes() for name in FAMILIES)
    assert bridge("export", file, "--journal", journal).status == 2


def test_an_export_as_lines_says_what_became_of_each(journal: str) -> None:
    ended = bridge_process("export", "-", "--journal", journal, "--as", "ndjson", "--limit", 3)
    rows = [json.loads(line) for line in ended.out.splitlines()]
    assert [row["id"] for row in rows] == [18, 17, 16]
    assert all(row["body"].startswith("MSH|") for row in rows if row["became"] == "delivered")
    assert not any(name in ended.out for name in FAMILIES)


@contextmanager
def heeding_ctrl_c() -> Iterator[None]:
    """Processes started meanwhile heed SIGINT, even where these tests run in the background and ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


@contextmanager
def following(journal: str) -> Iterator[subprocess.Popen[str]]:
    """A tail that is under way, and has ended afterwards whatever happened."""
    command = [sys.executable, "-m", "bridge.cli.main", "tail", "--journal", journal]
    command += ["-n", "2", "--format", "json"]
    with (
        heeding_ctrl_c(),
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def test_the_tail_shows_what_was_there_and_ends_when_told(journal: str) -> None:
    with following(journal) as process:
        assert process.stdout is not None
        assert [json.loads(process.stdout.readline())["id"] for _ in range(2)] == [17, 18]
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
    assert (out, process.returncode) == ("", 130)
    assert "Traceback" not in err


@in_reactor
async def test_who_looks_into_bodies_is_written_down_without_what_was_looked_for(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1), message(2, 1))
        await site.settled()
        url = journal_url(tmp_path)
        name = message(1, 1).body.split(b"PID|")[1].split(b"|")[4].split(b"^")[0].decode()
        ended = await deferToThread(
            bridge_process, "messages", "--journal", url, "--text", name.lower(), "--reason", "ticket 7",
            "--key", "nobody", "--format", "json",
        )  # fmt: skip
        assert (ended.status, json.loads(ended.out)) == (0, [])
        ended = await deferToThread(
            bridge_process, "messages", "--journal", url, "--text", name.lower(), "--reason", "ticket 8",
            "--format", "json",
        )  # fmt: skip
        assert 1 in [row["id"] for row in json.loads(ended.out)]
        file = tmp_path / "seen.hl7"
        ended = await deferToThread(
            bridge_process, "export", file, "--journal", url, "--reveal", "--reason", "ticket 9"
        )
        assert ended.status == 0, ended.said
        assert name.encode() in file.read_bytes()
        assert site.node is not None
        rows = await site.node.journal.read(latest)
        assert [(row.action, row.subject, row.reason) for row in reversed(rows)] == [
            ("search", "messages key=…", "ticket 7"),
            ("search", "messages all", "ticket 8"),
            ("export", "messages all", "ticket 9"),
        ]
        ended = await deferToThread(bridge_process, "messages", "--journal", url, "--text", name)
        assert ended.status == 2
        assert "say why" in ended.err

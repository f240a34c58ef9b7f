"""A person's hand on a running node: the real command line, the real socket, and what follows of it."""

from __future__ import annotations

import json
import os
import re
import socket
from pathlib import Path
from typing import Any

import pytest
from captured_logs import captured_logs
from command_line import Ended, bridge_process
from databases import journal_url
from lane_messages import ORDER_BY_MERGE, change_api, line, merge, message
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, pause, until
from shapes_held import holds
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.journal.actions import latest
from bridge.journal.search import story
from bridge.runtime.control import ControlSocket, socket_path
from bridge.runtime.service import real_surroundings


async def command(site: Hospital, *arguments: object, status: int = 0) -> str:
    """Run a command as a process of its own; the exit status must be this one."""
    url = journal_url(site.folder)
    ended: Ended = await deferToThread(bridge_process, *arguments, "--journal", url, NO_COLOR="1")
    assert ended.status == status, ended.said
    return ended.said


async def actions(site: Hospital) -> list[tuple[str, str, str]]:
    assert site.node is not None
    rows = await site.node.journal.read(latest)
    assert all(row.actor.startswith("user:") or row.actor == "bridge" for row in rows)
    return [(row.action, row.subject, row.reason) for row in reversed(rows)]


async def refused(site: Hospital) -> None:
    """Patient 1's first message is refused by the API for good, the second waits behind it."""
    assert site.node is not None
    site.patients.plant(Fault("status", status=422, path="100001", times=3))
    await site.send(message(1, 1), message(1, 2), message(2, 1))
    outlet = site.node.outlets["ehr.patients"]
    await until(lambda: outlet.status()["keys_blocked"] == 1, "the key waits for a person")


@pytest.mark.both_databases
@in_reactor
async def test_a_refused_request_is_tried_again_at_its_old_place(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await refused(site)
        shown = await command(site, "quarantine", "list")
        assert "d1" in shown
        assert "unprocessable" in shown
        assert "waits for a person" not in await command(site, "why", "100002")
        assert "d1 to ehr.patients" in await command(site, "why", "100001", status=1)
        assert await command(site, "quarantine", "retry", "d1", "--reason", "API mended") == "d1: done\n"
        assert entries(await site.settled()) == {"delivered": 3}
        assert steps_of(site.patients, "100001") == [1, 2]
        assert ("retry", "delivery 1", "API mended") in await actions(site)
        assert await command(site, "why", "100001") == "nothing of this key waits\n"


@pytest.mark.both_databases
@in_reactor
async def test_what_an_api_said_of_a_request_that_it_did_not_take_is_shown_to_whoever_says_why(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        site.patients.plant(Fault("status", status=503, path="100001"))
        site.patients.plant(Fault("status", status=422, path="100001", problem="postcode-wanted", times=3))
        await site.send(message(1, 1))
        await until(lambda: len(site.patients.attempts) > 3, "it is refused as often as it is tried")
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        await until(lambda: outlet.status()["keys_blocked"] == 1, "the key waits for a person")
        shown = await command(site, "show", 1)
        assert "postcode-wanted" not in shown
        assert "--reveal shows what was answered to attempt 4 of delivery 1" in shown
        reason = ("--reveal", "--reason", "ticket 4711")
        assert "postcode-wanted" in await command(site, "show", 1, *reason)
        told = json.loads(await command(site, "show", 1, *reason, "--format", "json"))
        assert told["answers"] == {"1": 4}
        assert list(told["content"]["answers"]) == ["1"]
        assert json.loads(told["content"]["answers"]["1"])["status"] == 422


@in_reactor
async def test_what_is_set_aside_lets_its_key_go_and_can_be_tried_later(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await refused(site)
        assert "done" in await command(site, "quarantine", "skip", "d1", "--reason", "tomorrow")
        await until(lambda: steps_of(site.patients, "100001") == [2], "the key goes on")
        assert "goes on" in await command(site, "quarantine", "list")
        await site.stop()
        await site.start()
        await site.send(message(1, 3))
        await until(lambda: steps_of(site.patients, "100001") == [2, 3], "after a restart too")
        assert "done" in await command(site, "quarantine", "retry", "d1", "--reason", "looked at it")
        assert entries(await site.settled()) == {"delivered": 4}
        assert steps_of(site.patients, "100001") == [2, 3, 1]


@in_reactor
async def test_what_is_discarded_is_never_sent_and_its_key_goes_on(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await refused(site)
        assert "done" in await command(site, "quarantine", "discard", "d1", "--reason", "a test patient")
        await until(lambda: steps_of(site.patients, "100001") == [2], "the key goes on")
        again = await command(site, "quarantine", "retry", "d1", "--reason", "no", status=1)
        assert "it is DISCARDED" in again
        found = await command(site, "quarantine", "show", "d1")
        assert "discard: a test patient" in found


@pytest.mark.both_databases
@in_reactor
async def test_a_message_that_cannot_be_used_is_corrected_and_goes_at_its_old_place(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        broken = message(1, 2, changed={"EVN|": b"PV1|1|I|OTHER\rEVN|"})
        await site.send(message(1, 1), broken, message(1, 3), message(2, 1))
        outlet = site.node.outlets["ehr.patients"]
        await until(lambda: outlet.status()["keys_blocked"] == 1, "the key waits for a person")
        await until(lambda: steps_of(site.patients, "100001") == [1], "what came before goes")
        file = tmp_path / "m2.hl7"
        url = ("--reveal", "--reason", "to correct it", "--body-to", file)
        await command(site, "show", 2, *url)
        assert file.read_bytes() == broken.body
        assert file.stat().st_mode & 0o777 == 0o600
        file.write_bytes(message(1, 2).body.replace(b"\r", b"\n"))
        said = await command(site, "quarantine", "edit", "m2", "--file", file, "--reason", "one PV1 only")
        assert said == "m2: done\n"
        assert entries(await site.settled()) == {"delivered": 4}
        assert steps_of(site.patients, "100001") == [1, 2, 3]
        assert steps_of(site.encounters, "100001") == [1, 2, 3]
        assert [each[:2] for each in await actions(site)] == [
            ("reveal", "message 2"),
            ("edit", "message 2"),
            ("retry", "message 2"),
        ]
        shown = await command(site, "show", 2)
        assert re.search(r"\ncorrected +by user:\S+ at 2\S+ \S+Z: one PV1 only", shown)
        assert re.search(r" message +corrected +user:\S+ +one PV1 only", shown)
        first, now = tmp_path / "first.hl7", tmp_path / "now.hl7"
        asked = ("--reveal", "--reason", "to compare")
        await command(site, "show", 2, *asked, "--as-it-came", "--body-to", first)
        await command(site, "show", 2, *asked, "--body-to", now)
        assert (first.read_bytes(), now.read_bytes()) == (broken.body, message(1, 2).body)
        said = await command(site, "export", "-", "--limit", "3", *asked, "--as-it-came")
        assert broken.body.replace(b"\r", b"").decode() in said.replace("\r", "").replace("\n", "")


@in_reactor
async def test_a_node_that_ends_before_a_mended_message_has_gone_keeps_its_place(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        broken = message(1, 2, changed={"EVN|": b"PV1|1|I|OTHER\rEVN|"})
        await site.send(message(1, 1), broken, message(1, 3), message(1, 4))
        await until(lambda: steps_of(site.patients, "100001") == [1], "what came before goes")
        for api in ("ehr.patients", "ehr.encounters"):
            await command(site, "pause", api, "--reason", "to see")
        file = tmp_path / "m2.hl7"
        file.write_bytes(message(1, 2).body)
        await command(site, "quarantine", "edit", "m2", "--file", file, "--reason", "one PV1 only")
        await site.stop()
        await site.start()
        await pause(0.3)
        assert steps_of(site.patients, "100001") == [1]
        for api in ("ehr.patients", "ehr.encounters"):
            await command(site, "resume", api, "--reason", "seen")
        assert entries(await site.settled()) == {"delivered": 4}
        assert steps_of(site.patients, "100001") == [1, 2, 3, 4]


@in_reactor
async def test_a_merge_that_is_set_aside_lets_both_patients_go(tmp_path: Path) -> None:
    async with hospital(tmp_path, ORDER_BY_MERGE) as site:
        site.patients.plant(Fault("status", status=422, path="/merge", times=3))
        await site.send(message(1, 1), message(2, 1), merge(1, 2), message(2, 2), message(1, 2))
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        await until(lambda: outlet.status()["keys_blocked"] == 2, "both patients wait")
        (row,) = json.loads(await command(site, "quarantine", "list", "--format", "json"))
        await command(site, "quarantine", "skip", f"d{row['id']}", "--reason", "registration looks at it")
        await until(lambda: steps_of(site.patients, "100002") == [1, 2], "one goes on")
        await until(lambda: steps_of(site.patients, "100001")[-1:] == [2], "and the other")
        assert outlet.status()["keys_blocked"] == 0


@pytest.mark.both_databases
@in_reactor
async def test_a_delivery_is_made_anew_by_the_mapping_of_today(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await refused(site)
        await site.stop()
        mapping = site.folder / "site" / "mappings" / "adt-admit.yaml"
        text = mapping.read_text()
        assert "      line1:              PID-11.1\n" in text
        mapping.write_text(text.replace("PID-11.1\n", "join(' ', PID-11.1, PID-11.3)\n"))
        await site.start()
        assert "done" in await command(site, "quarantine", "retry", "d1", "--remap", "--reason", "1.1")
        assert entries(await site.settled()) == {"delivered": 3}
        first = next(each for each in site.patients.applied if "100001" in each.path)
        assert first.mark.endswith("AUSTIN")
        assert first.idempotency_key.endswith("-1-2"), "another request has another key"


@pytest.mark.parametrize("name", [CHANNEL, f"{CHANNEL}/patient", "ehr.patients"])
@in_reactor
async def test_what_a_person_pauses_stays_so_across_restarts(tmp_path: Path, name: str) -> None:
    async with hospital(tmp_path) as site:
        assert "is paused" in await command(site, "pause", name, "--reason", "maintenance")
        await site.send(message(1, 1), message(1, 2))
        await site.stop()
        await site.start()
        await pause(0.3)
        assert site.patients.applied == []
        assert "maintenance" in await command(site, "status")
        assert "is paused by user:" in await command(site, "status", "--check", status=1)
        assert "goes on" in await command(site, "resume", name, "--reason", "over")
        assert entries(await site.settled()) == {"delivered": 2}
        assert steps_of(site.patients, "100001") == [1, 2]
        assert "was not paused" in await command(site, "resume", name, "--reason", "over", status=1)


@in_reactor
async def test_a_pause_ends_by_itself_when_its_time_is_over(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        said = await command(site, "pause", "ehr.patients", "--until", "2s", "--reason", "a moment")
        assert "until" in said
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 1}
        assert ("resume", "api ehr.patients", "until") in await actions(site)


@in_reactor
async def test_a_closed_door_lets_nobody_in_until_it_is_opened(tmp_path: Path) -> None:
    port = 20000 + os.getpid() % 20000
    async with hospital(tmp_path, line('"tcp:0:', f'"tcp:{port}:')) as site:
        await site.send(message(1, 1))
        await command(site, "pause", CHANNEL, "--intake", "--reason", "garbage")
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        await site.stop()
        await site.start()
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), timeout=5)
        await command(site, "resume", CHANNEL, "--reason", "mended")
        await site.send(message(1, 2))
        assert entries(await site.settled()) == {"delivered": 2}


@in_reactor
async def test_a_requested_resend_comes_through(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1), message(1, 1))
        await command(site, "resend", "allow", CHANNEL, "--until", "1h", "--reason", "lost at the API")
        await site.send(message(1, 1), message(1, 2))
        await command(site, "resend", "end", CHANNEL, "--reason", "through")
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 3, "duplicate": 2}
        rows = json.loads(await command(site, "messages", "--format", "json"))
        assert [row["flags"] for row in reversed(rows)] == ["", "", "resent", "", ""]


@pytest.mark.both_databases
@in_reactor
async def test_a_replay_is_shown_first_and_applied_twice_by_no_api_that_honours_its_key(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1), message(1, 2), message(2, 1))
        assert entries(await site.settled()) == {"delivered": 3}
        some = json.loads(await command(site, "replay", 1, 9999, "--format", "json"))
        assert (some["messages"], some["left_out"]) == (1, 1), "what is not there is not promised"
        assert "1 left out: " in await command(site, "replay", 9999)
        plan = json.loads(await command(site, "replay", "--key", "100001", "--format", "json"))
        assert plan == {
            "messages": 2,
            "apis": {"ehr.encounters": 2, "ehr.patients": 2},
            "taken": {"ehr.encounters": 2, "ehr.patients": 2},
            "knows_repeats": ["ehr.encounters", "ehr.patients"],
            "new_key": False,
            "unsafe": [],
            "left_out": 0,
        }
        assert entries(await site.settled()) == {"delivered": 3}, "nothing was done"
        done = await command(site, "replay", "--key", "100001", "--yes", "--reason", "to be sure")
        assert "2 messages taken in once more" in done
        assert entries(await site.settled()) == {"delivered": 5}
        assert steps_of(site.patients, "100001") == [1, 2], "the API knew the keys"
        assert len(site.patients.attempts) == 5
        traced = json.loads(await command(site, "trace", "100001", "--format", "json"))
        assert [row["replay_of"] for row in traced] == [None, None, 1, 2]
        shown = " ".join((await command(site, "show", traced[-1]["id"])).split())
        assert "once more message 2" in shown
        assert "answer none: nobody has sent it" in shown


@in_reactor
async def test_status_of_a_channel_shows_what_the_node_knows_of_it_and_no_api(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 1}
        assert "ehr.patients" in await command(site, "status")
        shown = await command(site, "status", "--channel", CHANNEL)
        assert "ehr.patients" not in shown
        assert "connections" in shown
        holds("status", json.loads(await command(site, "status", "--channel", CHANNEL, "--format", "json")))


@in_reactor
async def test_a_replay_to_an_api_that_cannot_tell_needs_force(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        change_api(site, "ehr.patients", "repeat_safety: header", "repeat_safety: none")
        await site.start()
        await site.send(message(1, 1))
        await site.settled()
        assert "cannot tell a repeat" in await command(site, "replay", 1)
        assert "applied twice" in await command(site, "replay", 1, "--yes", "--reason", "x", status=1)
        forced = ("replay", 1, "--yes", "--force", "--reason", "the table was lost", "--format", "json")
        assert json.loads(await command(site, *forced))["replayed"] == [2]
        assert entries(await site.settled()) == {"delivered": 2}


@in_reactor
async def test_content_is_shown_to_who_says_why_and_that_is_written_down(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        await site.settled()
        assert "ELM STREET" not in await command(site, "show", 1)
        assert "--reason" in await command(site, "show", 1, "--reveal", status=2)
        shown = await command(site, "show", 1, "--reveal", "--reason", "ticket 4711")
        assert "ELM STREET" in shown
        assert '"line1":' in shown
        assert await actions(site) == [("reveal", "message 1", "ticket 4711")]


@in_reactor
async def test_a_channel_s_own_values_find_its_messages(tmp_path: Path) -> None:
    async with hospital(tmp_path, line("order_by:", "search: {account: PID-18.1}\norder_by:")) as site:
        await site.send(message(1, 1), message(2, 1), message(1, 2))
        await site.settled()
        rows = json.loads(await command(site, "trace", "AC-100001", "--format", "json"))
        assert [(row["id"], row["found_by"]) for row in rows] == [(1, ["account"]), (3, ["account"])]
        listed = json.loads(await command(site, "messages", "--key", "AC-100001", "--format", "json"))
        assert [row["id"] for row in listed] == [3, 1]
        await command(site, "trace", "nobody", status=1)


WRONG = [
    (("pause", "ehr-atd", "--reason", "x"), 2, "did you mean 'ehr-adt'?"),
    (("pause", "ehr.patients", "--intake", "--reason", "x"), 2, "--intake is for a channel"),
    (("pause", CHANNEL, "--until", "soon", "--reason", "x"), 2, "expected a duration"),
    (("pause", CHANNEL, "--reason", "  "), 2, "say why"),
    (("quarantine", "retry", "17", "--reason", "x"), 2, "expected m17 for a message"),
    (("quarantine", "skip", "d99", "--reason", "x"), 1, "there is no such delivery"),
    (("quarantine", "discard", "m99", "--reason", "x"), 1, "there is no such message"),
    (("show", 99, "--reveal", "--reason", "x"), 1, "no message 99"),
]


@in_reactor
async def test_what_cannot_be_done_is_told_and_nothing_is_changed(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        await site.settled()
        for arguments, status, words in WRONG:
            assert words in await command(site, *arguments, status=status), arguments
        assert await actions(site) == []
        url = journal_url(tmp_path)
        await site.stop()
        ended = await deferToThread(bridge_process, "pause", CHANNEL, "--reason", "x", "--journal", url)
        assert ended.status == 3
        assert "no node answers" in ended.err
        assert "bridge run" in ended.err


def say(path: Path, data: bytes) -> bytes:
    """What the socket says to raw bytes."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.settimeout(10)
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            connection.connect(f"/proc/self/fd/{folder}/{path.name}")
        finally:
            os.close(folder)
        connection.sendall(data)
        answer = b""
        while more := connection.recv(65536):
            answer += more
        return answer


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"nonsense\n", "expected one line of JSON"),
        (b"[]\n", "expected one line of JSON"),
        (b'{"command": 7}\n', "expected one line of JSON"),
        (b'{"command": "paus", "arguments": {}}\n', "did you mean"),
        (
            b'{"command": "resolve", "arguments":'
            b' {"action": "skip", "subjects": [["x", 1]], "reason": "r"}}\n',
            "m17",
        ),
        (b'{"command": "replay", "arguments": {"ids": ["1"]}}\n', "name at least one message"),
    ],
)
@in_reactor
async def test_a_socket_that_hears_nonsense_says_so_and_goes_on(
    tmp_path: Path, data: bytes, words: str
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        path = socket_path(tmp_path / "journal.db")
        assert path.stat().st_mode & 0o777 == 0o600
        answer: Any = json.loads(await deferToThread(say, path, data))
        assert words in answer["error"]
        assert answer["exit"] == 2
        status = json.loads(await deferToThread(say, path, b'{"command": "status"}\n'))
        assert status["channels"][CHANNEL]["open"]


@pytest.mark.only_sqlite
@in_reactor
async def test_the_socket_is_there_however_long_its_path_and_after_a_crash(tmp_path: Path) -> None:
    deep = tmp_path / ("x" * 90) / ("y" * 90)
    deep.mkdir(parents=True)
    with socket.socket(socket.AF_UNIX) as dead:
        folder = os.open(deep, os.O_RDONLY)
        dead.bind(f"/proc/self/fd/{folder}/journal.db.sock")
        os.close(folder)
    async with hospital(deep) as site:
        assert "ehr.patients" in await command(site, "status")
    assert not socket_path(deep / "journal.db").exists()


@pytest.mark.parametrize("another", [False, True])
@in_reactor
async def test_a_node_whose_socket_was_taken_away_ends_and_leaves_what_is_in_its_place(
    tmp_path: Path, another: bool
) -> None:
    path = socket_path(tmp_path / "journal.db")
    async with hospital(tmp_path):
        path.unlink()
        if another:
            path.touch()
    assert path.exists() == another


@pytest.mark.both_databases
@in_reactor
async def test_every_action_of_a_person_has_one_row_of_audit_in_the_same_moment(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await refused(site)
        await command(site, "quarantine", "skip", "d1", "--reason", "later")
        assert site.node is not None
        found = await site.node.journal.read(story, 1)
        assert found is not None
        steps = [row for row in found.transitions if row["actor"].startswith("user:")]
        rows = await site.node.journal.read(latest)
        assert [(row["at_us"], row["actor"]) for row in steps] == [(row.at_us, row.actor) for row in rows]
        assert found.message["state"] == "MAPPED", "it is its delivery that a person has set aside"


@in_reactor
async def test_a_command_that_a_stop_cuts_off_is_no_fault(tmp_path: Path) -> None:
    asked: Deferred[None] = Deferred()

    async def answer(actor: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        asked.callback(None)
        return await Deferred()

    control = ControlSocket(tmp_path / "journal.db", answer, real_surroundings(reactor))
    control.start()
    with captured_logs() as logs, socket.socket(socket.AF_UNIX) as line_to_it:
        line_to_it.connect(str(socket_path(tmp_path / "journal.db")))
        line_to_it.sendall(b'{"command": "reload"}\n')
        await asked
        await control.stop()
    assert "command-fault" not in logs.getvalue()

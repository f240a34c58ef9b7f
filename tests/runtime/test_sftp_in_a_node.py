"""Files of an SFTP server become delivered calls, each once, whatever the server does meanwhile."""

from __future__ import annotations

import errno
import os
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from file_hospital import drop, left_in, some, whole
from nodes import Hospital, entries
from reactor_tests import in_reactor, pause, until
from structlog.testing import capture_logs
from test_files_reloaded import worries

from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.errors import PeerUnavailable
from bridge.journal import spool
from bridge.transports import collecting, setbacks

RULES = "finished: renamed, poll: 50ms, after: move"


@asynccontextmanager
async def sftp_hospital(
    folder: Path, monkeypatch: pytest.MonkeyPatch, rules: str = RULES
) -> AsyncIterator[tuple[Hospital, FakeSftp]]:
    """A hospital whose channel fetches from a server."""
    monkeypatch.setattr(collecting, "FAILED_WAIT_MAX_S", 0.1)
    (folder / "server").mkdir()
    server = FakeSftp(folder / "server")
    made = Hospital(folder)
    made.secrets = lambda _reference: PASSWORD

    def change(text: str) -> str:
        login = f"port: {server.port}, user: {USER}, password: secret://env/SFTP"
        source = f'{{host: 127.0.0.1, {login}, host_keys: ["{server.fingerprint}"], directory: /, {rules}}}'
        return re.sub(r"  mllp: .*\n", f"  sftp: {source}\n", text)

    await made.open(change)
    try:
        await made.start()
        yield made, server
    finally:
        await made.close()
        server.close()


@in_reactor
async def test_files_of_a_server_are_delivered_and_put_away_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):
        for number in range(3):
            drop(server.root, f"adt{number}.hl7", whole(some(2, first=2 * number)))
        done = [f"done/adt{number}.hl7" for number in range(3)]
        await until(lambda: left_in(server.root) == done, "all are put away")
        assert entries(await made.settled()) == {"delivered": 6}


@in_reactor
async def test_senders_are_told_on_their_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rules = f"{RULES}, answers: answers, rejects: rejects"
    async with sftp_hospital(tmp_path, monkeypatch, rules) as (made, server):
        drop(server.root, "a.hl7", whole(some(2)))
        there = ["answers/a.hl7.1.ack", "done/a.hl7"]
        await until(lambda: left_in(server.root) == there, "the answer is there, and no rejects")
        await made.settled()
        assert (server.root / there[0]).read_bytes().count(b"MSA|AA|") == 2


@in_reactor
async def test_a_server_that_cuts_its_connections_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):
        server.faults.cut_after_bytes = 250_000
        content = whole(some(10, steps=4))
        content += b"ZZZ|" + b"x" * 900_000 + b"\r"
        drop(server.root, "large.hl7", content)
        await until(lambda: left_in(server.root) == ["done/large.hl7"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 40}
        # No connection gives a quarter of it: fetched anew each time, it would never have come.
        assert server.cuts >= 3, "nothing was cut: this shows nothing"


@in_reactor
async def test_a_disk_that_is_full_meanwhile_costs_time_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    full = [True]
    write_all = spool._write_all

    def no_room(descriptor: int, data: memoryview) -> None:
        if full[0]:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        write_all(descriptor, data)

    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):
        monkeypatch.setattr(spool, "_write_all", no_room)
        content = whole(some(2)) + b"ZZZ|" + b"x" * spool.INLINE_MAX_BYTES + b"\r"
        drop(server.root, "adt.hl7", content)
        assert made.node is not None
        metrics = made.node.metrics
        await until(lambda: b"bridge_files_retried_total" in metrics.exposition(), "there is no room")
        await until(lambda: _retried(made) >= 2, "it was tried, and tried again")
        assert left_in(server.root) == ["adt.hl7"]
        full[0] = False
        await until(lambda: left_in(server.root) == ["done/adt.hl7"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 2}


def _retried(made: Hospital) -> float:
    assert made.node is not None
    value = made.node.metrics.registry.get_sample_value("bridge_files_retried_total", {"channel": "ehr-adt"})
    return value or 0.0


@in_reactor
async def test_a_file_that_grew_on_its_server_after_it_was_taken_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with capture_logs() as logs:
        async with sftp_hospital(tmp_path, monkeypatch) as (_, server):
            drop(server.root, "a.hl7", whole(some(1)))
            await until(lambda: left_in(server.root) == ["done/a.hl7"], "it is taken")
            with (server.root / "done" / "a.hl7").open("ab") as writing:
                writing.write(b"x")
            monkeypatch.setattr(setbacks, "LATER_MAX_COUNT", 0)  # the time has come
            grew = "file-grew-after-it-was-taken"
            await until(lambda: any(each["event"] == grew for each in logs), "it is told")


@in_reactor
@pytest.mark.parametrize("claim", ["true", "false"])
async def test_a_file_that_the_server_does_not_let_us_read_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claim: str
) -> None:
    with capture_logs() as logs:
        async with sftp_hospital(tmp_path, monkeypatch, f"{RULES}, claim: {claim}") as (made, server):
            server.faults.not_readable = ("a_locked.hl7",)
            drop(server.root, "a_locked.hl7", whole(some(1)))
            drop(server.root, "b_good.hl7", whole(some(1, first=1)))
            await until(lambda: "done/b_good.hl7" in left_in(server.root), "the other is taken")
            assert left_in(server.root)[1:] == ["errors/a_locked.hl7", "errors/a_locked.hl7.reason.json"]
            assert entries(await made.settled()) == {"delivered": 1}
    assert len([each for each in logs if each["event"] == "file-held-up"]) == 1
    assert not [each for each in logs if each["event"].startswith("files-")]


@in_reactor
@pytest.mark.parametrize("claim", ["true", "false"])
@pytest.mark.parametrize("how", ["hangs", "is cut"])
async def test_a_file_at_which_the_connection_breaks_goes_behind_the_others_and_is_told_by_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, how: str, claim: str
) -> None:
    monkeypatch.setattr(setbacks, "WAIT_MAX_S", 0.2)
    heals = threading.Event()
    rules = f"{RULES}, claim: {claim}, answer_within: 1s"
    with capture_logs() as logs:
        async with sftp_hospital(tmp_path, monkeypatch, rules) as (made, server):

            def hold(_step: str, name: str) -> None:
                if name == "a_bad.hl7" and not heals.is_set():
                    if how == "is cut":
                        server.cut_all()
                    else:
                        heals.wait(60)

            assert made.node is not None
            intake, first = (
                made.node.parts.intakes["ehr-adt"],
                made.node.metrics.files_place.labels("ehr-adt"),
            )
            await until(lambda: first._value.get() == 1, "the server was looked at")
            server.faults.holds = hold
            for number, name in enumerate(("a_bad.hl7", "b.hl7", "c.hl7")):
                drop(server.root, name, whole(some(1, first=number)))
            others = {"done/b.hl7", "done/c.hl7"}
            await until(lambda: others <= set(left_in(server.root)), "the others are taken")
            await until(lambda: getattr(intake, "held_up", ()) != (), "it is told")
            told = [each for each in await worries(made) if "a_bad" in each]
            assert len(told) == 1
            assert told[0].startswith(
                "a file of ehr-adt: a_bad.hl7: the connection broke while it was taken: "
            )
            heals.set()
            await until(lambda: left_in(server.root) == ["done/a_bad.hl7", *sorted(others)], "it is taken")
            await until(lambda: getattr(intake, "held_up", ()) == (), "and told no more")
            assert entries(await made.settled()) == {"delivered": 3}
    assert "a_bad" not in str(logs), "a name may be a patient's number"


@in_reactor
async def test_a_server_that_goes_away_while_a_file_is_read_is_away_and_no_file_is_blamed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):
        assert made.node is not None
        intake = made.node.parts.intakes["ehr-adt"]
        server.faults.holds = lambda _step, _name: server.close()
        drop(server.root, "a.hl7", whole(some(1)))
        out = r"the files of ehr-adt are out of reach: "
        tries = made.node.doors["ehr-adt"]._listener
        await until(lambda: getattr(tries, "_failures", 0) > 2, "it is tried again and again")
        [worry] = await worries(made)
        assert worry.startswith(out)
        assert getattr(intake, "held_up", None) == ()


@in_reactor
async def test_a_name_that_is_not_utf8_is_counted_and_stops_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):
        (server.root / os.fsdecode(b"K\xe4rcher.hl7")).write_bytes(whole(some(1)))
        drop(server.root, "good.hl7", whole(some(1, first=1)))
        await until(lambda: "done/good.hl7" in left_in(server.root), "the other is taken")
        assert entries(await made.settled()) == {"delivered": 1}
        [worry] = await worries(made)
        assert worry.startswith("1 name where the files of ehr-adt come from are not taken: ")


@in_reactor
async def test_a_server_with_another_key_is_told_and_nothing_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import paramiko

    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):
        assert made.node is not None
        place = made.node.metrics.files_place.labels("ehr-adt")
        await until(lambda: place._value.get() == 1, "the server was looked at")
        server.key = paramiko.ECDSAKey.generate()
        server.cut_all()
        drop(server.root, "adt.hl7", whole(some(1)))
        await until(lambda: place._value.get() == 0, "the server cannot be used")
        assert left_in(server.root) == ["adt.hl7"]


@in_reactor
async def test_what_was_fetched_before_a_crash_is_not_fetched_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The file was journaled, and the process ended before it could be moved on the server."""
    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):

        def never(*_arguments: object) -> None:
            raise PeerUnavailable("the process ends here")

        assert made.node is not None
        listener = made.node.doors["ehr-adt"]._listener
        monkeypatch.setattr(listener._place, "put_away", never)  # type: ignore[union-attr]
        drop(server.root, "adt.hl7", whole(some(2)))
        intake = made.node.parts.intakes["ehr-adt"]
        await until(
            lambda: server.given_bytes > 0 and getattr(intake, "held_up", ()) != (), "it is not put away"
        )
        await made.settled()
        await made.stop()
        fetched = server.given_bytes
        await made.start()
        await until(lambda: left_in(server.root) == ["done/adt.hl7"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 2}
        assert server.given_bytes == fetched


@in_reactor
async def test_a_node_ends_though_a_server_never_answers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(collecting, "DRAIN_WITHIN_S", 0.05)
    listing, answers = threading.Event(), threading.Event()
    answered: list[bool] = []

    def hang() -> None:
        listing.set()
        answers.wait(30)
        answered.append(True)

    async with sftp_hospital(tmp_path, monkeypatch, f"{RULES}, answer_within: 1h") as (made, server):
        drop(server.root, "done/a.hl7", b"")
        drop(server.root, "errors/a.hl7", b"")
        server.faults.renames = hang
        await until(listing.is_set, "the server is asked")
        await made.stop()
        assert answered == [], "the node has waited for the server"
        answers.set()


@in_reactor
async def test_a_connection_that_is_cut_while_a_folder_is_listed_is_told_as_that(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with sftp_hospital(tmp_path, monkeypatch) as (made, server):
        drop(server.root, "done/a.hl7", b"")
        drop(server.root, "errors/a.hl7", b"")
        server.faults.renames = server.cut_all
        said: list[str] = []
        while not said:
            await pause(0.02)
            said = await worries(made)
        assert said == [
            "the files of ehr-adt are out of reach: the server closed the connection; its log says why"
        ]

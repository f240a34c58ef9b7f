"""Files on a real SFTP server: whole under their name or not there, once, and never overwritten."""

from __future__ import annotations

import hashlib
import os
import threading
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest
from http_peers import NOW_US
from mllp_peers import message
from reactor_tests import in_reactor, until
from sftp_doors import sftp_server
from twisted.internet.defer import Deferred, gatherResults

from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.component import SEND_ORIGINAL, OperationOptions
from bridge.delivery.outcomes import NOTHING_LEFT, Outcome, Verdict
from bridge.destinations.base import Origin
from bridge.destinations.sftp_out import SftpOut, SftpOutOptions, build

KEY = "0a1b2c3d-17-1"
FILE = f"adt-{KEY}.hl7"
SMALL = message("C1")
LARGE = SMALL + b"ZZZ|" + b"x" * 1_000_000 + b"\r"


def made(server: FakeSftp, *, permits: Any = None, **options: Any) -> SftpOut:
    chosen = {
        "host": "127.0.0.1", "port": server.port, "user": USER, "password": "secret://env/SFTP",
        "host_keys": [server.fingerprint], "directory": "/", "name": "{channel}-{delivery}.hl7", **options,
    }  # fmt: skip
    return build(
        SftpOutOptions.model_validate({"sftp": chosen}),
        {SEND_ORIGINAL: OperationOptions.model_validate({})},
        None,
        lambda _reference: PASSWORD,
        lambda: NOW_US,
        permits,
    )


@asynccontextmanager
async def server_and_folder(root: Path, **options: Any) -> AsyncIterator[tuple[FakeSftp, SftpOut]]:
    with sftp_server(root) as server:
        out = made(server, **options)
        try:
            yield server, out
        finally:
            await out.close()


async def put(out: SftpOut, body: bytes = LARGE, *, key: str = KEY) -> Outcome:
    request = out.prepare(SEND_ORIGINAL, body, Origin("adt", 17))
    return await out.send(request, idempotency_key=key, traceparent="")


@in_reactor
async def test_a_message_becomes_a_file_with_its_marker_after_it(tmp_path: Path) -> None:
    async with server_and_folder(tmp_path / "root", marker=".ok") as (server, out):
        for reason in ("written", "written-before"):
            assert (await put(out)).reason == reason
            assert sorted(os.listdir(server.root)) == [FILE, f"{FILE}.ok"]
            assert (server.root / FILE).read_bytes() == LARGE
            (server.root / f"{FILE}.ok").unlink()


@in_reactor
async def test_a_connection_cut_as_the_file_gets_its_name_is_open_and_then_found(tmp_path: Path) -> None:
    async with server_and_folder(tmp_path / "root") as (server, out):
        server.faults.cut_once_at = "rename"
        assert (await put(out)).verdict is Verdict.AMBIGUOUS
        assert await put(out) == Outcome(Verdict.DELIVERED, "written-before", steps="iuso")
        assert os.listdir(server.root) == [FILE]


@in_reactor
async def test_a_full_disk_is_noticed_before_the_file_has_its_name(tmp_path: Path) -> None:
    """The server answers the first of many writes with a failure, long after the last one has left."""
    async with server_and_folder(tmp_path / "root") as (server, out):
        server.faults.full_once = True
        assert (await put(out)).verdict is Verdict.RETRY
        assert os.listdir(server.root) == [], "what could not be written is taken away"
        assert (await put(out)).verdict is Verdict.DELIVERED
        assert (server.root / FILE).read_bytes() == LARGE


@pytest.mark.parametrize("there", [b"another's", LARGE[:-1] + b"!"], ids=["other size", "other bytes"])
@in_reactor
async def test_another_file_of_the_name_is_left_as_it_is(tmp_path: Path, there: bytes) -> None:
    async with server_and_folder(tmp_path / "root") as (server, out):
        (server.root / FILE).write_bytes(there)
        outcome = await put(out)
        assert (outcome.verdict, outcome.reason) == (Verdict.POISON, "name-taken")
        assert (server.root / FILE).read_bytes() == there


@in_reactor
async def test_a_server_with_another_key_gets_nothing(tmp_path: Path) -> None:
    async with server_and_folder(tmp_path / "root") as (server, out):
        server.key = paramiko.ECDSAKey.generate()
        outcome = await put(out)
        assert (outcome.verdict, outcome.reason) == (Verdict.HOLD, "host-key")
        assert (server.passwords, os.listdir(server.root)) == (0, [])


@pytest.mark.parametrize(("good", "steps", "logins"), [(True, "tiuso", 1), (False, "t!target-refused", 0)])
@in_reactor
async def test_an_address_that_is_not_the_servers_own_is_not_connected_to(
    tmp_path: Path, good: bool, steps: str, logins: int
) -> None:
    async with server_and_folder(tmp_path / "root", permits=lambda _host, _address: good) as (server, out):
        assert (await put(out)).steps == steps
        assert server.passwords == logins


def hidden(name: str, number: int) -> str:
    """What a file is called while it is not whole."""
    return f".{hashlib.sha256(name.encode()).hexdigest()[:32]}.{number}.part"


def slow(step_s: float) -> Callable[[str, str], None]:
    """A server that takes so long for each part of a file that it is sent."""
    return lambda step, _name: time.sleep(step_s) if step == "write" else None


def still(goes_on: threading.Event) -> Callable[[str, str], None]:
    """A server that takes nothing of a file until it goes on."""

    def hold(step: str, _name: str) -> None:
        if step == "write":
            goes_on.wait(60)

    return hold


@in_reactor
async def test_a_file_that_is_slow_and_moves_is_waited_for(tmp_path: Path) -> None:
    """All of it takes several times as long as it may stand still."""
    async with server_and_folder(tmp_path / "root", within="2s") as (server, out):
        server.faults.holds = slow(0.1)
        assert await put(out) == Outcome(Verdict.DELIVERED, "written")
        assert (server.root / FILE).read_bytes() == LARGE


@in_reactor
async def test_a_file_whose_writing_stood_still_is_written_once_though_it_is_taken_away_at_once(
    tmp_path: Path,
) -> None:
    goes_on = threading.Event()
    async with server_and_folder(tmp_path / "root", within="200ms") as (server, out):
        server.faults.holds = still(goes_on)
        for _ in range(2):
            assert await put(out) == Outcome(Verdict.AMBIGUOUS, "write-timeout")
        await until(lambda: os.listdir(server.root) != [], "it is begun")
        assert len(os.listdir(server.root)) == 1, "no second attempt is beside it"
        goes_on.set()
        await until((server.root / FILE).exists, "it goes on by itself")
        (server.root / FILE).unlink()
        assert await put(out) == Outcome(Verdict.DELIVERED, "written")
        assert os.listdir(server.root) == []
        assert (await put(out)).reason == "written", "once it was told it is forgotten"
        assert os.listdir(server.root) == [FILE]


@in_reactor
async def test_a_file_whose_turn_does_not_come_has_not_left_and_is_tried_again(tmp_path: Path) -> None:
    goes_on = threading.Event()
    async with server_and_folder(tmp_path / "root", within="200ms") as (server, out):
        server.faults.holds = still(goes_on)
        first, second = [Deferred.fromCoroutine(put(out, key=f"0a1b2c3d-{n}-1")) for n in (1, 2)]
        assert await second == Outcome(Verdict.RETRY, "write-waits")
        assert "write-waits" in NOTHING_LEFT, "and is no disclosure"
        assert await first == Outcome(Verdict.AMBIGUOUS, "write-timeout")
        goes_on.set()
        for number in (1, 2):
            assert (await put(out, key=f"0a1b2c3d-{number}-1")).verdict is Verdict.DELIVERED
        assert len(os.listdir(server.root)) == 2


@in_reactor
async def test_waiting_for_those_before_counts_as_no_part_of_a_files_own_time(tmp_path: Path) -> None:
    """Each of them takes less than a file may stand still, and all of them much longer."""
    async with server_and_folder(tmp_path / "root", within="2s") as (server, out):
        server.faults.holds = slow(0.4)
        keys = [f"0a1b2c3d-{number}-1" for number in range(8)]
        puts = [Deferred.fromCoroutine(put(out, SMALL, key=key)) for key in keys]
        assert await gatherResults(puts) == [Outcome(Verdict.DELIVERED, "written")] * len(keys)


@in_reactor
async def test_closing_tells_what_waits_that_it_goes_again(tmp_path: Path) -> None:
    goes_on = threading.Event()
    async with server_and_folder(tmp_path / "root", within="200ms") as (server, out):
        server.faults.holds = still(goes_on)
        first, second = [Deferred.fromCoroutine(put(out, key=f"0a1b2c3d-{n}-1")) for n in (1, 2)]
        await out.close()
        goes_on.set()
        assert await second == Outcome(Verdict.RETRY, "closing")
        assert (await first).verdict is not Verdict.DELIVERED


@pytest.mark.parametrize("anew", [False, True], ids=["in one process", "after another process"])
@in_reactor
async def test_what_a_broken_attempt_left_goes_with_the_next_and_nothing_else_does(
    tmp_path: Path, anew: bool
) -> None:
    others = {hidden("adt-another.hl7", 1), ".partly.part", f".{'0' * 32}.x.part"}
    async with server_and_folder(tmp_path / "root") as (server, out):
        for name in others:
            (server.root / name).touch()
        for _ in range(3):
            server.faults.cut_once_at = "write"
            assert (await put(out, SMALL)).verdict is Verdict.RETRY
            [left] = set(os.listdir(server.root)) - others
        assert left.startswith(".")
        late = made(server) if anew else out
        assert (await put(late, SMALL)).verdict is Verdict.DELIVERED
        assert set(os.listdir(server.root)) == {FILE, *others}
        await late.close()


@in_reactor
async def test_what_a_process_of_before_left_goes_though_its_file_was_written(tmp_path: Path) -> None:
    async with server_and_folder(tmp_path / "root") as (server, out):
        (server.root / FILE).write_bytes(LARGE)
        for number in (1, 2):
            (server.root / hidden(FILE, number)).touch()
        assert await put(out) == Outcome(Verdict.DELIVERED, "written-before")
        assert os.listdir(server.root) == [FILE]


@in_reactor
async def test_a_folder_that_may_not_be_listed_is_written_to(tmp_path: Path) -> None:
    async with server_and_folder(tmp_path / "root") as (server, out):
        server.faults.not_listed = True
        for number in (1, 2):
            assert (await put(out, key=f"0a1b2c3d-{number}-1")).verdict is Verdict.DELIVERED

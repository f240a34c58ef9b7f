"""Files on a real SFTP server: whole under their name or not there, once, and never overwritten."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest
from http_peers import NOW_US
from mllp_peers import message
from reactor_tests import in_reactor
from sftp_doors import sftp_server

from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.component import SEND_ORIGINAL, OperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import Origin
from bridge.destinations.sftp_out import SftpOut, SftpOutOptions, build

KEY = "0a1b2c3d-17-1"
FILE = f"adt-{KEY}.hl7"
LARGE = message("C1") + b"ZZZ|" + b"x" * 1_000_000 + b"\r"


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

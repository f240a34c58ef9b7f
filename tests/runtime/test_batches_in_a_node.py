"""Batches in files: held against their trailers, released or held whole, and reconciled with what became."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path
from typing import Any

import pytest
from file_hospital import QUICK, drop, file_hospital, left_in, some, whole
from nodes import Hospital, entries, hospital
from reactor_tests import in_reactor, until
from test_reload import change, command, reload
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.journal.batches import newest_batches
from bridge.journal.reconciling import reconcile
from bridge.journal.spool import INLINE_MAX_BYTES
from bridge.runtime.file_commands import decide_about_files

FHS, BHS = b"FHS|^~\\&|LAB\r", b"BHS|^~\\&|LAB||||20200101||x||B-1\r"
LARGE = b"ZZZ|" + b"x" * INLINE_MAX_BYTES + b"\r"


def batch(count: int, *, says: int | None = None, first: int = 0, more: bytes = b"") -> bytes:
    said = count if says is None else says
    return FHS + BHS + whole(some(count, first=first)) + more + f"BTS|{said}\rFTS|1\r".encode()


async def hold(made: Hospital, rule: str = "release: after_balance") -> None:
    """Let the channel hold what does not balance."""
    change(made, f"channels/{CHANNEL}.yaml", "accept:", f"batches: {{{rule}}}\naccept:")
    await reload(made)


async def found(made: Hospital) -> list[tuple[str, int, str]]:
    assert made.node is not None
    rows = await made.node.journal.read(newest_batches, limit=100)
    return [(row.kind, row.messages, row.balance) for row in reversed(rows)]


@pytest.mark.parametrize("more", [b"", LARGE], ids=["small", "large"])
@in_reactor
async def test_a_batch_that_is_as_it_says_goes_on_and_is_known(tmp_path: Path, more: bytes) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        await hold(made)
        drop(folder, "a.hl7", batch(3, more=more))
        await until(lambda: left_in(folder) == ["done/a.hl7"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 3}
        assert await found(made) == [("batch", 3, "balanced"), ("file", 3, "balanced")]


@pytest.mark.parametrize("more", [b"", LARGE], ids=["small", "large"])
@pytest.mark.parametrize("says", [2, 4, 31])
@in_reactor
async def test_a_batch_that_is_not_as_it_says_is_held_whole_until_a_person_decides(
    tmp_path: Path, says: int, more: bytes
) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        await hold(made)
        content = batch(3, says=says, more=more)
        drop(folder, "a.hl7", content)
        await until(lambda: left_in(folder) == ["done/a.hl7"], "it is put away")
        assert (await made.settled()).received == {}, "a message of it went on"
        said = await command(made, "batches", "--wrong", status=1)
        assert f"{says} messages declared and 3 found, BTS-1 at byte {content.index(b'BTS')}" in said
        assert "file 1 is held (out-of-balance)" in said
        assert made.node is not None
        done, refused = await decide_about_files(made.node.parts, [1], "user:ada", "seen", discard=False)
        assert (done, refused) == (["file 1: 3 messages taken in"], "")
        assert entries(await made.settled()) == {"delivered": 3}


@pytest.mark.parametrize(
    ("content", "rule", "goes_on"),
    [
        (BHS + whole(some(1)), "release: after_balance", False),
        (BHS + whole(some(1)) + b"BTS|\r", "release: after_balance", True),
        (BHS + whole(some(1)) + b"BTS|\r", "release: after_balance, totals: required", False),
        (whole(some(1)), "release: after_balance", True),
        (whole(some(1)), "release: after_balance, totals: required", False),
        (BHS + whole(some(1)) + b"BTS|7\r", "release: streaming", True),
    ],
    ids=["no trailer", "no totals", "totals required", "no batch", "batch required", "streaming"],
)
@in_reactor
async def test_what_is_held_is_what_the_file_says(
    tmp_path: Path, content: bytes, rule: str, goes_on: bool
) -> None:
    async with file_hospital(tmp_path) as (made, folder):
        await hold(made, rule)
        drop(folder, "a.hl7", content)
        await until(lambda: left_in(folder) == ["done/a.hl7"], "it is put away")
        assert (await made.settled()).received == ({CHANNEL: 1} if goes_on else {})


async def reconciled(made: Hospital) -> dict[str, Any]:
    said = await command(made, "reconcile", "--format", "json", status=1)
    result: dict[str, Any] = json.loads(said)
    return result


@in_reactor
async def test_a_day_is_reconciled_and_what_does_not_fit_has_its_type(tmp_path: Path) -> None:
    async with file_hospital(tmp_path, f"{QUICK}, resent_by: content") as (made, folder):
        drop(folder, "a.hl7", batch(3))
        drop(folder, "b.hl7", batch(2, says=5, first=3))
        drop(folder, "c.hl7", batch(3) + b"\n")
        done = [f"done/{name}.hl7" for name in "abc"]
        await until(lambda: left_in(folder) == done, "all are put away")
        await made.settled()
        assert made.node is not None
        now_us = int(time.time() * 1e6)
        day = reconcile
        rows = await made.node.journal.read(day, 0, now_us, channel=None, day_of="20260101")
        kinds = sorted({(each.kind, each.batch_id) for each in rows.misfits if each.kind != "late"}, key=str)
        assert kinds == [("duplicate", 5), ("duplicate", None), ("missing", 3)]
        assert {each.kind for each in rows.misfits} >= {"late"}
        [channel] = [each for each in rows.accounts if each.batch is None]
        assert channel.balanced
        assert (channel.received, channel.entries["delivered"], channel.entries["duplicate"]) == (8, 5, 3)
        of_batches = {each.batch.batch_id: each for each in rows.accounts if each.batch is not None}
        assert all(each.balanced for each in of_batches.values())
        assert of_batches[3].entries["delivered"] == 2
        said = await reconciled(made)
        assert {each["type"] for each in said["misfits"]} == {"late", "duplicate", "missing"}
        table = await command(made, "reconcile", "--format", "csv", status=1)
        assert table.startswith("channel,batch,control_id,declared,received,delivered,")
        assert "missing: messages: 5 declared, 2 found" in table
        assert "nothing came on 2001-01-01" in await command(made, "reconcile", "--day", "2001-01-01")
        shown = await command(made, "reconcile", status=1)
        assert "in every line: received = delivered + duplicate\n" in shown
        drop(folder, "d.hl7", b"")
        drop(folder, "e.hl7", batch(2, says=9, first=9))
        drop(folder, "f.hl7", b"nonsense")
        await until(lambda: {"errors/d.hl7", "done/e.hl7", "errors/f.hl7"} <= {*left_in(folder)}, "all went")
        shown = await command(made, "reconcile", status=1)
        assert f"refused: {CHANNEL}: file 4, d.hl7, is refused: empty\n" in shown
        assert f"failed: {CHANNEL}: file 6, f.hl7, has failed: " in shown


async def over_mllp(made: Hospital, block: bytes, channel: str = CHANNEL) -> bytes:
    """A block, and the answer to it."""
    assert made.node is not None
    port = made.node.addresses()[channel]

    def exchange() -> bytes:
        with socket.create_connection(("127.0.0.1", port), timeout=30) as peer:
            peer.sendall(b"\x0b" + block + b"\x1c\r")
            said = b""
            while not said.endswith(b"\x1c\r") and (data := peer.recv(65536)):
                said += data
        return said.strip(b"\x0b\x1c\r")

    return await deferToThread(exchange)


@in_reactor
async def test_a_batch_in_a_block_is_taken_whole_and_answered_by_a_batch_or_refused_whole(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as made:
        assert b"MSA|AR" in await over_mllp(made, batch(2)), "as long as the channel does not say so"
        change(made, f"channels/{CHANNEL}.yaml", "{listen:", "{batches: take, listen:")
        await hold(made)
        lines = (await over_mllp(made, batch(3))).split(b"\r")
        assert [line[:3] for line in lines] == [b"BHS", *[b"MSH", b"MSA"] * 3, b"BTS"]
        said = [line.split(b"|") for line in lines if line[:3] == b"MSA"]
        assert [each[1:3] for each in said] == [[b"AA", each.control_id.encode()] for each in some(3)]
        again = await over_mllp(made, batch(3))
        assert again.count(b"MSA|AA|") == 3, "a sender that missed the answer hears the same"
        for wrong in (batch(2, says=5, first=3), FHS + BHS + whole(some(1, first=3)), FHS + b"FTS|0\r"):
            assert b"MSA|AR" in await over_mllp(made, wrong)
        assert entries(await made.settled()) == {"delivered": 3, "duplicate": 3, "refused": 4}
        assert set(await found(made)) == {("batch", 3, "balanced"), ("file", 3, "balanced")}

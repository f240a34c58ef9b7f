"""Files of a day of which one was taken: refused, taken as a difference, or in place of the first."""

from __future__ import annotations

import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path

from charge_files import FIXED, write_charges
from file_hospital import drop, file_row, left_in
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from test_reload import change, command

from bridge.cli.demo import CHANNEL
from bridge.delivery.files import FileState
from bridge.formats.base import Share
from bridge.journal.batch_amounts import Shares
from bridge.journal.reconciling import Misfit, reconcile

BY_HEADER = "business_date: {of: $header.business_date}"


@asynccontextmanager
async def charging(folder: Path, rule: str) -> AsyncIterator[tuple[Hospital, Path]]:
    """A hospital with a channel of charges that has a rule about days, and the folder that it takes from."""
    incoming = folder / "incoming"
    incoming.mkdir()
    made = Hospital(folder)
    await made.open()
    write_charges(folder / "site", incoming, FIXED)
    change(made, f"channels/{CHANNEL}.yaml", "after_balance}", f"after_balance, {rule}}}")
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


def charges(codes: str, *, day: str = "20240103", of: str = "20240102", says: int | None = None) -> bytes:
    """A charge of 10.00 for each letter; the same letter is the same charge."""
    rows = [
        f"D{ord(code) % 3:010}{of}99{ord(code):03}  C00001{100:08}{{ED01" if code != "?" else "X is no row"
        for code in codes
    ]
    count = len(rows) if says is None else says
    total = 10 * 100 * sum(code != "?" for code in codes)
    return "\n".join([f"H{day}", *rows, f"T{count:06}{total:011}"]).encode() + b"\n"


async def put(made: Hospital, folder: Path, name: str, content: bytes, *, where: str = "done") -> None:
    drop(folder, name, content)
    await until(lambda: f"{where}/{name}" in left_in(folder), f"{name} is put away")


async def misfits(made: Hospital, shares: Mapping[str, Shares] | None = None) -> list[Misfit]:
    assert made.node is not None
    until_us = int(time.time() * 1e6)
    found = await made.node.journal.read(
        reconcile, 0, until_us, channel=None, day_of="20260101", shares=shares
    )
    return list(found.misfits)


@in_reactor
async def test_a_delta_gives_what_the_first_file_has_not_and_each_as_often_as_it_is_more(
    tmp_path: Path,
) -> None:
    async with charging(tmp_path, f"{BY_HEADER}, rerun: delta") as (made, folder):
        await put(made, folder, "a.txt", charges("AABC"))
        await made.settled()
        calls = len(made.encounters.attempts)
        assert calls == 4
        await put(made, folder, "b.txt", charges("DAAAC"))
        assert entries(await made.settled()) == {"delivered": 6, "duplicate": 3}
        assert len(made.encounters.attempts) - calls == 2, "A for the third time, and D"
        file = await file_row(made, 2)
        assert file is not None
        assert (file.business_date, file.rerun, file.rerun_of) == ("20240103", "delta", 1)
        files = ("--amounts", "--config", str(made.folder / "site"))
        said = json.loads(await command(made, "reconcile", *files, "--format", "json", status=1))
        totals = [each["amounts"]["total"] for each in said["accounts"] if each["batch"] is not None]
        named = [{name: value for name, value in each.items() if value != "0"} for each in totals]
        assert named == [
            {"received": "40.00", "delivered": "40.00"},
            {"received": "50.00", "delivered": "20.00", "duplicate": "30.00"},
        ]
        assert "total 90.00 60.00 30.00" in " ".join(
            (await command(made, "reconcile", *files, status=1)).split()
        )
        wrong = {CHANNEL: lambda _body: {"total": Share(Decimal(3))}}
        assert {each.text for each in await misfits(made, shares=wrong) if each.kind == "unaccounted"} == {
            "total: 40.00 found, 12 in its messages",
            "total: 50.00 found, 15 in its messages",
        }
        found = [each.text for each in await misfits(made) if each.kind in ("rerun", "missing")]
        assert found == [
            "file 2 after file 1 of 20240103 (delta): 3 records are the same, 2 are new",
            "1 records of file 1 are not in file 2: 3",
        ]
        await put(made, folder, "c.txt", charges("DAAAC", day="20240104"))
        assert entries(await made.settled()) == {"delivered": 11, "duplicate": 3}, "another day is no re-run"


@in_reactor
async def test_a_second_file_of_a_day_is_refused_where_the_channel_says_so_and_one_that_was_held_is_no_first(
    tmp_path: Path,
) -> None:
    async with charging(tmp_path, f"{BY_HEADER}, rerun: refuse") as (made, folder):
        await put(made, folder, "held.txt", charges("AB", says=7))
        await put(made, folder, "a.txt", charges("AB"))
        await put(made, folder, "b.txt", charges("ABC"), where="errors")
        told = json.loads((folder / "errors" / "b.txt.reason.json").read_text())
        assert told["reason"] == "rerun"
        assert entries(await made.settled()) == {"delivered": 2}
        assert [each.kind for each in await misfits(made)].count("rerun") == 1


@in_reactor
async def test_a_file_in_place_of_another_withdraws_what_that_has_not_sent(tmp_path: Path) -> None:
    async with charging(tmp_path, f"{BY_HEADER}, rerun: replace") as (made, folder):
        await put(made, folder, "a.txt", charges("AB"))
        assert entries(await made.settled()) == {"delivered": 2}
        await command(made, "pause", "ehr.encounters", "--reason", "a test")
        await put(made, folder, "b.txt", charges("CDE?"))
        await put(made, folder, "c.txt", charges("CF"))
        await command(made, "resume", "ehr.encounters", "--reason", "a test")
        ended = {"delivered": 4, "superseded": 3, "discarded": 1}
        assert entries(await made.settled()) == ended
        sent = sorted(json.loads(each.body)["code"] for each in made.encounters.attempts)
        assert sent == ["99065", "99066", "99067", "99070"], "A, B, C of the last file, F; no D, no E"


@in_reactor
async def test_a_file_whose_day_cannot_be_told_is_held(tmp_path: Path) -> None:
    async with charging(tmp_path, f"{BY_HEADER}, rerun: delta") as (made, folder):
        await put(made, folder, "a.txt", charges("A", day="2024013X"))
        file = await file_row(made, 1)
        assert file is not None
        assert (file.state, file.reason) == (FileState.QUARANTINED, "no-business-date")
        assert file.place == "$header.business_date"


@in_reactor
async def test_late_records_are_told_from_those_that_are_on_time(tmp_path: Path) -> None:
    async with charging(tmp_path, f"{BY_HEADER}, late: {{by: $.svc_date, after: 2d}}") as (made, folder):
        today = time.strftime("%Y%m%d")
        assert made.node is not None
        await put(made, folder, "a.txt", charges("AB", day=today, of=today))
        assert not await misfits(made)
        await put(made, folder, "b.txt", charges("CDE", day=today, of="20240102"))
        await put(made, folder, "c.txt", charges("F", day="20240103", of="20240101"))
        await made.settled()
        assert sorted((each.kind, each.text) for each in await misfits(made)) == [
            ("late", "3 records are of a day long before"),
            ("late", "file 3 is of 20240103"),
        ]


@in_reactor
async def test_a_report_of_an_api_is_held_against_what_came_and_what_was_sent(tmp_path: Path) -> None:
    async with charging(tmp_path, BY_HEADER) as (made, folder):
        await put(made, folder, "a.txt", charges("ABC"))
        await made.settled()
        rows = [json.loads(each.body) for each in made.encounters.attempts]
        report = tmp_path / "posted.csv"
        match = "--report", str(report), "--api", "ehr.encounters", "--by", "key=id"
        amounts = "--amount", "amount=posted", "--since", "1h"
        report.write_text("id,posted\n" + "".join(f"{each['key']},{each['amount']}\n" for each in rows))
        assert "all three fit" in await command(made, "reconcile", *match, *amounts)
        report.write_text(f"id,posted\n{rows[0]['key']},1.01\nX,5\n")
        said = await command(made, "reconcile", *match, *amounts, "--format", "json", status=1)
        found = json.loads(said)
        assert (found["received"], found["posted"]["amount"]) == ({"records": 3, "amount": "30.00"}, "6.01")
        places = [(each["type"], each["file_id"], each["record"], each["line"]) for each in found["misfits"]]
        assert all(file_id == 1 for kind, file_id, *_ in places if kind != "extra")
        assert sorted(each[0] for each in places) == ["amount", "extra", "missing", "missing"]
        assert rows[0]["key"] not in said, "no value of a record is told"

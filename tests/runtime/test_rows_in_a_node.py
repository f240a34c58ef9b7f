"""Files of rows become calls, a row for each; what does not balance is held, and a bad row waits alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from file_hospital import drop, left_in
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from test_reload import command

from bridge.cli.demo import CHANNEL
from bridge.journal.batches import newest_batches
from bridge.shipped import shipped

CHANNEL_FILE = """\
channel: {name}
source:
  file_drop: {{directory: {folder}, stable_for: 0s, poll: 100ms}}
format:
{format}
order_by: $.account
batches: {{release: after_balance}}
routes:
  - route: charge
    mapping: nightly-charges
    record: charge
    to: {{api: ehr.encounters, operation: putCharge}}
"""
FIXED = """\
  fixed:
    header: {says: H, fields: {business_date: 2-9}}
    detail:
      says: D
      fields:
        {account: 2-11, svc_date: 12-19, code: 20-26, code_type: "27", qty: 28-32, amount: 33-41, dept: 42-45}
    trailer: {says: T, fields: {count: 2-7, total: 8-18}}
    totals: [{trailer: count}, {trailer: total, of: sum, column: amount, decimals: 2}]
"""
CSV = """\
  delimited:
    columns: [type, account, svc_date, code, code_type, qty, amount, dept]
    header: {first: H, columns: [type, business_date]}
    trailer: {first: T, columns: [type, count, total]}
    totals: [{trailer: count}, {trailer: total, of: sum, column: amount, decimals: 2}]
"""
OPERATION = """\
operations:
  putCharge:
    method: PUT
    path: /encounters/{key}
    send_only: [key, account, code, amount]
  putEncounter:
"""


@asynccontextmanager
async def charges(folder: Path, format_: str) -> AsyncIterator[tuple[Hospital, Path]]:
    """A hospital whose channel takes charges from a folder."""
    incoming = folder / "incoming"
    incoming.mkdir()
    made = Hospital(folder)
    await made.open(lambda _text: CHANNEL_FILE.format(name=CHANNEL, folder=incoming, format=format_))
    site = folder / "site"
    text = shipped("mappings", "examples", "nightly-charges.yaml").read_text()
    if "delimited" in format_:
        text = text.replace("format: fixed", "format: delimited").replace("columns: [", "columns: [type, ")
        text = text.partition("tests:")[0]
    (site / "mappings" / "nightly-charges.yaml").write_text(text)
    api = site / "channels" / "apis" / "ehr.encounters.yaml"
    said = api.read_text().replace("operations:\n  putEncounter:\n", OPERATION)
    api.write_text(said.replace("auth: none\n", "auth: none\ncarries: {phi: true, financial: true}\n"))
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


def fixed(count: int, *, says: int | None = None, cents: int = 0, bad: bool = False) -> bytes:
    rows = [b"D%010d20240102%-7sC00001%08d{ED01" % (n % 7, b"99%03d" % n, 10 * n) for n in range(count)]
    total = sum(10 * 10 * n for n in range(count)) + cents
    rows += [b"X is no row"] if bad else []
    said = len(rows) if says is None else says
    return b"\n".join([b"H20240103", *rows, b"T%06d%011d" % (said, total)]) + b"\n"


def delimited(count: int, *, says: int | None = None, cents: int = 0, bad: bool = False) -> bytes:
    rows = [b"D,%010d,20240102,99%03d,C,1,%d,ED01" % (n % 7, n, 100 * n) for n in range(count)]
    total = sum(100 * n for n in range(count)) + cents
    rows += [b"D,too,few"] if bad else []
    said = len(rows) if says is None else says
    return b"\n".join([b"H,20240103", *rows, b"T,%d,%d" % (said, total)]) + b"\n"


KINDS = pytest.mark.parametrize(
    ("format_", "made_of"), [(FIXED, fixed), (CSV, delimited)], ids=["fixed", "csv"]
)


@KINDS
@in_reactor
async def test_each_row_of_a_file_is_delivered_and_a_bad_one_waits_for_a_person(
    tmp_path: Path, format_: str, made_of: object
) -> None:
    async with charges(tmp_path, format_) as (made, folder):
        drop(folder, "a.txt", made_of(40, bad=True))  # type: ignore[operator]
        await until(lambda: left_in(folder) == ["done/a.txt"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 40, "quarantined": 1}
        assert len(made.encounters.applied) == 40
        assert made.node is not None
        [row] = await made.node.journal.read(newest_batches, limit=10)
        assert (row.kind, row.balance, row.found["total"]) == ("rows", "balanced", "780.00")


@KINDS
@in_reactor
async def test_a_trailer_wrong_by_a_row_or_a_cent_holds_the_file(
    tmp_path: Path, format_: str, made_of: object
) -> None:
    async with charges(tmp_path, format_) as (made, folder):
        drop(folder, "a.txt", made_of(5, says=6))  # type: ignore[operator]
        drop(folder, "b.txt", made_of(5, cents=1))  # type: ignore[operator]
        await until(lambda: left_in(folder) == ["done/a.txt", "done/b.txt"], "they are put away")
        assert (await made.settled()).received == {}
        said = await command(made, "batches", "--wrong", status=1)
        assert "6 count declared and 5 found, count of the trailer in line 7" in said
        assert "10.01 total declared and 10.00 found, total of the trailer in line 7" in said

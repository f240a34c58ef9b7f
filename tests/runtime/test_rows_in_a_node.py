"""Files of rows become calls, a row for each; what does not balance is held, and a bad row waits alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from charge_files import CSV, FIXED, XML, delimited, fixed, write_charges, xml
from file_hospital import drop, left_in
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from test_reload import command

from bridge.journal.batches import newest_batches


@asynccontextmanager
async def charges(folder: Path, format_: str, mapping: str = "") -> AsyncIterator[tuple[Hospital, Path]]:
    """A hospital whose channel takes charges from a folder."""
    incoming = folder / "incoming"
    incoming.mkdir()
    made = Hospital(folder)
    await made.open()
    write_charges(folder / "site", incoming, format_)
    if mapping:
        (folder / "site" / "mappings" / "nightly-charges.yaml").write_text(mapping)
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


KINDS = pytest.mark.parametrize(
    ("format_", "made_of"), [(FIXED, fixed), (CSV, delimited), (XML, xml)], ids=["fixed", "csv", "xml"]
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
        told = ("records", "trailer/total") if format_ == XML else ("rows", "total")
        assert (row.kind, row.balance, row.found[told[1]]) == (told[0], "balanced", "780.00")
        [waits] = orjson.loads(await command(made, "quarantine", "list", "--format", "json"))
        assert (waits["file"]["name"], waits["file"]["record"]) == ("a.txt", 41)
        assert "1: a.txt, record 41, at byte" in await command(made, "show", str(waits["id"]))
        assert waits["place"] == "line 42"
        assert "line 42" in await command(made, "quarantine", "list")


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
        where = "trailer/{} in line 7" if format_ == XML else "{} of the trailer in line 7"
        name = "trailer/{}" if format_ == XML else "{}"
        expected = {"count": "6 {} declared and 5 found", "total": "10.01 {} declared and 10.00 found"}
        for total, counted in expected.items():
            assert f"{counted.format(name.format(total))}, {where.format(total)}" in said


MAPPING_OF_JSON = """\
mapping: nightly-charges
version: 1.0.0
owner: revenue-cycle
target: canonical/1
source: {format: json, timezone: America/New_York}
emit:
  - record: charge
    key: $.id
    set:
      account: $.account
      service_date: $.date
      code: $.code
      code_system: {const: local}
      quantity: {const: "1"}
      kind: {const: charge}
      amount: $.amount
      currency: {const: USD}
"""
COPYBOOK = """\
  fixed:
    charset: cp037
    length: 14
    detail:
      copybook: |
        01  CHARGE.
            05  ID        PIC X(3).
            05  ACCOUNT   PIC 9(4) COMP.
            05  CODE      PIC X(5).
            05  AMOUNT    PIC S9(5)V99 COMP-3.
"""


@pytest.mark.parametrize(
    ("format_", "content"),
    [
        (
            "  json: {records: lines}\n",
            b'{"id": "1", "account": "12", "date": "2024-01-02", "code": "A", "amount": 12.50}\n{"id": \n'
            b'{"id": "2", "account": "34", "date": "2024-01-02", "code": "B", "amount": "3.00"}\n',
        ),
        (
            "  json: {records: array}\n",
            b'[{"id": "1", "account": "12", "date": "2024-01-02", "code": "A", "amount": 12.50}, nonsense,\n'
            b'{"id": "2", "account": "34", "date": "2024-01-02", "code": "B", "amount": "3.00"}]\n',
        ),
        (
            COPYBOOK,
            "001".encode("cp037") + b"\0\x0c" + "A    ".encode("cp037") + bytes.fromhex("0001250C")
            + bytes(5) + b"\xff" * 9
            + "002".encode("cp037") + b"\0\x22" + "B    ".encode("cp037") + bytes.fromhex("0000300C"),
        ),
    ],
    ids=["lines", "array", "copybook"],
)  # fmt: skip
@in_reactor
async def test_records_of_other_forms_are_delivered_too(tmp_path: Path, format_: str, content: bytes) -> None:
    mapping = MAPPING_OF_JSON
    if "fixed" in format_:
        mapping = mapping.replace("format: json", "format: fixed, columns: [id, account, code, amount]")
        mapping = mapping.replace("service_date: $.date", 'service_date: {const: "2024-01-02"}')
    async with charges(tmp_path, format_, mapping) as (made, folder):
        drop(folder, "a.txt", content)
        await until(lambda: left_in(folder) == ["done/a.txt"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 2, "quarantined": 1}
        sent = [orjson.loads(each.body) for each in made.encounters.attempts]
        assert sorted(each["amount"] for each in sent) == ["12.50", "3.00"]

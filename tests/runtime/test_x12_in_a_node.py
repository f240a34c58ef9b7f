"""Remittances in files of X12 become calls, one for each payment; what does not balance is held."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from file_hospital import drop, left_in
from nodes import Hospital, entries
from reactor_tests import in_reactor, until
from test_reload import command

from bridge.cli.demo import CHANNEL
from bridge.journal.batches import newest_batches
from bridge.runtime.file_commands import decide_about_files
from bridge.shipped import shipped

CHANNEL_FILE = """\
channel: {name}
source:
  file_drop: {{directory: {folder}, stable_for: 0s, poll: 100ms}}
format: {form}
{order}
batches: {{release: after_balance}}
routes:
  - route: remittance
    mapping: remittance-835
    record: remittance
    to: {{api: ehr.encounters, operation: putRemittance}}
"""
OPERATION = """\
operations:
  putRemittance:
    method: PUT
    path: /encounters/{key}
    send_only: [key, trace_number, payer, payment, method]
  putEncounter:
"""


@asynccontextmanager
async def remittances(
    folder: Path, form: str = "x12", *, order: str = "on_no_key: serial"
) -> AsyncIterator[tuple[Hospital, Path]]:
    """A hospital whose channel takes remittances from a folder."""
    incoming = folder / "incoming"
    incoming.mkdir()
    made = Hospital(folder)
    await made.open(lambda _text: CHANNEL_FILE.format(name=CHANNEL, folder=incoming, form=form, order=order))
    site = folder / "site"
    shutil.copy(shipped("mappings", "examples", "remittance-835.yaml"), site / "mappings")
    api = site / "channels" / "apis" / "ehr.encounters.yaml"
    text = api.read_text().replace("operations:\n  putEncounter:\n", OPERATION)
    api.write_text(text.replace("auth: none\n", "auth: none\ncarries: {phi: true, financial: true}\n"))
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


def remittance(number: int, *, pays: str = "140.50", segments: int = 9) -> bytes:
    return (
        f"ST*835*{number:04}~BPR*I*{pays}*C*ACH*CCP*01*9*DA*1*1512345678**01*9*DA*2*20240105~"
        f"TRN*1*777{number:02}*1512345678~DTM*405*20240104~N1*PR*ACME HEALTH*XV*842610001~"
        f"N1*PE*NORTH CLINIC*XX*1234567893~LX*1~CLP*PCN{number}*1*140.5*140.5**12*ICN1~"
        f"SE*{segments}*{number:04}~"
    ).encode()


def as_its_guide_says(number: int) -> bytes:
    """A remittance with all that 005010X221A1 wants."""
    more = b"N3*1 MAIN ST~N4*FENWICK*TX*78701~PER*BL*DESK*TE*5125550100~N1*PE*"
    sent = (
        remittance(number, segments=13).replace(b"N1*PE*", more).replace(b"*ICN1~", b"*ICN1*11~NM1*QC*1*DOE~")
    )
    sent = sent.replace(
        b"*CCP*01*9*DA*1*1512345678**01*9*DA*2*", b"*CCP*01*123456789*DA*12*1512345678**01*123456789*DA*34*"
    )
    return sent.replace(b"*XV*842610001", b"")


def file_of(*transactions: bytes) -> bytes:
    isa = b"ISA*00*          *00*          *ZZ*PAYER          *ZZ*PROV           *240105*0800*^*00501*"
    gs = b"000000001*0*P*:~GS*HP*PAYER*PROV*20240105*0800*1*X*005010X221A1~"
    return isa + gs + b"".join(transactions) + b"GE*%d*1~IEA*1*000000001~" % len(transactions)


@in_reactor
async def test_each_payment_of_a_file_is_delivered(tmp_path: Path) -> None:
    async with remittances(tmp_path) as (made, folder):
        drop(folder, "a.x12", file_of(remittance(1), remittance(2), remittance(3)))
        await until(lambda: left_in(folder) == ["done/a.x12"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 3}
        assert len(made.encounters.applied) == 3
        assert made.node is not None
        rows = await made.node.journal.read(newest_batches, limit=10)
        assert {(row.kind, row.balance) for row in rows} == {
            ("transaction", "balanced"), ("group", "balanced"), ("interchange", "balanced"),
        }  # fmt: skip
        assert {row.found.get("amount") for row in rows if row.kind == "transaction"} == {"140.5"}


@in_reactor
async def test_a_payment_wrong_by_a_cent_or_a_segment_holds_the_file_until_a_person_decides(
    tmp_path: Path,
) -> None:
    async with remittances(tmp_path) as (made, folder):
        drop(folder, "a.x12", file_of(remittance(1), remittance(2, pays="140.51")))
        drop(folder, "b.x12", file_of(remittance(3, segments=8)))
        await until(lambda: left_in(folder) == ["done/a.x12", "done/b.x12"], "they are put away")
        assert (await made.settled()).received == {}
        said = await command(made, "batches", "--wrong", status=1)
        assert "140.51 amount declared and 140.5 found, BPR02 at byte" in said
        assert "8 segments declared and 9 found, SE01 at byte" in said
        assert made.node is not None
        await decide_about_files(made.node.parts, [1], "user:ada", "the payer confirms it", discard=False)
        await made.settled()
        assert len(made.encounters.applied) == 1, "the mapping takes no payment that does not balance"


@in_reactor
async def test_with_the_order_that_is_shipped_a_payment_in_quarantine_keeps_no_other_waiting(
    tmp_path: Path,
) -> None:
    shipped_file = shipped("channels", "examples", "remittances.yaml").read_text("utf-8")
    (order,) = [line for line in shipped_file.splitlines() if line.startswith("order_by:")]
    async with remittances(tmp_path, order=order) as (made, folder):
        wrong = remittance(1).replace(b"CLP*PCN1*1*140.5*140.5*", b"CLP*PCN1*1*150.5*140.5*")
        drop(folder, "a.835", file_of(wrong))
        await until(lambda: left_in(folder) == ["done/a.835"], "it is put away")
        drop(folder, "b.835", file_of(remittance(2)))
        await until(lambda: left_in(folder) == ["done/a.835", "done/b.835"], "both are put away")
        assert entries(await made.settled()) == {"delivered": 1, "quarantined": 1}
        assert made.node is not None
        said = await command(made, "show", "1")
        assert "claims(1)" in said
        assert "CLP-03, CLP-04" in said


@in_reactor
async def test_the_answer_to_a_file_says_what_of_it_was_taken(tmp_path: Path) -> None:
    guide = "{x12: {guide: {by: pyx12}}}"
    async with remittances(tmp_path, guide) as (made, folder):
        wrong = as_its_guide_says(2).replace(b"CLP*PCN2*1*", b"CLP*PCN2*77*")
        drop(folder, "a.835", file_of(as_its_guide_says(1), wrong))
        await until(lambda: left_in(folder) == ["done/a.835"], "it is put away")
        assert entries(await made.settled()) == {"delivered": 1, "quarantined": 1}
        target = tmp_path / "answer.999"
        await command(made, "files", "answer", "1", "--to", str(target), status=1)
        said = target.read_bytes().decode()
        assert "~AK2*835*0001~IK5*A~AK2*835*0002~IK3*CLP*11**8~IK4*2**7~IK5*R*5~AK9*P*2*2*1~" in said
        assert made.node is not None
        assert target.read_bytes().startswith(b"ISA*")
        await command(made, "files", "answer", "2", status=1)

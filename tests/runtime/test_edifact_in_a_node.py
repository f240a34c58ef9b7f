"""Invoices in files of EDIFACT become calls, one for each; a file that does not balance is held."""

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
from bridge.cli.generated_edifact import interchange
from bridge.cli.generated_entry import FIRST_DAY
from bridge.journal.batches import newest_batches
from bridge.runtime.file_commands import decide_about_files
from bridge.shipped import shipped

CHANNEL_FILE = """\
channel: {name}
source:
  file_drop: {{directory: {folder}, stable_for: 0s, poll: 100ms, answers: told, rejects: back}}
format: {{edifact: {{strict: true}}}}
processing_ids: [T]
order_by: NAD(1=SU)-02.1
batches: {{release: after_balance}}
routes:
  - route: invoice
    mapping: invoices-edifact
    record: invoice
    to: {{api: ehr.encounters, operation: putInvoice}}
"""
OPERATION = """\
operations:
  putInvoice:
    method: PUT
    path: /encounters/{key}
    send_only: [key, number, supplier, total]
  putEncounter:
"""


@asynccontextmanager
async def invoices(folder: Path) -> AsyncIterator[tuple[Hospital, Path]]:
    """A hospital whose channel takes invoices from a folder."""
    incoming = folder / "incoming"
    incoming.mkdir()
    made = Hospital(folder)
    await made.open(lambda _text: CHANNEL_FILE.format(name=CHANNEL, folder=incoming))
    site = folder / "site"
    shutil.copy(shipped("mappings", "feeds", "invoices-edifact.yaml"), site / "mappings")
    api = site / "channels" / "apis" / "ehr.encounters.yaml"
    text = api.read_text().replace("operations:\n  putEncounter:\n", OPERATION)
    api.write_text(text.replace("auth: none\n", "auth: none\ncarries: {phi: true, financial: true}\n"))
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


@in_reactor
async def test_invoices_are_delivered_and_a_file_that_is_wrong_by_a_cent_waits_for_a_person(
    tmp_path: Path,
) -> None:
    good = "".join(interchange("invoic", 3, 3, FIRST_DAY)).encode()
    begins = good.index(b"MOA+79:") + 7
    cents = good[begins : good.index(b"'", begins)]
    more = f"{float(cents) + 0.01:.2f}"
    wrong = good.replace(b"+3++++++1'", b"+4++++++1'").replace(b"UNZ+3+3'", b"UNZ+3+4'")
    wrong = wrong.replace(b"INV-", b"I-").replace(b"MOA+79:%b'" % cents, f"MOA+79:{more}'".encode(), 1)
    wrong = wrong.replace(b"PIA+1+", b"PIA+1+\x07", 1)
    async with invoices(tmp_path) as (made, folder):
        drop(folder, "a.edi", good)
        told = ["done/a.edi", "told/a.edi.1.contrl"]
        await until(lambda: left_in(folder) == told, "it is put away, and its sender told")
        assert b"'UCM+3+INVOIC:D:96A:UN:EAN008+7'UNT+6+1'" in (folder / told[1]).read_bytes()
        assert entries(await made.settled()) == {"delivered": 3}
        drop(folder, "b.edi", wrong)
        await until((folder / "done" / "b.edi").exists, "it is put away")
        said = await command(made, "batches", "--wrong", status=1)
        assert f"{more} amount declared and {cents.decode()} found, MOA-01.2 at byte" in said
        assert made.node is not None
        rows = await made.node.journal.read(newest_batches, limit=10)
        assert [row.found.get("messages") for row in rows if row.kind == "interchange"] == ["3", "3"]
        await decide_about_files(made.node.parts, [2], "user:ada", "the supplier confirms it", discard=False)
        await until(lambda: len(made.encounters.applied) == 5, "two of it are delivered")
        assert entries(await made.settled()) == {"delivered": 5, "quarantined": 1}
        await until((folder / "told" / "b.edi.2.contrl").exists, "its sender is told")
        assert b"+4+18'UCM+2+" in (folder / "told" / "b.edi.2.contrl").read_bytes()
        [back] = [path for path in (folder / "back").iterdir() if path.suffix == ".edi"]
        assert back.read_bytes().count(b"UNH+") == 1

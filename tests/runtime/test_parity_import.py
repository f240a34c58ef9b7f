"""Output that was recorded is compared as if it had passed a tap, and mapped to the records of its route."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from nodes import Hospital
from reactor_tests import in_reactor, pause
from test_reload import command

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_mllp import FakeReceiver
from bridge.cli.synthetic import admission
from bridge.destinations.in_loop import in_loop
from bridge.journal.parity import clusters_of
from bridge.migration.mirth.messages import kept_messages
from bridge.migration.mirth.xml_tree import ExportRefused
from bridge.runtime.commands import Commands


@asynccontextmanager
async def imported_to(folder: Path) -> AsyncIterator[tuple[Hospital, Any]]:
    """A node whose route `patient` is compared with imported messages, and a way to ask it."""
    engine, site = FakeReceiver(), Hospital(folder)
    address = await in_loop(engine.start())

    def change(text: str) -> str:
        legacy = (
            f'legacy: {{mllp: "{address}", taps: [{{route: patient, recorded: {{}}, mapping: adt-admit}}]}}\n'
        )
        text = text.replace('{listen: "', '{acknowledge: relayed, listen: "')
        return text.replace("routes:", legacy + "routes:", 1)

    await site.open(change)
    node = await site.start()
    commands = Commands(node.parts, node.traffic, node.reload, node.stages)

    async def ask(command: str, **arguments: Any) -> Any:
        target = {"target": f"{CHANNEL}/patient", "reason": "test"}
        return await commands("user:anna", command, {**target, **arguments})

    try:
        yield site, ask
    finally:
        await site.close()
        await in_loop(engine.stop())


def written(*bodies: bytes) -> list[str]:
    return [base64.b64encode(each).decode() for each in bodies]


@in_reactor
async def test_recorded_messages_are_compared_as_the_records_that_they_make(tmp_path: Path) -> None:
    async with imported_to(tmp_path) as (site, ask):
        sent = [admission(patient, 1, "A08", control_id=f"R{patient}") for patient in range(4)]
        early = await ask("parity-import", outputs=written(sent[0].body))
        assert "compared in shadow" in early["error"]
        assert (await ask("stage", stage="shadow")).get("done")
        await site.send(*sent)
        other = re.sub(rb"(\rPID\|(?:[^|]*\|){4})", rb"\1X", sent[3].body)  # before the family name
        assert other != sent[3].body, "the planted difference is one"
        outputs = written(*(each.body for each in sent[:3]), other)
        assert (await ask("parity-import", outputs=outputs))["done"] == {"taken": 4}
        assert (await ask("parity-import", outputs=outputs))["done"] == {"known": 4}, "once more is known"
        row = await compared(ask, 4)
        assert (row["same"], row["different"]) == (3, 1)
        assert site.node is not None
        found = await site.node.journal.read(clusters_of, CHANNEL)
        assert [(each.kind, each.path, each.number) for each in found] == [("value", "family", 1)]
        assert not site.patients.applied, "nothing is sent by an import"
        shown = await command(site, "parity", "show", CHANNEL, "--format", "json", status=1)
        (told,) = json.loads(shown)
        assert [each["path"] for each in told["clusters"]] == ["family"]


async def compared(ask: Any, number: int) -> dict[str, Any]:
    row: dict[str, Any] = {}
    for _ in range(100):
        row = next(row for row in (await ask("stage-board"))["routes"] if row["route"] == "patient")
        if row["compared"] >= number:
            return row
        await pause(0.1)
    raise AssertionError(row)


@in_reactor
async def test_what_keeps_nothing_back_lets_no_canary_begin(tmp_path: Path) -> None:
    async with imported_to(tmp_path) as (_, ask):
        assert (await ask("stage", stage="shadow")).get("done")
        refused = await ask("stage", stage="canary", share=500)
        assert "suppression: no tap" in refused["error"]


@in_reactor
async def test_what_cannot_be_imported_is_said(tmp_path: Path) -> None:
    async with imported_to(tmp_path) as (_, ask):
        assert (await ask("stage", stage="shadow")).get("done")
        assert (await ask("parity-import", outputs=written(b"no message")))["done"] == {"unreadable": 1}
        assert "base64" in (await ask("parity-import", outputs=["?"]))["error"]
        assert "at most 500" in (await ask("parity-import", outputs=["aa"] * 501))["error"]
        assert "CHANNEL/ROUTE" in (await ask("parity-import", target=CHANNEL, outputs=[]))["error"]
        assert "no tap" in (await ask("parity-import", target=f"{CHANNEL}/encounter", outputs=[]))["error"]


CONNECTOR = """<entry><int>{number}</int><connectorMessage version="4.5.0"><metaDataId>{number}</metaDataId>
<connectorName>{name}</connectorName><status>{status}</status>
<raw><encrypted>false</encrypted><content>{raw}</content></raw>{encoded}</connectorMessage></entry>"""
ENCODED = "<encoded><encrypted>{encrypted}</encrypted><content>{content}</content></encoded>"


def exported(*connectors: str) -> bytes:
    inside = "".join(connectors)
    return (
        f"<list><message><messageId>1</messageId><connectorMessages>{inside}</connectorMessages></message></list>"
    ).encode()


def connector(number: int, name: str, *, status: str = "SENT", raw: str = "", encoded: str = "") -> str:
    return CONNECTOR.format(number=number, name=name, status=status, raw=raw, encoded=encoded)


def test_an_export_of_messages_gives_what_each_destination_has_sent() -> None:
    export = exported(
        connector(0, "Source", raw="MSH|in"),
        connector(
            1, "Ward", raw="MSH|raw", encoded=ENCODED.format(encrypted="false", content="MSH|a&#xd;PID")
        ),
        connector(2, "Lab", raw="MSH|as it came"),
        connector(3, "Bill", status="FILTERED", raw="MSH|b"),
        connector(4, "Safe", encoded=ENCODED.format(encrypted="true", content="zzz")),
        connector(5, "Empty"),
    )
    found = kept_messages(export)
    assert found.sent == ["MSH|a\rPID", "MSH|as it came"]
    assert found.left_out == {"not sent": 1, "encrypted": 1, "no content": 1}
    assert kept_messages(export, "Lab").sent == ["MSH|as it came"]


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"<channel/>", "expected is an export of messages"),
        (b"<list><message>", "no well-formed XML"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><list/>', "document type"),
        (b"", "empty"),
    ],
)
def test_what_is_no_export_of_messages_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(ExportRefused, match=words):
        kept_messages(data)

"""What a message holds is in the journal's bodies, requests and answers, and nowhere else.

Every field of every message here holds words that are looked for afterwards: in the logs, the metrics, what
the commands print, and every other column of the journal.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from captured_logs import captured_logs
from command_line import bridge
from nodes import Hospital, entries
from odd_sender import Connection as Sender
from planted import (
    BIRTH,
    IDENTIFYING,
    OWN_COLUMNS,
    PHONE,
    SECRETS,
    SENDERS_COLUMNS,
    WORD,
    Seen,
    columns,
    mapped,
    message,
    other,
)
from reactor_tests import in_reactor, pause

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Attempt, FakeApi, Fault
from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import frame
from bridge.journal.database import Database
from bridge.journal.ledger import Ledger, ledger
from bridge.runtime.release import release
from bridge.runtime.service import Node

SENT: dict[str, bytes] = {
    "good": mapped("C1"),
    "odd values": mapped("C2", **other(20), PID_7=WORD, PID_8=WORD, PV1_2=WORD, PV1_44=WORD, PID_30=WORD),
    "unknown escapes": mapped("C3", **other(30), PID_5=f"{WORD}\\Q{WORD}\\\\.zz"),
    "invalid UTF-8": mapped("C4", **other(40)).replace(WORD.encode() + b"^", WORD.encode() + b"\xff^", 3),
    "no key": message("C5"),
    "no visit": mapped("C6", **other(60), PV1_19=""),
    "two patients": mapped("C7", **other(70)) + mapped("C7", **other(71)).split(b"\r", 1)[1],
    "another version": mapped("C8", **other(80), MSH_12=WORD),
    "another zone": mapped("C9", **other(90), MSH_7=WORD, PV1_44=f"20240102030405+{WORD}"),
    "a fault of ours": mapped("FAULT", **other(100)),
    "journal cannot take it": mapped("BOOM", **other(110)),
    "type refused": message("C11", message_type="ADT^A60^ADT_A60"),
    "processing ID refused": message("C12", MSH_11=WORD),
    "no segments": f"MSH|^~\\&|{WORD}|{WORD}|||||ADT^A01|C13|P|2.5.1\r{WORD}\r{WORD}|{WORD}\r".encode(),
    "not HL7": f"{WORD} {BIRTH} {PHONE}".encode(),
    "batch": f"FHS|^~\\&|{WORD}\r".encode() + message("C14"),
    "separators gone wrong": message("C15").replace(b"MSH|^~\\&", b"MSHK"),
    "too large": mapped("C16", **other(160)) + b"NTE|1||" + WORD.encode() * 300_000 + b"\r",
    "type of its own": message(f"{IDENTIFYING}1", message_type=f"{IDENTIFYING}^{IDENTIFYING}"),
    "control ID of its own": mapped(f"{IDENTIFYING}2", **other(190)),
    "rejected": mapped("C20", **other(200)),
    "again": mapped("C1"),
}
UNFINISHED = mapped("C21")[:500]


class EchoingApi(FakeApi):
    """Breaks as it is told to, and then rejects every call with all that came in it."""

    async def _respond(self, attempt: Attempt) -> web.Response | None:
        if self._faults:
            return await super()._respond(attempt)
        echo = attempt.body.decode()
        document = {"type": echo, "title": echo, "detail": f"{attempt.path} {echo}", "status": 422}
        return web.json_response(
            document,
            status=422,
            reason=WORD,
            headers={"X-Echo": WORD, "Set-Cookie": f"a={WORD}"},
            content_type="application/problem+json",
        )


async def _get(port: int, page: str) -> str:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}/{page}") as response,
    ):
        return str(dict(response.headers)) + await response.text()


async def _send(port: int) -> list[str]:
    """Send everything over one connection; the code of each answer."""
    sender = await Sender.to(port)
    codes = []
    for body in SENT.values():
        await sender.write(frame(body))
        (answer,) = await sender.answers(1)
        codes.append(re.split(rb"\rMSA.", answer)[1][:2].decode())
    await sender.write(frame(UNFINISHED)[:-2] + frame(SENT["good"]))
    await sender.answers(1)
    await sender.write(frame(UNFINISHED)[:-2])
    await sender.close()
    return codes


async def _all_but_the_held_one(node: Node) -> Ledger:
    """The ledger once nothing is open but the delivery that was redirected, which waits for a minute."""
    while (counts := await node.journal.read(ledger)).channels[CHANNEL]["open"] > 1:
        await pause(0.05)
    return counts


def _small_blocks(site: Path) -> None:
    channel = site / "channels" / f"{CHANNEL}.yaml"
    changed = channel.read_text().replace('interface=127.0.0.1"', 'interface=127.0.0.1", max_block: 1MiB')
    channel.write_text(changed.replace("otherwise: reject", "otherwise: reject\nprocessing_ids: [P]"))


@in_reactor
async def test_what_a_message_holds_is_nowhere_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails_once(route: Any, read: Any, *rest: Any) -> Any:
        if read.control_id == "FAULT":
            raise ValueError(f"{WORD} {read.value('PID', 5)}")
        return release(route, read, *rest)

    monkeypatch.setattr("bridge.runtime.making.release", fails_once)
    seen = Seen()
    site = Hospital(tmp_path)
    site.patients = EchoingApi()
    site.patients.plant(
        Fault("cut"),
        Fault("status", 503, WORD, retry_after=WORD),
        Fault("lose"),
        Fault("redirect", location=WORD),
    )
    journal = f"sqlite:///{tmp_path / 'journal.db'}"
    with captured_logs() as logs:
        await site.open()
        _small_blocks(tmp_path / "site")
        node = await site.start()
        try:
            with node.journal.database.writer.begin() as connection:
                connection.exec_driver_sql(
                    "CREATE TRIGGER planted BEFORE INSERT ON messages WHEN NEW.control_id = 'BOOM' "
                    "BEGIN SELECT RAISE(ABORT, 'planted'); END"
                )
            codes = dict(zip(SENT, await in_loop(_send(node.addresses()[CHANNEL])), strict=True))
            counts = await _all_but_the_held_one(node)
            admin = node.addresses()["admin"]
            for page in ("metrics", "readyz", "healthz"):
                seen.texts[page] = await in_loop(_get(admin, page))
        finally:
            await site.close()
        seen.texts["logs"] = logs.getvalue()
    assert_all_happened(codes, entries(counts), seen.texts["logs"])

    for status, *command in (
        (0, "messages"),
        (0, "messages", "--key", f"{WORD}1"),
        (0, "status"),
        (1, "status", "--check"),
        (0, "trace", f"{WORD}1"),
        (1, "why", f"{WORD}200"),
        (0, "quarantine", "list", "--held"),
        (0, "quarantine", "show", "m5"),
        (0, "journal", "verify"),
        *((0, "show", n) for n in range(1, counts.received[CHANNEL] + 1)),
    ):
        for output in ("table", "json"):
            ended = bridge(*command, "--journal", journal, "--format", output)
            assert ended.status == status, ended.said
            seen.texts[f"bridge {' '.join(map(str, command))} ({output})"] = ended.said
    database = Database(journal)
    try:
        with database.reader.begin() as connection:
            assert ledger(connection).balanced
            held = dict(columns(connection))
    finally:
        database.close()
    seen.texts |= {
        f"column {table}.{name}": said for (table, name), said in held.items() if name not in OWN_COLUMNS
    }

    assert seen.hits(SECRETS) == []
    shown = [where for where in seen.texts if where.startswith("bridge ")]
    theirs = [f"column {table}.{name}" for table, name in SENDERS_COLUMNS]
    assert seen.hits([IDENTIFYING], but=(*shown, *theirs)) == []
    # And this search finds what is there.
    content = Seen({})
    for (_, name), said in held.items():
        if name in OWN_COLUMNS:
            content.texts[name] = content.texts.get(name, "") + said
    assert set(content.texts) == OWN_COLUMNS
    assert {f"{name}: {WORD}" for name in OWN_COLUMNS} <= set(content.hits(SECRETS))
    assert {f"body: {BIRTH}", f"body: {PHONE}", "request: 1947-01-31"} <= set(content.hits(SECRETS))
    assert seen.hits([IDENTIFYING]) != []


def assert_all_happened(codes: dict[str, str], became: dict[str, int], logs: str) -> None:
    """Each kind of trouble was really met."""
    refused = {
        "type refused", "processing ID refused", "not HL7", "batch", "separators gone wrong", "too large",
        "type of its own", "another version",
    }  # fmt: skip
    assert {name for name, code in codes.items() if code == "AR"} == refused
    assert {name for name, code in codes.items() if code == "AE"} == {"journal cannot take it"}
    assert became["quarantined"] >= 5
    assert became["refused"] == len(refused) + 1, "with the one that never ended"
    assert became["duplicate"] == 2
    for event in (
        "translation-fault", "not-journaled", "quarantined", "refused", "not-delivered", "connection-lost",
        "mapping-failed", "no-key", "started", "stopped",
    ):  # fmt: skip
        assert event in logs, event

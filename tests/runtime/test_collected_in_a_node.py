"""Records of a route collected into one file by a node: closed by count or time, right totals, each once."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import re
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import paramiko
import pytest
from lane_messages import message
from nodes import BREAKER, Hospital, entries
from reactor_tests import in_reactor, pause, until
from test_files_reloaded import worries
from test_reload import command
from twisted.internet.defer import Deferred

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.cli.synthetic import Synthetic
from bridge.destinations.file_out import FileOut
from bridge.errors import JournalUnavailable
from bridge.journal import collections
from bridge.journal.collections import Joined, newest_collections, waiting_for_files
from bridge.journal.disclosures import Asked, disclosed
from bridge.journal.history import check
from bridge.journal.ledger import ledger
from bridge.journal.quarantine import quarantined
from bridge.journal.quarantine_tally import Which
from bridge.runtime import collecting as runtime_collecting
from bridge.runtime.collecting import Collecting

API = """\
api: payer.files
PLACE, name: "claims-{number}.csv", collect: {RULE, as: FORM}}
SEND
repeat_safety: natural_key
breaker: BREAKER
"""
RECORDS = "operations:\n  writePatient: {send_only: [key, family]}"
ORIGINALS = "send: original\ncarries: {phi: true}"
CSV = "{csv: {columns: [key, family], trailer: [TRL, '{count}']}}"
BATCH = "{hl7v2_batch: {}}"
OF_RECORDS = (
    "  - route: files\n    mapping: adt-admit\n    record: patient\n"
    "    to: {api: payer.files, operation: writePatient}\n"
)
OF_MESSAGES = "  - route: files\n    to: {api: payer.files}\n"


@asynccontextmanager
async def collecting(
    folder: Path,
    rule: str = "or_count: 3",
    *,
    form: str = CSV,
    start: bool = True,
    server: FakeSftp | None = None,
    within: str = "30s",
    more: str = "",
) -> AsyncIterator[Hospital]:
    """A hospital whose one route goes into files, here or on a server."""
    out = folder / "out"
    out.mkdir(exist_ok=True)
    records, place = form != BATCH, f"file: {{directory: {out}"
    if server is not None:
        login = f"port: {server.port}, user: {USER}, password: secret://env/SFTP"
        known = f'host_keys: ["{server.fingerprint}"], directory: /, within: {within}'
        place = f"sftp: {{host: 127.0.0.1, {login}, {known}"

    def change(text: str) -> str:
        api = (
            API.replace("PLACE", place)
            .replace("RULE", rule)
            .replace("BREAKER", BREAKER)
            .replace("FORM", form)
        )
        api = api.replace("SEND", RECORDS if records else ORIGINALS)
        (folder / "site" / "channels" / "apis" / "payer.files.yaml").write_text(api + more)
        return text.partition("routes:\n")[0] + "routes:\n" + (OF_RECORDS if records else OF_MESSAGES)

    made = Hospital(folder)
    made.secrets = lambda _reference: PASSWORD
    try:
        await made.open(change)
        if start:
            await made.start()
        yield made
    finally:
        await made.close()


def files(folder: Path) -> dict[str, list[list[str]]]:
    """What lies in the folder, by name, as rows."""
    out = folder / "out"
    return {
        name: list(csv.reader((out / name).read_text().splitlines()))
        for name in sorted(os.listdir(out))
        if not name.startswith(".")
    }


def some(count: int, *, first: int = 1) -> list[Synthetic]:
    """Messages about two patients, in turn."""
    return [message(number % 2, number) for number in range(first, first + count)]


def collecting_of(made: Hospital) -> Collecting:
    assert made.node is not None
    return made.node.parts.outlets["payer.files"].waits.collecting


async def counts(made: Hospital) -> dict[str, int]:
    assert made.node is not None
    return entries(await made.node.journal.read(ledger))


async def ended(made: Hospital, expected: dict[str, int]) -> None:
    """Wait until the ledger says so; a test that waits in vain is ended."""
    while await counts(made) != expected:
        await pause(0.02)


async def waiting(made: Hospital, count: int) -> None:
    await until(lambda: collecting_of(made).status()["waiting"] == count, f"{count} wait for a file")


@pytest.mark.both_databases
@in_reactor
async def test_a_file_is_closed_by_its_count_and_its_deliveries_end_with_it(tmp_path: Path) -> None:
    async with collecting(tmp_path) as made:
        await made.send(*some(7))
        await until(lambda: sorted(files(tmp_path)) == ["claims-1.csv", "claims-2.csv"], "two files")
        await waiting(made, 1)
        assert [rows[-1] for rows in files(tmp_path).values()] == [["TRL", "3"], ["TRL", "3"]]
        await ended(made, {"delivered": 6, "open": 1})
        assert made.node is not None
        newest = await made.node.journal.read(newest_collections, None, 10)
        assert [(each.number, each.count, each.why) for each in newest] == [(2, 3, "count"), (1, 3, "count")]
        assert newest[0].totals == '{"count":"3"}'
        content = (tmp_path / "out" / newest[0].name).read_bytes()
        assert newest[0].sha256 == hashlib.sha256(content).digest()
        waits = await made.node.journal.read(waiting_for_files)
        assert {api: each.count for api, each in waits.items()} == {"payer.files": 1}


@in_reactor
async def test_a_file_that_was_collected_goes_to_a_server_whole_and_once_though_its_connection_breaks(
    tmp_path: Path,
) -> None:
    (tmp_path / "server").mkdir()
    server = FakeSftp(tmp_path / "server")
    try:
        async with collecting(tmp_path, server=server) as made:
            await made.send(*some(3))
            await ended(made, {"delivered": 3})
            server.cut_all()
            await made.send(*some(4, first=4))
            await ended(made, {"delivered": 6, "open": 1})
            names = sorted(path.name for path in server.root.iterdir())
            assert names == ["claims-1.csv", "claims-2.csv"]
            for name in names:
                rows = list(csv.reader((server.root / name).read_text().splitlines()))
                assert (len(rows), rows[-1]) == (5, ["TRL", "3"])
            assert made.node is not None
            newest = await made.node.journal.read(newest_collections, None, 10)
            content = (server.root / "claims-2.csv").read_bytes()
            assert newest[0].sha256 == hashlib.sha256(content).digest()
    finally:
        server.close()


@in_reactor
async def test_a_file_that_a_server_takes_slowly_is_written_once_though_it_is_taken_away_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_collecting, "AGAIN_AFTER_S", 0.05)
    goes_on, written, taken = threading.Event(), list[str](), list[str]()

    def take() -> None:
        for path in server.root.glob("claims-*"):
            taken.append(path.name)
            path.unlink()

    def hold(step: str, name: str) -> None:
        if step == "write":
            written.append(name)
            goes_on.wait(60)

    (tmp_path / "server").mkdir()
    server = FakeSftp(tmp_path / "server")
    server.faults.holds = hold
    try:
        async with collecting(tmp_path, server=server, within="100ms") as made:
            await made.send(*some(3))
            await until(lambda: collecting_of(made).status()["trouble"] == "write-timeout", "it stands still")
            await until(lambda: len(written) == 1, "it is begun")
            await pause(1.0)
            goes_on.set()
            while await counts(made) != {"delivered": 3}:
                take()
                await pause(0.01)
            take()
            assert (len(taken), len(written)) == (1, 1)
            await until(lambda: not collecting_of(made).status()["trouble"], "it is written")
    finally:
        goes_on.set()
        server.close()


@in_reactor
async def test_a_file_that_cannot_be_written_is_told_wherever_somebody_looks_until_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runtime_collecting, "AGAIN_AFTER_S", 0.05)
    (tmp_path / "server").mkdir()
    server = FakeSftp(tmp_path / "server")
    right = server.key
    try:
        async with collecting(tmp_path, server=server) as made:
            assert made.node is not None
            metrics = made.node.parts.metrics
            assert await worries(made) == []
            server.key = paramiko.ECDSAKey.generate()
            await made.send(*some(3))
            await until(lambda: collecting_of(made).status()["trouble"] == "host-key", "it is not written")
            [worry] = await worries(made)
            assert worry.startswith("1 file of payer.files closed since ")
            assert "not written: host-key. " in worry
            assert "ask its owner" in worry
            assert 'bridge_files_unwritten{api="payer.files"} 1.0' in metrics.exposition().decode()
            since = r'bridge_files_unwritten_since_timestamp_seconds\{api="payer.files"\} 1\.\d+e\+09'
            assert re.search(since, metrics.exposition().decode())
            shown = await command(made, "status")
            assert "files of many deliveries" in shown
            assert "host-key" in shown
            said = await command(made, "why", "100001", status=1)
            assert "cannot be written (host-key)" in said
            assert "stopped operation" not in said
            server.key = right
            await ended(made, {"delivered": 3})
            await until(lambda: not collecting_of(made).status()["trouble"], "it is written")
            assert await worries(made) == []
            assert 'bridge_files_unwritten{api="payer.files"} 0.0' in metrics.exposition().decode()
    finally:
        server.close()


@in_reactor
async def test_a_person_sees_what_was_sent_and_what_waits(tmp_path: Path) -> None:
    async with collecting(tmp_path) as made:
        await made.send(*some(4))
        await ended(made, {"delivered": 3, "open": 1})
        said = await command(made, "batches", "--sent")
        assert "claims-1.csv" in said
        assert "payer.files: 1 wait for its next file" in said
        [file] = json.loads(await command(made, "batches", "--sent", "--format", "json"))["files"]
        assert (file["count"], file["totals"], file["by"]) == (3, {"count": "3"}, "count")
        assert "no file was collected" in await command(made, "batches", "--sent", "--api", "ehr.patients")


@pytest.mark.both_databases
@in_reactor
async def test_what_waits_for_a_file_waits_over_a_restart_and_keeps_no_key_waiting(tmp_path: Path) -> None:
    async with collecting(tmp_path) as made:
        await made.send(message(1, 1), message(1, 2))
        await waiting(made, 2)
        await made.stop()
        await made.start()
        await waiting(made, 2)
        await made.send(message(1, 3))
        await made.settled()
        assert await counts(made) == {"delivered": 3}
        [rows] = files(tmp_path).values()
        assert len(rows) == 5
        assert (await history(made)) == []


@in_reactor
async def test_messages_become_a_batch_with_its_count(tmp_path: Path) -> None:
    async with collecting(tmp_path, form=BATCH) as made:
        sent = some(3)
        await made.send(*sent)
        await made.settled()
        content = (tmp_path / "out" / "claims-1.csv").read_bytes()
        assert all(each.body in content for each in sent)
        assert content.endswith(b"BTS|3\rFTS|1\r")


@in_reactor
async def test_a_file_is_closed_at_its_time_with_what_waits_then(tmp_path: Path) -> None:
    soon = datetime.now(UTC) + timedelta(hours=12)
    async with collecting(tmp_path, f'at: "{soon:%H:%M}"') as made:
        await made.send(*some(2))
        await waiting(made, 2)
        collecting_of(made).look_again()
        assert files(tmp_path) == {}
        assert made.node is not None
        world = made.node.parts.world
        later = replace(world, now_us=lambda: world.now_us() + 13 * 3600 * 10**6)
        collecting_of(made)._world = later
        collecting_of(made).look_again()
        await made.settled()
        assert await counts(made) == {"delivered": 2}
        assert [rows[-1] for rows in files(tmp_path).values()] == [["TRL", "2"]]


@in_reactor
async def test_a_pause_of_the_api_or_a_channel_keeps_a_file_open(tmp_path: Path) -> None:
    async with collecting(tmp_path) as made:
        await made.send(*some(2))
        await waiting(made, 2)
        assert made.node is not None
        outlet = made.node.parts.outlets["payer.files"]
        outlet.pause(f"channel {CHANNEL}")
        collecting_of(made).joined(Joined("payer.files", CHANNEL, 1))
        assert files(tmp_path) == {}
        outlet.resume(f"channel {CHANNEL}")
        await made.send(message(0, 9))
        await made.settled()
        assert [rows[-1] for rows in files(tmp_path).values()] == [["TRL", "3"]]


@in_reactor
async def test_a_record_that_cannot_stand_in_a_file_needs_a_person_and_the_others_go_on(
    tmp_path: Path,
) -> None:
    form = "{fixed: {detail: [{field: key, width: 20}, {field: family, width: 12}]}}"
    async with collecting(tmp_path, "or_count: 2", form=form) as made:
        long = message(3, 1, changed={"^": b"^"})
        name = long.body.partition(b"\rPID")[2].split(b"|")[5].partition(b"^")[0]
        body = long.body.replace(name, b"A-FAMILY-WITH-A-LONG-NAME")
        await made.send(
            *some(1), Synthetic(long.patient, long.step, long.control_id, body), *some(1, first=2)
        )
        await until(lambda: len(files(tmp_path)) == 1, "the file is there")
        await made.settled()
        assert await counts(made) == {"delivered": 2, "quarantined": 1}


@in_reactor
async def test_a_folder_that_is_not_there_keeps_the_file_and_says_so(tmp_path: Path) -> None:
    async with collecting(tmp_path) as made:
        (tmp_path / "out").rmdir()
        await made.send(*some(3))
        await until(lambda: collecting_of(made).status()["trouble"] == "folder-missing", "it is told")
        assert await counts(made) == {"open": 3}
        (tmp_path / "out").mkdir()
        collecting_of(made)._again_at_us = 0
        collecting_of(made).look_again()
        await made.settled()
        assert await counts(made) == {"delivered": 3}


STEPS = {
    "close": ("close-collection", False, 1),
    "closed": ("close-collection", True, 1),
    "put": ("put", False, 1),
    "written": ("put", True, 1),
    "end": ("end-collected", False, 1),
    "ended": ("end-collected", True, 1),
    "end the second": ("end-collected", False, 2),
    "ended the second": ("end-collected", True, 2),
}
"""Each step by its name, whether it breaks after it was done, and which of several of the name."""


@in_reactor
async def test_wherever_it_breaks_off_a_file_is_there_once_and_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step fails before or after it was done; then all that is known is what the journal holds."""
    monkeypatch.setattr(collections, "ENDED_AT_ONCE", 2)
    async with collecting(tmp_path, "or_count: 4") as made:
        assert made.node is not None
        journal, destination = made.node.journal, made.node.parts.outlets["payer.files"].destination
        assert isinstance(destination, FileOut)
        fail = Failing()
        monkeypatch.setattr(type(journal), "submit", fail.around(journal.submit))
        monkeypatch.setattr(destination, "put", fail.around(destination.put, "put"))
        for number, (name, step) in enumerate(STEPS.items()):
            fail.step, fail.left = step, step[2]
            await made.send(*some(4, first=1 + 4 * number))
            await until(lambda: fail.step is None, f"{name} breaks off")
            broken = collecting_of(made)
            await until(lambda: not broken._busy, "it has stopped")  # noqa: B023
            await broken.start()
            broken._again_at_us = 0
            broken.look_again()
            await ended(made, {"delivered": 4 * (number + 1)})
        found = files(tmp_path)
        assert len(found) == len(STEPS)
        assert all((len(rows), rows[-1]) == (6, ["TRL", "4"]) for rows in found.values())
        assert (await history(made)) == []


class Failing:
    """Breaks one step, before it is done or after."""

    def __init__(self) -> None:
        self.step: tuple[str, bool, int] | None = None
        self.left = 0

    def around(self, call: Any, name: str = "") -> Any:
        def perhaps(*arguments: Any, **named: Any) -> Any:
            arguments = arguments if name else arguments[-2:]
            its = name or arguments[0].name
            if self.step is None or its != self.step[0]:
                return call(*arguments, **named)
            self.left -= 1
            if self.left:
                return call(*arguments, **named)
            after, self.step = self.step[1], None

            async def broken() -> None:
                if after:
                    await call(*arguments, **named)
                raise JournalUnavailable("it breaks off here")

            return Deferred.fromCoroutine(broken())

        return perhaps


async def history(made: Hospital) -> list[str]:
    """What of the rules of order was broken."""
    assert made.node is not None
    found = await made.node.journal.read(check)
    return [f"{each.invariant} {each.where} {each.what}" for each in found.violations]


CONSENT = "consent: {mode: strict, purpose: TREAT, recipient: [payer], file: consents.csv}\n"


async def decide(made: Hospital, decisions: dict[int, str]) -> None:
    """What patients have decided, as the node knows it once this is over."""
    rows = [f"NORTH:{100000 + patient},{decision}" for patient, decision in decisions.items()]
    aside = made.folder / "site" / "consents.new"
    aside.write_text("\n".join(["patient,decision", *rows]) + "\n")
    aside.replace(aside.with_suffix(".csv"))
    if made.node is not None:
        await made.node.parts.consents.look_now()


@pytest.mark.both_databases
@in_reactor
async def test_what_was_collected_before_its_api_asked_waits_for_a_person_and_no_file_for_it(
    tmp_path: Path,
) -> None:
    async with collecting(tmp_path, start=False) as made:
        await decide(made, dict.fromkeys(range(1, 6), "permit"))
        await made.start()
        node = made.node
        assert node is not None
        await made.send(message(1, 1), message(2, 1))
        await waiting(made, 2)
        api = tmp_path / "site" / "channels" / "apis" / "payer.files.yaml"
        api.write_text(api.read_text() + CONSENT)
        await node.reload()
        await node.parts.consents.look_now()
        await made.send(message(3, 1), message(4, 1), message(5, 1))
        await until(lambda: sorted(files(tmp_path)) == ["claims-1.csv"], "the file of who was asked about")
        keys = {row[0] for row in files(tmp_path)["claims-1.csv"]}
        assert keys == {"key", "NORTH:100003", "NORTH:100004", "NORTH:100005", "TRL"}
        await ended(made, {"delivered": 3, "quarantined": 2})
        rows = await node.journal.read(lambda connection: quarantined(connection, Which(api="payer.files")))
        assert {row["reason"] for row in rows} == {"consent-not-asked"}
        assert not await history(made)


@pytest.mark.both_databases
@in_reactor
async def test_who_says_no_before_a_file_is_closed_is_in_no_file(tmp_path: Path) -> None:
    async with collecting(tmp_path, more=CONSENT, start=False) as made:
        await decide(made, {1: "permit", 2: "permit", 3: "permit", 4: "permit"})
        await made.start()
        await made.send(message(1, 1), message(2, 1))
        await waiting(made, 2)
        await decide(made, {1: "permit", 2: "deny", 3: "permit", 4: "permit"})
        await made.send(message(3, 1))
        await waiting(made, 2)
        await ended(made, {"open": 2, "suppressed": 1})
        await made.send(message(4, 1))
        await until(lambda: sorted(files(tmp_path)) == ["claims-1.csv"], "the file of the others")
        keys = [row[0] for row in files(tmp_path)["claims-1.csv"]]
        assert keys == ["key", "NORTH:100001", "NORTH:100003", "NORTH:100004", "TRL"]
        await ended(made, {"delivered": 3, "suppressed": 1})
        assert made.node is not None
        assert not (await made.node.journal.read(check)).violations
        told = await made.node.journal.read(lambda connection: list(disclosed(connection, Asked())))
        assert [each.delivery_id for each in told] == [1, 3, 4], "who is in no file was told to nobody"


@in_reactor
async def test_who_has_not_decided_any_more_waits_for_a_later_file_and_holds_up_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.runtime.collecting.AGAIN_AFTER_S", 0.1)
    async with collecting(tmp_path, more=CONSENT, start=False) as made:
        await decide(made, dict.fromkeys(range(1, 8), "permit"))
        await made.start()
        await made.send(message(1, 1), message(2, 1))
        await waiting(made, 2)
        undecided = {patient: "permit" for patient in range(1, 8) if patient != 1}
        await decide(made, undecided)
        await made.send(message(3, 1))
        await pause(0.3)
        assert files(tmp_path) == {}, "too few are left for one"
        await made.send(message(4, 1))
        await until(lambda: sorted(files(tmp_path)) == ["claims-1.csv"], "the file of the others")
        await decide(made, {**undecided, 1: "permit"})
        await made.send(message(5, 1), message(6, 1))
        await until(lambda: sorted(files(tmp_path)) == ["claims-1.csv", "claims-2.csv"], "and of who waited")
        keys = [[row[0] for row in rows[1:-1]] for rows in files(tmp_path).values()]
        assert keys == [[f"NORTH:10000{each}" for each in file] for file in ((2, 3, 4), (1, 5, 6))]
        await ended(made, {"delivered": 6})

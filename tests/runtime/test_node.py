"""A whole node when things go wrong around it: APIs, the disk, the process, and messages nobody can use."""

from __future__ import annotations

import os
import random
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import pytest
from databases import in_thread
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, pause, until
from structlog.testing import capture_logs

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.cli.synthetic import Synthetic, admission
from bridge.delivery import lanes
from bridge.errors import JournalRefused, PeerUnavailable
from bridge.journal.ledger import ledger
from bridge.journal.search import find_messages, story
from bridge.runtime import deliver, refill, service, translate

pytestmark = pytest.mark.both_databases


def message(
    patient: int, step: int, event: str = "A08", changed: Mapping[str, bytes] = MappingProxyType({})
) -> Synthetic:
    made = admission(patient, step, event, control_id=f"C{patient}-{step}-{event}")
    body = made.body
    for old, new in changed.items():
        body = body.replace(old.encode(), new)
    return Synthetic(made.patient, made.step, made.control_id, body)


async def limits(node: Any, pages: int | None) -> None:
    """Let the journal's file grow no further, as a full disk would; None gives the room back.

    The connection is the writer's thread's, which has nothing to do with it for this moment.
    """
    await node.journal.writer.flush()
    connection = in_thread(node.journal)._ownership.connect()
    now = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    connection.exec_driver_sql(f"PRAGMA max_page_count = {1_000_000 if pages is None else now + pages}")
    connection.rollback()


@in_reactor
async def test_an_api_that_is_down_costs_nothing_but_time_and_stops_no_other(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        site.patients.plant(Fault("cut", times=None))
        answers = await site.send(*(message(patient, step) for step in (1, 2, 3) for patient in range(4)))
        assert {answer.code for answer in answers} == {"AA"}
        await until(lambda: len(site.encounters.applied) == 12, "the other API got everything")
        assert site.patients.applied == []
        site.patients._faults.clear()
        ledger = await site.settled()
        assert entries(ledger) == {"delivered": 12}
        for patient in range(4):
            assert steps_of(site.patients, f"{100000 + patient}") == [1, 2, 3]


@in_reactor
async def test_an_api_that_comes_back_gets_its_backlog_at_once_whatever_the_waits_were(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        api = tmp_path / "site" / "channels" / "apis" / "ehr.patients.yaml"
        api.write_text(api.read_text().replace("{base: 100ms, cap: 1s}", "{base: 1h, cap: 1h}"))
        # The first to fail tries again after a second, all others after nearly an hour.
        waits = iter([0.0003])
        outlet = (await site.start()).outlets["ehr.patients"]
        outlet._world = replace(outlet._world, chance=lambda: next(waits, 0.99))
        site.patients.plant(*[Fault("cut")] * 12)
        await site.send(*(message(patient, step) for step in (1, 2) for patient in range(12)))
        assert entries(await site.settled()) == {"delivered": 24}
        for patient in range(12):
            assert steps_of(site.patients, f"{100000 + patient}") == [1, 2]


@in_reactor
async def test_a_request_that_an_api_refuses_blocks_its_own_key_and_no_other(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        site.patients.reject.add("NORTH:100001")
        await site.send(*(message(patient, step) for step in (1, 2) for patient in range(3)))
        await until(lambda: len(site.patients.applied) == 4, "the other keys went on")
        await until(lambda: len(site.encounters.applied) == 6, "the other API goes on for all keys")
        assert site.node is not None
        await pause(0.5)
        tried = [attempt for attempt in site.patients.attempts if attempt.answered == 422]
        assert len(tried) == 3, "a request is refused three times before a person must look"
        found = await site.node.journal.read(story, 2)
        assert found is not None
        states = {row["route"]: (row["state"], row["poison_attempts"]) for row in found.deliveries}
        assert states == {"patient": ("QUARANTINED", 3), "encounter": ("DELIVERED", 0)}
        behind = await site.node.journal.read(story, 5)
        assert behind is not None
        assert list(behind.waits_for.values()) == ["delivery 3 of message 2, QUARANTINED"]
        await site.stop()
        site.patients.reject.clear()
        await site.start()
        await site.send(message(1, 3), message(2, 3))
        await until(lambda: steps_of(site.patients, "100002") == [1, 2, 3], "others go on after a restart")
        assert steps_of(site.patients, "100001") == [], "the key waits for a person, also after a restart"


UNUSABLE = [
    ("no-key", {"^^^NORTH^MR": b"^^^NORTH^PI"}),
    ("mapping-failed", {"EVN|": b"PV1|1|I|OTHER\rEVN|"}),
]


@pytest.mark.parametrize(("reason", "changed"), UNUSABLE)
@in_reactor
async def test_a_message_nobody_can_use_is_acknowledged_and_waits_for_a_person(
    tmp_path: Path, reason: str, changed: dict[str, bytes]
) -> None:
    async with hospital(tmp_path) as site:
        answers = await site.send(message(1, 1, changed=changed), message(1, 2), message(2, 1))
        assert [answer.code for answer in answers] == ["AA", "AA", "AA"]
        await until(lambda: steps_of(site.patients, "100002") == [1], "other keys go on")
        await pause(0.3)
        assert site.node is not None
        (row,) = await site.node.journal.read(find_messages, state="QUARANTINED")
        assert row["reason"] == reason
        # A message that has a key occupies it: nothing of that patient overtakes it.
        assert steps_of(site.patients, "100001") == ([2] if reason == "no-key" else [])


@in_reactor
async def test_what_one_node_took_the_next_one_delivers_in_order(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        for api in (site.patients, site.encounters):
            api.plant(Fault("status", status=503, times=None))
        for step in range(1, 6):
            await site.send(*(message(patient, step) for patient in range(30)))
        await site.stop()
        for api in (site.patients, site.encounters):
            api._faults.clear()
        await site.start()
        ledger = await site.settled()
        assert entries(ledger) == {"delivered": 150}
        for patient in range(30):
            for api in (site.patients, site.encounters):
                assert steps_of(api, f"{100000 + patient}") == [1, 2, 3, 4, 5]
        tries = [attempt.idempotency_key for attempt in site.patients.attempts if attempt.answered == 200]
        assert len(tries) == len(set(tries)) == 150


@in_reactor
async def test_a_backlog_far_beyond_the_windows_is_delivered_whole_and_in_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(translate, "HELD_MAX_MESSAGES", 3)
    monkeypatch.setattr(translate, "PAGE_MESSAGES", 2)
    monkeypatch.setattr(refill, "LIVE_MAX_ENTRIES", 4)
    monkeypatch.setattr(refill, "LIVE_LEAST_ENTRIES", 4)
    monkeypatch.setattr(refill, "PAGE_ENTRIES", 3)
    monkeypatch.setattr(lanes, "LANE_MAX_ENTRIES", 2)
    async with hospital(tmp_path) as site:
        site.patients.plant(Fault("status", status=503, times=20))
        await site.send(*(message(patient, step) for step in range(1, 21) for patient in range(10)))
        assert entries(await site.settled()) == {"delivered": 200}
        for patient in range(10):
            for api in (site.patients, site.encounters):
                assert steps_of(api, f"{100000 + patient}") == list(range(1, 21))


@in_reactor
async def test_work_of_an_api_that_was_renamed_is_told_at_the_start_and_kept(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        site.patients.plant(Fault("cut", times=None))
        await site.send(message(1, 1), message(2, 1))
        await until(lambda: len(site.encounters.applied) == 2, "the other API got everything")
        await site.stop()
        for path in (tmp_path / "site" / "channels").rglob("*.yaml"):
            path.write_text(path.read_text().replace("ehr.patients", "ehr.people"))
        with capture_logs() as logs:
            node = await site.start()
        told = [
            {"name": each["name"], "open": each["open"]} for each in logs if each["event"] == "left-behind"
        ]
        assert told == [{"name": "ehr.patients", "open": 2}]
        assert (await node.journal.read(ledger)).channels[CHANNEL]["open"] == 2


@pytest.mark.only_sqlite
@in_reactor
async def test_a_full_disk_answers_ae_and_never_aa_and_the_node_recovers(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await site.send(message(1, 1))
        await site.settled()
        await limits(site.node, 0)
        large = message(1, 2, changed={"MED": random.Random(1).randbytes(150_000).hex().encode()})
        (answer,) = await site.send(large)
        assert (answer.code, answer.control_id) == ("AE", large.control_id)
        assert "207" in answer.text
        assert site.node.unready() == ["the journal cannot write"]
        await limits(site.node, None)
        (answer,) = await site.send(large)
        assert answer.code == "AA"
        assert site.node.unready() == []
        ledger = await site.settled()
        assert entries(ledger) == {"delivered": 2}


@pytest.mark.only_sqlite
@in_reactor
async def test_a_disk_that_fills_while_delivering_loses_no_outcome(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        site.encounters.plant(Fault("delay", seconds=0.5, times=4))
        await site.send(*(message(patient, 1) for patient in range(4)))
        await until(lambda: len(site.encounters.attempts) == 4, "calls are under way")
        await limits(site.node, 0)
        await pause(1.0)
        await limits(site.node, None)
        ledger = await site.settled()
        assert entries(ledger) == {"delivered": 4}
        assert len(site.encounters.applied) == 4


@pytest.mark.only_sqlite
@in_reactor
async def test_a_node_stops_although_the_journal_cannot_write_and_the_next_one_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(deliver, "DRAIN_MAX_S", 0.5)
    async with hospital(tmp_path) as site:
        assert site.node is not None
        site.encounters.plant(Fault("delay", seconds=0.3))
        await site.send(message(1, 1))
        await until(lambda: len(site.encounters.attempts) == 1, "a call is under way")
        await limits(site.node, 0)
        await site.stop()
        await site.start()
        assert entries(await site.settled()) == {"delivered": 1}
        assert len(site.encounters.applied) == 1, "what may have happened was repeated under its own key"


@in_reactor
async def test_a_repeat_is_answered_as_the_first_was_and_not_processed(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        first, again = await site.send(message(1, 1), message(1, 1))
        assert first == again
        assert entries(await site.settled()) == {"delivered": 1, "duplicate": 1}
        assert len(site.patients.applied) == 1


ACCEPTANCE = [
    ("reject", "AR", "refused"),
    ("ignore", "AA", "ignored"),
    ("quarantine", "AA", "quarantined"),
]


@pytest.mark.parametrize(("otherwise", "code", "entry"), ACCEPTANCE)
@in_reactor
async def test_a_type_that_is_not_accepted_is_treated_as_the_channel_says(
    tmp_path: Path, otherwise: str, code: str, entry: str
) -> None:
    async with hospital(
        tmp_path, lambda text: text.replace("otherwise: reject", f"otherwise: {otherwise}")
    ) as site:
        (answer,) = await site.send(message(1, 1, "A60"))
        assert answer.code == code
        assert entries(await site.settled()) == {entry: 1}


@in_reactor
async def test_a_route_s_condition_filters_and_is_counted(tmp_path: Path) -> None:
    def only_emergencies(text: str) -> str:
        return text.replace("  - route: encounter\n", "  - route: encounter\n    when: PV1-2 = 'E'\n")

    async with hospital(tmp_path, only_emergencies) as site:
        await site.send(message(1, 1), message(2, 1, changed={"PV1|1|I": b"PV1|1|E"}))
        ledger = await site.settled()
        routes = {
            route: {k: v for k, v in counts.items() if v} for (_, route), counts in ledger.routes.items()
        }
        assert routes == {"patient": {"delivered": 2}, "encounter": {"delivered": 1, "filtered": 1}}


SELDOM = """\
mapping: seldom
version: 1.0.0
owner: clinical-integration
target: canonical/1
source: {format: hl7v2, accept: [ADT^A08]}
emit:
  - record: patient
    key: ZCO-1
    when: present(ZCO-1)
    set: {identifiers: {list: [{system: MSH-4.1, value: ZCO-1, type: {const: MR}}]}}
"""
SELDOM_ROUTE = """\
  - route: seldom
    mapping: seldom
    record: patient
    when: present(ZCO-1)
    to: {api: ehr.patients, operations: {upsert: putPatient}}
"""


@in_reactor
async def test_a_mapping_whose_route_does_not_take_a_message_cannot_fail_it_for_the_others(
    tmp_path: Path,
) -> None:
    def with_a_seldom_route(text: str) -> str:
        (tmp_path / "site" / "mappings" / "seldom.yaml").write_text(SELDOM)
        return text.replace("routes:\n", "routes:\n" + SELDOM_ROUTE)

    async with hospital(tmp_path, with_a_seldom_route) as site:
        assert site.node is not None
        await site.send(
            message(1, 1), message(2, 1, changed={"EVN|": b"ZCO|C-1\rEVN|"}), message(3, 1, "A03")
        )
        await site.settled()
        found = [await site.node.journal.read(story, number) for number in (1, 2, 3)]
        by_route = [{row["route"]: row for row in each.deliveries} for each in found if each is not None]
        assert [each["patient"]["state"] for each in by_route] == ["DELIVERED"] * 3
        assert [each["seldom"]["reason"] for each in by_route] == ["when", "delivered", "type"]
        assert [each["seldom"]["mapping"] for each in by_route] == ["seldom@1.0.0"] * 3


@in_reactor
async def test_a_second_node_on_a_journal_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        first = site.node
        with pytest.raises(JournalRefused, match="another process"):
            await Hospital.start(site)
        site.node = first
        (answer,) = await site.send(message(1, 1))
        assert answer.code == "AA"


@pytest.mark.only_sqlite
@in_reactor
async def test_a_port_that_is_taken_is_told_with_what_to_do_and_leaves_nothing_running(
    tmp_path: Path,
) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "a").mkdir()
    async with hospital(tmp_path / "a") as site:
        assert site.node is not None
        port = site.node.addresses()[CHANNEL]
        other = Hospital(tmp_path / "b")
        await other.open(lambda text: text.replace("tcp:0:", f"tcp:{port}:"))
        with pytest.raises(PeerUnavailable, match=f"cannot listen on tcp:{port}"):
            await other.start()
        await other.close()
        lock = os.open(tmp_path / "b" / "journal.db.lock", os.O_RDWR)
        os.close(lock)


@in_reactor
async def test_a_node_that_cannot_be_made_leaves_its_journal_to_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    site = Hospital(tmp_path)
    try:
        await site.open()

        def unmade(*_: Any) -> None:
            raise PeerUnavailable("a library is not installed")

        with monkeypatch.context() as broken:
            broken.setattr(service, "Parts", unmade)
            with pytest.raises(PeerUnavailable):
                await site.start()
        await site.start()
    finally:
        await site.close()

"""A whole node that sends messages as they came, and writes files: each once, in order, and none lost."""

from __future__ import annotations

import os
import random
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import orjson
import pytest
from lane_messages import message
from nodes import BREAKER, Hospital, entries
from reactor_tests import in_reactor, until

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_mllp import Chances, FakeReceiver, Fault, Kind
from bridge.cli.synthetic import Synthetic
from bridge.destinations.in_loop import in_loop
from bridge.journal.search import story
from bridge.runtime.service import Node

COPY = """\
api: legacy.copy
KIND
send: original
carries: {phi: true}
repeat_safety: SAFETY
limits: {in_flight: CALLS}
retry: {base: 10ms, cap: 50ms}
breaker: BREAKER
"""
RECORDS = """\
api: legacy.records
file: {directory: FOLDER, name: "{operation}-{message_id}-{delivery}.json"}
repeat_safety: natural_key
breaker: BREAKER
operations:
  writePatient: {send_only: [key, family, line1]}
"""
FAULTS: tuple[Kind, ...] = ("twice", "before", "stranger", "garbage", "close", "split", "cut", "ahead")
MLLP = 'mllp: {connect: "CONNECT", answer_within: WAIT}'
FILE = 'file: {directory: FOLDER, name: "{channel}-{message_id}-{delivery}.hl7"}'
ROUTE = "  - route: copy\n    to: {api: legacy.copy}\n"


RELABEL = """\
mapping: relabel
version: 1.0.0
owner: clinical-integration
target: canonical/1
source: {format: hl7v2, accept: [ADT^A01, ADT^A03, ADT^A04, ADT^A08]}
emit:
  - message: hl7v2
    from: copy
    when: MSH-9.2 != 'A03'
    set: {MSH-4.1: {const: N & CO}, MSH-5.1: {from: PV1-3.1, required: true}}
    remove: [PID-19, "Z*"]
    append: [{segment: ZBR, set: {ZBR-1: MSH-10}}]
tests:
  - name: one
    input: |
      MSH|^~\\&|HIS|NORTH|BRIDGE|HUB|20240102||ADT^A01|Q1|P|2.5.1
      PV1|1|I|3W
    expect: {message: {MSH-4.1: N & CO, ZBR-1: Q1}}
"""
MADE = "  - route: copy\n    mapping: relabel\n    to: {api: legacy.copy}\n"


def relabelled(sent: Synthetic) -> bytes:
    """What the mapping makes of a message, said without it."""
    lines = sent.body.split(b"\r")
    header = lines[0].split(b"|")
    ward = next(line for line in lines if line.startswith(b"PV1|")).split(b"|")[3].split(b"^")[0]
    header[3], header[4] = b"N \\T\\ CO", ward
    return b"\r".join([b"|".join(header), *lines[1:-1], b"ZBR|" + header[9], b""])


@asynccontextmanager
async def copying(
    folder: Path,
    receiver: FakeReceiver,
    *,
    routes: str = ROUTE,
    kind: str = MLLP,
    safety: str = "header",
    wait: str = "20s",
    calls: int = 4,
    sends: str = "original",
) -> AsyncIterator[Hospital]:
    """A hospital whose channel has these routes, and whose receiver listens."""
    connect: str = await in_loop(receiver.start())
    out = folder / "out"
    out.mkdir()
    words = {
        "CONNECT": connect,
        "FOLDER": str(out),
        "SAFETY": safety,
        "BREAKER": BREAKER,
        "WAIT": wait,
        "CALLS": str(calls),
    }

    def change(text: str) -> str:
        apis = folder / "site" / "channels" / "apis"
        if sends == "message":
            (folder / "site" / "mappings" / "relabel.yaml").write_text(RELABEL)
        copy = COPY.replace("KIND", kind).replace("original", sends)
        for name, api in (("copy", copy), ("records", RECORDS)):
            filled = re.sub("|".join(words), lambda found: words[found[0]], api)
            (apis / f"legacy.{name}.yaml").write_text(filled)
        return text.partition("routes:\n")[0] + "routes:\n" + routes

    made = Hospital(folder)
    try:
        await made.open(change)
        await made.start()
        yield made
    finally:
        await made.close()
        await in_loop(receiver.stop())


def of_patient(sent: list[Synthetic], patient: str) -> list[bytes]:
    return [each.body for each in sent if each.patient == patient]


def arrived(receiver: FakeReceiver, patient: str) -> list[bytes]:
    return [each.body for each in receiver.applied if f"||{patient}^^^".encode() in each.body]


async def states(site: Hospital, message_id: int) -> list[tuple[str, str, str]]:
    assert site.node is not None
    found = await site.node.journal.read(story, message_id)
    assert found is not None
    return [(row["route"], row["state"], row["reason"]) for row in found.deliveries]


def quarantined(node: Node) -> int:
    return len(node.outlets["legacy.copy"].lanes.barriers)


@in_reactor
async def test_messages_go_on_as_they_came_each_once_and_in_its_patients_order_under_faults(
    tmp_path: Path,
) -> None:
    receiver = FakeReceiver(chances=Chances(fail_ratio=0.1, drop_ratio=0.1, seed=7))
    chance = random.Random(7)
    async with copying(tmp_path, receiver) as site:
        sent = [message(patient, step) for step in range(1, 7) for patient in range(8)]
        for each in chance.sample(sent, 10):
            kind = chance.choice(FAULTS)
            receiver.plant(Fault(kind, text="C1-2-A08", control_id=each.control_id))
        answers = await site.send(*sent)
        assert {answer.code for answer in answers} == {"AA"}
        assert entries(await site.settled()) == {"delivered": len(sent)}
        for patient in {each.patient for each in sent}:
            assert arrived(receiver, patient) == of_patient(sent, patient)
        assert len(receiver.blocks) > len(sent), "nothing was sent again: the faults show nothing"
        assert len(receiver.applied) == len(sent)


@in_reactor
async def test_a_late_answer_is_never_taken_for_that_of_the_next_message(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    receiver.plant(Fault("late", seconds=1.5, control_id="C1-1"), Fault("never", control_id="C1-1"))
    async with copying(tmp_path, receiver, safety="none", wait="1s", calls=1) as site:
        # The second is about another patient, and of a sender that gives control IDs anew.
        second = message(2, 1, changed={"|C2-1-A08|": b"|C1-1-A08|"})
        await site.send(message(1, 1), second, message(3, 1))
        assert entries(await site.settled()) == {"delivered": 1, "quarantined": 2}
        assert [await states(site, number) for number in (1, 2, 3)] == [
            [("copy", "QUARANTINED", "outcome-unknown")],
            [("copy", "QUARANTINED", "outcome-unknown")],
            [("copy", "DELIVERED", "answered-aa")],
        ]
        assert [each.control_id for each in receiver.applied] == ["C1-1-A08", "C1-1-A08", "C3-1-A08"]
        assert [each.connection for each in receiver.applied] == [1, 2, 3]


@in_reactor
async def test_a_message_that_the_receiver_refuses_stops_its_own_patient_and_no_other(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    receiver.plant(Fault("answer", "AR", control_id="C1-1", times=None))
    async with copying(tmp_path, receiver) as site:
        await site.send(*(message(patient, step) for step in (1, 2) for patient in (1, 2)))
        await until(lambda: len(receiver.applied) == 2, "the other patient's messages are there")
        await until(
            lambda: site.node is not None and quarantined(site.node) == 1, "the refused one is put aside"
        )
        assert [await states(site, number) for number in (1, 3)] == [
            [("copy", "QUARANTINED", "answered-ar")],
            [("copy", "READY", "")],
        ]
        assert [each.control_id for each in receiver.blocks].count("C1-1-A08") == 3


@in_reactor
async def test_one_feed_goes_on_as_it_came_and_as_records_at_once(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    routes = (
        "  - route: copy\n    when: MSH-9.2 in ['A01']\n    to: {api: legacy.copy}\n"
        "  - route: patient\n    mapping: adt-admit\n    record: patient\n"
        "    to: {api: legacy.records, operation: writePatient}\n"
    )
    async with copying(tmp_path, receiver, routes=routes) as site:
        sent = [message(1, 1, "A01"), message(1, 2, "A08")]
        await site.send(*sent)
        assert entries(await site.settled()) == {"delivered": 2}
        assert [each.body for each in receiver.applied] == [sent[0].body]
        assert await states(site, 2) == [("copy", "FILTERED", "when"), ("patient", "DELIVERED", "written")]
        names = sorted(os.listdir(tmp_path / "out"))
        assert [name.split("-")[:2] for name in names] == [["writePatient", "1"], ["writePatient", "2"]]
        lines = [orjson.loads((tmp_path / "out" / name).read_bytes()) for name in names]
        assert [each["line1"].split()[0] for each in lines] == ["1", "2"]
        assert {frozenset(each) for each in lines} == {frozenset({"key", "family", "line1"})}


@in_reactor
async def test_a_type_that_no_mapping_knows_goes_on_as_it_came(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    async with copying(tmp_path, receiver) as site:
        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        await site.stop()
        channel.write_text(channel.read_text().replace("accept: [", "accept: [ORU^*, "))
        await site.start()
        made = message(1, 1, changed={"ADT^A08^ADT_A01": b"ORU^R01", "|2.5.1|": b"|2.8|"})
        assert [answer.code for answer in await site.send(made)] == ["AA"]
        await until(lambda: len(receiver.applied) == 1, "it has arrived")
        assert receiver.applied[0].body == made.body


@in_reactor
async def test_a_message_that_cannot_go_as_it_is_waits_for_a_person(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    async with copying(tmp_path, receiver) as site:
        await site.send(message(1, 1, changed={"|C1-1-A08|": b"||"}), message(2, 1))
        assert entries(await site.settled()) == {"delivered": 1, "quarantined": 1}
        assert await states(site, 1) == [("copy", "QUARANTINED", "request-refused")]


@in_reactor
async def test_files_are_written_once_each_also_across_a_restart_and_without_their_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for part in ("state", "breaker"):
        monkeypatch.setattr(f"bridge.delivery.{part}.HOLD_WAIT_S", 0.05)
    async with copying(tmp_path, FakeReceiver(), kind=FILE, safety="natural_key") as site:
        sent = [message(patient, step) for step in (1, 2) for patient in range(5)]
        await site.send(*sent[:5])
        await site.stop()
        (tmp_path / "out").rename(tmp_path / "away")
        await site.start()
        await site.send(*sent[5:])
        outlet = site.node.outlets["legacy.copy"] if site.node is not None else None
        assert outlet is not None
        await until(lambda: outlet.gates["send"].breaker.reason == "folder-missing", "it is noticed")
        await site.stop()
        (tmp_path / "away").rename(tmp_path / "out")
        await site.start()
        await until(lambda: len(os.listdir(tmp_path / "out")) == 10, "all files are there")
        assert entries(await site.settled()) == {"delivered": 10}
        bodies = [(tmp_path / "out" / name).read_bytes() for name in os.listdir(tmp_path / "out")]
        assert sorted(bodies) == sorted(each.body for each in sent)


@in_reactor
async def test_messages_that_a_mapping_makes_arrive_each_once_and_in_its_patients_order_under_faults(
    tmp_path: Path,
) -> None:
    receiver = FakeReceiver(chances=Chances(fail_ratio=0.1, drop_ratio=0.1, seed=9))
    chance = random.Random(9)
    async with copying(tmp_path, receiver, routes=MADE, sends="message") as site:
        sent = [message(patient, step) for step in range(1, 5) for patient in range(6)]
        for each in chance.sample(sent, 6):
            receiver.plant(Fault(chance.choice(FAULTS), text="C1-2-A08", control_id=each.control_id))
        assert {answer.code for answer in await site.send(*sent)} == {"AA"}
        assert entries(await site.settled()) == {"delivered": len(sent)}
        for patient in {each.patient for each in sent}:
            wanted = [relabelled(each) for each in sent if each.patient == patient]
            assert arrived(receiver, patient) == wanted
        assert len(receiver.applied) == len(sent)
        assert len(receiver.blocks) > len(sent), "nothing was sent again: the faults show nothing"


@in_reactor
async def test_of_a_message_that_the_mapping_makes_nothing_or_cannot_make_nothing_leaves(
    tmp_path: Path,
) -> None:
    receiver = FakeReceiver()
    routes = MADE + (
        "  - route: patient\n    mapping: adt-admit\n    record: patient\n"
        "    to: {api: legacy.records, operation: writePatient}\n"
    )
    async with copying(tmp_path, receiver, routes=routes, sends="message") as site:
        mapping = tmp_path / "site" / "mappings" / "relabel.yaml"
        text = mapping.read_text()
        await site.stop()
        mapping.write_text(text.replace("emit:", "on_no_record: allow\nemit:"))
        await site.start()
        whole = message(2, 1)
        ward = next(line for line in message(3, 1).body.split(b"\r") if line.startswith(b"PV1|")).split(b"|")[
            3
        ]
        await site.send(message(1, 1, "A03"), whole, message(3, 1, changed={ward.decode(): b""}))
        await until(lambda: len(receiver.applied) == 1, "the one that can be made has arrived")
        assert [each.body for each in receiver.applied] == [relabelled(whole)]
        assert entries(await site.settled())["delivered"] >= 2
        assert await states(site, 1) == [
            ("copy", "FILTERED", "no-message"),
            ("patient", "DELIVERED", "written"),
        ]
        assert ("copy", "FILTERED", "no-message") in await states(site, 3)


@in_reactor
async def test_messages_that_a_mapping_makes_are_written_as_files(tmp_path: Path) -> None:
    async with copying(
        tmp_path, FakeReceiver(), routes=MADE, kind=FILE, safety="natural_key", sends="message"
    ) as site:
        sent = [message(patient, 1) for patient in range(3)]
        await site.send(*sent)
        assert entries(await site.settled()) == {"delivered": 3}
        found = [(tmp_path / "out" / name).read_bytes() for name in os.listdir(tmp_path / "out")]
        assert sorted(found) == sorted(relabelled(each) for each in sent)


@in_reactor
async def test_what_no_route_takes_waits_for_a_person_or_is_counted_as_filtered(tmp_path: Path) -> None:
    routes = "  - route: copy\n    when: MSH-9.2 in ['A01']\n    to: {api: legacy.copy}\n"
    async with copying(tmp_path, FakeReceiver(), routes=routes) as site:
        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        await site.send(message(1, 1, "A08"))
        assert entries(await site.settled()) == {"quarantined": 1}
        await site.stop()
        channel.write_text(channel.read_text().replace("routes:", "on_no_route: filter\nroutes:", 1))
        await site.start()
        await site.send(message(2, 1, "A08"), message(2, 2, "A01"))
        assert entries(await site.settled()) == {"quarantined": 1, "filtered": 1, "delivered": 1}
        assert await states(site, 2) == [("copy", "FILTERED", "when")]


@in_reactor
async def test_a_mapping_may_take_all_events_of_a_type(tmp_path: Path) -> None:
    receiver = FakeReceiver()
    async with copying(tmp_path, receiver, routes=MADE, sends="message") as site:
        mapping = tmp_path / "site" / "mappings" / "relabel.yaml"
        await site.stop()
        mapping.write_text(mapping.read_text().replace("[ADT^A01, ADT^A03, ADT^A04, ADT^A08]", "[ADT^*]"))
        await site.start()
        assert [answer.code for answer in await site.send(message(1, 1, "A08"))] == ["AA"]
        await until(lambda: len(receiver.applied) == 1, "it has arrived")

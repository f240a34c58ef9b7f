"""Order, and what stops as little as it can, through a whole node with real sockets."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from lane_messages import ORDER_BY_MERGE, both, change_api, line, merge, message
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, pause, until
from structlog.testing import capture_logs
from test_commands import command

from bridge.cli.checks import again, of_node
from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.cli.following import _live
from bridge.cli.output import moment
from bridge.cli.synthetic import Synthetic
from bridge.delivery.outcomes import FAULT_OF_OURS
from bridge.governance.base import Policies
from bridge.journal.deliveries import Call
from bridge.journal.quarantine import at_fault
from bridge.journal.search import find_messages, story
from bridge.journal.tracing import why
from bridge.runtime import calling
from bridge.runtime.commands import Commands
from bridge.runtime.endings import Endings
from bridge.runtime.trying import end_wait

pytestmark = pytest.mark.both_databases


@in_reactor
async def test_a_merge_goes_after_both_patients_and_before_what_follows_of_either(tmp_path: Path) -> None:
    async with hospital(tmp_path, ORDER_BY_MERGE) as site:
        # Patient 1's update is refused for a while; the merge, and what follows of 2, must wait for it.
        site.patients.plant(Fault("status", status=503, path="100001", times=6))
        await site.send(
            message(1, 1), message(2, 1), message(3, 1), merge(1, 2), message(2, 2), message(1, 2)
        )
        await until(lambda: steps_of(site.patients, "100003") == [1], "another patient goes on")
        assert entries(await site.settled()) == {"delivered": 6}
        applied = [each.path.partition("/patients/")[2] for each in site.patients.applied]
        first, second = "NORTH%3A100001", "NORTH%3A100002"
        ours = [path for path in applied if "100003" not in path]
        assert ours[:2] in ([second, first], [first, second])
        assert ours[2] == f"{first}/merge"
        assert sorted(ours[3:]) == [first, second]
        assert steps_of(site.patients, "100002") == [1, 2]


@in_reactor
async def test_a_merge_that_is_refused_stops_both_patients_and_nobody_else(tmp_path: Path) -> None:
    async with hospital(tmp_path, ORDER_BY_MERGE) as site:
        site.patients.plant(Fault("status", status=422, path="/merge", times=None))
        await site.send(
            message(1, 1), message(2, 1), merge(1, 2), message(2, 2), message(1, 2), message(3, 1)
        )
        await until(lambda: steps_of(site.patients, "100003") == [1], "another patient goes on")
        await pause(0.5)
        assert steps_of(site.patients, "100001/") == []
        assert [steps_of(site.patients, patient) for patient in ("100001", "100002")] == [[1], [1]]
        await site.stop()
        await site.start()
        await pause(0.5)
        assert [steps_of(site.patients, patient) for patient in ("100001", "100002")] == [[1], [1]]


@in_reactor
async def test_a_merge_without_the_number_that_ends_waits_for_a_person_and_keeps_its_patient(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path, ORDER_BY_MERGE) as site:
        await site.send(message(1, 1), message(1, 2, "A40"), message(1, 3), message(2, 1))
        await until(lambda: steps_of(site.patients, "100002") == [1], "another patient goes on")
        await pause(0.3)
        assert steps_of(site.patients, "100001") == [1]
        assert site.node is not None
        (row,) = await site.node.journal.read(find_messages, state="QUARANTINED")
        assert row["reason"] == "no-key"


CREATE_AND_CANCEL = both(
    line("accept: [ADT^A01,", "accept: [ADT^A11, ADT^A01,"),
    line(
        "  - route: encounter\n    mapping: adt-admit\n    record: encounter\n"
        "    to: {api: ehr.encounters, operations: {upsert: putEncounter, cancel: cancelEncounter}}\n",
        "  - route: stays\n    when: MSH-9.2 != 'A11'\n    mapping: adt-admit\n    record: encounter\n"
        "    to: {api: ehr.encounters, operations: {upsert: putEncounter, cancel: cancelEncounter}}\n"
        "  - route: cancellations\n    when: MSH-9.2 = 'A11'\n    mapping: adt-admit\n    record: encounter\n"
        "    to: {api: ehr.encounters, operations: {upsert: putEncounter, cancel: cancelEncounter}}\n",
    ),
)


@in_reactor
async def test_a_create_and_its_cancel_on_two_routes_stay_in_order(tmp_path: Path) -> None:
    async with hospital(tmp_path, CREATE_AND_CANCEL) as site:
        site.encounters.plant(Fault("status", status=503, path="100001-1", times=4))
        await site.send(
            message(1, 1, "A01"), message(1, 2, "A11"), message(2, 1, "A01"), message(2, 2, "A11")
        )
        assert entries(await site.settled()) == {"delivered": 4}
        for patient in ("100001", "100002"):
            calls = [each.path for each in site.encounters.applied if patient in each.path]
            assert [path.endswith("/cancel") for path in calls] == [False, True]


def breakers_apart(site: Hospital) -> None:
    change_api(
        site, "ehr.encounters", "{open: 50ms, open_max: 200ms}", "{consecutive: 2, open: 1h, open_max: 2h}"
    )


@pytest.mark.parametrize(
    ("asks_s", "worries"), [(5, []), (500, ["putEncounter of ehr.encounters is left alone"])]
)
@in_reactor
async def test_an_api_that_asks_for_a_long_wait_is_told_of(
    tmp_path: Path, asks_s: int, worries: list[str]
) -> None:
    async with hospital(tmp_path) as site:
        site.encounters.plant(Fault("status", status=503, retry_after=str(asks_s), times=None))
        await site.send(message(1, 1, "A01"))
        node = site.node
        assert node is not None
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        operations = node.outlets["ehr.encounters"]
        await until(lambda: operations.status()["operations"]["putEncounter"]["until_us"], "it asked")
        told = of_node(await commands("somebody", "status", {}))
        assert [each.partition(":")[0] for each in told] == worries


@in_reactor
async def test_what_an_api_holds_is_told_with_the_time_of_the_next_call_and_never_with_one_that_is_over(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        site.encounters.plant(Fault("status", status=403, times=None))
        await site.send(message(1, 1, "A01"))
        node = site.node
        assert node is not None
        outlet = node.outlets["ehr.encounters"]

        def operation() -> dict[str, Any]:
            found: dict[str, Any] = outlet.status()["operations"]["putEncounter"]
            return found

        def over() -> bool:
            until_us = outlet.governed.gates["putEncounter"].breaker.until_us()
            return until_us is not None and until_us < time.time() * 1e6 and not operation()["in_flight"]

        await until(over, "the operation's own wait is over, and nothing else has come to try it")
        (row,) = (await node.journal.read(why, node.journal.facts, "100001"))[:1]
        assert (row["state"], operation()["until_us"]) == ("HELD", row["due_at_us"])
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        words = _live(row, await commands("somebody", "status", {}))
        assert words is not None
        assert f"is left alone (forbidden), tried again at {moment(row['due_at_us'])}" in words
        assert again({**operation(), "until_us": None}) == "with the next message"


@in_reactor
async def test_an_operation_that_fails_stops_no_other_of_its_api(tmp_path: Path) -> None:
    async with hospital(tmp_path, CREATE_AND_CANCEL) as site:
        await site.stop()
        breakers_apart(site)
        node = await site.start()
        site.encounters.plant(Fault("status", status=503, path="/cancel", times=None))
        for patient in range(6):
            await site.send(message(patient, 1, "A01"), message(patient, 2, "A11"))

        def operation(name: str) -> dict[str, Any]:
            found: dict[str, Any] = node.outlets["ehr.encounters"].status()["operations"][name]
            return found

        await until(lambda: operation("cancelEncounter")["state"] == "open", "it is left alone")
        await site.send(*(message(patient, 1, "A01") for patient in range(10, 20)))
        await until(lambda: len(site.encounters.applied) == 16, "the other operation goes on")
        tried = [each for each in site.encounters.attempts if each.path.endswith("/cancel")]
        await until(lambda: operation("cancelEncounter")["waiting"] >= 4, "the rest waits")
        await pause(0.3)
        assert len([each for each in site.encounters.attempts if each.path.endswith("/cancel")]) == len(tried)
        assert operation("putEncounter")["state"] == "closed"
        assert operation("cancelEncounter")["reason"] == "unavailable"


@in_reactor
async def test_a_record_that_is_not_there_yet_holds_its_own_key_until_it_is(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        missing = Fault("status", status=404, path="100001", times=None)
        site.patients.plant(missing)
        await site.send(message(1, 1), message(1, 2), message(2, 1), message(3, 1))
        await until(lambda: len(site.patients.applied) == 2, "other keys go on")
        assert site.node is not None
        await until(lambda: len(site.patients.arrivals("/patients/NORTH%3A100001")) >= 3, "it is tried again")
        assert steps_of(site.patients, "100001") == []
        assert site.node.outlets["ehr.patients"].status()["operations"]["putPatient"]["state"] == "closed"
        site.patients._faults.clear()
        assert entries(await site.settled()) == {"delivered": 4}
        assert steps_of(site.patients, "100001") == [1, 2]


@in_reactor
async def test_a_record_that_never_comes_needs_a_person_after_a_while(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        change_api(site, "ehr.patients", "cap: 1s}", "cap: 1s, not_found_for: 300ms}")
        node = await site.start()
        site.patients.plant(Fault("status", status=404, path="100001", times=None))
        await site.send(message(1, 1), message(1, 2), message(2, 1))
        await until(lambda: node.outlets["ehr.patients"].status()["keys_blocked"] == 1, "it is given up")
        found = await node.journal.read(story, 1)
        assert found is not None
        states = {row["route"]: (row["state"], row["reason"]) for row in found.deliveries}
        assert states["patient"] == ("QUARANTINED", "not-found")
        assert steps_of(site.patients, "100002") == [1]


@in_reactor
async def test_a_path_that_has_gone_for_five_keys_stops_the_operation_and_quarantines_nothing(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        change_api(site, "ehr.patients", "cap: 1s}", "cap: 1s, not_found_for: 1500ms}")
        node = await site.start()
        site.patients.plant(Fault("status", status=404, times=None))
        await site.send(*(message(patient, 1) for patient in range(12)))

        def operation() -> tuple[str, str]:
            found = node.outlets["ehr.patients"].status()["operations"]["putPatient"]
            return found["state"], found["reason"]

        await until(lambda: operation() == ("open", "contract-gone"), "the operation is held")
        await pause(2.0)
        assert node.outlets["ehr.patients"].status()["keys_blocked"] == 0
        site.patients._faults.clear()
        assert entries(await site.settled()) == {"delivered": 12}


@pytest.mark.parametrize("control_ids", ["reused", "unique"])
@in_reactor
async def test_a_sender_that_starts_its_numbers_again_loses_nothing(tmp_path: Path, control_ids: str) -> None:
    change = line("otherwise: reject", f"otherwise: reject\nduplicates: {{control_ids: {control_ids}}}")
    async with hospital(tmp_path, change) as site:
        first = message(1, 1)
        again = message(1, 2, changed={"C1-2-A08": first.control_id.encode()})
        assert [each.code for each in await site.send(first, again, message(1, 3))] == ["AA", "AA", "AA"]
        assert site.node is not None
        if control_ids == "reused":
            assert entries(await site.settled()) == {"delivered": 3}
            assert steps_of(site.patients, "100001") == [1, 2, 3]
            rows = await site.node.journal.read(find_messages, control_id=first.control_id)
            assert [row["flags"] for row in rows] == ["control-id-reused", ""]
        else:
            await until(lambda: steps_of(site.patients, "100001") == [1], "what came before goes")
            await pause(0.3)
            (row,) = await site.node.journal.read(find_messages, state="QUARANTINED")
            assert row["reason"] == "control-id-conflict"
            assert steps_of(site.patients, "100001") == [1], "and nothing overtakes the conflict"


@pytest.mark.parametrize("changed", [message(1, 1), merge(1, 2)])
@in_reactor
async def test_what_waits_behind_a_message_in_quarantine_is_said_so_by_why_and_by_its_story(
    tmp_path: Path, changed: Synthetic
) -> None:
    unique = line("otherwise: reject", "otherwise: reject\nduplicates: {control_ids: unique}")
    patient = 1 if changed.body == message(1, 1).body else 2  # a merge is the second patient's too
    async with hospital(tmp_path, both(ORDER_BY_MERGE, unique)) as site:
        first = message(7, 1)
        again = changed.body.replace(changed.control_id.encode(), first.control_id.encode())
        conflict = Synthetic(changed.patient, changed.step, first.control_id, again)
        await site.send(first, conflict, message(patient, 3), message(patient, 4))
        assert site.node is not None
        journal, key = site.node.journal, str(100000 + patient)

        while not (found := await journal.read(story, 3)) or not found.deliveries:
            await pause(0.05)
        waiting = [row for row in found.deliveries if row["state"] == "READY"]
        assert found.waits_for == {row["id"]: "message 2, in quarantine" for row in waiting} != {}
        rows = await journal.read(why, journal.facts, key)
        words = {row["words"] for row in rows if row["what"] == "delivery"}
        assert words == {"it waits for message 2, in quarantine"}


@in_reactor
async def test_a_key_is_counted_as_blocked_where_its_channel_goes_and_nowhere_else(tmp_path: Path) -> None:
    change = line("otherwise: reject", "otherwise: reject\nduplicates: {control_ids: unique}")
    async with hospital(tmp_path, change) as site:
        first = message(1, 1)
        again = message(1, 2, changed={"C1-2-A08": first.control_id.encode()})
        await site.send(first, again)
        assert site.node is not None
        counted = site.node.outlets["ehr.patients"].status
        await until(lambda: counted()["keys_blocked"] == 1, "the conflict is in quarantine")
        await site.stop()
        apis = site.folder / "site" / "channels" / "apis"
        other = (apis / "ehr.patients.yaml").read_text().replace("ehr.patients", "ehr.nobody")
        (apis / "ehr.nobody.yaml").write_text(other)
        node = await site.start()
        assert node.outlets["ehr.patients"].status()["keys_blocked"] == 1
        assert node.outlets["ehr.nobody"].status()["keys_blocked"] == 0


def on_poison(choice: str) -> str:
    return f"operations: {{upsert: putPatient, merge: mergePatients}}}}\n    on_poison: {choice}"


@in_reactor
async def test_quarantine_and_continue_lets_the_next_state_of_the_key_go(tmp_path: Path) -> None:
    change = line(
        "operations: {upsert: putPatient, merge: mergePatients}}", on_poison("quarantine_and_continue")
    )
    async with hospital(tmp_path, change) as site:
        site.patients.plant(Fault("status", status=422, path="100001", times=3))
        await site.send(message(1, 1), message(1, 2), message(2, 1))
        await until(lambda: steps_of(site.patients, "100001") == [2], "the next one went")
        ledger = await site.settled()
        assert entries(ledger) == {"quarantined": 1, "delivered": 2}
        await site.stop()
        node = await site.start()
        assert node.outlets["ehr.patients"].status()["keys_blocked"] == 0


@in_reactor
async def test_block_route_stops_the_whole_route_and_no_other_also_after_a_restart(tmp_path: Path) -> None:
    change = line("operations: {upsert: putPatient, merge: mergePatients}}", on_poison("block_route"))
    async with hospital(tmp_path, change) as site:
        site.patients.plant(Fault("status", status=422, path="100001", times=None))
        await site.send(message(1, 1))
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        await until(
            lambda: outlet.status()["blocked_routes"] == [f"{CHANNEL}/patient"], "the route is stopped"
        )
        await site.send(message(2, 1), message(3, 1))
        await until(lambda: len(site.encounters.applied) == 3, "the other route goes on")
        await pause(0.3)
        assert site.patients.applied == []
        await site.stop()
        await site.start()
        await pause(0.3)
        assert site.patients.applied == []


BY_FACILITY = both(
    line(
        "to: {api: ehr.patients, operations: {upsert: putPatient, merge: mergePatients}}",
        "to:\n      select: MSH-4.1\n      from: {NORTH: ehr.patients, SOUTH: ehr.south}\n"
        "      operations: {upsert: putPatient, merge: mergePatients}",
    )
)


@in_reactor
async def test_one_feed_of_several_facilities_goes_to_the_api_of_each(tmp_path: Path) -> None:
    made = Hospital(tmp_path)
    await made.open(BY_FACILITY)
    apis = tmp_path / "site" / "channels" / "apis"
    south = (apis / "ehr.patients.yaml").read_text().replace("api: ehr.patients", "api: ehr.south")
    (apis / "ehr.south.yaml").write_text(
        south.replace("operations:\n", "description: the southern one\noperations:\n")
    )
    try:
        node = await made.start()
        south_message = message(2, 1, changed={"|NORTH|BRIDGE": b"|SOUTH|BRIDGE"})
        west = message(3, 1, changed={"|NORTH|BRIDGE": b"|WEST|BRIDGE"})
        await made.send(message(1, 1), south_message, west, message(4, 1))
        await until(lambda: len(made.patients.applied) == 3, "those with a facility go")
        counts = {}
        for number in (1, 2):
            found = await node.journal.read(story, number)
            assert found is not None
            counts[number] = {row["route"]: row["api"] for row in found.deliveries}["patient"]
        assert counts == {1: "ehr.patients", 2: "ehr.south"}
        (row,) = await node.journal.read(find_messages, state="QUARANTINED")
        assert (row["id"], row["reason"]) == (3, "no-target")
    finally:
        await made.close()


@in_reactor
async def test_a_rate_slows_an_api_and_loses_nothing(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        change_api(
            site, "ehr.patients", "limits: {in_flight: 8}", "limits: {in_flight: 8, rate: 20/s, burst: 2}"
        )
        change_api(
            site,
            "ehr.encounters",
            "    path: /encounters/{key}\n",
            "    path: /encounters/{key}\n    limits: {in_flight: 1}\n",
        )
        await site.start()
        await site.send(*(message(patient, 1) for patient in range(12)))
        await until(lambda: len(site.encounters.applied) == 12, "another API is not slowed")
        assert entries(await site.settled()) == {"delivered": 12}


@pytest.mark.parametrize("gate", ["api", f"channel {CHANNEL}", f"route {CHANNEL}/patient"])
@in_reactor
async def test_what_is_paused_waits_and_goes_on_in_order(tmp_path: Path, gate: str) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        await site.send(*(message(patient, 1) for patient in range(5)))
        await until(lambda: len(site.patients.applied) == 5, "it goes")
        outlet.pause(gate)
        await site.send(*(message(patient, step) for step in (2, 3) for patient in range(5)))
        await until(lambda: len(site.encounters.applied) == 15, "the other API goes on")
        assert len(site.patients.applied) == 5
        assert outlet.status()["paused"] == [gate]
        outlet.resume(gate)
        assert entries(await site.settled()) == {"delivered": 15}
        for patient in range(5):
            assert steps_of(site.patients, f"{100000 + patient}") == [1, 2, 3]


@in_reactor
async def test_a_fault_of_ours_as_an_operation_is_tried_keeps_it_shut_for_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        outlet = site.node.outlets["ehr.patients"]
        gate, send, faults = outlet.gates["putPatient"], outlet.destination.send, [0]

        async def fails_once_it_is_a_trial(*request: Any, **told: Any) -> Any:
            if gate.breaker.state == "half-open" and not faults[0]:
                faults[0] += 1
                raise RuntimeError("a fault of ours")
            return await send(*request, **told)

        monkeypatch.setattr(outlet.destination, "send", fails_once_it_is_a_trial)
        site.patients.plant(Fault("status", status=503, times=5))
        await site.send(*(message(patient, 1) for patient in range(1, 8)))
        assert entries(await site.settled()) == {"delivered": 7}
        assert (faults, gate.in_flight, len(site.patients.applied)) == ([1], 0, 7)


@in_reactor
async def test_a_fault_of_ours_that_comes_back_with_one_message_keeps_its_operation_from_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        outlet, tried = site.node.outlets["ehr.patients"], [0]
        gate, attempt = outlet.gates["putPatient"], outlet.governed.attempt

        async def fails_for_the_first(call: Call, *of_call: Any) -> Any:
            if call.message_id != 1:
                return await attempt(call, *of_call)
            tried[0] += 1
            raise RuntimeError("a fault of ours")

        monkeypatch.setattr(outlet.governed, "attempt", fails_for_the_first)
        await site.send(message(1, 1))
        await until(lambda: gate.breaker.state == "open", "the first may be one that all would meet")
        await site.send(message(2, 1))
        while not site.patients.applied:
            end_wait(outlet, "putPatient")
            await pause(0.02)
        await until(lambda: gate.breaker.state == "closed", "it was not")
        before = tried[0]
        while tried[0] == before:  # what is under way just now is parked only after it
            outlet.lanes.open("", "putPatient")
            outlet.look_again()
            await pause(0.02)
        await until(lambda: not outlet.in_flight, "the try has its outcome")
        assert gate.breaker.state == "closed"
        await site.send(message(3, 1))
        await until(lambda: len(site.patients.applied) == 2, "the others go")


@pytest.mark.parametrize(
    ("place", "verdict"),
    [("policies", "hold"), ("completed", "hold"), ("send", "ambiguous"), ("endings", "ambiguous")],
)
@in_reactor
async def test_a_fault_of_ours_in_an_attempt_is_an_outcome_and_its_delivery_goes_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str, verdict: str
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        outlet, other = (site.node.outlets[name] for name in ("ehr.patients", "ehr.encounters"))
        owner, name = {
            "policies": (Policies, "of_attempt"),
            "completed": (calling, "tells_origin"),
            "send": (outlet.destination, "send"),
            "endings": (Endings, "look"),
        }[place]
        does = getattr(owner, name)

        def fails_once(*given: Any, **named: Any) -> Any:
            monkeypatch.setattr(owner, name, does)
            raise RuntimeError("MARLOWE^JUNE")

        other.pause("api")
        monkeypatch.setattr(owner, name, fails_once)
        with capture_logs() as logged:
            await site.send(message(1, 1), message(1, 2))
            await until(lambda: any(each["event"] == "not-delivered" for each in logged), "it has an outcome")
        [fault] = [each for each in logged if each["event"] == "attempt-fault"]
        assert (fault["fault"], fault["verdict"]) == ("RuntimeError", verdict)
        assert "test_lanes_in_a_node" in fault["place"]
        assert "MARLOWE" not in repr(logged)
        if verdict == "hold":
            assert "1 delivery met a fault of the bridge" in await command(
                site, "status", "--check", status=1
            )
            end_wait(outlet, "putPatient")
        other.resume("api")
        assert entries(await site.settled()) == {"delivered": 2}
        assert steps_of(site.patients, "100001") == [1, 2]
        assert await site.node.journal.read(at_fault) == 0
        told = await site.node.journal.read(story, 1)
        assert told is not None
        tried = [each["verdict"] for each in told.attempts if each["reason"] == FAULT_OF_OURS]
        assert tried == [verdict]

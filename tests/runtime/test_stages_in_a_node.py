"""A whole node in front of an old engine: each stage, and the ways between them."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from nodes import entries, steps_of
from reactor_tests import in_reactor, until
from staged_site import Staged, staged

from bridge.cli.checks import of_node
from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.cli.synthetic import Synthetic, admission
from bridge.destinations.in_loop import in_loop
from bridge.journal.actions import latest
from bridge.journal.route_facts import route_facts
from bridge.journal.search import story
from bridge.runtime.recorder import Recorder


def message(patient: int, step: int, event: str = "A08") -> Synthetic:
    return admission(patient, step, event, control_id=f"C{patient}-{step}")


@in_reactor
async def test_in_relay_the_senders_hear_the_engine_and_the_bridge_only_reads(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        answers = await site.send(*(message(patient, step) for step in (1, 2) for patient in range(3)))
        assert {answer.code for answer in answers} == {"AA"}
        await site.applied(6)
        ledger = await site.settled()
        assert entries(ledger) == {"relayed": 6}
        found = await site.running().journal.read(story, 1)
        assert found is not None
        assert b"|EC0-1|" in found.message["answer"], "the engine's own answer, byte for byte"
        assert [len(site.patients.applied), len(site.encounters.applied)] == [6, 6]


@in_reactor
async def test_in_shadow_requests_are_recorded_compared_and_cannot_be_sent(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        assert (await site.stage("shadow"))["done"]
        await site.send(*(message(patient, step) for step in (1, 2) for patient in range(3)))
        board = await site.compared(6)
        assert {name: row["different"] for name, row in board.items()} == {"patient": 0, "encounter": 0}
        assert entries(await site.settled()) == {"recorded": 6}
        assert all(isinstance(each.destination, Recorder) for each in site.running().outlets.values())
        assert [len(site.patients.applied), len(site.encounters.applied)] == [6, 6]
        for patient in range(3):
            assert steps_of(site.patients, f"{100000 + patient}") == [1, 2]


@in_reactor
async def test_all_the_way_and_back_nothing_is_lost_doubled_or_out_of_order(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        step, patients = 0, 12

        async def send(rounds: int = 2) -> None:
            nonlocal step
            for _ in range(rounds):
                step += 1
                await site.send(*(message(patient, step) for patient in range(patients)))

        await send()
        assert (await site.stage("shadow")).get("done")
        await send()
        await site.compared(patients)
        assert (await site.stage("canary", share=5000)).get("done")
        await send(3)
        await site.compared(patients)
        assert (await site.stage("primary")).get("done")
        await send(3)
        await site.compared(patients)
        assert (await site.stage("back", replay=True)).get("done")
        await send(2)
        await site.stage("primary", force=False)  # taken or refused, by what was compared until now
        await site.stage("shadow", replay=True)
        await send(2)
        await site.applied(step * patients)
        await site.settled()
        for api in (site.patients, site.encounters):
            for patient in range(patients):
                assert steps_of(api, f"{100000 + patient}") == list(range(1, step + 1)), (patient, step)


@contextmanager
def listening_sink() -> Iterator[tuple[str, list[bytes]]]:
    """A server that counts who connects, and answers nobody."""
    seen: list[bytes] = []
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.1)
    ending = threading.Event()

    def accept() -> None:
        while not ending.is_set():
            with suppress(TimeoutError):
                connection, _ = listener.accept()
                seen.append(b"")
                connection.close()

    thread = threading.Thread(target=accept)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}", seen
    finally:
        ending.set()
        thread.join(5)
        listener.close()


@in_reactor
async def test_in_shadow_nobody_connects_to_the_destination(tmp_path: Path) -> None:
    with listening_sink() as (url, seen):
        async with staged(tmp_path) as site:
            await site.stop()
            for api in (tmp_path / "site" / "channels" / "apis").iterdir():
                text = api.read_text()
                for real in site.urls.values():
                    text = text.replace(real, url)
                api.write_text(text)
            await site.start()
            await site.stage("shadow")
            await site.send(*(message(patient, 1) for patient in range(4)))
            await site.compared(4)
            assert seen == []
            assert all(isinstance(each.destination, Recorder) for each in site.running().outlets.values())
            # The sink is one that would have seen it.
            await site.stage("canary", share=10_000)
            await site.send(*(message(patient, 2) for patient in range(4)))
            await until(lambda: bool(seen), "the bridge calls once its stage lets it")


@in_reactor
async def test_a_promotion_whose_gates_do_not_hold_is_refused_and_two_persons_may_force_it(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path, messages=1000) as site:
        await site.stage("shadow")
        refused = await site.stage("canary", f"{CHANNEL}/patient", share=500)
        assert refused["exit"] == 1
        assert "pairs compared: 0, wanted at least 1000" in refused["error"]
        alone = await site.stage("canary", f"{CHANNEL}/patient", share=500, force=True)
        assert "needs two persons" in alone["error"]
        await site.ask("stage", actor="user:anna", target=f"{CHANNEL}/patient", stage="canary", approve=True)
        still = await site.stage("canary", f"{CHANNEL}/patient", share=500, force=True)
        assert "needs two persons" in still["error"], "one person does not become two"
        await site.ask("stage", actor="user:bert", target=f"{CHANNEL}/patient", stage="canary", approve=True)
        later_us = site.running().parts.world.now_us() + 8 * 86_400_000_000
        facts = await site.running().journal.read(route_facts, CHANNEL, "patient", "canary", later_us)
        assert facts.approved_by == (), "who agreed a week ago has agreed to something else"
        done = await site.stage("canary", f"{CHANNEL}/patient", share=500, force=True)
        assert "canary 5 %" in done["done"][0]
        actions = await site.running().journal.read(latest, subjects=[f"route {CHANNEL}/patient"])
        assert [row.action for row in actions] == ["stage", "stage-approve", "stage-approve", "stage"]
        assert "(forced)" in actions[0].reason


@in_reactor
async def test_what_was_taken_and_not_sent_goes_back_to_the_engine_in_order(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        await site.stage("shadow")
        await site.send(*(message(patient, 1) for patient in range(4)))
        await site.compared(4)
        await site.stage("canary", share=10_000)
        # The APIs refuse what the bridge sends, and it waits; what the engine sends is let through.
        for api in (site.patients, site.encounters):
            api.plant(Fault("status", status=503, times=None))
        await site.send(*(message(patient, step) for step in (2, 3) for patient in range(4)))
        await site.pause(1.5)
        assert len(site.patients.applied) == 4
        for api in (site.patients, site.encounters):
            api._faults.clear()
            api.plant(Fault("status", status=503))
        done = await site.stage("shadow", replay=True)
        assert all("go to the old engine again" in each for each in done["done"])
        await site.send(*(message(patient, 4) for patient in range(4)))
        await site.applied(16)
        for api in (site.patients, site.encounters):
            for patient in range(4):
                assert steps_of(api, f"{100000 + patient}") == [1, 2, 3, 4]
        assert entries(await site.settled())["superseded"] > 0


@in_reactor
async def test_what_was_delivered_goes_back_only_where_two_persons_want_it_twice(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        await site.stage("shadow")
        await site.send(*(message(patient, 1) for patient in range(4)))
        board = await site.compared(4)
        assert [row["trend"][-1] for row in board.values()] == [(4, 0), (4, 0)]
        assert (await site.stage("canary", share=10_000)).get("done")
        await site.send(*(message(patient, 2) for patient in range(4)))
        await site.applied(8)
        await site.settled()
        route = f"{CHANNEL}/patient"
        refused = await site.stage("shadow", route, replay=True, force=True)
        assert "needs two persons" in refused["error"]
        await site.ask("stage", actor="user:bert", target=route, stage="shadow", approve=True)
        done = await site.stage("shadow", route, replay=True, force=True)
        assert "4 messages go to the old engine again" in done["done"][0]
        await until(lambda: len(site.patients.applied) == 12, "what the engine makes of them once more")
        for patient in range(4):
            assert steps_of(site.patients, f"{100000 + patient}") == [1, 2, 2]
        (action, *_) = await site.running().journal.read(latest, subjects=[f"route {route}"])
        assert "(forced)" in action.reason


@in_reactor
async def test_an_unexplained_difference_takes_a_financial_route_back_by_itself(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:
        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(channel.read_text().replace("parity:\n", "parity:\n  financial: true\n"))
        await site.ask("reload")
        await site.stage("shadow")
        await site.send(*(message(patient, 1) for patient in range(4)))
        await site.compared(4)
        await site.stage("canary", share=5000)
        mapping = tmp_path / "site" / "mappings" / "adt-admit.yaml"
        text = mapping.read_text().replace("room:                  PV1-3.2", "room:                  PV1-3.1")
        mapping.write_text(text[: text.index("\ntests:")] + "\n")
        await site.ask("reload")
        await site.send(*(message(patient, 2) for patient in range(4)))
        stages: dict[str, str] = {}
        for _ in range(100):
            stages = {name: row["stage"] for name, row in (await site.board()).items()}
            if stages["encounter"] == "shadow":
                break
            await site.pause(0.1)
        assert stages == {"patient": "canary", "encounter": "shadow"}


@in_reactor
async def test_what_the_engine_takes_and_the_bridge_alone_would_refuse_is_counted_from_the_stage_on(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as site:

        async def counted() -> int:
            facts = await site.running().journal.read(route_facts, CHANNEL, "patient", "primary", 0)
            return facts.would_refuse

        answers = await site.send(message(1, 1, "A31"), message(1, 2))
        assert [answer.code for answer in answers] == ["AA", "AA"]
        await site.settled()
        found = await site.running().journal.read(story, 1)
        assert found is not None
        assert found.message["reason"] == "would-be-refused: type-not-accepted"
        assert await counted() == 1
        await site.stage("shadow")
        assert await counted() == 0
        await site.send(message(1, 3, "A31"), message(1, 4, "A31"), message(1, 5))
        await site.settled()
        assert await counted() == 2


@in_reactor
async def test_a_query_is_relayed_and_its_answer_is_the_engines(tmp_path: Path) -> None:
    async with staged(tmp_path, acknowledge="journaled") as site:
        query = message(1, 1)
        body = query.body.replace(b"ADT^A08^ADT_A01", b"QBP^Q22^QBP_Q21")
        asked = replace(query, body=body)
        answers = await site.send(asked, asked)
        assert [answer.code for answer in answers] == ["AA", "AA"]
        assert entries(await site.settled()) == {"relayed": 2}, "a query is never taken for a repeat"


@in_reactor
async def test_an_engine_that_is_away_is_told_of_with_what_waits_for_it(tmp_path: Path) -> None:
    late = "relayed, answer: {within: 200ms, late: AA}"
    async with staged(tmp_path, acknowledge=late) as site:

        async def engine() -> dict[str, Any]:
            found: dict[str, Any] = (await site.ask("status"))["engines"][CHANNEL]
            return found

        assert await engine() == {"away": "", "owed": 0, "oldest_us": None, "taps": {}}
        await in_loop(site.engine.stop())
        assert {answer.code for answer in await site.send(message(1, 1), message(2, 1))} == {"AA"}
        await until(lambda: bool(site.running().parts.feeds[CHANNEL].away), "to notice")
        found = await engine()
        assert "ConnectionRefused" in found["away"]
        assert (found["owed"], found["oldest_us"] > 0) == (2, True)
        told = of_node(await site.ask("status"))
        assert [words for words in told if "is away" in words and "2 messages" in words], told
        await site.start_engine()
        await site.applied(2)
        await until(lambda: not site.running().parts.feeds[CHANNEL].owed, "its answers to be written down")
        assert await engine() == {"away": "", "owed": 0, "oldest_us": None, "taps": {}}


async def _in_canary(site: Staged, legacy: str) -> None:
    """All keys in a canary, with more words below `legacy:`, and APIs that take nothing for good."""
    channel = site.folder / "site" / "channels" / f"{CHANNEL}.yaml"
    channel.write_text(channel.read_text().replace("  taps:\n", f"  {legacy}\n  taps:\n", 1))
    await site.ask("reload")
    await site.stage("shadow")
    await site.send(*(message(patient, 1) for patient in range(8)))
    await site.compared(8)
    await site.stage("canary", share=10_000)
    await site.applied(8)
    for api in (site.patients, site.encounters):
        api.plant(Fault("status", status=422, times=None))
    await site.send(*(message(patient, 2) for patient in range(8)))
    await until(lambda: _quarantined(site) >= 16, "persons to be needed")


def _quarantined(site: Staged) -> int:
    return sum(len(each.lanes.barriers) for each in site.running().outlets.values())


@pytest.mark.parametrize(
    ("legacy", "expected", "why"),
    [
        ("blocked_max: 0", "shadow", "its error budget burns"),
        ("error_budget_percent: 0", "shadow", "8 of its messages block their keys, more than 5"),
        ("error_budget_percent: 0\n  blocked_max: 8", "canary", ""),
    ],
)
@in_reactor
async def test_a_route_whose_calls_fail_goes_back_by_itself(
    tmp_path: Path, legacy: str, expected: str, why: str
) -> None:
    async with staged(tmp_path) as site:
        await _in_canary(site, legacy)
        await site.running().stages.look_at_calls()
        board = await site.board()
        assert {row["stage"] for row in board.values()} == {expected}
        if why:
            assert {row["actor"] for row in board.values()} == {"bridge"}
            assert all(why in row["reason"] for row in board.values()), board
        await site.running().stages.look_at_calls()
        assert {row["stage"] for row in (await site.board()).values()} == {expected}, "one step, not two"


@in_reactor
async def test_a_tap_that_cannot_listen_after_a_reload_is_told_of_and_tried_again(tmp_path: Path) -> None:
    async with staged(tmp_path) as site:

        async def shut() -> dict[str, str]:
            found: dict[str, str] = (await site.ask("status"))["engines"][CHANNEL]["taps"]
            return found

        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        with socket.create_server(("127.0.0.1", 0)) as other:
            port, before = other.getsockname()[1], site.ports["patients"]
            channel.write_text(channel.read_text().replace(f"tcp:{before}:", f"tcp:{port}:"))
            assert "error" not in await site.ask("reload")
            for _ in range(100):
                if await shut():
                    break
                await site.pause(0.05)
            assert list(await shut()) == ["patient"]
            told = of_node(await site.ask("status"))
            assert [words for words in told if f"the tap of {CHANNEL}/patient cannot listen" in words], told
        await until(lambda: site.running().parts.taps[CHANNEL, "patient"].port is not None, "to listen")
        assert await shut() == {}


@in_reactor
async def test_a_tap_of_other_options_takes_the_same_port_and_a_channel_may_get_its_engine_by_a_reload(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as site:
        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        text = channel.read_text()
        channel.write_text(
            text.replace("control_id: X-Message-ID", "control_id: X-Message-ID\n        max_body: 1MiB")
        )
        assert "error" not in await site.ask("reload")
        await until(
            lambda: all(tap.port is not None for tap in site.running().parts.taps.values()), "both to listen"
        )
        alone = text[: text.index("legacy:")] + text[text.index("routes:") :]
        channel.write_text(alone.replace("acknowledge: relayed", "acknowledge: journaled"))
        assert "error" not in await site.ask("reload")
        channel.write_text(text)
        assert "error" not in await site.ask("reload")
        assert {answer.code for answer in await site.send(message(1, 1))} == {"AA"}
        await site.applied(1)


@in_reactor
async def test_without_a_control_id_calls_are_paired_by_what_they_write_to_in_their_order(
    tmp_path: Path,
) -> None:
    async with staged(tmp_path) as site:
        channel = tmp_path / "site" / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(channel.read_text().replace("        control_id: X-Message-ID\n", ""))
        assert "control_id" not in channel.read_text()
        assert "error" not in await site.ask("reload")
        await site.stage("shadow")
        for step in (1, 2, 3):
            await site.send(*(message(patient, step) for patient in range(3)))
        board = await site.compared(9)
        assert {name: row["different"] for name, row in board.items()} == {"patient": 0, "encounter": 0}
        # Of a canary every key is handed over all the same, and nothing comes twice.
        await site.stage("canary", share=10_000)
        await site.send(*(message(patient, 4) for patient in range(3)))
        await site.applied(12)
        await site.settled()
        for api in (site.patients, site.encounters):
            for patient in range(3):
                assert steps_of(api, f"{100000 + patient}") == [1, 2, 3, 4]

"""Senders that wait for more than the disk: what they hear, and what becomes of a message that fails."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from lane_messages import change_api, line, message
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, pause, until
from twisted.internet.defer import Deferred, gatherResults

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.journal.messages import RECEIVE
from bridge.journal.search import find_messages, story

pytestmark = pytest.mark.both_databases


def waits_for(what: str, within: str = "20s", late: str = "AE") -> Callable[[str], str]:
    return line(
        'interface=127.0.0.1"}',
        f'interface=127.0.0.1", acknowledge: {what}, answer: {{within: {within}, late: {late}}}}}',
    )


async def states(site: Hospital, message_id: int) -> tuple[str, dict[str, str]]:
    assert site.node is not None
    found = await site.node.journal.read(story, message_id)
    assert found is not None
    return found.message["state"], {row["route"]: row["state"] for row in found.deliveries}


async def until_state(site: Hospital, message_id: int, state: str) -> None:
    """Wait until a message is in a state; a test that waits in vain is ended."""
    while (await states(site, message_id))[0] != state:
        await pause(0.02)


@in_reactor
async def test_delivered_means_that_every_api_has_it(tmp_path: Path) -> None:
    async with hospital(tmp_path, waits_for("delivered")) as site:
        site.encounters.plant(Fault("status", status=503, times=2))
        for step in (1, 2):
            (answer,) = await site.send(message(1, step))
            assert answer.code == "AA"
            assert steps_of(site.patients, "100001")[-1] == step
            assert steps_of(site.encounters, "100001")[-1] == step


@in_reactor
async def test_a_message_that_cannot_be_mapped_goes_back_to_its_sender_and_stops_nothing(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path, waits_for("translated")) as site:
        broken = message(1, 1, changed={"EVN|": b"PV1|1|I|OTHER\rEVN|"})
        first, again, after = await site.send(broken, broken, message(1, 2))
        assert [each.code for each in (first, again, after)] == ["AE", "AE", "AA"]
        assert entries(await site.settled()) == {"refused": 2, "delivered": 1}
        assert steps_of(site.patients, "100001") == [2]
        assert await states(site, 1) == ("REFUSED", {})


@in_reactor
async def test_what_an_api_refuses_goes_back_to_its_sender_and_its_key_goes_on(tmp_path: Path) -> None:
    async with hospital(tmp_path, waits_for("delivered")) as site:
        site.patients.plant(Fault("status", status=422, path="100001", times=3))
        refused, after, again = await site.send(message(1, 1), message(1, 2), message(1, 1))
        assert [each.code for each in (refused, after, again)] == ["AE", "AA", "AA"]
        assert await states(site, 1) == ("REFUSED", {"patient": "DISCARDED", "encounter": "DELIVERED"})
        assert steps_of(site.patients, "100001") == [2, 1], "the same again is processed anew"
        assert steps_of(site.encounters, "100001") == [1, 2], "and known again by the API that had it"
        assert entries(await site.settled()) == {"refused": 1, "delivered": 2}


@in_reactor
async def test_who_hears_aa_at_a_stop_does_not_get_the_message_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path, waits_for("translated", late="AA")) as site:
        assert site.node is not None
        answers = site.node.parts.answers[CHANNEL]
        decide, stops = answers.decide, []

        def stopped_as_it_decides(message_id: int) -> bool:
            said = decide(message_id)
            stops.append(Deferred.fromCoroutine(answers.stop()))
            return said

        monkeypatch.setattr(answers, "decide", stopped_as_it_decides)
        (answer,) = await site.send(message(1, 1, changed={"EVN|": b"PV1|1|I|OTHER\rEVN|"}))
        await gatherResults(stops)
        await until_state(site, 1, "REFUSED")
        assert answer.code == "AE", "its refusal was being written"


@in_reactor
async def test_too_late_is_no_refusal_and_a_repeat_hears_what_became_of_it(tmp_path: Path) -> None:
    async with hospital(tmp_path, waits_for("delivered", within="300ms")) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        assert [each.code for each in await site.send(message(1, 1))] == ["AE"]
        site.patients._faults.clear()
        assert entries(await site.settled()) == {"delivered": 1}
        assert [each.code for each in await site.send(message(1, 1), message(1, 1))] == ["AA", "AA"]
        assert entries(await site.settled()) == {"delivered": 1, "duplicate": 2}
        assert steps_of(site.patients, "100001") == [1]


@in_reactor
async def test_a_repeat_hears_that_the_first_is_mapped_and_does_not_wait_for_its_delivery(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path, waits_for("translated", within="3s")) as site:
        assert site.node is not None
        translator = site.node.translators[CHANNEL]
        site.patients.plant(Fault("status", status=503, times=None))
        translator.pause()
        assert [each.code for each in await site.send(message(1, 1))] == ["AE"]
        translator.resume()
        await until(lambda: len(site.patients.attempts) > 0, "it is mapped, and is tried")
        assert [each.code for each in await site.send(message(1, 1))] == ["AA"]
        assert site.patients.applied == []
        site.patients._faults.clear()
        assert entries(await site.settled()) == {"delivered": 1, "duplicate": 1}


@pytest.mark.parametrize("broken", [False, True])
@in_reactor
async def test_a_message_that_is_translated_before_its_sender_is_followed_is_answered_all_the_same(
    tmp_path: Path, broken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path, waits_for("translated")) as site:
        node = site.node
        assert node is not None
        translator, submit = node.translators[CHANNEL], node.journal.submit
        done: Deferred[None] = Deferred()

        async def translated_first(journaled: Deferred[Any]) -> Any:
            receipt = await journaled
            # The reader of the journal comes by before the commit is heard of, as it may at a start.
            translator._window.behind = True
            translator._wake()
            await done
            return receipt

        def submitted(work: Any, item: Any, *, within_s: float = 0.0) -> Deferred[Any]:
            result = submit(work, item, within_s=within_s)
            return Deferred.fromCoroutine(translated_first(result)) if work is RECEIVE else result

        await until(lambda: translator._wakeup is not None, "it has read what the journal held")
        monkeypatch.setattr(node.journal, "submit", submitted)
        sent = message(1, 1, changed={"EVN|": b"PV1|1|I|OTHER\rEVN|"} if broken else {})
        answering = Deferred.fromCoroutine(site.send(sent))
        while not (rows := await node.journal.read(find_messages)) or rows[0]["state"] == "RECEIVED":
            assert not answering.called
        done.callback(None)
        assert [each.code for each in await answering] == ["AE" if broken else "AA"]
        assert entries(await site.settled()) == ({"quarantined": 1} if broken else {"delivered": 1})


@in_reactor
async def test_a_repeat_of_one_under_way_gets_that_one_s_answer(tmp_path: Path) -> None:
    async with hospital(tmp_path, waits_for("delivered")) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        first = Deferred.fromCoroutine(site.send(message(1, 1)))
        await until(lambda: len(site.patients.attempts) > 0, "the first is under way")
        second = Deferred.fromCoroutine(site.send(message(1, 1)))
        assert site.node is not None
        journal = site.node.journal
        while len(await journal.read(find_messages)) < 2:
            assert not first.called
        site.patients._faults.clear()
        answers = [*await first, *await second]
        assert [each.code for each in answers] == ["AA", "AA"]
        assert steps_of(site.patients, "100001") == [1]


@in_reactor
async def test_a_node_that_stops_leaves_no_sender_waiting_and_the_next_one_knows_the_answer(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path, waits_for("delivered")) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        first = Deferred.fromCoroutine(site.send(message(1, 1)))
        await until(lambda: len(site.patients.attempts) > 0, "the first is under way")
        await site.stop()
        assert [each.code for each in await first] == ["AE"]
        site.patients._faults.clear()
        await site.start()
        assert [each.code for each in await site.send(message(1, 1))] == ["AA"]
        assert entries(await site.settled()) == {"delivered": 1, "duplicate": 1}


@in_reactor
async def test_what_fails_when_nobody_waits_any_more_waits_for_a_person(tmp_path: Path) -> None:
    async with hospital(tmp_path, waits_for("delivered", within="200ms")) as site:
        await site.stop()
        change_api(site, "ehr.patients", "{base: 100ms, cap: 1s}", "{base: 4s, cap: 8s}")
        node = await site.start()
        site.patients.plant(Fault("status", status=422, path="100001", times=3))
        assert [each.code for each in await site.send(message(1, 1))] == ["AE"]
        await until(lambda: node.outlets["ehr.patients"].status()["keys_blocked"] == 1, "it is given up")
        assert [each.code for each in await site.send(message(1, 1))] == ["AE"]
        assert entries(await site.settled()) == {"quarantined": 1, "duplicate": 1}

"""After an API, its token or its certificate was repaired: what failed is told, is tried, and arrives."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from command_line import bridge_process
from databases import journal_url
from lane_messages import change_api, message
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, until
from shapes_held import holds
from test_commands import actions, command
from twisted.internet.threads import deferToThread

from bridge.cli.checks import FAILING_MAX_S, of_node
from bridge.cli.fake_api import Fault
from bridge.journal.tracing import _words, why
from bridge.runtime import service
from bridge.runtime.certificates import Certificates
from bridge.runtime.clock import SteadyClock
from bridge.runtime.commands import Commands

PUT = "putEncounter"


def asked(site: Hospital) -> Commands:
    """The commands of its node."""
    assert site.node is not None
    node = site.node
    return Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)


def operation(site: Hospital, name: str = PUT, api: str = "ehr.encounters") -> dict[str, Any]:
    """How an operation stands."""
    assert site.node is not None
    found: dict[str, Any] = site.node.outlets[api].status()["operations"][name]
    return found


async def left_alone(site: Hospital, *, patients: int = 4) -> Fault:
    """Encounters cannot be called, and are left alone for an hour; what keeps them from it."""
    await site.stop()
    change_api(
        site, "ehr.encounters", "{open: 50ms, open_max: 200ms}", "{consecutive: 2, open: 1h, open_max: 2h}"
    )
    await site.start()
    away = Fault("status", status=503, times=None)
    site.encounters.plant(away)
    await site.send(*(message(patient, 1) for patient in range(1, patients + 1)))
    await until(lambda: operation(site)["state"] == "open", "it is left alone")
    return away


def repaired(site: Hospital) -> None:
    """It answers as it should again."""
    site.encounters._faults.clear()


@pytest.mark.both_databases
@in_reactor
async def test_what_an_api_has_lost_is_applied_again_by_a_replay_under_a_new_key(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        assert entries(await site.settled()) == {"delivered": 1}
        before = await command(site, "replay", 1)
        assert "to ehr.patients: 1, of which it has taken 1\n" in before
        assert "ehr.patients knows a repeat by its key: of the 1 that it has taken it applies none" in before
        plain = await command(site, "replay", 1, "--yes", "--reason", "to be sure")
        assert "--new-key" in plain
        assert entries(await site.settled()) == {"delivered": 2}
        assert steps_of(site.patients, "100001") == [1], "it was a repeat to the API"
        warned = await command(site, "replay", 1, "--new-key")
        assert "ehr.patients gets new keys: it applies again the 1 that it has taken" in warned
        said = ("--yes", "--reason", "the API lost its table", "--format", "json")
        holds("replay", json.loads(await command(site, "replay", 1, "--new-key", *said)))
        assert entries(await site.settled()) == {"delivered": 3}
        assert steps_of(site.patients, "100001") == [1, 1]
        assert ("replay", "message 1 under a new key", "the API lost its table") in await actions(site)
        assert "replay new-key" in await command(site, "trace", "100001")
        await site.stop()
        url = journal_url(tmp_path)
        assert (await deferToThread(bridge_process, "journal", "verify", "--journal", url)).status == 0


@in_reactor
async def test_an_operation_without_success_while_something_waits_is_a_worry_in_time(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        site.encounters.plant(Fault("status", status=429, times=None))
        await site.send(message(1, 1), message(2, 1), message(3, 1))
        await until(lambda: operation(site)["waiting"] == 3, "all keys wait and are counted")
        assert operation(site)["state"] == "closed", "a wish for time says nothing of its health"
        status = await asked(site)("somebody", "status", {})
        found = status["apis"]["ehr.encounters"]["operations"][PUT]
        assert (found["failing"]["status"], found["reason"]) == (429, "")
        assert of_node(status) == [], "it may be over in a moment"
        found["failing"]["since_us"] -= int((FAILING_MAX_S + 1) * 1e6)
        (told,) = of_node(status)
        assert f"no call of {PUT} of ehr.encounters has succeeded for" in told
        assert told.endswith("3 keys waiting")
        shown = await command(site, "status")
        assert "failing" in shown
        site.encounters._faults.clear()
        assert entries(await site.settled()) == {"delivered": 3}
        assert operation(site)["failing"] is None


@in_reactor
async def test_a_key_that_is_held_and_keys_that_wait_for_their_time_are_counted(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await left_alone(site)
        await until(lambda: operation(site)["waiting"] == 4, "before its gate, and for their time")
        site.patients.plant(Fault("status", status=404, path="100009", times=None))
        await site.send(message(9, 1))
        await until(lambda: operation(site, "putPatient", "ehr.patients")["waiting"] == 1, "it is counted")


@in_reactor
async def test_a_person_lets_what_is_left_alone_be_tried_now(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await left_alone(site)
        for words in (("ehr.encounter",), ("ehr.encounters", "putEncountre")):
            assert "did you mean" in await command(site, "apis", "try", *words, "--reason", "x", status=2)
        hint = "`bridge apis try ehr.encounters`"
        assert hint in await command(site, "resume", "ehr.encounters", "--reason", "x", status=1)
        again = ("apis", "try", "ehr.encounters", "--reason", "its firewall is open")
        assert await command(site, *again) == f"ehr.encounters/{PUT} is tried now\n"
        await until(lambda: operation(site)["state"] == "open", "one call was not answered")
        repaired(site)
        await command(site, *again)
        assert entries(await site.settled()) == {"delivered": 4}
        assert ("try", f"ehr.encounters/{PUT}", "its firewall is open") in await actions(site)
        assert "nothing of it waits" in await command(site, *again, status=1)


@in_reactor
async def test_a_person_lets_what_waits_since_before_a_start_be_tried_now(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        site.encounters.plant(Fault("status", status=403, times=None))
        await site.send(message(1, 1))
        await until(lambda: operation(site)["waiting"] == 1, "it is held")
        await site.stop()
        repaired(site)
        await site.start()
        await until(lambda: operation(site)["waiting"] == 1, "it waits for its time")
        await command(site, "apis", "try", "ehr.encounters", "--reason", "it may be called")
        assert entries(await site.settled()) == {"delivered": 1}


class AheadByAnHour(SteadyClock):
    """As where the machine's clock was an hour ahead when the node began, and was set right then."""

    def __init__(self, wall_ns: Callable[[], int], monotonic_ns: Callable[[], int]) -> None:
        super().__init__(lambda: wall_ns() + 3600 * 10**9, monotonic_ns)


@in_reactor
async def test_after_a_clock_was_set_back_what_others_check_has_the_right_time_and_a_start_ends_long_waits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await site.stop()
        signed = "auth: none\nsign: {key: secret://file/k, key_id: k, algorithm: hmac-sha256}"
        change_api(site, "ehr.encounters", "auth: none", signed)
        site.secrets = lambda _: base64.b64encode(bytes(32)).decode()
        with monkeypatch.context() as ahead:
            ahead.setattr(service, "SteadyClock", AheadByAnHour)
            await site.start()
            site.encounters.plant(Fault("status", status=503, retry_after="2", times=None))
            await site.send(message(1, 1))
            await until(lambda: operation(site)["waiting"] == 1, "it waits")
            told = site.encounters.attempts[0].headers["Signature-Input"].partition("created=")[2]
            assert abs(int(told.partition(";")[0]) - time.time()) < 600
            await site.stop()
        repaired(site)
        node = await site.start()
        (row,) = [
            each
            for each in await node.journal.read(why, node.journal.facts, "100001")
            if each["api"] == "ehr.encounters"
        ]
        assert row["due_at_us"] / 1e6 - time.time() < 600
        assert entries(await site.settled()) == {"delivered": 1}


@pytest.mark.parametrize(
    ("reason", "said"),
    [("auth-unavailable", "its token server gave no token"), ("unavailable", "the API did")],
)
def test_where_a_token_server_gave_no_token_nobody_is_told_that_the_api_refused(
    reason: str, said: str
) -> None:
    assert said in _words({"state": "RETRY_WAIT", "last_status": None, "last_reason": reason}, (), None)


@in_reactor
async def test_what_goes_again_to_an_operation_that_is_left_alone_is_not_called_done(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await left_alone(site)
        assert site.node is not None
        rows = [
            (await site.node.journal.read(why, site.node.journal.facts, f"10000{patient}"))
            for patient in range(1, 5)
        ]
        waiting = [row for found in rows for row in found if row["state"] == "RETRY_WAIT"]
        said = await command(site, "quarantine", "retry", f"d{waiting[0]['id']}", "--reason", "mended")
        assert f"{PUT} of ehr.encounters is left alone (unavailable)" in said
        assert f"`bridge apis try ehr.encounters {PUT}`" in said
        assert "done" not in said


@in_reactor
async def test_a_reload_ends_the_wait_of_what_is_left_alone(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await left_alone(site)
        repaired(site)
        assert f"ehr.encounters/{PUT} was left alone, and is tried now" in await command(site, "reload")
        assert entries(await site.settled()) == {"delivered": 4}
        assert await command(site, "reload") == "nothing has changed\n"


@in_reactor
async def test_changed_tls_files_of_an_api_end_its_wait_and_those_of_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await left_alone(site)
        repaired(site)
        assert site.node is not None
        look, outlets = Certificates(site.node.parts), site.node.outlets
        monkeypatch.setattr(outlets["ehr.patients"].destination, "look_at_files", lambda: ("",))
        look.look()
        assert operation(site)["state"] == "open", "it was another's"
        monkeypatch.setattr(outlets["ehr.encounters"].destination, "look_at_files", lambda: ("no key",))
        look.look()
        assert operation(site)["state"] == "open", "they are not in use"
        monkeypatch.setattr(outlets["ehr.encounters"].destination, "look_at_files", lambda: ("",))
        look.look()
        assert entries(await site.settled()) == {"delivered": 4}


@in_reactor
async def test_an_operation_that_is_left_alone_is_told_with_the_newest_reason(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await left_alone(site)
        assert operation(site)["reason"] == "unavailable"
        repaired(site)
        site.encounters.plant(Fault("status", status=429, times=None))
        await command(site, "apis", "try", "ehr.encounters", "--reason", "it is back, and busy")
        await until(lambda: operation(site)["failing"]["status"] == 429, "it answers otherwise")
        assert operation(site)["reason"] == operation(site)["failing"]["reason"] != "unavailable"


@in_reactor
async def test_who_waits_for_a_next_attempt_hears_when_and_a_call_without_an_answer_is_none(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        site.encounters.plant(Fault("cut", times=None))
        await site.send(message(1, 1))
        await until(lambda: operation(site)["waiting"] == 1, "it waits")
        said = await command(site, "why", "100001", status=1)
        assert "answer" not in said
        assert "  " not in said
        assert "(unknown)" not in said

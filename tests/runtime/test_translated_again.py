"""What becomes of a message whose translation cannot be written, or waited for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lane_messages import message
from nodes import Hospital, hospital
from reactor_tests import in_reactor
from twisted.internet.defer import Deferred, gatherResults

from bridge.delivery.state import MessageState
from bridge.journal import messages
from bridge.journal.search import story
from bridge.runtime.held_codes import try_again
from bridge.runtime.making import Made, Maker
from bridge.runtime.replay_commands import replay


async def of_message(site: Hospital, message_id: int) -> dict[str, Any]:
    """A message as the journal has it."""
    assert site.node is not None
    found = await site.node.journal.read(story, message_id)
    assert found is not None
    return dict(found.message)


@in_reactor
async def test_a_translation_that_the_journal_refuses_costs_its_own_message_and_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    step = messages._step

    def refusing(tx: Any, each: Any) -> None:
        if each.message_id == 1 and each.state is MessageState.MAPPED:
            raise ValueError("it breaks a rule of the journal")
        step(tx, each)

    monkeypatch.setattr(messages, "_step", refusing)
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1), message(2, 1))
        await site.settled()
        first, second = await of_message(site, 1), await of_message(site, 2)
    assert (first["state"], first["reason"]) == ("QUARANTINED", "journal-refused")
    assert second["state"] == "MAPPED"


def fails(_self: Maker, _source: object, _message: object, made: Made, _known: object) -> None:
    """A mapping that does not know a code of the message, say."""
    made.fail("mapping-failed")


async def replayed_and_repaired(
    site: Hospital, monkeypatch: pytest.MonkeyPatch, only: dict[str, str]
) -> None:
    """Replay message 1 while its mapping fails, and let it be tried again once that is repaired."""
    assert site.node is not None
    whole = Maker._map_and_release
    monkeypatch.setattr(Maker, "_map_and_release", fails)
    asked = {**only, "dry_run": False, "reason": "once more", "force": True}
    (again,) = (await replay(site.node.parts, [1], "user:x", asked))["replayed"]
    await site.settled()
    assert (await of_message(site, again))["state"] == "QUARANTINED"
    monkeypatch.setattr(Maker, "_map_and_release", whole)
    assert await try_again(site.node.parts, "user:x", again, "repaired") == ""
    await site.settled()


@in_reactor
async def test_a_replay_for_one_api_that_waited_for_a_person_goes_to_that_one_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        await site.settled()
        await replayed_and_repaired(site, monkeypatch, {"api": "ehr.patients"})
        assert (len(site.patients.attempts), len(site.encounters.attempts)) == (2, 1)


@in_reactor
async def test_a_replay_that_waited_for_a_person_has_the_key_by_which_its_api_knows_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        await site.settled()
        await replayed_and_repaired(site, monkeypatch, {})
        assert len({each.idempotency_key for each in site.patients.attempts}) == 1
        assert len(site.patients.applied) == 1


@in_reactor
async def test_of_two_who_try_one_message_again_at_once_the_second_hears_that_it_has_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        whole = Maker._map_and_release
        monkeypatch.setattr(Maker, "_map_and_release", fails)
        await site.send(message(1, 1))
        await site.settled()
        monkeypatch.setattr(Maker, "_map_and_release", whole)
        parts = site.node.parts
        both = [Deferred.fromCoroutine(try_again(parts, f"user:{name}", 1, "repaired")) for name in "xy"]
        said = await gatherResults(both)
        await site.settled()
        assert sorted(said) == ["", "somebody else has decided about it meanwhile"]
        assert len(site.patients.applied) == 1

"""A backup made while senders send is put back elsewhere; a node goes on from it when a person says so."""

from __future__ import annotations

import json
import shutil
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from command_line import bridge_process
from databases import journal_url
from nodes import Hospital, steps_of
from reactor_tests import in_reactor, pause, until
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.synthetic import Synthetic, admissions
from bridge.journal.history import check
from bridge.journal.ledger import Ledger, ledger
from bridge.journal.search import find_messages

PATIENTS, AT_ONCE = 20, 20


async def commanded(site: Hospital, *arguments: object, status: int | None = 0) -> str:
    """What a command prints that somebody types where the journal of a site is."""
    ended = await deferToThread(
        bridge_process, *arguments, NO_COLOR="1", COLUMNS="200", BRIDGE_STATE=str(site.folder)
    )
    assert status in (None, ended.status), ended.said
    return ended.said


async def stopped(site: Hospital) -> list[dict[str, Any]]:
    said = await commanded(
        site, "status", "--format", "json", "--journal", journal_url(site.folder), status=None
    )
    found: list[dict[str, Any]] = json.loads(said)["node"]["stopped"]
    return found


async def ledger_of(site: Hospital) -> Ledger:
    assert site.node is not None
    return await site.node.journal.read(ledger)


def effects(site: Hospital) -> list[str]:
    """The idempotency key of each call that had an effect."""
    return [each.idempotency_key for each in (*site.patients.applied, *site.encounters.applied)]


async def sent_meanwhile(site: Hospital, under_way: Deferred[Any]) -> list[Synthetic]:
    """Send until something has ended, and a little more; what was sent, in order."""
    feed = admissions(PATIENTS, steps=10_000)
    sent: list[Synthetic] = []
    for _ in range(2):
        while True:
            some = list(islice(feed, AT_ONCE))
            assert {each.code for each in await site.send(*some)} == {"AA"}
            sent += some
            if under_way.called:
                break
    return sent


def elsewhere(site: Hospital, folder: Path) -> Hospital:
    """The same site with the same APIs, in another folder, which has no journal."""
    other = Hospital(folder)
    other.patients, other.encounters = site.patients, site.encounters
    shutil.copytree(site.folder / "site", folder / "site")
    return other


@pytest.mark.both_databases
@in_reactor
async def test_a_backup_made_under_load_goes_on_elsewhere_once_a_person_says_so(tmp_path: Path) -> None:
    site, backup, folder = Hospital(tmp_path), tmp_path / "night.db", tmp_path / "elsewhere"
    await site.open()
    other = elsewhere(site, folder)
    try:
        await site.start()
        await site.send(*admissions(PATIENTS, first=PATIENTS, prefix="FIRST", steps=1))
        backing = Deferred.fromCoroutine(
            commanded(site, "journal", "backup", backup, "--journal", journal_url(site.folder))
        )
        messages = await sent_meanwhile(site, backing)
        await site.settled()
        await site.stop()
        happened = effects(site)
        assert len(happened) == len(set(happened)) == 2 * (PATIENTS + len(messages))
        looked = json.loads(await commanded(site, "journal", "verify-backup", backup, "--format", "json"))
        held = looked["messages"]
        assert looked["wrong"] == []
        assert PATIENTS < held < PATIENTS + len(messages)

        said = await commanded(other, "journal", "restore", backup, journal_url(folder))
        assert f"{held} messages, each row as it was" in said
        await _waits_for_a_person(other, held)
        assert effects(site) == happened, "something moved before a person had looked"

        await commanded(
            other, "resume", "--all", "--reason", "looked at it", "--journal", journal_url(folder)
        )
        await until(lambda: other.node is not None and CHANNEL in other.node.addresses(), "to listen again")
        after = await other.settled()
        assert after.balanced
        assert after.received[CHANNEL] == held
        # What was open when the backup was made has been sent since, and the APIs know it by its key.
        assert effects(site) == happened
        await _a_person_looks_at_what_was_not_translated(other)
        lost = messages[held - PATIENTS :]
        await _lost_messages_come_again(other, lost)
        for patient in {each.patient for each in messages}:
            steps = [each.step for each in (*messages, *lost) if each.patient == patient]
            assert steps_of(other.patients, patient) == steps
        print(
            f"{(await backing).strip()}; {held} messages in it, {PATIENTS + len(messages) - held} sent again"
        )
    finally:
        await other.stop()
        await site.close()


async def _waits_for_a_person(other: Hospital, held: int) -> None:
    node = await other.start()
    (row,) = await stopped(other)
    assert (row["subject"], row["intake"]) == (f"channel {CHANNEL}", True)
    assert "this is a backup of" in row["reason"]
    assert node.addresses().get(CHANNEL) is None
    before = await ledger_of(other)
    assert before.balanced
    assert before.received[CHANNEL] == held
    await pause(0.3)


async def _a_person_looks_at_what_was_not_translated(other: Hospital) -> None:
    """What the old node did with such a message stood in no row: so a person says that it was delivered."""
    assert other.node is not None
    rows = await other.node.journal.read(find_messages, state="QUARANTINED", limit=1000)
    assert {row["reason"] for row in rows} <= {"restored"}
    if rows:
        numbers = [f"m{row['id']}" for row in rows]
        reason = ("--reason", "the old node had sent it")
        await commanded(
            other, "quarantine", "discard", *numbers, *reason, "--journal", journal_url(other.folder)
        )


async def _lost_messages_come_again(other: Hospital, lost: list[Synthetic]) -> None:
    """The senders send what they had sent after the backup was made; it is delivered."""
    assert other.node is not None
    before = await ledger_of(other)
    assert {each.code for each in await other.send(*lost)} == {"AA"}
    end = await other.settled()
    assert end.balanced
    assert end.received[CHANNEL] == before.received[CHANNEL] + len(lost)
    assert await other.node.journal.read(find_messages, state="QUARANTINED", limit=1) == []
    assert (await other.node.journal.read(check)).violations == ()

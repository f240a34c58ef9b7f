"""Promises 1, 2, 3 and 5 under `kill -9`: real processes, real sockets, APIs that fail and drop."""

from __future__ import annotations

import json
import random
import time
from functools import reduce
from pathlib import Path

import pytest
from databases import journal_url
from drill import DRAIN_MAX_S, Drill, LedgerWatch, by_patient, entries
from sqlalchemy import delete, select

from bridge.audit.report import Report
from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess
from bridge.cli.send import Sender
from bridge.cli.synthetic import admissions
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.journal import triggers
from bridge.journal.audit import verify_chain
from bridge.journal.audit_completeness import Completeness, completeness
from bridge.journal.database import Database
from bridge.journal.schema import transitions
from bridge.journal.search import find_messages

KILL_AFTER_MAX_S = 1.5
ROUNDS_MAX = 40
BROKEN = ("--fail-ratio=0.02", "--drop-ratio=0.02")
"""Of the calls so many are answered with 503, and so many take effect and get no answer."""


def kill_under_load(drill: Drill, kills: int, deliveries: int = 0) -> None:
    """End the node again and again while all senders send; then let them end.

    The kills are spread over so many ``deliveries``: each message goes to both APIs.
    """
    chance = random.Random(20_261_122)
    watch = LedgerWatch(drill.url)
    drill.send()
    watch.start()
    for number in range(kills):
        time.sleep(chance.uniform(0.2, KILL_AFTER_MAX_S))
        while sum(len(feed.acknowledged) for feed in drill.feeds) * kills < deliveries / 2 * (number + 1):
            time.sleep(0.05)
        drill.kill()
    drill.end_sending()
    watch.end()
    assert watch.looks >= kills, "nobody looked at the ledger"
    assert watch.unbalanced == []
    again = sum(feed.sent_again for feed in drill.feeds)
    assert again >= kills, "no kill hit a sender: the drill shows nothing"
    count = sum(map(len, drill.acknowledged.values()))
    print(f"{kills} kills, {count} messages acknowledged, {again} sendings cut short")


def audited(url: str) -> Completeness:
    """Whether every change of state has its row in the chain, and the other way round."""
    database = Database(url)
    try:
        with database.reader.begin() as connection:
            report = verify_chain(connection)
            assert report.good, report.findings
            assert not report.before
            return completeness(connection, report)
    finally:
        database.close()


def without_one_step(url: str) -> tuple[int, Report, Completeness]:
    """A step that somebody deletes who has the database and more; and what is said of the journal then."""
    database = Database(url)
    try:
        with database.writer.connect() as connection, connection.begin():
            triggers.remove(connection)
            steps = select(transitions.c.id).order_by(transitions.c.id)
            gone = random.Random(7).choice(connection.execute(steps).scalars().all())
            connection.execute(delete(transitions).where(transitions.c.id == gone))
            report = verify_chain(connection)
            return gone, report, completeness(connection, report)
    finally:
        database.close()


@pytest.mark.live
@pytest.mark.both_databases
def test_nothing_acknowledged_is_lost_reordered_or_applied_twice(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    with Drill(tmp_path, patients=(*BROKEN, "--seed=0"), encounters=(*BROKEN, "--seed=1")) as drill:
        deliveries = pytestconfig.getoption("--kill-deliveries")
        kill_under_load(drill, pytestconfig.getoption("--kills"), deliveries)
        counts = drill.drained(DRAIN_MAX_S + deliveries / 50)
        drill.stop()
        print(f"in the end: {entries(counts)}")
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert counts.balanced
        assert set(entries(counts)) <= {"delivered", "duplicate"}
        assert entries(counts)["delivered"] == sum(map(len, drill.acknowledged.values()))
        found = drill.checked(patients="header", encounters="header")
        print(f"history: {found.steps} steps, {len(found.violations)} violations")
        assert found.violations == ()
        complete = audited(drill.url)
        print(f"audit: {complete.changes} changes of state, complete to {complete.ratio:.2%}")
        assert complete.complete, complete
        gone, report, complete = without_one_step(drill.url)
        print(f"without step {gone}: {report.findings[0].where} is {report.findings[0].kind}, {complete}")
        assert (report.findings[0].kind, report.findings[0].where) == ("missing", f"step {gone}")
        assert (complete.complete, complete.wrong) == (False, 1)
        drill.assert_log_tells_nothing()


@pytest.mark.live
@pytest.mark.both_in_drills
def test_what_an_api_would_apply_twice_waits_for_a_person_and_nothing_is_applied_twice(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    """APIs that do not know a repeat. A person looks there, discards what was applied, retries the rest."""
    with Drill(
        tmp_path,
        patients=(*BROKEN, "--seed=0", "--forgetful"),
        encounters=(*BROKEN, "--seed=1", "--forgetful"),
        change_apis=lambda text: text.replace("repeat_safety: header", "repeat_safety: none"),
    ) as drill:
        kill_under_load(drill, pytestconfig.getoption("--kills"))
        decided = 0
        for _ in range(ROUNDS_MAX):
            if "open" not in entries(drill.still()):
                break
            decided += decide_like_a_person(drill)
        decided += decide_like_a_person(drill)
        counts = drill.drained()
        drill.stop()
        print(f"{decided} decisions of a person; in the end: {entries(counts)}")
        assert decided > 0, "nothing was ambiguous: the drill shows nothing"
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert counts.balanced
        assert set(entries(counts)) <= {"delivered", "duplicate", "discarded"}
        assert drill.checked(patients="none", encounters="none").violations == ()


QUERIED = (
    ("repeat_safety: header", "repeat_safety: query_before_retry"),
    # A call that makes something of its own, so that the API can say whether it is there.
    (
        "path: /patients/{key}\n",
        "path: /patients/{key}/{line1}\n    query: {path: '/patients/{key}/{line1}'}\n",
    ),
    (
        "path: /encounters/{key}\n",
        "path: /encounters/{key}/{bed}\n    query: {path: '/encounters/{key}/{bed}'}\n",
    ),
    ("{key}/merge\n", "{key}/merge\n    query: {path: '/patients/{key}'}\n"),
    ("{key}/cancel\n", "{key}/cancel\n    query: {path: '/encounters/{key}'}\n"),
)


def queried(text: str) -> str:
    return reduce(lambda made, each: made.replace(*each), QUERIED, text)


@pytest.mark.live
@pytest.mark.both_in_drills
def test_an_api_that_can_be_asked_needs_no_person_and_applies_nothing_twice(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    with Drill(
        tmp_path,
        patients=(*BROKEN, "--seed=0", "--forgetful"),
        encounters=(*BROKEN, "--seed=1", "--forgetful"),
        change_apis=queried,
    ) as drill:
        kill_under_load(drill, pytestconfig.getoption("--kills"))
        counts = drill.drained()
        drill.stop()
        for api in drill.apis:
            assert api.applied() == drill.acknowledged, f"{api.log.stem}: lost, reordered, or applied twice"
        assert counts.balanced
        assert set(entries(counts)) <= {"delivered", "duplicate"}
        safety = "query_before_retry"
        assert drill.checked(patients=safety, encounters=safety).violations == ()


def decide_like_a_person(drill: Drill) -> int:
    """Resolve all that is in quarantine by what the API shows; how many there were."""
    rows = json.loads(drill.command("quarantine", "list", "--limit=1000", "--format=json"))
    assert {row["reason"] for row in rows} <= {"outcome-unknown"}
    seen = {int(call["idempotency_key"].split("-")[1]) for api in drill.apis for call in api.calls()}
    for decision, chosen in (
        ("discard", [row["id"] for row in rows if row["id"] in seen]),
        ("retry", [row["id"] for row in rows if row["id"] not in seen]),
    ):
        if chosen:
            names = [f"d{each}" for each in chosen]
            drill.command("quarantine", decision, *names, "--reason=looked at the API")
    return len(rows)


def test_the_check_sees_a_message_that_is_lost_reordered_or_doubled() -> None:
    """A negative control: what the drill compares tells these apart."""
    sent = by_patient([("1", 1), ("1", 2), ("2", 1)])
    assert by_patient([("2", 1), ("1", 1), ("1", 2)]) == sent
    for wrong in (
        [("1", 1), ("2", 1)],
        [("1", 2), ("1", 1), ("2", 1)],
        [("1", 1), ("1", 1), ("1", 2), ("2", 1)],
    ):
        assert by_patient(wrong) != sent


@pytest.mark.live
@pytest.mark.both_databases
def test_an_answer_that_reached_its_socket_is_noted_as_such(tmp_path: Path) -> None:
    site = write_site(
        tmp_path / "site", patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9"
    )
    journal = journal_url(tmp_path)
    node = BridgeProcess(site, journal, tmp_path / "node.log")
    sender = Sender("127.0.0.1", node.ports["ehr-adt"], wait_s=10)
    message = next(admissions(1))
    assert Acknowledged.read(sender.send(message.body)).code == "AA"
    sender.close()
    assert node.stop() == 0
    database = Database(journal)
    with database.reader.begin() as connection:
        (row,) = find_messages(connection)
    database.close()
    assert (row["state"], row["answer_code"], row["answer_reached"]) == ("MAPPED", "AA", 1)

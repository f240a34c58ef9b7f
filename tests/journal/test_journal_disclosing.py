"""What a journal tells of as disclosed: what went or may have, about each patient of it, and nothing else."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest
from journals import NOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor

from bridge.delivery.outcomes import NOTHING_LEFT, NOTHING_LEFT_TLS, Verdict
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import TARGET_REFUSED
from bridge.destinations.events_nats_proof import ADVICE
from bridge.destinations.http_failures import CallTimeout, NotConnected, TargetRefused, classify_failure
from bridge.destinations.sftp_out_writing import _NEEDS_SOMEBODY
from bridge.governance import order
from bridge.journal.deliveries import SETTLE, START, Settlement, Start
from bridge.journal.disclosures import Asked, disclosed, patients_of
from bridge.journal.journal import Journal
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.retention import RETIRE, Retire

DAY_US = 86_400_000_000
S = DeliveryState
SUPPRESSED = (S.HELD, S.SUPPRESSED)
STOPPED = "plcqmvL" + order.stopped("Q", "consent-denied")
ALL = "plcqmvLQbkratiuson"


async def ended(journal: Journal, *attempts: tuple[str, int | None, str, str], about: str = "N:1") -> int:
    """A delivery of a message, with these attempts: verdict, status, reason and what policies said."""
    receipt = await journal.submit(RECEIVE, arrival(journal, b"body"))
    whole = translation(receipt.message_id)
    hashed = " ".join(map(journal.facts.hashes.patient, about.split()))
    made = whole._replace(deliveries=tuple(each._replace(patient=hashed) for each in whole.deliveries))
    (delivery_id,) = await journal.submit(TRANSLATE, made)
    for number, (verdict, status, reason, verdicts) in enumerate(attempts, 1):
        states = {"suppressed": SUPPRESSED, "delivered": (S.DELIVERED,)}.get(verdict, (S.RETRY_WAIT,))
        at_us = NOW_US + number * 1_000_000
        assert await journal.submit(START, Start(delivery_id, at_us)) is not None
        settled = Settlement(
            delivery_id, receipt.message_id, number, at_us, at_us, verdict, status, reason, bytes(8), states,
            at_us, 0, verdicts=verdicts,
        )  # fmt: skip
        await journal.submit(SETTLE, settled)
    return delivery_id


async def told(journal: Journal, patient: str | None = None) -> list[tuple[int, int, str]]:
    """Which deliveries went, after how many seconds, and what became of them."""
    hashed = None if patient is None else [bytes.fromhex(journal.facts.hashes.patient(patient))]
    rows = await journal.read(lambda connection: list(disclosed(connection, Asked(patients=hashed))))
    return [(row.delivery_id, (row.at_us - NOW_US) // 1_000_000, row.outcome) for row in rows]


@pytest.mark.both_databases
@in_reactor
async def test_a_merge_stands_in_the_accounts_of_both_patients_also_once_it_is_deleted(
    tmp_path: Path,
) -> None:
    async with journal_in(tmp_path) as journal:
        alone = await ended(journal, ("delivered", 200, "", ALL))
        merge = await ended(journal, ("delivered", 200, "", ALL), about="N:1 N:2")
        await ended(journal, ("delivered", 200, "", ALL), about="N:3")
        assert [each for each, *_ in await told(journal, "N:1")] == [alone, merge]
        assert [each for each, *_ in await told(journal, "N:2")] == [merge]
        before = await told(journal)
        assert sorted(each for each, *_ in before) == [alone, merge, merge, merge + 1]
        found = await journal.read(lambda connection: patients_of(connection, journal.facts, "N:2"))
        assert found == {"key": bytes.fromhex(journal.facts.hashes.patient("N:2"))}
        later_us = NOW_US + DAY_US
        assert await journal.submit(RETIRE, Retire("messages", "adt", (1, 2), later_us, later_us)) == 2
        assert await told(journal, "N:2") == [(merge, 1, "DELIVERED")]
        assert await told(journal) == before


@pytest.mark.both_databases
@in_reactor
async def test_what_was_stopped_before_it_was_sent_is_told_of_nowhere(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await ended(journal, ("suppressed", None, "consent-denied", STOPPED))
        await ended(
            journal,
            ("withheld", None, "consent-unknown", STOPPED),
            ("retry", None, "connect-failed", ALL),
            ("hold", None, "auth-unavailable", "plcqmvLQbkratiu!auth-unavailable"),
            ("hold", None, "tls-untrusted-expired", ALL),
            ("suppressed", None, "consent-denied", STOPPED),
        )
        await ended(journal, ("delivered", 200, "", ALL), about="N:2")
        assert await told(journal, "N:1") == []
        later_us = NOW_US + DAY_US
        assert await journal.submit(RETIRE, Retire("messages", "adt", (1, 2), later_us, later_us)) == 2
        assert await told(journal, "N:1") == []


@pytest.mark.both_databases
@pytest.mark.parametrize(
    "sent",
    [
        ("retry", 503, "unavailable", ALL),
        ("hold", 403, "forbidden", ALL),
        ("ambiguous", None, "disconnected", ALL),
        ("ambiguous", None, "process-ended", ""),
        ("retry", None, "answered-ae", ALL),
    ],
)
@in_reactor
async def test_what_went_before_it_was_stopped_is_told_of_by_the_time_at_which_it_went(
    tmp_path: Path, sent: tuple[str, int | None, str, str]
) -> None:
    async with journal_in(tmp_path) as journal:
        stop = ("suppressed", None, "consent-denied", STOPPED)
        went = await ended(journal, sent, sent, ("retry", None, "connect-timeout", ALL), stop)
        await ended(journal, ("delivered", 200, "", ALL), about="N:2")
        expected = [(went, 2, "SENT, THEN SUPPRESSED")]
        assert await told(journal, "N:1") == expected
        later_us = NOW_US + DAY_US
        assert await journal.submit(RETIRE, Retire("messages", "adt", (1,), later_us, later_us)) == 1
        assert await told(journal, "N:1") == expected


def test_reasons_of_calls_that_reached_nobody_are_known_to_have_sent_nothing() -> None:
    causes = [
        *(ssl.SSLCertVerificationError(), ssl.SSLEOFError(), ssl.SSLError(), socket.gaierror()),
        *(TimeoutError(), ConnectionRefusedError()),
    ]
    outcomes = [classify_failure(TargetRefused()), classify_failure(CallTimeout(sent=False))]
    for cause in causes:
        failure = NotConnected()
        failure.__cause__ = cause
        outcomes.append(classify_failure(failure))
    assert {each.verdict for each in outcomes} == {Verdict.RETRY, Verdict.HOLD}
    reasons = {each.reason for each in outcomes} | _NEEDS_SOMEBODY | {TARGET_REFUSED} | set(ADVICE)
    assert {each for each in reasons if not each.startswith(NOTHING_LEFT_TLS)} <= NOTHING_LEFT

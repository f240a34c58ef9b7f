"""Files that were sent are acknowledged: that ends their deliveries, or shows them to a person."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from acknowledged_site import BATCHES, CLAIMS, Site, acknowledged, answer_999, answer_ta1, answers_hl7
from lane_messages import message
from reactor_tests import in_reactor, pause, until
from test_batches_in_a_node import over_mllp
from test_collected_in_a_node import Failing, counts, history
from test_reload import command

from bridge.cli.synthetic import Synthetic
from bridge.journal import collections
from bridge.journal.ledger import ledger
from bridge.journal.quarantine import advice, quarantined
from bridge.journal.reconciling import reconcile
from bridge.runtime import acknowledging

SENT = [f"C{number % 2}-{number}-A08" for number in (1, 2, 3)]


def some(count: int = 3) -> list[Synthetic]:
    return [message(number % 2, number) for number in range(1, count + 1)]


async def counts_of(made: Site, channel: str) -> dict[str, int]:
    """The ledger's entries of a channel that are above zero."""
    assert made.node is not None
    found = await made.node.journal.read(ledger)
    return {name: count for name, count in found.channels[channel].items() if count}


async def misfits(made: Site) -> list[tuple[str, str, str]]:
    """What of files that were sent does not fit."""
    assert made.node is not None
    now_us = made.node.parts.world.now_us()
    found = await made.node.journal.read(
        reconcile, now_us - 3600 * 10**6, now_us + 1, channel=None, day_of="20000101"
    )
    return [(each.kind, each.channel, each.text) for each in found.misfits if each.channel == CLAIMS]


@in_reactor
async def test_a_batch_ends_as_its_receiver_acknowledges_each_message(tmp_path: Path) -> None:
    async with acknowledged(tmp_path) as made:
        await made.send(*some())
        [file] = await made.files(BATCHES, 1)
        assert (file.acknowledged, await counts(made)) == ("awaited", {"open": 3})
        error = "ERR||PID^1^3|101^Required field missing with SMITH JOHN in it|E"
        said = answers_hl7(("AA", SENT[0], ""), ("AE", SENT[1], error), ("AA", SENT[2], ""))
        made.told("batches-told", "a.hl7", said)
        await made.file_is(BATCHES, "rejected in part")
        assert await made.in_quarantine(1) == [(BATCHES, "rejected-by-receiver: file 1, AE; 101 PID-3")]
        assert await counts(made) == {"delivered": 2, "quarantined": 1}
        made.told("batches-told", "again.hl7", answers_hl7(("AA", SENT[0], ""), number=2))
        await made.taken("batches-told", "again.hl7")
        await made.settled()
        assert len(await made.in_quarantine(1)) == 1


@in_reactor
async def test_a_message_is_found_by_its_control_id_where_the_batch_is_not_named(tmp_path: Path) -> None:
    async with acknowledged(tmp_path) as made:
        await made.send(*some())
        await made.files(BATCHES, 1)
        for number, name in enumerate(SENT):
            made.told(
                "batches-told", f"{number}.hl7", answers_hl7(("AA", name, ""), batch=None, number=number)
            )
        file = await made.file_is(BATCHES, "accepted")
        assert file.acknowledged_at_us is not None
        assert await counts(made) == {"delivered": 3}


@in_reactor
async def test_acknowledgements_may_come_over_mllp_as_a_batch_that_is_answered_itself(tmp_path: Path) -> None:
    async with acknowledged(tmp_path) as made:
        await made.send(*some())
        await made.files(BATCHES, 1)
        said = answers_hl7(("AA", SENT[0], ""), ("AR", SENT[1], ""), ("CA", SENT[2], ""))
        assert (await over_mllp(made, said, "mllp-told")).count(b"MSA|AA|A1-") == 3
        await made.file_is(BATCHES, "rejected in part")
        assert await counts(made) == {"delivered": 2, "quarantined": 1}


@in_reactor
async def test_what_does_not_fit_changes_nothing_and_shows_a_person_why(tmp_path: Path) -> None:
    async with acknowledged(tmp_path, not_found_for="100ms") as made:
        await made.send(*some())
        await made.files(BATCHES, 1)
        made.told("batches-told", "a.hl7", answers_hl7(("AA", SENT[0], "")))
        while await counts(made) != {"delivered": 1, "open": 2}:
            await pause(0.02)
        made.told("batches-told", "b.hl7", answers_hl7(("AR", SENT[0], ""), number=2))
        made.told("batches-told", "c.hl7", answers_hl7(("AA", "NEVER-SENT", ""), number=3))
        made.told("batches-told", "d.hl7", answers_hl7(("AA", SENT[1], ""), batch=7, number=4))
        made.told("batches-told", "e.hl7", answers_hl7(("XX", SENT[1], ""), number=5))
        found = await made.in_quarantine(4)
        reasons = sorted(reason.partition(":")[0] for _, reason in found)
        unknown = "acknowledged-file-unknown", "acknowledged-member-unknown"
        assert reasons == [*unknown, "acknowledged-otherwise", "request-refused"]
        assert await counts(made) == {"delivered": 1, "open": 2}
        assert "another thing was said before" in advice("acknowledged-otherwise")


@in_reactor
async def test_an_interchange_ends_with_its_999_and_a_ta1_only_says_that_it_has_come(tmp_path: Path) -> None:
    async with acknowledged(tmp_path) as made:
        made.claims("a.x12", 11, 12, 13)
        await made.files(CLAIMS, 1)
        assert b"GS*HC*BRIDGE*PAYER*" in made.written(CLAIMS)
        made.told("claims-told", "a.ta1", answer_ta1(1, "A"))
        while (await made.files(CLAIMS, 1))[0].codes != "TA1 A 000":
            await pause(0.02)
        made.told("claims-told", "a.999", answer_999(1, number=2))
        file = await made.file_is(CLAIMS, "accepted")
        assert file.codes == "AK9 A"
        assert await counts_of(made, "claims") == {"delivered": 3}


@in_reactor
async def test_a_transaction_that_is_rejected_waits_for_a_person_and_goes_into_the_next_file(
    tmp_path: Path,
) -> None:
    async with acknowledged(tmp_path) as made:
        made.claims("a.x12", 11, 12, 13)
        await made.files(CLAIMS, 1)
        errors = ["IK3*CLP*22*2100*8", "IK4*4*782*7*SMITH"]
        results = [("0001", "A"), ("0002", "R*5", *errors), ("0003", "E*5", "IK3*REF*9**3")]
        made.told("claims-told", "a.999", answer_999(1, *results, says="P"))
        await made.file_is(CLAIMS, "rejected in part")
        [(api, reason)] = await made.in_quarantine(1)
        assert (api, reason) == (CLAIMS, "rejected-by-receiver: file 1, R 5; CLP 22 2100 8; CLP 22-4 7")
        assert await counts_of(made, "claims") == {"delivered": 2, "quarantined": 1}
        assert made.node is not None
        [row] = await made.node.journal.read(quarantined)
        said = await command(made, "batches", "--sent", "--api", CLAIMS, status=1)
        assert "rejected in part (AK9 P)" in said
        assert await misfits(made) == [("rejected", CLAIMS, "file 1 is rejected in part (AK9 P)")]
        await command(made, "quarantine", "retry", f"d{row['id']}", "--reason", "corrected there")
        made.claims("b.x12", 21, 22)
        await made.files(CLAIMS, 2)
        assert made.written(CLAIMS, 2).count(b"BHT*0019*00*12~") == 1
        made.told("claims-told", "b.999", answer_999(2, number=3))
        await made.file_is(CLAIMS, "accepted", 2)
        assert await counts_of(made, "claims") == {"delivered": 5}


@pytest.mark.both_databases
@in_reactor
async def test_what_an_interchange_is_refused_for_is_known_of_each_of_its_transactions(
    tmp_path: Path,
) -> None:
    async with acknowledged(tmp_path) as made:
        made.claims("a.x12", 11, 12, 13)
        await made.files(CLAIMS, 1)
        made.told("claims-told", "a.999", answer_999(1, found=2))
        made.told("claims-told", "b.999", answer_999(1, ("0009", "A"), number=2))
        assert {reason for _, reason in await made.in_quarantine(2)} == {
            "acknowledged-count-differs", "acknowledged-member-unknown",
        }  # fmt: skip
        made.told("claims-told", "a.ta1", answer_ta1(1, "R", "006", number=3))
        file = await made.file_is(CLAIMS, "rejected")
        assert file.codes == "TA1 R 006"
        assert await counts_of(made, "claims") == {"quarantined": 3}


@in_reactor
async def test_a_file_that_nobody_acknowledges_in_time_is_told_and_a_person_may_settle_it(
    tmp_path: Path,
) -> None:
    async with acknowledged(tmp_path, rules="within: 100ms") as made:
        made.claims("a.x12", 11, 12, 13)
        await made.files(CLAIMS, 1)
        while not made.acknowledging(CLAIMS).overdue:
            await pause(0.02)
        made.acknowledging(CLAIMS).look_again()
        assert made.node is not None
        metrics = made.node.parts.metrics.exposition().decode()
        assert f'bridge_files_unacknowledged{{api="{CLAIMS}"}} 1.0' in metrics
        assert "overdue since" in await command(made, "batches", "--sent", "--api", CLAIMS, status=1)
        late = "nobody has said what became of all of file 1"
        assert await misfits(made) == [("unacknowledged", CLAIMS, late)]
        settle = ("files", "settle", CLAIMS)
        reason = ("--reason", "the payer says so by telephone")
        said = await command(made, *settle, "1", "--accepted", *reason, "--format", "json")
        assert json.loads(said) == {"done": ["file 1 of payer.claims: accepted, 3 deliveries"]}
        assert await counts_of(made, "claims") == {"delivered": 3}
        assert made.acknowledging(CLAIMS).status() == {"awaited": 0, "overdue": 0}
        made.told("claims-told", "a.999", answer_999(1, says="R"))
        assert await made.in_quarantine(1) == [(f"{CLAIMS}.told", "acknowledged-otherwise")]


@pytest.mark.parametrize(
    ("rules", "said"),
    [("within: 100ms, silence: accepted", b""), ("within: 1h, by: envelope", answer_ta1(1, "A"))],
    ids=["silence", "envelope"],
)
@in_reactor
async def test_a_receiver_may_be_one_that_says_less(tmp_path: Path, rules: str, said: bytes) -> None:
    async with acknowledged(tmp_path, rules=rules) as made:
        made.claims("a.x12", 11, 12, 13)
        await made.files(CLAIMS, 1)
        if said:
            made.told("claims-told", "a.ta1", said)
        while await counts_of(made, "claims") != {"delivered": 3}:
            await pause(0.05)
            made.acknowledging(CLAIMS).look_again()
        assert (await made.files(CLAIMS, 1))[0].acknowledged == "accepted"


STEPS = {
    "written": ("end-collected", False, 1),
    "written the first": ("end-collected", True, 1),
    "written the last": ("end-collected", True, 2),
    "said": ("acknowledge-collected", False, 1),
    "said the first": ("acknowledge-collected", True, 1),
    "said the last": ("acknowledge-collected", True, 2),
}
"""Each step by its name, whether it breaks after it was done, and which of several of the name."""


@in_reactor
async def test_wherever_it_breaks_off_each_transaction_ends_once_and_as_was_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each step fails before or after it was done; then all that is known is what the journal holds."""
    monkeypatch.setattr(collections, "ENDED_AT_ONCE", 2)
    monkeypatch.setattr(acknowledging, "AT_ONCE", 2)
    async with acknowledged(tmp_path) as made:
        for number, (name, step) in enumerate(STEPS.items(), 1):
            assert made.node is not None
            fail, journal = Failing(), made.node.journal
            with monkeypatch.context() as broken:
                broken.setattr(type(journal), "submit", fail.around(journal.submit))
                fail.step, fail.left = (step, step[2]) if name.startswith("w") else (None, 0)
                made.claims(f"{number}.x12", *range(number * 3, number * 3 + 3))
                if fail.step is None:
                    await made.files(CLAIMS, number)
                    fail.step, fail.left = step, step[2]
                results = [("0001", "A"), ("0002", "R*5"), ("0003", "A")]
                made.told(
                    "claims-told", f"{number}.999", answer_999(number, *results, says="P", number=number)
                )
                await until(lambda: fail.step is None, f"{name} breaks off")  # noqa: B023
            collecting = made.node.parts.outlets[CLAIMS].waits.collecting
            if name.startswith("w"):  # what was closed is learnt from the journal, as at a start
                await until(lambda: not collecting._busy, "it has stopped")  # noqa: B023
                await collecting.start()
                collecting._again_at_us = 0
                collecting.look_again()
            await made.file_is(CLAIMS, "rejected in part", number)
        await made.stop()
        await made.start()
        assert await counts_of(made, "claims") == {"delivered": 12, "quarantined": 6}
        assert (await history(made)) == []

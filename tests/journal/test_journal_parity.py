"""Pairs in a real journal: every planted difference is counted exactly, and nothing else is.

`--parity-pairs 10000` takes so many; `--parity-verdicts 1000000` lets so many verdicts be counted.
"""

from __future__ import annotations

import json
import random
import resource
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, ClassVar

import pytest
from journals import NOW_US, arrival, journal_in
from reactor_tests import in_reactor, in_reactor_for
from structlog.testing import capture_logs
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed

from bridge.config.legacy import Legacy, Parity
from bridge.delivery.state import DeliveryState, MessageState
from bridge.errors import JournalUnavailable
from bridge.journal.clusters import CLUSTERS_MAX, EXAMPLES_MAX, Found
from bridge.journal.feeding import FED, Fed
from bridge.journal.journal import Journal
from bridge.journal.messages import RECEIVE, TRANSLATE, NewDelivery, Translation
from bridge.journal.outputs import TAKE_OUTPUT, Output, Pairing
from bridge.journal.parity import VERDICT, Verdict, clusters_of, tallies_of, unpaired_counts
from bridge.runtime.comparing import Compare
from bridge.runtime.surroundings import Surroundings

BATCH = 500
PAIR_WITHIN_S = 60

KINDS = (
    "value", "format", "absent", "extra", "order of a list", "missing here", "missing there", "decision",
    "refused",
)  # fmt: skip
"""Nine kinds of planted difference."""


class _Channel:
    """What comparing asks of a channel."""

    name = "adt"
    legacy = Legacy.model_validate({"mllp": "tcp:h:1", "pair_within": f"{PAIR_WITHIN_S}s"})
    parity = Parity.model_validate({"late_after": "1h"})
    routes = ()
    tap_plans: ClassVar[dict[str, Any]] = {}


def _request(number: int) -> dict[str, Any]:
    return {
        "key": f"K{number}",
        "birth_date": f"19{number % 90 + 10}-06-15",
        "ward": "ICU",
        "lines": [{"code": "A"}, {"code": "B"}],
        "sex": "female",
    }


def _theirs(kind: str, ours: dict[str, Any]) -> dict[str, Any]:
    theirs = json.loads(json.dumps(ours))
    match kind:
        case "value":
            theirs["sex"] = "male"
        case "format":
            theirs["birth_date"] = theirs["birth_date"].replace("-", "")
        case "absent":
            theirs["phone"] = "5551234"
        case "extra":
            del theirs["ward"]
        case "order of a list":
            theirs["lines"].reverse()
    return dict(theirs)


def _call(body: dict[str, Any]) -> bytes:
    return json.dumps(
        {"body": body, "method": "PUT", "operation": "put", "path": f"/x/{body['key']}"}
    ).encode()


async def _plant(journal: Journal, kinds: list[str]) -> None:
    """One message for each, with what both sides made of it, in an order of its own."""
    order = random.Random(3)
    for start in range(0, len(kinds), BATCH):
        part = kinds[start : start + BATCH]
        arrivals = [
            arrival(journal, b"M%d" % (start + number), f"C{start + number}", feed_line="s", answer=None)
            for number in range(len(part))
        ]
        receipts: list[Any] = await journal.submit_all(RECEIVE, arrivals)
        translations, outputs, fed = [], [], []
        for number, (kind, receipt) in enumerate(zip(part, receipts, strict=True), start=start):
            ours, match = _request(number), journal.facts.hash(b"m", b"%d" % number)
            filtered = kind == "decision"
            if kind != "missing here":
                delivery = NewDelivery(
                    "route", "api", "put",
                    str(DeliveryState.FILTERED if filtered else DeliveryState.RECORDED),
                    "when" if filtered else "", "m@1", "digest", None if filtered else _call(ours),
                    pairing=Pairing(match, "legacy", "ADT^A01", "shadow@1", not filtered),
                )  # fmt: skip
                translations.append(
                    Translation(
                        receipt.message_id, "adt", NOW_US, (b"k%d" % number,), MessageState.MAPPED, "", "",
                        (delivery,),
                    )
                )  # fmt: skip
            if kind not in ("missing there", "refused"):
                outputs.append(
                    Output(
                        "adt",
                        "route",
                        match,
                        b"%d" % number,
                        _call(_theirs(kind, ours)),
                        NOW_US,
                        "shadow",
                        "pass",
                    )
                )
            if kind == "refused":
                fed.append(
                    Fed(
                        receipt.feed_id, receipt.message_id, "GIVEN", 1, "AE", "", NOW_US, b"AE", refused=True
                    )
                )
        order.shuffle(outputs)
        if start // BATCH % 2:  # whichever comes first
            await journal.submit_all(TAKE_OUTPUT, outputs)
            await journal.submit_all(TRANSLATE, translations)
        else:
            await journal.submit_all(TRANSLATE, translations)
            await journal.submit_all(TAKE_OUTPUT, outputs)
        await journal.submit_all(FED, fed)


async def _compare(journal: Journal) -> None:
    compare = _comparing(journal)
    while await compare.step():
        pass


def _comparing(journal: Journal) -> Compare:
    """What compares a channel's pairs, at a time at which all that were planted are whole."""
    now_us = NOW_US
    world = Surroundings(reactor, lambda: now_us, lambda: 0.5, random.Random(1).randbytes)

    async def nobody(_route: str) -> None: ...

    def none(api: str) -> Any:
        raise AssertionError(api)

    channel: Any = _Channel()
    staging: Any = SimpleNamespace(held_up_us=0)
    compare = Compare(channel, journal, world, nobody, none, staging)
    now_us += (PAIR_WITHIN_S + 1) * 1_000_000
    return compare


@pytest.fixture
def pairs_wanted(request: pytest.FixtureRequest) -> int:
    return int(request.config.getoption("--parity-pairs"))


@in_reactor_for(3600)
async def test_nine_kinds_of_planted_difference_are_counted_exactly(
    tmp_path: Path, pairs_wanted: int
) -> None:
    chance = random.Random(11)
    kinds = [chance.choice(KINDS) if chance.random() < 0.2 else "same" for _ in range(pairs_wanted)]
    planted = Counter(kinds)
    async with journal_in(tmp_path) as journal:
        await _plant(journal, kinds)
        await _compare(journal)
        clusters = await journal.read(clusters_of, "adt")
        counts = {(each.kind, each.path): each.number for each in clusters}
        # Formats differ in the year's digits alone, which all look the same.
        assert counts == {
            ("value", "sex"): planted["value"],
            ("value", "birth_date"): planted["format"],
            ("absent", "phone"): planted["absent"],
            ("extra", "ward"): planted["extra"],
            ("order", "lines[]"): planted["order of a list"],
            ("missing here", "(message)"): planted["missing here"],
            ("missing there", "(message)"): planted["missing there"],
            ("decision", "(message)"): planted["decision"],
            ("answer", "(message)"): planted["refused"],
        }
        assert all(each.alone == each.number for each in clusters)
        assert all(len(each.examples) <= 2 * EXAMPLES_MAX for each in clusters)
        outcomes: Counter[str] = Counter()
        for tally in await journal.read(tallies_of, "adt"):
            outcomes[tally.what.partition(" ")[0]] += tally.number if not tally.what.startswith("late") else 0
        assert outcomes["same"] == planted["same"]
        assert outcomes["different"] == pairs_wanted - planted["same"]
        assert await journal.read(unpaired_counts, "adt") == {}


@in_reactor
async def test_while_nothing_can_be_written_nothing_counts_as_compared(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with journal_in(tmp_path) as journal:
        await _plant(journal, ["same"] * 300)
        compare = _comparing(journal)

        def full(_work: object, items: Sequence[object]) -> Deferred[list[Exception]]:
            return succeed([JournalUnavailable("the disk is full")] * len(items))

        with monkeypatch.context() as broken, capture_logs() as said:
            broken.setattr(journal, "submit_all", full)
            assert await compare.step() == 0, "so that it pauses"
        assert len(said) == 1, "and not a line for each pair"
        assert [await compare.step() for _ in range(3)] == [200, 100, 0]


@in_reactor
async def test_control_against_itself_differs_in_nothing(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        await _plant(journal, ["same"] * 300)
        await _compare(journal)
        assert await journal.read(clusters_of, "adt") == []
        counts = {each.what: each.number for each in await journal.read(tallies_of, "adt")}
        assert counts["same"] == 300


@in_reactor_for(3600)
async def test_whatever_differs_clusters_and_memory_are_bounded_and_counts_exact(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    wanted = int(request.config.getoption("--parity-verdicts"))
    chance = random.Random(5)
    async with journal_in(tmp_path) as journal:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        for start in range(0, wanted, BATCH):
            verdicts = []
            for number in range(start, min(start + BATCH, wanted)):
                place = f"place{chance.randrange(5000)}"
                found = Found(f"{place}-value"[:12] + place[-5:], "value", place, "A", "9")
                verdicts.append(
                    Verdict(
                        number, "adt", "route", "digest", "shadow", "ADT^A01", number, (found,), (), (), "",
                        NOW_US, counted=False,
                    )
                )  # fmt: skip
            await journal.submit_all(VERDICT, verdicts)
        grown_mib = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        clusters = await journal.read(clusters_of, "adt")
        print(f"{wanted} verdicts: {len(clusters)} clusters, memory grew by {grown_mib:.0f} MiB")
        assert sum(each.number for each in clusters) == wanted
        assert len(clusters) <= CLUSTERS_MAX + 1
        assert grown_mib < 200

"""Files that were sent are acknowledged: that ends their deliveries, or shows them to a person."""

from __future__ import annotations

from pathlib import Path

import pytest
from acknowledged_site import BATCHES, acknowledged, answers_hl7
from lane_messages import message
from reactor_tests import in_reactor
from test_collected_in_a_node import counts

SENT = [f"C{number % 2}-{number}-A08" for number in (1, 2, 3)]


def some(count: int = 3) -> list:
    return [message(number % 2, number) for number in range(1, count + 1)]


@pytest.mark.both_databases
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

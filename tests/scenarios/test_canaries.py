"""Minimum necessary, on the wire: of fields that are not listed, no value is in what leaves a node."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from captured_logs import captured_logs
from nodes import Hospital, entries
from planted import WORD, mapped
from reactor_tests import in_reactor

from bridge.cli.fake_api import Attempt, FakeApi
from bridge.cli.synthetic import Synthetic
from bridge.journal.search import story

CANARIES = 200
CANARY = re.compile("CANARY[0-9]{3}")
LISTED = {
    "PID_5": "Rivera^Ana",
    "PID_7": "19610203",
    "PID_8": "F",
    "PID_11": "1 Elm St^^Springfield^IL^60614",
    "PV1_3": "W1^R1^B1",
}


def with_canaries(number: int, planted: Iterator[int], **listed: str) -> Synthetic:
    """A message whose every field holds canaries, but for those whose values are listed."""
    control_id = f"K{number}"
    usual = {**LISTED, "PID_3": f"{number}^^^NORTH^MR", "PV1_19": f"V{number}^^^NORTH^VN", **listed}
    text = mapped(control_id, **usual).decode()
    body = re.sub(WORD, lambda _: f"CANARY{next(planted) % CANARIES:03}", text)
    return Synthetic(f"P{number}", 1, control_id, body.encode())


def left(*apis: FakeApi) -> str:
    """Everything that left: methods, URLs, headers and bodies of all calls."""
    calls: list[Attempt] = [attempt for api in apis for attempt in api.attempts]
    return "\n".join(
        f"{each.method} {each.path} {each.headers} {each.body.decode('latin-1')}" for each in calls
    )


@in_reactor
async def test_no_canary_of_an_unlisted_field_leaves(tmp_path: Path, canary_messages: int) -> None:
    site, planted = Hospital(tmp_path), count()
    await site.open()
    with captured_logs() as logs:
        try:
            node = await site.start()
            for start in range(0, canary_messages, 100):
                batch = range(start, min(start + 100, canary_messages))
                await site.send(*(with_canaries(number, planted) for number in batch))
            ledger = await site.settled()
            assert entries(ledger) == {"delivered": canary_messages}
            assert next(planted) > CANARIES, "each canary was planted"
            metrics = node.metrics.exposition().decode()
            whole = await node.journal.read(story, 1)
            assert whole is not None
            assert CANARY.search(whole.message["body"].decode()), "they came"
        finally:
            await site.close()
    assert len(site.patients.applied) == len(site.encounters.applied) == canary_messages
    seen = {"calls": left(site.patients, site.encounters), "logs": logs.getvalue(), "metrics": metrics}
    assert {where: len(CANARY.findall(said)) for where, said in seen.items()} == dict.fromkeys(seen, 0)


@pytest.mark.parametrize("place", ["PID_5", "PID_11", "PID_3"])
@in_reactor
async def test_a_canary_of_a_listed_field_is_seen(tmp_path: Path, place: str) -> None:
    """The search can fail: what may leave is found by it."""
    site = Hospital(tmp_path)
    await site.open()
    try:
        await site.start()
        value = {"PID_3": "CANARY001^^^NORTH^MR"}.get(place, "CANARY001")
        await site.send(with_canaries(1, count(), **{place: value}))
        await site.settled()
    finally:
        await site.close()
    assert CANARY.findall(left(site.patients, site.encounters))

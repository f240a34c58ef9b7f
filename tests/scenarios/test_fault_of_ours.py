"""A fault of the bridge's own costs one message; what follows of the same key waits for a person."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from nodes import entries, hospital, steps_of
from reactor_tests import in_reactor, pause

from bridge.cli.synthetic import admission
from bridge.journal.search import find_messages
from bridge.runtime.release import release

pytestmark = pytest.mark.both_databases

LET_GO_S = 0.5
"""Long enough for a delivery that waits for nothing to be made."""


@pytest.fixture
def faulty(monkeypatch: pytest.MonkeyPatch) -> None:
    """Release fails for the message with the control ID FAULT."""

    def fails_once(route: Any, message: Any, *rest: Any) -> Any:
        if message.control_id == "FAULT":
            raise ZeroDivisionError
        return release(route, message, *rest)

    monkeypatch.setattr("bridge.runtime.making.release", fails_once)


@pytest.mark.usefixtures("faulty")
@in_reactor
async def test_other_keys_go_on(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        answers = await site.send(
            admission(1, 1, "A01", control_id="FAULT"), admission(2, 1, "A01", control_id="M2")
        )
        assert [answer.code for answer in answers] == ["AA", "AA"]
        assert entries(await site.settled()) == {"quarantined": 1, "delivered": 1}
        assert site.node is not None
        rows = await site.node.journal.read(find_messages, state="QUARANTINED")
        assert [(row["control_id"], row["reason"]) for row in rows] == [("FAULT", "internal-fault")]


@pytest.mark.usefixtures("faulty")
@in_reactor
async def test_nothing_of_the_same_key_overtakes_it(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(admission(1, 1, "A01", control_id="FAULT"), admission(1, 2, "A08", control_id="M2"))
        await pause(LET_GO_S)
        assert steps_of(site.patients, "100001") == []

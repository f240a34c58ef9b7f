"""What policies said is kept: with the delivery when its request is made, with each attempt when it ends."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import NOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor

from bridge.delivery.state import DeliveryState
from bridge.journal.deliveries import SETTLE, START, Call, Settlement, Start
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.notices import NOTICE, Notice, notices
from bridge.journal.search import story

pytestmark = pytest.mark.both_databases


@in_reactor
async def test_verdicts_go_from_the_request_to_each_attempt(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        message_id = (await journal.submit(RECEIVE, arrival(journal, b"x"))).message_id
        made = translation(message_id)
        released = made._replace(deliveries=tuple(each._replace(verdicts="PLC") for each in made.deliveries))
        (delivery_id,) = await journal.submit(TRANSLATE, released)
        call = await journal.submit(START, Start(delivery_id, NOW_US))
        assert isinstance(call, Call)
        assert call.verdicts == "PLC"
        states = (DeliveryState.DELIVERED,)
        end = Settlement(delivery_id, message_id, 1, NOW_US, NOW_US, "delivered", 200, "", b"s", states, 0, 0)
        end = end._replace(verdicts="PLCTS")
        await journal.submit(SETTLE, end)
        found = await journal.read(story, message_id)
        assert found is not None
        assert [row["verdicts"] for row in found.deliveries] == ["PLC"]
        assert [row["verdicts"] for row in found.attempts] == ["PLCTS"]


@in_reactor
async def test_the_newest_word_of_an_operation_about_its_end_stands(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        first = Notice("ehr", "put", NOW_US, None, NOW_US)
        newest = Notice("ehr", "put", NOW_US, NOW_US + 9, NOW_US + 5)
        other = Notice("ehr", "cancel", None, NOW_US + 1, NOW_US)
        for each in (first, other, newest):
            await journal.submit(NOTICE, each)
        assert await journal.read(notices) == [other, newest]

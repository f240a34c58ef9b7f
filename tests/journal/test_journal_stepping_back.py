"""A step back of a route: which deliveries the old engine gets again."""

from __future__ import annotations

from pathlib import Path

import pytest
from journals import NOW_US, arrival, journal_in, translation
from reactor_tests import in_reactor
from sqlalchemy import insert, select

from bridge.delivery.stages import Standing
from bridge.delivery.state import DeliveryState
from bridge.journal.flow_schema import flow_steps
from bridge.journal.messages import RECEIVE, TRANSLATE
from bridge.journal.schema import deliveries
from bridge.journal.stages import STAND, Stand

pytestmark = pytest.mark.both_databases


@in_reactor
async def test_what_undoes_a_call_of_the_bridge_stays_the_bridges(tmp_path: Path) -> None:
    async with journal_in(tmp_path) as journal:
        waiting = []
        for control_id in ("C1", "C2"):
            receipt = await journal.submit(RECEIVE, arrival(journal, b"body " * 100, control_id))
            (delivery,) = await journal.submit(
                TRANSLATE, translation(receipt.message_id, control_id.encode())
            )
            waiting.append((receipt.message_id, delivery))
        message_id, undoing = waiting[1]
        with journal.database.writer.begin() as connection:
            connection.execute(
                insert(flow_steps).values(
                    delivery_id=undoing, message_id=message_id, follows="", if_fails="person", undo="",
                    undo_verdicts="", undoes=waiting[0][1], is_open=0,
                )
            )  # fmt: skip
        standing = Standing("relay", 0, (), b"salt", NOW_US, 0)
        back = Stand("adt", "patient", standing, "user:eve", "a drill", NOW_US, replay=True)
        stood = await journal.submit(STAND, back)
        assert (stood.given_back, stood.kept) == (1, 0)
        with journal.database.reader.begin() as connection:
            rows = connection.execute(select(deliveries.c.id, deliveries.c.state)).all()
        assert {row.id: row.state for row in rows} == {
            waiting[0][1]: DeliveryState.SUPERSEDED,
            undoing: DeliveryState.READY,
        }

"""Rows of the audit trail are counted while a node runs: what somebody deleted is a number that lacks."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from journals import NOW_US, journal_in
from reactor_tests import in_reactor
from sqlalchemy import delete, func, select
from structlog.testing import capture_logs
from test_journal_chain import DAY_US, anchored_segments, delivered, let_go
from twisted.internet import reactor

from bridge.config.settings import AuditSettings
from bridge.journal import triggers
from bridge.journal.audit_schema import chain
from bridge.journal.letting_go import LET_GO
from bridge.journal.retention import RETIRE, Retire
from bridge.journal.schema import transitions
from bridge.observe.metrics import Metrics
from bridge.runtime.auditing import Auditing
from bridge.runtime.service import real_surroundings
from bridge.units import SecretRef

pytestmark = pytest.mark.both_databases
RATIO = "bridge_audit_completeness_ratio"


@dataclass(frozen=True)
class Audited:
    audit: AuditSettings
    secrets: Callable[[SecretRef], str] = lambda _: ""


def gauge(metrics: Metrics, name: str) -> float:
    found = metrics.exposition().decode().splitlines()
    return next(float(line.split()[-1]) for line in found if line.startswith(f"{name} "))


@in_reactor
async def test_a_deleted_row_lowers_the_ratio_and_what_went_rightly_does_not(tmp_path: Path) -> None:
    world, metrics = real_surroundings(reactor), Metrics()
    async with journal_in(tmp_path) as journal:
        await delivered(journal, 8, first=500)
        assert math.isnan(gauge(metrics, RATIO))
        auditing = Auditing(journal, Audited(AuditSettings()), world, metrics)

        async def ratio() -> float:
            auditing._counts_at_s = 0.0
            await auditing._count()
            return gauge(metrics, RATIO)

        assert await ratio() == 1.0
        await anchored_segments(journal, 2)
        assert await journal.submit(LET_GO, let_go()) == 8
        away = Retire("messages", "adt", (1, 2), NOW_US + DAY_US, NOW_US + DAY_US)
        assert await journal.submit(RETIRE, away) == 2
        await delivered(journal, 1, first=600)
        assert await ratio() == 1.0
        for table, column in ((transitions, transitions.c.id), (chain, chain.c.seq)):
            with journal.database.writer.connect() as connection, connection.begin():
                triggers.remove(connection)
                newest = connection.execute(select(func.max(column))).scalar_one()
                connection.execute(delete(table).where(column == newest - 1))
            with capture_logs() as logs:
                assert 0.9 < await ratio() < 1.0
            assert [each["event"] for each in logs] == ["audit-rows-missing"]
        # Whoever starts anew counts the same.
        auditing = Auditing(journal, Audited(AuditSettings()), world, metrics)
        assert 0.9 < await ratio() < 1.0
        assert auditing._present.lacking == {"commits": 1, "steps": 1}

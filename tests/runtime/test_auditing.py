"""Checkpoints of a running node: by count and by time, at its end, and each anchor gets the newest."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml
from databases import journal_url
from reactor_tests import in_reactor
from twisted.internet import reactor

from bridge.audit.checkpoints import notes_in
from bridge.audit.notes import Signer
from bridge.config.settings import AuditSettings
from bridge.errors import JournalRefused
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.audit import signed_checkpoints, verify_chain
from bridge.journal.journal import Journal
from bridge.observe.metrics import Metrics
from bridge.runtime.auditing import Auditing
from bridge.runtime.service import real_surroundings
from bridge.units import SecretRef

SIGNER = Signer("north/bridge", bytes(range(32)))
KEY = SecretRef("file", "audit-key")
ALERTS = Path(__file__).parents[2] / "deploy" / "alerts.yaml"


@dataclass(frozen=True)
class Audited:
    audit: AuditSettings
    secrets: Callable[[SecretRef], str] = lambda _: SIGNER.line


@in_reactor
async def test_a_checkpoint_is_made_by_count_by_time_and_at_the_end_and_anchored(tmp_path: Path) -> None:
    now_us = [1_000_000_000]
    world = replace(real_surroundings(reactor), now_us=lambda: now_us[0], believed=None)
    anchors = tmp_path / "anchors.txt"
    away = f"file:{tmp_path}/no/such/folder"
    settings = AuditSettings(KEY, (away, f"file:{anchors}"), every_rows=3, every_s=60.0)
    journal = Journal(journal_url(tmp_path), reactor, random_bytes=world.random_bytes, state=tmp_path)
    try:
        metrics = Metrics()
        auditing = Auditing(journal, Audited(settings), world, metrics)

        async def sizes(rows: int) -> list[int]:
            for _ in range(rows):
                await journal.submit(NOTE, ActionRow(now_us[0], "user:kim", "reveal", "message 1", "x"))
            await auditing.look()
            return [each.size for each in await journal.read(signed_checkpoints)]

        assert await sizes(1) == [1]  # the first one is due at once
        assert await sizes(2) == [1]
        assert await sizes(1) == [1, 4]
        assert await sizes(1) == [1, 4]
        now_us[0] += 60_000_000
        assert await sizes(0) == [1, 4, 5]
        assert await sizes(1) == [1, 4, 5]
        await auditing.end()
        report = await journal.read(
            verify_chain, verifiers=[SIGNER.verifier], anchors=list(notes_in(anchors.read_text()))
        )
        assert (report.good, report.signed_up_to, report.anchored_up_to, report.anchors) == (True, 6, 6, 4)
    finally:
        await journal.close()


@pytest.mark.parametrize(
    ("settings", "line", "words"),
    [
        (AuditSettings(KEY), "no key", "PRIVATE"),
        (AuditSettings(None, ("file:/x",)), SIGNER.line, "BRIDGE_AUDIT_KEY"),
        (AuditSettings(KEY, ("ftp://x",)), SIGNER.line, "expected file:PATH"),
    ],
)
@in_reactor
async def test_what_cannot_be_used_is_refused_at_the_start(
    tmp_path: Path, settings: AuditSettings, line: str, words: str
) -> None:
    world = real_surroundings(reactor)
    journal = Journal(journal_url(tmp_path), reactor, random_bytes=world.random_bytes, state=tmp_path)
    try:
        with pytest.raises(JournalRefused, match=words):
            Auditing(journal, Audited(settings, lambda _: line), world, Metrics())
    finally:
        await journal.close()


def test_each_alert_is_about_metrics_that_there_are() -> None:
    rules = yaml.safe_load(ALERTS.read_text())
    known = Metrics().exposition().decode()
    alerts = [rule for group in rules["groups"] for rule in group["rules"]]
    assert len(alerts) >= 3
    for alert in alerts:
        for name in re.findall(r"bridge_\w+", alert["expr"]):
            assert f"# HELP {name} " in known, alert["alert"]
        assert set(alert["annotations"]) == {"summary", "description"}

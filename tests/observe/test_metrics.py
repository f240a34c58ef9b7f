"""Metrics: what a Prometheus server reads, by name, label and number."""

from __future__ import annotations

from pathlib import Path

import pytest
from nodes import hospital
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families
from reactor_tests import in_reactor, until

from bridge.cli.demo import CHANNEL
from bridge.cli.synthetic import admission
from bridge.observe.metrics import Metrics

LABELS = {
    "api", "channel", "code", "entry", "file", "kind", "le", "operation", "outcome", "reason", "route",
    "state", "verdict", "where",
}  # fmt: skip
"""Names from files and words of ours. A label from a message would be one series for each patient."""


def families(exposition: bytes) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(exposition.decode())}


def value(exposition: bytes, name: str, **labels: str) -> float | None:
    for family in families(exposition).values():
        for sample in family.samples:
            if sample.name == name and sample.labels == labels:
                return float(sample.value)
    return None


def test_every_series_has_our_prefix_a_sentence_and_known_labels() -> None:
    metrics = Metrics()
    found = families(metrics.exposition())
    assert len(found) >= 10
    for name, family in found.items():
        assert name.startswith("bridge_")
        assert family.documentation.endswith("."), name
    for collector in (each for each in vars(metrics).values() if hasattr(each, "_labelnames")):
        assert set(collector._labelnames) <= LABELS


def test_counts_begin_at_zero_and_two_nodes_share_nothing() -> None:
    one, other = Metrics(), Metrics()
    one.messages.count("adt", "RECEIVED")
    assert value(one.exposition(), "bridge_messages_total", channel="adt", state="RECEIVED") == 1
    assert value(other.exposition(), "bridge_messages_total", channel="adt", state="RECEIVED") is None


def test_labels_of_any_content_are_escaped() -> None:
    metrics, odd = Metrics(), 'a"b\\c\nd'
    metrics.messages.count(odd, "RECEIVED")
    assert value(metrics.exposition(), "bridge_messages_total", channel=odd, state="RECEIVED") == 1


@pytest.mark.parametrize("seconds", [0.0001, 0.004, 3000.0])
def test_latency_falls_into_a_bucket(seconds: float) -> None:
    metrics = Metrics()
    metrics.latency.labels("ehr").observe(seconds)
    exposition = metrics.exposition()
    assert value(exposition, "bridge_sync_latency_seconds_count", api="ehr") == 1
    assert value(exposition, "bridge_sync_latency_seconds_bucket", api="ehr", le="3600.0") == 1


@in_reactor
async def test_a_node_counts_what_it_does(tmp_path: Path) -> None:
    first, later = admission(1, 1, "A01", control_id="M1"), admission(1, 2, "A08", control_id="M2")
    nobody = admission(2, 1, "A60", control_id="M3")
    async with hospital(tmp_path) as site:
        node = site.node
        assert node is not None
        await site.send(first, first, later, nobody)
        await site.settled()
        said = node.metrics.exposition()
        states = {"RECEIVED": 2, "DUPLICATE": 1, "REFUSED": 1}
        for state, count in states.items():
            assert value(said, "bridge_messages_total", channel=CHANNEL, state=state) == count
        assert value(said, "bridge_answers_total", channel=CHANNEL, code="AA") == 3
        assert value(said, "bridge_answers_total", channel=CHANNEL, code="AR") == 1
        assert value(said, "bridge_translated_total", channel=CHANNEL, state="MAPPED") == 2
        for api in ("ehr.patients", "ehr.encounters"):
            assert value(said, "bridge_attempts_total", api=api, verdict="delivered") == 2
            assert value(said, "bridge_sync_latency_seconds_count", api=api) == 2
            assert value(said, "bridge_in_flight", api=api) == 0
            assert value(said, "bridge_lanes_blocked", api=api) == 0
        assert (value(said, "bridge_journal_commit_seconds_count") or 0) > 0
        await until(
            lambda: value(node.metrics.exposition(), "bridge_connections", channel=CHANNEL) == 0,
            "the sender's connection is gone from the count",
        )


@in_reactor
async def test_what_needs_a_person_is_counted_from_zero_so_an_alert_sees_the_first(tmp_path: Path) -> None:
    unique = "otherwise: reject\nduplicates: {control_ids: unique}"
    first, other = admission(1, 1, "A01", control_id="M1"), admission(1, 2, "A08", control_id="M1")
    async with hospital(tmp_path, lambda text: text.replace("otherwise: reject", unique)) as site:
        node = site.node
        assert node is not None
        said = node.metrics.exposition()
        for where in (CHANNEL, "ehr.patients", "ehr.encounters"):
            assert value(said, "bridge_quarantined_total", where=where) == 0
        await site.send(first, other)
        await until(
            lambda: value(node.metrics.exposition(), "bridge_quarantined_total", where=CHANNEL) == 1,
            "the one with the other's control ID is in quarantine",
        )
        (reason,) = [
            sample
            for sample in families(node.metrics.exposition())["bridge_quarantine_reasons"].samples
            if sample.labels["where"] == CHANNEL
        ]
        assert reason.value == 1


def test_a_count_that_has_begun_does_not_begin_again() -> None:
    metrics = Metrics()
    metrics.quarantine("adt", "unmapped")
    metrics.quarantined.begin("adt")
    assert value(metrics.exposition(), "bridge_quarantined_total", where="adt") == 1


@in_reactor
async def test_deliveries_are_counted(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await site.send(admission(1, 1, "A01", control_id="M1"))
        await site.settled()
        said = site.node.metrics.exposition()
        assert value(said, "bridge_delivered_total", channel=CHANNEL, api="ehr.patients") == 1

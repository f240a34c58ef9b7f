"""Events under `kill -9`, of the bridge and of the server that leads its stream, at each step of their way.

A real node and real NATS servers. Nothing that senders had acknowledged is missing in the stream, what is
there twice has the same id, and each patient's events are in their order.
"""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from collections.abc import Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.request import urlopen

import pytest
from databases import journal_url
from drill import CHANNEL, Feed, drained_at
from event_steps import STEPS
from free_port import free_port
from nats_server import NatsServer, cluster, connected, kept, make_stream

from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess, Process
from bridge.journal.database import Database
from bridge.journal.history import check

T = TypeVar("T")
SENDERS, REST_S = 4, 0.05
KILLED_MAX_S, AWAY_S = 60.0, 1.0
COUNT = 3
"""Which time a step is reached when the kill comes."""

API = """\
api: stream.clinical
events:
  nats:
    servers: {servers}
    monitors: {monitors}
    stream: BRIDGE
    within: 10s
    connect_within: 2s
repeat_safety: header
limits: {{in_flight: 8}}
retry: {{base: 100ms, cap: 1s}}
breaker: {{open: 1s, open_max: 2s}}
carries: {{phi: true}}
operations:
  publish: {{send_only: [key, patient, status, class, bed]}}
"""
ROUTE = """\
routes:
  - route: encounter
    mapping: adt-admit
    record: encounter
    to: {api: stream.clinical, operation: publish}
"""


class EventNode(BridgeProcess):
    """A bridge that looks at each step whether it is to be killed there."""

    module = "event_steps"


def in_thread(what: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine, in a loop of its own: that of the tests is the reactor's."""
    with ThreadPoolExecutor(1) as one:
        return one.submit(asyncio.run, what).result()


class EventDrill:
    """A site with one stream, its servers, a node that can be ordered to end, and senders."""

    def __init__(self, folder: Path, servers: list[NatsServer], monkeypatch: pytest.MonkeyPatch) -> None:
        self.folder, self.servers = folder, servers
        self.order = folder / "order"
        monkeypatch.setenv("EVENT_STEP", str(self.order))
        monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parent))
        self.url, self.port = journal_url(folder), free_port()
        site = write_site(folder / "site", patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9",
                          port=self.port)  # fmt: skip
        channel = site / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(channel.read_text().partition("routes:")[0] + ROUTE)
        for file in (site / "channels" / "apis").iterdir():
            file.unlink()
        text = API.format(
            servers=json.dumps([each.address for each in servers]),
            monitors=json.dumps([each.monitor for each in servers]),
        )
        (site / "channels" / "apis" / "stream.clinical.yaml").write_text(text)
        self.site = site
        self._node: Process | None = None
        self._stop = threading.Event()
        self.feeds = [Feed(number, self.port, self._stop, REST_S) for number in range(SENDERS)]

    def start(self) -> None:
        self._node = EventNode(self.site, self.url, self.folder / "node.log")

    def wait_for_its_end(self) -> None:
        """Until the node has killed itself, as it was ordered to."""
        assert self._node is not None
        give_up_s = time.monotonic() + KILLED_MAX_S
        while self.order.exists() or self._node._process.poll() is None:
            assert time.monotonic() < give_up_s, f"never came to: {self.order.read_text()}"
            time.sleep(0.01)
        self._node.kill()

    def kill_bridge_at(self, step: str) -> None:
        self._tell(f"{step}|{COUNT}|0")
        self.wait_for_its_end()
        self.start()

    def kill_leader_at(self, step: str) -> str:
        """Have the server that leads the stream killed; after a while it comes back. Its name."""
        leader = self.leader()
        assert leader._process is not None
        self._tell(f"{step}|{COUNT}|{leader._process.pid}")
        give_up_s = time.monotonic() + KILLED_MAX_S
        while self.order.exists():
            assert time.monotonic() < give_up_s, f"never came to {step}"
            time.sleep(0.01)
        leader.kill()
        time.sleep(AWAY_S)
        leader.start()
        return leader.name

    def _tell(self, order: str) -> None:
        new = self.order.with_suffix(".new")
        new.write_text(order)
        os.replace(new, self.order)

    def leader(self) -> NatsServer:
        """The server that leads the stream now."""
        give_up_s = time.monotonic() + KILLED_MAX_S
        while True:
            for server in self.servers:
                try:
                    with urlopen(f"{server.monitor}/jsz?streams=1", timeout=5) as answer:
                        told = json.load(answer)
                except OSError:
                    continue
                for account in told.get("account_details") or ():
                    for stream in account.get("stream_detail") or ():
                        named = (stream.get("cluster") or {}).get("leader", self.servers[0].name)
                        found = next((each for each in self.servers if each.name == named), None)
                        if found is not None and found._process is not None:
                            return found
            assert time.monotonic() < give_up_s, "no server leads the stream"
            time.sleep(0.05)

    def end(self) -> None:
        """Let the senders end, and all that is open with them."""
        self._stop.set()
        for feed in self.feeds:
            feed.join(KILLED_MAX_S)
            assert not feed.is_alive(), "a sender got no answer"
        assert [each for feed in self.feeds for each in feed.refused] == []

    def stop(self) -> None:
        self._stop.set()
        if self._node is not None:
            self._node.kill()
        for server in self.servers:
            server.kill()

    def judge(self) -> str:
        """Hold what is in the stream against what was acknowledged; what was seen, in words."""
        counts = drained_at(self.url)
        assert counts.balanced
        events = in_thread(self._kept())
        first: dict[str, dict[str, Any]] = {}
        for _, event, _ in events:
            known = first.setdefault(event["id"], event)
            assert known["data"] == event["data"], "an id stands for one event"
        steps: dict[str, list[int]] = {}
        partitions: dict[str, set[str]] = {}
        for subject, event, _ in events:
            if event is first[event["id"]]:
                patient = event["data"]["key"].rpartition(":")[2].split("-")[1]
                steps.setdefault(patient, []).append(int(event["data"]["bed"]))
                partitions.setdefault(patient, set()).add(subject.split(".")[2])
        acknowledged: dict[str, list[int]] = {}
        for feed in self.feeds:
            for patient, step in feed.acknowledged:
                acknowledged.setdefault(patient, []).append(step)
        assert steps == acknowledged, "lost, doubled under another id, or out of order"
        assert all(len(each) == 1 for each in partitions.values()), "a patient's events are in one partition"
        self._check_history(first)
        sent = sum(map(len, acknowledged.values()))
        again = sum(feed.sent_again for feed in self.feeds)
        found = f"{len(events)} events in the stream, {len(events) - len(first)} of them again"
        return f"{sent} acknowledged, {again} sendings cut short, {found}"

    def _check_history(self, first: dict[str, dict[str, Any]]) -> None:
        database = Database(self.url)
        try:
            with database.reader.begin() as connection:
                found = check(
                    connection,
                    repeat_safety={"stream.clinical": "header"},
                    acknowledged=[(CHANNEL, each) for feed in self.feeds for each in feed.control_ids],
                    calls=[(each, "") for each in first],
                )
        finally:
            database.close()
        assert found.violations == ()

    async def _kept(self) -> list[tuple[str, dict[str, Any], dict[str, str]]]:
        client = await connected(*self.servers)
        try:
            return await kept(client)
        finally:
            await client.close()


async def _stream(servers: list[NatsServer]) -> None:
    client = await connected(*servers)
    give_up_s = time.monotonic() + KILLED_MAX_S
    while True:
        try:
            await make_stream(client, replicas=len(servers))
            break
        except Exception:  # noqa: BLE001 - a cluster that has just begun has no leader yet
            assert time.monotonic() < give_up_s, "the cluster takes no stream"
            await asyncio.sleep(0.2)
    await client.close()


@contextmanager
def drill(folder: Path, count: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[EventDrill]:
    """A drill whose senders send already."""
    servers = [NatsServer(folder / "nats")] if count == 1 else cluster(folder, count)
    made = EventDrill(folder, servers, monkeypatch)
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
        in_thread(_stream(servers))
        made.start()
        for feed in made.feeds:
            feed.start()
        yield made
    finally:
        made.stop()


@pytest.mark.live
def test_events_of_a_bridge_and_a_stream_that_are_killed_are_all_there_once_and_in_order(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    count: int = pytestconfig.getoption("--event-servers")
    bridge = STEPS if count > 1 else ("as it leaves", "acknowledged")
    leader = STEPS if count > 1 else ("as it leaves",)
    with drill(tmp_path, count, monkeypatch) as made:
        for step in bridge:
            made.kill_bridge_at(step)
        leaders = [made.kill_leader_at(step) for step in leader]
        made.end()
        print(f"{count} servers; bridge killed at {len(bridge)} steps, leaders at {len(leader)}: {leaders}")
        print(made.judge())
        in_thread(_remove_one(made.servers))
        with pytest.raises(AssertionError, match="lost"):  # such a check sees an event that is missing
            made.judge()


async def _remove_one(servers: list[NatsServer]) -> None:
    client = await connected(*servers)
    await client.jetstream().delete_msg("BRIDGE", 3)
    await client.close()

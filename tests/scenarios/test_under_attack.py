"""Limits under attack: beside peers that mean harm a good sender is heard, and the bridge stays as it is.

What it took is printed (``-rP``): times are of the machine that it runs on, and are judged by people.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from attackers import Attack
from drill import CHANNEL, until
from free_port import free_port

from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess, running
from bridge.cli.send import Sender
from bridge.cli.synthetic import admissions
from bridge.formats.hl7v2_reply import Acknowledged

pytestmark = pytest.mark.live

GROWTH_MAX_MIB = 100
CALLS_MAX = 16
"""Connections to the two APIs come and go with what is to be delivered."""
REST_S = 0.02
"""A good sender waits so long after each answer."""
ROOM = "max_connections: 4000, max_connections_per_peer: 4000"
"""All come from one address; without this they are refused at 32."""


@contextmanager
def attacked_bridge(folder: Path, more: str) -> Iterator[BridgeProcess]:
    """A bridge whose APIs take everything; ``more`` are options of its source."""
    with running("bridge.cli.sink") as sink:
        url = f"http://127.0.0.1:{sink.line()}"
        site = write_site(folder / "site", patients_url=url, encounters_url=url, port=free_port())
        channel = site / "channels" / f"{CHANNEL}.yaml"
        text = channel.read_text()
        changed = text.replace(':interface=127.0.0.1"}', f':interface=127.0.0.1", {more}}}')
        assert changed != text
        channel.write_text(changed)
        node = BridgeProcess(site, folder / "journal.db", folder / "node.log")
        try:
            yield node
        finally:
            assert node.stop() == 0, "it did not end in order"


class GoodSender:
    """Sends one message after the other, and knows how long each answer took; used as a context."""

    def __init__(self, port: int) -> None:
        self._sender = Sender("127.0.0.1", port, wait_s=30)
        self._messages = admissions(50, steps=10_000)
        self.sent = 0

    def for_s(self, duration_s: float) -> list[float]:
        """Seconds that each answer took; every one is AA."""
        took: list[float] = []
        until_s = time.monotonic() + duration_s
        while time.monotonic() < until_s:
            message = next(self._messages)
            began_s = time.perf_counter()
            answer = Acknowledged.read(self._sender.send(message.body))
            took.append(time.perf_counter() - began_s)
            assert (answer.code, answer.control_id) == ("AA", message.control_id)
            self.sent += 1
            time.sleep(REST_S)
        return took

    def __enter__(self) -> GoodSender:
        return self

    def __exit__(self, *_: object) -> None:
        self._sender.close()


def test_idle_and_slow_peers_cost_a_good_sender_next_to_nothing(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    lasts_s = float(pytestconfig.getoption("--attack-s"))
    drill = lasts_s > 2
    idle, slow, runs = (1000, 200, 5) if drill else (100, 20, 1)
    with attacked_bridge(tmp_path, ROOM) as node, GoodSender(port := node.ports[CHANNEL]) as good:
        good.for_s(min(lasts_s, 5))
        quiet = node.descriptors()
        for number in range(runs):
            before_mib = node.rss_mib()
            alone = good.for_s(lasts_s)
            attack = Attack(port, idle=idle, slow=slow)
            attack.begin()
            assert attack.opened == idle + slow
            beside = good.for_s(lasts_s)
            grown_mib = node.rss_mib() - before_mib
            attack.end()
            p50_alone, p50 = statistics.median(alone), statistics.median(beside)
            print(
                f"run {number + 1}: p50 {p50 * 1000:.2f} ms beside {idle} idle and {slow} slow, "
                f"{p50_alone * 1000:.2f} ms alone: {p50 / p50_alone:.2f} times; "
                f"{len(beside)} messages, grown by {grown_mib:.1f} MiB, {attack.cut} cut"
            )
            assert grown_mib < GROWTH_MAX_MIB
            until(lambda: node.descriptors() <= quiet + CALLS_MAX, "all descriptors are given back")


ATTACKS = {
    "blocks without end": ({"endless": 3}, "max_block: 1MiB"),
    "senders that read no answer": ({"deaf": 5}, ""),
    "a storm of connections": ({"storm_per_s": 200}, ""),
    "more connections than are taken": ({"idle": 300}, "max_connections: 64, max_connections_per_peer: 60"),
}
"""Each with who attacks, and what the channel says."""


@pytest.mark.parametrize("name", ATTACKS)
def test_an_attack_is_bounded_and_a_good_sender_is_heard(
    tmp_path: Path, pytestconfig: pytest.Config, name: str
) -> None:
    lasts_s = float(pytestconfig.getoption("--attack-s")) / 2
    who, says = ATTACKS[name]
    with attacked_bridge(tmp_path, says or ROOM) as node, GoodSender(port := node.ports[CHANNEL]) as good:
        good.for_s(0.3)
        quiet, before_mib = node.descriptors(), node.rss_mib()
        attack = Attack(port, **who)
        attack.begin()
        took = good.for_s(lasts_s)
        grown_mib = node.rss_mib() - before_mib
        attack.end()
        print(
            f"{name}: p50 {statistics.median(took) * 1000:.2f} ms of {len(took)} messages, "
            f"grown by {grown_mib:.1f} MiB, {attack.opened} connected, {attack.stormed} came and went, "
            f"{attack.cut} cut"
        )
        assert grown_mib < GROWTH_MAX_MIB
        until(lambda: node.descriptors() <= quiet + CALLS_MAX, "all descriptors are given back")

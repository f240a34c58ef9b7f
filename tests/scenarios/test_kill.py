"""Promises 1, 2, 3 and 5 under `kill -9`: a real process, real sockets, an API that fails and drops.

Senders do what real ones do: they wait for each answer, and send a message again that got none. So every
message is acknowledged in the end, and must arrive once, in its patient's order, however often the bridge
was killed in between.
"""

from __future__ import annotations

import json
import random
import re
import socket
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from urllib.parse import unquote

import pytest

from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess, running
from bridge.cli.send import Acknowledged, Sender
from bridge.cli.synthetic import admissions
from bridge.errors import PeerUnavailable
from bridge.journal.database import Database
from bridge.journal.ledger import Ledger, ledger
from bridge.journal.search import find_messages

SENDERS, PATIENTS_OF_SENDER, STEPS_MIN = 8, 5, 4
KILL_AFTER_MAX_S = 1.5
DRAIN_MAX_S = 60.0


def free_port() -> int:
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


class Feed(threading.Thread):
    """One sender with its own patients; sends until it is told to stop, and no message by halves."""

    def __init__(self, number: int, port: int, stop: threading.Event) -> None:
        super().__init__(daemon=True)
        self._number, self._port, self._stop_asked = number, port, stop
        self.acknowledged: list[tuple[str, int]] = []
        self.sent_again = 0
        self.refused: list[str] = []

    def run(self) -> None:
        sender: Sender | None = None
        steps = 10_000
        for message in admissions(
            PATIENTS_OF_SENDER,
            first=self._number * PATIENTS_OF_SENDER,
            prefix=f"S{self._number}",
            steps=steps,
        ):
            if self._stop_asked.is_set() and message.step > STEPS_MIN:
                break
            while True:
                try:
                    sender = sender or Sender("127.0.0.1", self._port, wait_s=10)
                    answer = Acknowledged.read(sender.send(message.body))
                except PeerUnavailable:
                    if sender is not None:
                        sender.close()
                    sender = None
                    self.sent_again += 1
                    time.sleep(0.05)
                    continue
                if answer.code == "AA" and answer.control_id == message.control_id:
                    self.acknowledged.append((message.patient, message.step))
                    break
                self.refused.append(f"{answer.code} {answer.control_id}")
                time.sleep(0.05)
        if sender is not None:
            sender.close()


def applied(log: Path) -> Iterator[tuple[str, int]]:
    """Patient and step of each call that had an effect, in order."""
    for line in log.read_text().splitlines():
        call = json.loads(line)
        key = unquote(call["path"]).rpartition(":")[2]
        yield key.split("-")[1] if key.startswith("V-") else key, int(call["mark"].split()[0])


def by_patient(steps: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for patient, step in steps:
        found.setdefault(patient, []).append(step)
    return found


def drained(journal: Path) -> Ledger:
    database = Database(f"sqlite:///{journal}")
    give_up_s = time.monotonic() + DRAIN_MAX_S
    try:
        while True:
            with database.reader.begin() as connection:
                counts = ledger(connection)
            if (
                not any(entries["open"] for entries in counts.channels.values())
                or time.monotonic() > give_up_s
            ):
                return counts
            time.sleep(0.2)
    finally:
        database.close()


@pytest.mark.live
def test_nothing_acknowledged_is_lost_reordered_or_applied_twice(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills: int = pytestconfig.getoption("--kills")
    chance = random.Random(20_261_122)
    logs = {name: tmp_path / f"{name}.jsonl" for name in ("patients", "encounters")}
    journal, node_log, port = tmp_path / "journal.db", tmp_path / "node.log", free_port()
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(
                running(
                    "bridge.cli.fake_api",
                    "--fail-ratio=0.02",
                    "--drop-ratio=0.02",
                    f"--seed={seed}",
                    f"--mark={mark}",
                    f"--log={logs[name]}",
                )
            ).line()
            for seed, (name, mark) in enumerate((("patients", "line1"), ("encounters", "bed")))
        }
        site = write_site(
            tmp_path / "site", patients_url=urls["patients"], encounters_url=urls["encounters"], port=port
        )
        stop = threading.Event()
        feeds = [Feed(number, port, stop) for number in range(SENDERS)]
        node = BridgeProcess(site, journal, node_log)
        for feed in feeds:
            feed.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.2, KILL_AFTER_MAX_S))
            node.kill()
            node = BridgeProcess(site, journal, node_log)
        stop.set()
        for feed in feeds:
            feed.join(60)
            assert not feed.is_alive(), "a sender got no answer"
        counts = drained(journal)
        assert node.stop() == 0, "the node did not stop cleanly"
    acknowledged = by_patient([each for feed in feeds for each in feed.acknowledged])
    count, again = sum(map(len, acknowledged.values())), sum(feed.sent_again for feed in feeds)
    print(f"{kills} kills, {count} messages acknowledged, {again} sendings cut short, {counts.channels}")
    assert sum(feed.sent_again for feed in feeds) >= kills, "no kill hit a sender: the drill shows nothing"
    assert [each for feed in feeds for each in feed.refused] == []
    for name, log in logs.items():
        assert by_patient(applied(log)) == acknowledged, f"{name}: lost, reordered, or applied twice"
    assert counts.balanced
    entries = {name: count for name, count in counts.channels["ehr-adt"].items() if count}
    assert set(entries) <= {"delivered", "duplicate"}
    assert entries["delivered"] == sum(map(len, acknowledged.values()))


WAYS_OUT = {
    "copy": 'mllp: {connect: "CONNECT"}\nrepeat_safety: header\n',
    "keep": 'file: {directory: FOLDER, name: "{channel}-{delivery}.hl7"}\nrepeat_safety: natural_key\n',
}


@pytest.mark.live
def test_what_goes_on_as_it_came_is_there_once_in_order_and_whole(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills: int = max(2, pytestconfig.getoption("--kills") // 2)
    chance = random.Random(20_261_126)
    log, out, port = tmp_path / "receiver.jsonl", tmp_path / "out", free_port()
    journal, node_log = tmp_path / "journal.db", tmp_path / "node.log"
    out.mkdir()
    site = write_site(
        tmp_path / "site", patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9", port=port
    )
    with running(
        "bridge.cli.fake_mllp", "--fail-ratio=0.02", "--drop-ratio=0.02", f"--log={log}"
    ) as receiver:
        words = {"CONNECT": receiver.line(), "FOLDER": str(out)}
        channel = site / "channels" / "ehr-adt.yaml"
        text = channel.read_text().partition("routes:\n")[0] + "routes:\n"
        for name, kind in WAYS_OUT.items():
            text += f"  - route: {name}\n    to: {{api: legacy.{name}}}\n"
            api = f"api: legacy.{name}\nsend: original\ncarries: {{phi: true}}\nretry: {{cap: 1s}}\n"
            api += re.sub("|".join(words), lambda found: words[found[0]], kind)
            (site / "channels" / "apis" / f"legacy.{name}.yaml").write_text(api)
        channel.write_text(text)
        stop = threading.Event()
        feeds = [Feed(number, port, stop) for number in range(SENDERS)]
        node = BridgeProcess(site, journal, node_log)
        for feed in feeds:
            feed.start()
        for _ in range(kills):
            time.sleep(chance.uniform(0.2, KILL_AFTER_MAX_S))
            node.kill()
            node = BridgeProcess(site, journal, node_log)
        stop.set()
        for feed in feeds:
            feed.join(60)
            assert not feed.is_alive(), "a sender got no answer"
        counts = drained(journal)
        assert node.stop() == 0, "the node did not stop cleanly"
    acknowledged = by_patient([each for feed in feeds for each in feed.acknowledged])
    assert by_patient(map(step_of, bodies_of(log))) == acknowledged, "lost, reordered, or taken twice"
    files = [path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")]
    assert sorted(files) == sorted(bodies_of(log)), "a file is missing, doubled, or not whole"
    assert counts.balanced
    entries = {name: count for name, count in counts.channels["ehr-adt"].items() if count}
    assert set(entries) <= {"delivered", "duplicate"}
    assert entries["delivered"] == sum(map(len, acknowledged.values()))


def bodies_of(log: Path) -> list[bytes]:
    """The messages that a receiver took, in order."""
    return [json.loads(line)["body"].encode("latin-1") for line in log.read_text().splitlines()]


def step_of(body: bytes) -> tuple[str, int]:
    """Patient and step of a message."""
    segment = body.partition(b"\rPID")[2].split(b"|")
    return segment[3].partition(b"^")[0].decode(), int(segment[11].split()[0])


def test_the_check_sees_a_message_that_is_lost_reordered_or_doubled() -> None:
    """A negative control: what the drill compares tells these apart."""
    sent = by_patient([("1", 1), ("1", 2), ("2", 1)])
    assert by_patient([("2", 1), ("1", 1), ("1", 2)]) == sent
    for wrong in (
        [("1", 1), ("2", 1)],
        [("1", 2), ("1", 1), ("2", 1)],
        [("1", 1), ("1", 1), ("1", 2), ("2", 1)],
    ):
        assert by_patient(wrong) != sent


@pytest.mark.live
def test_an_answer_that_reached_its_socket_is_noted_as_such(tmp_path: Path) -> None:
    site = write_site(
        tmp_path / "site", patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9"
    )
    journal = tmp_path / "journal.db"
    node = BridgeProcess(site, journal, tmp_path / "node.log")
    sender = Sender("127.0.0.1", node.ports["ehr-adt"], wait_s=10)
    message = next(admissions(1))
    assert Acknowledged.read(sender.send(message.body)).code == "AA"
    sender.close()
    assert node.stop() == 0
    database = Database(f"sqlite:///{journal}")
    with database.reader.begin() as connection:
        (row,) = find_messages(connection)
    database.close()
    assert (row["state"], row["answer_code"], row["answer_reached"]) == ("MAPPED", "AA", 1)

"""`kill -9` while messages go on as they came: to an MLLP receiver that fails and drops, and into files."""

from __future__ import annotations

import json
import random
import re
import threading
import time
from pathlib import Path

import pytest
from databases import journal_url
from drill import SENDERS, Feed, by_patient, drained_at, entries
from free_port import free_port

from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess, running

KILL_AFTER_MAX_S = 1.5

WAYS_OUT = {
    "copy": 'mllp: {connect: "CONNECT"}\nrepeat_safety: header\n',
    "keep": 'file: {directory: FOLDER, name: "{channel}-{delivery}.hl7"}\nrepeat_safety: natural_key\n',
}


@pytest.mark.live
@pytest.mark.both_databases
def test_what_goes_on_as_it_came_is_there_once_in_order_and_whole(
    tmp_path: Path, pytestconfig: pytest.Config
) -> None:
    kills: int = max(2, pytestconfig.getoption("--kills") // 2)
    chance = random.Random(20_261_126)
    log, out, port = tmp_path / "receiver.jsonl", tmp_path / "out", free_port()
    journal, node_log = journal_url(tmp_path), tmp_path / "node.log"
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
        counts = drained_at(journal)
        assert node.stop() == 0, "the node did not stop cleanly"
    acknowledged = by_patient([each for feed in feeds for each in feed.acknowledged])
    assert by_patient(map(step_of, bodies_of(log))) == acknowledged, "lost, reordered, or taken twice"
    files = [path.read_bytes() for path in out.iterdir() if not path.name.startswith(".")]
    assert sorted(files) == sorted(bodies_of(log)), "a file is missing, doubled, or not whole"
    print(f"{kills} kills, {entries(counts)}")
    assert counts.balanced
    assert set(entries(counts)) <= {"delivered", "duplicate"}
    assert entries(counts)["delivered"] == sum(map(len, acknowledged.values()))


def bodies_of(log: Path) -> list[bytes]:
    """The messages that a receiver took, in order."""
    return [json.loads(line)["body"].encode("latin-1") for line in log.read_text().splitlines()]


def step_of(body: bytes) -> tuple[str, int]:
    """Patient and step of a message."""
    segment = body.partition(b"\rPID")[2].split(b"|")
    return segment[3].partition(b"^")[0].decode(), int(segment[11].split()[0])

"""A route on its way from an old engine to the bridge, with processes of its own and traffic all the while.

Senders do what real ones do: they wait for each answer, and send again what got none. At the end every step
of every patient must have reached both APIs once and in order, whoever sent it.
"""

from __future__ import annotations

import json
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from bridge.cli.migration_site import CHANNEL, ROUTES, correct_mapping, write_migration
from bridge.cli.parity import gathered
from bridge.cli.processes import BridgeProcess, Process
from bridge.cli.reading import Said, ask
from bridge.cli.send import Sender
from bridge.cli.synthetic import admission
from bridge.errors import PeerUnavailable
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.migration.parity_report import RouteParity

SENDERS, PATIENTS_OF_SENDER = 4, 6
ANSWER_WAIT_S = 20.0
WAIT_MAX_S = 180.0
LOOK_EVERY_S = 0.1
MARKS = {"patient": "line1", "encounter": "bed"}


class Traffic(threading.Thread):
    """One sender with patients of its own; each message again until it is answered AA."""

    def __init__(self, number: int, port: int, rest_s: float) -> None:
        super().__init__(daemon=True)
        self._number, self._port, self._rest_s = number, port, rest_s
        self.ending = threading.Event()
        self.acknowledged: list[tuple[str, int]] = []
        self.sent_again = 0

    def run(self) -> None:
        """Send until told to end, and no round by halves."""
        sender: Sender | None = None
        first, step = self._number * PATIENTS_OF_SENDER, 0
        while not self.ending.is_set():
            step += 1
            for patient in range(first, first + PATIENTS_OF_SENDER):
                event = "A01" if step == 1 else "A08"
                message = admission(patient, step, event, control_id=f"T{patient:03}S{step:05}")
                while True:
                    try:
                        sender = sender or Sender("127.0.0.1", self._port, wait_s=ANSWER_WAIT_S)
                        answer = Acknowledged.read(sender.send(message.body))
                    except PeerUnavailable:
                        if sender is not None:
                            sender.close()
                        sender, answer = None, None
                    if answer is not None and (answer.code, answer.control_id) == ("AA", message.control_id):
                        break
                    self.sent_again += 1
                    time.sleep(0.05)
                self.acknowledged.append((message.patient, message.step))
                time.sleep(self._rest_s)
        if sender is not None:
            sender.close()


@dataclass(slots=True)
class Stretch:
    """What happened at one stage, from when it began to when it ended."""

    name: str
    began: int
    ended: int = 0
    compared: int = 0
    different: int = 0
    seconds: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What came of a route: each step of each patient once and in order, or what is not so."""

    route: str
    expected: int
    by_engine: int
    by_bridge: int
    lost: int
    double: int
    out_of_order: int
    by_both: int
    """Patients of whom both the engine and the bridge have sent something."""


@dataclass(slots=True)
class Story:
    """Everything that runs. `start` it, take it through its stages, and `stop` it."""

    folder: Path
    messages: int = 60
    rest_s: float = 0.02
    tell: Callable[[str], None] = lambda _line: None
    stretches: list[Stretch] = field(default_factory=list)
    traffic: list[Traffic] = field(default_factory=list)
    ports: dict[str, int] = field(default_factory=dict)
    apis: list[Process] = field(default_factory=list)
    site: Path = Path()
    old: Path = Path()
    engine: Process | None = None
    bridge: BridgeProcess | None = None
    starts: Counter[str] = field(default_factory=Counter)

    @property
    def journal(self) -> str:
        """Its URL."""
        return f"sqlite:///{self.folder / 'journal.db'}"

    # What runs.

    def start(self) -> None:
        """Start APIs, engine, bridge and traffic."""
        self.ports = {name: _free_port() for name in ("engine", "channel", *ROUTES)}
        urls = {}
        for route in ROUTES:
            api = Process(
                "bridge.cli.fake_api", f"--log={self.folder / f'{route}.jsonl'}", f"--mark={MARKS[route]}"
            )
            self.apis.append(api)
            urls[route] = api.line()
        self.site, self.old = write_migration(
            self.folder, ports=self.ports, urls=urls, messages=self.messages
        )
        self.start_engine()
        self.start_bridge()
        self.traffic = [Traffic(number, self.ports["channel"], self.rest_s) for number in range(SENDERS)]
        for each in self.traffic:
            each.start()

    def start_engine(self) -> None:
        """Start the old engine, on what it took before."""
        posts = [f"--post={route}=http://127.0.0.1:{self.ports[route]}" for route in ROUTES]
        self.engine = Process(
            "bridge.cli.fake_legacy",
            f"--site={self.old}",
            f"--state={self.folder / 'engine'}",
            f"--port={self.ports['engine']}",
            *posts,
            log=self.folder / "engine.log",
        )
        assert int(self.engine.line()) == self.ports["engine"]
        self.starts["engine"] += 1

    def start_bridge(self) -> None:
        """Start the bridge, on its journal."""
        self.bridge = BridgeProcess(self.site, self.journal, self.folder / "bridge.log")
        self.starts["bridge"] += 1

    def stop(self) -> None:
        """End all that runs."""
        for each in self.traffic:
            each.ending.set()
        for process in (self.bridge, self.engine, *self.apis):
            if process is not None:
                process.stop()

    # What is asked and seen.

    def ask(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Ask the bridge, again while it is being started. Raises Said where it says no."""
        give_up_s = time.monotonic() + WAIT_MAX_S
        while True:
            try:
                return ask(self.journal, command, **arguments)
            except Said as said:
                if said.exit_status != 3 or time.monotonic() > give_up_s:
                    raise
            except PeerUnavailable:
                if time.monotonic() > give_up_s:
                    raise
            time.sleep(LOOK_EVERY_S)

    def board(self) -> dict[str, dict[str, Any]]:
        """Where each route stands."""
        return {row["route"]: row for row in self.ask("stage-board")["routes"]}

    def sent(self) -> int:
        """How many messages were answered AA."""
        return sum(len(each.acknowledged) for each in self.traffic)

    def wait(self, until: Callable[[], bool], what: str) -> None:
        """Wait for something to be so. Raises PeerUnavailable where it does not come."""
        give_up_s = time.monotonic() + WAIT_MAX_S
        while not until():
            if time.monotonic() > give_up_s:
                raise PeerUnavailable(f"waited in vain for {what}")
            time.sleep(LOOK_EVERY_S)

    def parity(self) -> list[RouteParity]:
        """How both sides compare now."""
        return gathered(self.journal, CHANNEL)

    # What is done.

    def stretch(self, name: str, *, note: str = "") -> Stretch:
        """A stage begins; the one before it has ended."""
        self.close_stretch()
        made = Stretch(name, self.sent(), seconds=time.monotonic(), note=note)
        self.stretches.append(made)
        self.tell(f"{name}: {note}" if note else name)
        return made

    def close_stretch(self) -> None:
        """The stage ends that was begun last."""
        if self.stretches and not self.stretches[-1].ended:
            last, rows = self.stretches[-1], self.board().values()
            last.ended, last.seconds = self.sent(), time.monotonic() - last.seconds
            last.compared = sum(row["compared"] for row in rows)
            last.different = sum(row["different"] for row in rows)

    def stage(self, stage: str, **arguments: Any) -> list[str]:
        """Move both routes, each once, whatever is killed. Raises Said where a gate does not hold."""
        done: list[str] = []
        for route in ROUTES:
            place = f"{CHANNEL}/{route}"
            try:
                said = self.ask("stage", target=place, stage=stage, reason="the demonstration", **arguments)
            except Said as refused:
                if "already" not in str(refused):
                    raise
                continue  # it was done, and the answer was lost with a killed process
            done += said["done"]
        return done

    def promote(self, stage: str, **arguments: Any) -> list[str]:
        """Move both routes as soon as their gates hold."""
        done: list[str] = []
        for route in ROUTES:
            give_up_s = time.monotonic() + WAIT_MAX_S
            while True:
                try:
                    said = self.ask(
                        "stage",
                        target=f"{CHANNEL}/{route}",
                        stage=stage,
                        reason="its gates hold",
                        **arguments,
                    )
                    done += said["done"]
                    break
                except Said as refused:
                    if "already" in str(refused):
                        break  # it was done, and the answer was lost with a killed process
                    if time.monotonic() > give_up_s:
                        raise
                time.sleep(LOOK_EVERY_S)
        return done

    def compared(self, number: int) -> None:
        """Wait until so many pairs of each route were compared at their stage."""
        self.wait(lambda: all(row["compared"] >= number for row in self.board().values()), f"{number} pairs")

    def correct(self) -> None:
        """Take the mistake out of the mapping, and let the bridge read its files again."""
        correct_mapping(self.site, self.old)
        self.ask("reload", reason="the room is PV1-3.2")

    def drain(self) -> None:
        """End the traffic, and wait until everything has arrived."""
        for each in self.traffic:
            each.ending.set()
        for each in self.traffic:
            each.join(WAIT_MAX_S)
        self.close_stretch()
        expected = len({*self._expected()})
        self.wait(
            lambda: all(len({(p, s) for p, s, _ in self.applied(route)}) >= expected for route in ROUTES),
            f"{expected} messages at both APIs",
        )

    def _expected(self) -> list[tuple[str, int]]:
        return [each for traffic in self.traffic for each in traffic.acknowledged]

    def applied(self, route: str) -> list[tuple[str, int, bool]]:
        """What an API has applied, in order: patient, step, and whether the old engine sent it."""
        log = self.folder / f"{route}.jsonl"
        rows = [json.loads(line) for line in log.read_text().splitlines() if line] if log.exists() else []
        return [
            (_patient(row["path"]), int(row["mark"].split()[0]), row["idempotency_key"].startswith("engine-"))
            for row in rows
        ]

    def judge(self) -> list[Found]:
        """Hold what was acknowledged against what has arrived."""
        expected: dict[str, list[int]] = {}
        for patient, step in sorted(set(self._expected())):
            expected.setdefault(patient, []).append(step)
        found = []
        for route in ROUTES:
            arrived: dict[str, list[int]] = {}
            senders: dict[str, set[bool]] = {}
            by_engine = 0
            for patient, step, engine in self.applied(route):
                arrived.setdefault(patient, []).append(step)
                senders.setdefault(patient, set()).add(engine)
                by_engine += engine
            total = sum(map(len, arrived.values()))
            lost = sum(len(set(steps) - set(arrived.get(each, ()))) for each, steps in expected.items())
            found.append(
                Found(
                    route,
                    sum(map(len, expected.values())),
                    by_engine,
                    total - by_engine,
                    lost,
                    sum(len(steps) - len(set(steps)) for steps in arrived.values()),
                    sum(steps != sorted(steps) for steps in arrived.values()),
                    sum(len(each) == 2 for each in senders.values()),
                )
            )
        return found


def _patient(path: str) -> str:
    last = unquote(path).rstrip("/").rpartition("/")[2]
    key = last.rpartition(":")[2]
    return key.split("-")[1] if key.startswith("V-") else key


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port

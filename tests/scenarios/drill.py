"""A hospital of processes to break: senders, a node and two APIs over real sockets, and what each saw.

Senders do what real ones do: they wait for each answer, and send a message again that got none. So every
message is acknowledged in the end, and must arrive once, in its patient's order, whatever was done meanwhile.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from command_line import bridge_process
from databases import journal_url
from free_port import free_port

from bridge.cli.demo_site import write_site
from bridge.cli.processes import BridgeProcess, Process
from bridge.cli.send import Sender
from bridge.cli.synthetic import FAMILIES, admissions
from bridge.errors import PeerUnavailable
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.journal.database import Database
from bridge.journal.history import Checked, check
from bridge.journal.ledger import Ledger, ledger

CHANNEL = "ehr-adt"
SENDERS, PATIENTS_OF_SENDER, STEPS_MIN = 8, 5, 4
DRAIN_MAX_S = 60.0
LOOK_EVERY_S = 0.1
STILL_S = 1.0
"""What has not changed for so long waits for somebody; the APIs' retries come sooner."""


class Feed(threading.Thread):
    """One sender with its own patients; sends until it is told to stop, and no message by halves."""

    def __init__(self, number: int, port: int, stop: threading.Event, rest_s: float = 0.0) -> None:
        """``rest_s`` is how long it waits after each answer."""
        super().__init__(daemon=True)
        self._number, self._port, self._stop_asked, self._rest_s = number, port, stop, rest_s
        self.acknowledged: list[tuple[str, int]] = []
        self.control_ids: list[str] = []
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
                    self.control_ids.append(message.control_id)
                    time.sleep(self._rest_s)
                    break
                self.refused.append(f"{answer.code} {answer.control_id}")
                time.sleep(0.05)
        if sender is not None:
            sender.close()


class DrillApi:
    """An API as a process of its own, which can be killed, stopped in the middle, and started again."""

    def __init__(self, folder: Path, name: str, mark: str, *options: str) -> None:
        """``mark`` is the field of a body that tells its place in its patient's story."""
        self.log, self.port = folder / f"{name}.jsonl", free_port()
        self.options = options
        """How it behaves; may be changed before it is started again."""
        self._mark = f"--mark={mark}"
        self._process: Process | None = None
        self.url = f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        fixed = (f"--port={self.port}", f"--log={self.log}", self._mark)
        self._process = Process("bridge.cli.fake_api", *fixed, *self.options)
        assert self._process.line() == self.url

    def signal(self, number: int) -> None:
        assert self._process is not None
        os.kill(self._process.pid, number)

    def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        self._process = None

    def stop(self) -> None:
        if self._process is not None:
            self.signal(signal.SIGCONT)
            self._process.stop()

    def calls(self) -> list[dict[str, Any]]:
        """Each call that had an effect, in order."""
        text = self.log.read_text() if self.log.exists() else ""
        return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

    def applied(self) -> dict[str, list[int]]:
        """By patient, the steps that had an effect, in order."""
        return by_patient((_patient(call["path"]), int(call["mark"].split()[0])) for call in self.calls())


class LedgerWatch(threading.Thread):
    """Looks at the ledger again and again; it must balance at every moment."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self._url = url
        self._stop_asked = threading.Event()
        self.looks = 0
        self.unbalanced: list[Ledger] = []

    def run(self) -> None:
        database = Database(self._url)
        try:
            while not self._stop_asked.wait(LOOK_EVERY_S):
                with database.reader.begin() as connection:
                    counts = ledger(connection)
                self.looks += 1
                if not counts.balanced:
                    self.unbalanced.append(counts)
        finally:
            database.close()

    def end(self) -> None:
        self._stop_asked.set()
        self.join(30)


class Drill:
    """A site, its two APIs, its node and its senders; used as a context, which ends all of them."""

    def __init__(
        self,
        folder: Path,
        *,
        patients: tuple[str, ...] = (),
        encounters: tuple[str, ...] = (),
        change_apis: Callable[[str], str] = lambda text: text,
        rest_s: float = 0.0,
        options: tuple[str, ...] = (),
    ) -> None:
        """``patients`` and ``encounters`` are options of the APIs; ``change_apis`` may alter their files."""
        self._rest_s, self._options = rest_s, options
        self.patients = DrillApi(folder, "patients", "line1", *patients)
        self.encounters = DrillApi(folder, "encounters", "bed", *encounters)
        self.apis = (self.patients, self.encounters)
        self.url, self.log = journal_url(folder), folder / "node.log"
        self.site = write_site(
            folder / "site",
            patients_url=self.patients.url,
            encounters_url=self.encounters.url,
            port=free_port(),
        )
        for file in (self.site / "channels" / "apis").iterdir():
            file.write_text(change_apis(file.read_text()))
        self._node: BridgeProcess | None = None
        self._stop_asked = threading.Event()
        self.feeds: list[Feed] = []
        self.repeat_safety: dict[str, str] = {}

    def __enter__(self) -> Drill:
        for api in self.apis:
            api.start()
        self.start()
        assert self._node is not None
        self.feeds = [
            Feed(number, self._node.ports[CHANNEL], self._stop_asked, self._rest_s)
            for number in range(SENDERS)
        ]
        return self

    def __exit__(self, *_: object) -> None:
        self._stop_asked.set()
        if self._node is not None:
            self._node.kill()
        for api in self.apis:
            api.stop()

    def start(self) -> None:
        """Start a node; it takes messages when this returns."""
        self._node = BridgeProcess(self.site, self.url, self.log, *self._options)

    @property
    def node(self) -> BridgeProcess:
        """The node that runs now."""
        assert self._node is not None
        return self._node

    def kill(self) -> None:
        """`kill -9`, and start again."""
        assert self._node is not None
        self._node.kill()
        self.start()

    def hang_up(self) -> None:
        """SIGHUP: read the files again."""
        assert self._node is not None
        os.kill(self._node.pid, signal.SIGHUP)

    def send(self) -> None:
        """Let all senders begin."""
        for feed in self.feeds:
            feed.start()

    def end_sending(self) -> None:
        """Let each sender end with the message that it is at; none may have heard AE or AR."""
        self.end_sending_whatever_was_said()
        assert [each for feed in self.feeds for each in feed.refused] == []

    def end_sending_whatever_was_said(self) -> None:
        """Let each sender end with the message that it is at."""
        self._stop_asked.set()
        for feed in self.feeds:
            feed.join(60)
            assert not feed.is_alive(), "a sender got no answer"

    def stop(self) -> None:
        """End the node in order."""
        assert self._node is not None
        node, self._node = self._node, None
        assert node.stop() == 0, "the node did not stop cleanly"

    @property
    def acknowledged(self) -> dict[str, list[int]]:
        """By patient, the steps that were acknowledged, in order."""
        return by_patient(each for feed in self.feeds for each in feed.acknowledged)

    def command(self, *words: str, status: int = 0) -> str:
        """What a command of the command line says; it must end with this status."""
        ended = bridge_process(*words, "--journal", self.url)
        assert ended.status == status, ended.said
        return ended.out

    def drained(self, at_most_s: float = DRAIN_MAX_S) -> Ledger:
        """The ledger once nothing is open any more."""
        return drained_at(self.url, at_most_s)

    def still(self) -> Ledger:
        """The ledger once it changes no more."""
        before, counts = None, ledger_at(self.url)
        while before != counts:
            time.sleep(STILL_S)
            before, counts = counts, ledger_at(self.url)
        return counts

    def checked(self, **repeat_safety: str) -> Checked:
        """The whole history held against the rules, with what senders and APIs saw."""
        database = Database(self.url)
        try:
            with database.reader.begin() as connection:
                return check(
                    connection,
                    repeat_safety={f"ehr.{name}": safety for name, safety in repeat_safety.items()},
                    acknowledged=[(CHANNEL, each) for feed in self.feeds for each in feed.control_ids],
                    calls=[
                        (call["idempotency_key"], call["body_sha256"])
                        for api in self.apis
                        for call in api.calls()
                    ],
                )
        finally:
            database.close()

    def assert_log_tells_nothing(self) -> None:
        """No name and no street of a patient is in the node's log."""
        said = self.log.read_text()
        assert "started" in said
        assert [word for word in (*FAMILIES, "ELM STREET") if word in said] == []


def _patient(path: str) -> str:
    key = unquote(path).rpartition(":")[2].partition("/")[0]
    return key.split("-")[1] if key.startswith("V-") else key


def by_patient(steps: Iterable[tuple[str, int]]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for patient, step in steps:
        found.setdefault(patient, []).append(step)
    return found


def ledger_at(url: str) -> Ledger:
    """The ledger of a journal as it is now."""
    database = Database(url)
    try:
        with database.reader.begin() as connection:
            return ledger(connection)
    finally:
        database.close()


def drained_at(url: str, at_most_s: float = DRAIN_MAX_S) -> Ledger:
    """The ledger of a journal once nothing is open any more."""
    give_up_s = time.monotonic() + at_most_s
    while (counts := ledger_at(url)).channels[CHANNEL]["open"]:
        assert time.monotonic() < give_up_s, f"still open after {at_most_s} s: {entries(counts)}"
        time.sleep(0.2)
    return counts


def entries(counts: Ledger) -> dict[str, int]:
    """The channel's entries that are above zero."""
    return {name: count for name, count in counts.channels[CHANNEL].items() if count}


def until(true: Callable[[], bool], what: str, *, at_most_s: float = 30.0) -> None:
    """Wait until something is so; fail with ``what`` where it does not come to be."""
    give_up_s = time.monotonic() + at_most_s
    while not true():
        assert time.monotonic() < give_up_s, f"not so after {at_most_s} s: {what}"
        time.sleep(0.05)


def seconds(duration_s: float) -> Iterator[float]:
    """The time that has passed, again and again until it is over."""
    began_s = time.monotonic()
    while (passed_s := time.monotonic() - began_s) < duration_s:
        yield passed_s
        time.sleep(LOOK_EVERY_S)

"""A stream that is away for an hour, on a clock that nobody waits for: the journal is the buffer.

A real node on a real SQLite, with senders, disk and stream in simulated time. Senders never notice, and in
the end all events are in the stream, each once, in the order of their keys.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import orjson
import pytest
import sim_sender
import structlog
from sim_process import Process, new_journal
from sim_sender import PORT, SimSender
from sim_site import CHANNEL
from sim_steps import sharing_engine
from sim_world import World
from twisted.internet.defer import Deferred

from bridge.catalog import STANDARD
from bridge.cli.demo_site import write_site
from bridge.cli.synthetic import Synthetic, admissions
from bridge.config.load import load
from bridge.config.topology import Topology
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.events_cloud import read_event
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.journal.database import Database
from bridge.journal.history import check
from bridge.journal.ledger import ledger

HOUR_S = 3600.0
BEFORE_S = 300.0
"""The stream takes events for so long before it goes away."""
SENDERS, PATIENTS = 4, 10
LATE_S = 1.0
"""Longer than any answer takes where nothing is wrong."""
CALL_MAX_S = 0.05
DRAIN_MAX_S = 2 * HOUR_S
API = """\
api: stream.clinical
events:
  nats: {servers: ["127.0.0.1:9"], monitors: ["http://127.0.0.1:9"], stream: BRIDGE}
repeat_safety: header
limits: {in_flight: 8}
carries: {phi: true}
operations:
  tellPatient: {send_only: [key, line1]}
  tellEncounter: {send_only: [key, patient, status, class, bed]}
"""
ROUTES = """\
routes:
  - route: patient
    mapping: adt-admit
    record: patient
    to: {api: stream.clinical, operation: tellPatient}
  - route: encounter
    mapping: adt-admit
    record: encounter
    to: {api: stream.clinical, operation: tellEncounter}
"""


@dataclass(eq=False)
class SimStream:
    """A stream that is away from ``away_s`` to ``back_s``, and keeps what it takes by its id."""

    world: World
    away_s: float
    back_s: float
    kept: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)
    waiting_max: int = 0
    refused: int = 0

    def call(
        self, request: bytes, key: str, tell: Callable[[Outcome], None], waits: Callable[[], bool]
    ) -> None:
        """An event arrives in its own time, and is kept where the stream is there."""
        self.world.later(self.world.some(CALL_MAX_S), self._arrived, request, key, tell)

    def _arrived(self, request: bytes, key: str, tell: Callable[[Outcome], None]) -> None:
        if self.away_s <= self.world.clock.seconds() < self.back_s:
            self.refused += 1
            tell(Outcome(Verdict.RETRY, "connect-failed", steps="iuso"))
            return
        event = read_event(request)
        assert event is not None
        data = orjson.loads(event.data)
        record = event.attributes["subject"].partition("/")[0]
        patient = data["key"].rpartition(":")[2]
        patient = patient.split("-")[1] if record == "encounter" else patient
        step = int(str(data["bed"] if record == "encounter" else data["line1"]).split()[0])
        told = (f"{event.partition_key} {patient}", record, step)
        if self.kept.setdefault(key, told) != told:
            self.changed.append(key)
        tell(Outcome(Verdict.DELIVERED, "kept-there", steps="iuso"))


class TimedSender(SimSender):
    """A sender that notes how long each answer took."""

    def __post_init__(self) -> None:
        self.took: list[tuple[float, float]] = []
        self._sent_s = 0.0
        super().__post_init__()

    def _send(self, turn: int) -> None:
        self._sent_s = self.world.clock.seconds()
        super()._send(turn)

    def _told(self, answer: Acknowledged) -> None:
        now_s = self.world.clock.seconds()
        self.took.append((now_s, now_s - self._sent_s))
        super()._told(answer)


def site_of_events(folder: Path) -> Topology:
    """The site of the simulations, with one stream in the place of its APIs."""
    site = write_site(
        folder, patients_url="http://127.0.0.1:1", encounters_url="http://127.0.0.1:2", port=PORT
    )
    channel = site / "channels" / f"{CHANNEL}.yaml"
    channel.write_text(channel.read_text().partition("routes:")[0] + ROUTES)
    for file in (site / "channels" / "apis").iterdir():
        file.unlink()
    (site / "channels" / "apis" / "stream.clinical.yaml").write_text(API)
    return load(site, STANDARD)


@pytest.fixture
def ready(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Simulations run in this process, and leave it as it was."""
    before = structlog.get_config()
    monkeypatch.setattr("bridge.journal.sqlite.create_engine", sharing_engine)
    yield
    structlog.configure(**before)


def shares(messages: int) -> list[list[Synthetic]]:
    """The messages of each sender: the stories of its own patients, as long as it takes."""
    per_sender = messages // SENDERS
    found = []
    for number in range(SENDERS):
        story = admissions(PATIENTS, first=number * PATIENTS, prefix=f"S{number}", steps=10_000)
        found.append([message for message, _ in zip(story, range(per_sender), strict=False)])
    return found


def live(world: World, process: Process, senders: list[TimedSender], stream: SimStream) -> tuple[int, float]:
    """Let the world go on until all is drained, and the node end. How many messages were open at most, and
    how long after its return the stream had all. The ledger is looked at each minute, the history in the
    end."""
    open_most, looked_s = 0, -60.0
    while world.clock.seconds() < BEFORE_S + HOUR_S + DRAIN_MAX_S:
        assert world.step(), "nothing is left to happen"
        assert process.failed is None
        now_s = world.clock.seconds()
        if now_s - looked_s < 60 or not process.running:
            continue
        looked_s = now_s
        waits = open_now(process)
        open_most = max(open_most, waits)
        if all(each.done for each in senders) and waits == 0 and now_s > stream.back_s:
            break
    drained_s = world.clock.seconds() - stream.back_s
    with database_of(process).reader.begin() as connection:
        found = check(connection, repeat_safety={"stream.clinical": "header"})
    assert found.violations == ()
    stopped = Deferred.fromCoroutine(process.stop())
    while not stopped.called:
        assert world.step()
    process.close()
    return open_most, drained_s


def database_of(process: Process) -> Database:
    assert process._journal is not None
    return process._journal.database


def open_now(process: Process) -> int:
    with database_of(process).reader.begin() as connection:
        counts = ledger(connection)
    assert counts.balanced
    return counts.channels[CHANNEL]["open"] if CHANNEL in counts.channels else 0


@pytest.mark.usefixtures("ready")
def test_an_hour_without_the_stream_costs_nothing_but_time(
    tmp_path: Path, pytestconfig: pytest.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    messages = pytestconfig.getoption("--stream-events") // 2
    # What the node keeps beside its journal is synced for real, each ten seconds of these hours.
    monkeypatch.setattr("bridge.runtime.service.BESIDE_EVERY_S", 600.0)
    # So many come in the five minutes before and in the hour, evenly.
    monkeypatch.setattr(sim_sender, "REST_MAX_S", 2 * (BEFORE_S + HOUR_S) * SENDERS / messages)
    world = World("a stream is away")
    stream = SimStream(world, BEFORE_S, BEFORE_S + HOUR_S)
    ended: list[str] = []
    process = Process(
        world,
        tmp_path / "life",
        new_journal(),
        site_of_events(tmp_path / "site"),
        {"stream.clinical": stream},  # type: ignore[dict-item]
        lambda _: None,
        lambda: ended.append("died"),
    )
    process.start()
    senders = [TimedSender(world, share, lambda *_, **__: None) for share in shares(messages)]
    open_most, drained_s = live(world, process, senders, stream)
    assert [each.odd + each.given_up for each in senders] == [[]] * SENDERS
    acknowledged = sum(len(each.acknowledged) for each in senders)
    assert acknowledged == messages // SENDERS * SENDERS
    during = [took for each in senders for at_s, took in each.took if stream.away_s < at_s < stream.back_s]
    outside = [took for each in senders for at_s, took in each.took if at_s <= stream.away_s]
    print(
        f"{acknowledged} messages, {len(stream.kept)} events, {open_most} messages open at most, "
        f"{stream.refused} calls in vain; answers: {_figures(during)} while it was away, "
        f"{_figures(outside)} before; drained {drained_s:.0f} s after it came back"
    )
    assert len(during) > messages // 2, "the hour is what is looked at"
    assert max(during) < LATE_S, "a sender has noticed"
    assert open_most > messages // 2, "the journal was the buffer"
    assert len(stream.kept) == 2 * acknowledged
    assert stream.changed == []
    for record in ("patient", "encounter"):
        steps: dict[str, list[int]] = defaultdict(list)
        for whom, kind, step in stream.kept.values():
            if kind == record:
                steps[whom].append(step)
        assert len(steps) == SENDERS * PATIENTS, "a patient has one partition key"
        assert all(each == sorted(each) for each in steps.values()), "out of order"


def _figures(took_s: list[float]) -> str:
    ordered = sorted(took_s)
    if not ordered:
        return "none"
    return f"p50 {ordered[len(ordered) // 2] * 1000:.0f} ms, at most {ordered[-1] * 1000:.0f} ms"

"""APIs of a simulation: what they did is remembered across all crashes of who calls them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

import orjson
from sim_world import World
from twisted.internet.defer import Deferred

from bridge.delivery.outcomes import Asked, Outcome, Verdict

CALL_MAX_S = 0.3
REFUSALS = {
    "outage": Outcome(Verdict.RETRY, "unavailable", 503),
    "poison": Outcome(Verdict.POISON, "unprocessable", 422),
    "hold": Outcome(Verdict.HOLD, "unauthorised", 401),
    "missing": Outcome(Verdict.NOT_FOUND, "not-found", 404),
}
"""What an API says without having done anything."""
ACCEPTED_FOR_S = 0.5
UNDO = "/undo"
LOST = Outcome(Verdict.AMBIGUOUS, "connection-lost")


@dataclass(frozen=True, slots=True)
class Effect:
    """One thing that an API did: for whom, which step of its story, and when."""

    patient: str
    step: int
    key: str
    at_s: float


@dataclass(eq=False, slots=True)
class SimApi:
    """One API. ``faults`` holds what is wrong with it now: the kind, and for which patient, or ''."""

    world: World
    name: str
    knows_repeats: bool
    note: Callable[..., None]
    faults: list[tuple[str, str]] = field(default_factory=list)
    effects: list[Effect] = field(default_factory=list)
    calls: list[tuple[str, str]] = field(default_factory=list)
    changed_bytes: list[str] = field(default_factory=list)
    at_once: list[str] = field(default_factory=list)
    """Calls that began while another for the same patient was under way, of a caller that still lives."""
    under_way: dict[str, list[Callable[[], bool]]] = field(default_factory=dict)
    flows: bool = False
    """Whether it names records itself, or accepts first; and then never takes every third patient's."""
    undone: list[str] = field(default_factory=list)
    """The keys of calls that undid something, each once."""
    _known: dict[str, str] = field(default_factory=dict)

    def call(
        self, request: bytes, key: str, tell: Callable[[Outcome], None], waits: Callable[[], bool]
    ) -> None:
        """A call arrives in its own time, is done or not, and answered or not, while its caller ``waits``."""
        patient, _ = story(orjson.loads(request))
        others = self.under_way[patient] = [each for each in self.under_way.get(patient, []) if each()]
        if others:
            self.at_once.append(f"{self.name} was called with {key} while a call for {patient} was under way")
        others.append(waits)
        self.world.later(self.world.some(CALL_MAX_S / 2), self._arrived, request, key, tell)

    def _arrived(self, request: bytes, key: str, tell: Callable[[Outcome], None]) -> None:
        read = orjson.loads(request)
        patient, step = story(read)
        outcome = Outcome(Verdict.DELIVERED, "accepted", 200)
        if self.flows:
            outcome = self._in_a_flow(outcome, patient, key)
        for kind, whom in self.faults:
            if whom and whom != patient:
                continue
            if kind in REFUSALS:
                outcome = REFUSALS[kind]
            elif kind == "lost" and self.world.chance.random() < 0.7:
                outcome = LOST
        if outcome.verdict in (Verdict.DELIVERED, Verdict.ACCEPTED) or (
            outcome is LOST and self.world.chance.random() < 0.5
        ):
            digest = hashlib.sha256(orjson.dumps(read["body"])).hexdigest()
            if read["path"].endswith(UNDO):
                self._undo(key, digest)
            else:
                self._do(key, digest, patient, step)
        self.world.later(self.world.some(CALL_MAX_S / 2), tell, outcome)

    def _do(self, key: str, digest: str, patient: str, step: int) -> None:
        self.calls.append((key, digest))
        self.note("[done]", api=self.name, patient=patient, step=step, key=key)
        if key in self._known and self._known[key] != digest:
            self.changed_bytes.append(key)
        if key not in self._known or not self.knows_repeats:
            self.effects.append(Effect(patient, step, key, self.world.clock.seconds()))
        self._known.setdefault(key, digest)

    def _in_a_flow(self, outcome: Outcome, patient: str, key: str) -> Outcome:
        if self.name == "ehr.patients":
            return outcome._replace(captured=(f"patient {patient}", {"id": f"P{patient}"}))
        if int(patient) % 3 == 0:
            return REFUSALS["poison"]
        return Outcome(Verdict.ACCEPTED, "accepted", 202, confirm=Asked("/jobs/1", 3600.0, key))

    def _undo(self, key: str, digest: str) -> None:
        self.calls.append((key, digest))
        if key not in self._known:
            self.undone.append(key)
        self._known.setdefault(key, digest)

    def is_there(self, key: str) -> bool:
        return key in self._known


def story(read: Any) -> tuple[str, int]:
    """The patient of a request, and its place in that patient's story."""
    name = unquote(read["path"]).rpartition(":")[2].partition("/")[0]
    patient = name.split("-")[1] if name.startswith("V-") else name
    body = read["body"] or {}
    mark = str(body.get("line1") or body.get("bed") or "0")
    return patient, int(mark.split(maxsplit=1)[0])


class SimDestination:
    """A `Destination` whose calls go to a `SimApi`; requests are prepared by the real one."""

    def __init__(self, api: SimApi, real: Any, alive: Callable[[], bool]) -> None:
        self._api, self._real, self._alive = api, real, alive
        self.prepare = real.prepare

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        assert traceparent
        answered: Deferred[Outcome] = Deferred()

        def tell(outcome: Outcome) -> None:
            if self._alive() and not answered.called:
                answered.callback(outcome)

        self._api.call(request, idempotency_key, tell, lambda: self._alive() and not answered.called)
        return await answered

    async def confirm(self, operation: str, target: str, *, traceparent: str) -> Outcome:
        assert operation
        assert target == "/jobs/1"
        answered: Deferred[Outcome] = Deferred()
        done = Outcome(Verdict.DELIVERED, "confirmed", 200)
        self._api.world.later(ACCEPTED_FOR_S, lambda: answered.callback(done) if self._alive() else None)
        return await answered

    def told(self, operation: str, word: str) -> Outcome:
        raise AssertionError("no API of a simulation calls back")

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:
        raise AssertionError("no API of a simulation is asked")

    def look_at_files(self) -> tuple[str, ...]:
        return ()

    async def close(self) -> None: ...

"""One simulation: a scenario run to its end, and what was not as it must be."""

from __future__ import annotations

import traceback
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TypeVar, cast

from faulty_disk import Fault, Kept
from judge import Seen, judge, moving
from scenario import EVENTS_S, Scenario, Trouble
from sim_api import SimApi
from sim_process import Left, Process, new_journal
from sim_sender import SimSender
from sim_site import APIS, knows_repeats, site
from sim_world import World
from sqlalchemy import Connection
from twisted.internet.defer import Deferred

from bridge.errors import BridgeError
from bridge.journal.controls import Control, Scope
from bridge.journal.database import Database

HEALED_S = 2 * EVENTS_S
GIVE_UP_S = HEALED_S + 1800
"""What has not come to rest by then does not. A pause ends at a time of day: later by what was set back."""
LOOK_EVERY_S = 5.0
START_AGAIN_S = 0.5
STEPS_MAX = 200_000

T = TypeVar("T")


@dataclass(slots=True)
class Ended:
    """How a simulation ended. ``found`` is empty where all was as it must be."""

    found: list[str] = field(default_factory=list)
    history: list[str] = field(default_factory=list)
    troubles: Counter[str] = field(default_factory=Counter)
    lives: int = 0
    steps: int = 0
    acknowledged: int = 0
    effects: int = 0
    simulated_s: float = 0.0


@cache
def _new_journal() -> Left:
    return new_journal()


class Simulation:
    """A world with one bridge in it, one life after the other."""

    def __init__(self, scenario: Scenario, folder: Path) -> None:
        self.scenario, self._folder = scenario, folder
        self.world = world = World(f"world {scenario.seed}")
        knows = knows_repeats(scenario.site)
        self.ended = Ended()
        self.apis = {name: SimApi(world, name, knows, self.note) for name in APIS}
        self._disk_faults: list[Fault] = []
        self._left = _new_journal()
        self._process: Process | None = None
        of_sender: dict[int, list[int]] = defaultdict(list)
        for number, each in enumerate(scenario.sends):
            of_sender[each.sender].append(number)
        self.senders = {
            sender: SimSender(world, [scenario.sends[number].message for number in numbers], self.note)
            for sender, numbers in of_sender.items()
        }
        for trouble in scenario.troubles:
            world.later(trouble.at_s, self._begin, trouble)
        world.later(HEALED_S, self._look)
        self._over = False
        back_s = sum(-each.number for each in scenario.troubles if each.kind == "clock" and each.number < 0)
        paused = any(each.kind == "pause" for each in scenario.troubles)
        self._give_up_s = GIVE_UP_S + (back_s if paused else 0)

    def run(self) -> Ended:
        self._begin_life()
        while not self._over:
            self.ended.steps += 1
            try:
                if self.ended.steps > STEPS_MAX or not self.world.step():
                    self._find("does not come to an end")
                    break
            except Exception as error:  # noqa: BLE001 - whatever it is, it is a finding, with its seed
                frame = traceback.extract_tb(error.__traceback__)[-1]
                self._find(f"raised {error!r} in {frame.name}, {Path(frame.filename).name}:{frame.lineno}")
                break
        if self._process is not None:
            self._process.close()
        self.ended.simulated_s = self.world.clock.seconds()
        return self.ended

    def note(self, what: str, /, **more: object) -> None:
        """A line of the history."""
        words = " ".join(f"{name}={value}" for name, value in more.items())
        self.ended.history.append(f"{self.world.clock.seconds():8.3f} s  {what} {words}")

    def _find(self, what: str) -> None:
        self.ended.found.append(what)

    # Lives.

    def _begin_life(self) -> None:
        self.ended.lives += 1
        folder = self._folder / str(self.ended.lives)
        self._process = Process(
            self.world, folder, self._left, site(self.scenario.site), self.apis, self._disk_fault, self._died
        )
        self._process.start()
        self.world.later(START_AGAIN_S, self._see_whether_it_runs, self._process)

    def _see_whether_it_runs(self, process: Process) -> None:
        if process is not self._process or process.running:
            return
        if process.failed is not None and not isinstance(process.failed, BridgeError):
            self._find(f"did not start: {process.failed!r}")
        if process.failed is not None:  # as a service would be
            process.crash(None, 0)
        else:
            self.world.later(START_AGAIN_S, self._see_whether_it_runs, process)

    def _died(self) -> None:
        assert self._process is not None
        self.note("[ended]", left={name: len(content) for name, content in self._process.left.items()})
        self._left = self._process.left
        self._process = None
        self.world.later(self.world.some(START_AGAIN_S), self._begin_life)

    def _stop(self) -> None:
        if self._process is not None and self._process.running:
            Deferred.fromCoroutine(self._process.stop())

    # Troubles.

    def _disk_fault(self, kind: str) -> Fault | None:
        if not self._disk_faults or kind == "delete":
            return None
        return self._disk_faults[-1]

    def _begin(self, trouble: Trouble) -> None:
        process, words = self._process, trouble.what.split()
        self.ended.troubles[" ".join((trouble.kind, *words[:1]))] += 1
        self.note(f"[{trouble}]")
        match trouble.kind:
            case "crash" if process is not None:
                kept = None if trouble.what == "process" else cast(Kept, trouble.what)
                process.crash(kept, trouble.number)
            case "stop":
                self._stop()
            case "disk":
                self._for_a_while(self._disk_faults, cast(Fault, trouble.what), trouble.for_s)
            case "api":
                kind, api, *whom = words
                self._for_a_while(self.apis[api].faults, (kind, "".join(whom)), trouble.for_s)
            case "cut":
                if (sender := self.senders.get(trouble.number)) is not None:
                    sender.cut()
            case "vanish":
                if (sender := self.senders.get(trouble.number)) is not None:
                    sender.vanish()
            case "clock":
                self.world.skew_us += trouble.number * 1_000_000
            case "pause" if process is not None and process.running and process.node is not None:
                until_us = self.world.now_us() + int(trouble.for_s * 1e6)
                scope, name = words
                now_us = self.world.now_us()
                control = Control(cast(Scope, scope), name, False, until_us, now_us, "drill", "drill")
                Deferred.fromCoroutine(process.node.traffic.pause(control)).addErrback(lambda _: None)

    def _for_a_while(self, where: list[T], what: T, for_s: float) -> None:
        where.append(what)
        self.world.later(for_s, where.remove, what)

    # The end.

    def _look(self) -> None:
        """Whether all has come to rest; what must have, after a while."""
        process = self._process
        done = all(each.done for each in self.senders.values())
        if process is not None and process.running and done and not self._read(process, moving):
            self._over = True
            self.ended.found += self._read(process, self._judge)
            return
        if self.world.clock.seconds() > self._give_up_s:
            self._over = True
            self._find("does not come to rest: " + self._what_is_open(process))
            return
        self.world.later(LOOK_EVERY_S, self._look)

    def _what_is_open(self, process: Process | None) -> str:
        if process is None or not process.running:
            return "no bridge runs" if process is None else f"the bridge does not start: {process.failed}"
        waiting = [str(number) for number, each in self.senders.items() if not each.done]
        return f"senders {waiting} wait; open: {self._read(process, moving)}"

    def _judge(self, connection: Connection) -> list[str]:
        seen = Seen(
            acknowledged=[each for sender in self.senders.values() for each in sender.acknowledged],
            odd=[each for sender in self.senders.values() for each in sender.odd],
            apis=self.apis,
        )
        self.ended.acknowledged = len(seen.acknowledged)
        self.ended.effects = sum(len(api.effects) for api in self.apis.values())
        return judge(connection, seen)

    def _read(self, process: Process, query: Callable[[Connection], T]) -> T:
        database = Database(process.url)
        try:
            with database.reader.begin() as connection:
                return query(connection)
        finally:
            database.close()

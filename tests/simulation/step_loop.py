"""One journal, broken at each of its steps in turn, while one message after the other goes through a bridge.

A message is sent, and step N after it is broken; what follows must be as if nothing had been, but for time.
Then the next message and step N + 1, until a message goes through in fewer steps. All of it happens to one
journal, whose whole history is judged in the end.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import cast

import sim_steps
from faulty_disk import Kept, on_disk
from judge import Seen, judge, moving
from sim_api import SimApi
from sim_faults import StepFault
from sim_process import Left, Process, new_journal
from sim_sender import SimSender
from sim_site import APIS, site
from sim_steps import Steps
from sim_world import World
from sqlalchemy import Connection

from bridge.cli.synthetic import admission
from bridge.errors import BridgeError
from bridge.journal.database import Database

MESSAGE_MAX_S = 120.0
"""Simulated time, in which a message must have come through whatever was broken."""
LOOK_EVERY_S = 0.25
REST_S = 30.0


class Stuck(AssertionError):
    """A message does not come through."""


class StepLoop:
    """A bridge that lives as long as one lets it, and then again, on one journal."""

    def __init__(self, folder: Path, url: str | None = None, *, where: str = "journaled") -> None:
        """``url`` names a journal on a server; without it, it is a file on the simulated disk. ``where`` is a
        site of `sim_site`."""
        self._folder, self._url, self._where = folder, url, where
        self.world = World("step loop")
        flows = where == "flow"
        self.apis = {name: SimApi(self.world, name, True, _silent, flows=flows) for name in APIS}
        self.steps = Steps()
        sim_steps.counted(self.steps)
        self.lives = self._patient = 0
        self.senders: list[SimSender] = []
        self.broken: Counter[str] = Counter()
        """What was broken how often, by fault and statement."""
        self._left: Left = {} if url else new_journal()
        self._process = self._born()

    def _born(self) -> Process:
        self.lives += 1
        folder = self._folder / str(self.lives)
        self.steps.dead = False
        whole = site(self._where)
        return Process(
            self.world, folder, self._left, whole, self.apis, lambda _: None, self._died, self._url
        )

    def _died(self) -> None:
        self._left = self._process.left
        self._process = self._born()
        self.world.later(0.1, self._process.start)

    def break_steps(self, fault: StepFault, *, every: int = 1) -> int:
        """Break each step of a message with a fault, one message for each; how many there were."""

        def arm(number: int) -> None:
            broken = fault.make(self._process)
            if fault.after_commit:
                self.steps.arm(number, after=broken)
            else:
                self.steps.arm(number, before=broken)

        return self._each(fault.name, arm, lambda: self.steps.number, every)

    def break_disk(self, kind: str, name: str, *, every: int = 1) -> int:
        """Break each operation of a message on the disk; how many there were."""

        def arm(number: int) -> None:
            self._process.disk.operations = 0
            match kind:
                case "error" | "full":
                    self._process.break_operation(number, kind)
                case "process":
                    self._process.crash(None, number)
                case _:
                    self._process.crash(cast(Kept, kind), number)

        return self._each(name, arm, lambda: self._process.disk.operations, every)

    def _each(self, name: str, arm: Callable[[int], None], done: Callable[[], int], every: int) -> int:
        first = random.Random(name).randint(1, every)
        number = first
        while True:
            self._what = f"{name} at {number}"
            self._come_up()
            process = self._process
            arm(number)
            self._one_message()
            if process is self._process and done() < number:
                self.steps.arm(0)
                return (number - first) // every
            self.broken[name] += 1
            number += every

    def start_broken(self, fault: StepFault, *, every: int = 1) -> None:
        """Break each step of a start with a fault."""
        number = random.Random(fault.name).randint(1, every)
        while True:
            self._end()
            self.steps.arm(0)
            fails = fault.make(self._process)
            self.steps.arm(number, before=fails)
            lives = self.lives
            self._process.start()
            self._come_up()
            if lives == self.lives and self.steps.number < number:
                self.steps.arm(0)
                return
            self.broken[f"{fault.name}, at the start"] += 1
            number += every

    def _end(self) -> None:
        """Kill whatever runs, and make ready for a start."""
        process, self._process.running = self._process, False
        process.power_off(None)
        self._left = process.left
        process.close()
        self._process = self._born()

    def begin(self) -> None:
        """Start the first bridge."""
        self._process.start()
        self._come_up()

    def _come_up(self) -> None:
        give_up_s = self.world.clock.seconds() + MESSAGE_MAX_S
        while not self._process.running:
            failed = self._process.failed
            assert failed is None or isinstance(failed, BridgeError), failed
            if failed is not None:
                self._died_at_start()
            assert self.world.step(), "nothing is left to happen, and no bridge runs"
            assert self.world.clock.seconds() < give_up_s, f"no bridge comes up: {self._process.failed}"

    def _died_at_start(self) -> None:
        """A start has failed in order: again, as a service would be."""
        self._end()
        self._process.start()

    def _one_message(self) -> None:
        self._patient += 1
        message = admission(self._patient, 1, "A01", control_id=f"P{self._patient}")
        sender = SimSender(self.world, [message], _silent)
        self.senders.append(sender)
        give_up_s = self.world.clock.seconds() + MESSAGE_MAX_S
        look_at_s = 0.0
        while True:
            now_s = self.world.clock.seconds()
            if now_s > give_up_s or not self.world.step():
                raise Stuck(f"message {self._patient} does not come through: {self._what}")
            if sender.done and now_s >= look_at_s and self._process.running:
                look_at_s = now_s + LOOK_EVERY_S
                if self._quiet() and not self.read(moving):
                    sender.cut()
                    return

    def come_to_rest(self) -> None:
        """Let what is still to be undone be undone."""
        self._come_up()
        until_s = self.world.clock.seconds() + REST_S
        while self.world.clock.seconds() < until_s and self.world.step():
            pass

    def _quiet(self) -> bool:
        node = self._process.node
        return node is not None and not any(
            outlet.in_flight or outlet.lanes.live for outlet in node.outlets.values()
        )

    def with_a_second(self) -> list[str]:
        """Let another bridge begin on the same journal while calls are under way; what is wrong then."""
        message = admission(0, 1, "A01", control_id="P0")
        self.senders.append(SimSender(self.world, [message], _silent))
        while not all(api.under_way for api in self.apis.values()):
            assert self.world.step(), "no call begins"
        self.world.ports.clear()  # it is on another machine
        second = Process(
            self.world,
            self._folder / "second",
            {},
            site("journaled"),
            self.apis,
            lambda _: None,
            lambda: None,
            self._process.url,
        )
        on_disk(self._process.disk)
        second.start()
        until_s = self.world.clock.seconds() + MESSAGE_MAX_S
        while self.world.clock.seconds() < until_s and self.world.step():
            pass
        assert second.failed is None, second.failed
        found = [*self.judge(), *self.read(moving)]
        second.close()
        return found

    def read(self, query: Callable[[Connection], list[str]]) -> list[str]:
        """What a query of the journal gives now."""
        database = Database(self._process.url, state=self._folder)
        try:
            with database.reader.begin() as connection:
                return query(connection)
        finally:
            database.close()

    def judge(self) -> list[str]:
        """What is not as it must be, of all that has happened."""

        def whole(connection: Connection) -> list[str]:
            found = judge(
                connection,
                Seen(
                    [each for sender in self.senders for each in sender.acknowledged],
                    [each for sender in self.senders for each in sender.odd],
                    self.apis,
                ),
            )
            if connection.dialect.name == "sqlite":
                found += [
                    said
                    for said in connection.exec_driver_sql("PRAGMA integrity_check").scalars()
                    if said != "ok"
                ]
            return found

        return self.read(whole)

    def close(self) -> None:
        """Kill what runs."""
        with suppress(Exception):
            self._process.power_off(None)
        self._process.close()
        sim_steps.counted(Steps())


def _silent(what: str, /, **more: object) -> None: ...

"""What happens in one simulation: drawn from a seed, a list that can be printed, cut down and run again."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import get_args

from faulty_disk import Kept
from sim_site import APIS, SITES

from bridge.cli.synthetic import Synthetic, admission

EVENTS_S = 12.0
"""All that goes wrong begins within this, and has ended after twice that."""
SHORT_SEEDS = 200
"""So many seeds, those of an ordinary run, tell short stories; a drill goes on to longer ones."""
KINDS = ("crash", "crash", "crash", "stop", "disk", "api", "api", "api", "cut", "vanish", "pause", "clock")
API_FAULTS = ("outage", "lost", "lost", "poison", "hold", "missing")


@dataclass(frozen=True, slots=True)
class Send:
    """One message of a sender; a sender sends its messages one after the other."""

    sender: int
    patient: int
    step: int
    copy: int = 0
    """Above 0 for a message that is sent although it was acknowledged."""

    @property
    def message(self) -> Synthetic:
        event = "A01" if self.step == 1 else "A08"
        return admission(self.patient, self.step, event, control_id=f"S{self.patient}-{self.step}")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that goes wrong at ``at_s``, for ``for_s``."""

    at_s: float
    kind: str
    what: str = ""
    for_s: float = 0.0
    number: int = 0

    def __str__(self) -> str:
        lasts = f" for {self.for_s:.1f} s" if self.for_s else ""
        return f"{self.at_s:.2f} s: {self.kind} {self.what} {self.number or ''}".rstrip() + lasts


@dataclass(frozen=True, slots=True)
class Scenario:
    """A site, what its senders send, and what goes wrong meanwhile."""

    seed: int
    site: str
    sends: tuple[Send, ...]
    troubles: tuple[Trouble, ...]

    def but(self, left_out: Iterable[Send | Trouble]) -> Scenario:
        """The same without some of it."""
        gone = set(left_out)
        return replace(
            self,
            sends=tuple(each for each in self.sends if each not in gone),
            troubles=tuple(each for each in self.troubles if each not in gone),
        )

    def __str__(self) -> str:
        lines = [f"seed {self.seed}, site {self.site!r}"]
        for each in self.sends:
            again = " once more" if each.copy else ""
            lines.append(f"  sender {each.sender}: patient {each.patient}, step {each.step}{again}")
        return "\n".join((*lines, *(f"  {each}" for each in self.troubles)))


def drawn(seed: int) -> Scenario:
    """The scenario of a seed."""
    chance = random.Random(f"scenario {seed}")
    senders = chance.randint(1, 3)
    short = seed < SHORT_SEEDS
    patients_max, steps_min, steps_max = (2, 1, 2) if short else (3, 2, 4)
    sends: list[Send] = []
    for sender in range(senders):
        patients = range(10 * sender, 10 * sender + chance.randint(1, patients_max))
        for step in range(1, chance.randint(steps_min, steps_max) + 1):
            for patient in patients:
                sends.append(Send(sender, patient, step))
                if chance.random() < 0.08:
                    sends.append(Send(sender, patient, step, 1))
    troubles = sorted(
        (_trouble(chance, sends) for _ in range(chance.randint(1, 5))), key=lambda each: each.at_s
    )
    return Scenario(seed, chance.choice(list(SITES)), tuple(sends), tuple(troubles))


def _trouble(chance: random.Random, sends: list[Send]) -> Trouble:
    at_s, kind = chance.uniform(0, EVENTS_S), chance.choice(KINDS)
    for_s = chance.choice((0.2, 1.0, 5.0, EVENTS_S)) * chance.random()
    match kind:
        case "crash":
            what = chance.choice(("process", *get_args(Kept)))
            return Trouble(at_s, kind, what, number=chance.choice((0, chance.randint(1, 60))))
        case "disk":
            return Trouble(at_s, kind, chance.choice(("full", "error")), for_s)
        case "api":
            fault = chance.choice(API_FAULTS)
            whom = str(100000 + chance.choice(sends).patient) if fault in ("poison", "missing") else ""
            return Trouble(at_s, kind, f"{fault} {chance.choice(APIS)} {whom}".rstrip(), for_s)
        case "cut" | "vanish":
            return Trouble(at_s, kind, number=chance.choice(sends).sender)
        case "pause":
            return Trouble(at_s, kind, chance.choice(("channel ehr-adt", "api ehr.patients")), for_s)
        case "clock":
            return Trouble(at_s, kind, number=chance.choice((-3600, -60, -5, 5, 3600)))
    return Trouble(at_s, kind)

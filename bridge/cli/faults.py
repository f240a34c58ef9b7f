"""A fault proxy: what it does to connections, and the file that says when.

A script is a list of steps, one after the other, each for as long as it says; one that says nothing stays. A
step has one fault, and may have it for a share of the connections only.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from bridge.located import did_you_mean
from bridge.units import parse_duration, parse_size

STEPS_MAX: Final = 1000
FAULTS: Final = {
    "pass": "Nothing is done to it.",
    "latency": "Every piece of data comes `delay` later, each way.",
    "bandwidth": "No more than `rate` a second goes each way.",
    "refuse": "A connection is closed as soon as it is made.",
    "reset": "It is reset after `after` bytes from who connected; at once with 0.",
    "truncate": "It is closed in order after `after` bytes of answer, so that an answer ends in the middle.",
    "slow_close": "When one side closes, the other hears of it `delay` later.",
    "half_open": "When one side closes, the other never hears of it.",
    "blackhole": "What is said is read and goes nowhere; no answer comes.",
    "duplicate": "What the first connection says is said once more, by another connection of its own.",
    "reorder": "Connections are held until `count` have come, and then let through, the last one first.",
}
"""What can be done, in words."""
_OF_FAULT: Final = {
    "latency": "delay",
    "slow_close": "delay",
    "bandwidth": "rate",
    "reset": "after",
    "truncate": "after",
    "reorder": "count",
}


class ScriptRefused(ValueError):
    """A script says something that cannot be done; the text says where and what is expected."""


@dataclass(frozen=True, slots=True)
class Step:
    """One step of a script. ``lasts_s`` None is for ever; ``share`` of the connections have the fault."""

    fault: str
    lasts_s: float | None = None
    delay_s: float = 0.0
    rate_bytes: int = 0
    after_bytes: int = 0
    count: int = 2
    share: float = 1.0

    def __str__(self) -> str:
        detail = {
            "delay": f" {self.delay_s:g} s",
            "rate": f" {self.rate_bytes} bytes/s",
            "after": f" after {self.after_bytes} bytes",
            "count": f" of {self.count}",
        }
        lasts = "" if self.lasts_s is None else f" for {self.lasts_s:g} s"
        share = "" if self.share == 1 else f", {self.share:.0%} of connections"
        return f"{self.fault}{detail.get(_OF_FAULT.get(self.fault, ''), '')}{lasts}{share}"


PASS: Final = Step("pass")


def read_script(path: Path) -> tuple[Step, ...]:
    """The steps of a file: JSON, a list of objects. Raises ScriptRefused and OSError."""
    try:
        rows = json.loads(path.read_text("utf-8"))
    except ValueError as error:
        raise ScriptRefused(f"{path}: this is no JSON: {error}") from None
    if not isinstance(rows, list) or not rows or len(rows) > STEPS_MAX:
        raise ScriptRefused(f"{path}: expected a list of 1 to {STEPS_MAX} steps, as [{{'fault': 'reset'}}]")
    return tuple(read_step(row, f"{path}, step {number}") for number, row in enumerate(rows, 1))


def read_step(row: Any, where: str) -> Step:
    """One step, as ``{"fault": "latency", "delay": "200ms", "for": "10s"}``. Raises ScriptRefused."""
    if not isinstance(row, dict):
        raise ScriptRefused(f"{where}: expected an object, as {{'fault': 'reset', 'for': '10s'}}")
    left = dict(row)
    fault = left.pop("fault", None)
    if fault not in FAULTS:
        raise ScriptRefused(f"{where}: no fault {fault!r}; {did_you_mean(str(fault), FAULTS)}")
    wanted = _OF_FAULT.get(fault)
    try:
        step = Step(
            fault,
            lasts_s=parse_duration(left.pop("for")) if "for" in left else None,
            delay_s=parse_duration(left.pop("delay")) if wanted == "delay" else 0.0,
            rate_bytes=parse_size(str(left.pop("rate")).removesuffix("/s")) if wanted == "rate" else 0,
            after_bytes=parse_size(left.pop("after", 0)) if wanted == "after" else 0,
            count=int(left.pop("count", 2)) if wanted == "count" else 2,
            share=float(left.pop("share", 1.0)),
        )
    except KeyError as missing:
        raise ScriptRefused(f"{where}: {fault} needs {missing.args[0]!r}") from None
    except (TypeError, ValueError) as wrong:
        raise ScriptRefused(f"{where}: {wrong}") from None
    if left:
        raise ScriptRefused(f"{where}: {fault} knows no {', '.join(map(repr, left))}")
    if not 0 < step.share <= 1 or step.count < 2 or (wanted == "rate" and step.rate_bytes < 1):
        raise ScriptRefused(f"{where}: expected 0 < share <= 1, count >= 2, and a rate of a byte or more")
    return step

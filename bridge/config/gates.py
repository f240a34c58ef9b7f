"""What a channel file says of gates: what must hold before a route goes a stage further."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Final

from pydantic import Field

from bridge.component import Options
from bridge.delivery.stages import Stage
from bridge.units import DurationS


@dataclass(frozen=True, slots=True)
class Gate:
    """What must hold before a stage."""

    messages: int
    of_each_type: int
    days: float
    unexplained: int
    ignored_percent: float
    late_p95_s: float
    rollback_drill: bool
    approvals: int


GATES: Final[Mapping[Stage, Gate]] = {
    "shadow": Gate(0, 0, 0.0, 0, 100.0, 30.0, rollback_drill=False, approvals=0),
    "canary": Gate(3_000, 30, 7.0, 0, 2.0, 30.0, rollback_drill=False, approvals=1),
    "primary": Gate(10_000, 30, 14.0, 0, 1.0, 30.0, rollback_drill=True, approvals=2),
    "complete": Gate(30_000, 30, 30.0, 0, 0.5, 30.0, rollback_drill=True, approvals=2),
}
"""What a cautious site wants before each stage."""


class GateFile(Options):
    """What must hold before a stage, where it is not the usual."""

    messages: int | None = Field(
        None, ge=0, description="Pairs that were compared at the stage before, at least."
    )
    of_each_type: int | None = Field(
        None, ge=0, description="Of each message type that came, at least so many."
    )
    days: float | None = Field(None, ge=0, description="Days at the stage before.")
    unexplained: int | None = Field(None, ge=0, description="Differences that nobody has explained, at most.")
    ignored_percent: float | None = Field(
        None, ge=0, le=100, description="Pairs that are the same by a rule alone, at most."
    )
    late_p95: DurationS | None = Field(
        None, gt=0, description="How long after the old engine the bridge may be done, for 95 of 100."
    )
    rollback_drill: bool | None = Field(None, description="Whether a step back must have been practised.")
    approvals: int | None = Field(None, ge=0, description="Persons, beside who promotes, who have agreed.")

    def over(self, usual: Gate) -> Gate:
        """What is written here, and the usual for the rest."""
        written = self.model_dump(exclude_none=True)
        if "late_p95" in written:
            written["late_p95_s"] = written.pop("late_p95")
        return replace(usual, **written)


def _usual() -> GateFile:
    return GateFile.model_validate({})


class GatesFile(Options):
    """What must hold before each stage, where it is not the usual."""

    shadow: GateFile = Field(default_factory=_usual, description="Before shadow.")
    canary: GateFile = Field(default_factory=_usual, description="Before the first canary.")
    primary: GateFile = Field(default_factory=_usual, description="Before primary.")
    complete: GateFile = Field(default_factory=_usual, description="Before complete.")

    def all(self) -> dict[Stage, Gate]:
        """The gate before each stage."""
        return {stage: getattr(self, stage).over(usual) for stage, usual in GATES.items()}

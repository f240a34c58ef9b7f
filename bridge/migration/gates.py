"""Gates: what must hold before a route goes a stage further, and how far it is from that. Pure.

A gate that cannot be judged does not hold.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from bridge.config.gates import Gate
from bridge.delivery.stages import STAGES, Standing

DAY_US = 86_400_000_000
LATE_STEPS_S = (0.1, 0.5, 1.0, 5.0, 30.0, 60.0, 300.0)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What is known of a route at the stage where it stands, with the mapping that it has now.

    ``pairs`` counts what was compared, by message type; ``different`` those without explanation; ``ignored``
    the same by a rule alone. ``money`` are the totals of both sides by place: sums, counts and hashes.
    ``late`` counts pairs by how long the bridge was done after the old engine. ``expired_rules`` are rules
    that count no more.
    """

    pairs: Counter[str] = field(default_factory=Counter)
    same: int = 0
    ignored: int = 0
    explained: int = 0
    different: int = 0
    money: dict[str, tuple[Decimal, Decimal]] = field(default_factory=dict)
    late: Counter[str] = field(default_factory=Counter)
    expired_rules: int = 0
    blocked: int = 0
    """Messages of the route in quarantine, which block their keys."""
    waiting_keys: int = 0
    """Messages that wait for their keys to be handed over."""
    owed: int = 0
    """Messages that the old engine has not been given or has refused, which a person must look at."""
    would_refuse: int = 0
    """Messages that the old engine took at this stage, and the bridge alone would have refused."""
    tapped: bool = False
    rollback_drilled: bool = False
    approved_by: tuple[str, ...] = ()

    @property
    def compared(self) -> int:
        """How many pairs were compared."""
        return self.pairs.total()


@dataclass(frozen=True, slots=True)
class GateResult:
    """One gate: whether it holds, what was found and what is wanted, in words."""

    name: str
    holds: bool
    found: str
    wanted: str


def judge(
    before: Standing, after: Standing, gate: Gate, evidence: Evidence, now_us: int, actor: str
) -> list[GateResult]:
    """All gates between two standings. A larger canary asks for what can break, not for how long."""
    larger = before.stage == after.stage
    results = [_step_by_step(before, after)]
    if after.stage in ("canary", "primary"):
        found = "tapped" if evidence.tapped else "no tap"
        results.append(GateResult("suppression", evidence.tapped, found, "a tap that keeps its output back"))
    if not larger:
        results += _sample(before, gate, evidence, now_us)
    results += [
        _at_most("unexplained differences", evidence.different, gate.unexplained),
        *_money(evidence),
        _share("the same by rules alone", evidence, gate),
        _at_most("expired rules", evidence.expired_rules, 0),
        _late(evidence, gate),
        _at_most("keys that are blocked", evidence.blocked, 0),
        _at_most("messages the old engine refused", evidence.owed, 0),
    ]
    if after.stage in ("primary", "complete"):
        results.append(_at_most("messages the bridge alone would refuse", evidence.would_refuse, 0))
    if not larger:
        results.append(_at_most("keys that wait for their hand-over", evidence.waiting_keys, 0))
        if gate.rollback_drill:
            found = "done" if evidence.rollback_drilled else "not done"
            results.append(
                GateResult("rollback drill", evidence.rollback_drilled, found, "a step back and forth")
            )
        agreed = [each for each in evidence.approved_by if each != actor]
        results.append(
            GateResult(
                "approval",
                len(agreed) >= gate.approvals,
                _people(agreed),
                f"{gate.approvals} beside who promotes",
            )
        )
    return results


def _people(names: Sequence[str]) -> str:
    return ", ".join(names) or "nobody"


def _step_by_step(before: Standing, after: Standing) -> GateResult:
    distance = STAGES.index(after.stage) - STAGES.index(before.stage)
    following = STAGES[min(STAGES.index(before.stage) + 1, len(STAGES) - 1)]
    return GateResult(
        "step by step", distance <= 1, f"{before.stage} to {after.stage}", f"next is {following}"
    )


def _sample(before: Standing, gate: Gate, evidence: Evidence, now_us: int) -> list[GateResult]:
    rarest = min(evidence.pairs.items(), key=lambda pair: pair[1], default=("none yet", 0))
    days = (now_us - before.since_us) / DAY_US if before.since_us else 0.0
    results = [
        GateResult(
            "pairs compared",
            evidence.compared >= gate.messages,
            str(evidence.compared),
            f"at least {gate.messages}",
        )
    ]
    if gate.of_each_type:
        results.append(
            GateResult(
                "of each message type", rarest[1] >= gate.of_each_type, f"{rarest[0]}: {rarest[1]}",
                f"at least {gate.of_each_type}",
            )
        )  # fmt: skip
    if gate.days:
        results.append(
            GateResult("days at this stage", days >= gate.days, f"{days:.1f}", f"at least {gate.days:g}")
        )
    return results


def _at_most(name: str, found: int, most: int) -> GateResult:
    return GateResult(name, found <= most, str(found), f"at most {most}")


def _money(evidence: Evidence) -> list[GateResult]:
    results = []
    for path, (ours, theirs) in sorted(evidence.money.items()):
        off = ours - theirs
        results.append(GateResult(f"money in {path}", not off, f"off by {off}", "equal to the last digit"))
    return results


def _share(name: str, evidence: Evidence, gate: Gate) -> GateResult:
    share = 100 * evidence.ignored / evidence.compared if evidence.compared else 0.0
    return GateResult(
        name, share <= gate.ignored_percent, f"{share:.2f} %", f"at most {gate.ignored_percent:g} %"
    )


def _late(evidence: Evidence, gate: Gate) -> GateResult:
    total, reached = evidence.late.total(), 0
    wanted = f"95 of 100 within {gate.late_p95_s:g} s"
    for step in LATE_STEPS_S:
        reached += evidence.late[f"{step:g}"]
        if total and reached >= 0.95 * total:
            return GateResult("not later", step <= gate.late_p95_s, f"within {step:g} s", wanted)
    return GateResult("not later", not total, "later" if total else "nothing to be late", wanted)

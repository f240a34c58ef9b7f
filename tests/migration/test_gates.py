"""Each gate has a case in which it holds and one in which it does not, and says how far it is."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from bridge.config.gates import GATES
from bridge.delivery.stages import Stage, Standing
from bridge.migration.gates import DAY_US, Evidence, judge

NOW_US = 1_800_000_000_000_000
SHADOW = Standing("shadow", since_us=NOW_US - 8 * DAY_US)
CANARY = Standing("canary", 5000, since_us=NOW_US - 15 * DAY_US)
ALL_RIGHT = Evidence(
    pairs=Counter({"ADT^A01": 9000, "ADT^A08": 9000}),
    same=17_990,
    ignored=10,
    money={"amount": (Decimal("10.00"), Decimal("10.00"))},
    late=Counter({"1": 17_500, "60": 500}),
    tapped=True,
    rollback_drilled=True,
    approved_by=("user:bert", "user:cleo"),
)


def missing(
    evidence: Evidence, before: Standing = CANARY, to: Stage = "primary", actor: str = "user:anna"
) -> Any:
    gates = judge(before, Standing(to, 5000), GATES[to], evidence, NOW_US, actor)
    return {gate.name: (gate.found, gate.wanted) for gate in gates if not gate.holds}


def test_all_gates_hold_where_all_is_right() -> None:
    assert missing(ALL_RIGHT) == {}
    assert missing(ALL_RIGHT, SHADOW, "canary") == {}


CASES: list[tuple[str, dict[str, Any], str]] = [
    ("pairs compared", {"pairs": Counter({"ADT^A01": 9999})}, "9999"),
    ("of each message type", {"pairs": Counter({"ADT^A01": 18_000, "ADT^A40": 29})}, "ADT^A40: 29"),
    ("unexplained differences", {"different": 1}, "1"),
    ("money in amount (count)", {"money": {"amount (count)": (Decimal(2), Decimal(1))}}, "off by 1"),
    ("money in amount", {"money": {"amount": (Decimal("10.00"), Decimal("9.99"))}}, "off by 0.01"),
    ("the same by rules alone", {"ignored": 200}, "1.11 %"),
    ("expired rules", {"expired_rules": 1}, "1"),
    ("not later", {"late": Counter({"1": 90, "60": 10})}, "within 60 s"),
    ("keys that are blocked", {"blocked": 1}, "1"),
    ("messages the old engine refused", {"owed": 2}, "2"),
    ("messages the bridge alone would refuse", {"would_refuse": 4}, "4"),
    ("keys that wait for their hand-over", {"waiting_keys": 3}, "3"),
    ("rollback drill", {"rollback_drilled": False}, "not done"),
    ("approval", {"approved_by": ("user:bert",)}, "user:bert"),
    ("suppression", {"tapped": False}, "no tap"),
]


@pytest.mark.parametrize(("name", "changed", "found"), CASES, ids=[row[0] for row in CASES])
def test_a_gate_that_does_not_hold_says_how_far_it_is(name: str, changed: dict[str, Any], found: str) -> None:
    gates = missing(replace(ALL_RIGHT, **changed))
    assert list(gates) == [name], "it alone is missing, since all else is right"
    assert gates[name][0] == found


def test_days_are_counted_from_when_the_stage_began() -> None:
    young = replace(CANARY, since_us=NOW_US - 13 * DAY_US)
    assert missing(ALL_RIGHT, young) == {"days at this stage": ("13.0", "at least 14")}


def test_no_stage_is_left_out() -> None:
    assert set(missing(ALL_RIGHT, SHADOW, "primary")) >= {"step by step"}


def test_who_promotes_does_not_count_among_those_who_agree() -> None:
    assert "approval" in missing(ALL_RIGHT, actor="user:bert")


def test_a_larger_canary_needs_nothing_broken_and_no_time() -> None:
    fresh = replace(CANARY, since_us=NOW_US)
    few = replace(ALL_RIGHT, pairs=Counter({"ADT^A01": 5}), ignored=0, approved_by=(), rollback_drilled=False)
    larger = Standing("canary", 9000)
    gates = judge(fresh, larger, GATES["canary"], few, NOW_US, "user:anna")
    assert all(gate.holds for gate in gates)
    broken = judge(fresh, larger, GATES["canary"], replace(few, different=1), NOW_US, "user:anna")
    assert [gate.name for gate in broken if not gate.holds] == ["unexplained differences"]

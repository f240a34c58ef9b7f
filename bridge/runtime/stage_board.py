"""The board: where each route stands, how both sides compare, and what keeps it from going further."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from bridge.config.topology import Channel, Route
from bridge.delivery.stages import STAGES, Standing
from bridge.journal.parity import DIFFERENT, EXPLAINED, IGNORED, SAME
from bridge.journal.route_facts import RouteFacts, route_facts
from bridge.migration.gates import DAY_US, Evidence, GateResult, judge
from bridge.runtime.parts import Parts


def evidence_of(
    facts: RouteFacts, channel: Channel, route: Route, standing: Standing, waiting: int, now_us: int
) -> Evidence:
    """What is known of a route at its stage, by its mapping of now."""
    mapping = "" if route.plan is None else route.plan.digest
    today = datetime.fromtimestamp(now_us / 1e6, UTC).date().isoformat()
    counts: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    late: Counter[str] = Counter()
    money: dict[str, tuple[Decimal, Decimal]] = {}
    for tally in facts.tallies:
        if tally.mapping != mapping or tally.stage != standing.episode:
            continue
        kind, _, of = tally.what.partition(" ")
        if tally.what in (SAME, IGNORED, EXPLAINED, DIFFERENT):
            counts[tally.what] += tally.number
            pairs[tally.message_type or "of no message"] += tally.number
        elif kind == "late":
            late[of] += tally.number
        elif kind == "money":
            side, _, path = of.partition(" ")
            ours, theirs = money.get(path, (Decimal(0), Decimal(0)))
            here = side == "here"
            money[path] = (ours + tally.amount, theirs) if here else (ours, theirs + tally.amount)
    return Evidence(
        pairs=pairs,
        same=counts[SAME],
        ignored=counts[IGNORED],
        explained=counts[EXPLAINED],
        different=counts[DIFFERENT],
        money=money,
        late=late,
        expired_rules=sum(rule.expires < today for rule in channel.parity.rules),
        blocked=facts.stuck,
        waiting_keys=waiting,
        owed=facts.refused,
        would_refuse=facts.would_refuse,
        tapped=channel.legacy is not None
        and any(tap.route == route.name and tap.keeps_back for tap in channel.legacy.taps),
        rollback_drilled=facts.stepped_back,
        approved_by=facts.approved_by,
    )


TREND_DAYS = 7


def trend_of(facts: RouteFacts, now_us: int) -> list[tuple[int, int]]:
    """How many pairs were compared and how many of them differed, of each of the last days, the oldest
    first; today is the last. Of all stages and mappings, since a trend is what became of it."""
    today = now_us // DAY_US
    compared, different = Counter[int](), Counter[int]()
    for tally in facts.tallies:
        if tally.what in (SAME, IGNORED, EXPLAINED, DIFFERENT):
            compared[tally.day] += tally.number
            different[tally.day] += tally.number if tally.what == DIFFERENT else 0
    return [(compared[day], different[day]) for day in range(today - TREND_DAYS + 1, today + 1)]


async def board(parts: Parts, now_us: int) -> list[dict[str, Any]]:
    """Every route of a channel with an old engine, as plain values. Raises JournalUnavailable."""
    rows: list[dict[str, Any]] = []
    waiting = parts.hand_over.waiting()
    for name, staging in sorted(parts.staging.items()):
        channel = staging.channel
        if channel.legacy is None:
            continue
        for route in channel.routes:
            standing = staging.standings[route.name]
            following = STAGES[min(STAGES.index(standing.stage) + 1, len(STAGES) - 1)]
            facts = await parts.journal.read(route_facts, name, route.name, following, now_us)
            held, since_us = waiting.get((name, route.name), (0, 0))
            evidence = evidence_of(facts, channel, route, standing, held, now_us)
            done = standing.stage == "complete"
            gates = [] if done else gates_of(channel, standing, Standing(following), evidence, now_us, "")
            rows.append(
                {
                    "channel": name,
                    "route": route.name,
                    "stage": standing.stage,
                    "words": standing.words,
                    "since_us": standing.since_us,
                    "actor": facts.mover,
                    "reason": facts.why,
                    "compared": evidence.compared,
                    "same": evidence.same + evidence.ignored,
                    "explained": evidence.explained,
                    "different": evidence.different,
                    "trend": trend_of(facts, now_us),
                    "next": "" if done else following,
                    "gates": [
                        {"gate": each.name, "holds": each.holds, "found": each.found, "wanted": each.wanted}
                        for each in gates
                    ],
                    "waiting_keys": held,
                    "waiting_since_us": since_us,
                    "engine": {
                        "owed": facts.owed,
                        "refused": facts.refused,
                        "away": parts.feeds[name].away,
                        "last_control_id": parts.feeds[name].last_control_id,
                    },
                }
            )
    return rows


def gates_of(
    channel: Channel, before: Standing, after: Standing, evidence: Evidence, now_us: int, actor: str
) -> list[GateResult]:
    """The gates between two standings of a route."""
    gate = channel.gates.get(after.stage)
    return [] if gate is None else judge(before, after, gate, evidence, now_us, actor)

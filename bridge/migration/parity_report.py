"""The report of a comparison: what is the same, what differs and how often, by route. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import MappingProxyType
from typing import Any, Final

from bridge.journal.parity import DIFFERENT, EXPLAINED, IGNORED, SAME, Cluster, Tally

OUTCOMES = (SAME, IGNORED, EXPLAINED, DIFFERENT)
WORDS: Final = MappingProxyType({each: "same by rules" if each == IGNORED else each for each in OUTCOMES})
"""The outcomes for a person: what a rule makes the same is the same, and is not left out."""
COLUMNS = (
    "route", "fingerprint", "kind", "path", "ours", "theirs", "messages", "alone", "explained", "by", "why",
    "first", "last", "examples",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class RouteParity:
    """One route, by one mapping. ``unpaired`` are pairs that still wait for a side."""

    route: str
    mapping: str
    outcomes: Mapping[str, int]
    by_type: Mapping[str, Mapping[str, int]]
    rules: Mapping[str, int]
    money: Mapping[str, tuple[Decimal, Decimal]]
    late: Mapping[str, int]
    unpaired: Mapping[str, int]
    clusters: tuple[Cluster, ...]

    @property
    def compared(self) -> int:
        """How many pairs were compared."""
        return sum(self.outcomes.values())


def route_parity(
    route: str,
    mapping: str,
    tallies: Iterable[Tally],
    clusters: Iterable[Cluster],
    unpaired: Mapping[str, int],
) -> RouteParity:
    """What a route comes to."""
    outcomes: Counter[str] = Counter()
    by_type: dict[str, Counter[str]] = {}
    rules: Counter[str] = Counter()
    late: Counter[str] = Counter()
    money: dict[str, tuple[Decimal, Decimal]] = {}
    for tally in tallies:
        if (tally.route, tally.mapping) != (route, mapping):
            continue
        kind, _, of = tally.what.partition(" ")
        if tally.what in OUTCOMES:
            outcomes[tally.what] += tally.number
            by_type.setdefault(tally.message_type or "(no message)", Counter())[tally.what] += tally.number
        elif kind == "rule":
            rules[of] += tally.number
        elif kind == "late":
            late[of] += tally.number
        elif kind == "money":
            side, _, path = of.partition(" ")
            ours, theirs = money.get(path, (Decimal(0), Decimal(0)))
            here = side == "here"
            money[path] = (ours + tally.amount, theirs) if here else (ours, theirs + tally.amount)
    mine = tuple(each for each in clusters if (each.route, each.mapping) == (route, mapping))
    return RouteParity(route, mapping, outcomes, by_type, rules, money, late, unpaired, mine)


def headline(cluster: Cluster) -> str:
    """A cluster as a sentence's end: "birth_date, format".

    >>> from bridge.journal.parity import Cluster
    >>> shapes = ("value", "birth_date", "9999-99-99", "99999999")
    >>> headline(Cluster("r", "m", "f", *shapes, 2, 2, 0, 0, (), "", "", None))
    'birth_date, format'
    """
    if cluster.path == "(message)":
        return cluster.kind
    if cluster.kind != "value":
        return f"{cluster.path}, {cluster.kind}"
    return f"{cluster.path}, {'value' if cluster.ours == cluster.theirs else 'format'}"


def summary(found: RouteParity, now_us: int) -> list[str]:
    """What matters, in sentences."""
    lines = [
        f"{found.compared} pairs compared: "
        + ", ".join(f"{found.outcomes.get(each, 0)} {word}" for each, word in WORDS.items())
    ]
    alike: dict[str, list[int]] = {}
    for cluster in found.clusters:
        if not cluster.is_explained(now_us):
            counts = alike.setdefault(headline(cluster), [0, 0])
            counts[0] += cluster.number
            counts[1] += cluster.alone
    for name, (number, alone) in sorted(alike.items(), key=lambda pair: -pair[1][0]):
        lines.append(f"{number} messages differ {'only ' if alone == number else ''}in {name}")
    return lines


def as_rows(found: Sequence[RouteParity], now_us: int, moment: Any) -> list[tuple[Any, ...]]:
    """One row for each cluster, in the order of `COLUMNS`."""
    return [
        (
            each.route, cluster.fingerprint, cluster.kind, cluster.path, cluster.ours, cluster.theirs,
            cluster.number, cluster.alone, "yes" if cluster.is_explained(now_us) else "no",
            cluster.accepted_by, cluster.accepted_why, moment(cluster.first_at_us),
            moment(cluster.last_at_us), " ".join(str(one) for one in cluster.examples if one is not None),
        )
        for each in found
        for cluster in each.clusters
    ]  # fmt: skip


def as_json(found: Sequence[RouteParity], now_us: int) -> list[dict[str, Any]]:
    """All of it, as plain values."""
    return [
        {
            "route": each.route,
            "mapping": each.mapping,
            "compared": each.compared,
            "outcomes": dict(each.outcomes),
            "by_type": {name: dict(counts) for name, counts in each.by_type.items()},
            "rules": dict(each.rules),
            "money": {path: {"here": str(a), "there": str(b)} for path, (a, b) in each.money.items()},
            "late": dict(each.late),
            "unpaired": dict(each.unpaired),
            "clusters": [
                {**cluster._asdict(), "explained": cluster.is_explained(now_us)} for cluster in each.clusters
            ],
        }
        for each in found
    ]

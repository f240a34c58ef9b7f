"""What another version of a mapping would make otherwise of the same messages, field by field. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import zip_longest
from typing import Any, Final, Literal

from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_compare import compare
from bridge.mapping.messages import Message
from bridge.mapping.plan import Plan
from bridge.message import ADDS, MadeMessage, Mapped, Record

What = Literal[
    "changes", "appears", "is gone", "would be made", "would not be made",
    "fails now", "fails no longer", "is noted now", "is noted no longer",
]  # fmt: skip

EXAMPLES_MAX_COUNT: Final = 3
CLUSTERS_MAX_COUNT: Final = 10_000
"""A mapping that makes everything otherwise is told as that, not in a million rows."""


@dataclass(frozen=True, slots=True)
class Changed:
    """One thing that would be otherwise: a field, a record, an issue, or the whole message.

    ``before`` and ``after`` are values of messages, and shown to nobody who may not see them.
    """

    record: str
    field: str
    what: What
    before: Any = None
    after: Any = None

    @property
    def cluster(self) -> tuple[str, str, What]:
        """What it has in common with others."""
        return self.record, self.field, self.what


@dataclass(slots=True)
class Cluster:
    """Changes of one kind: how many, in how many messages, and the first few with the message they are of."""

    count: int = 0
    messages: int = 0
    examples: list[tuple[str, Changed]] = field(default_factory=list)


@dataclass(slots=True)
class Impact:
    """What would change, counted over messages. ``messages`` are those that either version accepts."""

    before: Plan
    after: Plan
    messages: int = 0
    changed: int = 0
    fails_now: int = 0
    clusters: dict[tuple[str, str, What], Cluster] = field(default_factory=dict)

    def add(self, name: str, message: Message) -> None:
        """Run one message through both."""
        accepted = [plan.accepts(message.message_type) for plan in (self.before, self.after)]
        if message.refused is not None or not any(accepted):
            return
        self.messages += 1
        found = list(changes(self.before.run(message), self.after.run(message)))
        self.changed += bool(found)
        self.fails_now += any(each.what == "fails now" for each in found)
        seen: set[tuple[str, str, What]] = set()
        for each in found:
            if each.cluster not in self.clusters and len(self.clusters) >= CLUSTERS_MAX_COUNT:
                continue
            cluster = self.clusters.setdefault(each.cluster, Cluster())
            cluster.count += 1
            cluster.messages += each.cluster not in seen
            seen.add(each.cluster)
            if len(cluster.examples) < EXAMPLES_MAX_COUNT:
                cluster.examples.append((name, each))

    def rows(self) -> list[tuple[tuple[str, str, What], Cluster]]:
        """The clusters, those in most messages first."""
        return sorted(self.clusters.items(), key=lambda each: (-each[1].messages, -each[1].count, each[0]))


def changes(before: Mapped, after: Mapped) -> Iterator[Changed]:
    """What of two results is not the same. A message that fails has nothing to compare but its issues."""
    if before.failed != after.failed:
        codes = [", ".join(dict.fromkeys(issue.code for issue in side.issues)) for side in (before, after)]
        yield Changed("message", codes[after.failed], "fails now" if after.failed else "fails no longer")
        return
    for one, other in _pairs(before.records, after.records):
        if one is None or other is None:
            record = one or other
            assert record is not None, "one side has it"
            yield Changed(record.record, "", "would be made" if one is None else "would not be made")
            continue
        yield from _record_changes(one, other)
    yield from _message_changes(before.messages, after.messages)
    yield from _issue_changes(before, after)


def _pairs(
    before: Sequence[Record], after: Sequence[Record]
) -> Iterator[tuple[Record | None, Record | None]]:
    """Records of one kind and key; of those that are left, the first of a kind with the first of it."""
    theirs: dict[tuple[str, str], list[Record]] = {}
    for record in after:
        theirs.setdefault((record.record, record.key), []).append(record)
    left: dict[str, tuple[list[Record], list[Record]]] = {}
    for record in before:
        same = theirs.get((record.record, record.key))
        if same:
            yield record, same.pop(0)
        else:
            left.setdefault(record.record, ([], []))[0].append(record)
    for (kind, _), records in theirs.items():
        left.setdefault(kind, ([], []))[1].extend(records)
    for ours, others in left.values():
        yield from zip_longest(ours, others)


def _record_changes(one: Record, other: Record) -> Iterator[Changed]:
    if one.key != other.key:
        yield Changed(one.record, "key", "changes", one.key, other.key)
    if one.operation != other.operation:
        yield Changed(one.record, "operation", "changes", one.operation, other.operation)
    if one.adds != other.adds:
        yield Changed(one.record, ADDS, "changes", ", ".join(one.adds), ", ".join(other.adds))
    for name in dict.fromkeys((*one.fields, *other.fields)):
        if name not in other.fields:
            yield Changed(one.record, name, "is gone", one.fields[name])
        elif name not in one.fields:
            yield Changed(one.record, name, "appears", None, other.fields[name])
        elif one.fields[name] != other.fields[name]:
            yield Changed(one.record, name, "changes", one.fields[name], other.fields[name])


def _message_changes(before: Sequence[MadeMessage], after: Sequence[MadeMessage]) -> Iterator[Changed]:
    for one, other in zip_longest(before, after):
        if one is None or other is None:
            yield Changed("message", "", "would be made" if one is None else "would not be made")
        elif one.body != other.body:
            found = compare(Hl7Message.read(one.body), Hl7Message.read(other.body))
            for each in found:
                yield Changed("message", each.path, "changes", each.a, each.b)
            if not found:
                yield Changed("message", "the way it is written", "changes")


def _issue_changes(before: Mapped, after: Mapped) -> Iterator[Changed]:
    sides = [[(issue.code, ".".join(filter(None, (issue.record, issue.field)))) for issue in side.issues]
             for side in (before, after)]  # fmt: skip
    words: tuple[What, What] = ("is noted no longer", "is noted now")
    for mine, other, what in ((sides[0], sides[1], words[0]), (sides[1], sides[0], words[1])):
        left = list(other)
        for code, place in mine:
            if (code, place) in left:
                left.remove((code, place))
            else:
                yield Changed("issue", f"{code} {place}".strip(), what)

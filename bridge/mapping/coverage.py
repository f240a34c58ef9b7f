"""What mappings use of many messages, ignore with a reason, and do not know of. Pure; no value is kept."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.formats.hl7v2_leaves import Leaf
from bridge.mapping.accounting import Accounting, Status, account
from bridge.mapping.messages import Message
from bridge.mapping.plan import Plan

NO_SEGMENT: Final = "(no segment)"
"""In the place of the name of a line that has none."""
SEGMENT_NAME: Final = re.compile("[A-Z][A-Z0-9]{2}")
STATUSES: tuple[Status, ...] = ("used", "ignored", "unmapped")


@dataclass(frozen=True, slots=True, order=True)
class Spot:
    """A place that many messages have: numbers count from 1, field 0 is a line without a segment's name."""

    segment: str
    field: int
    component: int
    subcomponent: int
    text: str = ""
    """The path itself, where the format is not HL7 v2."""

    @property
    def path(self) -> str:
        """As a mapping would read it."""
        if self.text:
            return self.text
        below = f".{self.component}" if self.field else ""
        return f"{self.segment}-{self.field}{below}" + (
            f".{self.subcomponent}" if self.subcomponent > 1 else ""
        )


@dataclass(slots=True)
class Tally:
    """How many values, in how many messages, and how many of these failed."""

    values: int = 0
    messages: int = 0
    failed: int = 0


@dataclass(slots=True)
class Coverage:
    """Counts over the messages that one of the mappings accepts.

    ``records`` are those that were made, made messages among them; ``without_record`` the accepted messages
    that came to none. ``errors`` are messages that could not be read, by code, and such whose values do not
    add up, which never happens. ``other_types`` counts messages that no mapping accepts, and none of theirs.
    """

    plans: Sequence[Plan]
    messages: int = 0
    records: int = 0
    failed: int = 0
    without_record: int = 0
    issues: int = 0
    by_status: Counter[Status] = field(default_factory=Counter)
    errors_by_code: Counter[str] = field(default_factory=Counter)
    other_types: Counter[str] = field(default_factory=Counter)
    by_segment: dict[str, Counter[Status]] = field(default_factory=dict)
    unmapped_places: dict[tuple[Spot, str], Tally] = field(default_factory=dict)
    used_places: Counter[Spot] = field(default_factory=Counter)
    ignored_by: Counter[tuple[str, str]] = field(default_factory=Counter)
    issues_by_code: Counter[tuple[str, str, str]] = field(default_factory=Counter)

    @property
    def total(self) -> int:
        """All values of the accepted messages."""
        return self.by_status.total()

    @property
    def errors(self) -> int:
        """How many messages could not be accounted for."""
        return self.errors_by_code.total()

    def percent(self, status: Status) -> float:
        """Of all values, so many have this status; 0 where there is none."""
        return 100 * self.by_status[status] / self.total if self.total else 0.0

    @property
    def unused_ignores(self) -> list[tuple[str, str]]:
        """Entries of `ignore` that left out nothing in any message, with the name of their mapping."""
        return [
            (plan.name, entry.text)
            for plan in self.plans
            for entry in plan.ignores
            if not self.ignored_by[entry.text, entry.because]
        ]

    def add(self, message: Message) -> None:
        """Count one message."""
        if message.refused is not None:
            self.errors_by_code[message.refused.code] += 1
        elif not any(plan.accepts(message.message_type) for plan in self.plans):
            self.other_types[message.message_type or "(none)"] += 1
        else:
            self._count(account(message, self.plans))

    def _count(self, found: Accounting) -> None:
        self.messages += 1
        self.records += found.made
        self.failed += found.failed
        self.without_record += not found.made
        for mapped in found.mapped:
            self.issues += len(mapped.issues)
            self.issues_by_code.update(
                (issue.code, ".".join(filter(None, (issue.record, issue.field))), issue.source)
                for issue in mapped.issues
            )
        if sum(found.count(status) for status in STATUSES) != len(found.values):
            self.errors_by_code["values-do-not-add-up"] += 1
        seen: set[tuple[Spot, str]] = set()
        for value in found.values:
            leaf = value.leaf
            self.by_status[value.status] += 1
            # What stands where a name should is content, and is not shown.
            of_hl7 = type(leaf) is Leaf
            name = leaf.segment if not of_hl7 or SEGMENT_NAME.fullmatch(leaf.segment) else NO_SEGMENT
            self.by_segment.setdefault(name, Counter())[value.status] += 1
            text = "" if of_hl7 else leaf.path
            spot = Spot(name, leaf.field, leaf.component, leaf.subcomponent, text)
            if value.status == "used":
                self.used_places[spot] += 1
            elif value.entry is not None:
                self.ignored_by[value.entry.text, value.because] += 1
            else:
                at = (spot, value.because)
                tally = self.unmapped_places.setdefault(at, Tally())
                tally.values += 1
                if at not in seen:
                    seen.add(at)
                    tally.messages += 1
                    tally.failed += found.failed


def cover(messages: Iterable[Message], plans: Sequence[Plan]) -> Coverage:
    """The coverage of all of them."""
    found = Coverage(plans)
    for message in messages:
        found.add(message)
    return found

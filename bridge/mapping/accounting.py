"""What became of every value of a message: used, ignored with its reason, or unmapped. Pure.

A value is used where something read it: a rule, a key, a condition, what accepts the message, the reader.
It is recomputed from the message and the plan whenever somebody asks; none of it while messages flow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bridge.formats.hl7v2_leaves import Leaf
from bridge.mapping.ignores import Ignored
from bridge.mapping.messages import Message
from bridge.mapping.plan import Plan
from bridge.mapping.recorded import Recorded, leaves, recorded
from bridge.message import Mapped

Status = Literal["used", "ignored", "unmapped"]

NO_RULE: Final = "no rule reads it"
ELSEWHERE: Final = "rules read other parts of this field"
NOT_REACHED: Final = "not reached: the message failed"
_READ_BY_THE_READER: Final = frozenset(
    {
        *(("MSH", number) for number in (1, 2, 18)),
        *(("ISA", number) for number in (11, 12, 16)),
        *(("ST", 1), ("ST", 3), ("GS", 8)),
    }
)
"""How the message is taken apart and decoded: nothing is read without them."""


@dataclass(frozen=True, slots=True)
class Accounted:
    """One value. ``because`` is why it is ignored, or what may be wrong where it is unmapped."""

    leaf: Leaf
    status: Status
    because: str = ""
    entry: Ignored | None = None


@dataclass(frozen=True, slots=True)
class Accounting:
    """One message through one plan, or through several: every value, and what was made."""

    message: Message
    mapped: tuple[Mapped, ...]
    values: tuple[Accounted, ...]

    def count(self, status: Status) -> int:
        """How many values have this status."""
        return sum(value.status == status for value in self.values)

    @property
    def failed(self) -> bool:
        """Whether a mapping failed the message."""
        return any(mapped.failed for mapped in self.mapped)

    @property
    def made(self) -> int:
        """Records and messages that were made of it."""
        return sum(len(mapped.records) + len(mapped.messages) for mapped in self.mapped)


def account(message: Message, plans: Sequence[Plan]) -> Accounting:
    """What became of every value, by the plans that accept the message; by none, all of it is unmapped."""
    accepting = [plan for plan in plans if plan.accepts(message.message_type)]
    noting = recorded(message)
    return _accounting(noting, accepting, tuple(plan.run(noting) for plan in accepting))


def account_by(message: Message, plan: Plan) -> Accounting:
    """As `account` by one plan, with lineage; a message that it does not accept fails, and says so."""
    noting = recorded(message)
    return _accounting(noting, [plan], (plan.run(noting, lineage=True),))


def _accounting(noting: Recorded, plans: Sequence[Plan], mapped: tuple[Mapped, ...]) -> Accounting:
    failed = any(each.failed for each in mapped)
    paths = {(path.segment, path.field) for plan in plans for path in plan.paths}
    ignores = [entry for plan in plans for entry in plan.ignores]
    values = tuple(
        _accounted(leaf, leaf in noting.read_leaves, ignores, paths, failed=failed) for leaf in leaves(noting)
    )
    return Accounting(noting, mapped, values)


def _accounted(
    leaf: Leaf, read: bool, ignores: Iterable[Ignored], paths: set[tuple[str, int]], *, failed: bool
) -> Accounted:
    at = (leaf.segment, leaf.field)
    if read or at in _READ_BY_THE_READER:
        return Accounted(leaf, "used")
    for entry in ignores:
        if entry.leaves_out(leaf.segment, leaf.field, leaf.component, leaf.subcomponent):
            return Accounted(leaf, "ignored", entry.because, entry)
    if at not in paths:
        return Accounted(leaf, "unmapped", NO_RULE)
    return Accounted(leaf, "unmapped", NOT_REACHED if failed else ELSEWHERE)

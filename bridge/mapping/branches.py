"""Which rules, conditions, alternatives and defaults of a mapping were gone through. For its own tests.

Only the traced program of a plan has them, and they are a notebook: whoever wants to know what some messages
go through clears it, runs them one after another, and reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from bridge.located import Place

Outcome = Literal["given", "true", "false"]
_GIVEN: Final[tuple[Outcome, ...]] = ("given",)
_BOTH: Final[tuple[Outcome, ...]] = ("true", "false")


@dataclass(frozen=True, slots=True)
class Branch:
    """What can happen at a place of a file: a rule gives something, a condition holds or does not."""

    place: Place
    what: str
    outcomes: tuple[Outcome, ...]
    is_rule: bool = False


@dataclass(slots=True)
class Branches:
    """The branches of one program, and what was seen of them since it was cleared."""

    found: dict[Branch, int] = field(default_factory=dict)
    seen: set[tuple[int, Outcome]] = field(default_factory=set)

    def given(
        self, read: Callable[[Any], Any], place: Place, what: str, *, is_rule: bool = False
    ) -> Callable[[Any], Any]:
        """``read``, which notes when it gave something."""
        number = self.add(place, what, is_rule=is_rule)

        def noted(run: Any) -> Any:
            value = read(run)
            if value is not None:
                self.seen.add((number, "given"))
            return value

        return noted

    def decision(self, read: Callable[[Any], Any], place: Place, what: str) -> Callable[[Any], Any]:
        """``read``, which notes whether it held."""
        number = self._number(Branch(place, what, _BOTH))

        def noted(run: Any) -> Any:
            value = read(run)
            self.seen.add((number, "true" if value else "false"))
            return value

        return noted

    def add(self, place: Place, what: str, *, is_rule: bool = False) -> int:
        """The number of a branch that is noted with `note`."""
        return self._number(Branch(place, what, _GIVEN, is_rule))

    def _number(self, branch: Branch) -> int:
        # A let is built twice where keys use it, and is one branch.
        return self.found.setdefault(branch, len(self.found))

    def note(self, number: int) -> None:
        """It was gone through."""
        self.seen.add((number, "given"))

    def missed(self) -> list[tuple[Branch, tuple[Outcome, ...]]]:
        """The branches of which some outcome was not seen, with those outcomes."""
        left = (
            (branch, tuple(each for each in branch.outcomes if (number, each) not in self.seen))
            for branch, number in self.found.items()
        )
        return sorted(((branch, outcomes) for branch, outcomes in left if outcomes), key=_by_place)

    def counts(self, *, rules: bool) -> tuple[int, int]:
        """Of the rules, or of all else: how many outcomes were seen, and how many there are."""
        wanted = [(number, branch) for branch, number in self.found.items() if branch.is_rule is rules]
        total = sum(len(branch.outcomes) for _, branch in wanted)
        seen = sum((number, each) in self.seen for number, branch in wanted for each in branch.outcomes)
        return seen, total


def _by_place(each: tuple[Branch, tuple[Outcome, ...]]) -> Place:
    return each[0].place

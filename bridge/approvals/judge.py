"""Whether a bundle may run: who must agree, who has, and why what somebody said does not count."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

from bridge.approvals.bundle import Bundle
from bridge.approvals.people import People
from bridge.approvals.statements import EMERGENCY_MAX_US, Statement
from bridge.message import Microseconds

Code = Literal[
    "author", "unknown-person", "replaced-key", "altered", "other-bundle", "other-author", "wrong-group",
    "expired", "not-proposed",
]  # fmt: skip
CLOCKS_APART_MAX_US: Final = 300_000_000
"""So far the clock of who signs may be ahead of ours."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """A statement that does not count, or that is missing; ``person`` is whose."""

    person: str
    code: Code
    text: str


@dataclass(frozen=True, slots=True)
class Needs:
    """Groups of which one person each must agree, how many persons in all, and the areas that ask for two."""

    groups: tuple[str, ...]
    persons: int
    two_for: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Verdict:
    """What became of all statements on a bundle.

    ``by`` are who agreed, each with the groups that count. With ``until_us`` it may run for that long by an
    emergency approval, and ``missing`` says what its review still needs; without it and with nothing missing
    it may run as long as it is.
    """

    needs: Needs
    by: tuple[tuple[str, tuple[str, ...]], ...]
    missing: tuple[str, ...]
    refused: tuple[Refusal, ...]
    until_us: Microseconds | None = None
    emergency_by: str = ""

    @property
    def approved(self) -> bool:
        """Whether it has all that it needs."""
        return not self.missing

    @property
    def may_run(self) -> bool:
        """Whether a node may run by it now."""
        return self.approved or self.until_us is not None

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why it is not approved, as sentences."""
        return (*self.missing, *(each.text for each in self.refused)) if self.missing else ()

    @property
    def words(self) -> str:
        """Who agreed."""
        names = [f"{name} ({', '.join(groups)})" if groups else name for name, groups in self.by]
        if self.until_us is not None:
            names.append(f"{self.emergency_by} (emergency)")
        return ", ".join(names) or "nobody"


def needs_of(bundle: Bundle, base: Bundle | None, people: People) -> Needs:
    """Who must agree to what differs from ``base``."""
    touched = bundle.touched(base)
    two = tuple(sorted(touched & people.two))
    groups = tuple(sorted({people.group_for(area) for area in touched} or {people.otherwise}))
    return Needs(groups, 2 if two else 1, two)


def objection(statement: Statement, bundle: Bundle, author: str, people: People) -> Refusal | None:
    """Why a statement does not count, whatever others say; None where it may."""
    name, person = statement.person, people.persons.get(statement.person)

    def refused(code: Code, text: str) -> Refusal:
        return Refusal(name, code, text)

    if person is None:
        return refused("unknown-person", f"{name} is nobody whom the approvers file names")
    if statement.key != person.key:
        return refused("replaced-key", f"{name} signed with a key that is not {name}'s in the approvers file")
    if statement.bundle != bundle.digest:
        return refused("other-bundle", f"{name} signed another bundle, {statement.bundle[:12]}")
    if not statement.genuine:
        return refused("altered", f"what {name} signed was altered afterwards: the signature does not fit")
    if statement.author != author:
        return refused("other-author", f"{name} signed it as written by {statement.author}, not {author}")
    if statement.does == "propose":
        return None if name == author else refused("other-author", f"{name} is not its author")
    if name == author:
        return refused("author", f"{name} wrote it, and an author cannot approve")
    return None


def authors_of(bundle: Bundle, statements: Iterable[Statement], people: People) -> list[str]:
    """Who proposed a bundle, in a statement that counts."""
    return [
        each.person
        for each in statements
        if each.does == "propose" and objection(each, bundle, each.person, people) is None
    ]


def judge(
    bundle: Bundle,
    base: Bundle | None,
    people: People,
    statements: Iterable[Statement],
    now_us: Microseconds,
) -> Verdict:
    """Hold all statements on a bundle against the rules. Does not raise."""
    said = sorted(statements, key=lambda each: (each.at_us, each.person, each.does))
    needs = needs_of(bundle, base, people)
    authors = authors_of(bundle, said, people)
    author = authors[0] if authors else next((each.author for each in said), "")
    refused = [found for each in said if (found := objection(each, bundle, author, people)) is not None]
    counted = [each for each in said if objection(each, bundle, author, people) is None]
    if not authors:
        text = "its author has not proposed it, or not with a key that counts"
        return Verdict(needs, (), (text,), (*refused, Refusal(author, "not-proposed", text)))
    agreed: dict[str, tuple[str, ...]] = {}
    for each in counted:
        if each.does != "approve":
            continue
        theirs = tuple(sorted({*people.persons[each.person].groups} & {*needs.groups}))
        if theirs or (needs.persons > 1 and people.persons[each.person].groups):
            agreed[each.person] = theirs
        else:
            refused.append(_wrong_group(each.person, needs, people))
    emergencies = [each for each in counted if each.does == "emergency"]
    missing = _missing(needs, agreed, {each.person for each in emergencies})
    until_us, by, more = _emergency(emergencies, people, now_us)
    return Verdict(
        needs,
        tuple(agreed.items()),
        tuple(missing),
        (*refused, *more),
        until_us if missing else None,
        by if missing else "",
    )


def _wrong_group(name: str, needs: Needs, people: People) -> Refusal:
    theirs = ", ".join(people.persons[name].groups) or "no group"
    return Refusal(
        name, "wrong-group", f"{name} is of {theirs}, and this is for {' and '.join(needs.groups)}"
    )


def _missing(needs: Needs, agreed: dict[str, tuple[str, ...]], emergency: set[str]) -> list[str]:
    covered = {group for groups in agreed.values() for group in groups}
    missing = [f"somebody of {group} must agree" for group in needs.groups if group not in covered]
    if not missing and len(agreed) < needs.persons:
        about = ", ".join(needs.two_for)
        missing.append(f"{len(agreed)} of {needs.persons} persons agreed, as {about} needs")
    if not missing and emergency and not set(agreed) - emergency:
        missing.append(f"somebody other than {', '.join(sorted(emergency))} must review the emergency")
    return missing


def _emergency(
    statements: list[Statement], people: People, now_us: Microseconds
) -> tuple[Microseconds | None, str, list[Refusal]]:
    """Until when it may run by an emergency approval, whose, and why others do not count."""
    until_us, by, refused = None, "", []
    for each in statements:
        if not {*people.persons[each.person].groups} & people.emergency:
            text = f"{each.person} may not approve in an emergency: that is for " + (
                " and ".join(sorted(people.emergency)) or "nobody, as the approvers file says"
            )
            refused.append(Refusal(each.person, "wrong-group", text))
            continue
        ends_us = min(each.expires_at_us or 0, each.at_us + EMERGENCY_MAX_US)
        if now_us >= ends_us or each.at_us > now_us + CLOCKS_APART_MAX_US:
            text = f"the emergency approval of {each.person} has expired, and nobody has reviewed it"
            refused.append(Refusal(each.person, "expired", text))
        elif until_us is None or ends_us > until_us:
            until_us, by = ends_us, each.person
    return until_us, by, refused

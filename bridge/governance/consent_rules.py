"""What patients have decided, and what it means for one disclosure. Pure.

A consent is a tree of rules after FHIR R4 Consent.provision (R5: Consent.decision and its provisions): each
permits or denies, and holds where all that it names holds: a period, purposes, recipients, labels, kinds of
records. What is nested is an exception to the rule around it, so the innermost that holds decides; of two
side by side that hold, the one that denies. Of several consents of one patient one that denies decides, since
nobody can tell here that an older one was meant to be over; nothing that holds is `unknown`.

Where a rule names something that cannot be known here, the cautious reading is taken: it holds where it
denies, and does not hold where it permits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from bridge.message import Microseconds

Word = Literal["permit", "deny", "unknown"]

CHILDREN: Final[Mapping[str, tuple[str, ...]]] = {
    "TREAT": ("CLINTRL", "COC", "ETREAT", "POPHLTH", "BTG", "CAREMGT"),
    "ETREAT": ("BTG",),
    "HPAYMT": ("CLMATTCH", "COVAUTH", "COVERAGE", "ELIGDTRM", "ELIGVER", "ENROLLM", "REMITADV"),
    "COVERAGE": ("ELIGDTRM", "ELIGVER", "ENROLLM"),
    "HOPERAT": (
        "DONAT", "FRAUD", "GOV", "HACCRED", "HCOMPL", "HDECD", "HDIRECT", "HDM", "HLEGAL", "HOUTCOMS",
        "HPRGRP", "HQUALIMP", "HSYSADMIN", "LABELING", "METAMGT", "MEMADMIN", "MILCDM", "PATADMIN",
        "PATSFTY", "PERFMSR", "RECORDMGT", "SYSDEV", "HTEST", "TRAIN",
    ),
    "HRESCH": (
        "BIORCH", "CLINTRCH", "CLINTRCHNPC", "CLINTRCHPC", "DSRCH", "POARCH", "PRECLINTRCH", "TRANSRCH",
    ),
    "PATRQT": ("FAMRQT", "PWATRNY", "SUPNWK"),
    "PUBHLTH": ("DISASTER", "THREAT"),
    "HMARKT": (),
}  # fmt: skip
"""Purposes of HL7 v3 PurposeOfUse, each with those that it has within it."""
PURPOSES: Final = frozenset(CHILDREN) | {each for within in CHILDREN.values() for each in within}
PROVISIONS_MAX_DEPTH: Final = 8


@dataclass(frozen=True, slots=True)
class Rule:
    """One provision. What is empty or None is not asked about; a period holds from its first to its last
    microsecond. ``beyond`` tells that it names something more, which cannot be known here."""

    permits: bool | None
    start_us: Microseconds | None = None
    end_us: Microseconds | None = None
    purposes: frozenset[str] = frozenset()
    recipients: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()
    records: frozenset[str] = frozenset()
    beyond: bool = False
    rules: tuple[Rule, ...] = ()


@dataclass(frozen=True, slots=True)
class Consent:
    """What one patient has decided. ``name`` is how it is found where it came from, ``patients`` are the
    names by which the patient is known there; of one that is not ``active`` nothing holds."""

    name: str
    patients: frozenset[str]
    active: bool
    rule: Rule


@dataclass(frozen=True, slots=True)
class Question:
    """One disclosure: whose data, what of it, why, and to whom.

    ``patients`` are those who must all agree, each with the names by which it may be known; ``labels`` the
    confidentiality and sensitivities of what is sent.
    """

    patients: tuple[tuple[str, ...], ...]
    record: str
    labels: frozenset[str]
    purpose: str
    recipients: frozenset[str]


@dataclass(frozen=True, slots=True)
class Decision:
    """What follows, a code for why, and by which consents."""

    word: Word
    reason: str
    by: tuple[str, ...] = ()


PERMITTED, DENIED, UNKNOWN = "consent-given", "consent-denied", "consent-unknown"


def decide(question: Question, known: Sequence[Iterable[Consent]], now_us: Microseconds) -> Decision:
    """What patients have decided about a disclosure; ``known`` are the consents of each, in order.

    One that denies is enough to deny, and all must permit to permit.
    """
    said: list[tuple[Word, tuple[str, ...]]] = [of_patient(question, each, now_us) for each in known]
    denying = tuple(name for word, by in said if word == "deny" for name in by)
    if denying:
        return Decision("deny", DENIED, denying)
    if not said or any(word == "unknown" for word, _ in said):
        return Decision("unknown", UNKNOWN)
    return Decision("permit", PERMITTED, tuple(name for _, by in said for name in by))


def of_patient(
    question: Question, consents: Iterable[Consent], now_us: Microseconds
) -> tuple[Word, tuple[str, ...]]:
    """What one patient's consents say together, and which of them."""
    found: dict[bool, list[str]] = {True: [], False: []}
    for consent in consents:
        if consent.active and (permits := holds(consent.rule, question, now_us)) is not None:
            found[permits].append(consent.name)
    if found[False]:
        return "deny", tuple(found[False])
    return ("permit", tuple(found[True])) if found[True] else ("unknown", ())


def holds(rule: Rule, question: Question, now_us: Microseconds) -> bool | None:
    """Whether a rule, with what is nested in it, permits a disclosure; None where it says nothing of it."""
    if not _applies(rule, question, now_us):
        return None
    within = {said for each in rule.rules if (said := holds(each, question, now_us)) is not None}
    permits = False not in within if within else rule.permits
    return None if permits and rule.beyond else permits


def _applies(rule: Rule, question: Question, now_us: Microseconds) -> bool:
    return (
        (rule.start_us is None or rule.start_us <= now_us)
        and (rule.end_us is None or now_us <= rule.end_us)
        and (not rule.purposes or any(is_within(question.purpose, each) for each in rule.purposes))
        and (not rule.recipients or not rule.recipients.isdisjoint(question.recipients))
        and (not rule.labels or not rule.labels.isdisjoint(question.labels))
        and (not rule.records or question.record in rule.records)
    )


def is_over(consent: Consent, before_us: Microseconds) -> bool:
    """Whether a consent says nothing any more of whatever happens from a time on."""
    return not consent.active or _is_over(consent.rule, before_us)


def _is_over(rule: Rule, before_us: Microseconds) -> bool:
    if rule.end_us is not None and rule.end_us < before_us:
        return True
    return rule.permits is None and all(_is_over(each, before_us) for each in rule.rules)


def is_within(purpose: str, wide: str) -> bool:
    """Whether a purpose is another, or one of those within it.

    >>> is_within("ETREAT", "TREAT"), is_within("TREAT", "ETREAT")
    (True, False)
    """
    return purpose == wide or purpose in CHILDREN.get(wide, ())

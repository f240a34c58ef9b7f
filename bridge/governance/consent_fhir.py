"""Consents as they are written down: FHIR R4 and R5 Consent as JSON or its like, and rows of a table. Pure.

What is read is told of by its number and the name of the element that is wrong, never by what stands there.
"""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from bridge.governance.consent_rules import PROVISIONS_MAX_DEPTH, Consent, Rule
from bridge.message import Microseconds

OPT_IN, OPT_OUT = frozenset({"OPTIN", "OPTINR"}), frozenset({"OPTOUT", "OPTOUTE"})
"""Codes of HL7 v3 ActCode that a policy rule may be."""
RECORDS_OF: Final[Mapping[str, tuple[str, ...]]] = {
    "Patient": ("patient",),
    "Encounter": ("encounter",),
    "Coverage": ("coverage",),
    "Account": ("account",),
    "ServiceRequest": ("order",),
    "Observation": ("result",),
    "DiagnosticReport": ("result",),
    "DocumentReference": ("document",),
    "Immunization": ("immunization",),
    "Appointment": ("appointment",),
    "ChargeItem": ("charge",),
    "Claim": ("claim",),
    "ClaimResponse": ("claim_status",),
    "ExplanationOfBenefit": ("remittance",),
    "Invoice": ("invoice",),
}
"""Our records by the kinds of resources that `class` may name."""
COLUMNS: Final = (
    "patient",
    "decision",
    "purpose",
    "recipient",
    "label",
    "record",
    "from",
    "until",
    "id",
    "status",
)
_UNASKED: Final = ("dataPeriod", "data", "code", "expression", "documentType")
_OURS: Final = frozenset({"disclose", "access", "use"})
_DATE: Final = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2})(?:T(.+))?)?)?")


class ConsentUnreadable(Exception):
    """What was written down is no consent; the text names the element, and no value of it."""


def consent_of(resource: Any, name: str = "") -> Consent:
    """One FHIR Consent. ``name`` is what it is called where it has no id. Raises ConsentUnreadable."""
    read = _mapping(resource, "Consent")
    if read.get("resourceType") != "Consent":
        raise ConsentUnreadable("resourceType: expected Consent")
    status = read.get("status")
    if not isinstance(status, str):
        raise ConsentUnreadable("status: expected one of FHIR's words, as in active")
    subject = read.get("patient", read.get("subject"))
    patients = frozenset(names_of(subject, "patient"))
    if not patients:
        raise ConsentUnreadable("patient: expected a reference or an identifier")
    provision = read.get("provision")
    permits = _base(read)
    if isinstance(provision, Sequence) and not isinstance(provision, str):  # R5: exceptions to `decision`
        rule = Rule(permits, rules=tuple(_rule(each, 1) for each in provision))
    elif provision is None:
        rule = Rule(permits)
    else:
        rule = _rule(provision, 0)
        if rule.permits is None:
            rule = replace(rule, permits=permits)
    if (period := read.get("period")) is not None:
        rule = Rule(None, *_period(period), rules=(rule,))
    if permits is None and not _says(rule):
        raise ConsentUnreadable("provision: expected a type, permit or deny")
    found = read.get("id")
    return Consent(found if isinstance(found, str) else name, patients, status == "active", rule)


def _says(rule: Rule) -> bool:
    return rule.permits is not None or any(_says(each) for each in rule.rules)


def _base(read: Mapping[str, Any]) -> bool | None:
    """What a consent says as a whole, where it does: R5's decision, or R4's policy rule."""
    decision = read.get("decision")
    if decision is not None:
        return _permits(decision, "decision")
    codes = set(_codes(read.get("policyRule"), "policyRule"))
    return True if codes & OPT_IN else False if codes & OPT_OUT else None


def _permits(word: Any, where: str) -> bool:
    if word not in ("permit", "deny"):
        raise ConsentUnreadable(f"{where}: expected permit or deny")
    return bool(word == "permit")


def _rule(provision: Any, depth: int) -> Rule:
    read = _mapping(provision, "provision")
    if depth > PROVISIONS_MAX_DEPTH:
        raise ConsentUnreadable(f"provision: nested more than {PROVISIONS_MAX_DEPTH} deep")
    kind = read.get("type")
    start, end = _period(read["period"]) if read.get("period") is not None else (None, None)
    classes = [code for each in _list(read, "class", "resourceType") for code in _codes(each, "class")]
    records = frozenset(name for code in classes for name in RECORDS_OF.get(code, (code,)))
    actions = {code for each in _list(read, "action") for code in _codes(each, "action")}
    permits = None if kind is None else _permits(kind, "provision.type")
    beyond = any(read.get(name) for name in _UNASKED)
    if actions:
        # What is permitted to be collected is not thereby permitted to be told to others.
        beyond = beyond or ("disclose" not in actions if permits else actions.isdisjoint(_OURS))
    labels = frozenset(
        code for each in _list(read, "securityLabel") for code in _codes(each, "securityLabel")
    )
    return Rule(
        permits,
        start,
        end,
        frozenset(code for each in _list(read, "purpose") for code in _codes(each, "purpose")),
        frozenset(name for each in _list(read, "actor") for name in _actor(each)),
        labels,
        records,
        beyond,
        tuple(_rule(each, depth + 1) for each in _list(read, "provision")),
    )


def _actor(actor: Any) -> Iterator[str]:
    yield from names_of(_mapping(actor, "provision.actor").get("reference"), "provision.actor.reference")


def names_of(reference: Any, where: str) -> Iterator[str]:
    """All names of who is referred to: the reference, its last part, the identifier with its system."""
    read = _mapping(reference, where)
    text = read.get("reference")
    if isinstance(text, str) and text:
        yield text
        yield text.rstrip("/").rpartition("/")[2]
    identifiers = read.get("identifier")
    for each in identifiers if isinstance(identifiers, list) else [identifiers]:
        if isinstance(each, Mapping) and isinstance(value := each.get("value"), str) and value:
            yield value
            if isinstance(system := each.get("system"), str) and system:
                yield f"{system}|{value}"
                yield f"{system}:{value}"


def _list(read: Mapping[str, Any], *names: str) -> list[Any]:
    for name in names:
        found = read.get(name)
        if found is not None:
            return found if isinstance(found, list) else [found]
    return []


def _codes(concept: Any, where: str) -> list[str]:
    """The codes of a Coding, of a CodeableConcept, or a code by itself."""
    match concept:
        case None:
            return []
        case str():
            return [concept]
        case {"coding": list(codings)}:
            return [code for each in codings for code in _codes(each, where)]
        case {"code": str(code)}:
            return [code]
    raise ConsentUnreadable(f"{where}: expected a code")


def _mapping(value: Any, where: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConsentUnreadable(f"{where}: expected an object")
    return value


def _period(period: Any) -> tuple[Microseconds | None, Microseconds | None]:
    read = _mapping(period, "period")
    start, end = read.get("start"), read.get("end")
    return (
        None if start is None else instant(start, "period.start")[0],
        None if end is None else instant(end, "period.end")[1],
    )


def instant(text: Any, where: str) -> tuple[Microseconds, Microseconds]:
    """The first and the last microsecond of a FHIR dateTime: a year, a month, a day, or a moment.

    >>> first, last = instant("1970-01-01", "from")
    >>> first, last
    (0, 86399999999)
    """
    found = _DATE.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        raise ConsentUnreadable(f"{where}: expected a date, as in 2026-01-31")
    try:
        if found[4]:
            at = datetime.fromisoformat(text)
            if at.tzinfo is None:
                raise ConsentUnreadable(f"{where}: expected a time zone behind the time, as in Z or +01:00")
            exact = _us(at)
            return exact, exact
        year, month, day = int(found[1]), int(found[2] or 1), int(found[3] or 1)
        first = datetime(year, month, day, tzinfo=UTC)
        last_month = month if found[2] else 12
        last_day = day if found[3] else calendar.monthrange(year, last_month)[1]
        return _us(first), _us(datetime(year, last_month, last_day, tzinfo=UTC)) + 86_400_000_000 - 1
    except (ValueError, OverflowError):
        raise ConsentUnreadable(f"{where}: there is no such date") from None


def _us(at: datetime) -> Microseconds:
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(microseconds=1)


def consents_in(content: Any) -> Iterator[Any]:
    """The resources of what was read: one Consent, a Bundle, or a list of either."""
    match content:
        case list():
            for each in content:
                yield from consents_in(each)
        case {"resourceType": "Bundle"}:
            for entry in content.get("entry") or ():
                resource = entry.get("resource") if isinstance(entry, Mapping) else None
                if isinstance(resource, Mapping) and resource.get("resourceType") == "Consent":
                    yield resource
        case {"consents": list(listed)}:
            yield from consents_in(listed)
        case _:
            yield content


def row_consent(row: Mapping[str, str], name: str) -> Consent:
    """A row of a table: `COLUMNS`, of which only patient and decision must be there; several words in one
    field stand with semicolons between. Raises ConsentUnreadable."""

    def words(column: str) -> frozenset[str]:
        return frozenset(filter(None, (each.strip() for each in (row.get(column) or "").split(";"))))

    patients = words("patient")
    if not patients:
        raise ConsentUnreadable("patient: expected a key, as records have it")
    start, end = row.get("from") or None, row.get("until") or None
    rule = Rule(
        _permits((row.get("decision") or "").strip(), "decision"),
        None if start is None else instant(start, "from")[0],
        None if end is None else instant(end, "until")[1],
        words("purpose"),
        words("recipient"),
        words("label"),
        words("record"),
    )
    active = (row.get("status") or "active").strip() == "active"
    return Consent((row.get("id") or "").strip() or name, patients, active, rule)


def by_patient(consents: Iterable[Consent]) -> dict[str, tuple[Consent, ...]]:
    """Consents by each name that their patient has."""
    found: dict[str, list[Consent]] = {}
    for consent in consents:
        for name in consent.patients:
            found.setdefault(name, []).append(consent)
    return {name: tuple(each) for name, each in found.items()}

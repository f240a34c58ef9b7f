"""Whether what a registry answered is about the patient who was asked for. Pure.

A server of FHIR may ignore a parameter that it does not know, and then answers with everybody's consents.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, Final

from bridge.governance.consent_fhir import names_of
from bridge.governance.consent_rules import Consent

UNSAID: Final = "consent-patient-unsaid"
"""The answer refers to a patient by a number of its own, and does not say who that is."""


class AboutOthers(Exception):
    """An answer that is about somebody else than was asked for, or about several; the text is a code."""


def about(consents: Sequence[Consent], answer: Any, names: Sequence[str]) -> tuple[tuple[Consent, ...], str]:
    """The consents of a patient, and a code for why what they permit does not count; '' where it does.

    ``names`` are those by which the patient was asked for, ``answer`` is all that was said, with the
    Patients that a Bundle brings along. Raises AboutOthers where it is about somebody else, or about several.

    >>> from bridge.governance.consent_rules import Rule
    >>> about([Consent("C", frozenset({"Patient/7", "7"}), True, Rule(True))], {}, ["NORTH:1"])[1]
    'consent-patient-unsaid'
    """
    brought = dict(_patients(answer))
    known = tuple(
        replace(each, patients=each.patients.union(*(brought.get(name, ()) for name in each.patients)))
        for each in consents
    )
    wanted = {*names, *(name.rpartition(":")[2] for name in names)}
    strangers = {each.patients for each in known if wanted.isdisjoint(each.patients)}
    if not strangers:
        return known, ""
    if len(strangers) > 1 or len(strangers) < len({each.patients for each in known}):
        raise AboutOthers("about-several-patients")
    if not _is_reference_alone(*strangers):
        raise AboutOthers("about-another-patient")
    return known, UNSAID


def _is_reference_alone(names: frozenset[str]) -> bool:
    """Whether a patient is named by a reference, ``Patient/7``, and in no other way."""
    return any(names == {each, each.rstrip("/").rpartition("/")[2]} for each in names if "/" in each)


def _patients(answer: Any) -> Iterator[tuple[str, frozenset[str]]]:
    """The Patients that a Bundle brings, each by what refers to it."""
    entries = answer.get("entry") if isinstance(answer, Mapping) else None
    for entry in entries if isinstance(entries, list) else ():
        resource = entry.get("resource") if isinstance(entry, Mapping) else None
        if isinstance(resource, Mapping) and resource.get("resourceType") == "Patient":
            names = frozenset(names_of({"identifier": resource.get("identifier")}, "Patient.identifier"))
            for reference in (entry.get("fullUrl"), f"Patient/{resource.get('id')}"):
                if isinstance(reference, str):
                    yield reference, names

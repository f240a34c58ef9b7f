"""Codes of the value sets that FHIR R4 binds as *required*: no other code may stand there. Pure.

By hand from hl7.org/fhir/R4, since libraries that read the specification leave some out (those behind a ``+``
in an element's short text: ``Encounter.status`` and ``Observation.status``).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

_WORDS: Final = {
    "address-type": "postal physical both",
    "address-use": "home work temp old billing",
    "administrative-gender": "male female other unknown",
    "appointmentstatus": "proposed pending booked arrived fulfilled cancelled noshow entered-in-error "
    "checked-in waitlist",
    "chargeitem-status": "planned billable not-billable aborted billed entered-in-error unknown",
    "claim-use": "claim preauthorization predetermination",
    "composition-status": "preliminary final amended entered-in-error",
    "contact-point-system": "phone fax email pager url sms other",
    "contact-point-use": "home work temp old mobile",
    "days-of-week": "mon tue wed thu fri sat sun",
    "diagnostic-report-status": "registered partial preliminary final amended corrected appended cancelled "
    "entered-in-error unknown",
    "document-reference-status": "current superseded entered-in-error",
    "document-relationship-type": "replaces transforms signs appends",
    "encounter-location-status": "planned active reserved completed",
    "encounter-status": "planned arrived triaged in-progress onleave finished cancelled entered-in-error "
    "unknown",
    "event-timing": "MORN MORN.early MORN.late NOON AFT AFT.early AFT.late EVE EVE.early EVE.late NIGHT PHS "
    "HS WAKE C CM CD CV AC ACM ACD ACV PC PCM PCD PCV",
    "explanationofbenefit-status": "active cancelled draft entered-in-error",
    "fm-status": "active cancelled draft entered-in-error",
    "identifier-use": "usual official temp secondary old",
    "immunization-status": "completed entered-in-error not-done",
    "link-type": "replaced-by replaces refer seealso",
    "location-mode": "instance kind",
    "location-status": "active suspended inactive",
    "name-use": "usual official temp nickname anonymous old maiden",
    "narrative-status": "generated extensions additional empty",
    "note-type": "display print printoper",
    "observation-status": "registered preliminary final amended corrected cancelled entered-in-error unknown",
    "participantrequired": "required optional information-only",
    "participationstatus": "accepted declined tentative needs-action",
    "quantity-comparator": "< <= >= >",
    "remittance-outcome": "queued complete error partial",
    "request-intent": "proposal plan directive order original-order reflex-order filler-order instance-order "
    "option",
    "request-priority": "routine urgent asap stat",
    "request-status": "draft active on-hold revoked completed entered-in-error unknown",
    "units-of-time": "s min h d wk mo a",
}
VALUE_SETS: Final[Mapping[str, frozenset[str]]] = {
    name: frozenset(words.split()) for name, words in _WORDS.items()
}
"""Value sets that are a list of codes."""

PATTERNS: Final[Mapping[str, re.Pattern[str]]] = {
    "currencies": re.compile(r"[A-Z]{3}"),
    "mimetypes": re.compile(r"[!-~]+/[!-~]+(?:\s*;.*)?"),
}
"""Value sets that are another standard's: ISO 4217, and BCP 13."""

"""What a FHIR server's answer means for the delivery: the table of HTTP, and what FHIR R4 says beside it.

Pure. A status says how bad it is, an OperationOutcome why: what a server refuses with 400 or 422 may be that
it does not know yet what is referred to, and a 409 that two were at one resource. After http.html of R4.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_responses import classify
from bridge.fhir.operation_outcome import Told, told_by
from bridge.message import Microseconds

CHANGED: Final = "changed-meanwhile"
"""The reason of an outcome where the version that was read is not the server's any more."""
_SAYS_ENOUGH: Final = frozenset({401, 403, 405, 407, 408, 413, 415, 423, 425, 426, 428, 429, 501})
_GONE: Final = frozenset({404, 410})
_POISON: Final = Outcome(Verdict.POISON, "")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asked for: in a version that was read, to delete, and with references that must resolve."""

    amends: bool = False
    deletes: bool = False
    refers: bool = False


def classify_fhir(
    status: int, headers: Mapping[str, str], body: bytes, *, now_us: Microseconds, asked: Asked
) -> Outcome:
    """The outcome of an attempt that was answered. Of ``body`` it has codes and elements of R4, no more."""
    usual = classify(status, headers, now_us=now_us)
    server_error = status // 100 == 5
    if usual.verdict is Verdict.DELIVERED or status // 100 == 3 or status in _SAYS_ENOUGH or server_error:
        return usual
    told = told_by(body)
    if status in _GONE:
        return _gone(usual, told, asked)
    if status == 409 and told.kind not in ("duplicate", "refused", "not-there"):
        if asked.deletes:
            return usual._replace(reason="referred-to")  # others name it; a person decides
        return usual._replace(verdict=Verdict.RETRY, reason="conflict")
    if status == 412 and told.kind != "duplicate":
        if asked.amends:
            return usual._replace(verdict=Verdict.RETRY, reason=CHANGED)
        return usual._replace(verdict=Verdict.POISON, reason="multiple-matches")
    return _told(usual, told, asked)


def _gone(usual: Outcome, told: Told, asked: Asked) -> Outcome:
    if told.kind == "not-supported":
        return usual._replace(verdict=Verdict.HOLD, reason="fhir-not-supported")
    if asked.deletes:
        return usual._replace(verdict=Verdict.DELIVERED, reason="not-there-any-more")
    if asked.amends:
        return usual._replace(verdict=Verdict.RETRY, reason=CHANGED)
    if asked.refers and told.code:
        return usual._replace(verdict=Verdict.NOT_FOUND, reason="reference-not-there")
    return usual


def _told(usual: Outcome, told: Told, asked: Asked) -> Outcome:
    match told.kind:
        case "transient" | "conflict":
            return usual._replace(verdict=Verdict.RETRY, reason=f"fhir-{told.code}")
        case "duplicate":
            return usual._replace(verdict=Verdict.POISON, reason="multiple-matches")
        case "not-there" if asked.refers:
            return usual._replace(verdict=Verdict.NOT_FOUND, reason="reference-not-there")
        case "not-allowed" | "not-supported":
            return usual._replace(verdict=Verdict.HOLD, reason=f"fhir-{told.code}")
    reason = f"fhir-{told.code}" if told.code else usual.reason
    return usual._replace(verdict=Verdict.POISON, reason=f"{reason}: {told.place}" if told.place else reason)

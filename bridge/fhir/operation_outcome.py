"""What a FHIR server says of a call that it did not do: its OperationOutcome, in words of ours. Pure.

Of an OperationOutcome (FHIR R4, operationoutcome.html) the codes of its issues count, and the element that
one points at, where that is an element of R4. Texts are not looked at, since values stand in them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal

from bridge.fhir.check import RESOURCES, is_known
from bridge.fhir.digits import read_json

ISSUES_MAX: Final = 100
PLACE_MAX_CHARACTERS: Final = 200
Kind = Literal["transient", "conflict", "duplicate", "not-there", "not-allowed", "not-supported", "refused"]
"""What an issue comes to: wait; somebody else was at it; there are several; something is not there; the
bridge may not; the server cannot; the resource is not taken."""

_KINDS: Final[dict[str, Kind]] = {
    **dict.fromkeys(
        ("transient", "timeout", "throttled", "no-store", "exception", "incomplete"), "transient"
    ),
    **dict.fromkeys(("conflict", "lock-error"), "conflict"),
    **dict.fromkeys(("duplicate", "multiple-matches"), "duplicate"),
    **dict.fromkeys(("not-found", "deleted"), "not-there"),
    **dict.fromkeys(("security", "login", "unknown", "expired", "forbidden", "suppressed"), "not-allowed"),
    "not-supported": "not-supported",
    **dict.fromkeys(
        (
            "invalid", "structure", "required", "value", "invariant", "code-invalid", "extension", "too-long",
            "business-rule", "too-costly",
        ),
        "refused",
    ),
}  # fmt: skip
"""Issue types (FHIR R4, value set issue-type); `processing` and `informational` say nothing by themselves."""

_ORDER: Final[tuple[Kind, ...]] = (
    "not-allowed", "not-supported", "refused", "duplicate", "not-there", "conflict", "transient",
)  # fmt: skip
"""Of several issues, the one that must be seen to first."""


@dataclass(frozen=True, slots=True)
class Told:
    """What an OperationOutcome comes to: the type of its issue, and an element of R4, or ``""``.

    ``error`` tells that an issue says that something was not done, also where why is not understood.
    """

    kind: Kind | None
    code: str
    place: str
    error: bool = True


NOTHING: Final = Told(None, "", "", error=False)


def told_by(body: bytes) -> Told:
    """What a server says; `NOTHING` where it says nothing that is understood."""
    try:
        outcome = read_json(body)
    except ValueError:
        return NOTHING
    return told_in(outcome)


def told_in(outcome: Any) -> Told:
    """The same, of an OperationOutcome that was read, or of one that the Parameters of an operation have."""
    found = list(_issues(_outcome_of(outcome)))
    for kind in _ORDER:
        for each in found:
            if each.kind == kind:
                # HAPI and others point at an element in another issue than the first.
                return Told(kind, each.code, each.place or next((it.place for it in found if it.place), ""))
    return next(iter(found), NOTHING)


def _outcome_of(read: Any) -> Any:
    match read:
        case {"resourceType": "Parameters", "parameter": [*parameters]}:
            # What `Patient/$merge` answers has it as the parameter `outcome`.
            outcomes = (each.get("resource") for each in parameters if _is_outcome(each))
            return next(outcomes, None)
    return read


def _is_outcome(parameter: Any) -> bool:
    return isinstance(parameter, dict) and parameter.get("name") == "outcome"


def _issues(outcome: Any) -> Iterator[Told]:
    if not isinstance(outcome, dict) or outcome.get("resourceType") != "OperationOutcome":
        return
    issues = outcome.get("issue")
    for each in issues[:ISSUES_MAX] if isinstance(issues, list) else ():
        if not isinstance(each, dict) or each.get("severity") not in ("fatal", "error"):
            continue
        code = each.get("code")
        known = code if isinstance(code, str) and (code in _KINDS or code == "processing") else ""
        yield Told(_KINDS.get(known), known, _place(each))


def _place(issue: dict[str, Any]) -> str:
    for name in ("expression", "location"):
        places = issue.get(name)
        for each in places if isinstance(places, list) else ():
            if isinstance(each, str) and (found := element_of(each)):
                return found
    return ""


def element_of(expression: str) -> str:
    """The element of R4 that a path points at, without its numbers; ``""`` where it is none, or has values.

    >>> element_of("Bundle.entry[2].resource.ofType(Patient).name[0].use")
    'Patient.name.use'
    >>> element_of("Patient.name.where(family='DOE').given")
    'Patient.name'
    >>> element_of("/f:Patient/f:birthDate"), element_of("DOE")
    ('Patient.birthDate', '')
    """
    path = expression[:PLACE_MAX_CHARACTERS].replace("/f:", ".").lstrip(".")
    path = re.sub(r"\[[0-9]+\]|\[x\]", "", path)
    for kind in RESOURCES:
        start = re.search(rf"(?:^|[.(/]){kind}\b\)?", path)
        if start is None:
            continue
        names = re.match(r"(?:\.[A-Za-z]+(?![A-Za-z(]))*", path[start.end() :])
        found = kind + (names[0] if names else "")
        while not is_known(found):
            found = found.rpartition(".")[0]
        return found
    return ""

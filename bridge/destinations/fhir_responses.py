"""What a FHIR server's answer means for the delivery: the table of HTTP, and what FHIR R4 says beside it.

Pure. A status says how bad it is, an OperationOutcome why: what a server refuses with 400 or 422 may be that
it does not know yet what is referred to, and a 409 that two were at one resource. After http.html of R4.

A 2xx is not the last word: servers and what stands before them answer 200 with an error, with a page, or with
entries that were refused. Then what the answer says counts, and where it says nothing that is understood and
had to, the call may have happened.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_responses import classify
from bridge.fhir.digits import read_json
from bridge.fhir.exchange import answers_of
from bridge.fhir.operation_outcome import NOTHING, Told, told_by, told_in
from bridge.message import Microseconds

CHANGED: Final = "changed-meanwhile"
"""The reason of an outcome where the version that was read is not the server's any more."""
UNCHANGED: Final = "unchanged"
"""The reason of an outcome where nothing was sent, since it would change nothing."""
SAYS_NOT_DONE: Final = "says-not-done"
"""The status says that it was done, and the answer that it was not, without a code that says why."""
NOT_FHIR: Final = "answer-not-fhir"
"""A page, as of somebody who wants a login, in the place of an answer."""
NOT_TOLD: Final = "entries-not-told"
"""A transaction's answer that does not say what became of each entry."""
LATER: Final = "taken-for-later"
"""202: taken, and not done yet."""
_SAYS_ENOUGH: Final = frozenset({401, 403, 405, 407, 408, 413, 415, 423, 425, 426, 428, 429, 501})
_GONE: Final = frozenset({404, 410})
_UNSURE: Final = frozenset({"exception", "incomplete", "timeout"})
"""Issue types beside a 2xx which leave open how far the server had come, as a 500 does."""
_ACCEPTED, _CREATED = 202, 201
_PAGES: Final = ("text/html", "application/xhtml+xml")
_PAGE_BEGINS: Final = (b"<!doctype html", b"<html")


@dataclass(frozen=True, slots=True)
class Asked:
    """What a call asked for: in a version that was read, to delete, and with references that must resolve.

    ``makes`` is to make what was not there: only 201 says that it was made. ``due`` is what its answer must
    be: ``done``, whatever its body says; the same ``or-later``; the ``results`` of a search; the ``statuses``
    of a transaction's entries.
    """

    amends: bool = False
    deletes: bool = False
    refers: bool = False
    makes: bool = False
    due: Literal["done", "or-later", "results", "statuses"] = "done"


def classify_fhir(
    status: int, headers: Mapping[str, str], body: bytes, *, now_us: Microseconds, asked: Asked
) -> Outcome:
    """The outcome of an attempt that was answered. Of ``body`` it has codes and elements of R4, no more.

    A 2xx with ``statuses`` due is DELIVERED where nothing contradicts it as a whole: `of_entries` says what
    became of each.
    """
    usual = classify(status, headers, now_us=now_us)
    done = usual.verdict is Verdict.DELIVERED
    # Most of what is done is told with much or nothing, and only an error in it counts.
    told = NOTHING if done and b"OperationOutcome" not in body else told_by(body)
    if done and not told.error and asked.due != "results":
        if _is_page(headers, body):
            return usual._replace(verdict=Verdict.AMBIGUOUS, reason=NOT_FHIR)
        if status == _ACCEPTED and asked.due == "done":
            return usual._replace(verdict=Verdict.AMBIGUOUS, reason=LATER)
    return _meant(usual, told, asked)


def of_entries(outcome: Outcome, body: bytes, asked: Sequence[Asked]) -> list[Outcome]:
    """What became of each entry of a transaction that was answered with 2xx: what its status means alone.

    An answer without their statuses leaves it unknown, unless it is an OperationOutcome: that has no error,
    or ``outcome`` would not be DELIVERED.
    """
    try:
        read = read_json(body)
    except ValueError:
        read = None
    answers = answers_of(read, len(asked))
    if answers is not None:
        each = zip(answers, asked, strict=True)
        return [_of_entry(outcome, status, told, of) for (status, told), of in each]
    if outcome.status == _ACCEPTED:
        return [outcome._replace(verdict=Verdict.AMBIGUOUS, reason=LATER)] * len(asked)
    match read:
        case {"resourceType": "OperationOutcome"}:
            return [_meant(outcome, NOTHING, of) for of in asked]
    return [outcome._replace(verdict=Verdict.AMBIGUOUS, reason=NOT_TOLD)] * len(asked)


def _of_entry(outcome: Outcome, status: int, told: Any, asked: Asked) -> Outcome:
    meant = _meant(classify(status, {}, now_us=0), told_in(told), asked)
    return outcome._replace(verdict=meant.verdict, reason=meant.reason, status=meant.status)


_ORDER: Final = (Verdict.HOLD, Verdict.POISON, Verdict.NOT_FOUND, Verdict.AMBIGUOUS, Verdict.RETRY)


def of_all(outcomes: Sequence[Outcome]) -> Outcome:
    """The outcome of a delivery whose resources have these: of the one that must be seen to first."""
    for verdict in _ORDER:
        for each in outcomes:
            if each.verdict is verdict:
                return each
    return next((each for each in outcomes if each.reason != UNCHANGED), outcomes[-1])


def _is_page(headers: Mapping[str, str], body: bytes) -> bool:
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    said = kind.partition(";")[0].strip().lower() in _PAGES
    return bool(body) and (said or body[:64].lstrip().lower().startswith(_PAGE_BEGINS))


def _meant(usual: Outcome, told: Told, asked: Asked) -> Outcome:
    """What a status means that HTTP has read as ``usual``, with what is told beside it."""
    status = usual.status or 0
    if usual.verdict is Verdict.DELIVERED:
        if told.error:
            return _not_done(usual, told, asked)
        if asked.makes and status != _CREATED:
            # Somebody else has made it meanwhile, and it has not been amended yet.
            return usual._replace(verdict=Verdict.RETRY, reason=CHANGED)
        return usual
    if status // 100 in (3, 5) or status in _SAYS_ENOUGH:
        return usual
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


def _not_done(usual: Outcome, told: Told, asked: Asked) -> Outcome:
    """An error beside a 2xx is read as it would be beside a refusal."""
    if told.code in _UNSURE:
        return usual._replace(verdict=Verdict.AMBIGUOUS, reason=f"fhir-{told.code}")
    refused = usual._replace(verdict=Verdict.POISON, reason=SAYS_NOT_DONE)
    return _gone(refused, told, asked) if told.kind == "not-there" else _told(refused, told, asked)


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

"""What an HTTP response means for the delivery: a table, and the few rules beside it. Pure.

Status codes are those of RFC 9110 §15 and RFC 6585. A code that is not in the table is read as the x00
code of its class, as RFC 9110 §15 asks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime
from typing import Final

import orjson

from bridge.delivery.backoff import ASKED_WAIT_MAX_S
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.message import Microseconds

CONFLICT_RETRY_MIN_S: Final = 1.0
CONFLICT_RETRY_MAX_S: Final = 5.0

IN_PROGRESS: Final = "idempotency-in-progress"
KEY_REUSED: Final = "idempotency-conflict"
HINTS: Final = frozenset({IN_PROGRESS, KEY_REUSED})
"""Problem types (RFC 9457 §3.1.1) that change what a status means, by the last segment of the type."""

_STATUSES: Final[Mapping[int, tuple[Verdict, str]]] = {
    400: (Verdict.POISON, "bad-request"),
    401: (Verdict.HOLD, "unauthorised"),
    402: (Verdict.HOLD, "payment-required"),
    403: (Verdict.HOLD, "forbidden"),
    404: (Verdict.HOLD, "contract-gone"),
    405: (Verdict.HOLD, "contract-gone"),
    407: (Verdict.HOLD, "proxy-in-the-way"),
    408: (Verdict.RETRY, "request-timeout"),
    409: (Verdict.POISON, "conflict"),
    410: (Verdict.HOLD, "contract-gone"),
    412: (Verdict.POISON, "precondition-failed"),
    413: (Verdict.POISON, "content-too-large"),
    415: (Verdict.POISON, "unsupported-media-type"),
    421: (Verdict.RETRY, "misdirected"),
    422: (Verdict.POISON, "unprocessable"),
    423: (Verdict.RETRY, "locked"),
    425: (Verdict.RETRY, "too-early"),
    426: (Verdict.HOLD, "upgrade-required"),
    428: (Verdict.HOLD, "precondition-required"),
    429: (Verdict.RETRY, "too-many-requests"),
    500: (Verdict.RETRY, "server-error"),
    501: (Verdict.HOLD, "not-implemented"),
    502: (Verdict.RETRY, "bad-gateway"),
    503: (Verdict.RETRY, "unavailable"),
    504: (Verdict.RETRY, "gateway-timeout"),
    511: (Verdict.HOLD, "network-sign-in"),
}
_CLASSES: Final[Mapping[int, tuple[Verdict, str]]] = {
    2: (Verdict.DELIVERED, "delivered"),
    3: (Verdict.HOLD, "unexpected-redirect"),
    4: (Verdict.POISON, "bad-request"),
    5: (Verdict.RETRY, "server-error"),
}
_RECORD_GONE: Final = frozenset({404, 410})
"""Statuses which, on a path that names a record, say nothing of any other record."""
_NEITHER: Final = (Verdict.AMBIGUOUS, "unexpected-status")


def classify(
    status: int,
    headers: Mapping[str, str],
    *,
    now_us: Microseconds,
    errors: Mapping[int, Verdict] | None = None,
    names_record: bool = False,
    body_hint: str = "",
) -> Outcome:
    """The outcome of an attempt that was answered.

    ``errors`` are the operation's own readings; each wins over the table. ``names_record`` tells that the
    path had a record's fields in it: then 404 and 410 are about that record, else about the operation.
    ``body_hint`` is what `problem_hint` found. ``retry_after_s`` is set for RETRY where the API asked for
    it (RFC 9110 §10.2.3), at most `ASKED_WAIT_MAX_S`.
    """
    if errors and status in errors:
        verdict, reason = errors[status], f"declared-{status}"
    elif status == 409 and body_hint == IN_PROGRESS:
        asked = retry_after(headers, now_us=now_us) or CONFLICT_RETRY_MIN_S
        wait_s = min(max(asked, CONFLICT_RETRY_MIN_S), CONFLICT_RETRY_MAX_S)
        return Outcome(Verdict.RETRY, IN_PROGRESS, status, wait_s)
    elif status in {409, 422} and body_hint == KEY_REUSED:
        verdict, reason = Verdict.POISON, KEY_REUSED
    elif names_record and status in _RECORD_GONE:
        verdict, reason = Verdict.NOT_FOUND, "not-found"
    else:
        verdict, reason = _STATUSES.get(status) or _CLASSES.get(status // 100, _NEITHER)
    wait = retry_after(headers, now_us=now_us) if verdict is Verdict.RETRY else None
    return Outcome(verdict, reason, status, wait)


def retry_after(headers: Mapping[str, str], *, now_us: Microseconds) -> float | None:
    """The seconds that Retry-After asks for, 0 to `ASKED_WAIT_MAX_S`; None where it is absent or unreadable.

    >>> retry_after({"Retry-After": "120"}, now_us=0)
    120.0
    """
    text = next((value for name, value in headers.items() if name.lower() == "retry-after"), "").strip()
    if text.isascii() and text.isdigit():
        return min(float(text), ASKED_WAIT_MAX_S)
    if not text:
        return None
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if at.tzinfo is None:
        at = at.replace(tzinfo=UTC)
    try:
        wait_s = at.timestamp() - now_us / 1_000_000
    except (ValueError, OverflowError):
        return None
    return min(max(wait_s, 0.0), ASKED_WAIT_MAX_S)


def problem_hint(content_type: str, body: bytes) -> str:
    """One of `HINTS` where the body is a problem document (RFC 9457) of that type, else ``""``.

    Nothing else of the body comes out, since bodies may hold patient data.
    """
    if content_type.partition(";")[0].strip().lower() != "application/problem+json":
        return ""
    try:
        problem = orjson.loads(body)
    except orjson.JSONDecodeError:
        return ""
    kind = problem.get("type") if isinstance(problem, dict) else None
    if not isinstance(kind, str):
        return ""
    last = kind.rstrip("/").replace("#", "/").replace(":", "/").rpartition("/")[2]
    return last if last in HINTS else ""

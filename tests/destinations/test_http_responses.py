from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.backoff import ASKED_WAIT_MAX_S
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_responses import classify, problem_hint, retry_after

AT_US = 784_111_777_000_000  # Sun, 06 Nov 1994 08:49:37 GMT, the date in RFC 9110 §5.6.7

TABLE = [
    *[(status, Verdict.DELIVERED, "delivered") for status in (200, 201, 202, 204, 299)],
    *[(status, Verdict.HOLD, "unexpected-redirect") for status in (300, 301, 302, 303, 304, 307, 308)],
    (400, Verdict.POISON, "bad-request"),
    (413, Verdict.POISON, "content-too-large"),
    (415, Verdict.POISON, "unsupported-media-type"),
    (422, Verdict.POISON, "unprocessable"),
    (401, Verdict.HOLD, "unauthorised"),
    (403, Verdict.HOLD, "forbidden"),
    *[(status, Verdict.HOLD, "contract-gone") for status in (404, 405, 410)],
    (409, Verdict.POISON, "conflict"),
    (408, Verdict.RETRY, "request-timeout"),
    (425, Verdict.RETRY, "too-early"),
    (429, Verdict.RETRY, "too-many-requests"),
    (500, Verdict.RETRY, "server-error"),
    (502, Verdict.RETRY, "bad-gateway"),
    (503, Verdict.RETRY, "unavailable"),
    (504, Verdict.RETRY, "gateway-timeout"),
    (499, Verdict.POISON, "bad-request"),
    (599, Verdict.RETRY, "server-error"),
    (999, Verdict.AMBIGUOUS, "unexpected-status"),
]


@pytest.mark.parametrize(("status", "verdict", "reason"), TABLE)
def test_each_status_has_its_class(status: int, verdict: Verdict, reason: str) -> None:
    assert classify(status, {}, now_us=AT_US) == Outcome(verdict, reason, status)


@pytest.mark.parametrize("status", [404, 409, 422, 500])
def test_an_operations_own_reading_of_a_status_wins(status: int) -> None:
    errors = {status: Verdict.POISON}
    assert classify(status, {}, now_us=AT_US, errors=errors).verdict is Verdict.POISON
    assert classify(status, {}, now_us=AT_US, errors=errors).reason == f"declared-{status}"
    assert classify(405, {}, now_us=AT_US, errors=errors).reason == "contract-gone"


@pytest.mark.parametrize("status", [status for status, _, _ in TABLE])
def test_only_404_and_410_are_about_the_record_that_the_path_names(status: int) -> None:
    found = classify(status, {"Retry-After": "9"}, now_us=AT_US, names_record=True)
    if status in {404, 410}:
        assert found == Outcome(Verdict.NOT_FOUND, "not-found", status)
    else:
        assert found == classify(status, {"Retry-After": "9"}, now_us=AT_US)


@pytest.mark.parametrize("verdict", list(Verdict))
def test_an_operations_own_reading_wins_over_the_record_that_the_path_names(verdict: Verdict) -> None:
    found = classify(404, {}, now_us=AT_US, errors={404: verdict}, names_record=True)
    assert found == Outcome(verdict, "declared-404", 404)


WAITS = [
    ("0", 0.0),
    ("120", 120.0),
    (" 7 ", 7.0),
    ("900", 900.0),
    ("901", 900.0),
    ("9" * 5000, 900.0),
    ("Sun, 06 Nov 1994 08:50:37 GMT", 60.0),
    ("Sunday, 06-Nov-94 08:50:37 GMT", 60.0),
    ("Sun Nov  6 08:50:37 1994", 60.0),
    ("Sun, 06 Nov 1994 07:00:00 GMT", 0.0),
    ("Sun, 06 Nov 2094 07:00:00 GMT", 900.0),
    ("", None),
    ("-5", None),
    ("1.5", None),
    ("soon", None),
    ("٣", None),
    ("Sun, 99 Nov 1994 08:50:37 GMT", None),
]


@pytest.mark.parametrize(("text", "wait_s"), WAITS)
@pytest.mark.parametrize("name", ["Retry-After", "retry-after"])
def test_retry_after_is_read_in_both_forms_and_limited(name: str, text: str, wait_s: float | None) -> None:
    assert retry_after({"Date": "x", name: text}, now_us=AT_US) == wait_s


@given(st.text())
def test_any_retry_after_is_none_or_within_its_limits(text: str) -> None:
    wait_s = retry_after({"Retry-After": text}, now_us=AT_US)
    assert wait_s is None or 0 <= wait_s <= ASKED_WAIT_MAX_S


def test_only_a_retry_carries_a_wait() -> None:
    headers = {"Retry-After": "30"}
    for status, verdict, _ in TABLE:
        wait_s = classify(status, headers, now_us=AT_US).retry_after_s
        assert wait_s == (30.0 if verdict is Verdict.RETRY else None)


@pytest.mark.parametrize(("asked", "wait_s"), [(None, 1.0), ("0", 1.0), ("3", 3.0), ("60", 5.0)])
def test_a_call_in_progress_is_asked_for_again_soon(asked: str | None, wait_s: float) -> None:
    headers = {} if asked is None else {"Retry-After": asked}
    outcome = classify(409, headers, now_us=AT_US, body_hint="idempotency-in-progress")
    assert outcome == Outcome(Verdict.RETRY, "idempotency-in-progress", 409, wait_s)


@pytest.mark.parametrize("status", [409, 422])
def test_a_key_reused_for_another_request_is_named(status: int) -> None:
    outcome = classify(status, {}, now_us=AT_US, body_hint="idempotency-conflict")
    assert outcome == Outcome(Verdict.POISON, "idempotency-conflict", status)


HINTS = [
    ("application/problem+json", b'{"type": "https://a.test/p/idempotency-in-progress"}', True),
    ("application/problem+json; charset=utf-8", b'{"type": "urn:problem:idempotency-in-progress"}', True),
    ("application/problem+json", b'{"type": "https://a.test/p#idempotency-in-progress"}', True),
    ("application/json", b'{"type": "https://a.test/p/idempotency-in-progress"}', False),
    ("application/problem+json", b'{"type": "https://a.test/Jane-Doe"}', False),
    ("application/problem+json", b'{"type": 5}', False),
    ("application/problem+json", b'["idempotency-in-progress"]', False),
    ("application/problem+json", b"<html>", False),
    ("application/problem+json", b"", False),
]


@pytest.mark.parametrize(("content_type", "body", "found"), HINTS)
def test_only_known_problem_types_come_out_of_a_body(content_type: str, body: bytes, found: bool) -> None:
    assert problem_hint(content_type, body) == ("idempotency-in-progress" if found else "")

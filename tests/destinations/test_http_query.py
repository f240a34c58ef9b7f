"""Asking an API whether a call took effect whose answer was lost."""

from __future__ import annotations

from typing import Any

import pytest
from http_peers import ENCOUNTER, NOW_US, no_secrets, serving
from reactor_tests import in_reactor

from bridge.cli.fake_api import FakeApi, Fault
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.http_api import HttpApi, HttpApiOptions, HttpOperation, build
from bridge.destinations.http_requests import read_request, write_request

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
POST = HttpOperation.model_validate(
    {
        "method": "POST",
        "path": "/encounters/{key}",
        "send_only": ["key"],
        "query": {"path": "/encounters/{key}"},
    }
)


def api_at(url: str, **options: Any) -> HttpApi:
    made = HttpApiOptions.model_validate({"base_url": url, **options})
    return build(made, {"postEncounter": POST}, None, no_secrets, lambda: NOW_US)


def test_the_question_is_made_with_the_request_and_read_with_it() -> None:
    request = api_at("http://127.0.0.1:9").prepare("postEncounter", ENCOUNTER)
    read = read_request(request)
    assert read is not None
    assert read.query == read.path
    assert write_request("a", "POST", "/x", {}) == b'{"body":{},"method":"POST","operation":"a","path":"/x"}'


@pytest.mark.parametrize("query", ["/../admin", "no-slash", "http://evil.example/", "/a?b", 7, "/a b"])
def test_a_question_that_would_leave_the_api_is_not_read(query: Any) -> None:
    assert read_request(write_request("a", "POST", "/x", {}, query)) is None


NO_ANSWER = [
    (Fault("status", status=503), Outcome(Verdict.AMBIGUOUS, "asked-in-vain", 503)),
    (Fault("status", status=500), Outcome(Verdict.AMBIGUOUS, "asked-in-vain", 500)),
    (Fault("status", status=401), Outcome(Verdict.AMBIGUOUS, "asked-in-vain", 401)),
    (Fault("status", status=422), Outcome(Verdict.AMBIGUOUS, "asked-in-vain", 422)),
    (Fault("status", status=429, retry_after="7"), Outcome(Verdict.AMBIGUOUS, "asked-in-vain", 429, 7.0)),
    (Fault("redirect", location="/"), Outcome(Verdict.AMBIGUOUS, "asked-in-vain", 307)),
    (Fault("cut"), Outcome(Verdict.AMBIGUOUS, "asked-in-vain")),
    (Fault("hang"), Outcome(Verdict.AMBIGUOUS, "asked-in-vain")),
]


@in_reactor
async def test_it_says_yes_or_no_by_what_is_there() -> None:
    fake = FakeApi()
    async with serving(fake) as url:
        api = api_at(url)
        request = api.prepare("postEncounter", ENCOUNTER)
        assert await api.look(request, traceparent=TRACE) is None
        await api.send(request, idempotency_key="a-1-1", traceparent=TRACE)
        found = await api.look(request, traceparent=TRACE)
        assert found == Outcome(Verdict.DELIVERED, "found-there", 200)
        assert [attempt.method for attempt in fake.attempts] == ["GET", "POST", "GET"]
        assert "Idempotency-Key" not in fake.attempts[0].headers
        await api.close()


@pytest.mark.parametrize(("fault", "outcome"), NO_ANSWER, ids=[str(row[0].status) for row in NO_ANSWER])
@in_reactor
async def test_an_answer_that_says_neither_leaves_it_unknown(fault: Fault, outcome: Outcome) -> None:
    fake = FakeApi()
    async with serving(fake) as url:
        api = api_at(url, timeouts={"connect": "1s", "request": "1s"})
        request = api.prepare("postEncounter", ENCOUNTER)
        fake.plant(fault)
        assert await api.look(request, traceparent=TRACE) == outcome
        await api.close()


@in_reactor
async def test_what_cannot_be_asked_is_not_called() -> None:
    fake = FakeApi()
    async with serving(fake) as url:
        api = api_at(url)
        plain = write_request("postEncounter", "POST", "/encounters/1", {})
        expected = Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")
        assert await api.look(plain, traceparent=TRACE) == expected
        assert await api.look(b"nothing", traceparent=TRACE) == expected
        assert fake.attempts == []
        await api.close()

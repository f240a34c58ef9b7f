"""The breaker: what opens it, for how long, and what closes it."""

from __future__ import annotations

import gc
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.backoff import ASKED_WAIT_MAX_S
from bridge.delivery.breaker import (
    CONTRACT_GONE,
    NOT_FOUND_KEYS_MAX,
    WINDOW_BUCKETS,
    Breaker,
    BreakerPolicy,
)
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.state import HOLD_WAIT_S

POLICY = BreakerPolicy()
SECOND_US = 1_000_000
AT_US = 1_700_000_000 * SECOND_US

OK = Outcome(Verdict.DELIVERED, "delivered", 200)
POISON = Outcome(Verdict.POISON, "unprocessable", 422)
NOT_FOUND = Outcome(Verdict.NOT_FOUND, "not-found", 404)
FAIL = Outcome(Verdict.RETRY, "unavailable", 503)
LOST = Outcome(Verdict.AMBIGUOUS, "disconnected")
HOLD = Outcome(Verdict.HOLD, "forbidden", 403)
BUSY = Outcome(Verdict.RETRY, "too-many-requests", 429)
CHANGED = Outcome(Verdict.RETRY, "changed-meanwhile", 412)
TRANSIENT = Outcome(Verdict.RETRY, "fhir-transient", 422)


class Operation:
    """A breaker with a clock, called as the way out does it."""

    def __init__(self, policy: BreakerPolicy = POLICY) -> None:
        self.now_us = AT_US
        self.breaker = Breaker(policy)

    def call(self, outcome: Outcome, key: bytes = b"") -> bool:
        assert self.breaker.may_call(self.now_us)
        call = self.breaker.begin(self.now_us)
        return self.breaker.end(outcome, self.now_us, key=key, call=call)

    def calls(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            self.call(outcome)

    def wait(self, seconds: float) -> None:
        self.now_us += int(seconds * SECOND_US)

    def opened_for_s(self) -> float:
        """For how long it is open from now, to a second."""
        assert not self.breaker.may_call(self.now_us)
        until_us = self.breaker.until_us()
        assert until_us is not None
        assert not self.breaker.may_call(until_us - 1)
        return (until_us - self.now_us) / SECOND_US

    def probe(self, outcome: Outcome, key: bytes = b"") -> bool:
        until_us = self.breaker.until_us()
        assert until_us is not None
        self.now_us = max(self.now_us, until_us)
        assert self.breaker.may_call(self.now_us)
        assert self.breaker.state == "half-open"
        return self.call(outcome, key)


def opened(outcome: Outcome = FAIL) -> Operation:
    operation = Operation()
    operation.calls(*[outcome] * POLICY.failures_in_row)
    assert operation.breaker.state == "open"
    return operation


OPENING: list[tuple[str, list[Outcome], bool]] = [
    ("nothing", [], False),
    ("four failures", [FAIL] * 4, False),
    ("five failures", [FAIL] * 5, True),
    ("five of both kinds", [FAIL, LOST, FAIL, LOST, FAIL], True),
    ("a row ended by a delivery", [FAIL] * 4 + [OK] + [FAIL] * 4, False),
    ("a row ended by a refusal of one record", [FAIL] * 4 + [POISON] + [FAIL] * 4, False),
    ("a row ended by a record that is not there", [FAIL] * 4 + [NOT_FOUND] + [FAIL] * 4, False),
    ("a row is not ended by 429", [FAIL] * 4 + [BUSY] * 9 + [FAIL], True),
    ("429 for ever", [BUSY] * 100, False),
    ("refusals for ever", [POISON] * 100, False),
    ("half of nine", [FAIL, OK] * 4 + [FAIL], False),
    ("half of ten", [OK, FAIL] * 5, True),
    ("less than half", [OK, OK, FAIL] * 30, False),
    ("versions that changed meanwhile, for ever", [CHANGED] * 100, False),
    ("what an answer of 200 wants done again", [CHANGED._replace(status=200)] * 100, False),
    ("transient, of one record, as 400 and 422", [TRANSIENT, TRANSIENT._replace(status=400)] * 50, False),
    ("answers of 200 that leave it unknown", [LOST._replace(status=200)] * 5, True),
    ("four failures, each of twenty deliveries", ([FAIL] + [FAIL._replace(shared=True)] * 19) * 4, False),
    ("five failures of two deliveries", [FAIL, FAIL._replace(shared=True)] * 4 + [FAIL], True),
    (
        "half of ten, where one carried fifty",
        [OK] + [OK._replace(shared=True)] * 49 + [FAIL, OK] * 4 + [FAIL],
        True,
    ),
    ("429 is not counted in the window either", [OK, FAIL] * 4 + [BUSY] * 20 + [OK], False),
    ("one that every call would meet", [OK] * 100 + [HOLD], True),
]


@pytest.mark.parametrize(("outcomes", "opens"), [case[1:] for case in OPENING], ids=[c[0] for c in OPENING])
def test_what_opens_it(outcomes: list[Outcome], opens: bool) -> None:
    operation = Operation()
    for outcome in outcomes:
        assert operation.breaker.state == "closed", "it opened too early"
        operation.call(outcome)
    assert operation.breaker.state == ("open" if opens else "closed")
    assert operation.breaker.reason == (outcomes[-1].reason if opens else "")
    assert operation.breaker.may_call(operation.now_us) is not opens


def test_failures_older_than_the_window_are_forgotten() -> None:
    # Nine calls with four failures; what comes then decides.
    spread, together = Operation(), Operation()
    for operation in (spread, together):
        operation.calls(*[OK, FAIL] * 4, OK)
    spread.wait(POLICY.window_s)
    spread.call(FAIL)
    assert spread.breaker.state == "closed"
    together.wait(POLICY.window_s * (1 - 1 / WINDOW_BUCKETS) - 1)
    together.call(FAIL)
    assert together.breaker.state == "open"


@pytest.mark.parametrize("pause_s", range(30, 100))
def test_no_pause_brings_old_calls_back(pause_s: int) -> None:
    operation = Operation()
    operation.calls(*[OK, FAIL] * 4, OK)
    operation.wait(pause_s)
    operation.call(FAIL)
    assert operation.breaker.state == "closed"


def test_each_opening_in_a_row_lasts_longer_up_to_a_limit() -> None:
    operation, lasted_s = opened(), []
    for _ in range(12):
        lasted_s.append(operation.opened_for_s())
        operation.probe(FAIL)
    assert lasted_s == [30.0 * times for times in range(1, 10)] + [300.0] * 2 + [300.0]
    assert operation.probe(OK)
    assert (operation.breaker.state, operation.breaker.reason) == ("closed", "")
    operation.calls(*[FAIL] * 5)
    assert operation.opened_for_s() == 30.0


def test_what_cannot_be_called_as_it_is_set_up_is_left_alone_for_longer() -> None:
    operation, lasted_s = Operation(), []
    operation.call(HOLD)
    for _ in range(6):
        lasted_s.append(operation.opened_for_s())
        operation.probe(HOLD)
    assert lasted_s == [min(HOLD_WAIT_S * times, POLICY.open_max_s) for times in range(1, 7)]
    assert operation.breaker.reason == "forbidden"


CLOSING = [
    (OK, True, "", 0),
    (POISON, True, "", 0),
    (NOT_FOUND, True, "", 0),
    (FAIL, False, "unavailable", 60),
    (LOST, False, "disconnected", 60),
    (HOLD, False, "forbidden", 120),
    (BUSY, False, "unavailable", 30),
    (CHANGED, False, "unavailable", 30),
]


@pytest.mark.parametrize(("outcome", "closes", "reason", "open_s"), CLOSING)
def test_one_probe_decides(outcome: Outcome, closes: bool, reason: str, open_s: float) -> None:
    operation = opened()
    assert operation.probe(outcome) is closes
    assert operation.breaker.state == ("closed" if closes else "open")
    assert operation.breaker.reason == reason
    if not closes:
        assert operation.opened_for_s() == open_s
    else:
        operation.calls(*[FAIL] * 4)
        assert operation.breaker.state == "closed", "nothing of before is counted again"


def test_a_probe_that_shared_its_call_decides_too() -> None:
    operation = opened()
    assert operation.probe(OK._replace(shared=True))
    assert operation.breaker.state == "closed"


def test_once_closed_it_has_forgotten_the_window_of_before() -> None:
    operation = Operation(replace(POLICY, open_s=1.0))
    operation.calls(*[OK, FAIL] * 5)
    assert operation.probe(OK)
    operation.calls(*[OK, FAIL] * 4, OK)
    assert operation.breaker.may_call(operation.now_us)
    operation.call(FAIL)
    assert operation.breaker.state == "open"


def test_a_call_that_nobody_allowed_decides_nothing() -> None:
    operation = opened()
    forced = operation.breaker.begin(operation.now_us)
    operation.wait(30)
    operation.breaker.begin(operation.now_us)
    assert not operation.breaker.end(OK, operation.now_us, call=forced)
    assert operation.breaker.state == "half-open"
    assert not operation.breaker.may_call(operation.now_us)


def test_only_the_call_that_closes_it_tells_so() -> None:
    operation = Operation()
    assert not operation.call(OK)
    operation.calls(*[FAIL] * 5)
    assert operation.probe(OK)
    assert not operation.call(OK)


def test_one_probe_at_a_time() -> None:
    operation = opened()
    breaker = operation.breaker
    operation.wait(30)
    assert breaker.may_call(operation.now_us)
    assert breaker.may_call(operation.now_us), "asking takes nothing"
    assert breaker.until_us() is None
    breaker.begin(operation.now_us)
    operation.wait(3600)
    assert not breaker.may_call(operation.now_us)
    assert breaker.until_us() is None


def test_a_probe_that_was_not_made_leaves_room_for_another() -> None:
    operation = opened()
    operation.wait(30)
    call = operation.breaker.begin(operation.now_us)
    assert not operation.breaker.may_call(operation.now_us)
    operation.breaker.cancelled(call)
    assert operation.breaker.state == "half-open"
    assert operation.call(OK)


def test_a_call_of_before_that_was_not_made_frees_no_probe() -> None:
    operation = Operation()
    early = operation.breaker.begin(operation.now_us)
    operation.calls(*[FAIL] * 5)
    operation.wait(30)
    operation.breaker.begin(operation.now_us)
    operation.breaker.cancelled(early)
    assert not operation.breaker.may_call(operation.now_us)


@pytest.mark.parametrize("outcome", [OK, POISON, NOT_FOUND, FAIL, LOST, HOLD, BUSY])
@pytest.mark.parametrize("moment", ["open", "half-open", "probe under way", "closed again"])
def test_a_call_begun_before_it_opened_says_nothing_about_the_time_since(
    outcome: Outcome, moment: str
) -> None:
    operation = Operation()
    breaker = operation.breaker
    early = [breaker.begin(operation.now_us) for _ in range(20)]
    operation.calls(*[FAIL] * 5)
    if moment != "open":
        operation.wait(30)
        assert breaker.may_call(operation.now_us)
    if moment == "probe under way":
        breaker.begin(operation.now_us)
    if moment == "closed again":
        assert operation.call(OK)

    def seen() -> tuple[object, ...]:
        return breaker.may_call(operation.now_us), breaker.state, breaker.until_us()

    before = seen()
    for call in early:
        assert not breaker.end(outcome, operation.now_us, key=str(call).encode(), call=call)
    assert seen() == before


ASKING = [
    (BUSY, "closed", "too-many-requests"),
    (FAIL, "closed", "unavailable"),
]


@pytest.mark.parametrize(("outcome", "state", "reason"), ASKING)
def test_what_an_api_asks_for_is_given(outcome: Outcome, state: str, reason: str) -> None:
    operation = Operation()
    operation.call(outcome._replace(retry_after_s=45.0))
    assert (operation.breaker.state, operation.breaker.reason) == (state, reason)
    assert operation.opened_for_s() == 45.0
    operation.wait(45)
    assert operation.breaker.may_call(operation.now_us)
    assert (operation.breaker.reason, operation.breaker.until_us()) == ("", None)
    operation.call(OK)


@pytest.mark.parametrize(
    "outcome",
    [
        Outcome(Verdict.RETRY, "idempotency-in-progress", 409, 5.0),
        Outcome(Verdict.RETRY, "auth-unavailable", None, 5.0),
        Outcome(Verdict.RETRY, "unavailable", 503, 0.0),
        Outcome(Verdict.RETRY, "unavailable", 503, None),
    ],
)
def test_a_wait_for_one_record_holds_no_other(outcome: Outcome) -> None:
    operation = Operation()
    operation.call(outcome)
    assert operation.breaker.may_call(operation.now_us)


def test_the_longest_wait_asked_for_counts_and_is_limited() -> None:
    operation = Operation()
    breaker = operation.breaker
    calls = [breaker.begin(operation.now_us) for _ in range(3)]
    for call, asked_s in zip(calls, (60.0, 20.0, 40.0), strict=True):
        breaker.end(BUSY._replace(retry_after_s=asked_s), operation.now_us, call=call)
    assert operation.opened_for_s() == 60.0
    operation.wait(60)
    operation.call(BUSY._replace(retry_after_s=1e9))
    assert operation.opened_for_s() == ASKED_WAIT_MAX_S


def test_both_waits_must_be_over() -> None:
    operation = Operation()
    late = operation.breaker.begin(operation.now_us)
    operation.calls(*[FAIL] * 5)
    operation.breaker.end(FAIL._replace(retry_after_s=100.0), operation.now_us, call=late)
    assert operation.opened_for_s() == 100.0
    operation.wait(100)
    assert operation.call(OK)


@pytest.mark.parametrize(("asked_s", "open_s"), [(None, 30.0), (0.0, 30.0), (7.0, 7.0), (400.0, 400.0)])
def test_a_probe_that_comes_too_often_is_made_again_later(asked_s: float | None, open_s: float) -> None:
    operation = opened()
    operation.probe(BUSY._replace(retry_after_s=asked_s))
    assert operation.opened_for_s() == open_s
    operation.probe(FAIL)
    assert operation.opened_for_s() == 60.0


def keys(count: int) -> list[bytes]:
    return [bytes([number]) for number in range(count)]


def test_a_path_that_has_gone_is_told_from_records_that_have() -> None:
    operation = Operation()
    for key in keys(NOT_FOUND_KEYS_MAX - 1) * 10:
        operation.call(NOT_FOUND, key)
    assert operation.breaker.state == "closed"
    operation.call(NOT_FOUND, b"another")
    assert (operation.breaker.state, operation.breaker.reason) == ("open", CONTRACT_GONE)
    assert operation.opened_for_s() == 30.0


@pytest.mark.parametrize("between", [OK, POISON, FAIL, LOST, BUSY])
def test_any_other_outcome_between_begins_the_count_anew(between: Outcome) -> None:
    operation = Operation()
    for key in keys(NOT_FOUND_KEYS_MAX - 1):
        operation.call(NOT_FOUND, key)
    operation.call(between)
    for key in keys(NOT_FOUND_KEYS_MAX - 1):
        operation.call(NOT_FOUND, key)
    assert operation.breaker.state == "closed"


def test_a_path_that_has_gone_comes_back_with_an_answer_and_not_with_another_404() -> None:
    operation = Operation()
    for key in keys(NOT_FOUND_KEYS_MAX):
        operation.call(NOT_FOUND, key)
    lasted_s = []
    for outcome in (NOT_FOUND, FAIL, NOT_FOUND, BUSY, NOT_FOUND):
        assert not operation.probe(outcome, b"new")
        lasted_s.append(operation.opened_for_s())
    assert lasted_s == [60.0, 90.0, 120.0, 30.0, 150.0]
    assert operation.breaker.reason == CONTRACT_GONE
    assert operation.probe(POISON)
    for key in keys(NOT_FOUND_KEYS_MAX - 1):
        operation.call(NOT_FOUND, b"since" + key)
    operation.calls(*[FAIL] * 5)
    assert operation.probe(NOT_FOUND), "it was open for another reason now"


def test_a_clock_that_is_set_back_prolongs_no_wait_beyond_its_own_length() -> None:
    hour_us = 3600 * SECOND_US
    operation = opened()
    operation.now_us -= hour_us
    assert operation.opened_for_s() == 30.0
    operation.wait(30)
    assert operation.breaker.may_call(operation.now_us)
    assert operation.call(OK)
    operation.call(BUSY._replace(retry_after_s=20.0))
    operation.now_us -= hour_us
    assert operation.opened_for_s() == 20.0


def test_a_clock_that_is_set_back_empties_the_window() -> None:
    operation = Operation()
    operation.calls(*[OK, FAIL] * 4, OK)
    operation.wait(-3600)
    operation.call(FAIL)
    assert operation.breaker.may_call(operation.now_us)
    operation.calls(*[OK, FAIL] * 4)
    assert operation.breaker.may_call(operation.now_us)
    operation.call(FAIL)
    assert operation.breaker.state == "open", "and it is filled again"


OUTCOMES = [OK, POISON, NOT_FOUND, FAIL, LOST, HOLD, BUSY, BUSY._replace(retry_after_s=5000.0)]
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("begin"), st.just(0)),
        st.tuples(st.just("end"), st.integers(0, len(OUTCOMES) - 1)),
        st.tuples(st.just("cancel"), st.just(0)),
        st.tuples(st.just("clock"), st.integers(-4000, 4000)),
    ),
    max_size=150,
)


@given(steps=STEPS, first=st.booleans())
def test_whatever_happens_there_is_one_probe_at_most_and_a_way_back(
    steps: list[tuple[str, int]], first: bool
) -> None:
    breaker, now_us, under_way, probes = Breaker(POLICY), AT_US, list[int](), set[int]()
    for what, argument in steps:
        if what == "clock":
            now_us += argument * SECOND_US
        elif what == "begin":
            if breaker.may_call(now_us):
                half_open = breaker.state == "half-open"
                under_way.append(breaker.begin(now_us))
                if half_open:
                    assert not probes
                    probes.add(under_way[-1])
        elif under_way:
            call = under_way.pop(0 if first else -1)
            probes.discard(call)
            if what == "cancel":
                breaker.cancelled(call)
            elif breaker.end(OUTCOMES[argument], now_us, key=bytes([argument]), call=call):
                assert breaker.state == "closed"
        assert (breaker.reason == "") == (breaker.state == "closed" and breaker.until_us() is None)
    for call in under_way:
        breaker.cancelled(call)
    breaker.may_call(now_us)
    until_us = breaker.until_us()
    assert until_us is None or until_us - now_us <= ASKED_WAIT_MAX_S * SECOND_US
    assert breaker.may_call(now_us + int(ASKED_WAIT_MAX_S) * SECOND_US)


def test_a_year_of_calls_takes_the_memory_of_a_minute() -> None:
    operation = Operation(BreakerPolicy(window_s=10.0))
    for number in range(20_000):
        operation.wait(0.001 if number % 7 else 977.0)
        operation.call(OK if number % 3 else NOT_FOUND, str(number).encode())
    assert operation.breaker.may_call(operation.now_us)
    assert reachable(operation.breaker) < 300


def reachable(start: object) -> int:
    """How many objects an object holds."""
    seen, todo = {id(start)}, [start]
    while todo:
        for each in gc.get_referents(todo.pop()):
            if id(each) not in seen and not isinstance(each, type):
                seen.add(id(each))
                todo.append(each)
    return len(seen)

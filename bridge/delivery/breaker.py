"""Whether an operation may be called: open where its calls fail, and closed again by one that does not.

    closed ─→ open          failures in a row, their share of a window, or one outcome that all would meet
    open ─→ half-open       its time is over
    half-open ─→ closed     one call, the probe, was answered
    half-open ─→ open       it was not, for longer

What opens, for how long, and what closes it, is in `Breaker.end`. Nothing here reads a clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bridge.delivery.backoff import ASKED_WAIT_MAX_S
from bridge.delivery.outcomes import NOT_CALLED, Outcome, Verdict, about_one
from bridge.delivery.state import HOLD_WAIT_S
from bridge.message import Microseconds

BreakerState = Literal["closed", "open", "half-open"]

NOT_FOUND_KEYS_MAX: Final = 5
"""So many different keys in a row that an API does not know: the path has gone, and not the records."""
CONTRACT_GONE: Final = "contract-gone"
WINDOW_BUCKETS: Final = 30

_ASK_FOR_TIME: Final = frozenset({429, 503})
_TOO_OFTEN: Final = frozenset({425, 429})
"""Statuses of RETRY that are about when and how often is asked: the operation may be well."""
_ANSWERED: Final = frozenset({Verdict.DELIVERED, Verdict.ACCEPTED, Verdict.POISON, Verdict.NOT_FOUND})


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a breaker opens, and for how long. The defaults are those of `governance` 2.4.

    It opens after ``failures_in_row``, or where ``failure_ratio`` of at least ``calls_min`` calls of the last
    ``window_s`` failed; for ``open_s`` times how often it opened without closing, at most ``open_max_s``.
    """

    window_s: float = 30.0
    calls_min: int = 10
    failure_ratio: float = 0.5
    failures_in_row: int = 5
    open_s: float = 30.0
    open_max_s: float = 300.0


class Breaker:
    """Whether an operation may be called.

    Ask `may_call`, then `begin`, which gives the call's number; exactly one of `end` and `cancelled` follows
    with it. A call that began before the breaker opened says nothing about the time since. Its end neither
    counts, nor lengthens the wait, nor closes the breaker, also after the breaker has closed again; only a
    Retry-After that it brings is kept.

    A clock that is set back makes a wait begin again at most, so that none outlasts its own length.
    """

    __slots__ = (
        "_asked",
        "_asked_reason",
        "_begun",
        "_begun_before",
        "_gone",
        "_not_found",
        "_opened_times",
        "_policy",
        "_probe",
        "_reason",
        "_row",
        "_shut",
        "_state",
        "_window",
    )

    def __init__(self, policy: BreakerPolicy) -> None:
        self._policy = policy
        self._state: BreakerState = "closed"
        self._opened_times = 0
        self._shut, self._reason = _Wait(), ""
        self._asked, self._asked_reason = _Wait(), ""
        self._begun = 0  # calls, which is the number of the last one too
        self._begun_before = 0  # the last call before it opened
        self._probe: int | None = None
        self._row = 0
        self._window = _Window(policy.window_s)
        self._not_found: set[bytes] = set()
        self._gone = False

    @property
    def state(self) -> BreakerState:
        """Where it stands. Open becomes half-open when `may_call` is asked after its time."""
        return self._state

    @property
    def reason(self) -> str:
        """The code of the failure that opened it, or of the answer that asked for time; else ``""``."""
        if self._state != "closed":
            return self._reason
        return "" if self._asked.until_us is None else self._asked_reason

    def may_call(self, now_us: Microseconds) -> bool:
        """Whether a call may begin: closed, or half-open with no probe under way, and no wait asked for."""
        left_alone = not self._asked.over(now_us)
        if self._state == "open" and self._shut.over(now_us):
            self._state = "half-open"
        return not left_alone and self._state != "open" and self._probe is None

    def begin(self, now_us: Microseconds) -> int:
        """A call begins, in half-open the probe. Its number, for `end` or `cancelled`."""
        self._begun += 1
        if self.may_call(now_us) and self._state == "half-open":
            self._probe = self._begun
        return self._begun

    def cancelled(self, call: int) -> None:
        """A call that was begun was not made: where it was the probe, another may be."""
        if call == self._probe:
            self._probe = None

    def end(self, outcome: Outcome, now_us: Microseconds, *, call: int, key: bytes = b"") -> bool:
        """A call ended. True where this closed an open breaker: all that waited may go.

        - DELIVERED, ACCEPTED, POISON and NOT_FOUND are answers: they end a row of failures, and close.
        - RETRY and AMBIGUOUS are failures, but for what is `about_one` record, and RETRY of 425 and 429: that
          says nothing of the operation's health. Of a probe it says "not yet": open for what it asks, else
          ``open_s``.
        - HOLD opens at once, since every call would meet the same: for `HOLD_WAIT_S` times how often.
        - NOT_FOUND for `NOT_FOUND_KEYS_MAX` different ``key`` in a row, with no other outcome between, opens
          with `CONTRACT_GONE`; until something else is answered, NOT_FOUND of a probe keeps it open.
        - What is `NOT_CALLED` says nothing: no call was made. Nor does what is ``shared``, unless it was the
          probe: one call counts once, however many deliveries it carried.
        - RETRY of status 429 or 503 with a Retry-After: `may_call` is false until then, in whatever state.
        """
        if outcome.verdict in NOT_CALLED or (outcome.shared and call != self._probe):
            self.cancelled(call)
            return False
        asked_s = min(outcome.retry_after_s or 0.0, ASKED_WAIT_MAX_S)
        if outcome.verdict is Verdict.RETRY and outcome.status in _ASK_FOR_TIME and asked_s:
            self._asked.lengthen(now_us, asked_s)
            self._asked_reason = outcome.reason
        if self._state == "open" or call <= self._begun_before:
            return False
        if self._state == "closed":
            self._count(outcome, now_us, key)
            return False
        if call != self._probe:
            return False
        self._probe = None
        return self._end_probe(outcome, now_us, asked_s)

    def until_us(self) -> Microseconds | None:
        """When `may_call` is worth asking again, by the clock of its last asking.

        None where no time is waited for: it may be called now, or once the probe under way has ended.
        """
        if self._probe is not None:
            return None
        waits = [self._asked] if self._state != "open" else [self._asked, self._shut]
        return max((wait.until_us for wait in waits if wait.until_us is not None), default=None)

    def end_wait(self) -> None:
        """End every wait, since somebody knows better: one call may try it now."""
        self._shut.until_us = self._asked.until_us = None

    def _count(self, outcome: Outcome, now_us: Microseconds, key: bytes) -> None:
        if outcome.verdict is Verdict.NOT_FOUND:
            self._not_found.add(key)
        else:
            self._not_found.clear()
        if outcome.verdict is Verdict.HOLD:
            self._open(outcome.reason, now_us, HOLD_WAIT_S)
        elif len(self._not_found) >= NOT_FOUND_KEYS_MAX:
            self._gone = True
            self._open(CONTRACT_GONE, now_us, self._policy.open_s)
        elif outcome.verdict in _ANSWERED:
            self._row = 0
            self._window.add(now_us, failed=False)
        elif not _says_nothing(outcome):
            self._row += 1
            self._window.add(now_us, failed=True)
            if self._row >= self._policy.failures_in_row or self._mostly_fails():
                self._open(outcome.reason, now_us, self._policy.open_s)

    def _mostly_fails(self) -> bool:
        calls, failures = self._window.calls, self._window.failures
        return calls >= self._policy.calls_min and failures >= calls * self._policy.failure_ratio

    def _end_probe(self, outcome: Outcome, now_us: Microseconds, asked_s: float) -> bool:
        match outcome.verdict:
            case Verdict.NOT_FOUND if self._gone:
                self._open(CONTRACT_GONE, now_us, self._policy.open_s)
            case Verdict.DELIVERED | Verdict.ACCEPTED | Verdict.POISON | Verdict.NOT_FOUND:
                self._state, self._opened_times, self._gone = "closed", 0, False
                return True
            case Verdict.HOLD:
                self._open(outcome.reason, now_us, HOLD_WAIT_S)
            case _ if _says_nothing(outcome):
                # What opened it may be mended or not, so its reason stays, and the next wait grows no longer.
                self._state = "open"
                self._shut.begin(now_us, asked_s or self._policy.open_s)
            case _:
                self._open(outcome.reason, now_us, self._policy.open_s)
        return False

    def _open(self, reason: str, now_us: Microseconds, wait_s: float) -> None:
        self._state, self._reason = "open", reason
        self._opened_times += 1
        self._shut.begin(now_us, min(wait_s * self._opened_times, self._policy.open_max_s))
        self._begun_before = self._begun
        self._row = 0
        self._window.clear()
        self._not_found.clear()


def _says_nothing(outcome: Outcome) -> bool:
    """Whether a failure is about one record, or about how often is asked."""
    return about_one(outcome) or (outcome.verdict is Verdict.RETRY and outcome.status in _TOO_OFTEN)


class _Wait:
    """A wait that a clock cannot make longer."""

    __slots__ = ("_length_us", "until_us")

    def __init__(self) -> None:
        self.until_us: Microseconds | None = None
        self._length_us: Microseconds = 0

    def begin(self, now_us: Microseconds, length_s: float) -> None:
        self._length_us = int(length_s * 1e6)
        self.until_us = now_us + self._length_us

    def lengthen(self, now_us: Microseconds, length_s: float) -> None:
        """As `begin`, but where more is left than that already, that stays."""
        if self.over(now_us) or self.until_us is None or self.until_us < now_us + length_s * 1e6:
            self.begin(now_us, length_s)

    def over(self, now_us: Microseconds) -> bool:
        if self.until_us is None:
            return True
        # Only a clock that was set back can be further from the end than the whole wait is long.
        self.until_us = min(self.until_us, now_us + self._length_us)
        if now_us < self.until_us:
            return False
        self.until_us = None
        return True


class _Window:
    """How many calls ended in the last while, and how many failed; a thirtieth of it is the grain."""

    __slots__ = ("_bucket_us", "_calls", "_failures", "_newest")

    def __init__(self, window_s: float) -> None:
        self._bucket_us = max(1, int(window_s * 1e6) // WINDOW_BUCKETS)
        self.clear()

    def clear(self) -> None:
        self._calls = [0] * WINDOW_BUCKETS
        self._failures = [0] * WINDOW_BUCKETS
        self._newest: int | None = None

    @property
    def calls(self) -> int:
        return sum(self._calls)

    @property
    def failures(self) -> int:
        return sum(self._failures)

    def add(self, now_us: Microseconds, *, failed: bool) -> None:
        bucket = now_us // self._bucket_us
        if self._newest is None or bucket < self._newest:
            # After a clock was set back nobody can say how old the rest is.
            self.clear()
        else:
            for emptied in range(max(self._newest, bucket - WINDOW_BUCKETS) + 1, bucket + 1):
                self._calls[emptied % WINDOW_BUCKETS] = self._failures[emptied % WINDOW_BUCKETS] = 0
        self._newest = bucket
        self._calls[bucket % WINDOW_BUCKETS] += 1
        self._failures[bucket % WINDOW_BUCKETS] += failed

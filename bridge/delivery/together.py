"""What deliveries that share a call come to, each by itself.

One call counts once at the breaker of an operation, however many deliveries it carried. And where a call
failed and may have happened, what comes again goes by itself: what a receiver cannot bear then fails alone.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.delivery.state import MAY_HAVE_HAPPENED

SUSPECTS_MAX_COUNT: Final = 10_000


class Suspects:
    """Which deliveries shared a call that failed, until they are delivered; the last `SUSPECTS_MAX_COUNT`."""

    def __init__(self) -> None:
        self._keys: dict[str, None] = {}

    def __contains__(self, key: str) -> bool:
        return key in self._keys

    def learn(self, key: str, outcome: Outcome) -> None:
        """What an attempt of a delivery came to, which is known by its ``key`` at each attempt."""
        if outcome.verdict is Verdict.DELIVERED:
            self._keys.pop(key, None)
        elif outcome.verdict is Verdict.AMBIGUOUS or outcome.status in MAY_HAVE_HAPPENED:
            self._keys[key] = None
            if len(self._keys) > SUSPECTS_MAX_COUNT:
                del self._keys[next(iter(self._keys))]


def counted_once(told: Iterable[tuple[str, Outcome]]) -> list[Outcome]:
    """The outcomes of one call, each with its operation; all but the first of those that are the same are
    ``shared``.

    >>> failed = Outcome(Verdict.RETRY, "server-error", 500)
    >>> [each.shared for each in counted_once([("put", failed), ("put", failed), ("cancel", failed)])]
    [False, True, False]
    """
    seen: set[tuple[str, Outcome]] = set()
    outcomes = []
    for operation, outcome in told:
        outcomes.append(outcome._replace(shared=(operation, outcome) in seen))
        seen.add((operation, outcome))
    return outcomes

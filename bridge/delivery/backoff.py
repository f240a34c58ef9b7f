"""How long to wait before the next attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

ASKED_WAIT_MAX_S: Final = 900.0
"""The longest that anything is left alone because its API asked for it."""
_DOUBLINGS_MAX = 30


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Exponential waits with full jitter: a whole hospital's feeds do not come back at one moment.

    ``poison_attempts_max`` is how often an API may refuse one request before a person must look at it;
    ``not_found_for_s`` how long it may say that what the path names is not there.
    """

    base_s: float = 1.0
    cap_s: float = 300.0
    poison_attempts_max: int = 3
    not_found_for_s: float = 3600.0

    @property
    def longest_s(self) -> float:
        """No delivery waits longer in one piece, whatever its API asked for."""
        return max(self.cap_s, ASKED_WAIT_MAX_S)

    def wait_s(self, attempt: int, chance: float) -> float:
        """Seconds after attempt number ``attempt`` (from 1), with ``chance`` in [0, 1).

        >>> RetryPolicy().wait_s(1, 0.5), RetryPolicy().wait_s(4, 0.5), RetryPolicy().wait_s(99, 0.5)
        (0.5, 4.0, 150.0)
        """
        ceiling_s: float = min(self.cap_s, self.base_s * 2.0 ** min(attempt - 1, _DOUBLINGS_MAX))
        return ceiling_s * chance

"""The rates of APIs: each its own, or one for all that are called under the same credential."""

from __future__ import annotations

from bridge.component import Options
from bridge.config.topology import Api
from bridge.delivery.rate import Rate


class Rates:
    """The rates that credentials have, as long as any API goes by one."""

    def __init__(self) -> None:
        self._shared: list[tuple[Options, float, int | None, Rate]] = []

    def of(self, api: Api) -> Rate | None:
        """The rate of an API; None where nothing limits it. That of a credential is kept for as long as its
        numbers are the same, so that no reload gives away calls."""
        if api.rate_per_s is None:
            return None
        if api.rate_per == "api" or api.credential is None:
            return Rate(api.rate_per_s, api.burst)
        for options, per_s, burst, rate in self._shared:
            if (options, per_s, burst) == (api.credential.options, api.rate_per_s, api.burst):
                return rate
        rate = Rate(api.rate_per_s, api.burst)
        self._shared = [each for each in self._shared if each[0] != api.credential.options]
        self._shared.append((api.credential.options, api.rate_per_s, api.burst, rate))
        return rate

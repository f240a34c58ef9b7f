"""Burning: what the bridge's own calls come to while a route is in canary or primary."""

from __future__ import annotations

from bridge.config.topology import Channel
from bridge.delivery.burn import LONG_S, Burn
from bridge.delivery.state import DeliveryState
from bridge.runtime.surroundings import Surroundings


class Burning:
    """The burn of every route, by channel and name; a start begins anew."""

    def __init__(self, world: Surroundings) -> None:
        self._world = world
        self._burns: dict[tuple[str, str], Burn] = {}

    def note(self, channel: str, route: str, state: DeliveryState) -> None:
        """A delivery has come to rest."""
        if state in (DeliveryState.DELIVERED, DeliveryState.QUARANTINED):
            burn = self._burns.setdefault((channel, route), Burn())
            burn.note(self._world.reactor.seconds(), failed=state is DeliveryState.QUARANTINED)

    def forget(self, channel: str, route: str) -> None:
        """The route stands somewhere else."""
        self._burns.pop((channel, route), None)

    def why_back(self, channel: Channel, route: str, blocked: int) -> str:
        """Why a route is to go a stage back; empty where nothing says so."""
        legacy, now_s = channel.legacy, self._world.reactor.seconds()
        burn = self._burns.get((channel.name, route))
        if legacy is None:
            return ""
        if blocked > legacy.blocked_max > 0:
            return f"{blocked} of its messages block their keys, more than {legacy.blocked_max}"
        budget = legacy.error_budget_percent / 100
        if burn is not None and budget and burn.is_fast(now_s, budget):
            rate, failed = burn.rate(now_s, LONG_S, budget)
            return f"{failed} calls need a person: its error budget burns {rate:.1f} times as fast as it may"
        return ""

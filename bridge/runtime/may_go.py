"""What of a file that is about to be closed may not go: a patient may have decided since it was collected."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridge.delivery.state import DeliveryState
from bridge.governance.base import Policies
from bridge.governance.consent import ASKED_FOR
from bridge.journal.collections import LeftOut, waiting_members
from bridge.journal.consents import asks_of
from bridge.journal.journal import Journal
from bridge.runtime.surroundings import Surroundings

READ_AT_ONCE: Final = 500
ASKED_WITHIN_S, LOOK_AGAIN_S = 10.0, 0.1
"""How long it is waited for a registry's answer; who is still asked about then waits for a later file."""

_BECOMES: Final = {"suppress": DeliveryState.SUPPRESSED, "quarantine": DeliveryState.QUARANTINED}
"""What becomes of a delivery by what a policy says of it; by anything else it waits for a later file."""


class MayGo:
    """Asks the policies of one API anew about what was collected for it."""

    def __init__(
        self, journal: Journal, world: Surroundings, policies: Callable[[], Policies | None]
    ) -> None:
        self._journal, self._world, self._policies = journal, world, policies

    async def left_out(self, api: str, most: int) -> tuple[LeftOut, ...]:
        """What may not go, of so much that ``most`` may. Raises JournalUnavailable."""
        if (policies := self._policies()) is None:
            return ()
        until_s = self._world.reactor.seconds() + ASKED_WITHIN_S
        while True:
            found = await self._look(api, most, policies)
            asked_for = any(each.reason == ASKED_FOR for each in found)
            if not asked_for or self._world.reactor.seconds() > until_s:
                return found
            await self._world.pause(LOOK_AGAIN_S)

    async def _look(self, api: str, most: int, policies: Policies) -> tuple[LeftOut, ...]:
        found: list[LeftOut] = []
        after = may_go = 0
        while may_go < most and (page := await self._journal.read(waiting_members, api, after, READ_AT_ONCE)):
            asks = await self._journal.read(asks_of, [each.delivery_id for each in page])
            now_us, after = self._world.now_us(), page[-1].place
            for each in page:
                said = policies.of_delivery(asks.get(each.delivery_id), now_us)
                if said is None:
                    may_go += 1
                else:
                    found.append(LeftOut(*each, said.reason, _BECOMES.get(said.what)))
        return tuple(found)

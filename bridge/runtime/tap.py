"""The tap: what the old engine makes for one route passes here, and goes on, or does not.

Each output is journaled before anything is done with it. What is the old engine's goes on to where it went
before, and the answer from there goes back as it came. What is the bridge's is answered and kept: it is
compared, and nobody gets it. What must wait is held for a while, and then refused, so that the engine sends
it again in its order.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import structlog

from bridge.config.legacy import Tap
from bridge.errors import JournalUnavailable
from bridge.journal.journal import Journal
from bridge.journal.outputs import OUTPUT_DONE, TAKE_OUTPUT, Done, Output, Turn, messages_waiting
from bridge.journal.stages import newest_message
from bridge.migration.relay.outputs import End, Judged, Passed, PassOn
from bridge.runtime.given_again import GivenAgain
from bridge.runtime.staging import Staging, unpaired_goes
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.tap")

LOOK_AGAIN_S = 0.02
BUSY_MAX_S = 15.0
"""How long an output is held whose key is still on its way from our side."""
UNPAIRED_MAX_S = 5.0
"""How long translation is waited for, which may still come to what an output stands for."""


class TapIntake:
    """The outputs of one route."""

    def __init__(
        self, staging: Staging, tap: Tap, journal: Journal, world: Surroundings, again: GivenAgain
    ) -> None:
        self.staging, self.tap, self._journal, self._world, self._again = staging, tap, journal, world, again

    def match_id(self, control_id: bytes) -> bytes:
        """As `Outputs` says."""
        return self.staging.match_id(self.tap, control_id)

    def match_message(self, message: bytes) -> tuple[bytes | None, str]:
        """As `Outputs` says."""
        return self.staging.match_message(self.tap, message)

    def match_target(self, method: str, path: str) -> bytes:
        """As `Outputs` says."""
        return self.staging.match_target(self.tap, method, path)

    async def take(self, match_hash: bytes, output: bytes, pass_on: PassOn, control_id: str = "") -> Passed:
        """See to one output. Raises JournalUnavailable where it cannot be journaled; nothing is done then."""
        turn = await self._turn(match_hash, output, control_id)
        if turn.doing == "swallow":
            return Passed("swallowed")
        if turn.doing == "repeat":
            return Passed("repeat", turn.code)
        if turn.doing != "pass":
            self._held_up()
            return Passed("busy")
        end, code = await pass_on()
        if end == "PASSING":
            self._held_up()
        try:
            await self._journal.submit(OUTPUT_DONE, Done(turn.output_id, end, code))
        except JournalUnavailable as error:
            # It stays PASSING: sent again, it goes on again, as it would have without us.
            log.error("journal-unavailable", channel=self.staging.channel.name, reason=str(error))
        return Passed("passed", code)

    async def judge(self, match_hash: bytes, output: bytes, control_id: str = "") -> Judged:
        """As `Outputs` says."""
        turn = await self._turn(match_hash, output, control_id)
        if turn.doing in ("wait", "busy"):
            self._held_up()
        return Judged("busy" if turn.doing == "wait" else turn.doing, turn.output_id, turn.code)

    async def note(self, ended: Sequence[tuple[int, End, str]]) -> None:
        """As `Outputs` says."""
        for end in await self._journal.submit_all(OUTPUT_DONE, [Done(*each) for each in ended]):
            if isinstance(end, Exception):
                raise end

    def _held_up(self) -> None:
        self.staging.held_up_us = self._world.now_us()

    async def _turn(self, match_hash: bytes, output: bytes, control_id: str) -> Turn:
        self._again.came_out()
        began_s = self._world.reactor.seconds()
        newest = -1
        while True:
            standing = self.staging.standings[self.tap.route]
            waited_s = self._world.reactor.seconds() - began_s
            unpaired: Literal["pass", "swallow", "wait"] = (
                "swallow" if unpaired_goes(standing) == "bridge" else "pass"
            )
            if standing.stage in ("shadow", "canary", "primary") and waited_s < UNPAIRED_MAX_S:
                if newest < 0:
                    newest = await self._journal.read(newest_message)
                    still = 1
                else:
                    still = await self._journal.read(messages_waiting, self.staging.channel.name, newest)
                if still:
                    unpaired = "wait"
            item = Output(
                self.staging.channel.name,
                self.tap.route,
                match_hash,
                self._journal.facts.hash(output),
                output,
                self._world.now_us(),
                standing.episode,
                unpaired,
                control_id,
                standing.since_message_id if standing.stage == "shadow" else 0,
                self._again.begun,
            )
            turn = await self._journal.submit(TAKE_OUTPUT, item)
            if turn.doing not in ("wait", "busy") or (turn.doing == "busy" and waited_s > BUSY_MAX_S):
                return turn
            await self._world.pause(LOOK_AGAIN_S)

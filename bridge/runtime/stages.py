"""Stages: routes moved between the old engine and the bridge while messages flow, without a restart.

A move is one row of the journal. Translation of the channel is held meanwhile, so that every message is
decided by the stage before or the stage after; which APIs have a destination at all follows from it.
"""

from __future__ import annotations

import structlog

from bridge.config.topology import Api, Channel
from bridge.delivery.stages import SALT_BYTES, Standing, steps_back
from bridge.destinations.base import Destination
from bridge.errors import JournalUnavailable
from bridge.journal.ledger import stuck_on
from bridge.journal.open_deliveries import channels_of_api
from bridge.journal.stages import STAND, Stand, Stood
from bridge.runtime.parts import Parts
from bridge.runtime.recorder import Recorder
from bridge.runtime.release import requests_of
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.stages")

LOOK_EVERY_S = 5.0


class Stages:
    """The stages of a node's routes."""

    def __init__(self, parts: Parts) -> None:
        self._parts, self._journal, self._world = parts, parts.journal, parts.world
        self._tasks = Tasks()
        self._moving = False

    def start(self) -> None:
        """Keep looking which APIs nothing is sent to any more, and how what is sent does."""
        self._tasks.spawn("stages", self._watch())

    async def stop(self) -> None:
        """Look no more."""
        await self._tasks.stop()

    def standing(self, channel: str, route: str) -> Standing:
        """Where a route stands."""
        return self._parts.staging[channel].standings[route]

    async def move(
        self,
        channel: Channel,
        route: str,
        to: Standing,
        *,
        actor: str,
        reason: str,
        action: str = "stage",
        replay: bool = False,
        delivered: bool = False,
    ) -> Stood:
        """Let a route stand somewhere else, on disk first. Raises JournalUnavailable."""
        parts, translate = self._parts, self._parts.translators[channel.name]
        salted = (
            to if to.salt else Standing(to.stage, to.share, to.only, self._world.random_bytes(SALT_BYTES))
        )
        await translate.hold()
        feed = parts.feeds[channel.name]
        try:
            with feed.giving_again():
                stand = Stand(
                    channel.name,
                    route,
                    salted,
                    actor,
                    reason,
                    self._world.now_us(),
                    action,
                    replay=replay,
                    delivered=delivered,
                )
                stood = await self._journal.submit(STAND, stand)
            parts.standings[channel.name, route] = stood.standing
            parts.staging[channel.name].use(channel, parts.standings_of(channel.name))
            parts.hand_over.forget(channel.name, route)
            parts.burning.forget(channel.name, route)
        finally:
            translate.let_go()
        log.warning("stage", channel=channel.name, route=route, stage=stood.standing.words, by=actor)
        await self.fit()
        parts.feeds[channel.name].look()
        for outlet in parts.outlets.values():
            outlet.look_again()
        return stood

    async def step_back(self, channel: Channel, route: str, reason: str) -> None:
        """Take a route one stage back, because something that was promised does not hold."""
        standing = self.standing(channel.name, route)
        before = steps_back(standing.stage)
        if before is None or standing.stage not in ("canary", "primary") or self._moving:
            return
        self._moving = True
        try:
            share = standing.share if before == "canary" else 0
            to = Standing(before, share, standing.only if before == "canary" else (), standing.salt)
            await self.move(channel, route, to, actor="bridge", reason=reason, action="stage-back")
            log.error("stepped-back", channel=channel.name, route=route, reason=reason)
        finally:
            self._moving = False

    async def look_at_calls(self) -> None:
        """Take back what sends for itself and does not do well. Raises JournalUnavailable."""
        for staging in list(self._parts.staging.values()):
            channel = staging.channel
            if channel.legacy is None:
                continue
            for route, standing in list(staging.standings.items()):
                if standing.stage in ("canary", "primary"):
                    blocked = await self._journal.read(stuck_on, channel.name, route)
                    if why := self._parts.burning.why_back(channel, route, blocked):
                        await self.step_back(channel, route, why)

    async def fit(self) -> None:
        """Give each API the destination that the stages of its routes let it have."""
        parts = self._parts
        for name, outlet in parts.outlets.items():
            api = parts.topology.apis[name]
            wanted = self._sends(api) or await self._has_open(name)
            if wanted == isinstance(outlet.destination, Recorder):
                outlet.use(api, self._destination(api, sends=wanted), parts.policies(api))

    def _destination(self, api: Api, *, sends: bool) -> Destination:
        return self._parts.destination(api) if sends else Recorder(requests_of(api))

    def _sends(self, api: Api) -> bool:
        """Whether any route of a stage that sends leads to an API."""
        return any(
            api.name in route.apis and self._parts.staging[channel.name].standings[route.name].sends
            for channel in self._parts.topology.channels.values()
            if channel.name in self._parts.staging
            for route in channel.routes
        )

    async def _has_open(self, api: str) -> bool:
        """Whether something that was the bridge's is not sent yet: it must not be lost at a step back."""
        return bool(await self._journal.read(channels_of_api, api)) or self._parts.outlets[api].in_flight > 0

    async def _watch(self) -> None:
        while True:
            await self._world.pause(LOOK_EVERY_S)
            try:
                await self.fit()
                await self.look_at_calls()
            except JournalUnavailable as error:
                log.error("journal-unavailable", reason=str(error))

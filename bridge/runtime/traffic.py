"""Traffic: what a person has stopped, kept stopped across restarts, and let go when its time is over."""

from __future__ import annotations

from dataclasses import replace

import structlog
from twisted.internet.interfaces import IDelayedCall

from bridge.errors import BridgeError
from bridge.journal.controls import PAUSE, RESUME, Control, controls, not_resumed
from bridge.runtime.parts import Parts
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.traffic")

FOREVER_US = 2**62
TIMER_MAX_S = 86400.0
"""A longer wait is looked at again after this."""
RESUME_AGAIN_S = 1.0
"""What could not be let go when its time was over is tried again after this."""


class Traffic:
    """The taps of a node: channels, routes and APIs, and whether repeats may come through."""

    def __init__(self, parts: Parts) -> None:
        self._journal, self._world = parts.journal, parts.world
        self._outlets, self._translators = parts.outlets, parts.translators
        self._intakes, self._doors, self._feeds = parts.intakes, parts.doors, parts.feeds
        self._stopped: dict[tuple[str, str], Control] = {}
        self._timers: dict[tuple[str, str], IDelayedCall] = {}
        self._tasks = Tasks()

    @property
    def stopped(self) -> list[Control]:
        """All that is stopped or let through now, by scope and name."""
        return [self._stopped[key] for key in sorted(self._stopped)]

    async def restore(self) -> None:
        """Stop again what the journal says is stopped; before anything moves."""
        for control in await self._journal.read(controls):
            if self._known(control):
                await self._apply(control)
            else:
                log.warning("control-without-subject", scope=control.scope, name=control.name)
        for name in await self._journal.read(not_resumed):
            if name in self._feeds:
                self._feeds[name].doubt(True)

    def takes(self, channel: str) -> bool:
        """Whether the door of a channel is to be open."""
        control = self._stopped.get(("channel", channel))
        return control is None or not control.intake

    def _known(self, control: Control) -> bool:
        if control.scope == "api":
            return control.name in self._outlets
        return control.name.partition("/")[0] in self._translators

    async def pause(self, control: Control) -> None:
        """Stop something, or let repeats through; on disk first. Raises JournalUnavailable."""
        await self._journal.submit(PAUSE, control)
        await self._apply(control)
        log.warning("paused", scope=control.scope, name=control.name, intake=control.intake, by=control.actor)

    async def resume(self, control: Control) -> bool:
        """Let something go on; False where it was not stopped. Raises JournalUnavailable, PeerUnavailable."""
        key = control.scope, control.name
        found = await self._journal.submit(RESUME, control)
        before = self._stopped.pop(key, None)
        self._cancel(key)
        await self._release(before or control)
        if found:
            log.warning("resumed", scope=control.scope, name=control.name, by=control.actor)
        return found

    async def _apply(self, control: Control) -> None:
        key = control.scope, control.name
        before = self._stopped.get(key)
        self._stopped[key] = control
        self._arm(key, control)
        match control.scope:
            case "api":
                self._outlets[control.name].pause("api")
            case "resend":
                until_us = FOREVER_US if control.until_us is None else control.until_us
                self._intakes[control.name].allow_resend(until_us)
            case _:
                for outlet in self._outlets.values():
                    outlet.pause(f"{control.scope} {control.name}")
        if control.scope == "channel":
            self._translators[control.name].pause()
            if control.intake:
                await self._doors[control.name].close()
            elif before is not None and before.intake:
                await self._doors[control.name].open()

    async def _release(self, control: Control) -> None:
        if control.scope in ("channel", "route"):
            for outlet in self._outlets.values():
                outlet.resume(f"{control.scope} {control.name}")
        if not self._known(control):
            return  # a reload has taken it out meanwhile
        match control.scope:
            case "api":
                self._outlets[control.name].resume("api")
            case "resend":
                self._intakes[control.name].allow_resend(None)
            case "channel":
                self._translators[control.name].resume()
                self._feeds[control.name].doubt(False)
                await self._doors[control.name].open()

    def _arm(self, key: tuple[str, str], control: Control) -> None:
        self._cancel(key)
        if control.until_us is not None:
            wait_s = max(0.0, (control.until_us - self._world.now_us()) / 1e6)
            self._timers[key] = self._world.reactor.callLater(min(wait_s, TIMER_MAX_S), self._due, key)

    def _cancel(self, key: tuple[str, str]) -> None:
        if (timer := self._timers.pop(key, None)) is not None and timer.active():
            timer.cancel()

    def _due(self, key: tuple[str, str]) -> None:
        control, now_us = self._stopped[key], self._world.now_us()
        if control.until_us is None or control.until_us > now_us:
            self._arm(key, control)
            return
        self._tasks.spawn("resume", self._time_is_over(control))

    async def _time_is_over(self, control: Control) -> None:
        """Let it go on, however long the journal or the port is away; nobody else will."""
        key = control.scope, control.name
        while self._stopped.get(key, control) is control:
            try:
                await self.resume(
                    replace(control, at_us=self._world.now_us(), actor="bridge", reason="until")
                )
            except BridgeError as error:
                log.error("not-resumed", scope=control.scope, name=control.name, reason=str(error))
                await self._world.pause(RESUME_AGAIN_S)
            else:
                return

    async def stop(self) -> None:
        """Wait for no time any more."""
        for key in list(self._timers):
            self._cancel(key)
        await self._tasks.stop()

"""What a person decides about an API that is other than its contract says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bridge.journal.drifts import refused_since
from bridge.journal.resolutions import RESOLVE, Resolution
from bridge.located import did_you_mean
from bridge.message import Microseconds
from bridge.runtime.deliver import Outlet
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said, wanted_reason


class DriftCommands:
    """The commands about drift, by name."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self.named: dict[str, Callable[[str, Said], Awaitable[Said]]] = {"accept-drift": self._accept}

    async def _accept(self, actor: str, arguments: Said) -> Said:
        """Let an operation go on that was held, as a person has looked at what its API does."""
        api, operation = str(arguments.get("api", "")), str(arguments.get("operation", ""))
        reason, outlets = wanted_reason(arguments), self._parts.outlets
        if (outlet := outlets.get(api)) is None:
            raise Refused(f"there is no API {api!r}; {did_you_mean(api, outlets) or 'see `bridge apis`'}", 2)
        if operation not in outlet.gates:
            hint = did_you_mean(operation, outlet.gates) or "see its file"
            raise Refused(f"{api} has no operation {operation!r}; {hint}", 2)
        since_us = outlet.governed.refused_since(operation)
        accepted = await outlet.accept(operation, actor, reason)
        if not accepted:
            raise Refused(f"nothing of {api}/{operation} is held")
        again = 0 if since_us is None else await self._again(outlet, operation, since_us, actor, reason)
        return {"done": f"{api}/{operation} goes on", "accepted": accepted, "tried_again": again}

    async def _again(
        self, outlet: Outlet, operation: str, since_us: Microseconds, actor: str, reason: str
    ) -> int:
        """Let go again what the API refused while nobody knew that it had changed; how many that were."""
        journal, done = self._parts.journal, 0
        for number in await journal.read(refused_since, outlet.api.name, operation, since_us):
            at_us = self._parts.world.now_us()
            resolution = Resolution(number, None, "retry", actor, reason, at_us)
            resolved = await journal.submit(RESOLVE, resolution)
            if resolved.done:
                done += 1
                await outlet.relax(resolved.keys)
        return done

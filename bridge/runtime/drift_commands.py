"""What a person decides about an API that is other than its contract says."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from bridge.located import did_you_mean
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
        accepted = await outlet.accept(operation, actor, reason)
        if not accepted:
            raise Refused(f"nothing of {api}/{operation} is held")
        return {"done": f"{api}/{operation} goes on", "accepted": accepted}

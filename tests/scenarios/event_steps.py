"""A bridge that is killed, or kills another process, at one step of an event's way. Run in place of `bridge`.

The file that EVENT_STEP names says which step, after how many times, and whom: `STEP|COUNT|PID`, where 0 is
the bridge itself. It is taken away as the kill is done, so that each is done once.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from bridge.destinations.events_nats_line import Line
from bridge.journal.writer import Writer

STEPS = (
    "receive asked",
    "receive on disk",
    "translate asked",
    "translate on disk",
    "start on disk",
    "before it leaves",
    "as it leaves",
    "acknowledged",
    "settle on disk",
)
"""From the socket to the settled delivery: each moment between two promises."""

_passed: dict[str, int] = {}


def at(step: str) -> None:
    """A step was reached."""
    order = Path(os.environ["EVENT_STEP"])
    try:
        wanted, count, pid = order.read_text().split("|")
    except (FileNotFoundError, ValueError):
        return
    if wanted != step:
        return
    _passed[step] = _passed.get(step, 0) + 1
    if _passed[step] >= int(count):
        _passed.clear()
        order.unlink()
        os.kill(int(pid) or os.getpid(), signal.SIGKILL)


def plant() -> None:
    """Have every step looked at."""
    take, request = Writer._take, Line.request

    def taken(self: Writer, work: Any, pairs: Any, within_s: float) -> None:
        at(f"{work.name} asked")

        def told(end: Callable[[Any], None]) -> Callable[[Any], None]:
            def done(result: Any) -> None:
                at(f"{work.name} on disk")
                end(result)

            return done

        take(self, work, [(item, told(end)) for item, end in pairs], within_s)

    async def requested(
        self: Line, subject: str, body: bytes, headers: Mapping[str, str], within_s: float
    ) -> Any:
        if not headers:
            return await request(self, subject, body, headers, within_s)
        at("before it leaves")
        asking = asyncio.ensure_future(request(self, subject, body, headers, within_s))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        await self.client.flush(1)
        at("as it leaves")
        answer = await asking
        at("acknowledged")
        return answer

    Writer._take = taken  # type: ignore[method-assign]
    Line.request = requested  # type: ignore[method-assign]


if __name__ == "__main__":
    plant()
    from bridge.cli.main import main

    main()

"""What is left alone is tried now: by a person's word, or since what it is called with has changed."""

from __future__ import annotations

import structlog

from bridge.journal.actions import NOTE, ActionRow
from bridge.located import did_you_mean
from bridge.message import Microseconds
from bridge.runtime.deliver import Outlet
from bridge.runtime.outlet_words import operation_gate
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said, wanted_reason

log = structlog.get_logger("bridge.trying")

TRY = "try"
"""The action of who lets an operation be tried."""


async def try_now(parts: Parts, actor: str, arguments: Said) -> Said:
    """End what operations of an API wait for, so that one call tries each now; all of them, or one. What
    waits for a time of its own goes too.

    Raises Refused where none waits for its time, and JournalUnavailable; then nothing is changed.
    """
    api, wanted = str(arguments.get("api", "")), str(arguments.get("operation") or "")
    reason, now_us = wanted_reason(arguments), parts.world.now_us()
    if (outlet := parts.outlets.get(api)) is None:
        hint = did_you_mean(api, parts.outlets) or "`bridge apis` lists them"
        raise Refused(f"there is no API {api!r}; {hint}", 2)
    if wanted and wanted not in outlet.gates:
        hint = did_you_mean(wanted, outlet.gates) or "see its file"
        raise Refused(f"{api} has no operation {wanted!r}; {hint}", 2)
    names = [wanted] if wanted else sorted(outlet.gates)
    waiting = [each for each in names if _waits_for_time(outlet, each, now_us)]
    if not waiting:
        raise Refused("; ".join(_why_not(outlet, each, now_us) for each in names))
    done = []
    for each in waiting:
        await parts.journal.submit(NOTE, ActionRow(now_us, actor, TRY, f"{api}/{each}", reason))
        when = "now" if outlet.lanes.asleep()[each] else "with its next message"
        outlet.lanes.open(operation_gate(each), each)
        end_wait(outlet, each)
        done.append(f"{api}/{each} is tried {when}")
    return {"done": done}


def end_wait(outlet: Outlet, operation: str) -> None:
    """Let an operation be tried now; where it was left alone all goes on once that one call is answered."""
    outlet.governed.end_wait(operation)
    outlet.look_again(operation_gate(operation))
    log.info("operation-tried", api=outlet.api.name, operation=operation)


def end_waits(outlet: Outlet, now_us: Microseconds) -> list[str]:
    """As `end_wait`, for all that is left alone because its calls failed; their names. What an API itself
    asked for is kept to, and what is closed to calls by its file or its contract stays so."""
    stopped = [
        name
        for name, gate in sorted(outlet.gates.items())
        if gate.breaker.state == "open" and not gate.shut(now_us)
    ]
    for name in stopped:
        end_wait(outlet, name)
    return stopped


def end_all_waits(parts: Parts) -> list[str]:
    """As `end_waits`, of every API: whoever reloads has changed something, here or at one of them."""
    now_us = parts.world.now_us()
    return [f"{name}/{each}" for name, outlet in parts.outlets.items() for each in end_waits(outlet, now_us)]


def waits_still(outlet: Outlet | None, operation: str, now_us: Microseconds) -> str:
    """Why what goes again waits all the same, and what to do about it; empty where it goes now."""
    if outlet is None or (gate := outlet.gates.get(operation)) is None:
        return ""
    api = outlet.api.name
    if "api" in outlet.paused:
        return f"{api} is paused: `bridge resume {api}` lets it go"
    if why := gate.shut(now_us):
        return f"{operation} of {api} is not called ({why}): see `bridge apis`"
    if gate.breaker.until_us() is None:
        return ""
    why = outlet.governed.reason(operation)
    return f"{operation} of {api} is left alone ({why}): `bridge apis try {api} {operation}` tries it now"


def _waits_for_time(outlet: Outlet, operation: str, now_us: Microseconds) -> bool:
    gate = outlet.gates[operation]
    if gate.shut(now_us):
        return False
    return gate.breaker.until_us() is not None or bool(
        outlet.lanes.waiting_for(operation_gate(operation), operation)
    )


def _why_not(outlet: Outlet, operation: str, now_us: Microseconds) -> str:
    name = f"{outlet.api.name}/{operation}"
    if why := outlet.gates[operation].shut(now_us):
        return f"{name} is not called ({why}): see `bridge apis` and `bridge apis drift`"
    return f"{name} is called, and nothing of it waits for its time"

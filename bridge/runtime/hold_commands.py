"""What a person decides about legal holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bridge.journal.legal_holds import HOLD, LegalHold
from bridge.located import did_you_mean
from bridge.runtime.parts import Parts


async def decide_hold(
    parts: Parts, arguments: Mapping[str, Any], actor: str, reason: str
) -> tuple[str, str, Literal[1, 2]]:
    """Begin or end a legal hold; what was done, or why not, with the exit status that goes with it.

    Raises JournalUnavailable.
    """
    scope, name = arguments.get("scope"), str(arguments.get("name", "")).strip()
    if scope not in ("channel", "key") or not name:
        return "", "name a channel or a key", 2
    begins = not arguments.get("end")
    if scope == "channel" and begins and name not in parts.topology.channels:
        hint = did_you_mean(name, parts.topology.channels) or "`bridge status` lists them"
        return "", f"there is no channel {name!r}; {hint}", 2
    hold = LegalHold(scope, name, parts.world.now_us(), actor, reason, begins)
    if not await parts.journal.submit(HOLD, hold):
        held = f"this {scope} is under legal hold already: `bridge legal-hold list` says why, and since when"
        return "", held if begins else f"there was no legal hold on this {scope}", 1
    subject = f"channel {name}" if scope == "channel" else "this key"
    return f"{subject} is under legal hold" if begins else f"{subject} is no longer held", "", 1

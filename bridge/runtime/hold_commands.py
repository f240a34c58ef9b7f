"""What a person decides about legal holds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from bridge.journal.legal_holds import HOLD, LegalHold, covered
from bridge.located import did_you_mean
from bridge.runtime.parts import Parts

_OF = {
    "channel": "of this channel is in the journal",
    "key": "has this key, as `bridge trace KEY` finds it. It is written as the messages have it, with its "
    "capital letters, and without its assigning authority",
}


async def decide_hold(
    parts: Parts, arguments: Mapping[str, Any], actor: str, reason: str
) -> tuple[dict[str, Any], str, Literal[1, 2]]:
    """Begin or end a legal hold; what was done, or why not, with the exit status that goes with it.

    Of one that begins, ``covers`` says how many messages it covers now, and ``warning`` what to look at where
    there are none. Raises JournalUnavailable.
    """
    scope, name = arguments.get("scope"), str(arguments.get("name", "")).strip()
    if scope not in ("channel", "key") or not name:
        return {}, "name a channel or a key", 2
    begins = not arguments.get("end")
    if scope == "channel" and begins and name not in parts.topology.channels:
        hint = did_you_mean(name, parts.topology.channels) or "`bridge status` lists them"
        return {}, f"there is no channel {name!r}; {hint}", 2
    hold = LegalHold(scope, name, parts.world.now_us(), actor, reason, begins)
    if not await parts.journal.submit(HOLD, hold):
        held = f"this {scope} is under legal hold already: `bridge legal-hold list` says why, and since when"
        return {}, held if begins else f"there was no legal hold on this {scope}", 1
    subject = f"channel {name}" if scope == "channel" else "this key"
    if not begins:
        return {"done": f"{subject} is no longer held"}, "", 1

    async def number_of(name: str) -> int:
        return await parts.journal.read(covered, parts.journal.facts, scope, name)

    covers = await number_of(name)
    found = f"{covers} message{'s' if covers != 1 else ''} now"
    warning = "" if covers else f"the hold covers nothing now: no message {_OF[scope]}"
    _, colon, number = name.rpartition(":")
    if warning and scope == "key" and colon and (others := await number_of(number)):
        warning += (
            f"; {others} ha{'s' if others == 1 else 've'} what stands behind the colon: "
            "end this hold, and add one on the number alone"
        )
    return (
        {"done": f"{subject} is under legal hold: {found}", "covers": covers, "warning": warning},
        "",
        1,
    )

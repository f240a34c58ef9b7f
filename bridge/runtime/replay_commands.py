"""What a person has taken in once more: whole, or for one API alone."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.errors import JournalUnavailable
from bridge.journal.resolutions import REPLAY, Replay, replay_targets, replayable
from bridge.located import did_you_mean
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said, wanted_reason

TRACE_ID_BYTES: Final = 16
KNOWN_BY_KEY: Final = "header"
"""The value of an API's ``repeat_safety`` with which it knows a repeat by its idempotency key."""
AT_ONCE: Final = 200
"""So many are written in one transaction; what arrives meanwhile waits no longer than that."""


async def replay(parts: Parts, ids: Sequence[int], actor: str, arguments: Said) -> Said:
    """Take messages in once more, in their order; with ``dry_run`` only what would be done.

    With ``api`` only what goes to that API is sent again; with ``new_key`` under keys of its own, so that an
    API applies again what it has applied. Raises Refused, and JournalUnavailable with those done that were
    written before.
    """
    only = str(arguments.get("api") or "")
    if only and only not in parts.outlets:
        hint = did_you_mean(only, parts.outlets) or "`bridge apis` lists them"
        raise Refused(f"there is no API {only!r}; {hint}", 2)
    given, ids = ids, await parts.journal.read(replayable, ids)
    targets = await parts.journal.read(replay_targets, ids)
    if only:
        targets = {api: counts for api, counts in targets.items() if api == only}
    safety = {api: parts.outlets[api].api.repeat_safety for api in targets if api in parts.outlets}
    unsafe = sorted(api for api, word in safety.items() if word == "none")
    new_key = bool(arguments.get("new_key"))
    plan: Said = {
        "messages": len(ids),
        "apis": {api: number for api, (number, _) in targets.items()},
        "taken": {api: taken for api, (_, taken) in targets.items() if taken},
        "knows_repeats": sorted(api for api, word in safety.items() if word == KNOWN_BY_KEY),
        "new_key": new_key,
        "unsafe": unsafe,
        "left_out": len(given) - len(ids),
    }
    if arguments.get("dry_run", True):
        return plan
    if unsafe and not arguments.get("force"):
        raise Refused(
            f"{', '.join(unsafe)} cannot tell a repeat from a new call (repeat_safety: none); "
            "what was applied would be applied twice. --force does it all the same"
        )
    reason, at_us = wanted_reason(arguments), parts.world.now_us()
    replayed: list[int] = []
    for first in range(0, len(ids), AT_ONCE):
        made = await parts.journal.submit_all(
            REPLAY,
            [
                Replay(number, actor, reason, at_us, parts.world.random_bytes(TRACE_ID_BYTES), only, new_key)
                for number in ids[first : first + AT_ONCE]
            ],
        )
        for each in made:
            if isinstance(each, JournalUnavailable):
                raise each
            if isinstance(each, tuple):
                channel, message = each
                replayed.append(message.message_id)
                if (translate := parts.translators.get(channel)) is not None:
                    translate.offer(message)
    return {**plan, "replayed": replayed, "left_out": len(given) - len(replayed)}

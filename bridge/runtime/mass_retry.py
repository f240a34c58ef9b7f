"""What a person lets go again by reason, API or channel: all that one cause has put into quarantine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from bridge.errors import JournalUnavailable
from bridge.journal.quarantine_tally import At, Which, next_of
from bridge.journal.resolutions import RESOLVE, Resolution, Resolved
from bridge.runtime.held_codes import remade, try_again
from bridge.runtime.parts import Parts
from bridge.runtime.refused import Refused, Said, wanted_reason
from bridge.runtime.trying import waits_still

AT_ONCE: Final = 200
"""So many of one command, and in one transaction; other commands, and what arrives, come in between."""


async def retry_next(parts: Parts, actor: str, arguments: Said) -> Said:
    """Let the next page of what is meant go again, each at its old place.

    How many went, which did not and why, what waits all the same, and the place where to go on; None at the
    end. Raises Refused, and JournalUnavailable.
    """
    names = ("channel", "api", "problem")
    which = Which(*(None if arguments.get(name) is None else str(arguments[name]) for name in names))
    if which == Which():
        raise Refused("say which: --problem, --api or --channel", 2)
    reason, remap = wanted_reason(arguments), bool(arguments.get("remap"))
    try:
        after, until_id = At(*map(int, arguments.get("after") or ())), int(arguments["until"])
    except (KeyError, TypeError, ValueError):
        raise Refused("say after which, and until which message", 2) from None
    page = await parts.journal.read(next_of, which, after, until_id, AT_ONCE)
    refused: list[tuple[str, str]] = []
    waits: list[str] = []
    sent = [each for each in page if each.delivery_id]
    if not remap:
        refused, waits = await _sent_again(parts, actor, reason, sent)
    for each in page:
        if not each.delivery_id:
            why = await try_again(parts, actor, each.message_id, reason)
        else:
            why = await remade(parts, actor, each.delivery_id, reason) if remap else ""
        if why:
            refused.append((f"d{each.delivery_id}" if each.delivery_id else f"m{each.message_id}", why))
    ended = len(page) < AT_ONCE
    return {
        "done": len(page) - len(refused),
        "refused": refused,
        "waits": waits,
        "after": None if ended else list(page[-1]),
    }


async def _sent_again(
    parts: Parts, actor: str, reason: str, page: Sequence[At]
) -> tuple[list[tuple[str, str]], list[str]]:
    """Send deliveries again in one transaction; which did not go and why, and what waits all the same."""
    at_us = parts.world.now_us()
    ends = await parts.journal.submit_all(
        RESOLVE, [Resolution(each.delivery_id, None, "retry", actor, reason, at_us) for each in page]
    )
    went = [end for end in ends if isinstance(end, Resolved) and end.done]
    for api in sorted({each.api for each in went}):
        keys = tuple(dict.fromkeys(key for each in went if each.api == api for key in each.keys))
        if (outlet := parts.outlets.get(api)) is not None:
            await outlet.relax(keys)
    for message_id in {each.message_id for each in went}:
        parts.flows.look(message_id)
    for end in ends:
        if isinstance(end, JournalUnavailable):
            raise end
    stuck = {(each.api, each.operation) for each in went}
    words = [waits_still(parts.outlets.get(api), operation, at_us) for api, operation in sorted(stuck)]
    refused = [
        (f"d{each.delivery_id}", end.why_not)
        for each, end in zip(page, ends, strict=True)
        if isinstance(end, Resolved) and not end.done
    ]
    return refused, [each for each in words if each]

"""What waits for a code (`unmapped: hold`) goes by itself, in order, once a reload or start brings it."""

from __future__ import annotations

from typing import Final

import structlog

from bridge.delivery.state import MessageState
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.journal.actions import NOTE, ActionRow
from bridge.journal.resolutions import RESOLVE, Resolution, body_of, place_of
from bridge.journal.search import story
from bridge.journal.unmapped import held_deliveries, held_for_codes
from bridge.runtime.parts import Parts

log = structlog.get_logger("bridge.reload")

ACTOR: Final = "bridge"
REASON: Final = "the mapping, or a table of it, is another"


async def try_again(parts: Parts, actor: str, message_id: int, reason: str) -> str:
    """Translate a message in quarantine once more, at its old place; of one that is not, make anew what waits
    for a code of the mapping that makes its body. '' where it went, else why not.

    Raises JournalUnavailable.
    """
    found = await parts.journal.read(story, message_id)
    if found is not None and found.message["state"] != MessageState.QUARANTINED:
        held = await parts.journal.read(held_deliveries, message_id)
        ends = [await remade(parts, actor, each, reason) for each in held]
        if held:
            return next(filter(None, ends), "")
    if found is None or found.message["state"] != MessageState.QUARANTINED:
        return f"it is {'not there' if found is None else found.message['state']}, not in quarantine"
    translate = parts.translators.get(found.message["channel"])
    body = await parts.journal.read(body_of, message_id)
    if translate is None or body is None:
        return "its channel is not in this configuration, or its body is gone"
    at_us = parts.world.now_us()
    await parts.journal.submit(NOTE, ActionRow(at_us, actor, "retry", f"message {message_id}", reason))
    try:
        state, why = await translate.again(message_id, body, actor=actor, at_us=at_us)
    except ItemRefused:
        return "somebody else has decided about it meanwhile"
    return "" if state is MessageState.MAPPED else f"it is in quarantine again: {why}"


async def remade(parts: Parts, actor: str, delivery_id: int, reason: str) -> str:
    """Try a delivery again, with a request that the mapping of today makes; '' where it went, else why not.

    Raises JournalUnavailable.
    """
    place = await parts.journal.read(place_of, delivery_id)
    if place is None:
        return "there is no such delivery"
    translate = parts.translators.get(place.channel)
    body = await parts.journal.read(body_of, place.message_id)
    if translate is None or body is None:
        return "its channel is not in this configuration, or its body is gone"
    made = await translate.remake(place.message_id, body, place.route, place.ordinal)
    if isinstance(made, str):
        return f"no request could be made: {made}"
    at_us = parts.world.now_us()
    item = Resolution(delivery_id, None, "retry", actor, reason, at_us, *made.anew)
    resolved = await parts.journal.submit(RESOLVE, item)
    if resolved.done:
        await parts.relax(resolved)
    return "" if resolved.done else resolved.why_not


async def let_go_held(parts: Parts) -> None:
    """Try again what waits for codes of mappings that have changed since it was tried, oldest first.

    A mapping changes with its tables and fragments. What still has no code waits on.
    """
    digests = {name: plan.digest for name, plan in parts.topology.plans.items()}
    tried = went = 0
    try:
        for message_id in await parts.journal.read(held_for_codes, digests):
            tried += 1
            went += not await try_again(parts, ACTOR, message_id, REASON)
    except JournalUnavailable:
        log.warning("held-codes-not-tried", tried=tried, reason="the journal cannot be used now")
    if tried:
        log.info("held-codes-tried", tried=tried, went=went, wait_on=tried - went)

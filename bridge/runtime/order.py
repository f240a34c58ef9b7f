"""Another ``order_by`` at a start: what was made under the one before is finished first.

Messages are taken and answered meanwhile, and wait for their translation in the journal. So nothing overtakes
what stands in a lane of the old keys, and nobody must be there when a node starts.
"""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from bridge.config.topology import Channel
from bridge.errors import JournalUnavailable
from bridge.journal.ledger import unfinished
from bridge.journal.orders import ORDER, Order, orders
from bridge.runtime.parts import Parts

log = structlog.get_logger("bridge.order")

LOOK_AGAIN_S = 1.0


async def hold_reordered(parts: Parts, channels: Iterable[Channel]) -> None:
    """Hold the translation of those that would now keep order for something else than what is open.

    To be called before they translate anything; each goes on by itself. Raises JournalUnavailable.
    """
    known = await parts.journal.read(orders)
    for channel in channels:
        name, before = channel.name, known.get(channel.name)
        if before == channel.order_words:
            continue
        if before is not None and (left := await parts.journal.read(unfinished, name)):
            await parts.translators[name].hold()
            parts.reordered[name] = left
            parts.working.spawn(f"old order {name}", _wait(parts, name))
            log.warning("order-changed", channel=name, open=left)
        else:
            await parts.journal.submit(ORDER, Order(name, channel.order_words))


async def _wait(parts: Parts, name: str) -> None:
    """Let a channel go on as soon as nothing is open that keeps the order of before."""
    translate = parts.translators[name]
    try:
        while await _still_open(parts, name):
            await parts.world.pause(LOOK_AGAIN_S)
    finally:
        del parts.reordered[name]
        translate.let_go()
    log.warning("order-taken", channel=name)


async def _still_open(parts: Parts, name: str) -> bool:
    """Whether there is something yet; where there is not, the new order is written down."""
    channel = parts.topology.channels.get(name)
    if channel is None:
        return False  # it was taken out, and translates no more
    try:
        if left := await parts.journal.read(unfinished, name):
            parts.reordered[name] = left
            return True
        await parts.journal.submit(ORDER, Order(name, channel.order_words))
    except JournalUnavailable as error:
        log.error("journal-unavailable", channel=name, reason=str(error))
        return True
    return False

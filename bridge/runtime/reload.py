"""Reload: another configuration for a running node, whole or not at all.

What can fail is done first and undone where something does: new APIs and new ports. Then all that is there
takes its new options in one turn of the reactor, between two messages. No connection is dropped but those of
a port that is given up. What is under way ends as it began: a request is sent as it was journaled, a call in
flight ends with the options it began with.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from functools import partial

import structlog

from bridge.config.difference import Difference, difference
from bridge.config.topology import Api, Topology
from bridge.destinations.base import Destination
from bridge.errors import BridgeError
from bridge.journal.files import KEEP, Kept, KeptFile
from bridge.journal.ledger import unfinished
from bridge.journal.orders import ORDER, Order
from bridge.runtime.order import hold_reordered
from bridge.runtime.parts import Parts
from bridge.runtime.recorder import Recorder
from bridge.runtime.release import requests_of
from bridge.runtime.traffic import Traffic
from bridge.runtime.translate import Translate

log = structlog.get_logger("bridge.reload")

Undo = Callable[[], Awaitable[None]]


class ReloadRefused(BridgeError):
    """This configuration cannot be taken by a running node as things stand; the text says what to do."""


async def _nothing() -> None:
    """There is nothing to note."""


async def exchange(
    parts: Parts, traffic: Traffic, after: Topology, note: Callable[[], Awaitable[None]] = _nothing
) -> Difference:
    """Let a node run by ``after``; what changed. ``note`` writes down that it does, before it does.

    Raises ReloadRefused, PeerUnavailable where a port cannot be listened on, and JournalUnavailable; then the
    node runs on as before.
    """
    found = difference(parts.topology, after)
    held: list[Translate] = []
    try:
        for name in found.reordered:
            held.append(parts.translators[name])
            if not await parts.translators[name].hold():
                raise ReloadRefused(f"{name} is translating and cannot end it now; reload again in a moment")
        files = tuple(KeptFile(file.digest, file.name, file.content) for file in after.mapping_files)
        await parts.journal.submit(KEEP, Kept(files, parts.world.now_us()))
        # From here on nothing is translated by the old order, so what is not open now will not be.
        await _nothing_open(parts, found)
        await _open_and_swap(parts, traffic, after, found, note)
    finally:
        for each in held:
            each.let_go()
    log.info(
        "reloaded",
        digest=after.digest[:12],
        channels=len(after.channels),
        apis=len(after.apis),
        changed=[*found.channels.changed, *found.apis.changed],
        added=[*found.channels.added, *found.apis.added],
        removed=[*found.channels.removed, *found.apis.removed],
    )
    return found


async def _nothing_open(parts: Parts, found: Difference) -> None:
    for name in found.reordered:
        if open_now := await parts.journal.read(unfinished, name):
            raise ReloadRefused(
                f"{name} would keep order for something else, and {open_now} of it are not finished, whose "
                f"order would be lost: `bridge pause {name} --intake`, let it drain, `bridge quarantine "
                f"skip` what a person must see to, reload again, and `bridge quarantine retry` that"
            )


async def _open_and_swap(
    parts: Parts, traffic: Traffic, after: Topology, found: Difference, note: Callable[[], Awaitable[None]]
) -> None:
    for name in found.reordered:
        await parts.journal.submit(ORDER, Order(name, after.channels[name].order_words))
    undo: list[Undo] = []
    ways_out: dict[str, Destination] = {}
    try:
        await _open(parts, traffic, after, found, undo)
        for name in found.apis.changed:
            ways_out[name] = _way_out(parts, after.apis[name])
            undo.append(ways_out[name].close)
        await note()
    except BaseException:
        for each in reversed(undo):
            await each()
        raise
    _swap(parts, after, found, ways_out)


async def _open(parts: Parts, traffic: Traffic, after: Topology, found: Difference, undo: list[Undo]) -> None:
    """Begin with what is new beside what is there."""
    if leaving := sorted(parts.leaving & {*found.apis.added, *found.channels.added}):
        raise ReloadRefused(f"{', '.join(leaving)} has not ended yet; reload again in a moment")
    for name in found.apis.added:
        outlet = parts.add_api(after.apis[name])
        undo.append(partial(parts.let_api_go, name))
        await traffic.restore()  # what a person has paused is so for a new way out too
        await outlet.start()
    parts.tell_on_poison(after)
    undo.append(partial(_tell_again, parts))
    for name in found.channels.added:
        parts.add_channel(after.channels[name])
        undo.append(partial(parts.let_channel_go, name))
        await traffic.restore()
        await parts.answers[name].restore()
        await hold_reordered(parts, [after.channels[name]])
        parts.begin(name)
        if traffic.takes(name):
            await parts.doors[name].open()
    for name in found.channels.changed:
        undo.append(parts.doors[name].forget_next)
        await parts.doors[name].prepare(after.channels[name])


def _way_out(parts: Parts, api: Api) -> Destination:
    """What calls a changed API, or only records what would be called, as before."""
    records = isinstance(parts.outlets[api.name].destination, Recorder)
    return Recorder(requests_of(api)) if records else parts.destination(api)


async def _tell_again(parts: Parts) -> None:
    parts.tell_on_poison(parts.topology)


def _swap(parts: Parts, after: Topology, found: Difference, ways_out: Mapping[str, Destination]) -> None:
    """Give all that is there its new options; in one turn, so that no message sees half of them."""
    parts.topology = after
    parts.journal.writer.configuration = after.digest
    for name in found.apis.changed:
        api = after.apis[name]
        parts.outlets[name].use(api, ways_out[name], parts.policies(api))
    parts.tasks.spawn("consents", parts.consents.look_now())
    for name in found.channels.removed:
        parts.tasks.spawn("let-go", parts.let_channel_go(name))
    for name in found.apis.removed:
        parts.tasks.spawn("let-go", parts.let_api_go(name))
    for name, channel in after.channels.items():
        # Its own file may be as it was, and an API of it another.
        parts.lead_back(channel)
        parts.answers[name].use(channel)
        parts.staging[name].use(channel, parts.standings_of(name))
        parts.feeds[name].use(channel)
        parts.compares[name].use(channel)
        parts.tasks.spawn("taps", parts.exchange_taps(name, parts.fit_taps(channel)))
        if parts.staging[name].staged:  # perhaps only now
            parts.feeds[name].start()
            parts.compares[name].start()
        parts.translators[name].use(channel, parts.ways_out(channel))
        parts.intakes[name].use(channel)
        if (tending := parts.tending.get(name)) is not None:
            tending.use(channel)
        if (old := parts.doors[name].use(channel)) is not None:
            parts.tasks.spawn("drain", old.drain())

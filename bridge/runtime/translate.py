"""Translate: read what was journaled, map it to records, and let release decide what leaves.

One loop for each channel, in the order of arrival. What a batch came to is one piece of writing, so that
reading, mapping and releasing cost no fsync of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

import orjson
import structlog
from twisted.internet.defer import Deferred

from bridge.config.topology import Channel
from bridge.delivery.lane import Entry
from bridge.delivery.state import DeliveryState, MessageState
from bridge.delivery.window import Window
from bridge.destinations.base import Origin
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.formats.base import Format
from bridge.formats.hl7v2 import Hl7Message
from bridge.journal.deliveries import Fresh
from bridge.journal.journal import Journal
from bridge.journal.messages import (
    CONTROL_ID_CONFLICT,
    TRANSLATE,
    NewDelivery,
    Translation,
    Untranslated,
    keys_of_message,
    to_translate,
    tolerated_of,
)
from bridge.message import Mapped
from bridge.observe.metrics import Metrics
from bridge.runtime.answers import Answers
from bridge.runtime.deliver import Outlet
from bridge.runtime.release import NoTarget, release
from bridge.runtime.surroundings import Surroundings

log = structlog.get_logger("bridge.translate")

BATCH_MAX_MESSAGES = 32
"""So long does translation keep the reactor at most; other sockets are served between batches."""
HELD_MAX_MESSAGES = 1000
HELD_MAX_BYTES = 64 * 1024**2
PAGE_MESSAGES = 256
JOURNAL_WAIT_S = 1.0
ISSUES_MAX = 100


class Translate:
    """The translation of one channel."""

    def __init__(
        self,
        channel: Channel,
        journal: Journal,
        outlets: Mapping[str, Outlet],
        answers: Answers,
        metrics: Metrics,
        world: Surroundings,
    ) -> None:
        self._journal, self._world, self._metrics = journal, world, metrics
        self._answers = answers
        self._window: Window[Untranslated] = Window()
        self._held: deque[Untranslated] = deque()
        self._held_bytes = 0
        self._wakeup: Deferred[None] | None = None
        self._paused = self._stopped = False
        self._ended: Deferred[None] | None = None
        self._name = channel.name.encode()
        self.use(channel, outlets)

    def use(self, channel: Channel, outlets: Mapping[str, Outlet]) -> None:
        """Translate from now on by what this channel says; what was made before stays as it is."""
        self._channel, self._outlets = channel, outlets
        self._format: Format = channel.reads()
        self._ways = {name: outlet.way for name, outlet in outlets.items()}

    def offer(self, message: Untranslated) -> bool:
        """A message was just journaled. Whether it has been read from there before it was offered, and may be
        translated by now."""
        known = message.message_id <= self._window.cursor
        room = len(self._held) < HELD_MAX_MESSAGES and self._held_bytes < HELD_MAX_BYTES
        if self._window.offer(message.message_id, message, room=room):
            self._hold(message)
        self._wake()
        return known

    def _hold(self, message: Untranslated) -> None:
        self._held.append(message)
        self._held_bytes += len(message.body)

    def _wake(self) -> None:
        if self._wakeup is not None:
            wakeup, self._wakeup = self._wakeup, None
            self._world.reactor.callLater(0, wakeup.callback, None)

    async def run(self) -> None:
        """Translate in order, until `stop`."""
        ended: Deferred[None] = Deferred()
        self._ended = ended
        while not self._stopped:
            if not self._paused and not self._held and self._window.begin_page():
                await self._read_page()
            elif self._paused or not self._held:
                self._wakeup = Deferred()
                await self._wakeup
            else:
                await self._translate_batch()
        ended.callback(None)

    async def stop(self) -> None:
        """Translate no further message, and wait for the batch under way. The rest waits in the journal."""
        self._stopped = True
        self._wake()
        if self._ended is not None:
            await self._ended

    def pause(self) -> None:
        """Translate no further message; the batch under way ends. What arrives is journaled all the same."""
        self._paused = True

    def resume(self) -> None:
        """Go on where the pause began."""
        self._paused = False
        self._wake()

    async def _read_page(self) -> None:
        try:
            page = await self._journal.read(
                to_translate, self._channel.name, self._window.cursor, PAGE_MESSAGES
            )
        except JournalUnavailable as error:
            log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
            self._window.page_failed()
            await self._world.pause(JOURNAL_WAIT_S)
            return
        pairs = [(message.message_id, message) for message in page]
        for message in self._window.end_page(pairs, full=len(page) == PAGE_MESSAGES):
            self._hold(message)

    async def _translate_batch(self) -> None:
        batch = [self._held.popleft() for _ in range(min(BATCH_MAX_MESSAGES, len(self._held)))]
        self._held_bytes -= sum(len(message.body) for message in batch)
        translations = [self.translate(message) for message in batch]
        ends = await self._journal.submit_all(TRANSLATE, translations)
        for message, translation, end in zip(batch, translations, ends, strict=True):
            if isinstance(end, Exception):
                await self._write_again(message, translation, end)
            else:
                self._hand_on(message, translation, end)

    async def _write_again(self, message: Untranslated, translation: Translation, failure: Exception) -> None:
        """See one translation to disk, however long the journal is away; order is kept meanwhile."""
        while True:
            if isinstance(failure, JournalUnavailable):
                log.error("journal-unavailable", channel=self._channel.name, reason=str(failure))
                await self._world.pause(JOURNAL_WAIT_S)
            else:
                log.error("translation-refused", message=message.message_id, reason=str(failure))
                if translation.state is MessageState.QUARANTINED:
                    return  # it stays open in the journal, and the channel goes on
                translation = translation._replace(
                    state=MessageState.QUARANTINED,
                    reason="journal-refused",
                    deliveries=(),
                    search=(),
                )
            try:
                ids = await self._journal.submit(TRANSLATE, translation)
            except (JournalUnavailable, ItemRefused) as error:
                failure = error
            else:
                self._hand_on(message, translation, ids)
                return

    def _hand_on(self, source: Untranslated, translation: Translation, ids: tuple[int, ...]) -> None:
        self._metrics.translated.count(self._channel.name, translation.state)
        if not translation.again:
            self._metrics.tolerate(self._channel.name, translation.tolerated)
        if translation.state is MessageState.QUARANTINED:
            self._report(translation.message_id, translation.reason)
            for outlet in self._outlets.values():
                outlet.bar(translation.keys, translation.message_id)
        # Of an API that was taken out meanwhile, deliveries wait in the journal until it is there again.
        for delivery_id, delivery in zip(ids, translation.deliveries, strict=True):
            way_out = self._outlets.get(delivery.api)
            if delivery.state == DeliveryState.READY and way_out is not None:
                way_out.offer(*self._entry(source, translation, delivery_id, delivery))
            elif delivery.state == DeliveryState.QUARANTINED:
                self._report(translation.message_id, delivery.reason, route=delivery.route)
                if not delivery.aside and way_out is not None:
                    way_out.bar(translation.keys, translation.message_id)
        self._answers.translated(translation, ids)

    def _entry(
        self, source: Untranslated, translation: Translation, delivery_id: int, delivery: NewDelivery
    ) -> tuple[Entry, Fresh | None]:
        channel, message_id, route = self._channel.name, translation.message_id, delivery.route
        entry = Entry(delivery_id, message_id, translation.keys, 0, channel, route, delivery.operation)
        if delivery.request is None or source.replay_of is not None or not source.trace_id:
            return entry, None
        return entry, Fresh(
            message_id,
            channel,
            route,
            delivery.request,
            source.trace_id,
            source.received_at_us,
            delivery.verdicts,
        )

    def _report(self, message_id: int, reason: str, **more: str) -> None:
        log.warning("quarantined", channel=self._channel.name, message=message_id, reason=reason, **more)
        self._metrics.quarantined.labels(self._channel.name, reason).inc()

    def translate(self, source: Untranslated) -> Translation:
        """What becomes of one message. Whatever it holds, it stops no other."""
        made = _Made()
        try:
            self._make(source, made)
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost this message only, not the feed
            log.error("translation-fault", message=source.message_id, fault=type(error).__name__)
            made.fail("internal-fault")
        state = MessageState.MAPPED
        stuck = [each.reason for each in made.deliveries if each.state == DeliveryState.QUARANTINED]
        if (made.failed or stuck) and self._answers.decide(source.message_id):
            state = MessageState.REFUSED
            made.fail(made.failed or stuck[0])
        elif made.failed:
            state = MessageState.QUARANTINED
        return Translation(
            source.message_id,
            self._channel.name,
            self._world.now_us(),
            made.keys,
            state,
            made.failed,
            _issues(made.mapped),
            () if made.failed else tuple(made.deliveries),
            search=tuple(made.search),
            replay_of=source.replay_of,
            tolerated=" ".join(dict.fromkeys((*source.tolerated.split(), *made.noticed))),
            charset=made.charset,
        )

    def _make(self, source: Untranslated, made: _Made) -> None:
        message = self._format.read(source.body)
        made.charset = f"{message.encoding} {message.decided_by}"
        made.noticed = tuple(problem.code for problem in message.problems)
        if message.refused is not None:
            made.fail(f"unreadable: {message.refused.code}")
            return
        complete = self._find_keys(source, message, made)
        if CONTROL_ID_CONFLICT in source.flags:
            made.fail(CONTROL_ID_CONFLICT)
        elif not complete:
            made.fail("no-key")
        else:
            self._map_and_release(source, message, made)

    def _map_and_release(self, source: Untranslated, message: Hl7Message, made: _Made) -> None:
        origin, now_us = Origin(self._channel.name, source.message_id), self._world.now_us()
        for route in self._channel.routes:
            plan = route.plan
            mapped = None if plan is None else made.mapped.get(plan.name)
            if plan is not None and mapped is None and message.message_type in plan.accept:
                mapped = made.mapped[plan.name] = plan.run(message)
                if mapped.failed:
                    made.fail("mapping-failed")
                    return
            try:
                made.deliveries += release(route, message, mapped, self._ways, source.body, origin, now_us)
            except NoTarget:
                made.fail("no-target")
                return
        if all(delivery.state == DeliveryState.FILTERED for delivery in made.deliveries):
            made.fail("no-route")

    def _find_keys(self, source: Untranslated, message: Hl7Message, made: _Made) -> bool:
        """What order is kept for and what it is found by, as hashes; False where a key is missing.

        What is missing one of several keys occupies those that it has.
        """
        channel, facts = self._channel, self._journal.facts
        for name, value_of in channel.search.items():
            if (value := value_of(message)) is not None:
                made.search.append((name, facts.search_hash(value)))
        if not channel.order_by and not channel.order_by_type:
            made.keys = (facts.hash(self._name),)  # the channel as a whole keeps order
            return True
        texts, complete = channel.keys_of(message)
        made.keys = tuple(facts.hash(self._name, b"key", text.encode()) for text in texts)
        made.search += [("key", facts.search_hash(text)) for text in texts]
        if complete:
            return True
        match channel.on_no_key:
            case "serial":
                made.keys = (*made.keys, facts.hash(self._name))
            case "unordered":
                made.keys = made.keys or (
                    facts.hash(self._name, b"message", str(source.message_id).encode()),
                )
            case _:
                return False
        return True

    # Again, because a person wants it.

    async def again(self, message_id: int, body: bytes, *, actor: str) -> tuple[MessageState, str]:
        """Translate a message in quarantine once more, and let its keys go on if that went well.

        Returns its new state, and why if it is in quarantine again. Raises JournalUnavailable.
        """
        known = await self._journal.read(tolerated_of, message_id)
        source = Untranslated(message_id, body, tolerated=known)
        translation = self.translate(source)._replace(again=True, actor=actor)
        before = await self._journal.read(keys_of_message, message_id)
        ids = await self._journal.submit(TRANSLATE, translation)
        self._hand_on(source, translation, ids)
        keys = tuple(dict.fromkeys((*before, *translation.keys)))
        for outlet in self._outlets.values():
            await outlet.relax(keys)
        return translation.state, translation.reason

    def remake(self, message_id: int, body: bytes, route: str, ordinal: int) -> NewDelivery | str:
        """One delivery made anew, number ``ordinal`` (from 0) of a message on a route; or why not."""
        made = _Made()
        try:
            self._make(Untranslated(message_id, body), made)
        except Exception as error:  # noqa: BLE001 - as in translate
            log.error("translation-fault", message=message_id, fault=type(error).__name__)
            made.fail("internal-fault")
        if made.failed:
            return made.failed
        of_route = [delivery for delivery in made.deliveries if delivery.route == route]
        if ordinal >= len(of_route):
            return "the mapping no longer makes this record of it"
        found = of_route[ordinal]
        return found if found.request is not None else found.reason or "nothing is to be sent"


@dataclass(eq=False, slots=True)
class _Made:
    """What one translation has come to so far. ``failed`` is why it needs a person, or empty."""

    keys: tuple[bytes, ...] = ()
    search: list[tuple[str, bytes]] = field(default_factory=list)
    mapped: dict[str, Mapped] = field(default_factory=dict)
    deliveries: list[NewDelivery] = field(default_factory=list)
    failed: str = ""
    noticed: tuple[str, ...] = ()
    charset: str = ""

    def fail(self, reason: str) -> None:
        self.failed = reason


def _issues(mapped: Mapping[str, Mapped]) -> str:
    """Issues as JSON: codes and places, never values."""
    rows = [
        {
            "mapping": name,
            "code": issue.code,
            "record": issue.record,
            "field": issue.field,
            "source": issue.source,
        }
        for name, made in mapped.items()
        for issue in made.issues
    ]
    return orjson.dumps(rows[:ISSUES_MAX]).decode() if rows else ""

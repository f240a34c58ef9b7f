"""Translate: read what was journaled, map it to records, and let release decide what leaves.

One loop for each channel, in the order of arrival. What a batch came to is one piece of writing, so that
reading, mapping and releasing cost no fsync of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from types import MappingProxyType

import orjson
import structlog
from twisted.internet.defer import Deferred

from bridge.config.topology import Channel
from bridge.delivery.state import DeliveryState, MessageState
from bridge.delivery.window import Window
from bridge.destinations.base import Destination
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_options import Hl7v2Options
from bridge.journal.journal import Journal
from bridge.journal.messages import TRANSLATE, NewDelivery, Translation, Untranslated, to_translate
from bridge.message import Mapped
from bridge.observe.metrics import Metrics
from bridge.runtime.deliver import Outlet
from bridge.runtime.release import release
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
        metrics: Metrics,
        world: Surroundings,
    ) -> None:
        self._channel, self._journal, self._world, self._metrics = channel, journal, world, metrics
        self._outlets = outlets
        self._destinations: Mapping[str, Destination] = {
            api: outlet.destination for api, outlet in outlets.items()
        }
        self._window: Window[Untranslated] = Window()
        self._held: deque[Untranslated] = deque()
        self._held_bytes = 0
        self._wakeup: Deferred[None] | None = None
        self._name = channel.name.encode()
        assert isinstance(channel.format.options, Hl7v2Options)
        self._charset = channel.format.options.as_charset()

    def offer(self, message: Untranslated) -> None:
        """A message was just journaled."""
        room = len(self._held) < HELD_MAX_MESSAGES and self._held_bytes < HELD_MAX_BYTES
        if self._window.offer(message.message_id, message, room=room):
            self._hold(message)
        self._wake()

    def _hold(self, message: Untranslated) -> None:
        self._held.append(message)
        self._held_bytes += len(message.body)

    def _wake(self) -> None:
        if self._wakeup is not None:
            wakeup, self._wakeup = self._wakeup, None
            self._world.reactor.callLater(0, wakeup.callback, None)

    async def run(self) -> None:
        """Translate for ever, in order."""
        while True:
            if not self._held and self._window.begin_page():
                await self._read_page()
            elif not self._held:
                self._wakeup = Deferred()
                await self._wakeup
            else:
                await self._translate_batch()

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
        translations = [(message, self.translate(message)) for message in batch]
        # All are handed in before the first is awaited, so that they share one transaction.
        submitted = [(each, self._journal.submit(TRANSLATE, each[1])) for each in translations]
        for (message, translation), writing in submitted:
            await self._write(message, translation, writing)

    async def _write(
        self, message: Untranslated, translation: Translation, writing: Deferred[tuple[int, ...]]
    ) -> None:
        """See one translation to disk, however long the journal is away; order is kept meanwhile."""
        while True:
            try:
                ids = await writing
            except ItemRefused as error:
                log.error("translation-refused", message=message.message_id, reason=str(error))
                if translation.state is MessageState.QUARANTINED:
                    return  # it stays open in the journal, and the channel goes on
                translation = self._quarantined(message, translation.key_hash, "journal-refused")
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)
            else:
                self._hand_on(translation, ids)
                return
            writing = self._journal.submit(TRANSLATE, translation)

    def _hand_on(self, translation: Translation, ids: tuple[int, ...]) -> None:
        self._metrics.translated.labels(self._channel.name, translation.state).inc()
        if translation.state is MessageState.QUARANTINED:
            self._report(translation.message_id, translation.reason)
            if translation.key_hash is not None:
                for outlet in self._outlets.values():
                    outlet.bar(translation.key_hash, translation.message_id)
        for delivery_id, delivery in zip(ids, translation.deliveries, strict=True):
            if delivery.state == DeliveryState.READY:
                self._outlets[delivery.api].offer(delivery_id, translation.message_id, delivery.key_hash)
            elif delivery.state == DeliveryState.QUARANTINED:
                self._report(translation.message_id, delivery.reason, route=delivery.route)
                self._outlets[delivery.api].bar(delivery.key_hash, translation.message_id)

    def _report(self, message_id: int, reason: str, **more: str) -> None:
        log.warning("quarantined", channel=self._channel.name, message=message_id, reason=reason, **more)
        self._metrics.quarantined.labels(self._channel.name, reason).inc()

    def translate(self, source: Untranslated) -> Translation:
        """What becomes of one message. Whatever it holds, it stops no other."""
        key_hash: bytes | None = None
        try:
            message = Hl7Message.read(source.body, self._charset)
            if message.refused is not None:
                return self._quarantined(source, None, f"unreadable: {message.refused.code}")
            key_hash = self._key_hash(source, message)
            if key_hash is None:
                return self._quarantined(source, None, "no-key")
            return self._map_and_release(source, message, key_hash)
        except Exception as error:  # noqa: BLE001 - a fault of ours must cost this message only, not the feed
            log.error("translation-fault", message=source.message_id, fault=type(error).__name__)
            return self._quarantined(source, key_hash, "internal-fault")

    def _map_and_release(self, source: Untranslated, message: Hl7Message, key_hash: bytes) -> Translation:
        mapped: dict[str, Mapped] = {}
        deliveries: list[NewDelivery] = []
        for route in self._channel.routes:
            made = mapped.get(route.plan.name)
            if made is None and message.message_type in route.plan.accept:
                made = mapped[route.plan.name] = route.plan.run(message)
                if made.failed:
                    return self._quarantined(source, key_hash, "mapping-failed", mapped)
            deliveries += release(route, message, made, key_hash, self._destinations)
        if all(delivery.state == DeliveryState.FILTERED for delivery in deliveries):
            return self._quarantined(source, key_hash, "no-route", mapped)
        return self._translation(
            source, key_hash, MessageState.MAPPED, "", mapped, deliveries=tuple(deliveries)
        )

    def _key_hash(self, source: Untranslated, message: Hl7Message) -> bytes | None:
        """What order is kept for, as a hash; None where the message has no key and needs a person."""
        channel = self._channel
        if channel.order_by is None and not channel.order_by_type:
            return self._journal.facts.hash(self._name)  # the channel as a whole keeps order
        text = channel.key_of(message)
        if text is not None:
            return self._journal.facts.hash(self._name, b"key", text.encode())
        match channel.on_no_key:
            case "serial":
                return self._journal.facts.hash(self._name)
            case "unordered":
                return self._journal.facts.hash(self._name, b"message", str(source.message_id).encode())
        return None

    def _quarantined(
        self,
        source: Untranslated,
        key_hash: bytes | None,
        reason: str,
        mapped: Mapping[str, Mapped] = MappingProxyType({}),
    ) -> Translation:
        return self._translation(source, key_hash, MessageState.QUARANTINED, reason, mapped)

    def _translation(
        self,
        source: Untranslated,
        key_hash: bytes | None,
        state: MessageState,
        reason: str,
        mapped: Mapping[str, Mapped],
        *,
        deliveries: tuple[NewDelivery, ...] = (),
    ) -> Translation:
        return Translation(
            source.message_id,
            self._channel.name,
            self._world.now_us(),
            key_hash,
            state,
            reason,
            _issues(mapped),
            deliveries,
        )


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

"""Translate: read what was journaled, map it to records, and let release decide what leaves.

One loop for each channel, in the order of arrival. What a batch came to is one piece of writing, so that
reading, mapping and releasing cost no fsync of their own.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import structlog
from twisted.internet.defer import Deferred, succeed

from bridge.config.topology import Channel
from bridge.delivery.lane import Entry
from bridge.delivery.state import DeliveryState, MessageState
from bridge.delivery.window import Window
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.journal.deliveries import Fresh
from bridge.journal.flags import FILE_RESTORED
from bridge.journal.journal import Journal
from bridge.journal.messages import (
    TRANSLATE,
    NewDelivery,
    Translation,
    Untranslated,
    keys_of_message,
    to_translate,
    untranslated_of,
)
from bridge.journal.restored import RESTORED
from bridge.message import Microseconds
from bridge.observe.metrics import Metrics
from bridge.runtime.answers import Answers
from bridge.runtime.deliver import Outlet
from bridge.runtime.making import Made, Maker
from bridge.runtime.precedence import Precedence
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.workers import BATCHES_AHEAD, Workers

log = structlog.get_logger("bridge.translate")

BATCH_MAX_MESSAGES = 32
"""Messages that are made together."""
SMALL_BATCH_MESSAGES = 4
"""The same for a channel that gives way, while others are live."""
SLICE_MESSAGES = 8
"""So many are made here at most before other sockets are served, and the writer has its next batch."""
MADE_AHEAD = 2
"""Batches that are made here while others are written."""
WRITTEN_MAX_MESSAGES = 128
"""Messages whose translations are written together."""
HELD_MAX_MESSAGES = 1000
HELD_MAX_BYTES = 64 * 1024**2
PAGE_MESSAGES = 256
JOURNAL_WAIT_S = 1.0
RELAYED_WITHIN_S = 0.02
"""How long it may take to write that messages are relayed and nothing else, which nobody waits for."""
HOLD_MAX_S, HOLD_LOOK_S = 5.0, 0.01
"""How long the end of a batch is waited for; it is longer under way only where the journal is."""


class _Making(NamedTuple):
    """Messages, and what they are made into; None where workers were asked and none did it."""

    batch: list[Untranslated]
    made: Deferred[list[Made] | None]
    by_workers: bool


class Translate:
    """The translation of one channel."""

    def __init__(  # noqa: PLR0913 - each is another part of the node
        self,
        channel: Channel,
        journal: Journal,
        outlets: Mapping[str, Outlet],
        answers: Answers,
        metrics: Metrics,
        world: Surroundings,
        workers: Workers | None = None,
        *,
        staging: Staging,
        precedence: Precedence,
    ) -> None:
        self._staging, self.precedence = staging, precedence
        self._journal, self._world, self._metrics, self._workers = journal, world, metrics, workers
        metrics.quarantined.begin(channel.name)
        self._making: deque[_Making] = deque()
        self._ahead = MADE_AHEAD if workers is None else BATCHES_AHEAD * workers.number
        self._answers = answers
        self._window: Window[Untranslated] = Window()
        self._held: deque[Untranslated] = deque()
        self._held_bytes = 0
        self._wakeup: Deferred[None] | None = None
        self._paused = self._stopped = self._busy = False
        self._holds = 0
        self._ended: Deferred[None] | None = None
        self._name = channel.name.encode()
        self.use(channel, outlets)

    def use(self, channel: Channel, outlets: Mapping[str, Outlet]) -> None:
        """Translate from now on by what this channel says; what was made before stays as it is."""
        self._channel, self._outlets = channel, outlets
        self._bulk = channel.priority == "bulk"
        ways = {name: outlet.way for name, outlet in outlets.items()}
        self._maker = Maker(channel, ways, self._journal.facts.hashes, self._world.now_us)

    def offer(self, message: Untranslated) -> bool:
        """A message was just journaled. Whether it has been read from there before it was offered, and may be
        translated by now."""
        self.begin_live()
        known = message.message_id <= self._window.cursor
        room = len(self._held) < HELD_MAX_MESSAGES and self._held_bytes < HELD_MAX_BYTES
        if self._window.offer(message.message_id, message, room=room):
            self._hold(message)
        self._wake()
        return known

    def begin_live(self) -> None:
        """A message has come, or is about to be translated: what is bulk gives way, if this is not."""
        if not self._bulk:
            self.precedence.live()

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
            idle = self._stands or not self._held
            if self._making and (idle or len(self._making) >= self._ahead):
                self._busy = True
                await self._translate_next()
                self._busy = False
            elif not self._stands and idle and self._window.begin_page():
                await self._read_page()
            elif idle:
                self._wakeup = Deferred()
                await self._wakeup
            elif self._may_begin:
                self._busy = True
                await self._begin_batch()
                self._busy = False
            else:
                await self.precedence.give_way()
        while self._making:
            await self._translate_next()
        ended.callback(None)

    @property
    def _stands(self) -> bool:
        return self._paused or self._holds > 0

    @property
    def _may_begin(self) -> bool:
        """Whether this channel need not give way now."""
        return not self._bulk or not self.precedence.wait_s()

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

    async def hold(self) -> bool:
        """Begin nothing more until `let_go`, whatever a person resumes; whether what was under way has ended
        within `HOLD_MAX_S`."""
        self._holds += 1
        give_up_s = self._world.reactor.seconds() + HOLD_MAX_S
        while self._under_way and self._world.reactor.seconds() < give_up_s:
            await self._world.pause(HOLD_LOOK_S)
        return not self._under_way

    @property
    def _under_way(self) -> bool:
        return self._busy or bool(self._making)

    def let_go(self) -> None:
        """Go on where `hold` began, unless a person has paused it."""
        self._holds -= 1
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

    async def _begin_batch(self) -> None:
        """Make the next messages, or have workers make them."""
        small = self._bulk and self.precedence.is_live
        most = SMALL_BATCH_MESSAGES if small else BATCH_MAX_MESSAGES
        batch = [self._held.popleft() for _ in range(min(most, len(self._held)))]
        self._held_bytes -= sum(len(message.body) for message in batch)
        workers = None if self._staging.only_relays else self._workers
        if workers is None:
            making = _Making(batch, succeed(await self._make_here(batch)), by_workers=False)
        else:
            making = _Making(batch, workers.make(self._channel.name, batch), by_workers=True)
        self._making.append(making)

    async def _make_here(self, batch: Sequence[Untranslated]) -> list[Made]:
        self._metrics.made.count(self._channel.name, "node")
        made: list[Made] = []
        for start in range(0, len(batch), SLICE_MESSAGES):
            if start:
                await self._world.pause(0)
            began_s = self._world.reactor.seconds()
            few = batch[start : start + SLICE_MESSAGES]
            made += self._maker.make_all(few, only_read=self._staging.only_relays)
            if self._bulk:
                self.precedence.worked(self._world.reactor.seconds() - began_s)
        return made

    async def _made(self) -> list[tuple[Untranslated, Made]]:
        """What the oldest batch has come to, and those after it that have come to something already."""
        found: list[tuple[Untranslated, Made]] = []
        while self._making and len(found) < WRITTEN_MAX_MESSAGES:
            if found and not self._making[0].made.called:
                break
            making = self._making.popleft()
            made = await making.made
            if made is None:
                made = await self._make_here(making.batch)
            elif making.by_workers:
                self._metrics.made.count(self._channel.name, "worker")
            found += zip(making.batch, made, strict=True)
        return found

    async def _translate_next(self) -> None:
        """Write what the oldest batches have come to, and hand it on; meanwhile the next are made."""
        made = await self._made()
        self.begin_live()
        translations = [self._conclude(message, each) for message, each in made]
        began_s = self._world.reactor.seconds()
        relayed = all(each.state is MessageState.RELAYED for each in translations)
        unhurried = relayed and not self._answers.waits
        within_s = RELAYED_WITHIN_S if unhurried else 0.0
        writing = self._journal.submit_all(TRANSLATE, translations, within_s=within_s)
        while not writing.called and self._held and len(self._making) < self._ahead:
            if self._stopped or self._stands or not self._may_begin:
                break
            await self._begin_batch()
        ends = await writing
        if not self._bulk and not unhurried:
            self.precedence.committed(self._world.reactor.seconds() - began_s)
        for (message, _), translation, end in zip(made, translations, ends, strict=True):
            if isinstance(end, Exception):
                await self._write_again(message, translation, end)
            else:
                self._hand_on(message, translation, end)

    async def _write_again(self, message: Untranslated, translation: Translation, failure: Exception) -> None:
        """See one translation to disk, however long the journal is away; order is kept meanwhile. It is tried
        again at once: those before it have waited for the journal."""
        while True:
            if isinstance(failure, ItemRefused):
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
            except JournalUnavailable as error:
                failure = error
                if not isinstance(error, ItemRefused):
                    log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
                    await self._world.pause(JOURNAL_WAIT_S)
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
                self._report(translation.message_id, delivery.reason.partition(":")[0], route=delivery.route)
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
            delivery.contract_digest,
            delivery.asks,
        )

    def _report(self, message_id: int, reason: str, **more: str) -> None:
        log.warning("quarantined", channel=self._channel.name, message=message_id, reason=reason, **more)
        self._metrics.quarantine(self._channel.name, reason)

    def translate(self, source: Untranslated, *, again: bool = False) -> Translation:
        """What becomes of one message. Whatever it holds, it stops no other.

        A person lets a message be translated ``again``.
        """
        return self._conclude(source, self._maker.make(source), again=again)

    def _conclude(self, source: Untranslated, made: Made, *, again: bool = False) -> Translation:
        """What a message that was made is translated to, by what its sender waits for.

        One that was there when an older copy of the journal was put back may have been sent already, and so
        may one whose file was there: it needs a person.
        """
        doubtful = source.message_id <= self._journal.facts.doubtful_up_to or FILE_RESTORED in source.flags
        if doubtful and not again:
            made.fail(RESTORED)
        relayed = self._staging.conclude(source, made)
        state = MessageState.MAPPED
        stuck = [each.reason for each in made.deliveries if each.state == DeliveryState.QUARANTINED]
        if relayed is not None and not again:
            state, made.failed, made.deliveries = MessageState.RELAYED, relayed, []
        elif (made.failed or stuck) and self._answers.decide(source.message_id):
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
            made.issues,
            () if made.failed else tuple(made.deliveries),
            search=tuple(made.search),
            replay_of=source.replay_of,
            tolerated=" ".join(dict.fromkeys((*source.tolerated.split(), *made.noticed))),
            charset=made.charset,
        )

    # Again, because a person wants it.

    async def again(
        self, message_id: int, body: bytes, *, actor: str, at_us: Microseconds
    ) -> tuple[MessageState, str]:
        """Translate a message in quarantine once more, and let its keys go on if that went well.

        Returns its new state, and why if it is in quarantine again. Raises JournalUnavailable.
        """
        source = await self._journal.read(untranslated_of, message_id, body)
        translation = self.translate(source, again=True)._replace(again=True, actor=actor, at_us=at_us)
        before = await self._journal.read(keys_of_message, message_id)
        ids = await self._journal.submit(TRANSLATE, translation)
        self._hand_on(source, translation, ids)
        keys = tuple(dict.fromkeys((*before, *translation.keys)))
        for outlet in self._outlets.values():
            await outlet.relax(keys)
        return translation.state, translation.reason

    async def remake(self, message_id: int, body: bytes, route: str, ordinal: int) -> NewDelivery | str:
        """One delivery made anew, number ``ordinal`` (from 0) of a message on a route; or why not.

        Raises JournalUnavailable.
        """
        made = self._maker.make(await self._journal.read(untranslated_of, message_id, body))
        if made.failed:
            return made.failed
        of_route = [delivery for delivery in made.deliveries if delivery.route == route]
        if ordinal >= len(of_route):
            return "the mapping no longer makes this record of it"
        found = of_route[ordinal]
        return found if found.request is not None else found.reason or "nothing is to be sent"

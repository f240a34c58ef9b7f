"""Answers that wait for what becomes of their message: ``acknowledge: translated`` and ``delivered``.

A sender waits no longer than ``answer.within``. What it is told then is not the last word: the message goes
on, and who sends it again hears what became of it. A message that fails while its sender waits is refused:
AE, and it is the sender's again. The journal has each answer before the sender does.

In enhanced mode the sender has its commit acknowledgement already, and the same is said as an application
acknowledgement: on its connection while that is open, or to a listener of its own. A message goes back to its
sender only where the sender will hear of it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from bridge.config.topology import Channel
from bridge.delivery.state import DeliveryState, MessageState
from bridge.errors import ItemRefused, JournalUnavailable
from bridge.formats.hl7v2_ack import AckCode, AckError, MshPeek, acknowledge, peek
from bridge.formats.hl7v2_ack_modes import ORIGINAL, Asked, Fate, told
from bridge.journal.answering import GIVE, HOW_FAR, Given, SetFree
from bridge.journal.journal import Journal
from bridge.journal.messages import Translation
from bridge.journal.owed_answers import OWE_AGAIN, Again, Owed
from bridge.journal.owed_answers import waiting as waiting_answers
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.transports.base import Answer

log = structlog.get_logger("bridge.answers")

JOURNAL_WAIT_S = 1.0
FOLLOWED_MAX = 20_000
"""Messages of one channel that are followed for their senders; what is more is answered as late at once."""
FOLLOWED_HEADER_MAX_BYTES = 4096
"""What is kept of a followed message is its header; a larger one is answered as late at once too."""
PAGE_MESSAGES = 256
CONFIRMED, UNCONFIRMED = (b"AL", b"NE"), (b"NE", b"NE")
"""MSH-15 and MSH-16 of our application acknowledgements: a listener of the sender's confirms each."""

LATE = AckError("207", "The message is stored; what becomes of it is not known yet.")

Relax = Callable[[tuple[str, ...], tuple[bytes, ...]], Awaitable[None]]
"""Let keys go on at these APIs."""


def failed(reason: str) -> AckError:
    """What a sender is told of a message that was refused; ``reason`` is a code of ours."""
    return AckError("207", f"The message could not be processed: {reason}.")


@dataclass(eq=False, slots=True)
class _Waiting:
    """One message whose sender waits. ``open`` is None until it has been translated."""

    message_id: int
    header: MshPeek
    asks: Asked = ORIGINAL
    open: set[int] | None = None
    failed: str | None = None
    deciding: bool = False
    timer: IDelayedCall | None = None
    senders: list[Deferred[Answer]] = field(default_factory=list)


class Answers:
    """The answers of one channel that wait."""

    def __init__(
        self,
        channel: Channel,
        journal: Journal,
        metrics: Metrics,
        world: Surroundings,
        relax: Relax,
        owed: Callable[[], None] = lambda: None,
    ) -> None:
        """``owed`` is called when the journal has something for the sender's listener."""
        self._journal, self._metrics, self._world = journal, metrics, world
        self._relax, self._owed = relax, owed
        self._waiting: dict[int, _Waiting] = {}
        self._stopping = False
        self._tasks = Tasks()
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Answer from now on as this channel says; who waits already is told as long as was said."""
        self._channel, self._to_listener = channel, channel.application_ack is not None

    @property
    def waits(self) -> bool:
        """Whether senders of this channel are told more than that their message is on disk."""
        return self._channel.acknowledge in ("translated", "delivered")

    def expect(self, message_id: int, header: MshPeek) -> Deferred[Answer]:
        """The answer to a message that was just journaled, once it is known or too late."""
        waiting = self._begin(message_id, header)
        return self._join(waiting)

    def repeated(self, message_id: int, header: MshPeek) -> Deferred[Answer]:
        """The answer to a repeat of a message whose own has not been given for good."""
        return self._join(self._resume(message_id, header, ORIGINAL))

    def follow(self, message_id: int, header: MshPeek, asks: Asked) -> Deferred[Answer] | None:
        """The application acknowledgement of a message that was just journaled; None where none goes back on
        its connection."""
        waiting = self._begin(message_id, header, asks)
        later = None if self._to_listener else self._join(waiting)
        self._limit(waiting)
        return later

    def _limit(self, waiting: _Waiting) -> None:
        """Say at once that it is too early to tell, where following this one too takes too much memory."""
        size_bytes = sum(len(field) for field in waiting.header if isinstance(field, bytes))
        much = len(self._waiting) > FOLLOWED_MAX or size_bytes > FOLLOWED_HEADER_MAX_BYTES
        if much and not waiting.deciding:
            self._too_early(waiting)

    def again(self, first_id: int, header: MshPeek, asks: Asked) -> Deferred[Answer] | None:
        """The application acknowledgement of the message that this one repeats, as `follow` gives it."""
        if told(asks, Fate.DONE).later is None and told(asks, Fate.FAILED).later is None:
            return None
        later: Deferred[Answer] | None = None
        if not self._to_listener:
            later = Deferred(partial(self._leave, first_id))
        self._tasks.spawn("owe-again", self._again(first_id, header, asks, later))
        return later

    async def _again(
        self, first_id: int, header: MshPeek, asks: Asked, later: Deferred[Answer] | None
    ) -> None:
        item = Again(first_id, self._to_listener, self._world.now_us())
        try:
            owed = await self._journal.submit(OWE_AGAIN, item)
        except JournalUnavailable as error:
            log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
            owed = None  # the sender may ask again
        if owed is not None and not owed.final:
            waiting = self._resume(first_id, header, asks)
            if later is not None and not later.called:
                waiting.senders.append(later)
            self._limit(waiting)
            return
        if later is None:
            self._owed()
        elif not later.called:
            later.callback(Answer(None if owed is None else owed.answer, first_id, application=True))

    async def restore(self) -> None:
        """Follow again what a sender's listener is owed word of; before anything moves.

        Raises JournalUnavailable.
        """
        if not self._to_listener:
            return
        after_id = 0
        while page := await self._journal.read(waiting_answers, self._channel.name, after_id, PAGE_MESSAGES):
            for message_id, application, body in page:
                waiting = self._resume(message_id, peek(body), Asked(True, "NE", application))
                self._limit(waiting)
            after_id = page[-1][0]

    def _resume(self, message_id: int, header: MshPeek, asks: Asked) -> _Waiting:
        if (waiting := self._waiting.get(message_id)) is None:
            waiting = self._begin(message_id, header, asks)
            self._tasks.spawn("how-far", self._catch_up(waiting))
        return waiting

    def _begin(self, message_id: int, header: MshPeek, asks: Asked = ORIGINAL) -> _Waiting:
        waiting = self._waiting[message_id] = _Waiting(message_id, header, asks)
        # What is still journaled while the node stops is not waited for.
        wait_s = 0.0 if self._stopping else self._channel.answer_within_s
        waiting.timer = self._world.reactor.callLater(wait_s, self._late, waiting)
        return waiting

    def _join(self, waiting: _Waiting) -> Deferred[Answer]:
        sender: Deferred[Answer] = Deferred(partial(self._leave, waiting.message_id))
        waiting.senders.append(sender)
        return sender

    def _leave(self, message_id: int, sender: Deferred[Answer]) -> None:
        """A sender's connection is gone: nobody hears this answer any more."""
        waiting = self._waiting.get(message_id)
        if waiting is not None and sender in waiting.senders:
            waiting.senders.remove(sender)

    def _heard(self, waiting: _Waiting) -> bool:
        """Whether the sender is told when this message fails, so that it can go back to it."""
        if not waiting.asks.enhanced:
            return True
        return told(waiting.asks, Fate.FAILED).later is not None and (
            self._to_listener or bool(waiting.senders)
        )

    def catch_up(self, message_id: int) -> None:
        """A message that is followed may have been translated before it was."""
        if (waiting := self._waiting.get(message_id)) is not None:
            self._tasks.spawn("how-far", self._catch_up(waiting))

    async def _catch_up(self, waiting: _Waiting) -> None:
        """Learn what has become so far of a message that nobody here has followed."""
        try:
            outcome = await self._journal.submit(HOW_FAR, waiting.message_id)
        except JournalUnavailable as error:
            log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
            return  # it is told in time that it is too early to tell
        if outcome.state is MessageState.RECEIVED or self._waiting.get(waiting.message_id) is not waiting:
            return
        if waiting.open is not None:
            return  # its translation has been heard of meanwhile, and is followed
        waiting.open, waiting.failed = set(outcome.open), outcome.failed
        if self._channel.acknowledge == "translated" and outcome.state is MessageState.MAPPED:
            waiting.open, waiting.failed = set(), None
        # Nobody waited when it failed, so it is in quarantine here and not the sender's.
        self._look(waiting, refuse=False)

    def decide(self, message_id: int) -> bool:
        """A message cannot be translated whole: whether it goes back to its sender, who is still there."""
        waiting = self._waiting.get(message_id)
        if waiting is None or not self._heard(waiting):
            return False
        waiting.deciding = True
        return True

    def translated(self, translation: Translation, ids: tuple[int, ...]) -> None:
        """A translation is on disk."""
        waiting = self._waiting.get(translation.message_id)
        if waiting is None:
            return
        pairs = list(zip(ids, translation.deliveries, strict=True))
        waiting.open = {number for number, made in pairs if made.state == DeliveryState.READY}
        if translation.state is not MessageState.MAPPED:
            waiting.failed = translation.reason
        if self._channel.acknowledge == "translated":
            waiting.open = set()
        self._look(waiting)

    def settled(self, message_id: int, delivery_id: int, state: DeliveryState, reason: str) -> None:
        """A delivery rests, or needs a person."""
        waiting = self._waiting.get(message_id)
        if waiting is None or waiting.open is None:
            return
        waiting.open.discard(delivery_id)
        if state is DeliveryState.QUARANTINED:
            waiting.failed = waiting.failed or reason
        self._look(waiting)

    def _look(self, waiting: _Waiting, *, refuse: bool = True) -> None:
        if waiting.open:
            return
        fate = Fate.DONE if waiting.failed is None else Fate.FAILED
        error = None if waiting.failed is None else failed(waiting.failed)
        refused = refuse and error is not None and self._heard(waiting)
        self._end(waiting)
        self._tasks.spawn("answer", self._give(waiting, fate, error, last_word=True, refused=refused))

    def _late(self, waiting: _Waiting) -> None:
        waiting.timer = None
        if waiting.deciding:
            return  # the answer comes with the commit that is under way
        self._too_early(waiting)

    def _too_early(self, waiting: _Waiting) -> None:
        if self._stopping and waiting.asks.enhanced and self._to_listener:
            self._end(waiting)  # the next process follows it
            return
        log.warning("answered-late", channel=self._channel.name, message=waiting.message_id)
        self._end(waiting)
        # Of one whose refusal is being written the journal will say that it is its sender's again.
        promised = self._channel.answer_late == AckCode.AA and not waiting.deciding
        fate = Fate.DONE if promised else Fate.FAILED
        self._tasks.spawn("answer", self._give(waiting, fate, LATE, last_word=False, refused=False))

    def _end(self, waiting: _Waiting) -> None:
        if waiting.timer is not None:
            waiting.timer.cancel()
            waiting.timer = None
        del self._waiting[waiting.message_id]

    async def _give(
        self, waiting: _Waiting, fate: Fate, error: AckError | None, *, last_word: bool, refused: bool
    ) -> None:
        world, asks = self._world, waiting.asks
        says = told(asks, fate)
        code = says.later if asks.enhanced else says.first
        control_id = world.control_id()
        data = None
        if code is not None:
            data = acknowledge(
                waiting.header,
                code,
                control_id=control_id,
                at_us=world.now_us(),
                error=None if code is AckCode.AA else error,
                asks=(CONFIRMED if self._to_listener else UNCONFIRMED) if asks.enhanced else None,
            )
        owed = None
        if asks.enhanced:
            owed = Owed(asks.application, self._to_listener, code or "", control_id, data, last_word)
        given = Given(
            waiting.message_id, code or "", data if last_word else None, world.now_us(), refused, owed
        )
        free = await self._written(given)
        if code is not None:
            self._metrics.answers.count(self._channel.name, code)
        for sender in waiting.senders:
            if not sender.called:
                sender.callback(Answer(data, waiting.message_id, application=asks.enhanced))
        if self._to_listener:
            self._owed()
        if free.keys:
            await self._relax(free.apis, free.keys)

    async def _written(self, given: Given) -> SetFree:
        while True:
            try:
                return await self._journal.submit(GIVE, given)
            except ItemRefused as error:
                log.error("answer-refused", message=given.message_id, reason=str(error))
                return SetFree((), ())  # to ask again would not help; the sender hears what was found
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)

    async def stop(self) -> None:
        """Tell everyone who still waits that it is too early to tell, and end.

        What a listener is owed is followed again by the next start.
        """
        self._stopping = True
        while self._waiting:
            for waiting in list(self._waiting.values()):
                self._too_early(waiting)
            await self._tasks.settle()
        await self._tasks.settle()

"""Answers that wait for what becomes of their message: ``acknowledge: translated`` and ``delivered``.

A sender waits no longer than ``answer.within``. What it is told then is not the last word: the message goes
on, and who sends it again hears what became of it. A message that fails while its sender waits is refused:
AE, and it is the sender's again. The journal has each answer before the sender does.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from bridge.config.topology import Channel
from bridge.delivery.state import DeliveryState, MessageState
from bridge.errors import JournalUnavailable
from bridge.formats.hl7v2_ack import AckCode, AckError, MshPeek, acknowledge
from bridge.journal.answering import GIVE, HOW_FAR, Given, SetFree
from bridge.journal.journal import Journal
from bridge.journal.messages import Translation
from bridge.observe.metrics import Metrics
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.transports.base import Answer

log = structlog.get_logger("bridge.answers")

JOURNAL_WAIT_S = 1.0
CONTROL_ID_BYTES = 8

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
    open: set[int] | None = None
    failed: str | None = None
    deciding: bool = False
    timer: IDelayedCall | None = None
    senders: list[Deferred[Answer]] = field(default_factory=list)


class Answers:
    """The answers of one channel that wait."""

    def __init__(
        self, channel: Channel, journal: Journal, metrics: Metrics, world: Surroundings, relax: Relax
    ) -> None:
        self._channel, self._journal, self._metrics, self._world = channel, journal, metrics, world
        self._relax = relax
        self._waiting: dict[int, _Waiting] = {}
        self._tasks = Tasks()

    def use(self, channel: Channel) -> None:
        """Answer from now on as this channel says; who waits already is told as long as was said."""
        self._channel = channel

    @property
    def waits(self) -> bool:
        """Whether senders of this channel are told more than that their message is on disk."""
        return self._channel.acknowledge != "journaled"

    def expect(self, message_id: int, header: MshPeek) -> Deferred[Answer]:
        """The answer to a message that was just journaled, once it is known or too late."""
        waiting = self._begin(message_id, header)
        return self._join(waiting)

    def repeated(self, message_id: int, header: MshPeek) -> Deferred[Answer]:
        """The answer to a repeat of a message whose own has not been given for good."""
        if (waiting := self._waiting.get(message_id)) is not None:
            return self._join(waiting)
        waiting = self._begin(message_id, header)
        self._tasks.spawn("how-far", self._catch_up(waiting))
        return self._join(waiting)

    def _begin(self, message_id: int, header: MshPeek) -> _Waiting:
        waiting = self._waiting[message_id] = _Waiting(message_id, header)
        waiting.timer = self._world.reactor.callLater(self._channel.answer_within_s, self._late, waiting)
        return waiting

    def _join(self, waiting: _Waiting) -> Deferred[Answer]:
        sender: Deferred[Answer] = Deferred()
        waiting.senders.append(sender)
        return sender

    async def _catch_up(self, waiting: _Waiting) -> None:
        """Learn what has become so far of a message that nobody here has followed."""
        try:
            outcome = await self._journal.submit(HOW_FAR, waiting.message_id)
        except JournalUnavailable as error:
            log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
            return  # it is told in time that it is too early to tell
        if outcome.state is MessageState.RECEIVED:
            return
        waiting.open, waiting.failed = set(outcome.open), outcome.failed
        # Nobody waited when it failed, so it is in quarantine here and not the sender's.
        self._look(waiting, refuse=False)

    def decide(self, message_id: int) -> bool:
        """A message cannot be translated whole: whether it goes back to its sender, who is still there."""
        waiting = self._waiting.get(message_id)
        if waiting is None:
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
        code = AckCode.AA if waiting.failed is None else AckCode.AE
        error = None if waiting.failed is None else failed(waiting.failed)
        self._end(waiting)
        self._tasks.spawn(
            "answer", self._give(waiting, code, error, last_word=True, refused=refuse and error is not None)
        )

    def _late(self, waiting: _Waiting) -> None:
        waiting.timer = None
        if waiting.deciding:
            return  # the answer comes with the commit that is under way
        self._end(waiting)
        code = AckCode(self._channel.answer_late)
        log.warning("answered-late", channel=self._channel.name, message=waiting.message_id, code=code)
        self._tasks.spawn("answer", self._give(waiting, code, LATE, last_word=False, refused=False))

    def _end(self, waiting: _Waiting) -> None:
        if waiting.timer is not None:
            waiting.timer.cancel()
            waiting.timer = None
        del self._waiting[waiting.message_id]

    async def _give(
        self, waiting: _Waiting, code: AckCode, error: AckError | None, *, last_word: bool, refused: bool
    ) -> None:
        world = self._world
        data = acknowledge(
            waiting.header,
            code,
            control_id=world.random_bytes(CONTROL_ID_BYTES).hex().upper(),
            at_us=world.now_us(),
            error=None if code is AckCode.AA else error,
        )
        given = Given(waiting.message_id, code, data if last_word else None, world.now_us(), refused)
        free = await self._written(given)
        self._metrics.answers.labels(self._channel.name, code).inc()
        for sender in waiting.senders:
            sender.callback(Answer(data, waiting.message_id))
        if free.keys:
            await self._relax(free.apis, free.keys)

    async def _written(self, given: Given) -> SetFree:
        while True:
            try:
                return await self._journal.submit(GIVE, given)
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._channel.name, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)

    async def stop(self) -> None:
        """Tell everyone who still waits that it is too early to tell, and end."""
        for waiting in list(self._waiting.values()):
            self._end(waiting)
            code = AckCode(self._channel.answer_late)
            self._tasks.spawn("answer", self._give(waiting, code, LATE, last_word=False, refused=False))
        await self._tasks.settle()

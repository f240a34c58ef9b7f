"""Feed: the old engine gets every message byte for byte, in each sender's order, from the journal.

A message is owed to it in the transaction that took it in. Each connection of a sender has a line of its own:
one message at a time, and the next once the last is answered, over connections that are kept for all lines. A
new line of a host begins once all that came from it before is answered, since its sender may have connected
anew. A sender that waits for the engine's own answer gets its bytes. After a crash, what has no answer in the
journal is sent again, as its sender would.

An acceptance reaches the sender before it is written: the message is on disk since before the engine had it,
and should the bridge end at that moment, the engine gets the message once more, as it would if nobody had
heard of it yet. It is written with what comes next, or after `ACCEPTED_WITHIN_S`, so that the next message
does not wait for a sync of the last one's acceptance. A refusal is written first, since the same message,
sent again, must be taken for a new one.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any, NamedTuple

import structlog
from twisted.internet.defer import CancelledError, Deferred, succeed

from bridge.config.topology import Channel
from bridge.delivery.window import Window
from bridge.errors import JournalUnavailable, PeerSilent, PeerUnavailable, place_of
from bridge.formats.hl7v2_ack import AckCode, AckError, MshPeek, acknowledge, peek
from bridge.journal.answering import GIVE, Given
from bridge.journal.feeding import (
    FED,
    GIVEN,
    NEGATIVE,
    OWED,
    REFUSED,
    UNREADABLE,
    Fed,
    OwedFeed,
    owed_feeds,
)
from bridge.journal.journal import Journal
from bridge.journal.writer import Work
from bridge.migration.relay.peer import MllpPeer
from bridge.observe.metrics import Metrics
from bridge.runtime.feed_order import FeedOrder, Line
from bridge.runtime.given_again import GivenAgain
from bridge.runtime.staging import Staging
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks
from bridge.runtime.whose import bridge_delivers
from bridge.transports.base import Answer

log = structlog.get_logger("bridge.feed")

HELD_MAX_MESSAGES = 2000
HELD_MAX_BYTES = 64 * 1024**2
PAGE_MESSAGES = 256
FREE_MAX = 16
"""Connections to the engine that are kept though nobody uses them."""
JOURNAL_WAIT_S = 1.0
ACCEPTED_WITHIN_S = 0.02
"""How long an acceptance may wait for company on its way to the disk."""
AGAIN_S, AGAIN_MAX_S = 0.2, 15.0
"""How long an engine that is away is left alone, doubling up to the second."""

FAULT = "a fault of the bridge keeps a message: the log says where"
"""Why nothing goes, where that is not the engine's doing."""

LATE = AckError("207", "The message is stored; the receiving application has not answered yet.")


class _Waiting(NamedTuple):
    header: MshPeek
    senders: list[Deferred[Answer]]


class Feed:
    """The way to the old engine of one channel."""

    def __init__(
        self, channel: Channel, journal: Journal, metrics: Metrics, world: Surroundings, staging: Staging
    ) -> None:
        self._name, self._journal, self._world, self._metrics = channel.name, journal, world, metrics
        self._staging = staging
        self._tasks, self._writing = Tasks(), Tasks()
        self.again = GivenAgain(world)
        self._window: Window[OwedFeed] = Window()
        self._held = self._held_bytes = 0
        self._order = FeedOrder()
        self._free: list[tuple[str, MllpPeer]] = []
        """Connections to the engine that nobody uses, each with its address."""
        self._waiting: dict[int, _Waiting] = {}
        self._accepted: dict[int, Fed] = {}
        """What the engine has accepted, by message, until that is on disk: a repeat that is journaled
        together with it hears of it here."""
        self._giving_again = 0
        self._faults: set[int] = set()
        """Feeds of which a fault of ours was told, and 0 where it was told of reading them."""
        self._told: set[int] = set()
        """Messages held here whose senders were answered in place of the engine."""
        self._reading, self._stopped, self._doubted = False, True, False
        self.last_control_id = ""
        self.away = ""
        """Why the engine is not reached; empty where it is."""
        self.use(channel)

    def use(self, channel: Channel) -> None:
        """Feed from now on as this channel says."""
        self._channel, self._legacy = channel, channel.legacy

    @property
    def owed(self) -> int:
        """How many messages are held here for the engine; more may lie in the journal."""
        return self._held

    def start(self) -> None:
        """Begin with what the journal holds."""
        self._stopped = False
        self._read_on()

    async def stop(self) -> None:
        """Send nothing more; what is under way may be answered for as long as a sender waits."""
        self._stopped = True
        for message_id in list(self._waiting):
            self._late(message_id)
        self._tasks.cancel()
        await self._tasks.settle()
        await self._writing.settle()
        for _, peer in self._free:
            peer.hang_up()

    def offer(self, feed_id: int, message_id: int, line: str, body: bytes, *, told: bool) -> None:
        """A message was just journaled that the engine is owed."""
        if self._giving_again:
            self._window.left()  # what was committed before it may be what is given again
            self._read_on()
            return
        room = self._held < HELD_MAX_MESSAGES and self._held_bytes < HELD_MAX_BYTES
        item = OwedFeed(feed_id, message_id, line, body, 0, told)
        if self._window.offer(feed_id, item, room=room):
            self._take(item)
        self._read_on()

    def doubt(self, doubted: bool) -> None:
        """While the journal is in doubt the engine may have been given what it says is owed: nothing goes."""
        self._doubted = doubted
        self._read_on()

    def look(self) -> None:
        """The journal holds something new for the engine."""
        self._window.left()
        self._read_on()

    @contextmanager
    def giving_again(self) -> Iterator[None]:
        """While this lasts, the journal may come to hold messages that are to be given once more."""
        self._giving_again += 1
        try:
            yield
        finally:
            self._giving_again -= 1
            self.look()

    def expect(self, message_id: int, header: MshPeek, within_s: float) -> Deferred[Answer]:
        """The engine's own answer to a message, as bytes, or ours where it does not come in time."""
        if (accepted := self._accepted.get(message_id)) is not None and accepted.answer is not None:
            return succeed(Answer(accepted.answer, message_id))
        waiting = self._waiting.get(message_id)
        if waiting is None:
            waiting = self._waiting[message_id] = _Waiting(header, [])
        sender: Deferred[Answer] = Deferred(partial(self._leave, message_id))
        waiting.senders.append(sender)
        timer = self._world.reactor.callLater(0.0 if self._stopped else within_s, self._late, message_id)

        def ended(result: object) -> object:
            if timer.active():
                timer.cancel()
            return result

        return sender.addBoth(ended)

    def _leave(self, message_id: int, sender: Deferred[Answer]) -> None:
        waiting = self._waiting.get(message_id)
        if waiting is not None and sender in waiting.senders:
            waiting.senders.remove(sender)
            if not waiting.senders:
                del self._waiting[message_id]

    def _late(self, message_id: int) -> None:
        waiting = self._waiting.pop(message_id, None)
        if waiting is None:
            return
        log.warning("answered-late", channel=self._name, message=message_id)
        code = AckCode.AA if self._channel.answer_late == AckCode.AA else AckCode.AE
        said = acknowledge(
            waiting.header,
            code,
            control_id=self._world.control_id(),
            at_us=self._world.now_us(),
            error=None if code is AckCode.AA else LATE,
        )
        self._metrics.answers.count(self._name, code)
        if code is AckCode.AE:
            self._say(waiting, Answer(said, message_id))
        else:
            self._tasks.spawn("answer", self._tell_ours(message_id, waiting, said))

    async def _tell_ours(self, message_id: int, waiting: _Waiting, said: bytes) -> None:
        """Acknowledge in place of an engine that is slow: from here on the message is ours to see through."""
        try:
            await self._journal.submit(GIVE, Given(message_id, "AA", said, self._world.now_us()))
        except JournalUnavailable as error:
            log.error("journal-unavailable", channel=self._name, reason=str(error))
            self._say(waiting, Answer(None, message_id, cut=True))
            return
        self._told.add(message_id)
        self._say(waiting, Answer(said, message_id))

    def _say(self, waiting: _Waiting, answer: Answer) -> None:
        for sender in waiting.senders:
            if not sender.called:
                sender.callback(answer)

    # What is owed.

    def _take(self, item: OwedFeed) -> None:
        self._held += 1
        self._held_bytes += len(item.body)
        self._go_on(self._order.take(item))

    def _go_on(self, line: Line) -> None:
        if not line.busy and not self._stopped and self._order.may_go(line):
            line.busy = True
            self._tasks.spawn("feed", self._run(line))

    def _read_on(self) -> None:
        room = self._held < HELD_MAX_MESSAGES // 2 and self._held_bytes < HELD_MAX_BYTES // 2
        if self._stopped or self._doubted or self._reading:
            return
        if room and self._window.begin_page():
            self._reading = True
            self._tasks.spawn("read-feeds", self._read_page())

    async def _read_page(self) -> None:
        try:
            page = await self._journal.read(owed_feeds, self._name, self._window.cursor, PAGE_MESSAGES)
        except CancelledError:
            raise
        except Exception as error:  # noqa: BLE001 - a fault of ours ends no feeding
            if isinstance(error, JournalUnavailable):
                log.error("journal-unavailable", channel=self._name, reason=str(error))
            else:
                self._tell_fault(error, None)
            self._window.page_failed()
            await self._world.pause(JOURNAL_WAIT_S)
        else:
            if 0 in self._faults:
                self._faults.discard(0)
                self.away = ""
            pairs = [(item.feed_id, item) for item in page]
            for item in self._window.end_page(pairs, full=len(page) == PAGE_MESSAGES):
                self._take(item)
        finally:
            self._reading = False
        self._read_on()

    async def _run(self, line: Line) -> None:
        """Feed a line, until nothing is owed on it that may go. A fault of ours costs it a pause."""
        again_s = AGAIN_S
        while True:
            try:
                await self._feed(line)
            except CancelledError:
                raise
            except Exception as error:  # noqa: BLE001 - the same is tried again, and other lines go on
                if self._stopped:
                    return  # a connection that was being made ends in its own way
                again_s = self._tell_fault(error, line.owed[0] if line.owed else None, again_s)
                await self._world.pause(again_s)
            else:
                line.busy = False
                return

    def _tell_fault(self, error: Exception, item: OwedFeed | None, again_s: float = 0.0) -> float:
        """Say once for each message that a fault of ours keeps it, and for how long it is left alone now."""
        feed_id, message_id = (0, None) if item is None else (item.feed_id, item.message_id)
        self.away = FAULT
        if feed_id in self._faults:
            return min(again_s * 2, AGAIN_MAX_S)
        self._faults.add(feed_id)
        fault, place = type(error).__name__, place_of(error)
        log.error("feed-fault", channel=self._name, message=message_id, fault=fault, place=place)
        return AGAIN_S

    async def _feed(self, line: Line) -> None:
        again_s, (address, peer) = AGAIN_S, self._take_peer()
        try:
            if line.owed and line.owed[0].is_again and self._legacy is not None:
                await self.again.quiet(self._legacy.settle)
            while not self._stopped and self._order.may_go(line):
                item = line.owed[0]
                if address != self._address:
                    peer.hang_up()
                    address, peer = self._take_peer()
                try:
                    line.heard = line.heard or await self._ask(peer, item)
                except PeerUnavailable as error:
                    self.away = str(error)
                    await self._world.pause(again_s)
                    again_s = min(again_s * 2, AGAIN_MAX_S)
                    continue
                fed = await self._seen_through(item, self._judged(item, *line.heard))
                self.away, again_s = "", AGAIN_S
                if fed.state == OWED:
                    await self._write(FED, fed)
                    line.owed[0], line.heard = item._replace(attempts=fed.attempts), None
                    await self._world.pause(min(AGAIN_S * 2**fed.attempts, AGAIN_MAX_S))
                    continue
                line.owed.popleft()
                line.heard = None
                self._told.discard(item.message_id)
                self._faults.discard(item.feed_id)
                for waited in self._order.over(item):
                    self._go_on(waited)
                # The next of the line goes while this is written.
                self._writing.spawn("fed", self._end(item, fed))
        except BaseException:
            peer.hang_up()
            raise
        if len(self._free) < FREE_MAX and not self._stopped:
            self._free.append((address, peer))
        else:
            peer.hang_up()

    def _take_peer(self) -> tuple[str, MllpPeer]:
        while self._free:
            address, peer = self._free.pop()
            if address == self._address:
                return address, peer
            peer.hang_up()
        tls = None if self._legacy is None else self._legacy.tls
        return self._address, MllpPeer(self._address, self._world.reactor, tls)

    @property
    def _address(self) -> str:
        assert self._legacy is not None, "only a channel with an old engine feeds one"
        assert self._legacy.mllp is not None, "one that takes messages says where"
        return self._legacy.mllp

    async def _end(self, item: OwedFeed, fed: Fed) -> None:
        if fed.state == GIVEN and not fed.refused:
            self._accepted[item.message_id] = fed
            self._answered(item, fed)
            await self._write(FED, fed, ACCEPTED_WITHIN_S)
            self._accepted.pop(item.message_id, None)
        else:
            await self._write(FED, fed)
            self._answered(item, fed)
        self.again.ended(item.feed_id)
        self._held -= 1
        self._held_bytes -= len(item.body)
        self._read_on()

    def _answered(self, item: OwedFeed, fed: Fed) -> None:
        self.last_control_id = peek(item.body).control_id.decode("utf-8", "replace")
        waiting = self._waiting.pop(item.message_id, None)
        if fed.state == REFUSED:
            log.error("engine-refused", channel=self._name, message=item.message_id, code=fed.code)
        if waiting is not None:
            self._metrics.answers.count(self._name, fed.code)
            self._say(waiting, Answer(fed.answer, item.message_id))

    async def _ask(self, peer: MllpPeer, item: OwedFeed) -> tuple[str, bytes]:
        """One attempt: the code of its answer, and the answer. Raises PeerUnavailable."""
        assert self._legacy is not None, "only a channel with an old engine feeds one"
        if item.is_again:
            self.again.begins(item.feed_id)
        try:
            return await peer.ask(item.body, self._legacy.answer_within)
        except PeerSilent as error:
            log.warning("engine-silent", channel=self._name, message=item.message_id, reason=str(error))
            raise
        except PeerUnavailable as error:
            log.warning("engine-away", channel=self._name, reason=str(error))
            raise

    def _judged(self, item: OwedFeed, code: str, answer: bytes) -> Fed:
        at, now_us, attempts = (item.feed_id, item.message_id), self._world.now_us(), item.attempts + 1
        if not code:
            # Acknowledgements whose code nobody knows count, as they do for senders; what is no HL7 does not.
            code = "AA" if peek(answer).readable else UNREADABLE
        if not item.told and item.message_id not in self._told:
            # Its sender hears the engine itself, and a refused message is the sender's again.
            return Fed(*at, GIVEN, attempts, code, "", now_us, answer, refused=code in NEGATIVE)
        if code not in NEGATIVE:
            return Fed(*at, GIVEN, attempts, code, "", now_us)
        assert self._legacy is not None, "only a channel with an old engine feeds one"
        again = code in ("AE", "CE", UNREADABLE) and attempts < self._legacy.attempts
        reason = "answer-unreadable" if code == UNREADABLE else f"answered-{code.lower()}"
        return Fed(*at, OWED if again else REFUSED, attempts, code, reason, now_us)

    async def _seen_through(self, item: OwedFeed, fed: Fed) -> Fed:
        """A refusal of what the bridge delivers: its sender, who would send it again, hears that it is taken,
        and the engine is asked again, as it is where its senders do not hear it."""
        if not (fed.refused and self._staging.shares):
            return fed
        if not await bridge_delivers(self._journal, self._world, item.message_id):
            return fed
        at_us, control_id = self._world.now_us(), self._world.control_id()
        said = acknowledge(peek(item.body), AckCode.AA, control_id=control_id, at_us=at_us)
        await self._write(GIVE, Given(item.message_id, "AA", said, at_us))
        self._told.add(item.message_id)
        if (waiting := self._waiting.pop(item.message_id, None)) is not None:
            self._metrics.answers.count(self._name, AckCode.AA)
            self._say(waiting, Answer(said, item.message_id))
        return self._judged(item, fed.code, b"")

    async def _write(self, work: Work[Any, Any], item: Any, within_s: float = 0.0) -> None:
        while True:
            try:
                await self._journal.submit(work, item, within_s=within_s)
            except JournalUnavailable as error:
                log.error("journal-unavailable", channel=self._name, reason=str(error))
                await self._world.pause(JOURNAL_WAIT_S)
            else:
                return

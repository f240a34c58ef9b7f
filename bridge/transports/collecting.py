"""Files of one place, taken one after the other: looked for, claimed, handed in, and put where they belong.

The same for a folder and for a server; what differs is a `Place`. Looking again and again is the truth, and
whatever tells of new files only makes the next look come sooner. A claim moves a file out of everybody's
sight in one step, so that of several bridges one has it; it is found again after a crash, and the journal
knows whether it was taken already. So nothing is lost in between, and nothing comes twice.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

import structlog
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from bridge.errors import PeerUnavailable
from bridge.transports.base import (
    Arriving,
    Fate,
    FileChanged,
    FileGone,
    FileIntake,
    FileUnusable,
    Incoming,
    Looked,
    Odd,
    own_word,
    printable,
)
from bridge.transports.collecting_options import CollectingOptions
from bridge.transports.other_claims import Other, OtherClaims
from bridge.transports.portless import Portless
from bridge.transports.setbacks import TELLING, Afterwards
from bridge.transports.sifting import Sifted, Sifting
from bridge.transports.watching import FILES_MAX_COUNT, Ready, Seen, Watch

log = structlog.get_logger("bridge.files")

T = TypeVar("T")

WAIT_MIN_S = 0.05
TELL_EVERY_S = 1.0
DRAIN_WITHIN_S = 3.0
"""Where a place does not answer for so long while the bridge ends, it is hung up on."""
FAILED_WAIT_MAX_S = 300.0
TOLD_AT_ONCE_MAX = 100


@dataclass(frozen=True, slots=True)
class Claimed:
    """A file that is this bridge's. ``claim`` is its word, None where it was left in its place."""

    seen: Seen
    claim: str | None
    marker: str | None = None


@dataclass(frozen=True, slots=True)
class End:
    """Where a file goes: what became of it, and what is told beside it where it failed."""

    fate: Fate
    told: bytes | None


class Place(Protocol):
    """Where files lie. All of it blocks, and is called in one thread at a time.

    A place that cannot be reached, or used at all, raises PeerUnavailable; one file with which the asked
    cannot be done, for want of a right or of room, FileUnusable.
    """

    @property
    def peer(self) -> str:
        """What the operator knows it by."""
        ...

    def look(self, wanted: Callable[[str], bool] = bool) -> tuple[list[Seen], Odd]:
        """All plain files of names that are wanted, as far as `FILES_MAX_COUNT` says, and what is odd there:
        the names of nothing that could be taken."""
        ...

    def claims(self, owner: str) -> list[Claimed]:
        """What was claimed with a word that begins so, and is still there."""
        ...

    def others(self, owner: str) -> list[Other]:
        """What was claimed with any other word; nothing is done about it."""
        ...

    def adopt(self, word: str, as_word: str) -> None:
        """Give a claim another word, in one step, so that of several one has it. Where that cannot be done
        it stays."""
        ...

    def claim(self, ready: Ready, word: str) -> Claimed | None:
        """Make a file this bridge's in one step; None where it is another's, or gone."""
        ...

    def open(self, claimed: Claimed) -> Incoming:
        """Read it. Raises FileGone where it is no plain file any more, FileChanged where it is another."""
        ...

    def put_away(self, claimed: Claimed, end: End) -> str | None:
        """Move, delete or leave a file, and let its claim go; one that is claimed is not left, whatever the
        options are by now. Asked again after a crash in between.

        Another file that has its name by now stays. Gives where it was moved to, as far as that is known.
        Raises FileGone only where the file is not there any more, never for the folder that it goes to.
        """
        ...

    def size_of(self, where: str) -> int:
        """How large the file is that lies where `put_away` has put it. Raises FileGone."""
        ...

    def put(self, into: str, name: str, content: bytes) -> None:
        """A file for a sender in the folder ``into``, whole or not at all. Asked again after a crash."""
        ...

    def watch(self, wake: Callable[[], None]) -> None:
        """Call ``wake``, from any thread, when something may have changed; as far as the place can tell."""
        ...

    def hang_up(self) -> None:
        """Let what waits for an answer wait no more, as far as the place can. Called from any thread, also
        while another call is under way, which then raises PeerUnavailable. Does not raise."""
        ...

    def close(self) -> None:
        """Let go of it. Does not raise."""
        ...


class Collector(Portless):
    """All files of one place that come for one channel: a `Listener` without a port."""

    def __init__(
        self,
        channel: str,
        options: CollectingOptions,
        place: Place,
        intake: FileIntake,
        reactor: Any,
        told: Callable[[str, Fate], bytes],
    ) -> None:
        """``told`` gives what stands beside a file that failed, for its name."""
        self._channel, self._options, self._place, self._intake = channel, options, place, intake
        self._reactor, self._told = reactor, told
        self._watch = Watch(options.rules())
        self._threads = ThreadPool(0, 1, f"files {channel}")
        self._running: Deferred[None] | None = None
        self._wakeup: Deferred[None] | None = None
        self._woken = self._draining = False
        self._failures = 0
        self._sifting, self._afterwards = Sifting(), Afterwards()
        self._setbacks = self._sifting.setbacks
        self._looked = Looked()
        self._others, self._left = OtherClaims(), False
        self._telling: IDelayedCall | None = None

    async def start(self) -> None:
        """Begin to look, at once; a place that is not there yet is waited for."""
        self._threads.start()
        self._running = Deferred.fromCoroutine(self._run())

    def prepare(self, options: CollectingOptions) -> bool:
        """Whether nothing but when files are taken is another; else another collector is needed."""
        return self._options.same_place(options)

    def use(self, options: CollectingOptions) -> None:
        """Take files by these rules from the next look on."""
        self._options = options
        self._watch = Watch(options.rules())
        self.wake()

    async def drain(self) -> None:
        """Take no further file; the one under way is left at the next place where that does no harm."""
        self._draining = True
        self._intake.hurry()
        self.wake()
        if self._running is not None:
            late = self._reactor.callLater(DRAIN_WITHIN_S, self._reactor.callInThread, self._place.hang_up)
            await self._running
            for each in (late, self._telling):
                if each is not None and each.active():
                    each.cancel()
        self._place.close()
        if self._threads.started:
            self._threads.stop()

    def wake(self) -> None:
        """Look now, or once more where a look is under way."""
        self._woken = True
        if self._wakeup is not None:
            wakeup, self._wakeup = self._wakeup, None
            wakeup.callback(None)

    def _wake_from_thread(self) -> None:
        self._reactor.callFromThread(self.wake)

    async def _run(self) -> None:
        await self._intake.resume()
        while not self._draining:
            self._woken = False
            waiting = 0
            try:
                waiting = await self._round()
                self._failures = 0
                self._tell_looked()
            except PeerUnavailable as error:
                self._failures += 1
                self._intake.looked(Looked(reason=str(error)))
            except Exception as error:  # noqa: BLE001 - a fault of ours must cost a round, not the feed
                self._failures += 1
                self._intake.looked(Looked(reason=f"internal fault: {type(error).__name__}"))
            if not (self._woken or self._draining):
                await self._wait(self._wait_s(waiting))

    def _wait_s(self, waiting: int) -> float:
        poll_s = self._options.poll
        if self._failures:
            return min(FAILED_WAIT_MAX_S, float(poll_s * 2 ** min(self._failures - 1, 10)))
        if waiting and self._options.finished == "stable":
            poll_s = min(poll_s, self._options.stable_for)
        return max(WAIT_MIN_S, poll_s)

    async def _wait(self, wait_s: float) -> None:
        waiting: Deferred[None] = Deferred()
        self._wakeup = waiting
        timer = self._reactor.callLater(wait_s, self.wake)
        try:
            await waiting
        finally:
            if timer.active():
                timer.cancel()

    async def _round(self) -> int:
        """One look, and all that is to be done after it; how many files are not finished."""
        claims: list[Claimed] = []
        others_due = self._others.due(self._reactor.seconds())
        if others_due:
            await self._look_at_others()
        # What was claimed is finished, also where nothing is claimed any more.
        if self._options.claims or self._left or others_due:
            claims = await self._in_thread(self._place.claims, self._intake.owner)
        self._left = bool(claims)
        # What could not be read, or has broken the connection, keeps no other waiting.
        first, behind = self._sifting.due(claims, _key, self._reactor.seconds())
        if not await self._take_all(first):
            return 1
        files, odd = await self._in_thread(self._place.look, self._watch.matters)
        if len(files) > FILES_MAX_COUNT:
            odd.note(files.pop().name, Odd.TOO_MANY)
        await self._in_thread(self._place.watch, self._wake_from_thread)
        now_s = self._reactor.seconds()
        sifted = await self._in_thread(self._sift, self._watch, files, now_s, {_key(each) for each in claims})
        for name, why in (*sifted.odd, *self._others.old(now_s)):
            odd.note(name, why)
        self._looked = replace(sifted.looked, odd=odd.count, odd_named=tuple(odd.told))
        self._tell_looked()
        if not (await self._claim_all(sifted.first, sifted.behind) and await self._take_all(behind)):
            return self._looked.waiting + 1
        if self._options.tells:
            await self._tell()
        await self._look_once_more(now_s)
        return self._looked.waiting

    def _sift(self, watch: Watch, files: list[Seen], now_s: float, claimed: set[str]) -> Sifted:
        return self._sifting.sift(watch, files, now_s, claimed=claimed, stay=not self._options.claims)

    async def _look_at_others(self) -> None:
        """See which claims are another's, and take over those of before a claim had a channel's name."""
        owner, watch = self._intake.owner, self._watch
        others = await self._in_thread(self._place.others, owner)
        for each in self._others.seen(others, owner, watch.wants, self._reactor.seconds()):
            await self._in_thread(self._place.adopt, each.word, own_word(each.word, owner))

    async def _take_all(self, claims: Sequence[Claimed]) -> bool:
        """Take what is this bridge's; False where one could not be taken now, nor others should be."""
        for each in claims:
            if self._draining or not await self._take(each):
                return False
        return True

    async def _claim_all(self, first: Sequence[Ready], behind: Sequence[Ready]) -> bool:
        """The same of what is finished and nobody's yet."""
        for place, each in enumerate((*first, *behind), 1):
            if self._draining:
                break
            mine = await self._claim(each)
            if mine is not None and not await self._take(mine):
                return False
            self._looked = replace(self._looked, queued=max(0, len(first) - place))
            self._tell_soon()
        return True

    async def _look_once_more(self, now_s: float) -> None:
        """See whether files have grown since they were put away."""
        for put in self._afterwards.due(now_s):
            try:
                size_bytes = await self._in_thread(self._place.size_of, put.where)
            except (FileGone, FileUnusable):
                size_bytes = None
            if self._afterwards.seen(put, size_bytes):
                log.warning("file-grew-after-it-was-taken", channel=self._channel)

    def _tell_soon(self) -> None:
        """A round may last for hours, and go past a thousand files in a second."""
        if self._telling is None or not self._telling.active():
            self._telling = self._reactor.callLater(TELL_EVERY_S, self._tell_looked)

    def _tell_looked(self) -> None:
        if self._failures:
            return  # a place that went away in the middle of a round is back when one ends
        held_up = (*self._setbacks.told, *self._afterwards.told)
        self._intake.looked(replace(self._looked, held_up=held_up))

    async def _tell(self) -> None:
        """Put what senders are to be told where they look, as far as it can be made now."""
        for _ in range(TOLD_AT_ONCE_MAX):
            if self._draining or self._setbacks.rests(TELLING, self._reactor.seconds()):
                return
            if (telling := await self._intake.telling()) is None:
                return
            for kind, name, content in telling.files:
                into = self._options.answers if kind == "answer" else self._options.rejects
                if into is None:
                    continue
                try:
                    await self._in_thread(self._place.put, into, name, content)
                except FileUnusable as error:
                    self._held_up(TELLING, f"{into}/{name}", str(error))
                    return
                except PeerUnavailable as error:
                    await self._broke(TELLING, f"{into}/{name}", error)
                    return
            self._setbacks.over(TELLING)
            await self._intake.told(telling.file_id)

    async def _claim(self, ready: Ready) -> Claimed | None:
        if not self._options.claims:
            return Claimed(ready.seen, None, ready.marker)
        name = ready.seen.name
        try:
            mine = await self._in_thread(self._place.claim, ready, self._intake.claim_word())
        except FileUnusable as error:
            self._held_up(name, name, str(error))
            return None
        except PeerUnavailable as error:
            await self._broke(name, name, error)
            return None
        except FileGone:
            mine = None
        self._setbacks.over(name)
        return mine

    async def _take(self, claimed: Claimed) -> bool:
        """Take a file; False where it could not be taken now, nor others should be.

        One that cannot be read or put away, or at which the connection breaks, holds nobody back, as one that
        was refused does not; one that is still written to does, as one that is not finished does.
        """
        key = _key(claimed)
        try:
            went_on = await self._hand_in(claimed)
        except FileUnusable as error:
            self._held_up(key, claimed.seen.name, str(error))
            return True
        except PeerUnavailable as error:
            await self._broke(key, claimed.seen.name, error)
            return True
        except FileChanged:
            is_new, for_s = self._setbacks.changed(key, self._reactor.seconds())
            if is_new:
                log.info("file-written-to-while-read", channel=self._channel)
            return for_s >= self._options.hold_back
        if went_on:
            self._setbacks.over(key)
        return went_on

    async def _broke(self, key: str, name: str, error: PeerUnavailable) -> None:
        """The connection broke at one file. Once may be chance, and files keep their order; twice is the
        file's own matter, if the place is there all the same. Raises PeerUnavailable where it is not."""
        if self._draining or not self._setbacks.broke(key):
            raise error
        await self._in_thread(self._place.look, self._watch.matters)
        self._held_up(key, name, f"the connection broke while it was taken: {error}; others go before it")

    def _held_up(self, key: str, name: str, why: str) -> None:
        """Say once what is wrong with a file, and try it again later. A name may be a patient's number, and
        is for `bridge status`, not for the log."""
        text, now_s = f"{printable(name)}: {why}", self._reactor.seconds()
        if self._setbacks.failed(key, text, now_s, self._options.poll):
            log.warning("file-held-up", channel=self._channel, reason=why)
        self._tell_soon()

    async def _hand_in(self, claimed: Claimed) -> bool:
        place, seen = self._place, claimed.seen
        arriving = Arriving(
            name=printable(seen.name),
            seen_as=seen.as_text,
            claim=claimed.claim,
            peer=place.peer,
            size_bytes=seen.size_bytes,
            stays=self._options.after == "keep" and claimed.claim is None,
            open=lambda: place.open(claimed),
        )
        try:
            fate = await self._intake.take(arriving)
        except FileGone:
            if claimed.claim is not None:  # nobody else takes what lies there: its messages are in no journal
                log.warning("claimed-file-gone", channel=self._channel)
            return True
        if fate.again:
            return False
        told = None if fate.good else self._told(arriving.name, fate)
        try:
            where = await self._in_thread(place.put_away, claimed, End(fate, told))
            if where is not None and fate.good and fate.size_bytes is not None:
                self._afterwards.put_away(arriving.name, where, fate.size_bytes, self._reactor.seconds())
        except FileGone:
            log.warning("file-moved-by-another", channel=self._channel, file=fate.file_id)
        if claimed.claim is None:
            self._sifting.taken(seen)
        if fate.file_id is not None:
            self._intake.settled(fate.file_id)
        return True

    def _in_thread(self, call: Callable[..., T], *arguments: Any) -> Deferred[T]:
        return deferToThreadPool(self._reactor, self._threads, call, *arguments)


def _key(claimed: Claimed) -> str:
    """By which a file's setbacks are remembered."""
    return claimed.claim or claimed.seen.name

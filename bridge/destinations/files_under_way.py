"""Files on their way to one place, in threads: none twice at once, and none given up while it moves.

A thread cannot be ended, so a write that is not waited for any longer goes on. Whoever wants the same file
written once more then gets the end of that write, also where it has come meanwhile, and begins no second.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeVar

from bridge.delivery.outcomes import Outcome, Verdict

T = TypeVar("T")

Moved = Callable[[], None]
"""To be called, in the thread of a write, whenever it has come a step further."""
TURN_WAIT_MAX_S: Final = 600.0
"""The longest that a file waits for those before it, though they move."""
ENDED_MAX_COUNT: Final = 1000
"""Files that were written after nobody waited for them any longer, and that nobody has asked for again."""


class _Writing:
    """One write: its end, and how far it is."""

    def __init__(self) -> None:
        self.steps = self.waited_for = 0
        self.end: asyncio.Future[Outcome]

    def moved(self) -> None:
        """It has come a step further. Called in its own thread, and nowhere else."""
        self.steps += 1

    @property
    def written(self) -> bool:
        """Whether the file is known to be there."""
        end = self.end
        return end.done() and not end.cancelled() and not end.exception() and _is_there(end.result())


def _is_there(outcome: Outcome) -> bool:
    return outcome.verdict is Verdict.DELIVERED


class UnderWay:
    """The writes of one place. All of it is called in the loop's own thread."""

    def __init__(self, writers_max: int, still_max_s: float) -> None:
        """``writers_max`` are written at once. One that has not moved for ``still_max_s`` is waited for no
        longer."""
        self._writers_max, self._still_max_s = writers_max, still_max_s
        self._free = writers_max
        self._queue: deque[asyncio.Future[bool]] = deque()
        self._writes: dict[str, _Writing] = {}
        self._begun = 0
        self._threads: ThreadPoolExecutor | None = None
        self._closed = False

    async def write(self, name: str, call: Callable[[Moved], Outcome]) -> Outcome:
        """The end of ``call``, which writes the file of this name, or of the one that is under way with it.

        RETRY where its turn did not come, so that nothing has left; AMBIGUOUS where it stands still.
        """
        if (writing := self._writes.get(name)) is None:
            if not await self._turn():
                return Outcome(Verdict.RETRY, "closing" if self._closed else "write-waits")
            if (writing := self._writes.get(name)) is None:
                writing = self._begin(name, call)
            else:
                self._pass_on()
        return await self._end_of(name, writing)

    async def in_thread(self, call: Callable[..., T], *arguments: Any) -> T:
        """The result of what is no write. One thread is kept for such, so that it waits for no file."""
        return await asyncio.get_running_loop().run_in_executor(self._started(), call, *arguments)

    def stop(self) -> bool:
        """Begin nothing any more; True where there is something to `settle`."""
        self._closed = True
        while self._queue:
            self._queue.popleft().set_result(False)
        return self._threads is not None

    async def settle(self) -> None:
        """Wait for what is under way, though not for longer than one may stand still."""
        if ends := [each.end for each in self._writes.values() if not each.end.done()]:
            await asyncio.wait(ends, timeout=self._still_max_s)
        if self._threads is not None:
            self._threads.shutdown(wait=False)
            self._threads = None

    @property
    def closed(self) -> bool:
        """Whether nothing is begun any more."""
        return self._closed

    def _started(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(self._writers_max + 1, "files-out")
        return self._threads

    def _begin(self, name: str, call: Callable[[Moved], Outcome]) -> _Writing:
        writing = _Writing()
        loop = asyncio.get_running_loop()
        writing.end = loop.run_in_executor(self._started(), call, writing.moved)
        self._writes[name] = writing
        self._begun += 1
        writing.end.add_done_callback(lambda _end: self._ended(name, writing))
        return writing

    def _ended(self, name: str, writing: _Writing) -> None:
        self._pass_on()
        if writing.waited_for:
            return
        if not writing.written:
            del self._writes[name]  # what failed is tried anew
            return
        left = [other for other, each in self._writes.items() if each.end.done() and not each.waited_for]
        for other in left[:-ENDED_MAX_COUNT]:
            del self._writes[other]

    async def _end_of(self, name: str, writing: _Writing) -> Outcome:
        writing.waited_for += 1
        try:
            while True:
                before = writing.steps
                await asyncio.wait([writing.end], timeout=self._still_max_s)
                if writing.end.done():
                    if self._writes.get(name) is writing:
                        del self._writes[name]
                    return writing.end.result()
                if writing.steps == before:
                    return Outcome(Verdict.AMBIGUOUS, "write-timeout")
        finally:
            writing.waited_for -= 1

    # Turns: a thread for each that writes, so that what waits is known not to have begun.

    async def _turn(self) -> bool:
        """Wait until one more may be written; False where that did not come."""
        if self._closed:
            return False
        if self._free:
            self._free -= 1
            return True
        turn: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._queue.append(turn)
        left_s = TURN_WAIT_MAX_S
        try:
            while not turn.done() and left_s > 0:
                before, wait_s = self._steps(), min(self._still_max_s, left_s)
                await asyncio.wait([turn], timeout=wait_s)
                left_s -= wait_s
                if self._steps() == before:
                    break
        except BaseException:
            if turn.done() and turn.result():
                self._pass_on()
            raise
        finally:
            if not turn.done():
                self._queue.remove(turn)
                turn.cancel()
        return not turn.cancelled() and turn.result()

    def _pass_on(self) -> None:
        """Give a turn to who has waited longest for one."""
        if self._queue:
            self._queue.popleft().set_result(True)
        else:
            self._free += 1

    def _steps(self) -> tuple[int, ...]:
        """How far all are: the same twice where none has moved, and none was begun."""
        return self._begun, *(each.steps for each in self._writes.values())

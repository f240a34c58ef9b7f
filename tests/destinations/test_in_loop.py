from __future__ import annotations

import asyncio
import contextvars
import gc
import threading
import weakref

import pytest
from reactor_tests import in_reactor, pause, until
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, TimeoutError  # noqa: A004

from bridge.destinations.in_loop import NoRunningLoop, in_loop

TRACE: contextvars.ContextVar[str] = contextvars.ContextVar("TRACE", default="none")


@in_reactor
async def test_the_result_of_an_asyncio_coroutine_comes_back() -> None:
    async def work() -> int:
        await asyncio.sleep(0.001)
        return 7

    assert await in_loop(work()) == 7


@in_reactor
async def test_a_task_that_nobody_holds_on_to_still_ends() -> None:
    waited_for: list[weakref.ref[asyncio.Future[str]]] = []
    ended: list[str] = []

    async def work() -> str:
        answer: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        waited_for.append(weakref.ref(answer))
        return await answer

    in_loop(work()).addCallback(ended.append)
    await pause(0.01)
    gc.collect()
    answer = waited_for[0]()
    assert answer is not None, "the task was collected while it waited"
    answer.set_result("done")
    await until(lambda: ended == ["done"], "the task ended")


@in_reactor
async def test_an_error_of_the_coroutine_comes_back_as_it_was() -> None:
    async def work() -> None:
        await asyncio.sleep(0)
        raise LookupError("a place")

    with pytest.raises(LookupError, match="a place"):
        await in_loop(work())


@in_reactor
async def test_context_variables_are_seen_inside_and_kept_outside() -> None:
    async def work() -> str:
        await asyncio.sleep(0.001)
        seen = TRACE.get()
        TRACE.set("changed inside")
        return seen

    async def caller() -> tuple[str, str]:
        TRACE.set("of the caller")
        seen = await in_loop(work())
        return seen, TRACE.get()

    assert await Deferred.fromCoroutine(caller()) == ("of the caller", "of the caller")


@in_reactor
async def test_cancelling_the_deferred_cancels_the_task() -> None:
    ended = asyncio.Event()

    async def work() -> None:
        try:
            await asyncio.sleep(60)
        finally:
            ended.set()

    deferred = in_loop(work())
    await in_loop(asyncio.sleep(0.001))
    deferred.cancel()
    with pytest.raises(CancelledError):
        await deferred
    await in_loop(asyncio.wait_for(ended.wait(), 5))


@in_reactor
async def test_a_timeout_on_the_deferred_is_twisteds_own() -> None:
    with pytest.raises(TimeoutError):
        await in_loop(asyncio.sleep(60)).addTimeout(0.01, reactor)


def test_outside_the_asyncio_reactor_the_error_says_what_is_missing() -> None:
    told: list[str] = []

    def elsewhere() -> None:
        try:
            in_loop(asyncio.sleep(0))
        except NoRunningLoop as error:
            told.append(str(error))

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert len(told) == 1
    assert "asyncioreactor" in told[0]

"""The one place where libraries written for asyncio are called from Twisted coroutines.

An asyncio coroutine awaited straight inside `Deferred.fromCoroutine` fails, since Twisted does not drive
asyncio futures. Here it becomes a task of the reactor's own loop, and its result a Deferred.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, Final, NoReturn, TypeVar

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")

_running: Final[set[asyncio.Task[Any]]] = set()


class NoRunningLoop(RuntimeError):
    """No asyncio loop runs in this thread: another reactor is installed, or the reactor has not started."""


def in_loop(coroutine: Coroutine[Any, Any, T]) -> Deferred[T]:
    """The result of an asyncio coroutine, run as a task of the reactor's loop.

    The task sees the caller's context variables. Cancelling the Deferred cancels the task; a task that
    ends cancelled fails the Deferred with Twisted's `CancelledError`, so that `Deferred.addTimeout` works.
    Raises NoRunningLoop, with the coroutine closed, outside a running asyncio reactor.
    """
    try:
        loop = asyncio.get_running_loop()
    except RuntimeError:
        coroutine.close()
        raise NoRunningLoop(
            "expected to run inside the asyncio reactor: install twisted.internet.asyncioreactor"
            " before any other reactor, and call this only after the reactor has started"
        ) from None
    task = loop.create_task(coroutine)
    # The loop itself knows its tasks by weak references alone: one that only its own waiting keeps alive
    # would be collected, and would never end.
    _running.add(task)
    task.add_done_callback(_running.discard)
    deferred: Deferred[T] = Deferred.fromFuture(task)
    return deferred.addErrback(_as_twisted)


def from_loop(coroutine: Coroutine[Any, Any, T]) -> asyncio.Future[T]:
    """The other way of `in_loop`: the result of a Twisted coroutine, for one of asyncio in the same loop.

    Cancelling the future cancels the coroutine.
    """
    future: asyncio.Future[T] = Deferred.fromCoroutine(coroutine).asFuture(asyncio.get_running_loop())
    return future


def _as_twisted(failure: Failure) -> NoReturn:
    # Twisted turns its own CancelledError into a timeout, and lets asyncio's through as a stray one.
    if failure.check(asyncio.CancelledError):
        raise CancelledError from None
    failure.raiseException()
    raise AssertionError("raiseException returned")

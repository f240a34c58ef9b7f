"""How tests run coroutines in the reactor, with a limit that does no harm to the tests after them."""

from __future__ import annotations

import time
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, ParamSpec

import pytest_twisted
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

TEST_MAX_S = 120.0
P = ParamSpec("P")


def in_reactor_for(
    at_most_s: float | None,
) -> Callable[[Callable[P, Coroutine[Any, Any, None]]], Callable[P, object]]:
    """A test that is a coroutine on the reactor, and fails when it takes longer than that; None is for what
    `TEST_MAX_S` is when it runs, which drills set."""

    def decorate(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, object]:
        @wraps(test)
        async def limited(*args: P.args, **kwargs: P.kwargs) -> None:
            most_s = TEST_MAX_S if at_most_s is None else at_most_s
            await Deferred.fromCoroutine(test(*args, **kwargs)).addTimeout(most_s, reactor)

        decorated: Callable[P, object] = pytest_twisted.ensureDeferred(limited)
        return decorated

    return decorate


def in_reactor(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, object]:
    """A test that is a coroutine on the reactor, and fails when it takes longer than `TEST_MAX_S`."""
    return in_reactor_for(None)(test)


async def pause(seconds: float) -> None:
    """Let the reactor work."""
    world: Any = reactor
    await deferLater(world, seconds, lambda: None)


async def until(true: Callable[[], bool], what: str, *, at_most_s: float = 60.0) -> None:
    """Wait until something is so; fail with ``what`` where it does not come to be."""
    give_up_s = time.monotonic() + at_most_s
    while not true():
        assert time.monotonic() < give_up_s, f"not so after {at_most_s} s: {what}"
        await pause(0.01)

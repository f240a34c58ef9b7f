"""The reactor, and one way to run something in it until it ends or is told to stop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")


def install() -> Any:
    """Install the asyncio reactor on uvloop, where there is uvloop, and return it."""
    from twisted.internet import asyncioreactor

    try:
        import uvloop
    except ImportError:
        loop = asyncio.new_event_loop()
    else:
        loop = uvloop.new_event_loop()
    # In this order: a loop that is set later is another one, and its futures never fire.
    asyncio.set_event_loop(loop)
    asyncioreactor.install(loop)
    from twisted.internet import reactor

    return reactor


def on_hangup(do: Callable[[], object]) -> None:
    """Do something at each SIGHUP. To be called inside the running reactor."""
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, do)


def run(make: Callable[[Any, Deferred[None]], Coroutine[Deferred[Any], Any, T]]) -> T:
    """Run ``make(reactor, told_to_stop)`` to its end and return its result.

    ``told_to_stop`` fires at the first SIGTERM or SIGINT; a second one ends everything at once.
    """
    reactor = install()
    told_to_stop: Deferred[None] = Deferred()
    results: list[T | Failure] = []
    running: list[Deferred[Any]] = []  # what nobody holds on to may be collected before it ends

    def told() -> None:
        if told_to_stop.called:
            reactor.stop()
        else:
            told_to_stop.callback(None)

    def ended(result: T | Failure) -> None:
        results.append(result)
        if reactor.running:
            reactor.stop()

    def begin() -> None:
        loop = asyncio.get_event_loop_policy().get_event_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, told)
        running.append(Deferred.fromCoroutine(make(reactor, told_to_stop)).addBoth(ended))

    # Not `callWhenRunning`, which comes before the loop runs, too early for asyncio libraries.
    reactor.callLater(0, begin)
    reactor.run(installSignalHandlers=False)
    if not results or (isinstance(results[0], Failure) and results[0].check(CancelledError)):
        raise click.exceptions.Abort
    if isinstance(results[0], Failure):
        assert results[0].value is not None
        raise results[0].value
    return results[0]

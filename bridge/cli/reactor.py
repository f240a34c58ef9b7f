"""The reactor, and one way to run something in it until it ends or is told to stop."""

from __future__ import annotations

import asyncio
import os
import signal
import threading
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

T = TypeVar("T")

ENDS_WITHIN_S = 3.0
THREADS_END_WITHIN_S = 10.0
"""So long are threads waited for by a process that was told to stop, and whose work has ended."""
ENDED_AT_ONCE = 1
"""The status of a process that did not end by itself then; it is click's for what was broken off."""


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

    ``told_to_stop`` fires at the first SIGTERM or SIGINT; a second one ends everything at once, and
    the process within `ENDS_WITHIN_S`, whatever its threads do. Once the work has ended after the first
    one, they are waited for no longer than `THREADS_END_WITHIN_S`.
    """
    reactor = install()
    told_to_stop: Deferred[None] = Deferred()
    results: list[T | Failure] = []
    running: list[Deferred[Any]] = []  # what nobody holds on to may be collected before it ends

    loop = asyncio.get_event_loop_policy().get_event_loop()

    def told() -> None:
        if not told_to_stop.called:
            told_to_stop.callback(None)
            return
        leave_signals()
        give_up_after(ENDS_WITHIN_S)
        reactor.stop()

    def ended(result: T | Failure) -> None:
        results.append(result)
        leave_signals()
        if told_to_stop.called:
            # A second signal that comes just now is heard by nobody.
            give_up_after(THREADS_END_WITHIN_S)
        if reactor.running:
            reactor.stop()

    def give_up_after(seconds: float) -> None:
        giving_up = threading.Timer(seconds, os._exit, (ENDED_AT_ONCE,))
        giving_up.daemon = True
        giving_up.start()

    def leave_signals() -> None:
        # From here on threads are waited for, and no loop runs that would hear of another signal.
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
            if told_to_stop.called:
                signal.signal(number, signal.SIG_DFL)

    def begin() -> None:
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

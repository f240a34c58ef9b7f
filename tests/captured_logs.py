"""All that the bridge and its libraries log while a test runs, as they would write it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import structlog
from twisted.logger import ILogObserver, LogEvent, formatEvent, globalLogPublisher
from zope.interface import implementer

from bridge.observe.log import configure


@contextmanager
def captured_logs(stream: io.StringIO | None = None) -> Iterator[io.StringIO]:
    """What `bridge.observe.log.configure` sets up, until the block ends; Twisted's own events with it."""
    stream = io.StringIO() if stream is None else stream
    root, hl7 = logging.getLogger(), logging.getLogger("hl7")
    before, handlers, level, silent = structlog.get_config(), root.handlers[:], root.level, hl7.disabled
    root.handlers.clear()
    _forget()
    configure(stream)

    of_twisted = _Twisted(stream)
    globalLogPublisher.addObserver(of_twisted)
    try:
        yield stream
    finally:
        globalLogPublisher.removeObserver(of_twisted)
        structlog.configure(**before)
        _forget()
        root.handlers[:], hl7.disabled = handlers, silent
        root.setLevel(level)


@implementer(ILogObserver)
class _Twisted:
    def __init__(self, stream: io.StringIO) -> None:
        self._stream = stream

    def __call__(self, event: LogEvent) -> None:
        failure = event.get("log_failure")
        self._stream.write(f"twisted: {formatEvent(event)} {failure.getTraceback() if failure else ''}\n")


def _forget() -> None:
    """Let every module's logger look again at how it is set up; it does so once only."""
    for name, module in list(sys.modules.items()):
        if name.startswith("bridge."):
            vars(vars(module).get("log", module)).pop("bind", None)

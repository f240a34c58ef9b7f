"""Logs: one JSON object a line, with codes, names and numbers, and never patient data."""

from __future__ import annotations

import logging
import sys
import warnings
from collections.abc import Mapping, MutableMapping
from pathlib import PurePath
from typing import Any, TextIO

import orjson
import structlog

NEVER_LOGGED = frozenset(
    {"body", "request", "answer", "record", "fields", "value", "key", "headers", "secret"}
)
"""Names under which patient data or secrets would travel; whoever logs them by mistake logs nothing."""
TEXT_MAX_CHARACTERS = 500
NOT_LOGGED = "(not logged)"
_AT = structlog.processors.TimeStamper(fmt="iso", utc=True)


def configure(stream: TextIO | None = None, *, level: int = logging.INFO) -> None:
    """Send all logs to ``stream`` (standard error by default), those of libraries by their place only."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            _AT,
            _without_patient_data,
            _render,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=_Lines(stream or sys.stderr),
        cache_logger_on_first_use=True,
    )
    # Libraries may put what they were given into their messages, and python-hl7 is known to.
    logging.basicConfig(handlers=[_PlaceOnly()], level=logging.WARNING, force=True)
    logging.getLogger("hl7").disabled = True
    warnings.showwarning = _warned


class _Lines:
    """Writes lines. One that cannot be written is lost, and nothing else is: its disk may be full, or whoever
    read it gone, and what logs has a sender to answer and a delivery to try again. How many were lost is the
    next line that can be written. Threads may log.
    """

    def __init__(self, stream: TextIO) -> None:
        self._printer, self._lost = structlog.PrintLogger(stream), 0

    def __call__(self, *_: object) -> _Lines:
        return self

    def msg(self, line: str) -> None:
        """Write a line, if that can be done."""
        try:
            if self._lost:
                self._printer.msg(_lost(self._lost))
                self._lost = 0
            self._printer.msg(line)
        except (OSError, ValueError):  # a closed stream is a ValueError
            self._lost += 1

    log = debug = info = warn = warning = error = critical = fatal = failure = err = exception = msg


def _lost(count: int) -> str:
    event = {"event": "log-lines-lost", "level": "warning", "lines": count}
    return _render(None, "", _AT(None, "", event))


class _PlaceOnly(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        fault = record.exc_info[0].__name__ if record.exc_info and record.exc_info[0] else None
        structlog.get_logger("bridge.library").log(
            record.levelno,
            "library-log",
            library=record.name,
            place=f"{record.module}.{record.funcName}",
            fault=fault,
        )


def _warned(
    message: Warning | str,  # noqa: ARG001 - it may hold what a library was given
    category: type[Warning],
    filename: str,
    lineno: int,
    file: TextIO | None = None,  # noqa: ARG001 - there is one log
    line: str | None = None,  # noqa: ARG001
) -> None:
    """A warning of Python's, by its place as what a library logs."""
    place = f"{PurePath(filename).stem}:{lineno}"
    structlog.get_logger("bridge.library").warning("library-warning", fault=category.__name__, place=place)


def _without_patient_data(
    _logger: object, _method: str, event: MutableMapping[str, Any]
) -> Mapping[str, Any]:
    return {name: _shown(name, value) for name, value in event.items()}


def _shown(name: str, value: object) -> object:
    match value:
        case _ if name in NEVER_LOGGED:
            return NOT_LOGGED
        case bytes() | bytearray() | memoryview():
            return NOT_LOGGED
        case str() if len(value) > TEXT_MAX_CHARACTERS:
            return value[:TEXT_MAX_CHARACTERS] + "…"
        case Mapping():
            return {str(inner): _shown(str(inner), each) for inner, each in value.items()}
        case list() | tuple() | set() | frozenset():
            return [_shown("", each) for each in value]
    return value


def _render(_logger: object, _method: str, event: MutableMapping[str, Any]) -> str:
    return orjson.dumps(event, default=str).decode()

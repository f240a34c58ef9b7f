"""Logs: one JSON object a line, and never what a message holds, whoever logs it."""

from __future__ import annotations

import ast
import errno
import json
import logging
import warnings
from collections.abc import Iterator
from io import StringIO
from typing import Any

import pytest
import structlog
from captured_logs import captured_logs
from code_reading import modules

from bridge.observe.log import NEVER_LOGGED, TEXT_MAX_CHARACTERS

CANARY = "KANARIE"


@pytest.fixture
def logs() -> Iterator[StringIO]:
    with captured_logs() as stream:
        yield stream


def lines(logs: StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in logs.getvalue().split("\n") if line]


def test_a_line_is_a_json_object_with_event_level_and_time(logs: StringIO) -> None:
    structlog.get_logger("bridge.test").warning("refused", channel="adt", message=17)
    (line,) = lines(logs)
    time = line.pop("timestamp")
    assert line == {"event": "refused", "level": "warning", "channel": "adt", "message": 17}
    assert time.endswith("Z")


@pytest.mark.parametrize("name", sorted(NEVER_LOGGED))
def test_what_travels_under_a_forbidden_name_is_not_logged(name: str, logs: StringIO) -> None:
    structlog.get_logger("bridge.test").error("fault", **{name: CANARY}, other="kept")
    (line,) = lines(logs)
    assert (line[name], line["other"]) == ("(not logged)", "kept")
    assert CANARY not in logs.getvalue()


def test_the_forbidden_names_are_those_that_carry_content() -> None:
    assert {"body", "request", "answer", "record", "fields", "value", "key", "secret"} <= NEVER_LOGGED


class Full(StringIO):
    """A stream of which the disk is full, for a while."""

    room = False

    def flush(self) -> None:
        if not self.room:
            self.seek(0)
            self.truncate()
            raise OSError(errno.ENOSPC, "No space left on device")


def test_a_line_that_cannot_be_written_is_lost_and_counted_and_stops_nothing() -> None:
    stream = Full()
    with captured_logs(stream):
        log = structlog.get_logger("bridge.test")
        log.info("first")
        log.warning("second")
        logging.getLogger("some.library").warning("third")
        stream.room = True
        log.error("fourth")
        log.error("fifth")
        lost, *others = lines(stream)
        assert (lost["event"], lost["lines"]) == ("log-lines-lost", 3)
        assert [each["event"] for each in others] == ["fourth", "fifth"]
        stream.close()
        log.error("nobody hears this")


def test_the_bridge_itself_logs_nothing_under_a_forbidden_name() -> None:
    levels = {"debug", "info", "warning", "error", "critical"}
    lost = [
        f"{module.path}:{node.lineno}: {each.arg}"
        for module in modules()
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in levels
        for each in node.keywords
        if each.arg in NEVER_LOGGED
    ]
    assert lost == [], "it would be read as (not logged)"


@pytest.mark.parametrize("value", [CANARY.encode(), b""], ids=["some", "none"])
def test_bytes_are_never_logged(value: bytes, logs: StringIO) -> None:
    structlog.get_logger("bridge.test").info("seen", anything=value)
    assert lines(logs)[0]["anything"] == "(not logged)"


NESTED: dict[str, Any] = {
    "in a mapping": {"body": CANARY},
    "deep in a mapping": {"outer": {"fields": [CANARY]}},
    "bytes in a list": [CANARY.encode()],
    "bytes in a mapping": {"anything": CANARY.encode()},
}


@pytest.mark.parametrize("case", NESTED)
def test_what_is_forbidden_is_so_within_other_values(case: str, logs: StringIO) -> None:
    structlog.get_logger("bridge.test").info("seen", details=NESTED[case])
    assert CANARY not in logs.getvalue()


@pytest.mark.parametrize(("over", "cut"), [(0, False), (1, True), (9000, True)])
def test_long_text_is_cut(over: int, cut: bool, logs: StringIO) -> None:
    text = "x" * (TEXT_MAX_CHARACTERS + over)
    structlog.get_logger("bridge.test").info("seen", reason=text)
    assert lines(logs)[0]["reason"] == ("x" * TEXT_MAX_CHARACTERS + "…" if cut else text)


def test_words_of_every_kind_survive(logs: StringIO) -> None:
    structlog.get_logger("bridge.test").info("seen", number=1.5, none=None, odd={1}, text='"\n\x1b[1m\u2028')
    (line,) = lines(logs)
    assert (line["number"], line["none"], line["text"]) == (1.5, None, '"\n\x1b[1m\u2028')
    assert "\x1b" not in logs.getvalue(), "a log cannot steer a terminal"


@pytest.mark.parametrize(
    ("level", "logged"), [("debug", False), ("info", True), ("warning", True), ("error", True)]
)
def test_debugging_is_not_logged(level: str, logged: bool, logs: StringIO) -> None:
    getattr(structlog.get_logger("bridge.test"), level)("seen")
    assert bool(lines(logs)) is logged


def test_a_library_is_logged_by_its_place_only(logs: StringIO) -> None:
    logging.getLogger("some.library").error("could not read %s", CANARY, extra={"body": CANARY})
    (line,) = lines(logs)
    assert line["event"] == "library-log"
    assert (line["library"], line["level"], line["fault"]) == ("some.library", "error", None)
    assert line["place"] == "test_log.test_a_library_is_logged_by_its_place_only"
    assert CANARY not in logs.getvalue()


def test_a_library_fault_is_logged_by_its_type_only(logs: StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        logging.getLogger("some.library").exception("about %s", CANARY, stack_info=True)
    (line,) = lines(logs)
    assert line["fault"] == "ValueError"
    assert CANARY not in logs.getvalue()


@pytest.mark.parametrize(("level", "logged"), [(logging.INFO, False), (logging.WARNING, True)])
def test_libraries_are_heard_from_warnings_on(level: int, logged: bool, logs: StringIO) -> None:
    logging.getLogger("some.library").log(level, CANARY)
    assert bool(lines(logs)) is logged


def test_python_hl7_is_not_heard_at_all(logs: StringIO) -> None:
    logging.getLogger("hl7").error(CANARY)
    assert logs.getvalue() == ""


def test_a_fault_that_is_logged_with_its_traceback_shows_no_text(logs: StringIO) -> None:
    try:
        raise ValueError(CANARY)
    except ValueError:
        structlog.get_logger("bridge.test").exception("fault")
    assert lines(logs)[0]["event"] == "fault"
    assert CANARY not in logs.getvalue()


def test_capturing_leaves_logging_as_it_was() -> None:
    root, before = logging.getLogger(), structlog.get_config()
    handlers, level = root.handlers[:], root.level
    with captured_logs():
        assert root.handlers != handlers
    assert (root.handlers, root.level, structlog.get_config()) == (handlers, level, before)


def test_a_warning_of_a_library_is_a_json_line_with_its_place_and_without_its_text(logs: StringIO) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn(CANARY, RuntimeWarning, stacklevel=1)
    [line] = lines(logs)
    assert (line["event"], line["fault"]) == ("library-warning", "RuntimeWarning")
    assert line["place"].startswith("test_log")
    assert CANARY not in logs.getvalue()

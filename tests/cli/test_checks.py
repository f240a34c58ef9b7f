"""What `bridge status --check` says of an operation that is not called."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.cli.checks import of_node
from bridge.destinations.reasons import REASONS


def told(reason: str, *, state: str = "open", failing: dict[str, Any] | None = None) -> list[str]:
    """The worries of a node that has one operation."""
    operation = {"state": state, "reason": reason, "until_us": None, "failing": failing, "waiting": 2}
    api = {
        "keys_blocked": 0,
        "collecting": {"trouble": ""},
        "blocked_routes": [],
        "paused": [],
        "operations": {"send": operation},
    }
    return of_node({"journal_failing": False, "stopped": [], "channels": {}, "apis": {"outbox": api}})


def test_why_an_operation_is_left_alone_is_said_in_words_with_its_reason() -> None:
    assert told("folder-missing") == [
        "send of outbox is left alone: The folder is not there: is its disk mounted? (folder-missing)"
    ]
    assert told("forbidden", failing={"since_us": 0, "reason": "forbidden", "status": 403}) == [
        "send of outbox is left alone: it answers 403, `bridge explain forbidden` says what that means "
        "(forbidden)"
    ]
    assert told("", failing=None) == ["send of outbox is left alone: its API asks for a wait"]


@pytest.mark.parametrize("reason", REASONS)
def test_each_reason_of_an_attempt_is_told_with_the_first_sentence_about_it(reason: str) -> None:
    (worry,) = told(reason)
    words = worry.removeprefix("send of outbox is left alone: ").removesuffix(f" ({reason})")
    assert REASONS[reason].startswith(words)


def test_why_no_call_succeeds_is_said_in_words_with_its_reason() -> None:
    failing = {"since_us": 0, "reason": "connect-failed", "status": None}
    (worry,) = told("", state="closed", failing=failing)
    assert worry.endswith(
        "days: No connection was made: is it running, and may this machine reach it? (connect-failed); "
        "2 keys waiting"
    )

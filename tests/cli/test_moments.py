"""Times as a person writes them, with one reading for all commands."""

from __future__ import annotations

from datetime import datetime

import click
import pytest

from bridge.cli.moments import coming_us, past_us

NOW_S = 1_800_000_000.0
HOUR_US = 3_600_000_000


def test_a_duration_is_before_or_after_now() -> None:
    now_us = int(NOW_S * 1e6)
    assert past_us("2h", "--since", NOW_S) == now_us - 2 * HOUR_US
    assert coming_us("2h", "--until", NOW_S) == now_us + 2 * HOUR_US
    assert past_us(None, "--since", NOW_S) is coming_us(None, "--until", NOW_S) is None


def test_a_time_is_that_time_in_either_direction() -> None:
    text = "2030-01-02T03:04:05"
    expected = int(datetime.fromisoformat(text).timestamp() * 1e6)
    assert past_us(text, "--since", NOW_S) == coming_us(text, "--until", NOW_S) == expected
    assert past_us("2030-01-02T03:04:05+00:00", "--since", NOW_S) == 1_893_553_445_000_000


@pytest.mark.parametrize("text", ["yesterday", "2", "2 h", "99999999999999d", "-2h", "2030-13-01", ""])
def test_what_is_neither_is_told(text: str) -> None:
    for read in (past_us, coming_us):
        with pytest.raises(click.BadParameter, match="2026-11-23T06:00"):
            read(text, "--until", NOW_S)


def test_what_is_to_come_has_not_passed() -> None:
    for text in ("2001-01-01", "0s"):
        with pytest.raises(click.BadParameter, match="passed"):
            coming_us(text, "--until", NOW_S)

"""Times as a person writes them: how far away, ``2h``, or when, ``2026-11-23T06:00`` in local time."""

from __future__ import annotations

import re
from datetime import datetime

import click

from bridge.units import parse_duration

_FAR = re.compile(r"[\d.]+(ms|s|m|h|d)")


def past_us(text: str | None, option: str, now_s: float) -> int | None:
    """A time, or how long ago it was, in microseconds; None for none. Raises BadParameter."""
    return _moment_us(text, option, now_s, -1, "how long ago")


def coming_us(text: str | None, option: str, now_s: float) -> int | None:
    """A time to come, or how long until then, in microseconds; None for none. Raises BadParameter."""
    found = _moment_us(text, option, now_s, 1, "a duration")
    if found is not None and found <= now_s * 1e6:
        raise click.BadParameter("this time has passed", param_hint=option)
    return found


def _moment_us(text: str | None, option: str, now_s: float, direction: int, what: str) -> int | None:
    if text is None:
        return None
    try:
        if _FAR.fullmatch(text):
            return int((now_s + direction * parse_duration(text)) * 1e6)
        return int(datetime.fromisoformat(text).timestamp() * 1e6)
    except (ValueError, OverflowError):
        said = f"expected {what}, 2h, or a time, 2026-11-23T06:00 (local time)"
        raise click.BadParameter(said, param_hint=option) from None

"""Functions for dates that are not written the HL7 way. HL7 dates need none: the target field converts them.

A pattern is made of ``%Y %m %d %H %M %S`` (four digits for the year, two for the rest), ``%j`` (day of the
year, three digits), ``%z`` (an offset) and the characters between them. There is no two-digit year: which
century is meant is not a question of format.
"""

from __future__ import annotations

import re
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Annotated, Final

from bridge.mapping.signature import Checked
from bridge.mapping.values import ValueRefused

_DIRECTIVES: Final = {
    "%Y": "(?P<Y>[0-9]{4})",
    "%m": "(?P<m>[0-9]{2})",
    "%d": "(?P<d>[0-9]{2})",
    "%H": "(?P<H>[0-9]{2})",
    "%M": "(?P<M>[0-9]{2})",
    "%S": "(?P<S>[0-9]{2})",
    "%j": "(?P<j>[0-9]{3})",
    "%z": "(?P<z>[+-][0-9]{2}:?[0-9]{2}|Z)",
    "%%": "%",
}
_PIECE = re.compile("%.?|[^%]+")


def pattern_mistake(pattern: str) -> str | None:
    """What is wrong with a pattern, or None.

    >>> pattern_mistake("%d.%m.%y")
    "'%y' is not known in a date pattern; it takes %Y %m %d %H %M %S %j %z"
    """
    found: list[str] = re.findall("%.?", pattern)
    for each in found:
        if each not in _DIRECTIVES:
            return f"{each!r} is not known in a date pattern; it takes %Y %m %d %H %M %S %j %z"
    named = [each for each in found if each != "%%"]
    if len(set(named)) != len(named):
        return "a date pattern names each part once"
    if "%Y" not in named or not ({"%m", "%d"} <= set(named) or "%j" in named):
        return "a date pattern needs %Y with %m and %d, or with %j"
    return None


Pattern = Annotated[str, Checked(pattern_mistake)]


def date_fmt(text: str, pattern: Pattern) -> str:
    """The day that ``text`` writes in ``pattern``, in ISO 8601.

    >>> date_fmt("29.02.2024", "%d.%m.%Y")
    '2024-02-29'
    """
    return _parse(text, pattern)[0].date().isoformat()


def datetime_fmt(text: str, pattern: Pattern) -> str:
    """The date and time that ``text`` writes in ``pattern``, in ISO 8601, with the offset if it has one.

    >>> datetime_fmt("2024-01-02 03:15", "%Y-%m-%d %H:%M")
    '2024-01-02T03:15:00'
    """
    moment, offset = _parse(text, pattern)
    return moment.isoformat(timespec="seconds") + offset


def _parse(text: str, pattern: str) -> tuple[datetime, str]:
    match = _expression(pattern).fullmatch(text.strip())
    if match is None:
        raise ValueRefused("R020", "not written as the pattern says")
    parts = match.groupdict()
    numbers = {name: int(value) for name, value in parts.items() if name != "z"}
    try:
        if "j" in numbers:
            day = date(numbers["Y"], 1, 1) + timedelta(days=numbers["j"] - 1)
            if day.year != numbers["Y"]:
                raise ValueRefused("R020", "no day of the calendar")
        else:
            day = date(numbers["Y"], numbers["m"], numbers["d"])
        clock = (numbers.get("H", 0), numbers.get("M", 0), numbers.get("S", 0))
        return datetime(day.year, day.month, day.day, *clock), parts.get("z", "")  # noqa: DTZ001 - as written
    except (ValueError, OverflowError):
        raise ValueRefused("R020", "no day of the calendar, or no time of the day") from None


@lru_cache(maxsize=256)
def _expression(pattern: str) -> re.Pattern[str]:
    pieces: list[str] = _PIECE.findall(pattern)
    return re.compile("".join(_DIRECTIVES.get(each) or re.escape(each) for each in pieces))

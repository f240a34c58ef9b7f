"""Functions for dates that are not written the HL7 way. HL7 dates need none: the target field converts them.

A pattern is made of ``%Y %m %d %H %M %S`` (four digits for the year, two for the rest), ``%j`` (day of the
year, three digits), ``%z`` (an offset) and the characters between them. There is no two-digit year: which
century is meant is not a question of format.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import lru_cache
from math import ceil
from types import MappingProxyType
from typing import Annotated, Final
from zoneinfo import ZoneInfo

from bridge.mapping.functions.numbers import decimal
from bridge.mapping.signature import Checked
from bridge.mapping.times import Moment, iso_date, iso_datetime, read_moment, zone_names
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


def zone_mistake(zone: str) -> str | None:
    """What is wrong with the name of a time zone, or None.

    >>> zone_mistake("Central")
    'no time zone of this name: as in America/Chicago'
    """
    return None if zone in zone_names() else "no time zone of this name: as in America/Chicago"


Zone = Annotated[str, Checked(zone_mistake)]


def assume_zone(text: str, zone: Zone) -> str:
    """A date and time with its offset; one without an offset is of ``zone``.

    >>> assume_zone("202401020300", "America/Chicago"), assume_zone("202401020300-0500", "America/Chicago")
    ('2024-01-02T03:00:00-06:00', '2024-01-02T03:00:00-05:00')
    """
    return iso_datetime(text, ZoneInfo(zone))[0]


def at_zone(text: str, zone: Zone) -> str:
    """A date and time that has an offset, as the clocks of ``zone`` showed it.

    >>> at_zone("202401020300-0500", "Europe/Vienna")
    '2024-01-02T09:00:00+01:00'
    """
    try:
        return datetime.fromisoformat(iso_datetime(text, None)[0]).astimezone(ZoneInfo(zone)).isoformat()
    except OverflowError:
        raise ValueRefused("R020", "out of the range of times") from None


def precision(text: str) -> str:
    """Down to what a date or time was written: year, month, day, minute, second or fraction.

    >>> precision("2024"), precision("202401020315"), precision("20240102031500.25")
    ('year', 'minute', 'fraction')
    """
    moment = read_moment(text)
    if moment.fraction:
        return "fraction"
    told = (("minute", moment.minute), ("day", moment.day), ("month", moment.month))
    least = next((name for name, value in told if value is not None), "year")
    return "second" if least == "minute" and _seconds_told(text) else least


def _seconds_told(text: str) -> bool:
    written = re.sub(r"(?:[+-][0-9]{2}:?[0-9]{2}|Z)$", "", text.strip())
    return len(re.sub(r"[^0-9]", "", written)) >= len("20240102031500")


_PARTS: Final = ("year", "month", "day", "hour", "minute", "second", "weekday")


def part_mistake(part: str) -> str | None:
    """What is wrong with the name of a part of a date, or None.

    >>> part_mistake("week")
    'one of year, month, day, hour, minute, second, weekday'
    """
    return None if part in _PARTS else f"one of {', '.join(_PARTS)}"


DatePart = Annotated[str, Checked(part_mistake)]


def date_part(text: str, part: DatePart) -> Decimal | None:
    """One number of a date or time, as it was written; absent where it was not. Monday is weekday 1.

    >>> date_part("202401020315", "hour"), date_part("2024", "month"), date_part("20240101", "weekday")
    (Decimal('3'), None, Decimal('1'))
    """
    moment = read_moment(text)
    if part == "weekday":
        day = _whole_day(moment)
        return None if day is None else Decimal(day.isoweekday())
    number: int | None = moment.second if part == "second" and moment.minute is not None else None
    if part != "second":
        number = getattr(moment, part)
    return None if number is None else Decimal(number)


def add_days(text: str, days: int) -> str:
    """The day so many days after a date, or before it with a negative number.

    >>> add_days("20240228", 2), add_days("20240101", -1)
    ('2024-03-01', '2023-12-31')
    """
    try:
        return (_day_of(text) + timedelta(days=days)).isoformat()
    except OverflowError:
        raise ValueRefused("R020", "out of the range of days") from None


def days_between(first: str, second: str) -> Decimal:
    """How many days lie between two dates; negative where the second is the earlier one.

    >>> days_between("20240228", "20240301")
    Decimal('2')
    """
    return Decimal((_day_of(second) - _day_of(first)).days)


def age_at(born: str, day: str) -> Decimal:
    """Whole years between a birth date and a day.

    >>> age_at("19800229", "20240228"), age_at("19800229", "20240229")
    (Decimal('43'), Decimal('44'))
    """
    birth, at = _day_of(born), _day_of(day)
    return Decimal(at.year - birth.year - ((at.month, at.day) < (birth.month, birth.day)))


def excel_serial(text: str) -> str:
    """The day of a spreadsheet's number, as counted from 1900; a fraction, the time of day, is left out.

    >>> excel_serial("45293"), excel_serial("45293.5")
    ('2024-01-02', '2024-01-02')
    """
    match = re.fullmatch(r"([0-9]{1,7})(?:\.[0-9]*)?", text.strip())
    # Spreadsheets count a 29 February 1900 that never was, so numbers before it are a day off; none is taken.
    if match is None or not 60 < int(match[1]) < 2_958_466:
        raise ValueRefused("R020", "no day of a spreadsheet")
    return (date(1899, 12, 30) + timedelta(days=int(match[1]))).isoformat()


_SECONDS: Final[Mapping[str, int]] = MappingProxyType(
    {
        **dict.fromkeys(("S", "SEC", "SECS", "SECOND", "SECONDS"), 1),
        **dict.fromkeys(("M", "MIN", "MINS", "MINUTE", "MINUTES"), 60),
        **dict.fromkeys(("H", "HR", "HRS", "HOUR", "HOURS"), 3600),
        **dict.fromkeys(("D", "DAY", "DAYS"), 86_400),
    }
)
"""Units of time as senders write them in SCH-10 and AIS-8 (HL7 v2.5.1 §10.6.1.10)."""


def minutes_in(text: str, unit: str) -> str | None:
    """A duration in whole minutes, rounded up; absent where the unit is not seconds, minutes, hours or days.

    >>> minutes_in("1", "HR"), minutes_in("90", "sec"), minutes_in("2", "slots")
    ('60', '2', None)
    """
    number, seconds = decimal(text), _SECONDS.get(unit.strip().upper())
    return None if seconds is None else str(ceil(number * seconds / 60))


def julian(text: str) -> str:
    """The day written as year and day of the year, YYYYDDD.

    >>> julian("2024060")
    '2024-02-29'
    """
    return date_fmt(text, "%Y%j")


def century_window(text: str, pivot: int) -> str:
    """The day written as YYMMDD: years from ``pivot`` on are of the 1900s, those below of the 2000s.

    >>> century_window("800229", 30), century_window("240229", 30)
    ('1980-02-29', '2024-02-29')
    """
    written = text.strip()
    if re.fullmatch(r"[0-9]{6}", written) is None or not 0 <= pivot <= 100:
        raise ValueRefused("R020", "not written as YYMMDD")
    return iso_date(("19" if int(written[:2]) >= pivot else "20") + written)


def _day_of(text: str) -> date:
    day = _whole_day(read_moment(text))
    if day is None:
        raise ValueRefused("R020", "a whole day is wanted")
    return day


def _whole_day(moment: Moment) -> date | None:
    if moment.month is None or moment.day is None:
        return None
    return date(moment.year, moment.month, moment.day)

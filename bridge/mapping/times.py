"""HL7 dates and times (HL7 v2.5.1 §2.A.21 DT, §2.A.22 DTM) become ISO 8601 text. Pure; no clock is read.

The precision that was sent is kept: a year stays a year. An offset that was sent is kept. A time without
one is a local time of the zone that is given; where clocks were changed, the result says so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone, tzinfo
from functools import cache, lru_cache
from typing import Final
from zoneinfo import available_timezones

from bridge.mapping.values import Value, ValueRefused

AMBIGUOUS: Final = "R021"
MOVED: Final = "R022"
OFFSET_MAX_MINUTES: Final = 14 * 60
MOMENT_MAX_CHARACTERS: Final = 40
"""More than any way to write one has."""

_MOMENT = re.compile(
    r"([0-9]{4})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:([0-9]{2})(?:\.([0-9]{1,6}))?)?)?)?)?)?"
    r"([+-][0-9]{4}|Z)?"
)
_ISO = re.compile(
    r"([0-9]{4})-([0-9]{2})(?:-([0-9]{2})"
    r"(?:[T ]([0-9]{2}):([0-9]{2})(?::([0-9]{2})(?:\.([0-9]{1,6}))?)?([+-][0-9]{2}:?[0-9]{2}|Z)?)?)?"
)

_OFFSET = re.compile(r"(?:[0-9]{2}(?:\.[0-9]+)?[+-][0-9]{2}:?[0-9]{2}|Z)$")

_IN_FULL = re.compile(r"([0-9]{8})([0-9]{2})([0-9]{2})(?:([0-9]{2})(\.[0-9]{1,6})?)?([+-][0-9]{4})")


@dataclass(frozen=True, slots=True)
class Moment:
    """A date, or a date and time, as it was written; what was not written is None."""

    year: int
    month: int | None
    day: int | None
    hour: int | None
    minute: int | None
    second: int
    fraction: str
    offset_minutes: int | None


def read_moment(text: str) -> Moment:
    """What an HL7 or ISO 8601 date or time says; ValueRefused R020 where it is none that exists."""
    written = text.strip()
    match = _MOMENT.fullmatch(written) or _ISO.fullmatch(written)
    if match is None:
        raise ValueRefused("R020", "not written as an HL7 date or time, YYYY[MM[DD[HHMM[SS[.S]]]]][+/-ZZZZ]")
    year, month, day, hour, minute, second = (
        None if part is None else int(part) for part in match.groups()[:6]
    )
    assert year is not None, "the pattern begins with a year"
    try:
        date(year, 1 if month is None else month, 1 if day is None else day)
    except ValueError:
        raise ValueRefused("R020", "no day of the calendar") from None
    if (hour or 0) > 23 or (minute or 0) > 59 or (second or 0) > 59:
        raise ValueRefused("R020", "no time of the day")
    return Moment(year, month, day, hour, minute, second or 0, match[7] or "", _offset(match[8]))


def has_offset(text: str) -> bool:
    """Whether a date and time says its offset itself.

    >>> has_offset("202401020300-0500"), has_offset("202401020300")
    (True, False)
    """
    return _OFFSET.search(text.strip()) is not None


def with_offset(text: str) -> str | None:
    """The time of a text that is written in full, with its offset, as HL7 has it; None for every other.

    What it gives is what `iso_datetime` gives, which needs three times as long.

    >>> with_offset("202401020300-0500"), with_offset("202401020300")
    ('2024-01-02T03:00:00-05:00', None)
    """
    match = _IN_FULL.fullmatch(text)
    if match is None:
        return None
    day, hour, minute, second, fraction, offset = match.groups("")
    try:
        datetime(int(day[:4]), int(day[4:6]), int(day[6:]), int(hour), int(minute), int(second or 0))  # noqa: DTZ001 - only whether there is such a time
    except ValueError:
        return None
    if offset[3:] > "59" or int(offset[1:3]) * 60 + int(offset[3:]) > OFFSET_MAX_MINUTES:
        return None
    told = f"{day[:4]}-{day[4:6]}-{day[6:]}T{hour}:{minute}:{second or '00'}{fraction}"
    return f"{told}{offset[:3] if offset[1:] != '0000' else '+00'}:{offset[3:]}"


def plain_day(text: str) -> str | None:
    """The day of eight digits that are one, as `iso_date` gives it; None for every other text.

    >>> plain_day("19800229"), plain_day("19810229")
    ('1980-02-29', None)
    """
    if len(text) != 8 or not text.isdigit() or not text.isascii():
        return None
    try:
        return date(int(text[:4]), int(text[4:6]), int(text[6:])).isoformat()
    except ValueError:
        return None


def iso_date(text: str) -> str:
    """The day of a date or time, in the precision that was sent; a time of day is left out.

    >>> iso_date("20240229"), iso_date("198007"), iso_date("1980"), iso_date("202401020315-0500")
    ('2024-02-29', '1980-07', '1980', '2024-01-02')
    """
    return _day(read_moment(text))


def iso_datetime(text: str, zone: tzinfo | None) -> tuple[str, str | None]:
    """The time with its offset, and None, AMBIGUOUS or MOVED.

    ``zone`` is where a time without an offset was told. ValueRefused R020 where the text has no minutes.

    >>> iso_datetime("202401020300-0500", None)
    ('2024-01-02T03:00:00-05:00', None)
    """
    return _instant(read_moment(text), zone)


def iso_date_or_datetime(text: str, zone: tzinfo | None) -> tuple[str, str | None]:
    """`iso_datetime` where the text has a time of day, else `iso_date`."""
    moment = read_moment(text)
    return (_day(moment), None) if moment.hour is None else _instant(moment, zone)


def day_of(value: Value) -> str:
    """The day of a date or time; the first of what is less exact, '' where it is none.

    >>> day_of("202401020315"), day_of("2024"), day_of("soon")
    ('2024-01-02', '2024-01-01', '')
    """
    if not isinstance(value, str):
        return ""
    try:
        day = iso_date(value)
    except ValueRefused:
        return ""
    return (day + "-01-01")[: len("2024-01-31")]


@cache
def zone_names() -> frozenset[str]:
    """The time zones of this machine. Looked for once: they are 600 files, and each mapping names one."""
    return frozenset(available_timezones())


@dataclass(frozen=True, slots=True)
class ZonesBySender:
    """Zones by what a message says of its sender, in one component. ``otherwise`` None: others have none."""

    segment: str
    field: int
    component: int
    zones: Mapping[str, tzinfo]
    otherwise: tzinfo | None

    def of(self, sender: Value) -> tzinfo | None:
        """The zone of a sender."""
        return self.zones.get(sender, self.otherwise) if isinstance(sender, str) else self.otherwise


def message_zone(told: str, declared: tzinfo | None) -> tzinfo | None:
    """The zone of a message whose MSH-7 is ``told``, for a mapping that declares ``declared``.

    HL7 v2.5.1 §2.15.9.7: an offset in MSH-7 holds for all times of the message. Where the declared zone has
    that offset at that time, the zone is taken, since it also knows what the offset is in another season.
    """
    written = told.strip()
    return _message_zone(written, declared) if len(written) <= MOMENT_MAX_CHARACTERS else declared


@lru_cache(maxsize=64)  # many messages are of the same second
def _message_zone(told: str, declared: tzinfo | None) -> tzinfo | None:
    try:
        moment = read_moment(told)
        if moment.offset_minutes is None or moment.hour is None or moment.minute is None:
            return declared
        fixed = timezone(timedelta(minutes=moment.offset_minutes))
        if declared is None:
            return fixed
        at = datetime(
            moment.year, moment.month or 1, moment.day or 1, moment.hour, moment.minute, tzinfo=fixed
        )
        return declared if at.astimezone(declared).utcoffset() == at.utcoffset() else fixed
    except (ValueRefused, OverflowError):
        return declared


def _offset(written: str | None) -> int | None:
    if written is None:
        return None
    if written == "Z":
        return 0
    hours, minutes = int(written[1:3]), int(written[-2:])
    total = hours * 60 + minutes
    if minutes > 59 or total > OFFSET_MAX_MINUTES:
        raise ValueRefused("R020", "no offset that any place on earth has")
    return -total if written[0] == "-" else total


def _day(moment: Moment) -> str:
    text = f"{moment.year:04}"
    if moment.month is not None:
        text += f"-{moment.month:02}"
    if moment.day is not None:
        text += f"-{moment.day:02}"
    return text


def _instant(moment: Moment, zone: tzinfo | None) -> tuple[str, str | None]:
    if moment.hour is None or moment.minute is None:
        raise ValueRefused("R020", "a date and time is wanted, and it has no hour and minute")
    assert moment.month is not None and moment.day is not None, "an hour is written after a day"  # noqa: PT018
    flag = None
    offset = moment.offset_minutes
    local = datetime(moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second)  # noqa: DTZ001 - a local time, as written
    if offset is None:
        if zone is None:
            raise ValueRefused("R020", "it has no offset, and no time zone is known")
        try:
            local, offset, flag = _placed(local, zone)
        except OverflowError:
            raise ValueRefused("R020", "out of the range of times") from None
    sign = "-" if offset < 0 else "+"
    hours, minutes = divmod(abs(offset), 60)
    fraction = f".{moment.fraction}" if moment.fraction else ""
    # `isoformat` pads years before 1000, `strftime` does not everywhere.
    return f"{local.isoformat(timespec='seconds')}{fraction}{sign}{hours:02}:{minutes:02}", flag


def _placed(local: datetime, zone: tzinfo) -> tuple[datetime, int, str | None]:
    """A local time in its zone: the wall clock, the offset in minutes, and what was odd about it."""
    earlier = local.replace(tzinfo=zone)
    first, second = earlier.utcoffset(), earlier.replace(fold=1).utcoffset()
    assert first is not None and second is not None, "a zone gives an offset for every time"  # noqa: PT018
    flag = None
    if first != second:
        flag = AMBIGUOUS if first > second else MOVED
        if flag == MOVED:
            # What the clock showed where it had not been set forward, as an instant, is what was meant.
            earlier = earlier.astimezone(UTC).astimezone(zone)
            first = earlier.utcoffset()
            assert first is not None, "a zone gives an offset for every time"
    seconds = int(first.total_seconds())
    if seconds % 60:
        raise ValueRefused("R020", "before its zone kept standard time")
    return earlier.replace(tzinfo=None), seconds // 60, flag

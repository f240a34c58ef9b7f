"""How new the state is that a record tells, by fields that a file names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from bridge.canonical.base import FieldType
from bridge.canonical.ranks import RANKS
from bridge.component import NEWER_BY_MAX_COUNT

_TIMES: Final = ("datetime", "date_or_datetime")


def tells_newness(field: FieldType) -> bool:
    """Whether states can be compared by a field: a time with its offset, or a status with a rank."""
    ranked = field.kind == "enum" and all(value in RANKS for value in field.values)
    return ranked or field.kind in _TIMES


def newness_of(fields: Mapping[str, Any], by: Sequence[str]) -> tuple[int, int] | None:
    """Numbers that are the larger the newer the state is; None where the record does not tell.

    A date without a time of day tells too little: of two states of one day neither is known to be newer.

    >>> newness_of({"event_time": "2024-01-02T03:00:00-05:00", "status": "final"}, ["event_time", "status"])
    (1704182400000000, 4)
    >>> newness_of({"event_time": "2024-01-02"}, ["event_time"]), newness_of({"status": "final"}, ["status"])
    (None, (4, 0))
    """
    found = [_number(fields.get(name)) for name in by[:NEWER_BY_MAX_COUNT]]
    if None in found or not found:
        return None
    first, second = [*found, 0][:2]
    return first or 0, second or 0


def _number(value: Any) -> int | None:
    if not isinstance(value, str):
        return None
    if value in RANKS:
        return RANKS[value]
    if "T" not in value:
        return None
    at = datetime.fromisoformat(value)
    # Whole seconds and the rest apart: a float of a time has not all of its microseconds.
    return (
        None if at.tzinfo is None else int(at.replace(microsecond=0).timestamp()) * 1_000_000 + at.microsecond
    )

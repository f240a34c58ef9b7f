"""Code tables in files of their own: CSV with `from` and `to`, and if need be dates and senders."""

from __future__ import annotations

import csv
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field
from typing import Final

from bridge.located import Place, Scalar, did_you_mean
from bridge.mapping.document import Report
from bridge.mapping.times import iso_date
from bridge.mapping.values import ValueRefused

ROWS_MAX_COUNT: Final = 200_000
SIZE_MAX_BYTES: Final = 16 * 1024 * 1024
KNOWN_COLUMNS: Final = ("from", "to", "sender", "valid_from", "valid_to", "source")
_COLUMNS_MAX_COUNT: Final = 64
_MISTAKES_MAX_COUNT: Final = 50
"""Of one file: a table that was not meant to be one would have one in each row."""


@dataclass(frozen=True, slots=True)
class Row:
    """What one code means, for ``sender`` (or for all) and from ``start`` to ``end``, both days included.

    Days are ISO 8601; empty: no limit. ``more`` are the columns of the file's own.
    """

    value: Scalar
    sender: str = ""
    start: str = ""
    end: str = ""
    more: Dict[str, str] = field(default_factory=dict)

    @property
    def dated(self) -> bool:
        """Whether it counts on some days only."""
        return bool(self.start or self.end)

    def holds(self, sender: str, day: str) -> bool:
        """Whether the row counts for a sender on a day; without a day only one without dates does."""
        if self.sender and self.sender != sender:
            return False
        if not self.dated:
            return True
        return bool(day) and (not self.start or self.start <= day) and (not self.end or day <= self.end)

    def overlaps(self, other: Row) -> bool:
        """Whether two rows of one code say different things of the same sender on the same day.

        One without days is what holds where none with days does.
        """
        if self.sender != other.sender or self.dated != other.dated:
            return False
        first, second = sorted((self, other), key=lambda row: row.start)
        return not first.end or not second.start or second.start <= first.end


Rows = dict[str, tuple[Row, ...]]


def read_table_file(content: bytes, path: str, report: Report) -> Rows | None:
    """The rows by code; None where it is no table at all. What is wrong with a row is noted at its line."""
    start = Place(path, 1, 1)
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as refused:
        line = content.count(b"\n", 0, refused.start) + 1
        report.add(Place(path, line, 1), "E247", "the table is not written in UTF-8", "save it as UTF-8")
        return None
    before = len(report)
    lines = csv.reader([line + "\n" for line in text.split("\n")], strict=True)
    try:
        head = [name.strip() for name in next(lines, [])]
        if not _head_is_right(head, start, report):
            return None
        found: dict[str, list[Row]] = {}
        for count, cells in enumerate(lines, start=1):
            if count > ROWS_MAX_COUNT:
                report.add(Place(path, lines.line_num, 1), "E247", f"more than {ROWS_MAX_COUNT} rows")
                return None
            if cells:
                _add(head, cells, Place(path, lines.line_num, 1), found, report)
            if len(report) - before >= _MISTAKES_MAX_COUNT:
                return None
    except csv.Error as refused:
        place, hint = Place(path, max(lines.line_num, 1), 1), "values with a comma stand in quotes"
        report.add(place, "E247", f"this is no CSV: {refused}", hint)
        return None
    if not found and len(report) == before:
        report.add(start, "E247", "the table has no rows")
        return None
    return {code: tuple(rows) for code, rows in found.items()}


def _head_is_right(head: list[str], start: Place, report: Report) -> bool:
    missing = [name for name in ("from", "to") if name not in head]
    if missing:
        hint = did_you_mean(missing[0], head) or "as in from,to,valid_from,valid_to,sender,source"
        for separator, name in ((";", "semicolons"), ("\t", "tabs")):
            if len(head) == 1 and separator in head[0]:
                hint = f"it is separated by {name}: save it with commas between the values"
        named = " and ".join(map(repr, missing))
        report.add(start, "E247", f"the first line names no column {named}", hint)
        return False
    if len(set(head)) != len(head) or len(head) > _COLUMNS_MAX_COUNT:
        report.add(start, "E247", f"a column stands twice, or there are more than {_COLUMNS_MAX_COUNT}")
        return False
    return True


def _add(
    head: list[str], cells: list[str], place: Place, found: dict[str, list[Row]], report: Report
) -> None:
    if len(cells) != len(head):
        report.add(place, "E247", f"the row has {len(cells)} values, and the first line {len(head)} columns")
        return
    row = dict(zip(head, cells, strict=True))
    code, value = row["from"], row["to"].strip()
    if not code or not value:
        report.add(place, "E247", "`from` or `to` is empty")
        return
    days: list[str] = []
    for name in ("valid_from", "valid_to"):
        try:
            day = iso_date(row[name]) if row.get(name, "").strip() else ""
            if day and len(day) != len("2024-01-31"):
                raise ValueRefused("E247", "a whole day is wanted")
        except ValueRefused:
            report.add(place, "E247", f"{name} is no day", "as in 2024-01-31")
            return
        days.append(day)
    more = {name: text for name, text in row.items() if name not in KNOWN_COLUMNS}
    made = Row(Scalar(value, place), row.get("sender", "").strip(), days[0], days[1], more)
    if made.start and made.end and made.end < made.start:
        report.add(place, "E247", "valid_to is before valid_from")
        return
    rows = found.setdefault(code, [])
    if any(made.overlaps(other) for other in rows):
        report.add(place, "E246", f"{code!r} stands twice for the same sender and day")
        return
    rows.append(made)


def column_of(rows: Rows) -> frozenset[str]:
    """The names of the columns of the file's own."""
    first = next(iter(rows.values()))[0]
    return frozenset(first.more)

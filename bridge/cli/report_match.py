"""A three-way match: what came for an API, what was sent to it, and what its report says that it has. Pure.

A record is known by a field of the body that was sent, and by a column of the report. What does not fit has a
type, and is named by numbers of the journal and lines of the report, never by its values.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from itertools import islice
from typing import Any, Final, Literal, NamedTuple, TextIO

from bridge.journal.sent import Sent

ROWS_MAX_COUNT: Final = 2_000_000
"""A report with more rows is not read: it is held in memory."""
FIELDS_TOLD_MAX: Final = 20
Type = Literal["missing", "extra", "amount", "duplicate", "late", "posted", "unmatched_key"]
MEANINGS: Final[Mapping[Type, str]] = {
    "missing": "it was delivered, and the report does not have it",
    "extra": "the report has it, and nothing was sent",
    "amount": "both have it, with different amounts",
    "duplicate": "the report has it more often than it was sent",
    "late": "the report has it, and it was sent outside of this window",
    "posted": "the report has it, and the journal does not know that it arrived",
    "unmatched_key": "it has no field, or the row no value, by which it could be matched",
}


class NoReport(Exception):
    """A file that is no report; the text says why."""


class NoField(Exception):
    """No body that was sent has the field by which records are matched; the text says what they have."""


class Columns(NamedTuple):
    """By what records are matched: a field of the body and a column of the report, each with its amount;
    '' where amounts are not compared."""

    field: str
    column: str
    amount_field: str = ""
    amount_column: str = ""


class Misfit(NamedTuple):
    """One thing that does not fit, by the delivery, by the line of the report, or by both."""

    type: Type
    delivery_id: int | None = None
    message_id: int | None = None
    file_id: int | None = None
    record: int | None = None
    line: int | None = None


@dataclass(slots=True)
class Side:
    """One of the three: how many records, and their amount."""

    count: int = 0
    amount: Decimal = Decimal(0)

    def add(self, amount: Decimal | None) -> None:
        """One more."""
        self.count += 1
        self.amount += amount or Decimal(0)


@dataclass(slots=True)
class Matched:
    """The three sides, and all that does not fit."""

    received: Side = field(default_factory=Side)
    sent: Side = field(default_factory=Side)
    posted: Side = field(default_factory=Side)
    misfits: list[Misfit] = field(default_factory=list)


@dataclass(slots=True)
class _Posted:
    line: int
    count: int
    amount: Decimal | None


def report_rows(file: TextIO) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """The rows of a report with their lines: JSON, one object a line, or CSV whose first line names the
    columns. Raises NoReport.
    """
    first = file.readline()
    if not first.strip():
        raise NoReport("its first line is empty: expected names of columns, or a JSON object in each line")
    if first.lstrip().startswith("{"):
        number, line = 1, first
        while line:
            if line.strip():
                try:
                    said = json.loads(line, parse_float=str, parse_int=str)
                except ValueError:
                    raise NoReport(f"line {number} is no JSON") from None
                if not isinstance(said, dict):
                    raise NoReport(f"line {number} is no JSON object")
                yield number, said
            number, line = number + 1, file.readline()
        return
    separator = max(",;\t|", key=first.count)
    try:
        names = [
            name.strip().removeprefix("\ufeff") for name in next(csv.reader([first], delimiter=separator))
        ]
        rows = csv.reader(file, delimiter=separator, strict=True)
        for row in rows:
            if row:
                yield rows.line_num + 1, dict(zip(names, row, strict=False))
    except (csv.Error, StopIteration):
        raise NoReport(
            "expected CSV whose first line names the columns, or a JSON object in each line"
        ) from None


def match(
    ours: Iterable[Sent],
    rows: Iterable[tuple[int, Mapping[str, Any]]],
    columns: Columns,
    elsewhere: Iterable[Sent] = (),
) -> Matched:
    """Hold a report against what was sent. ``elsewhere`` is what was sent before and after this window.

    Raises NoReport, and NoField.
    """
    matched = Matched()
    fields: dict[str, None] = {}
    keyed = False
    theirs = _theirs(rows, columns, matched)
    used: dict[str, int] = {}
    for each in ours:
        body = body_of(each.request)
        key, amount = text_at(body, columns.field), amount_at(body, columns.amount_field)
        matched.received.add(amount)
        delivered = each.entry == "delivered"
        if delivered:
            matched.sent.add(amount)
        about = Misfit("missing", each.delivery_id, each.message_id, each.file_id, each.number)
        if not key:
            fields |= dict.fromkeys(islice(body, FIELDS_TOLD_MAX)) if len(fields) < FIELDS_TOLD_MAX else {}
            if delivered:
                matched.misfits.append(about._replace(type="unmatched_key"))
            continue
        keyed = True
        posted = theirs.get(key)
        if posted is None:
            if delivered:
                matched.misfits.append(about)
            continue
        used[key] = used.get(key, 0) + 1
        about = about._replace(line=posted.line)
        if not delivered:
            matched.misfits.append(about._replace(type="posted"))
        elif columns.amount_column and posted.amount != amount:
            matched.misfits.append(about._replace(type="amount"))
    if fields and not keyed:
        told = ", ".join(sorted(fields)[:FIELDS_TOLD_MAX])
        raise NoField(f"nothing that was sent has a value in {columns.field!r}; its fields are {told}")
    left = {key: posted for key, posted in theirs.items() if key not in used}
    for each in elsewhere if left else ():
        key = text_at(body_of(each.request), columns.field)
        if key in left:
            posted = left.pop(key)
            late = Misfit("late", each.delivery_id, each.message_id, each.file_id, each.number, posted.line)
            matched.misfits.append(late)
    matched.misfits += [Misfit("extra", line=posted.line) for posted in left.values()]
    matched.misfits += [
        Misfit("duplicate", line=theirs[key].line) for key, count in used.items() if theirs[key].count > count
    ]
    return matched


def _theirs(
    rows: Iterable[tuple[int, Mapping[str, Any]]], columns: Columns, matched: Matched
) -> dict[str, _Posted]:
    theirs: dict[str, _Posted] = {}
    for count, (line, row) in enumerate(rows, 1):
        if count > ROWS_MAX_COUNT:
            raise NoReport(f"it has more than {ROWS_MAX_COUNT} rows: give a shorter window")
        if count == 1:
            for name in filter(None, (columns.column, columns.amount_column)):
                if name not in row:
                    has = ", ".join(sorted(row)[:FIELDS_TOLD_MAX])
                    raise NoReport(f"it has no column {name!r}; it has {has}: name one as in FIELD=COLUMN")
        key, amount = str(row.get(columns.column) or "").strip(), amount_at(row, columns.amount_column)
        matched.posted.add(amount)
        if not key:
            matched.misfits.append(Misfit("unmatched_key", line=line))
        elif key in theirs:
            theirs[key].count += 1
            theirs[key].line = line
        else:
            theirs[key] = _Posted(line, 1, amount)
    return theirs


def body_of(request: bytes | None) -> Mapping[str, Any]:
    """The fields of the body that was sent; none where it has none."""
    try:
        said = json.loads(request or b"null", parse_float=str)
        body = said.get("body") if isinstance(said, dict) else None
        if isinstance(body, str):
            body = json.loads(body, parse_float=str)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def text_at(body: Mapping[str, Any], path: str) -> str:
    """A field, whose parts stand behind points; '' where it is no text or number.

    >>> text_at({"a": {"b": 7}}, "a.b"), text_at({}, "a")
    ('7', '')
    """
    value: Any = body
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def amount_at(body: Mapping[str, Any], path: str) -> Decimal | None:
    """An amount; None where it is none, or not asked for."""
    try:
        found = Decimal(text_at(body, path).replace(",", "")) if path else None
    except InvalidOperation:
        return None
    return found if found is not None and found.is_finite() else None

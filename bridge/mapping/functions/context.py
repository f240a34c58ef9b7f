"""Functions that know more than their arguments: what was seen in the message before, and the tables."""

from __future__ import annotations

from decimal import Decimal

from bridge.formats.hl7v2 import NULL
from bridge.mapping.signature import TableRows
from bridge.mapping.values import Seen, Value


def occurrence(seen: Seen, *parts: Value) -> Decimal:
    """Which one it is of those with the same parts: 1, 2, ... Two equal rows of one file are two doses.

    >>> seen = Seen()
    >>> occurrence(seen, "A", "99284"), occurrence(seen.elsewhere(), "A", "99284")
    (Decimal('1'), Decimal('2'))
    """
    numbers = seen.counts.setdefault(tuple("" if each is NULL else str(each) for each in parts), {})
    return Decimal(numbers.setdefault(seen.at, len(numbers) + 1))


def lookup(table: TableRows, code: str, column: str, as_of: str | None = None) -> str | None:
    """What a table has for a code in a column of its own, or in `to`; ``as_of`` for codes that have days.

    >>> lookup(lambda code, day: {"to": "female", "note": "HL7"} if code == "F" else None, "F", "note")
    'HL7'
    """
    row = table(code, as_of or "")
    return None if row is None else row.get(column) or None

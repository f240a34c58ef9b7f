"""Functions on lists, such as the repetitions of a field: `PID-3(*).1`."""

from __future__ import annotations

from decimal import Context, Decimal

from bridge.formats.hl7v2 import NULL, Hl7Null
from bridge.mapping.functions import numbers
from bridge.mapping.values import NUMBER_MAX_DIGITS, TEXT_MAX_BYTES, TextValue, Value, ValueRefused
from bridge.units import size_text

_EXACT = Context(prec=2 * NUMBER_MAX_DIGITS + 8)
"""Room for the sum of as many numbers as a list may have."""


def join(separator: str, *parts: Value) -> TextValue:
    """The parts that are there, with the separator between them; lists are taken item by item.

    Absent parts and the HL7 null are left out. Where a record's key or a reference is wanted, a missing part
    makes the whole absent instead, because half a key is the key of somebody else.

    >>> join(" ", "MARY", None, "ANN")
    'MARY ANN'
    """
    found: list[str] = []
    for part in parts:
        if isinstance(part, list):
            found.extend(part)
        elif part is not None and part is not NULL and part != "":
            found.append(str(part))
    if not found:
        return NULL if NULL in parts else None
    # Measured before it is made: a long separator between many items is where a text would explode.
    if sum(map(len, found)) + len(separator) * (len(found) - 1) > TEXT_MAX_BYTES:
        raise ValueRefused("R040", f"a text would be larger than {size_text(TEXT_MAX_BYTES)}")
    return separator.join(found)


def join_all(separator: str, *parts: Value) -> TextValue:
    """The parts with the separator between them, absent where one of them is absent or the HL7 null.

    >>> join_all(":", "NORTH", "100234"), join_all(":", "NORTH", None)
    ('NORTH:100234', None)
    """
    for part in parts:
        if part is None or part is NULL or part in ("", []):
            return None
    return join(separator, *parts)


def count(items: list[str] | Hl7Null | None) -> Decimal:
    """How many items the list has; 0 where there is none.

    >>> count(["A", "B"])
    Decimal('2')
    """
    return Decimal(len(items) if isinstance(items, list) else 0)


def first(items: list[str]) -> str | None:
    """The first item, absent of an empty list.

    >>> first(["A", "B"])
    'A'
    """
    return items[0] if items else None


def last(items: list[str]) -> str | None:
    """The last item, absent of an empty list.

    >>> last(["A", "B"])
    'B'
    """
    return items[-1] if items else None


def concat(*parts: Value) -> TextValue:
    """The parts that are there, one after the other; lists are taken item by item.

    >>> concat("V-", "77", None)
    'V-77'
    """
    return join("", *parts)


def nth(items: list[str], number: int) -> str | None:
    """The item at a place, which counts from 1; absent where the list is shorter.

    >>> nth(["A", "B"], 2), nth(["A", "B"], 3)
    ('B', None)
    """
    return items[number - 1] if 0 < number <= len(items) else None


def distinct(items: list[str]) -> list[str]:
    """Each item once, in the order in which it first stands.

    >>> distinct(["B", "A", "B"])
    ['B', 'A']
    """
    return list(dict.fromkeys(items))


def sort(items: list[str]) -> list[str]:
    """The items in the order of their characters.

    >>> sort(["B", "A"])
    ['A', 'B']
    """
    return sorted(items)


def sum_(items: list[str]) -> Decimal:
    """What the items come to, each of which must be a number. Nothing is rounded.

    >>> sum_(["29.50", "0.5"])
    Decimal('30.00')
    """
    total = Decimal(0)
    for each in items:
        total = _EXACT.add(total, numbers.decimal(each))
    if total.adjusted() >= NUMBER_MAX_DIGITS:
        raise ValueRefused("R040", f"a number would have more than {NUMBER_MAX_DIGITS} digits")
    return total


def min_(items: list[str]) -> Decimal:
    """The smallest of the items, each of which must be a number.

    >>> min_(["10", "9.5"])
    Decimal('9.5')
    """
    return min(map(numbers.decimal, items))


def max_(items: list[str]) -> Decimal:
    """The greatest of the items, each of which must be a number.

    >>> max_(["10", "9.5"])
    Decimal('10')
    """
    return max(map(numbers.decimal, items))

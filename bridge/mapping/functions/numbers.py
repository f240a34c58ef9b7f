"""Functions on numbers, which are decimals and never floats."""

from __future__ import annotations

import re
from decimal import Decimal

from bridge.mapping.values import NUMBER_MAX_DIGITS, ValueRefused

# HL7 v2.5.1 §2.A.47 NM: an optional sign, digits, an optional point.
_NUMBER = re.compile(
    rf"[+-]?(?:[0-9]{{1,{NUMBER_MAX_DIGITS}}}(?:\.[0-9]{{0,{NUMBER_MAX_DIGITS}}})?|\.[0-9]{{1,{NUMBER_MAX_DIGITS}}})"
)


def decimal(text: str) -> Decimal:
    """The number that a text writes, with the zeros it was written with.

    >>> decimal("+98.40")
    Decimal('98.40')
    """
    written = text.strip()
    if _NUMBER.fullmatch(written) is None:
        raise ValueRefused("R020", "not a decimal number")
    return Decimal(written)


def integer(text: str) -> Decimal:
    """The whole number that a text writes; a fraction is refused, not rounded.

    >>> integer("007")
    Decimal('7')
    """
    number = decimal(text)
    if number != number.to_integral_value():
        raise ValueRefused("R020", "not a whole number")
    return number.to_integral_value()


def abs_(number: Decimal) -> Decimal:
    """The number without its sign.

    >>> abs_(Decimal("-99.98"))
    Decimal('99.98')
    """
    return number.copy_abs()


def text(number: Decimal) -> str:
    """The number as text, never in powers of ten.

    >>> text(Decimal("1E+2"))
    '100'
    """
    return format(number, "f")

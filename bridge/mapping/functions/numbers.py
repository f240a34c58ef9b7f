"""Functions on numbers, which are decimals and never floats."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, ROUND_UP, Context, Decimal
from types import MappingProxyType
from typing import Annotated, Final

from bridge.mapping.signature import Checked
from bridge.mapping.values import NUMBER_MAX_DIGITS, ValueRefused

# HL7 v2.5.1 §2.A.47 NM: an optional sign, digits, an optional point.
NUMBER = re.compile(
    rf"[+-]?(?:[0-9]{{1,{NUMBER_MAX_DIGITS}}}(?:\.[0-9]{{0,{NUMBER_MAX_DIGITS}}})?|\.[0-9]{{1,{NUMBER_MAX_DIGITS}}})"
)


def decimal(text: str) -> Decimal:
    """The number that a text writes, with the zeros it was written with.

    >>> decimal("+98.40")
    Decimal('98.40')
    """
    written = text.strip()
    if NUMBER.fullmatch(written) is None:
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


_WIDE: Final = Context(prec=2 * NUMBER_MAX_DIGITS + 4)
_ROUNDING: Final[Mapping[str, str]] = MappingProxyType(
    {"half-up": ROUND_HALF_UP, "half-even": ROUND_HALF_EVEN, "down": ROUND_DOWN, "up": ROUND_UP}
)


def rounding_mistake(mode: str) -> str | None:
    """What is wrong with the name of a way to round, or None.

    >>> rounding_mistake("nearest")
    'one of half-up, half-even, down, up'
    """
    return None if mode in _ROUNDING else f"one of {', '.join(_ROUNDING)}"


Rounding = Annotated[str, Checked(rounding_mistake)]


def round_(number: Decimal, digits: int, mode: Rounding = "half-up") -> Decimal:
    """With so many digits behind the point: `half-up`, `half-even`, `down` or `up` (away from zero).

    >>> round_(Decimal("2.345"), 2), round_(Decimal("2.345"), 2, "half-even")
    (Decimal('2.35'), Decimal('2.34'))
    """
    if not 0 <= digits <= NUMBER_MAX_DIGITS:
        raise ValueRefused("R020", f"round takes 0 to {NUMBER_MAX_DIGITS} digits")
    return number.quantize(Decimal(1).scaleb(-digits), rounding=_ROUNDING[mode], context=_WIDE)


def scale(number: Decimal, places: int) -> Decimal:
    """The number with its point moved: to the right, or with negative places to the left.

    >>> scale(Decimal("1234"), -2), scale(Decimal("1.5"), 3)
    (Decimal('12.34'), Decimal('1500'))
    """
    if not -NUMBER_MAX_DIGITS <= places <= NUMBER_MAX_DIGITS:
        raise ValueRefused("R020", f"scale moves the point by at most {NUMBER_MAX_DIGITS} places")
    return _bounded(decimal(format(number.scaleb(places, context=_WIDE), "f")))


def sign(number: Decimal) -> Decimal:
    """1, 0 or -1.

    >>> sign(Decimal("-99.98"))
    Decimal('-1')
    """
    return Decimal((number > 0) - (number < 0))


def times(number: Decimal, factor: Decimal) -> Decimal:
    """The product of two numbers. Nothing is rounded.

    >>> times(Decimal("3"), Decimal("12.50"))
    Decimal('37.50')
    """
    return _bounded(_WIDE.multiply(number, factor))


def percent(number: Decimal) -> Decimal:
    """A hundredth of the number: 12.5 percent is 0.125.

    >>> percent(Decimal("12.5"))
    Decimal('0.125')
    """
    return _bounded(_WIDE.multiply(number, Decimal("0.01")))


_OVERPUNCH: Final = "{ABCDEFGHI}JKLMNOPQR"
"""The last digit of a signed zoned decimal: 0 to 9 positive, 0 to 9 negative."""


def implied_decimal(text: str, places: int) -> Decimal:
    """A number written without its point, with so many digits behind it; its last digit may carry the sign.

    As COBOL writes it: `{` and `A` to `I` are positive, `}` and `J` to `R` negative digits.

    >>> implied_decimal("00002500{", 2), implied_decimal("00000999Q", 2), implied_decimal("-150", 2)
    (Decimal('250.00'), Decimal('-99.98'), Decimal('-1.50'))
    """
    written, negative = text.strip(), False
    if written[-1:] and (at := _OVERPUNCH.find(written[-1])) >= 0:
        written, negative = written[:-1] + str(at % 10), at >= 10
    number = decimal(written)
    if number != number.to_integral_value() or "." in written or not 0 <= places <= NUMBER_MAX_DIGITS:
        raise ValueRefused("R020", "a number without a point is wanted")
    value = number.scaleb(-places, context=_WIDE)
    return value.copy_negate() if negative else value


def _bounded(number: Decimal) -> Decimal:
    if number.adjusted() >= NUMBER_MAX_DIGITS or -int(number.as_tuple().exponent) > NUMBER_MAX_DIGITS:
        raise ValueRefused("R040", f"a number would have more than {NUMBER_MAX_DIGITS} digits")
    return number

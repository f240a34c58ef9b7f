"""Values become what a canonical field takes. The field's kind decides; a mapping writes no conversion."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from bridge.canonical.base import FieldType, Kind
from bridge.mapping.functions import numbers
from bridge.mapping.reading import Run
from bridge.mapping.times import iso_date, iso_date_or_datetime, iso_datetime, plain_day, with_offset
from bridge.mapping.values import NUMBER_MAX_DIGITS, Type, ValueRefused, bounded_list, bounded_text

AS_IT_IS: Final = re.compile(
    rf"-?(?:0|[1-9][0-9]{{0,{NUMBER_MAX_DIGITS - 1}}})(?:\.[0-9]{{1,{NUMBER_MAX_DIGITS}}})?"
)
Converter = Callable[[Run, Any], Any]

_YES_NO: Final = {"Y": True, "N": False, "y": True, "n": False, "true": True, "false": False}
"""HL7 table 0136, and as JSON has it."""


def _text(run: Run, value: Any) -> str:  # noqa: ARG001 - one shape for all
    return bounded_text(value)


def _number_text(run: Run, value: Decimal) -> str:  # noqa: ARG001
    return numbers.text(value)


def _date(run: Run, value: str) -> str:  # noqa: ARG001
    return plain_day(value) or iso_date(value)


def _datetime(run: Run, value: str) -> str:
    # Of a report's many times most are the same one.
    if (known := run.times.get(value)) is not None:
        return known
    if (told := with_offset(value)) is not None:
        run.times[value] = told
        return told
    text, noted = iso_datetime(value, run.zone())
    if noted is not None:
        run.noted.append(noted)
    else:
        run.times[value] = text
    return text


def _date_or_datetime(run: Run, value: str) -> str:
    # What needs no zone is not to wait until that of the message is known.
    if (told := plain_day(value) or with_offset(value)) is not None:
        return told
    text, noted = iso_date_or_datetime(value, run.zone())
    if noted is not None:
        run.noted.append(noted)
    return text


def _decimal(run: Run, value: str) -> str:  # noqa: ARG001
    # Most numbers are written as they are to be.
    if AS_IT_IS.fullmatch(value) is not None:
        return value
    return numbers.text(numbers.decimal(value))


def _boolean(run: Run, value: str) -> bool:  # noqa: ARG001
    found = _YES_NO.get(value.strip())
    if found is None:
        raise ValueRefused("R020", "neither Y nor N, true nor false")
    return found


def _same(run: Run, value: Any) -> Any:  # noqa: ARG001
    return value


def _texts(run: Run, value: list[str]) -> list[str]:  # noqa: ARG001
    return [bounded_text(each) for each in bounded_list(value)]


def _one_text(run: Run, value: str) -> list[str]:  # noqa: ARG001
    return [bounded_text(value)]


CONVERTERS: Final[Mapping[tuple[Kind, Type], Converter]] = {
    ("text", Type.TEXT): _text,
    ("text", Type.NUMBER): _number_text,
    ("enum", Type.TEXT): _same,
    ("date", Type.TEXT): _date,
    ("datetime", Type.TEXT): _datetime,
    ("date_or_datetime", Type.TEXT): _date_or_datetime,
    ("decimal", Type.TEXT): _decimal,
    ("decimal", Type.NUMBER): _number_text,
    ("boolean", Type.TEXT): _boolean,
    ("boolean", Type.BOOL): _same,
    ("ref", Type.TEXT): _text,
    ("ref", Type.NUMBER): _number_text,
    ("texts", Type.LIST): _texts,
    ("texts", Type.TEXT): _one_text,
    ("any", Type.TEXT): _text,
    ("any", Type.NUMBER): _same,
    ("any", Type.BOOL): _same,
    ("any", Type.LIST): _texts,
}
"""What every kind of field can be made of. A pair that is not here is a mistake in the file."""


def constant(text: str, field: FieldType) -> Any:
    """The value of a ``const`` or ``default``; ValueRefused where the field cannot take it."""
    match field.kind:
        case "enum":
            if text not in field.values:
                raise ValueRefused("E225", "allowed: " + ", ".join(field.values))
            return text
        case "date":
            return iso_date(text)
        case "datetime":
            return iso_datetime(text, None)[0]
        case "date_or_datetime":
            return iso_date_or_datetime(text, None)[0]
        case "decimal":
            return numbers.text(numbers.decimal(text))
        case "boolean":
            if text not in ("true", "false"):
                raise ValueRefused("E225", "true or false")
            return text == "true"
        case "texts":
            return [text]
        case "records":
            raise ValueRefused("E225", "a list is written with `list:`")
        case "part":
            raise ValueRefused("E225", "what is made of fields is written with `part:`")
        case "text" | "ref" | "any":
            return text

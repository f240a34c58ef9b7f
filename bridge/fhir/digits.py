"""JSON with its numbers digit for digit, since 98.40 is another result than 98.4 (FHIR R4, json.html)."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any, Final

import orjson

DIGITS_MAX: Final = 64


def read_json(text: bytes | str) -> Any:
    """JSON with its numbers digit for digit. Raises ValueError, also where it is nested too deep."""
    try:
        return json.loads(text, parse_float=_decimal, parse_constant=_refused)
    except RecursionError:
        raise ValueError("nested too deep") from None


def _decimal(digits: str) -> Decimal:
    if len(digits) > DIGITS_MAX:
        raise ValueError("a number is too long")
    return Decimal(digits)


def _refused(_: str) -> None:
    raise ValueError("no number of JSON")


def write_json(value: Any) -> bytes:
    """JSON, with numbers as `read_json` took them. Raises ValueError where it cannot be written."""
    try:
        return orjson.dumps(value, default=_written)
    except orjson.JSONEncodeError as error:
        raise ValueError("it cannot be written as JSON") from error


def _written(value: Any) -> orjson.Fragment:
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode())
    raise TypeError

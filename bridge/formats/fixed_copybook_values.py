"""The bytes of a record's fields, by its copybook: text, zoned, packed and binary numbers. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridge.formats.fixed_copybook import CopybookField

_ASCII_NEGATIVE: Final = "pqrstuvwxy"
"""What some compilers write on ASCII machines: the digit with bit 40 set."""
_OVERPUNCHED: Final = {
    sign: digit for digits in ("{ABCDEFGHI", "}JKLMNOPQR") for digit, sign in enumerate(digits)
}


class Unreadable(Exception):
    """Bytes that are no value of their field."""


def reader(field_: CopybookField, charset: str) -> Callable[[bytes], str]:
    """What reads the bytes of a field, as text or as a decimal number. It raises Unreadable.

    A number without sign and decimals keeps its digits, with leading zeros, since it may be an identifier; of
    others these are gone. What is blank, or low values, is empty.
    """
    if not field_.numeric:
        return lambda data: _text(data, charset)
    if field_.usage == "packed":
        return lambda data: _said(field_, *_packed(data))
    if field_.usage == "binary":
        return lambda data: _said(field_, *_binary(data, signed=field_.signed))
    ebcdic = "0".encode(charset) == b"\xf0"
    return lambda data: _zoned(field_, data, charset, ebcdic=ebcdic)


def _text(data: bytes, charset: str) -> str:
    try:
        return data.decode(charset)
    except UnicodeDecodeError:
        raise Unreadable("not-in-charset") from None


def _said(field_: CopybookField, digits: str, negative: bool) -> str:
    if not digits:
        return ""
    if not field_.signed and not field_.decimals:
        if negative:
            raise Unreadable("sign")
        return digits[-field_.digits :].rjust(field_.digits, "0") if _fits(digits, field_) else digits
    if field_.decimals < 0:
        digits += "0" * -field_.decimals
    decimals = max(0, field_.decimals)
    digits = digits.rjust(decimals + 1, "0")
    whole = digits[: len(digits) - decimals].lstrip("0") or "0"
    text = f"{whole}.{digits[-decimals:]}" if decimals else whole
    return f"-{text}" if negative and text.strip("0.") else text


def _fits(digits: str, field_: CopybookField) -> bool:
    return not digits[: -field_.digits].strip("0")


def _packed(data: bytes) -> tuple[str, bool]:
    if not data.strip(b"\0") or not data.strip(b"\x40") or not data.strip(b" "):
        return "", False
    digits, sign = data.hex()[:-1], data.hex()[-1]
    if not digits.isdecimal() or sign not in "abcdef":
        raise Unreadable("not-packed")
    return digits, sign in "bd"


def _binary(data: bytes, *, signed: bool) -> tuple[str, bool]:
    number = int.from_bytes(data, "big", signed=signed)
    return str(abs(number)), number < 0


def _zoned(field_: CopybookField, data: bytes, charset: str, *, ebcdic: bool) -> str:
    if not data.strip(b"\0") or not (text := _text(data, charset)).strip():
        return ""
    if len(text) != len(data):
        raise Unreadable("not-a-number")
    negative = False
    if field_.sign.endswith("separate"):
        sign, text = (text[:1], text[1:]) if field_.sign.startswith("leading") else (text[-1:], text[:-1])
        if sign not in "+- ":
            raise Unreadable("sign")
        negative = sign == "-"
    elif field_.signed:
        at = 0 if field_.sign == "leading" else len(data) - 1
        digit, negative = _overpunched(data[at], text[at], ebcdic=ebcdic)
        text = f"{text[:at]}{digit}{text[at + 1 :]}"
    digits = text.lstrip(" ").rjust(len(text), "0")  # blanks before a number are zeros
    if not (digits.isascii() and digits.isdecimal()):
        raise Unreadable("not-a-number")
    return _said(field_, digits, negative)


def _overpunched(byte: int, character: str, *, ebcdic: bool) -> tuple[str, bool]:
    """The digit that carries the sign, and whether it is negative."""
    if ebcdic:
        zone, digit = byte >> 4, byte & 15
        if digit > 9 or zone < 10:
            raise Unreadable("sign")
        return str(digit), zone in (0xB, 0xD)
    if character.isdecimal() and character.isascii():
        return character, False
    if character in _OVERPUNCHED:
        return str(_OVERPUNCHED[character]), character in "}JKLMNOPQR"
    if character and character in _ASCII_NEGATIVE:
        return str(_ASCII_NEGATIVE.index(character)), True
    raise Unreadable("sign")

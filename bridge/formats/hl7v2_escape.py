"""Escape sequences of HL7 v2 text (HL7 v2.5.1 §2.7), without ever losing what was typed.

======================  ==========================================================================
sequence                becomes
======================  ==========================================================================
``\\F\\ \\S\\ \\R\\ \\T\\``     field, component, repetition, subcomponent separator
``\\E\\``                 the escape character
``\\P\\``                 the truncation character, where MSH-2 declares one (version 2.7)
``\\Xdd..\\``             the bytes: UTF-8 if they are, else Latin-1; ``\\X000D\\`` as one 16-bit character
``\\.br\\``               a line feed
``\\H\\ \\N\\ \\.sp\\ \\C..\\``  kept as typed: formatting, character set switches, local ones
everything else         kept as typed, also a lone escape character
======================  ==========================================================================
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from bridge.formats.hl7v2_delimiters import Delimiters

Rewrite = Callable[[str], str]

FORMATTING = r"H|N|\.(?:sp|in|ti|sk|fi|nf|ce)[ +-]?\d*|[CM](?:[0-9A-Fa-f]{2})+|Z[0-9A-Za-z]*"
"""What stands between two escape characters and is kept as typed."""


def unescape(text: str, delimiters: Delimiters) -> str:
    """The characters that ``text`` stands for; never raises, and ``unescape(escape(s)) == s``.

    >>> unescape("A\\\\T\\\\B \\\\H\\\\x\\\\N\\\\ 50\\\\", Delimiters.defaults())
    'A&B \\\\H\\\\x\\\\N\\\\ 50\\\\'
    """
    return _unescaper(delimiters)(text) if delimiters.escape in text else text


def escape(text: str, delimiters: Delimiters) -> str:
    """``text`` as the leaf of a message: no delimiter, line end or MLLP frame byte is left in it.

    Text that is two quotation marks is escaped as well: bare, it would ask the receiver to delete.

    >>> escape("Smith & Sons", Delimiters.defaults())
    'Smith \\\\T\\\\ Sons'
    """
    if text == '""':
        return f"{delimiters.escape}X2222{delimiters.escape}"
    return _escaper(delimiters)(text)


def letters_of(delimiters: Delimiters) -> dict[str, str]:
    """The letter of the escape sequence that stands for each delimiter."""
    letters = {
        "F": delimiters.field,
        "S": delimiters.component,
        "R": delimiters.repetition,
        "E": delimiters.escape,
        "T": delimiters.subcomponent,
    }
    if delimiters.truncation is not None:
        letters["P"] = delimiters.truncation
    return letters


@lru_cache(maxsize=64)
def _unescaper(delimiters: Delimiters) -> Rewrite:
    letters = letters_of(delimiters)
    mark = re.escape(delimiters.escape)
    pattern = re.compile(
        # Hexadecimal sequences are taken as a run: senders write one character's UTF-8 bytes as several.
        rf"(?P<hex>(?:{mark}X(?:[0-9A-Fa-f]{{2}})+{mark})+)"
        rf"|{mark}(?:(?P<letter>[{''.join(letters)}])|(?P<line>\.br)|{FORMATTING}){mark}"
    )
    digits = re.compile(r"[0-9A-Fa-f]+")

    def meaning(match: re.Match[str]) -> str:
        if match["letter"]:
            return letters[match["letter"]]
        if match["line"]:
            return "\n"
        if match["hex"]:
            return _characters([bytes.fromhex(found) for found in digits.findall(match["hex"])])
        return match[0]

    def rewrite(text: str) -> str:
        return pattern.sub(meaning, text)

    return rewrite


def _characters(run: list[bytes]) -> str:
    whole = _decoded(b"".join(run))
    if whole is not None:
        return whole
    return "".join(_decoded(data) or data.decode("latin-1") for data in run)


def _decoded(data: bytes) -> str | None:
    codecs = ("utf-16-be", "utf-8") if len(data) % 2 == 0 and data[0] == 0 else ("utf-8",)
    for codec in codecs:
        try:
            return data.decode(codec)
        except UnicodeDecodeError:
            continue
    return None


@lru_cache(maxsize=64)
def _escaper(delimiters: Delimiters) -> Rewrite:
    mark = delimiters.escape
    table = {ord(character): f"{mark}{letter}{mark}" for letter, character in letters_of(delimiters).items()}
    # Segment ends and MLLP frame bytes: inside a value they would cut the message apart.
    table.update({code: f"{mark}X{code:02X}{mark}" for code in (0x0A, 0x0B, 0x0D, 0x1C)})

    def rewrite(text: str) -> str:
        return text.translate(table)

    return rewrite

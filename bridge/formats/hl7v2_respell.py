"""The same text of a message in other delimiters, and in a character set that lacks some of its characters.

HL7 v2.5.1 §2.7. Escape sequences stay what they are; only what has to be spelt otherwise is.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from bridge.formats.hl7v2_delimiters import Delimiters
from bridge.formats.hl7v2_escape import FORMATTING, escape, letters_of

Leaf = Callable[[str], str]
_HEADERS = frozenset({"MSH", "BHS", "FHS"})


def respell(raw: str, source: Delimiters, target: Delimiters) -> str:
    """A leaf as it stands in a message with ``source``, as it must stand in one with ``target``.

    The HL7 null stays the null, and sequences that mean formatting stay such.

    >>> respell("A\\\\T\\\\B:C", Delimiters.defaults(), Delimiters(":", "^", "~", "!", "&"))
    'A!T!B!F!C'
    """
    if raw in ("", '""'):
        return raw
    letters = letters_of(source)
    pieces: list[str] = []
    at = 0
    for match in _sequence(source).finditer(raw):
        pieces.append(escape(raw[at : match.start()], target))
        at, body = match.end(), match[1]
        if body in letters:
            pieces.append(escape(letters[body], target))
        elif any(delimiter in body for delimiter in letters_of(target).values()):
            pieces.append(escape(match[0], target))
        else:
            pieces.append(f"{target.escape}{body}{target.escape}")
    return "".join((*pieces, escape(raw[at:], target)))


def in_hexadecimal(raw: str, codec: str, delimiters: Delimiters) -> str:
    """A leaf with each character that ``codec`` lacks as the bytes of its UTF-8: ``\\XC3A9\\``."""
    mark = delimiters.escape
    whole = respell(raw, delimiters, delimiters)
    return "".join(
        each if writable(each, codec) else f"{mark}X{each.encode('utf-8').hex().upper()}{mark}"
        for each in whole
    )


def with_question_marks(raw: str, codec: str) -> str:
    """A leaf with a question mark in the place of each character that ``codec`` lacks."""
    return "".join(each if writable(each, codec) else "?" for each in raw)


def writable(text: str, codec: str) -> bool:
    """Whether a character set has all characters of a text."""
    try:
        text.encode(codec)
    except UnicodeEncodeError:
        return False
    return True


def each_leaf(
    line: str, source: Delimiters, target: Delimiters, leaf: Leaf, second: str | None = None
) -> str:
    """A segment with every leaf made anew and joined by ``target``; MSH-2 becomes ``second``, or stays."""
    first, *fields = line.split(source.field)
    whole = [first] if first in _HEADERS and fields else [leaf(first)]
    if first in _HEADERS and fields:
        said = fields.pop(0)
        whole.append(said if second is None else second)
    return target.field.join((*whole, *(_field(each, source, target, leaf) for each in fields)))


def _field(text: str, source: Delimiters, target: Delimiters, leaf: Leaf) -> str:
    return target.repetition.join(
        target.component.join(
            target.subcomponent.join(leaf(each) for each in component.split(source.subcomponent))
            for component in repetition.split(source.component)
        )
        for repetition in text.split(source.repetition)
    )


@lru_cache(maxsize=64)
def _sequence(delimiters: Delimiters) -> re.Pattern[str]:
    mark, letters = re.escape(delimiters.escape), "".join(letters_of(delimiters))
    return re.compile(rf"{mark}([{letters}]|\.br|X(?:[0-9A-Fa-f]{{2}})+|{FORMATTING}){mark}")

"""Components of a field's first repetition, all at once: for what is written out (`generate.py`).

The letters ``r``, ``c``, ``s``, ``e`` part repetitions, components and subcomponents, and begin escapes.
"""

from __future__ import annotations

from collections.abc import Sequence

from bridge.formats.hl7v2 import NULL, Delimiters, Value
from bridge.formats.hl7v2_escape import unescape


def leaf(text: str, r: str, c: str, s: str, e: str, delimiters: Delimiters) -> Value:
    """As `Segment.value` of the first repetition and component, of a field's text that is not empty."""
    if r in text:
        text = text.split(r, 1)[0]
    if c in text:
        text = text.split(c, 1)[0]
    if s in text:
        text = text.split(s, 1)[0]
    if text == '""':
        return NULL
    return (unescape(text, delimiters) if e in text else text) or None


def components(
    text: str, count: int, r: str, c: str, s: str, e: str, delimiters: Delimiters
) -> Sequence[Value]:
    """The first ``count`` components of the first repetition, as `Segment.value` gives each."""
    if r in text:
        text = text.split(r, 1)[0]
    if c not in text:
        if text == '""':
            return [NULL] * count
        return [leaf(text, r, c, s, e, delimiters) if text else None, *[None] * (count - 1)]
    parts = text.split(c, count)[:count]
    if s in text or e in text or '""' in text:
        found: list[Value] = [leaf(part, r, c, s, e, delimiters) if part else None for part in parts]
    else:
        found = [part or None for part in parts]
    return found if len(found) == count else found + [None] * (count - len(found))

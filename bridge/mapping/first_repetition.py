"""Components of a field's first repetition, all at once: for what is written out (`generate.py`)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

from bridge.formats.hl7v2 import NULL, Delimiters, Value
from bridge.formats.hl7v2_escape import unescape

Leaf = Callable[[str], Value]
"""As `Segment.value` of the first repetition and component, of a field's text that is not empty."""
Components = Callable[[str, int], Sequence[Value]]
"""The first so many components of the first repetition, as `Segment.value` gives each."""

Readers = tuple[Leaf, Components]


@lru_cache(maxsize=256)
def readers(delimiters: Delimiters) -> Readers:
    """What reads fields that are parted by these delimiters.

    >>> leaf, components = readers(Delimiters.defaults())
    >>> leaf("A&B^C~D"), components("A^^C", 4)
    ('A', ['A', None, 'C', None])
    """
    r, c, s, e = delimiters.repetition, delimiters.component, delimiters.subcomponent, delimiters.escape

    def leaf(text: str) -> Value:
        if r in text:
            text = text.split(r, 1)[0]
        if c in text:
            text = text.split(c, 1)[0]
        if s in text:
            text = text.split(s, 1)[0]
        if text == '""':
            return NULL
        return (unescape(text, delimiters) if e in text else text) or None

    def components(text: str, count: int) -> Sequence[Value]:
        if r in text:
            text = text.split(r, 1)[0]
        if c not in text:
            if text == '""':
                return [NULL] * count
            return [leaf(text) if text else None, *[None] * (count - 1)]
        parts = text.split(c, count)[:count]
        if s in text or e in text or '""' in text:
            found: list[Value] = [leaf(part) if part else None for part in parts]
        else:
            found = [part or None for part in parts]
        return found if len(found) == count else found + [None] * (count - len(found))

    return leaf, components

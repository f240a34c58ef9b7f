"""Components of a field's first repetition, all at once: for what is written out (`generate.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from bridge.formats.hl7v2 import NULL, Delimiters, Value
from bridge.formats.hl7v2_escape import unescape

Leaf = Callable[[str], Value]
"""As `Segment.value` of the first repetition and component, of a field's text that is not empty."""
Components = Callable[[str, int], Sequence[Value]]
"""The first so many components of the first repetition, as `Segment.value` gives each."""

Readers = tuple[Leaf, Components, str, str, str, str]
"""What reads one component and what reads several; then the signs that part components, repetitions and
subcomponents, and that escape."""


@lru_cache(maxsize=256)
def readers(delimiters: Delimiters) -> Readers:
    """What reads fields that are parted by these delimiters.

    >>> leaf, components, *_ = readers(Delimiters.defaults())
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

    return leaf, components, c, r, s, e


def reads(
    segment: str, most: int, leaves: Mapping[tuple[int, int], str], view: str, bound: Callable[[Any], str]
) -> list[str]:
    """The lines that read ``leaves`` of a segment, field and component, into the variable each names.

    They leave its fields in ``F_PID``, with empty ones up to field ``most`` at least, so that nobody has to
    count them. ``view`` is where the segment is looked for, ``bound`` gives a name to speak of a value
    by. What they take from around: `signs`.
    """
    fields: dict[int, list[tuple[str, int]]] = {}
    for (field, component), name in leaves.items():
        fields.setdefault(field, []).append((name, component))
    empty, found = bound([""] * (most + 1)), f"F_{segment}"
    there = [f"{found} = s._fields or s._split()", f"if len({found}) <= {most}: {found} = {found} + {empty}"]
    lines = [f"s = {view}.get({bound(segment)})", "if s is None:", f" {found} = {empty}"]
    if fields:
        lines.append(f" {' = '.join(leaves.values())} = None")
        # Parting its fields is all that is to be done where no other sign is in it.
        there.append("if r in (x := s._text) or sub in x or esc in x or '\"' in x:")
        there += [f" {line}" for at in fields for line in _with_signs(f"{found}[{at}]", fields[at])]
        there.append("else:")
        there += [f" {line}" for at in fields for line in _parted(f"{found}[{at}]", fields[at])]
    return [*lines, "else:", *(f" {line}" for line in there)]


def signs(leaves: Iterable[tuple[str, int, int]]) -> list[str]:
    """The lines to stand before all `reads` of these segments, fields and components: once for a message."""
    most: dict[tuple[str, int], int] = {}
    for segment, field, component in leaves:
        most[segment, field] = max(component, most.get((segment, field), 1))
    return [
        "if (first := run.first) is None: first = run.first = readers(run.message.delimiters)",
        "leaf, components, c, r, sub, esc = first",
        *(f"c{count} = c * {count}" for count in sorted({*most.values()} - {1})),
    ]


def _with_signs(field: str, names: Sequence[tuple[str, int]]) -> list[str]:
    most = max(component for _, component in names)
    if most == 1:
        return [f"{names[0][0]} = leaf(x) if (x := {field}) else None"]
    return [
        f"x = components(x, {most}) if (x := {field}) else {(None,) * most}",
        *(f"{name} = x[{component - 1}]" for name, component in names),
    ]


def _parted(field: str, names: Sequence[tuple[str, int]]) -> list[str]:
    most = max(component for _, component in names)
    if most == 1:
        return [f"{names[0][0]} = (x if c not in (x := {field}) else x.split(c, 1)[0]) or None"]
    others = [name for name, component in names if component > 1]
    whole = [f" {name} = x or None" for name, component in names if component == 1]
    return [
        f"if c in (x := {field}):",
        f" x = (x + c{most}).split(c, {most})",
        *(f" {name} = x[{component - 1}] or None" for name, component in names),
        "else:",
        *whole,
        f" {' = '.join(others)} = None",
    ]

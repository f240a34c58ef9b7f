"""Components of a field's first repetition, all at once: for what is written out (`generate.py`)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

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
    leaves: Mapping[tuple[str, int, int], str], segments: Iterable[str], bound: Callable[[str], str]
) -> list[str]:
    """The lines that read each of ``leaves``, segment, field and component, into the variable it names.

    They leave the fields of its segment, and of ``segments``, in ``F_PID``, their number in ``N_PID``.
    ``bound`` gives the name by which a line may speak of a text.
    """
    lines = [
        "view = run.segments",
        "first = run.first",
        "if first is None: first = run.first = readers(run.message.delimiters)",
        "leaf, components, c, r, sub, esc = first",
    ]
    read_of: dict[str, dict[int, list[int]]] = {name: {} for name in segments}
    for segment, field, component in leaves:
        read_of.setdefault(segment, {}).setdefault(field, []).append(component)
    # The names of segments are the one thing of a file in here: three capitals or digits, and checked.
    for segment, fields in read_of.items():
        lines += [
            f"s = view.get({bound(segment)})",
            f"F_{segment} = () if s is None else s._fields or s._split()",
            f"N_{segment} = len(F_{segment})",
        ]
        if fields:
            # Parting its fields is all that is to be done where no other sign is in it.
            signs = "r in (x := s._text) or sub in x or esc in x or '\"' in x"
            lines.append(f"plain = not (s is None or {signs})")
        for field, numbers in fields.items():
            there = f"N_{segment} > {field} and (x := F_{segment}[{field}])"
            names = [(leaves[segment, field, each], each) for each in numbers]
            lines += _field(there, names)
    return lines


def _field(there: str, names: Sequence[tuple[str, int]]) -> list[str]:
    most = max(component for _, component in names)
    if most == 1:
        return [
            f"{names[0][0]} = (x if x.isalnum() or plain and c not in x else leaf(x)) if {there} else None"
        ]
    return [
        f"if not ({there}): {' = '.join(name for name, _ in names)} = None",
        "elif plain:",
        f" x = (x + c * {most}).split(c, {most})",
        *(f" {name} = x[{component - 1}] or None" for name, component in names),
        "else:",
        f" x = components(x, {most})",
        *(f" {name} = x[{component - 1}]" for name, component in names),
    ]

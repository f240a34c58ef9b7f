"""Functions that choose, and that ask whether a value is there at all.

Their arguments may be absent or NULL. What is not chosen is not evaluated, so a conversion that fails in
the branch not taken is no issue.
"""

from __future__ import annotations

from collections.abc import Callable

from bridge.formats.hl7v2 import NULL
from bridge.mapping.values import TextValue, Value

Lazy = Callable[[], Value]
"""An argument that is evaluated where the function asks for it."""


def nothing() -> Value:
    """An argument that was left out."""
    return None


def first_of(*choices: Lazy) -> Value:
    """The first of several that the message says something about; the HL7 null counts as said.

    >>> first_of(lambda: None, lambda: "B", lambda: "C")
    'B'
    """
    for choice in choices:
        if (value := choice()) is not None:
            return value
    return None


def if_(condition: bool, then: Lazy, otherwise: Lazy = nothing) -> Value:
    """``then`` where the condition holds, else ``otherwise``, else nothing.

    >>> if_(False, lambda: "credit", lambda: "charge")
    'charge'
    """
    return then() if condition else otherwise()


def present(value: Value) -> bool:
    """Whether there is a value: neither absent nor the HL7 null.

    >>> present("B"), present(None)
    (True, False)
    """
    return value is not None and value is not NULL and value not in ("", [])


def absent(value: Value) -> bool:
    """Whether the message says nothing; the HL7 null is something.

    >>> absent(None), absent("B")
    (True, False)
    """
    return value is None


def is_null(value: Value) -> bool:
    """Whether the sender asks to delete the value: the HL7 null.

    >>> is_null(NULL), is_null(None)
    (True, False)
    """
    return value is NULL


def case(value: str, *pairs: Value) -> TextValue:
    """What stands behind the first text that the value equals; a last one without a partner is for the rest.

    >>> case("E", "I", "inpatient", "E", "emergency", "other"), case("X", "I", "inpatient")
    ('emergency', None)
    """
    for number in range(0, len(pairs) - 1, 2):
        if pairs[number] == value:
            return _text(pairs[number + 1])
    return _text(pairs[-1]) if len(pairs) % 2 else None


def _text(value: Value) -> TextValue:
    return value if isinstance(value, str) or value is NULL else None

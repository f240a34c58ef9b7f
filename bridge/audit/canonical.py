"""One text for one value: JSON as RFC 8785 wants it, for values without fractions."""

from __future__ import annotations

import json
from typing import Any, Final

NUMBER_MAX: Final = (1 << 53) - 1
"""A number beyond this is another one to many readers (RFC 8785, appendix B)."""


def canonical(value: Any) -> str:
    """The one JSON text of a value made of objects, lists, texts, whole numbers, truth values and None.

    >>> canonical({"b": [1, None], "a": "é\\n"})
    '{"a":"é\\\\n","b":[1,null]}'

    :raises ValueError: a fraction, a number too large, a name that is no ASCII text, or another type
    """
    _must_have_one_text(value)
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def _must_have_one_text(value: Any) -> None:
    match value:
        case None | bool() | str():
            return
        case int():
            if abs(value) > NUMBER_MAX:
                raise ValueError("a number too large to be the same to all readers")
        case list() | tuple():
            for each in value:
                _must_have_one_text(each)
        case dict():
            for name, each in value.items():
                # Sorting by code points and by UTF-16 agree on these.
                if not isinstance(name, str) or not name.isascii():
                    raise ValueError("a name of an object that is no ASCII text")
                _must_have_one_text(each)
        case _:
            raise ValueError(f"{type(value).__name__} has no canonical JSON here")

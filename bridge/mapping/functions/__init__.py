"""The functions of the mapping language: one typed, pure function each, with an example that is run.

To add one: write it in the file of its subject, with a doctest, and name it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from bridge.mapping.functions import choice, dates, lists, numbers, text
from bridge.mapping.signature import Function, describe

_LISTED: Final[tuple[Callable[..., Any], ...]] = (
    text.trim,
    text.upper,
    text.lower,
    text.title,
    text.substr,
    text.left,
    text.right,
    text.pad,
    text.replace,
    text.digits,
    text.letters,
    text.strip_zeros,
    text.split,
    text.contains,
    text.starts_with,
    text.length,
    text.normalize_space,
    choice.first_of,
    choice.if_,
    choice.present,
    choice.absent,
    choice.is_null,
    numbers.decimal,
    numbers.integer,
    numbers.abs_,
    numbers.text,
    dates.date_fmt,
    dates.datetime_fmt,
    lists.join,
    lists.count,
    lists.first,
    lists.last,
)

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {function.name: function for function in map(describe, _LISTED)}
)

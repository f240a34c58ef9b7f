"""The functions of the mapping language: one typed, pure function each, with an example that is run.

To add one: write it in the file of its subject, with a doctest, and name it here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from bridge.mapping.functions import (
    choice,
    codes,
    context,
    dates,
    documents,
    identity,
    lists,
    numbers,
    patterns,
    text,
)
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
    text.ascii_fold,
    patterns.matches,
    patterns.extract,
    patterns.html_to_text,
    choice.first_of,
    choice.if_,
    choice.case,
    choice.present,
    choice.absent,
    choice.is_null,
    numbers.decimal,
    numbers.integer,
    numbers.abs_,
    numbers.text,
    numbers.round_,
    numbers.scale,
    numbers.sign,
    numbers.times,
    numbers.percent,
    numbers.implied_decimal,
    dates.date_fmt,
    dates.datetime_fmt,
    dates.assume_zone,
    dates.at_zone,
    dates.precision,
    dates.date_part,
    dates.add_days,
    dates.days_between,
    dates.age_at,
    dates.excel_serial,
    dates.julian,
    dates.century_window,
    lists.join,
    lists.concat,
    lists.count,
    lists.first,
    lists.last,
    lists.nth,
    lists.distinct,
    lists.sort,
    lists.sum_,
    lists.min_,
    lists.max_,
    codes.code_system,
    codes.unit_to_ucum,
    codes.normalize_phone,
    codes.normalize_npi,
    codes.normalize_icd10,
    codes.normalize_cpt,
    codes.valid_checkdigit,
    codes.gtin14,
    codes.udi,
    identity.key,
    identity.hash_id,
    identity.uuid5,
    identity.identifier_system,
    documents.digest,
    documents.size_bytes,
    documents.media_type,
    context.occurrence,
    context.lookup,
)

FUNCTIONS: Final[Mapping[str, Function]] = MappingProxyType(
    {function.name: function for function in map(describe, _LISTED)}
)

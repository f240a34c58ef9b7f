"""Safe Harbor (45 CFR 164.514(b)(2)): what of a record names nobody, for test systems. Pure.

What is not known to be harmless does not stay: of free text nothing, of dates the year, of ZIP codes three
digits, of keys and numbers a token. Words of closed lists, codes, amounts and yes or no stay.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from bridge.canonical.base import FieldType, Tag, fields
from bridge.canonical.records import RECORDS
from bridge.governance.protection import HIDDEN, token, year, zip3
from bridge.message import Microseconds, Record

AGE_MAX_YEARS: Final = 89
"""Of people who are older, not even the year of birth stays."""
_US_OF_A_YEAR: Final = 365.2425 * 86_400 * 1e6
_KEPT_TEXTS: Final = frozenset(
    {"state", "country", "code", "code_system", "system", "unit", "units", "currency", "type", "use", "class"}
    | {"status", "category", "abnormal_flag", "revenue_code", "procedure_code", "diagnosis_code"}
)
"""Texts that are codes or areas no smaller than a state, whatever they are tagged."""
_TOKENS: Final = frozenset({"value", "number", "id", "visit_number", "account_number"})
_BIRTHS: Final = frozenset({"birth_date"})


def deidentified(record: Record, key: bytes, now_us: Microseconds) -> Record:
    """A record of which Safe Harbor's eighteen identifiers are gone. ``key`` is for tokens."""
    model = RECORDS.get(record.record)
    known: Mapping[str, FieldType] = {} if model is None else fields(model)
    oldest_year = 1970 + int(now_us / _US_OF_A_YEAR) - AGE_MAX_YEARS
    kept = _kept(record.fields, known, key, oldest_year)
    adds = tuple(name for name in record.adds if name in kept)
    return Record(record.record, token(key, record.key), record.operation, kept, adds=adds)


def _kept(
    values: Mapping[str, Any], known: Mapping[str, FieldType], key: bytes, oldest_year: int
) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name, value in values.items():
        field = known.get(name)
        if field is None:
            continue
        if value is None:
            found[name] = None
            continue
        less = _less(name, value, field, key, oldest_year)
        if less is None and field.required:
            less = HIDDEN if isinstance(value, str) else None
        if less is not None:
            found[name] = less
    return found


def _less(name: str, value: Any, field: FieldType, key: bytes, oldest_year: int) -> Any:
    """What of one value may stay, or None."""
    match field.kind:
        case "enum" | "boolean" | "decimal":
            return value
        case "date" | "datetime" | "date_or_datetime" if isinstance(value, str):
            too_old = name in _BIRTHS and value[:4] < str(oldest_year)
            return None if too_old else year(value)
        case "ref" if isinstance(value, str):
            return token(key, value)
        case "text" if isinstance(value, str):
            if name == "postal_code":
                return zip3(value)
            if name in _KEPT_TEXTS:
                return value
            return token(key, value) if name in _TOKENS else value if field.tag is Tag.PUB else None
        case "part" if isinstance(value, Mapping):
            return _kept(value, field.item, key, oldest_year) or None
        case "records" if isinstance(value, list | tuple):
            items = [_kept(each, field.item, key, oldest_year) for each in value if isinstance(each, Mapping)]
            return [each for each in items if each] or None
    return None

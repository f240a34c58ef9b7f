"""What a canonical record is made of: typed, described, classified fields.

A record is a pydantic model whose annotations say everything about a field once: its kind, its values, its
classification and what it means. The mapping compiler, the file checks and the reference pages read it
through `fields`, so that nothing about a field is written down twice.
"""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cache
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from pydantic.fields import FieldInfo

TEXT_MAX_CHARACTERS: Final = 1024 * 1024
LIST_MAX_ITEMS: Final = 10_000

Kind = Literal[
    "text", "enum", "date", "datetime", "date_or_datetime", "decimal", "boolean", "ref", "texts", "records"
]


class Tag(Enum):
    """How sensitive a value is. A mapping may raise a field's tag, never lower it: the order is the rank."""

    PUB = "public"
    FIN = "amounts, accounts, contract terms"
    PII = "a person who is not the patient: staff, guarantor"
    PCI = "payment card data"
    PHI = "identifies a patient, or clinical content"
    SEC = "specially protected: substance use, HIV, mental health, reproductive health"

    @property
    def rank(self) -> int:
        """The higher, the more sensitive."""
        return list(Tag).index(self)


PUB: Final = Tag.PUB
FIN: Final = Tag.FIN
PII: Final = Tag.PII
PHI: Final = Tag.PHI


@dataclass(frozen=True, slots=True)
class As:
    """The kind of a field, in its annotation, where Python's type alone does not tell it."""

    kind: Kind


DATE_TEXT: Final = r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"
_CLOCK = r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?[+-][0-9]{2}:[0-9]{2}"
DATETIME_TEXT: Final = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_CLOCK}$"
DATE_OR_DATETIME_TEXT: Final = rf"^[0-9]{{4}}(-[0-9]{{2}}(-[0-9]{{2}}({_CLOCK})?)?)?$"
DECIMAL_TEXT: Final = r"^-?[0-9]{1,38}(\.[0-9]{1,38})?$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX_CHARACTERS)]
Date = Annotated[str, As("date"), StringConstraints(pattern=DATE_TEXT)]
"""ISO 8601 with the precision that was sent: ``2024``, ``2024-01`` or ``2024-01-02``."""
DateTime = Annotated[str, As("datetime"), StringConstraints(pattern=DATETIME_TEXT)]
"""ISO 8601 with an offset, always: ``2024-01-02T03:00:00-05:00``."""
DateOrDateTime = Annotated[str, As("date_or_datetime"), StringConstraints(pattern=DATE_OR_DATETIME_TEXT)]
Decimal = Annotated[str, As("decimal"), StringConstraints(pattern=DECIMAL_TEXT)]
"""A decimal number as text, so that no float ever touches an amount."""
Ref = Annotated[str, As("ref"), StringConstraints(min_length=1, max_length=1000)]
"""The key of another record."""


class Part(BaseModel):
    """The base of what a record holds lists of, such as identifiers."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CanonicalRecord(BaseModel):
    """The base of all records. Field names are those of the files; an absent field was not sent.

    An update carries what its message said, so only what a record cannot be understood without is
    required. A field that is None asks the receiver to delete the value.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: Annotated[
        Ref,
        PHI,
        Field(description="The record's own key, from business identifiers; the same at each replay."),
    ]


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a file may know about one field.

    ``values`` are those of an enum, ``item`` the fields of one entry of a list of records.
    ``required`` says that a record without a value is refused.
    """

    kind: Kind
    required: bool
    tag: Tag
    description: str
    values: tuple[str, ...] = ()
    item: Mapping[str, FieldType] = field(default_factory=dict)


@cache
def fields(record: type[BaseModel]) -> Mapping[str, FieldType]:
    """The fields of a record by the names that files use, ``key`` left out."""
    found = {info.alias or name: _field_type(info) for name, info in record.model_fields.items()}
    return {name: each for name, each in found.items() if name != "key"}


def _field_type(info: FieldInfo) -> FieldType:
    kind, values, item = _shape(info.annotation, info.metadata)
    tag = next(each for each in info.metadata if isinstance(each, Tag))
    assert info.description, "every canonical field says what it means"
    return FieldType(kind, info.is_required(), tag, info.description, values, item)


def _shape(annotation: Any, metadata: list[Any]) -> tuple[Kind, tuple[str, ...], Mapping[str, FieldType]]:
    told = next((each.kind for each in metadata if isinstance(each, As)), None)
    if told is not None:
        return told, (), {}
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _shape(arguments[0], list(arguments[1:]))
    if origin in (Union, types.UnionType):
        return _shape(next(each for each in arguments if each is not type(None)), [])
    if origin is Literal:
        return "enum", arguments, {}
    if origin is tuple:
        inner = arguments[0]
        if isinstance(inner, type) and issubclass(inner, Part):
            return "records", (), fields(inner)
        return "texts", (), {}
    if annotation is bool:
        return "boolean", (), {}
    assert annotation is str, "a canonical field is text, boolean, a list, or one of the types of this file"
    return "text", (), {}

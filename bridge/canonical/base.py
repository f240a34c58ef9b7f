"""What a canonical record is made of: typed, described, classified fields.

A record is a pydantic model whose annotations say everything about a field once: its kind, its values, its
classification and what it means. The mapping compiler, the file checks and the reference pages read it
through `fields`, so that nothing about a field is written down twice.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import Enum
from functools import cache
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, Strict, StringConstraints
from pydantic.fields import FieldInfo
from pydantic_core import PydanticCustomError

TEXT_MAX_CHARACTERS: Final = 1024 * 1024
LIST_MAX_ITEMS: Final = 10_000
MODIFIERS_MAX_COUNT: Final = 4
"""Of a procedure: CMS-1500 24D, X12 SV101-3 to SV101-6."""

Kind = Literal[
    "text",
    "enum",
    "date",
    "datetime",
    "date_or_datetime",
    "decimal",
    "boolean",
    "ref",
    "texts",
    "part",
    "records",
    "any",
]
"""What a field is. No field of a record is ``any``: that is a value of a document that a mapping makes."""


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
PCI: Final = Tag.PCI
PHI: Final = Tag.PHI
SEC: Final = Tag.SEC


@dataclass(frozen=True, slots=True)
class As:
    """The kind of a field, in its annotation, where Python's type alone does not tell it."""

    kind: Kind


DATE_TEXT: Final = r"^[0-9]{4}(-[0-9]{2}(-[0-9]{2})?)?$"
_CLOCK = r"T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?[+-][0-9]{2}:[0-9]{2}"
DATETIME_TEXT: Final = rf"^[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}{_CLOCK}$"
DATE_OR_DATETIME_TEXT: Final = rf"^[0-9]{{4}}(-[0-9]{{2}}(-[0-9]{{2}}({_CLOCK})?)?)?$"
DECIMAL_TEXT: Final = r"^-?[0-9]{1,38}(\.[0-9]{1,38})?$"
AMOUNT_TEXT: Final = r"^-?[0-9]{1,14}(\.[0-9]{1,4})?$"

Text = Annotated[str, StringConstraints(min_length=1, max_length=TEXT_MAX_CHARACTERS)]
Date = Annotated[str, As("date"), StringConstraints(pattern=DATE_TEXT)]
"""ISO 8601 with the precision that was sent: ``2024``, ``2024-01`` or ``2024-01-02``."""
DateTime = Annotated[str, As("datetime"), StringConstraints(pattern=DATETIME_TEXT)]
"""ISO 8601 with an offset, always: ``2024-01-02T03:00:00-05:00``."""
DateOrDateTime = Annotated[str, As("date_or_datetime"), StringConstraints(pattern=DATE_OR_DATETIME_TEXT)]
Decimal = Annotated[str, As("decimal"), StringConstraints(pattern=DECIMAL_TEXT)]
"""A decimal number as text, so that no float ever touches an amount."""
Amount = Annotated[str, As("decimal"), StringConstraints(pattern=AMOUNT_TEXT)]
"""An amount of money: at most 18 digits, of which 4 behind the point."""
Currency = Annotated[str, StringConstraints(pattern=r"^[A-Z]{3}$")]
"""A currency of ISO 4217: USD, EUR."""
REF_MAX_CHARACTERS: Final = 1000
Ref = Annotated[str, As("ref"), StringConstraints(min_length=1, max_length=REF_MAX_CHARACTERS)]
"""The key of another record."""


_Item = TypeVar("_Item")
Many = Annotated[tuple[_Item, ...], Strict(strict=False), Field(max_length=LIST_MAX_ITEMS)]
"""A list of texts or parts. It may come as a list; what is in it is strict."""


def says(description: str, *, alias: str | None = None) -> Any:
    """What a field means, with the standard's place. Files call it ``alias`` where Python has that word."""
    return Field(description=description, alias=alias)


def broken(kind: str, words: str, place: Sequence[str | int], fields: Sequence[str]) -> PydanticCustomError:
    """What to raise where a record does not keep its promise: which one, in words that hold no value.

    ``place`` says in which entry of it, as pydantic's own places do, and ``fields`` which fields there do not
    fit each other, those of entries below with a point.
    """
    return PydanticCustomError(kind, words, {"place": tuple(place), "fields": tuple(fields)})


class Part(BaseModel):
    """The base of what a record holds one or many of, such as identifiers."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)


class CanonicalRecord(BaseModel):
    """The base of all records. Field names are those of the files; an absent field was not sent.

    An update carries what its message said, so only what a record cannot be understood without is
    required. A field that is None asks the receiver to delete the value. Strict: no text becomes a number,
    no number a text, and no float stands anywhere.

    ``identity`` says what a key is made of, ``after`` which standards a record follows, ``example`` is one.
    ``quick_promise`` tells whether fields keep what the model promises beyond each of them, where it does.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, defer_build=True)

    identity: ClassVar[str]
    after: ClassVar[tuple[str, ...]]
    example: ClassVar[Mapping[str, Any]]
    quick_promise: ClassVar[Callable[[Mapping[str, Any]], bool] | None] = None

    key: Annotated[
        Ref,
        PHI,
        Field(description="The record's own key, from business identifiers; the same at each replay."),
    ]
    event_time: Annotated[
        DateTime | None,
        PUB,
        says("When what is told happened, EVN-6, EVN-2, MSH-7, X12 BHT04; order is that of arrival."),
    ] = None


@dataclass(frozen=True, slots=True)
class FieldType:
    """What a file may know about one field.

    ``values`` are those of an enum, ``item`` the fields of a part or of one entry of a list of records, whose
    tags are never below the tag of the field that holds them.
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
    return FieldType(kind, info.is_required(), tag, info.description, values, _raised(item, tag))


def _raised(item: Mapping[str, FieldType], tag: Tag) -> Mapping[str, FieldType]:
    return {
        name: replace(each, tag=max(each.tag, tag, key=lambda one: one.rank), item=_raised(each.item, tag))
        for name, each in item.items()
    }


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
    if isinstance(annotation, type) and issubclass(annotation, Part):
        return "part", (), fields(annotation)
    if annotation is bool:
        return "boolean", (), {}
    assert annotation is str, "a canonical field is text, boolean, a list, or one of the types of this file"
    return "text", (), {}

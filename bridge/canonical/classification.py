"""How sensitive a record is: the highest tag of what it holds."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from pydantic import BaseModel

from bridge.canonical.base import PUB, FieldType, Tag, fields


def highest(tags: Iterable[Tag]) -> Tag:
    """The most sensitive of several tags; public where there is none.

    >>> highest([Tag.FIN, Tag.PHI, Tag.PUB]).name
    'PHI'
    """
    return max(tags, key=lambda tag: tag.rank, default=PUB)


def tag_of(model: type[BaseModel]) -> Tag:
    """The highest tag that a record of this kind can have."""
    return highest(field.tag for _, field in places(fields(model)))


def tag_of_fields(model: type[BaseModel], names: Iterable[str]) -> Tag:
    """The highest tag among fields that are there, with all that is inside them."""
    known = fields(model)
    return highest(field.tag for name in names if name in known for _, field in _below(name, known[name]))


def tags_within(known: Mapping[str, FieldType], name: str) -> tuple[Tag, ...]:
    """The tags of a field and of all that is inside it; ``key`` names a patient's record, or may."""
    if name not in known:
        return (Tag.PHI,) if name == "key" else ()
    return tuple({field.tag for _, field in _below(name, known[name])})


def places(found: Mapping[str, FieldType]) -> Iterator[tuple[str, FieldType]]:
    """Every field with its path, those of parts and lists too: ``identifiers[].value``."""
    for name, field in found.items():
        yield from _below(name, field)


def _below(path: str, field: FieldType) -> Iterator[tuple[str, FieldType]]:
    yield path, field
    deeper = f"{path}[]" if field.kind == "records" else path
    for name, each in field.item.items():
        yield from _below(f"{deeper}.{name}", each)

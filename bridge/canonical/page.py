"""The page about the records, made from the records."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Final

from pydantic import BaseModel

from bridge.canonical import envelope, values
from bridge.canonical.base import FieldType, Part, Tag, fields
from bridge.canonical.classification import places, tag_of
from bridge.canonical.envelope import Envelope, Extension, Meta, Noticed
from bridge.canonical.records import MODEL, RECORDS

_HEAD: Final = """# Canonical records

What mappings make, whatever the legacy message was. This page is made from the models beside it:
`bridge records --page`. `bridge records NAME` shows one of them in a terminal, `bridge records NAME
--schema` as JSON Schema.

- **Flat fields come first.** `family`, `ward`, `value_number` are what most mappings set and most APIs
  take; lists and parts hold the rest. A part is set with `part: {...}`, a list with `list: [{...}]`:
  [mappings/README.md](../../mappings/README.md).
- **A field that is absent was not sent; one that is null is to be deleted.** Only what a record cannot
  be understood without is needed (in bold), since an update says what has changed and no more.
- **No float anywhere.** Numbers are decimal text; an amount has at most 14 digits before the point and
  4 after it.
- **Times keep what was sent.** `2024` stays a year, and a date and time has its offset.
- **Keys are made of business identifiers**, so that a replay finds the same record. What each is made
  of stands at the record.
- **Every field has a tag**, and what is inside a part or list has at least the tag of what holds it.
  The highest one is the record's.
- **Whoever reads a record can trust it**: a result has one value, a remittance and a posting balance, a
  claim's lines are its total. A record that breaks this is refused (R090), and nothing of it goes on.
"""

_PROMISE: Final = """## Versions

`{model}` is the version of the records as a whole; a mapping names it as its `target`. Its JSON Schema
is [{file}]({file}). A version may gain fields that can be left out, values of an enumeration, and
records. It loses nothing, makes nothing needed that was not, changes no kind, no pattern and no limit,
and lowers no tag: that takes a new version. A test holds it.
"""


def schema_file() -> str:
    """Where the JSON Schema of this version stands, beside the records."""
    return MODEL.replace("/", "-") + ".schema.json"


def readme() -> str:
    """The whole page."""
    tags = _table(("tag", "what is so tagged"), [(tag.name, tag.value) for tag in Tag])
    return "\n".join(
        [
            _HEAD,
            _PROMISE.format(model=MODEL, file=schema_file()),
            "## Tags\n",
            f"{tags}\n",
            "## Records\n",
            _table(
                ("record", "what it is", "tag", "after"),
                [
                    (f"[{name}](#{name})", first_sentence(model), tag_of(model).name, "; ".join(model.after))
                    for name, model in RECORDS.items()
                ],
            ),
            "",
            *(_record(name) for name in RECORDS),
            "## What several records are made of\n",
            *(_part(part) for part in _parts()),
            "## The envelope\n",
            f"{inspect.getdoc(envelope)}\n",
            *(_enclosing(part) for part in (Envelope, Meta, Noticed, Extension)),
        ]
    )


def first_sentence(model: type[BaseModel]) -> str:
    """What a record is, in a sentence."""
    text = " ".join((inspect.getdoc(model) or "").split("\n\n")[0].split())
    return text.split(". ")[0].removesuffix(".") + "."


def field_rows(model: type[BaseModel]) -> list[tuple[str, ...]]:
    """Every field with its kind, tag and meaning, needed ones in bold.

    A part that several records share is told once, under its own name; what is in a record's own parts
    follows the field that holds them.
    """
    rows: list[tuple[str, ...]] = []
    for name, field in fields(model).items():
        rows += [
            (
                f"**{path}**" if each.required else path,
                kind_of(each),
                each.tag.name,
                each.description,
            )
            for path, each in places({name: _without_shared(field)})
        ]
    return rows


def _without_shared(field: FieldType) -> FieldType:
    """A field without what stands under the name of a shared part."""
    if frozenset(field.item) in _shared():
        return replace(field, item={})
    return replace(field, item={name: _without_shared(each) for name, each in field.item.items()})


@cache
def _shared() -> frozenset[frozenset[str]]:
    return frozenset(frozenset(fields(part)) for part in _parts())


def kind_of(field: FieldType) -> str:
    """The kind of a field, with the values that it takes."""
    return f"{field.kind}: {', '.join(field.values)}" if field.values else field.kind


def _record(name: str) -> str:
    model = RECORDS[name]
    about = inspect.getdoc(model) or ""
    said = f"Its key: {model.identity}. After {'; '.join(model.after)}."
    return f"### {name}\n\n{about}\n\n{said}\n\n{_fields(model)}\n"


def _part(part: type[Part]) -> str:
    return f"### {part.__name__}\n\n{inspect.getdoc(part)}\n\n{_fields(part)}\n"


def _enclosing(model: type[BaseModel]) -> str:
    """Part of the envelope, which mappings do not set."""
    rows = [
        (f"**{name}**" if info.is_required() else name, info.description or "")
        for name, info in model.model_fields.items()
    ]
    return f"### {model.__name__}\n\n{inspect.getdoc(model)}\n\n{_table(('field', 'meaning'), rows)}\n"


def _parts() -> list[type[Part]]:
    found = [getattr(values, name) for name in vars(values)]
    return [each for each in found if isinstance(each, type) and issubclass(each, Part) and each is not Part]


def _fields(model: type[BaseModel]) -> str:
    return _table(("field", "kind", "tag", "meaning"), field_rows(model))


def _table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(each.replace("|", "\\|") for each in line) + " |" for line in lines)

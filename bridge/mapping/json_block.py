"""A compiled entry of `emit:` that makes JSON, and what it makes of what is read.

A value that is absent leaves its name out, one that is to be deleted is null. A number is written with the
digits that it has, and never passes through a float.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

import orjson

from bridge.canonical.base import LIST_MAX_ITEMS
from bridge.formats.hl7v2 import NULL
from bridge.mapping.build import Builder
from bridge.mapping.each import Each, contexts
from bridge.mapping.emit_json import JSON, EmitJson, JsonItem, Member
from bridge.mapping.reading import Reader, Run
from bridge.mapping.rules import Rule
from bridge.mapping.steps import build_step, holds, rejected
from bridge.mapping.values import ValueRefused, bounded_text
from bridge.message import Change, MadeMessage

_ABSENT: Final = object()
Make = Callable[[Run], Any]


@dataclass(frozen=True, slots=True)
class JsonStep:
    """One name of the document, or of what is inside of it, and its rule."""

    name: str
    rule: Rule


@dataclass(frozen=True, slots=True)
class JsonBlock:
    """One entry of `emit` that makes JSON, ready to run."""

    when: Reader | None
    make_object: Make
    fail: bool
    rule: str
    names: tuple[str, ...]
    all_steps: tuple[JsonStep, ...]
    """The rules, those inside of objects and lists among them."""
    each: Each | None = None
    record: str = JSON

    def make(self, run: Run, *, lineage: bool) -> MadeMessage | None:
        """The document; None where the condition does not hold. Raises RecordRejected."""
        if not holds(self.when, JSON, run):
            return None
        made = self.make_object(run)
        body = orjson.dumps({} if made is _ABSENT else made)
        changes = tuple(Change(name, "set", self.rule) for name in self.names) if lineage else ()
        return MadeMessage(JSON, body, changes)


def build_json(emit: EmitJson, builder: Builder) -> JsonBlock:
    """The block of an entry."""
    when = None if emit.when is None else builder.value(emit.when)
    names = tuple(each.key.text for each in emit.members)
    steps = tuple(JsonStep(path, rule) for each in emit.members for path, rule in each.placed())
    made = _object(emit.members, builder)
    return JsonBlock(when, made, emit.fail, str(emit.place), names, steps, emit.each)


def _object(members: Sequence[Member], builder: Builder) -> Make:
    made = [(each.key.text, _value(each, builder)) for each in members]

    def make(run: Run) -> Any:
        found = {name: value for name, each in made if (value := each(run)) is not _ABSENT}
        return found or _ABSENT

    return make


def _value(member: Member, builder: Builder) -> Make:
    if member.members is not None:
        return _object(member.members, builder)
    if member.items is not None:
        return _list(member.items, builder)
    assert member.rule is not None, "a member is a rule, an object or a list"
    return _leaf(member.rule, builder)


def _leaf(rule: Rule, builder: Builder) -> Make:
    finish = build_step(rule, JSON, builder)

    def make(run: Run) -> Any:
        try:
            return _written(finish(run))
        except ValueRefused as refused:
            raise rejected(run, refused, JSON, rule) from None

    return make


def _written(value: Any) -> Any:
    if value is None or value == "":
        return _ABSENT
    if value is NULL:
        return None
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f").encode())
    return bounded_text(value) if isinstance(value, str) else value


def _list(items: Sequence[JsonItem], builder: Builder) -> Make:
    adders = [_adder(each, builder) for each in items]

    def make(run: Run) -> Any:
        found: list[Any] = []
        for add in adders:
            add(run, found)
        return found or _ABSENT

    return make


def _adder(item: JsonItem, builder: Builder) -> Callable[[Run, list[Any]], None]:
    each = item.each
    inner = builder if each is None else builder.inside(each)
    make = _object(item.members, inner)
    if item.rule is not None:
        make = _leaf(item.rule, inner)
    when = None if item.when is None else inner.value(item.when)

    def add(run: Run, found: list[Any]) -> None:
        value = make(run)
        if value is not _ABSENT:
            found.append(value)
        if len(found) > LIST_MAX_ITEMS:
            raise ValueRefused("R040", f"a list would have more than {LIST_MAX_ITEMS} items")

    if each is None:
        return add

    def add_each(run: Run, found: list[Any]) -> None:
        here = run.here
        try:
            for context in contexts(each, run):
                run.enter(context)
                if when is None or when(run):
                    add(run, found)
        finally:
            run.enter(here)

    return add_each

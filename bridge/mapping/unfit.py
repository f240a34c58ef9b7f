"""What the issues say of a record that does not fit the canonical model: where, why, and what was read there.

They name places and rules only. What pydantic says in its own words holds the values.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from pydantic import ValidationError

from bridge.mapping.codes import CODES
from bridge.mapping.rules import Rule
from bridge.mapping.steps import SOURCES_MAX_COUNT
from bridge.message import Issue

Place = Sequence[str | int]
"""Names of fields, and the numbers of entries in lists, from 0 on."""


def unfit(record: str, rules: Sequence[Rule], refused: ValidationError) -> Iterator[Issue]:
    """An issue for each mistake. ``rules`` are those that made the record, that of its key among them."""
    for each in refused.errors(include_url=False, include_input=False):
        yield _issue(record, rules, each)


def _issue(record: str, rules: Sequence[Rule], error: Any) -> Issue:
    """A promise of the record says itself which entry breaks it, and which fields there: `broken`."""
    told = error.get("ctx", {})
    place: Place = (*error["loc"], *told.get("place", ()))
    names = tuple(part for part in place if isinstance(part, str))
    fields = told.get("fields", ("",))
    why = error["msg"] if "fields" in told else error["type"]
    read = [
        source
        for field in fields
        for rule in _rules_at(rules, (*names, *filter(None, field.split("."))))
        for source in rule.sources
    ]
    shown = _shown(place)
    text = f"{CODES['R090']} ({shown}: {why})" if shown else f"{CODES['R090']} ({why})"
    return Issue("R090", record, shown, text, ", ".join(list(dict.fromkeys(read))[:SOURCES_MAX_COUNT]))


def _shown(place: Place) -> str:
    """As paths count: ``claims(1).lines(2)``."""
    return "".join(f"({part + 1})" if isinstance(part, int) else f".{part}" for part in place).lstrip(".")


def _rules_at(rules: Iterable[Rule], names: Sequence[str]) -> list[Rule]:
    """The rules of a field, or of one of the entries of a list; none of a whole record."""
    if not names:
        return []
    found = [rule for rule in rules if rule.name == names[0]]
    if len(names) == 1:
        return found
    return _rules_at(
        [below for rule in found for item in rule.items or () for below in item.rules], names[1:]
    )

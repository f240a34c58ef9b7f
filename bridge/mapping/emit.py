"""One entry of `emit:`: which record, under which key, when, and its rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from bridge.canonical.base import CanonicalRecord, FieldType, Tag, fields
from bridge.canonical.records import RECORDS
from bridge.located import Mapping, Node, Place, Scalar, did_you_mean
from bridge.mapping.document import Report, open_mapping, text_of, texts_of, word_of
from bridge.mapping.lets import Lets, read_lets, unused_lets
from bridge.mapping.rules import Around, Rule, read_rule, read_rules
from bridge.mapping.syntax import Expression, Path
from bridge.mapping.tables import Tables
from bridge.mapping.when import read_when
from bridge.message import OPERATIONS

_KEYS: Final = ("record", "key", "when", "let", "operation", "set", "on_reject")
_OPERATION: Final = FieldType("enum", True, Tag.PUB, "What the record asks for.", OPERATIONS)
_KEY: Final = FieldType("ref", True, Tag.PHI, "The record's own key.")


@dataclass(frozen=True, slots=True)
class Emit:
    """One checked entry. ``operation`` is a rule of its own, as is ``key``."""

    record: str
    model: type[CanonicalRecord]
    place: Place
    key: Rule
    when: Expression | None
    when_text: Scalar | None
    when_paths: tuple[Path, ...]
    operation: Rule
    rules: tuple[Rule, ...]
    fail: bool
    lets: Lets

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path that the entry reads."""
        found = [*self.when_paths, *self.key.all_paths, *self.operation.all_paths]
        for rule in self.rules:
            found.extend(rule.all_paths)
        return tuple(found)


def read_emit(
    node: Node, outer: Lets, tables: Tables, earlier: list[str], report: Report, *, has_zone: bool
) -> Emit | None:
    """One entry; None where it cannot be told which record it makes, or under which key."""
    entries = open_mapping(node, "an entry of emit", _KEYS, report, required=("record", "set"))
    if entries is None:
        return None
    name = text_of(entries.get("record"), "record", report)
    model = None if name is None else RECORDS.get(name.text)
    if name is not None and model is None:
        hint = did_you_mean(name.text, RECORDS)
        report.add(name.place, "E210", f"unknown record {name.text!r}", hint)
    lets = read_lets(entries.get("let"), outer, report)
    owner = name.text if name is not None else "record"
    around = Around(owner, lets, tables, earlier, has_zone)
    when_text, when, when_paths = read_when(entries.get("when"), lets, report)
    key = _key(node, entries.get("key"), around, report)
    operation = _operation(node, entries.get("operation"), around, report)
    fail = word_of(entries.get("on_reject"), "on_reject", ("skip", "fail_message"), report) == "fail_message"
    rules: tuple[Rule, ...] = ()
    if model is not None and (body := entries.get("set")) is not None:
        rules = read_rules(body, fields(model), around, report)
    unused_lets(entries.get("let"), lets, report)
    if name is None or model is None or key is None or operation is None:
        return None
    return Emit(name.text, model, name.place, key, when, when_text, when_paths, operation, rules, fail, lets)


def _key(node: Node, value: Node | None, around: Around, report: Report) -> Rule | None:
    if value is None:
        hint = "as in key: join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)"
        report.add(node.place, "E211", f"{around.owner} has no key", hint)
        return None
    if isinstance(value, Mapping):
        report.add(value.place, "E204", f"{around.owner}: the key must be an expression, or a list of them")
        return None
    texts = texts_of(value, "key", report)
    return read_rule(Scalar("key", value.place), value, _KEY, around, report) if texts else None


def _operation(node: Node, value: Node | None, around: Around, report: Report) -> Rule | None:
    place = node.place if value is None else value.place
    key = Scalar("operation", place)
    if value is None:
        return Rule("operation", place, _OPERATION, Tag.PUB, const="upsert")
    if isinstance(value, Scalar):
        word = word_of(value, "operation", OPERATIONS, report)
        return None if word is None else Rule("operation", place, _OPERATION, Tag.PUB, const=word)
    return read_rule(key, value, _OPERATION, around, report)

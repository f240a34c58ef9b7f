"""One entry of `emit:`: which record, under which key, when, and its rules."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge.canonical.base import CanonicalRecord, FieldType, Tag, fields
from bridge.canonical.quick import fits
from bridge.canonical.records import RECORDS
from bridge.located import Mapping, Node, Place, Scalar, did_you_mean
from bridge.mapping.document import Report, open_mapping, text_of, texts_of, word_of
from bridge.mapping.each import Each, Source, read_each
from bridge.mapping.groups import Groups
from bridge.mapping.key_checks import odd_key
from bridge.mapping.key_texts import ENTRY_KEYS
from bridge.mapping.lets import Lets, read_lets, unused_lets
from bridge.mapping.rules import Around, Rule, read_rule, read_rules
from bridge.mapping.syntax import Expression, Path
from bridge.mapping.tables import Tables
from bridge.mapping.when import read_when
from bridge.message import EXT, OPERATIONS

_KEYS: Final = tuple(ENTRY_KEYS)
_EXT: Final = FieldType("text", False, Tag.PUB, "A field of the site's own.")
_EXT_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
EXT_MAX_COUNT: Final = 100
_OPERATION: Final = FieldType("enum", True, Tag.PUB, "What the record asks for.", OPERATIONS)
_KEY: Final = FieldType("ref", True, Tag.PHI, "The record's own key.")


@dataclass(frozen=True, slots=True)
class Emit:
    """One checked entry. ``operation`` is a rule of its own, as is ``key``.

    ``ext`` are the site's own fields, whose rules have the names ``ext.NAME``.
    """

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
    each: Each | None = None
    ext: tuple[Rule, ...] = ()

    @property
    def all_rules(self) -> tuple[Rule, ...]:
        """The rules of its fields, and of the site's own."""
        return (*self.rules, *self.ext)

    @property
    def adds(self) -> tuple[str, ...]:
        """The lists whose entries are further ones."""
        return tuple(rule.name for rule in self.rules if rule.adds)

    @property
    def loops(self) -> tuple[Each, ...]:
        """The `for_each` that its rules stand in."""
        return () if self.each is None else (self.each,)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path that the entry reads."""
        gone_through = () if self.each is None or self.each.path is None else (self.each.path,)
        found = [*gone_through, *self.when_paths, *self.key.all_paths, *self.operation.all_paths]
        for rule in self.all_rules:
            found.extend(rule.all_paths)
        return tuple(found)


def read_emit(
    node: Node, outer: Lets, tables: Tables, earlier: list[str], report: Report, source: Source
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
    owner = name.text if name is not None else "record"
    each = None
    if "for_each" in entries:
        each = read_each(entries["for_each"], source, owner, report)
    loops = () if each is None else (each,)
    lets = read_lets(entries.get("let"), outer, report, loops=loops)
    around = Around(owner, lets, tables, earlier, source, loops)
    when_text, when, when_paths = read_when(entries.get("when"), lets, report, loops=loops)
    key = _key(node, entries.get("key"), around, report)
    operation = _operation(node, entries.get("operation"), around, report)
    fail = word_of(entries.get("on_reject"), "on_reject", ("skip", "fail_message"), report) == "fail_message"
    rules: tuple[Rule, ...] = ()
    if model is not None and (body := entries.get("set")) is not None:
        rules = read_rules(body, fields(model), around, report)
        _fixed_values_fit(model, rules, name, report)
    ext = _ext(entries.get("ext"), around, report)
    unused_lets(entries.get("let"), lets, report)
    if name is None or model is None or key is None or operation is None:
        return None
    if "for_each" in entries and each is None:
        return None
    return Emit(
        name.text,
        model,
        name.place,
        key,
        when,
        when_text,
        when_paths,
        operation,
        rules,
        fail,
        lets,
        each,
        ext,
    )


def _ext(node: Node | None, around: Around, report: Report) -> tuple[Rule, ...]:
    """The rules of fields of the site's own, each of which says how sensitive it is."""
    if node is None:
        return ()
    if not isinstance(node, Mapping) or len(node.entries) > EXT_MAX_COUNT:
        said = f"ext must be a mapping from at most {EXT_MAX_COUNT} names to rules"
        report.add(node.place, "E204", said)
        return ()
    found: dict[str, Rule] = {}
    for key, value in node.entries:
        if _EXT_NAME.fullmatch(key.text) is None or key.text in found:
            hint = "small letters, digits and _, each name once"
            report.add(key.place, "E206", f"{key.text[:40]!r} cannot be the name of a field of ext", hint)
        elif not isinstance(value, Mapping) or value.key("tag") is None:
            said = f"{around.owner}: {key.text} of ext does not say how sensitive it is"
            report.add(key.place, "E227", said, f"{key.text}: {{from: ..., tag: PHI}}")
        elif rule := read_rule(Scalar(EXT + key.text, key.place), value, _EXT, around, report):
            found[key.text] = rule
    return tuple(found.values())


def _key(node: Node, value: Node | None, around: Around, report: Report) -> Rule | None:
    if value is None:
        hint = "as in key: join(':', PID-3(5=MR).4.1, PID-3(5=MR).1)"
        report.add(node.place, "E211", f"{around.owner} has no key", hint)
        return None
    if isinstance(value, Mapping):
        report.add(value.place, "E204", f"{around.owner}: the key must be an expression, or a list of them")
        return None
    texts = texts_of(value, "key", report)
    rule = read_rule(Scalar("key", value.place), value, _KEY, around, report) if texts else None
    if rule is not None:
        odd_key(rule, texts, around, report)
    return rule


def _operation(node: Node, value: Node | None, around: Around, report: Report) -> Rule | None:
    place = node.place if value is None else value.place
    key = Scalar("operation", place)
    if value is None:
        return Rule("operation", place, _OPERATION, Tag.PUB, const="upsert")
    if isinstance(value, Scalar):
        word = word_of(value, "operation", OPERATIONS, report)
        return None if word is None else Rule("operation", place, _OPERATION, Tag.PUB, const=word)
    return read_rule(key, value, _OPERATION, around, report)


def _fixed_values_fit(
    model: type[CanonicalRecord], rules: tuple[Rule, ...], name: Scalar | None, report: Report
) -> None:
    """Note constants and defaults that are of the right kind, and not what the field takes all the same."""
    for rule in rules:
        for what, value in (("const", rule.const), ("default", rule.default)):
            if value is not None and not fits(model, rule.name, value):
                said = f"{name.text if name else 'the record'}.{rule.name} does not take this {what}"
                report.add(rule.place, "E225", said, rule.field.description)


def passed_over(emit: Emit, groups: Groups, once: set[str], by_group: dict[str, set[str]]) -> None:
    """Add the segments of which an entry reads one of perhaps several: at the top, and in groups."""

    def note(path: Path, loops: tuple[Each, ...]) -> None:
        note_passed_over(path, loops, groups, once, by_group)

    def follow(rule: Rule, loops: tuple[Each, ...]) -> None:
        for path in rule.paths:
            note(path, loops)
        for item in rule.items or ():
            inner = loops if item.each is None else (*loops, item.each)
            if item.each is not None and item.each.once is not None:
                note(item.each.once, loops)
            for path in item.when_paths:
                note(path, inner)
            for each in item.rules:
                follow(each, inner)

    if emit.each is not None and emit.each.once is not None:
        note(emit.each.once, ())
    for path in emit.when_paths:
        note(path, emit.loops)
    for rule in (emit.key, emit.operation, *emit.all_rules):
        follow(rule, emit.loops)


def note_passed_over(
    path: Path, loops: tuple[Each, ...], groups: Groups, once: set[str], by_group: dict[str, set[str]]
) -> None:
    """Add the segment of one path, where of perhaps several it reads one."""
    if not path.passes_over:
        return
    for each in reversed(loops):
        if path.segment == each.name or f"{path.segment}-{path.field}" == each.current_of:
            return
        if each.kind == "group" and not _may_be_outside(path, each.name, groups, by_group):
            return
    once.add(path.segment)


def _may_be_outside(path: Path, group: str, groups: Groups, by_group: dict[str, set[str]]) -> bool:
    """Whether a path that is read in a group may mean what stands outside of all groups."""
    waiting, outside = [group], False
    for name in waiting:
        by_group.setdefault(name, set()).add(path.segment)
        if path.segment not in groups[name].closed:
            outside = outside or not groups[name].parents
            waiting += [parent for parent in groups[name].parents if parent not in waiting]
    return outside

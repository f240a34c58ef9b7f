"""One entry of `emit:` that makes JSON: an object of names and rules, with objects and lists inside."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.canonical.base import FieldType, Tag
from bridge.located import Mapping, Node, Place, Scalar
from bridge.mapping.document import Report, list_of, open_mapping, text_of, word_of
from bridge.mapping.each import Each, Source, read_each
from bridge.mapping.lets import Lets, read_lets, unused_lets
from bridge.mapping.rules import Around, Rule, read_rule
from bridge.mapping.syntax import Expression, Path
from bridge.mapping.tables import Tables
from bridge.mapping.when import read_when

JSON: Final = "json"
KEYS: Final = ("json", "for_each", "when", "let", "set", "on_reject")
LEVELS_MAX: Final = 16
_LEAF: Final = FieldType("any", False, Tag.PHI, "A value of a JSON document.")


@dataclass(frozen=True, slots=True)
class JsonItem:
    """One entry of a list, or one for each of something: an object of ``members``, or the one ``rule``."""

    members: tuple[Member, ...]
    rule: Rule | None = None
    each: Each | None = None
    when: Expression | None = None
    when_paths: tuple[Path, ...] = ()


@dataclass(frozen=True, slots=True)
class Member:
    """One name of an object: a value by ``rule``, an object of ``members``, or a list of ``items``."""

    key: Scalar
    rule: Rule | None = None
    members: tuple[Member, ...] | None = None
    items: tuple[JsonItem, ...] | None = None

    def placed(self, around: str = "") -> Iterator[tuple[str, Rule]]:
        """Its rule, and those inside of it, each with the path of what it sets: ``diagnoses[].code``."""
        path = f"{around}{self.key.text}"
        if self.rule is not None:
            yield path, self.rule
        for each in self.members or ():
            yield from each.placed(f"{path}.")
        for item in self.items or ():
            if item.rule is not None:
                yield f"{path}[]", item.rule
            for each in item.members:
                yield from each.placed(f"{path}[].")


@dataclass(frozen=True, slots=True)
class EmitJson:
    """One checked entry."""

    place: Place
    when: Expression | None
    when_text: Scalar | None
    when_paths: tuple[Path, ...]
    members: tuple[Member, ...]
    fail: bool
    lets: Lets
    each: Each | None = None

    @property
    def record(self) -> str:
        """What stands in the place of a record's name."""
        return JSON

    @property
    def loops(self) -> tuple[Each, ...]:
        """What its rules stand inside of."""
        return () if self.each is None else (self.each,)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Every path of segments that the entry reads."""
        rules = (rule for each in self.members for _, rule in each.placed())
        return (*self.when_paths, *(path for rule in rules for path in rule.all_paths))


def read_json(node: Mapping, outer: Lets, tables: Tables, report: Report, source: Source) -> EmitJson | None:
    """One entry; None where it cannot be told what it makes."""
    key = node.key("json")
    assert key is not None, "an entry that makes JSON says so"
    entries = open_mapping(node, "a document of emit", KEYS, report, required=("set",))
    if entries is None:
        return None
    word_of(entries.get("json"), "json", ("object",), report)
    each = read_each(entries["for_each"], source, JSON, report) if "for_each" in entries else None
    loops = () if each is None else (each,)
    lets = read_lets(entries.get("let"), outer, report, loops=loops)
    around = Around(JSON, lets, tables, (), source, loops)
    when_text, when, when_paths = read_when(entries.get("when"), lets, report, loops=loops)
    members = _members(entries.get("set"), around, report, 1)
    fail = word_of(entries.get("on_reject"), "on_reject", ("skip", "fail_message"), report) != "skip"
    unused_lets(entries.get("let"), lets, report)
    if "for_each" in entries and each is None:
        return None
    return EmitJson(key.place, when, when_text, when_paths, members, fail, lets, each)


def _members(node: Node | None, around: Around, report: Report, level: int) -> tuple[Member, ...]:
    if node is None:
        return ()
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", "set must be a mapping from names to expressions")
        return ()
    if level > LEVELS_MAX:
        report.add(node.place, "E103", f"a document is nested deeper than {LEVELS_MAX} levels")
        return ()
    found: list[Member] = []
    for key, value in node.entries:
        if any(each.key.text == key.text for each in found):
            report.add(key.place, "E222", f"{key.text} is set twice")
            continue
        member = _member(key, value, around, report, level)
        found += [] if member is None else [member]
    return tuple(found)


def _member(key: Scalar, value: Node, around: Around, report: Report, level: int) -> Member | None:
    inner = around.inside(f"{around.owner}.{key.text}")
    if isinstance(value, Mapping) and value.key("object") is not None:
        opened = open_mapping(value, key.text, ("object",), report, unknown="E221") or {}
        return Member(key, members=_members(opened.get("object"), inner, report, level + 1))
    if isinstance(value, Mapping) and value.key("list") is not None:
        opened = open_mapping(value, key.text, ("list",), report, unknown="E221") or {}
        node = opened.get("list")
        nodes = (node,) if isinstance(node, Mapping) else list_of(node, f"{key.text}: list", report)
        items = [_item(key, each, inner, report, level + 1) for each in nodes]
        return Member(key, items=tuple(each for each in items if each is not None))
    rule = read_rule(key, value, _LEAF, around, report)
    return None if rule is None else Member(key, rule)


def _item(key: Scalar, node: Node, around: Around, report: Report, level: int) -> JsonItem | None:
    each: Each | None = None
    when: Expression | None = None
    paths: tuple[Path, ...] = ()
    body: Node | None = node
    if isinstance(node, Mapping) and node.key("for_each") is not None:
        opened = open_mapping(node, key.text, ("for_each", "when", "set"), report, required=("set",)) or {}
        each = read_each(opened.get("for_each"), around.source, around.owner, report, loops=around.loops)
        if each is None:
            return None
        around = around.inside(around.owner, each)
        _, when, paths = read_when(opened.get("when"), around.lets, report, loops=around.loops)
        body = opened.get("set")
    if isinstance(body, Mapping) and not _is_rule(body):
        return JsonItem(_members(body, around, report, level), None, each, when, paths)
    if body is None:
        return None
    text = text_of(body, key.text, report) if isinstance(body, Scalar) else key
    rule = None if text is None else read_rule(key, body, _LEAF, around, report)
    return None if rule is None else JsonItem((), rule, each, when, paths)


def _is_rule(node: Mapping) -> bool:
    """Whether a mapping is a rule of one value, and no object: it says `from` or `const` of it."""
    return node.key("from") is not None or node.key("const") is not None

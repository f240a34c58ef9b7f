"""One rule of `set:`: what it says, checked against the field that it sets."""

from __future__ import annotations

from collections.abc import Mapping as Dict
from collections.abc import Sequence as Items
from dataclasses import dataclass, replace
from typing import Any, Final

from bridge.canonical.base import FieldType, Tag
from bridge.located import Mapping, Node, Place, Scalar, Sequence, did_you_mean
from bridge.mapping.check import Scope, check_expression, read_expression
from bridge.mapping.code_values import CodeValues, read_code_values
from bridge.mapping.convert import CONVERTERS, constant
from bridge.mapping.document import (
    Entries,
    Report,
    flag_of,
    list_of,
    open_mapping,
    text_of,
    texts_of,
    word_of,
)
from bridge.mapping.each import Each, Source, read_each
from bridge.mapping.key_texts import ENTRY_KEYS, RULE_KEYS
from bridge.mapping.lets import Lets, scope_in
from bridge.mapping.syntax import Call, Expression, Member, Name, Nothing, Path, Text
from bridge.mapping.tables import Tables
from bridge.mapping.values import Type, ValueRefused
from bridge.mapping.when import read_when
from bridge.mapping.written_out import constructed, constructor_for, spread

_KEYS: Final = tuple(RULE_KEYS)
_SOURCES: Final = ("from", "const", "ref", "list", "part")
_ON_ERROR: Final = ("reject", "null", "default", "keep_raw")
_UNMAPPED: Final = ("reject", "null", "default", "keep", "hold")


@dataclass(frozen=True, slots=True)
class Rule:
    """One checked rule. One of ``trees``, ``const``, ``ref`` and ``items`` says where values come from.

    Of a part ``items`` has the one item that it is.

    ``required`` is what the rule says; the field may require a value without it.
    """

    name: str
    place: Place
    field: FieldType
    tag: Tag
    type: Type = Type.NOTHING
    trees: tuple[Expression, ...] = ()
    paths: tuple[Path, ...] = ()
    members: tuple[Member, ...] = ()
    const: Any = None
    ref: str | None = None
    items: tuple[Item, ...] | None = None
    table: CodeValues | None = None
    default: Any = None
    required: bool = False
    on_error: str = "reject"
    unmapped: str = "reject"
    adds: bool = False

    @property
    def all_paths(self) -> tuple[Path, ...]:
        """The paths of the rule and of the rules of its list."""
        return (*self.paths, *(path for item in self.items or () for path in item.all_paths))

    @property
    def sources(self) -> list[str]:
        """What it reads, as the file writes it, each once."""
        read: tuple[Path | Member, ...] = (*self.all_paths, *self.all_members)
        return list(dict.fromkeys(each.text for each in read))

    @property
    def all_members(self) -> tuple[Member, ...]:
        """The same of rows and documents."""
        rules = (rule for item in self.items or () for rule in item.rules)
        return (*self.members, *(each for rule in rules for each in rule.all_members))


@dataclass(frozen=True, slots=True)
class Item:
    """What one entry of a list is made of; with ``each``, one entry for each of what it names.

    ``when`` leaves an entry out. Of a list of texts the one rule is the entry itself.
    """

    rules: tuple[Rule, ...]
    each: Each | None = None
    when: Expression | None = None
    when_paths: tuple[Path, ...] = ()

    @property
    def all_paths(self) -> tuple[Path, ...]:
        """Every path that it reads."""
        gone_through = () if self.each is None or self.each.path is None else (self.each.path,)
        return (*gone_through, *self.when_paths, *(path for rule in self.rules for path in rule.all_paths))


@dataclass(frozen=True, slots=True)
class Around:
    """What a rule may refer to. ``earlier`` are the records whose keys are known before this one.

    ``loops`` are the `for_each` that it stands in, the innermost last.
    """

    owner: str
    lets: Lets
    tables: Tables
    earlier: Items[str]
    source: Source
    loops: tuple[Each, ...] = ()

    def scope(self) -> Scope:
        """What an expression may name."""
        return scope_in(self.lets, self.loops)

    def inside(self, owner: str, each: Each | None = None) -> Around:
        """What the rules of an item may refer to."""
        loops = self.loops if each is None else (*self.loops, each)
        return replace(self, owner=owner, loops=loops)


def read_rules(node: Node, fields: Dict[str, FieldType], around: Around, report: Report) -> tuple[Rule, ...]:
    """The rules of a `set:` or of one item of a `list:`."""
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", f"{around.owner}: rules must be a mapping from fields to expressions")
        return ()
    rules: list[Rule] = []
    seen: set[str] = set()
    for key, value in spread(node, fields, around.owner, report):
        name = key.text
        if name in seen:
            report.add(key.place, "E222", f"{around.owner}.{name} is set twice")
            continue
        seen.add(name)
        field = fields.get(name)
        if field is None:
            beside = f"`{name}` stands beside `set`, not in it"
            hint = beside if name in ENTRY_KEYS else did_you_mean(name, fields)
            report.add(key.place, "E220", f"{around.owner} has no field {name!r}", hint)
        elif (rule := read_rule(key, value, field, around, report)) is not None:
            rules.append(rule)
    for name, field in fields.items():
        if field.required and name not in seen:
            text = f"{around.owner}: the required field {name!r} is not mapped"
            report.add(node.place, "E223", text, field.description)
    return tuple(rules)


def read_rule(key: Scalar, value: Node, field: FieldType, around: Around, report: Report) -> Rule | None:
    """The rule for one field; None where it cannot be told what it means."""
    return _RuleReader(key, field, around, report).read(value)


class _RuleReader:
    def __init__(self, key: Scalar, field: FieldType, around: Around, report: Report) -> None:
        self._key = key
        self._field = field
        self._around = around
        self._report = report
        self._what = f"{around.owner}.{key.text}"

    def read(self, value: Node) -> Rule | None:
        if self._field.kind in ("records", "part"):
            made = constructed(value, self._key, self._field, self._what, self._report)
            if made is None:
                return None
            value = made
        if isinstance(value, Scalar | Sequence):
            entries: Entries = {"from": value}
        elif (odd := value.key("for_each")) is not None:
            hint = "list: {for_each: ..., set: {...}}"
            self._report.add(odd.place, "E221", f"{self._what}: for_each stands inside of `list:`", hint)
            return None
        else:
            opened = open_mapping(value, self._what, _KEYS, self._report, unknown="E221")
            if opened is None:
                return None
            entries = opened
            given = [name for name in _SOURCES if name in entries]
            if len(given) != 1:
                hint = "exactly one of from, const, ref, list, part"
                found = " and ".join(given) or "neither from, const, ref, list nor part"
                self._report.add(value.place, "E224", f"{self._what}: has {found}", hint)
                return None
        self._keys_go_together(entries)
        tag = self._tag(entries)
        required = flag_of(entries.get("required"), "required", self._report)
        common: dict[str, Any] = {"name": self._key.text, "place": self._key.place, "field": self._field}
        common |= {"tag": tag, "required": required}
        mode = word_of(entries.get("mode"), "mode", ("snapshot", "add"), self._report)
        common["adds"] = mode == "add"
        if "ref" in entries:
            return self._ref(entries["ref"], common)
        if "const" in entries:
            return Rule(const=self._constant(entries["const"], "const"), **common)
        if "list" in entries:
            return self._list(entries["list"], common)
        if "part" in entries:
            return self._part(entries["part"], common)
        return self._from(entries, common)

    def _from(self, entries: Entries, common: dict[str, Any]) -> Rule | None:
        kind = self._field.kind
        if kind in ("records", "part"):
            said, hint = (
                ("a list of records", "write `list: [{...}]`")
                if kind == "records"
                else ("made of fields", "write `part: {...}`")
            )
            if (made := constructor_for(self._field.item)) is not None:
                hint += f", or a constructor, {made}"
            self._report.add(self._key.place, "E244", f"{self._what} is {said}", hint)
            return None
        scope = self._around.scope()
        trees: list[Expression] = []
        types: set[Type] = set()
        readable = True
        table = self._table(entries, scope)
        for text in texts_of(entries["from"], f"{self._what}: from", self._report):
            tree = read_expression(text, self._report)
            found = None if tree is None else check_expression(tree, text, scope, self._report)
            if tree is None or found is None:
                readable = False
                continue
            trees.append(tree)
            if found is not Type.NOTHING:
                types.add(found)
                self._fits(found, tree, text, translated="translate" in entries)
        self._around.lets.used |= scope.used
        if not readable or not trees:
            return None
        if len(types) > 1:
            words = ", ".join(sorted(each.value for each in types))
            self._report.add(
                self._key.place, "E113", f"{self._what}: alternatives of different types: {words}"
            )
            return None
        default = self._constant(entries["default"], "default") if "default" in entries else None
        fallback = "default" if default is not None else "reject"
        on_error = word_of(entries.get("on_error"), "on_error", _ON_ERROR, self._report, later=("hold",))
        unmapped = word_of(entries.get("unmapped"), "unmapped", _UNMAPPED, self._report)
        return Rule(
            type=types.pop() if types else Type.TEXT,
            trees=tuple(trees),
            paths=(*scope.paths, *self._around.lets.paths(scope.used)),
            members=(*scope.members, *self._around.lets.members(scope.used)),
            table=table,
            default=default,
            on_error=on_error or fallback,
            unmapped=unmapped or fallback,
            **common,
        )

    def _fits(self, found: Type, tree: Expression, text: Scalar, *, translated: bool) -> None:
        """Note where a value of this type cannot become what the field takes."""
        kind = self._field.kind
        if translated:
            if found is not Type.TEXT:
                self._report.add(
                    text.place, "E112", f"{self._what}: a table translates text, not {found.value}"
                )
            return
        if kind == "enum":
            self._fixed(tree, text)
            return
        if (kind, found) not in CONVERTERS:
            hint = "take one with | first, or all with join(', ', ...)" if found is Type.LIST else None
            said = f"{self._what} takes {kind}, and the expression gives {found.value}"
            self._report.add(text.place, "E244", said, hint)
        elif kind in ("datetime", "date_or_datetime") and not self._around.source.has_zone:
            said = f"{self._what} needs a time zone for senders that give no offset"
            self._report.add(text.place, "E202", said, "add `timezone: America/Chicago` under `source`")

    def _fixed(self, tree: Expression, text: Scalar) -> None:
        """Note what an enum cannot take: anything but literals that are among its values."""
        literals = _literals(tree, self._around.lets)
        if literals is None:
            said = f"{self._what} takes one of {', '.join(self._field.values)}, but the source is free text"
            self._report.add(text.place, "E242", said, "add translate: <table>")
            return
        for literal in literals:
            if literal not in self._field.values:
                said = f"{self._what} does not take {literal!r}"
                self._report.add(text.place, "E225", said, did_you_mean(literal, self._field.values))

    def _table(self, entries: Entries, scope: Scope) -> CodeValues | None:
        if "translate" not in entries:
            return None
        return read_code_values(
            entries["translate"], self._field, self._what, self._around.tables, scope, self._report
        )

    def _constant(self, node: Node, what: str) -> Any:
        text = text_of(node, f"{self._what}: {what}", self._report)
        if text is None:
            return None
        try:
            return constant(text.text, self._field)
        except ValueRefused as refused:
            self._report.add(text.place, "E225", f"{self._what} does not take {text.text!r}", str(refused))
            return None

    def _ref(self, node: Node, common: dict[str, Any]) -> Rule | None:
        name = text_of(node, f"{self._what}: ref", self._report)
        if name is None:
            return None
        if self._field.kind != "ref":
            self._report.add(name.place, "E244", f"{self._what} is no reference", "write an expression")
            return None
        if name.text not in self._around.earlier:
            hint = did_you_mean(name.text, self._around.earlier)
            said = f"{self._what}: no record {name.text!r} stands before this one"
            self._report.add(name.place, "E230", said, hint or "put the record that is referred to above")
            return None
        return Rule(ref=name.text, **common)

    def _list(self, node: Node, common: dict[str, Any]) -> Rule | None:
        if self._field.kind not in ("texts", "records"):
            self._report.add(node.place, "E244", f"{self._what} is no list", "write an expression")
            return None
        nodes = (node,) if isinstance(node, Mapping) else list_of(node, f"{self._what}: list", self._report)
        items = [self._item(each) for each in nodes]
        return Rule(items=tuple(each for each in items if each is not None), **common)

    def _item(self, node: Node) -> Item | None:
        """One entry of a list, or what is made for each of something."""
        if not isinstance(node, Mapping) or node.key("for_each") is None:
            return self._entry(node, self._around.inside(self._what))
        opened = open_mapping(node, self._what, ("for_each", "when", "set"), self._report, required=("set",))
        if opened is None:
            return None
        around = self._around
        each = read_each(opened["for_each"], around.source, self._what, self._report, loops=around.loops)
        if each is None or "set" not in opened:
            return None
        inner = self._around.inside(self._what, each)
        _, when, paths = read_when(opened.get("when"), inner.lets, self._report, loops=inner.loops)
        found = self._entry(opened["set"], inner)
        return None if found is None else Item(found.rules, each, when, paths)

    def _entry(self, node: Node, around: Around) -> Item | None:
        if self._field.kind == "records":
            return Item(read_rules(node, self._field.item, around, self._report))
        field = FieldType("text", required=True, tag=self._field.tag, description=self._field.description)
        rule = _RuleReader(self._key, field, around, self._report).read(node)
        return None if rule is None else Item((rule,))

    def _part(self, node: Node, common: dict[str, Any]) -> Rule | None:
        """The fields of a part: one item, which is no list."""
        if self._field.kind != "part":
            self._report.add(node.place, "E244", f"{self._what} is not made of fields", "write an expression")
            return None
        rules = read_rules(node, self._field.item, self._around.inside(self._what), self._report)
        return Rule(items=(Item(rules),), **common)

    def _tag(self, entries: Entries) -> Tag:
        own = self._field.tag
        word = word_of(entries.get("tag"), "tag", [each.name for each in Tag], self._report)
        if word is None:
            return own
        if Tag[word].rank < own.rank:
            said = f"{self._what} is {own.name}; a mapping may raise that, not lower it to {word}"
            self._report.add(entries["tag"].place, "E226", said, f"leave it out, or one above {own.name}")
            return own
        return Tag[word]

    def _keys_go_together(self, entries: Entries) -> None:
        def refuse(name: str, said: str, hint: str | None = None) -> None:
            self._report.add(entries[name].place, "E224", f"{self._what}: {said}", hint)

        def word(name: str) -> str:
            node = entries.get(name)
            return node.text if isinstance(node, Scalar) else ""

        if "mode" in entries and self._field.kind not in ("records", "texts"):
            refuse("mode", "mode goes with lists only")
        if "from" not in entries:
            for name in ("default", "on_error", "unmapped", "translate"):
                if name in entries:
                    refuse(name, f"{name} goes with `from` only")
            return
        if "unmapped" in entries and "translate" not in entries:
            refuse("unmapped", "unmapped goes with translate", "add translate: <table>")
        for name in ("on_error", "unmapped"):
            if word(name) == "default" and "default" not in entries:
                refuse(name, f"{name}: default needs a default", "add default: ...")
        if word("on_error") == "keep_raw" and self._field.kind not in ("text", "ref", "any"):
            refuse("on_error", f"a raw value cannot stand in a field of kind {self._field.kind}")
        if word("unmapped") == "keep" and self._field.kind not in ("text", "any"):
            refuse("unmapped", f"an unmapped code cannot stand in a field of kind {self._field.kind}")


def _literals(tree: Expression, lets: Lets) -> list[str] | None:
    """The texts that an expression chooses among; None where it can give anything else."""
    match tree:
        case Text(value=value):
            return [value]
        case Nothing():
            return []
        case Name(name=name) if name in lets.found:
            branches = lets.found[name].trees
        case Call(name="if", arguments=(_, *rest)):
            branches = tuple(rest)
        case Call(name="first_of", arguments=arguments):
            branches = arguments
        case _:
            return None
    found = [_literals(branch, lets) for branch in branches]
    return None if None in found else [text for each in found for text in each or ()]

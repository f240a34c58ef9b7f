"""Names for expressions, under `let`. They may use each other in any order, but not in a circle."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.located import Mapping, Node, Scalar
from bridge.mapping.check import ANY_VERSION, Declared, Scope, check_expression, read_expression
from bridge.mapping.document import Report, texts_of
from bridge.mapping.each import Each
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.groups import Groups
from bridge.mapping.hl7_fields import ONCE
from bridge.mapping.syntax import Expression, Member, Path
from bridge.mapping.tables import Tables
from bridge.mapping.values import LETS_MAX_LEVELS, Type

_NAME = re.compile(r"[a-z_][a-z0-9_]{0,63}")
COUNTED: Final = ("index", "group_index")
"""Names that an expression may use inside of a `for_each`: which one it is, in what is around and in all."""
_RESERVED = {"and", "or", "not", "in", "null", *COUNTED}


@dataclass(frozen=True, slots=True)
class Let:
    """One name with its alternatives, the first non-empty of which counts."""

    key: Scalar
    trees: tuple[Expression, ...]
    type: Type
    paths: tuple[Path, ...]
    members: tuple[Member, ...] = ()
    level: int = 1
    local: bool = False
    """Whether it means something else in another context of the same message."""
    counted: bool = False
    """Whether it does so in every context, as what counts or reads rows does."""

    def changes_with(self, groups: Groups) -> str | None:
        """The group in whose instances it means one thing each: '' for every context, None for none."""
        if not self.local:
            return None
        in_groups = {name for group in groups.values() for name in group.held}
        segments = {path.segment for path in self.paths} - (ONCE - in_groups)
        for group in () if self.counted else groups.values():
            others = (each for each in groups.values() if each is not group)
            # What a group around it may hold as well means another thing in each instance of that one.
            if segments and segments <= group.held and not any(segments & each.held for each in others):
                return group.name
        return ""


@dataclass(slots=True)
class Lets:
    """The lets in reach of an expression. ``used`` is shared by all scopes of one file."""

    found: dict[str, Let] = field(default_factory=dict)
    used: set[str] = field(default_factory=set)

    loops: tuple[Each, ...] = ()
    """The `for_each` that they stand in."""
    tables: Tables = field(default_factory=Tables)
    form: str = "hl7v2"
    names: Dict[str, frozenset[str]] = field(default_factory=dict)
    asked: set[str] = field(default_factory=set)
    """What is read of a document's top: shared as ``used`` is."""
    declared: Declared = ANY_VERSION
    once: frozenset[str] = ONCE
    """Segments that mean the same wherever in a message they are read."""

    @property
    def types(self) -> dict[str, Type]:
        """The types by name, as expressions are checked against them."""
        counted = dict.fromkeys(COUNTED, Type.NUMBER) if self.loops else {}
        return {**counted, **{name: let.type for name, let in self.found.items()}}

    def scope(self) -> Scope:
        """What an expression may name."""
        # Inside of a list of a document other names count than at its top.
        nested = any(each.kind == "items" for each in self.loops)
        names = {base: known for base, known in self.names.items() if base != "item" or not nested}
        return Scope(
            self.types,
            form=self.form,
            names=names,
            tables=self.tables.found,
            tables_used=self.tables.used,
            asked=self.asked,
            nested=nested,
            declared=self.declared,
        )

    def paths(self, names: set[str]) -> list[Path]:
        """The paths behind names."""
        return [path for name in sorted(names) if name in self.found for path in self.found[name].paths]

    def members(self, names: set[str]) -> list[Member]:
        """The same of rows and documents."""
        return [each for name in sorted(names) if name in self.found for each in self.found[name].members]


def scope_in(lets: Lets, loops: tuple[Each, ...]) -> Scope:
    """What an expression may name that stands in ``loops``."""
    return replace(lets, loops=(*lets.loops, *loops)).scope()


def read_lets(node: Node | None, outer: Lets, report: Report, *, loops: tuple[Each, ...] = ()) -> Lets:
    """The lets of a `let:` block together with those around it, in an order in which each can be built."""
    if node is None:
        return outer
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", "let must be a mapping from names to expressions")
        return outer
    lets = replace(outer, found=dict(outer.found), loops=loops)
    waiting: dict[str, tuple[Scalar, list[tuple[Scalar, Expression]]]] = {}
    for key, value in node.entries:
        if _refused_name(key, outer, report):
            continue
        texts = texts_of(value, f"let {key.text}", report)
        trees = [(text, read_expression(text, report)) for text in texts]
        read = [(text, tree) for text, tree in trees if tree is not None]
        # What could not be read is still a name, so that its uses are no mistakes of their own.
        waiting[key.text] = (key, read if len(read) == len(trees) else [])
    resolver = _Resolver(lets, waiting, report)
    for name in list(waiting):
        resolver.resolve(name, ())
    return lets


def unused_lets(node: Node | None, lets: Lets, report: Report) -> None:
    """Warn of names that no expression uses."""
    if isinstance(node, Mapping):
        for key, _ in node.entries:
            if key.text not in lets.used:
                report.warn(
                    key.place, "E251", f"let {key.text!r} is never used", "delete it, or use it in a rule"
                )


def _refused_name(key: Scalar, outer: Lets, report: Report) -> bool:
    if key.text in outer.found:
        report.add(
            key.place,
            "E222",
            f"let {key.text!r} already stands in the `let` of the file",
            "choose another name",
        )
        return True
    if _NAME.fullmatch(key.text) is None or key.text in _RESERVED or key.text in FUNCTIONS:
        hint = "small letters, digits and _, and no word or function of the language"
        report.add(key.place, "E206", f"{key.text!r} cannot be the name of a let", hint)
        return True
    return False


class _Resolver:
    """Finds the type of each let by first finding those that it uses."""

    def __init__(
        self,
        lets: Lets,
        waiting: Dict[str, tuple[Scalar, list[tuple[Scalar, Expression]]]],
        report: Report,
    ) -> None:
        self._lets = lets
        self._waiting = waiting
        self._report = report

    def resolve(self, name: str, chain: tuple[str, ...]) -> None:
        if name in self._lets.found or name not in self._waiting:
            return
        key, alternatives = self._waiting[name]
        if name in chain:
            circle = " -> ".join((*chain[chain.index(name) :], name))
            self._report.add(key.place, "E115", f"let {name!r} refers to itself: {circle}")
            self._lets.found[name] = Let(key, (), Type.NOTHING, ())
            return
        if len(chain) > LETS_MAX_LEVELS:
            self._too_deep(key)
            self._lets.found[name] = Let(key, (), Type.NOTHING, ())
            return
        names = (*self._waiting, *self._lets.types)
        scope = replace(self._lets.scope(), lets=dict.fromkeys(names, Type.NOTHING))
        for text, tree in alternatives:
            check_expression(tree, text, scope, [])
        for other in sorted(scope.used):
            self.resolve(other, (*chain, name))
        if name not in self._lets.found:
            self._lets.found[name] = self._checked(key, alternatives)

    def _checked(self, key: Scalar, alternatives: list[tuple[Scalar, Expression]]) -> Let:
        scope = self._lets.scope()
        types: set[Type] = set()
        for text, tree in alternatives:
            found = check_expression(tree, text, scope, self._report)
            if found is not None:
                types.add(found)
        types.discard(Type.NOTHING)
        self._lets.used |= scope.used
        if len(types) > 1:
            words = ", ".join(sorted(each.value for each in types))
            self._report.add(
                key.place, "E113", f"the alternatives of {key.text!r} are of different types: {words}"
            )
        paths = (*scope.paths, *self._lets.paths(scope.used))
        only = types.pop() if len(types) == 1 else Type.NOTHING
        level = 1 + max(
            (self._lets.found[name].level for name in scope.used if name in self._lets.found), default=0
        )
        if level > LETS_MAX_LEVELS:
            self._too_deep(key)
        known = [self._lets.found[name] for name in scope.used if name in self._lets.found]
        counted = bool(scope.members) or any(name in COUNTED for name in scope.used)
        counted = counted or _uses_seen(alternatives) or any(each.counted for each in known)
        local = counted or any(path.segment not in self._lets.once or path.which != 1 for path in paths)
        local = local or any(each.local for each in known)
        members = (*scope.members, *self._lets.members(scope.used))
        trees = tuple(tree for _, tree in alternatives)
        return Let(key, trees, only, tuple(paths), members, level, local, counted)

    def _too_deep(self, key: Scalar) -> None:
        self._report.add(key.place, "E103", f"lets stand on each other more than {LETS_MAX_LEVELS} deep")


def _uses_seen(alternatives: list[tuple[Scalar, Expression]]) -> bool:
    """Whether something in it counts what was seen in the message."""
    return any("occurrence" in text.text for text, _ in alternatives)

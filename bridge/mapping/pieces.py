"""Expressions as Python: what a rule reads and decides, written out for `generate.py`.

No text of a file gets into what is written: texts, tables and whatever is not worth writing out are bound by
names of ours (`K1`). The names of segments are all of a file that is in there: capitals and digits, checked.
"""

from __future__ import annotations

from typing import Any

from bridge.mapping.build import Builder
from bridge.mapping.emit import Emit
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.functions.observed import NEVER_REFUSE
from bridge.mapping.groups import Group
from bridge.mapping.lets import Lets
from bridge.mapping.syntax import (
    Among,
    Call,
    Compare,
    Expression,
    Logic,
    Name,
    Not,
    Nothing,
    Number,
    Path,
    Text,
    Where,
)
from bridge.mapping.total import is_text, is_total
from bridge.mapping.values import Type


class Piece:
    """A written expression. ``total``: it can neither be refused nor note anything."""

    __slots__ = ("code", "total")

    def __init__(self, code: str, *, total: bool) -> None:
        self.code = code
        self.total = total


class Pieces:
    """Writes the expressions of one entry, and collects what is to be read before them.

    ``leaves`` are the variables of components by segment, field and component, ``fields_most`` the highest
    field that is read of each segment, ``let_lines`` the lets that are read before all else, ``names`` what
    the source may speak of. ``group`` is the group whose instances are gone through.
    """

    def __init__(self, emit: Emit, lets: Lets, builder: Builder, group: Group | None) -> None:
        self._emit = emit
        self._lets = lets
        self._builder = builder
        self._group = group
        self.names: dict[str, Any] = {}
        self.leaves: dict[tuple[str, int, int], str] = {}
        self.fields_most: dict[str, int] = {}
        self.let_lines: list[str] = []
        self._inlined: dict[str, Piece] = {}
        self._count = 0
        self._constants: dict[str | frozenset[str], str] = {}

    def is_around(self, segment: str) -> bool:
        """Whether a segment is one that an instance has of its own only where the order is odd."""
        return self._group is not None and segment not in self._group.held

    def first(self, pieces: list[Piece]) -> Piece:
        """The first of several that gives something."""
        code, total = pieces[-1].code, pieces[-1].total
        for piece in reversed(pieces[:-1]):
            t = self._new("t")
            code = f"({t} if ({t} := {piece.code}) is not None else {code})"
            total = total and piece.total
        return Piece(code, total=total)

    def piece(self, node: Expression, *, whole: bool = False) -> Piece:
        """A checked expression; ``whole``: as a key, of which no part may be missing."""
        match node:
            case Path():
                return self._path(node)
            case Text(value=value):
                return Piece("None" if value == "" else self.bound(value), total=True)
            case Number(value=number):
                return Piece(self.bound(number), total=True)
            case Nothing():
                return Piece("None", total=True)
            case Name():
                return self._name(node, whole=whole)
            case Compare(operator="=" | "!=" as sign, left=left, right=Text(value=value)) if value:
                a = self.piece(left)
                code = f"({a.code} {'==' if sign == '=' else '!='} {self.bound(value)})"
                return Piece(code, total=a.total)
            case Among(value=value_node, options=tuple() as options, negated=negated) if all(
                isinstance(each, Text) for each in options
            ):
                fixed = frozenset(each.value for each in options if isinstance(each, Text))
                a = self.piece(value_node)
                code = f"({a.code} {'not in' if negated else 'in'} {self.bound(fixed)})"
                return Piece(code, total=a.total)
            case Logic(operator=sign, parts=parts):
                pieces = [self.piece(part) for part in parts]
                code = f"({f' {sign} '.join(each.code for each in pieces)})"
                return Piece(code, total=all(each.total for each in pieces))
            case Not(part=part):
                a = self.piece(part)
                return Piece(f"(not {a.code})", total=a.total)
            case Call():
                return self._call(node, whole=whole)
            case _:
                return self._closure(node)

    def _call(self, node: Call, *, whole: bool) -> Piece:
        arguments = node.arguments
        match node.name:
            case "first_of":
                return self.first([self.piece(each, whole=whole) for each in arguments])
            case "if":
                decide, *branches = (
                    self.piece(arguments[0]),
                    *(self.piece(each, whole=whole) for each in arguments[1:]),
                )
                otherwise = branches[1] if len(branches) > 1 else Piece("None", total=True)
                code = f"({branches[0].code} if {decide.code} else {otherwise.code})"
                return Piece(code, total=decide.total and branches[0].total and otherwise.total)
            case "absent":
                a = self.piece(arguments[0])
                return Piece(f"({a.code} is None)", total=a.total)
            case "is_null":
                a = self.piece(arguments[0])
                return Piece(f"({a.code} is NULL)", total=a.total)
            case "present":
                a, t = self.piece(arguments[0]), self._new("t")
                return Piece(f"(({t} := {a.code}) is not None and {t} is not NULL)", total=a.total)
            case "join" if isinstance(arguments[0], Text) and arguments[0].value:
                parts = [self.piece(each, whole=whole).code for each in arguments[1:]]
                # Only what cannot be refused may be passed over where a part before it is missing.
                rest = all(is_total(each, self._lets) for each in arguments[2:])
                if whole and rest and all(is_text(each, self._lets) for each in arguments[1:]):
                    names = [self._new("t") for _ in parts]
                    there = " and ".join(
                        f"({name} := {part})" for name, part in zip(names, parts, strict=True)
                    )
                    joined = f"{self.bound(arguments[0].value)}.join(({', '.join(names)},))"
                    return Piece(f"({joined} if {there} else None)", total=False)
                call = "join_all" if whole else "join"
                return Piece(f"{call}({self.bound(arguments[0].value)}, {', '.join(parts)})", total=False)
            case _:
                piece = self._single(node) or self._closure(node, whole=whole)
                if node.name in NEVER_REFUSE:
                    piece.total = all(is_total(each, self._lets) for each in arguments)
                return piece

    def _single(self, node: Call) -> Piece | None:
        """A function of one text, called where there is one."""
        function = FUNCTIONS[node.name]
        params = [function.param(index) for index in range(len(node.arguments))]
        if len(params) != 1 or params[0].type is not Type.TEXT or params[0].lenient or function.counts:
            return None
        if function.result not in (Type.TEXT, Type.NUMBER) or params[0].whole:
            return None
        if isinstance(node.arguments[0], Text):
            return None
        a, t = self.piece(node.arguments[0]), self._new("t")
        empty = " or None" if function.result is Type.TEXT else ""
        call = f"({self.bound(function.call)}({t}){empty})"
        return Piece(f"({t} if ({t} := {a.code}) is None or {t} is NULL else {call})", total=False)

    def _closure(self, node: Expression, *, whole: bool = False) -> Piece:
        read = self._builder.key([node]) if whole else self._builder.value(node)
        return Piece(f"{self.bound(read)}(run)", total=False)

    def _listed(self, path: Path) -> Piece:
        """A list, asked for only where there is something to list."""
        piece = self._closure(path)
        own = path.passes_over and not isinstance(path.repetition, Where)
        if path.repetition is not None and own:
            # Of a field that has only one repetition there is no second one, as one look at it tells.
            self._is_read(path)
            field = f"F_{path.segment}[{path.field}]"
            if path.repetition != 1:
                return Piece(f"({piece.code} if r in {field} else None)", total=True)
            t = self._new("t")
            signs = f"r in {t} or c in {t} or sub in {t} or esc in {t} or {t} == '\"\"'"
            return Piece(f"(({piece.code} if {signs} else {t}) if ({t} := {field}) else None)", total=True)
        if path.which is None:
            view = "around" if self.is_around(path.segment) else "view"
            return Piece(f"({piece.code} if {self.bound(path.segment)} in {view} else None)", total=False)
        if path.repetition is None and "(" not in path.text.split("-", 1)[0]:
            self._is_read(path)
            return Piece(f"({piece.code} if F_{path.segment}[{path.field}] else None)", total=False)
        return piece

    def _is_read(self, path: Path) -> None:
        self.fields_most[path.segment] = max(path.field, self.fields_most.get(path.segment, 0))

    def _path(self, path: Path) -> Piece:
        loops = self._emit.loops
        plain = path.repetition == 1 and "(" not in path.text and path.subcomponent is None and not path.whole
        current = any(each.current_of == f"{path.segment}-{path.field}" for each in loops)
        header = path.segment in ("MSH", "BHS", "FHS") and path.field <= 2
        if not plain or current or header:
            apart = path.subcomponent is None and (path.whole or path.repetition != 1)
            simple = not current and not header and (None in (path.which, path.repetition) or apart)
            return self._listed(path) if simple else self._closure(path)
        at = (path.segment, path.field, path.component or 1)
        self._is_read(path)
        name = self.leaves.setdefault(at, f"p{len(self.leaves)}")
        return Piece(name, total=True)

    def _name(self, node: Name, *, whole: bool) -> Piece:
        let = self._lets.found.get(node.name)
        if let is None:
            return Piece(f"Decimal(context.{node.name})", total=True)
        slot = self._builder.slot_of(node.name)
        own = self._builder.changes_with(slot) in ("", *(each.name for each in self._emit.loops))
        if own and not let.counted and all(is_total(tree, self._lets) for tree in let.trees):
            if node.name not in self._inlined:
                piece = self.first([self.piece(tree) for tree in let.trees])
                self.let_lines.append(f"l{slot} = {piece.code}")
                self._inlined[node.name] = Piece(f"l{slot}", total=piece.total)
            return self._inlined[node.name]
        total = all(is_total(tree, self._lets) for tree in let.trees)
        read = self._builder.key([node]) if whole and not total else self._builder.value(node)
        if whole and not total:
            slot = self._builder.whole_slot_of(node.name)
        code = f"({self.bound(read)}(run) if lets[{slot}] is UNSET else lets[{slot}])"
        return Piece(code, total=total)

    def bound(self, value: Any) -> str:
        """A name of ours for a value."""
        if isinstance(value, str | frozenset):
            # One name for one constant: so that equal conditions are written alike.
            if (known := self._constants.get(value)) is None:
                known = self._constants[value] = self._new("K")
                self.names[known] = value
            return known
        name = self._new("K")
        self.names[name] = value
        return name

    def _new(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"

"""Python source for the entries that make records of HL7 v2: the same as the closures, with fewer calls.

The source is written from the checked tree alone. No text of a file gets into it: texts, tables and whatever
is not worth writing out are bound by names of ours (`K1`). The closures stay the reference: what traces, what
is not HL7 v2 and what is large runs there, and a test holds that both give the same.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final

from bridge.canonical.base import TEXT_MAX_CHARACTERS
from bridge.formats.hl7v2 import NULL
from bridge.mapping.as_text import as_text
from bridge.mapping.build import Builder
from bridge.mapping.convert import AS_IT_IS
from bridge.mapping.emit import Emit
from bridge.mapping.first_repetition import readers, reads
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.functions.lists import join, join_all
from bridge.mapping.lets import Lets
from bridge.mapping.reading import UNSET, Run
from bridge.mapping.rules import Item, Rule
from bridge.mapping.steps import build_step, finish_of, holds, missing, refusal_of, rejected, unmapped_of
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
)
from bridge.mapping.total import is_text, is_total
from bridge.mapping.values import Type, ValueRefused, bounded_text

Made = tuple[str, str, dict[str, Any]]
MESSAGE_MAX_CHARACTERS: Final = TEXT_MAX_CHARACTERS // 4
KEY_MAX_CHARACTERS: Final = 1000
"""No text of a message up to here can be too large for a field, whatever its characters are."""


class _Piece:
    """A written expression. ``total``: it can neither be refused nor note anything."""

    __slots__ = ("code", "total")

    def __init__(self, code: str, *, total: bool) -> None:
        self.code = code
        self.total = total


def generated(emit: Emit, lets: Lets, builder: Builder) -> Callable[[Run], Made | None]:
    """What makes key, operation and fields of one entry, or None where its condition does not hold.

    Raises RecordRejected, as the closures do, and with the same issues.
    """
    writer = _Writer(emit, lets, builder)
    source, names = writer.function()
    space: dict[str, Any] = {}
    exec(compile(source, f"<{emit.record}>", "exec"), space)  # noqa: S102 - written here, from a checked tree
    made: Callable[[Run], Made | None] = space["bind"](**names)
    return made


class _Writer:
    def __init__(self, emit: Emit, lets: Lets, builder: Builder) -> None:
        self._emit = emit
        self._lets = lets
        self._builder = builder
        self._names: dict[str, Any] = {
            "NULL": NULL,
            "UNSET": UNSET,
            "Decimal": Decimal,
            "readers": readers,
            "str": str,
            "bounded_text": bounded_text,
            "join": join,
            "join_all": join_all,
            "ValueRefused": ValueRefused,
            "rejected": rejected,
            "ONCE": (None,),
        }
        self._leaves: dict[tuple[str, int, int], str] = {}
        self._segments: dict[str, None] = {}
        self._inlined: dict[str, _Piece] = {}
        self._let_lines: list[str] = []
        self._count = 0
        self._constants: dict[str | frozenset[str], str] = {}

    def function(self) -> tuple[str, dict[str, Any]]:
        emit = self._emit
        body: list[str] = []
        if emit.when is not None:
            piece = self._piece(emit.when)
            if not piece.total:
                when = self._builder.value(emit.when)
                piece = _Piece(f"{self._bound(_decided(when, emit.record))}(run)", total=False)
            body.append(f"if not {piece.code}: return None")
        rules = [emit.key, emit.operation, *emit.rules]
        self._names["RULES"] = rules
        self._names["RECORD"] = emit.record
        body += ["fields = {}", "at = 0", "try:"]
        body += [f" {line}" for line in self._key(emit.key)]
        body += [f" {line}" for line in self._operation(emit.operation)]
        for number, rule in enumerate(emit.rules, start=2):
            body += [f" {line}" for line in self._rule(number, rule)]
        body += [
            "except ValueRefused as refused:",
            " raise rejected(run, refused, RECORD, RULES[at]) from None",
            "return key, operation, fields",
        ]
        inner = [*reads(self._leaves, self._segments, self._bound), *self._let_lines, *body]
        lines = [
            # What is bound is found quicker in a function around it than among globals.
            f"def bind({', '.join(self._names)}):",
            " def make(run):",
            *(f"  {line}" for line in inner),
            " return make",
        ]
        return "\n".join(lines) + "\n", self._names

    def _key(self, rule: Rule) -> list[str]:
        pieces = [self._piece(tree, whole=True) for tree in rule.trees]
        missed = self._bound(missing(rule, self._emit.record))
        # A key that is too long is refused one way or the other: the closure says which.
        again = self._bound(build_step(rule, self._emit.record, self._builder))
        return [
            f"key = {self._first(pieces).code}",
            f"if key is None or key is NULL: {missed}(run)",
            f"if len(key) > {KEY_MAX_CHARACTERS}: key = {again}(run)",
        ]

    def _operation(self, rule: Rule) -> list[str]:
        if rule.const is not None:
            return [f"operation = {self._bound(rule.const)}"]
        piece = self._first([self._piece(tree) for tree in rule.trees])
        lines = self._value(1, rule, piece) if rule.default is None else None
        if lines is None:
            closure = self._bound(build_step(rule, self._emit.record, self._builder))
            return ["at = 1", f"operation = {closure}(run)"]
        missed = self._bound(missing(rule, self._emit.record))
        return [*lines, f"if v is None or v is NULL: {missed}(run)", "operation = v"]

    def _rule(self, number: int, rule: Rule) -> list[str]:
        record, name = self._emit.record, self._bound(rule.name)
        put = f"fields[{name}]"
        closure = f"{self._bound(build_step(rule, record, self._builder))}(run)"
        kept = [f"if v is not None: {put} = None if v is NULL else v"]
        required = rule.required or rule.field.required
        if rule.const is not None:
            return [f"{put} = {self._bound(rule.const)}"]
        if rule.ref is not None:
            found = f"run.here.key_at({self._bound(rule.ref)})"
            return [f"at = {number}", f"v = {found}", f"if v is None: v = {closure}", *kept]
        if rule.items is not None:
            part = rule.field.kind == "part" and not required
            lines = self._part(put, rule.items[0]) if part and len(rule.items) == 1 else None
            return lines or [f"at = {number}", f"v = {closure}", *kept]
        if self._is_count(rule):
            return [f"{put} = str(run.here.{rule.trees[0].name})"]  # type: ignore[union-attr]
        rule, trees = as_text(rule)
        piece = self._first([self._piece(tree) for tree in trees])
        lines = self._value(number, rule, piece)
        if lines is None:
            return [f"at = {number}", f"v = {closure}", *self._measured(kept, piece)]
        if rule.default is not None:
            lines.append(f"if v is None: v = {self._bound(rule.default)}")
        if required:
            lines.append(f"if v is None or v is NULL: {self._bound(missing(rule, record))}(run)")
        return [*lines, *(kept if piece.total else self._measured(kept, piece))]

    def _is_count(self, rule: Rule) -> bool:
        """Whether a rule takes the number of what is gone through, and nothing else."""
        tree = rule.trees[0]
        counts = isinstance(tree, Name) and tree.name not in self._lets.found
        return counts and len(rule.trees) == 1 and rule.field.kind == "decimal"

    def _measured(self, kept: list[str], piece: _Piece) -> list[str]:
        if piece.total:
            return kept
        return [f"if v.__class__ is str and len(v) > {MESSAGE_MAX_CHARACTERS}: bounded_text(v)", *kept]

    def _value(self, number: int, rule: Rule, piece: _Piece) -> list[str] | None:
        """The lines that leave a rule's value in ``v``; None where its closure is to be called."""
        plain = rule.field.kind in ("text", "ref") and rule.type is Type.TEXT and rule.table is None
        if plain and rule.on_error == "reject" and rule.field.kind == "text":
            return [*([] if piece.total else [f"at = {number}"]), f"v = {piece.code}"]
        record = self._emit.record
        if not piece.total:
            if rule.table is not None or rule.field.kind == "ref":
                return None
            finish, refuse = self._bound(finish_of(rule, record)), self._bound(refusal_of(rule, record))
            return [
                "try:",
                f" raw = {piece.code}",
                f" v = raw if raw is None or raw is NULL else {finish}(run, raw)",
                "except ValueRefused as refused:",
                f" v = {refuse}(run, refused, None)",
            ]
        if rule.table is not None and rule.table.plain:
            values = {code: rows[0][1] for code, rows in rule.table.rows.items() if rows}
            table, unknown = self._bound(values), self._bound(unmapped_of(rule, record))
            return [
                f"raw = {piece.code}",
                f"v = raw if raw is None or raw is NULL else {table}.get(raw)",
                f"if v is None and raw is not None: v = {unknown}(run, raw)",
            ]
        if rule.table is not None or rule.field.kind == "ref":
            return None
        finish = self._bound(finish_of(rule, record))
        if rule.field.kind == "decimal" and rule.type is Type.TEXT:
            # Most numbers are written as they are to be.
            there = f"raw is None or raw is NULL or {self._bound(AS_IT_IS.fullmatch)}(raw) is not None"
            return [f"raw = {piece.code}", f"v = raw if {there} else {finish}(run, raw)"]
        if rule.field.kind == "datetime" and rule.type is Type.TEXT:
            # Of a report's many times most are the same one.
            finished = f"run.times.get(raw) or {finish}(run, raw)"
            return [f"raw = {piece.code}", f"v = raw if raw is None or raw is NULL else {finished}"]
        return [f"raw = {piece.code}", f"v = raw if raw is None or raw is NULL else {finish}(run, raw)"]

    def _part(self, put: str, item: Item) -> list[str] | None:
        """A field made of fields, where each of these is simple enough to write out."""
        lines = ["e = {}", "for _ in ONCE:"]
        shared = self._condition(item)
        for rule in item.rules:
            if not rule.trees or rule.required or rule.default is not None:
                return None
            piece = self._first([self._piece(tree) for tree in rule.trees])
            inner = self._value(0, rule, piece) if piece.total else None
            if inner is None:
                return None
            lines += [f" {line}" for line in inner]
            lines.append(f" if v is not None and v is not NULL: e[{self._bound(rule.name)}] = v")
            if rule.field.required:
                lines.append(" else: break")
        lines += ["else:", f" if e: {put} = e"]
        return lines if shared is None else [f"if {shared}:", *(f" {line}" for line in lines)]

    def _condition(self, item: Item) -> str | None:
        """What must hold for any of a part's fields to be there, if it is one condition for all."""
        found: set[str] = set()
        for rule in item.rules:
            match rule.trees:
                case (Call(name="if", arguments=(condition, _)),):
                    piece = self._piece(condition)
                    found.add(piece.code if piece.total else "")
                case _:
                    return None
        return found.pop() if len(found) == 1 and "" not in found else None

    def _first(self, pieces: list[_Piece]) -> _Piece:
        code, total = pieces[-1].code, pieces[-1].total
        for piece in reversed(pieces[:-1]):
            t = self._new("t")
            code = f"({t} if ({t} := {piece.code}) is not None else {code})"
            total = total and piece.total
        return _Piece(code, total=total)

    def _piece(self, node: Expression, *, whole: bool = False) -> _Piece:
        match node:
            case Path():
                return self._path(node)
            case Text(value=value):
                return _Piece("None" if value == "" else self._bound(value), total=True)
            case Number(value=number):
                return _Piece(self._bound(number), total=True)
            case Nothing():
                return _Piece("None", total=True)
            case Name():
                return self._name(node, whole=whole)
            case Compare(operator="=" | "!=" as sign, left=left, right=Text(value=value)) if value:
                a = self._piece(left)
                code = f"({a.code} {'==' if sign == '=' else '!='} {self._bound(value)})"
                return _Piece(code, total=a.total)
            case Among(value=value_node, options=tuple() as options, negated=negated) if all(
                isinstance(each, Text) for each in options
            ):
                fixed = frozenset(each.value for each in options if isinstance(each, Text))
                a = self._piece(value_node)
                code = f"({a.code} {'not in' if negated else 'in'} {self._bound(fixed)})"
                return _Piece(code, total=a.total)
            case Logic(operator=sign, parts=parts):
                pieces = [self._piece(part) for part in parts]
                code = f"({f' {sign} '.join(each.code for each in pieces)})"
                return _Piece(code, total=all(each.total for each in pieces))
            case Not(part=part):
                a = self._piece(part)
                return _Piece(f"(not {a.code})", total=a.total)
            case Call():
                return self._call(node, whole=whole)
            case _:
                return self._closure(node)

    def _call(self, node: Call, *, whole: bool) -> _Piece:
        arguments = node.arguments
        match node.name:
            case "first_of":
                return self._first([self._piece(each, whole=whole) for each in arguments])
            case "if":
                decide, *branches = (
                    self._piece(arguments[0]),
                    *(self._piece(each, whole=whole) for each in arguments[1:]),
                )
                otherwise = branches[1] if len(branches) > 1 else _Piece("None", total=True)
                code = f"({branches[0].code} if {decide.code} else {otherwise.code})"
                return _Piece(code, total=decide.total and branches[0].total and otherwise.total)
            case "absent":
                a = self._piece(arguments[0])
                return _Piece(f"({a.code} is None)", total=a.total)
            case "is_null":
                a = self._piece(arguments[0])
                return _Piece(f"({a.code} is NULL)", total=a.total)
            case "present":
                a, t = self._piece(arguments[0]), self._new("t")
                return _Piece(f"(({t} := {a.code}) is not None and {t} is not NULL)", total=a.total)
            case "join" if isinstance(arguments[0], Text) and arguments[0].value:
                parts = [self._piece(each, whole=whole).code for each in arguments[1:]]
                # Only what cannot be refused may be passed over where a part before it is missing.
                rest = all(is_total(each, self._lets) for each in arguments[2:])
                if whole and rest and all(is_text(each, self._lets) for each in arguments[1:]):
                    names = [self._new("t") for _ in parts]
                    there = " and ".join(
                        f"({name} := {part})" for name, part in zip(names, parts, strict=True)
                    )
                    joined = f"{self._bound(arguments[0].value)}.join(({', '.join(names)},))"
                    return _Piece(f"({joined} if {there} else None)", total=False)
                call = "join_all" if whole else "join"
                return _Piece(f"{call}({self._bound(arguments[0].value)}, {', '.join(parts)})", total=False)
            case _:
                return self._single(node) or self._closure(node, whole=whole)

    def _single(self, node: Call) -> _Piece | None:
        """A function of one text, called where there is one."""
        function = FUNCTIONS[node.name]
        params = [function.param(index) for index in range(len(node.arguments))]
        if len(params) != 1 or params[0].type is not Type.TEXT or params[0].lenient or function.counts:
            return None
        if function.result not in (Type.TEXT, Type.NUMBER) or params[0].whole:
            return None
        if isinstance(node.arguments[0], Text):
            return None
        a, t = self._piece(node.arguments[0]), self._new("t")
        empty = " or None" if function.result is Type.TEXT else ""
        call = f"({self._bound(function.call)}({t}){empty})"
        return _Piece(f"({t} if ({t} := {a.code}) is None or {t} is NULL else {call})", total=False)

    def _closure(self, node: Expression, *, whole: bool = False) -> _Piece:
        read = self._builder.key([node]) if whole else self._builder.value(node)
        return _Piece(f"{self._bound(read)}(run)", total=False)

    def _listed(self, path: Path) -> _Piece:
        """A list, asked for only where there is something to list."""
        piece = self._closure(path)
        if path.which is None:
            segment = self._bound(path.segment)
            return _Piece(f"({piece.code} if {segment} in view else None)", total=False)
        if path.repetition is None and "(" not in path.text.split("-", 1)[0]:
            self._segments[path.segment] = None
            there = f"N_{path.segment} > {path.field} and F_{path.segment}[{path.field}]"
            return _Piece(f"({piece.code} if {there} else None)", total=False)
        return piece

    def _path(self, path: Path) -> _Piece:
        loops = self._emit.loops
        plain = path.repetition == 1 and "(" not in path.text and path.subcomponent is None
        current = any(each.current_of == f"{path.segment}-{path.field}" for each in loops)
        header = path.segment in ("MSH", "BHS", "FHS") and path.field <= 2
        if not plain or current or header:
            simple = not current and not header and None in (path.which, path.repetition)
            return self._listed(path) if simple else self._closure(path)
        at = (path.segment, path.field, path.component or 1)
        name = self._leaves.setdefault(at, f"p{len(self._leaves)}")
        return _Piece(name, total=True)

    def _name(self, node: Name, *, whole: bool) -> _Piece:
        let = self._lets.found.get(node.name)
        if let is None:
            return _Piece(f"Decimal(run.here.{node.name})", total=True)
        slot = self._builder.slot_of(node.name)
        own = self._builder.changes_with(slot) in ("", *(each.name for each in self._emit.loops))
        if own and not let.counted and all(is_total(tree, self._lets) for tree in let.trees):
            if node.name not in self._inlined:
                piece = self._first([self._piece(tree) for tree in let.trees])
                self._let_lines.append(f"l{slot} = {piece.code}")
                self._inlined[node.name] = _Piece(f"l{slot}", total=piece.total)
            return self._inlined[node.name]
        total = all(is_total(tree, self._lets) for tree in let.trees)
        read = self._builder.key([node]) if whole and not total else self._builder.value(node)
        if whole and not total:
            slot = self._builder.whole_slot_of(node.name)
        code = f"({self._bound(read)}(run) if run.lets[{slot}] is UNSET else run.lets[{slot}])"
        return _Piece(code, total=total)

    def _bound(self, value: Any) -> str:
        if isinstance(value, str | frozenset):
            # One name for one constant: so that equal conditions are written alike.
            if (known := self._constants.get(value)) is None:
                known = self._constants[value] = self._new("K")
                self._names[known] = value
            return known
        name = self._new("K")
        self._names[name] = value
        return name

    def _new(self, letter: str) -> str:
        self._count += 1
        return f"{letter}{self._count}"


def _decided(when: Callable[[Run], Any], record: str) -> Callable[[Run], bool]:
    return lambda run: holds(when, record, run)

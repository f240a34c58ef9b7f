"""Python source for the entries that make records of HL7 v2: the same as the closures, with fewer calls.

The source is written from the checked tree alone. No text of a file gets into it: texts, tables and whatever
is not worth writing out are bound by names of ours (`K1`). The closures stay the reference: what traces, what
is not HL7 v2 and what is large runs there, and a test holds that both give the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from decimal import Decimal
from typing import Any, Final

from bridge.canonical.base import TEXT_MAX_CHARACTERS
from bridge.formats.hl7v2 import NULL
from bridge.mapping.as_text import as_text
from bridge.mapping.build import Builder
from bridge.mapping.contexts import Context
from bridge.mapping.convert import AS_IT_IS
from bridge.mapping.emit import Emit
from bridge.mapping.first_repetition import readers, reads, signs
from bridge.mapping.functions.lists import join, join_all
from bridge.mapping.groups import Groups
from bridge.mapping.lets import Lets
from bridge.mapping.pieces import Piece, Pieces
from bridge.mapping.reading import UNSET, Run
from bridge.mapping.rules import Item, Rule
from bridge.mapping.steps import (
    RecordRejected,
    build_step,
    finish_of,
    holds,
    missing,
    refusal_of,
    rejected,
    unmapped_of,
)
from bridge.mapping.syntax import Call, Name
from bridge.mapping.values import Type, ValueRefused, bounded_text

Made = tuple[Context, str, str, dict[str, Any]]
"""Where it was made, its key, its operation and its fields."""
Quick = Callable[[Run, Iterable[Context]], Iterator[Made | None]]
"""Makes the records of one entry, in each context where its condition holds; None for a rejected one."""
MESSAGE_MAX_CHARACTERS: Final = TEXT_MAX_CHARACTERS // 4
"""No text of a message up to here can be too large for a field, whatever its characters are."""
KEY_MAX_CHARACTERS: Final = 1000
CONDITIONS_MAX_COUNT: Final = 8
"""Of a part that is there by one of them: more are not worth asking twice."""


def generated(emit: Emit, lets: Lets, builder: Builder, groups: Groups) -> Quick:
    """What makes key, operation and fields of one entry in each of several contexts.

    What is rejected has its issues noted, as the closures note them.
    """
    writer = _Writer(emit, lets, builder, groups)
    source, names = writer.function()
    space: dict[str, Any] = {}
    exec(compile(source, f"<{emit.record}>", "exec"), space)  # noqa: S102 - written here, from a checked tree
    made: Quick = space["bind"](**names)
    return made


class _Writer:
    def __init__(self, emit: Emit, lets: Lets, builder: Builder, groups: Groups) -> None:
        self._emit = emit
        self._lets = lets
        self._builder = builder
        each = emit.each
        self._group = None if each is None or each.kind != "group" else groups[each.name]
        self._pieces = Pieces(emit, lets, builder, self._group)
        self._refs: dict[str, str] = {}
        self._pieces.names |= {
            "NULL": NULL,
            "UNSET": UNSET,
            "Decimal": Decimal,
            "readers": readers,
            "str": str,
            "bounded_text": bounded_text,
            "join": join,
            "join_all": join_all,
            "ValueRefused": ValueRefused,
            "RecordRejected": RecordRejected,
            "rejected": rejected,
            "ONCE": (None,),
        }

    def function(self) -> tuple[str, dict[str, Any]]:
        """The source of what binds the names, and the names."""
        emit, pieces = self._emit, self._pieces
        body: list[str] = []
        if emit.when is not None:
            piece = pieces.piece(emit.when)
            if not piece.total:
                when = self._builder.value(emit.when)
                piece = Piece(f"{pieces.bound(_decided(when, emit.record))}(run)", total=False)
            body.append(f"if not {piece.code}: continue")
        rules = [emit.key, emit.operation, *emit.rules]
        body += ["fields = {}", "at = 0"]
        body += self._key(emit.key)
        body += self._operation(emit.operation)
        for number, rule in enumerate(emit.rules, start=2):
            body += self._rule(number, rule)
        body.append("made = (context, key, operation, fields)")
        around, own = self._reads()
        # Names that lines speak of are all known by now.
        pieces.names |= {"RULES": rules, "RECORD": emit.record}
        inner = [
            *signs(pieces.leaves),
            "lets = run.lets",
            *self._goes_through(around),
            " try:",
            *(f"  {line}" for line in (*own, *pieces.let_lines, *body)),
            " except ValueRefused as refused:",
            "  rejected(run, refused, RECORD, RULES[at])",
            "  made = None",
            " except RecordRejected:",
            "  made = None",
            " yield made",
        ]
        lines = [
            # What is bound is found quicker in a function around it than among globals.
            f"def bind({', '.join(pieces.names)}):",
            " def make(run, contexts):",
            *(f"  {line}" for line in inner),
            " return make",
        ]
        return "\n".join(lines) + "\n", pieces.names

    def _reads(self) -> tuple[list[str], list[str]]:
        """The lines that read what stands around all instances of one parent, and those for each context."""
        pieces = self._pieces
        around: list[str] = []
        own: list[str] = []
        for segment, most in pieces.fields_most.items():
            leaves = {(f, c): name for (s, f, c), name in pieces.leaves.items() if s == segment}
            if pieces.is_around(segment):
                around += reads(segment, most, leaves, "around", pieces.bound)
            else:
                own += reads(segment, most, leaves, "view", pieces.bound)
        return around, own

    def _goes_through(self, around: list[str]) -> list[str]:
        """The lines that enter one context after the other, as `Run.enter` does.

        Of instances of one group that are inside of the same, all that is around is the same, and most have
        one segment: their view is not made unless somebody asks for it, and what is around is read once.
        """
        if self._group is None:
            return [
                "for context in contexts:",
                " if context is not run.here: run.enter(context)",
                " view = run.segments",
            ]
        bound, group = self._pieces.bound, self._group
        name, anchor = bound(group.name), bound(group.anchor)
        plain = not group.around
        alone = [
            " if len(own := context.own) == 1:",
            f"  view, shared = {{{anchor}: own[0]}}, parent.bases[{name}]",
            " else:",
        ]
        return [
            f"slots, parent, known = run.changing({name}), UNSET, UNSET",
            "for context in contexts:",
            " if context.parent is parent:",
            f"  run.here = run.owners[{name}] = context",
            "  for slot in slots: lets[slot] = UNSET",
            " else:",
            "  run.enter(context)",
            "  parent = context.parent",
            *(f"  {variable} = parent.key_at({bound(record)})" for record, variable in self._refs.items()),
            *(alone if plain else []),
            f"{' ' if plain else ''} view = shared = run.segments",
            " if shared is not known:",
            "  known = around = shared",
            *(f"  {line}" for line in around),
        ]

    def _key(self, rule: Rule) -> list[str]:
        pieces = [self._pieces.piece(tree, whole=True) for tree in rule.trees]
        missed = self._pieces.bound(missing(rule, self._emit.record, self._builder))
        # A key that is too long is refused one way or the other: the closure says which.
        again = self._pieces.bound(build_step(rule, self._emit.record, self._builder))
        return [
            f"key = {self._pieces.first(pieces).code}",
            f"if key is None or key is NULL: {missed}(run)",
            f"if len(key) > {KEY_MAX_CHARACTERS}: key = {again}(run)",
        ]

    def _operation(self, rule: Rule) -> list[str]:
        if rule.const is not None:
            return [f"operation = {self._pieces.bound(rule.const)}"]
        piece = self._pieces.first([self._pieces.piece(tree) for tree in rule.trees])
        lines = self._value(1, rule, piece) if rule.default is None else None
        if lines is None:
            closure = self._pieces.bound(build_step(rule, self._emit.record, self._builder))
            return ["at = 1", f"operation = {closure}(run)"]
        missed = self._pieces.bound(missing(rule, self._emit.record, self._builder))
        return [*lines, f"if v is None or v is NULL: {missed}(run)", "operation = v"]

    def _rule(self, number: int, rule: Rule) -> list[str]:
        record, name = self._emit.record, self._pieces.bound(rule.name)
        put = f"fields[{name}]"
        closure = f"{self._pieces.bound(build_step(rule, record, self._builder))}(run)"
        kept = [f"if v is not None: {put} = None if v is NULL else v"]
        required = rule.required or rule.field.required
        if rule.const is not None:
            return [f"{put} = {self._pieces.bound(rule.const)}"]
        if rule.ref is not None:
            found = f"context.key_at({self._pieces.bound(rule.ref)})"
            if self._group is not None:
                known = self._refs.setdefault(rule.ref, f"r{len(self._refs)}")
                found = f"{known} if context.keys is None else {found}"
            return [f"at = {number}", f"v = {found}", f"if v is None: v = {closure}", *kept]
        if rule.items is not None:
            part = rule.field.kind == "part" and not required and len(rule.items) == 1
            lines = self._part(put, rule.items[0]) if part else None
            if lines is None and part and (there := self._condition(rule.items[0])) is not None:
                lines = [f"if {there}:", f" at = {number}", f" v = {closure}", *(f" {line}" for line in kept)]
            return lines or [f"at = {number}", f"v = {closure}", *kept]
        if self._is_count(rule):
            return [f"{put} = str(context.{rule.trees[0].name})"]  # type: ignore[union-attr]
        rule, trees = as_text(rule)
        piece = self._pieces.first([self._pieces.piece(tree) for tree in trees])
        lines = self._value(number, rule, piece)
        if lines is None:
            return [f"at = {number}", f"v = {closure}", *self._measured(kept, piece)]
        if rule.default is not None:
            lines.append(f"if v is None: v = {self._pieces.bound(rule.default)}")
        if required:
            lines.append(
                f"if v is None or v is NULL: {self._pieces.bound(missing(rule, record, self._builder))}(run)"
            )
        return [*lines, *(kept if piece.total else self._measured(kept, piece))]

    def _is_count(self, rule: Rule) -> bool:
        """Whether a rule takes the number of what is gone through, and nothing else."""
        tree = rule.trees[0]
        counts = isinstance(tree, Name) and tree.name not in self._lets.found
        return counts and len(rule.trees) == 1 and rule.field.kind == "decimal"

    def _measured(self, kept: list[str], piece: Piece) -> list[str]:
        if piece.total:
            return kept
        return [f"if v.__class__ is str and len(v) > {MESSAGE_MAX_CHARACTERS}: bounded_text(v)", *kept]

    def _value(self, number: int, rule: Rule, piece: Piece) -> list[str] | None:
        """The lines that leave a rule's value in ``v``; None where its closure is to be called."""
        plain = rule.field.kind in ("text", "ref") and rule.type is Type.TEXT and rule.table is None
        if plain and rule.on_error == "reject" and rule.field.kind == "text":
            return [*([] if piece.total else [f"at = {number}"]), f"v = {piece.code}"]
        record = self._emit.record
        if not piece.total:
            if rule.table is not None or rule.field.kind == "ref":
                return None
            finish, refuse = (
                self._pieces.bound(finish_of(rule, record)),
                self._pieces.bound(refusal_of(rule, record)),
            )
            return [
                "try:",
                f" raw = {piece.code}",
                f" v = raw if raw is None or raw is NULL else {finish}(run, raw)",
                "except ValueRefused as refused:",
                f" v = {refuse}(run, refused, None)",
            ]
        if rule.table is not None and rule.table.plain:
            values = {code: rows[0][1] for code, rows in rule.table.rows.items() if rows}
            table, unknown = self._pieces.bound(values), self._pieces.bound(unmapped_of(rule, record))
            return [
                f"raw = {piece.code}",
                f"v = raw if raw is None or raw is NULL else {table}.get(raw)",
                f"if v is None and raw is not None: v = {unknown}(run, raw)",
            ]
        if rule.table is not None or rule.field.kind == "ref":
            return None
        finish = self._pieces.bound(finish_of(rule, record))
        if rule.field.kind == "decimal" and rule.type is Type.TEXT:
            # Most numbers are written as they are to be.
            there = f"raw is None or raw is NULL or {self._pieces.bound(AS_IT_IS.fullmatch)}(raw) is not None"
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
            piece = self._pieces.first([self._pieces.piece(tree) for tree in rule.trees])
            inner = self._value(0, rule, piece) if piece.total else None
            if inner is None:
                return None
            lines += [f" {line}" for line in inner]
            lines.append(f" if v is not None and v is not NULL: e[{self._pieces.bound(rule.name)}] = v")
            if rule.field.required:
                lines.append(" else: break")
        lines += ["else:", f" if e: {put} = e"]
        return lines if shared is None else [f"if {shared}:", *(f" {line}" for line in lines)]

    def _condition(self, item: Item) -> str | None:
        """What must hold for any of a part's fields to be there, where each is there by a condition only."""
        found: dict[str, None] = {}
        for rule in item.rules:
            if not rule.trees or rule.required or rule.default is not None:
                return None
            for tree in rule.trees:
                match tree:
                    case Call(name="if", arguments=(condition, _)):
                        piece = self._pieces.piece(condition)
                        if not piece.total or len(found) > CONDITIONS_MAX_COUNT:
                            return None
                        found[piece.code] = None
                    case _:
                        return None
        return " or ".join(found)


def _decided(when: Callable[[Run], Any], record: str) -> Callable[[Run], bool]:
    return lambda run: holds(when, record, run)

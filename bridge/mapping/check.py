"""Names, types, arguments and fields of an expression, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Final

from bridge.located import Problem, Scalar, did_you_mean
from bridge.mapping.constructors import CONSTRUCTORS
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.hl7_fields import COMPLEX, FIELDS_MAX, SEGMENTS, known_segment
from bridge.mapping.parser import parse
from bridge.mapping.signature import Function, Param
from bridge.mapping.syntax import (
    Among,
    Arithmetic,
    Call,
    Compare,
    Expression,
    Logic,
    Member,
    Mistake,
    Name,
    Not,
    Nothing,
    Number,
    Path,
    Text,
    Where,
)
from bridge.mapping.tables import CodeTable, columns
from bridge.mapping.values import SEGMENT_FORMS, Type

_CONVERSION = {
    (Type.TEXT, Type.NUMBER): "add | decimal",
    (Type.NUMBER, Type.TEXT): "add | text",
    (Type.LIST, Type.TEXT): "take one with | first, or all with join(', ', ...)",
    (Type.TEXT, Type.BOOL): "compare it, as in PV1-2 = 'I', or ask present(...)",
}
_LITERALS = {Text: Type.TEXT, Number: Type.NUMBER, Nothing: Type.NOTHING}


FieldOf = Callable[[str, int], tuple[str, tuple[str, ...]] | None]
"""The name of a field of HL7 v2, by segment and number, and the versions that have it; None: not known."""
Beyond = Callable[[str, int, int, int], tuple[str, str] | None]
"""What of a segment, field, component and subcomponent no version has, and a hint; None: it may be there."""


@dataclass(frozen=True, slots=True)
class Declared:
    """The HL7 versions that a file declares, none for any, and what is known of fields."""

    versions: frozenset[str]
    field_of: FieldOf
    beyond: Beyond = lambda _segment, _field, _component, _subcomponent: None


UNDOCUMENTED: Final = frozenset({"2.9", "2.9.1"})
"""Versions of which nobody here knows the fields: a file that declares one may read any."""
ANY_VERSION: Final = Declared(frozenset(), lambda _segment, _field: None)


Names = Mapping[str, frozenset[str]]
"""The names that may be read of rows and documents, by what they begin with: ``item``, ``root``, ``header``
and ``trailer``. Of what is not in it, any may."""
ANY_NAME: Final[Names] = MappingProxyType({})


@dataclass(slots=True)
class Scope:
    """What an expression may name, and what was seen in it.

    ``lets`` are the types of the names in reach; ``used`` collects the names, ``paths`` and ``members`` the
    paths. ``form`` is the format of what is read.
    """

    lets: Mapping[str, Type]
    used: set[str] = field(default_factory=set)
    paths: list[Path] = field(default_factory=list)
    members: list[Member] = field(default_factory=list)
    form: str = "hl7v2"
    names: Names = field(default_factory=dict)
    tables: Mapping[str, CodeTable] = field(default_factory=dict)
    tables_used: set[str] = field(default_factory=set)
    asked: set[str] = field(default_factory=set)
    """The names of a document's top that expressions read; shared by all scopes of one file."""
    declared: Declared = ANY_VERSION
    nested: bool = False
    """Whether ``$.name`` is of something inside of the document."""


def read_expression(scalar: Scalar, problems: list[Problem]) -> Expression | None:
    """The tree of an expression, or None and a problem."""
    try:
        return parse(scalar.text)
    except Mistake as mistake:
        problems.append(_problem(scalar, mistake))
        return None


def check_expression(
    tree: Expression, scalar: Scalar, scope: Scope, problems: list[Problem], *, whole_field: bool = False
) -> Type | None:
    """The type that ``tree`` gives, or None and problems.

    With ``whole_field`` a bare path may stand for a field with all its components.
    """
    checker = _Checker(scope)
    if whole_field and isinstance(tree, Path):
        checker.path(tree, whole=True)
        found: Type | None = Type.TEXT
    else:
        found = checker.type_of(tree)
    problems.extend(_problem(scalar, mistake) for mistake in checker.mistakes)
    problems.extend(replace(_problem(scalar, each), severity="warning") for each in checker.odd)
    return None if checker.mistakes else found


def _problem(scalar: Scalar, mistake: Mistake) -> Problem:
    return Problem(scalar.at(mistake.offset), mistake.code, mistake.text, mistake.hint)


class _Checker:
    def __init__(self, scope: Scope) -> None:
        self._scope = scope
        self.mistakes: list[Mistake] = []
        self.odd: list[Mistake] = []
        """What is worth a warning."""

    def type_of(self, node: Expression) -> Type | None:
        """The type of a node; None where a mistake in it was noted."""
        match node:
            case Path():
                self.path(node, whole=False)
                return Type.LIST if None in (node.repetition, node.which) else Type.TEXT
            case Member():
                return self._member(node)
            case Text() | Number() | Nothing():
                return _LITERALS[type(node)]
            case Name():
                return self._name(node)
            case Call():
                return self._call(node)
            case Compare():
                self._same(node.offset, [node.left, node.right], (Type.TEXT, Type.NUMBER))
            case Among():
                self._among(node)
            case Logic():
                for part in node.parts:
                    self._wants(part, Type.BOOL, f"{node.operator!r}")
            case Not():
                self._wants(node.part, Type.BOOL, "'not'")
            case Arithmetic():
                self._wants(node.left, Type.NUMBER, f"{node.operator!r}")
                self._wants(node.right, Type.NUMBER, f"{node.operator!r}")
                return Type.NUMBER
        return Type.BOOL

    def _member(self, member: Member) -> Type:
        self._scope.members.append(member)
        if self._scope.form in SEGMENT_FORMS:
            text = f"{member.text} is a path of rows, JSON, XML and records; {self._scope.form} has segments"
            self._mistake(member.offset, "E109", text, "as in PID-5.1")
        known, first = self._scope.names.get(member.base), member.steps[0]
        if member.base == "root" or (member.base == "item" and not self._scope.nested):
            self._scope.asked.add(_asked(member))
        if known is not None and isinstance(first, str) and first not in known:
            said = f"there is no {first!r} to read"
            self._mistake(member.offset, "E235", said, did_you_mean(first, known))
        return Type.LIST if None in member.steps else Type.TEXT

    def path(self, path: Path, *, whole: bool) -> None:
        """Note the path, and what is wrong with it."""
        self._scope.paths.append(path)
        if self._scope.form not in SEGMENT_FORMS:
            text = f"{path.text} is a path of segments; {self._scope.form} has none"
            self._mistake(path.offset, "E109", text, "as in $.column")
            return
        if self._scope.form != "hl7v2":
            if path.whole:
                text = (
                    f"{path.text} is whole text, which {self._scope.form} has not: its signs part everything"
                )
                self._mistake(path.offset, "E109", text, "name the component, or leave the .* out")
            return
        if len(path.segment) != 3:
            hint = f"did you mean {path.segment}...? three capitals or digits"
            self._mistake(path.offset, "E105", f"{path.segment!r} is no segment name of HL7 v2", hint)
            return
        if not known_segment(path.segment):
            text = f"HL7 v2 has no segment {path.segment}"
            self._mistake(path.offset, "E108", text, did_you_mean(path.segment, SEGMENTS))
            return
        limit = FIELDS_MAX.get(path.segment)
        if limit is not None and path.field > limit:
            self._mistake(path.offset, "E106", f"{path.segment} has no field {path.field}", f"it has {limit}")
            return
        self._of_versions(path)
        self._of_any_version(path)
        kind = COMPLEX.get((path.segment, path.field))
        if kind is not None and path.component is None and (path.whole or not whole):
            text = f"{path.segment}-{path.field} is made of components ({kind})"
            self._mistake(path.offset, "E107", text, f"did you mean {path.text.removesuffix('.*')}.1?")

    def _of_versions(self, path: Path) -> None:
        """Warn of a field that none of the declared versions has."""
        declared = self._scope.declared
        if not declared.versions or declared.versions & UNDOCUMENTED or path.segment.startswith("Z"):
            return
        known = declared.field_of(path.segment, path.field)
        if known is None or not declared.versions.isdisjoint(known[1]):
            return
        said = f"none of the versions under `source` has {path.segment}-{path.field} ({known[0]})"
        hint = f"HL7 {known[1][0]} has it first" if known[1] else None
        self.odd.append(Mistake(path.offset, "E118", said, hint))

    def _of_any_version(self, path: Path) -> None:
        """Warn of a field, component or subcomponent that no version has: a sender may add one, and seldom
        does."""
        declared = self._scope.declared
        if declared.versions & UNDOCUMENTED:
            return
        known = declared.field_of
        listed = path.segment in FIELDS_MAX  # with the fields of v2.9 too
        if not listed and known(path.segment, path.field) is None and known(path.segment, 1) is not None:
            text = f"{path.segment} has no field {path.field} in HL7 v2.1 to v2.8.2"
            self.odd.append(Mistake(path.offset, "E106", text))
            return
        wanted = [(path.component or 1, path.subcomponent or 1)]
        if isinstance(path.repetition, Where):
            wanted.append((path.repetition.component, 1))
        for component, subcomponent in wanted:
            found = declared.beyond(path.segment, path.field, component, subcomponent)
            if found is not None:
                self.odd.append(Mistake(path.offset, "E119", *found))

    def _name(self, node: Name) -> Type | None:
        self._scope.used.add(node.name)
        found = self._scope.lets.get(node.name)
        if found is not None:
            return found
        if len(node.followed) == 2 and node.followed[0] == "-" and node.followed[1].isdigit():
            hint = f"did you mean {node.name.upper()}{node.followed[:1]}...?"
            text = f"{node.name!r} is no segment name: three capitals or digits"
            self._mistake(node.offset, "E105", text, hint)
            return None
        if node.name in FUNCTIONS:
            self._mistake(node.offset, "E114", f"{node.name} is a function", f"write {node.name}(...)")
            return None
        hint_text = did_you_mean(node.name, self._scope.lets)
        if hint_text is None or not hint_text.startswith("did"):
            hint_text = f"a text stands in quotes: '{node.name}'" if len(node.name) < 40 else None
        self._mistake(node.offset, "E114", f"unknown name {node.name!r}", hint_text)
        return None

    def _call(self, node: Call) -> Type | None:
        function = FUNCTIONS.get(node.name)
        if function is None and node.name in CONSTRUCTORS:
            said = f"{node.name}() makes a whole part of a record, and stands alone"
            self._mistake(node.offset, "E110", said, "as in names: name(PID-5(*))")
            return None
        if function is None:
            hint = did_you_mean(node.name, FUNCTIONS)
            self._mistake(node.offset, "E110", f"unknown function {node.name!r}", hint)
            for argument in node.arguments:
                self.type_of(argument)
            return None
        if not function.takes(len(node.arguments)):
            text = f"{node.name}() takes {function.arity} arguments, not {len(node.arguments)}"
            self._mistake(node.offset, "E111", text, function.summary)
            return None
        if function.of_table:
            self._table(node)
        chosen: list[Expression] = []
        for index, argument in enumerate(node.arguments):
            param = function.param(index)
            if param.lazy:
                chosen.append(argument)
            else:
                self._argument(node, function, param, argument)
        if function.result is not None:
            return function.result
        return self._same(node.offset, chosen, tuple(Type))

    def _table(self, node: Call) -> None:
        """The name of a table and of its column, which must stand in the expression."""
        name, column = node.arguments[0], node.arguments[2]
        if not isinstance(name, Text) or not isinstance(column, Text):
            self._mistake(node.offset, "E116", f"{node.name}(): table and column must be texts in quotes")
            return
        table = self._scope.tables.get(name.value)
        self._scope.tables_used.add(name.value)
        if table is None:
            hint = did_you_mean(name.value, self._scope.tables) or "tables stand under `tables:`"
            self._mistake(name.offset, "E240", f"unknown table {name.value!r}", hint)
            return
        known = columns(table) | {"to"}
        if table.rows and column.value not in known:
            said = f"table {name.value!r} has no column {column.value!r}"
            self._mistake(column.offset, "E116", said, did_you_mean(column.value, known))

    def _argument(self, node: Call, function: Function, param: Param, argument: Expression) -> None:
        if param.checked is not None:
            if not isinstance(argument, Text):
                text = f"{node.name}(): {param.name} must be a text in quotes"
                self._mistake(_offset(argument), "E116", text)
                return
            if (mistake := param.checked.mistake(argument.value)) is not None:
                self._mistake(argument.offset, "E116", mistake)
        elif param.type is None:
            self.type_of(argument)
        else:
            self._wants(argument, param.type, f"{function.name}(): {param.name}")

    def _among(self, node: Among) -> None:
        if isinstance(node.options, tuple):
            if not node.options:
                self._mistake(node.offset, "E112", "nothing can be in an empty list")
            self._same(node.offset, [node.value, *node.options], (Type.TEXT, Type.NUMBER))
            return
        self._wants(node.value, Type.TEXT, "'in'")
        self._wants(node.options, Type.LIST, "'in'", "write [ ] after `in`, or a path with (*)")

    def _same(self, offset: int, nodes: list[Expression], allowed: tuple[Type, ...]) -> Type | None:
        """The one type that all nodes have; NOTHING goes with every type."""
        found = [self.type_of(node) for node in nodes]
        if None in found:
            return None
        types = {each for each in found if each is not Type.NOTHING}
        if not types:
            return Type.NOTHING
        if len(types) > 1:
            words = " and ".join(sorted(each.value for each in types if each))
            hint = None
            if types == {Type.TEXT, Type.NUMBER}:
                hint = "put the number in quotes, or make the text a number with | decimal"
            self._mistake(offset, "E113", f"these are of different types: {words}", hint)
            return None
        only = types.pop()
        if only is not None and only not in allowed:
            self._mistake(offset, "E113", f"values of type {only.value} cannot be compared")
            return None
        return only

    def _wants(self, node: Expression, wanted: Type, where: str, hint: str | None = None) -> None:
        found = self.type_of(node)
        if found is None or found in (wanted, Type.NOTHING):
            return
        text = f"{where} has type {found.value}, expected {wanted.value}"
        self._mistake(_offset(node), "E112", text, hint or _CONVERSION.get((found, wanted)))

    def _mistake(self, offset: int, code: str, text: str, hint: str | None = None) -> None:
        self.mistakes.append(Mistake(offset, code, text, hint))


def _asked(member: Member) -> str:
    """What of a record's top a path reads: a field, or one of the site's own."""
    first = [str(step) for step in member.steps[: 2 if member.steps[0] == "ext" else 1]]
    return ".".join(first)


def _offset(node: Expression) -> int:
    """Where a node begins; an operator's node begins where its left side does."""
    match node:
        case Compare(left=first) | Arithmetic(left=first) | Among(value=first):
            return _offset(first)
        case Logic(parts=parts):
            return _offset(parts[0])
        case _:
            return node.offset

"""Statements of JavaScript, run symbolically: what they set, under which condition, and what they return."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import (
    WHOLE_FIELD,
    Document,
    Pointer,
    Spot,
    numbered,
    within,
)
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.field_parts import components_of, of_one_part, settable
from bridge.migration.mirth.js_branches import merge
from bridge.migration.mirth.js_loops import (
    Found,
    counts_to,
    deleted_all,
    gone_through,
    looked_for,
    looks_for_one,
    one_is,
)
from bridge.migration.mirth.js_methods import method
from bridge.migration.mirth.js_objects import json_notes
from bridge.migration.mirth.js_scope import Code, Each, Index, Items, JsonText, Record, Scope, Value
from bridge.migration.mirth.js_shapes import as_conditions, is_log, only_logs, plainly, returns
from bridge.migration.mirth.js_tree import (
    Assign,
    Binary,
    Block,
    Call,
    Declaration,
    Function,
    If,
    Jump,
    Loop,
    Member,
    Name,
    Return,
    Switch,
    Throw,
    Tree,
    Try,
    Unary,
)
from bridge.migration.mirth.js_values import Values

BRANCHES_MAX_COUNT: Final = 64
"""Ways through a script that returns from within its conditions; each such condition makes two of one."""
UNROLLED_MAX_COUNT: Final = 50
CAUGHT: Final = "what `catch` does is never done: an expression does not throw"
NO_TEXT: Final = "an element of E4X without `toString()` in an object: here it is its text"
FIRST_PART: Final = "of the field the first component is copied, where the old engine copies all of it"
OLD_NAME: Final = "without `toString()` the old engine keeps the element's name, and by it its number"
FURTHER: Final = "further repetitions of the field stay, where the old engine leaves this one"
ESCAPED: Final = "a delimiter in the value is escaped, where the old engine would let it part the field"


def run(scope: Scope, statements: tuple[Tree, ...]) -> Value | None:
    """Run statements in a scope, which changes. What they return, None for nothing. Raises NotConverted."""
    return _Run().block(scope, statements)


class _Run:
    def __init__(self) -> None:
        self._branches = 0

    def block(self, scope: Scope, statements: tuple[Tree, ...]) -> Value | None:
        for number, each in enumerate(statements):
            scope.worked()
            rest = statements[number + 1 :]
            match each:
                case Return():
                    return None if each.value is None else self._values(scope).of(each.value)
                case If():
                    condition = self._values(scope).truth(each.condition)
                    return self._if(scope, condition, each.then, each.otherwise, rest)
                case Block():
                    return self.block(scope, (*each.body, *rest))
                case Switch():
                    return self.block(scope, (*as_conditions(each), *rest))
                case Try():
                    if not only_logs(each.handler):
                        scope.notes.add(CAUGHT)
                    return self.block(scope, (*each.body, *each.final, *rest))
                case Loop():
                    done, value = self._loop(scope, each, rest)
                    if done:
                        return value
                case Jump():
                    raise NotConverted(f"`{each.word}` in a loop", each.at)
                case Throw():
                    raise NotConverted("an error is thrown, to stop the message", each.at)
                case _:
                    self._do(scope, each)
        return None

    def _values(self, scope: Scope) -> Values:
        return Values(scope, method, self.block)

    def _do(self, scope: Scope, tree: Tree) -> None:
        values = self._values(scope)
        match tree:
            case Declaration():
                for name, value in tree.names:
                    if value is None and tree.word == "var" and name in scope.variables:
                        continue  # It keeps what it has.
                    found = ex.NOTHING if value is None else values.of(value)
                    values.store(Name(name, tree.at), found, value)
            case Function():
                scope.variables[tree.name] = Code(tree)
            case Assign():
                self._assign(scope, tree)
            case Unary(operator="delete"):
                if self._forget(values, tree.value):
                    return
                pointer = values.of(tree.value)
                if not isinstance(pointer, Pointer) or pointer.spot is None:
                    raise NotConverted("something is deleted that is no place of the message", tree.at)
                _known(scope.documents[pointer.root], tree.at).remove(pointer.spot)
            case Binary(operator=","):
                self._do(scope, tree.left)
                self._do(scope, tree.right)
            case Call() if is_log(tree):
                scope.logged = True
            case _:
                values.of(tree)

    def _assign(self, scope: Scope, tree: Assign) -> None:
        values = self._values(scope)
        value = values.of(tree.value)
        if tree.operator != "=":
            if tree.operator != "+=":
                raise NotConverted(f"the operator {tree.operator}", tree.at)
            before, more = values.expr(tree.target), values.as_expr(value, tree.at)
            if before.type == "number" and more.type == "number":
                raise NotConverted("a count or a sum", tree.at)
            value = ex.join([before, more])
        target = tree.target
        if isinstance(target, Name):
            if target.name in scope.documents and target.name not in scope.variables:
                _replaced(scope, target.name, value, tree.at)
            else:
                values.store(target, value, tree.value)
            return
        assert isinstance(target, Member), "an assignment is to a name or a member"
        if isinstance(value, Pointer) and _is_object(values, target):
            value = values.read(value, tree.at).noted(NO_TEXT)
        if values.store(target, value, tree.value):
            return
        pointer = values.of(target)
        if not isinstance(pointer, Pointer) or (pointer.spot is None and not pointer.names):
            raise NotConverted("an assignment to what is no place of the message", tree.at)
        document = _known(scope.documents[pointer.root], tree.at)
        if pointer.spot is None:
            raise NotConverted(
                f"a place of a message of {document.kind or 'an unknown type'} is set", tree.at
            )
        if isinstance(value, Pointer) and value.spot is not None:
            if value.spot == pointer.spot and scope.documents[value.root] is document:
                return  # It is there already.
            value = copied(values.as_expr(value, tree.at), value.spot, pointer.spot)
        text = ex.as_text(values.as_expr(value, tree.at))
        _kept_by_variables(values, document, pointer.spot, tree.at)
        set_place(document, pointer.spot, text)

    def _forget(self, values: Values, target: Tree) -> bool:
        """``delete`` of a part of an object; whether it was one."""
        if not isinstance(target, Member) or not isinstance(target.object, Name):
            return False
        holder = values.scope.variables.get(target.object.name)
        key = values.of(target.key)
        if not isinstance(holder, Record) or not isinstance(key, Expr):
            return False
        rest = {name: each for name, each in holder.entries.items() if name != key.constant}
        if target.object.name in values.scope.shared:
            raise NotConverted("an object that is changed after it was put elsewhere", target.at)
        values.scope.variables[target.object.name] = Record(rest)
        return True

    def _if(
        self,
        scope: Scope,
        condition: Expr,
        then: tuple[Tree, ...],
        otherwise: tuple[Tree, ...],
        rest: tuple[Tree, ...],
    ) -> Value | None:
        if isinstance(condition.constant, bool):
            scope.notes |= condition.notes
            return self.block(scope, (*(then if condition.constant else otherwise), *rest))
        yes, no = scope.fork(), scope.fork()
        yes.under = ex.both([scope.under, condition])
        no.under = ex.both([scope.under, ex.negate(condition)])
        if not returns(then) and not returns(otherwise):
            self.block(yes, then)
            self.block(no, otherwise)
            merge(self._values(scope), condition, yes, no)
            return self.block(scope, rest)
        self._branches += 1
        if self._branches > BRANCHES_MAX_COUNT:
            raise NotConverted("too many ways through the script")
        first, second = self.block(yes, (*then, *rest)), self.block(no, (*otherwise, *rest))
        values = self._values(scope)
        merge(values, condition, yes, no)
        return values.choose(condition, first or ex.NOTHING, second or ex.NOTHING, 0)

    def _loop(self, scope: Scope, loop: Loop, rest: tuple[Tree, ...]) -> tuple[bool, Value | None]:
        values = self._values(scope)
        every: Value | None = None
        if loop.kind == "each" and loop.over is not None:
            over = values.of(loop.over)
            if isinstance(over, Items):
                return self._unrolled(scope, loop, over, rest)
            if isinstance(over, Pointer) and over.spot is not None:
                every = numbered(over, -1)
        elif loop.kind == "for" and counts_to(loop) is not None:
            every = Index()
        if every is not None and (found := looks_for_one(loop.body)) is not None:
            condition_tree, result = found
            inner = scope.fork()
            inner.variables[loop.name] = every
            condition = one_is(self._values(inner), condition_tree)
            if condition is not None:
                scope.variables.pop(loop.name, None)
                return True, self._if(scope, condition, (result,), (), rest)
        if loop.kind == "while" and (every_one := deleted_all(loop)) is not None:
            self._do(scope, Unary("delete", every_one, loop.at))
            return False, None
        over_tree = loop.over if loop.kind in ("each", "in") else counts_to(loop)
        if over_tree is not None and isinstance(over := values.of(over_tree), Pointer):
            body = tuple(step for each in loop.body for step in plainly(each))
            each_found = looked_for(
                scope, replace(loop, body=body), over, lambda inner, tree: self._values(inner).of(tree)
            )
            if each_found is not None:
                return True, self._found(scope, loop, each_found, rest)
            gone_through(scope, loop, over, self.block)
            scope.variables.pop(loop.name, None)
            return False, None
        raise NotConverted("a loop over several segments, repetitions or rows", loop.at)

    def _found(self, scope: Scope, loop: Loop, found: list[Found], rest: tuple[Tree, ...]) -> Value | None:
        """Do what a loop does with the one that it looks for, and go on behind it."""
        first, others = found[0], found[1:]
        scope.notes |= first.notes
        scope.variables[loop.name] = first.bound
        if not others:
            return self._if(scope, first.condition, first.then, (), rest)
        if returns(first.then):
            raise NotConverted("a loop that returns, and looks for several", loop.at)
        self._if(scope, first.condition, first.then, (), ())
        return self._found(scope, loop, others, rest)

    def _unrolled(
        self, scope: Scope, loop: Loop, over: Items, rest: tuple[Tree, ...]
    ) -> tuple[bool, Value | None]:
        if len(over.items) > UNROLLED_MAX_COUNT or returns(loop.body):
            raise NotConverted("a loop that returns, or goes through a long list", loop.at)
        for item in over.items:
            if isinstance(item, Each):
                raise NotConverted("a loop over an array whose length is not known", loop.at)
            scope.variables[loop.name] = item
            self.block(scope, loop.body)
        return True, self.block(scope, rest)


def _is_object(values: Values, target: Member) -> bool:
    """Whether what is set is a part of an object, where E4X would leave its XML."""
    node: Tree = target
    while isinstance(node, Member):
        node = node.object
    found = values.of(node) if isinstance(node, Name) else None
    return isinstance(found, Record | Items)


def _replaced(scope: Scope, root: str, value: Value, at: int) -> None:
    """The message becomes an object, or its JSON."""
    made = value.value if isinstance(value, JsonText) else value
    if not isinstance(made, Record):
        raise NotConverted("the whole message is replaced", at)
    if isinstance(value, Record):
        scope.notes |= set(json_notes(made))
    old = scope.documents[root]
    new = Document("JSON", "new", made=made)
    scope.documents = {name: new if each is old else each for name, each in scope.documents.items()}


def _kept_by_variables(values: Values, document: Document, spot: Spot, at: int) -> None:
    """Before a place is set: the old engine puts a new element there, and variables keep what they have."""
    for name, held in values.scope.variables.items():
        if not isinstance(held, Pointer) or values.scope.documents[held.root] is not document:
            continue
        if held.spot is not None and held.spot.field and within(held.spot, spot):
            values.scope.variables[name] = values.read(held, at)


def copied(value: Expr, source: Spot, target: Spot) -> Expr:
    """What comes of XML that is put elsewhere without `toString()`. Raises NotConverted.

    The old engine copies the element with all that is in it, under the name that it had.
    """
    if not source.component and (source.field != target.field or source.segment != target.segment):
        raise NotConverted("a whole field is copied into another place, under its old name")
    if not source.component and not of_one_part(source):
        raise NotConverted("a whole field is copied: set each of its components, and its repetitions")
    if not source.component:
        return replace(value, notes=value.notes - {WHOLE_FIELD}).noted(FIRST_PART)
    numbers = (source.component, source.subcomponent), (target.component, target.subcomponent)
    return value if numbers[0] == numbers[1] else value.noted(OLD_NAME)


def set_place(document: Document, spot: Spot, value: Expr) -> None:
    """Set a place of a message as an assignment of E4X does. Raises NotConverted."""
    if not spot.field or spot.component:
        document.write(spot, value)
        return
    parts = [value]
    if isinstance(value.constant, str) and "^" in value.constant and "~" not in value.constant:
        parts = [ex.literal(part) for part in value.constant.split("^")]
    elif settable(spot).component and value.constant is None:
        parts = [value.noted(ESCAPED)]
    document.clear(spot)
    if spot.repetition == 0 and spot.segment != "MSH" and document.base == "copy" and not spot.added:
        parts[0] = parts[0].noted(FURTHER)
    for number in range(1, max(len(parts), components_of(spot)) + 1):
        part = parts[number - 1] if number <= len(parts) else ex.NOTHING
        if len(parts) > 1 or settable(spot).component:
            document.write(replace(spot, component=number), part)
        elif number == 1:
            document.write(spot, part)


def _known(document: Document, at: int) -> Document:
    if document.unknown:
        raise NotConverted(f"the message is not known here: {document.unknown}", at)
    return document

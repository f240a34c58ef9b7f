"""Statements of JavaScript, run symbolically: what they set, under which condition, and what they return."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Document, Pointer, Spot, components_of, numbered, settable
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_loops import Found, counts_to, deleted_all, gone_through, looked_for
from bridge.migration.mirth.js_methods import method
from bridge.migration.mirth.js_objects import json_notes
from bridge.migration.mirth.js_scope import Code, Each, Index, Items, JsonText, Record, Scope, Value
from bridge.migration.mirth.js_tree import (
    Assign,
    Binary,
    Block,
    Call,
    Constant,
    Declaration,
    Function,
    If,
    Jump,
    Loop,
    Member,
    Name,
    Return,
    Switch,
    Text,
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
                    return self.block(scope, (*_as_conditions(each), *rest))
                case Try():
                    if not _only_logs(each.handler):
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
        set_place(document, pointer.spot, ex.as_text(values.as_expr(value, tree.at)))

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
        if not _returns(then) and not _returns(otherwise):
            self.block(yes, then)
            self.block(no, otherwise)
            merge(scope, condition, yes, no)
            return self.block(scope, rest)
        self._branches += 1
        if self._branches > BRANCHES_MAX_COUNT:
            raise NotConverted("too many ways through the script")
        first, second = self.block(yes, (*then, *rest)), self.block(no, (*otherwise, *rest))
        merge(scope, condition, yes, no)
        values = self._values(scope)
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
        if every is not None and (found := _looks_for_one(loop.body)) is not None:
            condition_tree, result = found
            inner = scope.fork()
            inner.variables[loop.name] = every
            condition = self._values(inner).truth(condition_tree)
            return True, self._if(scope, condition, (result,), (), rest)
        if loop.kind == "while" and (every_one := deleted_all(loop)) is not None:
            self._do(scope, Unary("delete", every_one, loop.at))
            return False, None
        over_tree = loop.over if loop.kind in ("each", "in") else counts_to(loop)
        if over_tree is not None and isinstance(over := values.of(over_tree), Pointer):
            body = tuple(step for each in loop.body for step in _plainly(each))
            each_found = looked_for(
                scope, replace(loop, body=body), over, lambda inner, tree: self._values(inner).of(tree)
            )
            if each_found is not None:
                return True, self._found(scope, loop, each_found, rest)
            gone_through(scope, loop, over, self.block)
            return False, None
        raise NotConverted("a loop over several segments, repetitions or rows", loop.at)

    def _found(self, scope: Scope, loop: Loop, found: list[Found], rest: tuple[Tree, ...]) -> Value | None:
        """Do what a loop does with the one that it looks for, and go on behind it."""
        first, others = found[0], found[1:]
        scope.notes |= first.notes
        scope.variables[loop.name] = first.bound
        if not others:
            return self._if(scope, first.condition, first.then, (), rest)
        if _returns(first.then):
            raise NotConverted("a loop that returns, and looks for several", loop.at)
        self._if(scope, first.condition, first.then, (), ())
        return self._found(scope, loop, others, rest)

    def _unrolled(
        self, scope: Scope, loop: Loop, over: Items, rest: tuple[Tree, ...]
    ) -> tuple[bool, Value | None]:
        if len(over.items) > UNROLLED_MAX_COUNT or _returns(loop.body):
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
    for number in range(1, max(len(parts), components_of(spot)) + 1):
        part = parts[number - 1] if number <= len(parts) else ex.NOTHING
        if len(parts) > 1 or settable(spot).component:
            document.write(replace(spot, component=number), part)
        elif number == 1:
            document.write(spot, part)


def merge(scope: Scope, condition: Expr, yes: Scope, no: Scope) -> None:
    """Go on in ``scope`` as ``yes`` did where the condition holds, else as ``no`` did."""
    values = Values(scope, method, run)
    for kind in ("variables", "maps"):
        ours: dict[str, Value] = getattr(yes, kind)
        theirs: dict[str, Value] = getattr(no, kind)
        merged: dict[str, Value] = {}
        for name in (*ours, *(each for each in theirs if each not in ours)):
            one, other = ours.get(name, ex.NOTHING), theirs.get(name, ex.NOTHING)
            try:
                merged[name] = one if one is other else values.choose(condition, one, other, 0)
            except NotConverted as refused:
                if kind == "maps":
                    scope.lost[name] = refused.reason
        setattr(scope, kind, merged)
    known = len(scope.puts)
    for name in dict.fromkeys(each for each, _ in (*yes.puts[known:], *no.puts[known:])):
        value = scope.maps.get(name)
        if isinstance(value, Expr):
            scope.puts.append((name, value))
    for root, document in scope.documents.items():
        ours_made, theirs_made = yes.documents[root], no.documents[root]
        merged_document = _merged(document, condition, ours_made, theirs_made)
        document.made = _one_made(values, condition, ours_made.made, theirs_made.made)
        document.writes = merged_document.writes
        document.removed = merged_document.removed
        document.added = merged_document.added
    scope.destinations += [
        *yes.destinations[len(scope.destinations) :],
        *no.destinations[len(scope.destinations) :],
    ]
    if yes.json != no.json:
        raise NotConverted("JSON that is put into a map under a condition")
    scope.json = yes.json
    scope.shared = yes.shared | no.shared
    scope.lost.update({**yes.lost, **no.lost})
    scope.notes |= yes.notes | no.notes
    scope.logged = scope.logged or yes.logged or no.logged


def _one_made(values: Values, condition: Expr, yes: object, no: object) -> object:
    if isinstance(yes, Record) and isinstance(no, Record):
        return values.choose(condition, yes, no, 0)
    if yes != no:
        raise NotConverted("a message that becomes JSON under a condition")
    return yes


def _merged(before: Document, condition: Expr, yes: Document, no: Document) -> Document:
    made = before.copy()
    for spot in (*yes.writes, *(each for each in no.writes if each not in yes.writes)):
        if spot in before.writes and yes.writes.get(spot) == no.writes.get(spot) == before.writes[spot]:
            continue
        made.writes[spot] = ex.choose(condition, yes.read(spot), no.read(spot))
    for name in dict.fromkeys((*yes.removed, *no.removed)):
        if name in before.removed or (name in yes.removed and name in no.removed):
            made.removed[name] = None
        else:
            raise NotConverted(f"{name} is taken out under a condition")
    known = {each.number for each in before.added}
    made.added = []
    for document, holds in ((yes, condition), (no, ex.negate(condition))):
        for each in document.added:
            if each.number not in known:
                when = holds if each.when is None else ex.both([holds, each.when])
                made.added.append(replace(each, number=len(known) + len(made.added) + 1, when=when))
    for one, other in zip(yes.added[: len(known)], no.added[: len(known)], strict=True):
        writes = {
            spot: ex.choose(condition, one.writes.get(spot, ex.NOTHING), other.writes.get(spot, ex.NOTHING))
            for spot in dict.fromkeys((*one.writes, *other.writes))
        }
        made.added.insert(one.number - 1, replace(one, writes=writes))
    return made


def _known(document: Document, at: int) -> Document:
    if document.unknown:
        raise NotConverted(f"the message is not known here: {document.unknown}", at)
    return document


def is_log(tree: Tree) -> bool:
    """Whether a statement writes to the log, and does nothing else."""
    if not isinstance(tree, Call) or not isinstance(tree.function, Member):
        return False
    owner = tree.function.object
    return isinstance(owner, Name) and owner.name in ("logger", "console")


def _only_logs(statements: tuple[Tree, ...]) -> bool:
    return all(is_log(each) for each in statements)


def _returns(statements: tuple[Tree, ...]) -> bool:
    """Whether a return is somewhere among statements, those of functions not counted."""
    for each in statements:
        match each:
            case Return() | Throw():
                return True
            case If() if _returns(each.then) or _returns(each.otherwise):
                return True
            case Loop() | Block() if _returns(each.body):
                return True
            case Try() if _returns(each.body) or _returns(each.final):
                return True
            case Switch() if any(_returns(body) for _, body in each.cases):
                return True
    return False


def _as_conditions(switch: Switch) -> tuple[Tree, ...]:
    """A switch whose cases end by themselves, as ifs. Raises NotConverted where one falls into the next."""
    found: list[tuple[Tree | None, tuple[Tree, ...]]] = []
    labels: list[Tree | None] = []
    for number, (label, body) in enumerate(switch.cases):
        labels.append(label)
        if not body and number < len(switch.cases) - 1:
            continue
        ends = bool(body) and isinstance(body[-1], Jump | Return)
        if not ends and number < len(switch.cases) - 1:
            raise NotConverted("a case that falls into the next", switch.at)
        trimmed = body[:-1] if body and isinstance(body[-1], Jump) else body
        test: Tree | None = None
        if None not in labels:
            for each in labels:
                assert each is not None, "a default is not among them"
                one = Binary("==", switch.value, each, switch.at)
                test = one if test is None else Binary("||", test, one, switch.at)
        found.append((test, trimmed))
        labels = []
    otherwise: tuple[Tree, ...] = next((body for test, body in found if test is None), ())
    for test, body in reversed([each for each in found if each[0] is not None]):
        assert test is not None, "those without a test were left out"
        otherwise = (If(test, body, otherwise, switch.at),)
    return otherwise


def _plainly(tree: Tree) -> tuple[Tree, ...]:
    """A statement of a loop's body, without what only logs, and with a `switch` as conditions."""
    if isinstance(tree, Switch):
        return _as_conditions(tree)
    return () if is_log(tree) else (tree,)


def _looks_for_one(body: tuple[Tree, ...]) -> tuple[Tree, Tree] | None:
    """The condition and the result of a loop that looks for one of several, without ``&&`` in it."""
    if len(body) != 1 or not isinstance(body[0], If) or body[0].otherwise:
        return None
    inner = [each for each in body[0].then if not isinstance(each, Jump) and not is_log(each)]
    if len(inner) != 1 or _joins(body[0].condition):
        return None
    result = inner[0]
    constant = isinstance(result, Return) and isinstance(result.value, Constant)
    if (
        isinstance(result, Assign)
        and isinstance(result.target, Name)
        and isinstance(result.value, Constant | Text)
    ):
        constant = True
    return (body[0].condition, result) if constant else None


def _joins(tree: Tree) -> bool:
    return isinstance(tree, Binary) and (tree.operator == "&&" or _joins(tree.left) or _joins(tree.right))

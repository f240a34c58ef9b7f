"""What statements look like: whether they only log, return, or set names; and the same written otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass, replace
from typing import Any

from bridge.migration.mirth.expressions import NotConverted
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
    Throw,
    Tree,
    Try,
)


def every(part: Any) -> Iterator[Any]:
    """All that stands in a tree, or in several, but for what stands in functions."""
    if isinstance(part, tuple):
        for each in part:
            yield from every(each)
    elif is_dataclass(part):
        yield part
        if not isinstance(part, Function):
            for each in fields(part):
                yield from every(getattr(part, each.name))


def named(statements: tuple[Tree, ...]) -> set[str]:
    """The variables that statements declare."""
    found = {name for each in every(statements) if isinstance(each, Declaration) for name, _ in each.names}
    return found | {each.name for each in every(statements) if isinstance(each, Function)}


def assigned(statements: tuple[Tree, ...]) -> set[str]:
    """The variables that statements set, whether they declare them or not."""
    found = named(statements)
    for each in every(statements):
        match each:
            case Assign(_, Name(name)) | Loop(_, name):
                found.add(name)
    return found


def telling(statements: tuple[Tree, ...]) -> tuple[Tree, ...]:
    """The statements of a step so that they return whether they return: it ends all steps behind it, too."""
    return (*(_telling(each) for each in statements), Return(Constant("false", 0), 0))


def _telling(tree: Tree) -> Tree:
    match tree:
        case Return():
            told = Return(Constant("true", tree.at), tree.at)
            return Block((tree.value, told), tree.at) if isinstance(tree.value, Call | Assign) else told
        case If():
            then, otherwise = _all_telling(tree.then), _all_telling(tree.otherwise)
            return If(tree.condition, then, otherwise, tree.at)
        case Block():
            return Block(_all_telling(tree.body), tree.at)
        case Loop():
            return replace(tree, body=_all_telling(tree.body))
        case Try():
            return replace(tree, body=_all_telling(tree.body), final=_all_telling(tree.final))
        case Switch():
            cases = tuple((label, _all_telling(body)) for label, body in tree.cases)
            return Switch(tree.value, cases, tree.at)
    return tree


def _all_telling(statements: tuple[Tree, ...]) -> tuple[Tree, ...]:
    return tuple(_telling(each) for each in statements)


def is_log(tree: Tree) -> bool:
    """Whether a statement writes to the log, and does nothing else."""
    if not isinstance(tree, Call) or not isinstance(tree.function, Member):
        return False
    owner = tree.function.object
    return isinstance(owner, Name) and owner.name in ("logger", "console")


def only_logs(statements: tuple[Tree, ...]) -> bool:
    """Whether statements write to the log, and do nothing else."""
    return all(is_log(each) for each in statements)


def returns(statements: tuple[Tree, ...]) -> bool:
    """Whether a return is somewhere among statements, those of functions not counted."""
    for each in statements:
        match each:
            case Return() | Throw():
                return True
            case If() if returns(each.then) or returns(each.otherwise):
                return True
            case Loop() | Block() if returns(each.body):
                return True
            case Try() if returns(each.body) or returns(each.final):
                return True
            case Switch() if any(returns(body) for _, body in each.cases):
                return True
    return False


def as_conditions(switch: Switch) -> tuple[Tree, ...]:
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
        # `continue` is of the loop around, and stays.
        trimmed = body[:-1] if body and isinstance(body[-1], Jump) and body[-1].word == "break" else body
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


def plainly(tree: Tree) -> tuple[Tree, ...]:
    """A statement of a loop's body, without what only logs, and with a `switch` as conditions."""
    if isinstance(tree, Switch):
        return as_conditions(tree)
    return () if is_log(tree) else (tree,)

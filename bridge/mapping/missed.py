"""Which places of a message gave nothing, where a value is required: an issue names those, and no others.

Only a message that is refused asks, so nothing is noted for it while all is well.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import fields, is_dataclass
from typing import Final

from bridge.formats.hl7v2 import NULL
from bridge.mapping.build import WHOLE_PARTS, Builder
from bridge.mapping.reading import Run
from bridge.mapping.syntax import Call, Expression, Member, Name, Path
from bridge.mapping.values import ValueRefused

Missed = Callable[[Run], list[str]]
"""Gives the paths, in the order of the rule."""
_OF_PARTS: Final = WHOLE_PARTS | {"join"}


def missed(trees: Sequence[Expression], builder: Builder) -> Missed:
    """What names the paths behind ``trees`` that gave nothing, where all of them together give nothing.

    Of a key the parts that are there are left out; of alternatives none is.
    """
    asked = [_of(tree, builder.untraced()) for tree in trees]

    def find(run: Run) -> list[str]:
        # A let that is read here for the first time was not traced: nobody may find it read.
        lets = run.lets.copy()
        found = [text for each in asked for text in each(run)]
        run.lets[:] = lets
        return list(dict.fromkeys(found))

    return find


def _of(tree: Expression, builder: Builder) -> Missed:
    match tree:
        case Name(name=name) if (trees := builder.trees_of(name)) is not None:
            alternatives = [_of(each, builder) for each in trees]
            return lambda run: [text for each in alternatives for text in each(run)]
        case Call(name=name, arguments=arguments) if name in _OF_PARTS:
            # The first argument of `join` is what stands between the parts.
            parts = arguments[1:] if name == "join" else arguments
            asked = [(builder.key([part]), _of(part, builder)) for part in parts]
            return lambda run: [
                text for read, each in asked if _gives_nothing(read, run) for text in each(run)
            ]
    paths = list(_paths(tree, builder))
    return lambda _run: paths


def _gives_nothing(read: Callable[[Run], object], run: Run) -> bool:
    try:
        value = read(run)
    except ValueRefused:
        return True
    return value is None or value is NULL


def _paths(node: object, builder: Builder) -> Iterator[str]:
    """Every path below an expression, those of the lets that it names among them."""
    match node:
        case Path() | Member():
            yield node.text
        case Name(name=name):
            for tree in builder.trees_of(name) or ():
                yield from _paths(tree, builder)
        case tuple():
            for each in node:
                yield from _paths(each, builder)
        case _ if is_dataclass(node):
            for each in fields(node):
                yield from _paths(getattr(node, each.name), builder)

"""Rules for numbers that can do without them: what is written becomes what is written."""

from __future__ import annotations

from dataclasses import replace

from bridge.mapping.rules import Rule
from bridge.mapping.syntax import Call, Expression, Nothing, Path
from bridge.mapping.values import Type


def as_text(rule: Rule) -> tuple[Rule, tuple[Expression, ...]]:
    """A rule whose numbers are texts that become numbers and texts again: without the way there and back.

    What the field takes is looked at all the same, and refused with the same words.
    """
    if rule.field.kind != "decimal" or rule.type is not Type.NUMBER or rule.on_error == "keep_raw":
        return rule, rule.trees
    trees = tuple(map(_text_of, rule.trees))
    found = tuple(tree for tree in trees if tree is not None)
    return (replace(rule, type=Type.TEXT), found) if len(found) == len(trees) else (rule, rule.trees)


def _text_of(tree: Expression) -> Expression | None:
    """What a number is written as, where each that an expression can give is the number of a text."""
    match tree:
        case Nothing():
            return tree
        case Call(name="decimal", arguments=(Path() as text,)):
            return text
        case Call(name="if" | "first_of" as name, arguments=arguments):
            kept = arguments[:1] if name == "if" else ()
            inner = [_text_of(each) for each in arguments[len(kept) :]]
            found = tuple(each for each in inner if each is not None)
            return replace(tree, arguments=(*kept, *found)) if len(found) == len(inner) else None
        case _:
            return None

"""The condition of an entry of `emit:`, or of a part of one."""

from __future__ import annotations

from bridge.located import Node, Scalar
from bridge.mapping.check import check_expression, read_expression
from bridge.mapping.document import Report, text_of
from bridge.mapping.each import Each
from bridge.mapping.lets import Lets, scope_in
from bridge.mapping.syntax import Expression, Path
from bridge.mapping.values import Type


def read_when(
    node: Node | None, lets: Lets, report: Report, *, loops: tuple[Each, ...] = ()
) -> tuple[Scalar | None, Expression | None, tuple[Path, ...]]:
    """The text of a condition, its tree, and every path that it reads; None where there is none."""
    text = text_of(node, "when", report)
    if text is None:
        return None, None, ()
    tree = read_expression(text, report)
    if tree is None:
        return text, None, ()
    scope = scope_in(lets, loops)
    found = check_expression(tree, text, scope, report)
    lets.used |= scope.used
    if found not in (None, Type.BOOL):
        hint = "compare, as in PV1-2 = 'I', or ask present(...)"
        report.add(text.place, "E112", f"`when` has type {found.value}, expected bool", hint)
    return text, tree, (*scope.paths, *lets.paths(scope.used))

"""The keys for which a channel keeps order: expressions that give one text for a message."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Mapping, Node, Problem, Scalar, Sequence
from bridge.mapping.build import Builder, Slots
from bridge.mapping.check import (
    ANY_NAME,
    ANY_VERSION,
    Declared,
    Names,
    Scope,
    check_expression,
    read_expression,
)
from bridge.mapping.document import Report, texts_of
from bridge.mapping.expression import evaluate
from bridge.mapping.hl7_fields import COMPLEX
from bridge.mapping.reading import Reader, Reads, Run, reader
from bridge.mapping.syntax import Expression, Path
from bridge.mapping.values import Type, Value

Key = Callable[[Hl7Message], str | None]


KEYS_MAX_COUNT: Final = 8
"""Keys of one message: a merge has two."""


def compile_keys(
    node: Node, form: str = "hl7v2", names: Names = ANY_NAME, declared: Declared = ANY_VERSION
) -> tuple[tuple[Key, ...], list[Problem]]:
    """What gives the keys of a message, or problems: one key, or ``{all: [...]}`` where there are several."""
    several = node.get("all") if isinstance(node, Mapping) else None
    if not isinstance(node, Mapping):
        key, problems = compile_key(node, form, names, declared)
        return () if key is None else (key,), problems
    report = Report()
    for name, _ in node.entries:
        if name.text != "all":
            report.add(name.place, "E204", "expected one path, or `all` with several", "all: [PID-3, MRG-1]")
    if several is None:
        if not report:
            report.add(node.place, "E204", "expected one path, or `all` with several", "all: [PID-3, MRG-1]")
        return (), list(report)
    items = several.items if isinstance(several, Sequence) else ()
    if not 0 < len(items) <= KEYS_MAX_COUNT:
        text = f"expected 1 to {KEYS_MAX_COUNT} keys in a list"
        report.add(several.place, "E204", text, "all: [PID-3(5=MR), MRG-1]")
    keys, problems = [], list(report)
    for item in items:
        key, found = compile_key(item, form, names, declared)
        problems += found
        if key is not None:
            keys.append(key)
    refused = any(problem.severity == "error" for problem in problems)
    return (() if refused else tuple(keys)), problems


def compile_key(
    node: Node, form: str = "hl7v2", names: Names = ANY_NAME, declared: Declared = ANY_VERSION
) -> tuple[Key | None, list[Problem]]:
    """What gives the key of a message, or problems. The key is None where the message has none.

    A field of type CX (an identifier: HL7 v2.5.1 §2.A.14) that is named without a component, or with its
    first, is qualified by its assigning authority where it has one: ``100234^NORTH``. A list gives the first
    that the message has. ``names`` are those that may be read of rows, by what they begin with.
    """
    report = Report()
    if isinstance(node, Mapping):
        report.add(node.place, "E204", "expected one path, and no keys below it", "name one path")
        return None, list(report)
    texts = texts_of(node, "a key", report) if isinstance(node, Sequence) else [node]
    scope = Scope({}, form=form, names=names, declared=declared)
    trees = [_tree(each, scope, report) for each in texts]
    if report.refused or not trees:
        return None, list(report)
    readers = [_key_reader(tree) for tree in trees if tree is not None]
    reads = Reads(frozenset(path.segment for path in scope.paths))

    def key(message: Hl7Message) -> str | None:
        for read in readers:
            value = evaluate(read, message, reads)
            if isinstance(value, str) and value:
                return value
        return None

    return key, list(report)


def _tree(scalar: Scalar, scope: Scope, report: Report) -> Expression | None:
    tree = read_expression(scalar, report)
    if tree is None:
        return None
    if isinstance(tree, Path) and _is_identifier(tree):
        found = check_expression(tree, scalar, scope, report, whole_field=True)
    else:
        found = check_expression(tree, scalar, scope, report)
    if isinstance(tree, Path) and tree.repetition is None:
        report.add(scalar.place, "E112", "a key is one value, not a list", "name one repetition: PID-3(5=MR)")
    elif found not in (None, Type.TEXT):
        report.add(scalar.place, "E112", f"a key is text, and this gives {found.value}")
    return tree


def _is_identifier(path: Path) -> bool:
    return COMPLEX.get((path.segment, path.field)) == "CX"


def _key_reader(tree: Expression) -> Reader:
    if not isinstance(tree, Path) or not _is_identifier(tree) or tree.component not in (None, 1):
        return Builder(Slots(), {}, traced=False).key([tree])
    number = reader(_component(tree, 1), traced=False)
    # HL7 v2.5.1 §2.A.14, §2.A.33: CX-4 is the assigning authority, its first part a namespace ID.
    namespace = reader(_component(tree, 4), traced=False)

    def read(run: Run) -> Value:
        value = number(run)
        if not isinstance(value, str):
            return None
        authority = namespace(run)
        return f"{value}^{authority}" if isinstance(authority, str) else value

    return read


def _component(path: Path, number: int) -> Path:
    return Path(path.text, path.offset, path.segment, path.field, path.repetition, number, None)

"""Mapping files with one thing wrong: a rule gone, two swapped, a condition turned round. Pure.

Tests that pass on such a file did not notice. What is changed is the tree of the file, so what the language
gains later is changed too, as long as it stands in `emit` or `let`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Final

from bridge.located import Mapping, Node, Place, Scalar, Sequence
from bridge.mapping.plan import Plan
from bridge.mapping.selftest import passes

_POLICIES: Final = ("default", "required", "on_error", "unmapped", "translate", "operation", "mode")
"""Keys without which a rule, or an entry, still means something."""
_BLOCKS: Final = ("set", "part", "ext", "object")
_LISTS: Final = ("list", "append", "then", "repeat", "remove")
Change = Callable[[Node], Mapping]
"""Puts a node in the place of another, and gives the whole file."""


@dataclass(frozen=True, slots=True)
class Mutant:
    """A changed file: what was done to it, and where."""

    what: str
    place: Place
    tree: Mapping


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the tests of a file say to its mutants.

    ``refused`` are such that the file would not load: the checks notice them, and no test has to.
    """

    noticed: int
    survived: tuple[Mutant, ...]
    refused: int

    @property
    def score(self) -> float:
        """Of those that load, so many percent were noticed."""
        tried = self.noticed + len(self.survived)
        return 100 * self.noticed / tried if tried else 100.0


def judge(mutants: Iterable[Mutant], compiled: Callable[[Mapping], Plan | None]) -> Verdict:
    """Run the tests of each mutant. ``compiled`` gives its plan, or None where it does not load."""
    noticed = refused = 0
    survived: list[Mutant] = []
    for mutant in mutants:
        plan = compiled(mutant.tree)
        if plan is None:
            refused += 1
        elif passes(plan):
            survived.append(mutant)
        else:
            noticed += 1
    return Verdict(noticed, tuple(survived), refused)


def mutants_of(tree: Mapping) -> Iterator[Mutant]:
    """Every mutant of a file, in the order of its lines."""

    def whole(node: Node) -> Mapping:
        assert isinstance(node, Mapping)
        return node

    for at, (key, value) in enumerate(tree.entries):
        change = _entry(tree, at, whole)
        if key.text == "emit" and isinstance(value, Sequence):
            for number, each in enumerate(value.items):
                if isinstance(each, Mapping):
                    yield from _of_emit(each, _item(value, number, change))
        elif key.text == "let":
            yield from _of_lets(value, change)


def _of_emit(entry: Mapping, change: Change) -> Iterator[Mutant]:
    record = entry.get("record") or entry.get("message")
    name = record.text if isinstance(record, Scalar) else "record"
    for at, (key, value) in enumerate(entry.entries):
        inner = _entry(entry, at, change)
        if key.text == "let":
            yield from _of_lets(value, inner)
        elif key.text == "key":
            yield from _alternatives(f"{name}.key", value, inner)
    yield from _of_rule(name, entry, change)


def _of_lets(node: Node, change: Change) -> Iterator[Mutant]:
    if isinstance(node, Mapping):
        for at, (key, value) in enumerate(node.entries):
            yield from _alternatives(f"let {key.text}", value, _entry(node, at, change))


def _of_rules(owner: str, node: Node, change: Change) -> Iterator[Mutant]:
    """Of the rules of a `set`: each gone, each with the source of the next, and what is in each."""
    if not isinstance(node, Mapping):
        return
    entries = node.entries
    for at, (key, value) in enumerate(entries):
        name = f"{owner}.{key.text}"
        yield Mutant(f"{name} is gone", key.place, change(_without(node, at)))
        if at + 1 < len(entries):
            other, its = entries[at + 1]
            if _text(value) != _text(its):
                swapped = (*entries[:at], (key, its), (other, value), *entries[at + 2 :])
                said = f"{name} and {other.text} are swapped"
                yield Mutant(said, key.place, change(replace(node, entries=swapped)))
        yield from _of_rule(name, value, _entry(node, at, change))


def _of_rule(name: str, node: Node, change: Change) -> Iterator[Mutant]:
    """Of one rule, or one entry of a list: policies gone, conditions turned, and the rules inside."""
    if not isinstance(node, Mapping):
        yield from _alternatives(name, node, change)
        return
    for at, (key, value) in enumerate(node.entries):
        inner = _entry(node, at, change)
        if key.text in _POLICIES:
            yield Mutant(f"{name}: {key.text} is gone", key.place, change(_without(node, at)))
        elif key.text == "when" and isinstance(value, Scalar):
            yield Mutant(f"{name}: its condition is gone", key.place, change(_without(node, at)))
            turned = replace(value, text=f"not ({value.text})", verbatim=False)
            yield Mutant(f"{name}: its condition is turned round", key.place, inner(turned))
        elif key.text == "from":
            yield from _alternatives(name, value, inner)
        elif key.text in _BLOCKS:
            yield from _of_rules(name, value, inner)
        elif key.text in _LISTS:
            yield from _of_list(name, value, inner)


def _of_list(name: str, node: Node, change: Change) -> Iterator[Mutant]:
    if isinstance(node, Mapping):
        yield from _of_rule(name, node, change)
        return
    if not isinstance(node, Sequence):
        return
    for number, each in enumerate(node.items):
        yield Mutant(f"{name}: entry {number + 1} is gone", each.place, change(_short(node, number)))
        inner = _item(node, number, change)
        if isinstance(each, Mapping) and each.key("set") is None and each.key("from") is None:
            yield from _of_rules(f"{name}({number + 1})", each, inner)
        else:
            yield from _of_rule(f"{name}({number + 1})", each, inner)


def _alternatives(name: str, node: Node, change: Change) -> Iterator[Mutant]:
    if isinstance(node, Sequence) and len(node.items) > 1:
        for number, each in enumerate(node.items):
            said = f"{name}: alternative {number + 1} is gone"
            yield Mutant(said, each.place, change(_short(node, number)))


def _entry(node: Mapping, at: int, change: Change) -> Change:
    key = node.entries[at][0]

    def changed(new: Node) -> Mapping:
        return change(replace(node, entries=(*node.entries[:at], (key, new), *node.entries[at + 1 :])))

    return changed


def _item(node: Sequence, at: int, change: Change) -> Change:
    def changed(new: Node) -> Mapping:
        return change(replace(node, items=(*node.items[:at], new, *node.items[at + 1 :])))

    return changed


def _without(node: Mapping, at: int) -> Mapping:
    return replace(node, entries=(*node.entries[:at], *node.entries[at + 1 :]))


def _short(node: Sequence, at: int) -> Sequence:
    return replace(node, items=(*node.items[:at], *node.items[at + 1 :]))


def _text(node: Node) -> object:
    """What a node says, wherever it stands."""
    match node:
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [_text(each) for each in items]
        case Mapping(entries=entries):
            return [(key.text, _text(value)) for key, value in entries]

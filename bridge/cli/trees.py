"""Messages and records as a person reads them."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import click

from bridge.cli import output as out
from bridge.dictionary.hl7v2_names import Names
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_tree import NamedTree, TreeSegment
from bridge.message import Change, MadeMessage, Mapped

NAME_WIDTH_CHARACTERS = 52


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value with its place, and what the dictionary calls the place."""

    path: str
    name: str
    known: bool
    value: str


def print_tree(name: str, tree: NamedTree) -> None:
    """One line for each value, with its path and the name of its place."""
    click.echo(name)
    for problem in tree.problems:
        click.echo(f"  ! {problem.code} {problem.path}: {problem.text}")
    names = names_of(tree)
    for segment in tree.segments:
        occurrence = f"[{segment.occurrence}]" if segment.occurrence > 1 else ""
        click.echo(f"  {segment.name}{occurrence}  {names.segment(segment.name).text}")
        for leaf in leaves(segment, names):
            click.echo(f"    {leaf.path:<12} {leaf.name:<{NAME_WIDTH_CHARACTERS}}  {leaf.value}")


def names_of(tree: NamedTree) -> Names:
    """The names in the version that the message says it has."""
    header = tree.segments[0] if tree.segments else None
    return Names(_first(header, 12) if header is not None else "")


def _first(segment: TreeSegment, number: int) -> str:
    return next((each.repetitions[0][0][0] for each in segment.fields if each.number == number), "")


def leaves(segment: TreeSegment, names: Names) -> list[Leaf]:
    """Every value of a segment. A field whose type varies has it in OBX-2."""
    told = _first(segment, 2) if segment.name == "OBX" else ""
    found = []
    for field in segment.fields:
        for repetition, components in enumerate(field.repetitions, 1):
            place = f"{segment.name}-{field.number}" + (
                f"({repetition})" if len(field.repetitions) > 1 else ""
            )
            for component, subcomponents in enumerate(components, 1):
                single = len(components) == 1 and len(subcomponents) == 1
                for subcomponent, value in enumerate(subcomponents, 1):
                    if value:
                        below = f".{component}" + (f".{subcomponent}" if len(subcomponents) > 1 else "")
                        name = names.leaf(segment.name, field.number, component, subcomponent, told)
                        found.append(Leaf(place if single else place + below, name.text, name.known, value))
    return found


def tree_as_json(tree: NamedTree) -> dict[str, Any]:
    """The whole tree for a program; ``names`` are those of the places that hold a value, by path."""
    names = names_of(tree)
    whole = asdict(tree)
    for told, segment in zip(whole["segments"], tree.segments, strict=True):
        of_segment = names.segment(segment.name)
        told["title"], told["known"] = of_segment.text, of_segment.known
        told["names"] = {leaf.path: leaf.name for leaf in leaves(segment, names)}
        told["unknown"] = [leaf.path for leaf in leaves(segment, names) if not leaf.known]
    return whole


def print_mapped(name: str, mapped: Mapped) -> None:
    """Records with the rule and the source of each value, then issues."""
    click.echo(f"{name}: {'FAILED' if mapped.failed else 'mapped'}")
    origin = {(line.record, line.key, line.field): line for line in mapped.lineage}
    for record in mapped.records:
        rows = []
        for field, value in record.fields.items():
            line = origin.get((record.record, record.key, field))
            shown = "(delete)" if value is None else value
            rows.append((field, shown, ", ".join(line.sources) if line else "", line.rule if line else ""))
        title = f"{record.record} {record.key}, {record.operation}"
        out.table(title, ["field", "value", "from", "rule"], rows)
    for made in mapped.messages:
        print_message(made)
    for issue in mapped.issues:
        where = ".".join(filter(None, (issue.record, issue.field)))
        click.echo("  ! " + " ".join(filter(None, (issue.code, where, issue.source))) + f": {issue.text}")


def print_message(made: MadeMessage) -> None:
    """A message that was made, segment by segment, with the rule for each place that was changed."""
    message = Hl7Message.read(made.body)
    rows = []
    left = list(made.changes)
    for segment in message.segments:
        mine = [change for change in left if change.what != "removed" and change.place[:3] == segment.name]
        left = [change for change in left if change not in mine]
        rows.append((segment.serialise(), "", "", ""))
        rows += [_change(change) for change in mine]
    rows += [_change(change) for change in left]
    out.table(f"message, {out.count(len(made.body), 'byte')}", ["segment", "change", "from", "rule"], rows)


def _change(change: Change) -> tuple[str, str, str, str]:
    return "", f"{change.place} {change.what}", ", ".join(change.sources), change.rule


def mapped_as_json(mapped: Mapped) -> dict[str, Any]:
    """Everything for a program; a message that was made as its text."""
    whole = asdict(mapped)
    for each, made in zip(whole["messages"], mapped.messages, strict=True):
        message = Hl7Message.read(made.body)
        each["body"] = made.body.decode(message.encoding, "replace")
    return whole

"""Messages and records as a person reads them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import click

from bridge.cli import output as out
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_tree import NamedTree, TreeField
from bridge.message import Change, MadeMessage, Mapped


def print_tree(name: str, tree: NamedTree) -> None:
    """One line for each value, with its path."""
    click.echo(name)
    for problem in tree.problems:
        click.echo(f"  ! {problem.code} {problem.path}: {problem.text}")
    for segment in tree.segments:
        occurrence = f"[{segment.occurrence}]" if segment.occurrence > 1 else ""
        click.echo(f"  {segment.name}{occurrence}")
        for field in segment.fields:
            for path, value in _leaves(segment.name, field):
                click.echo(f"    {path:<12} {value}")


def _leaves(segment: str, field: TreeField) -> list[tuple[str, str]]:
    leaves = []
    for repetition, components in enumerate(field.repetitions, 1):
        place = f"{segment}-{field.number}" + (f"({repetition})" if len(field.repetitions) > 1 else "")
        for component, subcomponents in enumerate(components, 1):
            single = len(components) == 1 and len(subcomponents) == 1
            for subcomponent, value in enumerate(subcomponents, 1):
                if value:
                    below = f".{component}" + (f".{subcomponent}" if len(subcomponents) > 1 else "")
                    leaves.append((place if single else place + below, value))
    return leaves


def tree_as_json(tree: NamedTree) -> dict[str, Any]:
    """The whole tree for a program."""
    return asdict(tree)


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

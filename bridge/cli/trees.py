"""Messages and records as a person reads them."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import click

from bridge.cli import output as out
from bridge.dictionary.hl7v2_names import Names
from bridge.formats.base import ReadProblem
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_tree import NamedTree, TreeSegment
from bridge.mapping.accounting import Accounting
from bridge.message import EXT, Change, Lineage, MadeMessage, Mapped, Record, SourceLeaf

NAME_WIDTH_CHARACTERS = 52
LEAVES_MAX_COUNT = 4
"""Of the values that one field came from: enough to find them, few enough to read."""


@dataclass(frozen=True, slots=True)
class Leaf:
    """One value with its place, and what the dictionary calls the place."""

    path: str
    name: str
    known: bool
    value: str


def print_tree(name: str, tree: NamedTree) -> None:
    """One line for each value, with its path and the name of its place."""
    click.echo(out.plain(name))
    for problem in tree.problems:
        click.echo(f"  ! {problem.code} {problem.path}: {problem.text}")
    names = names_of(tree)
    for segment in tree.segments:
        occurrence = f"[{segment.occurrence}]" if segment.occurrence > 1 else ""
        click.echo(out.plain(f"  {segment.name}{occurrence}  {names.segment(segment.name).text}"))
        for leaf in leaves(segment, names):
            shown = f"    {leaf.path:<12} {leaf.name:<{NAME_WIDTH_CHARACTERS}}  {leaf.value}"
            click.echo(out.plain(shown))


def noticed(problems: Iterable[ReadProblem]) -> list[dict[str, str]]:
    """What was noticed of a message, for a program."""
    return [{"code": each.code, "path": each.path, "text": each.text} for each in problems]


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
    whole["problems"] = noticed(tree.problems)
    for told, segment in zip(whole["segments"], tree.segments, strict=True):
        of_segment = names.segment(segment.name)
        told["title"], told["known"] = of_segment.text, of_segment.known
        told["names"] = {leaf.path: leaf.name for leaf in leaves(segment, names)}
        told["unknown"] = [leaf.path for leaf in leaves(segment, names) if not leaf.known]
    return whole


def print_accounted(name: str, found: Accounting) -> None:
    """Records with the rule, the source and the bytes of each value, then issues, then what is left."""
    (mapped,) = found.mapped
    click.echo(out.plain(f"{name}: {'FAILED' if mapped.failed else 'mapped'}"))
    for record, lines in with_lines(mapped):
        rows = []
        own = {EXT + name: value for name, value in record.ext.items()}
        for field, value in {**record.fields, **own}.items():
            line = lines.get(field)
            shown = "(delete)" if value is None else in_words(value)
            rows.append((field, shown, *(("", "", "") if line is None else _origin(line))))
        title = f"{record.record} {record.key}, {record.operation}"
        out.table(title, ["field", "value", "from", "bytes", "rule"], rows)
    for made in mapped.messages:
        print_message(made)
    for issue in mapped.issues:
        where = ".".join(filter(None, (issue.record, issue.field)))
        place = " ".join(filter(None, (issue.code, where, issue.source)))
        click.echo(out.plain(f"  ! {place}: {issue.text}"))
    _print_left(found)


def with_lines(mapped: Mapped) -> Iterator[tuple[Record, dict[str, Lineage]]]:
    """Each record with the origin of each of its fields, also where two records have one key (R007)."""
    left: dict[tuple[str, str, str], list[Lineage]] = {}
    for line in reversed(mapped.lineage):
        left.setdefault((line.record, line.key, line.field), []).append(line)
    for record in mapped.records:
        names = ("key", *record.fields, *(EXT + name for name in record.ext))
        of_fields = ((name, left.get((record.record, record.key, name))) for name in names)
        yield record, {name: lines.pop() for name, lines in of_fields if lines}


def in_words(value: object) -> str:
    """A value as a person reads it: what is made of several as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _origin(line: Lineage) -> tuple[str, str, str]:
    shown = [bytes_of(leaf) for leaf in line.leaves[:LEAVES_MAX_COUNT]]
    more = len(line.leaves) - len(shown)
    # Without a path it is what a `ref` names, or what stands in the file.
    given = line.sources or tuple(leaf.place for leaf in line.leaves) or line.taken
    return ", ".join(given), ", ".join(shown) + (f" and {more} more" if more else ""), line.rule


def bytes_of(leaf: SourceLeaf) -> str:
    """Which bytes of the message a value is, from 0, the last one included."""
    if leaf.start is None:
        return leaf.place
    return f"{leaf.start}-{leaf.start + leaf.size - 1}" if leaf.size > 1 else str(leaf.start)


def _print_left(found: Accounting) -> None:
    """How many values were used, ignored and unmapped, and which are unmapped, by place."""
    counts = ", ".join(f"{found.count(status)} {status}" for status in ("used", "ignored", "unmapped"))
    click.echo(f"  {out.count(len(found.values), 'value')}: {counts}")
    places: dict[str, list[str]] = {}
    for value in found.values:
        if value.status == "unmapped":
            places.setdefault(value.because, []).append(value.leaf.place)
    for because, its in places.items():
        for line in textwrap.wrap(f"unmapped, {because}: {', '.join(its)}", out.PIPED_WIDTH_CHARACTERS - 4):
            click.echo(out.plain(f"    {line}"))


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


def accounted_as_json(found: Accounting) -> dict[str, Any]:
    """Everything for a program; a message that was made as its text."""
    (mapped,) = found.mapped
    whole = asdict(mapped)
    for each, made in zip(whole["messages"], mapped.messages, strict=True):
        message = Hl7Message.read(made.body)
        each["body"] = made.body.decode(message.encoding, "replace")
    whole["values"] = [
        {
            "place": value.leaf.place,
            "start": value.leaf.start,
            "size": value.leaf.size,
            "status": value.status,
            "because": value.because,
        }
        for value in found.values
    ]
    return whole

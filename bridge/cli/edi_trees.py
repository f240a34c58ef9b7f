"""Messages of X12 and EDIFACT as a person reads them: each value under the place that mappings read it at."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import click

from bridge.cli import output as out
from bridge.cli.trees import noticed
from bridge.dictionary.edi_names import element_name, segment_name
from bridge.formats.base import ReadProblem
from bridge.formats.edi import EdiMessage
from bridge.formats.edifact_file import messages_of
from bridge.formats.hl7v2_check import FileCheck
from bridge.formats.x12 import X12Message
from bridge.mapping.recorded import RecordedEdi


class Leaf(NamedTuple):
    """One value with its place, and what that is called, '' where it is not known here."""

    place: str
    name: str
    value: str


class EdiTree(NamedTuple):
    """A message; each of its segments with its name, which one of that name it is, and its values."""

    form: str
    message: EdiMessage
    segments: list[tuple[str, int, list[Leaf]]]

    @property
    def problems(self) -> list[ReadProblem]:
        """Why it could not be read, and what is odd about it."""
        refused = self.message.refused
        return [*([] if refused is None else [refused]), *self.message.problems]


def check_edi(form: str, data: bytes) -> FileCheck:
    """How well a file of ``x12`` or ``edifact`` can be read: counts and reasons, no values.

    Nothing is put together again from what was read: what goes on are the bytes as they came.
    """
    messages = _read(form, data)
    reasons = Counter(each.refused.code for each in messages if each.refused is not None)
    odd = Counter(code for each in messages for code in {problem.code for problem in each.problems})
    read = len(messages) - reasons.total()
    problems = sum(bool(each.problems) for each in messages)
    return FileCheck(read, problems, reasons.total(), read, 0, dict(reasons), dict(odd))


def _read(form: str, data: bytes) -> Sequence[EdiMessage]:
    return X12Message.read_all(data) if form == "x12" else messages_of(data)


def edi_trees(form: str, data: bytes) -> list[EdiTree]:
    """The messages of a file of ``x12`` or ``edifact``; a refused one where it cannot be taken apart."""
    return [EdiTree(form, each, list(_segments(form, RecordedEdi(each)))) for each in _read(form, data)]


def _segments(form: str, message: RecordedEdi) -> Iterator[tuple[str, int, list[Leaf]]]:
    found: dict[int, list[Leaf]] = {segment.index: [] for segment in message.segments}
    for leaf in message.all_leaves():
        segment = message.segments[leaf.index]
        # Elements of ISA name the separators, and are never parted.
        if segment.name == "ISA":
            value: str | None = segment.field(leaf.field)
        else:
            value = segment.value(leaf.field, leaf.repetition, leaf.component)
        name = element_name(form, leaf.segment, leaf.field, None if leaf.alone else leaf.component)
        found[leaf.index].append(Leaf(leaf.place, name, value or ""))
    seen: dict[str, int] = {}
    for segment in message.segments:
        seen[segment.name] = seen.get(segment.name, 0) + 1
        yield segment.name, seen[segment.name], found[segment.index]


def print_edi(name: str, tree: EdiTree) -> None:
    """One line for each value, with its place and what that is called."""
    click.echo(out.plain(name))
    for problem in tree.problems:
        click.echo(f"  ! {problem.code} {problem.path}: {problem.text}")
    for segment, occurrence, leaves in tree.segments:
        number = f"[{occurrence}]" if occurrence > 1 else ""
        title = segment_name(tree.form, segment)
        click.echo(out.plain(f"  {segment}{number}  {title}".rstrip()))
        for leaf in leaves:
            called = leaf.name.removeprefix(f"{title}: ")
            click.echo(out.plain(f"    {leaf.place:<14} {called:<40}  {leaf.value}"))


def edi_as_json(tree: EdiTree) -> dict[str, Any]:
    """The whole of it for a program; ``names`` are those of its places that are known, by place."""
    return {
        "form": tree.form,
        "type": tree.message.message_type,
        "version": tree.message.version,
        "control_id": tree.message.control_id,
        "problems": noticed(tree.problems),
        "segments": [
            {
                "name": segment,
                "occurrence": occurrence,
                "title": segment_name(tree.form, segment),
                "values": {leaf.place: leaf.value for leaf in leaves},
                "names": {leaf.place: leaf.name for leaf in leaves if leaf.name},
            }
            for segment, occurrence, leaves in tree.segments
        ],
    }

"""What a message has in the place of a required value that was not found: said in places, never in values."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import islice

from bridge.formats.hl7v2 import Segment
from bridge.formats.hl7v2_leaves import unnoted
from bridge.mapping.hl7_fields import COMPLEX
from bridge.mapping.reading import Run
from bridge.mapping.syntax import Path, Where

LOOKED_AT_MAX_COUNT = 100
"""Repetitions of a field that are looked at for a word about it."""


def whats_there(paths: Iterable[Path], run: Run) -> str:
    """Of a field of which the repetition with some type was wanted: that it has others, and of what kind.

    '' where there is nothing to say. It names the path of the mapping, for whoever has to change it there.
    """
    for path in paths:
        found = run.segments.get(path.segment)
        if not isinstance(path.repetition, Where) or not path.passes_over or not isinstance(found, Segment):
            continue
        where, field = path.repetition, f"{path.segment}-{path.field}"
        there = [
            each.value(1, 1, where.component)
            for each in islice(unnoted(found).each_repetition(path.field), LOOKED_AT_MAX_COUNT)
            if each.value(1) is not None
        ]
        if not there or where.value in there:
            continue
        what = "number" if COMPLEX.get((path.segment, path.field)) == "CX" else "value"
        sort = "type" if (what, where.component) == ("number", 5) else f"component {where.component}"
        told = (
            f"{field} has a {what} without a {sort}"
            if None in there
            else f"{field} has no {what} of this {sort}"
        )
        read = f"{field}({where.component}={where.value})"
        return f"{told} ({field}.{where.component}), and the mapping reads {read}"
    return ""

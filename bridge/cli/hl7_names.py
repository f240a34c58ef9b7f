"""What can be said of HL7 segments and fields: what the compiler knows of them, and what mappings read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.cli.meanings import Meaning
from bridge.mapping.hl7_fields import COMPLEX, FIELDS_MAX, ONCE, SEGMENTS, known_segment
from bridge.mapping.message_block import MessageBlock
from bridge.mapping.plan import Plan

_NAME: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{2})(?:-(\d{1,4})(?:\(.*\))?(?:\.\d{1,4}){0,2})?")
_NO_DICTIONARY: Final = (
    "This version has no dictionary of HL7 v2, and cannot say what it means: that is in the chapters of the "
    "standard, and in the sender's own specification."
)

SEGMENT_NAMES: Final = sorted(SEGMENTS)


def segment_or_field(name: str, plans: Iterable[Plan]) -> list[Meaning]:
    """What is known of ``PID`` or ``PID-3``; nothing where no segment has this name."""
    match = _NAME.fullmatch(name.strip())
    if match is None or not known_segment(segment := match[1].upper()):
        return []
    field = int(match[2]) if match[2] else None
    rows = tuple(row for plan in plans for row in _read(plan, segment, field))
    most = FIELDS_MAX.get(segment)
    facts = []
    if segment not in SEGMENTS:
        facts.append(("segment", "a site's own, since it begins with Z"))
    elif field is None:
        facts.append(("fields", f"at most {most}" if most else "any number is taken"))
        facts.append(
            ("how often", "once for one patient or stay" if segment in ONCE else "may stand several times")
        )
    elif most is not None and not 0 < field <= most:
        facts.append(("number", f"no version has it: {segment} has at most {most} fields"))
    elif (data_type := COMPLEX.get((segment, field))) is not None:
        facts.append(("data type", f"{data_type}: made of components, as in {segment}-{field}.1"))
    if not rows:
        facts.append(("mappings", "none of those here reads it or leaves it out"))
    shown = segment if field is None else f"{segment}-{field}"
    kind = "HL7 segment" if field is None else "HL7 field"
    return [Meaning(kind, shown, _NO_DICTIONARY, tuple(facts), ("mapping", "path", "becomes"), rows)]


def _read(plan: Plan, segment: str, field: int | None) -> Iterator[tuple[str, str, str]]:
    sets: dict[str, list[str]] = {}
    for path in plan.paths:
        if path.segment == segment and field in (None, path.field):
            sets.setdefault(path.text, [])
    changed: list[tuple[str, str, str]] = []
    for block in plan.program.blocks:
        if isinstance(block, MessageBlock):
            changed += _changed(plan.name, block, segment, field)
            rules = [("message", step.name, step.rule) for step in block.all_steps]
        else:
            rules = [(block.record, step.name, step.rule) for step in (block.key, *block.steps)]
        for record, name, rule in rules:
            for path in rule.all_paths:
                if path.text in sets and (whole := f"{record}.{name}") not in sets[path.text]:
                    sets[path.text].append(whole)
    for text, names in sets.items():
        yield plan.name, text, ", ".join(names) or "part of an expression, a condition or a let"
    for ignored in plan.ignores:
        if ignored.segment == segment and (field is None or ignored.numbers[:1] in ((), (field,))):
            yield plan.name, ignored.text, f"left out: {ignored.because}"
    yield from changed


def _changed(
    name: str, block: MessageBlock, segment: str, field: int | None
) -> Iterator[tuple[str, str, str]]:
    """What becomes of it in a message that is made."""
    of_each = (
        (block.all_steps, "set in the message made"),
        (block.removals, "taken out of the message made"),
    )
    for each, what in of_each:
        for place in each:
            if place.place.is_of(segment) and (field is None or place.place.field in (0, field)):
                yield name, place.name, what

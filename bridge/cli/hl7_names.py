"""What can be said of HL7 segments and fields: what the compiler knows of them, and what mappings read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.cli.meanings import Meaning
from bridge.mapping.hl7_fields import COMPLEX, FIELDS_MAX, ONCE, SEGMENTS, known_segment
from bridge.mapping.plan import Plan

_NAME: Final = re.compile(r"([A-Za-z][A-Za-z0-9]{2})(?:-(\d{1,4})(?:\(.*\))?(?:\.\d{1,4}){0,2})?")
_NO_DICTIONARY: Final = (
    "This version has no dictionary of HL7 v2, and cannot say what it means: that is in the chapters of the "
    "standard, and in the sender's own specification."
)

SEGMENT_NAMES: Final = sorted(SEGMENTS)


def field_name(segment: str, field: int) -> str:
    """What a field is called; without a dictionary its data type, or nothing where that is not known."""
    return COMPLEX.get((segment, field), "")


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
    for block in plan.program.blocks:
        for step in (block.key, *block.steps):
            for path in step.rule.all_paths:
                if path.text in sets and (name := f"{block.record}.{step.name}") not in sets[path.text]:
                    sets[path.text].append(name)
    for text, names in sets.items():
        yield plan.name, text, ", ".join(names) or "part of an expression, a condition or a let"
    for ignored in plan.ignores:
        if ignored.segment == segment and (field is None or ignored.numbers[:1] in ((), (field,))):
            yield plan.name, ignored.text, f"left out: {ignored.because}"

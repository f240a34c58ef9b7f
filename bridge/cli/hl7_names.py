"""What can be said of HL7 names: what the dictionary calls them, and what mappings read of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from typing import Final

from bridge.cli.meanings import Meaning
from bridge.dictionary.hl7v2 import EVENTS, Dictionary, Element, dictionary
from bridge.mapping.hl7_fields import FIELDS_MAX, ONCE, SEGMENTS, known_segment
from bridge.mapping.json_block import JsonBlock
from bridge.mapping.message_block import MessageBlock
from bridge.mapping.plan import Plan

_PLACE: Final = re.compile(
    r"([A-Za-z][A-Za-z0-9]{2})(?:-(\d{1,4})(?:\([^)]*\))?(?:\.(\d{1,4}))?(?:\.(\d{1,4}))?)?"
)
_MESSAGE: Final = re.compile(r"([A-Za-z]{3})[\^_]([A-Za-z0-9]{3})(?:[\^_].*)?")
_DATA_TYPE: Final = re.compile(r"([A-Za-z]{2,3})(?:\.(\d{1,4}))?")
_TABLE: Final = re.compile(r"(?:table\s+|hl7)?(\d{4})(?:[\s.]+(\S+))?", re.IGNORECASE)
_CODES: Final = re.compile(r"^[A-Z]{3}(?:/[A-Z]{3})*\s+-\s+")
_UNKNOWN: Final = "No version of HL7 v2 from 2.1 to 2.8.2 has it."
_SITE: Final = "A site's own, since it begins with Z: what it means is in the sender's specification."
_ELEMENTS: Final = ("place", "name", "type", "table", "versions")

SEGMENT_NAMES: Final = sorted(SEGMENTS)


def field_name(segment: str, field: int) -> str:
    """What a field is called, or nothing where no version has it."""
    found = dictionary().field(segment, field)
    return "" if found is None else found.name


def hl7_meanings(name: str, plans: Iterable[Plan]) -> list[Meaning]:
    """What is known of ``PID``, ``PID-3.1``, ``CX``, ``ADT^A01``, ``table 0203`` or ``0203 MR``."""
    names, text = dictionary(), name.strip()
    if (place := _PLACE.fullmatch(text)) is not None and known_segment(place[1].upper()):
        return _place(names, place[1].upper(), [int(each) for each in place.groups()[1:] if each], plans)
    if (message := _MESSAGE.fullmatch(text)) is not None:
        return _message(names, message[1].upper(), message[2].upper())
    if (table := _TABLE.fullmatch(text)) is not None:
        return _table(names, int(table[1]), table[2])
    if (data_type := _DATA_TYPE.fullmatch(text)) is not None:
        return _data_type(names, data_type[1].upper(), int(data_type[2]) if data_type[2] else None)
    return []


def _place(names: Dictionary, segment: str, numbers: list[int], plans: Iterable[Plan]) -> list[Meaning]:
    field = numbers[0] if numbers else None
    rows = tuple(row for plan in plans for row in _read(plan, segment, field))
    shown = "-".join([segment, ".".join(map(str, numbers))]) if numbers else segment
    kind = "HL7 segment", "HL7 field", "HL7 component", "HL7 subcomponent"
    facts: list[tuple[str, str]] = []
    more: list[Meaning] = []
    if segment not in SEGMENTS:
        text = _SITE
    elif field is None:
        text, facts, more = _segment(names, segment)
    else:
        text, facts, more = _field(names, segment, numbers)
    if not rows:
        facts.append(("mappings", "none of those here reads it or leaves it out"))
    columns = ("mapping", "path", "becomes")
    return [Meaning(kind[len(numbers)], shown, text, tuple(facts), columns, rows), *more]


def _segment(names: Dictionary, segment: str) -> tuple[str, list[tuple[str, str]], list[Meaning]]:
    found = names.segment(segment)
    most = FIELDS_MAX.get(segment) or (found.count if found else None)
    facts = [
        ("fields", f"at most {most}" if most else "any number is taken"),
        ("how often", "once for one patient or stay" if segment in ONCE else "may stand several times"),
    ]
    if found is None:
        return _UNKNOWN, facts, []
    facts.append(("versions", _versions(found.versions)))
    elements = ((number, names.field(segment, number)) for number in range(1, found.count + 1))
    rows = tuple(_row(f"{segment}-{number}", each) for number, each in elements if each is not None)
    text = f"The fields of {segment}, with the newest version that has each."
    return f"{found.name}.", facts, [Meaning("HL7 fields", segment, text, (), _ELEMENTS, rows)]


def _field(
    names: Dictionary, segment: str, numbers: list[int]
) -> tuple[str, list[tuple[str, str]], list[Meaning]]:
    said: list[str] = []
    element: Element | None = None
    for depth, number in enumerate(numbers):
        before = element
        if depth == 0:
            element = names.field(segment, number)
        elif depth == 1:
            element = names.component_of(segment, numbers[0], number, None)
        else:
            element = names.subcomponent_of(segment, numbers[0], numbers[1], number, None)
        if element is None:
            if before is not None and depth and number == 1 and names.simple(before.data_type):
                element = before
                continue
            return _missing(names, segment, said, numbers[0], before), [], []
        said.append(element.name)
    assert element is not None, "a place has a number"
    facts = list(_facts(element, f"{segment}-{'.'.join(map(str, numbers))}", names))
    table = _table(names, element.table, None) if element.table else []
    more = _data_type(names, element.data_type, None) if not names.simple(element.data_type) else []
    return f"{': '.join(said)}.", facts, [*more, *table]


def _missing(names: Dictionary, segment: str, said: list[str], field: int, before: Element | None) -> str:
    if before is not None:
        return f"{': '.join(said)}: no version of HL7 v2 from 2.1 to 2.8.2 has this part of it."
    found = names.segment(segment)
    most = FIELDS_MAX.get(segment) or (found.count if found is not None else 0)
    if field > most > 0:
        return f"{_UNKNOWN} No version has it, since {segment} has at most {most} fields."
    return _UNKNOWN


def _facts(element: Element, path: str, names: Dictionary) -> Iterator[tuple[str, str]]:
    made = "" if names.simple(element.data_type) else f": made of components, as in {path}.1"
    yield "data type", f"{element.data_type}{made}" if element.data_type else "varies, or was withdrawn"
    yield "needed", "yes" if element.required else "no, or on condition"
    yield "repeats", "may" if element.repeats else "does not"
    if element.table:
        yield "table", f"{element.table:04d}"
    yield "versions", _versions(element.versions)


def _row(place: str, element: Element) -> tuple[str, ...]:
    table = f"{element.table:04d}" if element.table else ""
    return place, element.name, element.data_type, table, _versions(element.versions)


def _versions(versions: tuple[str, ...]) -> str:
    return versions[0] if len(versions) == 1 else f"{versions[0]} to {versions[-1]}"


def _data_type(names: Dictionary, name: str, number: int | None) -> list[Meaning]:
    found = names.data_type(name)
    if found is None:
        return []
    if number is not None:
        element = names.component(name, number)
        text = _UNKNOWN if element is None else f"{found.name}: {element.name}."
        facts = () if element is None else tuple(_facts(element, f"{name}.{number}", names))
        return [Meaning("HL7 component", f"{name}.{number}", text, facts)]
    elements = ((each, names.component(name, each)) for each in range(1, found.count + 1))
    rows = tuple(_row(f"{name}.{each}", element) for each, element in elements if element is not None)
    facts = (("versions", _versions(found.versions)),)
    return [Meaning("HL7 data type", name, f"{found.name or name}.", facts, _ELEMENTS if rows else (), rows)]


def _message(names: Dictionary, code: str, event: str) -> list[Meaning]:
    events = names.table(EVENTS)
    said = events.codes.get(event, "") if events is not None else ""
    name = names.structure_of(code, event)
    found = names.structure(name) if name is not None else None
    if found is None or name is None:
        return []
    facts = [("structure", name)]
    if said:
        facts.append(("event", f"{event}: {said}"))
    facts += [("versions", _versions(found.versions)), ("segments", found.syntax)]
    # The table begins its words with the message codes: "ADT/ACK - Register a patient".
    text = _CODES.sub("", said) or found.name or name
    return [Meaning("HL7 message", f"{code}^{event}", f"{text.removesuffix('.')}.", tuple(facts))]


def _table(names: Dictionary, number: int, code: str | None) -> list[Meaning]:
    found = names.table(number)
    if found is None:
        return []
    shown = f"table {number:04d}"
    if code is not None:
        meant = next((text for each, text in found.codes.items() if each.casefold() == code.casefold()), None)
        if meant is None:
            return [
                Meaning("HL7 code", f"{shown} {code}"[:60], f"{found.name}: this code is not in the table.")
            ]
        return [
            Meaning("HL7 code", f"{shown} {code}", f"{found.name}: {meant or 'no meaning is known here'}.")
        ]
    rows = tuple((each, text) for each, text in found.codes.items())
    columns = ("code", "meaning") if rows else ()
    return [Meaning("HL7 table", shown, f"{found.name}.", (), columns, rows)]


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
        elif isinstance(block, JsonBlock):
            rules = [("json", step.name, step.rule) for step in block.all_steps]
        else:
            rules = [(block.record, step.name, step.rule) for step in (block.key, *block.all_steps)]
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

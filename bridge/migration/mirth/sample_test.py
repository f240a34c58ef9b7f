"""A test for a mapping that was imported: invented values in, and what the mapping makes of them now.

It is no proof that the old engine did the same. It shows when an edit changes what an imported mapping does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

from bridge.formats.hl7v2 import NULL, Charset, Hl7Message
from bridge.mapping.plan import Plan
from bridge.mapping.syntax import Path
from bridge.migration.mirth.text import item, quoted

SEGMENTS_MAX_COUNT: Final = 30
FIELD_MAX: Final = 80
REPETITION_MAX: Final = 5
_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\((\d+)\))?(?:\.(\d+))?(?:\.(\d+))?")
_HEADER: Final = {
    3: "FROM",
    4: "SITE",
    5: "TO",
    6: "HUB",
    7: "20240102031500",
    10: "T1",
    11: "P",
    12: "2.5.1",
}

_Fields = dict[tuple[int, int, int, int], str]


def sample_test(plan: Plan, places: Sequence[str], gone: Sequence[str], fixed: Sequence[str]) -> list[str]:
    """The lines of a `tests:` block; none where the mapping fails on invented values, or changes nothing.

    ``places`` are set by the mapping, ``gone`` are segments that it takes out, ``fixed`` those that it adds.
    """
    if not places and not gone:
        return []
    message = _message(plan, [*places, *gone], set(fixed))
    mapped = plan.run(Hl7Message.read(message.encode(), Charset("utf-8")))
    if mapped.failed or len(mapped.messages) != 1:
        return []
    made = Hl7Message.read(mapped.messages[0].body)
    expected = [f"{item(place)}: {quoted(_value(made, place))}" for place in dict.fromkeys(places)]
    expected += [f'{item(name)}: ""' for name in dict.fromkeys(gone)]
    lines = ["tests:", "  - name: as it was imported, with invented values", "    input: |"]
    lines += [f"      {line}" for line in message.split("\r") if line]
    lines += ["    expect:", "      message:"]
    return [*lines, *(f"        {each}" for each in expected), ""]


def _value(message: Hl7Message, place: str) -> str:
    found = _PLACE.fullmatch(place)
    assert found is not None, "places are written by this part"
    numbers = [int(each) if each else 1 for each in found.groups()[1:]]
    value = message.value(found[1], numbers[0], numbers[1], numbers[2], numbers[3])
    return "" if value is None else '""' if value is NULL else str(value)


def _message(plan: Plan, places: Iterable[str], added: set[str]) -> str:
    segments: dict[str, _Fields] = {"MSH": {}}
    for path in plan.paths:
        _note(
            segments, path.segment, path.field, _repetition(path), path.component or 1, path.subcomponent or 1
        )
    for place in places:
        found = _PLACE.fullmatch(place)
        if found is not None and found[1] not in added:
            numbers = [int(each) if each else 1 for each in found.groups()[1:]]
            _note(segments, found[1], *numbers)
        elif re.fullmatch("[A-Z][A-Z0-9]{2}", place):
            segments.setdefault(place, {(1, 1, 1, 1): "1"})
    header = segments.pop("MSH")
    for number, text in _HEADER.items():
        header[number, 1, 1, 1] = text
    code, _, event = min(plan.accept).partition("^")
    event = event if event not in ("", "*") else "A01"
    header[9, 1, 1, 1], header[9, 1, 2, 1] = code, event
    # The fields of a header count from its first delimiter.
    _, _, rest = _line("MSH", header).split("|", 2)
    lines = [f"MSH|^~\\&|{rest[1:]}"]
    lines += [_line(name, fields) for name, fields in list(segments.items())[:SEGMENTS_MAX_COUNT]]
    return "\r".join(lines) + "\r"


def _repetition(path: Path) -> int:
    return path.repetition if isinstance(path.repetition, int) else 1


def _note(
    segments: dict[str, _Fields], segment: str, field: int, repetition: int, component: int, part: int
) -> None:
    if field > FIELD_MAX or repetition > REPETITION_MAX or (segment == "MSH" and field <= 2):
        return
    word = "".join(map(str, (segment, field, component)))
    value = word if repetition == part == 1 else f"{word}R{repetition}S{part}"
    segments.setdefault(segment, {})[field, repetition, component, part] = value


def _line(name: str, fields: _Fields) -> str:
    last = max((field for field, *_ in fields), default=0)
    return "|".join([name, *(_field(fields, number) for number in range(1, last + 1))])


def _field(fields: _Fields, number: int) -> str:
    mine = {key[1:]: text for key, text in fields.items() if key[0] == number}
    repetitions = []
    for repetition in range(1, max((key[0] for key in mine), default=0) + 1):
        parts: dict[int, dict[int, str]] = {}
        for (one, component, part), text in mine.items():
            if one == repetition:
                parts.setdefault(component, {})[part] = text
        components = [
            "&".join(parts.get(at, {}).get(sub, "") for sub in range(1, max(parts.get(at, {1: ""})) + 1))
            for at in range(1, max(parts, default=0) + 1)
        ]
        repetitions.append("^".join(components))
    return "~".join(repetitions)

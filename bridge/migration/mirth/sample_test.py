"""A test for a mapping that was imported: invented values in, and what the mapping makes of them now.

It is no proof that the old engine did the same. It shows when an edit changes what an imported mapping does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final

from bridge.formats.document import Document
from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.mapping.inputs import UTF_8
from bridge.mapping.messages import Message, read_message
from bridge.mapping.plan import Plan
from bridge.mapping.syntax import Path
from bridge.migration.mirth.mapping_text import Written
from bridge.migration.mirth.text import item, quoted

SEGMENTS_MAX_COUNT: Final = 30
FIELD_MAX: Final = 80
REPETITION_MAX: Final = 5
_PLACE: Final = re.compile(r"([A-Z][A-Z0-9]{2})-(\d+)(?:\((\d+)\))?(?:\.(\d+))?(?:\.(\d+))?")
_MEMBER: Final = re.compile(r"""\$(?:\.[A-Za-z_]\w*|\[\\?"[^"\\]+\\?"\]|\(\d+\))+""")
_MEMBER_STEP: Final = re.compile(r"""\.([A-Za-z_]\w*)|\[\\?"([^"\\]+)\\?"\]|\((\d+)\)""")
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
_ISA: Final = (
    "ISA*00*          *00*          *ZZ*FROM           *ZZ*TO             "
    "*240102*0315*^*00501*000000001*0*P*:"
)
_GS: Final = "GS*HP*FROM*TO*20240102*0315*1*X*005010"
_ENVELOPE: Final = frozenset({"ISA", "GS", "ST", "SE", "GE", "IEA"})

_Fields = dict[tuple[int, int, int, int], str]


def sample_test(plan: Plan, written: Written) -> list[str]:
    """The lines of a `tests:` block; none where the mapping fails on invented values, or changes nothing."""
    if written.makes == "message" and not written.sets and not written.gone:
        return []
    given, message = _input(plan, written)
    mapped = plan.run(message)
    if mapped.failed or len(mapped.messages) != 1 or not written.makes:
        return []
    lines = ["tests:", "  - name: as it was imported, with invented values", *given, "    expect:"]
    if written.makes == "json":
        expected = json.loads(mapped.messages[0].body, parse_int=str, parse_float=str)
        return [*lines, f"      json: {json.dumps(expected, ensure_ascii=True)}", ""] if expected else []
    made = Hl7Message.read(mapped.messages[0].body)
    places = [f"{item(place)}: {quoted(_value(made, place))}" for place in dict.fromkeys(written.sets)]
    places += [f'{item(name)}: ""' for name in dict.fromkeys(written.gone)]
    return [*lines, "      message:", *(f"        {each}" for each in places), ""]


def _input(plan: Plan, written: Written) -> tuple[list[str], Message]:
    """The lines of a test's input, and the input itself."""
    if written.reads == "hl7v2":
        body = _message(plan, [*written.sets, *written.gone], set(written.fixed))
        return ["    input: |", *(f"      {line}" for line in body.split("\r") if line)], _read(written, body)
    if written.reads == "x12":
        body = _interchange(plan)
        return ["    input: |", *(f"      {line}" for line in body.split("\n"))], _read(written, body)
    root: dict[str, Any] = {}
    for path in dict.fromkeys(_MEMBER.findall("\n".join(written.lines))):
        names = [name or quote or int(number) for name, quote, number in _MEMBER_STEP.findall(path)]
        _place(root, names)
    if written.reads == "json":
        body = json.dumps(root, ensure_ascii=True)
        return [f"    input: {quoted(body)}"], _read(written, body)
    cells = {str(name): value for name, value in root.items() if isinstance(value, str)}
    if written.reads == "fixed":
        return [f"    rows: [{json.dumps(cells, ensure_ascii=True)}]"], Document.of_rows(
            [cells], form="fixed"
        )
    rows = [",".join(map(_cell, each)) for each in (cells, cells.values())]
    return ["    input: |", *(f"      {row}" for row in rows)], _read(written, "\n".join(rows))


def _read(written: Written, body: str) -> Message:
    return read_message(written.reads, body.encode(), UTF_8)


def _interchange(plan: Plan) -> str:
    """An interchange of one transaction, with invented values where the mapping looks."""
    segments: dict[str, _Fields] = {}
    for path in plan.paths:
        if path.segment not in _ENVELOPE:
            _note(segments, path.segment, path.field, 1, path.component or 1, 1)
    body = [_line(name, fields).replace("|", "*").replace("^", ":") for name, fields in segments.items()]
    st = f"ST*{min(plan.accept)}*0001"
    return "~\n".join(
        [_ISA, _GS, st, *body[:SEGMENTS_MAX_COUNT], f"SE*{len(body) + 2}*0001", "GE*1*1", "IEA*1*000000001~"]
    )


def _cell(text: str) -> str:
    return '"' + text.replace('"', '""') + '"' if set(text) & set(',"') else text


def _place(root: Any, names: Sequence[str | int]) -> None:
    """Put a text where a path of JSON leads; one that goes through what is a text already is left out."""
    node = root
    for at, name in enumerate(names):
        last = at == len(names) - 1
        inner: Any = f"{names[0]} {at + 1}" if last else [] if isinstance(names[at + 1], int) else {}
        if isinstance(node, dict):
            node = node.setdefault(str(name), inner)
        elif isinstance(node, list) and isinstance(name, int) and name <= REPETITION_MAX:
            node += [{} if not last else "" for _ in range(name - len(node))]
            node = node[name - 1]
        else:
            return


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

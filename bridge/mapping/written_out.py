"""Constructors as the rules that they stand for, in the place where they are called."""

from __future__ import annotations

from collections.abc import Container, Iterator
from collections.abc import Mapping as Dict
from typing import Final

from bridge.canonical.base import FieldType, fields
from bridge.located import Mapping, Node, Place, Scalar, Sequence, did_you_mean
from bridge.mapping.check import read_expression
from bridge.mapping.constructors import CONSTRUCTORS, Constructor, Rule, Template
from bridge.mapping.document import Report
from bridge.mapping.functions import FUNCTIONS
from bridge.mapping.hl7_codes import TABLE_PREFIX
from bridge.mapping.syntax import Call, Path, Text

OBSERVED: Final = "observation_value"
LINES: Final = "value"
"""The argument that may be of several segments, each a line of one text: `OBX(*)-5`."""
VALUE: Final = "value"
"""Under which it stands in a `set`."""


def constructed(value: Node, key: Scalar, field: FieldType, what: str, report: Report) -> Node | None:
    """The rule with what constructors stand for in their place; None where one is not right."""
    named = value.get("from") if isinstance(value, Mapping) else value
    items = named.items if isinstance(named, Sequence) else (named,)
    texts = [each for each in items if isinstance(each, Scalar)]
    if named is None or len(texts) != len(items) or not texts:
        return value
    calls: list[tuple[Call, Scalar]] = []
    for text in texts:
        tree = read_expression(text, report)
        if tree is None:
            return None
        if not isinstance(tree, Call) or tree.name in FUNCTIONS:
            return value
        if (made := CONSTRUCTORS.get(tree.name)) is None:
            hint = did_you_mean(tree.name, CONSTRUCTORS)
            report.add(text.at(tree.offset), "E110", f"unknown function {tree.name!r}", hint)
            return None
        if not fits(made, field.item):
            said = f"{what} is not what {made.name}() makes"
            report.add(text.place, "E244", said, constructor_for(field.item))
            return None
        calls.append((tree, text))
    one = field.kind == "part"
    if one and len(calls) > 1:
        said = f"{what} takes one, and this gives {len(calls)}"
        report.add(key.place, "E244", said, "write one, or `part: {...}`")
        return None
    nodes = [written_out(call, text, what, report, one=one) for call, text in calls]
    if any(node is None for node in nodes):
        return None
    found = tuple(node for node in nodes if node is not None)
    inner: Node = found[0] if one else Sequence(found, value.place)
    kept = [] if not isinstance(value, Mapping) else [e for e in value.entries if e[0].text != "from"]
    return Mapping(((_scalar("part" if one else "list", value.place), inner), *kept), value.place)


def fits(constructor: Constructor, item: Dict[str, object]) -> bool:
    """Whether a part with these fields is what the constructor makes."""
    return constructor.makes is not None and fields(constructor.makes).keys() == item.keys()


def constructor_for(item: Dict[str, object]) -> str | None:
    """A hint: the constructor that makes a part with these fields."""
    return next((f"as in {name}(...)" for name, each in CONSTRUCTORS.items() if fits(each, item)), None)


def takes_value(known: Container[str]) -> bool:
    """Whether a record with these fields has one value of many types, for which `value` may stand."""
    return VALUE not in known and "value_number" in known


def spread(
    node: Mapping, known: Dict[str, object], owner: str, report: Report
) -> Iterator[tuple[Scalar, Node]]:
    """The entries of a `set`, with `value: observation_value(...)` as the fields that it stands for.

    What the `set` says of one of these by itself goes before.
    """
    own = {key.text for key, _ in node.entries}
    for key, value in node.entries:
        call = None
        if key.text == VALUE and takes_value(known) and isinstance(value, Scalar):
            tree = read_expression(value, report)
            call = tree if isinstance(tree, Call) and tree.name == OBSERVED else None
            if tree is None:
                continue
        if call is None or not isinstance(value, Scalar):
            yield key, value
            continue
        made = written_out(call, value, f"{owner}.{VALUE}", report, one=True)
        for each, rule in () if made is None else made.entries:
            if each.text not in own:
                yield each, rule


def written_out(call: Call, scalar: Scalar, what: str, report: Report, *, one: bool) -> Mapping | None:
    """The rules that a call stands for, as a file would have them: `part:`, or an entry of `list:`.

    ``one`` tells that there can be only one. None, and a problem, where the call is not right.
    """
    constructor, place = CONSTRUCTORS[call.name], scalar.at(call.offset)
    names = constructor.takes
    least = len(names) - constructor.optional
    if not least <= len(call.arguments) <= len(names):
        report.add(place, "E111", f"{call.name}() takes {' and '.join(names)}", constructor.summary)
        return None
    found: dict[str, str] = {}
    each: str | None = None
    for number, argument in enumerate(call.arguments, start=1):
        at = scalar.at(argument.offset)
        if isinstance(argument, Text) and names[number - 1] == "role":
            found[str(number)] = argument.value.replace("\\", "\\\\").replace("'", "\\'")
            continue
        named = isinstance(argument, Path) and (argument.whole or argument.component is not None)
        lines = names[number - 1] == LINES and isinstance(argument, Path) and argument.which is None
        if not isinstance(argument, Path) or named or (argument.which is None and not lines):
            text = f"{call.name}(): {names[number - 1]} must be a whole field"
            report.add(at, "E228", text, "as in PID-5, PID-5(2) or PID-5(*), without a component")
            return None
        path = argument.text
        if names[number - 1] == LINES:
            found["lines"] = f"{path}(*).*"
            path = path.replace("(*)-", "-")
        if argument.repetition is None:
            if one:
                report.add(at, "E228", f"{what} takes one, and {path} may be several", "leave (*) out")
                return None
            path = path.removesuffix("(*)")
            each = path
        found[str(number)] = path
        if number == 1:
            found[""] = path
    made = Mapping(tuple(_rules(constructor.rules, found, scalar, place)), place)
    if each is None:
        return made
    return Mapping(((_scalar("for_each", place), _scalar(each, place)), (_scalar("set", place), made)), place)


def _rules(
    rules: Dict[str, Template], found: Dict[str, str], scalar: Scalar, place: Place
) -> list[tuple[Scalar, Node]]:
    entries: list[tuple[Scalar, Node]] = []
    for name, template in rules.items():
        node = _node(template, found, scalar, place)
        if node is not None:
            entries.append((_scalar(name, place), node))
    return entries


def _node(template: Template, found: Dict[str, str], scalar: Scalar, place: Place) -> Node | None:
    if isinstance(template, dict):
        inner = Mapping(tuple(_rules(template, found, scalar, place)), place)
        return Mapping(((_scalar("part", place), inner),), place)
    rule = template if isinstance(template, Rule) else None
    if isinstance(template, Rule):
        texts = template.sources
    else:
        texts = (template,) if isinstance(template, str) else template
    filled = [text for each in texts if (text := _filled(each, found)) is not None]
    if not filled:
        return None
    sources: Node = Sequence(tuple(_scalar(text, place) for text in filled), place)
    if rule is None:
        return sources
    entries: list[tuple[str, Node]] = [("from", sources)]
    if rule.table:
        table = _scalar(TABLE_PREFIX + rule.table, place)
        entries += [("translate", table), ("unmapped", _scalar("null", place))]
    if rule.on_error:
        entries.append(("on_error", _scalar(rule.on_error, place)))
    return Mapping(tuple((_scalar(name, place), node) for name, node in entries), place)


def _filled(text: str, found: Dict[str, str]) -> str | None:
    """The template with its fields; None where it needs one that was not given."""
    for number in ("2", "3"):
        if f"{{{number}}}" in text and number not in found:
            return None
    for number, path in found.items():
        text = text.replace(f"{{{number}}}", path)
    return text


def _scalar(text: str, place: Place) -> Scalar:
    return Scalar(text, place, verbatim=False)

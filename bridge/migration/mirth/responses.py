"""Steps of response transformers: what they do with an answer, and whether it is done here anyway."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from bridge.migration.mirth.js_parse import parse
from bridge.migration.mirth.js_scope import MAPS
from bridge.migration.mirth.js_shapes import is_log
from bridge.migration.mirth.js_tree import (
    Assign,
    Block,
    Call,
    Declaration,
    If,
    Jump,
    Member,
    Name,
    NotRead,
    Switch,
    Text,
    Tree,
    Try,
)
from bridge.migration.mirth.model import Channel, Connector, Element
from bridge.migration.mirth.outcomes import Outcome

READ_HERE: Final = (
    "the receiver's MSA-1 decides here by itself: AA and CA are success, AE, AR, CE and CR are not; what the "
    "step made of other parts of the answer is left out"
)
KEPT_FOR_NOBODY: Final = "keeps parts of the answer that nothing in the channel reads"
_NOT_CONVERTED: Final = "the answer of a receiver is read; here its code alone decides"
_STATUS: Final = frozenset({"responseStatus", "responseStatusMessage", "responseErrorMessage"})
_CODE: Final = re.compile(r"""['"]MSA\.1['"]|\.MSA\b""")
_RESPONSE: Final = "response"


def response_outcome(element: Element, destination: Connector, channel: Channel) -> Outcome:
    """What becomes of one step of a response transformer that is enabled."""
    if element.kind == "mapper":
        name = element.fields.get("variable", "").strip()
        if name and not _read_elsewhere({name}, element, channel):
            return Outcome(element, "dropped", KEPT_FOR_NOBODY)
        return Outcome(element, "manual", _NOT_CONVERTED, "", 1)
    if element.kind != "javascript":
        return Outcome(element, "manual", _NOT_CONVERTED, "", 1)
    try:
        done = list(_done(parse(element.script)))
    except (NotRead, RecursionError):
        return Outcome(element, "manual", _NOT_CONVERTED, "", 1)
    if "" in done:
        return Outcome(element, "manual", _NOT_CONVERTED, "", 1)
    kept = {each for each in done if each != _RESPONSE}
    if _read_elsewhere(kept, element, channel):
        return Outcome(element, "manual", _NOT_CONVERTED, "", 1)
    if _RESPONSE not in done:
        return Outcome(element, "dropped", KEPT_FOR_NOBODY)
    if destination.transport == "TCP Sender" and _CODE.search(element.script):
        return Outcome(element, "approximated", READ_HERE, "the API's own reading of MSA-1")
    return Outcome(element, "manual", "whether a call was a success is decided by a script", "", 1)


def _done(statements: tuple[Tree, ...]) -> Iterator[str]:
    """What statements do that is seen: names of map entries, the status, or '' for anything else."""
    for each in statements:
        match each:
            case Declaration():
                yield from ("" for _, value in each.names if value is not None and _calls_out(value))
            case Assign(target=Name(name)) if not _calls_out(each.value):
                if name in _STATUS:
                    yield _RESPONSE
            case Call() if is_log(each):
                pass
            case Call():
                yield _put(each)
            case If():
                yield from _done((*each.then, *each.otherwise))
            case Block():
                yield from _done(each.body)
            case Try():
                yield from _done((*each.body, *each.handler, *each.final))
            case Switch():
                for _, body in each.cases:
                    yield from _done(tuple(step for step in body if not isinstance(step, Jump)))
            case _:
                yield ""


def _put(call: Call) -> str:
    function = call.function
    known = (
        isinstance(function, Member)
        and isinstance(function.object, Name)
        and function.object.name in MAPS
        and MAPS[function.object.name] != "response"
        and function.key == Text("put", getattr(function.key, "at", 0))
    ) or (isinstance(function, Name) and MAPS.get(function.name, "response") != "response")
    if known and len(call.arguments) == 2 and isinstance(call.arguments[0], Text):
        return "" if _calls_out(call.arguments[1]) else call.arguments[0].value
    return ""


_PURE: Final = frozenset(
    "toString trim toUpperCase toLowerCase substring substr split indexOf length parse stringify get replace "
    "getMessage getStatus getStatusMessage equals contains text".split()
)


def _calls_out(tree: Tree) -> bool:
    """Whether an expression calls anything but what reads."""
    if isinstance(tree, Call):
        name = tree.function.key if isinstance(tree.function, Member) else tree.function
        word = name.value if isinstance(name, Text) else name.name if isinstance(name, Name) else ""
        if tree.new or not (word in _PURE or word in MAPS or word == "$"):
            return True
    slots = getattr(tree, "__slots__", ())
    return any(_calls_out(inner) for slot in slots for inner in _trees(getattr(tree, slot, None)))


def _trees(value: object) -> Iterator[Tree]:
    if isinstance(value, tuple):
        for each in value:
            yield from _trees(each)
    elif hasattr(value, "at"):
        yield value  # type: ignore[misc]


def _read_elsewhere(names: set[str], element: Element, channel: Channel) -> bool:
    """Whether a map entry of one of these names may be read by anything else in the channel."""
    if not names:
        return False
    wanted = re.compile("|".join(re.escape(each) for each in sorted(names)))
    texts = [
        text
        for each in channel.elements
        for one in each.every()
        if one is not element
        for text in (*one.fields.values(), *one.values)
    ]
    for connector in (channel.source, *channel.destinations):
        texts += connector.properties.values()
    texts += channel.columns
    return any(wanted.search(text) for text in texts)

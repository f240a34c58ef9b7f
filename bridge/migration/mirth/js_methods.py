"""Functions and methods that scripts call: of texts, of the old engine's maps, of its helpers."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Pointer, Spot, numbered
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.js_objects import json_notes
from bridge.migration.mirth.js_order import as_number
from bridge.migration.mirth.js_scope import (
    MAPS,
    SHARED,
    Each,
    Items,
    JsonText,
    Pattern,
    Pieces,
    Record,
    Value,
)
from bridge.migration.mirth.js_texts import by_pattern, date, matched, replaced, substring, tested
from bridge.migration.mirth.js_tree import Call, Member, Name, Number, Text, Tree
from bridge.migration.mirth.js_values import Values

_CLOCK: Final = "the time of now: a mapping gives the same for the same message"
_REFUSED: Final = {
    "getUUID": "a random identifier: a mapping gives the same for the same message",
    "getCurrentDate": _CLOCK,
    "routeMessage": "a message sent to another channel by a script",
    "routeMessageByChannelId": "a message sent to another channel by a script",
    "getAttachments": "attachments",
    "addAttachment": "attachments",
    "executeCachedQuery": "a query of a database",
    "executeUpdate": "a change in a database",
    "createDatabaseConnection": "a connection to a database",
    "eval": "a script that is made while it runs",
}
_HELPERS: Final = frozenset(
    "connectorMessage alerts router replacer FileUtil SMTPConnectionFactory DatabaseConnectionFactory "
    "XmlUtil SerializerFactory Packages java ChannelUtil VMRouter UUIDGenerator UUIDUtil AttachmentUtil "
    "contextFactory".split()
)
"""Objects of the old engine that reach out of the message."""
_LOGS: Final = frozenset({"info", "debug", "error", "warn", "trace", "log"})
_SAME: Final = frozenset({".toString", ".toLowerCase", ".toUpperCase", ".trim", ".valueOf", ".text"})


def method(values: Values, name: str, _: Value, call: Call) -> Value | None:
    """What a call gives; None where it is not known. Raises NotConverted where it cannot be converted."""
    if name.lstrip(".") in _REFUSED:
        raise NotConverted(_REFUSED[name.lstrip(".")], call.at)
    if not name.startswith("."):
        return _function(values, name, call)
    assert isinstance(call.function, Member), "a method is a member"
    owner = call.function.object
    if isinstance(owner, Name):
        found = _of_helper(values, owner.name, name[1:], call)
        if found is not None:
            return found
    if _is_java(owner):
        raise NotConverted("Java classes", call.at)
    return _of_text(values, name, owner, call)


def _function(values: Values, name: str, call: Call) -> Value | None:
    arguments = call.arguments
    if call.new and name == "Date":
        raise NotConverted(_CLOCK, call.at)
    if name in ("String", "Number", "parseInt", "parseFloat", "Boolean") and arguments:
        return _converted(values, name, call)
    if name == "Object" and call.new and not arguments:
        return Record({})
    if name == "Array" and call.new:
        if len(arguments) == 1 and not isinstance(arguments[0], Text):
            raise NotConverted("an array of so many empty items", call.at)
        return Items(tuple(values.of(each) for each in arguments))
    if name == "$" and len(arguments) == 1 and isinstance(arguments[0], Text):
        return values.from_map("any", arguments[0].value, call.at)
    if name in MAPS and arguments:
        return _map(values, MAPS[name], "get" if len(arguments) == 1 else "put", call)
    if name in ("createSegment", "createSegmentAfter") and len(arguments) >= 2:
        return _created(values, call, after=name == "createSegmentAfter")
    if name == "validate" and len(arguments) >= 2:
        return validated(values, call)
    if name in ("isNaN", "encodeURIComponent", "escape", "unescape", "decodeURIComponent"):
        raise NotConverted(f"the function {name}", call.at)
    return None


def _created(values: Values, call: Call, *, after: bool) -> Value:
    name, where = values.expr(call.arguments[0]).constant, values.of(call.arguments[1])
    if (
        not isinstance(name, str)
        or not isinstance(where, Pointer)
        or not re.fullmatch("[A-Z][A-Z0-9]{2}", name)
        or (where.spot is not None) != after
    ):
        raise NotConverted("a segment that is added to what is no message", call.at)
    document = values.scope.documents[where.root]
    if document.kind != "HL7V2" or document.unknown:
        raise NotConverted("a segment that is added to what is no HL7 message", call.at)
    if where.spot is not None:
        spot, notes = document.add_behind(name, where.spot)
    else:
        spot, notes = document.add(name, _number_of_new(values, call, Pointer(where.root, Spot(name))))
    values.scope.notes |= set(notes)
    return Pointer(where.root, spot)


def _number_of_new(values: Values, call: Call, pointer: Pointer) -> int:
    """Which one a new segment is: the first, unless a third argument says so; 0: behind all others."""
    if len(call.arguments) == 2:
        return 1
    said = call.arguments[2]
    if isinstance(said, Call) and isinstance(said.function, Member) and not said.arguments:
        key = said.function.key
        if isinstance(key, Text) and key.value == "length" and values.of(said.function.object) == pointer:
            return 0
    index = values.of(said)
    if not isinstance(index, Expr) or not isinstance(index.constant, str) or not index.constant.isdecimal():
        raise NotConverted("a segment that is added by a computed number", call.at)
    return int(index.constant[:6]) + 1


def _converted(values: Values, name: str, call: Call) -> Expr:
    value = values.expr(call.arguments[0])
    if name == "String":
        return ex.as_text(value)
    if name == "Boolean":
        return ex.truth(value)
    if value.type == "number":
        return value
    if name == "Number":
        return as_number(value)
    if name == "parseInt":
        note = "parseInt takes the digits at the start; here the text must be a whole number"
        return ex.call("integer", ex.as_text(value), gives="number").noted(note)
    note = "parseFloat takes the number at the start; here the text must be a number"
    return ex.call("decimal", ex.as_text(value), gives="number").noted(note)


def _of_helper(values: Values, owner: str, name: str, call: Call) -> Value | None:
    if owner in ("logger", "console") and name in _LOGS:
        values.scope.logged = True
        return ex.NOTHING
    if owner in MAPS and name in ("get", "put", "containsKey", "remove"):
        return _map(values, MAPS[owner], name, call)
    if owner == "DateUtil":
        return date(values, name, call)
    if owner == "JSON":
        return _json(values, name, call)
    if owner == "destinationSet":
        return _destinations(values, name, call)
    if owner in _HELPERS:
        raise NotConverted(f"{owner}.{name[:40]}", call.at)
    if owner == "Math" and name == "round" and len(call.arguments) == 1:
        number = values.expr(call.arguments[0])
        if number.type != "number":
            raise NotConverted("Math.round of a text", call.at)
        return ex.call("round", number, ex.number("0"), gives="number")
    if owner == "Math":
        raise NotConverted(f"Math.{name[:40]}", call.at)
    return None


def _json(values: Values, name: str, call: Call) -> Value:
    if name == "stringify" and call.arguments:
        if len(call.arguments) > 1 and values.of(call.arguments[1]) != ex.NOTHING:
            raise NotConverted("JSON that is made by a function of its own", call.at)
        value = values.of(call.arguments[0])
        if isinstance(value, Record):
            values.scope.notes |= set(json_notes(value))
            return JsonText(value)
        raise NotConverted("JSON of something that is no object", call.at)
    if name == "parse" and len(call.arguments) == 1:
        value = values.of(call.arguments[0])
        if isinstance(value, JsonText):
            return value.value
    raise NotConverted("JSON is read in a script", call.at)


def _map(values: Values, kind: str, name: str, call: Call) -> Value:
    scope = values.scope
    key = values.of(call.arguments[0]) if call.arguments else ex.NOTHING
    if not isinstance(key, Expr) or not isinstance(key.constant, str):
        raise NotConverted("a computed name in a map", call.at)
    if name == "get":
        return values.from_map(kind, key.constant, call.at)
    if name == "put" and len(call.arguments) == 2:
        if kind == "response":
            raise NotConverted("the answer to the sender is made by a script", call.at)
        value = values.of(call.arguments[1])
        values.shares(call.arguments[1])
        if isinstance(value, Pointer):
            value = values.read(value, call.at)
        scope.json.pop(key.constant, None)
        if isinstance(value, JsonText):
            scope.json[key.constant] = value.value
        if isinstance(value, Expr):
            if kind.startswith("global"):
                value = value.noted(SHARED)
            scope.puts.append((key.constant, value))
        scope.lost.pop(key.constant, None)
        scope.maps[key.constant] = value
        return ex.NOTHING
    raise NotConverted(f"{name} of a map", call.at)


def _destinations(values: Values, name: str, call: Call) -> Expr:
    scope = values.scope
    targets: list[str] = []
    for argument in call.arguments:
        value = values.of(argument)
        for each in value.items if isinstance(value, Items) else (value,):
            if not isinstance(each, Expr) or not isinstance(each.constant, str):
                raise NotConverted("a computed destination", call.at)
            targets.append(f"#{each.constant}" if each.type == "number" else each.constant)
    behaviors = {"remove": "REMOVE", "removeAll": "REMOVE_ALL", "removeAllExcept": "REMOVE_ALL_EXCEPT"}
    if name not in behaviors:
        raise NotConverted(f"destinationSet.{name[:40]}", call.at)
    scope.destinations.append((behaviors[name], tuple(targets), scope.under))
    return ex.TRUE


def _is_java(owner: Tree) -> bool:
    while isinstance(owner, Member | Call):
        owner = owner.object if isinstance(owner, Member) else owner.function
    return isinstance(owner, Name) and owner.name in ("Packages", "java", "org", "com", "javax")


def _of_text(values: Values, name: str, owner: Tree, call: Call) -> Value | None:  # noqa: PLR0912 - a table
    arguments = call.arguments
    value = values.of(owner)
    if isinstance(value, Pointer):
        if name == ".length" and not arguments:
            if value.spot is not None and not value.spot.component:
                return _counted(values, value, call.at)
            return ex.length(values.read(value, call.at))
        if name in (".child", ".children", ".appendChild", ".prependChild", ".insertChildAfter", ".elements"):
            raise NotConverted(f"{name[1:]} of E4X", call.at)
        value = values.read(value, call.at)
    if isinstance(value, Pattern):
        if name == ".test" and len(arguments) == 1:
            return tested(value, values.text(arguments[0]), call.at)
        return None
    if isinstance(value, Pieces):
        return None
    if isinstance(value, Items):
        if name in (".indexOf", ".includes", ".contains") and len(arguments) == 1 and name != ".indexOf":
            return values.contains(call)
        if name == ".join" and len(arguments) == 1:
            return _joined(values, value, call)
        if name == ".push":
            return _pushed(values, value, owner, call)
        if name == ".indexOf":
            raise NotConverted("indexOf of an array", call.at)
        return None
    if not isinstance(value, Expr):
        return None
    if name == ".toString" and value.type == "list":
        return value
    if name in _SAME and (not arguments or name == ".toString"):
        changed = {".toLowerCase": "lower", ".toUpperCase": "upper", ".trim": "trim"}.get(name)
        text = ex.as_text(value)
        return text if changed is None else ex.call(changed, text)
    if name in (".substring", ".substr", ".slice"):
        return substring(values, name, ex.as_text(value), call)
    if name in (".replace", ".replaceAll") and len(arguments) == 2:
        return replaced(values, name, ex.as_text(value), call)
    if name == ".split" and len(arguments) == 1:
        separator = values.of(arguments[0])
        if isinstance(separator, Expr) and isinstance(separator.constant, str) and separator.constant:
            return Pieces(ex.as_text(value), separator.constant)
        raise NotConverted("a text that is split by a pattern", call.at)
    if name in (".startsWith", ".contains", ".includes") and len(arguments) == 1:
        ours = "starts_with" if name == ".startsWith" else "contains"
        return ex.call(ours, ex.as_text(value), values.text(arguments[0]), gives="bool")
    if name in (".equals", ".equalsIgnoreCase") and len(arguments) == 1:
        other = values.text(arguments[0])
        if name == ".equals":
            return ex.compare("=", value, other)
        return ex.compare("=", ex.call("lower", ex.as_text(value)), _lowered(other))
    if name == ".concat":
        return ex.join([value, *(values.expr(each) for each in arguments)])
    if name == ".isEmpty" and not arguments:
        return ex.absent(value)
    if name == ".charAt" and len(arguments) == 1 and isinstance(arguments[0], Number):
        start = int(arguments[0].text) + 1
        return ex.call("substr", ex.as_text(value), ex.number(str(start)), ex.number("1"))
    if name == ".length" and not arguments:
        return ex.length(value)
    if name == ".toFixed" and value.type == "number" and len(arguments) <= 1:
        digits = values.expr(arguments[0]) if arguments else ex.number("0")
        return ex.call("text", ex.call("round", value, digits, gives="number"))
    if name == ".match":
        return matched(values, ex.as_text(value), call)
    if name == ".search":
        raise NotConverted("a regular expression", call.at)
    return None


def _pushed(values: Values, items: Items, owner: Tree, call: Call) -> Value:
    found: list[Value] = []
    for each in call.arguments:
        value = values.of(each)
        values.shares(each)
        found.append(values.read(value, call.at) if isinstance(value, Pointer) else value)
    if not values.store(owner, Items((*items.items, *found))):
        raise NotConverted("push of an array that is no variable", call.at)
    return ex.NOTHING


def _known(item: Value | Each, at: int) -> Value:
    if isinstance(item, Each):
        raise NotConverted("an array whose length is not known", at)
    return item


def _counted(values: Values, pointer: Pointer, at: int) -> Expr:
    """How many segments or repetitions there are."""
    every = numbered(pointer, -1)
    if (
        every.spot is None
        or pointer.spot is None
        or min(pointer.spot.segment_number, pointer.spot.repetition) < 0
    ):
        raise NotConverted("how many segments or repetitions there are", at)
    first = every.spot if every.spot.field else replace(every.spot, field=1)
    items = values.read(replace(every, spot=replace(first, component=1)), at)
    if items.type != "list":
        raise NotConverted("how many segments or repetitions there are", at)
    return ex.call("count", items, gives="number").noted(
        "those whose first field or component is empty are not counted"
    )


def _lowered(value: Expr) -> Expr:
    return ex.literal(value.constant.lower()) if isinstance(value.constant, str) else ex.call("lower", value)


def _joined(values: Values, items: Items, call: Call) -> Expr:
    separator = values.expr(call.arguments[0])
    texts = [ex.as_text(values.as_expr(_known(each, call.at), call.at)) for each in items.items]
    note = "what is missing leaves no separator behind"
    between = separator if separator.constant != "" else ex.Expr("''", "''", "text")
    return ex.call("join", between, *texts).noted(note)


def validated(values: Values, call: Call) -> Expr:
    """``validate(value, default, replacements)``, as the old engine's steps call it."""
    arguments = call.arguments
    value = ex.as_text(values.expr(arguments[0]))
    default = values.expr(arguments[1])
    found = value if default.constant == "" else ex.first_of(value, default)
    if len(arguments) > 2:
        pairs = values.of(arguments[2])
        if not isinstance(pairs, Items):
            raise NotConverted("replacements that are computed", call.at)
        for pair in pairs.items:
            if not isinstance(pair, Items) or len(pair.items) != 2:
                raise NotConverted("replacements that are no pairs", call.at)
            old, new = (values.as_expr(_known(each, call.at), call.at) for each in pair.items)
            found = replacement(found, old, new, call.at)
    return found


def replacement(text: Expr, old: Expr, new: Expr, at: int) -> Expr:
    """One replacement of a Mapper: a pattern, wherever it is found. Raises NotConverted."""
    if not isinstance(old.constant, str) or not isinstance(new.constant, str):
        raise NotConverted("a replacement that is computed", at)
    whole = re.fullmatch(r"\^([^\\.()\[\]{}*+?|^$]+)\$", old.constant)
    if whole is not None:
        return ex.choose(ex.compare("=", text, ex.literal(whole[1], at)), ex.literal(new.constant, at), text)
    return by_pattern(text, old.constant, new.constant, at, every=True)

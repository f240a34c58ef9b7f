"""What one file says of another: names that must exist, types and fields that must fit.

These checks read the trees, so that a file with a mistake of its own is checked against the others all the
same, and every problem has its place at hand. What is not of the right shape has been told elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass
from typing import Generic, TypeVar

from bridge.canonical.base import fields
from bridge.canonical.newness import tells_newness
from bridge.canonical.records import RECORDS
from bridge.component import WHOLE_MESSAGES, Send
from bridge.config.api import ReadApi
from bridge.config.channel import ReadChannel
from bridge.config.files import ConfigFile
from bridge.config.names import short
from bridge.config.route_calls import calls_of, operations_of, targets_of, text_of
from bridge.config.templates import path_placeholders, templates_of
from bridge.config.type_rules import check_types
from bridge.config.validate import select
from bridge.formats.xml_options import XmlOptions
from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence, did_you_mean
from bridge.mapping.plan import Plan
from bridge.message import ADDS, EXT, OPERATIONS

T = TypeVar("T")
_ENVELOPE = frozenset({"key", ADDS})
"""What a record has beside its fields."""
_IN_WORDS: AbstractMapping[Send, str] = {
    "record": "records",
    "message": "messages that a mapping makes",
    "original": "messages as they came",
}
_SAYS_NOTHING: AbstractMapping[Send, tuple[str, ...]] = {
    "record": (),
    "message": ("record", "operations", "operation"),
    "original": ("mapping", "record", "operations", "operation"),
}
"""Keys of a route that mean nothing for what its API is sent."""


@dataclass(frozen=True, slots=True)
class Entry(Generic[T]):
    """A file, the name that it gives, its tree without what is not built, and what it holds.

    ``value`` is None where it has mistakes.
    """

    file: ConfigFile
    name: Scalar | None
    tree: Mapping | None
    value: T | None


@dataclass(frozen=True, slots=True)
class Site:
    """All files, each read on its own; ``awaited`` are names of what is not in use yet and will be."""

    channels: tuple[Entry[ReadChannel], ...]
    apis: tuple[Entry[ReadApi], ...]
    mappings: tuple[Entry[Plan], ...]
    awaited: frozenset[str] = frozenset()


def cross_check(site: Site) -> list[Problem]:
    """Every problem between files."""
    problems = [
        *names_twice(site.channels, "channel"),
        *names_twice(site.apis, "API"),
        *names_twice(site.mappings, "mapping"),
        *_ports_twice(site),
        *_unused(site),
    ]
    for entry in site.channels:
        if entry.tree is not None:
            problems += _channel(entry.tree, entry.value, site)
    return problems


def by_name(entries: Iterable[Entry[T]]) -> dict[str, T]:
    """What is right, by name; the first where a name stands twice."""
    found: dict[str, T] = {}
    for entry in entries:
        if entry.name is not None and entry.value is not None:
            found.setdefault(entry.name.text, entry.value)
    return found


def _channel(tree: Mapping, read: ReadChannel | None, site: Site) -> Iterator[Problem]:
    if read is not None and read.format.component.takes == "files" != read.source.component.takes:
        text = f"`{read.format.component.name}` comes in files, and `{read.source.component.name}` takes none"
        yield Problem(tree.place, "C142", text, "take it by file_drop, sftp or http_in")
    if read is not None and (legacy := read.file.legacy) is not None:
        files = read.source.component.takes == "files"
        if files != legacy.takes_files:
            came = "files" if files else "messages"
            wanted = "file: {directory: ...}" if files else 'mllp: "tcp:HOST:PORT"'
            node = tree.get("legacy")
            place = tree.place if node is None else node.place
            yield Problem(
                place,
                "C142",
                f"this channel takes {came}, and its old engine none",
                f"expected `legacy: {{{wanted}}}`",
            )
    plans = by_name(site.mappings)
    apis = {entry.name.text: entry.tree for entry in site.apis if entry.name and entry.tree}
    seen: dict[str, Place] = {}
    node = tree.get("routes")
    routes = [each for each in getattr(node, "items", ()) if isinstance(each, Mapping)]
    for route in routes:
        yield from _sent(route, plans, by_name(site.apis))
        name = text_of(route, "route")
        if name is not None and (first := seen.setdefault(name.text, name.place)) is not name.place:
            text = f"the route {short(name.text)} stands twice"
            yield Problem(name.place, "C139", text, f"it first stands in line {first.line}")
        yield from _mapping(read, route, plans, site)
        yield from _api(route, plans, apis, site)
    for _, _, tap in select(tree, ("legacy", "taps", "*")):
        if isinstance(tap, Mapping):
            yield from _tap(read, tap, routes, plans, site)
    yield from check_types(tree, routes, plans)


def _tap(
    read: ReadChannel | None,
    tap: Mapping,
    routes: list[Mapping],
    plans: AbstractMapping[str, Plan],
    site: Site,
) -> Iterator[Problem]:
    """What makes records of the old engine's output must make those of the route."""
    yield from _mapping(read, tap, plans, site)
    named, mapping = text_of(tap, "route"), text_of(tap, "mapping")
    plan = None if mapping is None else plans.get(mapping.text)
    if plan is None or mapping is None or named is None:
        return
    for route in routes:
        name, record = text_of(route, "route"), text_of(route, "record")
        if name is not None and name.text == named.text:
            if record is None:
                text = "the route sends messages, and no record that a mapping could make"
                yield Problem(mapping.place, "C133", text, "leave `mapping` out")
            elif record.text not in plan.records:
                text = f"the mapping {plan.name} makes no record `{short(record.text)}`, as the route sends"
                yield Problem(mapping.place, "C133", text)


def _mapping(
    read: ReadChannel | None, route: Mapping, plans: AbstractMapping[str, Plan], site: Site
) -> Iterator[Problem]:
    mapping, record = text_of(route, "mapping"), text_of(route, "record")
    if mapping is None:
        return
    plan = plans.get(mapping.text)
    if plan is None:
        yield from unknown(mapping, "C130", "mapping", site.mappings)
        return
    if read is not None and (given := read.format.component.name) != plan.format:
        text = f"the mapping reads {plan.format}, the channel's messages are {given}"
        yield Problem(mapping.place, "C142", text)
    elif read is not None and isinstance(read.format.options, XmlOptions):
        for text, hint in read.format.options.unlike(plan.xml):
            yield Problem(mapping.place, "C142", f"the mapping {plan.name}: {text}", hint)
    if record is not None and record.text not in plan.records:
        text = f"the mapping {plan.name} makes no record `{short(record.text)}`"
        yield Problem(record.place, "C133", text, did_you_mean(record.text, plan.records))


def _api(
    route: Mapping,
    plans: AbstractMapping[str, Plan],
    apis: AbstractMapping[str, Mapping],
    site: Site,
) -> Iterator[Problem]:
    to, record = route.get("to"), text_of(route, "record")
    if not isinstance(to, Mapping):
        return
    calls = calls_of(to)
    mapping = text_of(route, "mapping")
    plan = None if mapping is None else plans.get(mapping.text)
    told: set[str] = set()
    for target in targets_of(to):
        api = apis.get(target.text)
        if api is None:
            yield from unknown(target, "C131", "API", site.apis)
        elif target.text not in told and getattr(api.get("send"), "text", "") not in WHOLE_MESSAGES:
            told.add(target.text)
            yield from _operations(target, api, operations_of(route), record, plan)
    if not told or plan is None or record is None or not calls or not calls.keys() <= set(OPERATIONS):
        return
    made = frozenset[str]().union(
        *(
            possible_operations(entry.tree, record.text)
            for entry in site.mappings
            if entry.value is plan and entry.tree
        )
    )
    missing = ", ".join(sorted(made - calls.keys()))
    if missing:
        text = f"the mapping can make {missing} of {record.text}, for which this route names no call"
        hint = f"add {missing} to operations, or accept no message that makes it"
        yield Problem(to.place, "C137", text, hint, "warning")


def _sent(
    route: Mapping, plans: AbstractMapping[str, Plan], read: AbstractMapping[str, ReadApi]
) -> Iterator[Problem]:
    """Where a route and its APIs do not agree on what goes there: a record, a message, or what came."""
    to, mapping = route.get("to"), text_of(route, "mapping")
    if not isinstance(to, Mapping):
        return
    known = {target.text for target in targets_of(to)} & read.keys()
    sent = {name: read[name].file.send for name in known}
    for name, what in sent.items():
        for key in (route.key("mapping"), route.key("record"), to.key("operations"), to.key("operation")):
            if key is not None and key.text in _SAYS_NOTHING[what]:
                text = f"the API {name} is sent {_IN_WORDS[what]}: `{key.text}` says nothing there"
                yield Problem(key.place, "C143", text, "leave it out")
        if what == "message":
            plan = None if mapping is None else plans.get(mapping.text)
            if route.get("mapping") is None:
                text = f"the API {name} is sent {_IN_WORDS[what]}: this route needs `mapping`"
                yield Problem(route.place, "C143", text, "only an API with `send: original` needs none")
            elif mapping is not None and plan is not None and not plan.makes_message:
                text = f"the API {name} is sent messages, and the mapping {plan.name} makes none"
                hint = "add an entry `message: hl7v2` to its `emit`, or send records"
                yield Problem(mapping.place, "C146", text, hint)
        elif what == "record" and route.get("mapping") is None and route.get("record") is None:
            text = f"the API {name} is sent records: this route needs `mapping` and `record`"
            yield Problem(route.place, "C143", text, "only an API with `send: original` needs none")
    of_records = "record" in sent.values() or (not sent and bool(calls_of(to)))
    if route.get("mapping") is not None and text_of(route, "record") is None and of_records:
        hint = "which of the mapping's records this route carries; only `send: message` needs none"
        yield Problem(route.place, "C121", "the key `record` is missing", hint)


def _operations(
    target: Scalar,
    api: Mapping,
    operations: Iterable[Scalar],
    record: Scalar | None,
    plan: Plan | None,
) -> Iterator[Problem]:
    declared = api.get("operations")
    names = [key.text for key, _ in getattr(declared, "entries", ())]
    for operation in operations:
        if operation.text not in names:
            text = f"the API {target.text} has no operation `{short(operation.text)}`"
            yield Problem(operation.place, "C132", text, did_you_mean(operation.text, names))
        elif record is not None:
            yield from _fields(record.text, api, operation.text, plan)


def _fields(record: str, api: Mapping, operation: str, plan: Plan | None) -> Iterator[Problem]:
    """Fields that an operation sends and the record of a route to it does not have.

    Those of the site's own are what the route's mapping sets: where that has mistakes, nobody knows them.
    """
    model = RECORDS.get(record)
    if model is None:
        return
    own = frozenset[str]() if plan is None else plan.records.get(record, frozenset())
    known = _ENVELOPE | fields(model).keys() | {name for name in own if name.startswith(EXT)}
    asked: list[tuple[str, Place]] = []
    for _, _, node in select(api, ("operations", operation, "send_only")):
        if isinstance(node, Sequence):
            asked += [(item.text, item.place) for item in node.items if isinstance(item, Scalar)]
    for _, _, node in select(api, ("operations", operation)):
        for template in templates_of(node) if isinstance(node, Mapping) else ():
            asked += [(field, template.at(offset)) for field, offset in path_placeholders(template.text)]
    for _, _, node in select(api, ("operations", operation, "stale", "newer_wins")):
        for item in node.items if isinstance(node, Sequence) else (node,):
            yield from _tells_newness(record, item)
    if plan is not None:
        yield from _added_to(record, api, operation, plan, {field for field, _ in asked})
    for field, place in asked:
        if field not in known and not (plan is None and field.startswith(EXT)):
            text = f"the record `{record}`, which a route sends here, has no field `{short(field)}`"
            yield Problem(place, "C135", text, did_you_mean(field, known))


def _added_to(record: str, api: Mapping, operation: str, plan: Plan, listed: set[str]) -> Iterator[Problem]:
    """Lists that a route's mapping only adds to, where the body says nothing of it: they would replace."""
    added = ", ".join(sorted(plan.adds.get(record, frozenset()) & listed))
    for _, _, node in select(api, ("operations", operation)):
        if added and ADDS not in listed and isinstance(node, Mapping) and node.get("body") is None:
            text = f"the mapping {plan.name} adds to {added}, and {operation} sends that as if it were all"
            hint = f"add {ADDS} to send_only: it names such lists; or make the body with a mapping"
            yield Problem(node.place, "C210", text, hint, "warning")


def _tells_newness(record: str, item: Node) -> Iterator[Problem]:
    """A field by which no two states of a record can be compared."""
    known = {name for name, field in fields(RECORDS[record]).items() if tells_newness(field)}
    if isinstance(item, Scalar) and item.text not in known:
        text = f"of the record `{record}` no state is known to be newer by `{short(item.text)}`"
        yield Problem(item.place, "C148", text, _listed_names(known))


def _listed_names(known: set[str]) -> str:
    return f"a time or a status: {', '.join(sorted(known))}" if known else "it has no such field"


def possible_operations(mapping: Mapping, record: str) -> frozenset[str]:
    """The operations that a mapping file can give to its record, as far as its tables and constants tell."""
    words: set[str] = set()
    for entry in getattr(mapping.get("emit"), "items", ()):
        made = text_of(entry, "record")
        if made is None or made.text != record:
            continue
        operation = entry.get("operation")
        if operation is None:
            words.add("upsert")
        elif isinstance(operation, Scalar):
            words.add(operation.text)
        else:
            words |= {found.text for key in ("const", "default") if (found := text_of(operation, key))}
            for _, _, table in select(operation, ("translate",)):
                if isinstance(table, Scalar):
                    found_table = select(mapping, ("tables", table.text, "*"))
                else:
                    found_table = select(table, ("*",))
                words |= {value.text for _, _, value in found_table if isinstance(value, Scalar)}
    return frozenset(words & set(OPERATIONS))


def unknown(name: Scalar, code: str, what: str, entries: tuple[Entry[T], ...]) -> Iterator[Problem]:
    """A name that no file of its kind gives."""
    names = {entry.name.text for entry in entries if entry.name is not None}
    # A file whose name could not be read may be the one that is meant; its own mistake has been told.
    if name.text not in names and all(entry.name is not None for entry in entries):
        folder = {"mapping": "mappings/", "API": "channels/apis/"}[what]
        hint = did_you_mean(name.text, names) or f"write it into {folder}"
        yield Problem(name.place, code, f"there is no {what} `{short(name.text)}`", hint)


def names_twice(entries: tuple[Entry[T], ...], what: str) -> Iterator[Problem]:
    """Each file that gives a name which another has given before."""
    seen: dict[str, Place] = {}
    for entry in entries:
        if entry.name is None:
            continue
        first = seen.setdefault(entry.name.text, entry.name.place)
        if first is not entry.name.place:
            text = f"the {what} {short(entry.name.text)} stands twice"
            yield Problem(entry.name.place, "C139", text, f"it first stands in {first.file}")


def _ports_twice(site: Site) -> Iterator[Problem]:
    seen: list[tuple[int, str, Place]] = []
    for entry in site.channels:
        if entry.tree is None:
            continue
        for _, _, node in select(entry.tree, ("source", "*", "listen")):
            found = re.fullmatch(r"tcp6?:(?:port=)?(\d{1,5})(?::.*)?", getattr(node, "text", ""))
            if found is None or int(found[1]) == 0:
                continue
            interface = re.search(r"interface=([^:\\]+(?:\\:[^:\\]*)*)", getattr(node, "text", ""))
            port, address = int(found[1]), "" if interface is None else interface[1]
            for other_port, other, first in seen:
                if port == other_port and (address == other or _is_any(address) or _is_any(other)):
                    text = f"another channel listens on port {port}"
                    yield Problem(node.place, "C138", text, f"it stands in {first.file}:{first.line}")
                    break
            seen.append((port, address, node.place))


def _is_any(address: str) -> bool:
    return address in ("", "0.0.0.0", "\\:\\:")  # noqa: S104 - compared, not listened on


def _unused(site: Site) -> Iterator[Problem]:
    trees = [entry.tree for entry in site.channels if entry.tree is not None]
    if len(trees) < len(site.channels) or not trees:
        return
    bodies = [entry.tree for entry in site.apis if entry.tree is not None]
    trees = [*trees, *bodies]
    whole = len(bodies) == len(site.apis)
    for entries, paths, what in (
        (
            site.mappings,
            [("routes", "*", "mapping"), ("operations", "*", "body"), ("legacy", "taps", "*", "mapping")],
            "mapping",
        ),
        (site.apis, [("routes", "*", "to", "api"), ("routes", "*", "to", "from", "*")], "API"),
    ):
        if what == "mapping" and not whole:
            continue  # an API that cannot be read may make its bodies with it
        used = {
            getattr(node, "text", "") for tree in trees for path in paths for _, _, node in select(tree, path)
        } | site.awaited
        for entry in entries:
            if entry.name is not None and entry.name.text not in used:
                text = f"no route uses the {what} {short(entry.name.text)}"
                yield Problem(entry.name.place, "C141", text, severity="warning")

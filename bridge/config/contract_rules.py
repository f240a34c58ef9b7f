"""Whether the operations of an API's file can do what its contract asks of them: what is known from files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any, Final

from bridge.canonical.records import RECORDS
from bridge.canonical.schemas import record_schema
from bridge.component import ENVELOPE
from bridge.config.api import ReadApi
from bridge.config.bodies import records_sent
from bridge.config.crosscheck import Site, by_name
from bridge.contracts.contract import OURS, Checked, Contract
from bridge.contracts.openapi import Operation
from bridge.contracts.options import ContractOptions
from bridge.located import Mapping as Tree
from bridge.located import Place, Problem, Scalar, did_you_mean
from bridge.message import EXT

_OAUTH: Final = frozenset({"oauth2", "openIdConnect"})


def fits(
    site: Site, api: str, tree: Tree, read: ReadApi, contract: Contract, options: ContractOptions
) -> Iterator[Problem]:
    """Every operation of an API that cannot do what its contract asks, and what that says of its end."""
    operations, records = tree.get("operations"), records_sent(site)
    for name, checked in contract.operations.items():
        node = operations.get(name) if isinstance(operations, Tree) else None
        key = operations.key(name) if isinstance(operations, Tree) else None
        if not isinstance(node, Tree) or key is None:
            continue
        given = read.operations[name]
        yield from _body(site, key, node, given, checked, records.get((api, name), set()))
        if (described := checked.described) is None:
            continue
        yield from _parameters(key, node, given, described)
        yield from _end(key, described)
        yield from _security(read, key, contract, described)
    for name in sorted(set(options.json_schema) - set(read.operations) - {""}):
        place = tree.get("contract") or tree
        text = f"`{name[:60]}` is no operation of this API"
        yield Problem(place.place, "C201", text, did_you_mean(name, read.operations))


def _body(
    site: Site, key: Scalar, node: Tree, given: Any, checked: Checked, records: set[str]
) -> Iterator[Problem]:
    """Fields that the contract needs and are not sent, or that are sent and it does not take."""
    schema = checked.body_schema
    if schema is None:
        described = checked.described
        if described is not None and described.body is None and given.method != "DELETE" and given.send_only:
            text = f"the contract has no body for {described.name}, and one is sent"
            yield Problem(key.place, "C202", text, "see whether it is the right operation", "warning")
        return
    names, place = _names(site, node, given)
    if names is None:
        return
    top = _top(schema)
    for name in sorted(top.required - names):
        near = did_you_mean(name, names - top.required)
        text = f"the contract needs `{name}`, which this operation does not send"
        yield Problem(place, "C202", text, near or f"add {name} to what is sent, or make a body that has it")
    for name in sorted(names - top.properties.keys()) if top.closed else ():
        text = f"the contract takes no `{name}`"
        yield Problem(place, "C202", text, did_you_mean(name, top.properties) or f"do not send {name}")
    if getattr(given, "body", None) is None:
        for record in sorted(records):
            yield from _types(place, record, names, top)


class _Top:
    """What a schema says of the names of its object, as far as it says it plainly."""

    def __init__(self) -> None:
        self.properties: dict[str, Any] = {}
        self.required: set[str] = set()
        self.closed = False
        self.definitions: Mapping[str, Any] = {}

    def add(self, schema: Any, depth: int = 0) -> None:
        if not isinstance(schema, Mapping) or depth > 20:
            return
        self.definitions = schema.get("$defs", self.definitions)
        reference = str(schema.get("$ref", "")).removeprefix("#/$defs/")
        if reference in self.definitions:
            self.add(self.definitions[reference], depth + 1)
        for each in schema.get("allOf", ()):
            self.add(each, depth + 1)
        self.properties |= schema.get("properties", {})
        self.required |= set(schema.get("required", ()))
        self.closed |= schema.get("additionalProperties") is False

    def resolved(self, name: str) -> Mapping[str, Any]:
        found = self.properties.get(name, {})
        reference = str(found.get("$ref", "")).removeprefix("#/$defs/") if isinstance(found, Mapping) else ""
        return self.definitions.get(reference, found) if isinstance(found, Mapping) else {}


def _top(schema: Mapping[str, Any]) -> _Top:
    top = _Top()
    top.add(schema)
    return top


def _names(site: Site, node: Tree, given: Any) -> tuple[set[str] | None, Place]:
    """The names at the top of what is sent, and where they are listed; None where that cannot be told."""
    body = node.get("body")
    if isinstance(body, Scalar):
        plan = by_name(site.mappings).get(body.text)
        if body.text == ENVELOPE or plan is None:
            return None, body.place
        made = [getattr(block, "names", ()) for block in plan.program.blocks]
        return {name for names in made for name in names}, body.place
    listed = node.get("send_only")
    names = {"ext" if name.startswith(EXT) else name for name in given.send_only}
    return names, node.place if listed is None else listed.place


_WORDS: Final = {"string": "text", "array": "a list", "boolean": "true or false"}


def _types(place: Place, record: str, names: set[str], top: _Top) -> Iterator[Problem]:
    """Fields of a record that can never be of the type that the contract wants."""
    ours = _properties(record)
    for name in sorted(names & top.properties.keys()):
        wanted, made = top.resolved(name), ours.get(name)
        if made is None:
            continue
        types = _types_of(wanted)
        if types and _types_of(made).isdisjoint(types):
            is_ours = " or ".join(_WORDS.get(each, each) for each in sorted(_types_of(made) - {"null"}))
            is_theirs = " or ".join(_WORDS.get(each, each) for each in sorted(types - {"null"}))
            text = f"`{name}` of {record} is {is_ours}, and the contract wants {is_theirs}"
            yield Problem(place, "C204", text, "make a body (`body:`) that turns it into that")
            continue
        strange = sorted(_values_of(made) - _values_of(wanted)) if _values_of(wanted) else []
        if strange:
            text = f"`{name}` of {record} may be {', '.join(strange[:5])}, which the contract does not list"
            yield Problem(place, "C204", text, "translate it, or ask the API's owner", "warning")


@lru_cache(maxsize=64)
def _properties(record: str) -> Mapping[str, Any]:
    if record not in RECORDS:
        return {}
    schema = record_schema(record)
    found: Mapping[str, Any] = schema["$defs"][RECORDS[record].__name__]["properties"]
    return {"key": {"type": "string"}, **found}


def _types_of(schema: Any) -> frozenset[str]:
    """The JSON types that a schema lets a value have, as far as it says so plainly; empty for any."""
    if not isinstance(schema, Mapping):
        return frozenset()
    types = schema.get("type")
    if isinstance(types, str):
        return frozenset({types})
    if isinstance(types, list):
        return frozenset(each for each in types if isinstance(each, str))
    if "$ref" in schema:
        return frozenset({"object"}) if "properties" in schema else frozenset()
    several = [_types_of(each) for word in ("anyOf", "oneOf") for each in schema.get(word, ())]
    return frozenset[str]().union(*several) if several and all(several) else frozenset()


def _values_of(schema: Any) -> set[str]:
    if not isinstance(schema, Mapping):
        return set()
    found = {each for each in schema.get("enum", ()) if isinstance(each, str)}
    for each in schema.get("anyOf", ()):
        found |= _values_of(each)
    return found


def _parameters(key: Scalar, node: Tree, given: Any, described: Operation) -> Iterator[Problem]:
    """Parameters and headers that the contract needs and are not given, and such that it does not know."""
    for where, option in (("query", "params"), ("header", "headers")):
        mine = {name.lower() if where == "header" else name for name in getattr(given, option, {})}
        theirs = {
            each.name.lower() if where == "header" else each.name: each
            for each in described.parameters
            if each.where == where
        }
        listed = node.get(option)
        place = key.place if listed is None else listed.place
        for name, each in theirs.items():
            if each.required and name not in mine and not (where == "header" and name in OURS):
                what = "parameter" if where == "query" else "header"
                text = f"the contract needs the {what} `{each.name}` of {described.name}"
                yield Problem(place, "C203", text, f"{option}: {{{each.name}: ...}}")
        for name in sorted(mine - theirs.keys()) if where == "query" else ():
            text = f"the contract of {described.name} has no parameter `{name}`"
            yield Problem(place, "C203", text, did_you_mean(name, theirs), "warning")


def _end(key: Scalar, described: Operation) -> Iterator[Problem]:
    if described.deprecated:
        until = f", and ends on {described.sunset}" if described.sunset else ""
        text = f"the contract says that {described.name} is deprecated{until}"
        yield Problem(key.place, "C206", text, "ask the API's owner what comes after it", "warning")


def _length(names: list[str]) -> int:
    return len(names)


def _security(read: ReadApi, key: Scalar, contract: Contract, described: Operation) -> Iterator[Problem]:
    """An operation that wants a credential or scopes which the API's file does not give it."""
    wanted = described.security
    if not wanted or any(not each for each in wanted) or contract.document is None:
        return
    credential = read.credential
    tls = getattr(read.destination.options, "tls", None)
    if credential is None and getattr(tls, "certificate", None) is None:
        text = f"the contract wants to know who calls {described.name}, and `auth` is none"
        yield Problem(key.place, "C205", text, "say who the bridge is: auth: ...", "warning")
        return
    scopes = set(getattr(getattr(credential, "options", None), "scopes", ()))
    schemes = contract.document.schemes
    by_token = [
        {scope for name, each in one.items() if schemes[name].text("type") in _OAUTH for scope in each}
        for one in wanted
        if all(name in schemes for name in one)
    ]
    if scopes and by_token and all(each - scopes for each in by_token):
        lacking = min([sorted(each - scopes) for each in by_token], key=_length)
        text = f"the contract wants the scopes {', '.join(lacking)} for {described.name}"
        yield Problem(key.place, "C205", text, "add them to `scopes` of `auth`, once that is agreed")

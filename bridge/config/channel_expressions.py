"""The expressions of a channel's file: what order is kept for, which route is taken, where it goes, and how a
message is found. Each is read for the format that the channel has; of rows, ``names`` are their columns.
"""

from __future__ import annotations

from typing import Final

from bridge.config.not_built import Pruned
from bridge.config.topology import KeyOf, When
from bridge.config.validate import select
from bridge.dictionary.hl7v2 import versions_of
from bridge.dictionary.hl7v2_places import beyond
from bridge.located import Mapping, Node, Problem, Scalar
from bridge.mapping.check import Declared, Names
from bridge.mapping.expression import compile_condition
from bridge.mapping.keys import compile_key, compile_keys

HL7: Final = Declared(frozenset(), versions_of, beyond)
"""What is known of fields: a channel declares no version."""


def order_by_nodes(tree: Mapping) -> list[tuple[str, Node]]:
    """The expressions of ``order_by`` with the message type of each, or ``default``."""
    match tree.get("order_by"):
        case Mapping(entries=entries):
            return [(key.text, value) for key, value in entries]
        case None:
            return []
        case node:
            return [("default", node)]


def read_order_by(
    pruned: Pruned, form: str, names: Names
) -> tuple[dict[str, tuple[KeyOf, ...]], list[Problem]]:
    """What order is kept for, by message type or ``default``; or problems."""
    order_by: dict[str, tuple[KeyOf, ...]] = {}
    problems: list[Problem] = []
    halved = {place for place, _ in pruned.gone}
    for message_type, node in order_by_nodes(pruned.tree):
        if node.place in halved:
            continue
        keys, found = compile_keys(node, form, names, HL7)
        problems += found
        if keys:
            order_by[message_type] = keys
    return order_by, problems


def read_selects(tree: Mapping, form: str, names: Names) -> tuple[tuple[KeyOf | None, ...], list[Problem]]:
    """What says which API, for each route; or problems."""
    selects: list[KeyOf | None] = []
    problems: list[Problem] = []
    for _, _, to in select(tree, ("routes", "*", "to")):
        node = to.get("select") if isinstance(to, Mapping) else None
        value_of: KeyOf | None = None
        if isinstance(node, Scalar) and node.text:
            value_of, found = compile_key(node, form, names, HL7)
            problems += found
        selects.append(value_of)
    return tuple(selects), problems


def read_search(tree: Mapping, form: str, names: Names) -> tuple[dict[str, KeyOf], list[Problem]]:
    """Values by which messages are found, by their names; or problems."""
    search: dict[str, KeyOf] = {}
    problems: list[Problem] = []
    for _, name, node in select(tree, ("search", "*")):
        if isinstance(node, Scalar) and node.text:
            value_of, found = compile_key(node, form, names, HL7)
            problems += found
            if value_of is not None:
                search[name.text] = value_of
    return search, problems


def read_days(
    tree: Mapping, form: str, names: Names
) -> tuple[tuple[KeyOf | None, KeyOf | None], list[Problem]]:
    """What gives the business date of a file and the day of a record; or problems."""
    found: list[KeyOf | None] = []
    problems: list[Problem] = []
    for path in (("business_date", "of"), ("late", "by")):
        value_of: KeyOf | None = None
        for _, _, node in select(tree, ("batches", *path)):
            if isinstance(node, Scalar) and node.text:
                value_of, more = compile_key(node, form, names, HL7)
                problems += more
        found.append(value_of)
    return (found[0], found[1]), problems


def read_whens(tree: Mapping, form: str, names: Names) -> tuple[tuple[When | None, ...], list[Problem]]:
    """The condition of each route; or problems."""
    whens: list[When | None] = []
    problems: list[Problem] = []
    for route in getattr(tree.get("routes"), "items", ()):
        node = route.get("when") if isinstance(route, Mapping) else None
        when: When | None = None
        if isinstance(node, Scalar):
            when, found = compile_condition(node, form, names, HL7)
            problems += found
        whens.append(when)
    return tuple(whens), problems

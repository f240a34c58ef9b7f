"""How the routes of a site use each API of the catalogue, and what is wrong about it."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.config.catalogue_rules import Call, catalogue_rules
from bridge.config.crosscheck import Site, by_name
from bridge.config.route_calls import operations_of, targets_of
from bridge.located import Mapping, Place, Problem, Scalar


def check_catalogue(site: Site, *, production: bool) -> Iterator[Problem]:
    """Every problem of the catalogue's rules, for APIs whose own files are right."""
    plans = by_name(site.mappings)
    calls: dict[str, dict[Call, Place]] = {}
    routes: dict[str, list[Place]] = {}
    for channel in site.channels:
        node = None if channel.tree is None else channel.tree.get("routes")
        for route in getattr(node, "items", ()):
            to = route.get("to") if isinstance(route, Mapping) else None
            if not isinstance(to, Mapping):
                continue
            record, mapping = _text(route, "record"), _text(route, "mapping")
            for target in targets_of(to):
                routes.setdefault(target.text, []).append(target.place)
                for operation in operations_of(route):
                    calls.setdefault(target.text, {}).setdefault(
                        (record, operation.text, mapping), operation.place
                    )
    for entry in site.apis:
        if entry.tree is None or entry.name is None or entry.value is None:
            continue
        yield from catalogue_rules(
            entry.tree,
            entry.name,
            entry.value.policies,
            calls.get(entry.name.text, {}),
            routes.get(entry.name.text, []),
            plans,
            production=production,
        )


def _text(node: Mapping, key: str) -> str:
    value = node.get(key)
    return value.text if isinstance(value, Scalar) else ""

"""What each file of a site is about: the domains of the APIs that it reaches."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from types import MappingProxyType
from typing import Final

from bridge.approvals.bundle import Bundle
from bridge.approvals.people import FINANCIAL, RESTRICTED
from bridge.config.environments import FOLDER
from bridge.config.topology import Api, Channel, Route, Topology
from bridge.mapping.companions import named_in

OTHER: Final = "other"
"""What a file is about that reaches no API, or one whose file names no domain."""
CONTRACTS: Final = "channels/contracts/"
_MARKER: Final = "carries"


def bundle_of(topology: Topology, base: str | None = None) -> Bundle:
    """The files that a topology was read from, as a bundle that was made from ``base``."""
    return Bundle(
        "files",
        topology.environment or "",
        base,
        topology.files,
        MappingProxyType(areas_of(topology)),
    )


def areas_of(topology: Topology) -> dict[str, tuple[str, ...]]:
    """The areas of each file, by its path; never none.

    An environment's file is about all that is, since any value can lead any API elsewhere, and so is a
    contract, which several APIs may have.
    """
    found: dict[str, set[str]] = {path: set() for path in topology.files}
    for (kind, name), areas in _of_things(topology):
        if (path := topology.paths.get((kind, name))) is not None:
            found[path].update(areas)
    for file in topology.mapping_files:
        for companion in named_in(file.content):
            if (path := f"mappings/{companion}") in found:
                found[path].update(found.get(file.name, ()))
    everything = {area for areas in found.values() for area in areas}
    for path, areas in found.items():
        if path.startswith((FOLDER, CONTRACTS)):
            areas.update(everything)
    return {path: tuple(sorted(areas or {OTHER})) for path, areas in found.items()}


def _of_things(topology: Topology) -> Iterator[tuple[tuple[str, str], set[str]]]:
    apis = {name: set(_of_api(api)) for name, api in topology.apis.items()}
    for name, api in topology.apis.items():
        yield ("api", name), apis[name]
        for plan in api.bodies.values():
            if plan is not None:
                yield ("mapping", plan.name), apis[name]
    for name, channel in topology.channels.items():
        yield ("channel", name), _reached(channel, channel.routes, apis)
        for route in channel.routes:
            if route.plan is not None:
                yield ("mapping", route.plan.name), _reached(channel, (route,), apis)


def _reached(channel: Channel, routes: Iterable[Route], apis: dict[str, set[str]]) -> set[str]:
    found = {area for route in routes for api in route.apis for area in apis.get(api, ())}
    return found | ({FINANCIAL} if channel.parity.financial else set())


def _of_api(api: Api) -> Iterator[str]:
    yield api.about.domain or OTHER
    carries = next((each.options for each in api.policies if each.component.marker == _MARKER), None)
    if getattr(carries, "financial", False):
        yield FINANCIAL
    if getattr(carries, "confidentiality", "N") != "N" or getattr(carries, "special", False):
        yield RESTRICTED

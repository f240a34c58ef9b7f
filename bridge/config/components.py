"""Which component a file names, and its options."""

from __future__ import annotations

from pathlib import Path

from bridge.component import Catalog, Component, Kind
from bridge.config.not_built import COMPONENTS_NOT_BUILT, not_built
from bridge.config.topology import Configured
from bridge.config.validate import Gone, validate
from bridge.located import Mapping, Node, Place, Problem, Scalar, did_you_mean

_WORDS: dict[Kind, str] = {
    "transport": "transport",
    "format": "format",
    "destination": "destination",
    "credential": "credential",
    "policy": "policy",
}


def choose(
    kind: Kind, node: Node, catalog: Catalog, gone: Gone = frozenset(), folder: Path | None = None
) -> tuple[Configured | None, list[Problem]]:
    """The component that ``NAME`` or ``{NAME: {options}}`` names, with its options."""
    if isinstance(node, Scalar):
        return _named(kind, node, Mapping((), node.place), catalog, gone, folder)
    if not isinstance(node, Mapping) or len(node.entries) != 1:
        if isinstance(node, Mapping) and any(place == node.place for place, _ in gone):
            return None, []
        names = " or ".join(f"`{name}: ...`" for name in catalog.names(kind))
        return None, [Problem(node.place, "C122", f"expected one {_WORDS[kind]}: {names}")]
    (key, value) = node.entries[0]
    if isinstance(value, Scalar) and value.text == "":
        value = Mapping((), key.place)
    return _named(kind, key, value, catalog, gone, folder)


def _named(
    kind: Kind, name: Scalar, options: Node, catalog: Catalog, gone: Gone, folder: Path | None
) -> tuple[Configured | None, list[Problem]]:
    component = catalog.find(kind, name.text)
    if component is not None:
        return configure(component, options, gone, folder)
    if (text := COMPONENTS_NOT_BUILT.get(kind, {}).get(name.text)) is not None:
        return None, [not_built(name.place, name.text, text)]
    hint = did_you_mean(name.text, [*catalog.names(kind), *(("none",) if kind == "credential" else ())])
    return None, [Problem(name.place, "C123", f"there is no {_WORDS[kind]} of this name", hint)]


def configure(
    component: Component, options: Node, gone: Gone = frozenset(), folder: Path | None = None
) -> tuple[Configured | None, list[Problem]]:
    """A component with its options, which must all be right."""
    value, problems = validate(component.options, options, gone=gone, folder=folder)
    return (None if value is None else Configured(component, value)), problems


def by_marker(tree: Mapping, catalog: Catalog) -> tuple[Component | None, list[Problem]]:
    """The destination whose marker stands among an API file's keys."""
    destinations = [component for component in catalog.components if component.kind == "destination"]
    found = [component for component in destinations if tree.get(component.marker) is not None]
    if len(found) == 1:
        return found[0], []
    markers = " or ".join(f"`{component.marker}`" for component in destinations)
    place: Place = tree.place
    if not found:
        return None, [Problem(place, "C121", f"the key {markers} is missing", "where the API is")]
    second = tree.key(found[1].marker)
    return None, [Problem(second.place if second else place, "C122", f"expected only one of {markers}")]

"""Calls that an API tells about later, and what it calls back to."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.config.crosscheck import Site, by_name, unknown
from bridge.located import Mapping, Problem, Scalar


def check_callbacks(site: Site) -> Iterator[Problem]:
    """An operation of which nobody could hear what became of its calls, and a target that nobody tells."""
    told_of: set[str] = set()
    for entry in site.apis:
        of = None if entry.tree is None else entry.tree.get("confirms")
        if isinstance(of, Scalar) and of.text:
            told_of.add(of.text)
            yield from unknown(of, "C131", "API", site.apis)
    waits = set()
    for name, api in by_name(site.apis).items():
        for operation, options in api.operations.items():
            confirm = getattr(options, "confirm", None)
            if confirm is None or confirm.callback is None:
                continue
            waits.add(name)
            if name not in told_of and (place := _place(site, name, operation)) is not None:
                text = f"`{operation[:40]}` is to be told about by its API, and nothing here takes that"
                hint = f"an API file with `confirms: {name}`, and a channel that is posted to"
                yield Problem(place.place, "C209", text, hint)
    for entry in site.apis:
        of = None if entry.tree is None else entry.tree.get("confirms")
        if isinstance(of, Scalar) and of.text in by_name(site.apis) and of.text not in waits:
            text = f"no operation of {of.text[:60]} is to be told about"
            yield Problem(of.place, "C209", text, "confirm: {callback: /id} at the operation", "warning")


def _place(site: Site, api: str, operation: str) -> Scalar | None:
    for entry in site.apis:
        if entry.name is not None and entry.name.text == api and entry.tree is not None:
            node = entry.tree.get("operations")
            return node.key(operation) if isinstance(node, Mapping) else None
    return None

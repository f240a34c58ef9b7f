"""Flows: routes that go after others, and what undoes them."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.component import WHOLE_MESSAGES
from bridge.config.crosscheck import Site
from bridge.config.route_calls import targets_of
from bridge.delivery.flow import BY_HAND
from bridge.located import Mapping, Problem, Scalar, Sequence, did_you_mean


def check_flows(site: Site) -> Iterator[Problem]:
    """Every problem of a channel's flows. A route that is not there is told with the nearest that is."""
    sends = {
        entry.name.text: getattr(entry.tree.get("send"), "text", "record")
        for entry in site.apis
        if entry.name is not None and entry.tree is not None
    }
    for channel in site.channels:
        node = None if channel.tree is None else channel.tree.get("routes")
        routes = [each for each in getattr(node, "items", ()) if isinstance(each, Mapping)]
        followed = {name.text for route in routes for name in _after(route)}
        above: list[str] = []
        for route in routes:
            yield from _order(route, above)
            yield from _undo(route, followed, sends)
            if (name := route.get("route")) is not None:
                above.append(getattr(name, "text", ""))
            if (given := route.key("if_fails")) is not None and not list(_after(route)):
                text = "`if_fails` says what becomes of the steps before this one, and there are none"
                yield Problem(given.place, "C196", text, "after: [...], or leave it out")


def _after(route: Mapping) -> Iterator[Scalar]:
    node = route.get("after")
    for item in node.items if isinstance(node, Sequence) else ():
        if isinstance(item, Scalar):
            yield item


def _order(route: Mapping, above: list[str]) -> Iterator[Problem]:
    for name in _after(route):
        if name.text not in above:
            text = f"no route `{name.text[:60]}` stands above this one"
            hint = did_you_mean(name.text, above) or "routes go in the order in which they stand"
            yield Problem(name.place, "C195", text, hint)


def _undo(route: Mapping, followed: set[str], sends: dict[str, str]) -> Iterator[Problem]:
    undo, to = route.get("undo"), route.get("to")
    if not isinstance(undo, Scalar):
        return
    if getattr(route.get("route"), "text", "") not in followed:
        text = "no route goes after this one, so it would never be undone"
        yield Problem(undo.place, "C196", text, "write it at a step that others go `after`, or leave it out")
    whole = isinstance(to, Mapping) and any(
        sends.get(target.text) in WHOLE_MESSAGES for target in targets_of(to)
    )
    if whole and undo.text != BY_HAND:
        text = "an API that is sent whole messages has no operation that undoes one"
        yield Problem(undo.place, "C196", text, f"undo: {BY_HAND}")

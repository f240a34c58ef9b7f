"""Files that their receivers acknowledge, and what takes such acknowledgements."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from bridge.config.api import ReadApi
from bridge.config.channel import ReadChannel
from bridge.config.crosscheck import Entry, Site, by_name, unknown
from bridge.config.route_calls import targets_of
from bridge.located import Mapping, Place, Problem, Scalar, Sequence


def check_acknowledged(site: Site) -> Iterator[Problem]:
    """Files of which nobody could hear what became, and a target for files that nobody acknowledges."""
    apis, told_of = by_name(site.apis), dict[str, str]()
    for entry in site.apis:
        of = None if entry.tree is None else entry.tree.get("acknowledges")
        if isinstance(of, Scalar) and of.text and entry.name is not None:
            told_of[of.text] = entry.name.text
            yield from unknown(of, "C131", "API", site.apis)
            if of.text in apis and _acknowledged(apis[of.text]) is None:
                text = f"files of {of.text[:60]} are not acknowledged"
                yield Problem(of.place, "C211", text, "acknowledged: {within: 24h} in `collect`", "warning")
    fed = {target.text for channel in site.channels for target in _targets(channel)}
    ta1 = {target.text for channel in site.channels if _takes_ta1(channel) for target in _targets(channel)}
    for name, api in apis.items():
        if (collect := _acknowledged(api)) is None or (place := _collect_place(site, name)) is None:
            continue
        told = told_of.get(name)
        if told is None or told not in fed:
            text = f"files of {name[:60]} are to be acknowledged, and nothing here takes that"
            hint = f"an API file with `acknowledges: {name}`, and a channel whose route goes there"
            yield Problem(place, "C211", text, hint)
        elif _asks_for_ta1(collect) and told not in ta1:
            text = "a TA1 is asked for (`acknowledge: true`, or `by: envelope`), and no channel takes it"
            hint = "format: {x12: {ta1: true}} of the channel that acknowledgements come by"
            yield Problem(place, "C211", text, hint, "warning")


def _acknowledged(api: ReadApi) -> Any:
    """How files of an API are collected, where they are acknowledged."""
    options = api.destination.options
    place = getattr(options, "file", None) or getattr(options, "sftp", None)
    collect = getattr(place, "collect", None)
    return collect if getattr(collect, "acknowledged", None) is not None else None


def _asks_for_ta1(collect: Any) -> bool:
    form = collect.form.x12
    return form is not None and (form.acknowledge or collect.acknowledged.by == "envelope")


def _takes_ta1(channel: Entry[ReadChannel]) -> bool:
    form = None if channel.tree is None else channel.tree.get("format")
    options = form.get("x12") if isinstance(form, Mapping) else None
    ta1 = options.get("ta1") if isinstance(options, Mapping) else None
    return isinstance(ta1, Scalar) and ta1.text == "true"


def _targets(channel: Entry[ReadChannel]) -> Iterator[Scalar]:
    routes = None if channel.tree is None else channel.tree.get("routes")
    for route in routes.items if isinstance(routes, Sequence) else ():
        to = route.get("to") if isinstance(route, Mapping) else None
        if isinstance(to, Mapping):
            yield from targets_of(to)


def _collect_place(site: Site, api: str) -> Place | None:
    for entry in site.apis:
        if entry.name is None or entry.name.text != api or entry.tree is None:
            continue
        for marker in ("file", "sftp"):
            node = entry.tree.get(marker)
            collect = node.get("collect") if isinstance(node, Mapping) else None
            if isinstance(collect, Mapping) and (key := collect.key("acknowledged")) is not None:
                return key.place
    return None

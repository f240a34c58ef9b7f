"""Rates that several APIs have together, because they are called under one credential."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.component import Options
from bridge.config.api import ReadApi
from bridge.config.crosscheck import Site
from bridge.located import Mapping, Node, Problem


def check_rates(site: Site) -> Iterator[Problem]:
    """A rate of a credential where there is none, and two rates of one."""
    first: list[tuple[Options, ReadApi, str]] = []
    for entry in site.apis:
        api, place = entry.value, _place(entry.tree)
        if api is None or place is None or api.file.limits.per != "credential":
            continue
        if api.credential is None:
            text = "`per: credential` shares a rate with all APIs of one `auth`, and there is none here"
            yield Problem(place.place, "C149", text, "per: api")
            continue
        ours = api.file.limits.rate, api.file.limits.burst
        for options, other, file in first:
            if options == api.credential.options and ours != (
                other.file.limits.rate,
                other.file.limits.burst,
            ):
                text = "one credential has one rate, and another API with this `auth` says another"
                yield Problem(place.place, "C149", text, f"it stands in {file}")
        first.append((api.credential.options, api, entry.file.path))


def _place(tree: Mapping | None) -> Node | None:
    limits = None if tree is None else tree.get("limits")
    return limits.get("per") if isinstance(limits, Mapping) else None

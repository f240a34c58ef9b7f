"""Consent across files: tables that nobody keeps, and patients who would hold up a whole channel."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.config.crosscheck import Site, by_name
from bridge.config.route_calls import targets_of
from bridge.located import Mapping, Problem, Scalar, did_you_mean


def check_consent_lanes(site: Site) -> Iterator[Problem]:
    """A warning for each route to an API that holds what is unknown, of a channel that keeps the order of
    everything: what is held stays at its place, and everything behind it waits."""
    strict = {
        name
        for name, api in by_name(site.apis).items()
        for policy in api.policies
        if policy.component.name == "consent" and getattr(policy.options, "mode", "") == "strict"
    }
    for channel in site.channels:
        if channel.tree is None or not _keeps_order_of_all(channel.tree):
            continue
        for route in getattr(channel.tree.get("routes"), "items", ()):
            to = route.get("to") if isinstance(route, Mapping) else None
            for target in targets_of(to) if isinstance(to, Mapping) else ():
                if target.text in strict:
                    text = f"{target.text[:60]} holds what a patient has not decided about, and all that "
                    text += "comes after it on this channel waits with it"
                    hint = "`order_by: PID-3(5=MR)` lets only the patient's own wait"
                    yield Problem(target.place, "C197", text, hint, "warning")


def check_consent_tables(site: Site) -> Iterator[Problem]:
    """A mistake for each table that is asked and that no API keeps: nothing would ever stand in it, so that
    nobody's denial is seen."""
    trees = [entry.tree for entry in site.apis if entry.tree is not None]
    if len(trees) < len(site.apis):
        return  # one that cannot be read may keep it
    kept = [each.text for tree in trees if isinstance(each := tree.get("consents"), Scalar)]
    for tree in trees:
        asked = tree.get("consent")
        table = asked.get("table") if isinstance(asked, Mapping) else None
        if isinstance(table, Scalar) and table.text not in kept:
            name = table.text[:60]
            hint = did_you_mean(name, kept) or f"the API that takes what feeds it says `consents: {name}`"
            yield Problem(table.place, "C193", f"no API keeps the table {name!r}", hint)


def _keeps_order_of_all(tree: Mapping) -> bool:
    on_no_key = tree.get("on_no_key")
    return tree.get("order_by") is None and isinstance(on_no_key, Scalar) and on_no_key.text == "serial"

"""Message types: what a channel accepts, and what its mappings and its format have."""

from __future__ import annotations

import re
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping

from bridge.config.channel import TYPES_OF, is_message_type
from bridge.config.channel_expressions import order_by_nodes
from bridge.config.names import short
from bridge.config.route_calls import text_of
from bridge.config.topology import OF_ONE_TYPE, accepts
from bridge.located import Mapping, Problem, Scalar, did_you_mean
from bridge.mapping.plan import Plan


def check_types(tree: Mapping, routes: list[Mapping], plans: AbstractMapping[str, Plan]) -> Iterator[Problem]:
    """Every problem of the types that a channel names."""
    accepted = [item for item in getattr(tree.get("accept"), "items", ()) if isinstance(item, Scalar)]
    if any(route.get("mapping") is None and route.get("record") is None for route in routes):
        yield from _any_type(tree, accepted)
        return
    used = [plans.get(name.text) for route in routes if (name := text_of(route, "mapping")) is not None]
    if not used or any(plan is None for plan in used):
        return
    known = frozenset[str]().union(*(plan.accept for plan in used if plan is not None))
    for item in accepted:
        if is_message_type(item.text) and not accepts(known, item.text):
            text = f"no mapping of this channel accepts {short(item.text)}"
            all_events = item.text.endswith("^*")
            hint = _listed(item.text, known) if all_events else did_you_mean(item.text, known)
            yield Problem(item.place, "C134", text, hint)
    taken = frozenset(item.text for item in accepted) or known
    for message_type, node in order_by_nodes(tree):
        if is_message_type(message_type) and not accepts(taken, message_type):
            text = f"the channel does not accept {short(message_type)}: this key is never used"
            yield Problem(node.place, "C141", text, severity="warning")


def _any_type(tree: Mapping, accepted: list[Scalar]) -> Iterator[Problem]:
    """A route without a mapping takes every type, so the channel must say which, where there are several."""
    form = _form(tree)
    accepted = [item for item in accepted if is_message_type(item.text)]  # of others it is told elsewhere
    if form in OF_ONE_TYPE:
        for item in accepted:
            text = f"{short(item.text)} is no type of {form}, where nothing says of what type it is"
            yield Problem(item.place, "C134", text, "leave `accept` out: all is taken")
        return
    if tree.get("accept") is None:
        text = "the key `accept` is missing"
        examples = {"x12": "[835, 837]", "edifact": "[INVOIC]"}.get(form, "[ADT^A01, ORU^*]")
        hint = f"a route sends messages as they came: say which types are taken, as in {examples}"
        yield Problem(tree.place, "C121", text, hint)
    for item in accepted:
        if form in TYPES_OF and not re.fullmatch(TYPES_OF[form], item.text):
            yield Problem(item.place, "C134", f"{short(item.text)} is no type of {form}")


def _form(tree: Mapping) -> str:
    """The name of the channel's format, whatever its options are."""
    said = tree.get("format")
    if isinstance(said, Mapping):
        return said.entries[0][0].text if said.entries else ""
    return said.text if isinstance(said, Scalar) else "hl7v2"


def _listed(pattern: str, known: frozenset[str]) -> str | None:
    names = sorted(name for name in known if name.startswith(pattern[:-1]))
    return f"list the types: {', '.join(names)}" if names else None

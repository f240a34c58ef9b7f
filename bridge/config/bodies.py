"""The body of an operation: a mapping that makes JSON of the record that a route sends there."""

from __future__ import annotations

from collections.abc import Iterator

from bridge.component import ENVELOPE
from bridge.config.crosscheck import Site, by_name, unknown
from bridge.config.route_calls import operations_of, targets_of
from bridge.located import Mapping, Problem, Scalar, Sequence
from bridge.mapping.json_block import JsonBlock
from bridge.mapping.plan import Plan
from bridge.message import ADDS

ALWAYS = frozenset({"key", "operation", ADDS})
"""What a body may say of a record without its being listed: what it is about, and what is asked."""


def check_bodies(site: Site) -> Iterator[Problem]:
    """Every body that is no mapping of records to JSON, or reads more than its operation may send."""
    plans, records = by_name(site.mappings), records_sent(site)
    for entry in site.apis:
        operations = None if entry.tree is None else entry.tree.get("operations")
        for name, operation in getattr(operations, "entries", ()):
            body = operation.get("body") if isinstance(operation, Mapping) else None
            if not isinstance(body, Scalar) or body.text == ENVELOPE:
                continue
            plan = plans.get(body.text)
            if plan is None:
                yield from unknown(body, "C130", "mapping", site.mappings)
                continue
            api = "" if entry.name is None else entry.name.text
            yield from _of(body, plan, operation, records.get((api, name.text), set()))


def _of(body: Scalar, plan: Plan, operation: Mapping, records: set[str]) -> Iterator[Problem]:
    blocks = plan.program.blocks
    if plan.format != "record" or not all(isinstance(block, JsonBlock) for block in blocks):
        text = f"the mapping {plan.name} makes no JSON of a record"
        hint = "a body needs `source: {format: record}` and `emit: [{json: object, ...}]`"
        yield Problem(body.place, "C147", text, hint)
        return
    for record in sorted(records - {plan.of_record}) if plan.of_record else ():
        text = f"the mapping {plan.name} reads {plan.of_record}, and a route sends {record} here"
        yield Problem(body.place, "C147", text, "write an operation for each, or leave out `source.record`")
    listed = operation.get("send_only")
    sent = {item.text for item in getattr(listed, "items", ()) if isinstance(item, Scalar)}
    missing = ", ".join(sorted(plan.asks - sent - ALWAYS))
    if missing:
        place = listed.place if isinstance(listed, Sequence) else body.place
        text = f"the mapping {plan.name} reads {missing}, which this operation may not send"
        yield Problem(place, "C136", text, f"add {missing} to send_only")


def records_sent(site: Site) -> dict[tuple[str, str], set[str]]:
    """The kinds of record that routes send, by API and operation."""
    found: dict[tuple[str, str], set[str]] = {}
    for channel in site.channels:
        node = None if channel.tree is None else channel.tree.get("routes")
        for route in getattr(node, "items", ()):
            to = route.get("to") if isinstance(route, Mapping) else None
            record = route.get("record") if isinstance(route, Mapping) else None
            if not isinstance(to, Mapping) or not isinstance(record, Scalar):
                continue
            for target in targets_of(to):
                for operation in operations_of(route):
                    found.setdefault((target.text, operation.text), set()).add(record.text)
    return found

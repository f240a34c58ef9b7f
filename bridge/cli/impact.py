"""What another version of a mapping would change, as a table, a page and JSON."""

from __future__ import annotations

from typing import Any

import click

from bridge.cli import output as out
from bridge.cli.coverage_page import html_table, page
from bridge.cli.explain_value import masked
from bridge.mapping.impact import Changed, Cluster, Impact

COLUMNS = ("field", "", "values", "messages", "for example")


def impact_as_json(found: Impact, *, reveal: bool) -> dict[str, Any]:
    """For a program; values only with ``reveal``."""
    return {
        "before": {
            "mapping": found.before.name,
            "version": found.before.version,
            "digest": found.before.digest,
        },
        "after": {"mapping": found.after.name, "version": found.after.version, "digest": found.after.digest},
        "messages": found.messages,
        "changed": found.changed,
        "fails_now": found.fails_now,
        "changes": [
            {
                "record": record,
                "field": field,
                "what": what,
                "values": each.count,
                "messages": each.messages,
                "examples": [
                    {
                        "message": name,
                        "before": _shown(one.before, reveal),
                        "after": _shown(one.after, reveal),
                    }
                    for name, one in each.examples
                ],
            }
            for (record, field, what), each in found.rows()
        ],
    }


def print_impact(found: Impact, *, reveal: bool) -> None:
    """For a person."""
    if found.clusters:
        out.table("", COLUMNS, _rows(found, reveal=reveal), right=COLUMNS[2:4])
    click.echo(_sums(found))


def impact_page(found: Impact, *, reveal: bool) -> str:
    """One static page."""
    table = html_table(COLUMNS, _rows(found, reveal=reveal), right=COLUMNS[2:4])
    return page(f"From {_name(found.before)} to {_name(found.after)}", _sums(found), [table])


def _rows(found: Impact, *, reveal: bool) -> list[tuple[object, ...]]:
    return [
        (
            ".".join(filter(None, (record, field))),
            what,
            each.count,
            each.messages,
            _example(each, reveal=reveal),
        )
        for (record, field, what), each in found.rows()
    ]


def _example(cluster: Cluster, *, reveal: bool) -> str:
    name, one = cluster.examples[0]
    return f"{name}{_values(one, reveal=reveal)}"


def _values(one: Changed, *, reveal: bool) -> str:
    if one.before is None and one.after is None:
        return ""
    return f": {_shown(one.before, reveal) or 'nothing'} → {_shown(one.after, reveal) or 'nothing'}"


def _shown(value: Any, reveal: bool) -> Any:
    if value is None:
        return None
    return value if reveal else masked(value)


def _name(plan: Any) -> str:
    return f"{plan.name} {plan.version}"


def _sums(found: Impact) -> str:
    return (
        f"{_name(found.before)} to {_name(found.after)}: {found.changed} of "
        f"{out.count(found.messages, 'message')} would be mapped otherwise, {found.fails_now} would fail"
    )

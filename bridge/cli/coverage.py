"""Coverage as tables for people and as JSON for programs. No value of a message is in either."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import click

from bridge.cli import output as out
from bridge.dictionary import edi_names
from bridge.dictionary.hl7v2_names import UNKNOWN, Names
from bridge.mapping.coverage import NO_SEGMENT, STATUSES, Coverage, Spot, Tally

ROWS_MAX_COUNT = 30
"""Of unmapped places without --all: enough to begin with."""

Unmapped = tuple[Spot, str, Tally]


def coverage_as_json(found: Coverage) -> dict[str, Any]:
    """All counts. ``used`` + ``ignored`` + ``unmapped`` is ``total``."""
    return {
        "messages": found.messages,
        "records": found.records,
        "used": found.by_status["used"],
        "ignored": found.by_status["ignored"],
        "unmapped": found.by_status["unmapped"],
        "total": found.total,
        "issues": found.issues,
        "errors": found.errors,
        "failed": found.failed,
        "without_record": found.without_record,
        "other_types": dict(found.other_types.most_common()),
        "errors_by_code": dict(found.errors_by_code.most_common()),
        "mappings": [
            {"mapping": plan.name, "version": plan.version, "digest": plan.digest} for plan in found.plans
        ],
        "segments": [
            {"segment": name, **{status: counts[status] for status in STATUSES}}
            for name, counts in by_size(found)
        ],
        "unmapped_places": [
            {
                "path": spot.path,
                "name": name_of(spot, found.plans[0].format),
                "values": tally.values,
                "messages": tally.messages,
                "in_failed_messages": tally.failed,
                "because": because,
            }
            for spot, because, tally in unmapped(found)
        ],
        "ignored_by": [
            {"path": path, "because": because, "values": values}
            for (path, because), values in found.ignored_by.most_common()
        ],
        "unused_ignores": [{"mapping": name, "path": path} for name, path in found.unused_ignores],
        "issues_by_code": [
            {"code": code, "field": field, "source": source, "count": count}
            for (code, field, source), count in found.issues_by_code.most_common()
        ],
    }


def print_coverage(found: Coverage, *, everything: bool) -> None:
    """For a person: the sums, then segment by segment, then what is unmapped, most of it first."""
    click.echo(f"{versions(found)}: {sums(found)}")
    form = found.plans[0].format
    out.table(
        "values by segment",
        ["segment", "", *STATUSES],
        (
            (name, segment_name(name, form), *(counts[each] for each in STATUSES))
            for name, counts in by_size(found)
        ),
        right=STATUSES,
    )
    places = unmapped(found)
    shown = places if everything else places[:ROWS_MAX_COUNT]
    if shown:
        out.table(
            "unmapped",
            ["place", "", "values", "messages", "failed", "because"],
            (
                (spot.path, name_of(spot, form), tally.values, tally.messages, tally.failed or "", because)
                for spot, because, tally in shown
            ),
            right=("values", "messages", "failed"),
        )
    if len(shown) < len(places):
        left = out.count(len(places) - len(shown), "further place")
        click.echo(f"{left}: --all shows all, --html writes a page\n")
    if found.issues_by_code:
        rows = found.issues_by_code.most_common()
        shown_rows = rows if everything else rows[:ROWS_MAX_COUNT]
        out.table(
            "issues",
            ["code", "field", "source", "count"],
            ((*at, count) for at, count in shown_rows),
            right=("count",),
        )
    for name, path in found.unused_ignores:
        click.echo(f"{name}: nothing was left out by the entry {path} of ignore")
    if found.other_types:
        types = ", ".join(f"{name} {count}" for name, count in found.other_types.most_common())
        click.echo(out.plain(f"of types that no mapping accepts, and left out: {types}"))
    click.echo(
        ", ".join(
            f"{found.by_status[status]} {status} ({found.percent(status):.0f} %)" for status in STATUSES
        )
        + f": {out.count(found.total, 'value')}"
    )


def versions(found: Coverage) -> str:
    """The mappings with their versions."""
    return ", ".join(f"{plan.name} {plan.version}" for plan in found.plans)


def sums(found: Coverage) -> str:
    """What came of the messages, in words."""
    parts = [
        out.count(found.messages, "message"),
        out.count(found.records, "record"),
        out.count(found.issues, "issue"),
        out.count(found.errors, "error"),
        f"{found.failed} failed",
        f"{found.without_record} without a record",
    ]
    return ", ".join(parts)


def by_size(found: Coverage) -> Sequence[tuple[str, Any]]:
    """The segments, those with most values first."""
    return sorted(found.by_segment.items(), key=lambda each: (-each[1].total(), each[0]))


def unmapped(found: Coverage) -> list[Unmapped]:
    """The unmapped places, those in most messages first."""
    places = [(spot, because, tally) for (spot, because), tally in found.unmapped_places.items()]
    return sorted(places, key=lambda each: (-each[2].messages, -each[2].values, each[0], each[1]))


def name_of(spot: Spot, form: str) -> str:
    """What the dictionary calls a place of messages of this format, '' where it knows none."""
    if spot.text:
        return _edi_name(spot, form) if form in edi_names.FORMS else ""
    if spot.segment == NO_SEGMENT or not spot.field:
        return "text without a segment's name"
    name = Names("").leaf(spot.segment, spot.field, spot.component, spot.subcomponent)
    return name.text if name.known else name.text.replace(UNKNOWN, "unknown")


def _edi_name(spot: Spot, form: str) -> str:
    _, _, below = spot.text.partition(".")
    return edi_names.element_name(form, spot.segment, spot.field, spot.component if below else None)


def segment_name(name: str, form: str) -> str:
    """What the dictionary calls a segment of messages of this format."""
    if form in edi_names.FORMS:
        return edi_names.segment_name(form, name)
    if name == NO_SEGMENT or name.startswith("$"):
        return ""
    found = Names("").segment(name)
    return found.text if found.known else found.text.replace(UNKNOWN, "unknown")

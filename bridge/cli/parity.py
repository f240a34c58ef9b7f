"""``bridge parity``: what the old engine and the bridge made of the same messages, and how it differs."""

from __future__ import annotations

import base64
import csv
import io
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.author import read_file
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.moments import coming_us
from bridge.cli.reading import ask, reading
from bridge.migration.parity_report import (
    COLUMNS,
    RouteParity,
    as_json,
    as_rows,
    headline,
    route_parity,
    summary,
)


class _Group(click.Group):
    """`bridge parity CHANNEL` shows; `bridge parity accept` and `reject` decide."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands:
            return "show", self.commands["show"], args
        return super().resolve_command(ctx, args)


@click.group("parity", cls=_Group)
def parity_command() -> None:
    """Show how what the old engine and the bridge made compares, or say that a difference is meant.

    \b
    bridge parity ehr-adt
    bridge parity ehr-adt --format html --out parity.html
    bridge parity accept ehr-adt 1f2e3d4c5b6a --until 90d --reason "is meant"
    """


def gathered(journal_url: str | None, target: str) -> list[RouteParity]:
    """The comparisons of a channel or one of its routes, each by the mapping that was used last."""
    from bridge.journal.parity import clusters_of, latest_mappings, tallies_of, unpaired_counts

    channel, _, only = target.partition("/")
    with reading(journal_url) as reads:
        tallies, clusters = reads(tallies_of, channel), reads(clusters_of, channel)
        mappings, unpaired = reads(latest_mappings, channel), reads(unpaired_counts, channel)
    found = []
    for route in sorted({tally.route for tally in tallies} | set(mappings)):
        if only in ("", route):
            waiting = {state: number for (name, state), number in unpaired.items() if name == route}
            found.append(route_parity(route, mappings.get(route, ""), tallies, clusters, waiting))
    return found


@parity_command.command("show")
@click.argument("target", metavar="CHANNEL[/ROUTE]")
@options.journal
@click.option(
    "--format",
    "output",
    type=click.Choice(["table", "json", "html", "csv"]),
    default="table",
    show_default=True,
    help="For a person, or for a program.",
)
@click.option("--out", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
def show_command(target: str, journal_url: str | None, output: str, path: Path | None) -> int:
    """Show how both sides compare; exit status 1 where something differs that nobody has explained, and where
    nothing was compared yet.

    Only shapes of values are shown: a letter is an A, a digit a 9. Counts are of the mapping that is used
    now, since a changed mapping starts anew.

    \b
    bridge parity show ehr-adt
    bridge parity show ehr-adt/encounter --format html --out parity.html
    """
    found, now_us = gathered(journal_url, target), time.time_ns() // 1000
    if not found:
        refuse_unknown(journal_url, channel=target.partition("/")[0])
    if not found and output == "table":
        click.echo(f"nothing of {target} was compared yet; `bridge stage` shows where it stands")
        return ANSWER_IS_NO
    text = ""
    if output == "json":
        text = json.dumps(as_json(found, now_us), indent=2) + "\n"
    elif output == "html":
        from bridge.cli.parity_page import parity_page

        text = parity_page(target, found, now_us)
    elif output == "csv":
        sheet = io.StringIO()
        rows = csv.writer(sheet)
        rows.writerow(COLUMNS)
        rows.writerows([_safe(cell) for cell in row] for row in as_rows(found, now_us, out.moment))
        text = sheet.getvalue()
    if path is not None and text:
        out.write(path, text)
    elif text:
        click.echo(text, nl=False)
    else:
        for each in found:
            _show(each, now_us)
    return ANSWER_IS_NO if not found or any(each.outcomes.get("different") for each in found) else DONE


def _safe(cell: object) -> object:
    """A cell that no spreadsheet takes for a formula."""
    return f"'{cell}" if isinstance(cell, str) and cell[:1] in ("=", "+", "-", "@") else cell


def _show(found: RouteParity, now_us: int) -> None:
    click.echo(f"{found.route}: {summary(found, now_us)[0]}")
    out.table(
        "",
        ["difference", "ours", "theirs", "messages", "alone", "explained", "fingerprint"],
        (
            (
                headline(each),
                each.ours or "(absent)",
                each.theirs or "(absent)",
                each.number,
                each.alone,
                each.accepted_why if each.is_explained(now_us) else "",
                each.fingerprint,
            )
            for each in found.clusters
        ),
        right=("messages", "alone"),
    )
    if found.rules:
        out.table("what rules allowed", ["rule", "times"], sorted(found.rules.items()), right=("times",))
    for path, (ours, theirs) in sorted(found.money.items()):
        click.echo(f"money in {path}: {ours} here, {theirs} there")
    waiting = sum(number for state, number in found.unpaired.items() if state != "QUIET")
    if waiting:
        click.echo(f"{out.count(waiting, 'pair')} {'wait' if waiting != 1 else 'waits'} for a side")


@parity_command.command("import")
@click.argument("target", metavar="CHANNEL/ROUTE")
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, dir_okay=False)
)
@options.journal
@click.option(
    "--kind",
    type=click.Choice(["hl7", "mirth"]),
    help="Files of HL7 messages, or message exports of Mirth.  [default: as each begins]",
)
@click.option("--connector", default="", help="Of a message export: the destination of this name alone.")
def import_command(
    target: str, files: tuple[Path, ...], journal_url: str | None, kind: str | None, connector: str
) -> int:
    """Compare with output of the old engine that was recorded, as if it had passed a tap.

    The route stands in shadow, and its tap is `recorded: {}` or one for MLLP. Nothing is sent. The same
    output once more is known, so that an import that broke off can be run again.

    \b
    bridge parity import ehr-adt/copy sent-in-may.hl7
    bridge parity import ehr-adt/copy export.xml --connector "To the ward system"
    """
    counts: Counter[str] = Counter()
    for path in files:
        outputs = [base64.b64encode(each).decode() for each in _outputs_of(path, kind, connector, counts)]
        for page in _pages(outputs):
            counts.update(ask(journal_url, "parity-import", target=target, outputs=page)["done"])
    out.table("", ["outputs", "count"], sorted(counts.items()), right=("count",))
    return DONE if counts["taken"] + counts["known"] else ANSWER_IS_NO


PAGE_MAX_BYTES = 8 * 1024**2
PAGE_MAX_OUTPUTS = 200


def _pages(outputs: list[str]) -> Iterator[list[str]]:
    page: list[str] = []
    size = 0
    for each in outputs:
        if page and (len(page) == PAGE_MAX_OUTPUTS or size + len(each) > PAGE_MAX_BYTES):
            yield page
            page, size = [], 0
        page.append(each)
        size += len(each)
    if page:
        yield page


def _outputs_of(path: Path, kind: str | None, connector: str, counts: Counter[str]) -> list[bytes]:
    from bridge.formats.hl7v2_check import split_messages
    from bridge.migration.mirth.messages import kept_messages
    from bridge.migration.mirth.xml_tree import ExportRefused

    data = read_file(path)
    if (kind or ("mirth" if data.lstrip()[:1] == b"<" else "hl7")) == "hl7":
        return list(split_messages(data))
    try:
        found = kept_messages(data, connector)
    except ExportRefused as refused:
        raise click.ClickException(f"{path}: {refused}") from None
    counts.update(found.left_out)
    # XML turns a CR that is not written as a reference into LF.
    return [each.replace("\n", "\r").encode() for each in found.sent]


@parity_command.command("accept")
@click.argument("target", metavar="CHANNEL[/ROUTE]")
@click.argument("fingerprint")
@options.journal
@click.option("--until", help="Until when: 90d, or 2026-12-31T00:00 (local time).  [default: for good]")
@options.reason
def accept_command(
    target: str, fingerprint: str, journal_url: str | None, until: str | None, reason: str
) -> int:
    """Say that a difference is meant: it counts as explained from now on.

    \b
    bridge parity accept ehr-adt 1f2e3d4c5b6a --until 90d --reason "is meant"
    """
    said = ask(
        journal_url,
        "parity-accept",
        target=target,
        fingerprint=fingerprint,
        until_us=coming_us(until, "--until", time.time()),
        reason=reason,
    )
    click.echo(said["done"])
    return DONE


@parity_command.command("reject")
@click.argument("target", metavar="CHANNEL[/ROUTE]")
@click.argument("fingerprint")
@options.journal
@options.reason
def reject_command(target: str, fingerprint: str, journal_url: str | None, reason: str) -> int:
    """Say that a difference is not meant after all.

    \b
    bridge parity reject ehr-adt 1f2e3d4c5b6a --reason "a mistake"
    """
    said = ask(journal_url, "parity-accept", target=target, fingerprint=fingerprint, end=True, reason=reason)
    click.echo(said["done"])
    return DONE

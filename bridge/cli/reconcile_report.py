"""``bridge reconcile --report``: what came for an API, what was sent, and what it says that it has."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import output as out
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import read

if TYPE_CHECKING:
    from bridge.cli.report_match import Columns, Matched

SHOWN_MAX_COUNT = 50
BESIDE_US = 7 * 86_400_000_000
"""So long before and after the window is looked for what only the report has."""


def columns_of(by: str, amount: str | None) -> Columns:
    """What records are matched by: ``FIELD`` or ``FIELD=COLUMN``, and the same of amounts."""
    from bridge.cli.report_match import Columns

    field, _, column = by.partition("=")
    amount_field, _, amount_column = (amount or "").partition("=")
    return Columns(field, column or field, amount_field, amount_column or amount_field)


def tell_match(
    journal_url: str | None, report: Path, api: str, columns: Columns, window: tuple[int, int], output: str
) -> int:
    """Print the match of a window. ANSWER_IS_NO where anything does not fit."""
    from bridge.cli.report_match import NoField, NoReport

    try:
        matched = read(journal_url, _match, report, api, columns, window)
    except (NoReport, UnicodeDecodeError) as why:
        text = "it is no UTF-8" if isinstance(why, UnicodeDecodeError) else str(why)
        raise click.ClickException(f"{report}: {text}") from None
    except NoField as why:
        raise click.BadParameter(str(why), param_hint="--by") from None
    except OSError as error:
        raise click.ClickException(f"{report}: {error.strerror}") from None
    if not matched.received.count and not matched.sent.count:
        refuse_unknown(journal_url, api=api)
    match output:
        case "json":
            out.json(_as_json(api, matched))
        case "csv":
            click.echo(_as_csv(matched), nl=False)
        case _:
            _show(api, matched, with_amounts=bool(columns.amount_field))
    return ANSWER_IS_NO if matched.misfits else DONE


def _match(connection: Any, report: Path, api: str, columns: Columns, window: tuple[int, int]) -> Matched:
    from itertools import chain

    from bridge.cli.report_match import match, report_rows
    from bridge.journal.sent import sent_to

    since_us, until_us = window
    before = sent_to(connection, api, since_us - BESIDE_US, since_us)
    after = sent_to(connection, api, until_us, until_us + BESIDE_US)
    with report.open(encoding="utf-8", newline="") as file:
        ours = sent_to(connection, api, since_us, until_us)
        return match(ours, report_rows(file), columns, chain(before, after))


def _show(api: str, matched: Matched, *, with_amounts: bool) -> None:
    from bridge.cli.report_match import MEANINGS

    sides = (("received", matched.received), ("sent", matched.sent), ("in the report", matched.posted))
    rows = [(name, f"{side.count:,}", f"{side.amount:,f}" if with_amounts else "") for name, side in sides]
    out.table(api, ["", "records", "amount"], rows, right=("records", "amount"))
    counts = {name: sum(each.type == name for each in matched.misfits) for name in MEANINGS}
    for name, count in counts.items():
        if count:
            click.echo(f"{count} {name}: {MEANINGS[name]}")
    for each in matched.misfits[:SHOWN_MAX_COUNT]:
        click.echo(f"{each.type}: {_where(each)}")
    if len(matched.misfits) > SHOWN_MAX_COUNT:
        click.echo(f"and {len(matched.misfits) - SHOWN_MAX_COUNT} more: `--format csv` has all")
    if not matched.misfits:
        click.echo("all three fit")


def _where(misfit: Any) -> str:
    parts = []
    if misfit.delivery_id is not None:
        parts.append(f"delivery {misfit.delivery_id} of message {misfit.message_id}")
    if misfit.file_id is not None:
        parts.append(f"file {misfit.file_id}, record {misfit.record}")
    if misfit.line is not None:
        parts.append(f"line {misfit.line} of the report")
    return "; ".join(parts)


def _as_json(api: str, matched: Matched) -> dict[str, Any]:
    sides = {"received": matched.received, "sent": matched.sent, "posted": matched.posted}
    return {
        "api": api,
        **{name: {"records": side.count, "amount": f"{side.amount:f}"} for name, side in sides.items()},
        "misfits": [each._asdict() for each in matched.misfits],
    }


def _as_csv(matched: Matched) -> str:
    written = io.StringIO()
    table = csv.writer(written)
    table.writerow(["type", "delivery", "message", "file", "record", "line"])
    table.writerows(matched.misfits)
    return written.getvalue()

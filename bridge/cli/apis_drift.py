"""``bridge apis drift``, ``accept``, ``try`` and ``sunset``: what APIs do otherwise, and when they end."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import ask, environment_in, read, reading
from bridge.errors import JournalRefused

if TYPE_CHECKING:
    from bridge.journal.drifts import Drifted


@click.command("drift")
@options.journal
@click.option("--api", help="Only this API.")
@click.option("--all", "everything", is_flag=True, help="Also what was accepted, and what is over.")
@options.output_format
def drift_command(journal_url: str | None, *, api: str | None, everything: bool, output: str) -> int:
    """Show what APIs do otherwise than their contracts say.

    What is held waits for `bridge apis accept`, but for what heals: of an operation that is gone or wants
    more rights, one call tries again after a while. What is noticed stops nothing. Exit status 1 where
    something is held.

    \b
    bridge apis drift
    bridge apis drift --api ehr.patients --all
    """
    from dataclasses import asdict

    from bridge.contracts.findings import Finding
    from bridge.journal.drifts import drifts

    found = [
        each for each in read(journal_url, drifts, api=api) if everything or each.state in ("held", "noticed")
    ]
    words = [Finding(each.kind, each.pointer, each.rule).in_words() for each in found]  # type: ignore[arg-type]
    if output == "json":
        out.json([{**asdict(each), "words": said} for each, said in zip(found, words, strict=True)])
    elif not found:
        click.echo("no API does anything otherwise than its contract says, as far as is known here")
    else:
        for each, said in zip(found, words, strict=True):
            _tell(each, said)
    return ANSWER_IS_NO if any(each.state == "held" for each in found) else DONE


def _tell(each: Drifted, said: str) -> None:
    click.echo(f"{each.api} {each.operation}: {said}")
    times = "once" if each.times == 1 else f"at least {each.times} times"
    by = f" by {each.actor}: {each.reason}" if each.actor else ""
    click.echo(
        f"    {each.state}{by}; seen {times}, from {out.moment(each.first_seen_at_us)} to "
        f"{out.moment(each.seen_at_us)}"
    )


@click.command("accept")
@click.argument("api")
@click.argument("operation")
@options.reason
@options.journal
@options.output_format
def accept_command(api: str, operation: str, journal_url: str | None, *, reason: str, output: str) -> int:
    """Let an operation go on that is held because its API is other than its contract says.

    What it answers now is expected from then on, until the contract is another. What waited goes in order,
    and with it what the API refused for that.

    \b
    bridge apis accept ehr.patients putPatient --reason "ticket 4711"
    """
    done = ask(journal_url, "accept-drift", api=api, operation=operation, reason=reason)
    if output == "json":
        out.json(done)
        return DONE
    for each in done["accepted"]:
        click.echo(f"accepted: {each}")
    if done["tried_again"]:
        click.echo(f"{out.count(done['tried_again'], 'message')} that the API had refused is tried again")
    click.echo(done["done"])
    return DONE


@click.command("try")
@click.argument("api")
@click.argument("operation", required=False)
@options.reason
@options.journal
def try_command(api: str, operation: str | None, journal_url: str | None, *, reason: str) -> int:
    """Call now what is left alone, without waiting for its time.

    After a token, a certificate or the API itself was repaired: one call tries an operation, or each that
    waits, and where it is answered all goes on in order. Also what waits for its next attempt goes now.

    \b
    bridge apis try ehr.patients --reason "its token is renewed"
    bridge apis try ehr.patients putPatient --reason "its firewall is open again"
    """
    for line in ask(journal_url, "try-now", api=api, operation=operation, reason=reason)["done"]:
        click.echo(line)
    return DONE


@click.command("sunset")
@options.config
@options.environment
@options.journal
@options.output_format
def sunset_command(directory: Path, environment: str | None, journal_url: str | None, output: str) -> int:
    """Show when APIs and their operations end, the first to end first.

    By their files (`lifecycle`), their contracts (`deprecated`, `x-sunset`) and what their answers say
    (Deprecation and Sunset). Exit status 1 where one ends within 30 days, or has.

    \b
    bridge apis sunset --config /etc/bridge --environment prod
    """
    from bridge.catalog import STANDARD
    from bridge.config.load import load
    from bridge.journal.notices import notices
    from bridge.runtime.calendar import SOON_DAYS, calendar

    environment = environment_in(directory, environment, journal_url)
    topology = load(directory, STANDARD, environment=environment)
    try:
        with reading(journal_url) as reads:
            said = reads(notices)
    except JournalRefused:
        said = []
    now_us = int(time.time() * 1e6)
    rows: list[dict[str, Any]] = [
        {
            "api": each.api,
            "operation": each.operation,
            "by": each.source,
            "ends_at_us": each.ends_at_us,
            "days_left": each.days_left(now_us),
            "then": "waits" if each.heeded else "is called all the same",
            "owner": topology.apis[each.api].about.team,
        }
        for each in calendar(topology.apis, said)
    ]
    if output == "json":
        out.json(rows)
    elif not rows:
        click.echo("nothing is deprecated, and nothing ends")
    else:
        out.table(
            "what ends",
            ["ends", "days left", "API", "operation", "by", "then", "owner"],
            (
                (
                    out.moment(row["ends_at_us"])[:10] if row["ends_at_us"] else "deprecated, no date",
                    "" if row["days_left"] is None else row["days_left"],
                    row["api"],
                    row["operation"] or "all of it",
                    row["by"],
                    row["then"],
                    row["owner"],
                )
                for row in rows
            ),
            right=("days left",),
        )
    soon = [row for row in rows if row["days_left"] is not None and row["days_left"] < SOON_DAYS]
    return ANSWER_IS_NO if soon else DONE

"""``bridge consent``: what is decided for a patient, and who lets data through all the same."""

from __future__ import annotations

import time

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import ask, read
from bridge.units import parse_duration


@click.command("consent")
@click.argument("patient", required=False)
@options.journal
@click.option("--override", "api", help="Let data of PATIENT through to this API, whatever was decided.")
@click.option("--for", "lasts", help="With --override: how long, as in 4h; at most 7d.")
@click.option("--end", is_flag=True, help="With --override: end it now.")
@click.option("--reason", help="With --override: why; kept beside what you do.")
@options.output_format
def consent_command(
    patient: str | None,
    journal_url: str | None,
    api: str | None,
    lasts: str | None,
    end: bool,
    reason: str | None,
    output: str,
) -> int:
    """Show what is decided for a patient, or let data through in an emergency.

    For each API that asks for consent: what would be decided, and by which consents. PATIENT is the key that
    records have. With --override a person lets data through: for a while, with a reason, and written down.
    Without PATIENT: the overrides that are in force, and who said so; patients stand as hashes, as in
    `bridge audit search`. Exit status 1 where anything is denied or not known.

    \b
    bridge consent
    bridge consent NORTH:100234
    bridge consent NORTH:100234 --override payer --for 4h --reason "emergency"
    bridge consent NORTH:100234 --override payer --end --reason "over"
    """
    if patient is None:
        if api or lasts or end or reason:
            raise click.UsageError("name the PATIENT whose data are meant")
        return _in_force(journal_url, output)
    if api is not None:
        return _override(journal_url, patient, api, lasts, end, reason)
    if lasts or end or reason:
        raise click.UsageError("--for, --end and --reason go with --override")
    said = ask(journal_url, "consent", patient=patient)
    rows = [(each, decision) for each in said["apis"] for decision in each["decisions"]]
    if output == "json":
        out.json(said)
    elif not rows:
        click.echo("no API asks for consent: write `consent:` into its file")
    else:
        out.table(
            "",
            ("api", "for", "decision", "of", "because", "by"),
            (
                (
                    each["api"],
                    each["purpose"],
                    decision["word"] if each["mode"] != "lenient" else f"{decision['word']} (lenient)",
                    "; ".join(decision["of"]),
                    decision["reason"],
                    ", ".join(decision["by"]),
                )
                for each, decision in rows
            ),
        )
        for name, trouble in said["sources_in_trouble"].items():
            click.echo(f"{name}: {trouble}")
    return DONE if all(decision["word"] == "permit" for _, decision in rows) else ANSWER_IS_NO


def _in_force(journal_url: str | None, output: str) -> int:
    from bridge.journal.consents import overrides_in_force

    rows = read(journal_url, overrides_in_force, int(time.time() * 1e6))
    if output == "json":
        out.json([each._asdict() for each in rows])
    elif not rows:
        click.echo("no override is in force")
    else:
        out.table(
            "",
            ("patient", "api", "until", "since", "by", "why"),
            (
                (
                    each.patient,
                    each.api,
                    out.moment(each.until_us),
                    out.moment(each.at_us),
                    each.actor,
                    each.reason,
                )
                for each in rows
            ),
        )
    return DONE


def _override(
    journal_url: str | None, patient: str, api: str, lasts: str | None, end: bool, reason: str | None
) -> int:
    if not reason or end == (lasts is not None):
        raise click.UsageError("--override needs --reason, and either --for or --end")
    until_us = None
    if lasts is not None:
        try:
            until_us = int((time.time() + parse_duration(lasts)) * 1e6)
        except ValueError as wrong:
            raise click.BadParameter(str(wrong), param_hint="--for") from None
    said = ask(journal_url, "consent-override", patient=patient, api=api, until_us=until_us, reason=reason)
    until = "" if until_us is None else f", until {out.moment(until_us)}"
    click.echo(said["done"] + until)
    return DONE

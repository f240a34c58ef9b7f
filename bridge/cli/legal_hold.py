"""``bridge legal-hold``: what retention must not touch."""

from __future__ import annotations

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import ask, read


@click.group("legal-hold")
def legal_hold_command() -> None:
    """Keep what retention would delete: a channel, or all about one key.

    \b
    bridge legal-hold add 100234 --reason "case 2026-117"
    bridge legal-hold list
    """


def _subject(key: str | None, channel: str | None) -> dict[str, str]:
    if (key is None) == (channel is None):
        raise click.UsageError("name a KEY, or a channel with --channel")
    return (
        {"scope": "channel", "name": channel} if channel is not None else {"scope": "key", "name": key or ""}
    )


@legal_hold_command.command("add")
@click.argument("key", required=False)
@options.journal
@click.option("--channel", help="A channel as a whole.")
@options.reason
def add_command(key: str | None, journal_url: str | None, channel: str | None, reason: str) -> int:
    """Keep all about KEY, as `bridge trace` finds it, or a channel, until the hold is ended.

    KEY is the number as people write it, without its assigning authority. Messages that were never
    translated stay as long as any key is held, since whom they are about is not known. Exit status 1 where
    the hold covers nothing now: it stands, and holds what may come, but see whether the key is meant.

    \b
    bridge legal-hold add 100234 --reason "case 2026-117"
    bridge legal-hold add --channel claims --reason "payer audit"
    """
    said = ask(journal_url, "legal-hold", **_subject(key, channel), reason=reason)
    click.echo(said["done"])
    if not said["covers"]:
        click.echo(f"warning: {said['warning']}", err=True)
    return DONE if said["covers"] else ANSWER_IS_NO


@legal_hold_command.command("end")
@click.argument("key", required=False)
@options.journal
@click.option("--channel", help="A channel as a whole.")
@options.reason
def end_command(key: str | None, journal_url: str | None, channel: str | None, reason: str) -> int:
    """End a legal hold.

    \b
    bridge legal-hold end 100234 --reason "case closed"
    """
    click.echo(ask(journal_url, "legal-hold", **_subject(key, channel), end=True, reason=reason)["done"])
    return DONE


@legal_hold_command.command("list")
@options.journal
@options.output_format
def list_command(journal_url: str | None, output: str) -> int:
    """Show all legal holds, and how many messages each covers now; keys stand as hashes.

    \b
    bridge legal-hold list
    """
    from bridge.journal.legal_holds import holds

    rows = read(journal_url, holds)
    if output == "json":
        out.json(rows)
        return DONE
    if not rows:
        click.echo("nothing is held")
        return DONE
    out.table(
        "",
        ("scope", "name", "messages", "since", "by", "reason"),
        (
            (
                row["scope"],
                row["name"],
                row["messages"] or "nothing now",
                out.moment(row["at_us"]),
                row["actor"],
                row["reason"],
            )
            for row in rows
        ),
        right=("messages",),
    )
    return DONE

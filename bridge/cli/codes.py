"""``bridge codes``: codes that no table has, and letting go what waits because of them."""

from __future__ import annotations

from dataclasses import asdict

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import ask, read

AT_ONCE = 100
"""Messages that a node is asked to try again in one go."""


@click.group("codes")
def codes_command() -> None:
    """Codes that no table has: list them, and let go what waits.

    \b
    bridge codes list
    bridge codes retry --reason "ward 7B added"
    """


@codes_command.command("list")
@options.journal
@click.option("--channel", help="Only this channel.")
@options.output_format
def list_command(journal_url: str | None, channel: str | None, output: str) -> int:
    """List the places whose codes are not all in their table.

    Each with the mapping, the field, its table, who sends such codes, where they stand, how often, when first
    and last, and how many messages wait in quarantine because of it. No code is shown: `bridge show ID
    --reveal` does, and leaves a row. Add the code to the table and `bridge reload`: what a rule holds goes by
    itself (`unmapped: hold`), other messages with `bridge codes retry`. Exit status 1 where some wait.

    \b
    bridge codes list
    bridge codes list --channel ehr-adt --format json
    """
    from bridge.journal.unmapped import unmapped

    rows = read(journal_url, unmapped, channel)
    if not rows:
        refuse_unknown(journal_url, channel=channel)
    if output == "json":
        out.json([asdict(each) for each in rows])
    else:
        out.table(
            "",
            "mapping field table sender place messages first last waiting from".split(),
            (
                (
                    each.mapping,
                    each.field,
                    each.table,
                    each.sender,
                    each.source,
                    each.count,
                    out.moment(each.first_us),
                    out.moment(each.last_us),
                    len(each.waiting),
                    f"m{each.waiting[0]}" if each.waiting else "",
                )
                for each in rows
            ),
            right=("messages", "waiting"),
        )
    return ANSWER_IS_NO if any(each.waiting for each in rows) else DONE


@codes_command.command("retry")
@options.journal
@click.option("--channel", help="Only this channel.")
@options.reason
def retry_command(journal_url: str | None, channel: str | None, reason: str) -> int:
    """Try again what waits because of codes, oldest first.

    Each message is translated by the mapping and the tables that the node has now, at its old place, so that
    nothing of its key goes before it. What still has a code that no table has waits on. Exit status 1 where
    one waits on.

    \b
    bridge reload
    bridge codes retry --reason "ward 7B added"
    """
    from bridge.journal.unmapped import unmapped

    waiting = sorted({number for each in read(journal_url, unmapped, channel) for number in each.waiting})
    if not waiting:
        refuse_unknown(journal_url, channel=channel)
    failed = 0
    for start in range(0, len(waiting), AT_ONCE):
        subjects = [["message", number] for number in waiting[start : start + AT_ONCE]]
        said = ask(journal_url, "resolve", action="retry", subjects=subjects, reason=reason, remap=False)
        for each in said["results"]:
            failed += not each["done"]
            click.echo(f"m{each['id']}: {'done' if each['done'] else each['why_not']}")
    click.echo(f"{out.count(len(waiting), 'message')} tried again", err=True)
    return ANSWER_IS_NO if failed else DONE

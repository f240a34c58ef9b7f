"""Commands of an operator that read a journal, whether or not a node runs on it."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, TypeVar

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.config.settings import JOURNAL_DEFAULT

T = TypeVar("T")


def _read(journal_url: str | None, query: Callable[..., T], *arguments: Any, **named: Any) -> T:
    """Run a query on a journal, whether or not a node runs on it."""
    from bridge.journal.database import Database, check_version

    database = Database(journal_url or JOURNAL_DEFAULT)
    try:
        check_version(database)
        with database.reader.begin() as connection:
            return query(connection, *arguments, **named)
    finally:
        database.close()


@click.command("messages")
@options.journal
@click.option("--channel", help="Only this channel.")
@click.option("--state", help="Only messages in this state, RECEIVED, MAPPED, QUARANTINED, REFUSED, …")
@click.option("--control-id", help="Only messages with this control ID (MSH-10).")
@click.option("--limit", type=click.IntRange(1, 10_000), default=50, show_default=True)
@options.output_format
def messages_command(
    journal_url: str | None,
    channel: str | None,
    state: str | None,
    control_id: str | None,
    limit: int,
    output: str,
) -> int:
    """List messages of a journal, newest first.

    \b
    bridge messages --channel ehr-adt --state QUARANTINED
    bridge messages --control-id MSG00017 --format json
    """
    from bridge.delivery.state import MessageState
    from bridge.journal.search import find_messages
    from bridge.located import did_you_mean

    if state is not None and (state := state.upper()) not in list(MessageState):
        hint = did_you_mean(state, map(str, MessageState))
        raise click.BadParameter(f"no state {state!r}; {hint}", param_hint="--state")
    rows = _read(journal_url, find_messages, channel=channel, state=state, control_id=control_id, limit=limit)
    if output == "json":
        out.json(rows)
        return DONE
    columns = [
        "id",
        "received",
        "channel",
        "type",
        "control ID",
        "bytes",
        "state",
        "became",
        "reason",
        "answer",
        "reached",
    ]
    out.table(
        "",
        columns,
        (
            (
                row["id"],
                out.moment(row["received_at_us"]),
                row["channel"],
                row["message_type"],
                row["control_id"],
                row["body_size_bytes"],
                row["state"],
                row["became"],
                " ".join(filter(None, (row["reason"], row["flags"]))),
                row["answer_code"],
                {None: "?", 0: "no", 1: "yes"}[row["answer_reached"]],
            )
            for row in rows
        ),
        right=("id", "bytes"),
    )
    return DONE


@click.command("show")
@click.argument("message_id", type=int)
@options.journal
@options.output_format
def show_command(message_id: int, journal_url: str | None, output: str) -> int:
    """Show one message and all that became of it.

    Bodies and requests are counted, not shown.

    \b
    bridge show 17
    """
    from bridge.cli.story import as_json, print_story
    from bridge.journal.search import story

    found = _read(journal_url, story, message_id)
    if found is None:
        click.echo(f"no message {message_id} in this journal; `bridge messages` lists them", err=True)
        return ANSWER_IS_NO
    if output == "json":
        out.json(as_json(found))
    else:
        print_story(found)
    return DONE


@click.command("status")
@options.journal
@options.output_format
def status_command(journal_url: str | None, output: str) -> int:
    """Show the ledger: all that was received, and what became of it.

    Exit status 1 where the ledger does not balance.

    \b
    bridge status
    bridge status --format json
    """
    from bridge.cli.story import print_ledger
    from bridge.journal.ledger import ledger

    counts = _read(journal_url, ledger)
    if output == "json":
        out.json(
            {
                "balanced": counts.balanced,
                "channels": {
                    name: {"received": received, **counts.channels[name]}
                    for name, received in counts.received.items()
                },
                "routes": [
                    {"channel": channel, "route": route, **entries}
                    for (channel, route), entries in counts.routes.items()
                ],
            }
        )
    else:
        print_ledger(counts)
    return DONE if counts.balanced else ANSWER_IS_NO


@click.group("journal")
def journal_command() -> None:
    """Look after the journal."""


@journal_command.command("upgrade")
@options.journal
def upgrade_command(journal_url: str | None) -> int:
    """Bring a journal's tables to this version. It only adds; stop the node first.

    \b
    bridge journal upgrade --journal sqlite:////var/lib/bridge/journal.db
    """
    from bridge.journal.database import Database, Ownership, upgrade

    database = Database(journal_url or JOURNAL_DEFAULT)
    ownership = Ownership(database.path)
    try:
        before, after = upgrade(database, random_bytes=os.urandom)
    finally:
        database.close()
        ownership.release()
    click.echo(
        f"{database.path}: tables were of version {before}, are of version {after}"
        if before != after
        else f"{database.path}: tables are of version {after} already"
    )
    return DONE

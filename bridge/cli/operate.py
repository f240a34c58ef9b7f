"""Commands of an operator that read a journal, whether or not a node runs on it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TypeVar

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.new_files import new_file
from bridge.cli.reading import ask, ask_if_running, read

T = TypeVar("T")


@click.command("show")
@click.argument("message_id", type=options.ID)
@options.journal
@click.option("--reveal", is_flag=True, help="Show its content too; that you looked is written down.")
@click.option("--reason", default="", help="Why you look; needed with --reveal.")
@click.option("--as-it-came", is_flag=True, help="With --reveal: as it came, not as somebody corrected it.")
@click.option(
    "--body-to",
    type=click.Path(path_type=Path, dir_okay=False),
    help="With --reveal: write the message there.",
)
@options.output_format
def show_command(
    message_id: int,
    journal_url: str | None,
    *,
    reveal: bool,
    reason: str,
    as_it_came: bool,
    body_to: Path | None,
    output: str,
) -> int:
    """Show one message and all that became of it.

    Bodies and requests are counted, not shown, unless you say why you must see them. A message that somebody
    has corrected is shown as it was corrected, or with --as-it-came as it came.

    \b
    bridge show 17
    bridge show 17 --reveal --reason "ticket 4711"
    bridge show 17 --reveal --as-it-came --reason "ticket 4711"
    """
    from bridge.cli.story import as_json, print_content, print_story
    from bridge.journal.search import story

    found = read(journal_url, story, message_id)
    if found is None:
        click.echo(f"no message {message_id} in this journal; `bridge messages` lists them", err=True)
        return ANSWER_IS_NO
    for given, name in ((body_to is not None, "--body-to"), (as_it_came, "--as-it-came")):
        if given and not reveal:
            raise click.UsageError(f"{name} goes with --reveal")
    if body_to is not None and (body_to.exists() or not body_to.parent.is_dir()):
        why = "is there already, and is not written over" if body_to.exists() else "has no folder to be in"
        raise click.BadParameter(f"{body_to} {why}", param_hint="--body-to")
    asked = {"message": message_id, "reason": reason, "as_it_came": as_it_came}
    content = ask(journal_url, "reveal", **asked) if reveal else None
    if body_to is not None and content is not None:
        with new_file(body_to, "--body-to") as file:
            file.write((content["body"] or "").encode("latin-1"))
        click.echo(f"{body_to}: written, for your eyes only", err=True)
    if output == "json":
        out.json(as_json(found) | ({} if content is None else {"content": content}))
    else:
        print_story(found)
        if content is not None and body_to is None:
            print_content(content)
    return DONE


@click.command("status")
@options.journal
@click.option("--check", is_flag=True, help="Exit status 1 with a word for each thing that needs somebody.")
@click.option("--problems", is_flag=True, help="As --check, and show nothing but what needs somebody.")
@click.option(
    "--channel", "channels", multiple=True, help="Show this channel, and no API; may be given several times."
)
@options.output_format
def status_command(
    journal_url: str | None, *, check: bool, problems: bool, channels: tuple[str, ...], output: str
) -> int:
    """Show what became of all that was received, and what is stopped.

    The ledger is the journal's; connections, operations and pauses are told by the node, if one runs.
    Exit status 1 where the ledger does not balance.

    \b
    bridge status
    bridge status --problems
    bridge status --channel ehr-adt --channel lab-results
    """
    from bridge.cli.checks import worries
    from bridge.cli.known import refuse_unknown
    from bridge.cli.story import print_ledger, print_node, print_senders
    from bridge.journal.ledger import ledger
    from bridge.journal.tolerances import charsets, tolerated

    for name in channels:
        refuse_unknown(journal_url, channel=name)
    counts, odd, sets = read(journal_url, ledger), read(journal_url, tolerated), read(journal_url, charsets)
    node = ask_if_running(journal_url, "status")
    check = check or problems
    found, balanced = worries(journal_url, counts, node) if check else [], counts.balanced
    if channels:
        counts, odd, sets = counts.of(channels), _only(odd, channels), _only(sets, channels)
        node = node and {
            **node,
            "channels": _only(node["channels"], channels),
            "engines": _only(node.get("engines") or {}, channels),
            "apis": {},
        }
    if output == "json":
        out.json(
            {
                "balanced": balanced,
                "channels": {
                    name: {"received": received, **counts.channels[name]}
                    for name, received in counts.received.items()
                },
                "routes": [
                    {"channel": channel, "route": route, **entries}
                    for (channel, route), entries in counts.routes.items()
                ],
                "senders": {
                    name: {"tolerated": odd.get(name, {}), "charsets": sets.get(name, {})}
                    for name in counts.received
                },
                "node": node,
                **({"worries": found} if check else {}),
            }
        )
    else:
        if not problems:
            print_ledger(counts)
            print_senders(odd, sets)
            if node is not None:
                print_node(node)
        for words in found:
            click.echo(words)
        if check and not found:
            click.echo("all is well")
    return DONE if balanced and not found else ANSWER_IS_NO


def _only(named: Mapping[str, T], names: Collection[str]) -> dict[str, T]:
    return {name: each for name, each in named.items() if name in names}

"""``bridge pause``, ``resume`` and ``resend``: a person's hand on the tap of a running node."""

from __future__ import annotations

import time

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.moments import coming_us
from bridge.cli.reading import ask

SCOPE = click.option(
    "--channel", "scope", flag_value="channel", help="Where a channel and an API have one name."
)


@click.command("pause")
@click.argument("name")
@options.journal
@SCOPE
@click.option("--api", "scope", flag_value="api", help="Where a channel and an API have one name.")
@click.option("--intake", is_flag=True, help="Close a channel's door too: its senders keep what they have.")
@click.option("--until", help="Go on by itself after this: 2h, or 2026-11-23T06:00 (local time).")
@options.reason
def pause_command(
    name: str, journal_url: str | None, scope: str | None, *, intake: bool, until: str | None, reason: str
) -> int:
    """Stop a channel, a route or an API.

    A route is written CHANNEL/ROUTE. What arrives is kept, and nothing is lost. Calls under way end by
    themselves. It stays so across restarts, until `bridge resume` or --until.

    \b
    bridge pause ehr.patients --until 2h --reason "database maintenance"
    bridge pause ehr-adt --intake --reason "feed sends garbage"
    """
    said = ask(
        journal_url,
        "pause",
        name=name,
        scope=scope,
        intake=intake,
        until_us=coming_us(until, "--until", time.time()),
        reason=reason,
    )
    ends = said.get("until_us")
    click.echo(
        said["done"] + (f", until {out.moment(ends)}" if ends else f"; `bridge resume {name}` ends it")
    )
    return DONE


@click.command("resume")
@click.argument("name", required=False)
@options.journal
@click.option("--all", "everything", is_flag=True, help="All that is paused.")
@SCOPE
@click.option("--api", "scope", flag_value="api", help="Where a channel and an API have one name.")
@options.reason
def resume_command(
    name: str | None, journal_url: str | None, scope: str | None, *, everything: bool, reason: str
) -> int:
    """Let go what was paused.

    In order, from where it stopped.

    \b
    bridge resume ehr.patients --reason "maintenance is over"
    bridge resume --all --reason "looked at what the restored journal holds"
    """
    if everything == bool(name):
        raise click.UsageError("name a channel, a route or an API, or say --all")
    if everything:
        for line in ask(journal_url, "resume-all", reason=reason)["done"]:
            click.echo(line)
        return DONE
    click.echo(ask(journal_url, "resume", name=name, scope=scope, reason=reason)["done"])
    return DONE


@click.command("reload")
@options.journal
@click.option("--reason", default="", help="Why; kept beside what you do.")
@click.option(
    "--replay",
    type=click.IntRange(0, 5000),
    default=200,
    show_default=True,
    help="So many of the last messages are tried on changed mappings first.",
)
@click.option(
    "--on-change",
    type=click.Choice(["tell", "refuse"]),
    default="tell",
    show_default=True,
    help="Where records would be otherwise: tell what, or leave all as it was.",
)
@options.output_format
def reload_command(journal_url: str | None, reason: str, replay: int, on_change: str, output: str) -> int:
    """Let a running node read its files again.

    All files are checked first. With a mistake in any of them the node runs on as before, and each is shown.
    No connection is dropped but those of a port that is given up, and nothing is lost: what was received is
    mapped by the new files, what was mapped is sent as it was. Where a mapping has changed, the last messages
    of its channel are mapped by the old and the new one first, and it is told what would be otherwise, field
    by field and without values; with --on-change refuse that keeps the files from being used.

    What is left alone because its calls failed is tried now. Certificates are read again too. It says which
    are in use now and which cannot be, and then ends with 1; the ones from before stay in use.

    \b
    bridge reload
    bridge reload --replay 1000 --on-change refuse
    """
    said = ask(journal_url, "reload", reason=reason, replay=replay, on_change=on_change)
    ended = ANSWER_IS_NO if any(each["why_not"] for each in said["certificates"]) else DONE
    if output == "json":
        out.json(said)
        return ended
    for warning in said["warnings"]:
        click.echo(f"warning: {warning}")
    lines = [
        f"{name} {what}"
        for what in ("added", "removed", "changed")
        for name in (*said["channels"][what], *said["apis"][what])
    ]
    for each in said["certificates"]:
        what = f"are not in use: {each['why_not']}" if each["why_not"] else "are in use"
        lines.append(f"the changed TLS files of {each['name']} {what}")
    lines += [f"{each} was left alone, and is tried now" for each in said["tried"]]
    if key := said["journal_key"]:
        lines.append(f"other keys of the journal are in use: {key} is the current one")
    click.echo("\n".join(lines) if lines else "nothing has changed")
    for name, impact in said["impact"].items():
        of = f"{impact['changed']} of the last {out.count(impact['messages'], 'message')}"
        click.echo(f"{name}: {of} would be mapped otherwise")
        out.table(
            "",
            ["field", "", "messages"],
            (
                (".".join(filter(None, (each["record"], each["field"]))), each["what"], each["messages"])
                for each in impact["changes"]
            ),
            right=("messages",),
        )
    return ended


@click.group("resend")
def resend_command() -> None:
    """Let a sender send again what it has sent before.

    \b
    bridge resend allow lab-oru --until 2h --reason "lab resends Tuesday"
    bridge resend end lab-oru --reason "lab is through"
    """


@resend_command.command("allow")
@click.argument("channel")
@options.journal
@click.option("--until", required=True, help="Until when: 2h, or 2026-11-23T06:00 (local time).")
@options.reason
def resend_allow_command(channel: str, journal_url: str | None, until: str, reason: str) -> int:
    """Take repeats of a channel for new messages, because its sender was asked to send again.

    \b
    bridge resend allow lab-oru --until 2h --reason "lab resends Tuesday"
    """
    said = ask(
        journal_url, "resend", name=channel, until_us=coming_us(until, "--until", time.time()), reason=reason
    )
    click.echo(f"{said['done']}, until {out.moment(said['until_us'])}")
    return DONE


@resend_command.command("end")
@click.argument("channel")
@options.journal
@options.reason
def resend_end_command(channel: str, journal_url: str | None, reason: str) -> int:
    """Recognise repeats again.

    \b
    bridge resend end lab-oru --reason "lab is through"
    """
    click.echo(ask(journal_url, "resend", name=channel, end=True, reason=reason)["done"])
    return DONE

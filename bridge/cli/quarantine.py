"""``bridge quarantine``: what needs a person, and what that person decides."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.quarantine_list import (
    API,
    CHANNEL,
    PROBLEM,
    list_command,
    name_of,
    retry_all,
    summary_command,
)
from bridge.cli.reading import ask, read

FILE_MAX_BYTES = 16 * 1024 * 1024


@click.group("quarantine")
def quarantine_command() -> None:
    """What needs a person: retry, correct, skip or discard it.

    A message is written m17, a delivery d42, as `bridge quarantine list` shows them.

    \b
    bridge quarantine list
    bridge quarantine retry m17 --reason "ward table corrected"
    """


for _each in (list_command, summary_command):
    quarantine_command.add_command(_each)


@quarantine_command.command("show")
@click.argument("what")
@options.journal
@options.output_format
def show_command(what: str, journal_url: str | None, output: str) -> int:
    """Show all that became of a message, or of a delivery's message.

    \b
    bridge quarantine show d42
    """
    from bridge.cli.story import as_json, print_story
    from bridge.journal.resolutions import place_of
    from bridge.journal.search import story

    kind, number = subject(what)
    if kind == "delivery":
        place = read(journal_url, place_of, number)
        number = 0 if place is None else place.message_id
    found = read(journal_url, story, number)
    if found is None:
        click.echo(f"no {kind} {what}; `bridge quarantine list` lists them", err=True)
        return ANSWER_IS_NO
    if output == "json":
        out.json(as_json(found))
    else:
        print_story(found)
    return DONE


@quarantine_command.command("retry")
@click.argument("what", nargs=-1)
@options.journal
@CHANNEL
@API
@PROBLEM
@click.option("--remap", is_flag=True, help="Make a delivery's request anew, by the mapping of today.")
@click.option("--yes", is_flag=True, help="With --problem, --api or --channel: do it; else it is counted.")
@click.option("--reason", default="", help="Why; kept beside what you do.")
def retry_command(
    what: tuple[str, ...],
    journal_url: str | None,
    channel: str | None,
    api: str | None,
    problem: str | None,
    *,
    remap: bool,
    yes: bool,
    reason: str,
) -> int:
    """Try again, at the old place: nothing of its key goes before it.

    A message is translated again by the mapping that the node has now. A delivery is sent again as it was, or
    with --remap as the mapping makes it now.

    Instead of by number, all that one cause has brought here goes again by --problem, --api and --channel,
    page by page and but for what is set aside; without --yes it is only counted.

    \b
    bridge quarantine retry m17 --reason "ward table corrected"
    bridge quarantine retry d42 d43 --remap --reason "mapping 1.2.0"
    bridge quarantine retry --api ehr.patients --problem bad-request
    bridge quarantine retry --problem bad-request --yes --reason "API mended"
    """
    given = {"channel": channel, "api": api, "problem": problem}
    if bool(what) == any(value is not None for value in given.values()):
        raise click.UsageError("name what is meant, m17 or d42, or say --problem, --api or --channel")
    if what:
        return _decide(journal_url, "retry", what, reason, remap=remap)
    return retry_all(journal_url, given, reason, remap=remap, yes=yes)


@quarantine_command.command("skip")
@click.argument("what", nargs=-1, required=True)
@options.journal
@options.reason
def skip_command(what: tuple[str, ...], journal_url: str | None, reason: str) -> int:
    """Set aside: it stays in quarantine, and what waits behind it goes on.

    \b
    bridge quarantine skip d42 --reason "lab looks at it tomorrow"
    """
    return _decide(journal_url, "skip", what, reason)


@quarantine_command.command("discard")
@click.argument("what", nargs=-1, required=True)
@options.journal
@options.reason
def discard_command(what: tuple[str, ...], journal_url: str | None, reason: str) -> int:
    """End it: it is never sent, and what waits behind it goes on. This cannot be taken back.

    \b
    bridge quarantine discard d42 --reason "test patient"
    """
    return _decide(journal_url, "discard", what, reason)


@quarantine_command.command("edit")
@click.argument("what")
@options.journal
@click.option(
    "--file",
    "path",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="The corrected message.",
)
@options.reason
def edit_command(what: str, journal_url: str | None, path: Path | None, reason: str) -> int:
    """Correct a message. What came is kept; the corrected one is translated, at the old place.

    \b
    bridge show 17 --reveal --reason "to correct the ward" --body-to m17.hl7
    bridge quarantine edit m17 --file m17.hl7 --reason "ward was misspelt"
    """
    kind, number = subject(what)
    if kind != "message":
        raise click.BadParameter("a message is corrected, m17; its deliveries are made anew from it")
    if path is None:
        click.echo(
            f"bridge show {number} --reveal --reason … --body-to {what}.hl7\n"
            f"correct {what}.hl7 with an editor that keeps its line ends, and then\n"
            f"bridge quarantine edit {what} --file {what}.hl7 --reason …"
        )
        return ANSWER_IS_NO
    if path.stat().st_size > FILE_MAX_BYTES:
        from bridge.units import size_text

        raise click.BadParameter(f"the file is larger than {size_text(FILE_MAX_BYTES)}", param_hint="--file")
    # Line ends of an editor are not those of HL7; each byte else stays as it is.
    body = path.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r").decode("latin-1")
    return _tell(ask(journal_url, "edit", message=number, body=body, reason=reason)["results"])


def subject(text: str) -> tuple[str, int]:
    """What ``m17`` or ``d42`` means."""
    found = re.fullmatch(r"([md])(\d{1,18})", text)
    if found is None:
        raise click.BadParameter(f"expected m17 for a message or d42 for a delivery, not {text[:40]!r}")
    return ("message" if found[1] == "m" else "delivery"), int(found[2])


def _decide(
    journal_url: str | None, action: str, what: tuple[str, ...], reason: str, *, remap: bool = False
) -> int:
    subjects = [list(subject(each)) for each in what]
    said = ask(journal_url, "resolve", action=action, subjects=subjects, reason=reason, remap=remap)
    return _tell(said["results"])


def _tell(results: list[dict[str, Any]]) -> int:
    for each in results:
        done = "to go again, but it waits: " + each["waits"] if each.get("waits") else "done"
        click.echo(f"{name_of(each)}: {done if each['done'] else each['why_not']}")
    return DONE if all(each["done"] for each in results) else ANSWER_IS_NO

"""``bridge messages``, ``tail`` and ``export``: finding messages, whether or not a node runs."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.known import a_state, refuse_unknown
from bridge.cli.main import DONE
from bridge.cli.moments import past_us
from bridge.cli.new_files import new_file
from bridge.cli.reading import ask, reading

if TYPE_CHECKING:
    from bridge.journal.finding import Row, Wanted

LOOK_EVERY_S = 0.5
TAIL_ROWS = 500
EXPORT_ROWS = 200
LESS = ("became", "bytes", "answer", "reached")
"""What a narrow terminal does without, the last one first."""
COLUMNS = (
    "id", "received", "channel", "type", "control ID", "bytes", "state", "became", "reason", "answer",
    "reached",
)  # fmt: skip


def wanted(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say which messages."""
    for option in reversed(
        (
            click.option("--channel", help="Only this channel."),
            click.option(
                "--state", help="Only in this state, or with a delivery in it: QUARANTINED, REFUSED, HELD, …"
            ),
            click.option("--problem", help="Only with this reason, as in the column `reason`."),
            click.option("--type", "message_type", help="Only of this type, ADT^A01."),
            click.option("--control-id", help="Only with this control ID (MSH-10)."),
            click.option("--key", help="Only about this patient, account or what else is searched by."),
            click.option("--key-name", help="With --key: only where it stands under this name of `search:`."),
            click.option("--since", help="Only from then on: 2h, or 2026-11-23T06:00 (local time)."),
            click.option("--until", help="Only before then."),
            click.option("--before", type=options.ID, help="Only with lower ids: the next page."),
        )
    ):
        command = option(command)
    return command


def wanted_of(given: dict[str, Any]) -> Wanted:
    """What these options say, as the journal is asked."""
    from bridge.delivery.state import DeliveryState, MessageState
    from bridge.journal.finding import Wanted
    from bridge.message import CONTROL_ID_MAX_CHARACTERS

    if given["key_name"] is not None and given["key"] is None:
        raise click.UsageError("--key-name goes with --key")
    return Wanted(
        **{
            **{each.name: given[each.name] for each in fields(Wanted) if each.name in given},
            "state": a_state(given["state"], {*MessageState, *DeliveryState}),
            "control_id": None
            if given["control_id"] is None
            else given["control_id"][:CONTROL_ID_MAX_CHARACTERS],
            "since_us": past_us(given["since"], "--since", time.time()),
            "until_us": past_us(given["until"], "--until", time.time()),
        }
    )


@click.command("messages")
@options.journal
@wanted
@click.option("--text", help="Only with this text in them, in whatever case; bodies are opened to look.")
@click.option("--reason", default="", help="Why you look into bodies; needed with --text, and written down.")
@options.newest
@options.output_format
def messages_command(
    journal_url: str | None, *, text: str | None, reason: str, limit: int, output: str, **given: Any
) -> int:
    """List messages of a journal, newest first.

    \b
    bridge messages --channel ehr-adt --state QUARANTINED
    bridge messages --problem outcome-unknown --since 2h
    bridge messages --control-id MSG00017 --format json
    bridge messages --text MARLOWE --since 1d --reason "ticket 4711"
    """
    from bridge.journal.finding import find, find_text

    asked = wanted_of(given)
    if text is not None:
        if not text.strip():
            raise click.BadParameter("expected a text to look for", param_hint="--text")
        ask(journal_url, "look", action="search", subject=_subject(given), reason=reason)
    with reading(journal_url) as reads, out.counting("looked at") as progress:
        if text is None:
            rows = find(reads, asked, limit=limit, progress=progress)
        else:
            rows = find_text(reads, asked, text, limit=limit, progress=progress)
    if not rows:
        refuse_unknown(journal_url, channel=asked.channel)
    if output == "json":
        out.json(rows)
        return DONE
    out.table("", COLUMNS, map(_cells, rows), right=("id", "bytes"), folds=("reason",), less=LESS)
    if len(rows) == limit:
        click.echo(f"more: --before {rows[-1]['id']}", err=True)
    return DONE


def _cells(row: Row) -> tuple[object, ...]:
    return (
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


def _subject(given: dict[str, Any]) -> str:
    """Which messages somebody looked into, without the values that were looked for."""
    shown = {name: value for name, value in given.items() if value is not None}
    for name in ("key", "control_id"):
        if name in shown:
            shown[name] = "…"
    return "messages " + (" ".join(f"{name}={value}" for name, value in shown.items()) or "all")


@click.command("tail")
@options.journal
@click.option("--channel", help="Only this channel.")
@click.option("--problems", is_flag=True, help="Only what was not taken, or needs somebody.")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, TAIL_ROWS),
    default=10,
    show_default=True,
    help="So many that are there already.",
)
@options.output_format
def tail_command(
    journal_url: str | None, channel: str | None, *, problems: bool, lines: int, output: str
) -> int:
    """Follow a journal: a line for each message as it comes.

    It goes on until Ctrl-C. No content is shown.

    \b
    bridge tail
    bridge tail --channel ehr-adt --problems
    bridge tail --format json | jq .control_id
    """
    from bridge.journal.finding import Wanted, find, newer

    refuse_unknown(journal_url, channel=channel)
    with reading(journal_url) as reads:
        newest = find(reads, Wanted(), limit=1)
        at = newest[0]["id"] if newest else 0
        for row in reversed(find(reads, Wanted(channel=channel), limit=lines) if lines else []):
            _tell(row, output, problems=problems)
        while True:
            rows = reads(newer, at, TAIL_ROWS)
            for row in rows:
                at = row["id"]
                if channel in (None, row["channel"]):
                    _tell(row, output, problems=problems)
            if len(rows) < TAIL_ROWS:
                time.sleep(LOOK_EVERY_S)


def _tell(row: Row, output: str, *, problems: bool) -> None:
    if problems and not (row["reason"] or row["flags"] or row["tolerated"]):
        return
    if output == "json":
        out.json_line(dict(row))
    else:
        number, received, channel, kind, control_id, size, state, _, reason, answer, _ = _cells(row)
        words = (f"{number:>8}", received, channel, kind, control_id, f"{size} B", answer, state, reason)
        click.echo(out.plain("  ".join(str(word) for word in words if word != "")))
    sys.stdout.flush()


@click.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@options.journal
@wanted
@click.option("--limit", type=click.IntRange(1), help="At most so many, the newest.")
@click.option(
    "--as",
    "form",
    type=click.Choice(["hl7", "ndjson"]),
    default="hl7",
    show_default=True,
    help="Messages one after the other, as `bridge send` takes them; or a JSON object a line.",
)
@click.option("--reveal", is_flag=True, help="Not masked; that you did is written down.")
@click.option("--as-it-came", is_flag=True, help="Each as it came, also where somebody has corrected it.")
@click.option("--reason", default="", help="Why; needed with --reveal.")
def export_command(
    file: Path,
    journal_url: str | None,
    *,
    limit: int | None,
    form: str,
    reveal: bool,
    as_it_came: bool,
    reason: str,
    **given: Any,
) -> int:
    """Write messages of a journal to a file, masked or with their content.

    They go to a new FILE, newest first, or to standard output for `-`. Letters and digits of their content
    are blanked out, but for MSH, unless you say why you must see them. A message that somebody has corrected
    is written as it was corrected, or with --as-it-came as it came.

    \b
    bridge export sample.hl7 --channel ehr-adt --since 1h
    bridge export - --problem outcome-unknown --as ndjson
    bridge export case.hl7 --key 100234 --reveal --reason "ticket 4711"
    """
    asked = wanted_of(given)
    refuse_unknown(journal_url, channel=asked.channel)
    if reveal:
        ask(journal_url, "look", action="export", subject=_subject(given), reason=reason)
    written = 0
    with new_file(file, "FILE") as target, out.counting("written") as progress:
        for row, body in _bodies(journal_url, asked, limit, as_it_came=as_it_came):
            target.write(_record(row, body, form, reveal=reveal))
            written += 1
            progress(1)
    what = ("not masked" if reveal else "masked") + (", as they came" if as_it_came else "")
    click.echo(f"{out.count(written, 'message')} written, {what}", err=True)
    return DONE


def _bodies(
    journal_url: str | None, asked: Wanted, limit: int | None, *, as_it_came: bool
) -> Iterator[tuple[Row, bytes | None]]:
    from bridge.journal.finding import pages
    from bridge.journal.resolutions import body_of, original_of

    which = original_of if as_it_came else body_of
    left = limit
    with reading(journal_url) as reads:
        for rows in pages(reads, asked, limit=EXPORT_ROWS):
            for row in rows[:left]:
                yield row, reads(which, row["id"])
            if left is not None and (left := left - len(rows)) <= 0:
                return


def _record(row: Row, body: bytes | None, form: str, *, reveal: bool) -> bytes:
    import orjson

    from bridge.formats.hl7v2_mask import masked

    shown = None if body is None else body if reveal else masked(body)
    if form == "hl7":
        return b"" if shown is None else shown.rstrip(b"\r\n") + b"\r\n"
    text, charset = None, ""
    if shown is not None:
        try:
            text, charset = shown.decode("utf-8"), "utf-8"
        except UnicodeDecodeError:
            text, charset = shown.decode("latin-1"), "latin-1"
    return orjson.dumps({**row, "body": text, "body_as": charset}, option=orjson.OPT_NON_STR_KEYS) + b"\n"

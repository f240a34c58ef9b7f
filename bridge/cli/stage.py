"""``bridge stage``: where every route stands between the old engine and the bridge, and moving them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import DONE
from bridge.cli.reading import ask, read
from bridge.located import did_you_mean

SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,2})?)\s*%")


def share_of(words: tuple[str, ...]) -> int | None:
    """The share of a canary, in hundredths of a percent; None where none is said.

    >>> share_of(("5%",)), share_of(("0.25", "%")), share_of(())
    (500, 25, None)
    """
    if not words:
        return None
    match = SHARE.fullmatch(" ".join(words))
    if match is None:
        raise click.BadParameter("expected a share of keys, as in: canary 5%", param_hint="SHARE")
    return round(float(match[1]) * 100)


@click.command("stage")
@click.argument("target", required=False, metavar="[CHANNEL[/ROUTE]]")
@click.argument("stage", required=False)
@click.argument("share", nargs=-1, metavar="[SHARE%]")
@options.journal
@click.option("--reason", default="", help="Why; kept beside what you do.")
@click.option(
    "--only", multiple=True, metavar="facility=NAME|event=TYPE", help="A canary of these messages alone."
)
@click.option(
    "--replay",
    is_flag=True,
    help="Back: what was taken and not sent goes to the old engine, in order; with --force what was, too.",
)
@click.option("--approve", is_flag=True, help="Agree that somebody else moves it there.")
@click.option("--force", is_flag=True, help="Pass gates that do not hold; a second person must have agreed.")
@click.option(
    "--key",
    "key_place",
    envvar="BRIDGE_APPROVAL_KEY",
    show_envvar=True,
    help="Your private key, where the node runs approved files only: a file, or secret://file/NAME.",
)
@options.output_format
def stage_command(  # noqa: PLR0913 - each is an option
    target: str | None,
    stage: str | None,
    share: tuple[str, ...],
    journal_url: str | None,
    *,
    reason: str,
    only: tuple[str, ...],
    replay: bool,
    approve: bool,
    force: bool,
    key_place: str | None,
    output: str,
) -> int:
    """Show where routes stand, or move one between the old engine and the bridge.

    Stages: relay (the old engine does all), shadow (requests are made and compared), canary SHARE% (the
    bridge sends for these keys), primary (it sends all, the old engine is compared), complete (the old engine
    gets nothing). `back` is one step. A route goes further only when its gates hold; back it goes at once.
    Nothing is restarted. The trend is how many pairs in a hundred differed on each of the last seven days.

    \b
    bridge stage
    bridge stage ehr-adt/encounter shadow --reason "ready to compare"
    bridge stage ehr-adt canary 5% --reason "clean for two weeks"
    bridge stage ehr-adt back --replay --reason "wards are wrong"
    """
    if stage is None:
        return _board(journal_url, target, output)
    asked = {
        "target": target,
        "stage": stage,
        "share": share_of(share),
        "reason": reason,
        "only": list(only),
        "replay": replay,
        "approve": approve,
        "force": force,
    }
    said = ask(journal_url, "stage", **asked, **_signed(journal_url, key_place, asked))
    if output == "json":
        out.json(said)
    else:
        click.echo("\n".join(said["done"]))
    return DONE


def _signed(journal_url: str | None, key_place: str | None, asked: dict[str, Any]) -> dict[str, Any]:
    """What is asked, signed with a person's key; nothing without one."""
    if key_place is None:
        return {}
    from bridge.approvals.decisions import Decision, asked_of
    from bridge.cli.bundling import now_us, signer
    from bridge.journal.database import Facts

    who = signer(key_place)
    journal_id = read(journal_url, lambda connection: Facts(connection).journal_id)
    decision = Decision(journal_id, asked_of("stage", asked), who.name, now_us(), "")
    return {"signed": decision.sign(who).as_json()}


def _board(journal_url: str | None, target: str | None, output: str) -> int:
    rows = ask(journal_url, "stage-board")["routes"]
    if target is not None:
        names = {name for row in rows for name in (row["channel"], f"{row['channel']}/{row['route']}")}
        if rows and target not in names:
            hint = did_you_mean(target, names) or "`bridge stage` lists them"
            raise click.UsageError(
                f"{target!r} is neither a channel with an old engine nor a route of one; {hint}"
            )
        rows = [row for row in rows if target in (row["channel"], f"{row['channel']}/{row['route']}")]
    if output == "json":
        out.json(rows)
        return DONE
    if not rows:
        click.echo("no channel has an old engine; `legacy:` in a channel file names one")
        return DONE
    print_board(rows)
    return DONE


def print_board(rows: list[dict[str, Any]]) -> None:
    """The board for a person."""
    out.table(
        "stages",
        [
            "route",
            "stage",
            "since",
            "by",
            "compared",
            "same",
            "explained",
            "different",
            "trend",
            "waiting",
            "next",
            "gates",
        ],
        ([*_row(row), _gates(row)] for row in rows),
        right=("compared", "same", "explained", "different", "waiting"),
        less=("explained", "trend", "by", "since"),
    )
    for row in rows:
        missing = [gate for gate in row["gates"] if not gate["holds"]]
        if missing:
            out.table(
                f"{row['channel']}/{row['route']}: not yet {row['next']}",
                ["gate", "found", "wanted"],
                ((gate["gate"], gate["found"], gate["wanted"]) for gate in missing),
            )
    for channel in dict.fromkeys(row["channel"] for row in rows):
        engine = next(row["engine"] for row in rows if row["channel"] == channel)
        words = [f"{engine['owed']} owed to the old engine"] if engine["owed"] else []
        words += [f"{engine['refused']} refused by it"] if engine["refused"] else []
        words += [f"it is away: {engine['away']}"] if engine["away"] else []
        if words:
            click.echo(f"{channel}: " + ", ".join(words))


def _row(row: dict[str, Any]) -> list[Any]:
    since = out.moment(row["since_us"]) if row["since_us"] else "its file"
    return [
        f"{row['channel']}/{row['route']}", row["words"], since, row["actor"], row["compared"], row["same"],
        row["explained"], row["different"], trend(row["trend"]), row["waiting_keys"], row["next"],
    ]  # fmt: skip


def trend(days: Sequence[Sequence[int]]) -> str:
    """How many pairs in a hundred differed, day by day up to today; a dot is a day without any.

    >>> trend([(0, 0), (200, 24), (1000, 1), (50, 0)])
    '. 12 0.1 0'
    """
    shares = [None if not compared else 100 * different / compared for compared, different in days]
    return " ".join("." if share is None else f"{share:.2g}" for share in shares)


def _gates(row: dict[str, Any]) -> str:
    if not row["gates"]:
        return ""
    missing = sum(not gate["holds"] for gate in row["gates"])
    return f"{missing} of {len(row['gates'])} missing" if missing else "all hold"

"""``bridge quarantine list``, ``summary`` and ``retry``: what waits for a person, and all of it at once."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.known import refuse_unknown
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import ask, read

REFUSED_SHOWN_MAX: Final = 20
CHANNEL = click.option("--channel", help="Only this channel.")
API = click.option("--api", help="Only deliveries to this API.")
PROBLEM = click.option("--problem", help="Only with this reason, as in the column `why`.")
HELD = click.option("--held", is_flag=True, help="Also what is held, and tried again by itself.")


@click.command("list")
@options.journal
@CHANNEL
@API
@PROBLEM
@HELD
@click.option("--after", help="Only after this one, m17 or d42: the next page.")
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=200,
    show_default=True,
    help="At most so many, the oldest.",
)
@options.output_format
def list_command(
    journal_url: str | None,
    channel: str | None,
    api: str | None,
    problem: str | None,
    *,
    held: bool,
    after: str | None,
    limit: int,
    output: str,
) -> int:
    """List what waits for a person, oldest first, and what to do about each reason.

    \b
    bridge quarantine list
    bridge quarantine list --api ehr.patients --held
    bridge quarantine list --problem bad-request --after d42
    """
    from bridge.journal.quarantine import quarantined
    from bridge.journal.quarantine_tally import Which, tally

    which = Which(channel, api, problem)
    place = _place(journal_url, after)
    rows = read(journal_url, quarantined, which, held=held, after=place, limit=limit + 1)
    if not rows:
        refuse_unknown(journal_url, channel=channel, api=api)
    more = len(rows) > limit
    del rows[limit:]
    for row in rows:
        row["advice"] = _advice(row["reason"], row["advice"])
    if output == "json":
        out.json(rows)
    elif not rows:
        click.echo("nothing is in quarantine" if after is None else "nothing more is in quarantine")
    else:
        _print(rows)
        counted = [asdict(each) for each in read(journal_url, tally, which, held=held)]
        _print_reasons(counted)
    if more:
        click.echo(
            f"the {len(rows)} oldest; more: --after {name_of(rows[-1])}, or --limit, --problem", err=True
        )
    return DONE


@click.command("summary")
@options.journal
@CHANNEL
@API
@PROBLEM
@HELD
@options.output_format
def summary_command(
    journal_url: str | None,
    channel: str | None,
    api: str | None,
    problem: str | None,
    *,
    held: bool,
    output: str,
) -> int:
    """Count what waits for a person by reason, channel and API, with what to do about it.

    \b
    bridge quarantine summary
    bridge quarantine summary --api ehr.patients --format json
    """
    from bridge.journal.quarantine_tally import Which, tally

    found = read(journal_url, tally, Which(channel, api, problem), held=held)
    if not found:
        refuse_unknown(journal_url, channel=channel, api=api)
    rows = [asdict(each) for each in found]
    if output == "json":
        out.json([{**row, "advice": _advice_of(row["reason"])} for row in rows])
    elif not rows:
        click.echo("nothing is in quarantine")
    else:
        _print_summary(rows)
    return DONE


def _advice(reason: str, else_: str) -> str:
    from bridge.destinations.events_nats_proof import ADVICE

    return ADVICE.get(reason, else_)


def _advice_of(reason: str) -> str:
    from bridge.journal.quarantine import advice

    return _advice(reason, advice(reason))


def _print(rows: list[dict[str, Any]]) -> None:
    out.table(
        "",
        ["", "received", "type", "control ID", "where", "why", "its key"],
        (
            (
                name_of(row) if row["what"] == "message" else f"{name_of(row)}\nof m{row['message_id']}",
                out.moment(row["received_at_us"]),
                row["message_type"],
                row["control_id"],
                _where(row),
                _why(row),
                key_of(row),
            )
            for row in rows
        ),
    )


def key_of(row: dict[str, Any]) -> str:
    """What its key does meanwhile; a message without one keeps nothing back."""
    return "it has none" if row["reason"] == "no-key" else "goes on" if row["aside"] else "waits"


def _why(row: dict[str, Any]) -> str:
    lines = [" ".join(str(row[name]) for name in ("reason", "status") if row[name])]
    lines += [] if row["state"] == "QUARANTINED" else [f"{row['state']}, tried again by itself"]
    lines += [f"discarding it {row['if_discarded']}"] if row["if_discarded"] else []
    return "\n".join(lines)


def _where(row: dict[str, Any]) -> str:
    """The channel, the route and its API, and the place in a file, each in a line of its own."""
    place = row["file"]
    lines = [row["channel"], f"{row['route']} to {row['api']}" if row["api"] else row["route"]]
    lines += [] if place is None else [place["name"], f"record {place['record']}"]
    lines += [row["place"]] if row["place"] else []
    return "\n".join(filter(None, lines))


def _print_summary(rows: list[dict[str, Any]]) -> None:
    _print_counted(
        [
            (
                row["count"],
                row["aside"] or "",
                row["channel"],
                row["api"],
                row["reason"],
                out.moment(row["oldest_us"]),
                _advice_of(row["reason"]),
            )
            for row in rows
        ]
    )


def _print_counted(rows: list[tuple[object, ...]]) -> None:
    out.table(
        "by reason",
        ["how many", "set aside", "channel", "API", "why", "the oldest came", "what to do"],
        rows,
        right=("how many", "set aside"),
        folds=("what to do",),
    )


def _print_reasons(rows: list[dict[str, Any]]) -> None:
    """The summary of all channels together, with what to do about a reason once."""
    together: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for row in rows:
        together.setdefault((row["reason"], row["api"]), []).append(row)
    told = set[str]()
    shown: list[tuple[object, ...]] = []
    for (reason, api), each in sorted(together.items(), key=lambda pair: pair[0]):
        channels = {row["channel"] for row in each}
        shown.append(
            (
                sum(row["count"] for row in each),
                sum(row["aside"] for row in each) or "",
                next(iter(channels)) if len(channels) == 1 else out.count(len(channels), "channel"),
                api,
                reason,
                out.moment(min(row["oldest_us"] for row in each)),
                "" if reason in told else _advice_of(reason),
            )
        )
        told.add(reason)
    _print_counted(shown)


def name_of(row: dict[str, Any]) -> str:
    """How a row is named on the command line."""
    return f"{row['what'][0]}{row['id']}"


def _place(journal_url: str | None, after: str | None) -> Any:
    """The place that ``m17`` or ``d42`` has among all that waits. Raises BadParameter where it has none."""
    from bridge.cli.quarantine import subject
    from bridge.journal.quarantine_tally import At
    from bridge.journal.resolutions import place_of

    if after is None:
        return At()
    kind, number = subject(after)
    if kind == "message":
        return At(number)
    found = read(journal_url, place_of, number)
    if found is None:
        raise click.BadParameter(f"there is no delivery {after}", param_hint="--after")
    return At(found.message_id, number)


def retry_all(
    journal_url: str | None, given: dict[str, str | None], reason: str, *, remap: bool, yes: bool
) -> int:
    """Let all go again that is in quarantine for what is given; without ``yes`` only count it."""
    from bridge.journal.quarantine_tally import Which, newest, tally

    which = Which(**given)
    rows = [asdict(each) for each in read(journal_url, tally, which)]
    count = sum(row["count"] - row["aside"] for row in rows)
    if not rows:
        refuse_unknown(journal_url, channel=given["channel"], api=given["api"])
    if not count:
        click.echo("nothing of this is in quarantine, but for what is set aside")
        return ANSWER_IS_NO
    if not yes:
        _print_summary(rows)
        click.echo(f"{count} would go again; what is set aside stays so")
        click.echo("nothing was done; --yes --reason … does it")
        return DONE
    until_id, done = read(journal_url, newest), 0
    after: list[int] | None = [0, 0]
    refused, waits = list[tuple[str, str]](), dict[str, None]()
    with out.counting("gone again") as progress:
        while after is not None:
            asked = {**given, "remap": remap, "reason": reason, "after": after, "until": until_id}
            said = ask(journal_url, "retry-next", **asked)
            after, done = said["after"], done + said["done"]
            refused += said["refused"]
            waits.update(dict.fromkeys(said["waits"]))
            progress(said["done"])
    click.echo(f"{done} to go again")
    for name, why in refused[:REFUSED_SHOWN_MAX]:
        click.echo(f"{name}: {why}")
    if len(refused) > REFUSED_SHOWN_MAX:
        click.echo(f"{len(refused)} did not go in all")
    for words in waits:
        click.echo(f"they wait: {words}")
    return ANSWER_IS_NO if refused else DONE

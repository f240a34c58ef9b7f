"""``bridge cutover``: the checklist of a cutover, with what files and journal know already filled in."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import DONE, WRONG_USE
from bridge.cli.reading import environment_in, read
from bridge.located import did_you_mean

if TYPE_CHECKING:
    from bridge.config.topology import Channel
    from bridge.delivery.stages import Standing
    from bridge.journal.cutover import Feed

ASK = "______"
"""What a person fills in."""


@click.command("cutover")
@click.argument("channel")
@options.config
@options.environment
@options.journal
@click.option("--out", "path", type=click.Path(path_type=Path, dir_okay=False), help="Write it to this file.")
def cutover_command(
    channel: str, directory: Path, environment: str | None, journal_url: str | None, path: Path | None
) -> int:
    """Write the checklist of a cutover, as Markdown, with what is known filled in.

    What only people know stays open. No value of a message is in it, but control IDs.

    \b
    bridge cutover ehr-adt --out ehr-adt.md
    """
    from bridge.catalog import STANDARD
    from bridge.config.load import load
    from bridge.journal.cutover import feed_facts
    from bridge.journal.stages import standings

    environment = environment_in(directory, environment, journal_url)
    topology = load(directory, STANDARD, environment=environment)
    found = topology.channels.get(channel)
    if found is None:
        hint = did_you_mean(channel, topology.channels) or "`bridge check` lists them"
        click.echo(f"there is no channel {channel!r}; {hint}", err=True)
        return WRONG_USE
    now_us = time.time_ns() // 1000
    feed = read(journal_url, feed_facts, channel, now_us)
    stands = read(journal_url, standings)
    text = "\n".join(_lines(found, feed, stands, now_us)) + "\n"
    if path is None:
        click.echo(text, nl=False)
    else:
        out.write(path, text)
    return DONE


def _lines(
    channel: Channel, feed: Feed, stands: Mapping[tuple[str, str], Standing], now_us: int
) -> Iterator[str]:
    source = channel.source.options
    listen, tls = getattr(source, "listen", channel.source.component.name), getattr(source, "tls", None)
    allowed = ", ".join(map(str, getattr(source, "allow_from", ()))) or "everybody"
    legacy = channel.legacy
    yield f"# Cutover of {channel.name}"
    yield f"\nAs of {out.moment(now_us)}. Lines with {ASK} are for people.\n"
    yield "## Who"
    yield from _open(
        f"Owner of the feed: {ASK}", f"Operator on duty: {ASK}", f"Who may pull the rollback: {ASK}"
    )
    yield "\n## Where"
    yield from _open(
        f"The bridge listens on {listen}; firewall, NAT and DNS of the senders point there: {ASK}",
        f"Senders that were seen: {_counts(feed.senders)}; allowed are: {allowed}",
        f"Certificates: {'in the channel file, see `bridge doctor`' if tls is not None else 'none, no TLS'}",
        f"The old engine takes what comes at {legacy.where if legacy else 'no place that is known here'}",
    )
    for tap in () if legacy is None else legacy.taps:
        if tap.file is not None:
            places = f"{tap.file.directory}, and on to {tap.file.pass_to}"
            yield f"- [ ] Its output of {tap.route} goes to {places}"
        listens = tap.http or tap.mllp
        if listens is not None:
            places = f"{listens.listen}, and on to {listens.pass_to}"
            yield f"- [ ] Its output of {tap.route} goes to {places}"
    yield "\n## What is sent"
    yield from _open(
        f"Message types: {_counts(feed.types)}; taken are: {', '.join(sorted(channel.accept)) or 'all'}",
        f"Character sets as they were decided: {_counts(feed.charsets)}",
        f"Oddities that are tolerated: {_counts(feed.odd)}",
        f"Z-segments that somebody reads: {ASK}",
        f"Batch jobs and schedules that touch this feed: {ASK}",
    )
    yield "\n## How it is answered"
    yield from _open(
        f"The bridge acknowledges: {channel.acknowledge}, mode {channel.mode}"
        + (
            f", within {channel.answer_within_s:g} s, late {channel.answer_late}"
            if channel.answer_within_s
            else ""
        ),
        f"The senders' own timeout, and whether they ask for more in MSH-15 and MSH-16: {ASK}",
    )
    yield "\n## Where each route stands"
    for route in channel.routes:
        standing = stands.get((channel.name, route.name))
        words = channel.stage if standing is None else standing.words
        since = "" if standing is None else f" since {out.moment(standing.since_us)}"
        yield f"- [ ] {route.name} to {', '.join(route.apis)}: {words}{since}"
    yield f"- [ ] What is still missing: `bridge stage {channel.name}`, `bridge parity {channel.name}`"
    yield "\n## At the cutover"
    yield from _open(
        f"Owed to the old engine: {feed.owed_to_engine}, refused by it: {feed.refused_by_engine}; "
        "both must be 0",
        f"Its own queues are empty: {ASK}",
        f"Last control ID that it answered: {_when(feed.last_fed)}",
        f"Newest control ID that came: {_when(feed.newest)}",
        f"First control ID after the cutover: {ASK}",
        f"Downtime procedure is known to the wards: {ASK}",
    )
    yield "\n## After"
    yield from _open(
        f"Messages in the last day: {feed.of_last_day}, in the last 7 days: {feed.of_last_week}",
        f"Counts after 1 hour: {ASK}, after 24 hours: {ASK}, after 7 days: {ASK} (`bridge status`)",
        f"Rollback if: {ASK}. How: `bridge stage {channel.name} back --replay --reason ...`",
        f"Kept: messages {_days(channel.keep_messages_s)}, content {_days(channel.keep_bodies_s)}; "
        f"legal hold: {ASK}",
        f"The old engine's interface is taken down on: {ASK}",
    )


def _open(*lines: str) -> Iterator[str]:
    yield from (f"- [ ] {line}" for line in lines)


def _counts(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name or '(none)'} {number}" for name, number in counts.items()) or "none yet"


def _when(found: tuple[str, int] | None) -> str:
    return "none yet" if found is None else f"{found[0]} at {out.moment(found[1])}"


def _days(seconds: float | None) -> str:
    return "for ever" if seconds is None else f"{seconds / 86400:g} d"

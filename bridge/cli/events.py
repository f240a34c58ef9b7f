"""``bridge events``: following a stream, and the types of events."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import DONE
from bridge.cli.moments import past_us
from bridge.cli.reading import ask
from bridge.located import did_you_mean

if TYPE_CHECKING:
    from bridge.config.topology import Api
    from bridge.destinations.events_stream import Followed

LINES_MAX = 10_000
SHORT_CHARACTERS = 12
"""Of a hash, as much as tells one from another at a glance."""


@click.group("events")
def events_command() -> None:
    """Streams of events: follow one, and see the types.

    \b
    bridge events tail stream.clinical
    bridge events types patient
    """


@events_command.command("types")
@click.argument("record", required=False)
@options.output_format
def types_command(record: str | None, output: str) -> int:
    """List which event a record is, by what is asked for and by its course.

    The first row that fits decides; rows of an API's own file come before these.

    \b
    bridge events types encounter
    """
    from bridge.canonical.records import RECORDS
    from bridge.destinations.events_types import TYPES

    if record is not None and record not in RECORDS:
        hint = did_you_mean(record, RECORDS) or "`bridge records` lists them"
        raise click.BadParameter(f"no record {record!r}; {hint}", param_hint="RECORD")
    rows = [each for each in TYPES if record in (None, each.record)]
    if output == "json":
        out.json(
            [
                {
                    "record": each.record,
                    "operations": sorted(each.operations),
                    "where": each.where,
                    "type": each.type,
                }
                for each in rows
            ]
        )
        return DONE
    out.table(
        "",
        ["record", "asked for", "where", "type"],
        (
            (
                each.record,
                ", ".join(sorted(each.operations)) or "anything",
                "; ".join(f"{name}: {', '.join(values)}" for name, values in each.where.items()),
                each.type,
            )
            for each in rows
        ),
    )
    return DONE


@events_command.command("tail")
@click.argument("api")
@options.config
@options.environment
@options.journal
@click.option("--type", "event_type", help="Only of this type, or of all that begin so: encounter.")
@click.option("--partition", type=int, help="Only of this partition.")
@click.option("--since", help="From then on: 2h, or 2026-11-23T06:00 (local time).")
@click.option(
    "-n",
    "--lines",
    type=click.IntRange(0, LINES_MAX),
    default=10,
    show_default=True,
    help="So many that are there already.",
)
@click.option("--count", type=click.IntRange(1), help="End after so many.")
@click.option("--reveal", is_flag=True, help="Show what they say; that you did is written down.")
@click.option("--reason", default="", help="Why; needed with --reveal.")
@options.output_format
def tail_command(
    api: str, directory: Path, environment: str | None, journal_url: str | None, **given: Any
) -> int:
    """Follow a stream of events: a line for each as it stands there.

    API is one with `events: {nats: ...}`, and the login of its file must be allowed to read. The last ones
    come first; it goes on until Ctrl-C. Of what they say only the names of the fields are shown.

    \b
    bridge events tail stream.clinical
    bridge events tail stream.clinical --type encounter. --since 1h
    bridge events tail stream.clinical --reveal --reason "ticket 4711" -n 1
    """
    found = _api(api, directory, environment)
    if given["reveal"]:
        ask(journal_url, "look", action="events", subject=f"events of {api}", reason=given["reason"])
    since_us = past_us(given["since"], "--since", time.time())
    since = None if since_us is None else datetime.fromtimestamp(since_us / 1e6, UTC)

    def tell(each: Followed) -> bool:
        """Show an event, where it is wanted."""
        if _is_wanted(each, given["event_type"], given["partition"]):
            _tell(each, given["output"], reveal=given["reveal"])
            return True
        return False

    with suppress(KeyboardInterrupt):
        asyncio.run(_follow(found, given["lines"], since, given["count"], tell))
    return DONE


def _is_wanted(each: Followed, event_type: str | None, partition: int | None) -> bool:
    kind = each.attributes.get("type", "")
    of_type = event_type is None or kind == event_type or kind.startswith(f"{event_type.rstrip('.')}.")
    return of_type and (partition is None or f".{partition}." in each.subject)


def _api(name: str, directory: Path, environment: str | None) -> Api:
    from bridge.catalog import STANDARD
    from bridge.config.load import load

    apis = load(directory, STANDARD, environment=environment).apis
    if (found := apis.get(name)) is None:
        raise click.BadParameter(f"no API {name!r}; {did_you_mean(name, apis) or 'see `bridge apis`'}")
    stream = getattr(found.destination.options, "events", None)
    if stream is None:
        raise click.BadParameter(f"{name} takes no events")
    if stream.nats is None:
        with_what = (
            "its own tools follow a topic of Kafka" if stream.kafka else "an endpoint cannot be followed"
        )
        raise click.BadParameter(f"{name}: {with_what}; `bridge tail` follows the journal")
    return found


async def _follow(
    api: Api, lines: int, since: datetime | None, count: int | None, tell: Callable[[Followed], bool]
) -> None:
    from bridge.cli.doctor_events import advice_for, stream_of
    from bridge.config.settings import settings
    from bridge.destinations.events_nats import NatsStream
    from bridge.destinations.events_stream import NotReady
    from bridge.errors import PeerUnavailable

    stream = stream_of(api, settings(os.environ).secrets.resolve)
    assert isinstance(stream, NatsStream), "the file was looked at"
    told = 0
    try:
        async for each in stream.follow(lines, since):
            told += tell(each)
            if told == count:
                break
    except NotReady as error:
        reason = error.outcome.reason
        raise PeerUnavailable(f"{api.name}: {reason}: {advice_for(reason)}") from None
    finally:
        await stream.end()


def _tell(each: Followed, output: str, *, reveal: bool) -> None:
    said = dict(each.attributes)
    data = _shown(each.data, reveal=reveal)
    if output == "json":
        whole = {"sequence": each.sequence, "kept_at": each.kept_at, "on": each.subject, **said, "data": data}
        out.json_line(whole)
        return
    subject, _, hashed = said.get("subject", "").partition("/")
    about = f"{subject}/{hashed[:SHORT_CHARACTERS]}" if hashed else subject
    words = [
        f"{each.sequence:>8}",
        said.get("time", each.kept_at),
        said.get("type", each.subject),
        about,
        said.get("id", ""),
        f"replay of {said['replayof']}" if "replayof" in said else "",
        ", ".join(f"{name} {value}" for name, value in data.items()) if isinstance(data, dict) else str(data),
    ]
    click.echo("  ".join(out.plain(word) for word in words if word))


def _shown(data: bytes, *, reveal: bool) -> Any:
    import orjson

    try:
        read = orjson.loads(data)
    except orjson.JSONDecodeError:
        read = data.decode("utf-8", "replace")
    if reveal:
        return read
    if isinstance(read, dict):
        return {name: _masked(value) for name, value in read.items()}
    return _masked(read)


def _masked(value: object) -> str:
    return "null" if value is None else f"‹{len(str(value))} characters›"

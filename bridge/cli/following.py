"""``bridge trace``, ``why`` and ``replay``: follow a business key, see what holds it, send it again."""

from __future__ import annotations

import time
from typing import Any, Final

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.checks import again
from bridge.cli.finding import wanted, wanted_of
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import ask, ask_if_running, read, reading, with_facts
from bridge.delivery.outcomes import COLLECTED
from bridge.destinations.reasons import advice

REPLAY = "replay"
"""The flag of what is a replay itself."""
REPLAY_MAX_MESSAGES = 10_000
"""So many messages are taken in once more by one command."""
REQUESTS_AT_ONCE = 500
NO_MESSAGE = "no message has this key; channels name what they are searched by under `search:`"
"""What is said of a key that nothing was ever said of, so that a mistyped one reassures nobody."""
WAITS_FOR_ITS_TIME: Final = frozenset({"RETRY_WAIT", "AMBIGUOUS", "HELD"})


@click.command("trace")
@click.argument("key")
@options.journal
@click.option(
    "--limit", type=click.IntRange(1, 1000), default=200, show_default=True, help="At most so many messages."
)
@options.output_format
def trace_command(key: str, journal_url: str | None, limit: int, output: str) -> int:
    """Follow a business key: every message about it.

    Of a patient, an account, or what else a channel is searched by; the oldest message first.
    KEY is the number as people write it, without its assigning authority.

    \b
    bridge trace 100234
    """
    from bridge.journal.tracing import trace

    rows = read(journal_url, with_facts(trace), key, limit=limit)
    if output == "json":
        out.json(rows)
        return DONE if rows else ANSWER_IS_NO
    if not rows:
        click.echo(NO_MESSAGE)
        return ANSWER_IS_NO
    out.table(
        out.count(len(rows), "message"),
        ["", "received", "channel", "type", "control ID", "state", "sent to"],
        (
            (
                f"m{row['id']}",
                out.moment(row["received_at_us"]),
                row["channel"],
                row["message_type"],
                row["control_id"],
                " ".join(filter(None, (row["state"], row["reason"], row["flags"]))),
                "\n".join(map(_delivery, row["deliveries"])),
            )
            for row in rows
        ),
    )
    return DONE


def _delivery(row: dict[str, Any]) -> str:
    aside = "set aside" if row["aside"] else ""
    words = (f"d{row['id']}", row["api"], row["operation"], row["state"], row["reason"], aside)
    return " ".join(filter(None, words))


@click.command("why")
@click.argument("key")
@options.journal
@options.output_format
def why_command(key: str, journal_url: str | None, output: str) -> int:
    """Say what keeps a business key from going on.

    And what to do about it. Exit status 1 where something does, and where no message has this key.

    \b
    bridge why 100234
    """
    from bridge.journal.tracing import found_by, why

    rows = read(journal_url, with_facts(why), key)
    known = bool(rows or read(journal_url, with_facts(found_by), key, limit=1))
    node = ask_if_running(journal_url, "status") if rows else None
    for row in rows:
        row["words"] = _live(row, node) or row["words"] + _next_time(row, time.time())
    if output == "json":
        out.json(rows)
        return ANSWER_IS_NO if rows or not known else DONE
    if not known:
        click.echo(NO_MESSAGE)
        return ANSWER_IS_NO
    if not rows:
        click.echo("nothing of this key waits")
        return DONE
    for row in rows:
        name = f"{row['what'][0]}{row['id']}"
        where = f" to {row['api']}" if row["api"] else f" of {row['channel']}"
        behind = f", {row['behind']} behind it" if row["behind"] else ""
        click.echo(f"{name}{where}: {row['words']}{behind}")
    if node is None:
        click.echo("(no node runs on this journal, so nothing goes)")
    return ANSWER_IS_NO


def _next_time(row: dict[str, Any], now_s: float) -> str:
    """When what waits for its next attempt has it, where that is yet to come."""
    waits = row["what"] == "delivery" and row["state"] in WAITS_FOR_ITS_TIME and not row["stopped_by"]
    return f", at {out.moment(row['due_at_us'])}" if waits and row["due_at_us"] / 1e6 > now_s else ""


def _live(row: dict[str, Any], node: dict[str, Any] | None) -> str | None:
    """What only a running node knows: an operation that is left alone for now, a file that is not written."""
    if node is None or row["what"] != "delivery" or row["state"] == "QUARANTINED" or row["stopped_by"]:
        return None
    api = node["apis"].get(row["api"])
    if row["state"] == "ACCEPTED" and row["reason"] == COLLECTED:
        return None if api is None else _in_a_file(row["api"], api["collecting"])
    operation = {} if api is None else api["operations"].get(row["operation"], {})
    if operation.get("state", "closed") == "closed" and not operation.get("reason"):
        return None
    at = "at " if operation["until_us"] else ""
    when = f", tried again {at}{when}" if (when := again(operation)) else ""
    from bridge.destinations.events_nats_proof import ADVICE

    to_do = f"; {found}" if (found := ADVICE.get(operation["reason"])) else ""
    return f"{row['operation']} of {row['api']} is left alone ({operation['reason']}){when}{to_do}"


def _in_a_file(name: str, collecting: dict[str, Any]) -> str | None:
    if not (reason := collecting["trouble"]):
        return None
    return f"it waits for its file, and those of {name} cannot be written ({reason}); {advice(reason)}"


@click.command("replay")
@click.argument("message_ids", nargs=-1, type=options.ID)
@options.journal
@wanted
@click.option("--api", help="Only what goes to this API is sent again; others get nothing.")
@click.option("--event", help="With --api: only messages of which an event of this type went there.")
@click.option("--yes", is_flag=True, help="Do it; without this it is only shown what would be done.")
@click.option("--force", is_flag=True, help="Also to APIs that cannot tell a repeat from a new call.")
@click.option("--new-key", is_flag=True, help="Under new idempotency keys: what was applied is so again.")
@click.option("--reason", default="", help="Why; kept beside what you do.")
@options.output_format
def replay_command(  # noqa: PLR0913 - an option each
    message_ids: tuple[int, ...],
    journal_url: str | None,
    *,
    api: str | None,
    event: str | None,
    yes: bool,
    force: bool,
    new_key: bool,
    reason: str,
    output: str,
    **given: Any,
) -> int:
    """Take messages in once more.

    By number, key, time, type, or what else finds them; after all that has come since, and by the mapping of
    today. A request that comes out the same goes under its first idempotency key, so that an API which
    honours that does not apply again what it has taken. Where it has lost what it took, or said that it took
    what it did not, --new-key sends it under a new one, and it applies that again. Events say with `replayof`
    of which event they are the replay.

    \b
    bridge replay 17 18 19
    bridge replay --key 100234 --new-key --yes --reason "the API lost its table"
    bridge replay --since 2h --type ADT^A03 --api stream.clinical
    bridge replay --since 1d --api stream.clinical --event encounter.discharged
    """
    if event is not None and api is None:
        raise click.UsageError("--event goes with --api")
    ids = list(message_ids)
    if any(value is not None for value in given.values()) or (api is not None and not ids):
        ids += _found(journal_url, given)
    if event is not None:
        ids = _of_event(journal_url, ids, str(api), event)
    if not ids:
        if message_ids or any(value is not None for value in given.values()):
            click.echo("no message is of these")
            return ANSWER_IS_NO
        raise click.UsageError("name messages by their numbers, or by --key, --since, --type or others")
    asked = {"ids": ids, "dry_run": not yes, "force": force, "new_key": new_key, "api": api or ""}
    said = ask(journal_url, "replay", **asked, reason=reason)
    if output == "json":
        out.json(said)
        return DONE
    if not yes:
        click.echo(f"{out.count(said['messages'], 'message')} would be taken in once more")
        for name, number in sorted(said["apis"].items()):
            click.echo(f"to {name}: {number}, of which it has taken {said['taken'].get(name, 0)}")
        _say_left_out(said)
        _say_of_repeats(said)
        for name in said["unsafe"]:
            click.echo(f"{name} cannot tell a repeat from a new call: it would apply them again (--force)")
        click.echo("nothing was done; --yes --reason … does it")
        return DONE
    click.echo(f"{out.count(len(said['replayed']), 'message')} taken in once more")
    _say_left_out(said)
    _say_of_repeats(said)
    return DONE if not said["left_out"] else ANSWER_IS_NO


def _say_left_out(said: dict[str, Any]) -> None:
    if said["left_out"]:
        click.echo(f"{said['left_out']} left out: refused, ignored, without a body, or not in this journal")


def _say_of_repeats(said: dict[str, Any]) -> None:
    """What an API makes of what it has taken before, where it goes by the key of a request."""
    for name in said["knows_repeats"]:
        if (taken := said["taken"].get(name)) and said["new_key"]:
            click.echo(f"{name} gets new keys: it applies again the {taken} that it has taken")
        elif taken:
            click.echo(
                f"{name} knows a repeat by its key: of the {taken} that it has taken it applies none again "
                "whose request comes out the same (--new-key)"
            )


def _found(journal_url: str | None, given: dict[str, Any]) -> list[int]:
    """The messages that are wanted, the oldest first; replays are none, since they are messages once more."""
    from bridge.journal.finding import find

    with reading(journal_url) as reads:
        rows = find(reads, wanted_of(given), limit=REPLAY_MAX_MESSAGES + 1)
    if len(rows) > REPLAY_MAX_MESSAGES:
        raise click.UsageError(
            f"these are more than {REPLAY_MAX_MESSAGES} messages: narrow them by --since and --until"
        )
    return sorted(row["id"] for row in rows if REPLAY not in row["flags"].split())


def _of_event(journal_url: str | None, ids: list[int], api: str, event: str) -> list[int]:
    """Those of which an event of a type went to a stream. Only its type is looked at."""
    from bridge.destinations.events_cloud import read_event
    from bridge.journal.replays import requests_to

    found = []
    with reading(journal_url) as reads:
        for first in range(0, len(ids), REQUESTS_AT_ONCE):
            for message_id, request in reads(requests_to, ids[first : first + REQUESTS_AT_ONCE], api):
                read = read_event(request)
                if read is not None and read.type == event:
                    found.append(message_id)
    return sorted(set(found))

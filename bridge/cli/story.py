"""A message's story and the ledger, as tables."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import click
import orjson

from bridge.cli import output
from bridge.cli.checks import again, left_alone
from bridge.governance.order import in_words
from bridge.journal.file_places import FilePlace
from bridge.journal.ledger import ENTRIES, Ledger
from bridge.journal.resolutions import REPLAY_PEER
from bridge.journal.search import Story
from bridge.journal.tolerances import Counts
from bridge.mapping.codes import CODES, NO_RECORD, WHY_NO_RECORD

HIDDEN = ("body", "answer", "request")
"""Columns that may hold patient data: their size is shown, never their content."""
WELL = frozenset({"", "delivered", "accepted"})
"""How calls end, or stand, of which there is no more to say; where one ended otherwise all are shown."""


def as_json(story: Story) -> dict[str, Any]:
    """The whole story, with sizes in place of content."""

    def shown(row: Any) -> dict[str, Any]:
        return {
            name: ({"bytes": len(value)} if value is not None else None) if name in HIDDEN else value
            for name, value in row.items()
        }

    return {
        "message": shown(story.message),
        "deliveries": [shown(row) for row in story.deliveries],
        "attempts": [shown(row) for row in story.attempts],
        "flow": {str(delivery): step for delivery, step in story.flow.items()},
        "waits_for": {str(delivery): before for delivery, before in story.waits_for.items()},
        "transitions": [shown(row) for row in story.transitions],
        "file": None if story.place is None else story.place._asdict(),
        "corrections": [
            {"at_us": each.at_us, "actor": each.actor, "reason": each.reason} for each in story.corrections
        ],
        "answers": {str(delivery): attempt for delivery, attempt in story.answers.items()},
    }


def print_story(story: Story) -> None:
    """The story for a person."""
    message = story.message
    facts = [
        ("message", f"{message['id']}, number {message['seq']} of {message['channel']}"),
        ("received", f"{output.moment(message['received_at_us'])} from {message['peer']}"),
        *([] if story.place is None else [("file", _place(story.place))]),
        ("type", message["message_type"]),
        ("control ID", message["control_id"]),
        ("size", f"{message['body_size_bytes']} bytes"),
        ("state", " ".join(filter(None, (message["state"], message["reason"], message["flags"])))),
        ("tolerated", message["tolerated"]),
        ("charset", message["charset"]),
        ("answer", _answer(message)),
        ("trace", message["trace_id"].hex()),
    ]
    if "application_state" in message:
        said = message["application_state"].lower().replace("_", " ")
        facts.insert(-1, ("application", ", ".join(filter(None, (message["application_code"], said)))))
    if message["replay_of"] is not None:
        facts.append(("once more", f"message {message['replay_of']}"))
    if message["duplicate_of"] is not None:
        facts.append(("repeats", f"message {message['duplicate_of']}"))
    facts += [
        ("corrected", f"by {each.actor} at {output.moment(each.at_us)}: {each.reason}")
        for each in story.corrections
    ]
    output.table("", ["", ""], facts)
    if message["issues"]:
        columns = ["mapping", "code", "of", "read from", "what it says"]
        output.table("issues", columns, issue_rows(orjson.loads(message["issues"])), folds=columns[-1:])
        click.echo("  `bridge explain CODE` says what to do about one")
    if story.deliveries:
        columns = ["id", "route", "API", "operation", "state", "reason", "attempts", "mapping"]
        columns += ["flow"] if story.flow else []
        output.table(
            "deliveries",
            [*columns, "waits for"] if story.waits_for else columns,
            (
                (
                    row["id"],
                    row["route"],
                    row["api"],
                    row["operation"],
                    row["state"],
                    row["reason"],
                    row["attempts"],
                    row["mapping"],
                    *([story.flow.get(row["id"], "")] if story.flow else []),
                    *([story.waits_for.get(row["id"], "")] if story.waits_for else []),
                )
                for row in story.deliveries
            ),
        )
    if any(row["verdict"] not in WELL for row in story.attempts):
        output.table(
            "calls",
            ["of", "attempt", "began", "took", "came to", "HTTP status", "reason"],
            (
                (
                    f"delivery {row['delivery_id']}",
                    row["number"],
                    output.moment(row["started_at_us"]),
                    _took(row),
                    row["verdict"],
                    row["status"],
                    row["reason"],
                )
                for row in story.attempts
            ),
            right=("attempt", "HTTP status"),
        )
        for number, attempt in story.answers.items():
            click.echo(f"  --reveal shows what was answered to attempt {attempt} of delivery {number}")
    kept = [
        (f"delivery {row['id']}", "the request", in_words(row["verdicts"]))
        for row in story.deliveries
        if "!" in row["verdicts"]
    ]
    kept += [
        (f"delivery {row['delivery_id']}", f"attempt {row['number']}", in_words(row["verdicts"]))
        for row in story.attempts
        if row["verdicts"]
    ]
    if kept:
        output.table("policies", ["of", "what", "said"], kept, folds=("said",))
    output.table(
        "what happened",
        ["when", "of", "from", "to", "by", "reason"],
        _history(story),
        folds=("reason",),
    )


def _answer(message: Mapping[str, Any]) -> str:
    """What its sender was told, and whether that reached it; a replay has no sender."""
    if message["peer"] == REPLAY_PEER:
        return "none: nobody has sent it"
    reached = {None: "not known yet", 0: "did not reach its socket", 1: "reached its socket"}
    return f"{message['answer_code'] or 'none'}, {reached[message['answer_reached']]}"


def _history(story: Story) -> list[tuple[str, ...]]:
    """What happened, the first first; what somebody corrected stands before what came of it."""
    corrected = [
        (each.at_us, ("message", "", "corrected", each.actor, each.reason)) for each in story.corrections
    ]
    steps = [
        (
            row["at_us"],
            (
                "message" if row["delivery_id"] is None else f"delivery {row['delivery_id']}",
                row["from_state"] or "",
                row["to_state"],
                row["actor"],
                row["reason"],
            ),
        )
        for row in story.transitions
    ]
    both = sorted((*corrected, *steps), key=lambda each: each[0])
    return [(output.moment(at_us), *words) for at_us, words in both]


def issue_rows(issues: list[dict[str, str]]) -> list[tuple[str, ...]]:
    """Issues with what their codes mean. That there is no record is not told where another issue of the same
    mapping says why."""
    told = {row["mapping"] for row in issues if row["code"] in WHY_NO_RECORD}
    return [
        (
            row["mapping"],
            row["code"],
            ".".join(filter(None, (row["record"], row["field"]))),
            row["source"],
            CODES.get(row["code"], ""),
        )
        for row in issues
        if row["code"] != NO_RECORD or row["mapping"] not in told
    ]


def _took(attempt: Any) -> str:
    """How long a call took; empty while it is under way."""
    ended_at_us = attempt["ended_at_us"]
    return "" if ended_at_us is None else f"{(ended_at_us - attempt['started_at_us']) / 1e6:.3f} s"


def _place(place: FilePlace) -> str:
    return f"{place.file_id}: {place}, at byte {place.offset_bytes}"


def print_content(content: dict[str, Any]) -> None:
    """A message and its requests, which somebody had reason to see."""
    click.echo("the message, a segment in a line:")
    for segment in re.split(r"\r\n?|\n", (content["body"] or "(its body is gone)").strip("\r\n")):
        click.echo(f"  {_read(segment)}")
    for number, request in content["requests"].items():
        click.echo(f"request of delivery {number}:\n  {_read(request)}")
    for number, answer in content["answers"].items():
        click.echo(f"last answer to delivery {number}, which was not taken:")
        for line in re.split(r"\r\n?|\n", answer.strip()):
            click.echo(f"  {_read(line)}")


def _read(text: str) -> str:
    """Bytes that came one a character, as text."""
    with suppress(UnicodeDecodeError):
        text = text.encode("latin-1").decode("utf-8")
    return output.plain(text)


def print_node(node: dict[str, Any]) -> None:
    """What a running node knows: who is connected, and what is stopped or left alone."""
    if (environment := node.get("environment")) is not None:
        click.echo(f"environment {environment}{', production' if node['production'] else ''}")
    if (approvals := node.get("approvals")) is not None:
        click.echo(f"bundle {approvals['bundle']}, by {approvals['author']}, approved by {approvals['by']}")
    if (disk := node.get("disk")) is not None and disk["low"]:
        click.echo(
            f"nothing new is taken: {disk['free_bytes'] // 1024**2} MiB are left on the journal's disk, "
            f"and {disk['reserve_bytes'] // 1024**2} MiB are the reserve"
        )
    channels = sorted(node["channels"].items())
    output.table(
        "channels",
        ["channel", "door", "connections"],
        ((name, "open" if each["open"] else "closed", each["connections"]) for name, each in channels),
        right=("connections",),
    )
    for name, each in channels:
        queued, waiting = each.get("files_queued", 0), each.get("files_waiting", 0)
        if queued or waiting:
            click.echo(f"files of {name}: {queued:,} to be taken, {waiting:,} waiting to be finished")
    if engines := node.get("engines"):
        output.table(
            "old engines",
            ["channel", "state", "waiting", "the oldest came"],
            (
                (
                    name,
                    f"away: {each['away']}" if each["away"] else "reached",
                    each["owed"],
                    output.moment(each["oldest_us"]) if each["oldest_us"] else "",
                )
                for name, each in sorted(engines.items())
            ),
            right=("waiting",),
        )
    operations = [
        (name, operation, each)
        for name, api in sorted(node["apis"].items())
        for operation, each in sorted(api["operations"].items())
    ]
    now_s = time.time()
    alone = any(each["reason"] or each["until_us"] or each["failing"] for *_, each in operations)
    if operations:
        output.table(
            "APIs",
            ["API", "operation", "under way", "waiting", "state", *(["reason", "next try"] if alone else [])],
            (
                (
                    name,
                    operation,
                    each["in_flight"],
                    each["waiting"],
                    _state(each, now_s),
                    *([_reason(each), again(each)] if alone else []),
                )
                for name, operation, each in operations
            ),
            right=("under way", "waiting"),
        )
    print_collecting(node["apis"])
    if flows := node.get("flows_waiting"):
        click.echo(f"{flows} deliveries wait for others of their messages that they go after")
    if node["stopped"]:
        output.table(
            "stopped by a person",
            ["what", "intake", "until", "by", "reason"],
            (
                (
                    f"repeats of {each['subject']} come through"
                    if each["scope"] == "resend"
                    else each["subject"],
                    "closed" if each["intake"] else "",
                    output.moment(each["until_us"]) if each["until_us"] else "",
                    each["actor"],
                    each["reason"],
                )
                for each in node["stopped"]
            ),
        )


def print_collecting(apis: dict[str, Any]) -> None:
    """What goes into files of many deliveries: what waits for the next, and which could not be written."""
    rows = [
        (
            name,
            each["waiting"],
            _moment(each["due_at_us"]),
            each["unwritten"],
            _moment(each.get("unwritten_since_us")),
            each["trouble"],
        )
        for name, api in sorted(apis.items())
        if (each := api["collecting"])["waiting"] or each["unwritten"] or each["trouble"]
    ]
    if rows:
        columns = ("API", "waiting", "closed at", "not written", "since", "reason")
        output.table("files of many deliveries", columns, rows, right=("waiting", "not written"))


def _moment(at_us: int | None) -> str:
    return "" if at_us is None else output.moment(at_us)


def _state(operation: dict[str, Any], now_s: float) -> str:
    if left_alone(operation, now_s):
        return "left alone"
    return "failing" if operation["failing"] else "called"


def _reason(operation: dict[str, Any]) -> str:
    failing = operation["failing"]
    return str(operation["reason"] or ("" if failing is None else failing["reason"]))


def print_ledger(ledger: Ledger) -> None:
    """The ledger for a person; entries that are nowhere above zero are left out."""
    if not ledger.received:
        click.echo("nothing has been received yet")
        return
    used = [entry for entry in ENTRIES if any(counts[entry] for counts in ledger.channels.values())]
    output.table(
        "messages by channel",
        ["channel", "received", *used, "balance"],
        (
            (name, received, *(ledger.channels[name][entry] for entry in used), _balance(ledger, name))
            for name, received in sorted(ledger.received.items())
        ),
        right=("received", *used),
    )
    if ledger.routes:
        used = [entry for entry in ENTRIES if any(counts.get(entry) for counts in ledger.routes.values())]
        output.table(
            "deliveries by route",
            ["channel", "route", *used],
            (
                (channel, route, *(counts[entry] for entry in used))
                for (channel, route), counts in sorted(ledger.routes.items())
            ),
            right=used,
        )


def print_senders(odd: Counts, sets: Counts) -> None:
    """How senders behave: what was tolerated of them, and what character sets they use, most often first."""
    rows = [
        (name, what, code, number)
        for what, counts in (("tolerated", odd), ("charset", sets))
        for name, by_code in sorted(counts.items())
        for code, number in sorted(by_code.items(), key=lambda pair: (-pair[1], pair[0]))
    ]
    if rows:
        output.table(
            "how senders behave", ["channel", "what", "which", "messages"], rows, right=("messages",)
        )


def _balance(ledger: Ledger, channel: str) -> str:
    missing = ledger.received[channel] - sum(ledger.channels[channel].values())
    return "even" if not missing else f"{missing} missing"

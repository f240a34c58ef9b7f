"""``bridge audit``: the chain that shows tampering, verified and searched; and the key that signs it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, COULD_NOT_RUN, DONE
from bridge.cli.moments import past_us
from bridge.cli.reading import read
from bridge.config.settings import settings
from bridge.errors import JournalRefused, SecretUnavailable
from bridge.units import SecretRef

if TYPE_CHECKING:
    from bridge.audit.notes import Verifier
    from bridge.audit.report import Report
    from bridge.journal.audit_search import Entry, Sought

DEFAULT_KEY = SecretRef("file", "audit-key")
VARIABLE = "BRIDGE_AUDIT_KEY"
ANCHORS_MAX_BYTES = 1 << 30


@click.group("audit")
def audit_command() -> None:
    """Prove that nothing in the journal was changed, and say who did what.

    \b
    bridge audit key new hospital-north                        make the key that signs the chain
    bridge audit verify --key hospital-north/bridge+... --anchors anchors.txt
    bridge audit search --actor user:kim --since 7d
    """


@audit_command.command("verify")
@options.journal
@click.option(
    "--key",
    "keys",
    multiple=True,
    help="A public key whose signatures count, as a line or the file that holds it; several may be given.",
)
@click.option(
    "--anchors",
    "files",
    multiple=True,
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help="A file of checkpoints that were kept elsewhere, or a log that holds them.",
)
@options.output_format
def verify_command(
    journal_url: str | None, *, keys: tuple[str, ...], files: tuple[Path, ...], output: str
) -> int:
    """Hold the whole chain against the rows that it covers, its signatures, and anchors from elsewhere.

    It names the first bad row and what was done to it. Without --key the node's own key is taken, where this
    machine has it; an auditor gives the public key that was handed over when it was made. Exit status 1 where
    something is wrong.

    \b
    bridge audit verify
    bridge audit verify --key north.pub --anchors /mnt/worm/anchors.txt
    """
    from bridge.audit.checkpoints import notes_in
    from bridge.journal.audit import verify_chain

    verifiers = _verifiers(keys)
    notes = [note for file in files for note in notes_in(_text(file))]
    if files and not notes:
        raise click.BadParameter("no checkpoint stands in it", param_hint="--anchors")
    report = read(journal_url, verify_chain, verifiers=verifiers, anchors=notes)
    if output == "json":
        out.json(_as_json(report))
    else:
        _tell(report)
    return DONE if report.good else ANSWER_IS_NO


def _text(file: Path) -> str:
    if file.stat().st_size > ANCHORS_MAX_BYTES:
        raise click.BadParameter(f"{file} is larger than 1 GiB; give the part that matters")
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise click.BadParameter(f"{file} cannot be read: {error.strerror}") from None


def _verifiers(keys: tuple[str, ...]) -> list[Verifier]:
    from bridge.audit.notes import Signer

    if keys:
        from bridge.cli.public_keys import public_key

        return [public_key(each) for each in keys]
    machine = settings(os.environ)
    if machine.audit.key is None:
        return []
    try:
        return [Signer.parse(machine.secrets.resolve(machine.audit.key)).verifier]
    except (SecretUnavailable, ValueError):
        return []


def _as_json(report: Report) -> dict[str, object]:
    return {
        "good": report.good,
        "commits": report.commits,
        "first_commit": report.first_commit,
        "last_commit": report.last_commit,
        "rows": report.covered,
        "retired": report.retired,
        "before_the_chain": report.before,
        "let_go": report.let_go,
        "checkpoints": report.checkpoints,
        "signed_up_to": report.signed_up_to,
        "anchors": report.anchors,
        "anchored_up_to": report.anchored_up_to,
        "unknown_keys": sorted(report.unknown_keys),
        "findings": [{"kind": each.kind, "where": each.where, "what": each.what} for each in report.findings],
        "limits": report.limits(),
    }


def _tell(report: Report) -> None:
    if report.findings:
        rows = [(each.kind, each.where, each.what) for each in report.findings]
        out.table("", ["kind", "where", "what"], rows)
    commits = out.count(report.commits, "commit")
    retired = f", {report.retired} deleted by retention" if report.retired else ""
    retired += f", {out.count(report.let_go, 'commit')} let go of before" if report.let_go else ""
    click.echo(f"{commits} over {out.count(report.covered, 'row')}{retired}; ", nl=False)
    click.echo(
        f"signed up to {report.signed_up_to}, anchored up to {report.anchored_up_to}: "
        + (out.count(len(report.findings), "finding") if report.findings else "nothing was changed")
    )
    if report.findings:
        click.echo(f"the first bad row: {report.findings[0].where} ({report.findings[0].kind})")
    for name in sorted(report.unknown_keys):
        click.echo(f"signed by {name}, whose key was not given: --key, or {VARIABLE}")
    for limit in report.limits():
        click.echo(f"not shown: {limit}")


@audit_command.command("complete")
@options.journal
@options.output_format
def complete_command(journal_url: str | None, *, output: str) -> int:
    """Say whether every change of state has its row in the chain, joined in both directions.

    The journal's messages, deliveries, states and attempts are held against their steps, and the steps
    against the chain. Exit status 1 where one is missing.

    \b
    bridge audit complete
    """
    from bridge.journal.audit import verify_chain
    from bridge.journal.audit_completeness import completeness

    found = read(journal_url, lambda connection: completeness(connection, verify_chain(connection)))
    if output == "json":
        out.json({**asdict(found), "ratio": found.ratio})
    else:
        rows = [
            ("messages and deliveries without a first step", found.not_begun),
            ("steps that do not go on from the one before", found.broken),
            ("states that no step led to", found.other_state),
            ("deliveries with other attempts than steps", found.not_started),
            ("steps of what is not there", found.of_nothing),
            ("steps that the chain finds wrong", found.wrong),
        ]
        if missing := [row for row in rows if row[1]]:
            out.table("", ["missing", "number"], missing, right=("number",))
        click.echo(f"{out.count(found.changes, 'change')} covered, complete to {found.ratio:.4%}")
    return DONE if found.complete else ANSWER_IS_NO


def sought(command: Callable[..., int]) -> Callable[..., int]:
    """The options that say which rows."""
    for option in reversed(
        (
            click.option("--actor", help="Only by this one: user:kim, or bridge."),
            click.option("--action", help="Only actions with this name: reveal, replay, pause, …"),
            click.option("--message", "message_id", type=options.ID, help="Only about this message."),
            click.option("--delivery", "delivery_id", type=options.ID, help="Only about this delivery."),
            click.option("--since", help="Only from then on: 2h, or 2026-11-23T06:00 (local time)."),
            click.option("--until", help="Only before then."),
        )
    ):
        command = option(command)
    return command


def _sought(given: dict[str, Any]) -> Sought:
    from bridge.journal.audit_search import Sought

    return Sought(
        given["actor"],
        given["action"],
        given["message_id"],
        given["delivery_id"],
        past_us(given["since"], "--since", time.time()),
        past_us(given["until"], "--until", time.time()),
    )


@audit_command.command("search")
@options.journal
@sought
@options.newest
@options.output_format
def search_command(journal_url: str | None, *, limit: int, output: str, **given: Any) -> int:
    """Show who did what, and what changed: the newest steps and actions, in order of time.

    Who looked at content is there too, as `reveal`, `export` and `search`, with the reason.

    \b
    bridge audit search --actor user:kim --since 7d
    bridge audit search --action reveal
    bridge audit search --delivery 4711
    """
    from bridge.journal.audit_search import entries

    asked = _sought(given)
    found = read(journal_url, lambda connection: list(entries(connection, asked, newest=limit)))
    rows = [json.loads(each.text) for each in sorted(found, key=lambda each: each.at_us)[-limit:]]
    if output == "json":
        out.json(rows)
        return DONE
    out.table("", ["when", "who", "what", "on", "why"], [_cells(row) for row in rows])
    return DONE


def _cells(row: dict[str, Any]) -> tuple[object, ...]:
    at = out.moment(row["at"])
    if row["kind"] == "action":
        return at, row["actor"], row["action"], row["object"], row["reason"]
    on = f"file {row['file']}" if row["kind"] == "file" else f"message {row['message']}"
    if row.get("delivery") is not None:
        on = f"delivery {row['delivery']} of {on}"
    return at, row["actor"], f"{row['from'] or 'begins'} > {row['to']}", on, row["reason"]


@audit_command.command("export")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False, allow_dash=True))
@options.journal
@sought
@click.option(
    "--as",
    "form",
    type=click.Choice(["ndjson", "fhir"]),
    default="ndjson",
    show_default=True,
    help="Each row as it is hashed, with its hash; or FHIR AuditEvents, in the shape of IHE BALP.",
)
def export_command(file: Path, journal_url: str | None, *, form: str, **given: Any) -> int:
    """Write the rows that the chain covers to a new FILE, a JSON object in each line.

    For `-` they go to standard output. No content of messages is among them; patients stand as keyed hashes.

    \b
    bridge audit export audit.ndjson --since 30d
    bridge audit export - --as fhir --since 30d | gzip > november.ndjson.gz
    """
    from bridge.cli.new_files import new_file
    from bridge.journal.audit_search import entries
    from bridge.journal.database import Facts

    asked = _sought(given)

    def write(connection: Any, target: BinaryIO) -> int:
        journal_id, count = Facts(connection).journal_id, 0
        for entry in entries(connection, asked):
            for line in _lines(entry, form, journal_id):
                target.write(line)
                count += 1
        return count

    with new_file(file, "FILE") as target, out.counting("written"):
        written = read(journal_url, write, target)
    click.echo(f"{out.count(written, 'row')} written", err=True)
    return DONE


def _lines(entry: Entry, form: str, journal_id: str) -> Iterator[bytes]:
    from bridge.audit.entries import entry_hash
    from bridge.audit.fhir import Delivered, audit_events

    hashed = entry_hash(entry.text).hex()
    if form == "ndjson":
        yield f'{{"hash":"{hashed}","entry":{entry.text}}}\n'.encode()
        return
    to = Delivered(entry.api, entry.operation, entry.mapping, entry.patients)
    for event in audit_events(entry.text, journal_id=journal_id, hashed=hashed, to=to):
        yield json.dumps(event, ensure_ascii=False).encode() + b"\n"


# The key.


@audit_command.group("key")
def key_command() -> None:
    """The key that signs checkpoints of the chain.

    \b
    bridge audit key new hospital-north/bridge
    bridge audit key show > north.pub
    """


@key_command.command("new")
@click.argument("name")
def new_command(name: str) -> int:
    """Make a key, and keep it as a secret; NAME tells whose chain it signs, as in hospital-north/bridge.

    The public key is shown: give it to whoever verifies, on another way than the journal.

    \b
    bridge audit key new hospital-north/bridge
    """
    from bridge.audit.notes import KEY_BYTES, Signer
    from bridge.cli.keys import replace_secret

    machine = settings(os.environ)
    reference = machine.audit.key or DEFAULT_KEY
    try:
        signer = Signer(name, os.urandom(KEY_BYTES))
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="NAME") from None
    if reference.source != "file":
        click.echo(signer.line)
        click.echo(f"keep this line as {reference}", err=True)
        return DONE
    path = machine.secrets.directory / reference.name
    if path.exists():
        raise JournalRefused(
            f"{path} is there already: checkpoints are signed with it. Move it away first, and keep its "
            "public key, `bridge audit key show`: what it has signed is verified with that"
        )
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    replace_secret(path, signer.line + "\n")
    click.echo(f"{path}: the key {name}; its public key, for whoever verifies:")
    click.echo(signer.verifier.line)
    if machine.audit.key is None:
        click.echo(f"let the node know of it: export {VARIABLE}={reference}")
    return DONE


@key_command.command("show")
def show_command() -> int:
    """Show the public key.

    \b
    bridge audit key show > north.pub
    """
    from bridge.audit.notes import Signer

    machine = settings(os.environ)
    reference = machine.audit.key or DEFAULT_KEY
    try:
        click.echo(Signer.parse(machine.secrets.resolve(reference)).verifier.line)
    except SecretUnavailable as refused:
        click.echo(f"bridge: {refused}; `bridge audit key new` makes one", err=True)
        return COULD_NOT_RUN
    except ValueError as wrong:
        click.echo(f"bridge: {reference}: {wrong}", err=True)
        return COULD_NOT_RUN
    return DONE

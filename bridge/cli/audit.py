"""``bridge audit``: the chain that shows tampering, verified and searched; and the key that signs it."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, COULD_NOT_RUN, DONE
from bridge.cli.reading import read
from bridge.config.settings import settings
from bridge.errors import JournalRefused, SecretUnavailable
from bridge.units import SecretRef

if TYPE_CHECKING:
    from bridge.audit.notes import Verifier
    from bridge.audit.report import Report

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
    "--key", "keys", multiple=True, help="A public key whose signatures count; several may be given."
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
    bridge audit verify --key "$(cat north.pub)" --anchors /mnt/worm/anchors.txt
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
    from bridge.audit.notes import Signer, Verifier

    if keys:
        try:
            return [Verifier.parse(each) for each in keys]
        except ValueError as wrong:
            raise click.BadParameter(str(wrong), param_hint="--key") from None
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


# The key.


@audit_command.group("key")
def key_command() -> None:
    """The key that signs checkpoints of the chain."""


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

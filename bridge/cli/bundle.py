"""``bridge bundle``: files as one bundle, which others than its author approve before a node runs by it."""

from __future__ import annotations

import os
from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE

KEY = click.option(
    "--key",
    "key_place",
    envvar="BRIDGE_APPROVAL_KEY",
    show_envvar=True,
    required=True,
    help="Your private key: a file that nobody else may read, or secret://file/NAME.",
)
APPROVERS = click.option(
    "--approvers", is_flag=True, help="The file of persons, approvals/approvers.yaml, and not the others."
)


@click.group("bundle", invoke_without_command=True)
@options.config
@options.environment
@options.journal
@APPROVERS
@click.option(
    "--replay",
    type=click.IntRange(0, 5000),
    default=200,
    show_default=True,
    help="So many of a journal's last messages are mapped by changed mappings and by those before.",
)
@options.output_format
@click.pass_context
def bundle_command(
    ctx: click.Context,
    directory: Path,
    environment: str | None,
    journal_url: str | None,
    *,
    approvers: bool,
    replay: int,
    output: str,
) -> int:
    """Show what changed in the files since they were approved, and who must agree.

    Each file that differs with what it says otherwise, what `bridge check` says, what breaks in changed
    contracts, what the tests of changed mappings go through, what changed mappings would make otherwise of
    the last messages of a journal, who must agree and who has. Exit status 1 where it is not approved.

    \b
    bridge bundle                                            what differs, and what is missing
    bridge bundle key alice                                  a key for alice
    bridge bundle propose --key alice.key --reason "..."     ask for approval
    bridge approve --key bob.key --reason "..."              agree
    """
    ctx.ensure_object(dict)
    if ctx.invoked_subcommand is not None:
        ctx.obj.update(directory=directory, environment=environment, journal_url=journal_url)
        ctx.obj.update(approvers=approvers)
        return DONE
    from bridge.cli.bundle_page import print_bundle, report_of, untested
    from bridge.cli.bundling import as_json, gather

    found = gather(directory, environment, journal_url, approvers=approvers)
    report = report_of(found, journal_url, replay)
    if output == "json":
        told = as_json(found)
        told["missing"] = [*untested(found, report.tests), *told["missing"]]
        out.json({**told, **report.as_json()})
    else:
        print_bundle(found, report)
    return DONE if found.verdict.may_run else ANSWER_IS_NO


@bundle_command.command("key")
@click.argument("name")
@click.option("--out", "path", type=click.Path(path_type=Path), help="Where it is kept.  [default: NAME.key]")
def key_command(name: str, path: Path | None) -> int:
    """Make a key for a person, or show the public half of one that is there.

    The private half stays with this person, in a file that nobody else may read; the line that is shown goes
    into approvals/approvers.yaml.

    \b
    bridge bundle key alice
    bridge bundle key alice --out ~/.config/bridge/alice.key
    """
    from bridge.audit.notes import KEY_BYTES, Signer
    from bridge.cli.bundling import signer
    from bridge.cli.new_files import new_file
    from bridge.config.names import is_name

    if not is_name(name):
        raise click.BadParameter("expected small letters, digits, '.', '-' and '_'", param_hint="NAME")
    place = path or Path(f"{name}.key")
    if place.exists():
        made = signer(str(place))
        if made.name != name:
            raise click.BadParameter(f"{place} is the key of {made.name}", param_hint="NAME")
    else:
        made = Signer(name, os.urandom(KEY_BYTES))
        with new_file(place, "--out") as file:
            file.write(f"{made.line}\n".encode())
        click.echo(f"{place}: the private key of {name}; nobody else may have it", err=True)
    click.echo(f"  {name}:\n    key: {made.verifier.line}\n    groups: []")
    return DONE


@bundle_command.command("propose")
@options.config
@options.environment
@options.journal
@KEY
@APPROVERS
@click.option("--whole", is_flag=True, help="As if nothing had been approved before: everybody must agree.")
@options.reason
def propose_command(
    directory: Path,
    environment: str | None,
    journal_url: str | None,
    key_place: str,
    *,
    approvers: bool,
    whole: bool,
    reason: str,
) -> int:
    """Ask that these files are approved, as their author.

    Writes the bundle into approvals/, with each file as it is, signed. Commit the folder with the files.

    \b
    bridge bundle propose --key alice.key --reason "new ward codes"
    bridge bundle propose --approvers --key alice.key --reason "dave joins oncall"
    """
    from bridge.cli.bundle_page import untested
    from bridge.cli.bundling import gather, name_of, now_us, signer
    from bridge.cli.signing import first_persons, must_be_known, propose

    who = signer(key_place)
    found = gather(directory, environment, journal_url, whole=whole, approvers=approvers)
    must_be_known(who, found.people)
    if found.state not in ("draft", "review"):
        click.echo(f"bundle {name_of(found.bundle)} is {found.state} already: nothing is to be proposed")
        return DONE
    if found.author and found.author != who.name:
        click.echo(f"{found.author} has proposed bundle {name_of(found.bundle)} already", err=True)
        return ANSWER_IS_NO
    at_us = now_us()
    written = [
        *first_persons(found, who, reason, at_us),
        *propose(directory, found.bundle, who, reason, at_us),
    ]
    for path in written:
        click.echo(path)
    for line in untested(found):
        click.echo(f"missing, before anybody can approve: {line}")
    needs = found.needs
    persons = "" if needs.persons == 1 else f", {needs.persons} persons in all"
    click.echo(
        f"bundle {name_of(found.bundle)} waits for somebody of {' and of '.join(needs.groups)}{persons}"
    )
    return DONE


@bundle_command.command("list")
@options.config
@options.journal
@options.output_format
def list_command(directory: Path, journal_url: str | None, output: str) -> int:
    """Show the bundles of a folder and of a journal, each with where it is in its life.

    \b
    bridge bundle list
    """
    from bridge.cli.signing import listed

    rows = listed(directory, journal_url)
    if output == "json":
        out.json(rows)
    else:
        columns = ("bundle", "of", "state", "author", "proposed", "by", "files")
        out.table("", columns, ([row[each] for each in columns] for row in rows), right=("files",))
    return DONE


@bundle_command.command("retire")
@click.argument("bundle")
@options.journal
@options.reason
def retire_command(bundle: str, journal_url: str | None, reason: str) -> int:
    """Let a BUNDLE that ran once never run again. The one that runs cannot be retired.

    \b
    bridge bundle retire 3f2a91c0d4e7 --reason "sends wards to the wrong API"
    """
    from bridge.cli.reading import ask

    click.echo(ask(journal_url, "bundle-retire", bundle=bundle, reason=reason)["done"])
    return DONE

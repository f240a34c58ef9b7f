"""``bridge approve``: agree to what somebody else has proposed."""

from __future__ import annotations

from pathlib import Path

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.bundle import APPROVERS, KEY
from bridge.cli.main import DONE


@click.command("approve")
@click.argument("bundle", required=False)
@options.config
@options.environment
@options.journal
@KEY
@APPROVERS
@click.option("--emergency", is_flag=True, help="Alone, for a while; it must be reviewed afterwards.")
@click.option("--for", "lasts", help="With --emergency: how long, a day at most.  [default: 24h]")
@options.reason
def approve_command(  # noqa: PLR0913 - each is an option
    bundle: str | None,
    directory: Path,
    environment: str | None,
    journal_url: str | None,
    key_place: str,
    *,
    approvers: bool,
    emergency: bool,
    lasts: str | None,
    reason: str,
) -> int:
    """Agree to the files of this folder, as somebody other than their author.

    See `bridge bundle` first: what changed and what it would change. BUNDLE, where you name it, must be what
    the files are, so that nobody signs what they have not seen. Writes your statement into approvals/; commit
    it. With --emergency one person of a group for emergencies lets the files run for a while, whatever they
    are about; `bridge status` tells of it until others have agreed too.

    \b
    bridge approve --key bob.key --reason "looked at the ward codes"
    bridge approve 3f2a91c0d4e7 --key carol.key --reason "amounts are right"
    bridge approve --emergency --for 4h --key dave.key --reason "wards wait"
    """
    from bridge.approvals.bundle import shown
    from bridge.approvals.statements import EMERGENCY_MAX_US
    from bridge.cli.bundle_page import untested
    from bridge.cli.bundling import gather, name_of, signer
    from bridge.cli.reading import Said
    from bridge.cli.signing import approve
    from bridge.units import parse_duration

    who = signer(key_place)
    found = gather(directory, environment, journal_url, approvers=approvers)
    digest = found.bundle.digest
    if bundle is not None and not (len(bundle) >= 8 and digest.startswith(bundle)):
        raise Said(
            f"the files here are bundle {shown(digest)}, not {bundle}: see `bridge bundle`, or get the files "
            "that you have looked at",
            1,
        )
    if not emergency and (few := untested(found)):
        raise Said("\n".join(few), 1)
    if lasts is not None and not emergency:
        raise click.UsageError("--for goes with --emergency")
    try:
        lasts_us = int(parse_duration(lasts or "24h") * 1_000_000) if emergency else None
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--for") from None
    if lasts_us is not None and not 0 < lasts_us <= EMERGENCY_MAX_US:
        raise click.BadParameter("expected more than 0s, and 24h at most", param_hint="--for")
    click.echo(approve(found, who, reason, lasts_us))
    after = gather(directory, environment, journal_url, approvers=approvers)
    verdict = after.verdict
    words = "; ".join(verdict.missing)
    if verdict.may_run and (why := after.refusal):
        raise Said(f"your statement is written, and no node on this journal runs by these files: {why}", 1)
    if verdict.approved:
        click.echo(f"bundle {name_of(found.bundle)} is approved by {verdict.words}")
    elif verdict.until_us is not None:
        until = out.moment(verdict.until_us)
        click.echo(f"bundle {name_of(found.bundle)} may run until {until}; its review needs: {words}")
    else:
        click.echo(f"bundle {name_of(found.bundle)} waits: {words}")
    return DONE

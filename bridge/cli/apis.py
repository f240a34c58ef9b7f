"""``bridge apis``: the catalogue with its traffic and health, and whether every call passed every policy."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.apis_documents import diff_command, lint_command
from bridge.cli.apis_drift import accept_command, drift_command, sunset_command, try_command
from bridge.cli.main import ANSWER_IS_NO, DONE
from bridge.cli.reading import ask_if_running, environment_in, reading
from bridge.errors import JournalRefused
from bridge.units import parse_duration

EXPORT_MAX_BYTES = 256 * 1024**2


@click.group("apis", invoke_without_command=True)
@click.pass_context
@options.config
@options.environment
@options.journal
@click.option("--last", default="24h", show_default=True, help="Calls of so long a while are counted.")
@click.option(
    "--seen-in",
    "seen_in",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="An export or log of the old engine: list what it calls and the catalogue does not have.",
)
@options.output_format
def apis_command(
    ctx: click.Context,
    directory: Path,
    environment: str | None,
    journal_url: str | None,
    last: str,
    seen_in: tuple[Path, ...],
    output: str,
) -> int:
    """List the APIs of the catalogue, with their traffic and health.

    What the old engine calls and the catalogue does not have is listed too: what taps pass on to, and
    what an export or log names (--seen-in).

    Who answers for each, whether it may be called, and what it may carry is from the files; the calls are
    from the journal, and what is left alone just now from the node, where one runs. Exit status 1 where a
    call of that while did not pass every policy, or something is called that the catalogue does not have.

    \b
    bridge apis --config /etc/bridge --environment prod
    bridge apis --last 7d --format json
    bridge apis --seen-in old-engine.xml
    """
    if ctx.invoked_subcommand is not None:
        return DONE
    from bridge.catalog import STANDARD
    from bridge.config.load import load

    try:
        since_us = int((time.time() - parse_duration(last)) * 1e6)
    except ValueError as wrong:
        raise click.BadParameter(str(wrong), param_hint="--last") from None
    environment = environment_in(directory, environment, journal_url)
    topology = load(directory, STANDARD, environment=environment)
    found = {name: _about(api) for name, api in sorted(topology.apis.items())}
    left_out = _traffic(found, journal_url, since_us)
    node = ask_if_running(journal_url, "status") if left_out is not None else None
    for name, each in found.items():
        said = None if node is None else node["apis"].get(name)
        each["health"] = "" if node is None else _health(said)
    strange = _unmanaged(topology.apis.values(), topology.channels.values(), seen_in)
    if output == "json":
        out.json({"apis": found, "left_out": left_out, "unmanaged": strange})
    else:
        _print(found, left_out, last)
        _print_versions(found)
        if strange:
            out.table(
                "not in the catalogue", ["host", "port"], ((host, port or "") for host, port in strange)
            )
        elif seen_in:
            click.echo("all that is called there is in the catalogue")
    return ANSWER_IS_NO if left_out or strange else DONE


def _unmanaged(
    apis: Iterable[Any], channels: Iterable[Any], seen_in: Iterable[Path]
) -> list[tuple[str, int]]:
    """Hosts and ports that these files name or taps pass on to, and no API of the catalogue stands for."""
    from bridge.governance.unmanaged import targets_in, unmanaged

    catalogue = [target for api in apis for target in targets_in(" ".join(_called(api.destination.options)))]
    seen = {each for file in seen_in for each in targets_in(_text(file))}
    for channel in channels:
        for tap in () if channel.legacy is None else channel.legacy.taps:
            passes = tap.http or tap.mllp
            seen.update(targets_in("" if passes is None else str(passes.pass_to)))
    return [(each.host, each.port) for each in unmanaged(sorted(seen), catalogue)]


def _called(destination: Any) -> Iterator[str]:
    """Where the options of a destination say that it calls, each as a URL or `tcp:HOST:PORT`."""
    for name in ("base_url", "fhir"):
        yield getattr(destination, name, "")
    if (mllp := getattr(destination, "mllp", None)) is not None:
        yield mllp.connect
    if (sftp := getattr(destination, "sftp", None)) is not None:
        yield f"sftp://{sftp.host}:{sftp.port}"
    events = getattr(destination, "events", None)
    for way in ("nats", "kafka", "http"):
        found = getattr(events, way, None)
        yield getattr(found, "url", "")
        for server in getattr(found, "servers", ()):
            yield server if "://" in server or server.startswith("tcp:") else f"tcp:{server}"


def _text(file: Path) -> str:
    with file.open("rb") as opened:
        data = opened.read(EXPORT_MAX_BYTES + 1)
    if len(data) > EXPORT_MAX_BYTES:
        raise click.BadParameter(
            f"{file} is larger than {EXPORT_MAX_BYTES // 1024**2} MiB", param_hint="--seen-in"
        )
    return data.decode("utf-8", "replace")


def _about(api: Any) -> dict[str, Any]:
    options_of = {each.component.name: each.options for each in api.policies}
    lifecycle, carries = options_of["lifecycle"], options_of["classify"]
    classes = [name for name in ("phi", "pii", "financial", "card", "special") if getattr(carries, name)]
    return {
        "layer": api.about.layer,
        "domain": api.about.domain,
        "version": api.about.version,
        "team": api.about.team,
        "oncall": api.about.oncall,
        "lifecycle": lifecycle.state,
        "sunset": None if lifecycle.sunset is None else lifecycle.sunset.isoformat(),
        "carries": classes,
        "calls": 0,
        "failed": 0,
        "open": 0,
        "quarantined": 0,
        "last_call_us": None,
        "notices": [],
        "contract": "" if api.contract is None else api.contract.name,
        "versions": [],
    }


def _traffic(
    found: Mapping[str, dict[str, Any]], journal_url: str | None, since_us: int
) -> dict[str, int] | None:
    """Add to each API what the journal knows of it; how many attempts left out which policies, by name.

    None where there is no journal yet.
    """
    from dataclasses import asdict

    from bridge.governance.order import BY_LETTER, left_out
    from bridge.journal.compliance import said, traffic
    from bridge.journal.drifts import versions_open
    from bridge.journal.notices import notices

    missing: dict[str, int] = {}
    try:
        with reading(journal_url) as reads:
            for row in reads(traffic, since_us=since_us):
                if row.api in found:
                    found[row.api].update(
                        calls=row.calls, failed=row.failed, open=row.open, quarantined=row.quarantined
                    )
                    found[row.api]["last_call_us"] = row.last_call_us
            for notice in reads(notices):
                if notice.api in found:
                    found[notice.api]["notices"].append(
                        {"operation": notice.operation, "sunset_us": notice.sunset_at_us}
                    )
            for version in reads(versions_open):
                if version.api in found:
                    found[version.api]["versions"].append(asdict(version))
            for kept in reads(said, since_us=since_us):
                if kept.cut_short or not (letters := left_out(kept.verdicts)):
                    continue
                names = ", ".join(BY_LETTER[each].name if each in BY_LETTER else each for each in letters)
                missing[names] = missing.get(names, 0) + kept.count
    except JournalRefused:
        return None
    return missing


def _print_versions(found: Mapping[str, dict[str, Any]]) -> None:
    """How much is open of each version of mappings and contracts, where there are several or a contract."""
    rows = [
        (name, each["mapping"], each["contract"], each["open"], each["quarantined"])
        for name, api in found.items()
        for each in api["versions"]
        if len(api["versions"]) > 1 or each["contract"]
    ]
    if rows:
        columns = ["API", "mapping", "contract", "open", "in quarantine"]
        out.table(
            "what is open, by the versions that made it", columns, rows, right=("open", "in quarantine")
        )


def _health(said: Mapping[str, Any] | None) -> str:
    """How the operations of an API stand in a running node, in words; the worst first."""
    if said is None:
        return "not in the running node"
    stopped = [
        f"{name}: {'; '.join(each['changed']) or each['reason'] or _failing(each) or each['state']}"
        for name, each in sorted(said["operations"].items())
        if each["state"] != "closed" or each["reason"] or each["failing"]
    ]
    return "; ".join([*(["paused"] if "api" in said["paused"] else []), *stopped]) or "called"


def _failing(operation: Mapping[str, Any]) -> str:
    return "" if operation["failing"] is None else f"failing, {operation['failing']['reason']}"


def _print(found: Mapping[str, dict[str, Any]], left_out: Mapping[str, int] | None, last: str) -> None:
    out.table(
        "APIs of the catalogue",
        ["API", "layer", "domain", "version", "owner", "lifecycle", "carries"],
        (
            (
                name,
                each["layer"],
                each["domain"],
                each["version"],
                " ".join(filter(None, (each["team"], each["oncall"]))),
                each["lifecycle"] + (f" until {each['sunset']}" if each["sunset"] else ""),
                ", ".join(each["carries"]),
            )
            for name, each in found.items()
        ),
    )
    if left_out is not None:
        out.table(
            f"calls of the last {last}",
            ["API", "calls", "failed", "open", "in quarantine", "last call", "now"],
            (
                (
                    name,
                    each["calls"],
                    each["failed"],
                    each["open"],
                    each["quarantined"],
                    out.moment(each["last_call_us"]) if each["last_call_us"] else "",
                    each["health"],
                )
                for name, each in found.items()
            ),
            right=("calls", "failed", "open", "in quarantine"),
        )
    for name, each in found.items():
        for notice in each["notices"]:
            ends = f" and ends {out.moment(notice['sunset_us'])}" if notice["sunset_us"] else ""
            click.echo(f"{name} says that {notice['operation']} is deprecated{ends}")
    if left_out is None:
        click.echo("there is no journal yet: calls are not counted")
        return
    calls = sum(each["calls"] for each in found.values())
    if left_out:
        for names, count in sorted(left_out.items()):
            click.echo(f"{count} calls of the last {last} did not pass: {names}")
    elif calls:
        click.echo(f"each call of the last {last} has passed every policy")


for _each in (drift_command, accept_command, try_command, sunset_command, diff_command, lint_command):
    apis_command.add_command(_each)

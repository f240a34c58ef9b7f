"""``bridge drill``: a proxy that breaks connections on purpose."""

from __future__ import annotations

import asyncio
import json
import signal
from pathlib import Path

import click

from bridge.cli import output
from bridge.cli.fault_proxy import FaultProxy
from bridge.cli.faults import FAULTS, ScriptRefused, Step, read_script, read_step
from bridge.cli.main import DONE
from bridge.errors import PeerUnavailable
from bridge.units import parse_duration

LISTEN_HOST = "127.0.0.1"


@click.command("drill")
@click.argument("listen", metavar="[HOST:]PORT")
@click.argument("target", metavar="HOST:PORT")
@click.option(
    "--step",
    "steps",
    multiple=True,
    metavar="FAULT [KEY=VALUE ...]",
    help="A step, as 'latency delay=200ms for=10s share=0.5'; may stand several times.",
)
@click.option(
    "--script",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    help='Steps from a file: JSON, [{"fault": "reset", "after": "100B", "for": "10s"}, ...].',
)
@click.option("--for", "lasts", metavar="DURATION", help="End after this.  [default: when told to]")
@click.option(
    "--list",
    "listing",
    is_flag=True,
    is_eager=True,
    help="Say what faults there are, and end.",
    expose_value=False,
    callback=lambda ctx, _param, asked: _say_faults(ctx) if asked else None,
)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Written once it listens, with its port as JSON.",
)
def drill_command(
    listen: str, target: str, *, steps: tuple[str, ...], script: Path | None, lasts: str | None,
    ready_file: Path | None,
) -> int:  # fmt: skip
    """Stand between two systems, and break their connections on purpose.

    Between a sender and the bridge, or the bridge and an API: let the one connect to [HOST:]PORT, and this
    connects to HOST:PORT. Steps follow each other, each for as long as it says; the last one stays. A step is
    for connections that are made while it lasts. Port 0 takes a free one. It passes bytes on and keeps none.

    \b
    bridge drill 2600 localhost:2575 --step 'latency delay=300ms'
    bridge drill 9000 api.test:80 --step 'pass for=1m' --step 'refuse for=5m'
    bridge drill 2600 localhost:2575 --script night.json --for 2h
    bridge drill --list
    """
    try:
        wanted = [*(read_script(script) if script is not None else ())]
        wanted += [_step(text) for text in steps]
        ends_s = None if lasts is None else parse_duration(lasts)
    except (ScriptRefused, ValueError) as refused:
        raise click.UsageError(str(refused)) from None
    host, port = _address(listen, LISTEN_HOST)
    return asyncio.run(_run((host, port), _address(target, None), tuple(wanted), ends_s, ready_file))


def _say_faults(ctx: click.Context) -> None:
    output.table("faults", ["fault", "what it does"], FAULTS.items())
    ctx.exit(DONE)


def _step(text: str) -> Step:
    fault, *words = text.split() or [""]
    row: dict[str, str] = {"fault": fault}
    for word in words:
        key, sign, value = word.partition("=")
        if not sign:
            raise ScriptRefused(f"--step {text!r}: expected KEY=VALUE after the fault, and found {word!r}")
        row[key] = value
    return read_step(row, f"--step {text!r}")


def _address(text: str, host: str | None) -> tuple[str, int]:
    before, _, port = text.rpartition(":")
    name = before.strip("[]") or host
    if name is None or not (port.isascii() and port.isdecimal() and int(port) <= 65535):
        raise click.UsageError(f"{text!r}: expected {'HOST:PORT' if host is None else '[HOST:]PORT'}")
    return name, int(port)


async def _run(
    listen: tuple[str, int],
    target: tuple[str, int],
    script: tuple[Step, ...],
    ends_s: float | None,
    ready_file: Path | None,
) -> int:
    proxy = FaultProxy(target, tell=lambda line: click.echo(line, err=True))
    try:
        port = await proxy.start(*listen)
    except OSError as error:
        raise PeerUnavailable(f"cannot listen on {listen[0]}:{listen[1]}: {error.strerror}") from None
    click.echo(f"listening on {listen[0]}:{port}, to {target[0]}:{target[1]}", err=True)
    if ready_file is not None:
        partial = ready_file.with_name(ready_file.name + ".partial")
        partial.write_text(json.dumps({"port": port}))
        partial.replace(ready_file)
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    steps = asyncio.create_task(proxy.run(script))
    try:
        await asyncio.wait_for(told.wait(), ends_s)
    except TimeoutError:
        pass
    finally:
        steps.cancel()
        await proxy.stop()
    for fault, count in sorted(proxy.counts.items()):
        click.echo(f"{output.count(count, 'connection')}: {fault}")
    return DONE

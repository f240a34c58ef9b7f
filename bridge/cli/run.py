"""``bridge run``."""

from __future__ import annotations

import gc
import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

import click
from twisted.internet.defer import Deferred

from bridge.catalog import STANDARD
from bridge.cli import options, reactor
from bridge.cli.main import DONE
from bridge.cli.worker import WorkerProcess
from bridge.config.approval_files import read_approvals
from bridge.config.load import load
from bridge.config.secrets import unavailable
from bridge.config.settings import settings
from bridge.config.topology import Topology
from bridge.errors import ConfigurationRefused
from bridge.observe.log import configure
from bridge.runtime.service import Plan, real_surroundings, start
from bridge.runtime.workers import WORKERS_MAX

SWITCH_S = 0.001
"""A thread that reads a file holds up the reactor's no longer than this; by default it is five times as
long."""


@click.command("run")
@options.config
@options.environment
@options.journal
@click.option(
    "--admin-port",
    type=click.IntRange(0, 65535),
    envvar="BRIDGE_ADMIN_PORT",
    show_envvar=True,
    help="Port on loopback of /healthz, /readyz and /metrics.  [default: 8585; 0: any free one]",
)
@click.option(
    "--ready-file",
    type=click.Path(path_type=Path),
    help="Written once messages are taken, with the port of each channel as JSON.",
)
@click.option(
    "--workers",
    type=click.IntRange(0, WORKERS_MAX),
    default=0,
    show_default=True,
    help="Processes that read, map and release messages, beside the one that takes and sends them.",
)
@click.option("--commit-items", type=click.IntRange(1), hidden=True, help="Items of one commit at most.")
def run_command(
    directory: Path,
    environment: str | None,
    journal_url: str | None,
    admin_port: int | None,
    ready_file: Path | None,
    workers: int,
    commit_items: int | None,
) -> int:
    """Run the channels of a configuration folder.

    SIGTERM or Ctrl-C ends it once calls under way have ended; a second one ends it at once. SIGHUP reads the
    files again, as `bridge reload` does.

    \b
    bridge run --config /etc/bridge --journal sqlite:////var/lib/bridge/journal.db
    bridge run --config /etc/bridge --environment prod
    """
    machine = settings(os.environ)

    def read() -> Topology:
        found = load(directory, STANDARD, environment=environment)
        if missing := unavailable(found.secrets, machine.secrets):
            raise ConfigurationRefused(missing)
        return found

    topology = read()
    for warning in topology.warnings:
        click.echo(f"warning: {warning}", err=True)
    configure()
    plan = Plan(
        topology,
        journal_url or machine.journal,
        machine.secrets.resolve,
        machine.admin_port if admin_port is None else admin_port,
        machine.state,
        load=read,
        journal_keys=machine.journal_keys,
        traces=machine.traces,
        traces_headers=machine.traces_headers,
        disk_reserve=machine.disk_reserve,
        approvals=machine.approvals,
        read_approvals=partial(read_approvals, directory),
        audit=machine.audit,
        commit_items_max=commit_items,
        workers=workers,
        spawn=partial(WorkerProcess, directory, environment),
    )

    async def run(the_reactor: Any, told_to_stop: Deferred[None]) -> int:
        node = await start(plan, real_surroundings(the_reactor))
        reactor.on_hangup(node.reload_by_signal)
        for name, port in node.addresses().items():
            click.echo(f"{name}: listening on port {port}", err=True)
        click.echo("ready", err=True)
        if ready_file is not None:
            # In one step, so that whoever waits for it never reads half of it.
            partial = ready_file.with_name(ready_file.name + ".partial")
            partial.write_text(json.dumps(dict(node.addresses())))
            partial.replace(ready_file)
        # What start-up made stays; the collector need not look at it again.
        gc.collect()
        gc.freeze()
        await told_to_stop
        await node.stop()
        return DONE

    sys.setswitchinterval(SWITCH_S)
    return reactor.run(run)

"""``bridge run``."""

from __future__ import annotations

import json
import os
import sys
import time
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import click
import structlog
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.task import LoopingCall

from bridge.catalog import STANDARD
from bridge.cli import options, reactor
from bridge.cli.journal_writer import WriterProcess
from bridge.cli.main import COULD_NOT_RUN, DONE
from bridge.cli.memory import give_back, one_heap, settle
from bridge.cli.output import say
from bridge.cli.worker import WorkerProcess
from bridge.config.approval_files import read_approvals
from bridge.config.compiled import Compiled
from bridge.config.load import load
from bridge.config.secrets import lines_of, unavailable
from bridge.config.settings import settings
from bridge.config.topology import Topology
from bridge.errors import ConfigurationRefused
from bridge.observe.log import configure
from bridge.runtime.service import Plan, real_surroundings, start
from bridge.runtime.workers import WORKERS_MAX

log = structlog.get_logger("bridge.run")

GIVE_BACK_EVERY_S = 30.0
ANEW, GIVEN_UP = -1, -2
"""In the place of a status: there is no writer any more, and this process is to be another one, or none."""
ANEW_AFTER_S = 3.0
"""A node that ran for less does not begin anew by itself: what ended its writer would end the next one."""
WRITER_LOST = (
    "the process that writes the journal has ended, and with it this node; nothing acknowledged is lost"
)
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
@click.option(
    "--writer",
    type=click.Choice(("process", "thread")),
    default="process",
    show_default=True,
    help="Where the journal is written: in a process of its own, or in a thread of this one, which needs "
    "less memory and takes half as many messages.",
)
@click.option("--commit-items", type=click.IntRange(1), hidden=True, help="Items of one commit at most.")
def run_command(
    directory: Path,
    environment: str | None,
    journal_url: str | None,
    admin_port: int | None,
    ready_file: Path | None,
    workers: int,
    writer: str,
    commit_items: int | None,
) -> int:
    """Run the channels of a configuration folder.

    SIGTERM or Ctrl-C ends it once calls under way have ended; a second one ends it at once. SIGHUP reads the
    files again, as `bridge reload` does.

    \b
    bridge run --config /etc/bridge --journal sqlite:////var/lib/bridge/journal.db
    bridge run --config /etc/bridge --environment prod
    """
    one_heap()
    machine = settings(os.environ)
    # The writer now, so that it begins while the files are read.
    with WriterProcess() if writer == "process" else nullcontext() as apart:
        before = Compiled()

        def read() -> Topology:
            found = load(directory, STANDARD, environment=environment, before=before)
            if missing := unavailable(found.secrets, machine.secrets, lines_of(found)):
                raise ConfigurationRefused(missing)
            return found

        topology = read()
        for warning in topology.warnings:
            say(f"warning: {warning}")
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
            apart=apart,
        )
        sys.setswitchinterval(SWITCH_S)
        ended = reactor.run(partial(_run, plan, ready_file))
    if ended in {ANEW, GIVEN_UP}:
        _end_without_journal(ready_file, anew=ended == ANEW)
    return ended


async def _run(plan: Plan, ready_file: Path | None, the_reactor: Any, told_to_stop: Deferred[None]) -> int:
    """Start a node, say so, and run it until told to stop, or as long as the journal can be written."""
    node = await start(plan, real_surroundings(the_reactor))
    ready_s = time.monotonic()
    reactor.on_hangup(node.reload_by_signal)
    for name, port in node.addresses().items():
        say(f"{name}: listening on port {port}")
    say("ready")
    if ready_file is not None:
        # In one step, so that whoever waits for it never reads half of it.
        partly = ready_file.with_name(ready_file.name + ".partial")
        partly.write_text(json.dumps(dict(node.addresses())))
        partly.replace(ready_file)
    settle()
    LoopingCall(give_back).start(GIVE_BACK_EVERY_S, now=False)
    ends: list[Deferred[Any]] = [told_to_stop, node.journal.writer.lost]
    reason, _ = await DeferredList(ends, fireOnOneCallback=True)
    if reason is None:
        await node.stop()
        return DONE
    log.error("journal-writer-lost", reason=reason)
    if node.workers is not None:
        await node.workers.stop()
    return ANEW if time.monotonic() - ready_s > ANEW_AFTER_S else GIVEN_UP


def _end_without_journal(ready_file: Path | None, *, anew: bool) -> NoReturn:
    """Be a new process, or none, as after any other end without warning: what counts is in the journal."""
    words = "starting anew" if anew else "it ended soon after the start, so look at what ends it"
    say(f"error: {WRITER_LOST}; {words}")
    if ready_file is not None:
        ready_file.unlink(missing_ok=True)
    with suppress(OSError):
        sys.stdout.flush()
        sys.stderr.flush()
    if anew:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - our own words
    os._exit(COULD_NOT_RUN)

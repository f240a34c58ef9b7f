"""``bridge doctor``: what would go wrong on this machine, before it does."""

from __future__ import annotations

import errno
import os
import re
import shutil
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from bridge.cli import options
from bridge.cli import output as out
from bridge.cli.main import ANSWER_IS_NO, DONE

if TYPE_CHECKING:
    from bridge.config.topology import Topology

DISK_FREE_MIN_BYTES = 1024**3
DESCRIPTORS_MIN = 4096
CLOCK_BEGIN_S = 1_750_000_000
"""A clock before mid-2025 has lost its time."""

Grade = Literal["good", "warning", "bad"]


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    about: str
    grade: Grade
    found: str
    advice: str = ""


def _python() -> Iterator[Finding]:
    found = ".".join(map(str, sys.version_info[:3]))
    good = sys.version_info >= (3, 11)
    yield Finding(
        "Python", "good" if good else "bad", found, "" if good else "Python 3.11 or newer is needed"
    )


def _sqlite() -> Iterator[Finding]:
    from bridge.journal.sqlite import sqlite_module, wal_is_safe

    module = sqlite_module()
    safe = wal_is_safe(module.sqlite_version_info)
    yield Finding(
        "SQLite",
        "good" if safe else "warning",
        f"{module.sqlite_version} of {module.__name__.partition('.')[0]}",
        ""
        if safe
        else "this version can lose data in WAL mode, so the journal runs without it, slower; "
        "install SQLite 3.51.3 or newer, or pysqlite3",
    )


def _journal(journal_url: str | None) -> Iterator[Finding]:
    from bridge.config.settings import settings
    from bridge.errors import BridgeError
    from bridge.journal.database import named
    from bridge.journal.denied import denied

    machine = settings(os.environ)
    try:
        kind = named(journal_url or machine.journal, state=machine.state)
    except BridgeError as error:
        yield Finding("journal", "bad", str(error))
        return
    if kind.file is not None:
        yield from _file(kind.file)
    try:
        if not kind.exists():
            yield Finding("journal", "good", f"{kind.name} does not exist yet; `bridge run` makes it")
            return
        yield from _database(journal_url)
    except BridgeError as error:
        yield Finding("journal", "bad", str(error))
    except OSError as error:
        if not (why := denied(error)):
            raise
        yield Finding("journal", "bad", why)


def _file(path: Path) -> Iterator[Finding]:
    folder = next(parent for parent in path.absolute().parents if parent.exists())
    free = shutil.disk_usage(folder).free
    yield Finding(
        "disk",
        "good" if free >= DISK_FREE_MIN_BYTES else "bad",
        f"{free / 1024**3:.1f} GiB free at {folder}",
        "" if free >= DISK_FREE_MIN_BYTES else "a full disk answers every sender AE: free at least 1 GiB",
    )
    writable = os.access(folder, os.W_OK)
    yield Finding(
        "journal folder",
        "good" if writable else "bad",
        f"{folder} {'can' if writable else 'cannot'} be written",
        "" if writable else "give this user the right to write there, or name another with --journal",
    )


def _database(journal_url: str | None) -> Iterator[Finding]:
    from bridge.cli.reading import database
    from bridge.journal.database import check_version

    journal = database(journal_url)
    try:
        for words in journal.at_risk():
            yield Finding("durability", "bad", words, "see postgresql.conf, or ask who looks after it")
        if why := journal.hindrances():
            for words in why:
                yield Finding("journal", "bad", words, "ask who looks after the server")
            return
        if journal.is_new():
            yield Finding("journal", "good", f"{journal.name} is empty; `bridge run` makes its tables")
            return
        check_version(journal)
        size = "" if journal.file is None else f", {journal.file.stat().st_size / 1024**2:.1f} MiB"
        yield Finding("journal", "good", f"{journal.name}{size}")
    finally:
        journal.close()


def _limits() -> Iterator[Finding]:
    import resource

    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    good = soft >= DESCRIPTORS_MIN or soft == resource.RLIM_INFINITY
    yield Finding(
        "open files",
        "good" if good else "warning",
        f"{soft} allowed",
        "" if good else f"each connection takes one: allow {DESCRIPTORS_MIN} (ulimit -n, LimitNOFILE=)",
    )


def _clock() -> Iterator[Finding]:
    import time

    now_s = time.time()
    good = now_s > CLOCK_BEGIN_S
    yield Finding(
        "clock",
        "good" if good else "bad",
        out.moment(int(now_s * 1e6)),
        "" if good else "the clock stands in the past: set it, and keep it with NTP",
    )


def _reactor() -> Iterator[Finding]:
    from importlib.metadata import version

    try:
        import uvloop  # noqa: F401 - whether it is there is the question
    except ImportError:
        yield Finding("event loop", "warning", "asyncio", "install uvloop: it takes half the processor time")
    else:
        yield Finding("event loop", "good", f"uvloop {version('uvloop')}")


def _configuration(directory: Path, environment: str | None, journal_url: str | None) -> Iterator[Finding]:
    if not (directory / "channels").is_dir():
        # Where no folder was named, somebody may look at the machine alone.
        grade: Grade = "warning" if directory == Path() else "bad"
        yield Finding("configuration", grade, f"no channels/ in {directory}", "name its folder with --config")
        return
    from bridge.catalog import STANDARD
    from bridge.config.load import check, load
    from bridge.config.secrets import lines_of, unavailable
    from bridge.config.settings import settings
    from bridge.errors import ConfigurationRefused

    try:
        topology = load(directory, STANDARD, environment=environment)
    except ConfigurationRefused as refused:
        checked = check(directory, STANDARD, environment=environment)
        if environment is None and checked.environments and checked.topology is not None:
            names = " or ".join(checked.environments)
            found = "no mistakes; what differs between environments was not looked at"
            yield Finding("configuration", "warning", found, f"say --environment {names}")
        elif len(refused.mistakes) == 1:
            yield Finding("configuration", "bad", str(refused.mistakes[0]))
        else:
            found = f"{len(refused.mistakes)} mistakes"
            yield Finding("configuration", "bad", found, "`bridge check` shows them")
        return
    if topology.environment is not None:
        kind = "production" if topology.production else "not production"
        yield Finding("environment", "good", f"{topology.environment}, {kind}")
    yield Finding(
        "configuration",
        "good",
        f"{out.count(len(topology.channels), 'channel')}, {out.count(len(topology.apis), 'API')}",
    )
    lines = lines_of(topology)
    for problem in unavailable(topology.secrets, settings(os.environ).secrets, lines):
        yield Finding("secret", "bad", str(problem), "provide it before `bridge run`")
    yield from _ends(topology, journal_url)
    for api in topology.apis.values():
        if (folder := getattr(api.destination.options, "file", None)) is not None:
            yield _folder(api.name, folder.directory)
    from bridge.cli.doctor_tls import findings

    yield from findings(topology, settings(os.environ).secrets.resolve)
    from bridge.cli.doctor_sftp import findings as of_servers

    yield from of_servers(topology, settings(os.environ).secrets.resolve)
    from bridge.cli.doctor_fhir import findings as of_fhir

    yield from of_fhir(topology)
    from bridge.cli.doctor_events import findings as of_streams

    yield from of_streams(topology, settings(os.environ).secrets.resolve)
    for channel in topology.channels.values():
        source = channel.source.options
        if hasattr(source, "listen"):
            yield _port(channel.name, source)
        elif channel.source.component.name == "file_drop" and (drop := getattr(source, "directory", None)):
            yield _folder(channel.name, drop)
            yield from _folders_elsewhere(channel.name, source)


def _ends(topology: Topology, journal_url: str | None) -> Iterator[Finding]:
    """What of the catalogue ends soon, or has: by files, contracts and what answers have said."""
    from bridge.cli.reading import reading
    from bridge.errors import BridgeError
    from bridge.journal.notices import notices
    from bridge.runtime.calendar import SOON_DAYS, VERY_SOON_DAYS, calendar

    try:
        with reading(journal_url) as reads:
            said = reads(notices)
    except BridgeError:
        said = []
    now_us = int(time.time() * 1e6)
    for each in calendar(topology.apis, said):
        days = each.days_left(now_us)
        if days is None or days >= SOON_DAYS:
            continue
        name = f"{each.api}/{each.operation}" if each.operation else each.api
        found = f"{name} ends in {days} days" if days >= 0 else f"{name} has ended"
        advice = "`bridge apis sunset` shows by whose word; send to its successor before then"
        yield Finding("end of an API", "bad" if days < VERY_SOON_DAYS else "warning", found, advice)


def _folders_elsewhere(channel: str, source: Any) -> Iterator[Finding]:
    """Those that are not below the place of the files, and are not made by the bridge."""
    for key in ("done", "errors", "answers", "rejects"):
        if os.path.isabs(into := getattr(source, key) or ""):
            yield _folder(f"{channel} ({key})", into)


def _folder(api: str, directory: str) -> Finding:
    good = os.path.isdir(directory) and os.access(directory, os.W_OK | os.X_OK)
    found = f"{directory} {'can' if good else 'cannot'} be written"
    advice = "" if good else "make it, and give this user the right to write there"
    return Finding(f"folder of {api}", "good" if good else "bad", found, advice)


def _admin_port() -> Iterator[Finding]:
    from bridge.config.settings import ADMIN_INTERFACE, settings

    port = settings(os.environ).admin_port
    yield _listening("admin port", ADMIN_INTERFACE, port, "with BRIDGE_ADMIN_PORT or --admin-port")


def _port(channel: str, source: Any) -> Finding:
    _, port, *rest = re.split(r"(?<!\\):", source.listen)
    host = next((each.removeprefix("interface=") for each in rest if each.startswith("interface=")), "")
    if not host and source.listen.startswith("tcp6:"):
        host = "::"
    return _listening(f"port of {channel}", host.replace("\\:", ":"), int(port), "in the channel file")


def _listening(about: str, host: str, port: int, where: str) -> Finding:
    """Whether a port can be listened on; ``where`` another one is named."""
    from bridge.runtime.door import free_it

    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen()
        except OSError as error:
            found, advice = f"{port}: {error.strerror}", free_it(error, where)
            if error.errno == errno.EADDRINUSE:
                return Finding(about, "warning", found, f"a node may be running already; else {advice}")
            return Finding(about, "bad", found, advice)
    return Finding(about, "good", f"{port} is free")


@click.command("doctor")
@options.config
@options.environment
@options.journal
@options.output_format
def doctor_command(directory: Path, environment: str | None, journal_url: str | None, output: str) -> int:
    """Look for what would go wrong on this machine.

    Changes nothing; where files are taken from a server, a small one of its own is made in the folders
    into which they are put, and removed. Exit status 1 where something is bad; warnings do not count.

    \b
    bridge doctor --config /etc/bridge
    """
    findings = [
        *_python(),
        *_sqlite(),
        *_journal(journal_url),
        *_limits(),
        *_clock(),
        *_reactor(),
        *_admin_port(),
        *_configuration(directory, environment, journal_url),
    ]
    if output == "json":
        from dataclasses import asdict

        out.json([asdict(finding) for finding in findings])
    else:
        marks = {"good": "✓", "warning": "!", "bad": "✗"}
        out.table(
            "",
            ["", "about", "found", "advice"],
            ((marks[f.grade], f.about, f.found, f.advice) for f in findings),
        )
    return ANSWER_IS_NO if any(finding.grade == "bad" for finding in findings) else DONE

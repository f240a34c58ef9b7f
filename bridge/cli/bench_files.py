"""What `bridge bench files` measures: one large file from a folder and from a server, and its limits in the
same run; and each format beside bare readers.

A file counts as taken once its bytes are on disk beside the journal, looked through, and their digests in it.
Its messages are of a type that the channel ignores, so that they are journaled and nothing else is measured.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final

import click

from bridge.cli import output as out
from bridge.cli.bench_formats import LIMITS as FORMAT_LIMITS
from bridge.cli.bench_formats import measure_formats
from bridge.cli.demo_site import write_site
from bridge.cli.fake_sftp import PASSWORD, USER
from bridge.cli.processes import BridgeProcess, running
from bridge.cli.synthetic import admission
from bridge.journal.database import Database
from bridge.journal.taken_files import TakenFile, newest_files

SIZE_BYTES: Final = 1024**3
QUICK_SIZE_BYTES: Final = 128 * 1024**2
MESSAGE_BYTES: Final = 16 * 1024
PIECE_BYTES: Final = 1024**2
SAMPLE_EVERY_S: Final = 0.02
WAIT_MAX_S: Final = 900.0
MIB: Final = 1024**2
LIMITS: Final = FORMAT_LIMITS | {
    "folder / copy": 0.2,
    "sftp / copy": 0.2,
    "rss_folder_mib": 64.0,
    "rss_sftp_mib": 64.0,
}
"""The least that a ratio, and the most that memory above the idle bridge, may come to."""


def measure_files(folder: Path, *, quick: bool) -> dict[str, float]:
    """All figures of one round: MiB a second, MiB of memory above the idle bridge, and ratios."""
    size = QUICK_SIZE_BYTES if quick else SIZE_BYTES
    click.echo(f"a file of {size // MIB} MiB, in messages of {MESSAGE_BYTES // 1024} KiB …", err=True)
    made = folder / "made.hl7"
    _make(made, size)
    found = {"copy_mib_s": _copied(made, folder / "copied")}
    for name, take in (("folder", _from_folder), ("sftp", _from_server)):
        click.echo(f"from {name} …", err=True)
        home = folder / name
        home.mkdir()
        found |= take(home, made, size)
        shutil.rmtree(home)
    again = _copied(made, folder / "copied")
    found["copy_mib_s"] = (found["copy_mib_s"] + again) / 2
    made.unlink()
    found |= measure_formats(folder, quick=quick)
    for name in ("folder", "sftp"):
        found[f"{name} / copy"] = found[f"{name}_taken_mib_s"] / found["copy_mib_s"]
    return found


def tell(figures: dict[str, float], output: str) -> None:
    """Print them, with what each is held against."""
    if output == "json":
        out.json({name: round(value, 3) for name, value in figures.items()})
        return
    rows = []
    for name, value in figures.items():
        limit = LIMITS.get(name)
        rule = "" if limit is None else f"at most {limit:g}" if "rss" in name else f"at least {limit:g}"
        rows.append((name, f"{value:,.2f}", rule))
    out.table("", ["figure", "value", "held against"], rows, right=["value"])


def _make(path: Path, size: int) -> None:
    body = admission(1, 1, "A01", control_id="", facility="NORTH").body
    with path.open("wb") as file:
        number = 0
        while file.tell() < size:
            number += 1
            head = body.replace(b"ADT^A01^ADT_A01|", f"ADT^A60^ADT_A60|B{number:09}".encode())
            file.write(head + b"ZZZ|" + b"x" * (MESSAGE_BYTES - len(head) - 5) + b"\r")


def _copied(source: Path, target: Path) -> float:
    """A plain copy with SHA-256, to the disk: MiB a second."""
    began_s = time.monotonic()
    digest = hashlib.sha256()
    with source.open("rb") as reading, target.open("wb") as writing:
        while data := reading.read(PIECE_BYTES):
            digest.update(data)
            writing.write(data)
        writing.flush()
        os.fsync(writing.fileno())
        size = reading.tell()
    took_s = time.monotonic() - began_s
    target.unlink()
    return size / MIB / took_s


def _from_folder(home: Path, made: Path, size: int) -> dict[str, float]:
    incoming = home / "incoming"
    incoming.mkdir()
    source = f"file_drop: {{directory: {incoming}, finished: renamed, poll: 100ms}}"
    figures = _taken(home, source, incoming, made, size)
    return {key.replace("NAME", "folder"): value for key, value in figures.items()}


def _from_server(home: Path, made: Path, size: int) -> dict[str, float]:
    root = home / "root"
    root.mkdir()
    secrets = home / "secrets"
    secrets.mkdir()
    (secrets / "sftp").write_text(PASSWORD)
    (secrets / "sftp").chmod(0o600)
    os.environ["BRIDGE_SECRETS"] = str(secrets)
    try:
        with running("bridge.cli.fake_sftp", f"--root={root}") as server:
            said = json.loads(server.line())
            login = f"port: {said['port']}, user: {USER}, password: secret://file/sftp"
            rules = "finished: renamed, poll: 100ms, directory: /"
            source = f'sftp: {{host: 127.0.0.1, {login}, host_keys: ["{said["host_key"]}"], {rules}}}'
            figures = _taken(home, source, root, made, size)
    finally:
        del os.environ["BRIDGE_SECRETS"]
    return {key.replace("NAME", "sftp"): value for key, value in figures.items()}


def _taken(home: Path, source: str, place: Path, made: Path, size: int) -> dict[str, float]:
    nobody = "http://127.0.0.1:9"
    site = write_site(home / "site", patients_url=nobody, encounters_url=nobody, otherwise="ignore")
    channel = next((site / "channels").glob("*.yaml"))
    channel.write_text(re.sub(r"mllp: .*", source, channel.read_text()))
    journal = home / "journal.db"
    node = BridgeProcess(site, journal, home / "log")
    database = Database(f"sqlite:///{journal}")
    try:
        time.sleep(1.0)
        memory = _Memory(node.pid)
        memory.start()
        shutil.copyfile(made, place / ".copy.tmp")
        began_s = time.monotonic()
        (place / ".copy.tmp").rename(place / "large.hl7")
        _wait(database, lambda file: bool(file.sha256))
        taken_s = time.monotonic() - began_s
        rss_taken_mib = memory.most_mib
        last = _wait(database, lambda file: file.state != "TAKEN")
        split_s = time.monotonic() - began_s
        memory.end()
        assert last.state == "SPLIT", f"the file is {last.state}: {last.reason}"
        return {
            "NAME_taken_mib_s": size / MIB / taken_s,
            "NAME_split_mib_s": size / MIB / split_s,
            "NAME_messages_s": last.messages / (split_s - taken_s),
            "rss_NAME_mib": rss_taken_mib,
            "rss_NAME_split_mib": memory.most_mib,
        }
    finally:
        database.close()
        node.stop()


def _wait(database: Database, true: Callable[[TakenFile], bool]) -> TakenFile:
    give_up_s = time.monotonic() + WAIT_MAX_S
    while True:
        with database.reader.begin() as connection:
            found = newest_files(connection, channel=None, state=None, limit=1)
        if found and true(found[0]):
            return found[0]
        if time.monotonic() > give_up_s:
            raise click.ClickException("the file was not taken in time; the bridge's log says why")
        time.sleep(SAMPLE_EVERY_S)


class _Memory(threading.Thread):
    """The most memory that a process had above what it has now, looked at again and again."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self._file = Path(f"/proc/{pid}/status")
        self._idle_mib = self._now_mib()
        self.most_mib = 0.0
        self._ended = threading.Event()

    def _now_mib(self) -> float:
        found = re.search(r"VmRSS:\s+(\d+) kB", self._file.read_text())
        return 0.0 if found is None else int(found[1]) / 1024

    def run(self) -> None:
        while not self._ended.wait(SAMPLE_EVERY_S):
            self.most_mib = max(self.most_mib, self._now_mib() - self._idle_mib)

    def end(self) -> None:
        self._ended.set()
        self.join()

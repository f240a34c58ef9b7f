"""What a user may not do is said with the path, whose it is and what to do, and is no fault of the bridge."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from command_line import Ended, bridge

from bridge.cli.demo_site import write_site
from bridge.journal.database import Database, upgrade
from bridge.journal.denied import denied

NOBODY = 65534


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can reach."""
    folder = Path(tempfile.mkdtemp(prefix="bridge-rights-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        for each in folder.iterdir():
            if each.is_dir():
                each.chmod(0o700)
        shutil.rmtree(folder)


@contextmanager
def another_user() -> Iterator[None]:
    """Until the block ends, this process has not the rights of root."""
    before = os.geteuid()
    if before == 0:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(before)


def journal(folder: Path) -> str:
    folder.mkdir()
    url = f"sqlite:///{folder / 'journal.db'}"
    made = Database(url, create=True)
    upgrade(made, random_bytes=os.urandom)
    made.close()
    return url


def is_said(ended: Ended, path: Path, what: str) -> None:
    assert ended.status == 3, ended.said
    assert "fault of the bridge" not in ended.said
    assert str(path) in ended.err
    assert f"may not {what}" in ended.err
    assert "run this as root" in ended.err or "change its rights" in ended.err


READING = {
    "status": ("status",),
    "journal verify": ("journal", "verify"),
    "journal keys list": ("journal", "keys", "list"),
    "legal-hold list": ("legal-hold", "list"),
    "audit verify": ("audit", "verify"),
    "messages": ("messages",),
    "journal compact": ("journal", "compact"),
    "journal upgrade": ("journal", "upgrade"),
}


@pytest.mark.parametrize("command", READING)
def test_who_may_not_enter_the_folder_of_a_journal_is_told_whose_it_is(command: str, place: Path) -> None:
    url = journal(place / "of-root")
    (place / "of-root").chmod(0)
    with another_user():
        is_said(bridge(*READING[command], "--journal", url), place / "of-root", "enter")


def test_a_doctor_that_may_not_enter_the_folder_goes_on(place: Path) -> None:
    url = journal(place / "of-root")
    site = write_site(place / "site", patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9")
    # What it imports may be out of reach afterwards.
    assert "may not enter" not in bridge("doctor", "--config", site, "--journal", url).out
    (place / "of-root").chmod(0)
    with another_user():
        ended = bridge("doctor", "--config", site, "--journal", url)
    assert ended.status == 1, ended.said
    assert "open files" in ended.out
    assert "may not enter" in " ".join(ended.out.split())


def test_who_may_not_write_is_told_where(place: Path) -> None:
    url = journal(place / "here")
    backup = place / "backup.db"
    assert bridge("journal", "backup", backup, "--journal", url).status == 0
    for each in (backup, place / "backup.db.sha256", place / "here" / "journal.db"):
        each.chmod(0o666)
    closed = place / "closed"
    closed.mkdir(mode=0o555)
    (place / "here").chmod(0o777)
    secrets = {"BRIDGE_SECRETS": str(closed), "BRIDGE_JOURNAL_KEYS": "secret://file/journal-keys"}
    with another_user(), pytest.MonkeyPatch.context() as patch:
        restored = bridge("journal", "restore", backup, f"sqlite:///{closed / 'journal.db'}")
        is_said(restored, closed, "write in")
        is_said(bridge("journal", "backup", closed / "x.db", "--journal", url), closed, "write in")
        for name, value in secrets.items():
            patch.setenv(name, value)
        is_said(bridge("journal", "keys", "new"), closed, "write in")
    assert os.listdir(closed) == []


def test_who_may_only_read_a_journal_is_told_what_reading_takes(place: Path) -> None:
    url = journal(place / "here")
    (place / "here").chmod(0o555)
    (place / "here" / "journal.db").chmod(0o444)
    with another_user():
        ended = bridge("status", "--journal", url)
    assert ended.status == 3, ended.said
    assert "run this as the user that it belongs to" in ended.err


@contextmanager
def only_read(folder: Path) -> Iterator[bool]:
    """A disk that can only be read; False where this user may not mount one."""
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "ro,size=1m", "tmpfs", str(folder)]
    mounted = os.geteuid() == 0 and subprocess.run(command, capture_output=True, check=False).returncode == 0
    try:
        yield mounted
    finally:
        if mounted:
            subprocess.run(["umount", str(folder)], check=True)


def test_a_disk_that_can_only_be_read_is_said_to_be_one(place: Path) -> None:
    url, target = journal(place / "here"), place / "disk" / "x.db"
    told = denied(OSError(errno.EROFS, os.strerror(errno.EROFS), str(target)))
    assert told.startswith(f"{target}: Read-only file system; its disk can only be read")
    with only_read(place / "disk") as mounted:
        for command in (
            ("journal", "backup", target, "--journal", url),
            ("journal", "restore", place / "here" / "journal.db", f"sqlite:///{target}"),
        ):
            if mounted:
                ended = bridge(*command)
                assert (ended.status, str(target.parent) in ended.err) == (3, True), ended.said
                assert "its disk can only be read" in ended.err

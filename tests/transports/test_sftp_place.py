"""A folder on a real SFTP server: what is seen, read, claimed and put away, and what happens when it
breaks."""

from __future__ import annotations

import errno
import io
import os
import shutil
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import paramiko
import pytest
from sftp_doors import options, secrets, sftp_server

from bridge.cli.fake_sftp import FakeSftp
from bridge.errors import PeerUnavailable
from bridge.ssh.failures import ServerUnavailable
from bridge.transports import sftp_place
from bridge.transports.base import Fate, FileChanged, FileGone, FileUnusable, Odd
from bridge.transports.collecting import Claimed, End
from bridge.transports.sftp_place import SftpFolder
from bridge.transports.watching import Ready, Rules, Watch

GOOD = End(Fate(7, good=True), None)
BAD = End(Fate(8, good=False, reason="empty"), b'{"reason": "empty"}\n')


@contextmanager
def folder(root: Path, **more: Any) -> Iterator[tuple[FakeSftp, SftpFolder]]:
    with sftp_server(root) as server:
        place = SftpFolder(options(server, **more), secrets, lambda: 0.0)
        try:
            yield server, place
        finally:
            place.close()


def read_all(place: SftpFolder, claimed: Claimed) -> bytes:
    incoming = place.open(claimed)
    parts = []
    while data := incoming.read(100_000):
        parts.append(data)
    assert incoming.unchanged()
    incoming.close()
    return b"".join(parts)


def in_place(place: SftpFolder) -> list[Claimed]:
    return [Claimed(seen, None) for seen in sorted(place.look()[0], key=lambda seen: seen.name)]


@pytest.mark.parametrize("size", [0, 1, 32_768, 32_769, 100_000, 5_000_000])
def test_a_file_is_read_as_it_is(tmp_path: Path, size: int) -> None:
    content = os.urandom(size)
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(content)
        [claimed] = in_place(place)
        assert read_all(place, claimed) == content


@pytest.mark.parametrize("after", ["move", "delete", "keep"])
def test_a_taken_file_is_put_away(tmp_path: Path, after: str) -> None:
    with folder(tmp_path / "root", after=after) as (server, place):
        for name in ("a.hl7", "b.hl7"):
            (server.root / name).write_bytes(b"x")
        first, second = in_place(place)
        place.put_away(first, GOOD)
        place.put_away(second, BAD)
        place.put_away(first, GOOD)  # as after a crash, once more
        left = sorted(str(each.relative_to(server.root)) for each in server.root.rglob("*") if each.is_file())
        failed = ["errors/b.hl7", "errors/b.hl7.reason.json"]
        assert (
            left
            == {
                "move": ["done/a.hl7", *failed],
                "delete": failed,
                "keep": ["a.hl7", "b.hl7"],
            }[after]
        )


def test_nothing_is_overwritten_where_files_are_put(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        for content in (b"first", b"second", b"third"):
            (server.root / "a.hl7").write_bytes(content)
            [claimed] = in_place(place)
            place.put_away(claimed, GOOD)
        contents = sorted(each.read_bytes() for each in (server.root / "done").iterdir())
        assert contents == [b"first", b"second", b"third"]


def test_of_two_that_claim_a_file_one_has_it(tmp_path: Path) -> None:
    with folder(tmp_path / "root", claim=True) as (server, place):
        (server.root / "a.hl7").write_bytes(b"x")
        other = SftpFolder(options(server, claim=True), secrets, lambda: 0.0)
        [seen] = place.look()[0]
        assert place.claim(Ready(seen), "one-1") is not None
        assert other.claim(Ready(seen), "two-1") is None
        assert [each.claim for each in place.claims("one-")] == ["one-1"]
        assert other.claims("two-") == []
        other.close()


def test_a_connection_that_breaks_while_a_file_is_read_goes_on_where_it_was(tmp_path: Path) -> None:
    content = os.urandom(3_000_000)
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(content)
        [claimed] = in_place(place)
        server.faults.cut_after_bytes = 1_000_000
        got = b""
        for _ in range(100):
            try:
                incoming = place.open(claimed)
                incoming.skip(len(got))
                while data := incoming.read(65_536):
                    got += data
                break
            except PeerUnavailable:
                continue
        assert got == content
        assert server.cuts >= 1, "nothing was cut: this shows nothing"


HOSTILE = ("../../etc/passwd", "/etc/passwd", "..", ".", "a/b", "a\0b", "n" * 300, "sub/../../x", "//", "\0")


def test_names_that_lead_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        server.faults.listed_names = HOSTILE
        (server.root / "good.hl7").write_bytes(b"x")
        files, odd = place.look()
        assert [seen.name for seen in files] == ["good.hl7"]
        assert odd.count >= len(HOSTILE) - 2  # "." and ".." stand in listings of honest servers too


LATIN = b"K\xe4rcher.hl7"


def test_a_name_that_is_not_utf8_is_odd_and_keeps_no_other_from_being_seen(tmp_path: Path) -> None:
    with folder(tmp_path / "root", depth=2) as (server, place):
        root = os.fsencode(server.root)
        os.mkdir(os.path.join(root, b"f\xfcr"))
        for name in (LATIN, b"f\xfcr/a.hl7", b"good.hl7", "g\u00fct.hl7".encode()):
            with open(os.path.join(root, name), "wb") as file:
                file.write(b"x")
        files, odd = place.look()
        assert {seen.name for seen in files} == {"good.hl7", "g\u00fct.hl7"}
        assert odd.count == 2
        [claimed] = [each for each in in_place(place) if each.seen.name == "g\u00fct.hl7"]
        assert read_all(place, claimed) == b"x"


def test_what_a_server_says_of_a_failure_may_be_in_any_character_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(paramiko.sftp_server, "SFTP_DESC", [b"f\xe4llt aus"] * 9)
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(b"x")
        [claimed] = in_place(place)
        (server.root / "a.hl7").unlink()
        with pytest.raises(FileGone):
            place.open(claimed)


def test_links_are_not_followed(tmp_path: Path) -> None:
    with folder(tmp_path / "root", depth=3) as (server, place):
        (tmp_path / "outside").mkdir()
        (tmp_path / "outside" / "secret").write_text("x")
        (server.root / "file").symlink_to(tmp_path / "outside" / "secret")
        (server.root / "folder").symlink_to(tmp_path / "outside")
        assert place.look() == ([], Odd(2, ["file: no plain file", "folder: no plain file"]))


def test_files_of_other_names_keep_none_from_being_seen_however_many_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sftp_place, "FILES_MAX_COUNT", 2)
    with folder(tmp_path / "root") as (server, place):
        for name in ("a.bak", "b.bak", "c.bak", "d.bak", "a.hl7", "b.hl7"):
            (server.root / name).write_bytes(b"x")
        wanted = Watch(Rules(include=("*.hl7",))).matters
        assert {seen.name for seen in place.look(wanted)[0]} == {"a.hl7", "b.hl7"}
        for name in ("c.hl7", "d.hl7"):
            (server.root / name).write_bytes(b"x")
        assert len(place.look(wanted)[0]) == 3, "one more than are looked at, which tells that there are more"


def test_a_file_that_vanishes_is_gone_and_no_fault(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(b"x")
        [claimed] = in_place(place)
        (server.root / "a.hl7").unlink()
        with pytest.raises(FileGone):
            place.open(claimed)


def test_a_file_that_grows_while_it_is_read_is_told(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(b"x" * 10)
        [claimed] = in_place(place)
        incoming = place.open(claimed)
        while incoming.read(100):
            pass
        with (server.root / "a.hl7").open("ab") as file:
            file.write(b"more")
        assert not incoming.unchanged()
        incoming.close()


def test_files_that_get_another_name_while_they_are_listed_do_no_harm(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        for name in "abc":
            (server.root / name).write_bytes(b"x")
        server.faults.renames = lambda: (
            (server.root / "c").exists() and (server.root / "c").rename(server.root / "d")
        )
        assert {seen.name for seen in place.look()[0]} == {"a", "b"}
        server.faults.renames = None
        assert {seen.name for seen in place.look()[0]} == {"a", "b", "d"}


def key_text(passphrase: str | None = None) -> tuple[paramiko.PKey, str]:
    key = paramiko.RSAKey.generate(2048)
    written = io.StringIO()
    key.write_private_key(written, password=passphrase)
    return key, written.getvalue()


@pytest.mark.parametrize("passphrase", [None, "invented"])
def test_a_key_logs_in_also_an_encrypted_one(tmp_path: Path, passphrase: str | None) -> None:
    key, text = key_text(passphrase)
    known = {"key": text, "passphrase": passphrase or ""}
    with sftp_server(tmp_path / "root", keys=[key]) as server:
        more: dict[str, Any] = {"password": None, "key": "secret://env/key"}
        if passphrase:
            more["key_passphrase"] = "secret://env/passphrase"
        place = SftpFolder(options(server, **more), lambda ref: known[ref.name], lambda: 0.0)
        assert place.look() == ([], Odd())
        place.close()


def refused(place: SftpFolder) -> str:
    with pytest.raises(ServerUnavailable) as caught:
        place.look()
    assert "Traceback" not in str(caught.value)
    return caught.value.explained.reason


def test_a_server_with_another_key_gets_nothing_and_is_told_by_name(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        assert place.look() == ([], Odd())
        place.close()
        server.key = paramiko.ECDSAKey.generate()
        before = server.passwords
        assert before == 1
        assert refused(place) == "host-key"
        assert server.passwords == before, "a password was sent to a server that is not who it must be"


def test_the_first_key_is_trusted_only_where_that_is_said(tmp_path: Path) -> None:
    with sftp_server(tmp_path / "root") as server:
        place = SftpFolder(options(server, host_keys=[], trust_first=True), secrets, lambda: 0.0)
        assert place.look() == ([], Odd())
        place.close()
        server.key = paramiko.ECDSAKey.generate()
        assert refused(place) == "host-key"
        with pytest.raises(ValueError, match="host_keys"):
            options(server, host_keys=[])


def test_a_login_that_is_refused_is_told_by_name(tmp_path: Path) -> None:
    with folder(tmp_path / "root", password="secret://env/wrong") as (_, place):
        assert refused(place) in ("login-refused", "login-kind")


def test_nobody_there_is_told_by_name(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        server.close()
        assert refused(place) in ("refused", "cut", "connection")


def _old_server(listening: socket.socket) -> None:
    """Offers what servers of twenty years ago have, and nothing else (RFC 4253 §7.1)."""
    connection, _ = listening.accept()
    connection.sendall(b"SSH-2.0-Old_1.0\r\n")
    lists = (
        b"diffie-hellman-group1-sha1,diffie-hellman-group14-sha1", b"ssh-rsa,ssh-dss",
        b"3des-cbc", b"3des-cbc", b"hmac-sha1", b"hmac-sha1", b"none", b"none", b"", b"",
    )  # fmt: skip
    body = b"\x14" + os.urandom(16) + b"".join(struct.pack(">I", len(each)) + each for each in lists)
    body += b"\0" * 5
    padding = 8 - (len(body) + 5) % 8 + 8
    connection.sendall(struct.pack(">IB", len(body) + padding + 1, padding) + body + b"\0" * padding)
    while connection.recv(4096):
        pass
    connection.close()


def test_a_server_that_has_only_sha1_is_told_by_name_with_what_to_do(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, _), socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=_old_server, args=(listening,), daemon=True)
        thread.start()
        old = options(server, port=listening.getsockname()[1])
        place = SftpFolder(old, secrets, lambda: 0.0)
        assert refused(place) == "no-common-algorithm"
        thread.join(10)


def test_what_speaks_no_ssh_is_told_by_name(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, _), socket.create_server(("127.0.0.1", 0)) as listening:

        def talk() -> None:
            connection, _ = listening.accept()
            connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n" * 60)
            connection.close()

        threading.Thread(target=talk, daemon=True).start()
        place = SftpFolder(options(server, port=listening.getsockname()[1]), secrets, lambda: 0.0)
        assert refused(place) in ("no-ssh", "cut", "ssh")


@contextmanager
def agent(folder: Path, key: str) -> Iterator[None]:
    """An SSH agent that holds a key, known by the environment as always."""
    written = folder / "agent-key"
    written.touch(0o600)
    written.write_text(key)
    path = Path(tempfile.mkdtemp(prefix="agent")) / "s"  # the path of a socket must be short
    running = subprocess.Popen(["ssh-agent", "-D", "-a", str(path)], stdout=subprocess.DEVNULL)
    try:
        while not path.exists():
            assert running.poll() is None
            time.sleep(0.02)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("SSH_AUTH_SOCK", str(path))
            subprocess.run(["ssh-add", "-q", str(written)], check=True)
            yield
    finally:
        running.terminate()
        running.wait()
        shutil.rmtree(path.parent)


def test_a_key_that_an_agent_holds_logs_in(tmp_path: Path) -> None:
    key, text = key_text()
    with agent(tmp_path, text), sftp_server(tmp_path / "root", keys=[key]) as server:
        for known, reason in ((True, ""), (False, "login-refused")):
            server.know(key if known else paramiko.RSAKey.generate(2048))
            place = SftpFolder(options(server, password=None, agent=True), secrets, lambda: 0.0)
            assert (refused(place) if reason else place.look()) == (reason or ([], Odd()))
            place.close()


def test_a_limit_of_bytes_a_second_is_kept(tmp_path: Path) -> None:
    """Told from the waits that are asked for, so that no clock of a busy machine decides."""
    now_s, waited = [0.0], []
    content = os.urandom(1_000_000)
    with folder(tmp_path / "root", bandwidth="100KiB") as (server, place):
        (server.root / "a.hl7").write_bytes(content)
        place._clock_s = lambda: now_s[0]
        [claimed] = in_place(place)
        incoming = place.open(claimed)

        def wait(wait_s: float) -> bool:
            waited.append(wait_s)
            now_s[0] += wait_s
            return False

        incoming._pace._never.wait = wait  # type: ignore[method-assign,assignment]
        while incoming.read(65_536):
            pass
        incoming.close()
    assert sum(waited) == pytest.approx(len(content) / (100 * 1024))
    assert len(waited) > 10, "it waits on the way, and not only at the end"


def test_a_server_that_gives_byte_after_byte_costs_time_and_nothing_else(tmp_path: Path) -> None:
    content = os.urandom(200_000)
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(content)
        server.faults.slow_bytes_per_s = 400_000
        [claimed] = in_place(place)
        assert read_all(place, claimed) == content


def test_ten_thousand_files_are_listed_once_each(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        for number in range(10_000):
            (server.root / f"{number:05}.hl7").touch()
        files, odd = place.look()
        assert (len({seen.name for seen in files}), len(files), odd.count) == (10_000, 10_000, 0)


@pytest.mark.parametrize("after", ["move", "delete"])
@pytest.mark.parametrize("end", [GOOD, BAD], ids=["taken", "failed"])
def test_a_file_that_came_under_the_same_name_while_one_was_taken_stays(
    tmp_path: Path, after: str, end: End
) -> None:
    with folder(tmp_path / "root", after=after) as (server, place):
        (server.root / "a.hl7").write_bytes(b"first")
        [claimed] = in_place(place)
        assert read_all(place, claimed) == b"first"
        (server.root / "a.hl7").write_bytes(b"another")
        assert place.put_away(claimed, end) is None
        assert [each.name for each in server.root.iterdir()] == ["a.hl7"]
        [now] = in_place(place)
        assert now.seen.as_text != claimed.seen.as_text
        assert read_all(place, now) == b"another"
        place.put_away(now, end)
        assert not (server.root / "a.hl7").exists()


def test_a_file_that_comes_just_before_one_is_moved_is_put_back(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):

        def comes(*_: str) -> None:
            (server.root / "a.hl7").write_bytes(b"another")

        (server.root / "a.hl7").write_bytes(b"first")
        [claimed] = in_place(place)
        server.faults.holds = comes
        assert place.put_away(claimed, BAD) is None
        assert (server.root / "a.hl7").read_bytes() == b"another"
        assert [each.name for each in (server.root / "errors").iterdir()] == ["a.hl7.reason.json"]


def test_a_file_that_was_replaced_while_it_was_known_already_stays(tmp_path: Path) -> None:
    with folder(tmp_path / "root", after="delete") as (server, place):
        (server.root / "a.hl7").write_bytes(b"first")
        [claimed] = in_place(place)
        (server.root / "a.hl7").write_bytes(b"another")
        place.put_away(claimed, GOOD)
        assert (server.root / "a.hl7").read_bytes() == b"another"


def test_a_file_that_was_replaced_while_the_connection_was_away_is_not_read_on(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(b"first")
        [claimed] = in_place(place)
        place.open(claimed).close()
        place.close()
        (server.root / "a.hl7").write_bytes(b"another")
        with pytest.raises(FileChanged):
            place.open(claimed)


@pytest.mark.parametrize("new_marker", [True, False])
def test_the_marker_of_a_file_that_came_meanwhile_stays_and_the_one_before_it_goes(
    tmp_path: Path, *, new_marker: bool
) -> None:
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(b"first")
        [claimed] = in_place(place)
        (server.root / "a.ok").touch()
        if not new_marker:
            os.utime(server.root / "a.ok", (1000, 1000))
        (server.root / "a.hl7").write_bytes(b"another")
        os.utime(server.root / "a.hl7", (2000, 2000))
        place.put_away(Claimed(claimed.seen, None, "a.ok"), GOOD)
        left = sorted(each.name for each in server.root.iterdir())
        assert left == (["a.hl7", "a.ok"] if new_marker else ["a.hl7"])


def put_away_later(place: SftpFolder, claimed: Claimed, mend: Callable[[], object], words: str) -> None:
    """It is told, stays this bridge's, and goes once that is mended."""
    word = claimed.claim
    with pytest.raises(FileUnusable, match=f"cannot be put away: {words}"):
        place.put_away(claimed, GOOD)
    assert [each.claim for each in place.claims("us-")] == ([] if word is None else [word])
    mend()
    place.put_away(claimed, GOOD)
    assert place.claims("us-") == []


@pytest.mark.parametrize("claim", [True, False])
@pytest.mark.parametrize("why", ["link", "file", "no parent", "refused"])
def test_a_file_whose_target_cannot_be_there_is_told_and_goes_once_it_can(
    tmp_path: Path, why: str, *, claim: bool
) -> None:
    target = "gone/done" if why == "no parent" else "done"
    with folder(tmp_path / "root", claim=claim, done=target) as (server, place):
        done = server.root / target
        (server.root / "a.hl7").write_bytes(b"x")
        [claimed] = in_place(place)
        mine = place.claim(Ready(claimed.seen), "us-1") if claim else claimed
        assert mine is not None
        mend: Callable[[], object] = done.unlink
        words = "the folder .*; expected a folder and no link"
        if why == "link":
            (tmp_path / "elsewhere").mkdir()
            done.symlink_to(tmp_path / "elsewhere")
        elif why == "file":
            done.write_bytes(b"x")
        elif why == "no parent":
            mend = done.parent.mkdir
        else:
            server.faults.not_renamed = True
            mend, words = lambda: setattr(server.faults, "not_renamed", False), "No such file"
        put_away_later(place, mine, mend, words)
        assert (done / "a.hl7").read_bytes() == b"x"


def test_where_a_server_says_nothing_of_why_it_renames_no_file_it_is_told_what_to_look_at(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def other_device(*_: Any, **__: Any) -> None:
        raise OSError(errno.EXDEV, os.strerror(errno.EXDEV))

    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(b"x")
        [claimed] = in_place(place)
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", other_device)
            words = r"rename it into done, .* one file system only: name a folder on that of the source"
            with pytest.raises(FileUnusable, match=words):
                place.put_away(claimed, GOOD)
        place.put_away(claimed, GOOD)
        assert (server.root / "done" / "a.hl7").read_bytes() == b"x"


def test_a_file_that_the_server_does_not_let_us_claim_is_told(tmp_path: Path) -> None:
    with folder(tmp_path / "root", claim=True) as (server, place):
        (server.root / "a.hl7").write_bytes(b"x")
        [claimed] = in_place(place)
        server.faults.not_renamed = True
        with pytest.raises(FileUnusable, match="cannot be claimed"):
            place.claim(Ready(claimed.seen), "us-1")
        server.faults.not_renamed = False
        assert place.claim(Ready(claimed.seen), "us-2") is not None


def test_an_answer_whose_folder_cannot_be_there_is_told(tmp_path: Path) -> None:
    with (
        folder(tmp_path / "root") as (_, place),
        pytest.raises(FileUnusable, match="the folder gone/answers: "),
    ):
        place.put("gone/answers", "a.ack", b"x")


def test_a_file_that_has_the_name_of_a_folder_of_the_bridges_is_odd(tmp_path: Path) -> None:
    with folder(tmp_path / "root") as (server, place):
        (server.root / "errors").mkdir()
        for name in ("done", ".bridge-claims"):
            (server.root / name).write_bytes(b"x")
        assert place.look()[1].count == 2


def test_a_folder_that_the_server_does_not_list_is_odd_and_keeps_no_other_from_being_seen(
    tmp_path: Path,
) -> None:
    with folder(tmp_path / "root", depth=1) as (server, place):
        for name in ("good", "ill", "well"):
            (server.root / name).mkdir()
            (server.root / name / "a.hl7").write_bytes(b"x")
        server.faults.fails_to_list = ("ill",)
        files, odd = place.look()
        assert ([seen.name for seen in files], odd) == (
            ["good/a.hl7", "well/a.hl7"],
            Odd(1, ["ill: a folder that cannot be looked into"]),
        )
        server.faults.fails_to_list = ("",)
        with pytest.raises(PeerUnavailable, match="the server refuses it"):
            place.look()


def test_a_reason_overwrites_nothing_but_what_was_told_of_the_same_file(tmp_path: Path) -> None:
    told = b'{"file": "a.hl7", "number": 8, "at": "%d"}\n'
    with folder(tmp_path / "root") as (server, place):
        errors = server.root / "errors"
        errors.mkdir()
        (errors / "a.hl7.reason.json").write_bytes(b"a sender's own")
        (errors / "a.8.hl7.reason.json").write_bytes(told % 1)
        (server.root / "a.hl7").write_bytes(b"bad")
        [claimed] = in_place(place)
        place.put_away(claimed, End(BAD.fate, told % 2))
        assert {each.name: each.read_bytes() for each in errors.iterdir()} == {
            "a.hl7.reason.json": b"a sender's own",
            "a.8.hl7": b"bad",
            "a.8.hl7.reason.json": told % 2,
        }


@pytest.mark.parametrize("name", ["n" * 251 + ".hl7", "ä" * 127, "a." + "e" * 253])
def test_a_file_of_a_long_name_that_failed_goes_with_its_reason_also_where_its_name_is_taken(
    tmp_path: Path, name: str
) -> None:
    with folder(tmp_path / "root") as (server, place):
        for content in (b"first", b"other"):
            (server.root / name).write_bytes(content)
            [claimed] = in_place(place)
            place.put_away(claimed, BAD)
        place.put("answers", name, b"x")
        contents = sorted(each.read_bytes() for each in (server.root / "errors").iterdir())
        assert contents == [b"first", b"other", BAD.told, BAD.told]
        assert [each.name for each in (server.root / "answers").iterdir()] == [name]


@pytest.mark.parametrize("what", ["st_mode", "st_size"])
def test_a_server_that_does_not_say_what_a_file_is_or_how_large_is_told_and_nothing_is_taken(
    tmp_path: Path, what: str
) -> None:
    with folder(tmp_path / "root") as (server, place):
        (server.root / "a.hl7").write_bytes(b"x")
        [claimed] = in_place(place)
        server.faults.unsaid = (what,)
        with pytest.raises(FileUnusable, match="expected its permissions and its size"):
            place.open(claimed)
        server.faults.unsaid_in_listings = (what,)
        with pytest.raises(PeerUnavailable, match="expected its permissions and its size"):
            place.look()


@pytest.mark.parametrize("claim", [True, False])
def test_what_a_listing_leaves_out_is_asked_for(tmp_path: Path, *, claim: bool) -> None:
    with folder(tmp_path / "root", claim=claim, depth=1) as (server, place):
        (server.root / "sub").mkdir()
        (server.root / "sub" / "a.hl7").write_bytes(b"x")
        server.faults.unsaid_in_listings = ("st_mode", "st_size", "st_mtime")
        [claimed] = in_place(place)
        mine = place.claim(Ready(claimed.seen), "us-1") if claim else claimed
        assert mine is not None
        assert read_all(place, mine) == b"x"
        place.put_away(mine, GOOD)
        assert (server.root / "done" / "sub" / "a.hl7").read_bytes() == b"x"

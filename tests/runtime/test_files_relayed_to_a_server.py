"""Files that go on to where an old job looks on an SFTP server: byte for byte, whole, and once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from file_hospital import drop, file_source, some, whole
from nodes import Hospital
from reactor_tests import in_reactor, until
from sftp_doors import secrets, sftp_server

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_sftp import USER, FakeSftp
from bridge.errors import PeerUnavailable
from bridge.migration.relay.server_placing import ServerPlacing
from bridge.runtime.file_feed import FileFeed


@asynccontextmanager
async def relaying(folder: Path, server: FakeSftp) -> AsyncIterator[tuple[Hospital, Path]]:
    """A node whose channel takes files and passes them on to a server, and the folder that they come to."""
    incoming = folder / "incoming"
    incoming.mkdir()
    site = Hospital(folder)
    site.secrets = secrets

    def change(text: str) -> str:
        legacy = (
            f"legacy: {{sftp: {{host: 127.0.0.1, port: {server.port}, user: {USER}, "
            f'password: "secret://env/password", host_keys: ["{server.fingerprint}"], directory: /job}}}}\n'
        )
        source = file_source(incoming, "stable_for: 0s, poll: 100ms, depth: 2")
        return source(text).replace("routes:", legacy + "routes:", 1)

    await site.open(change)
    await site.start()
    try:
        yield site, incoming
    finally:
        await site.close()


def feed_of(site: Hospital) -> FileFeed:
    assert site.node is not None
    feed = site.node.parts.feeds[CHANNEL]
    assert isinstance(feed, FileFeed)
    return feed


def lies_in(job: Path) -> dict[str, bytes]:
    """Every file that the job could see or not see, by its path there."""
    return {str(each.relative_to(job)): each.read_bytes() for each in job.rglob("*") if each.is_file()}


@in_reactor
async def test_files_reach_the_server_byte_for_byte_and_none_is_overwritten(tmp_path: Path) -> None:
    job = tmp_path / "server" / "job"
    job.mkdir(parents=True)
    with sftp_server(tmp_path / "server") as server:
        async with relaying(tmp_path, server) as (site, incoming):
            files = {"a.hl7": whole(some(3)), "ward/b.hl7": b"no message \x00\xff", "c.hl7": b""}
            for name, content in files.items():
                drop(incoming, name, content)
            await until(lambda: lies_in(job) == files, "all files")
            drop(incoming, "a.hl7", whole(some(1, first=9)))
            await until(lambda: "has not taken" in feed_of(site).away, "to be told")
            assert lies_in(job)["a.hl7"] == files["a.hl7"]
            (job / "a.hl7").unlink()
            await until(lambda: lies_in(job).get("a.hl7") == whole(some(1, first=9)), "the second")


@pytest.mark.parametrize("point", ["hidden", "shown", "shown and taken"])
@in_reactor
async def test_a_connection_that_breaks_at_any_point_leaves_one_file(tmp_path: Path, point: str) -> None:
    job = tmp_path / "server" / "job"
    job.mkdir(parents=True)
    with sftp_server(tmp_path / "server") as server:
        async with relaying(tmp_path, server) as (site, incoming):
            show = ServerPlacing.show
            reached: list[str] = []

            def shows(self: ServerPlacing, name: str, hidden: str) -> str:
                said = "" if point == "hidden" else show(self, name, hidden)
                if reached:
                    return show(self, name, hidden) if point == "hidden" else said
                reached.append(point)
                if point == "shown and taken":
                    (job / name).unlink()
                self.close()
                raise PeerUnavailable("as if the connection had broken here")

            with pytest.MonkeyPatch.context() as patch:
                patch.setattr(ServerPlacing, "show", shows)
                drop(incoming, "a.hl7", whole(some(2)))
                await until(lambda: bool(reached) and not feed_of(site)._running, "the file")
            assert lies_in(job) == ({} if point == "shown and taken" else {"a.hl7": whole(some(2))})


@in_reactor
async def test_a_server_that_is_away_or_has_no_such_folder_is_told_of_and_waited_for(tmp_path: Path) -> None:
    root = tmp_path / "server"
    root.mkdir()
    with sftp_server(root) as server:
        async with relaying(tmp_path, server) as (site, incoming):
            drop(incoming, "a.hl7", whole(some(1)))
            await until(lambda: "No such file" in feed_of(site).away, "to be told")
            (root / "job").mkdir()
            await until(lambda: list(lies_in(root / "job")) == ["a.hl7"], "the file")
            server.close()
            drop(incoming, "b.hl7", whole(some(1, first=3)))
            await until(lambda: "the old job's server 127.0.0.1" in feed_of(site).away, "to be told")

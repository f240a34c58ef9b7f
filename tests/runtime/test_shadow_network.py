"""In shadow nothing leaves, shown where there is nowhere to go: in a network of its own that has loopback
alone.

Where this system gives no such network to its user, the same is run in the one there is; the last line
says so.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import socket
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from reactor_tests import in_reactor, until
from sqlalchemy import Connection, func, select
from staged_site import staged

from bridge.cli.synthetic import admission
from bridge.journal.schema import attempts
from bridge.runtime.recorder import Recorder

INSIDE = "BRIDGE_TEST_INSIDE"
NOWHERE = "https://203.0.113.9"
"""An address of documentation (RFC 5737), which nobody has."""
TEST_MAX_S = 240


def own_network() -> list[str]:
    """What a command begins with that is to have a network of its own; nothing where there is none."""
    unshare = shutil.which("unshare")
    command = [] if unshare is None else [unshare, "--map-root-user", "--net"]
    ended = subprocess.run([*command, "true"], check=False, capture_output=True)
    return command if ended.returncode == 0 else []


def loopback_up() -> None:
    """As `ip link set lo up`, for systems without it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asking:
        flags = fcntl.ioctl(asking, 0x8913, struct.pack("16sh14x", b"lo", 0))  # SIOCGIFFLAGS
        (now,) = struct.unpack("16xh14x", flags)
        fcntl.ioctl(asking, 0x8914, struct.pack("16sh14x", b"lo", now | 1))  # SIOCSIFFLAGS, IFF_UP


def remote_hosts() -> set[str]:
    """To whom TCP connections of this network lead, in the words of the kernel."""
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return {line.split()[2].partition(":")[0] for line in lines}


def attempts_made(connection: Connection) -> int:
    return connection.execute(select(func.count()).select_from(attempts)).scalar_one()


if INSIDE in os.environ:

    @in_reactor
    async def test_inside(tmp_path: Path) -> None:
        if os.environ[INSIDE] == "alone":
            loopback_up()
        async with staged(tmp_path) as site:
            await site.stop()
            for api in (tmp_path / "site" / "channels" / "apis").iterdir():
                text = api.read_text()
                for real in site.urls.values():
                    text = text.replace(real, NOWHERE)
                text += "owner: {team: t, oncall: o}\ncarries: {phi: true}\n"
                api.write_text(
                    text.replace("auth: none\n", "auth: {basic: {username: u, password: secret://env/X}}\n")
                )
            site.secrets = lambda _reference: "word"
            await site.start()
            await site.stage("shadow")
            await site.send(*(admission(patient, 1, "A08", control_id=f"N{patient}") for patient in range(4)))
            await site.compared(4)
            journal = site.running().journal
            assert await journal.read(attempts_made) == 0
            assert all(isinstance(each.destination, Recorder) for each in site.running().outlets.values())
            if os.environ[INSIDE] == "alone":
                assert remote_hosts() <= {"0100007F", "00000000"}, "loopback, and who listens"
            # The address is one that is called as soon as a stage lets it, and is found not to be there.
            await site.stage("canary", share=10_000)
            await site.send(*(admission(patient, 2, "A08", control_id=f"M{patient}") for patient in range(2)))
            await until(lambda: any(each.in_flight for each in site.running().outlets.values()), "a call")

else:

    @pytest.mark.live
    def test_in_shadow_nothing_leaves_where_there_is_nowhere_to_go() -> None:
        command = own_network()
        ended = subprocess.run(
            [*command, sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", __file__],
            env={**os.environ, INSIDE: "alone" if command else "shared"},
            capture_output=True,
            text=True,
            timeout=TEST_MAX_S,
            check=False,
        )
        assert ended.returncode == 0, ended.stdout[-4000:]
        assert "1 passed" in ended.stdout
        print(
            "in a network of its own" if command else "no network of its own is given here: in the common one"
        )

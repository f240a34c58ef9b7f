"""The local socket: where the command line speaks to a running node, and is known by its user.

One JSON object in a line each way, and then the connection ends. Who connects is told by the kernel
(SO_PEERCRED); who may is decided by the rights of the socket's file, which is its owner's alone.
"""

from __future__ import annotations

import json
import os
import pwd
import socket
import stat
import struct
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import structlog
from twisted.internet.defer import CancelledError
from twisted.internet.interfaces import IDelayedCall, IListeningPort
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.python.failure import Failure

from bridge.errors import BridgeError
from bridge.runtime.surroundings import Surroundings
from bridge.runtime.tasks import Tasks

log = structlog.get_logger("bridge.control")

REQUEST_MAX_BYTES = 32 * 1024 * 1024
"""A corrected message may come with it."""
CONNECTIONS_MAX = 32
IDLE_MAX_S = 10.0
PATH_MAX_BYTES = 100
"""A socket's address holds 108 bytes; a longer path goes by way of its folder's descriptor."""
_CREDENTIALS = struct.Struct("3i")

Answer = Callable[[str, str, dict[str, Any]], Awaitable[dict[str, Any]]]
"""Does a command: who asks, the command's name, its arguments; gives what to say."""


class ControlSocket(Factory):
    """The socket beside a journal. A file that a dead node left is replaced: the journal's lock is ours."""

    noisy = False

    def __init__(self, journal: Path, answer: Answer, world: Surroundings) -> None:
        self.answer, self.world = answer, world
        self.tasks = Tasks()
        self.open: set[_Connection] = set()
        self._path = socket_path(journal)
        self._folder: int | None = None
        self._port: IListeningPort | None = None
        self._file: tuple[int, int] | None = None

    def start(self) -> None:
        """Listen. Raises OSError where the file cannot be made."""
        if self._path.exists() and stat.S_ISSOCK(self._path.lstat().st_mode):
            self._path.unlink()
        address, self._folder = socket_address(self._path)
        self._port = self.world.reactor.listenUNIX(address, self, mode=0o600, backlog=CONNECTIONS_MAX)
        self._file = _file_at(self._path)

    def buildProtocol(self, addr: object) -> _Connection | None:  # noqa: ARG002
        """A connection, or None where there are too many."""
        return _Connection(self) if len(self.open) < CONNECTIONS_MAX else None

    async def stop(self) -> None:
        """Take no further command, and end those under way."""
        if self._port is not None:
            theirs = self._keep_theirs()
            if (ended := self._port.stopListening()) is not None:
                await ended
            if theirs is not None:
                theirs.rename(self._path)
        for connection in list(self.open):
            connection.drop()
        await self.tasks.stop()
        if self._folder is not None:
            os.close(self._folder)
            self._folder = None

    def _keep_theirs(self) -> Path | None:
        """Twisted's port takes away what is at its path, and never ends where nothing is: so there is
        something, and what is another's by now gets a second name, which is its only one for a moment."""
        found = _file_at(self._path)
        if found is None:
            self._path.touch()
        if found in (None, self._file):
            return None
        aside = self._path.with_name(f"{self._path.name}.kept")
        aside.unlink(missing_ok=True)
        os.link(self._path, aside)
        return aside


def _file_at(path: Path) -> tuple[int, int] | None:
    """What tells a file from another one at the same place; None where there is none."""
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None
    return status.st_dev, status.st_ino


class _Connection(Protocol):
    transport: Any

    def __init__(self, control: ControlSocket) -> None:
        self._control = control
        self._said = bytearray()
        self._asked = False
        self._timer: IDelayedCall | None = None

    def connectionMade(self) -> None:
        self._control.open.add(self)
        self._timer = self._control.world.reactor.callLater(IDLE_MAX_S, self.drop)

    def dataReceived(self, data: bytes) -> None:
        if self._asked:
            return
        self._said += data
        if len(self._said) > REQUEST_MAX_BYTES:
            self._say({"error": "the request is too large", "exit": 2})
        elif b"\n" in data:
            self._asked = True
            self._quiet()
            line = bytes(self._said).partition(b"\n")[0]
            self._control.tasks.spawn("command", self._serve(line))

    async def _serve(self, line: bytes) -> None:
        try:
            request = json.loads(line)
            name, arguments = request["command"], request.get("arguments", {})
            if not isinstance(name, str) or not isinstance(arguments, dict):
                raise TypeError
        except (ValueError, KeyError, TypeError):
            self._say({"error": "expected one line of JSON with a command", "exit": 2})
            return
        actor = self._actor(arguments.pop("sudo_user", ""))
        try:
            self._say(await self._control.answer(actor, name, arguments))
        except BridgeError as error:
            self._say({"error": str(error), "exit": 3})
        except CancelledError:
            return  # the node ends, and this connection with it
        except Exception as error:  # noqa: BLE001 - a fault of ours is told without its content
            log.error("command-fault", command=name[:40], fault=type(error).__name__)
            self._say({"error": f"a fault of the bridge: {type(error).__name__}; see its log", "exit": 3})

    def _actor(self, claimed: object) -> str:
        raw = self.transport.socket.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        _, uid, _ = _CREDENTIALS.unpack(raw)
        try:
            name = pwd.getpwuid(uid).pw_name
        except KeyError:
            name = f"uid {uid}"
        # Who became another user by sudo says so; that is a claim, and shown as one.
        words = str(claimed)[:64] if isinstance(claimed, str) else ""
        return f"user:{name} (sudo {words})" if words.isalnum() else f"user:{name}"

    def _say(self, answer: dict[str, Any]) -> None:
        self._quiet()
        if self.connected:
            self.transport.write(json.dumps(answer).encode() + b"\n")
            self.transport.loseConnection()

    def _quiet(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

    def drop(self) -> None:
        """End it, answered or not."""
        self._quiet()
        self.transport.abortConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:  # noqa: ARG002
        self.connected = 0
        self._quiet()
        self._control.open.discard(self)


def socket_path(journal: Path) -> Path:
    """Where the node on a journal listens."""
    return journal.with_name(journal.name + ".sock").absolute()


def socket_address(path: Path) -> tuple[str, int | None]:
    """How a socket's file is named to the system, and a descriptor to close once the socket is.

    Raises OSError where the file's folder is not there, and its path is long.
    """
    if len(os.fsencode(path)) <= PATH_MAX_BYTES:
        return str(path), None
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    return f"/proc/self/fd/{folder}/{path.name}", folder

"""Stands between a journal and its PostgreSQL, and cuts the connection at the moment of COMMIT."""

from __future__ import annotations

import shutil
import socket
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Literal

SOCKET = ".s.PGSQL.5432"
Cut = Literal["before", "after", "unnoticed"]
"""``before``: the server never hears of the COMMIT. ``after``: it has done it, and its answer is lost.
``unnoticed``: the same, and the server does not learn that nobody is there any more."""


class CuttingProxy:
    """A socket in a folder of its own, as a server's. Close it when done."""

    def __init__(self, server: Path) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="bridge-px-"))
        self.cut: Cut | None = None
        """What to do at the next COMMIT; it is done once."""
        self.cuts = 0
        self.ways = 0
        """How often something went to a server that had answered to all before: what its distance costs."""
        self.answered = True
        self._server = server / SOCKET
        self._open: list[socket.socket] = []
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(self.folder / SOCKET))
        self._listening.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listening.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(str(self._server))
                except OSError:
                    client.close()
                    server.close()
                    continue
                self._open += [client, server]
                pair = _Pair(self, client, server)
                threading.Thread(target=pair.to_server, daemon=True).start()
                threading.Thread(target=pair.to_client, daemon=True).start()

    def close(self) -> None:
        """End all connections."""
        for each in (self._listening, *self._open):
            _end(each)
        shutil.rmtree(self.folder)


class _Pair:
    def __init__(self, proxy: CuttingProxy, client: socket.socket, server: socket.socket) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._cutting: Cut | None = None

    def to_server(self) -> None:
        with suppress(OSError):
            while data := self._client.recv(65536):
                if self._proxy.cut is not None and b"COMMIT" in data:
                    self._cutting, self._proxy.cut = self._proxy.cut, None
                    self._proxy.cuts += 1
                    if self._cutting == "before":
                        break
                if self._proxy.answered:
                    self._proxy.ways, self._proxy.answered = self._proxy.ways + 1, False
                self._server.sendall(data)
        if self._cutting != "unnoticed":
            _end(self._server)
        _end(self._client)

    def to_client(self) -> None:
        with suppress(OSError):
            while data := self._server.recv(65536):
                if self._cutting is not None:
                    break  # the answer to the COMMIT
                self._proxy.answered = True
                self._client.sendall(data)
        _end(self._client)
        if self._cutting != "unnoticed":
            _end(self._server)


def _end(each: socket.socket) -> None:
    with suppress(OSError):
        each.shutdown(socket.SHUT_RDWR)
    each.close()

"""Peers that mean harm, or are broken: idle, slow, without end, never reading, coming in storms."""

from __future__ import annotations

import random
import selectors
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from bridge.cli.synthetic import admission
from bridge.formats.mllp_framing import frame

PIECE_BYTES = 65_536
TICK_S = 0.05


class Attack(threading.Thread):
    """Many connections to one port, until it is ended. ``opened`` counts those that came up."""

    def __init__(
        self,
        port: int,
        *,
        idle: int = 0,
        slow: int = 0,
        endless: int = 0,
        deaf: int = 0,
        storm_per_s: int = 0,
    ) -> None:
        """So many that say nothing; that say one byte a second of a block; that send a block without end as
        fast as they can; that send messages and read no answer; and that come and go in each second."""
        super().__init__(daemon=True)
        self._port, self._storm_per_s = port, storm_per_s
        self._wanted: list[tuple[str, int]] = [
            ("idle", idle),
            ("slow", slow),
            ("endless", endless),
            ("deaf", deaf),
        ]
        self.opened = self.cut = self.stormed = 0
        self._end = threading.Event()
        self._ready = threading.Event()
        self._chance = random.Random(7)

    def begin(self) -> None:
        """Connect all of them."""
        self.start()
        assert self._ready.wait(60), "the attack does not begin"

    def end(self) -> None:
        """Let go of all connections."""
        self._end.set()
        self.join(30)

    def run(self) -> None:
        tried = [(kind, self._connect()) for kind, count in self._wanted for _ in range(count)]
        open_now = [(kind, peer) for kind, peer in tried if peer is not None]
        self.opened = len(open_now)
        self._ready.set()
        block = frame(admission(9000, 1, "A08", control_id="ATTACK").body)
        says: dict[str, Callable[[socket.socket, int], None]] = {
            "idle": lambda peer, tick: None,
            "slow": lambda peer, tick: self._slowly(peer, tick, block),
            "endless": lambda peer, tick: _fill(peer, b"\x0b" if tick == 0 else b"", b"A" * PIECE_BYTES),
            "deaf": lambda peer, tick: _fill(peer, b"", block),
        }
        tick = 0
        while not self._end.wait(TICK_S):
            for each in tuple(open_now):
                kind, peer = each
                try:
                    says[kind](peer, tick)
                except BlockingIOError:
                    continue
                except OSError:
                    peer.close()
                    open_now.remove(each)
                    self.cut += 1
            self._storm()
            tick += 1
        for _, peer in open_now:
            peer.close()

    def _connect(self) -> socket.socket | None:
        try:
            peer = socket.create_connection(("127.0.0.1", self._port), timeout=5)
        except OSError:
            return None
        peer.setblocking(False)
        return peer

    def _slowly(self, peer: socket.socket, tick: int, block: bytes) -> None:
        every = round(1 / TICK_S)
        if (tick + peer.fileno()) % every == 0:
            at = tick // every
            peer.send(block[at : at + 1] if at < len(block) - 2 else b"A")

    def _storm(self) -> None:
        for _ in range(round(self._storm_per_s * TICK_S)):
            with suppress(OSError):
                peer = socket.create_connection(("127.0.0.1", self._port), timeout=1)
                if self._chance.random() < 0.5:
                    peer.send(b"\x0bMSH|")
                peer.close()
                self.stormed += 1


def _fill(peer: socket.socket, begin: bytes, piece: bytes) -> None:
    """Send as much as goes."""
    if begin:
        peer.send(begin)
    selector = selectors.DefaultSelector()
    selector.register(peer, selectors.EVENT_WRITE)
    until_s = time.monotonic() + TICK_S / 10
    while selector.select(0) and time.monotonic() < until_s:
        peer.send(piece)
    selector.close()

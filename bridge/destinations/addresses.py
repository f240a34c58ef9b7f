"""The addresses that a target's name stands for: looked up once, each looked at, and then called as they are.

A name server that answers otherwise a moment later changes nothing, and one that answers with an address that
the target may not have gets no connection at all. All of this runs as a task of the reactor's loop.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from collections.abc import Callable
from typing import Any, Final, TypeVar

from bridge.destinations.base import Permits

P = TypeVar("P", bound=asyncio.BaseProtocol)

KEPT_S: Final = 30.0
"""No longer than name servers let records be kept at least; then the name is looked up again."""
ADDRESSES_MAX_COUNT: Final = 16


class AddressRefused(Exception):
    """A name stands for an address that its target may not have. Nobody was connected to."""


class Addresses:
    """The addresses of one host and port. ``permits`` None looks at none of them."""

    __slots__ = ("_found", "_host", "_permits", "_port", "_since_s")

    def __init__(self, host: str, port: int, permits: Permits | None) -> None:
        self._host, self._port, self._permits = host, port, permits
        self._found: tuple[str, ...] = () if permits is not None else (host,)
        self._since_s = 0.0

    def fresh(self, now_s: float) -> bool:
        """Whether the last look-up still counts."""
        return self._permits is None or (bool(self._found) and 0 <= now_s - self._since_s < KEPT_S)

    async def look_up(self, within_s: float) -> None:
        """Look the name up, where the last time is too long ago. Raises AddressRefused, and OSError or
        UnicodeError where the name stands for nothing."""
        loop = asyncio.get_running_loop()
        if self.fresh(loop.time()):
            return
        assert self._permits is not None, "without a guard nothing is looked up"
        async with asyncio.timeout(within_s):
            answers = await loop.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        found = tuple(dict.fromkeys(str(answer[4][0]) for answer in answers))[:ADDRESSES_MAX_COUNT]
        if not all(self._permits(self._host, each) for each in found):
            self._found = ()
            raise AddressRefused
        self._found, self._since_s = found, loop.time()

    @property
    def found(self) -> tuple[str, ...]:
        """The addresses of the last look-up, each of which may be called."""
        return self._found

    async def connect(
        self, factory: Callable[[], P], context: ssl.SSLContext | None, server_name: str | None
    ) -> P:
        """A connection to the first address that takes one. What fails in TLS would fail at the others too.

        Raises OSError as the loop does.
        """
        loop: Any = asyncio.get_running_loop()
        failed: OSError | None = None
        for address in self._found:
            try:
                _, made = await loop.create_connection(
                    factory, address, self._port, ssl=context, server_hostname=server_name
                )
            except ssl.SSLError:
                raise
            except OSError as error:
                failed = error
            else:
                protocol: P = made
                return protocol
        raise failed or OSError("the name stands for no address")

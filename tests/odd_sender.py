"""A sender that may send anything, in any pieces, and reads what it is answered."""

from __future__ import annotations

import asyncio

from bridge.formats.mllp_framing import Block, MllpFraming

READ_MAX_BYTES = 65536
ANSWER_MAX_S = 60.0
PAUSE_S = 0.05
"""Between two parts of what is sent; long enough for each to arrive by itself."""
PAUSE_OF_MANY_S = 0.001


class Connection:
    """One connection to a port of this machine. For coroutines of asyncio."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._framing = MllpFraming(READ_MAX_BYTES)
        self._answers: list[bytes] = []

    @classmethod
    async def to(cls, port: int) -> Connection:
        return cls(*await asyncio.open_connection("127.0.0.1", port))

    async def write(self, *parts: bytes) -> None:
        """Send the parts, each by itself."""
        for number, part in enumerate(parts):
            if number:
                await asyncio.sleep(PAUSE_S if len(parts) < 5 else PAUSE_OF_MANY_S)
            self._writer.write(part)
            await self._writer.drain()

    async def answers(self, count: int) -> list[bytes]:
        """The next ``count`` answers; fails where the connection is closed instead."""
        while len(self._answers) < count:
            data = await asyncio.wait_for(self._reader.read(READ_MAX_BYTES), ANSWER_MAX_S)
            assert data, "the connection was closed"
            self._answers += [event.body for event in self._framing.feed(data) if isinstance(event, Block)]
        taken, self._answers = self._answers[:count], self._answers[count:]
        return taken

    async def close(self) -> list[bytes]:
        """Close; answers that nobody asked for."""
        self._writer.close()
        await self._writer.wait_closed()
        return self._answers

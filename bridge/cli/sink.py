"""An HTTP API that does as little as one can: ``python -m bridge.cli.sink``. For measurements only.

Its first line of output is its port. It answers every request with 200, keeps connections, and remembers
nothing; ``GET /count`` tells how many requests with a body it has answered.
"""

from __future__ import annotations

import asyncio
from typing import cast

import click

_ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
_LENGTH = b"content-length:"


class _Connection(asyncio.Protocol):
    answered = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # uvloop's transports are no subclass of asyncio's.
        self._transport = cast(asyncio.Transport, transport)
        self._buffer = b""

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end]
            if head.startswith(b"GET /count"):
                text = str(_Connection.answered).encode()
                self._transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(text), text))
                self._buffer = self._buffer[end + 4 :]
                continue
            lower = head.lower()
            at = lower.find(_LENGTH)
            size = int(lower[at + len(_LENGTH) :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            if len(self._buffer) < end + 4 + size:
                return
            self._buffer = self._buffer[end + 4 + size :]
            _Connection.answered += 1
            self._transport.write(_ANSWER)


@click.command()
@click.option("--port", default=0, show_default=True, help="0 takes a free one.")
def main(port: int) -> None:
    """Answer 200 to everything until told to stop."""

    async def serve() -> None:
        server = await asyncio.get_running_loop().create_server(_Connection, "127.0.0.1", port)
        click.echo(str(server.sockets[0].getsockname()[1]))
        await server.serve_forever()

    try:
        import uvloop
    except ImportError:
        asyncio.run(serve())
    else:
        uvloop.run(serve())


if __name__ == "__main__":
    main()

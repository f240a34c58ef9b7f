"""A sender's own listener for application acknowledgements, which confirms them well or badly."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from bridge.formats.hl7v2_ack import AckCode, acknowledge, peek
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.formats.mllp_framing import Block, MllpFraming, frame

READ_MAX_BYTES = 65536


def confirmation(block: bytes, code: AckCode = AckCode.CA) -> bytes:
    """What a listener says to an acknowledgement that it has."""
    return acknowledge(peek(block), code, control_id="L-1", at_us=0)


class AckListener:
    """Takes what is sent to it. ``does`` says what it does with one block after the other, then it confirms.

    ``confirm``, ``silent``, ``close`` (no answer), ``wrong`` (an answer to something else, then none),
    ``wrong-first`` (then the right one), ``twice``, ``late`` (after a while), ``no-cr`` (the last byte of the
    frame is missing), ``AE``, ``AR``, ``CE``, ``CR``, ``nonsense``.
    """

    def __init__(self, does: Iterable[str] = (), *, late_s: float = 0.2) -> None:
        self.blocks: list[bytes] = []
        self.connections = 0
        self._does = list(does)
        self._late_s = late_s
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.StreamWriter] = set()

    @property
    def heard(self) -> list[tuple[str, str]]:
        """Code and MSA-2 of all blocks, in order."""
        read = [Acknowledged.read(block) for block in self.blocks]
        return [(each.code, each.control_id) for each in read]

    async def start(self, port: int = 0) -> int:
        """Listen; the port."""
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", port)
        bound: int = self._server.sockets[0].getsockname()[1]
        return bound

    async def stop(self) -> None:
        """Close everything."""
        if self._server is not None:
            self._server.close()
            for writer in tuple(self._open):
                writer.close()
            await self._server.wait_closed()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        framing = MllpFraming(READ_MAX_BYTES)
        self.connections += 1
        self._open.add(writer)
        try:
            while data := await reader.read(READ_MAX_BYTES):
                for event in framing.feed(data):
                    assert isinstance(event, Block)
                    self.blocks.append(event.body)
                    if not await self._answer(event.body, writer):
                        return
        except ConnectionError:
            pass  # the bridge hangs up on a listener that it no longer believes
        finally:
            self._open.discard(writer)
            writer.close()

    async def _answer(self, block: bytes, writer: asyncio.StreamWriter) -> bool:
        what = self._does.pop(0) if self._does else "confirm"
        right = frame(confirmation(block))
        wrong = right.replace(b"MSA|CA|", b"MSA|CA|X")
        match what:
            case "silent":
                return True
            case "close":
                return False
            case "late":
                await asyncio.sleep(self._late_s)
                writer.write(right)
            case "AE" | "AR" | "CE" | "CR":
                writer.write(frame(confirmation(block, AckCode(what))))
            case _:
                writer.write(
                    {
                        "confirm": right,
                        "wrong": wrong,
                        "wrong-first": wrong + right,
                        "twice": right + right,
                        "no-cr": right[:-1],
                        "nonsense": frame(b"\xff\x00"),
                    }[what]
                )
        await writer.drain()
        return True

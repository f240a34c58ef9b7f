"""Connections that are there, and one more."""

from __future__ import annotations

import asyncio


async def said_to_one_more(port: int, count: int) -> bytes:
    """What is said to one more than ``count`` connections to a port of this machine until it is closed; all
    are gone then."""
    open_ones = [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]
    try:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        said = await asyncio.wait_for(reader.read(), 20)
        writer.close()
        return said
    finally:
        for _, writer in open_ones:
            writer.close()

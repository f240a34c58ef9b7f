"""What goes over the line between a node and the process that writes its journal: one object after another.

A frame is eight bytes of size, and an object as Python writes it (pickle), which is two microseconds for a
message and reads as the same object on the other side. Whoever can write to such a line can have the other
end do anything. Nobody can but its two ends: it is a pair of sockets without a name, made by the node for a
process that it starts, and nothing that came from outside is ever read as a frame.
"""

from __future__ import annotations

import copyreg
import pickle
import socket
import struct
from collections.abc import Iterator
from types import MappingProxyType
from typing import Any, Final

from bridge.errors import BridgeError

READ_BYTES: Final = 256 * 1024
_SIZE: Final = struct.Struct(">Q")


def _unchanging(content: dict[Any, Any]) -> MappingProxyType[Any, Any]:
    return MappingProxyType(content)


# Mappings that nobody may change, as a bundle's files are: Python writes none by itself, nor their type.
copyreg.pickle(MappingProxyType, lambda mapping: (_unchanging, (dict(mapping),)))


class CannotCross(BridgeError):
    """An object holds something that no other process can have. It says what, never what is in it."""


def framed(content: Any) -> bytes:
    """An object as a frame. Raises CannotCross."""
    try:
        text = pickle.dumps(content, protocol=pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        raise CannotCross(type(error).__name__) from error
    return _SIZE.pack(len(text)) + text


class Frames:
    """Takes bytes as they come, gives objects once they are whole."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[Any]:
        """The objects that are whole now."""
        held = self._held
        held += data
        while len(held) >= _SIZE.size:
            end = _SIZE.size + _SIZE.unpack_from(held)[0]
            if len(held) < end:
                return
            with memoryview(held) as view:
                content = pickle.loads(view[_SIZE.size : end])  # noqa: S301 - see above
            del held[:end]
            yield content


def received(line: socket.socket) -> Iterator[Any]:
    """What comes over a line, until its other end is closed or gone."""
    frames = Frames()
    while True:
        try:
            data = line.recv(READ_BYTES)
        except ConnectionError:
            return
        if not data:
            return
        yield from frames.feed(data)

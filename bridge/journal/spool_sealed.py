"""Bytes of files at rest, encrypted where bodies are: chunk by chunk in the spool, and what is only passing.

A sealed file is one frame for each chunk: its length in four bytes, and the chunk as `Seals` keeps a value.
So each chunk carries the id of its key, and is opened by itself wherever it is asked for. Order and wholeness
are the digests' affair, which stand in the journal.
"""

from __future__ import annotations

import io
import os
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import BinaryIO, Final

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from bridge.errors import ItemRefused, SpoolDamaged
from bridge.journal.sealing import CONTENT_AT, Seals, key_id_of

PLACE: Final = "spool"
"""What a sealed chunk is bound to, in place of a column."""
LENGTH_BYTES: Final = 4
MORE_MAX_BYTES: Final = 1024**2
"""What a sealed chunk can be longer than its bytes."""
_BLOCK_BYTES: Final = 16
_DAMAGED: Final = "the spool has other bytes than came"


def frame(seals: Seals, chunk: bytes) -> bytes:
    """A chunk as it stands in a sealed file."""
    sealed = seals.seal(chunk, PLACE)
    return len(sealed).to_bytes(LENGTH_BYTES) + sealed


def frames(file: BinaryIO, chunk_max_bytes: int) -> Iterator[tuple[int, int]]:
    """Where each sealed chunk of a file is, and how long. Raises SpoolDamaged."""
    end = file.seek(0, os.SEEK_END)
    at = 0
    while at < end:
        file.seek(at)
        size = int.from_bytes(file.read(LENGTH_BYTES))
        if not 0 < size <= min(chunk_max_bytes + MORE_MAX_BYTES, end - at - LENGTH_BYTES):
            raise SpoolDamaged(_DAMAGED)
        yield at + LENGTH_BYTES, size
        at += LENGTH_BYTES + size


def key_ids(file: BinaryIO, chunk_max_bytes: int) -> set[bytes | None]:
    """With which keys the chunks of a sealed file are encrypted."""
    found = set()
    for at, _ in frames(file, chunk_max_bytes):
        file.seek(at)
        found.add(key_id_of(file.read(CONTENT_AT + 1)))
    return found


class Opened(io.RawIOBase):
    """A sealed file as it came, to be read anywhere; one chunk of it is held at a time."""

    def __init__(self, file: BinaryIO, sizes: Sequence[int], seals: Seals) -> None:
        """``sizes`` are those of the chunks. Raises SpoolDamaged where the file has more or fewer of them."""
        self._file, self._seals = file, seals
        self._frames = list(frames(file, max(sizes, default=0)))
        self._begins = [0, *accumulate(sizes)]
        self._at = 0
        self._number, self._chunk = -1, b""
        if len(self._frames) != len(sizes):
            raise SpoolDamaged(_DAMAGED)

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As any file does it."""
        base = {os.SEEK_SET: 0, os.SEEK_CUR: self._at, os.SEEK_END: self._begins[-1]}[whence]
        if base + offset < 0:
            raise OSError(22, "Invalid argument")
        self._at = base + offset
        return self._at

    def readinto(self, buffer: object) -> int:
        """As any file does it. Raises SpoolDamaged where a chunk does not open."""
        if self._at >= self._begins[-1]:
            return 0
        number = bisect_right(self._begins, self._at) - 1
        if number != self._number:
            self._open(number)
        view = memoryview(buffer)  # type: ignore[arg-type]
        start = self._at - self._begins[number]
        part = self._chunk[start : start + len(view)]
        view[: len(part)] = part
        self._at += len(part)
        return len(part)

    def _open(self, number: int) -> None:
        at, size = self._frames[number]
        self._file.seek(at)
        try:
            chunk = self._seals.open(self._file.read(size), PLACE)
        except ItemRefused as error:
            raise SpoolDamaged(str(error)) from None
        if len(chunk) != self._begins[number + 1] - self._begins[number]:
            raise SpoolDamaged(_DAMAGED)
        self._number, self._chunk = number, chunk

    def close(self) -> None:
        """Let go of it."""
        self._file.close()
        super().close()


class Veiled(io.RawIOBase):
    """A file without a name, encrypted with a key that nothing keeps (AES-256, SP 800-38A 6.5).

    What is left on the disk when the process has ended is nobody's to read. Each place is written once.
    """

    def __init__(self, file: BinaryIO, key: bytes) -> None:
        """``file`` is raw, not buffered; ``key`` has 32 bytes, and is used for nothing else."""
        self._file, self._key, self._at = file, key, 0

    def readable(self) -> bool:
        """It is."""
        return True

    def writable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """As any file does it."""
        if whence == os.SEEK_CUR:
            offset, whence = self._at + offset, os.SEEK_SET
        self._at = self._file.seek(offset, whence)
        return self._at

    def tell(self) -> int:
        """As any file does it."""
        return self._at

    def _turned(self, data: bytes) -> bytes:
        """Encrypted or decrypted, which is the same, for where the file is."""
        block, skipped = divmod(self._at, _BLOCK_BYTES)
        cipher = Cipher(algorithms.AES(self._key), modes.CTR(block.to_bytes(_BLOCK_BYTES))).encryptor()
        cipher.update(bytes(skipped))
        return cipher.update(data)

    def readinto(self, buffer: object) -> int:
        """As any file does it."""
        view = memoryview(buffer)  # type: ignore[arg-type]
        self._file.seek(self._at)
        data = self._file.read(len(view))
        view[: len(data)] = self._turned(data)
        self._at += len(data)
        return len(data)

    def write(self, data: object) -> int:
        """As any file does it."""
        plain = bytes(memoryview(data))  # type: ignore[arg-type]
        self._file.seek(self._at)
        done = self._file.write(self._turned(plain))
        self._at += done
        return done

    def close(self) -> None:
        """Let go of it, and of the key."""
        self._file.close()
        self._key = b""
        super().close()

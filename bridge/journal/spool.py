"""Bytes of files, beside the journal: written once, in one pass, and read again in chunks.

A small file is kept in the journal itself, so that taking it costs one commit and no more. A larger one lies
in the spool, a folder beside the journal, under a name of ours. Its digests are in the journal: each chunk
has the SHA-256 of the file up to the end of that chunk, so that one running digest serves for the chunks, for
the whole, and for reading again; the last one is what `sha256sum` says of the file. Where bodies are
encrypted, so is the spool, `journal.spool_sealed`.

Everything here blocks, and runs in a thread.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final

from bridge.errors import SpoolDamaged
from bridge.journal import spool_sealed
from bridge.journal.sealing import KEY_BYTES, Seals

CHUNK_BYTES: Final = 4 * 1024**2
INLINE_MAX_BYTES: Final = 256 * 1024
"""A file up to this size is kept in the journal's own rows."""
INLINE, GONE, SPOOLED = "journal", "gone", "spool:"
"""Where bytes are: in the rows of the chunks, nowhere any more, or in the spool under the name that
follows."""
SEALED_ENDING: Final = ".sealed"
"""Of the name of a file whose chunks are encrypted."""
_PART: Final = ".part"
_SAFELY: Final = os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a file. ``sha256`` is that of the file up to its end."""

    size_bytes: int
    sha256: bytes
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Spooled:
    """A file whose bytes are on disk, or will be with the commit that names it."""

    size_bytes: int
    sha256: bytes
    kept: str
    chunks: tuple[Chunk, ...]


class Incoming:
    """A file that arrives. What has come stays when its source goes away, and the rest can follow."""

    def __init__(self, folder: Path, name: str, seals: Seals | None = None) -> None:
        """With ``seals`` that have a key, what goes to the spool is encrypted."""
        self._seals = seals if seals is not None and seals.keyring is not None else None
        self._folder, self._name = folder, name + (SEALED_ENDING if self._seals else "")
        self._digest = hashlib.sha256()
        self._held = bytearray()
        self._file: int | None = None
        self._chunks: list[Chunk] = []
        self._in_chunk = 0
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Add bytes. Raises OSError where they cannot be kept."""
        view = memoryview(data)
        while view:
            part = view[: CHUNK_BYTES - self._in_chunk]
            self._keep(part)
            self._digest.update(part)
            self._in_chunk += len(part)
            self.size_bytes += len(part)
            if self._in_chunk == CHUNK_BYTES:
                self._end_chunk()
            view = view[len(part) :]

    def _keep(self, part: memoryview) -> None:
        if self._file is None:
            if len(self._held) + len(part) <= INLINE_MAX_BYTES:
                self._held += part
                return
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _SAFELY
            self._file = os.open(self._folder / f"{self._name}{_PART}", flags, 0o600)
            if self._seals is None:
                _write_all(self._file, memoryview(self._held))
                self._held.clear()
        if self._seals is not None:
            self._held += part  # no more than a chunk, which is sealed as a whole
            return
        _write_all(self._file, part)

    def _end_chunk(self) -> None:
        if self._seals is not None and self._file is not None:
            _write_all(self._file, memoryview(spool_sealed.frame(self._seals, bytes(self._held))))
            self._held.clear()
        self._chunks.append(Chunk(self._in_chunk, self._digest.digest()))
        self._in_chunk = 0

    def finish(self) -> Spooled:
        """All bytes have come: see them to disk. Raises OSError where that cannot be."""
        whole = self._digest.digest()
        if self._file is None:
            chunk = Chunk(self.size_bytes, whole, bytes(self._held))
            return Spooled(self.size_bytes, whole, INLINE, (chunk,))
        if self._in_chunk:
            self._end_chunk()
        os.fsync(self._file)
        os.close(self._file)
        self._file = None
        os.rename(self._folder / f"{self._name}{_PART}", self._folder / self._name)
        sync_folder(self._folder)
        return Spooled(self.size_bytes, whole, f"{SPOOLED}{self._name}", tuple(self._chunks))

    def abandon(self) -> None:
        """Give up what has come."""
        if self._file is not None:
            os.close(self._file)
            self._file = None
            with suppress(OSError):
                os.unlink(self._folder / f"{self._name}{_PART}")


class Spool:
    """The folder for bytes of large files. It is made when the first of them comes."""

    def __init__(self, beside: Path, seals: Seals | None = None) -> None:
        """``beside`` is the journal's place, ``seals`` what its bodies are sealed with."""
        self.folder, self._seals = beside.with_name(f"{beside.name}.spool"), seals or Seals()

    def incoming(self, name: str) -> Incoming:
        """A new file under a name of ours, which no other has or had."""
        return Incoming(self.folder, name, self._seals)

    def open(self, kept: str, chunks: Sequence[Chunk]) -> Content:
        """A kept file, to be read from its beginning. Raises SpoolDamaged where its bytes are not there."""
        if kept == INLINE:
            return Content(io.BytesIO(b"".join(chunk.content or b"" for chunk in chunks)), chunks)
        if not kept.startswith(SPOOLED):
            raise SpoolDamaged("its bytes were deleted when their time was over")
        try:
            descriptor = os.open(self.path(kept), os.O_RDONLY | _SAFELY)
        except OSError as error:
            raise SpoolDamaged(f"its bytes cannot be read in {self.folder}: {error.strerror}") from None
        file: BinaryIO = os.fdopen(descriptor, "rb")
        if kept.endswith(SEALED_ENDING):
            try:
                opened = spool_sealed.Opened(file, [chunk.size_bytes for chunk in chunks], self._seals)
            except SpoolDamaged:
                file.close()
                raise
            file = io.BufferedReader(opened)
        return Content(file, chunks)

    def path(self, kept: str) -> Path:
        """Where the bytes of a kept file are."""
        return self.folder / kept.removeprefix(SPOOLED)

    def remove(self, kept: str) -> None:
        """Delete bytes that no row names any more."""
        if kept.startswith(SPOOLED):
            with suppress(FileNotFoundError):
                os.unlink(self.path(kept))

    def sweep(self, named: Collection[str]) -> int:
        """Delete what no row names: left by a process that ended before its commit. How many there were.

        Only for the process that owns the journal, before it takes a file.
        """
        removed = 0
        with suppress(FileNotFoundError):
            for name in os.listdir(self.folder):
                if f"{SPOOLED}{name}" not in named:
                    os.unlink(self.folder / name)
                    removed += 1
        return removed

    def scratch(self, name: str) -> BinaryIO:
        """A file without a name, for bytes that must be looked at from both ends."""
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self.folder / f"{name}.scratch"
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | _SAFELY, 0o600)
        os.unlink(path)
        if self._seals.keyring is None:
            return os.fdopen(descriptor, "w+b")
        raw: BinaryIO = os.fdopen(descriptor, "w+b", buffering=0)
        return io.BufferedRandom(spool_sealed.Veiled(raw, self._seals.chance(KEY_BYTES)))


class Content:
    """A kept file that is read. What is read in order is held against the digests of the journal."""

    def __init__(self, file: BinaryIO, chunks: Iterable[Chunk]) -> None:
        self.file = file
        """The bytes themselves, to be read anywhere; nothing is verified there."""
        self._chunks = iter(chunks)
        self._digest = hashlib.sha256()
        self._expected: Chunk | None = next(self._chunks, None)
        self._left = 0 if self._expected is None else self._expected.size_bytes

    def read(self, size: int) -> bytes:
        """The next bytes, at most so many; none at the end. Raises SpoolDamaged where they are others."""
        if self._expected is None:
            return b""
        data = self.file.read(min(size, self._left))
        self._digest.update(data)
        self._left -= len(data)
        if not data and self._left:
            raise SpoolDamaged("the spool has less of it than came")
        if not self._left:
            if self._digest.digest() != self._expected.sha256:
                raise SpoolDamaged("the spool has other bytes than came")
            self._expected = next(self._chunks, None)
            self._left = 0 if self._expected is None else self._expected.size_bytes
        return data

    def close(self) -> None:
        """Let go of it."""
        self.file.close()


def _write_all(descriptor: int, data: memoryview) -> None:
    while data:
        data = data[os.write(descriptor, data) :]


def sync_folder(folder: Path) -> None:
    """See to disk which files a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

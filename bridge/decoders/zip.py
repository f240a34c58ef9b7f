"""ZIP archives (APPNOTE 6.3), entry after entry. Nothing is ever written under a name of an archive."""

from __future__ import annotations

import errno
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from typing import IO, BinaryIO, Final

from pydantic import Field

from bridge.component import Options
from bridge.decoders.base import Budget, Entry, Undecodable, in_a_file

DIRECTORY_MAX_BYTES: Final = 16 * 1024**2
"""The list of an archive's entries is read into memory as a whole."""
_END, _END_BYTES, _COMMENT_MAX_BYTES = b"PK\5\6", 22, 65_535
_TAKEN_METHODS: Final = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
_DAMAGED = Undecodable("archive-damaged", "This is no ZIP archive, or is damaged.")


class ZipOptions(Options):
    """A ZIP archive of files, each of which is read as if it had come alone."""

    max_entries: int = Field(10_000, gt=0, le=1_000_000, description="An archive with more is not taken.")

    def entries(self, source: Entry, budget: Budget) -> Iterator[Entry]:
        """The files in the archive, in its own order."""
        file = in_a_file(source, budget)
        _look_at_the_end(file, self.max_entries)
        try:
            with zipfile.ZipFile(file) as archive:
                for info in archive.infolist():
                    _look_at(info)
                for info in archive.infolist():
                    if not info.is_dir():
                        with archive.open(info) as packed:
                            yield Entry(info.filename, _Unpacked(packed, budget))
        except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, struct.error, ValueError):
            raise _DAMAGED from None
        except OSError as error:
            if error.errno == errno.EINVAL:  # a place before the file's beginning
                raise _DAMAGED from None
            raise


class _Unpacked:
    def __init__(self, packed: IO[bytes], budget: Budget) -> None:
        self._packed, self._budget = packed, budget

    def read(self, size: int) -> bytes:
        try:
            data = self._packed.read(size)
        except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError):
            raise _DAMAGED from None
        self._budget.spend(len(data))
        return data


def _look_at_the_end(file: BinaryIO, entries_max: int) -> None:
    """See how many entries there are before the list of them is read (4.3.16)."""
    size = file.seek(0, 2)
    file.seek(max(0, size - _END_BYTES - _COMMENT_MAX_BYTES))
    tail = file.read(_END_BYTES + _COMMENT_MAX_BYTES)
    file.seek(0)
    at = tail.rfind(_END)
    if at < 0 or len(tail) - at < _END_BYTES:
        raise _DAMAGED
    entries, directory_bytes = struct.unpack_from("<HI", tail, at + 10)
    if entries == 0xFFFF or directory_bytes == 0xFFFFFFFF:
        # ZIP64 says it elsewhere (4.3.14): its record stands before this one, 20 bytes of locator between.
        record = tail.rfind(b"PK\6\6", 0, at)
        if record < 0 or at - record < 56:
            raise _DAMAGED
        entries, directory_bytes = struct.unpack_from("<QQ", tail, record + 32)
    if entries > entries_max or directory_bytes > DIRECTORY_MAX_BYTES:
        raise Undecodable("archive-entries", f"The archive has more than {entries_max} entries.")


def _look_at(info: zipfile.ZipInfo) -> None:
    if info.flag_bits & 0x1:
        text = "The archive is encrypted; ZIP's own encryption is not taken."
        raise Undecodable("archive-encrypted", text)
    if info.compress_type not in _TAKEN_METHODS:
        raise Undecodable("archive-method", "The archive is packed in a way that is not taken: use deflate.")
    if stat.S_IFMT(info.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
        raise Undecodable("archive-link", "The archive holds a link or a device, and not only files.")
    # The name as it was written: the library cuts it at a NUL.
    name = getattr(info, "orig_filename", info.filename).replace("\\", "/")
    if name.startswith("/") or "\0" in name or ".." in name.split("/") or name[1:2] == ":":
        raise Undecodable("archive-name", "The archive holds a name that leads out of it.")

"""A disk under the SQLite that the journal uses: it sees each write and sync, fails on demand, and knows what
a power cut may leave of files that were not synced.

It is a VFS of SQLite's own kind, put before the one of the operating system in the library that is loaded
anyway; so the driver, the journal and its settings are the real ones.
"""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ctypes import POINTER, Structure, byref, c_char_p, c_int, c_int64, c_void_p, pointer
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from bridge.journal.sqlite import sqlite_module

OK, FULL, CANTOPEN = 0, 13, 14
IOERR_WRITE, IOERR_FSYNC, IOERR_TRUNCATE, IOERR_DELETE = (10 | code << 8 for code in (3, 4, 6, 10))
SECTOR_BYTES = 512
"""No disk writes less than this at once; more may be torn apart."""

Fault = Literal["error", "full"]
Kept = Literal["all", "none", "prefix", "some", "torn"]
"""What a power cut leaves of writes that were not synced: all, none, the first ones, any of them, or any
sectors of any of them."""

_File = c_void_p
# Names travel as addresses: SQLite reads what it has put around them.
_open = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, _File, c_int, POINTER(c_int))
_delete = ctypes.CFUNCTYPE(c_int, c_void_p, c_void_p, c_int)
_close = ctypes.CFUNCTYPE(c_int, _File)
_write = ctypes.CFUNCTYPE(c_int, _File, c_void_p, c_int, c_int64)
_truncate = ctypes.CFUNCTYPE(c_int, _File, c_int64)
_sync = ctypes.CFUNCTYPE(c_int, _File, c_int)


class _Vfs(Structure):
    _fields_ = [
        ("iVersion", c_int),
        ("szOsFile", c_int),
        ("mxPathname", c_int),
        ("pNext", c_void_p),
        ("zName", c_char_p),
        ("pAppData", c_void_p),
        ("xOpen", _open),
        ("xDelete", _delete),
        *((f"rest{number}", c_void_p) for number in range(14)),
    ]


class _Methods(Structure):
    _fields_ = [
        ("iVersion", c_int),
        ("xClose", _close),
        ("xRead", c_void_p),
        ("xWrite", _write),
        ("xTruncate", _truncate),
        ("xSync", _sync),
        *((f"rest{number}", c_void_p) for number in range(13)),
    ]


class _FileHead(Structure):
    _fields_ = [("pMethods", POINTER(_Methods))]


@dataclass(slots=True)
class _Content:
    """One file: what is safe, and what was written since, in order: (offset, bytes), or a new size."""

    synced: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes] | int] = field(default_factory=list)

    def sync(self) -> None:
        for each in self.pending:
            _apply(self.synced, each)
        self.pending.clear()


def _apply(content: bytearray, change: tuple[int, bytes] | int) -> None:
    if isinstance(change, int):
        del content[change:]
        return
    offset, data = change
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


class FaultyDisk:
    """All files that SQLite opens while it is `installed`.

    ``before`` is called before each operation with its kind (``write``, ``sync``, ``truncate``, ``delete``),
    and may return a fault for it.
    """

    def __init__(self, *, really_sync: bool = False) -> None:
        self.before: Callable[[str], Fault | None] = lambda kind: None
        self.operations = 0
        self.files: dict[str, _Content] = {}
        self.dead = False
        """Power is off: nothing is written any more, and everything fails."""
        self._really_sync = really_sync
        self._names: dict[int, str] = {}

    def put(self, path: Path, content: bytes) -> None:
        """A file that was there before, safe on disk."""
        path.write_bytes(content)
        self.files[str(path)] = _Content(bytearray(content))

    def after_power_cut(self, kept: Kept, chance: random.Random) -> dict[str, bytes]:
        """What each file may hold after a power cut now, by its path; without what never was synced."""
        found: dict[str, bytes] = {}
        for name, content in list(self.files.items()):
            left = bytearray(content.synced)
            for change in _kept(content.pending, kept, chance):
                _apply(left, change)
            if left or content.synced:
                found[name] = bytes(left)
        return found

    # What SQLite calls.

    def _fault(self, kind: str) -> Fault | None:
        if self.dead:
            return "error"
        self.operations += 1
        fault = self.before(kind)
        return "error" if self.dead else fault

    def wrote(self, file: int, data: bytes, offset: int) -> Fault | None:
        if (fault := self._fault("write")) is None:
            self._content(file).pending.append((offset, data))
        return fault

    def truncated(self, file: int, size: int) -> Fault | None:
        if (fault := self._fault("truncate")) is None:
            self._content(file).pending.append(size)
        return fault

    def synced(self, file: int) -> Fault | None:
        if (fault := self._fault("sync")) is None:
            self._content(file).sync()
        return fault

    def deleted(self, name: str) -> Fault | None:
        if (fault := self._fault("delete")) is None:
            self.files.pop(name, None)
        return fault

    def opened(self, file: int, name: str) -> None:
        self._names[file] = name
        self.files.setdefault(name, _Content())

    def closed(self, file: int) -> None:
        self._names.pop(file, None)

    def knows(self, file: int) -> bool:
        return file in self._names

    @property
    def really_syncs(self) -> bool:
        return self._really_sync

    def _content(self, file: int) -> _Content:
        return self.files.setdefault(self._names[file], _Content())


def _kept(
    pending: list[tuple[int, bytes] | int], kept: Kept, chance: random.Random
) -> Iterator[tuple[int, bytes] | int]:
    match kept:
        case "all":
            yield from pending
        case "prefix":
            yield from pending[: chance.randint(0, len(pending))]
        case "some":
            yield from (each for each in pending if chance.random() < 0.5)
        case "torn":
            for each in pending:
                if isinstance(each, int):
                    if chance.random() < 0.5:
                        yield each
                    continue
                offset, data = each
                for start in range(0, len(data), SECTOR_BYTES):
                    if chance.random() < 0.5:
                        yield offset + start, data[start : start + SECTOR_BYTES]


@contextmanager
def installed(disk: FaultyDisk) -> Iterator[FaultyDisk]:
    """Let every file that SQLite opens in this process, until the block ends, be on this disk."""
    layer = _layer()
    on_disk(disk)
    layer.use(own=True)
    try:
        yield disk
    finally:
        layer.use(own=False)


def on_disk(disk: FaultyDisk) -> None:
    """Let another disk be the one that is installed; all files of the one before are closed."""
    _layer().disk = disk


class _Layer:
    """The VFS itself. There is one for the life of the process: SQLite keeps pointers to it."""

    def __init__(self) -> None:
        driver: Any = sqlite_module()
        self._library = ctypes.CDLL(_compiled(driver).__file__)
        find = self._library.sqlite3_vfs_find
        find.restype, find.argtypes = POINTER(_Vfs), [c_char_p]
        self._register = self._library.sqlite3_vfs_register
        self._register.argtypes = [POINTER(_Vfs), c_int]
        self._below = find(None)
        self._own = _Vfs()
        ctypes.memmove(byref(self._own), self._below, ctypes.sizeof(_Vfs))
        self._own.zName, self._own.pNext = b"faulty", None
        self._own.xOpen, self._own.xDelete = _open(self._opening), _delete(self._deleting)
        self._methods: dict[int, tuple[_Methods, _Methods]] = {}
        """Ours with the real ones, by the address of these: files with locks have others."""
        self.disk = FaultyDisk()

    def use(self, *, own: bool) -> None:
        self._register(pointer(self._own), 1 if own else 0)
        if not own:
            self._register(self._below, 1)

    def _opening(self, vfs: int, name: int | None, file: int, flags: int, out: Any) -> int:
        if self.disk.dead:
            ctypes.cast(file, POINTER(c_void_p))[0] = None
            return CANTOPEN
        status: int = self._below.contents.xOpen(vfs, name, file, flags, out)
        if status == OK and name:
            head = ctypes.cast(file, POINTER(_FileHead)).contents
            where = ctypes.addressof(head.pMethods.contents)
            if where not in self._methods:
                real = _Methods()
                ctypes.memmove(byref(real), where, ctypes.sizeof(_Methods))
                self._methods[where] = self._with_ours(real), real
            head.pMethods = pointer(self._methods[where][0])
            self.disk.opened(file, ctypes.string_at(name).decode())
        return status

    def _with_ours(self, real: _Methods) -> _Methods:
        ours = _Methods()
        ctypes.memmove(byref(ours), byref(real), ctypes.sizeof(_Methods))
        # SQLite must not write through a mapping behind our back.
        ours.iVersion = min(real.iVersion, 2)

        def write(file: int, data: int, size: int, offset: int) -> int:
            disk = self.disk
            if disk.knows(file):
                fault = disk.wrote(file, ctypes.string_at(data, size), offset)
                if fault is not None:
                    return FULL if fault == "full" else IOERR_WRITE
            status: int = real.xWrite(file, data, size, offset)
            return status

        def truncate(file: int, size: int) -> int:
            if self.disk.knows(file) and self.disk.truncated(file, size) is not None:
                return IOERR_TRUNCATE
            status: int = real.xTruncate(file, size)
            return status

        def sync(file: int, flags: int) -> int:
            if self.disk.knows(file):
                fault = self.disk.synced(file)
                if fault is not None:
                    return FULL if fault == "full" else IOERR_FSYNC
                if not self.disk.really_syncs:
                    return OK
            status: int = real.xSync(file, flags)
            return status

        def close(file: int) -> int:
            self.disk.closed(file)
            status: int = real.xClose(file)
            return status

        ours.xWrite, ours.xTruncate = _write(write), _truncate(truncate)
        ours.xSync, ours.xClose = _sync(sync), _close(close)
        return ours

    def _deleting(self, vfs: int, name: int, sync: int) -> int:
        if self.disk.deleted(ctypes.string_at(name).decode()) is not None:
            return IOERR_DELETE
        status: int = self._below.contents.xDelete(vfs, name, sync)
        return status


def _compiled(driver: Any) -> Any:
    try:
        import pysqlite3._sqlite3 as compiled
    except ImportError:
        import _sqlite3 as compiled
    assert driver.sqlite_version, "the driver has its library loaded"
    return compiled


_made: list[_Layer] = []


def _layer() -> _Layer:
    if not _made:
        _made.append(_Layer())
    return _made[0]

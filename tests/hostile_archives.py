"""ZIP archives that are damaged, that lead out, and that grow without end, and why each is refused."""

from __future__ import annotations

import io
import os
import stat
import struct
import zipfile

CONTENT = b"MSH|^~\\&|A|B|C|D|20260301||ADT^A01|1|P|2.5\rPID|1||17\r" * 20


def zipped(*names: str, content: bytes = CONTENT, method: int = zipfile.ZIP_DEFLATED, mode: int = 0) -> bytes:
    written = io.BytesIO()
    with zipfile.ZipFile(written, "w", method) as archive:
        for name in names:
            info = zipfile.ZipInfo(name)
            info.compress_type, info.external_attr = method, mode << 16
            archive.writestr(info, content)
    return written.getvalue()


def _patched(data: bytes, signature: bytes, offset: int, value: bytes) -> bytes:
    at = data.rindex(signature) + offset
    return data[:at] + value + data[at + len(value) :]


def _wrong_checksum() -> bytes:
    data = zipped("a", method=zipfile.ZIP_STORED)
    return data.replace(CONTENT, CONTENT[:-2] + b"X\r")


def _bomb(size: int) -> bytes:
    return zipped("a", content=b"\0" * size)


def _overlapping(entries: int) -> bytes:
    """Many entries of the list that all lead to the same bytes."""
    data = zipped("a", content=b"\0" * 200_000)
    directory_at = data.rindex(b"PK\1\2")
    end_at = data.rindex(b"PK\5\6")
    one = data[directory_at:end_at]
    end = struct.pack("<4s4H2LH", b"PK\5\6", 0, 0, entries, entries, len(one) * entries, directory_at, 0)
    return data[:directory_at] + one * entries + end


def _methods(method: int) -> bytes:
    return zipped("a", method=method)


HOSTILE_ZIPS: dict[str, tuple[bytes, str]] = {
    "out": (zipped("../../etc/cron.d/x"), "archive-name"),
    "out-within": (zipped("a/../../x"), "archive-name"),
    "absolute": (zipped("/etc/passwd"), "archive-name"),
    "backslash": (zipped("..\\..\\x"), "archive-name"),
    "drive": (zipped("C:\\windows\\x"), "archive-name"),
    "dots-alone": (zipped(".."), "archive-name"),
    "good-and-bad": (zipped("good", "../bad"), "archive-name"),
    "link": (zipped("a", content=b"/etc/passwd", mode=stat.S_IFLNK | 0o777), "archive-link"),
    "device": (zipped("a", mode=stat.S_IFCHR | 0o666), "archive-link"),
    "pipe": (zipped("a", mode=stat.S_IFIFO | 0o666), "archive-link"),
    "encrypted": (
        _patched(_patched(zipped("a"), b"PK\3\4", 6, b"\1\0"), b"PK\1\2", 8, b"\1\0"),
        "archive-encrypted",
    ),
    "bzip2": (_methods(zipfile.ZIP_BZIP2), "archive-method"),
    "lzma": (_methods(zipfile.ZIP_LZMA), "archive-method"),
    "unknown-method": (
        _patched(_patched(zipped("a"), b"PK\3\4", 8, b"\x63\0"), b"PK\1\2", 10, b"\x63\0"),
        "archive-method",
    ),
    "bomb": (_bomb(200 * 1024**2), "decoded-"),
    "many-bombs": (zipped(*map(str, range(50)), content=b"\0" * 1024**2), "decoded-"),
    "overlapping": (_overlapping(5000), "decoded-"),
    "too-many": (zipped(*map(str, range(101)), content=b""), "archive-entries"),
    "says-many": (_patched(zipped("a"), b"PK\5\6", 10, b"\xfe\xff"), "archive-entries"),
    "says-large": (_patched(zipped("a"), b"PK\5\6", 12, b"\xfe\xff\xff\xff"), "archive-entries"),
    "zip64-without": (_patched(zipped("a"), b"PK\5\6", 12, b"\xff\xff\xff\xff"), "archive-damaged"),
    "lying-size": (_patched(zipped("a"), b"PK\1\2", 24, b"\1\0\0\0"), "archive-damaged"),
    "wrong-checksum": (_wrong_checksum(), "archive-damaged"),
    "cut": (zipped("a", content=os.urandom(5000))[:3000], "archive-damaged"),
    "no-archive": (CONTENT, "archive-damaged"),
    "empty": (b"", "archive-damaged"),
    "end-only": (b"PK\5\6" + b"\xff" * 18, "archive-damaged"),
    "list-elsewhere": (_patched(zipped("a"), b"PK\5\6", 16, b"\xff\xff\xff\x7f"), "archive-damaged"),
    "damaged-packing": (_patched(zipped("a"), b"PK\3\4", 32, b"\xff" * 20), "archive-damaged"),
}

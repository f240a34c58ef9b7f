"""Claims in a folder on an SFTP server, each in a folder of its own word below `OWN`. It blocks."""

from __future__ import annotations

import stat
from contextlib import suppress
from typing import Any, Final

from bridge.ssh.session import Attributes
from bridge.transports.collecting import Claimed
from bridge.transports.sftp_said import is_told
from bridge.transports.watching import OWN, Seen, is_plain_name

DATA: Final = "file"
MARKER: Final = "marker"


class SftpClaims:
    """The claims below one folder, over whatever connection there is. All of it raises OSError."""

    def __init__(self, base: str) -> None:
        self._base = base

    def _path(self, *parts: str) -> str:
        return "/".join((self._base.rstrip("/"), *parts))

    def claimed(self, sftp: Any, word: str) -> Claimed | None:
        """What a claim holds. A marker without its file, which a crash came between, goes back to it."""
        data, marker = self.only_file(sftp, word, DATA), self.only_file(sftp, word, MARKER)
        if data is None:
            if marker is not None:
                with suppress(OSError):
                    sftp.rename(self._path(OWN, word, MARKER, marker[0]), self._path(marker[0]))
            self.let_go(sftp, word)
            return None
        return Claimed(seen_as(*data), word, None if marker is None else marker[0])

    def only_file(self, sftp: Any, word: str, kind: str) -> tuple[str, Attributes] | None:
        """The one file of a kind in a claim, by its name there."""
        parts: list[str] = []
        while True:
            try:
                entries = sftp.listdir_attr(self._path(OWN, word, kind, *parts))
            except FileNotFoundError:
                return None
            if len(entries) != 1 or not is_plain_name(entries[0].filename):
                return None
            parts.append(entries[0].filename)
            is_told(sftp, self._path(OWN, word, kind, *parts), entries[0])
            if not stat.S_ISDIR(entries[0].st_mode or 0):
                return "/".join(parts), entries[0]

    def let_go(self, sftp: Any, word: str) -> None:
        """Remove a claim that is empty but for its marker. A file in it stays, and with it the claim."""
        with suppress(OSError):
            self._empty(sftp, self._path(OWN, word, MARKER), files=True)
        with suppress(OSError):
            self._empty(sftp, self._path(OWN, word, DATA), files=False)
        with suppress(OSError):
            sftp.rmdir(self._path(OWN, word))

    def _empty(self, sftp: Any, path: str, *, files: bool) -> None:
        for entry in sftp.listdir_attr(path):
            if stat.S_ISDIR(entry.st_mode or 0):
                self._empty(sftp, f"{path}/{entry.filename}", files=files)
            elif files:
                sftp.remove(f"{path}/{entry.filename}")
        sftp.rmdir(path)


def seen_as(name: str, entry: Attributes) -> Seen:
    """A file as the server shows it."""
    return Seen(name, entry.st_size or 0, str(entry.st_mtime), float(entry.st_mtime or 0))

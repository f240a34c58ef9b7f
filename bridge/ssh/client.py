"""The library's SFTP client, for servers whose names and words are not all UTF-8.

A server that speaks version 3 says names as bytes (draft-ietf-secsh-filexfer-02 section 7), and none promises
what they mean. The library raises at the first that is no UTF-8, and with it nothing of the folder is seen.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

import paramiko
from paramiko.message import Message
from paramiko.sftp import CMD_CLOSE, CMD_HANDLE, CMD_NAME, CMD_OPENDIR, CMD_READDIR

_OTHERWISE: Final = "the server answers something else than was asked"
_ENTRY_MIN_BYTES: Final = 12
"""Two lengths and the flags of the attributes."""


class SftpClient(paramiko.SFTPClient):  # type: ignore[misc] # the library says nothing of its types
    """Files on a server."""

    def listed(self, path: str) -> Iterator[paramiko.SFTPAttributes]:
        """What a folder holds, as the server gives it. A byte of a name that is no UTF-8 is a lone surrogate,
        as in names of this machine's files. Raises OSError, and what the library does where the connection
        breaks."""
        kind, message = self._request(CMD_OPENDIR, self._adjust_cwd(path))
        if kind != CMD_HANDLE:
            raise OSError(_OTHERWISE)
        handle = message.get_binary()
        while True:
            try:
                kind, message = self._request(CMD_READDIR, handle)
            except EOFError:
                break
            if kind != CMD_NAME:
                raise OSError(_OTHERWISE)
            yield from _entries(message)
        self._request(CMD_CLOSE, handle)

    def listdir_attr(self, path: str = ".") -> list[paramiko.SFTPAttributes]:
        """The same at once, as the library has it."""
        return list(self.listed(path))

    def _adjust_cwd(self, path: str | bytes) -> Any:
        """The library's: a name that was listed is asked for in the bytes in which it came."""
        return super()._adjust_cwd(path.encode("utf-8", "surrogateescape") if isinstance(path, str) else path)

    def _convert_status(self, msg: Any) -> None:
        """The library's: what a server says of a failure, in whatever character set, is no reason for
        another."""
        clean = Message()
        clean.add_int(msg.get_int())
        clean.add_string(msg.get_string().decode("utf-8", "replace"))
        clean.rewind()
        super()._convert_status(clean)


def _entries(message: Any) -> Iterator[paramiko.SFTPAttributes]:
    # No more than can be in it, whatever number the server says.
    for _ in range(min(message.get_int(), len(message.asbytes()) // _ENTRY_MIN_BYTES)):
        name = message.get_string().decode("utf-8", "surrogateescape")
        message.get_string()  # the line of a listing for people, in whatever form the server likes
        entry = paramiko.SFTPAttributes._from_msg(message, name)
        if name not in (".", ".."):
            yield entry


def is_utf8(name: str) -> bool:
    """Whether a listed name is text: whether all its bytes are UTF-8."""
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True

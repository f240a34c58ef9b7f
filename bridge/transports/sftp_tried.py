"""Whether files can be put away on an SFTP server, tried before the first one comes. It blocks."""

from __future__ import annotations

import stat
from collections.abc import Iterator
from contextlib import suppress
from typing import Any, Final

from bridge.ssh.session import attributes_of, on_the_wire
from bridge.transports.sftp_options import SftpOptions
from bridge.transports.watching import OWN

_RIGHTS: Final = (
    "have the server's owner give {} the right to make, rename and remove files there, and room, on the file "
    "system of the folder that files are taken from"
)
CONTENT: Final = b"bridge doctor\n"
_ELSEWHERE: Final = "expected a folder, or one in which it can be made: have it made, or name another"


class Untried(Exception):
    """What a folder does not let be done, and what to do about it."""

    def __init__(self, found: str, advice: str) -> None:
        self.found, self.advice = found, advice
        super().__init__(found)


def tried(sftp: Any, options: SftpOptions, word: str) -> str:
    """Lists the source's folder, and makes, moves and removes a small file called ``word`` where files are
    put away; what was found. Nobody's file is touched, and nothing is left.

    The file is never in the folder that files are taken from, where another could take it: without `claim` it
    is not known whether they can be moved out of there. Raises Untried, and PeerUnavailable where the
    connection breaks.
    """
    base = options.directory.rstrip("/") or "/"
    with on_the_wire():
        try:
            sftp.listdir_attr(base)
        except OSError as error:
            advice = (
                f"expected a folder that {options.user} may list: name it in `directory`, or have it made"
            )
            raise Untried(f"{base} cannot be listed: {_words(error)}", advice) from None
        for name, begins_in in _targets(options):
            _try_one(sftp, base, (name, begins_in), options.user, word)
    names = [name for name, _ in _targets(options)]
    return f"{base} can be listed{', and files be put into ' if names else ''}{', '.join(names)}"


def _targets(options: SftpOptions) -> Iterator[tuple[str, str]]:
    """Each folder into which something is put, and the one from which that is renamed into it."""
    if options.after != "keep":
        for name in (options.done, options.errors) if options.after == "move" else (options.errors,):
            yield name, OWN if options.claims else name
    for told in (options.answers, options.rejects):
        if told is not None:
            yield told, told


def _try_one(sftp: Any, base: str, way: tuple[str, str], user: str, word: str) -> None:
    into, begins_in = (each if each.startswith("/") else f"{base.rstrip('/')}/{each}" for each in way)
    made: list[str] = []
    files: list[str] = []
    step = "is no folder, and cannot be made"
    at = into
    try:
        for at in dict.fromkeys((begins_in, into)):
            if not _is_folder(sftp, at):
                sftp.mkdir(at, 0o700)
                made.append(at)
        at, step = begins_in, "takes no file"
        hidden = f"{begins_in}/.{word}.part"
        files.append(hidden)
        with sftp.open(hidden, "wb") as file:
            file.write(CONTENT)
        at, step = into, "takes no file that is renamed into it"
        files.append(f"{into}/.{word}")
        sftp.rename(*files)
        step = "lets no file be removed from it"
        sftp.remove(files[-1])
    except OSError as error:
        advice = _RIGHTS.format(user) if made or _is_folder(sftp, at) else _ELSEWHERE
        raise Untried(f"{at} {step}: {_words(error)}", advice) from None
    finally:
        with suppress(OSError):
            for file in files:
                with suppress(FileNotFoundError):
                    sftp.remove(file)
        for folder in reversed(made):
            with suppress(OSError):
                sftp.rmdir(folder)


def _is_folder(sftp: Any, path: str) -> bool:
    try:
        return stat.S_ISDIR(attributes_of(sftp, path).st_mode or 0)
    except OSError:
        return False


def _words(error: OSError) -> str:
    return error.strerror or "the server refuses it"

"""What the file system refuses for good, in words for a person: whose it is, and what to do."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Final

_NO_RIGHT: Final = (errno.EACCES, errno.EPERM)
_FULL: Final = (errno.ENOSPC, errno.EDQUOT)


def denied(error: OSError) -> str:
    """What is refused, whose it is and what to do; empty where it is no right that is missing, or no path is
    known."""
    if error.errno not in (*_NO_RIGHT, errno.EROFS) or not isinstance(error.filename, str):
        return ""
    return f"{error.filename}: {error.strerror}; {advice(error, Path(error.filename))}"


def advice(error: OSError, path: Path) -> str:
    """What to do about an error with a path."""
    if error.errno in _NO_RIGHT:
        return _whose(path.absolute())
    if error.errno == errno.EROFS:
        return "its disk can only be read: mount it so that it can be written, or name another place"
    if error.errno in _FULL:
        return "make room on its disk"
    return "look at its folder and its disk"


def _whose(path: Path) -> str:
    """Who has the right that this user has not: to the first folder that cannot be entered, or the file, or
    the folder that it is to be in."""
    where, may_not = path.parent, "write in"
    if closed := [each for each in reversed(path.parents) if not _may(each, os.X_OK)]:
        where, may_not = closed[0], "enter"
    elif _may(path, os.F_OK) and not _may(path, os.R_OK | os.W_OK):
        where, may_not = path, "use"
    try:
        owner, user = _name(where.stat().st_uid), _name(os.geteuid())
    except OSError:
        return "look at the rights of its folder"
    if owner == user:
        return f"the user {user} may not {may_not} {where}: change its rights"
    return f"{where} belongs to {owner}, and the user {user} may not {may_not} it: run this as {owner}"


def _may(path: Path, mode: int) -> bool:
    return os.access(path, mode, effective_ids=True)


def _name(number: int) -> str:
    import pwd

    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"

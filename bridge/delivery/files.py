"""The states of a file that was taken from a folder or a server, and the arrows between them.

    TAKEN ─→ SPLIT                       every message of it is journaled
          └→ FAILED ─→ TAKEN | DISCARDED its bytes are no file of this format, and a person decides
    QUARANTINED ─→ TAKEN | DISCARDED     it was sent before, and a person decides
    REFUSED                              not taken: its sender has it in the folder for errors
    SPLIT ─→ TAKEN                       a person replays it

The journal's triggers are made from these tables, so that no other step can be written.
"""

from __future__ import annotations

from enum import StrEnum


class FileState(StrEnum):
    """Where a file is."""

    TAKEN = "TAKEN"
    SPLIT = "SPLIT"
    FAILED = "FAILED"
    QUARANTINED = "QUARANTINED"
    DISCARDED = "DISCARDED"
    REFUSED = "REFUSED"


_F = FileState

FILE_BEGINS = frozenset({_F.TAKEN, _F.QUARANTINED, _F.REFUSED})
FILE_ARROWS: frozenset[tuple[FileState, FileState]] = frozenset(
    {
        (_F.TAKEN, _F.SPLIT),
        (_F.TAKEN, _F.FAILED),
        (_F.FAILED, _F.TAKEN),
        (_F.FAILED, _F.DISCARDED),
        (_F.SPLIT, _F.TAKEN),
        (_F.QUARANTINED, _F.TAKEN),
        (_F.QUARANTINED, _F.DISCARDED),
    }
)

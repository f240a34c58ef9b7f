"""Checkpoints (C2SP tlog-checkpoint): how many rows a chain has and the root over them, as a signed note.

    hospital-north/bridge/3f0a91cc/1
    20852
    CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=

The first line, the origin, is the name of the key, the journal's own id, and the epoch of its chain.
"""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from bridge.audit.merkle import HASH_BYTES
from bridge.audit.notes import Note

SIZE_MAX: Final = (1 << 63) - 1
_SIGNATURE: Final = "— "
IN_LINE: Final = "checkpoint"
"""The name under which a note stands in a line of JSON, as a syslog anchor has it."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A chain at one moment: whose it is, how many rows it has, and the root over all of them."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The text that is signed."""
        if not self.origin or any(map(str.isspace, self.origin)):
            raise ValueError("an origin has no blanks")
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"

    @classmethod
    def read(cls, text: str) -> Checkpoint:
        """A checkpoint by its text; lines behind the third are nobody's here. Raises ValueError."""
        lines = text.split("\n")
        if len(lines) < 4 or lines.pop() or not all(lines):
            raise ValueError("expected a checkpoint: an origin, a number of rows, and a root")
        origin, size, root = lines[:3]
        if not (size.isascii() and size.isdecimal()) or str(int(size)) != size or int(size) > SIZE_MAX:
            raise ValueError("expected a number of rows in the second line of a checkpoint")
        try:
            found = base64.b64decode(root, validate=True)
        except binascii.Error:
            found = b""
        if len(found) != HASH_BYTES:
            raise ValueError("expected a root in the third line of a checkpoint: 32 bytes as base64")
        return cls(origin, int(size), found)


def origin_of(key_name: str, journal_id: str, epoch: int) -> str:
    """The origin of a chain.

    A journal that was restored goes on in a new epoch, which is a new log to whoever watches: two trees of
    one size under one origin are always a fork.

    >>> origin_of("north", "3f0a91cc", 1)
    'north/3f0a91cc/1'
    """
    return f"{key_name}/{journal_id}/{epoch}"


def read_origin(origin: str) -> tuple[str, str, int]:
    """Name of the key, journal and epoch of an origin. Raises ValueError."""
    name, journal_id, epoch = (["", "", *origin.rsplit("/", 2)])[-3:]
    if not (name and journal_id and epoch.isascii() and epoch.isdecimal()):
        raise ValueError(f"{origin!r} is no origin of a chain: expected NAME/JOURNAL/EPOCH")
    return name, journal_id, int(epoch)


def notes_in(text: str) -> Iterator[str]:
    """The notes in a text, one behind the other as in a file of anchors, or each in a line of JSON.

    What is no note is left out, so that a log with other lines in it can be given as it is.
    """
    held: list[str] = []
    for line in text.splitlines():
        if (at := line.find(f'{{"{IN_LINE}":')) >= 0:
            try:
                found, _ = json.JSONDecoder().raw_decode(line, at)
            except ValueError:
                continue
            if isinstance(note := found.get(IN_LINE), str):
                yield note
        elif line.startswith(_SIGNATURE):
            held.append(line)
        elif held and held[-1].startswith(_SIGNATURE):
            yield _note(held)
            held = [line] if line else []
        elif line or held:
            held.append(line)
    if held and held[-1].startswith(_SIGNATURE):
        yield _note(held)


def _note(lines: list[str]) -> str:
    """The last lines that can be one note: its three lines of text, or more, an empty one, and signatures."""
    blank = max((at for at, line in enumerate(lines) if not line), default=0)
    start = max((at + 1 for at, line in enumerate(lines[:blank]) if not line), default=0)
    return "\n".join(lines[start:]) + "\n"


def checkpoint_of(note: Note) -> Checkpoint:
    """The checkpoint that a note holds. Raises ValueError where it holds another text."""
    return Checkpoint.read(note.text)

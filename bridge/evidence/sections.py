"""The file: lines of canonical JSON in sections, and a signed note behind them that counts and hashes each.

    {"evidence":{...}}
    {"checkpoint":{...}}
    {"commit":{...}}
    ...
    bridge evidence 1
    checkpoint 2 mG9x...=
    commit 120 3vQk...=

    — hospital-north/bridge AbCd...

Text, and no archive: an archive has times, owners and padding that no digest of its contents covers, and here
no byte may be another one. It is read and written line by line, so its size does not matter.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from bridge.audit.canonical import canonical
from bridge.audit.notes import NOTE_MAX_CHARACTERS, Note, Signer, Verifier

TITLE: Final = "bridge evidence 1"
SECTIONS: Final = (
    "evidence", "checkpoint", "consistency", "bundle", "statement", "version", "verdicts", "access",
    "account", "misfit", "commit", "step", "action", "file", "disclosure",
)  # fmt: skip
"""All there are, in their order. A section may be empty, and then the note says so."""
LINE_MAX_BYTES: Final = 64 * 1024 * 1024
_DASH: Final = "— "


@dataclass(slots=True)
class Sum:
    """Lines of one section: how many, and the hash over them."""

    count: int = 0
    digest: Any = field(default_factory=sha256)

    def add(self, line: bytes) -> None:
        """One more."""
        self.count += 1
        self.digest.update(line)

    def words(self, name: str) -> str:
        """The line of a note."""
        return f"{name} {self.count} {base64.b64encode(self.digest.digest()).decode()}"


def written(parts: Iterable[tuple[str, Any]], signer: Signer) -> Iterator[bytes]:
    """The file, line by line. Raises ValueError where parts do not come in the order of `SECTIONS`."""
    sums = {name: Sum() for name in SECTIONS}
    at = 0
    for name, value in parts:
        if SECTIONS.index(name) < at:
            raise ValueError(f"{name} comes too late")
        at = SECTIONS.index(name)
        line = (canonical({name: value}) + "\n").encode()
        sums[name].add(line)
        yield line
    yield signer.sign(_text(sums)).encode()


def _text(sums: dict[str, Sum]) -> str:
    return "".join(f"{line}\n" for line in (TITLE, *(each.words(name) for name, each in sums.items())))


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that was gone through once: what is wrong, who signed it, and where each section begins.

    ``offsets`` gives the first byte of each section, ``counts`` how many lines it has.
    """

    problems: tuple[str, ...]
    signed_by: str
    offsets: dict[str, int]
    counts: dict[str, int]


def opened(lines: Iterable[bytes], key: Verifier) -> Opened:
    """Go through a file's lines, with their ends, and hold each section against the note behind them.

    Does not raise: whatever is wrong is a sentence in ``problems``, the section's name in it.
    """
    sums = {name: Sum() for name in SECTIONS}
    offsets: dict[str, int] = {}
    problems: list[str] = []
    offset, at, note = 0, 0, bytearray()
    for number, line in enumerate(lines, 1):
        if note or not line.startswith(b'{"'):
            note += line
            if len(note) > NOTE_MAX_CHARACTERS:
                return Opened((f"line {number}: this is no evidence: too much behind its lines",), "", {}, {})
            continue
        name = line[2 : line.find(b'"', 2)].decode("ascii", "replace")
        if name not in sums or SECTIONS.index(name) < at:
            problems.append(f"line {number}: no section {name[:40]!r} stands here")
        else:
            at = SECTIONS.index(name)
            offsets.setdefault(name, offset)
            sums[name].add(line)
        offset += len(line)
    counts = {name: each.count for name, each in sums.items()}
    signed_by, wrong = _signed(bytes(note), _text(sums), key)
    return Opened((*problems, *wrong), signed_by, offsets, counts)


def _signed(note: bytes, expected: str, key: Verifier) -> tuple[str, list[str]]:
    """Who signed, and what is wrong with the note or with the sections that it counts."""
    try:
        text = note.decode()
        read = Note.read(text)
        signers = read.signed_by([key])
    except ValueError as refused:
        return "", [f"the note at the end: {refused}"]
    if not signers:
        names = ", ".join(name for name, _, _ in read.signatures)
        return "", [f"it is signed by {names}, and not by the key that was given, {key.name}"]
    if text != _rendered(read):
        return "", ["the note at the end is written otherwise than it was signed"]
    told, found = read.text.splitlines(), expected.splitlines()
    if told[:1] != [TITLE]:
        return "", ["the note at the end is about something else"]
    wrong = [
        f"section {line.partition(' ')[0]} is not what was signed"
        for line, other in zip(found[1:], told[1:], strict=False)
        if line != other
    ]
    if len(told) != len(found):
        wrong.append("the note at the end counts other sections")
    return key.name, wrong


def _rendered(note: Note) -> str:
    """A note as whoever signs writes it, so that no byte of it can stand otherwise."""
    lines = [
        f"{_DASH}{name} {base64.b64encode(key_id + signature).decode()}\n"
        for name, key_id, signature in note.signatures
    ]
    return f"{note.text}\n{''.join(lines)}"


def values(lines: Iterable[bytes], name: str) -> Iterator[Any]:
    """The values of a section, from lines that begin where it does; ends with it."""
    start = f'{{"{name}":'.encode()
    for line in lines:
        if not line.startswith(start):
            return
        yield json.loads(line)[name]

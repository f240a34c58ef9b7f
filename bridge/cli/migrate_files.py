"""Files of an import: written whole; what a person edited is kept, and what the last import wrote."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import click

from bridge.migration.mirth.merging import Change, merge_file

BASE: Final = "migration/base"
"""Below the folder: every file as the last import wrote it, which is how a hand edit is known."""
CONFLICTS: Final = "migration/conflicts"
_WORDS: Final[dict[Change, str]] = {
    "new": "new",
    "same": "same",
    "updated": "updated",
    "kept": "kept",
    "merged": "merged",
    "conflict": "CONFLICT",
    "gone": "deleted",
    "edited-gone": "orphan",
}


@dataclass(frozen=True, slots=True)
class Changes:
    """What became of each file."""

    files: Mapping[str, Change]

    @property
    def conflicts(self) -> int:
        """How many files a person must look at."""
        return sum(change == "conflict" for change in self.files.values())

    @property
    def rows(self) -> list[dict[str, str]]:
        """For a program."""
        return [{"path": path, "change": change} for path, change in self.files.items()]

    def shown(self) -> Iterator[tuple[str, str]]:
        """For a person: all but what is the same."""
        for path, change in self.files.items():
            if change != "same":
                yield path, _WORDS[change]


def write(directory: Path, files: Mapping[str, str], reports: Mapping[str, str]) -> Changes:
    """Write what an import made. Raises BadParameter where the folder cannot be written."""
    try:
        return _write(directory, files, reports)
    except OSError as error:
        where = error.filename or directory
        raise click.BadParameter(f"{where}: {error.strerror}", param_hint="--to") from None


def _write(directory: Path, files: Mapping[str, str], reports: Mapping[str, str]) -> Changes:
    base = directory / BASE
    before = {str(path.relative_to(base)) for path in base.rglob("*.yaml")} if base.is_dir() else set()
    changes: dict[str, Change] = {}
    (directory / "channels").mkdir(parents=True, exist_ok=True)
    for path in sorted({*files, *before}):
        theirs = files.get(path)
        last, here = _read(base / path), _read(directory / path)
        merged = merge_file(last, here, theirs)
        changes[path] = merged.change
        if merged.text is not None:
            _put(directory / path, merged.text)
        elif merged.change == "gone":
            (directory / path).unlink(missing_ok=True)
        conflict = directory / CONFLICTS / path
        if merged.change == "conflict" and theirs is not None:
            # The base stays what it was, so that the same conflict is seen until somebody has settled it.
            _put(conflict, theirs)
            continue
        conflict.unlink(missing_ok=True)
        if theirs is None:
            (base / path).unlink(missing_ok=True)
        else:
            _put(base / path, theirs)
    for path, text in reports.items():
        _put(directory / path, text)
    return Changes(changes)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8", errors="surrogateescape")
    except FileNotFoundError:
        return None


def _put(path: Path, text: str) -> None:
    """Write a file whole or not at all; one that is the same already is left alone."""
    data = text.encode("utf-8", "surrogateescape")
    if path.is_file() and path.read_bytes() == data:
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    beside = path.with_name(f".{path.name}.new")
    beside.write_bytes(data)
    os.replace(beside, path)

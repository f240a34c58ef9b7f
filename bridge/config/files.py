"""The files of a configuration folder: found, read within limits, with their digests."""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from bridge.config.yaml_tree import read_tree_bytes
from bridge.located import Mapping as Tree
from bridge.located import Place, Problem
from bridge.mapping.companions import Companion, named_in
from bridge.units import size_text

FILES_MAX_COUNT: Final = 5000
_HOLDS = "it holds channels/ with a file for each channel, channels/apis/ and mappings/"

FileKind = Literal["channel", "api", "mapping", "environment", "fragment", "table", "contract"]
FOLDERS: Final[tuple[tuple[FileKind, str], ...]] = (
    ("channel", "channels"),
    ("api", "channels/apis"),
    ("mapping", "mappings"),
    ("environment", "channels/environments"),
    ("fragment", "mappings/fragments"),
    ("table", "mappings/tables"),
)
SUFFIXES: Final[Mapping[FileKind, str]] = {"table": ".csv"}
"""Where files of a kind are no YAML."""
UNREAD: Final = frozenset({"table", "contract"})
"""Kinds whose files are bytes to us here; whoever needs them reads them."""


@dataclass(frozen=True, slots=True)
class ConfigFile:
    """One file. ``path`` is below the configuration's folder; ``tree`` is None where it cannot be understood.

    ``digest`` is empty where not even its bytes can be had, or not those of its folder: what it holds is not
    known, and may be what others refer to.
    """

    kind: FileKind
    path: str
    digest: str
    tree: Tree | None
    content: bytes = field(repr=False)


def read_files(directory: Path, size_max_bytes: int) -> tuple[list[ConfigFile], list[Problem]]:
    """All files of a configuration folder, in the order of their paths, and what is wrong with them."""
    problems: list[Problem] = []
    files: list[ConfigFile] = []
    if not directory.is_dir():
        text = "this is no folder" if directory.exists() else "there is no such folder"
        return [], [Problem(Place(_shown(directory), 1, 1), "C150", text, _HOLDS)]
    if not (directory / "channels").is_dir():
        text = "there is no folder channels/ in the configuration's folder"
        return [], [Problem(Place("channels", 1, 1), "C150", text, f"name it with --config: {_HOLDS}")]
    root = Path(os.path.realpath(directory))
    for kind, folder in FOLDERS:
        around = folder.rpartition("/")[0]  # where that cannot be looked into, it has been told
        told = any(each.path == around for each in files)
        names = None if told else _names(directory, folder, SUFFIXES.get(kind, ".yaml"), problems)
        if names is None:
            files.append(_unread(kind, folder))
        for name in names or ():
            if len(files) >= FILES_MAX_COUNT:
                text = f"there are more than {FILES_MAX_COUNT} files"
                return files, [*problems, Problem(Place(folder, 1, 1), "C155", text)]
            path = f"{folder}/{name}"
            files.append(read_file(kind, root, path, size_max_bytes, problems) or _unread(kind, path))
    if not any(file.kind == "channel" for file in files):
        problems.append(no_channel("warning" if any(file.kind == "mapping" for file in files) else "error"))
    return files, problems


def no_channel(severity: Literal["error", "warning"] = "error") -> Problem:
    """That nothing could run. Mappings by themselves can be checked, so that they can be written first."""
    hint = "write channels/NAME.yaml; channels/README.md tells its keys"
    return Problem(Place("channels", 1, 1), "C151", "there is no channel: no file *.yaml", hint, severity)


def read_regular(path: Path, size_bytes: int) -> tuple[bytes, int] | None:
    """At most the first ``size_bytes`` of a file, and its mode; None where ``path`` is no regular file.

    Raises OSError where it cannot be opened or read. Never waits, as for the other end of a pipe.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        mode = os.fstat(descriptor).st_mode
        if not stat.S_ISREG(mode):
            return None
        with os.fdopen(descriptor, "rb", closefd=False) as file:
            return file.read(size_bytes), mode
    finally:
        os.close(descriptor)


def digest_of(files: list[ConfigFile]) -> str:
    """The SHA-256 over the paths and digests of all files: equal for equal configurations."""
    lines = sorted(f"{file.digest}  {file.path}\n" for file in files)
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def _unread(kind: FileKind, path: str) -> ConfigFile:
    """What stands for a file, or for the files of a folder, whose bytes cannot be had."""
    return ConfigFile(kind, _shown(path), "", None, b"")


def _names(directory: Path, folder: str, suffix: str, problems: list[Problem]) -> list[str] | None:
    """The files of a folder that are read; None where it cannot be looked into."""
    names = []
    try:
        found = sorted(entry.name for entry in os.scandir(directory / folder))
    except FileNotFoundError:
        return []
    except OSError as refused:
        problems.append(_unreadable(folder, refused))
        return None
    for name in found:
        if name.startswith("."):
            continue
        if name.endswith(suffix):
            names.append(name)
        elif name.lower().endswith((suffix, ".yml")):
            text = f"only names that end in {suffix} are read"
            problems.append(Problem(Place(_shown(f"{folder}/{name}"), 1, 1), "C154", text, "rename it"))
    return names


def read_file(
    kind: FileKind, root: Path, path: str, size_max_bytes: int, problems: list[Problem]
) -> ConfigFile | None:
    """One file at ``path`` below ``root``, or None and what is wrong with it."""
    shown = _shown(path)
    start = Place(shown, 1, 1)
    if not Path(os.path.realpath(root / path)).is_relative_to(root):
        text = "a link leads out of the configuration's folder"
        problems.append(Problem(start, "C153", text, "copy the file into the folder"))
        return None
    try:
        found = read_regular(root / path, size_max_bytes + 1)
    except OSError as refused:
        problems.append(_unreadable(shown, refused))
        return None
    if found is None:
        problems.append(Problem(start, "C152", "this is no file"))
        return None
    data, _ = found
    if len(data) > size_max_bytes:
        text = f"the file is larger than {size_text(size_max_bytes)}"
        problems.append(Problem(start, "C108", text, "see whether it is a configuration file"))
        return None
    if kind in UNREAD:
        return ConfigFile(kind, shown, hashlib.sha256(data).hexdigest(), None, data)
    tree, mistakes = read_tree_bytes(data, shown)
    problems.extend(mistakes)
    if tree is not None and not isinstance(tree, Tree):
        problems.append(Problem(tree.place, "C106", "expected keys with values: `key: value`"))
        tree = None
    return ConfigFile(kind, shown, hashlib.sha256(data).hexdigest(), tree, data)


def companions_of(files: Iterable[ConfigFile]) -> dict[str, Companion]:
    """The tables and fragments among files, by the names that mappings have for them."""
    return {
        "/".join(file.path.split("/")[-2:]): Companion(file.path, file.digest, file.content, file.tree)
        for file in files
        if file.kind in ("fragment", "table")
    }


def companions_kept(content: bytes, kept: Callable[[str], bytes | None]) -> dict[str, Companion]:
    """The tables and fragments that a kept mapping names, as they were: ``kept`` gives them by digest."""
    found: dict[str, Companion] = {}
    for name, digest in named_in(content).items():
        if (data := kept(digest)) is None:
            continue
        tree = None if name.endswith(".csv") else read_tree_bytes(data, name)[0]
        found[name] = Companion(name, digest, data, tree if isinstance(tree, Tree) else None)
    return found


def read_companions(folder: Path, size_max_bytes: int, problems: list[Problem]) -> dict[str, Companion]:
    """The tables and fragments beside a mapping file in ``folder``."""
    root = folder.resolve()
    found: list[ConfigFile] = []
    for kind, path in FOLDERS:
        if kind not in ("fragment", "table"):
            continue
        below = path.removeprefix("mappings/")
        for name in _names(root, below, SUFFIXES.get(kind, ".yaml"), problems) or ():
            file = f"{below}/{name}"
            found.append(read_file(kind, root, file, size_max_bytes, problems) or _unread(kind, file))
            if len(found) >= FILES_MAX_COUNT:
                return companions_of(found)
    return companions_of(found)


def _unreadable(path: str, refused: OSError) -> Problem:
    return Problem(Place(path, 1, 1), "C152", f"this cannot be read: {refused.strerror or 'unknown cause'}")


def _shown(path: Path | str) -> str:
    """A path that can be printed, whatever bytes the file system has in it."""
    text = os.fsencode(path).decode("utf-8", "backslashreplace")
    return "".join(character if character.isprintable() else repr(character)[1:-1] for character in text)

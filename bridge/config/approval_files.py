"""The folder ``approvals/`` of a configuration: persons, bundles, and what was signed.

    approvals/approvers.yaml                 persons, keys, groups
    approvals/3f2a91c0d4e7/bundle.json       a manifest, in a folder of its digest's first digits
    approvals/3f2a91c0d4e7/bob.approve.json  what bob has signed about it
    approvals/files/SHA256                   each file that a bundle names, as it was

One file for each thing that is said, so that two persons who sign at once do not meet in one file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.approvals.bundle import APPROVERS_FILE, Bundle, shown
from bridge.approvals.people import People
from bridge.approvals.statements import Statement
from bridge.config.approvers import read_people
from bridge.config.areas import CONTRACTS
from bridge.config.contracts import contract_bytes
from bridge.config.files import read_regular
from bridge.config.yaml_tree import FILE_SIZE_MAX_BYTES
from bridge.contracts.documents import ContractRefused
from bridge.located import Place, Problem

FOLDER: Final = "approvals"
BUNDLES_MAX_COUNT: Final = 2000
STATEMENTS_MAX_COUNT: Final = 200
"""Of one bundle."""
STATEMENT_MAX_BYTES: Final = 16 * 1024
_BUNDLE, _CONTENT = "bundle.json", "files"
_FOLDER_NAME: Final = re.compile("[0-9a-f]{12}")
_STATEMENT_NAME: Final = re.compile(r"[a-z0-9][a-z0-9._-]*\.(propose|approve|emergency)\.json")


@dataclass(frozen=True, slots=True)
class ApprovalFiles:
    """What the folder holds. ``persons`` is None where its file has mistakes or is not there, which
    ``problems`` tells. A damaged bundle or statement is one that is not there, and a warning."""

    persons: Bundle | None
    bundles: Mapping[str, Bundle]
    statements: Mapping[str, tuple[Statement, ...]]
    problems: tuple[Problem, ...]

    @property
    def people(self) -> People | None:
        """The persons of now."""
        return None if self.persons is None else self.persons.people


def read_approvals(directory: Path) -> ApprovalFiles:
    """Read the folder. Raises nothing."""
    problems: list[Problem] = []
    persons = _persons(directory, problems)
    bundles: dict[str, Bundle] = {}
    statements: dict[str, tuple[Statement, ...]] = {}
    for folder in _names(directory / FOLDER, _FOLDER_NAME, BUNDLES_MAX_COUNT):
        path = f"{FOLDER}/{folder}"
        bundle = _bundle(directory, path, problems)
        if bundle is not None:
            bundles[bundle.digest] = bundle
            statements[bundle.digest] = tuple(_statements(directory, path, problems))
    return ApprovalFiles(persons, bundles, statements, tuple(problems))


def mistakes_of_persons(directory: Path) -> list[Problem]:
    """What is wrong with the file of persons; nothing where there is none. Raises nothing."""
    content = _read(directory, APPROVERS_FILE, FILE_SIZE_MAX_BYTES)
    return [] if content is None else read_people(content)[1]


def _persons(directory: Path, problems: list[Problem]) -> Bundle | None:
    content = _read(directory, APPROVERS_FILE, FILE_SIZE_MAX_BYTES)
    if content is None:
        hint = "deploy/README.md shows one; it names persons, their keys and groups"
        problems.append(Problem(Place(APPROVERS_FILE, 1, 1), "C198", "there is no file of persons", hint))
        return None
    people, found = read_people(content)
    problems += found
    return None if people is None else Bundle.of_people(people, None)


def _bundle(directory: Path, path: str, problems: list[Problem]) -> Bundle | None:
    content = _read(directory, f"{path}/{_BUNDLE}", FILE_SIZE_MAX_BYTES)
    try:
        found = Bundle.of_text(content or b"")
    except (ValueError, RecursionError):
        problems.append(_damaged(f"{path}/{_BUNDLE}", "this is no bundle, or was changed"))
        return None
    if shown(found.digest) != path.rpartition("/")[2]:
        problems.append(_damaged(f"{path}/{_BUNDLE}", "this bundle was changed: its folder names another"))
        return None
    return found


def _statements(directory: Path, path: str, problems: list[Problem]) -> Iterator[Statement]:
    for name in _names(directory / path, _STATEMENT_NAME, STATEMENTS_MAX_COUNT):
        content = _read(directory, f"{path}/{name}", STATEMENT_MAX_BYTES)
        try:
            yield Statement.of_json(json.loads(content or b""))
        except (ValueError, RecursionError):
            problems.append(_damaged(f"{path}/{name}", "this is no statement, or was changed"))


def _damaged(path: str, text: str) -> Problem:
    return Problem(Place(path, 1, 1), "C198", text, "take it out, or sign again", severity="warning")


def _names(folder: Path, form: re.Pattern[str], count_max: int) -> list[str]:
    try:
        found = sorted(entry.name for entry in os.scandir(folder) if form.fullmatch(entry.name))
    except OSError:
        return []
    return found[:count_max]


def _read(directory: Path, path: str, size_max_bytes: int) -> bytes | None:
    root = Path(os.path.realpath(directory))
    if not Path(os.path.realpath(directory / path)).is_relative_to(root):
        return None
    try:
        found = read_regular(directory / path, size_max_bytes + 1)
    except OSError:
        return None
    return None if found is None or len(found[0]) > size_max_bytes else found[0]


def content_of(directory: Path, sha256: str) -> bytes | None:
    """A file that a bundle names, as it was; None where it is not kept, or not as it was."""
    content = _read(directory, f"{FOLDER}/{_CONTENT}/{sha256}", FILE_SIZE_MAX_BYTES)
    return content if content is not None and hashlib.sha256(content).hexdigest() == sha256 else None


def write_bundle(directory: Path, bundle: Bundle, proposal: Statement) -> list[str]:
    """Write a bundle with its author's statement, and each file that it names; the paths that are new.

    Raises OSError, and ValueError where a file is not any more as the bundle names it.
    """
    written: list[str] = []
    for path, sha256 in sorted(bundle.files.items()) if bundle.kind == "files" else ():
        content = as_bundled(directory, path)
        if content is None or hashlib.sha256(content).hexdigest() != sha256:
            raise ValueError(f"{path} changed while it was read: try again")
        kept = f"{FOLDER}/{_CONTENT}/{sha256}"
        if content_of(directory, sha256) is None:
            written.append(_write(directory, kept, content))
    folder = f"{FOLDER}/{shown(bundle.digest)}"
    written.append(_write(directory, f"{folder}/{_BUNDLE}", (bundle.text + "\n").encode()))
    return [*written, write_statement(directory, proposal)]


def as_bundled(directory: Path, path: str) -> bytes | None:
    """What the digest of a file is over: for a contract all files that it refers to, in one. None where it
    cannot be read."""
    if not path.startswith(CONTRACTS):
        return _read(directory, path, FILE_SIZE_MAX_BYTES)
    try:
        return contract_bytes(directory, path)
    except ContractRefused:
        return None


def write_statement(directory: Path, statement: Statement) -> str:
    """Write what somebody signed; the path. Raises OSError."""
    name = f"{FOLDER}/{shown(statement.bundle)}/{statement.person}.{statement.does}.json"
    text = json.dumps(statement.as_json(), indent=2, ensure_ascii=False) + "\n"
    return _write(directory, name, text.encode())


def _write(directory: Path, name: str, content: bytes) -> str:
    path = directory / name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    partial.write_bytes(content)
    partial.replace(path)
    return name

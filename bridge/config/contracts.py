"""Contracts of a site: their files, read within limits, and whether each API's operations fit theirs."""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Iterable, Iterator
from collections.abc import Mapping as AbstractMapping
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from bridge.config.api import ReadApi
from bridge.config.contract_rules import fits
from bridge.config.crosscheck import Entry, Site
from bridge.config.files import ConfigFile, read_file
from bridge.config.topology import Api, SourceFile
from bridge.config.yaml_tree import FILE_SIZE_MAX_BYTES, read_tree_bytes
from bridge.contracts.contract import Called, Contract, NotDescribed, contract_of, unkept
from bridge.contracts.contract import kept as all_in_one
from bridge.contracts.documents import (
    FILES_MAX_COUNT,
    NESTING_MAX_LEVELS,
    ContractRefused,
    Documents,
    files_named,
)
from bridge.contracts.options import ContractOptions
from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence, did_you_mean

FOLDER: Final = "channels/contracts"
_NAMED: Final = "contracts/"
_INTEGER: Final = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: Final = {"": None, "~": None, "null": None, "Null": None, "NULL": None} | {
    word: word.lower() == "true" for word in ("true", "True", "TRUE", "false", "False", "FALSE")
}
CONTRACTS_KEPT_MAX_COUNT: Final = 128


def typed(node: Node) -> Any:
    """A tree as YAML 1.2 types it, for documents whose values are more than text."""
    match node:
        case Scalar(text=text, style="plain"):
            if text in _WORDS:
                return _WORDS[text]
            if _INTEGER.fullmatch(text):
                return int(text)
            return float(text) if _FLOAT.fullmatch(text) else text
        case Scalar(text=text):
            return text
        case Sequence(items=items):
            return [typed(each) for each in items]
        case Mapping(entries=entries):
            return {key.text: typed(value) for key, value in entries}


def plain_document(content: bytes, name: str) -> Any:
    """A document of JSON or YAML as a plain value. Raises ContractRefused, with the line where it is YAML."""
    if name.endswith(".json"):
        try:
            return orjson.loads(content)
        except orjson.JSONDecodeError as wrong:
            if "limit" in wrong.msg:  # more than a thousand levels, for which it has no place
                raise ContractRefused(name, f"nested more than {NESTING_MAX_LEVELS} levels deep") from None
            raise ContractRefused(f"{name}:{wrong.lineno}:{wrong.colno}", "this is not JSON") from None
    tree, problems = read_tree_bytes(content, name, NESTING_MAX_LEVELS)
    if tree is None or problems:
        first = problems[0]
        raise ContractRefused(str(first.place), first.text)
    return typed(tree)


def documents_in(root: Path, first: str) -> Documents:
    """The contract whose first file is ``first`` below ``root``, with all files that it refers to.

    Nothing outside of ``root`` is read, and nothing is fetched. Raises ContractRefused.
    """
    found: dict[str, Any] = {}
    waiting = [first]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        if len(found) >= FILES_MAX_COUNT:
            raise ContractRefused(name, f"the contract has more than {FILES_MAX_COUNT} files")
        problems: list[Problem] = []
        file = read_file("contract", root, name, FILE_SIZE_MAX_BYTES, problems)
        if file is None:
            if name != first:
                continue  # whoever follows the reference is told
            raise ContractRefused(name, problems[0].text)
        found[name] = plain_document(file.content, name)
        waiting += files_named(name, found[name])
    return Documents(first, found)


def contract_bytes(directory: Path, path: str) -> bytes:
    """A contract by the path that it has in a bundle, as its digest is over it. Raises ContractRefused."""
    return all_in_one(documents_in((directory / FOLDER).resolve(), path.removeprefix(f"{FOLDER}/")))


class SiteContracts:
    """The contracts that the files of a site name, each read once."""

    def __init__(self, directory: Path) -> None:
        # Not with `Path`, which raises for links that lead to themselves; what is not there is told later.
        self._root = Path(os.path.realpath(directory / FOLDER))
        self._read: dict[str, Documents | ContractRefused] = {}

    def of(self, named: str) -> Documents:
        """The contract with this name, as API files have it. Raises ContractRefused."""
        name = named.removeprefix(_NAMED)
        if name not in self._read:
            try:
                self._read[name] = documents_in(self._root, name)
            except ContractRefused as refused:
                self._read[name] = refused
        found = self._read[name]
        if isinstance(found, ContractRefused):
            raise found
        return found

    def near(self, named: str) -> str | None:
        """A hint for a name that no file has."""
        try:
            names = [f"{_NAMED}{each.relative_to(self._root).as_posix()}" for each in self._root.rglob("*.*")]
        except OSError:
            names = []
        return did_you_mean(named, names[:1000]) or f"put the document into {FOLDER}/"

    def files(self) -> list[ConfigFile]:
        """Each contract as one file, for the configuration's digest."""
        return [
            ConfigFile("contract", f"{FOLDER}/{name}", _digest(found), None, b"")
            for name, found in sorted(self._read.items())
            if isinstance(found, Documents)
        ]


def _digest(documents: Documents) -> str:
    return hashlib.sha256(all_in_one(documents)).hexdigest()


def check_contracts(site: Site, contracts: SiteContracts) -> tuple[dict[str, Contract], list[Problem]]:
    """The compiled contract of each API that has one, and what does not fit."""
    found: dict[str, Contract] = {}
    problems: list[Problem] = []
    for entry in site.apis:
        if entry.tree is None or entry.value is None or entry.name is None:
            continue
        options = next(
            (each.options for each in entry.value.policies if isinstance(each.options, ContractOptions)), None
        )
        if options is None:
            continue
        contract, wrong = _of_api(site, entry, options, contracts)
        problems += wrong
        if contract is not None:
            found[entry.name.text] = contract
    return found, problems


def _of_api(
    site: Site, entry: Entry[ReadApi], options: ContractOptions, contracts: SiteContracts
) -> tuple[Contract | None, list[Problem]]:
    assert entry.tree is not None
    assert entry.name is not None
    assert entry.value is not None
    node = entry.tree.get("contract")
    assert isinstance(node, Mapping), "it has options"
    if entry.tree.get("base_url") is None:
        hint = "leave it out: what is sent there is no HTTP call"
        return None, [Problem(node.place, "C208", "`contract` is for APIs with a `base_url`", hint)]
    calls = calls_in(entry.value)
    place = _place(node, "openapi" if options.openapi else "json_schema")
    try:
        contract, missing = compiled_contract(options, calls, contracts)
    except ContractRefused as refused:
        lost = contracts.near(options.files[0]) if refused.place in _names(options) else None
        return None, [Problem(place, "C200", str(refused), lost)]
    problems = list(_missing(entry.tree, missing))
    problems += [
        Problem(place, "C207", f"{where}: this pattern is not checked", why, "warning")
        for where, why in dict.fromkeys(
            one for each in contract.operations.values() for one in each.unchecked
        )
    ]
    problems += fits(site, entry.name.text, entry.tree, entry.value, contract, options)
    return contract, problems


def _names(options: ContractOptions) -> set[str]:
    return {each.removeprefix(_NAMED) for each in options.files}


def _place(node: Mapping, key: str) -> Place:
    value = node.get(key)
    return node.place if value is None else value.place


def calls_in(read: ReadApi | Api) -> tuple[Called, ...]:
    """The calls that an API's file has, as its contract must have them."""
    base = urlsplit(str(getattr(read.destination.options, "base_url", ""))).path.rstrip("/")
    calls = ((name, getattr(each, "method", ""), each) for name, each in read.operations.items())
    return tuple(
        Called(name, method, str(getattr(each, "path", "")), base, method != "DELETE")
        for name, method, each in calls
        if method
    )


def compiled_contract(
    options: ContractOptions, calls: tuple[Called, ...], contracts: SiteContracts
) -> tuple[Contract, list[NotDescribed]]:
    """The contract that options name. Raises ContractRefused."""
    if options.openapi is not None:
        return _compiled(all_in_one(contracts.of(options.openapi)), calls)
    named = {name: contracts.of(path) for name, path in options.json_schema.items()}
    files = {name: value for each in named.values() for name, value in each.files.items()}
    first = next(iter(named.values())).root
    roots = tuple(sorted((name, each.root) for name, each in named.items()))
    return _compiled(all_in_one(Documents(first, files)), calls, roots)


@lru_cache(maxsize=CONTRACTS_KEPT_MAX_COUNT)
def _compiled(
    content: bytes, calls: tuple[Called, ...], schemas: tuple[tuple[str, str], ...] = ()
) -> tuple[Contract, list[NotDescribed]]:
    """Compiled once for each content, however often files are read again."""
    return contract_of(unkept(content), calls, dict(schemas) or None)


def contract_kept(content: bytes, calls: tuple[Called, ...], options: ContractOptions) -> Contract | None:
    """A contract as it was kept, for operations as they are now; None where it does not describe them."""
    roots = tuple(sorted((name, path.removeprefix(_NAMED)) for name, path in options.json_schema.items()))
    try:
        return _compiled(content, calls, roots)[0]
    except ContractRefused:
        return None


def _missing(tree: Mapping, missing: Iterable[NotDescribed]) -> Iterator[Problem]:
    operations = tree.get("operations")
    for each in missing:
        called = each.called
        key = operations.key(called.name) if isinstance(operations, Mapping) else None
        text = f"the contract has no {called.method} {called.path}"
        others = [near for near in each.near if near.startswith(f"{called.method} ")] or list(each.near)
        hint = did_you_mean(f"{called.method} {called.path}", others)
        yield Problem(tree.place if key is None else key.place, "C201", text, hint)


def source_files(contracts: AbstractMapping[str, Contract]) -> tuple[SourceFile, ...]:
    """What the journal keeps of contracts, so that a delivery ends by the one that it began with."""
    found = {each.digest: SourceFile(each.name, each.digest, each.content) for each in contracts.values()}
    return tuple(found.values())

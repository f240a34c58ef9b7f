"""From a folder to a `Topology`, or to every mistake in it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from collections.abc import Mapping as AbstractMapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Literal, TypeVar

from bridge.component import Catalog
from bridge.config.acknowledged_rules import check_acknowledged
from bridge.config.api import read_api
from bridge.config.approval_files import mistakes_of_persons
from bridge.config.assembly import api_of, channel_of, secrets_of
from bridge.config.bodies import check_bodies
from bridge.config.callback_rules import check_callbacks
from bridge.config.catalogue import check_catalogue
from bridge.config.channel import read_channel
from bridge.config.compiled import Compiled, compiled
from bridge.config.consent_lanes import check_consent_lanes, check_consent_tables
from bridge.config.contracts import SiteContracts, check_contracts, source_files
from bridge.config.crosscheck import Entry, Site, by_name, cross_check, names_twice
from bridge.config.day_columns import check_day_columns
from bridge.config.environments import (
    ENVIRONMENTS_MAX_COUNT,
    FOLDER,
    Environment,
    Resolved,
    no_such_environment,
    read_environment,
    resolve,
    unnamed,
    unused,
    with_origins,
)
from bridge.config.files import (
    ConfigFile,
    companions_kept,
    companions_of,
    digest_of,
    no_channel,
    read_companions,
    read_file,
    read_files,
)
from bridge.config.flow_rules import check_flows
from bridge.config.not_built import Pruned, prune
from bridge.config.patterns import check_patterns
from bridge.config.rate_rules import check_rates
from bridge.config.topology import SourceFile, Topology
from bridge.config.unfinished import awaited
from bridge.config.yaml_tree import FILE_SIZE_MAX_BYTES, read_tree_bytes
from bridge.contracts.contract import Contract
from bridge.errors import ConfigurationRefused
from bridge.located import Mapping, Place, Problem, Scalar
from bridge.mapping.companions import pinned
from bridge.mapping.plan import Plan

T = TypeVar("T")
Read = Callable[[Pruned, str], tuple[T | None, Iterable[Problem]]]


def load(
    directory: Path,
    catalog: Catalog,
    *,
    environment: str | None = None,
    file_size_max_bytes: int = FILE_SIZE_MAX_BYTES,
    before: Compiled | None = None,
) -> Topology:
    """Read ``channels/*.yaml``, ``channels/apis/*.yaml`` and ``mappings/*.yaml`` below ``directory``.

    ``environment`` is the one of ``channels/environments/`` whose values stand for ``value://NAME``; without
    it no file may refer to a value. Mappings that stand ``before`` as they are are not compiled again. Raises
    ConfigurationRefused with every mistake of every file, sorted by place, warnings among them. Opens files
    only; no secret is looked up and nothing is connected to.
    """
    folder = _read_folder(directory, catalog, file_size_max_bytes, before or Compiled())
    found = _under(folder, environment)
    problems = [_told(problem, found.origins.get(problem.place, ())) for problem in found.problems]
    if found.topology is None:
        raise ConfigurationRefused(problems)
    if not found.topology.channels:
        raise ConfigurationRefused([*(each for each in problems if each.code != "C151"), no_channel()])
    return replace(found.topology, warnings=tuple(problems))


@dataclass(frozen=True, slots=True)
class Checked:
    """Every problem of a folder once, with the environments in which it is one.

    ``environments`` are those that were looked at; with none of them the files were checked as they are.
    ``topology`` is what the files come to in the last of them, None where there is a mistake in any.
    """

    problems: AbstractMapping[Problem, tuple[str, ...]]
    environments: tuple[str, ...]
    topology: Topology | None


def check(directory: Path, catalog: Catalog, *, environment: str | None = None) -> Checked:
    """Read a folder as `load` does, in one environment, or in every one that it has. Raises nothing."""
    folder = _read_folder(directory, catalog, FILE_SIZE_MAX_BYTES, Compiled())
    names = (environment,) if environment is not None else folder.names or (None,)
    seen: dict[Problem, list[str]] = {}
    origins: dict[Problem, list[Origin]] = {}
    topology: Topology | None = None
    refused = False
    for name in names:
        found = _under(folder, name)
        topology, refused = found.topology, refused or found.topology is None
        for problem in found.problems:
            seen.setdefault(problem, []).append(name or "")
            origins.setdefault(problem, []).extend(found.origins.get(problem.place, ()))
    for problem in folder.of_environments if environment is None else ():
        # Of a file that is none of these environments', since it cannot be read.
        refused = refused or (problem.severity == "error")
        seen.setdefault(problem, [])
    for problem in mistakes_of_persons(directory):
        # Of a file that no environment changes, and without which nothing can be approved.
        refused = refused or (problem.severity == "error")
        seen.setdefault(problem, [])
    problems = {
        _told(problem, origins.get(problem, ())): tuple(filter(None, seen[problem]))
        for problem in sorted(seen, key=_by_place)
    }
    environments = tuple(name for name in names if name is not None)
    return Checked(MappingProxyType(problems), environments, None if refused else topology)


Origin = tuple[Scalar, Scalar]


@dataclass(frozen=True, slots=True)
class _Folder:
    """All files, and what is wrong with them in whatever environment."""

    catalog: Catalog
    directory: Path
    files: tuple[ConfigFile, ...]
    mappings: tuple[Entry[Plan], ...]
    environments: tuple[Entry[Environment], ...]
    problems: tuple[Problem, ...]
    of_environments: tuple[Problem, ...]
    kept: AbstractMapping[str, tuple[bytes, str]]
    """Each mapping file as it is kept, with its digest: `pinned`."""
    contracts: SiteContracts
    awaited: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(each.value.name for each in self.environments if each.value is not None))

    def trees(self) -> list[Mapping]:
        """Those in which a value may be referred to."""
        files = (file for file in self.files if file.kind in ("channel", "api"))
        return [file.tree for file in files if file.tree is not None]


@dataclass(frozen=True, slots=True)
class _Found:
    """What the files come to in one environment; ``topology`` is None where there is a mistake."""

    problems: list[Problem]
    origins: AbstractMapping[Place, tuple[Origin]]
    topology: Topology | None


def _read_folder(directory: Path, catalog: Catalog, file_size_max_bytes: int, before: Compiled) -> _Folder:
    before.begin()
    files, told = read_files(directory, file_size_max_bytes)
    companions = companions_of(files)
    kept = {
        file.path: pinned(file.content, file.tree, companions) for file in files if file.kind == "mapping"
    }
    mappings, found = _entries(
        [
            (replace(file, digest=kept[file.path][1]), None if file.tree is None else Resolved(file.tree))
            for file in files
            if file.kind == "mapping"
        ],
        lambda pruned, digest: before.mapping(pruned.tree, digest, companions),
    )
    told += found
    environments = []
    for file in files:
        if file.kind != "environment" or file.tree is None:
            continue
        environment, found = read_environment(file.tree, file.path)
        told += found
        name = file.tree.get("environment")
        environments.append(Entry(file, name if isinstance(name, Scalar) else None, file.tree, environment))
    told += names_twice(tuple(environments), "environment")
    if len(environments) > ENVIRONMENTS_MAX_COUNT:
        text = f"there are more than {ENVIRONMENTS_MAX_COUNT} environments"
        told.append(Problem(Place(FOLDER, 1, 1), "C155", text))
        del environments[ENVIRONMENTS_MAX_COUNT:]
    theirs = [problem for problem in told if problem.place.file.startswith(FOLDER)]
    rest = [problem for problem in told if problem not in theirs]
    return _Folder(
        catalog,
        directory,
        tuple(files),
        mappings,
        tuple(environments),
        tuple(rest),
        tuple(theirs),
        MappingProxyType(kept),
        SiteContracts(directory),
        awaited(directory, files, file_size_max_bytes),
    )


def _under(folder: _Folder, name: str | None) -> _Found:
    """The files with the values of one environment, or of none."""
    entry = next((each for each in folder.environments if each.value and each.value.name == name), None)
    environment = None if entry is None else entry.value
    # One that cannot be read may be the one that is meant; its own mistake is told.
    unread = any(file.kind == "environment" and file.tree is None for file in folder.files)
    if name is not None and environment is None:
        missing = () if unread else (no_such_environment(name, list(folder.names)),)
        return _Found(sorted({*missing, *folder.of_environments}, key=_by_place), {}, None)
    problems = [*folder.problems]
    if environment is None:
        problems += folder.of_environments
        problems += unnamed(folder.trees(), list(folder.names)) if folder.names or not unread else ()
    else:
        named = {each.file.path for each in folder.environments if each.value and each.value.name == name}
        problems += [problem for problem in folder.of_environments if problem.place.file in named]
        if not any(file.tree is None for file in folder.files if file.kind in ("channel", "api")):
            problems += unused(environment, folder.trees(), folder.awaited)
    resolved = {
        file.path: resolve(file.tree, environment)
        for file in folder.files
        if file.tree is not None and file.kind in ("channel", "api")
    }
    catalog, directory = folder.catalog, folder.directory

    def of(kind: Literal["channel", "api"]) -> list[tuple[ConfigFile, Resolved | None]]:
        return [(file, resolved.get(file.path)) for file in folder.files if file.kind == kind]

    channels, found = _entries(
        of("channel"), lambda pruned, digest: read_channel(pruned, digest, catalog, directory)
    )
    problems += found
    apis, found = _entries(of("api"), lambda pruned, digest: read_api(pruned, digest, catalog, directory))
    problems += found
    site = Site(channels, apis, folder.mappings, folder.awaited)
    problems += cross_check(site)
    problems += check_bodies(site)
    problems += check_patterns(site)
    problems += check_flows(site)
    problems += check_callbacks(site)
    problems += check_acknowledged(site)
    problems += check_day_columns(site)
    problems += check_rates(site)
    problems += check_consent_lanes(site)
    problems += check_consent_tables(site)
    contracts, found = check_contracts(site, folder.contracts)
    problems += found
    problems += check_catalogue(site, production=environment is not None and environment.production)
    problems = sorted(dict.fromkeys(problems), key=_by_place)
    origins = {place: (origin,) for each in resolved.values() for place, origin in each.origins.items()}
    if any(problem.severity == "error" for problem in problems):
        return _Found(problems, origins, None)
    used = [file for file in folder.files if file.kind != "environment" or (entry and file is entry.file)]
    used += folder.contracts.files()
    return _Found(problems, origins, _topology(site, used, folder.kept, contracts, origins, environment))


def _topology(
    site: Site,
    files: list[ConfigFile],
    kept: AbstractMapping[str, tuple[bytes, str]],
    contracts: AbstractMapping[str, Contract],
    origins: AbstractMapping[Place, tuple[Origin]],
    environment: Environment | None,
) -> Topology:
    plans, channels, apis = by_name(site.mappings), by_name(site.channels), by_name(site.apis)
    return Topology(
        channels=MappingProxyType({name: channel_of(read, plans) for name, read in channels.items()}),
        apis=MappingProxyType(
            {name: api_of(read, plans, contracts.get(name)) for name, read in apis.items()}
        ),
        plans=MappingProxyType(plans),
        mapping_files=(
            *(
                SourceFile(file.path, kept[file.path][1], kept[file.path][0])
                if file.kind == "mapping"
                else SourceFile(file.path, file.digest, file.content)
                for file in files
                if file.kind in ("mapping", "fragment", "table")
            ),
            *source_files(contracts),
        ),
        digest=digest_of(files),
        files=MappingProxyType({file.path: file.digest for file in files}),
        # Where a reference is a value of the environment, its place is there.
        secrets=tuple(
            (reference, origins[place][0][1].place if place in origins else place)
            for reference, place in secrets_of(site)
        ),
        warnings=(),
        environment=None if environment is None else environment.name,
        production=environment is not None and environment.production,
        paths=MappingProxyType(_paths(site)),
    )


def _paths(site: Site) -> dict[tuple[str, str], str]:
    found: dict[tuple[str, str], str] = {}
    for kind, entries in (("channel", site.channels), ("api", site.apis), ("mapping", site.mappings)):
        for entry in entries:
            if entry.name is not None:
                found.setdefault((kind, entry.name.text), entry.file.path)
    return found


def _by_place(problem: Problem) -> tuple[Place, str, str]:
    return problem.place, problem.code, problem.text


def _told(problem: Problem, origins: Iterable[Origin]) -> Problem:
    return replace(problem, hint=with_origins(problem.hint, origins))


def load_mapping(path: Path, *, test: bool = True, file_size_max_bytes: int = FILE_SIZE_MAX_BYTES) -> Plan:
    """One mapping file by itself. Raises ConfigurationRefused with every mistake in it, where ``path`` says.

    A test of the file that fails is a mistake too, unless ``test`` is False.
    """
    problems: list[Problem] = []
    root = path.parent.resolve()
    file = read_file("mapping", root, path.name, file_size_max_bytes, problems)
    plan: Plan | None = None
    if file is not None and file.tree is not None:
        companions = read_companions(root, file_size_max_bytes, problems)
        _, digest = pinned(file.content, file.tree, companions)
        plan, found = compiled(file.tree, digest, companions, test=test)
        problems += found
    if plan is None or any(problem.severity == "error" for problem in problems):
        # An editor finds the file by what the person has typed.
        told = [replace(each, place=each.place.below(path.parent)) for each in problems]
        raise ConfigurationRefused(sorted(told, key=lambda problem: problem.place))
    return plan


def mapping_to_change(path: Path) -> tuple[Mapping, Callable[[Mapping], Plan | None]]:
    """The tree of a mapping file, and what compiles it or another in its place; None where that has mistakes.

    Raises ConfigurationRefused where the file itself has.
    """
    load_mapping(path, test=False)
    problems: list[Problem] = []
    file = read_file("mapping", path.parent.resolve(), path.name, FILE_SIZE_MAX_BYTES, problems)
    if file is None or file.tree is None:
        raise ConfigurationRefused(problems)
    companions = read_companions(path.parent.resolve(), FILE_SIZE_MAX_BYTES, problems)
    _, digest = pinned(file.content, file.tree, companions)

    def plan_of(tree: Mapping) -> Plan | None:
        return compiled(tree, digest, companions, test=False)[0]

    return file.tree, plan_of


def mapping_of(name: str, content: bytes, kept: Callable[[str], bytes | None] = lambda _digest: None) -> Plan:
    """A mapping as it was kept. Raises ConfigurationRefused where this version does not take it any more.

    ``kept`` gives the tables and fragments that it names, by their digests.
    """
    tree, problems = read_tree_bytes(content, name)
    plan: Plan | None = None
    if isinstance(tree, Mapping):
        companions = companions_kept(content, kept)
        plan, found = compiled(tree, hashlib.sha256(content).hexdigest(), companions, test=False)
        problems = [*problems, *found]
    if plan is None:
        raise ConfigurationRefused(sorted(problems, key=lambda problem: problem.place))
    return plan


def _entries(
    files: Iterable[tuple[ConfigFile, Resolved | None]], read: Read[T]
) -> tuple[tuple[Entry[T], ...], list[Problem]]:
    """What files of one kind hold, and what is wrong with them. One that cannot be read has no tree."""
    entries: list[Entry[T]] = []
    problems: list[Problem] = []
    for file, resolved in files:
        if resolved is None:
            entries.append(Entry(file, None, None, None))
            continue
        gone = resolved.gone
        pruned = Pruned(resolved.tree, resolved.problems, gone)
        if file.kind in ("channel", "api"):
            without = prune(resolved.tree, file.kind)
            pruned = Pruned(without.tree, (*resolved.problems, *without.problems), gone | without.gone)
        value, found = read(pruned, resolved.digest(file.digest))
        problems += [*pruned.problems, *found]
        name = pruned.tree.get(file.kind)
        entries.append(Entry(file, name if isinstance(name, Scalar) else None, pruned.tree, value))
    return tuple(entries), problems

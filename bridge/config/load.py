"""From a folder to a `Topology`, or to every mistake in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from collections.abc import Mapping as AbstractMapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType
from typing import TypeVar

from bridge.component import Catalog
from bridge.config.api import ReadApi, read_api
from bridge.config.channel import ReadChannel, read_channel
from bridge.config.crosscheck import Entry, Site, by_name, cross_check
from bridge.config.files import ConfigFile, FileKind, digest_of, read_file, read_files
from bridge.config.not_built import Pruned, prune
from bridge.config.topology import Api, Channel, Route, SourceFile, Topology
from bridge.config.yaml_tree import FILE_SIZE_MAX_BYTES
from bridge.delivery.backoff import RetryPolicy
from bridge.delivery.breaker import BreakerPolicy
from bridge.errors import ConfigurationRefused
from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence
from bridge.mapping.compile import compile_mapping
from bridge.mapping.plan import Plan
from bridge.mapping.selftest import failures
from bridge.units import SecretRef

T = TypeVar("T")
Read = Callable[[Pruned, ConfigFile], tuple[T | None, list[Problem]]]


def load(directory: Path, catalog: Catalog, *, file_size_max_bytes: int = FILE_SIZE_MAX_BYTES) -> Topology:
    """Read ``channels/*.yaml``, ``channels/apis/*.yaml`` and ``mappings/*.yaml`` below ``directory``.

    Raises ConfigurationRefused with every mistake of every file, sorted by place, warnings among them.
    Opens files only; no secret is looked up and nothing is connected to.
    """
    files, problems = read_files(directory, file_size_max_bytes)
    site = Site(
        channels=_entries(
            files,
            "channel",
            lambda pruned, file: read_channel(pruned, file.digest, catalog, directory),
            problems,
        ),
        apis=_entries(
            files, "api", lambda pruned, file: read_api(pruned, file.digest, catalog, directory), problems
        ),
        mappings=_entries(
            files, "mapping", lambda pruned, file: _mapping(pruned.tree, file.digest, test=True), problems
        ),
    )
    problems += cross_check(site)
    problems = sorted(
        dict.fromkeys(problems), key=lambda problem: (problem.place, problem.code, problem.text)
    )
    if any(problem.severity == "error" for problem in problems):
        raise ConfigurationRefused(problems)
    plans, channels, apis = by_name(site.mappings), by_name(site.channels), by_name(site.apis)
    return Topology(
        channels=MappingProxyType({name: _channel(read, plans) for name, read in channels.items()}),
        apis=MappingProxyType({name: _api(read) for name, read in apis.items()}),
        plans=MappingProxyType(plans),
        mapping_files=tuple(
            SourceFile(file.path, file.digest, file.content) for file in files if file.kind == "mapping"
        ),
        digest=digest_of(files),
        files=MappingProxyType({file.path: file.digest for file in files}),
        secrets=tuple(_secrets(site)),
        warnings=tuple(problems),
    )


def load_mapping(path: Path, *, test: bool = True, file_size_max_bytes: int = FILE_SIZE_MAX_BYTES) -> Plan:
    """One mapping file by itself. Raises ConfigurationRefused with every mistake in it.

    A test of the file that fails is a mistake too, unless ``test`` is False.
    """
    problems: list[Problem] = []
    root = path.parent.resolve()
    file = read_file("mapping", root, path.name, file_size_max_bytes, problems)
    plan: Plan | None = None
    if file is not None and file.tree is not None:
        plan, found = _mapping(file.tree, file.digest, test=test)
        problems += found
    if plan is None or any(problem.severity == "error" for problem in problems):
        raise ConfigurationRefused(sorted(problems, key=lambda problem: problem.place))
    return plan


def _mapping(tree: Mapping, digest: str, *, test: bool) -> tuple[Plan | None, list[Problem]]:
    plan, problems = compile_mapping(tree, digest=digest)
    if plan is not None and test:
        problems += failures(plan)
    return plan, problems


def _entries(
    files: list[ConfigFile], kind: FileKind, read: Read[T], problems: list[Problem]
) -> tuple[Entry[T], ...]:
    entries: list[Entry[T]] = []
    for file in files:
        if file.kind != kind:
            continue
        if file.tree is None:
            entries.append(Entry(file, None, None, None))
            continue
        pruned = Pruned(file.tree, (), frozenset()) if kind == "mapping" else prune(file.tree, kind)
        value, found = read(pruned, file)
        problems += [*pruned.problems, *found]
        name = file.tree.get(kind)
        entries.append(Entry(file, name if isinstance(name, Scalar) else None, pruned.tree, value))
    return tuple(entries)


def _channel(read: ReadChannel, plans: AbstractMapping[str, Plan]) -> Channel:
    file = read.file
    routes = tuple(
        Route(
            name=route.route,
            when=when,
            plan=plans[route.mapping],
            record=route.record,
            api=route.to.api or "",
            operations=MappingProxyType(route.to.calls()),
            on_poison=route.on_poison,
            select=select,
            choices=MappingProxyType(dict(route.to.from_)),
            otherwise=route.to.otherwise or "quarantine",
        )
        for route, when, select in zip(file.routes, read.whens, read.selects, strict=True)
    )
    # A transport that answers nobody has none of these options.
    source, answer = read.source.options, getattr(read.source.options, "answer", None)
    return Channel(
        name=file.channel,
        source=read.source,
        format=read.format,
        accept=file.accept or frozenset[str]().union(*(route.plan.accept for route in routes)),
        otherwise=file.otherwise,
        processing_ids=file.processing_ids,
        order_by=read.order_by.get("default", ()),
        order_by_type=MappingProxyType(
            {name: keys for name, keys in read.order_by.items() if name != "default"}
        ),
        on_no_key=file.on_no_key,
        duplicates_window_s=file.duplicates.window,
        control_ids_unique=file.duplicates.control_ids == "unique",
        search=MappingProxyType(dict(read.search)),
        acknowledge=getattr(source, "acknowledge", "journaled"),
        answer_within_s=getattr(answer, "within", 0.0),
        answer_late=getattr(answer, "late", "AE"),
        routes=routes,
        versions=_versions(routes),
        digest=read.digest,
    )


def _versions(routes: tuple[Route, ...]) -> frozenset[str]:
    if not all(route.plan.versions for route in routes):
        return frozenset()
    return frozenset[str]().union(*(route.plan.versions for route in routes))


def _api(read: ReadApi) -> Api:
    file = read.file
    return Api(
        name=file.api,
        destination=read.destination,
        operations=MappingProxyType(read.operations),
        credential=read.credential,
        repeat_safety=file.repeat_safety,
        in_flight_max=file.limits.in_flight,
        rate_per_s=file.limits.rate,
        burst=file.limits.burst,
        breaker=BreakerPolicy(
            file.breaker.window,
            file.breaker.min_calls,
            file.breaker.failure_ratio,
            file.breaker.consecutive,
            file.breaker.open,
            file.breaker.open_max,
        ),
        retry=RetryPolicy(
            file.retry.base, file.retry.cap, file.retry.poison_attempts, file.retry.not_found_for
        ),
        digest=read.digest,
    )


def _secrets(site: Site) -> Iterator[tuple[SecretRef, Place]]:
    trees = [*(entry.tree for entry in site.channels), *(entry.tree for entry in site.apis)]
    for tree in trees:
        if tree is not None:
            yield from _references(tree)


def _references(node: Node) -> Iterator[tuple[SecretRef, Place]]:
    match node:
        case Scalar(text=text, place=place) if text.startswith("secret://"):
            # A description may begin so and be no reference.
            with suppress(ValueError):
                yield SecretRef.parse(text), place
        case Sequence(items=items):
            for item in items:
                yield from _references(item)
        case Mapping(entries=entries):
            for _, value in entries:
                yield from _references(value)
        case _:
            pass

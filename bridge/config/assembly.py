"""What the files of a site come to: channels and APIs as values, with every default in its place."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from collections.abc import Mapping as AbstractMapping
from contextlib import suppress
from types import MappingProxyType

from bridge.component import ENVELOPE, OperationOptions, RecordOperationOptions, Stale
from bridge.config.api import ReadApi
from bridge.config.catalogue_rules import fields_sent, hidden_fields
from bridge.config.channel import ReadChannel
from bridge.config.crosscheck import Site
from bridge.config.topology import OF_ONE_TYPE, About, Api, Channel, Route
from bridge.contracts.contract import Contract
from bridge.delivery.backoff import RetryPolicy
from bridge.delivery.breaker import BreakerPolicy
from bridge.located import Mapping, Node, Place, Scalar, Sequence
from bridge.mapping.plan import Plan
from bridge.units import SecretRef


def channel_of(read: ReadChannel, plans: AbstractMapping[str, Plan]) -> Channel:
    """A channel with the plans of its routes."""
    file = read.file
    followed = {name for route in file.routes for name in route.after}
    routes = tuple(
        Route(
            name=route.route,
            when=when,
            plan=None if route.mapping is None else plans[route.mapping],
            record=route.record or "",
            api=route.to.api or "",
            operations=MappingProxyType(route.to.calls()),
            on_poison=route.on_poison,
            select=select,
            choices=MappingProxyType(dict(route.to.from_)),
            otherwise=route.to.otherwise or "quarantine",
            after=route.after,
            undo=route.undo or "",
            if_fails=route.if_fails or "person",
            of_flow=bool(route.after) or route.route in followed,
        )
        for route, when, select in zip(file.routes, read.whens, read.selects, strict=True)
    )
    # A transport that answers nobody has none of these options.
    source, answer = read.source.options, getattr(read.source.options, "answer", None)
    return Channel(
        name=file.channel,
        source=read.source,
        format=read.format,
        accept=file.accept or _all_of(read.format.component.name, routes),
        otherwise=file.otherwise,
        processing_ids=file.processing_ids,
        order_by=read.order_by.get("default", ()),
        order_by_type=MappingProxyType(
            {name: keys for name, keys in read.order_by.items() if name != "default"}
        ),
        order_words=f"{file.order_by} {file.on_no_key}",
        on_no_key=file.on_no_key,
        on_no_route=file.on_no_route,
        duplicates_window_s=file.duplicates.window,
        keep_messages_s=file.retention.messages,
        keep_bodies_s=file.retention.bodies,
        priority=file.priority or ("bulk" if read.source.component.bulk else "live"),
        batch_release=file.batches.release,
        batch_totals=file.batches.totals,
        reruns=read.reruns,
        control_ids_unique=file.duplicates.control_ids == "unique",
        search=MappingProxyType(dict(read.search)),
        acknowledge=getattr(source, "acknowledge", "journaled"),
        answer_within_s=getattr(answer, "within", 0.0),
        answer_late=getattr(answer, "late", "AE"),
        mode=getattr(source, "mode", "original"),
        application_ack=getattr(source, "application_ack", None),
        batches_in_blocks=getattr(source, "batches", "refuse") == "take",
        routes=routes,
        versions=_versions(routes),
        digest=read.digest,
        legacy=file.legacy,
        tap_plans=MappingProxyType(
            {
                tap.route: plans[tap.mapping]
                for tap in (() if file.legacy is None else file.legacy.taps)
                if tap.mapping is not None
            }
        ),
        stage=file.stage or ("complete" if file.legacy is None else "relay"),
        parity=file.parity,
        gates=MappingProxyType(file.gates.all()),
    )


def _versions(routes: tuple[Route, ...]) -> frozenset[str]:
    versions = [frozenset[str]() if route.plan is None else route.plan.versions for route in routes]
    return frozenset[str]().union(*versions) if all(versions) else frozenset()


def api_of(read: ReadApi, plans: AbstractMapping[str, Plan], contract: Contract | None = None) -> Api:
    """An API of the catalogue, with the plans of its bodies and its contract."""
    file = read.file
    bodies = {
        name: None if named == ENVELOPE else plans[named]
        for name, operation in read.operations.items()
        if (named := getattr(operation, "body", None)) is not None
    }
    return Api(
        name=file.api,
        destination=read.destination,
        operations=MappingProxyType(read.operations),
        credential=read.credential,
        repeat_safety=file.repeat_safety,
        in_flight_max=file.limits.in_flight,
        rate_per_s=file.limits.rate,
        burst=file.limits.burst,
        rate_per=file.limits.per,
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
        digest=_digest(read.digest, bodies, contract),
        policies=read.policies,
        sends=MappingProxyType({name: _in_the_clear(read, each) for name, each in read.operations.items()}),
        bodies=MappingProxyType(bodies),
        newer_wins=MappingProxyType(
            {name: stale.newer_wins for name, each in read.operations.items() if (stale := _stale(each))}
        ),
        about=About(
            file.description,
            file.layer,
            file.domain or "",
            file.owner.team,
            file.owner.oncall,
            file.version,
        ),
        contract=contract,
    )


def _stale(operation: OperationOptions) -> Stale | None:
    return operation.stale if isinstance(operation, RecordOperationOptions) else None


def _digest(own: str, bodies: AbstractMapping[str, Plan | None], contract: Contract | None) -> str:
    """The file's own, or one over it, the mappings of its bodies and its contract: a change of one of these
    is a change of it."""
    made = [f"{name} {plan.digest}" for name, plan in sorted(bodies.items()) if plan is not None]
    made += [] if contract is None else [contract.digest]
    return hashlib.sha256("\n".join([own, *made]).encode()).hexdigest() if made else own


def _in_the_clear(read: ReadApi, operation: OperationOptions) -> frozenset[str]:
    sent = fields_sent(operation)
    return sent - hidden_fields(read.policies, sent)


def secrets_of(site: Site) -> Iterator[tuple[SecretRef, Place]]:
    """Every reference to a secret, with its place."""
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


def _all_of(form: str, routes: tuple[Route, ...]) -> frozenset[str]:
    """All types that mappings accept; those of formats that have one, without a mapping too."""
    if form in OF_ONE_TYPE:
        return frozenset({form})
    return frozenset[str]().union(*(route.plan.accept for route in routes if route.plan is not None))

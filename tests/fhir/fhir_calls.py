"""A FHIR server of ours with a destination before it, and what is sent there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from twisted.internet.defer import Deferred

from bridge.cli.fake_fhir import FakeFhir
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.fhir_r4 import FhirOperation, FhirOptions, FhirServer, build
from bridge.destinations.in_loop import in_loop
from bridge.fhir.digits import write_json
from bridge.message import Record, Shaped

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OPERATIONS: dict[str, dict[str, Any]] = {
    "create": {"interaction": "create"},
    "update": {"interaction": "update"},
    "amend": {"interaction": "amend", "beside": {"Patient": "amend", "Practitioner": "create"}},
    "delete": {"interaction": "delete"},
    "merge": {"interaction": "merge"},
}


def made(options: dict[str, Any]) -> FhirServer:
    operations = {
        name: FhirOperation.model_validate({**each, "body": "some-mapping"})
        for name, each in OPERATIONS.items()
    }

    def none(_: object) -> str:
        raise LookupError

    return build(FhirOptions.model_validate(options), operations, None, none, lambda: 1_700_000_000_000_000)


@asynccontextmanager
async def served(
    server: FakeFhir | None = None, **options: Any
) -> AsyncIterator[tuple[FakeFhir, FhirServer]]:
    server = server or FakeFhir()
    destination = made({"fhir": await in_loop(server.start()), **options})
    try:
        yield server, destination
    finally:
        await destination.close()
        await in_loop(server.stop())


def named(kind: str, value: str) -> dict[str, Any]:
    return {"type": kind, "identifier": {"system": f"urn:{kind.lower()}", "value": value}}


def resource(kind: str, value: str, **told: Any) -> dict[str, Any]:
    return {"resourceType": kind, "identifier": [{"system": f"urn:{kind.lower()}", "value": value}], **told}


def patient(value: str, **told: Any) -> dict[str, Any]:
    return resource("Patient", value, **told)


def encounter(value: str, of: str, **told: Any) -> dict[str, Any]:
    needed = {"status": "in-progress", "class": {"code": "IMP"}, "subject": named("Patient", of)}
    return resource("Encounter", value, **needed | told)


async def send(
    destination: FhirServer, operation: str, *documents: dict[str, Any], number: int = 1
) -> Outcome:
    first, *more = [write_json(each) for each in documents]
    content = Shaped(Record("patient", "K", "upsert", {}), first, tuple(more))
    request = destination.prepare(operation, content)
    return await destination.send(request, idempotency_key=f"k-{number}", traceparent=TRACEPARENT)


async def delivered(destination: FhirServer, operation: str, *documents: dict[str, Any]) -> None:
    outcome = await send(destination, operation, *documents)
    assert outcome.verdict is Verdict.DELIVERED, outcome


def calls(server: FakeFhir) -> list[tuple[str, str]]:
    return [(each.method, each.target.partition("?")[0]) for each in server.attempts]


async def all_of(*waiting: Deferred[Outcome]) -> list[Outcome]:
    return [await each for each in waiting]


def begin(
    destination: FhirServer, operation: str, *documents: dict[str, Any], number: int
) -> Deferred[Outcome]:
    return Deferred.fromCoroutine(send(destination, operation, *documents, number=number))

"""A FHIR R4 server: resources that a mapping makes of records are created, updated, amended, deleted, merged.

What is sent is known by its identifiers, so a repeat finds what the first made; and what it refers to is
found by identifiers too. Calls are those of `Calls`: guarded, signed, authorised and bounded as those of any
HTTP API. Of an answer codes and elements of FHIR count, and nothing of it is logged.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Final, Literal, Self, get_args

from pydantic import AfterValidator, Field, model_validator

from bridge.component import ENVELOPE, Component, Options, RecordOperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    UNKNOWN,
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
)
from bridge.destinations.fhir_exchange import Exchange
from bridge.destinations.fhir_requests import entry_of, read_fhir_request, write_fhir_request
from bridge.destinations.fhir_responses import of_all
from bridge.destinations.fhir_together import Together, TogetherOptions
from bridge.destinations.http_calls import UNREADABLE, CallOptions, Calls, OverHttp, within
from bridge.destinations.http_urls import absolute_url
from bridge.fhir.check import RESOURCES
from bridge.fhir.exchange import Interaction
from bridge.message import Content, Microseconds, Shaped

ANSWER_MAX_BYTES: Final = 4_194_304
"""Of what a server answers at least: resources that are amended are read whole."""
ANSWER_BODIES: Final = 4
"""An answer may be so many times as large as a request: a transaction's is read whole."""
_TWO: Final = 2


def _base_url(text: str) -> str:
    return absolute_url(text).rstrip("/")


class FhirUrl(Options):
    """Where a server is."""

    fhir: Annotated[str, AfterValidator(_base_url)] = Field(
        description="Base URL of a FHIR R4 server: scheme, host and path below which resources are."
    )


class FhirOptions(CallOptions, FhirUrl):
    """A FHIR R4 server below one base URL."""

    transactions: Literal["needed", "always", "never"] = Field(
        "needed",
        description="When resources go in a transaction: where there are several or one refers to others, "
        "always, or never (for servers without: each goes by itself, and what it refers to is looked up).",
    )
    together: TogetherOptions | None = Field(
        None,
        description="Deliveries that are under way at the same time share a transaction; left out, each has "
        "its own.",
    )


def _beside(types: Mapping[str, Interaction]) -> Mapping[str, Interaction]:
    for name in types:
        if name not in RESOURCES:
            raise ValueError(f"{name[:40]}: expected a resource, one of: {', '.join(RESOURCES)}")
    return types


class FhirOperation(RecordOperationOptions):
    """What is done with the resources that the mapping of ``body`` makes of a record."""

    interaction: Literal["create", "update", "amend", "delete", "merge"] = Field(
        description="create: only where there is none yet (If-None-Exist). update: in the place of what is "
        "there. amend: what the resource says, into what is there, in the version that was read (If-Match). "
        "delete: what is known by its identifier. merge: `Patient/$merge` of the second into the first."
    )
    beside: Annotated[Mapping[str, Interaction], Field(max_length=32), AfterValidator(_beside)] = Field(
        default_factory=dict,
        description="What is done with resources that the mapping makes beside the first, by their types; "
        "create for those that are not named.",
    )

    @model_validator(mode="after")
    def _of_a_mapping(self) -> Self:
        if self.body is None or self.body == ENVELOPE:
            raise ValueError("name the mapping that makes the resource: body: fhir-patient")
        return self


def build(
    options: FhirOptions,
    operations: Mapping[str, FhirOperation],
    credential: CredentialOptions | None,
    secrets: Secrets,
    now_us: Callable[[], Microseconds],
    permits: Permits | None = None,
) -> FhirServer:
    """The destination of one server. Opens no file and no connection."""
    most = max(ANSWER_MAX_BYTES, ANSWER_BODIES * options.max_body)
    calls = Calls(options.fhir, options, credential, secrets, now_us, permits, answer_max_bytes=most)
    return FhirServer(options, operations, calls, now_us)


class FhirRequests:
    """What makes the requests of one server, and has nothing to send them with."""

    def __init__(self, options: FhirOptions, operations: Mapping[str, FhirOperation]) -> None:
        self._options, self._operations = options, dict(operations)

    def prepare(self, operation: str, content: Content, origin: Origin = UNKNOWN) -> bytes:  # noqa: ARG002
        """The final request, each resource checked. Raises RequestRefused as `Destination.prepare` says."""
        declared = self._operations.get(operation)
        if declared is None:
            raise RequestRefused(f"the server has no operation {operation}")
        if not isinstance(content, Shaped):
            raise RequestRefused("a FHIR server takes resources that a mapping makes of records")
        documents = (content.body, *content.more)
        by_itself = declared.interaction in get_args(Interaction)
        first: Any = declared.interaction if by_itself else "update"
        entries = [entry_of(documents[0], first, checked=declared.interaction not in ("delete", "merge"))]
        if declared.interaction == "merge":
            if len(documents) != _TWO:
                raise RequestRefused("a merge takes two resources: the one that stays, and the one that ends")
            entries.append(entry_of(documents[1], "update", checked=False))
        else:
            for document in documents[1:]:
                made = entry_of(document, "create", checked=True)
                entries.append(
                    entry_of(document, declared.beside.get(made.identity.type, "create"), checked=False)
                )
        task: Any = "merge" if declared.interaction == "merge" else "exchange"
        request = write_fhir_request(operation, task, entries)
        return within(request, self._options.max_body)


class FhirServer(OverHttp, FhirRequests):
    """One FHIR server with its operations: a `Destination`."""

    def __init__(
        self,
        options: FhirOptions,
        operations: Mapping[str, FhirOperation],
        calls: Calls,
        now_us: Callable[[], Microseconds],
    ) -> None:
        FhirRequests.__init__(self, options, operations)
        OverHttp.__init__(self, calls, self._operations)
        self._exchange = Exchange(calls, now_us, options.timeouts.request, transactions=options.transactions)
        self._together: Together | None = None
        if options.together is not None and options.transactions != "never":
            self._together = Together(options.together, self._exchange.do, options.max_body)

    def __repr__(self) -> str:
        return f"<FhirServer {self._options.fhir}>"

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        """One attempt, which may be several calls: what must be known is asked first."""
        read = read_fhir_request(request)
        unfit = self.unfit(None if read is None else read.operation, idempotency_key, traceparent)
        if read is None or unfit is not None:
            return unfit or UNREADABLE
        headers = {"X-Request-Id": idempotency_key, "traceparent": traceparent}
        if read.task == "merge":
            return await self._exchange.merge(read.entries, headers)
        if self._together is not None:
            of = read.operation, idempotency_key
            return await self._together.send(*of, read.entries, headers, read.size_bytes)
        return of_all(await self._exchange.do(read.entries, headers))

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:  # noqa: ARG002
        """Not to be asked: a repeat finds by its identifiers what the call before has made."""
        return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")

    async def close(self) -> None:
        """Let go of all connections. Calls that are under way end, as AMBIGUOUS where bytes had left."""
        if self._together is not None:
            self._together.close()
        await super().close()


COMPONENT = Component(
    kind="destination",
    name="fhir_r4",
    summary="A FHIR R4 server that takes resources.",
    options=FhirOptions,
    example="fhir: https://ehr.example/fhir/r4\ntimeouts: {connect: 5s, request: 30s}\n",
    marker="fhir",
    operation=FhirOperation,
    repeat_safety=("natural_key", "none"),
    build=build,
    prepares=FhirRequests,
)

"""An HTTP API that takes records as JSON: its options, and the calls.

Calls are those of `Calls`. Of a response only the status, Retry-After and the type of a problem document are
read; its body is never kept or logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Component, Options, RecordOperationOptions
from bridge.contracts.contract import Sent
from bridge.delivery.outcomes import Answered, Outcome, Verdict
from bridge.destinations.base import (
    UNKNOWN,
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    listed_fields,
)
from bridge.destinations.http_calls import Call, CallOptions, Calls
from bridge.destinations.http_connection import Response
from bridge.destinations.http_requests import (
    FIELD,
    TEMPLATE,
    Request,
    fill_headers,
    fill_params,
    fill_path,
    is_header,
    is_safe_path,
    path_fields,
    read_request,
    write_request,
)
from bridge.destinations.http_responses import classify, problem_hint
from bridge.destinations.http_urls import absolute_url
from bridge.message import Content, Microseconds, Shaped

_HEADER_VALUE: Final = re.compile(r"[!-~]{1,255}")
_NOT_THERE: Final = frozenset({404, 410})
_STATUSES_WITH_PROBLEMS: Final = frozenset({409, 422})


def _base_url(text: str) -> str:
    return absolute_url(text).rstrip("/")


class BaseUrl(Options):
    """Where an API is."""

    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        description="Scheme, host and path below which all operations are."
    )


class HttpApiOptions(CallOptions, BaseUrl):
    """An API below one base URL."""


def _template(text: str) -> str:
    if not TEMPLATE.fullmatch(text) or not is_safe_path(re.sub(r"\{\w+\}", "field", text)):
        raise ValueError("expected a path with record fields in braces, as in /encounters/{key}/cancel")
    return text


class Query(Options):
    """How to see whether a call took effect whose answer was lost: a GET, for calls that make something."""

    path: Annotated[str, AfterValidator(_template)] = Field(
        description="What the call makes, below the base URL. 2xx: it is there, and the call is done; 404 or "
        "410: it is not, and the call is made again; anything else says neither, and it is asked again."
    )


def _texts(texts: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in texts.items():
        if "{" in FIELD.sub("", text) or "}" in FIELD.sub("", text) or not text:
            raise ValueError(f"{name}: expected a text with record fields in braces, as in {{facility}}")
    return texts


def _headers(texts: Mapping[str, str]) -> Mapping[str, str]:
    for name in texts:
        if not is_header(name):
            raise ValueError(f"{name}: expected the name of a header that the call itself does not have")
    return _texts(texts)


class HttpOperation(RecordOperationOptions):
    """One call of the API. Nothing but ``send_only`` and the fields of ``path`` leaves."""

    method: Literal["PUT", "POST", "PATCH", "DELETE"] = Field(description="The HTTP method.")
    path: Annotated[str, AfterValidator(_template)] = Field(
        description="Below the base URL; {field} is a record's field, encoded."
    )
    params: Annotated[Mapping[str, str], Field(max_length=32), AfterValidator(_texts)] = Field(
        default_factory=dict,
        description="What stands behind the path's question mark, by name; {field} is a record's field. One "
        "of which a field is absent is left out.",
    )
    headers: Annotated[Mapping[str, str], Field(max_length=32), AfterValidator(_headers)] = Field(
        default_factory=dict, description="Further headers, by name; {field} is a record's field, as above."
    )
    query: Query | None = Field(
        None, description="With `repeat_safety: query_before_retry`: how to ask whether a call took effect."
    )
    errors: Mapping[
        Annotated[int, Field(ge=400, le=599)],
        Literal["delivered", "retry", "poison", "hold", "not_found"],
    ] = Field(default_factory=dict, description="What a status means here, where it is not the usual.")

    @model_validator(mode="after")
    def _deletes_by_path(self) -> Self:
        # RFC 9110 §9.3.5: content in a DELETE has no meaning, and some servers refuse it.
        if self.method == "DELETE" and not set(self.send_only) <= set(path_fields(self.path)):
            raise ValueError("a DELETE has no body: send_only may list only the fields of its path")
        if self.method == "DELETE" and self.body is not None:
            raise ValueError("a DELETE has no body")
        return self


def build(
    options: HttpApiOptions,
    operations: Mapping[str, HttpOperation],
    credential: CredentialOptions | None,
    secrets: Secrets,
    now_us: Callable[[], Microseconds],
    permits: Permits | None = None,
) -> HttpApi:
    """The destination of one API. Opens no file and no connection; ``credential`` None is ``auth: none``."""
    calls = Calls(options.base_url, options, credential, secrets, now_us, permits)
    return HttpApi(options, operations, calls, now_us)


class HttpRequests:
    """What makes the requests of one API, and has nothing to send them with."""

    def __init__(self, options: HttpApiOptions, operations: Mapping[str, HttpOperation]) -> None:
        self._options, self._operations = options, dict(operations)

    def prepare(self, operation: str, content: Content, origin: Origin = UNKNOWN) -> bytes:  # noqa: ARG002
        """The final request. Raises RequestRefused as `Destination.prepare` says."""
        if isinstance(content, bytes):
            raise RequestRefused("an HTTP API takes records, and no message as it came")
        declared = self._operations.get(operation)
        if declared is None:
            raise RequestRefused(f"the API has no operation {operation}")
        record = content.record if isinstance(content, Shaped) else content
        fields = {**record.fields, "key": record.key}
        path = fill_path(declared.path, fields)
        body: Mapping[str, Any] | bytes | None = None
        if isinstance(content, Shaped):
            if content.more:
                raise RequestRefused("a call has one body, and the mapping made several documents")
            body = content.body
        elif declared.method != "DELETE":
            body = listed_fields(record, declared.send_only, nulls=declared.nulls == "send")
        query = None if declared.query is None else fill_path(declared.query.path, fields)
        if declared.params or declared.headers:
            params, headers = fill_params(declared.params, fields), fill_headers(declared.headers, fields)
            request = write_request(
                operation, declared.method, path, body, query, params=params, headers=headers
            )
        else:
            request = write_request(operation, declared.method, path, body, query)
        if len(request) > self._options.max_body:
            raise RequestRefused(f"the request is larger than max_body, {self._options.max_body} bytes")
        return request

    def sent(self, request: bytes) -> Sent | None:
        """A request of `prepare` as its contract sees it."""
        read = read_request(request)
        return None if read is None else Sent(read.path, read.params, read.headers, read.body)


class HttpApi(HttpRequests):
    """One API with its operations: a `Destination`."""

    def __init__(
        self,
        options: HttpApiOptions,
        operations: Mapping[str, HttpOperation],
        calls: Calls,
        now_us: Callable[[], Microseconds],
    ) -> None:
        super().__init__(options, operations)
        self._errors = {
            name: {status: Verdict(verdict) for status, verdict in operation.errors.items()}
            for name, operation in self._operations.items()
        }
        self._names_record = {
            name: bool(path_fields(operation.path)) for name, operation in self._operations.items()
        }
        self._calls, self._now_us = calls, now_us

    def __repr__(self) -> str:
        return f"<HttpApi {self._options.base_url}>"

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        """One attempt, as `Calls.make` says."""
        read = read_request(request)
        if read is None or not all(map(_HEADER_VALUE.fullmatch, (idempotency_key, traceparent))):
            return Outcome(Verdict.POISON, "request-unreadable")
        if read.operation not in self._operations:
            return Outcome(Verdict.HOLD, "operation-unknown")
        headers = {
            "Accept": "application/json, application/problem+json",
            **read.headers,
            "Idempotency-Key": idempotency_key,
            "traceparent": traceparent,
        }
        return await self._call(read, headers)

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:
        """Whether what a request makes is there. An answer that says neither yes nor no leaves it unknown."""
        read = read_request(request)
        if read is None or read.query is None or not _HEADER_VALUE.fullmatch(traceparent):
            return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")
        headers = {"Accept": "application/json", "traceparent": traceparent}
        answer = await self._call(Request(read.operation, "GET", read.query, None), headers)
        if answer.status in _NOT_THERE:
            return None
        if answer.status is not None and answer.status // 100 == 2:
            return Outcome(Verdict.DELIVERED, "found-there", answer.status)
        return Outcome(Verdict.AMBIGUOUS, "asked-in-vain", answer.status, answer.retry_after_s)

    def look_at_files(self) -> None:
        """Take up what has changed in the files of TLS and in secrets, as `Destination` says."""
        self._calls.look_at_files()

    async def close(self) -> None:
        """Let go of all connections. Calls that are under way end, as AMBIGUOUS where bytes had left."""
        await self._calls.close()

    async def _call(self, request: Request, headers: Mapping[str, str]) -> Outcome:
        def judge(response: Response) -> Outcome:
            hint, told = "", response.headers
            if response.status in _STATUSES_WITH_PROBLEMS:
                hint = problem_hint(told.get("content-type", ""), response.body)
            outcome = classify(
                response.status,
                told,
                now_us=self._now_us(),
                errors=self._errors[request.operation],
                names_record=self._names_record[request.operation],
                body_hint=hint,
            )
            return replace(outcome, answer=Answered(told, response.body if response.whole else b""))

        return await self._calls.make(Call(request.method, request.target, request.body), headers, judge)


COMPONENT = Component(
    kind="destination",
    name="http_api",
    summary="An HTTP API that takes records as JSON.",
    options=HttpApiOptions,
    example="base_url: https://rcm.example/api/v2\ntimeouts: {connect: 5s, request: 30s}\n",
    marker="base_url",
    operation=HttpOperation,
    build=build,
    prepares=HttpRequests,
)

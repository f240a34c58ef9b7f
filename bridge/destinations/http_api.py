"""An HTTP API that takes records as JSON: its options, and the calls.

Calls are those of `Calls`. Of a response only the status, Retry-After and the type of a problem document are
read; its body is never kept or logged.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from bridge.component import Component, Options, RecordOperationOptions
from bridge.contracts.contract import Sent
from bridge.delivery.outcomes import TAKEN, Answered, Outcome, Verdict
from bridge.destinations.base import (
    UNKNOWN,
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    listed_fields,
)
from bridge.destinations.http_calls import (
    HEADER_VALUE,
    UNREADABLE,
    Call,
    CallOptions,
    Calls,
    OverHttp,
    within,
)
from bridge.destinations.http_captures import (
    BESIDE,
    CAPTURES_MAX_COUNT,
    captured_names,
    filled,
    found_in,
    is_place,
    needs_of,
)
from bridge.destinations.http_confirming import Confirm, asked_of, confirmed, is_target, told
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
    numbered,
    path_fields,
    read_request,
    write_request,
)
from bridge.destinations.http_responses import classify, problem_hint
from bridge.destinations.http_urls import absolute_url
from bridge.message import Content, Microseconds, Record, Shaped

_NAME: Final = re.compile(r"[a-z][a-z0-9_]{0,63}")
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
    if not TEMPLATE.fullmatch(text) or not is_safe_path(re.sub(r"\{[\w.]+\}", "field", text)):
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
        if BESIDE.fullmatch(text):
            continue
        if "{" in FIELD.sub("", text) or "}" in FIELD.sub("", text) or not text:
            raise ValueError(f"{name}: expected a text with record fields in braces, as in {{facility}}")
    return texts


def _headers(texts: Mapping[str, str]) -> Mapping[str, str]:
    for name in texts:
        if not is_header(name):
            raise ValueError(f"{name}: expected the name of a header that the call itself does not have")
    return _texts(texts)


def _places(texts: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in texts.items():
        if not _NAME.fullmatch(name) or not is_place(text):
            raise ValueError(
                f"{name}: expected a name, and a pointer as /id or a header as `header Location`"
            )
    return texts


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
    capture: Annotated[Mapping[str, str], Field(max_length=CAPTURES_MAX_COUNT), AfterValidator(_places)] = (
        Field(
            default_factory=dict,
            description="What of the answer later calls about the same record need, by name: a JSON pointer "
            "as /id, or `header Location`, whose last part it is. They say {captured.NAME} in `path`, or as "
            "the whole of one of `params` or `headers`, and wait until it is there. With a question mark, "
            "{captured.NAME?}, one of these is left out instead.",
        )
    )
    send_captured: tuple[str, ...] = Field(
        (),
        max_length=CAPTURES_MAX_COUNT,
        description="What was captured that stands in the body, by its name.",
    )
    confirm: Confirm | None = Field(
        None,
        description="An answer of 202 is no delivery yet: its API is asked what became of it, while its key "
        "waits. Left out, 202 is delivered.",
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
        if self.method == "DELETE" and (self.body is not None or self.send_captured):
            raise ValueError("a DELETE has no body")
        if self.body is not None and self.send_captured:
            raise ValueError("send_captured adds to the fields of send_only, and `body` is in their place")
        return self

    @cached_property
    def needs(self) -> tuple[str, ...]:
        """The values of earlier answers that a call needs."""
        return self._captured(or_less=False)

    @cached_property
    def takes(self) -> tuple[str, ...]:
        """The same, with those that a call can do without."""
        return self._captured(or_less=True)

    def _captured(self, *, or_less: bool) -> tuple[str, ...]:
        texts = (*self.params.values(), *self.headers.values())
        found = (each for text in texts if (each := BESIDE.fullmatch(text)))
        beside = (each[1] for each in found if or_less or not each[2])
        return tuple(dict.fromkeys((*captured_names(self.path), *beside, *self.send_captured)))


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

    def needs(self, request: bytes) -> tuple[str, tuple[str, ...]] | None:
        """As `FillsIn` says."""
        return needs_of(request)

    def fill(self, request: bytes, values: Mapping[str, str]) -> bytes | None:
        """As `FillsIn` says."""
        return filled(request, values)

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
        if declared.params or declared.headers or declared.capture or declared.takes:
            params, headers = fill_params(_own(declared.params), fields), _own(declared.headers)
            request = write_request(
                operation,
                declared.method,
                path,
                body,
                query,
                params=params,
                headers=fill_headers(headers, fields),
                captures=_captures(declared, record),
            )
        else:
            request = write_request(operation, declared.method, path, body, query)
        return within(request, self._options.max_body)

    def sent(self, request: bytes) -> Sent | None:
        """A request of `prepare` as its contract sees it."""
        if (needs := needs_of(request)) is not None:
            # What it will be is not known yet; that it is a text is.
            request = filled(request, dict.fromkeys(needs[1], "captured")) or request
        read = read_request(request)
        return None if read is None else Sent(read.path, read.params, read.headers, read.body)


def _own(templates: Mapping[str, str]) -> dict[str, str]:
    """Those that need nothing of earlier answers."""
    return {name: text for name, text in templates.items() if not BESIDE.fullmatch(text)}


def _captures(declared: HttpOperation, record: Record) -> dict[str, Any]:
    """What a request says of values of answers: whose they are, which it needs, and where they stand."""
    if not declared.capture and not declared.takes:
        return {}
    said: dict[str, Any] = {"about": f"{record.record} {record.key}"}
    if declared.takes:
        into = {
            where: {name: found[1] for name, text in texts.items() if (found := BESIDE.fullmatch(text))}
            for where, texts in (("params", declared.params), ("headers", declared.headers))
        }
        said |= {"needs": list(declared.needs), "into": {**into, "body": list(declared.send_captured)}}
    return said


class HttpApi(OverHttp, HttpRequests):
    """One API with its operations: a `Destination`."""

    def __init__(
        self,
        options: HttpApiOptions,
        operations: Mapping[str, HttpOperation],
        calls: Calls,
        now_us: Callable[[], Microseconds],
    ) -> None:
        HttpRequests.__init__(self, options, operations)
        OverHttp.__init__(self, calls, self._operations)
        self._errors = {
            name: {status: Verdict(verdict) for status, verdict in operation.errors.items()}
            for name, operation in self._operations.items()
        }
        self._names_record = {
            name: bool(path_fields(operation.path) or captured_names(operation.path))
            for name, operation in self._operations.items()
        }
        self._now_us = now_us

    def __repr__(self) -> str:
        return f"<HttpApi {self._options.base_url}>"

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        """One attempt, as `Calls.make` says."""
        read = read_request(request)
        unfit = self.unfit(None if read is None else read.operation, idempotency_key, traceparent)
        if read is None or unfit is not None:
            return unfit or UNREADABLE
        headers = {
            "Accept": "application/json, application/problem+json",
            **read.headers,
            "Idempotency-Key": idempotency_key,
            "traceparent": traceparent,
            **numbered(idempotency_key),
        }
        return await self._call(read, headers)

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:
        """Whether what a request makes is there. An answer that says neither yes nor no leaves it unknown."""
        read = read_request(request)
        if read is None or read.query is None or not HEADER_VALUE.fullmatch(traceparent):
            return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")
        headers = {"Accept": "application/json", "traceparent": traceparent}
        question = Request(read.operation, "GET", read.query, None, about=read.about)
        answer = await self._call(question, headers)
        if answer.status in _NOT_THERE:
            return None
        if answer.status is not None and answer.status // 100 == 2:
            return Outcome(Verdict.DELIVERED, "found-there", answer.status, captured=answer.captured)
        return Outcome(Verdict.AMBIGUOUS, "asked-in-vain", answer.status, answer.retry_after_s)

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
            outcome = self._accepted(request, response, outcome)
            if outcome.verdict in TAKEN and request.about:
                places = self._operations[request.operation].capture
                if places:
                    captured = request.about, found_in(places, told, response.body)
                    outcome = outcome._replace(captured=captured)
            return outcome._replace(answer=Answered(told, response.body if response.whole else b""))

        return await self._calls.make(Call(request.method, request.target, request.body), headers, judge)

    def _accepted(self, request: Request, response: Response, outcome: Outcome) -> Outcome:
        """An answer of 202 where what became of the call can be asked."""
        wanted = self._operations[request.operation].confirm
        if wanted is None or response.status != 202 or outcome.verdict is not Verdict.DELIVERED:
            return outcome
        asked = asked_of(wanted, response.headers, response.body, self._options.base_url)
        if asked is None:
            return Outcome(Verdict.REFUSED, "confirm-target-refused", response.status)
        return Outcome(Verdict.ACCEPTED, "accepted", response.status, wanted.every, confirm=asked)

    async def confirm(self, operation: str, target: str, *, traceparent: str) -> Outcome:
        """As `Confirms` says."""
        declared = self._operations.get(operation)
        wanted = None if declared is None else declared.confirm
        if wanted is None or not is_target(target):
            return Outcome(Verdict.POISON, "confirm-not-declared")

        def judge(response: Response) -> Outcome:
            return confirmed(wanted.status, wanted.done, wanted.failed, response.status, response.body)

        headers = {"Accept": "application/json", "traceparent": traceparent}
        return await self._calls.make(Call("GET", target, absolute=True), headers, judge)

    def told(self, operation: str, word: str) -> Outcome:
        """As `Confirms` says."""
        declared = self._operations.get(operation)
        wanted = None if declared is None else declared.confirm
        return Outcome(Verdict.RETRY, "not-yet") if wanted is None else told(wanted, word)


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

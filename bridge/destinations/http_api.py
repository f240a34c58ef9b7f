"""An HTTP API that takes records as JSON: its options, and the calls.

One `Session` per API, made at the first call inside the reactor's loop. Redirects are not followed, cookies
not kept, TLS is verified, proxies from the environment are not used. Of a response only the status,
Retry-After and the type of a problem document are read; its body is never kept or logged.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal, Self

from pydantic import AfterValidator, Field, model_validator
from yarl import URL

from bridge.component import Component, Options, RecordOperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    GUARDED,
    IDENTIFIED,
    JUDGED,
    KNOWN,
    SENT,
    UNKNOWN,
    Credential,
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    listed_fields,
    stopped_at,
)
from bridge.destinations.http_failures import CallFailed, classify_failure
from bridge.destinations.http_limits import advertised
from bridge.destinations.http_notices import ending
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
from bridge.destinations.http_session import Session, Timeouts
from bridge.destinations.http_signing import Signer, SignOptions
from bridge.destinations.http_urls import absolute_url
from bridge.destinations.in_loop import in_loop
from bridge.message import Content, Microseconds, Shaped
from bridge.tls.client import Tls
from bridge.units import SizeBytes

RESPONSE_BODY_MAX_BYTES: Final = 65_536
_HEADER_VALUE: Final = re.compile(r"[!-~]{1,255}")
_NOT_THERE: Final = frozenset({404, 410})
_STATUSES_WITH_PROBLEMS: Final = frozenset({409, 422})


def _base_url(text: str) -> str:
    return absolute_url(text).rstrip("/")


class HttpApiOptions(Options):
    """An API below one base URL."""

    base_url: Annotated[str, AfterValidator(_base_url)] = Field(
        description="Scheme, host and path below which all operations are."
    )
    timeouts: Timeouts = Field(default_factory=lambda: Timeouts.model_validate({}))
    tls: Tls = Field(default_factory=lambda: Tls.model_validate({}))
    sign: SignOptions | None = Field(
        None,
        description="Calls are signed (RFC 9421), with a digest of their body (RFC 9530), as in "
        "`{key: secret://file/signing.pem, key_id: bridge-1}`; left out, they are not.",
    )
    max_body: SizeBytes = Field(1_048_576, gt=0, description="A larger request is refused before it is sent.")


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
    opened = None if credential is None else credential.open(secrets, now_us)
    signer = None if options.sign is None else Signer(options.sign, secrets, now_us)
    return HttpApi(options, operations, opened, now_us, permits, signer)


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


class HttpApi(HttpRequests):
    """One API with its operations: a `Destination`."""

    def __init__(
        self,
        options: HttpApiOptions,
        operations: Mapping[str, HttpOperation],
        credential: Credential | None,
        now_us: Callable[[], Microseconds],
        permits: Permits | None = None,
        signer: Signer | None = None,
    ) -> None:
        super().__init__(options, operations)
        self._permits, self._signer = permits, signer
        self._base_path = URL(options.base_url).raw_path.rstrip("/")
        self._origin = str(URL(options.base_url).origin())
        self._errors = {
            name: {status: Verdict(verdict) for status, verdict in operation.errors.items()}
            for name, operation in self._operations.items()
        }
        self._names_record = {
            name: bool(path_fields(operation.path)) for name, operation in self._operations.items()
        }
        self._credential = credential
        self._now_us = now_us
        self._session: Session | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<HttpApi {self._options.base_url}>"

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        """One attempt. A key or token that the API refuses is asked for anew, and a new one tried, once."""
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
        return await self._authorised_call(read, headers)

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:
        """Whether what a request makes is there. An answer that says neither yes nor no leaves it unknown."""
        read = read_request(request)
        if read is None or read.query is None or not _HEADER_VALUE.fullmatch(traceparent):
            return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")
        headers = {"Accept": "application/json", "traceparent": traceparent}
        question = Request(read.operation, "GET", read.query, None)
        answer = await self._authorised_call(question, headers)
        if answer.status in _NOT_THERE:
            return None
        if answer.status is not None and answer.status // 100 == 2:
            return Outcome(Verdict.DELIVERED, "found-there", answer.status)
        return Outcome(Verdict.AMBIGUOUS, "asked-in-vain", answer.status, answer.retry_after_s)

    def look_at_files(self) -> None:
        """Take up what has changed in the files of TLS and in secrets, as `Destination` says."""
        if self._session is not None and self._session.is_stale():
            self._session.retire()
            self._session = None
        for each in (self._credential, self._signer):
            if each is not None:
                each.look_at_files()

    async def close(self) -> None:
        """Let go of all connections. Calls that are under way end, as AMBIGUOUS where bytes had left."""
        self._closed = True
        session, self._session = self._session, None
        if session is not None:
            await session.close()
        if self._credential is not None:
            await in_loop(self._credential.close())

    async def _authorised_call(self, request: Request, headers: Mapping[str, str]) -> Outcome:
        """One call: its target looked at, then who the bridge is, then sent. Each has its letter in the
        outcome, as far as the call came."""
        session = self._opened()
        if isinstance(session, Outcome):
            return stopped_at(GUARDED, session)
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            await session.find_target(self._options.timeouts.connect)
        except CallFailed as error:
            return stopped_at(GUARDED, classify_failure(error))
        steps = IDENTIFIED if self._permits is None else GUARDED + IDENTIFIED
        spent_s = loop.time() - started_s
        if request.body is not None:
            headers = {**headers, "Content-Type": "application/json"}
        if self._signer is not None:
            signed = self._signer.signed(
                request.method, self._origin + self._base_path + request.target, headers, request.body
            )
            if isinstance(signed, Outcome):
                return stopped_at(steps + KNOWN, signed)
            headers = signed
        if self._credential is None:
            outcome = await self._call(session, request, headers, spent_s)
        else:
            used = await in_loop(self._credential.headers())
            if isinstance(used, Outcome):
                return stopped_at(steps + KNOWN, used)
            outcome = await self._call(session, request, {**headers, **used}, spent_s)
            if outcome.status == 401:
                outcome = await self._once_more(request, headers, used, outcome, started_s)
        return replace(outcome, steps=steps + KNOWN + SENT + JUDGED)

    async def _once_more(
        self,
        request: Request,
        headers: Mapping[str, str],
        used: Mapping[str, str],
        refused: Outcome,
        started_s: float,
    ) -> Outcome:
        """The API refused who the bridge said it is: with a newer word, once, where there is one."""
        assert self._credential is not None, "somebody gave these headers"
        self._credential.forget(used)
        renewed = await in_loop(self._credential.headers())
        if isinstance(renewed, Outcome):
            # Where a new token may be had a little later, the refusal of the old one is not the last word.
            return renewed if renewed.verdict is Verdict.RETRY else refused
        spent_s = asyncio.get_running_loop().time() - started_s
        session = self._opened()
        if renewed == used or spent_s >= self._options.timeouts.request or isinstance(session, Outcome):
            return refused
        return await self._call(session, request, {**headers, **renewed}, spent_s)

    def _opened(self) -> Session | Outcome:
        if self._closed:
            return Outcome(Verdict.RETRY, "closing")
        options = self._options
        try:
            self._session = self._session or Session(options.base_url, options.tls, self._permits)
        except OSError:
            return Outcome(Verdict.HOLD, "tls-files-unusable")
        return self._session

    async def _call(
        self, session: Session, request: Request, headers: Mapping[str, str], spent_s: float
    ) -> Outcome:
        options = self._options
        try:
            response = await session.call(
                request.method,
                self._base_path + request.target,
                headers,
                request.body,
                connect_s=options.timeouts.connect,
                total_s=options.timeouts.request - spent_s,
                body_max_bytes=RESPONSE_BODY_MAX_BYTES,
            )
        except CallFailed as error:
            return classify_failure(error)
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
        ends, limits = ending(told), advertised(told)
        if ends is None and limits is None:
            return outcome
        return replace(outcome, ending=ends, advertised=limits)


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

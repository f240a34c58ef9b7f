"""An OpenAPI document as its operations, versions 3.0 and 3.1. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date
from typing import Final

from bridge.contracts.documents import ContractRefused, Documents, Part

METHODS: Final = ("get", "put", "post", "delete", "options", "head", "patch", "trace")
OPERATIONS_MAX_COUNT: Final = 5_000
_PARAMETER: Final = re.compile(r"\{[^/{}]*\}")
_NOT_PARAMETERS: Final = frozenset({"accept", "content-type", "authorization"})
"""Headers that are no parameters, whatever a document says (OpenAPI 3.1.1 §4.8.12.1)."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """A parameter of an operation. ``where`` is path, query, header or cookie."""

    name: str
    where: str
    required: bool
    schema: Part
    part: Part


@dataclass(frozen=True, slots=True)
class Answer:
    """What an operation may answer with one status, a class as ``2XX``, or ``default``."""

    status: str
    content: dict[str, Part]
    headers: dict[str, Part]
    part: Part


@dataclass(frozen=True, slots=True)
class Operation:
    """One call. ``content`` are the schemas of its body by media type; ``security`` alternatives of schemes
    with their scopes, of which each must be held, None where the document asks for nothing."""

    method: str
    path: str
    part: Part
    parameters: tuple[Parameter, ...]
    body: Part | None
    content: dict[str, Part]
    body_required: bool
    answers: dict[str, Answer]
    security: tuple[dict[str, tuple[str, ...]], ...]
    servers: tuple[str, ...]

    @property
    def name(self) -> str:
        """Method and path."""
        return f"{self.method.upper()} {self.path}"

    def schemas(self) -> Iterator[tuple[str, Part]]:
        """The schemas of bodies, answers and parameters, by their place; the value of one may be None."""
        for media, part in self.content.items():
            yield f"body {media}", part
        for status, said in self.answers.items():
            for media, part in said.content.items():
                yield f"answer {status} {media}", part
        for one in self.parameters:
            yield f"{one.where} {one.name}", one.schema

    @property
    def operation_id(self) -> str:
        """What the document calls it; may be empty."""
        return self.part.text("operationId")

    @property
    def deprecated(self) -> bool:
        """Whether it is said to be deprecated."""
        return self.part.get("deprecated").value is True

    @property
    def sunset(self) -> date | None:
        """The last day that the document has for it (``x-sunset``)."""
        try:
            return date.fromisoformat(self.part.text("x-sunset")[:10])
        except ValueError:
            return None


@dataclass(frozen=True, slots=True)
class OpenApi:
    """A document with its operations, by method and path."""

    documents: Documents
    is_30: bool
    title: str
    version: str
    servers: tuple[str, ...]
    operations: dict[tuple[str, str], Operation] = field(repr=False)
    security: tuple[dict[str, tuple[str, ...]], ...] = ()

    @property
    def schemes(self) -> dict[str, Part]:
        """The ways to say who calls, by name."""
        whole = self.documents.whole.get("components", "securitySchemes")
        return {name: self.documents.resolved(each) for name, each in whole.entries()}


def read_openapi(documents: Documents) -> OpenApi:
    """The operations of a document. Raises ContractRefused for what is none, or of another version."""
    whole = documents.whole
    said = whole.text("openapi")
    if not said:
        hint = "version 2.0 (Swagger) is not read: convert it" if whole.text("swagger") else "is it the file?"
        raise ContractRefused(whole.place, f"this is no OpenAPI document: it has no `openapi`; {hint}")
    if not said.startswith(("3.0", "3.1")):
        raise ContractRefused(whole.place, "OpenAPI 3.0 and 3.1 are read, and this is another version")
    servers = _servers(whole)
    security = _security(whole)
    operations: dict[tuple[str, str], Operation] = {}
    for path, each in whole.get("paths").entries():
        if not path.startswith("/"):
            continue
        item = documents.resolved(each)
        shared = list(item.get("parameters").items())
        for method in METHODS:
            part = item.get(method)
            if isinstance(part.value, dict):
                if len(operations) >= OPERATIONS_MAX_COUNT:
                    raise ContractRefused(part.place, f"more than {OPERATIONS_MAX_COUNT} operations")
                own = _servers(part) or _servers(item) or servers
                operations[method, path] = _operation(documents, method, path, part, shared, security, own)
    return OpenApi(
        documents, said.startswith("3.0"), whole.get("info").text("title"), _version(whole), servers,
        operations, security,
    )  # fmt: skip


def _version(whole: Part) -> str:
    said = whole.get("info", "version").value
    return str(said) if isinstance(said, str | int | float) else ""


def _operation(
    documents: Documents,
    method: str,
    path: str,
    part: Part,
    shared: list[Part],
    security: tuple[dict[str, tuple[str, ...]], ...],
    servers: tuple[str, ...],
) -> Operation:
    body = part.get("requestBody")
    resolved = None if body.value is None else documents.resolved(body)
    return Operation(
        method,
        path,
        part,
        tuple(_parameters(documents, [*shared, *part.get("parameters").items()])),
        resolved,
        {} if resolved is None else _content(documents, resolved),
        resolved is not None and resolved.get("required").value is True,
        {
            str(status): _answer(documents, str(status), each)
            for status, each in part.get("responses").entries()
        },
        _security(part) if part.get("security").value is not None else security,
        servers,
    )


def _parameters(documents: Documents, parts: list[Part]) -> Iterator[Parameter]:
    """Each once: one of the operation stands for one of its path."""
    found: dict[tuple[str, str], Parameter] = {}
    for each in parts:
        part = documents.resolved(each)
        name, where = part.text("name"), part.text("in")
        if not name or (where == "header" and name.lower() in _NOT_PARAMETERS):
            continue
        schema = part.get("schema")
        for _, media in part.get("content").entries():
            schema = media.get("schema")
        required = part.get("required").value is True or where == "path"
        found[where, name] = Parameter(name, where, required, schema, part)
    yield from found.values()


def _content(documents: Documents, part: Part) -> dict[str, Part]:
    return {
        media.partition(";")[0].strip().lower(): documents.resolved(each).get("schema")
        for media, each in part.get("content").entries()
    }


def _answer(documents: Documents, status: str, each: Part) -> Answer:
    part = documents.resolved(each)
    headers = {name.lower(): documents.resolved(below) for name, below in part.get("headers").entries()}
    return Answer(status, _content(documents, part), headers, part)


def _security(part: Part) -> tuple[dict[str, tuple[str, ...]], ...]:
    return tuple(
        {name: tuple(str(scope) for scope in below.value or ()) for name, below in each.entries()}
        for each in part.get("security").items()
    )


def _servers(part: Part) -> tuple[str, ...]:
    return tuple(each.text("url") for each in part.get("servers").items())


def path_shape(path: str) -> str:
    """A path without the names of its parameters: two with one shape are one path.

    >>> path_shape("/patients/{id}/notes/{note}")
    '/patients/{}/notes/{}'
    """
    return _PARAMETER.sub("{}", path)

"""Where an OpenAPI document breaks a rule: a function for each of `RULES` (`lint.py`). Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Final

from bridge.contracts.documents import ContractRefused, Part
from bridge.contracts.openapi import OpenApi, Operation, path_shape
from bridge.contracts.schemas import Bundle, Direction, compiled

Where = Iterator[tuple[str, str]]
"""Operation and place within it, or empty and a place of the document."""

_WRITES: Final = frozenset({"put", "post", "patch", "delete"})
_KEBAB: Final = re.compile(r"[a-z0-9]+(?:[-.][a-z0-9]+)*")
_PAGE_WORDS: Final = frozenset(
    "page limit offset cursor size per_page pagesize page_size page[number] page[size] _count after before "
    "next pagetoken page_token".split()
)


def _operations(document: OpenApi) -> Iterator[Operation]:
    yield from document.operations.values()


def _schemas(document: OpenApi) -> Iterator[tuple[Operation, str, Part]]:
    """The schemas of bodies, answers and parameters."""
    for each in _operations(document):
        for place, part in each.schemas():
            yield each, place, part


def no_id(document: OpenApi) -> Where:
    """Operations without an operationId."""
    return ((each.name, "") for each in _operations(document) if not each.operation_id)


def id_twice(document: OpenApi) -> Where:
    """Operations whose operationId another one has."""
    seen: set[str] = set()
    for each in _operations(document):
        if each.operation_id and each.operation_id in seen:
            yield each.name, each.operation_id
        seen.add(each.operation_id)


def same_path(document: OpenApi) -> Where:
    """Paths that are the same but for the names of their parameters."""
    seen: dict[tuple[str, str], str] = {}
    for (method, path), each in document.operations.items():
        first = seen.setdefault((method, path_shape(path)), path)
        if first != path:
            yield each.name, first


def path_words(document: OpenApi) -> Where:
    """Segments that are not of small letters with hyphens."""
    for each in _operations(document):
        for segment in each.path.split("/"):
            if (
                segment
                and "{" not in segment
                and not _KEBAB.fullmatch(segment)
                and not segment.startswith("$")
            ):
                yield each.name, segment


def trailing_slash(document: OpenApi) -> Where:
    """Paths that end with a slash."""
    return (
        (each.name, "") for each in _operations(document) if len(each.path) > 1 and each.path.endswith("/")
    )


def path_parameters(document: OpenApi) -> Where:
    """Parameters that stand in the path or are declared, and not both."""
    for each in _operations(document):
        named = set(re.findall(r"\{([^/{}]*)\}", each.path))
        declared = {one.name for one in each.parameters if one.where == "path"}
        for name in sorted(named ^ declared):
            yield each.name, name


def no_version(document: OpenApi) -> Where:
    """A document without a version."""
    if not document.version:
        yield "", "info"


def http_server(document: OpenApi) -> Where:
    """Servers in the clear, but for this machine."""
    for url in document.servers:
        if url.startswith("http://") and not re.match(r"http://(localhost|127\.|\[::1\])", url):
            yield "", url


def no_server(document: OpenApi) -> Where:
    """A document that names no server."""
    if not document.servers:
        yield "", "servers"


def no_security(document: OpenApi) -> Where:
    """Operations that anybody may call."""
    return ((each.name, "") for each in _operations(document) if not each.security)


def unknown_scheme(document: OpenApi) -> Where:
    """Security schemes that are named and not described."""
    for each in _operations(document):
        for alternative in each.security:
            for name in alternative.keys() - document.schemes.keys():
                yield each.name, name


def key_in_query(document: OpenApi) -> Where:
    """Keys that stand in the query."""
    for name, part in document.schemes.items():
        if part.text("type") == "apiKey" and part.text("in") == "query":
            yield "", name


def basic(document: OpenApi) -> Where:
    """Passwords that go with every call."""
    for name, part in document.schemes.items():
        if part.text("type") == "http" and part.text("scheme").lower() == "basic":
            yield "", name


def no_success(document: OpenApi) -> Where:
    """Operations without an answer that says success."""
    for each in _operations(document):
        if not any(status.startswith(("2", "3")) for status in each.answers):
            yield each.name, ""


def no_errors(document: OpenApi) -> Where:
    """Operations without an answer that says failure."""
    for each in _operations(document):
        if not any(status.startswith(("4", "5")) or status == "default" for status in each.answers):
            yield each.name, ""


def no_problem(document: OpenApi) -> Where:
    """Failures that are told in another shape than a problem document."""
    for each in _operations(document):
        for status, said in each.answers.items():
            bad = status.startswith(("4", "5")) and said.content
            if (
                bad
                and "application/problem+json" not in said.content
                and "application/fhir+json" not in said.content
            ):
                yield each.name, f"answer {status}"


def no_refusal(document: OpenApi) -> Where:
    """Operations with a body that no answer refuses."""
    for each in _operations(document):
        known = each.answers.keys()
        if each.content and not known & {"400", "422", "4XX", "default"}:
            yield each.name, ""


def no_idempotency(document: OpenApi) -> Where:
    """POSTs that take no Idempotency-Key."""
    for each in _operations(document):
        names = {one.name.lower() for one in each.parameters if one.where == "header"}
        if each.method == "post" and "idempotency-key" not in names:
            yield each.name, ""


def no_pages(document: OpenApi) -> Where:
    """Lists that are answered whole."""
    for each in _operations(document):
        if each.method != "get":
            continue
        paged = any(one.name.lower() in _PAGE_WORDS for one in each.parameters)
        for status, said in each.answers.items():
            if not status.startswith("2") or paged:
                continue
            for media, part in said.content.items():
                schema = document.documents.resolved(part) if part.value is not None else part
                if schema.get("type").value == "array":
                    yield each.name, f"answer {status} {media}"


def unbounded_list(document: OpenApi) -> Where:
    """Lists that are sent without a bound."""
    return _where(document, "array", lambda schema: "maxItems" in schema, sent_only=True)


def unbounded_text(document: OpenApi) -> Where:
    """Texts that are sent without a bound."""
    bounds = ("maxLength", "enum", "format", "pattern", "const")
    return _where(document, "string", lambda schema: any(word in schema for word in bounds), sent_only=True)


def _where(
    document: OpenApi, kind: str, is_bounded: Callable[[Mapping[str, object]], bool], *, sent_only: bool
) -> Where:
    for each, place, part in _schemas(document):
        if sent_only and place.startswith("answer"):
            continue
        for name, schema in _fields(document, part):
            if schema.get("type").value == kind and not is_bounded(schema.value):
                yield each.name, f"{place} {name}"


def _fields(document: OpenApi, part: Part) -> Iterator[tuple[str, Part]]:
    """The properties at the top of a schema, resolved."""
    if part.value is None:
        return
    try:
        schema = document.documents.resolved(part)
        for name, each in schema.get("properties").entries():
            yield f"/{name}", document.documents.resolved(each)
    except ContractRefused:
        return


def no_schema(document: OpenApi) -> Where:
    """JSON without a schema."""
    for each, place, part in _schemas(document):
        if part.value is None and "json" in place:
            yield each.name, place


def untyped(document: OpenApi) -> Where:
    """Fields without a type."""
    words = ("type", "enum", "const", "allOf", "anyOf", "oneOf", "$ref", "not", "properties")
    for each, place, part in _schemas(document):
        for name, schema in _fields(document, part):
            if isinstance(schema.value, Mapping) and not any(word in schema.value for word in words):
                yield each.name, f"{place} {name}"


def date_format(document: OpenApi) -> Where:
    """Times without a format."""
    for each, place, part in _schemas(document):
        for name, schema in _fields(document, part):
            is_time = re.search(r"(?:_at|At|_date|Date|_time|Time)$", name) is not None
            if is_time and schema.get("type").value == "string" and schema.get("format").value is None:
                yield each.name, f"{place} {name}"


def money(document: OpenApi) -> Where:
    """Amounts that are numbers."""
    for each, place, part in _schemas(document):
        for name, schema in _fields(document, part):
            if re.search(r"(?i)(amount|price|total|balance)$", name) and schema.get("type").value == "number":
                yield each.name, f"{place} {name}"


def deprecated(document: OpenApi) -> Where:
    """Deprecated operations without a last day."""
    return ((each.name, "") for each in _operations(document) if each.deprecated and each.sunset is None)


def get_body(document: OpenApi) -> Where:
    """GETs and HEADs with a body."""
    return ((each.name, "") for each in _operations(document) if each.method in ("get", "head") and each.body)


def delete_body(document: OpenApi) -> Where:
    """DELETEs with a body."""
    return ((each.name, "") for each in _operations(document) if each.method == "delete" and each.body)


def phi_in_path(document: OpenApi) -> Where:
    """Parameters of a URL that tell of a person."""
    words = re.compile(r"(?i)(ssn|birth|name|email|phone|dob)")
    for each in _operations(document):
        for one in each.parameters:
            if one.where in ("path", "query") and words.search(one.name) and each.method in (*_WRITES, "get"):
                yield each.name, f"{one.where} {one.name}"


def leads_nowhere(document: OpenApi) -> Where:
    """Schemas whose reference leads to nothing."""
    for each, place, part in _schemas(document):
        if part.value is not None and not _leads_somewhere(document, part):
            yield each.name, place


def _leads_somewhere(document: OpenApi, part: Part) -> bool:
    try:
        document.documents.resolved(part)
    except ContractRefused:
        return False
    return True


def unusable(document: OpenApi) -> Where:
    """Schemas that a channel could not be checked by, each with the reason."""
    for each, place, part in _schemas(document):
        if part.value is None or not _leads_somewhere(document, part):
            continue  # `leads_nowhere` tells
        try:
            direction: Direction = "answer" if place.startswith("answer") else "request"
            schema = Bundle(document.documents, direction, is_30=document.is_30).schema(part)
            compiled(schema, part.place)
        except ContractRefused as refused:
            yield each.name, f"{place} ({refused})"

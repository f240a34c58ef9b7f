"""The contract of one API, compiled: what each of its operations may be sent, and what it may answer. Pure.

Made once, as files are read; a call costs microseconds. What is found names places of the contract, never
values.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import parse_qsl, unquote, urlsplit

import orjson

from bridge.contracts.documents import ContractRefused, Documents, Part
from bridge.contracts.findings import Finding, found_by, shown_name, words_sent
from bridge.contracts.openapi import Answer, OpenApi, Operation, Parameter, path_shape, read_openapi
from bridge.contracts.schemas import Bundle, Validator, compiled
from bridge.contracts.shapes import Shape, new_fields, shape_of
from bridge.units import size_text

JSON: Final = "application/json"
OURS: Final = frozenset({"idempotency-key", "traceparent", "accept", "content-type", "user-agent", "host"})
"""Headers that every call has, whatever an operation's file says."""
ANY_MEDIA: Final = ("*/*", "application/*")
ANSWER_MAX_BYTES: Final = 65_536
"""Of an answer no more than this is read, so one that is as long may be a part of one."""


@dataclass(frozen=True, slots=True)
class Called:
    """An operation of an API's file. ``base`` is the path of the API's URL, without a slash at its end."""

    name: str
    method: str
    path: str
    base: str = ""
    has_body: bool = True


@dataclass(frozen=True, slots=True)
class Sent:
    """A request as it leaves: ``path`` below the API's URL, ``params`` what is behind the question mark."""

    path: str
    params: str
    headers: Mapping[str, str]
    body: bytes | None


@dataclass(frozen=True, slots=True)
class _Value:
    """What checks one parameter, and what its text is read as."""

    name: str
    read: Callable[[str], Any]
    validator: Validator | None
    required: bool


@dataclass(frozen=True, slots=True)
class _Answers:
    """What one status may bring: by media type what checks it, with its shape; and headers it must have."""

    media: Mapping[str, tuple[Validator, Shape] | None]
    headers: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Checked:
    """One operation of an API's file, by its contract. ``described`` is None where there is but a schema."""

    name: str
    base: str
    segments: tuple[tuple[int, _Value], ...]
    segments_count: int
    query: tuple[_Value, ...]
    headers: tuple[_Value, ...]
    body: Validator | None
    body_required: bool
    answers: Mapping[str, _Answers] | None
    names: frozenset[str]
    described: Operation | None = None
    body_schema: Mapping[str, Any] | None = None
    unchecked: tuple[tuple[str, str], ...] = ()

    def request(self, sent: Sent) -> list[Finding]:
        """Where a request is not as the contract says."""
        found: list[Finding] = []
        if self.segments:
            below = (self.base + sent.path).split("/")[-self.segments_count :]
            for place, value in self.segments:
                found += _in_place(value, unquote(below[place]), f"/path/{value.name}")
        if self.query:
            given = dict(parse_qsl(sent.params, keep_blank_values=True))
            for value in self.query:
                found += _in_place(value, given.get(value.name), f"/query/{value.name}")
        if self.headers:
            told = {name.lower(): text for name, text in sent.headers.items()}
            for value in self.headers:
                found += _in_place(value, told.get(value.name), f"/header/{value.name}")
        if sent.body is None:
            return [*found, Finding("request", "", "body required")] if self.body_required else found
        if self.body is not None:
            value = orjson.loads(sent.body)
            if not self.body.is_valid(value):
                found += found_by(self.body, value, self.names, "request")
        return found

    def answer(
        self, status: int, media: str, told: Mapping[str, str], body: bytes, sent: bytes | None
    ) -> list[Finding]:
        """Where an answer to a call that succeeded is not as the contract says. ``told`` are its headers, in
        lower case; ``sent`` the body that it answers, whose words no finding repeats."""
        if self.answers is None:
            return []
        known = (str(status), f"{status // 100}XX", "default")
        expected = next((self.answers[each] for each in known if each in self.answers), None)
        if expected is None:
            return [Finding("answer-status", "", str(status))]
        found = [
            Finding("missing-header", f"/header/{name}", "required")
            for name in expected.headers
            if name not in told
        ]
        if not body or not expected.media:
            return found
        kind = media.partition(";")[0].strip().lower()
        check = next((each for each in (kind, *ANY_MEDIA) if each in expected.media), None)
        if check is None:
            other = kind if kind in _KNOWN_MEDIA else "another media type"
            return [*found, Finding("answer-type", "", other)]
        checks = expected.media[check]
        if checks is None:
            return found
        if len(body) >= ANSWER_MAX_BYTES:
            return [*found, Finding("answer-unchecked", "", f"more than {size_text(ANSWER_MAX_BYTES)}")]
        try:
            value = orjson.loads(body)
        except orjson.JSONDecodeError:
            return [*found, Finding("answer-unreadable", "", "no JSON")]
        validator, shape = checks
        if not validator.is_valid(value):
            found += found_by(validator, value, self.names)
        if pointers := new_fields(shape, value, self.names):
            said = words_sent(orjson.loads(sent)) if sent else frozenset()
            for pointer, name in pointers:
                place = f"{pointer}/{shown_name(name, self.names, said)}"
                found.append(Finding("new-field", place, "not in the contract"))
        return list(dict.fromkeys(found))


_KNOWN_MEDIA: Final = frozenset(
    {"application/json", "application/problem+json", "text/html", "text/plain", "application/xml"}
    | {"application/fhir+json", "application/hal+json", "application/vnd.api+json"}
)


def _in_place(value: _Value, text: str | None, pointer: str) -> list[Finding]:
    if text is None:
        return [Finding("request", pointer, "required")] if value.required else []
    if value.validator is None or value.validator.is_valid(value.read(text)):
        return []
    return [
        Finding("request", pointer, each.rule)
        for each in found_by(value.validator, value.read(text), frozenset())
    ]


@dataclass(frozen=True, slots=True)
class Contract:
    """The contract of one API. ``digest`` is over ``content``, which is all of its files in one; ``name`` is
    its file and version, for people."""

    name: str
    digest: str
    content: bytes = field(repr=False)
    operations: Mapping[str, Checked] = field(repr=False)
    document: OpenApi | None = field(repr=False, default=None)


def kept(documents: Documents) -> bytes:
    """All files of a contract in one, the same bytes for the same content."""
    return orjson.dumps({"root": documents.root, "files": documents.files}, option=orjson.OPT_SORT_KEYS)


def unkept(content: bytes) -> Documents:
    """What `kept` kept. Raises ContractRefused for what is none."""
    try:
        said = orjson.loads(content)
        return Documents(str(said["root"]), dict(said["files"]))
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError):
        raise ContractRefused("kept contract", "these bytes are no contract") from None


class NotDescribed(Exception):
    """The contract does not have an operation; ``near`` are those that it has, for a hint."""

    def __init__(self, called: Called, near: tuple[str, ...]) -> None:
        super().__init__(called.name)
        self.called, self.near = called, near


def contract_of(
    documents: Documents, calls: Iterable[Called], schemas: Mapping[str, str] | None = None
) -> tuple[Contract, list[NotDescribed]]:
    """The contract of an API with these operations, and those of them that it does not describe.

    ``schemas`` are the files of bodies by operation, where the documents are JSON Schemas; ``""`` is for all
    others. Raises ContractRefused.
    """
    content = kept(documents)
    digest = hashlib.sha256(content).hexdigest()
    if schemas is not None:
        named = {each: Part(file, "", documents.files.get(file)) for each, file in schemas.items()}
        checked = {each.name: _by_schema(documents, each, named) for each in calls}
        return Contract(documents.root, digest, content, checked), []
    document = read_openapi(documents)
    found: dict[str, Checked] = {}
    missing: list[NotDescribed] = []
    for each in calls:
        operation = described(document, each)
        if operation is None:
            missing.append(NotDescribed(each, tuple(one.name for one in document.operations.values())))
        else:
            found[each.name] = _checked(document, operation, each)
    name = f"{documents.root}@{document.version}" if document.version else documents.root
    return Contract(name, digest, content, found, document), missing


def described(document: OpenApi, called: Called) -> Operation | None:
    """The operation of a document that a call is.

    The API's URL and the document's servers may both have a path, and it may stand in either.
    """
    own, whole = path_shape(called.path), path_shape(called.base + called.path)
    close: list[tuple[int, Operation]] = []
    for (method, path), operation in document.operations.items():
        if method != called.method.lower():
            continue
        shape = path_shape(path)
        below = {shape, *(_server_path(each) + shape for each in operation.servers)}
        if own in below or whole in below:
            return operation
        if own.count("/") == shape.count("/") and _fits(shape, own):
            close.append((shape.count("{}"), operation))
    return min(close, key=lambda each: each[0])[1] if close else None


def _server_path(url: str) -> str:
    return urlsplit(url).path.rstrip("/") if "{" not in url else ""


def _fits(shape: str, path: str) -> bool:
    """Whether a path with something fixed in it is one of a shape."""
    pairs = zip(shape.split("/"), path.split("/"), strict=True)
    return all(wanted == given or (wanted == "{}" and given != "") for wanted, given in pairs)


def _by_schema(documents: Documents, called: Called, schemas: Mapping[str, Part]) -> Checked:
    part = schemas.get(called.name, schemas.get(""))
    bundle = Bundle(documents, "request")
    validator, schema = None, None
    if part is not None and called.has_body:
        schema = bundle.schema(part)
        draft = part.text("$schema") or documents.whole.text("$schema")
        validator = compiled(schema, part.place, draft)
    return Checked(
        called.name, called.base, (), 0, (), (), validator, False, None, frozenset(bundle.names),
        body_schema=schema, unchecked=tuple(bundle.unchecked),
    )  # fmt: skip


def _checked(document: OpenApi, operation: Operation, called: Called) -> Checked:
    asks = Bundle(document.documents, "request", is_30=document.is_30)
    says = Bundle(document.documents, "answer", is_30=document.is_30)
    values = {each.name: (each, _value(asks, each)) for each in operation.parameters}
    below = operation.path.split("/")
    segments = tuple(
        (place, values[segment[1:-1]][1])
        for place, segment in enumerate(below)
        if segment.startswith("{") and segment.endswith("}") and segment[1:-1] in values
    )

    def of(where: str) -> tuple[_Value, ...]:
        return tuple(value for each, value in values.values() if each.where == where)

    part = json_of(operation.content)
    schema = None if part is None or part.value is None else asks.schema(part)
    body = None if schema is None or part is None else compiled(schema, part.place)
    answers = {status: _answers(says, each) for status, each in operation.answers.items()}
    return Checked(
        called.name,
        called.base,
        segments,
        len(below),
        of("query"),
        tuple(each for each in of("header") if each.name not in OURS),
        body,
        operation.body_required,
        answers,
        frozenset(asks.names | says.names),
        operation,
        schema,
        tuple(asks.unchecked + says.unchecked),
    )


def json_of(content: Mapping[str, Part]) -> Part | None:
    """The schema of the JSON among media types, or None."""
    for media, schema in content.items():
        if media in (JSON, *ANY_MEDIA) or media.endswith("+json"):
            return schema
    return None


def _answers(bundle: Bundle, answer: Answer) -> _Answers:
    media: dict[str, tuple[Validator, Shape] | None] = {}
    for kind, part in answer.content.items():
        is_json = kind in (JSON, *ANY_MEDIA) or kind.endswith("+json")
        if not is_json or part.value is None:
            media[kind] = None
            continue
        schema = bundle.schema(part)
        media[kind] = compiled(schema, part.place), shape_of(schema)
    required = tuple(name for name, part in answer.headers.items() if part.get("required").value is True)
    return _Answers(media, required)


def _value(bundle: Bundle, parameter: Parameter) -> _Value:
    name = parameter.name.lower() if parameter.where == "header" else parameter.name
    if parameter.schema.value is None:
        return _Value(name, str, None, parameter.required)
    schema = bundle.schema(parameter.schema)
    read = _reader(schema)
    validator = None if read is None else compiled(schema, parameter.schema.place)
    return _Value(name, read or str, validator, parameter.required)


def _reader(schema: Mapping[str, Any]) -> Callable[[str], Any] | None:
    """What a parameter's text is read as, by its schema's type; None where it is no single value."""
    reference = str(schema.get("$ref", "")).removeprefix("#/$defs/")
    if reference:
        schema = schema.get("$defs", {}).get(reference, {})
    types = schema.get("type", "string")
    kinds = set(types) if isinstance(types, list) else {types}
    if kinds & {"array", "object"}:
        return None
    if kinds & {"integer", "number"}:
        return _number
    return _truth if "boolean" in kinds else str


def _number(text: str) -> Any:
    try:
        return int(text) if text.lstrip("-").isdigit() else float(text)
    except ValueError:
        return text


def _truth(text: str) -> Any:
    return {"true": True, "false": False}.get(text, text)

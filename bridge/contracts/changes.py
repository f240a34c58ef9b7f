"""What has changed between two OpenAPI documents, and whether it breaks who calls by the older one. Pure.

A change of what is sent breaks where the newer document takes less than the older; a change of what is
answered where the newer says more, or promises less. Each has a code of `CHANGES`, its place, and words.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from bridge.contracts.change_codes import CHANGES
from bridge.contracts.documents import Part
from bridge.contracts.openapi import Answer, OpenApi, Operation, Parameter, path_shape
from bridge.contracts.schema_changes import Compared, schema_changes
from bridge.contracts.schemas import Bundle

Severity = Literal["breaking", "compatible"]


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """One change. ``operation`` is method and path, empty where it is about all; ``place`` is within it."""

    code: str
    operation: str
    place: str
    words: str

    @property
    def severity(self) -> Severity:
        """Whether it breaks who calls by the older document."""
        return CHANGES[self.code].severity

    def __str__(self) -> str:
        where = " ".join(filter(None, (self.operation, self.place)))
        return f"{where}: {self.words}" if where else self.words


def changes(older: OpenApi, newer: OpenApi) -> list[Change]:
    """All changes, by operation, those that break first. Raises ContractRefused where a reference that is
    followed leads nowhere."""
    found = dict.fromkeys([*_of_all(older, newer), *_of_operations(older, newer)])
    return sorted(
        found, key=lambda each: (each.severity != "breaking", each.operation, each.code, each.place)
    )


def _change(code: str, operation: str, place: str, words: str) -> Change:
    assert code in CHANGES, f"{code} has no words"
    return Change(code, operation, place, words)


def _of_all(older: OpenApi, newer: OpenApi) -> Iterator[Change]:
    for name in older.schemes.keys() - newer.schemes.keys():
        yield _change("security-scheme-removed", "", name, f"the security scheme {name} is gone")
    for name in older.schemes.keys() & newer.schemes.keys():
        before, now = older.schemes[name].text("type"), newer.schemes[name].text("type")
        if before != now:
            words = f"the security scheme {name} is {now} and was {before}"
            yield _change("security-scheme-type-changed", "", name, words)
    gone = [each for each in older.servers if each not in newer.servers]
    if gone and newer.servers:
        yield _change("server-removed", "", gone[0], f"the server {gone[0]} is gone")


def _of_operations(older: OpenApi, newer: OpenApi) -> Iterator[Change]:
    before = {(method, path_shape(path)): each for (method, path), each in older.operations.items()}
    now = {(method, path_shape(path)): each for (method, path), each in newer.operations.items()}
    paths = {shape for _, shape in now}
    for key, each in before.items():
        if key in now:
            yield from _of_operation(older, newer, each, now[key])
        elif each.deprecated or each.sunset:
            words = "the operation is gone, as had been announced"
            yield _change("operation-removed-after-deprecation", each.name, "", words)
        elif key[1] not in paths:
            yield _change("path-removed", each.name, "", "the path is gone")
        else:
            yield _change("operation-removed", each.name, "", "the operation is gone")
    for key, each in now.items():
        if key not in before:
            _follow(newer, each)
            yield _change("operation-added", each.name, "", "the operation is new")


def _follow(newer: OpenApi, operation: Operation) -> None:
    """Raise ContractRefused where a schema of a new operation refers to what there is not."""
    for _, part in operation.schemas():
        if part.value is not None:
            newer.documents.resolved(part)
            Bundle(newer.documents, "request", is_30=newer.is_30).schema(part)


def _of_operation(older: OpenApi, newer: OpenApi, before: Operation, now: Operation) -> Iterator[Change]:
    name = before.name
    if before.operation_id and before.operation_id != now.operation_id:
        words = f"its operationId is {now.operation_id or 'gone'} and was {before.operation_id}"
        yield _change("operation-id-changed", name, "", words)
    if now.deprecated and not before.deprecated:
        yield _change("operation-deprecated", name, "", "it is deprecated")
    if before.deprecated and not now.deprecated:
        yield _change("operation-no-longer-deprecated", name, "", "it is no longer deprecated")
    if before.sunset != now.sunset:
        if now.sunset is None:
            yield _change("sunset-removed", name, "", f"it does not end on {before.sunset} any more")
        elif before.sunset is None or now.sunset > before.sunset:
            yield _change("sunset-set", name, "", f"it ends on {now.sunset}")
        else:
            yield _change("sunset-earlier", name, "", f"it ends on {now.sunset}, and not on {before.sunset}")
    yield from _parameters(older, newer, before, now)
    yield from _bodies(older, newer, before, now)
    yield from _answers(older, newer, before, now)
    yield from _security(name, before, now)


# What is sent.


def _parameters(older: OpenApi, newer: OpenApi, before: Operation, now: Operation) -> Iterator[Change]:
    was, are = _by_name(before), _by_name(now)
    for key, each in was.items():
        place = f"{each.where} {each.name}"
        if key not in are:
            moved = next((one for one in are.values() if one.name == each.name), None)
            if moved is not None:
                words = f"the parameter stands in {moved.where} and stood in {each.where}"
                yield _change("parameter-moved", before.name, place, words)
            else:
                yield _change("parameter-removed", before.name, place, "the parameter is gone")
            continue
        other = are[key]
        if other.required and not each.required:
            yield _change("parameter-became-required", before.name, place, "the parameter is needed now")
        if each.required and not other.required:
            yield _change("parameter-became-optional", before.name, place, "it may be left out now")
        both = Compared(older, newer, "request", "parameter")
        for code, inner, words in schema_changes(both, each.schema, other.schema):
            yield _change(code, before.name, f"{place}{inner}", words)
    for key, each in are.items():
        if key in was or any(one.name == each.name for one in was.values()):
            continue
        place = f"{each.where} {each.name}"
        if each.required:
            yield _change("required-parameter-added", before.name, place, "the parameter is new, and needed")
        else:
            yield _change("optional-parameter-added", before.name, place, "the parameter is new")


def _by_name(operation: Operation) -> Mapping[tuple[str, str], Parameter]:
    """Parameters by place and name; those of the path by their number, whatever they are called."""
    numbers = [
        each[1:-1] for each in operation.path.split("/") if each.startswith("{") and each.endswith("}")
    ]
    found: dict[tuple[str, str], Parameter] = {}
    for each in operation.parameters:
        at = str(numbers.index(each.name)) if each.where == "path" and each.name in numbers else each.name
        found[each.where, at.lower() if each.where == "header" else at] = each
    return found


def _bodies(older: OpenApi, newer: OpenApi, before: Operation, now: Operation) -> Iterator[Change]:
    name = before.name
    if before.body is None and now.body is not None:
        code = "required-body-added" if now.body_required else "optional-body-added"
        yield _change(
            code, name, "body", "it takes a body now" + (", and needs it" if now.body_required else "")
        )
        return
    if now.body is None:
        if before.body is not None:
            yield _change("body-removed", name, "body", "it takes no body any more")
        return
    if now.body_required and not before.body_required:
        yield _change("body-became-required", name, "body", "the body is needed now")
    if before.body_required and not now.body_required:
        yield _change("body-became-optional", name, "body", "the body may be left out now")
    for media in before.content.keys() - now.content.keys():
        yield _change("body-media-type-removed", name, f"body {media}", "the media type is no longer taken")
    for media in now.content.keys() - before.content.keys():
        yield _change("body-media-type-added", name, f"body {media}", "the media type is taken too")
    for media in sorted(before.content.keys() & now.content.keys()):
        both = Compared(older, newer, "request", "property")
        for code, inner, words in schema_changes(both, before.content[media], now.content[media]):
            yield _change(code, name, f"body {inner or '/'}", words)


# What is answered.


def _answers(older: OpenApi, newer: OpenApi, before: Operation, now: Operation) -> Iterator[Change]:
    name = before.name
    for status in before.answers.keys() - now.answers.keys():
        code = "success-status-removed" if status.startswith("2") else "error-status-removed"
        yield _change(code, name, f"answer {status}", "the status is not answered any more")
    for status in now.answers.keys() - before.answers.keys():
        code = "success-status-added" if status.startswith("2") else "error-status-added"
        yield _change(code, name, f"answer {status}", "the status is answered too")
    for status in sorted(before.answers.keys() & now.answers.keys()):
        yield from _answer(older, newer, name, before.answers[status], now.answers[status])


def _answer(older: OpenApi, newer: OpenApi, name: str, before: Answer, now: Answer) -> Iterator[Change]:
    place = f"answer {before.status}"
    for media in before.content.keys() - now.content.keys():
        yield _change(
            "answer-media-type-removed", name, f"{place} {media}", "the media type is not sent any more"
        )
    for media in now.content.keys() - before.content.keys():
        yield _change("answer-media-type-added", name, f"{place} {media}", "the media type is sent too")
    for header, part in before.headers.items():
        other = now.headers.get(header)
        was_needed = _is_required(part)
        if other is None:
            code = "required-answer-header-removed" if was_needed else "optional-answer-header-removed"
            yield _change(code, name, f"{place} header {header}", "the header is gone")
        elif was_needed and not _is_required(other):
            words = "the header may be missing now"
            yield _change("answer-header-became-optional", name, f"{place} header {header}", words)
    for header in now.headers.keys() - before.headers.keys():
        yield _change("answer-header-added", name, f"{place} header {header}", "the header is new")
    for media in sorted(before.content.keys() & now.content.keys()):
        both = Compared(older, newer, "answer", "property")
        for code, inner, words in schema_changes(both, before.content[media], now.content[media]):
            yield _change(code, name, f"{place} {inner or '/'}", words)


def _is_required(header: Part) -> bool:
    return header.get("required").value is True


# Who may call.


def _security(name: str, before: Operation, now: Operation) -> Iterator[Change]:
    was = {_named(each): each for each in before.security}
    are = {_named(each): each for each in now.security}
    if not before.security and now.security:
        yield _change("security-added", name, "", "who calls must say who it is now")
        return
    if before.security and not now.security:
        yield _change("security-removed", name, "", "nobody need say any more who calls")
        return
    for schemes in was.keys() - are.keys():
        words = f"{' and '.join(schemes) or 'nothing'} is not enough any more"
        yield _change("security-alternative-removed", name, "", words)
    for schemes in are.keys() - was.keys():
        words = f"{' and '.join(schemes) or 'nothing'} is enough too"
        yield _change("security-alternative-added", name, "", words)
    for schemes in was.keys() & are.keys():
        for scheme in schemes:
            for scope in sorted(set(are[schemes][scheme]) - set(was[schemes][scheme])):
                yield _change("scope-added", name, scheme, f"the scope {scope} is needed too")
            for scope in sorted(set(was[schemes][scheme]) - set(are[schemes][scheme])):
                yield _change("scope-removed", name, scheme, f"the scope {scope} is not needed any more")


def _named(alternative: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    return tuple(sorted(alternative))

"""What was found where a value is not as its contract says: words of the contract, never values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from jsonschema_rs import ValidationError, ValidationErrorKind

from bridge.contracts.documents import escaped
from bridge.contracts.schemas import Validator

Kind = Literal[
    "request",
    "missing-field",
    "new-field",
    "changed-field",
    "new-value",
    "answer-status",
    "answer-type",
    "answer-unreadable",
    "answer-unchecked",
    "missing-header",
    "rejected",
    "gone",
    "scope",
]
MEANINGS: Final[Mapping[Kind, str]] = {
    "request": "what was to be sent is not what the contract describes",
    "missing-field": "the answer lacks a field that the contract says is always there",
    "new-field": "the answer has a field that the contract does not know",
    "changed-field": "a field of the answer has another type, format or bound than the contract says",
    "new-value": "a field of the answer has a value that the contract does not list",
    "answer-status": "a call succeeded with a status that the contract does not have",
    "answer-type": "the answer is of a media type that the contract does not have",
    "answer-unreadable": "the answer says that it is JSON, and is not",
    "answer-unchecked": "the answer is larger than what is looked at",
    "missing-header": "the answer lacks a header that the contract says is always there",
    "rejected": "the API refuses one request after the other for the same field",
    "gone": "the API does not know the operation any more",
    "scope": "the API wants more rights than the bridge has",
}
HARMLESS: Final = frozenset({"new-field", "answer-unchecked"})
"""Kinds that stop nothing: whoever reads an answer by its contract does not see them."""
FINDINGS_MAX_COUNT: Final = 20
NAME_MAX_CHARACTERS: Final = 48
_NAME: Final = re.compile(r"[A-Za-z_$][A-Za-z0-9_$-]{0,47}")
_TOKEN: Final = re.compile(r"[^\W_]+")
_TYPES: Final = {bool: "boolean", int: "integer", float: "number", str: "text", list: "list", dict: "object"}
_BOUNDS: Final = frozenset(
    "maximum minimum exclusiveMaximum exclusiveMinimum maxLength minLength maxItems minItems maxProperties "
    "minProperties multipleOf".split()
)


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One place that is not as the contract says. ``pointer`` is a JSON pointer in which a number of a list
    and a name that the contract does not have stand as ``*``."""

    kind: Kind
    pointer: str
    rule: str

    def __str__(self) -> str:
        return " ".join(filter(None, (self.pointer, self.rule)))

    def in_words(self) -> str:
        """The same as a sentence.

        >>> Finding("missing-field", "/id", "required").in_words()
        'the answer lacks a field that the contract says is always there: /id (required)'
        """
        where = f": {self.pointer}" if self.pointer else ""
        return f"{MEANINGS[self.kind]}{where}{f' ({self.rule})' if self.rule else ''}"


def found_by(
    validator: Validator, value: Any, names: frozenset[str], kind: Kind | None = None
) -> list[Finding]:
    """Where a value is not as a schema says. ``names`` are those that may be shown; ``kind`` is that of all
    findings, left out, the rule's own."""
    found: dict[Finding, None] = {}
    for error in validator.iter_errors(value):
        for each in _of(error, value, names):
            found[each if kind is None else Finding(kind, each.pointer, each.rule)] = None
        if len(found) >= FINDINGS_MAX_COUNT:
            break
    return list(found)[:FINDINGS_MAX_COUNT]


def _of(error: ValidationError, value: Any, names: frozenset[str]) -> Iterator[Finding]:
    word, kind = error.kind.name, error.kind
    pointer = shown_pointer(error.instance_path, names)
    match kind:
        case ValidationErrorKind.Required(property=name):
            yield Finding("missing-field", f"{pointer}/{escaped(name)}", "required")
        case ValidationErrorKind.AdditionalProperties() | ValidationErrorKind.UnevaluatedProperties():
            for name in kind.unexpected:
                yield Finding("new-field", f"{pointer}/{shown_name(name, names)}", "not in the contract")
        case ValidationErrorKind.Enum() | ValidationErrorKind.Constant():
            yield Finding("new-value", pointer, word)
        case ValidationErrorKind.Type():
            rule = f"{_type_of(value, error.instance_path)}, not {_wanted(kind)}"
            yield Finding("changed-field", pointer, rule)
        case ValidationErrorKind.Format(format=name):
            yield Finding("changed-field", pointer, f"format {name}")
        case ValidationErrorKind.AnyOf(context=context) | ValidationErrorKind.OneOfNotValid(context=context):
            yield from _of_branches(context, error, value, names) or [Finding("changed-field", pointer, word)]
        case _ if word in _BOUNDS:
            yield Finding("changed-field", pointer, f"{word} {getattr(kind, 'limit', '')}".strip())
        case _:
            yield Finding("changed-field", pointer, word)


def _of_branches(
    branches: list[list[ValidationError]], error: ValidationError, value: Any, names: frozenset[str]
) -> list[Finding]:
    """Of several schemas of which none fits, what is wrong by the one that comes closest."""
    here = len(error.instance_path)

    def closeness(branch: list[ValidationError]) -> tuple[bool, int]:
        of_another_type = any(len(each.instance_path) == here and each.kind.name == "type" for each in branch)
        return not of_another_type, -len(branch)

    close = [each for each in branches if each and closeness(each)[0]]
    if not close:
        return []
    return [finding for each in max(close, key=closeness) for finding in _of(each, value, names)]


def _wanted(kind: Any) -> str:
    types = getattr(kind, "types", None)
    words = {"string": "text", "array": "list"}
    return " or ".join(words.get(each, each) for each in types) if types else "what the contract says"


def _type_of(value: Any, path: list[str | int]) -> str:
    for each in path:
        try:
            value = value[each]
        except (KeyError, IndexError, TypeError):
            return "something"
    return "null" if value is None else _TYPES.get(type(value), "something")


def shown_pointer(path: list[str | int], names: frozenset[str]) -> str:
    """A place as a JSON pointer, with what could be data as ``*``.

    >>> shown_pointer(["names", 3, "family", "Rivera"], frozenset({"names", "family"}))
    '/names/*/family/*'
    """
    return "".join(f"/{escaped(each) if isinstance(each, str) and each in names else '*'}" for each in path)


def shown_name(name: str, names: frozenset[str], sent: frozenset[str] = frozenset()) -> str:
    """A name that the contract does not have, where it can only be one; ``sent`` are words of what was sent,
    which an API may say back.

    >>> shown_name("middleName", frozenset()), shown_name("Rivera", frozenset(), frozenset({"rivera"}))
    ('middleName', '*')
    """
    if name in names:
        return escaped(name)
    if not _NAME.fullmatch(name) or not sent.isdisjoint(words_of(name)) or any(map(str.isdigit, name)):
        return "*"
    return escaped(name)


def words_of(text: str) -> frozenset[str]:
    """The words of a text, in lower case.

    >>> sorted(words_of("Rivera, Ana-Maria"))
    ['ana', 'maria', 'rivera']
    """
    return frozenset(each.lower() for each in _TOKEN.findall(text))


def words_sent(value: Any) -> frozenset[str]:
    """All words of the texts of a value."""
    found: set[str] = set()
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            found |= words_of(each)
        elif isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
    return frozenset(found)

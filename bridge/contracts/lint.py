"""What makes an OpenAPI document a good contract: rules with reasons, and where they are broken. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal

from bridge.contracts import lint_places as where
from bridge.contracts.lint_places import Where
from bridge.contracts.openapi import OpenApi

Severity = Literal["error", "warning"]


@dataclass(frozen=True, slots=True)
class Rule:
    """One rule: what it says, why, and where a document breaks it."""

    code: str
    severity: Severity
    text: str
    why: str
    broken: Callable[[OpenApi], Where]


@dataclass(frozen=True, slots=True, order=True)
class Broken:
    """One place where a document breaks a rule."""

    code: str
    operation: str
    place: str

    @property
    def rule(self) -> Rule:
        """The rule."""
        return RULES[self.code]

    def __str__(self) -> str:
        where = " ".join(filter(None, (self.operation, self.place)))
        return f"{where}: {self.rule.text}" if where else self.rule.text


def lint(document: OpenApi) -> list[Broken]:
    """Every place where a document breaks a rule, errors first."""
    found = [
        Broken(rule.code, operation, place)
        for rule in RULES.values()
        for operation, place in rule.broken(document)
    ]
    return sorted(dict.fromkeys(found), key=lambda each: (each.rule.severity != "error", each))


_ALL: Final = (
    Rule(
        "operation-id",
        "warning",
        "the operation has no operationId",
        "People and tools name it by that.",
        where.no_id,
    ),
    Rule(
        "operation-id-unique",
        "error",
        "another operation has this operationId",
        "One name, one call.",
        where.id_twice,
    ),
    Rule(
        "path-unique",
        "error",
        "another path is the same but for its names",
        "Which is meant, nobody can say.",
        where.same_path,
    ),
    Rule(
        "path-words",
        "warning",
        "a segment is not of small letters with hyphens",
        "Paths are told on the phone.",
        where.path_words,
    ),
    Rule(
        "path-slash",
        "warning",
        "the path ends with a slash",
        "With and without it are two paths.",
        where.trailing_slash,
    ),
    Rule(
        "path-parameters",
        "error",
        "path and parameters do not name the same",
        "The path cannot be filled.",
        where.path_parameters,
    ),
    Rule(
        "version",
        "warning",
        "the document has no version",
        "Nobody can say which one is meant.",
        where.no_version,
    ),
    Rule(
        "server-https",
        "error",
        "a server is called in the clear",
        "Whoever is between reads along.",
        where.http_server,
    ),
    Rule(
        "server",
        "warning",
        "no server is named",
        "Where the API is, must be told elsewhere.",
        where.no_server,
    ),
    Rule("security", "error", "nobody need say who calls", "Whoever finds it may use it.", where.no_security),
    Rule(
        "security-scheme",
        "error",
        "a security scheme is not described",
        "Nobody knows what to send.",
        where.unknown_scheme,
    ),
    Rule(
        "security-query",
        "error",
        "a key stands in the query",
        "Queries are logged on the way.",
        where.key_in_query,
    ),
    Rule(
        "security-basic", "warning", "a password goes with every call", "A token ends by itself.", where.basic
    ),
    Rule(
        "success",
        "error",
        "no answer says success",
        "Nobody can say whether a call took effect.",
        where.no_success,
    ),
    Rule("errors", "warning", "no answer says failure", "Who calls cannot tell what to do.", where.no_errors),
    Rule(
        "problem-json",
        "warning",
        "failures are no problem documents (RFC 9457)",
        "Programs read them alike.",
        where.no_problem,
    ),
    Rule(
        "refusal",
        "warning",
        "a body may be sent, and no answer refuses it",
        "What is wrong with it stays unsaid.",
        where.no_refusal,
    ),
    Rule(
        "idempotency",
        "warning",
        "a POST takes no Idempotency-Key",
        "A call whose answer is lost cannot be repeated.",
        where.no_idempotency,
    ),
    Rule(
        "pagination",
        "warning",
        "a list is answered whole",
        "It grows until it cannot be answered.",
        where.no_pages,
    ),
    Rule(
        "list-bounded",
        "warning",
        "a list that is sent has no maxItems",
        "One call may be as large as it likes.",
        where.unbounded_list,
    ),
    Rule(
        "text-bounded",
        "warning",
        "a text that is sent has no bound",
        "It ends where the database's column does.",
        where.unbounded_text,
    ),
    Rule("schema", "warning", "JSON without a schema", "What it holds, nobody can check.", where.no_schema),
    Rule("typed", "warning", "a field has no type", "Anything may stand there.", where.untyped),
    Rule(
        "date-format",
        "warning",
        "a time has no format",
        "03/04 is a day of March or of April.",
        where.date_format,
    ),
    Rule(
        "money",
        "warning",
        "an amount is a number",
        "Floats lose cents: text or minor units do not.",
        where.money,
    ),
    Rule(
        "sunset",
        "warning",
        "it is deprecated, and no day says until when (x-sunset)",
        "Nobody can plan.",
        where.deprecated,
    ),
    Rule(
        "get-body",
        "error",
        "a GET or HEAD has a body",
        "It has no meaning (RFC 9110 §9.3.1).",
        where.get_body,
    ),
    Rule(
        "delete-body",
        "warning",
        "a DELETE has a body",
        "It has no meaning (RFC 9110 §9.3.5).",
        where.delete_body,
    ),
    Rule(
        "person-in-url",
        "warning",
        "what is known of a person stands in the URL",
        "URLs are logged on the way.",
        where.phi_in_path,
    ),
    Rule(
        "reference",
        "error",
        "a reference leads to nothing",
        "What it stood for, nobody knows.",
        where.leads_nowhere,
    ),
    Rule(
        "schema-usable",
        "error",
        "a schema cannot be used",
        "`bridge check` refuses it (C200): nothing can be held against it.",
        where.unusable,
    ),
)
RULES: Final[Mapping[str, Rule]] = MappingProxyType({rule.code: rule for rule in _ALL})
"""Every rule by its code."""

"""Each rule about a document, with a case for it and one against it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import orjson
import pytest
from command_line import bridge

from bridge.contracts.documents import Documents
from bridge.contracts.lint import RULES, lint
from bridge.contracts.openapi import read_openapi

GOOD: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "EHR", "version": "1.0.0"},
    "servers": [{"url": "https://ehr.example"}],
    "security": [{"token": []}],
    "paths": {
        "/patient-notes/{id}": {
            "post": {
                "operationId": "addNote",
                "parameters": [
                    {
                        "name": "id",
                        "in": "path",
                        "required": True,
                        "schema": {"type": "string", "maxLength": 9},
                    },
                    {"name": "Idempotency-Key", "in": "header", "schema": {"type": "string"}},
                ],
                "requestBody": {
                    "content": {
                        "application/json": {
                            "schema": {
                                "type": "object",
                                "properties": {
                                    "text": {"type": "string", "maxLength": 500},
                                    "tags": {"type": "array", "maxItems": 9},
                                    "written_at": {"type": "string", "format": "date-time"},
                                    "amount": {"type": "string", "pattern": "^[0-9.]+$"},
                                },
                            }
                        }
                    }
                },
                "responses": {
                    "201": {"content": {"application/json": {"schema": {"type": "object"}}}},
                    "422": {"content": {"application/problem+json": {"schema": {"type": "object"}}}},
                },
            },
            "get": {
                "operationId": "listNotes",
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "cursor", "in": "query", "schema": {"type": "string"}},
                ],
                "responses": {
                    "200": {"content": {"application/json": {"schema": {"type": "array"}}}},
                    "default": {},
                },
            },
            "delete": {
                "operationId": "endNotes",
                "deprecated": True,
                "x-sunset": "2030-01-01",
                "parameters": [{"name": "id", "in": "path", "required": True, "schema": {"type": "string"}}],
                "responses": {"204": {}, "default": {}},
            },
        }
    },
    "components": {"securitySchemes": {"token": {"type": "http", "scheme": "bearer"}}},
}
NOTES = "/paths/~1patient-notes~1{id}"
POST, GET, DELETE = f"{NOTES}/post", f"{NOTES}/get", f"{NOTES}/delete"
FIELDS = f"{POST}/requestBody/content/application~1json/schema/properties"
GONE = object()

AGAINST: dict[str, dict[str, Any]] = {
    "operation-id": {f"{POST}/operationId": GONE},
    "operation-id-unique": {f"{GET}/operationId": "addNote"},
    "path-unique": {"/paths/~1patient-notes~1{key}": {}},
    "path-words": {"/paths/~1PatientNotes": {}},
    "path-slash": {"/paths/~1notes~1": {}},
    "path-parameters": {f"{GET}/parameters/0/name": "key"},
    "version": {"/info/version": GONE},
    "server-https": {"/servers/0/url": "http://ehr.example"},
    "server": {"/servers": []},
    "security": {"/security": []},
    "security-scheme": {"/components/securitySchemes": {}},
    "security-query": {"/components/securitySchemes/token": {"type": "apiKey", "in": "query"}},
    "security-basic": {"/components/securitySchemes/token": {"type": "http", "scheme": "Basic"}},
    "success": {f"{DELETE}/responses": {"default": {}}},
    "errors": {f"{DELETE}/responses": {"204": {}}},
    "problem-json": {f"{POST}/responses/422/content": {"application/json": {"schema": {"type": "object"}}}},
    "refusal": {f"{POST}/responses": {"201": {}, "404": {}}},
    "idempotency": {f"{POST}/parameters/1/name": "X-Key"},
    "pagination": {f"{GET}/parameters/1/name": "q"},
    "list-bounded": {f"{FIELDS}/tags/maxItems": GONE},
    "text-bounded": {f"{FIELDS}/text/maxLength": GONE},
    "schema": {f"{POST}/responses/201/content/application~1json": {}},
    "typed": {f"{FIELDS}/text": {"maxLength": 9}},
    "date-format": {f"{FIELDS}/written_at": {"type": "string", "maxLength": 30}},
    "money": {f"{FIELDS}/amount": {"type": "number"}},
    "sunset": {f"{DELETE}/x-sunset": GONE},
    "get-body": {f"{GET}/requestBody": {"content": {}}},
    "delete-body": {f"{DELETE}/requestBody": {"content": {}}},
    "person-in-url": {
        f"{GET}/parameters/1/name": "birthdate",
        f"{GET}/parameters/2": {"name": "page", "in": "query"},
    },
    "reference": {f"{POST}/responses/201/content/application~1json/schema": {"$ref": "#/nowhere"}},
    "schema-usable": {f"{FIELDS}/text/maxLength": "x"},
}
"""What breaks each rule."""


def broken_by(edits: dict[str, Any]) -> set[str]:
    made = copy.deepcopy(GOOD)
    for pointer, value in edits.items():
        *way, last = [each.replace("~1", "/") for each in pointer.split("/")[1:]]
        at: Any = made
        for each in way:
            at = at[int(each)] if isinstance(at, list) else at[each]
        if isinstance(at, list):
            at[int(last) :] = [value]
        elif value is GONE:
            del at[last]
        elif pointer.startswith("/paths/") and value == {}:
            at[last] = copy.deepcopy(GOOD["paths"]["/patient-notes/{id}"])
        else:
            at[last] = value
    return {each.code for each in lint(read_openapi(Documents("a.json", {"a.json": made})))}


def test_a_good_document_breaks_no_rule() -> None:
    assert broken_by({}) == set()


def test_each_rule_has_its_case() -> None:
    assert AGAINST.keys() == RULES.keys()


@pytest.mark.parametrize("code", list(RULES))
def test_each_rule_is_broken_by_what_it_is_about(code: str) -> None:
    assert code in broken_by(AGAINST[code])


@pytest.mark.parametrize("schema", [{"type": "strnig"}, {"$ref": 5}, {"properties": {"a": {"$ref": "#/no"}}}])
def test_a_schema_that_check_refuses_is_told(schema: dict[str, Any]) -> None:
    place = f"{POST}/responses/201/content/application~1json/schema"
    assert "schema-usable" in broken_by({place: schema})


@pytest.mark.parametrize("levels", [300, 1200])
def test_a_document_that_is_nested_too_deep_is_said_to_be_so(levels: int, tmp_path: Path) -> None:
    deep = tmp_path / "deep.json"
    deep.write_text('{"a":' * levels + "1" + "}" * levels)
    said = bridge("apis", "lint", str(deep))
    assert said.status == 2
    assert "nested more than 100 levels deep" in said.err


def test_the_command_tells_rules_and_reasons_and_exits_with_errors(tmp_path: Path) -> None:
    good, bad = tmp_path / "good.json", tmp_path / "bad.json"
    good.write_bytes(orjson.dumps(GOOD))
    bad.write_bytes(orjson.dumps({**GOOD, "security": []}))
    assert bridge("apis", "lint", str(good)).out == "no rule is broken\n"
    said = bridge("apis", "lint", str(bad))
    assert said.status == 1
    assert "security" in said.out
    listed = bridge("apis", "lint", "--rules")
    assert listed.status == 0
    assert all(code in listed.out for code in RULES)

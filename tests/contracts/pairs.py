"""Pairs of OpenAPI documents, as data: what the newer one has otherwise, and what is to be said of it.

Both begin as `BASE`. A pair names what is set in the older and in the newer document, by JSON pointer;
``GONE`` takes something away. ``expected`` are codes with their places; a pair names all that changes.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

GONE = object()

BASE: dict[str, Any] = {
    "openapi": "3.1.0",
    "info": {"title": "EHR", "version": "1.0.0"},
    "servers": [{"url": "https://ehr.example"}],
    "security": [{"token": ["patients.write"]}],
    "paths": {
        "/patients/{id}": {
            "put": {
                "operationId": "putPatient",
                "security": [{"token": ["patients.write"]}],
                "parameters": [
                    {"name": "id", "in": "path", "required": True, "schema": {"type": "string"}},
                    {"name": "site", "in": "query", "schema": {"type": "string", "enum": ["north", "south"]}},
                    {"name": "X-Unit", "in": "header", "schema": {"type": "integer", "maximum": 9}},
                ],
                "requestBody": {
                    "content": {"application/json": {"schema": {"$ref": "#/components/schemas/P"}}}
                },
                "responses": {
                    "200": {
                        "headers": {"ETag": {"required": True}},
                        "content": {"application/json": {"schema": {"$ref": "#/components/schemas/A"}}},
                    },
                    "422": {"content": {"application/problem+json": {"schema": {"type": "object"}}}},
                },
            },
            "delete": {"responses": {"204": {}}, "deprecated": True, "x-sunset": "2027-01-01"},
        }
    },
    "components": {
        "securitySchemes": {"token": {"type": "oauth2"}, "key": {"type": "apiKey"}},
        "schemas": {
            "P": {
                "type": "object",
                "required": ["family"],
                "properties": {
                    "family": {"type": "string", "maxLength": 50},
                    "sex": {"type": "string", "enum": ["female", "male"]},
                    "weight": {"type": "integer"},
                    "born": {"type": "string", "format": "date"},
                    "mother": {"$ref": "#/components/schemas/P"},
                },
            },
            "A": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string"},
                    "status": {"type": "string", "enum": ["active", "merged"]},
                    "at": {"type": "string", "format": "date-time"},
                    "links": {"type": "array", "items": {"type": "string", "maxLength": 9}},
                },
            },
        },
    },
}

PUT = "/paths/~1patients~1{id}/put"
P, A = "/components/schemas/P", "/components/schemas/A"
IN, OUT = "body", "answer 200"
Edits = dict[str, Any]


class Pair(NamedTuple):
    """Two documents, and what is to be said of them."""

    name: str
    older: Edits
    newer: Edits
    expected: list[tuple[str, str]]


PAIRS = [
    Pair("nothing", {}, {}, []),
    Pair("words only", {}, {f"{PUT}/description": "Puts.", "/info/version": "1.0.1"}, []),
    Pair("a path is gone", {}, {"/paths/~1patients~1{id}/put": GONE}, [("operation-removed", "")]),
    Pair(
        "all of a path is gone",
        {},
        {"/paths/~1patients~1{id}": GONE},
        [("path-removed", ""), ("operation-removed-after-deprecation", "")],
    ),
    Pair(
        "an operation is new",
        {},
        {"/paths/~1patients~1{id}/get": {"responses": {"200": {}}}},
        [("operation-added", "")],
    ),
    Pair(
        "a parameter of the path has another name",
        {},
        {
            "/paths": {
                "/patients/{key}": {
                    **BASE["paths"]["/patients/{id}"],
                    "put": {
                        **BASE["paths"]["/patients/{id}"]["put"],
                        "parameters": [
                            {**BASE["paths"]["/patients/{id}"]["put"]["parameters"][0], "name": "key"},
                            *BASE["paths"]["/patients/{id}"]["put"]["parameters"][1:],
                        ],
                    },
                }
            }
        },
        [],
    ),
    Pair(
        "an announced end",
        {},
        {f"{PUT}/deprecated": True, f"{PUT}/x-sunset": "2028-01-01"},
        [("operation-deprecated", ""), ("sunset-set", "")],
    ),
    Pair(
        "an end that comes earlier",
        {},
        {"/paths/~1patients~1{id}/delete/x-sunset": "2026-06-01"},
        [("sunset-earlier", "")],
    ),
    Pair("another operationId", {}, {f"{PUT}/operationId": "savePatient"}, [("operation-id-changed", "")]),
    Pair(
        "a server is gone",
        {},
        {"/servers/0/url": "https://new.example"},
        [("server-removed", "https://ehr.example")],
    ),
    Pair("a parameter is gone", {}, {f"{PUT}/parameters/1": GONE}, [("parameter-removed", "query site")]),
    Pair(
        "a parameter is new and needed",
        {},
        {f"{PUT}/parameters/3": {"name": "mode", "in": "query", "required": True, "schema": {}}},
        [("required-parameter-added", "query mode")],
    ),
    Pair(
        "a parameter is new",
        {},
        {f"{PUT}/parameters/3": {"name": "mode", "in": "query", "schema": {}}},
        [("optional-parameter-added", "query mode")],
    ),
    Pair(
        "a parameter is needed",
        {},
        {f"{PUT}/parameters/1/required": True},
        [("parameter-became-required", "query site")],
    ),
    Pair(
        "a parameter need not be sent",
        {f"{PUT}/parameters/1/required": True},
        {},
        [("parameter-became-optional", "query site")],
    ),
    Pair(
        "a parameter has moved", {}, {f"{PUT}/parameters/1/in": "header"}, [("parameter-moved", "query site")]
    ),
    Pair(
        "a parameter of another type",
        {},
        {f"{PUT}/parameters/2/schema/type": "string"},
        [("parameter-type-changed", "header X-Unit")],
    ),
    Pair(
        "a value of a parameter is gone",
        {},
        {f"{PUT}/parameters/1/schema/enum": ["north"]},
        [("parameter-enum-value-removed", "query site")],
    ),
    Pair(
        "a bound of a parameter is tighter",
        {},
        {f"{PUT}/parameters/2/schema/maximum": 5},
        [("parameter-bound-tightened", "header X-Unit")],
    ),
    Pair(
        "a field that is sent is new and needed",
        {},
        {f"{P}/properties/consent": {"type": "boolean"}, f"{P}/required": ["family", "consent"]},
        [("request-required-property-added", f"{IN} /consent")],
    ),
    Pair(
        "a field that is sent is new",
        {},
        {f"{P}/properties/note": {"type": "string"}},
        [("request-optional-property-added", f"{IN} /note")],
    ),
    Pair(
        "a field that is sent is gone",
        {},
        {f"{P}/properties/sex": GONE},
        [("request-property-removed", f"{IN} /sex")],
    ),
    Pair(
        "a field that is sent is refused",
        {f"{P}/additionalProperties": False},
        {f"{P}/properties/sex": GONE, f"{P}/additionalProperties": False},
        [("request-property-removed-from-closed", f"{IN} /sex")],
    ),
    Pair(
        "a field is needed",
        {},
        {f"{P}/required": ["family", "born"]},
        [("request-property-became-required", f"{IN} /born")],
    ),
    Pair(
        "a field need not be sent",
        {},
        {f"{P}/required": []},
        [("request-property-became-optional", f"{IN} /family")],
    ),
    Pair(
        "a field of another type",
        {},
        {f"{P}/properties/weight/type": "string"},
        [("request-property-type-changed", f"{IN} /weight")],
    ),
    Pair(
        "a number of any kind",
        {},
        {f"{P}/properties/weight/type": "number"},
        [("request-property-type-widened", f"{IN} /weight")],
    ),
    Pair(
        "another format",
        {},
        {f"{P}/properties/born/format": "date-time"},
        [("request-property-format-changed", f"{IN} /born")],
    ),
    Pair(
        "a value is not taken any more",
        {},
        {f"{P}/properties/sex/enum": ["female"]},
        [("request-property-enum-value-removed", f"{IN} /sex")],
    ),
    Pair(
        "a value is taken too",
        {},
        {f"{P}/properties/sex/enum": ["female", "male", "other"]},
        [("request-property-enum-value-added", f"{IN} /sex")],
    ),
    Pair(
        "a text may be longer",
        {},
        {f"{P}/properties/family/maxLength": 90},
        [("request-property-bound-loosened", f"{IN} /family")],
    ),
    Pair(
        "a text must be shorter",
        {},
        {f"{P}/properties/family/maxLength": 20},
        [("request-property-bound-tightened", f"{IN} /family")],
    ),
    Pair(
        "a pattern",
        {},
        {f"{P}/properties/family/pattern": "^[A-Z]"},
        [("request-property-pattern-set", f"{IN} /family")],
    ),
    Pair(
        "null is not taken",
        {f"{P}/properties/weight/type": ["integer", "null"]},
        {},
        [("request-property-became-not-nullable", f"{IN} /weight")],
    ),
    Pair(
        "nobody else may stand there",
        {},
        {f"{P}/additionalProperties": False},
        [("request-additional-properties-closed", f"{IN} /")],
    ),
    Pair(
        "only the other side writes it",
        {},
        {f"{P}/properties/sex/readOnly": True},
        [("request-property-became-one-way", f"{IN} /sex")],
    ),
    Pair("a body is needed", {}, {f"{PUT}/requestBody/required": True}, [("body-became-required", "body")]),
    Pair(
        "another media type is taken",
        {},
        {f"{PUT}/requestBody/content": {"application/xml": {}}},
        [
            ("body-media-type-removed", "body application/json"),
            ("body-media-type-added", "body application/xml"),
        ],
    ),
    Pair("no body any more", {}, {f"{PUT}/requestBody": GONE}, [("body-removed", "body")]),
    Pair(
        "what was always answered is gone",
        {},
        {f"{A}/properties/id": GONE, f"{A}/required": []},
        [("answer-required-property-removed", f"{OUT} /id")],
    ),
    Pair(
        "what could be answered is gone",
        {},
        {f"{A}/properties/at": GONE},
        [("answer-optional-property-removed", f"{OUT} /at")],
    ),
    Pair(
        "more is answered",
        {},
        {f"{A}/properties/more": {}},
        [("answer-optional-property-added", f"{OUT} /more")],
    ),
    Pair(
        "what was always answered may be missing",
        {},
        {f"{A}/required": []},
        [("answer-property-became-optional", f"{OUT} /id")],
    ),
    Pair(
        "it is always answered",
        {},
        {f"{A}/required": ["id", "at"]},
        [("answer-property-became-required", f"{OUT} /at")],
    ),
    Pair(
        "a number is answered as text",
        {f"{A}/properties/version": {"type": "integer"}},
        {f"{A}/properties/version": {"type": "string"}},
        [("answer-property-type-changed", f"{OUT} /version")],
    ),
    Pair(
        "a value is answered that was not listed",
        {},
        {f"{A}/properties/status/enum": ["active", "merged", "x"]},
        [("answer-property-enum-value-added", f"{OUT} /status")],
    ),
    Pair(
        "a value is answered no more",
        {},
        {f"{A}/properties/status/enum": ["active"]},
        [("answer-property-enum-value-removed", f"{OUT} /status")],
    ),
    Pair(
        "null is answered",
        {},
        {f"{A}/properties/at/type": ["string", "null"]},
        [("answer-property-became-nullable", f"{OUT} /at")],
    ),
    Pair(
        "a date is answered in another format",
        {},
        {f"{A}/properties/at/format": "date"},
        [("answer-property-format-changed", f"{OUT} /at")],
    ),
    Pair(
        "inside of a list",
        {},
        {f"{A}/properties/links/items/maxLength": 99},
        [("answer-property-bound-loosened", f"{OUT} /links/*")],
    ),
    Pair(
        "pages instead of a list",
        {f"{PUT}/responses/200/content/application~1json/schema": {"type": "array"}},
        {f"{PUT}/responses/200/content/application~1json/schema": {"type": "object"}},
        [("answer-property-type-changed", f"{OUT} /")],
    ),
    Pair(
        "an alternative is answered",
        {f"{A}/properties/who": {"oneOf": [{"type": "string"}]}},
        {f"{A}/properties/who": {"oneOf": [{"type": "string"}, {"type": "object"}]}},
        [("answer-property-alternative-added", f"{OUT} /who")],
    ),
    Pair(
        "success looks different",
        {},
        {f"{PUT}/responses/201": {}, f"{PUT}/responses/200": GONE},
        [("success-status-added", "answer 201"), ("success-status-removed", "answer 200")],
    ),
    Pair("another failure", {}, {f"{PUT}/responses/409": {}}, [("error-status-added", "answer 409")]),
    Pair(
        "a header is gone",
        {},
        {f"{PUT}/responses/200/headers": GONE},
        [("required-answer-header-removed", "answer 200 header etag")],
    ),
    Pair(
        "a header may be missing",
        {},
        {f"{PUT}/responses/200/headers/ETag/required": False},
        [("answer-header-became-optional", "answer 200 header etag")],
    ),
    Pair(
        "another scope is needed",
        {},
        {f"{PUT}/security": [{"token": ["patients.write", "patients.admin"]}]},
        [("scope-added", "token")],
    ),
    Pair("a scope is not needed", {}, {f"{PUT}/security": [{"token": []}]}, [("scope-removed", "token")]),
    Pair("nobody need say who calls", {}, {f"{PUT}/security": []}, [("security-removed", "")]),
    Pair("who calls must say who it is", {f"{PUT}/security": []}, {}, [("security-added", "")]),
    Pair(
        "a key is enough too",
        {},
        {f"{PUT}/security": [{"token": ["patients.write"]}, {"key": []}]},
        [("security-alternative-added", "")],
    ),
    Pair(
        "a way to say it is gone",
        {},
        {"/components/securitySchemes/key": GONE},
        [("security-scheme-removed", "key")],
    ),
]


def with_edits(edits: Edits) -> dict[str, Any]:
    """`BASE` with these places set."""
    made = copy.deepcopy(BASE)
    for pointer, value in edits.items():
        *way, last = [each.replace("~1", "/").replace("~0", "~") for each in pointer.split("/")[1:]]
        at: Any = made
        for each in way:
            at = at[int(each)] if isinstance(at, list) else at[each]
        if isinstance(at, list):
            place = int(last)
            at[place : place + 1] = [] if value is GONE else [value]
        elif value is GONE:
            del at[last]
        else:
            at[last] = copy.deepcopy(value)
    return made

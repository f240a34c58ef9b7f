"""Small contracts, and what is compiled from them."""

from __future__ import annotations

from typing import Any

import orjson

from bridge.contracts.contract import Called, Checked, Contract, Sent, contract_of
from bridge.contracts.documents import Documents

PATIENT: dict[str, Any] = {
    "type": "object",
    "required": ["key", "family"],
    "properties": {
        "key": {"type": "string", "maxLength": 10},
        "family": {"type": "string"},
        "birth_date": {"type": "string", "format": "date"},
        "sex": {"type": "string", "enum": ["female", "male"]},
        "weight": {"type": "number", "minimum": 0},
        "address": {"$ref": "#/components/schemas/Address"},
        "contacts": {"type": "array", "maxItems": 2, "items": {"$ref": "#/components/schemas/Contact"}},
        "note": {"type": "string", "nullable": True},
        "created": {"type": "string", "format": "date-time", "readOnly": True},
    },
}
SCHEMAS: dict[str, Any] = {
    "Patient": PATIENT,
    "Address": {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "line1": {"type": "string"},
            "postal_code": {"type": "string", "pattern": "^[0-9]{5}$"},
        },
    },
    "Contact": {"type": "object", "required": ["name"], "properties": {"name": {"type": "string"}}},
    "Answer": {
        "type": "object",
        "required": ["id", "status"],
        "properties": {
            "id": {"type": "string"},
            "status": {"type": "string", "enum": ["active", "merged"]},
            "at": {"type": "string", "format": "date-time"},
            "version": {"type": "integer"},
            "links": {"type": "object", "additionalProperties": {"type": "string"}},
            "person": {"$ref": "#/components/schemas/Contact"},
            "items": {"type": "array", "items": {"$ref": "#/components/schemas/Contact"}},
        },
    },
}


def document(
    schemas: dict[str, Any] | None = None, *, version: str = "3.0.3", **operation: Any
) -> dict[str, Any]:
    """An OpenAPI document with one operation, PUT /patients/{id}."""
    put = {
        "parameters": [
            {"name": "id", "in": "path", "required": True, "schema": {"type": "string", "maxLength": 8}},
            {"name": "site", "in": "query", "required": True, "schema": {"type": "integer"}},
            {"name": "X-Unit", "in": "header", "schema": {"enum": ["a", "b"]}},
        ],
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Patient"}}},
        },
        "responses": {
            "200": {
                "description": "done",
                "headers": {"ETag": {"required": True, "schema": {"type": "string"}}},
                "content": {"application/json": {"schema": {"$ref": "#/components/schemas/Answer"}}},
            },
            "204": {"description": "done, and nothing to say"},
        },
    } | operation
    return {
        "openapi": version,
        "info": {"title": "EHR", "version": "1.0.0"},
        "servers": [{"url": "https://ehr.example/api/v2"}],
        "paths": {"/patients/{id}": {"put": put}},
        "components": {"schemas": SCHEMAS | (schemas or {})},
    }


PUT = Called("putPatient", "PUT", "/patients/{key}", "/api/v2")


def contract(value: dict[str, Any], called: Called = PUT) -> Contract:
    """The contract, which describes what is called."""
    made, missing = contract_of(Documents("ehr.yaml", {"ehr.yaml": value}), [called])
    assert missing == []
    return made


def operation(value: dict[str, Any]) -> Checked:
    """Its one operation."""
    return contract(value).operations["putPatient"]


def sent(body: Any = None, path: str = "/patients/A1", params: str = "site=3", **headers: str) -> Sent:
    """A request."""
    return Sent(path, params, headers, None if body is None else orjson.dumps(body))

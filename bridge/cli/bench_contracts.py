"""What a contract costs: compiling it once, and each request and answer that is held against it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, Final

import orjson

from bridge.contracts.contract import Called, Contract, Sent, contract_of
from bridge.contracts.documents import Documents

TEXT: Final = {"type": "string", "maxLength": 200}
PATIENT: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["family", "identifiers"],
    "additionalProperties": False,
    "properties": {
        "identifiers": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["value"],
                "properties": {"value": TEXT, "system": TEXT, "type": {"enum": ["MR", "PI", "AN"]}},
            },
        },
        "family": TEXT,
        "given": TEXT,
        "birth_date": {"type": "string", "format": "date"},
        "sex": {"enum": ["female", "male", "other", "unknown"]},
        "line1": TEXT,
        "city": TEXT,
        "state": {"type": "string", "pattern": "^[A-Z]{2}$"},
        "postal_code": TEXT,
    },
}
ANSWER: Final[dict[str, Any]] = {
    "type": "object",
    "required": ["id", "status"],
    "properties": {
        "id": TEXT,
        "status": {"enum": ["active", "merged"]},
        "at": {"type": "string", "format": "date-time"},
        "version": {"type": "integer"},
    },
}
SAID: Final = {"id": "P1", "status": "active", "at": "2026-05-06T07:08:09Z", "version": 7}
Cost = Callable[[Callable[[], object]], float]


def _document() -> dict[str, Any]:
    def content(name: str) -> dict[str, Any]:
        return {"content": {"application/json": {"schema": {"$ref": f"#/components/schemas/{name}"}}}}

    put = {
        "parameters": [{"name": "id", "in": "path", "required": True, "schema": TEXT}],
        "requestBody": {"required": True, **content("Patient")},
        "responses": {"200": content("Answer")},
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "EHR", "version": "1"},
        "paths": {"/patients/{id}": {"put": put}},
        "components": {"schemas": {"Patient": PATIENT, "Answer": ANSWER}},
    }


def _compiled() -> Contract:
    documents = Documents("ehr.json", {"ehr.json": _document()})
    made, _ = contract_of(documents, [Called("putPatient", "PUT", "/patients/{key}")])
    return made


def contracts_cost(cpu_us: Cost, fields: dict[str, Any]) -> dict[str, float]:
    """Figures by name: compiling once, and each call. ``fields`` are those of the record that is sent."""
    began_s = time.process_time()
    checked = _compiled().operations["putPatient"]
    compile_us = (time.process_time() - began_s) * 1e6
    body = orjson.dumps(fields)
    sent = Sent("/patients/100234%5ENORTH", "", {}, body)
    answer, headers = orjson.dumps(SAID), {"content-type": "application/json"}
    assert checked.request(sent) == []
    assert checked.answer(200, "application/json", headers, answer, body) == []
    return {
        "cpu_us_contract_compile": compile_us,
        "cpu_us_policy_contract": cpu_us(lambda: checked.request(sent)),
        "cpu_us_policy_drift": cpu_us(lambda: checked.answer(200, "application/json", headers, answer, body)),
    }

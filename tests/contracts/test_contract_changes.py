"""What two documents differ in, pair by pair; what breaks and what does not."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from command_line import bridge
from pairs import BASE, PAIRS, Pair, with_edits

from bridge.contracts.change_codes import CHANGES
from bridge.contracts.changes import changes
from bridge.contracts.documents import ContractRefused, Documents
from bridge.contracts.openapi import OpenApi, read_openapi

PAIRS_MIN = 40


def read(value: object) -> OpenApi:
    return read_openapi(Documents("a.json", {"a.json": value}))


@pytest.mark.parametrize("pair", PAIRS, ids=[each.name for each in PAIRS])
def test_each_pair_is_told_by_what_changed_and_by_nothing_else(pair: Pair) -> None:
    found = changes(read(with_edits(pair.older)), read(with_edits(pair.newer)))
    assert sorted((each.code, each.place) for each in found) == sorted(pair.expected)
    assert all(each.words and str(each) for each in found)


def test_there_are_pairs_enough_and_both_kinds_are_among_them() -> None:
    told = {code for pair in PAIRS for code, _ in pair.expected}
    kinds = {CHANGES[code].severity for code in told}
    assert len(PAIRS) >= PAIRS_MIN
    assert kinds == {"breaking", "compatible"}


@pytest.mark.parametrize("pair", PAIRS, ids=[each.name for each in PAIRS])
def test_a_document_has_not_changed_from_itself(pair: Pair) -> None:
    for edits in (pair.older, pair.newer):
        assert changes(read(with_edits(edits)), read(with_edits(edits))) == []


MIRRORED = [
    ("request-property-enum-value-added", "request-property-enum-value-removed"),
    ("answer-property-enum-value-removed", "answer-property-enum-value-added"),
    ("request-property-bound-loosened", "request-property-bound-tightened"),
    ("answer-property-became-required", "answer-property-became-optional"),
    ("scope-removed", "scope-added"),
]


@pytest.mark.parametrize(("compatible", "breaking"), MIRRORED)
def test_what_is_compatible_one_way_breaks_the_other_way(compatible: str, breaking: str) -> None:
    (pair,) = [each for each in PAIRS if [code for code, _ in each.expected] == [compatible]][:1]
    back = changes(read(with_edits(pair.newer)), read(with_edits(pair.older)))
    assert [each.code for each in back] == [breaking]
    assert (CHANGES[compatible].severity, CHANGES[breaking].severity) == ("compatible", "breaking")


def test_the_command_says_what_breaks_and_exits_with_it(tmp_path: Path) -> None:
    older, newer = tmp_path / "1.json", tmp_path / "2.json"
    older.write_bytes(orjson.dumps(BASE))
    pair = next(each for each in PAIRS if each.name == "a value is taken too")
    newer.write_bytes(orjson.dumps(with_edits(pair.newer)))
    said = bridge("apis", "diff", str(older), str(newer))
    assert said.status == 0, said.said
    assert "request-property-enum-value-added" in said.out
    back = bridge("apis", "diff", str(newer), str(older), "--format", "json")
    assert back.status == 1
    (change,) = orjson.loads(back.out)
    assert (change["code"], change["severity"]) == ("request-property-enum-value-removed", "breaking")
    assert bridge("apis", "diff", str(older), str(older)).out == "nothing that counts has changed\n"
    (tmp_path / "3.json").write_text("{}")
    refused = bridge("apis", "diff", str(older), str(tmp_path / "3.json"))
    assert refused.status == 2
    assert "no OpenAPI document" in refused.err


def _ladder(rungs: int, leaf: str, word: str) -> OpenApi:
    """Schemas each of which names the next one twice, so that ways through them double at each."""
    schemas: dict[str, object] = {f"S{rungs}": {"type": "object", "properties": {"leaf": {"type": leaf}}}}
    for rung in range(rungs):
        twice = [{"$ref": f"#/components/schemas/S{rung + 1}"}] * 2
        schemas[f"S{rung}"] = (
            {"allOf": twice} if word == "allOf" else {"properties": dict(zip("ab", twice, strict=True))}
        )
    body = {"application/json": {"schema": {"$ref": "#/components/schemas/S0"}}}
    operation = {"requestBody": {"content": body}, "responses": {"204": {"description": "done"}}}
    return read(
        {
            "openapi": "3.1.0",
            "info": {"title": "ladder", "version": "1"},
            "paths": {"/x": {"post": operation}},
            "components": {"schemas": schemas},
        }
    )


@pytest.mark.parametrize("reference", ["#/components/schemas/S", "https://x.example/s.json", "#/no"])
def test_a_new_operation_whose_references_lead_nowhere_is_refused(reference: str) -> None:
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/S"}}}
    operation = {"responses": {"200": {"description": "done", "content": content}}}
    newer = with_edits({})
    newer["paths"]["/new"] = {"get": operation}
    newer["components"] = {"schemas": {**newer["components"]["schemas"], "S": {"$ref": reference}}}
    with pytest.raises(ContractRefused):
        changes(read(with_edits({})), read(newer))


@pytest.mark.parametrize("word", ["properties", "allOf"])
def test_a_schema_that_is_used_in_many_places_is_compared_once(word: str) -> None:
    (change,) = changes(_ladder(35, "string", word), _ladder(35, "integer", word))
    assert change.code == "request-property-type-changed"

"""Contracts of a site's files: what cannot be used, and what an operation cannot do, each at its place."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from config_site import API, CATALOG, FILES, write_site

from bridge.config.codes import CODES
from bridge.config.load import load
from bridge.errors import ConfigurationRefused
from bridge.located import Problem

A = "channels/apis/ehr.patients.yaml"
DOCUMENT = "channels/contracts/ehr.yaml"
Files = dict[str, str | bytes]

EHR = """\
openapi: 3.0.3
info: {title: EHR, version: 2.1.0}
servers: [{url: "https://ehr.example"}]
security: [{token: [patients.write]}]
paths:
  /patients/{patientId}:
    put:
      operationId: putPatient
      parameters:
        - {name: patientId, in: path, required: true, schema: {type: string, maxLength: 64}}
      requestBody:
        required: true
        content:
          application/json:
            schema: {$ref: "#/components/schemas/Patient"}
      responses:
        "200": {description: done}
components:
  securitySchemes:
    token: {type: oauth2, flows: {}}
  schemas:
    Patient:
      type: object
      required: [key]
      additionalProperties: false
      properties:
        key: {type: string}
        family: {type: string, nullable: true}
"""
WITH = API + "contract: {openapi: contracts/ehr.yaml}\n"


def site(document: str | bytes = EHR, api: str = WITH, **more: str) -> Files:
    return {**FILES, A: api, DOCUMENT: document, **more}


def problems_of(folder: Path, files: Files) -> list[Problem]:
    try:
        return list(load(write_site(folder, files), CATALOG).warnings)
    except ConfigurationRefused as refused:
        return list(refused.problems)


def but(old: str, new: str) -> str:
    assert EHR.count(old) == 1, old
    return EHR.replace(old, new)


def api(old: str, new: str) -> str:
    assert WITH.count(old) == 1, old
    return WITH.replace(old, new)


REMOTE = 'schema: {$ref: "https://elsewhere.example/patient.json"}'
BODY, ID = "      requestBody:", "      operationId:"
REF = 'schema: {$ref: "#/components/schemas/Patient"}'
CASES: list[tuple[str, Files, list[tuple[str, str, str]]]] = [
    ("all is well", site(), []),
    (
        "no such document",
        site(api=WITH.replace("ehr.yaml", "her.yaml")),
        [("error", f"{A}:12:21: C200", "did you mean 'contracts/ehr.yaml'?")],
    ),
    (
        "a name that leads out of the folder",
        site(api=WITH.replace("contracts/ehr.yaml", "../ehr.yaml")),
        [("error", f"{A}:12:21: C122", "contracts/")],
    ),
    ("no OpenAPI document", site("a: b\n"), [("error", f"{A}:12:21: C200", "it has no `openapi`")]),
    (
        "an older one",
        site("swagger: '2.0'\n"),
        [("error", f"{A}:12:21: C200", "version 2.0 (Swagger) is not read")],
    ),
    (
        "a document that cannot be read",
        site(EHR + "  x\n"),
        [("error", f"{A}:12:21: C200", "ehr.yaml:29:")],
    ),
    (
        "a schema elsewhere, which nobody fetches",
        site(but(REF, REMOTE)),
        [("error", f"{A}:12:21: C200", "nothing is fetched")],
    ),
    (
        "a schema that leads to nothing",
        site(but(REF, REF.replace("Patient", "Patients"))),
        [("error", f"{A}:12:21: C200", "leads to nothing")],
    ),
    (
        "a schema that is none",
        site(but("key: {type: string}", "key: {type: text}")),
        [("error", f"{A}:12:21: C200", "no JSON Schema, at")],
    ),
    (
        "an operation that it does not have",
        site(api=api("path: /patients/{key}", "path: /patient/{key}")),
        [("error", f"{A}:6:3: C201", "did you mean 'PUT /patients/{patientId}'?")],
    ),
    (
        "a method that it does not have",
        site(api=api("method: PUT", "method: POST")),
        [("error", f"{A}:6:3: C201", "no POST /patients/{key}")],
    ),
    (
        "what it needs is not sent",
        site(but("required: [key]", "required: [key, given]").replace(
            "family: {", "given: {type: string}\n        family: {")),
        [("error", f"{A}:9:16: C202", "needs `given`")],
    ),
    (
        "what is sent it does not take",
        site(but("family: {type: string, nullable: true}", "familyName: {type: string}")),
        [("error", f"{A}:9:16: C202", "did you mean 'familyName'?")],
    ),
    (
        "no body is wanted",
        site(but(EHR[EHR.index("      requestBody:") : EHR.index("      responses:")], "")),
        [("warning", f"{A}:6:3: C202", "has no body for")],
    ),
    (
        "a parameter that is wanted",
        site(but(BODY, "        - {name: site, in: query, required: true}\n" + BODY)),
        [("error", f"{A}:6:3: C203", "needs the parameter `site`")],
    ),
    (
        "a header that is wanted, and one that every call has",
        site(
            but(
                "      requestBody:",
                "        - {name: X-Site, in: header, required: true}\n"
                "        - {name: Idempotency-Key, in: header, required: true}\n      requestBody:",
            )
        ),
        [("error", f"{A}:6:3: C203", "needs the header `X-Site`")],
    ),
    (
        "a number where text is sent",
        site(but("family: {type: string, nullable: true}", "family: {type: integer}")),
        [("error", f"{A}:9:16: C204", "`family` of patient is text, and the contract wants integer")],
    ),
    (
        "who calls is not said",
        site(api=WITH.replace("https://ehr.example", "http://127.0.0.1:8080").replace(
            "auth: {api_key: {key: secret://env/EHR_KEY}}", "auth: none")),
        [("warning", f"{A}:6:3: C205", "`auth` is none")],
    ),
    (
        "it is deprecated",
        site(but(ID, '      deprecated: true\n      x-sunset: "2030-01-01"\n' + ID)),
        [("warning", f"{A}:6:3: C206", "ends on 2030-01-01")],
    ),
    (
        "a pattern that takes no bounded time",
        site(but("maxLength: 64", "pattern: '^(?=x)x'")),
        [("warning", f"{A}:12:21: C207", "this pattern is not checked")],
    ),
    (
        "two kinds of contract",
        site(api=API + "contract: {openapi: contracts/ehr.yaml, json_schema: contracts/ehr.yaml}\n"),
        [("error", f"{A}:12:11: C122", "and not both")],
    ),
    (
        "an operation that is none",
        site(api=API + "contract: {json_schema: {putPatients: contracts/p.json}}\n")
        | {"channels/contracts/p.json": b"{}"},
        [("error", f"{A}:12:11: C201", "did you mean 'putPatient'?")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in CASES], ids=[row[0] for row in CASES])
def test_each_mistake_about_a_contract_is_shown_at_its_place(
    tmp_path: Path, files: Files, expected: list[tuple[str, str, str]]
) -> None:
    problems = problems_of(tmp_path, files)
    shown = [(each.severity, str(each)) for each in problems]
    assert [(severity, begin) for severity, begin, _ in expected] == [
        (severity, line[: line.index(": ", 8) + 6]) for severity, line in shown
    ]
    for (_, _, words), (_, line) in zip(expected, shown, strict=True):
        assert words in line
    assert all(problem.code in CODES for problem in problems)


def test_a_contract_may_be_several_files_of_yaml_and_json(tmp_path: Path) -> None:
    document = but(REF, 'schema: {$ref: "types/patient.json#/$defs/Patient"}')
    types = {
        "$defs": {
            "Patient": {
                "type": "object",
                "required": ["key"],
                "properties": {"key": {"$ref": "../common.yaml#/Key"}},
            }
        }
    }
    files = {
        **site(document),
        "channels/contracts/types/patient.json": orjson.dumps(types),
        "channels/contracts/common.yaml": "Key: {type: string, pattern: '^[0-9]+$'}\n",
    }
    topology = load(write_site(tmp_path, files), CATALOG)
    contract = topology.apis["ehr.patients"].contract
    assert contract is not None
    assert contract.name == "ehr.yaml@2.1.0"
    assert [file.name for file in topology.mapping_files if file.digest == contract.digest] == [contract.name]


def test_a_change_of_a_contract_is_a_change_of_its_api_and_a_comment_is_none(tmp_path: Path) -> None:
    before = load(write_site(tmp_path, site()), CATALOG)
    commented = load(write_site(tmp_path, site("# agreed in May\n" + EHR)), CATALOG)
    changed = load(write_site(tmp_path, site(but("maxLength: 64", "maxLength: 32"))), CATALOG)
    digests = [each.apis["ehr.patients"].digest for each in (before, commented, changed)]
    assert digests[0] == digests[1] != digests[2]
    assert before.digest == commented.digest != changed.digest


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    folder = write_site(tmp_path / "site", site())
    outside = tmp_path / "secret.yaml"
    outside.write_text(EHR)
    (folder / DOCUMENT).unlink()
    (folder / DOCUMENT).symlink_to(outside)
    with pytest.raises(ConfigurationRefused) as refused:
        load(folder, CATALOG)
    assert [each.code for each in refused.value.problems] == ["C200"]


def test_a_contract_without_an_http_api_is_refused(tmp_path: Path) -> None:
    from bridge.catalog import STANDARD

    folder = write_site(tmp_path, FILES)
    (folder / A).write_text(
        "api: ehr.patients\nfile: {directory: /tmp/x, name: '{operation}-{delivery}.json'}\n"
        "repeat_safety: natural_key\noperations: {putPatient: {send_only: [key, family]}}\n"
        "carries: {phi: true}\nowner: {team: ehr}\ncontract: {openapi: contracts/ehr.yaml}\n"
    )
    with pytest.raises(ConfigurationRefused) as refused:
        load(folder, STANDARD)
    assert "C208" in [each.code for each in refused.value.problems]

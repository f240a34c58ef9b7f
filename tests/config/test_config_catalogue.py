"""The rules of the catalogue: each mistake at its place, with its code, and a right file without one."""

from __future__ import annotations

from pathlib import Path

import pytest
from config_site import API, CHANNEL, MAPPING, write_site

from bridge.catalog import STANDARD
from bridge.config.load import load
from bridge.errors import ConfigurationRefused
from bridge.located import Problem

C, A, M = "channels/adt.yaml", "channels/apis/ehr.patients.yaml", "mappings/adt-admit.yaml"
ENVIRONMENT = "channels/environments/prod.yaml"


def site(api: str = API) -> dict[str, str | bytes]:
    return {C: CHANNEL, A: api, M: MAPPING}


def problems_of(folder: Path, files: dict[str, str | bytes], environment: str | None = None) -> list[Problem]:
    try:
        return list(load(write_site(folder, files), STANDARD, environment=environment).warnings)
    except ConfigurationRefused as refused:
        return list(refused.problems)


def changed(old: str, new: str) -> str:
    assert API.count(old) == 1
    return API.replace(old, new)


CARRIES, OWNER = "carries: {phi: true}\n", 'owner: {team: ehr, oncall: "#ehr"}\n'
FIRST = "repeat_safety: header\n"


def plus(line: str) -> str:
    """The right file with one more line."""
    return f"{API}{line}\n"


WRONG: list[tuple[str, str, list[tuple[str, str]]]] = [
    ("no owner", changed(OWNER, ""), [(f"{A}:1:6: C180", "nobody is said to answer for ehr.patients")]),
    ("an owner without a team", changed(OWNER, "owner: {oncall: x}\n"), [(f"{A}:1:6: C180", "owner: {team")]),
    ("a domain that is none", plus("domain: patiens"), [(f"{A}:12:9: C122", "did you mean")]),
    ("an experience API", plus("layer: experience"), [(f"{A}:12:8: C181", "behind it")]),
    ("a layer that is none", plus("layer: sytem"), [(f"{A}:12:8: C122", "'system'")]),
    ("a retired target", plus("lifecycle: {state: retired}"), [(f"{C}:13:15: C182", "retired")]),
    ("a draft", plus("lifecycle: {state: draft}"), [(f"{C}:13:15: C183", "waits until")]),
    ("a blocked one", plus("lifecycle: {state: blocked}"), [(f"{C}:13:15: C183", "waits until")]),
    (
        "a deprecated one",
        plus("lifecycle: {state: deprecated, sunset: 2027-06-30}"),
        [(f"{C}:13:15: C183", "until 2027-06-30")],
    ),
    ("a state that is none", plus("lifecycle: {state: gone}"), [(f"{A}:12:20: C122", "draft")]),
    ("a day that is none", plus("lifecycle: {sunset: soon}"), [(f"{A}:12:21: C122", "")]),
    (
        "a class that it may not carry",
        changed(CARRIES, "carries: {financial: true}\n"),
        [(f"{A}:9:17: C184", "`key` of patient is PHI"), (f"{A}:9:22: C184", "carries: {phi: true}")],
    ),
    ("no word about classes", changed(CARRIES, ""), [(f"{A}:1:6: C185", "the classes phi")]),
    ("a class that is none", changed(CARRIES, "carries: {fhi: true}\n"), [(f"{A}:11:11: C120", "'phi'")]),
    (
        "a protection of what is not sent",
        plus("protect: {fields: {given: mask}}"),
        [(f"{A}:12:1: C186", "protects nothing")],
    ),
    (
        "a protection that does not fit",
        plus("protect: {fields: {family: year}}"),
        [(f"{A}:12:1: C186", "expected: omit, mask, last4, token, zip3")],
    ),
    (
        "tokens without a key",
        plus("protect: {fields: {key: token}}"),
        [(f"{A}:12:10: C122", "add token_key: secret://file/NAME")],
    ),
    (
        "a key that stands in the file",
        plus("protect: {fields: {key: token}, token_key: hunter2}"),
        [(f"{A}:12:44: C122", "never the secret itself")],
    ),
    (
        "a natural key that is not told",
        changed(FIRST, "repeat_safety: natural_key\n").replace("/{key}", "").replace("[key, ", "["),
        [(f"{A}:6:3: C187", "put {key} into its path")],
    ),
    ("addresses that are none", plus("network: {addresses: [ten]}"), [(f"{A}:12:23: C122", "10.20")]),
]  # fmt: skip


@pytest.mark.parametrize(("what", "api", "expected"), WRONG, ids=[row[0] for row in WRONG])
def test_each_mistake_of_the_catalogue_is_shown_at_its_place(
    tmp_path: Path, what: str, api: str, expected: list[tuple[str, str]]
) -> None:
    shown = [str(problem) for problem in problems_of(tmp_path, site(api))]
    assert len(shown) == len(expected), (what, shown)
    for line, (begins, holds) in zip(shown, expected, strict=True):
        assert line.startswith(begins), shown
        assert holds in line, shown


RIGHT = {
    "as it is": API,
    "its certificate says who the bridge is": changed(
        "auth: {api_key: {key: secret://env/EHR_KEY}}\n", "tls: {certificate: c.pem, key: k.pem}\n"
    ),
    "what is masked is no patient's": changed(
        CARRIES,
        "carries: {financial: true}\n"
        "protect: {fields: {key: token, family: mask}, token_key: secret://env/K}\n",
    ),
    "what is de-identified is no patient's": changed(
        CARRIES, "carries: {financial: true}\nprotect: {deidentify: safe_harbor, token_key: secret://env/K}\n"
    ),
    "on this machine nobody need answer": changed(OWNER, "").replace("https://ehr.example", "http://127.0.0.1:1"),
    "known by its key in the body": changed(FIRST, "repeat_safety: natural_key\n").replace("/{key}", ""),
}  # fmt: skip


@pytest.mark.parametrize("api", RIGHT.values(), ids=RIGHT)
def test_a_right_catalogue_brings_no_problem(tmp_path: Path, api: str) -> None:
    assert [str(problem) for problem in problems_of(tmp_path, site(api))] == []


@pytest.mark.parametrize(("production", "severity"), [("true", "error"), ("false", "warning")])
def test_in_production_an_api_must_say_what_it_may_carry(
    tmp_path: Path, production: str, severity: str
) -> None:
    files = {
        **site(changed(CARRIES, "")),
        ENVIRONMENT: f"environment: prod\nproduction: {production}\nvalues: {{}}\n",
    }
    found = problems_of(tmp_path, files, "prod")
    assert [(problem.code, problem.severity) for problem in found] == [("C185", severity)]


def test_in_production_patients_data_on_this_machine_is_told(tmp_path: Path) -> None:
    api = API.replace("https://ehr.example", "http://127.0.0.1:1")
    files = {**site(api), ENVIRONMENT: "environment: prod\nproduction: true\nvalues: {}\n"}
    found = problems_of(tmp_path, files, "prod")
    assert [(problem.code, problem.severity) for problem in found] == [("C188", "warning")]

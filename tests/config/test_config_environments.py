"""Environments: one set of channel and API files, and values that differ from one environment to the next."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import yaml
from config_site import API, CATALOG, CHANNEL, FILES, MAPPING, write_site
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from bridge.config.codes import CODES
from bridge.config.load import Checked, check, load, load_mapping
from bridge.config.schema import API as API_SCHEMA
from bridge.config.schema import CHANNEL as CHANNEL_SCHEMA
from bridge.config.schema import ENVIRONMENT as ENVIRONMENT_SCHEMA
from bridge.config.schema import json_schemas
from bridge.config.topology import Topology
from bridge.errors import ConfigurationRefused
from bridge.located import Place
from bridge.units import SecretRef

C, A, M = FILES
PROD, TEST = "channels/environments/prod.yaml", "channels/environments/test.yaml"
Files = dict[str, str | bytes]

REFERRING = (
    API.replace("https://ehr.example", "value://ehr")
    .replace("secret://env/EHR_KEY", "value://ehr-key")
    .replace("repeat_safety: header", "repeat_safety: value://safety\nlimits: {in_flight: value://calls}")
)
LISTENING = CHANNEL.replace("tcp:2575", "value://listen\n    idle: value://idle")
VALUES = """\
  ehr: https://ehr.example
  ehr-key: secret://env/EHR_KEY
  safety: header
  calls: 3
  listen: tcp:2575
  idle: 5m
"""
IN_PROD = "environment: prod\nproduction: true\nvalues:\n" + VALUES
IN_TEST = IN_PROD.replace("prod\nproduction: true", "test\nproduction: false").replace(
    "ehr.ex", "ehr.test.ex"
)
SITE: Files = {C: LISTENING, A: REFERRING, M: MAPPING, PROD: IN_PROD, TEST: IN_TEST}


def with_file(path: str, old: str, new: str) -> Files:
    content = SITE[path]
    assert isinstance(content, str)
    assert content.count(old) == 1, f"{old!r} stands {content.count(old)} times in {path}"
    return {**SITE, path: content.replace(old, new)}


def loaded(folder: Path, environment: str | None, files: Files = SITE) -> Topology:
    return load(write_site(folder, files), CATALOG, environment=environment)


def shown(checked: Checked) -> list[tuple[str, tuple[str, ...]]]:
    return [(str(problem), names) for problem, names in checked.problems.items()]


def test_the_values_of_the_environment_stand_where_they_are_referred_to(tmp_path: Path) -> None:
    prod, test = (loaded(tmp_path, name) for name in ("prod", "test"))
    assert (prod.environment, prod.production) == ("prod", True)
    assert (test.environment, test.production) == ("test", False)
    urls = [each.apis["ehr.patients"].destination.options.model_dump()["base_url"] for each in (prod, test)]
    assert urls == ["https://ehr.example", "https://ehr.test.example"]
    api = prod.apis["ehr.patients"]
    assert (api.in_flight_max, api.repeat_safety) == (3, "header")
    assert prod.channels["adt"].source.options.model_dump() == {
        "listen": "tcp:2575",
        "acknowledge": "journaled",
        "idle": 300.0,
    }
    assert prod.warnings == ()


def test_a_value_may_refer_to_a_secret_whose_place_is_in_the_environment(tmp_path: Path) -> None:
    assert loaded(tmp_path, "prod").secrets == ((SecretRef("env", "EHR_KEY"), Place(PROD, 5, 12)),)


def test_digests_tell_what_the_files_come_to(tmp_path: Path) -> None:
    prod, test = (loaded(tmp_path, name) for name in ("prod", "test"))
    assert prod.digest != test.digest
    assert prod.apis["ehr.patients"].digest != test.apis["ehr.patients"].digest
    assert prod.channels["adt"].digest == test.channels["adt"].digest, "their values are the same"
    other = loaded(tmp_path / "other", "prod", with_file(PROD, "idle: 5m", "idle: 6m"))
    assert other.channels["adt"].digest != prod.channels["adt"].digest
    assert other.apis["ehr.patients"].digest == prod.apis["ehr.patients"].digest
    assert sorted(prod.files) == sorted([C, A, M, PROD])


def test_files_that_refer_to_nothing_need_no_environment(tmp_path: Path) -> None:
    found = loaded(tmp_path, None, {**FILES, PROD: "environment: prod\nproduction: true\n"})
    assert (found.environment, found.production) == (None, False)


def test_who_names_no_environment_is_told_which_there_are(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        loaded(tmp_path, None)
    (problem,) = refused.value.problems
    assert str(problem).startswith(f"{C}:4:13: C172: this differs between environments")
    assert problem.hint == "say --environment prod or test"
    with pytest.raises(ConfigurationRefused) as refused:
        loaded(tmp_path / "none", None, {C: LISTENING, A: API, M: MAPPING})
    assert "write channels/environments/NAME.yaml" in str(refused.value)


def test_an_environment_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationRefused) as refused:
        loaded(tmp_path, "prd")
    (problem,) = refused.value.problems
    assert (problem.code, problem.hint) == ("C172", "did you mean 'prod'?")


IN_ONE: list[tuple[str, Files, list[tuple[str, str]]]] = [
    (
        "a value that the environment does not have",
        with_file(PROD, "  ehr:", "  her:"),
        [(f"{A}:2:11: C170", "did you mean 'her'?"), (f"warning {PROD}:4:3: C141", "value://her")],
    ),
    (
        "a value of the wrong kind, told where it is referred to and where it is",
        with_file(PROD, "calls: 3", "calls: many"),
        [(f"{A}:5:21: C122", f"together; value://calls is in {PROD}:7")],
    ),
    (
        "a value out of range",
        with_file(PROD, "calls: 3", "calls: 0"),
        [(f"{A}:5:21: C122", f"value://calls is in {PROD}:7")],
    ),
    (
        "a value that is none of the words",
        with_file(PROD, "safety: header", "safety: heeder"),
        [(f"{A}:4:16: C122", f"did you mean 'header'?; value://safety is in {PROD}:6")],
    ),
    (
        "a secret itself as a value",
        with_file(PROD, "secret://env/EHR_KEY", "hunter2"),
        [(f"{A}:3:23: C122", "never the secret itself")],
    ),
    (
        "a value that is designed and not built",
        {**with_file(PROD, "idle: 5m", "idle: 5m\n  read-as: json_lines"),
         C: LISTENING.replace("{hl7v2: {charset: utf-8}}", "value://read-as")},
        [(f"{C}:6:9: C190", f"value://read-as is in {PROD}:10")],
    ),
    (
        "a value that is no scalar",
        with_file(PROD, "idle: 5m", "idle: [5m]"),
        [(f"{PROD}:9:9: C122", "expected text, not a list or keys")],
    ),
    (
        "a value of nothing",
        with_file(PROD, "idle: 5m", "idle:"),
        [(f"{PROD}:9:8: C122", "expected a value")],
    ),
    (
        "a value that is a reference again",
        with_file(PROD, "idle: 5m", "idle: value://listen"),
        [(f"{PROD}:9:9: C122", "does not refer to values")],
    ),
    (
        "a value that nothing refers to",
        with_file(PROD, "values:\n", "values:\n  spare: 1\n"),
        [(f"warning {PROD}:4:3: C141", "no file refers to value://spare")],
    ),
    (
        "the name of a value that is none",
        with_file(PROD, "values:\n", "values:\n  Spare One: 1\n"),
        [(f"{PROD}:4:3: C122", "expected a name"), (f"warning {PROD}:4:3: C141", "Spare One")],
    ),
    (
        "an unknown key",
        with_file(PROD, "values:", "valeus: {}\nvalues:"),
        [(f"{PROD}:3:1: C120", "did you mean 'values'?")],
    ),
    (
        "a key twice",
        with_file(PROD, "  calls: 3", "  calls: 3\n  calls: 4"),
        [(f"{PROD}:8:3: C102", "stands twice")],
    ),
    (
        "nothing said of production",
        with_file(PROD, "production: true\n", ""),
        [(f"{PROD}:1:1: C121", "`production` is missing")],
    ),
    (
        "production that is neither",
        with_file(PROD, "production: true", "production: maybe"),
        [(f"{PROD}:2:13: C122", "expected true or false")],
    ),
    (
        "two environments of one name",
        {**SITE, "channels/environments/q.yaml": IN_PROD},
        [("channels/environments/q.yaml:1:14: C139", f"it first stands in {PROD}")],
    ),
    (
        "a reference within a text",
        with_file(A, "/patients/{key}", "/value://ehr/{key}"),
        [(f"{A}:9:11: C171", "a whole value, never for a part")],
    ),
    (
        "a reference with something after it",
        with_file(A, "value://calls", "value://calls 2"),
        [(f"{A}:5:21: C171", "write nothing beside it"), (f"warning {PROD}:7:3: C141", "value://calls")],
    ),
    (
        "a reference to what can have no name",
        with_file(A, "base_url: value://ehr", "base_url: value://EHR"),
        [(f"{A}:2:11: C171", "a whole value"), (f"warning {PROD}:4:3: C141", "value://ehr")],
    ),
    (
        "a reference that leads nowhere, in a list",
        with_file(C, "ADT^A08]", "value://types]"),
        [(f"{C}:7:19: C170", "no value `types`")],
    ),
    (
        "a reference as a key",
        with_file(A, "  putPatient:", "  value://put: {}\n  putPatient:"),
        [(f"{A}:7:3: C171", "a key is always the same")],
    ),
    (
        "a reference in a mapping",
        with_file(M, "family: PID-5.1", "family: {const: value://family}"),
        [(f"{M}:16:23: C171", "for channel and API files")],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("files", "expected"), [row[1:] for row in IN_ONE], ids=[row[0] for row in IN_ONE])
def test_a_mistake_is_told_where_it_stands_and_brings_no_other(
    tmp_path: Path, files: Files, expected: list[tuple[str, str]]
) -> None:
    problems = list(check(write_site(tmp_path, files), CATALOG, environment="prod").problems)
    lines = [f"{'warning ' if each.severity == 'warning' else ''}{each}" for each in problems]
    assert sorted(begin for begin, _ in expected) == sorted(line[: line.index(": ") + 6] for line in lines)
    for begin, words in expected:
        assert any(line.startswith(begin) and words in line for line in lines), (words, lines)
    assert all(problem.code in CODES for problem in problems)
    assert "hunter2" not in "".join(lines)


def test_what_runs_in_one_environment_does_not_depend_on_another(tmp_path: Path) -> None:
    files = {**with_file(TEST, "calls: 3", "calls: many"), "channels/environments/q.yaml": "environment: [\n"}
    assert loaded(tmp_path, "prod", files).environment == "prod"
    with pytest.raises(ConfigurationRefused):
        loaded(tmp_path, "test", files)


def test_check_looks_at_every_environment_and_tells_each_problem_once(tmp_path: Path) -> None:
    site = write_site(tmp_path, with_file(TEST, "calls: 3", "calls: many"))
    (site / C).write_text(LISTENING.replace("accept:", "acept:"))
    checked = check(site, CATALOG)
    assert checked.environments == ("prod", "test")
    assert checked.topology is None
    (everywhere, in_both), (somewhere, in_test) = shown(checked)
    assert (everywhere.startswith(f"{C}:7:1: C120"), in_both) == (True, ("prod", "test"))
    assert (somewhere.startswith(f"{A}:5:21: C122"), in_test) == (True, ("test",))


def test_a_mistake_of_all_environments_names_each_place_of_its_value(tmp_path: Path) -> None:
    files = with_file(TEST, "calls: 3", "calls: 0")
    files[PROD] = IN_PROD.replace("calls: 3", "calls: 0")
    ((line, names),) = shown(check(write_site(tmp_path, files), CATALOG))
    assert names == ("prod", "test")
    assert line.endswith(f"together; value://calls is in {PROD}:7; value://calls is in {TEST}:7")


def test_check_tells_of_environment_files_that_cannot_be_read(tmp_path: Path) -> None:
    checked = check(
        write_site(tmp_path, {**SITE, "channels/environments/q.yaml": "environment: [\n"}), CATALOG
    )
    (line, names), *rest = shown(checked)
    assert (line.startswith("channels/environments/q.yaml:1:14: C101"), names, rest) == (True, (), [])
    assert checked.topology is None


def test_check_of_files_without_environments_is_what_load_says(tmp_path: Path) -> None:
    checked = check(write_site(tmp_path, dict(FILES)), CATALOG)
    assert (checked.problems, checked.environments) == ({}, ())
    assert checked.topology is not None


def test_more_environments_than_anybody_has_are_refused(tmp_path: Path) -> None:
    more: Files = {
        f"channels/environments/e{number}.yaml": f"environment: e{number}\nproduction: false\n"
        for number in range(51)
    }
    codes = {problem.code for problem in check(write_site(tmp_path, {**FILES, **more}), CATALOG).problems}
    assert codes == {"C155"}


PIECES = st.sampled_from(
    ["environment: prod\n", "production: ", "values:\n", "  ehr: ", "  calls: ", "true\n", "value://ehr", "[",
     "{a: b}", "\n", "'", "- x\n", "secret://env/X\n", "&a", "\t", "é", ": "]
)  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(pieces=st.lists(PIECES, max_size=14))
def test_any_content_of_an_environment_is_answered_with_problems_or_values(pieces: list[str]) -> None:
    with TemporaryDirectory() as folder:
        site = write_site(Path(folder), {**SITE, PROD: "".join(pieces)})
        for name in (None, "prod", "test"):
            checked = check(site, CATALOG, environment=name)
            refused = any(problem.severity == "error" for problem in checked.problems)
            assert refused == (checked.topology is None)
            assert all(problem.code in CODES for problem in checked.problems)


def test_a_mapping_by_itself_takes_no_references(tmp_path: Path) -> None:
    path = tmp_path / "m.yaml"
    path.write_text(MAPPING.replace("family: PID-5.1", "family: {const: value://family}"))
    with pytest.raises(ConfigurationRefused, match="C171"):
        load_mapping(path)


def errors(schema: str, text: str) -> list[str]:
    validator = Draft202012Validator(json_schemas(CATALOG)[schema])
    return [error.message for error in validator.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (API_SCHEMA, REFERRING),
        (API_SCHEMA, REFERRING.replace("{api_key: {key: value://ehr-key}}", "value://auth")),
        (CHANNEL_SCHEMA, LISTENING),
        (CHANNEL_SCHEMA, LISTENING.replace("{hl7v2: {charset: utf-8}}", "value://format")),
        (CHANNEL_SCHEMA, LISTENING.replace("ADT^A08", "value://type")),
        (CHANNEL_SCHEMA, LISTENING.replace("upsert: putPatient", "upsert: value://put")),
        (ENVIRONMENT_SCHEMA, IN_PROD),
        (ENVIRONMENT_SCHEMA, "environment: prod\nproduction: true\n"),
    ],
)
def test_an_editor_accepts_references_where_a_scalar_stands(schema: str, text: str) -> None:
    assert "value://" in text or schema == ENVIRONMENT_SCHEMA
    assert errors(schema, text) == []


@pytest.mark.parametrize(
    ("schema", "text"),
    [
        (API_SCHEMA, REFERRING.replace("value://calls", "value:/calls")),
        (API_SCHEMA, REFERRING.replace("value://safety", "value://Not A Name")),
        (CHANNEL_SCHEMA, LISTENING.replace("upsert: putPatient", "value://put: putPatient")),
        (CHANNEL_SCHEMA, LISTENING.replace("[ADT^A01, ADT^A08]", "value://types")),
        (ENVIRONMENT_SCHEMA, IN_PROD.replace("production: true", "production: maybe")),
        (ENVIRONMENT_SCHEMA, IN_PROD.replace("values:", "valeus:")),
        (ENVIRONMENT_SCHEMA, IN_PROD.replace("calls: 3", "calls: [3]")),
        (ENVIRONMENT_SCHEMA, IN_PROD.replace("calls: 3", "No Name: 3")),
    ],
)
def test_an_editor_marks_references_that_lead_nowhere(schema: str, text: str) -> None:
    assert errors(schema, text) != []

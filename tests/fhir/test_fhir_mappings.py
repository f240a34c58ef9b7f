"""The mappings to FHIR that come with the bridge: right by themselves, and by their own tests."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from shutil import copytree
from typing import Any

import orjson
import pytest
from command_line import bridge
from fhir.resources.R4B import get_fhir_model_class
from fhir_site import MAPPINGS, site_of

from bridge.catalog import STANDARD
from bridge.cli.fake_fhir import FakeFhir
from bridge.config.load import load, load_mapping
from bridge.errors import ConfigurationRefused
from bridge.fhir.check import RESOURCES
from bridge.fhir.digits import read_json, write_json
from bridge.fhir.exchange import without_nulls
from bridge.mapping.selftest import run_tests

FOLDER = MAPPINGS / "fhir"
FILES = sorted(FOLDER.glob("*.yaml"))


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_a_mapping_is_right_and_a_second_reader_takes_what_its_tests_make(path: Path) -> None:
    plan = load_mapping(path)
    assert plan.name == path.stem
    assert len(plan.tests) >= 2
    for case in plan.tests:
        for made in plan.run(case.input.read()).messages:
            resource = without_nulls(read_json(made.body))
            model = get_fhir_model_class(resource["resourceType"])
            assert model.model_validate_json(write_json(resource))


def test_every_resource_that_is_known_has_a_mapping() -> None:
    plans = [load_mapping(path, test=False) for path in FILES]
    bodies = [
        each.body for plan in plans for case in plan.tests for each in plan.run(case.input.read()).messages
    ]
    made = {orjson.loads(each)["resourceType"] for each in bodies}
    assert made == set(RESOURCES)


def test_a_code_that_is_not_bound_fails_the_tests_of_a_mapping_with_its_place(tmp_path: Path) -> None:
    copytree(FOLDER / "tables", tmp_path / "tables")
    path = tmp_path / "fhir-patient.yaml"
    text = (FOLDER / path.name).read_text()
    changed = text.replace("{from: $.sex, default: unknown}", "{from: $.sex, default: X}")
    assert changed != text
    path.write_text(changed.replace("gender: unknown", "gender: X"))
    plan = load_mapping(path, test=False)
    differences = [str(each) for result in run_tests(plan) for each in result.differences]
    told = [each for each in differences if each.endswith("got F206")]
    assert told
    assert all("json.Patient.gender: expected a code of administrative-gender" in each for each in told)
    with pytest.raises(ConfigurationRefused, match="E283"):
        load_mapping(path)


def test_the_example_of_the_readme_is_a_site_without_mistakes(tmp_path: Path) -> None:
    topology = load(site_of(tmp_path, "http://127.0.0.1:9/fhir"), STANDARD)
    assert {each.code for each in topology.warnings} <= {"C141"}, "only that some mappings have no route here"


@contextmanager
def saying(statement: Any) -> Iterator[str]:
    """A server that answers `metadata`, and nothing else."""

    class Says(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200 if self.path == "/fhir/metadata" else 404)
            self.end_headers()
            self.wfile.write(statement)

        def log_message(self, *_: Any) -> None:
            pass

    with HTTPServer(("127.0.0.1", 0), Says) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/fhir"
        finally:
            server.shutdown()
            thread.join()


DOCTOR: dict[str, tuple[FakeFhir | bytes, str, str]] = {
    "all is there": (FakeFhir(), "good", "FHIR 4.0.1, with all that is needed; it has Patient/$merge"),
    "no transactions": (FakeFhir(transactions=False), "warning", "does not say that it has: transactions"),
    "another page": (b"<html>", "bad", "cannot be read"),
    "another document": (b"{}", "bad", "is no CapabilityStatement"),
}


@pytest.mark.parametrize("name", DOCTOR)
def test_the_doctor_reads_what_a_server_says_that_it_can(name: str, tmp_path: Path) -> None:
    server, grade, words = DOCTOR[name]
    told = server if isinstance(server, bytes) else write_json(server.capabilities())
    with saying(told) as url:
        site_of(tmp_path, url)
        done = bridge(
            "doctor", "--config", tmp_path, "--journal", tmp_path / "journal.db", "--format", "json"
        )
    (found,) = [each for each in orjson.loads(done.out) if each["about"] == "FHIR server of ehr.fhir"]
    assert found["grade"] == grade
    assert words in found["found"]

"""Files of consents: what each kind holds, and where it is wrong."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest
from command_line import bridge

from bridge.cli.demo_site import write_site
from bridge.destinations.base import NoAnswer
from bridge.runtime.consent_files import answered, read_consents

ONE = {
    "resourceType": "Consent",
    "status": "active",
    "patient": {"reference": "Patient/NORTH:1"},
    "provision": {"type": "deny"},
}
BUNDLE = {"resourceType": "Bundle", "entry": [{"resource": ONE}, {"resource": ONE}]}
YAML = b"""\
consents:
  - resourceType: Consent
    status: active
    patient: {reference: "Patient/NORTH:1"}
    provision: {type: permit, period: {end: 2030-01-31}}
"""

FILES = [
    ("c.json", orjson.dumps(ONE), 1),
    ("c.json", orjson.dumps([ONE, BUNDLE]), 3),
    ("c.ndjson", orjson.dumps(ONE) + b"\n\n" + orjson.dumps(BUNDLE) + b"\n", 3),
    ("c.yaml", YAML, 1),
    ("c.csv", b"patient,decision,until\nNORTH:1,deny,2030-01\n\xc3\x84:2;S:9,permit,\n", 2),
    ("c.csv", b'\xef\xbb\xbfpatient,decision\r\n"NORTH:1",deny\r\n', 1),
]


@pytest.mark.parametrize(("name", "content", "count"), FILES)
def test_a_file_of_each_kind_is_read(name: str, content: bytes, count: int) -> None:
    consents, problems = read_consents(name, content)
    assert (len(consents), problems) == (count, [])


BROKEN = [
    ("c.txt", b"", 1),
    ("c.json", b'{"resourceType":\n nonsense}', 2),
    ("c.ndjson", orjson.dumps(ONE) + b"\n{}\n", 2),
    ("c.ndjson", orjson.dumps(ONE) + b"\n" + orjson.dumps(ONE)[:-5] + b"\n", 2),
    ("c.yaml", b"a: [1\n", 1),
    ("c.csv", b"patient,decison\nNORTH:1,deny\n", 1),
    ("c.csv", b"patient,decision\nNORTH:1,deny\nNORTH:2,no\n", 3),
    ("c.csv", b"patient,decision\nNORTH:1,deny\nNORTH:2\n", 3),
    ("c.csv", b'patient,decision\n"NORTH:1,deny\n', 2),
    ("c.csv", b"patient\xff\n", 1),
]


@pytest.mark.parametrize(("name", "content", "line"), BROKEN)
def test_a_file_with_a_mistake_counts_not_at_all_and_says_where(name: str, content: bytes, line: int) -> None:
    consents, problems = read_consents(name, content)
    assert consents == ()
    assert line in {each.place.line for each in problems}
    assert not any("NORTH" in each.text for each in problems)


@pytest.mark.parametrize("content", [b"", b"<html>", b"{}", b"[1]", b'{"decision": "yes", "patient": "P"}'])
def test_an_answer_that_is_none_is_none(content: bytes) -> None:
    with pytest.raises(NoAnswer):
        answered(content)


def test_check_reads_the_files_of_consents_too(tmp_path: Path) -> None:
    site = write_site(tmp_path, patients_url="http://127.0.0.1:9", encounters_url="http://127.0.0.1:9")
    api = site / "channels" / "apis" / "ehr.patients.yaml"
    api.write_text(api.read_text() + "consent: {purpose: TREAT, file: consents.ndjson}\n")
    missing = bridge("check", "--config", str(site))
    assert (missing.status, "C192" in missing.out) == (1, True)
    consents = site / "consents.ndjson"
    consents.write_bytes(orjson.dumps(ONE) + b"\n{\n")
    broken = bridge("check", "--config", str(site))
    assert (broken.status, "consents.ndjson:2:" in broken.out) == (1, True)
    consents.write_bytes(orjson.dumps(ONE) + b"\n")
    assert bridge("check", "--config", str(site)).status == 0

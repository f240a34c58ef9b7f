"""The tests that stand in a mapping file count: a configuration in which one fails is refused."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.catalog import STANDARD
from bridge.cli.demo_site import write_site
from bridge.config.load import load, load_mapping
from bridge.errors import ConfigurationRefused

URL = "http://127.0.0.1:9"


def test_a_test_that_fails_is_a_mistake_with_its_place_and_without_values(tmp_path: Path) -> None:
    site = write_site(tmp_path / "site", patients_url=URL, encounters_url=URL)
    load(site, STANDARD)
    mapping = site / "mappings" / "adt-admit.yaml"
    text = mapping.read_text()
    wrong = text.replace("      family:             PID-5.1\n", "      family:             PID-5.2\n")
    assert wrong != text
    mapping.write_text(wrong)
    with pytest.raises(ConfigurationRefused) as refused:
        load(site, STANDARD)
    problem = refused.value.problems[0]
    assert problem.code == "E283"
    assert problem.place.file == "mappings/adt-admit.yaml"
    assert "patient.family is not as expected" in problem.text
    assert "bridge map test" in str(problem.hint)
    with pytest.raises(ConfigurationRefused):
        load_mapping(mapping)
    assert load_mapping(mapping, test=False).name == "adt-admit"

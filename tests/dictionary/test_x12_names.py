"""Names of X12's places: what mappings that come with the bridge read has one, and none stands twice."""

from __future__ import annotations

import doctest

import pytest
from code_reading import ROOT

from bridge.config.load import load_mapping
from bridge.dictionary import x12_names
from bridge.dictionary.x12_names import element_name, segment_name

OF_X12 = [
    *sorted((ROOT / "mappings" / "feeds").glob("*-[0-9][0-9][0-9].yaml")),
    *sorted((ROOT / "mappings" / "examples").glob("*-[0-9][0-9][0-9].yaml")),
]


def test_the_examples_are_true() -> None:
    assert doctest.testmod(x12_names).failed == 0


@pytest.mark.parametrize("path", OF_X12, ids=lambda path: path.stem)
def test_whatever_a_shipped_mapping_reads_has_a_name(path: object) -> None:
    plan = load_mapping(path, test=False)  # type: ignore[arg-type]
    assert plan.format == "x12"
    nameless = {
        each.text for each in plan.paths if not element_name(each.segment, each.field, each.component)
    }
    assert nameless == set()


def test_what_is_not_known_has_no_name() -> None:
    assert (element_name("NM1", 40), element_name("ZZZ", 1), segment_name("ZZZ")) == ("", "", "")
    assert element_name("CLM", 3) == ""
    assert element_name("CLM", 5, 9) == "claim: place of service"

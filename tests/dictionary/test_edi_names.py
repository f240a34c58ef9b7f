"""Names of X12's and EDIFACT's places: what mappings that come with the bridge read has one."""

from __future__ import annotations

import doctest
from pathlib import Path

import pytest
from code_reading import ROOT

from bridge.config.load import load_mapping
from bridge.dictionary import edi_names
from bridge.dictionary.edi_names import element_name, segment_name

FEEDS = ROOT / "mappings" / "feeds"
SHIPPED = [
    *sorted(FEEDS.glob("*-[0-9][0-9][0-9].yaml")),
    *sorted((ROOT / "mappings" / "examples").glob("*-[0-9][0-9][0-9].yaml")),
    *sorted(FEEDS.glob("*-edifact.yaml")),
]


def test_the_examples_are_true() -> None:
    assert doctest.testmod(edi_names).failed == 0


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_whatever_a_shipped_mapping_reads_has_a_name(path: Path) -> None:
    plan = load_mapping(path, test=False)
    assert plan.format == ("edifact" if path.stem.endswith("edifact") else "x12")
    nameless = {
        each.text
        for each in plan.paths
        if not element_name(plan.format, each.segment, each.field, each.component)
    }
    assert nameless == set()


def test_what_is_not_known_has_no_name() -> None:
    for form in ("x12", "edifact"):
        assert (element_name(form, "NM1", 40), element_name(form, "ZZZ", 1), segment_name(form, "ZZZ")) == (
            ("", "", "")
        )
    assert element_name("x12", "CLM", 3) == ""
    assert element_name("x12", "CLM", 5, 9) == "claim: place of service"
    assert segment_name("x12", "MOA") != segment_name("edifact", "MOA")

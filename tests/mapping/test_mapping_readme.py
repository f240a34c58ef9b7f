"""The page about mappings shows what the code knows, and its example runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from mapping_texts import plan_of, problems_of

from bridge.mapping.reference import codes_table, constructors_table, functions_table, rules_table
from bridge.mapping.selftest import run_tests

PAGE = (Path(__file__).parents[2] / "mappings" / "README.md").read_text("utf-8")
TABLES = {
    "functions": functions_table(),
    "codes": codes_table(),
    "constructors": constructors_table(),
    "keys of a rule": rules_table(),
}


@pytest.mark.parametrize("name", TABLES)
def test_the_tables_of_the_page_are_those_of_the_code(name: str) -> None:
    assert TABLES[name] in PAGE, f"replace the table in mappings/README.md by:\n{TABLES[name]}"


def test_the_example_of_the_page_has_no_problems_and_passes_its_test() -> None:
    (example,) = re.findall(r"```yaml\n(mapping: .*?)```", PAGE, re.DOTALL)
    assert problems_of(example) == []
    assert [result.differences for result in run_tests(plan_of(example))] == [()]

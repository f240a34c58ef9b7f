"""What `bridge explain` shows as an example of a mistake has that mistake."""

from __future__ import annotations

import pytest
from mapping_texts import patient_text, problems_of

from bridge.mapping.advice import ADVICE

EXPRESSIONS = [code for code in ADVICE if code.startswith("E1") and code not in ("E115", "E118", "E190")]
"""The examples that are expressions; E115 takes two lets, and what is not built is no expression."""


@pytest.mark.parametrize("code", EXPRESSIONS)
def test_the_example_of_an_expression_has_the_mistake(code: str) -> None:
    text = ADVICE[code][1].replace("'", "''")
    assert [problem.code for problem in problems_of(patient_text(f"      family: '{text}'\n"))] == [code]

"""What expressions give, for values that are there, absent, and deleted by the HL7 null."""

from __future__ import annotations

import doctest
from types import ModuleType
from typing import Any

import pytest
from mapping_texts import MESSAGE, message_with, patient_plan

import bridge.mapping.times
from bridge.formats.hl7v2 import Hl7Message
from bridge.located import Place, Scalar
from bridge.mapping.expression import compile_condition
from bridge.mapping.functions import (
    FUNCTIONS,
    choice,
    codes,
    context,
    dates,
    identity,
    lists,
    numbers,
    patterns,
    text,
)

ABSENT = "absent"
DELETE = None


def value_of(expression: str, message: Hl7Message) -> Any:
    """What a text field becomes: text, DELETE or ABSENT."""
    plan = patient_plan(f'      family: "{expression}"\n')
    (record,) = plan.run(message).records
    return record.fields.get("family", ABSENT)


VALUES: list[tuple[str, str, Any]] = [
    # expression, PID-5 of the message, what a field becomes
    ("PID-5.1", "okafor^MAREN", "okafor"),
    ("PID-5.2", "okafor^MAREN", "MAREN"),
    ("PID-5.3", "okafor^MAREN", ABSENT),
    ("PID-5.1", "", ABSENT),
    ("PID-5.1", '""', DELETE),
    ("PID-5.2", 'okafor^""', DELETE),
    ("PID-5.1.2", "van&okafor", "okafor"),
    ("PID-5(2).1", "a~b", "b"),
    ("PID-5(3).1", "a~b", ABSENT),
    ("PID-5(2=Y).1", "a^X~b^Y", "b"),
    ("PID-5(2='Y Z').1", "a^X~b^Y Z", "b"),
    ("PID-5(2=Q).1", "a^X~b^Y", ABSENT),
    ("join('/', PID-5(*).1)", "a~b~~c", "a/b/c"),
    ("PID-5(*).1 | last", "a~b", "b"),
    ("PID-5(*).1 | last", '""', DELETE),
    ("PID-5(*).1 | count | text", "a~b", "2"),
    ("PID-5(*).1 | count | text", "", "0"),
    ("PID-5.1 | upper", "okafor", "OKAFOR"),
    ("PID-5.1 | upper", '""', DELETE),
    ("PID-5.1 | upper", "", ABSENT),
    ("PID-5.1 | digits", "okafor", ABSENT),
    ("PID-5.1 | replace('o', '') | trim", "o", ABSENT),
    ("PID-5.1 | replace('-', '')", "a-b", "ab"),
    ("join('', PID-5.1, '-', '', PID-5.2)", "a^b", "a-b"),
    ("first_of(PID-5.3, PID-5.1)", "a^b", "a"),
    ("first_of(PID-5.1, PID-5.2)", '""^b', DELETE),
    ("join(' ', PID-5.1, PID-5.3, PID-5.2)", "a^b", "a b"),
    ("join(' ', PID-5.1, PID-5.2)", '""', DELETE),
    ("join(' ', PID-5.1, PID-5.2)", "", ABSENT),
    ("if(PID-5.2 = 'X', PID-5.1)", "a^X", "a"),
    ("if(PID-5.2 = 'X', PID-5.1)", "a^Y", ABSENT),
    ("if(contains(PID-5.2, 'X'), 'yes', 'no')", "a", "no"),
    ("case(PID-5.1, 'a', 'first', 'b', 'second')", "b", "second"),
    ("case(PID-5.1, 'a', 'first', 'other')", "z", "other"),
    ("case(PID-5.1, 'a', 'first')", "z", ABSENT),
    ("case(PID-5.1, 'a', 'first')", '""', DELETE),
    ("concat(PID-5.1, '/', PID-5.2)", "a", "a/"),
    ("if(matches(PID-5.1, '[a-z]+'), PID-5.1)", "ab", "ab"),
    ("if(matches(PID-5.1, '(a+)+$'), 'fits', 'no')", "a" * 5000 + "!", "no"),
    ("PID-5.1 | extract('[0-9]+')", "x12y", "12"),
    ("PID-5.1 | extract('(x)([0-9]+)', 2)", "x12y", "12"),
    ("PID-5.1 | extract('[0-9]+')", "x", ABSENT),
    ("PID-5(*).1 | sum | text", "1.5~2", "3.5"),
    ("PID-5(*).1 | distinct | last", "a~b~a", "b"),
    ("PID-5(*).1 | nth(3)", "a~b", ABSENT),
    ("PID-5.1 | decimal | round(1) | text", "2.25", "2.3"),
    ("times(PID-5.1 | decimal, PID-5.2 | decimal) | text", "3^1.25", "3.75"),
    ("PID-5.1 | implied_decimal(2) | text", "0000150}", "-15.00"),
    ("days_between(PID-5.1, PID-5.2) | text", "20240228^20240301", "2"),
    ("key(PID-5.1, PID-5.2)", "a:b^c", "a%3Ab:c"),
    ("key(PID-5.1, PID-5.2)", "a", ABSENT),
    ("key(PID-5.1, PID-5.2)", 'a^""', ABSENT),
    ("identifier_system(PID-5.1, PID-5.2, PID-5.3)", "N^1.2^ISO", "urn:oid:1.2"),
    ("PID-5.1 | normalize_icd10", "e119", "E11.9"),
    ("PID-5.1 | unit_to_ucum", "glasses", ABSENT),
    ("if(PID-5.2 = 'N', PID-5.1 | decimal | text, 'no number')", "a^T", "no number"),
    ("if(PID-5.1 | decimal > 10, 'more', 'less')", "9.5", "less"),
    ("if(PID-5.1 | decimal > -10 + 2, 'more', 'less')", "9.5", "more"),
    ("PID-5.1 | decimal - 0.10 | text", "1", "E"),
    ("(PID-5.1 | decimal) - 0.10 | text", "1", "E"),
    ("((PID-5.1 | decimal) - 0.10) | text", "1.00", "0.90"),
    ("((PID-5.1 | decimal) + 1) | text", '""', DELETE),
    ("((PID-5.1 | decimal) + 1) | text", "", ABSENT),
    ("PID-5.1 | substr(2, 2)", "abcd", "bc"),
    ("PID-5.1 | substr(2)", "abcd", "bcd"),
    ("PID-5.1 | date_fmt('%d/%m/%Y')", "29/02/2024", "2024-02-29"),
    ("null", "a", ABSENT),
    ("''", "a", ABSENT),
]


@pytest.mark.parametrize(("expression", "name", "expected"), VALUES)
def test_values_absent_and_null_stay_apart(expression: str, name: str, expected: Any) -> None:
    if expected == "E":
        # A pipe binds more tightly than a sum, so that here text would be subtracted.
        with pytest.raises(AssertionError, match="E112"):
            value_of(expression, message_with(PID_5=name))
        return
    assert value_of(expression, message_with(PID_5=name)) == expected


CONDITIONS = [
    ("PV1-2 = 'I'", True),
    ("PV1-2 != 'I'", False),
    ("PV1-2 in ['I', 'O']", True),
    ("PV1-2 not in ['I', 'O']", False),
    ("PV1-18 in ['I', 'O']", False),
    ("PV1-18 not in ['I', 'O']", True),
    ("PV1-18 = 'I'", False),
    ("PV1-18 != 'I'", True),
    ("PV1-18 < 'I'", False),
    ("PV1-18 = PV1-18", False),
    ("present(PV1-2)", True),
    ("present(PV1-18) or absent(PV1-18)", True),
    ("present(PID-9.1) or absent(PID-9.1)", False),
    ("is_null(PID-9.1)", True),
    ("PID-9.1 = 'A'", False),
    ("not PID-9.1 = 'A'", True),
    ("not (PV1-2 = 'I' and PV1-2 = 'O')", True),
    ("PV1-2 = 'O' or PV1-2 = 'I' and PID-8 = 'F'", True),
    ("'MR' in PID-3(*).5", True),
    ("'SS' in PID-3(*).5", False),
    ("PID-8 in [PID-7, PID-8]", True),
    ("PID-3(*).5 | count = 2", True),
    ("PV1-2 | decimal > 3", False),
    ("ZZZ-3.2 = 'A'", False),
]


@pytest.mark.parametrize(("expression", "expected"), CONDITIONS)
def test_conditions_hold_or_not_and_are_never_undecided(expression: str, *, expected: bool) -> None:
    condition, problems = compile_condition(Scalar(expression, Place("c.yaml", 1, 1)))
    assert problems == []
    assert condition is not None
    assert condition(message_with(PID_9='""')) is expected


@pytest.mark.parametrize("expression", ["PV1-2", "PID-5 = 'A'", "PV1-2 = ", "mrn = '1'", "count(PID-3(*).1)"])
def test_a_route_cannot_have_what_is_no_condition(expression: str) -> None:
    condition, problems = compile_condition(Scalar(expression, Place("c.yaml", 3, 9)))
    assert condition is None
    assert [problem.place.line for problem in problems] == [3]


def test_a_condition_is_false_for_a_message_that_cannot_be_read() -> None:
    condition, _ = compile_condition(Scalar("PV1-2 = 'I'", Place("c.yaml", 1, 1)))
    assert condition is not None
    assert condition(Hl7Message.read(b"nothing")) is False


@pytest.mark.parametrize(
    "module", [text, choice, numbers, dates, lists, patterns, codes, identity, context, bridge.mapping.times]
)
def test_the_examples_of_the_functions_are_true(module: ModuleType) -> None:
    assert doctest.testmod(module).failed == 0


def test_every_function_has_a_sentence_and_an_example() -> None:
    for function in FUNCTIONS.values():
        assert function.summary.endswith((".", ".;")), function.name
        assert ">>>" in (function.call.__doc__ or ""), function.name


@pytest.mark.parametrize(
    "expression",
    [
        "PID-5.1 | pad(2000000, 'x')",
        "join(PID-5.1, PID-3(*).1, PID-3(*).1)",
        "PID-5.1 | replace('x', PID-5.1)",
        "PID-3(*).1 | first",
    ],
)
def test_no_expression_makes_a_text_or_list_without_end(expression: str) -> None:
    message = Hl7Message.read(
        MESSAGE.replace("okafor", "x" * 9000).replace("4711^^^EAST^PI", "~".join("y" * 20_000)).encode()
    )
    mapped = patient_plan(f'      family: "{expression}"\n').run(message)
    assert {issue.code for issue in mapped.issues} >= {"R040"}
    assert mapped.failed

"""What a record promises beyond the shape of its fields: one value, and sums that balance."""

from __future__ import annotations

import ast
import copy
from collections.abc import Callable, Iterator
from typing import Any, get_args

import pytest
from code_reading import Module, modules
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from bridge.canonical.document import DocumentStatus
from bridge.canonical.keys import key_of
from bridge.canonical.order import OrderStatus
from bridge.canonical.ranks import RANKS, supersedes
from bridge.canonical.records import RECORDS
from bridge.canonical.result import Result, ResultStatus

Change = Callable[[dict[str, Any]], object]


def _without_value(given: dict[str, Any]) -> object:
    return given.pop("value_number")


KEPT: list[tuple[str, str, Change]] = [
    ("result", "as it is", lambda given: None),
    ("result", "a reason for no value", lambda g: (_without_value(g), g.update(absent_reason="not asked"))),
    ("result", "cancelled without value", lambda g: (_without_value(g), g.update(status="cancelled"))),
    ("result", "another value is to be deleted", lambda g: g.update(value_text=None)),
    ("claim", "cents written otherwise", lambda g: g.update(total="300")),
    ("claim_status", "a claim, no trace", lambda g: (g.pop("trace_number"), g.update(claim="c"))),
    ("remittance", "without claims yet", lambda g: (g.pop("claims"), g.pop("provider_adjustments"))),
    ("gl_posting", "one entity written by two", lambda g: g["lines"][0].update(debit="180")),
]
BROKEN: list[tuple[str, str, Change]] = [
    ("result", "not_one_value", lambda g: g.update(value_text="high")),
    ("result", "not_one_value", lambda g: g.update(value_code={"code": "H"})),
    ("result", "not_one_value", _without_value),
    ("result", "not_one_value", lambda g: g.update(value_number=None)),
    ("claim", "lines_are_not_total", lambda g: g.update(total="300.01")),
    ("claim", "lines_are_not_total", lambda g: g["lines"].pop()),
    ("claim_status", "no_claim", lambda g: g.pop("trace_number")),
    ("remittance", "does_not_balance", lambda g: g.update(payment="250.00")),
    ("remittance", "does_not_balance", lambda g: g.pop("provider_adjustments")),
    ("remittance", "claim_does_not_balance", lambda g: g["claims"][0].update(paid="260.00")),
    ("remittance", "line_does_not_balance", lambda g: g["claims"][0]["lines"][0].update(paid="249.99")),
    ("gl_posting", "does_not_balance", lambda g: g["lines"][0].update(debit="180.01")),
    ("gl_posting", "does_not_balance", lambda g: g["lines"][0].update(entity="SOUTH")),
    ("gl_posting", "does_not_balance", lambda g: g["lines"][0].update(currency="EUR")),
    ("gl_posting", "not_one_side", lambda g: g["lines"][0].update(credit="180.00")),
    ("gl_posting", "not_one_side", lambda g: g["lines"][0].pop("debit")),
]


def changed(record: str, change: Change) -> dict[str, Any]:
    """The example of a record, otherwise."""
    found = copy.deepcopy(dict(RECORDS[record].example))
    change(found)
    return found


@pytest.mark.parametrize(("record", "what", "change"), KEPT, ids=[f"{each[0]}: {each[1]}" for each in KEPT])
def test_what_keeps_the_promise_is_taken(record: str, what: str, change: Change) -> None:
    RECORDS[record].model_validate(changed(record, change))


@pytest.mark.parametrize(("record", "kind", "change"), BROKEN)
def test_what_breaks_the_promise_is_refused_without_a_value_in_the_words(
    record: str, kind: str, change: Change
) -> None:
    with pytest.raises(ValidationError) as refused:
        RECORDS[record].model_validate(changed(record, change))
    (error,) = refused.value.errors(include_input=False)
    assert error["type"] == kind
    assert not any(letter.isdigit() for letter in error["msg"])


CENTS = st.integers(min_value=-(10**9), max_value=10**9)


@given(st.lists(CENTS, min_size=1, max_size=20))
def test_a_posting_balances_to_the_cent_or_is_refused(cents: list[int]) -> None:
    def written(amount: int) -> str:
        sign, whole = ("-", -amount) if amount < 0 else ("", amount)
        return f"{sign}{whole // 100}.{whole % 100:02d}"

    posting = dict(RECORDS["gl_posting"].example)
    lines = [{"account": "GL:1", "debit": written(each)} for each in cents]
    RECORDS["gl_posting"].model_validate(
        {**posting, "lines": [*lines, {"account": "GL:2", "credit": written(sum(cents))}]}
    )
    with pytest.raises(ValidationError, match="debits do not equal credits"):
        RECORDS["gl_posting"].model_validate(
            {**posting, "lines": [*lines, {"account": "GL:2", "credit": written(sum(cents) + 1)}]}
        )


# Ranks


def test_preliminary_comes_before_final_and_final_before_corrected() -> None:
    assert RANKS["preliminary"] < RANKS["final"] < RANKS["corrected"] < RANKS["entered-in-error"]
    assert supersedes("final", "preliminary")
    assert supersedes("corrected", "corrected")
    assert not supersedes("preliminary", "final")
    assert not supersedes("final", "corrected")


def test_every_state_of_a_result_an_order_and_a_document_has_a_rank() -> None:
    for states in (ResultStatus, OrderStatus, DocumentStatus):
        assert set(get_args(states)) <= set(RANKS)


# Keys


@given(st.lists(st.text(min_size=1), min_size=1), st.lists(st.text(min_size=1), min_size=1))
def test_other_parts_never_give_the_same_key(one: list[str], other: list[str]) -> None:
    assert (key_of(*one) == key_of(*other)) == (one == other)


def test_half_a_key_is_no_key() -> None:
    for parts in ((), ("",), ("NORTH", ""), ("", "1")):
        with pytest.raises(ValueError, match="all its parts"):
            key_of(*parts)


# No floats


def floats(module: Module) -> Iterator[str]:
    """Where a module of the records names a float, or writes one."""
    if not module.path.startswith("canonical/"):
        return
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Name) and node.id == "float":
            yield f"{module.path}:{node.lineno}"
        if isinstance(node, ast.Constant) and isinstance(node.value, float):
            yield f"{module.path}:{node.lineno}"


def test_no_float_stands_in_the_records() -> None:
    looked_at = [module for module in modules() if module.path.startswith("canonical/")]
    assert len(looked_at) > 20
    assert [place for module in looked_at for place in floats(module)] == []


@pytest.mark.parametrize(
    "source",
    ["amount: float\n", "amount = 1.5\n", "def f(x):\n    return float(x)\n", "x: dict[str, float]\n"],
)
def test_a_planted_float_is_seen(source: str) -> None:
    assert list(floats(Module("canonical/x.py", source))) != []


@pytest.mark.parametrize("value", [1.5, 1, True, float("nan")])
def test_a_number_of_a_record_is_decimal_text_and_nothing_else(value: object) -> None:
    with pytest.raises(ValidationError):
        Result.model_validate({**Result.example, "value_number": value})

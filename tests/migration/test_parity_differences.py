"""What differs is found, named by its place and kind, and told by no value; what may differ is counted."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.legacy import Parity
from bridge.formats.hl7v2 import Hl7Message
from bridge.migration.compare import Comparing, shape
from bridge.migration.parity_report import RouteParity, summary

TODAY = date(2026, 11, 26)
OWNED = {"owner": "anna", "expires": "2026-12-31"}


def comparing(*rules: dict[str, Any], money: tuple[str, ...] = ()) -> Comparing:
    return Comparing(
        Parity.model_validate({"rules": [{**OWNED, **rule} for rule in rules], "money": money}), TODAY
    )


DIFFERENCES: list[tuple[str, Any, Any, list[tuple[str, str, str, str]]]] = [
    ("value", {"a": "x1"}, {"a": "y2"}, [("value", "a", "A9", "A9")]),
    ("format", {"d": "1961-06-15"}, {"d": "19610615"}, [("value", "d", "9999-99-99", "99999999")]),
    ("type", {"n": 5}, {"n": "5"}, [("value", "n", "9", "9")]),
    ("extra", {"a": "x", "b": "y"}, {"a": "x"}, [("extra", "b", "A", "")]),
    ("absent", {"a": "x"}, {"a": "x", "b": 1}, [("absent", "b", "", "9")]),
    ("order", {"l": [1, 2]}, {"l": [2, 1]}, [("order", "l[]", "", "")]),
    ("in a list", {"l": [{"c": "a"}, {"c": "b"}]}, {"l": [{"c": "a"}, {"c": "9"}]},
     [("value", "l[].c", "A", "9")]),
    ("longer list", {"l": [1]}, {"l": [1, 2]}, [("absent", "l[]", "", "9")]),
    ("null", {"a": None}, {"a": ""}, [("value", "a", "null", "empty")]),
    ("nested", {"a": {"b": {"c": 1}}}, {"a": {"b": {}}}, [("extra", "a.b.c", "9", "")]),
    ("whole object", {"a": {"b": 1}}, {}, [("extra", "a", "object", "")]),
]  # fmt: skip


@pytest.mark.parametrize(
    ("ours", "theirs", "expected"), [row[1:] for row in DIFFERENCES], ids=[r[0] for r in DIFFERENCES]
)
def test_each_kind_of_difference_is_named(ours: Any, theirs: Any, expected: Any) -> None:
    found = comparing().documents(ours, theirs).differences
    assert [(each.kind, each.path, each.ours, each.theirs) for each in found] == expected


RULES: list[tuple[dict[str, Any], Any, Any, Any]] = [
    ({"path": "a", "rule": "ignore"}, "x", "y", None),
    ({"path": "l", "rule": "unordered", "key": "k"}, [{"k": 1}, {"k": 2}], [{"k": 2}, {"k": 1}],
     [{"k": 2}, {"k": 3}]),
    ({"path": "a", "rule": "tolerance", "by": "0.5"}, 1.0, 1.4, 1.6),
    ({"path": "a", "rule": "time", "within": "2s"}, "2026-01-01T00:00:00Z", "2026-01-01T00:00:02Z",
     "2026-01-01T00:00:03Z"),
    ({"path": "a", "rule": "fold"}, "Main  Street", "MAIN STREET", "MAIN ROAD"),
    ({"path": "a", "rule": "codes", "codes": {"F": "female"}}, "female", "F", "M"),
    ({"path": "a", "rule": "default", "value": "0"}, "0", None, "1"),
    ({"path": "a", "rule": "replace", "pattern": "-1$", "with": ""}, "V-7-1", "V-7", "V-8"),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "ours", "same", "other"), RULES, ids=[row[0]["rule"] for row in RULES])
def test_a_rule_makes_the_same_what_it_says_and_nothing_else(
    rule: dict[str, Any], ours: Any, same: Any, other: Any
) -> None:
    place = rule["path"]
    allowed = comparing(rule).documents({place: ours}, {place: same})
    assert allowed.differences == []
    assert dict(allowed.used) == {f"{rule['rule']} {place}": 1}, "each use is counted"
    assert comparing().documents({place: ours}, {place: same}).differences, "without the rule it differs"
    if other is not None:
        assert comparing(rule).documents({place: ours}, {place: other}).differences


def test_a_rule_that_has_expired_helps_no_more() -> None:
    rule = {"path": "a", "rule": "ignore", "expires": "2026-11-25"}
    found = comparing(rule)
    assert found.documents({"a": 1}, {"a": 2}).differences
    assert len(found.expired) == 1


def test_no_rule_helps_where_money_differs_and_sums_are_exact() -> None:
    found = comparing({"path": "amount", "rule": "ignore"}, money=("amount",))
    compared = found.documents({"amount": "10.10"}, {"amount": "10.11"})
    assert [each.path for each in compared.differences] == ["amount"]
    assert tuple(map(str, compared.money["amount"])) == ("10.10", "10.11")
    assert found.documents({"amount": "10.10"}, {"amount": 10.1}).differences == [], "10.1 is 10.10"


@pytest.mark.parametrize(
    ("ours", "theirs", "off"),
    [
        (["10", "20"], ["20.00", 10], set()),
        (["10", "20"], ["15", "15"], {"hash"}),
        (["10", "20"], ["10", "10", "10"], {"count", "hash"}),
        (["10", "20"], ["10", "21"], {"sum", "hash"}),
        (["10", None], ["10", "0"], {"count", "hash"}),
    ],
)
def test_amounts_are_held_by_sum_count_and_hash(ours: list[Any], theirs: list[Any], off: set[str]) -> None:
    totals: dict[str, list[Decimal]] = {}
    both = [*({"amount": [each, None]} for each in ours), *({"amount": [None, each]} for each in theirs)]
    for pair in both:
        one, other = ({} if side is None else {"amount": side} for side in pair["amount"])
        for path, sides in comparing(money=("amount",)).documents(one, other).money.items():
            before = totals.setdefault(path, [Decimal(0), Decimal(0)])
            totals[path] = [a + b for a, b in zip(before, sides, strict=True)]
    words = {"amount": "sum", "amount (count)": "count", "amount (hash)": "hash"}
    assert {words[path] for path, (a, b) in totals.items() if a != b} == off


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
)


@given(document=st.dictionaries(st.text(max_size=5), JSON, max_size=5))
def test_a_document_against_itself_does_not_differ(document: dict[str, Any]) -> None:
    assert comparing().documents(document, document).differences == []


@given(ours=JSON, theirs=JSON)
def test_comparing_ends_and_finds_something_where_something_differs(ours: Any, theirs: Any) -> None:
    found = comparing().documents({"a": ours}, {"a": theirs})
    assert bool(found.differences) == (_typed(ours) != _typed(theirs))


def _typed(value: Any) -> Any:
    """With the type of each scalar, since 1 and true are the same to Python."""
    if isinstance(value, dict):
        return {name: _typed(each) for name, each in value.items()}
    return [_typed(each) for each in value] if isinstance(value, list) else (type(value), value)


@given(text=st.text(alphabet="Zq7", min_size=3, max_size=30))
def test_a_shape_tells_nothing_of_a_value(text: str) -> None:
    assert not set(shape(text)) & set("q7")


def test_messages_are_compared_field_by_field() -> None:
    def read(pid: str) -> Hl7Message:
        return Hl7Message.read(f"MSH|^~\\&|A|B|C|D|20260101||ADT^A01|1|P|2.5\r{pid}\r".encode())

    found = comparing().messages(
        read("PID|1||77^^^N||ABEL^ADA||19610615"), read("PID|1||77^^^N||ABEL^EVA||1961")
    )
    assert [(each.kind, each.path) for each in found.differences] == [
        ("value", "PID-5.2"),
        ("value", "PID-7.1"),
    ]
    ignoring = comparing({"path": "PID-7", "rule": "ignore"})
    again = ignoring.messages(read("PID|1||77||ABEL||19610615"), read("PID|1||77||ABEL||1961"))
    assert again.differences == []
    assert again.used == {"ignore PID-7": 1}


def test_what_a_rule_makes_the_same_is_told_as_the_same() -> None:
    found = RouteParity("patient", "adt-admit", {"ignored": 751}, {}, {"trim": 751}, {}, {}, {}, ())
    assert summary(found, 0) == ["751 pairs compared: 0 same, 751 same by rules, 0 explained, 0 different"]

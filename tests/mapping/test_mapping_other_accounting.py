"""Every value of X12, rows, JSON and records is used, ignored with its reason, or unmapped."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mapping_texts import plan_of

from bridge.formats.document import Document
from bridge.formats.x12 import X12Message
from bridge.mapping.accounting import Accounting, account, account_by
from bridge.mapping.coverage import cover
from bridge.mapping.messages import Message, read_record
from bridge.mapping.recorded import leaves, recorded

EXAMPLES = Path(__file__).parents[2] / "mappings" / "examples"
REMITTANCE = plan_of((EXAMPLES / "remittance-835.yaml").read_text("utf-8"))
CHECK = REMITTANCE.tests[0].input.text
HEAD = "mapping: m\nversion: 1.0.0\nowner: o\ntarget: canonical/1\n"
SET = 'service_date: {const: "2024-01-01"}, quantity: {const: "1"}, kind: {const: charge}'
JSON = plan_of(
    HEAD
    + "source: {format: json}\nemit:\n  - record: charge\n    for_each: $.lines\n"
    + f"    key: key($root.id, $.code)\n    set: {{account: $root.id, code: $.code, {SET}}}\n"
    + "ignore: [{path: $.odd, because: never}, {path: $.debug*, because: for us}]\n"
)
ROWS = plan_of(
    HEAD
    + "source: {format: delimited, columns: [account, code, amount], header: [day]}\n"
    + "emit:\n  - record: charge\n    for_each: row\n    key: key($.account, $.code)\n"
    + f"    set: {{account: $.account, code: $.code, {SET}}}\n"
)
BODY = plan_of(
    HEAD
    + "source: {format: record, record: encounter}\n"
    + "emit: [{json: object, set: {id: $.key, ward: $.ward, study: $.ext.study, from: $meta.facility}}]\n"
)


def places(found: Accounting, status: str) -> set[str]:
    return {value.leaf.place for value in found.values if value.status == status}


def test_elements_of_x12_are_used_or_unmapped() -> None:
    found = account_by(X12Message.read(CHECK.encode()), REMITTANCE)
    assert {"CLP-01", "CLP[2]-01", "SVC-01.2", "CAS[2]-03", "N1-02", "ISA-16", "ST-01"} <= places(
        found, "used"
    )
    assert {"BPR-01", "LX-01", "SE-01", "ISA-06"} <= places(found, "ignored")
    assert places(found, "unmapped") == {"CUR-01", "LQ-01"}
    (mapped,) = found.mapped
    (line,) = [each for each in mapped.lineage if each.field == "payment"]
    assert [leaf.place for leaf in line.leaves] == ["BPR-02"]


def test_values_of_json_are_used_ignored_or_unmapped() -> None:
    body = {
        "id": "7",
        "lines": [{"code": "A", "n": 1}, {"code": "B"}],
        "odd": True,
        "debug": {"x": 1.5},
        "none": None,
    }
    found = account_by(Document.of_json(json.dumps(body)), JSON)
    assert places(found, "used") == {"$.id", "$.lines(1).code", "$.lines(2).code"}
    assert places(found, "ignored") == {"$.odd", "$.debug.x"}
    assert places(found, "unmapped") == {"$.lines(1).n"}
    assert {value.because for value in found.values if value.status == "ignored"} == {"never", "for us"}


def test_cells_of_rows_are_used_or_unmapped() -> None:
    rows = [{"account": "1", "code": "A", "amount": "5"}, {"account": "2", "code": "B", "amount": ""}]
    found = account_by(Document.of_rows(rows, header={"day": "1"}), ROWS)
    assert places(found, "unmapped") == {"row 1: $.amount", "$header.day"}
    assert len(places(found, "used")) == 4


def test_fields_of_records_and_what_is_known_of_them_are_used_or_unmapped() -> None:
    record = read_record({"key": "K", "ward": None, "bed": "B", "ext": {"study": "S"}}, {"facility": "N"})
    found = account_by(record, BODY)
    assert places(found, "used") == {"$.key", "$.ward", "$.ext.study", "$meta.facility"}
    assert places(found, "unmapped") == {"$.bed"}


NAMES = st.sampled_from(["id", "code", "lines", "a b"])
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text("AB.[]'", max_size=3),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "code", "lines", "a b"]), inner)
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(VALUES)
def test_of_any_json_the_three_add_up_and_accounting_changes_nothing(value: Any) -> None:
    message = Document.of_json(json.dumps(value))
    found = account_by(message, JSON)
    assert sum(found.count(each) for each in ("used", "ignored", "unmapped")) == len(found.values)
    (mapped,) = found.mapped
    plain = JSON.run(message)
    assert (mapped.records, mapped.issues, mapped.failed) == (plain.records, plain.issues, plain.failed)
    assert len({value.leaf.place for value in found.values}) == len(found.values), "each place once"


PIECES = st.sampled_from(["*", ":", "~", "^", "", "CAS*CO*45*1~", "SVC*HC:9*1*1~", "ZZ*1~"])


@settings(deadline=None, max_examples=150)
@given(st.lists(st.tuples(st.integers(110, 700), st.integers(0, 3), PIECES), max_size=5))
def test_of_any_x12_the_three_add_up_and_accounting_changes_nothing(
    edits: list[tuple[int, int, str]],
) -> None:
    text = CHECK
    for at, length, new in edits:
        text = text[:at] + new + text[at + length :]
    message = X12Message.read(text.encode())
    found = account_by(message, REMITTANCE)
    assert sum(found.count(each) for each in ("used", "ignored", "unmapped")) == len(found.values)
    (mapped,), plain = found.mapped, REMITTANCE.run(message)
    assert (mapped.records, mapped.issues, mapped.failed) == (plain.records, plain.issues, plain.failed)


@pytest.mark.parametrize(
    "message", [X12Message.read(CHECK.encode()), Document.of_json('{"id": "1", "lines": [{"code": "A"}]}')]
)
def test_nothing_is_used_before_somebody_reads_it(message: Message) -> None:
    noting = recorded(message)
    assert list(leaves(noting))
    assert not noting.read_leaves
    assert account(message, []).count("used") <= 6, "what the reader itself needs"


def test_coverage_counts_them_and_names_their_paths() -> None:
    found = cover([X12Message.read(CHECK.encode())] * 2, [REMITTANCE])
    assert (found.messages, found.records, found.errors) == (2, 2, 0)
    assert found.by_status.total() == found.total
    assert "CUR-01" in {spot.path for spot, _ in found.unmapped_places}
    assert cover([X12Message.read(b"ISA")], [REMITTANCE]).errors == 1

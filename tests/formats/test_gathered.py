"""Files made of many records or messages: header, trailer, right totals, and our own readers read them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.destinations.files_collected import Collect, member_request, members_of
from bridge.formats.delimited import COMPONENT as DELIMITED
from bridge.formats.fixed import COMPONENT as FIXED
from bridge.formats.gathered import FileFacts, Gathers, NotGathered
from bridge.formats.gathered_rows import Csv, Fixed, JsonLines
from bridge.formats.hl7v2_format import COMPONENT as HL7V2
from bridge.formats.hl7v2_gathered import Hl7Batch
from bridge.formats.x12_format import COMPONENT as X12
from bridge.formats.x12_gathered import X12Interchange

FACTS = FileFacts(7, datetime(2026, 11, 26, 23, 0, tzinfo=UTC), 41)
RECORDS: list[dict[str, Any]] = [
    {"key": "C-1", "account": "0017", "amount": "12.30"},
    {"key": "C-2", "account": 'a,"b"', "amount": "-0.05"},
    {"key": "C-3", "account": None, "amount": "1000"},
]
MESSAGES = [b"MSH|^~\\&|A|B|C|D|20240102||ADT^A01|C%d|P|2.5\r\nPID|1\r\n" % number for number in range(3)]
CSV = {
    "columns": ["key", "account", "amount"],
    "header": ["HDR", "{number}", "{date}"],
    "trailer": ["TRL", "{count}", "{sum.amount}"],
}
AMOUNT = {"width": 9, "align": "right", "fill": "0", "decimals": 2, "sign": "overpunch"}
FIXED_ROWS = {
    "header": [{"text": "H", "width": 1}, {"text": "{date}", "width": 8}],
    "detail": [{"text": "D", "width": 1}, {"field": "account", "width": 8}, {"field": "amount", **AMOUNT}],
    "trailer": [
        {"text": "T", "width": 1},
        {"text": "{count}", "width": 6, "align": "right", "fill": "0"},
        {"text": "{sum.amount}", **AMOUNT, "width": 11},
    ],
}


def x12(kind: str, number: int, *, separators: str = "*:~") -> bytes:
    isa = f"ISA*00*{' ' * 10}*00*{' ' * 10}*ZZ*{'ME':15}*ZZ*{'YOU':15}*240102*1200*^*00501*000000001*0*P*:~"
    group = {"835": "HP", "837": "HC"}[kind]
    text = (
        f"{isa}GS*{group}*ME*YOU*20240102*1200*1*X*005010~ST*{kind}*{number:04}~"
        f"BHT*0019:x*00~SE*3*{number:04}~GE*1*1~IEA*1*000000001~"
    )
    return text.translate(str.maketrans("*:~", separators)).encode()


def written(form: Gathers, contents: Sequence[Mapping[str, Any] | bytes]) -> bytes:
    """The file, made of requests as they are journaled."""
    requests = [member_request(form, each, {"channel": "adt"}) for each in contents]
    return form.file(members_of(requests), FACTS)


def batches_of(component: Any, options: dict[str, Any], content: bytes) -> list[tuple[str, int, str]]:
    """The batches that one of our own readers finds, with how many they hold and whether they balance."""
    splitter = component.build(component.options.model_validate(options)).splitter(2**20)
    for at in range(0, len(content), 7):
        splitter.feed(content[at : at + 7])
    splitter.end()
    return [(each.kind, each.last - each.first + 1, each.balance) for each in splitter.batches]


def test_csv_has_header_names_and_totals() -> None:
    assert written(Csv.model_validate(CSV), RECORDS) == (
        b'HDR,7,20261126\r\nkey,account,amount\r\nC-1,0017,12.30\r\nC-2,"a,""b""",-0.05\r\nC-3,,1000\r\n'
        b"TRL,3,1012.25\r\n"
    )


def test_csv_balances_for_its_reader() -> None:
    form = Csv.model_validate({**CSV, "names": False, "first": "D"})
    options = {
        "header": {"first": "HDR", "columns": ["type", "number", "date"]},
        "detail": {"first": "D", "columns": ["type", "key", "account", "amount"]},
        "trailer": {"first": "TRL", "columns": ["type", "count", "total"]},
        "totals": [{"trailer": "count"}, {"trailer": "total", "of": "sum", "column": "amount"}],
    }
    content = written(form, RECORDS)
    assert batches_of(DELIMITED, options, content) == [("rows", 3, "balanced")]
    wrong = content.replace(b"1012.25", b"1012.24")
    assert [each[2] for each in batches_of(DELIMITED, options, wrong)] == ["differs"]


def test_rows_of_fixed_width_carry_signs_and_totals() -> None:
    records = [*RECORDS[:1], {"account": "B", "amount": "-0.05"}, *RECORDS[2:]]
    content = written(Fixed.model_validate(FIXED_ROWS), records)
    assert content.decode().split("\n") == [
        "H20261126",
        "D0017    00000123{",
        "DB       00000000N",
        "D        00010000{",
        "T0000030000010122E",
        "",
    ]
    options = {
        "header": {"says": "H", "fields": {"date": "2-9"}},
        "detail": {"says": "D", "fields": {"account": "2-9", "amount": "10-18"}},
        "trailer": {"says": "T", "fields": {"count": "2-7", "total": "8-18"}},
        "totals": [
            {"trailer": "count"},
            {"trailer": "total", "of": "sum", "column": "amount", "decimals": 2},
        ],
    }
    assert batches_of(FIXED, options, content) == [("rows", 3, "balanced")]


def test_lines_of_json_may_say_how_many_they_are() -> None:
    assert written(JsonLines.model_validate({}), RECORDS[:1]).count(b"\n") == 1
    content = written(JsonLines.model_validate({"trailer": True, "totals_of": ["amount"]}), RECORDS)
    assert content.splitlines()[-1] == b'{"count":3,"file":7,"totals":{"amount":"1012.25"}}'


def test_a_batch_of_hl7_balances_for_its_reader_and_messages_are_as_they_were() -> None:
    content = written(Hl7Batch.model_validate({"sending_application": "BRIDGE"}), MESSAGES)
    assert batches_of(HL7V2, {}, content) == [("batch", 3, "balanced"), ("file", 3, "balanced")]
    assert content.startswith(b"FHS|^~\\&|BRIDGE||||20261126230000+0000||||41\rBHS|")
    assert all(each.replace(b"\r\n", b"\r") in content for each in MESSAGES)


def test_transactions_of_x12_stand_in_groups_of_their_kind_and_balance_for_their_reader() -> None:
    who = {"sender": {"id": "BRIDGE"}, "receiver": {"qualifier": "30", "id": "PAYER"}}
    contents = [x12("835", 9), x12("835", 9, separators="|>'"), x12("837", 1)]
    content = written(X12Interchange.model_validate(who), contents)
    assert content[105:106] == b"~", "ISA has its places"
    assert b"ST*835*0001~\nBHT*0019:x*00~\nSE*3*0001~\nST*835*0002~" in content
    found = batches_of(X12, {}, content)
    assert {each[2] for each in found} == {"balanced"}
    assert [each[:2] for each in found if each[0] == "group"] == [("group", 2), ("group", 1)]


def test_no_two_groups_and_no_two_transactions_for_a_receiver_are_called_the_same() -> None:
    form = X12Interchange.model_validate({"sender": {"id": "BRIDGE"}, "receiver": {"id": "PAYER"}})
    contents = [x12("835", 1), x12("837", 1), x12("835", 2)]
    members = members_of([member_request(form, each, {}) for each in contents])
    assert form.controls(members, FACTS) == ("41-0001", "10000041-0003", "41-0002")
    content = form.file(members, FACTS).decode().split("~\n")
    assert content[0][90:99] == "000000041"
    assert [line.split("*")[6] for line in content if line.startswith("GS*")] == ["41", "10000041"]
    assert [line for line in content if line.startswith(("ST*", "GE*", "IEA*"))] == [
        "ST*835*0001", "ST*835*0002", "GE*2*41", "ST*837*0003", "GE*1*10000041", "IEA*2*000000041",
    ]  # fmt: skip
    every = [
        called
        for control in (1, 2, 9_999_999)
        for called in form.controls(members, replace(FACTS, control=control))
    ]
    assert len(set(every)) == len(every)


def test_messages_of_a_batch_are_called_by_their_control_ids() -> None:
    form = Hl7Batch.model_validate({})
    members = members_of([member_request(form, each, {}) for each in MESSAGES])
    assert form.controls(members, FACTS) == ("C0", "C1", "C2")


@pytest.mark.parametrize(
    ("form", "content", "says"),
    [
        (Csv.model_validate(CSV), {"key": "1", "amount": "a lot"}, "amount in the field amount"),
        (Csv.model_validate(CSV), {"key": ["1"], "amount": "1"}, "one value in the field key"),
        (Fixed.model_validate(FIXED_ROWS), {"account": "123456789"}, "longer than its 8 places"),
        (Fixed.model_validate(FIXED_ROWS), {"account": "1\n2"}, "line end"),
        (Fixed.model_validate(FIXED_ROWS), {"account": "ü"}, "characters that ascii has not"),
        (Fixed.model_validate(FIXED_ROWS), {"amount": "0.001"}, "more than 2 digits"),
        (Fixed.model_validate(FIXED_ROWS), {"amount": "9999999999"}, "longer than its 9 places"),
        (Hl7Batch.model_validate({}), b"PID|1", "begins with MSH"),
        (
            X12Interchange.model_validate({"sender": {"id": "A"}, "receiver": {"id": "B"}}),
            b"ST*835",
            "no-isa",
        ),
        (
            X12Interchange.model_validate({"sender": {"id": "A"}, "receiver": {"id": "B"}}),
            x12("835", 1, separators="|>'").replace(b"00'SE", b"a*b'SE"),
            "a delimiter here",
        ),
    ],
)
def test_what_cannot_stand_in_a_file_is_refused_by_itself(form: Gathers, content: Any, says: str) -> None:
    with pytest.raises(NotGathered, match=says):
        member_request(form, content, {})


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"as": {"json_lines": {}}}, "when a file is closed"),
        ({"at": "23:00", "as": {}}, "expected one of"),
        ({"at": "23:00", "as": {"json_lines": {}, "csv": CSV}}, "expected one of"),
        ({"at": "24:00", "as": {"json_lines": {}}}, "a time of day"),
        ({"at": "23:00", "timezone": "Mars", "as": {"json_lines": {}}}, "a time zone"),
        ({"at": "23:00", "as": {"csv": {"columns": ["a"], "trailer": ["{total}"]}}}, "in braces"),
        (
            {"at": "23:00", "as": {"fixed": {"detail": [{"text": "{count}{sum.a}", "width": 9}]}}},
            "totals are known",
        ),
    ],
)
def test_what_a_site_cannot_mean_is_told(options: dict[str, Any], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Collect.model_validate(options)


@pytest.mark.parametrize(
    ("at", "zone", "since", "due"),
    [
        ("23:00", "UTC", "2026-11-26T22:59:59+00:00", "2026-11-26T23:00:00+00:00"),
        ("23:00", "UTC", "2026-11-26T23:00:00+00:00", "2026-11-27T23:00:00+00:00"),
        (["12:00", "06:30"], "UTC", "2026-11-26T07:00:00+00:00", "2026-11-26T12:00:00+00:00"),
        ("23:00", "Europe/Berlin", "2026-11-26T12:00:00+00:00", "2026-11-26T22:00:00+00:00"),
        # The hour that is left out in spring, and the one that comes twice in autumn.
        ("02:30", "Europe/Berlin", "2026-03-29T00:00:00+00:00", "2026-03-29T01:30:00+00:00"),
        ("02:30", "Europe/Berlin", "2026-10-24T22:00:00+00:00", "2026-10-25T00:30:00+00:00"),
    ],
)
def test_a_file_is_closed_at_its_time_of_day_where_the_site_is(
    at: Any, zone: str, since: str, due: str
) -> None:
    rules = Collect.model_validate({"at": at, "timezone": zone, "as": {"json_lines": {}}})
    found = rules.due_at_us(int(datetime.fromisoformat(since).timestamp() * 1e6))
    assert found is not None
    assert datetime.fromtimestamp(found / 1e6, UTC) == datetime.fromisoformat(due)

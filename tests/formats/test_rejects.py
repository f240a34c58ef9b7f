"""What was not taken of a file, as a file of its kind: read again, it is those records and no others."""

from __future__ import annotations

from io import BytesIO
from typing import Any

import pytest

from bridge.catalog import STANDARD
from bridge.formats.base import Format, Rejected

CSV = {
    "columns": ["type", "account", "amount"],
    "header": {"first": "H", "columns": ["type", "day"]},
    "trailer": {"first": "T", "columns": ["type", "count", "total", "note"]},
    "totals": [{"trailer": "count"}, {"trailer": "total", "of": "sum", "column": "amount", "decimals": 2}],
}
FIXED = {
    "header": {"says": "H", "fields": {"day": "2-9"}},
    "detail": {"says": "D", "fields": {"account": "2-4", "amount": "5-10"}},
    "trailer": {"says": "T", "fields": {"count": "2-5", "total": "6-13", "digits": "14-23"}},
    "totals": [
        {"trailer": "count"},
        {"trailer": "total", "of": "sum", "column": "amount", "decimals": 2},
        {"trailer": "digits", "of": "hash", "column": "account"},
    ],
}
CSV_FILE = b'H,20260102\r\nD,1,100\r\nD,"2, and",250\r\nbad\r\n\r\nD,3,-50\r\nT,4,300,"a ""note"", said"'
FIXED_FILE = b"H20260102\nD001000100\nD002000250\nX bad\nD003-00050\nT0004000003000000000006\n"


def reads(name: str, options: Any) -> Format:
    component = STANDARD.find("format", name)
    assert component is not None
    assert component.build is not None
    made: Format = component.build(component.options.model_validate(options))
    return made


@pytest.mark.parametrize(
    ("name", "options", "content", "numbers", "expected"),
    [
        ("delimited", CSV, CSV_FILE, [2, 3],
         b'H,20260102\r\nD,"2, and",250\r\nbad\r\nT,2,250,"a ""note"", said"'),
        ("delimited", CSV, CSV_FILE, [4], b'H,20260102\r\nD,3,-50\r\nT,1,-50,"a ""note"", said"'),
        ("delimited", {}, b"a;b\n".replace(b";", b",") + b"1,2\n3\n4,5", [2, 3], b"a,b\n3\n4,5\n"),
        ("delimited", {"skip": 1, "columns": ["a"], "rows": 2}, b"head\n1\n2\n3\n4\n5\n", [2],
         b"head\n3\n4\n"),
        ("fixed", FIXED, FIXED_FILE, [2, 4],
         b"H20260102\nD002000250\nD003-00050\nT0002000002000000000005\n"),
        ("fixed", FIXED, FIXED_FILE, [4], b"H20260102\nD003-00050\nT0001-00000500000000003\n"),
        ("fixed", {"detail": {"fields": {"a": "1-2"}}, "length": 2}, b"aabbcc", [2], b"bb"),
    ],
)  # fmt: skip
def test_rows_are_cut_out_as_they_came_with_the_totals_of_these(
    name: str, options: Any, content: bytes, numbers: list[int], expected: bytes
) -> None:
    format_ = reads(name, options)
    splitter = format_.splitter(1_000_000)
    pieces = [*splitter.feed(content), *splitter.end()]
    rejected = [Rejected(number, pieces[number - 1].body) for number in numbers]
    made = format_.rejects(rejected, lambda: BytesIO(content))
    assert made == expected
    again = format_.splitter(1_000_000)
    found = [*again.feed(made), *again.end()]
    assert [format_.content(each.body) for each in found] == [format_.content(each.body) for each in rejected]
    assert all(batch.is_right for batch in again.batches)


XML = {
    "record": "Charge",
    "totals": [
        {"trailer": "File/@count"},
        {"trailer": "Trailer/Total", "of": "sum", "column": "Amount", "decimals": 2},
    ],
}
XML_FILE = """<?xml version="1.0" encoding="UTF-8"?>
<p:File xmlns:p="urn:p" note="count='9' &gt;" p:count='4'>
  <Charge id="1"><Amount>100</Amount></Charge>
  <Charge id="2"/>
  <Charge id="3"><Amount>250</Charge>
  <Charge id="4"><Amount>-50</Amount></Charge>
  <Trailer><Total unit="Prüf">0</Total></Trailer>
</p:File>
"""


@pytest.mark.parametrize("codec", ["utf-8", "utf-16"])
@pytest.mark.parametrize(
    ("numbers", "gone", "count", "total"),
    [
        ([1, 4], ['  <Charge id="2"/>\n', '  <Charge id="3"><Amount>250</Charge>\n'], "2", "50"),
        ([3], [f'  <Charge id="{number}"' for number in (1, 2, 4)], "1", "0"),
        ([2, 3, 4], ['  <Charge id="1"><Amount>100</Amount></Charge>\n'], "3", "-50"),
    ],
)
def test_elements_of_xml_stand_in_their_file_with_the_totals_of_these(
    codec: str, numbers: list[int], gone: list[str], count: str, total: str
) -> None:
    format_, content = reads("xml", XML), XML_FILE.replace("UTF-8", codec.upper()).encode(codec)
    splitter = format_.splitter(1_000_000)
    pieces = [*splitter.feed(content), *splitter.end()]
    rejected = [Rejected(number, pieces[number - 1].body) for number in numbers]
    made = format_.rejects(rejected, lambda: BytesIO(content)).decode(codec)
    expected = XML_FILE.replace("UTF-8", codec.upper())
    lines = [each for each in expected.splitlines(keepends=True) if not each.startswith(tuple(gone))]
    expected = "".join(lines).replace("p:count='4'", f"p:count='{count}'").replace(">0<", f">{total}<")
    assert made == expected
    again = format_.splitter(1_000_000)
    found = [*again.feed(made.encode(codec)), *again.end()]
    assert len(found) == len(numbers)
    assert all(batch.is_right for batch in again.batches)
    if 3 not in numbers:
        assert [format_.content(each.body) for each in found] == [
            format_.content(each.body) for each in rejected
        ]


def test_of_several_documents_those_with_records_that_were_not_taken_are_left() -> None:
    format_ = reads("xml", {"record": "R", "totals": [{"trailer": "T"}]})
    content = b"<F><R>1</R><R>2</R><T>2</T></F>\n<G><R>3</R><T>1</T></G>\n<H><R>4</R><T>1</T></H>\n"
    made = format_.rejects([Rejected(2, b""), Rejected(4, b"")], lambda: BytesIO(content))
    assert made == b"<F><R>2</R><T>1</T></F>\n<H><R>4</R><T>1</T></H>\n"


MESSAGES = [b"MSH|^~\\&|A|||||||%d|P|2.5\rPID|1\r" % number for number in (1, 2)]


@pytest.mark.parametrize(
    ("name", "options", "bodies", "expected"),
    [
        ("hl7v2", {}, MESSAGES, b"BHS|^~\\&\r" + b"".join(MESSAGES) + b"BTS|2\r"),
        ("json", {"records": "lines"}, [b'{"a":1}', b"{"], b'{"a":1}\n{\n'),
        ("json", {"records": "array"}, [b'{"a":1}', b"2"], b'[{"a":1},\n2]\n'),
        ("x12", {}, [b"ISA~IEA~", b"ISA~IEA~"], b"ISA~IEA~ISA~IEA~"),
        ("xml", {}, [b"<F/>", b"<G/>"], b"<F/>\n<G/>"),
    ],
)
def test_other_records_stand_in_what_they_came_in(
    name: str, options: Any, bodies: list[bytes], expected: bytes
) -> None:
    rejected = [Rejected(number, body) for number, body in enumerate(bodies, 1)]
    assert reads(name, options).rejects(rejected, BytesIO) == expected

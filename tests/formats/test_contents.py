"""What a record says, by which it is known in a re-run: the same however and wherever it stands."""

from __future__ import annotations

import pytest

from bridge.catalog import STANDARD
from bridge.formats.base import Format

ADT = b"MSH|^~\\&|A|B|||20260101||ADT^A01|1|P|2.5\rPID|1||7\r"
ROW = b'{"line":3,"rows":[{"a":"1"}],"header":{"day":"20260101"}}'


def reads(name: str) -> Format:
    component = STANDARD.find("format", name)
    assert component is not None
    assert component.build is not None
    options = {"fixed": {"detail": {"fields": {"a": "1"}}}}.get(name, {})
    made: Format = component.build(component.options.model_validate(options))
    return made


def x12(number: bytes) -> bytes:
    isa = b"ISA*00*          *00*          *ZZ*A              *ZZ*B              *261123*0130*^*00501*"
    around = b"00000000%b*0*P*:~GS*HP*A*B*20261123*0130*%b*X*005010X221A1~ST*835*000%b~" % (
        number, number, number,
    )  # fmt: skip
    return isa + around + b"BPR*I*1*C~SE*3*000%b~GE*1*%b~IEA*1*00000000%b~" % (number, number, number)


def edifact(number: bytes) -> bytes:
    around = b"UNB+UNOC:3+A+B+24010%b:0812+%b'UNH+%b+ORDERS:D:96A:UN'" % (number, number, number)
    return around + b"BGM+220+PO-1+9'UNT+3+%b'UNZ+1+%b'" % (number, number)


@pytest.mark.parametrize(
    ("name", "one", "same"),
    [
        ("hl7v2", ADT, ADT.replace(b"20260101", b"20260102").replace(b"|1|P", b"|2|P")),
        ("hl7v2", ADT, ADT.replace(b"\r", b"\r\n")),
        ("delimited", ROW, ROW.replace(b'"line":3', b'"line":9').replace(b"0101", b"0102")),
        ("fixed", b'{"bad":"x","line":3,"row":"ab"}', b'{"bad":"x","line":5,"row":"ab"}'),
        ("json", b'{"a": 1.50, "b": 2}', b'{"b":2,"a":1.50}'),
        ("x12", x12(b"1"), x12(b"2")),
        ("edifact", edifact(b"1"), edifact(b"2")),
    ],
)
def test_numbers_times_and_lines_make_no_difference(name: str, one: bytes, same: bytes) -> None:
    assert one != same
    assert reads(name).content(one) == reads(name).content(same)


@pytest.mark.parametrize(
    ("name", "one", "other"),
    [
        ("hl7v2", ADT, ADT.replace(b"||7", b"||8")),
        ("hl7v2", ADT, ADT.replace(b"A01", b"A04")),
        ("delimited", ROW, ROW.replace(b'"1"', b'"2"')),
        ("json", b'{"a": 1.50}', b'{"a": 1.5}'),
        ("x12", x12(b"1"), x12(b"1").replace(b"I*1*C", b"I*2*C")),
        ("edifact", edifact(b"1"), edifact(b"1").replace(b"PO-1", b"PO-2")),
    ],
)
def test_what_it_says_does(name: str, one: bytes, other: bytes) -> None:
    assert reads(name).content(one) != reads(name).content(other)


@pytest.mark.parametrize("name", ["hl7v2", "delimited", "fixed", "json", "x12", "edifact"])
@pytest.mark.parametrize(
    "body", [b"", b"\0", b"[]", b"null", b"1", b"MSH", b"ISA", b"\xff" * 200, b"[" * 9000]
)
def test_no_bytes_raise(name: str, body: bytes) -> None:
    assert isinstance(reads(name).content(body), bytes)

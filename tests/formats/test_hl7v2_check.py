"""Checking a file: messages are found in every wrapping, and everything is counted."""

from __future__ import annotations

import pytest
from hl7v2_fixtures import fixture

from bridge.formats.hl7v2_check import FileCheck, check_file

A01 = fixture("hl7v2/adt_a01")
A03 = fixture("hl7v2/adt_a03")
BAD = b"MSH|^^^^|x\rPID|1\r"
BATCH = b"FHS|^~\\&|EHR\rBHS|^~\\&|EHR\r" + A01 + A03 + b"BTS|2\rFTS|1\r"

# file: read, problems, refused, reproduced, envelopes, reasons
FILES: list[tuple[str, bytes, tuple[int, int, int, int, int], dict[str, int]]] = [
    ("one", A01, (1, 0, 0, 1, 0), {}),
    ("no final CR", A01.rstrip(), (1, 1, 0, 1, 0), {}),
    ("several", A01 + A03 + A01, (3, 0, 0, 3, 0), {}),
    ("several without CR between", A01.rstrip() + b"\n" + A03, (2, 1, 0, 2, 0), {}),
    ("blank lines between", A01 + b"\r\n\r\n" + A03, (2, 0, 0, 2, 0), {}),
    ("LF", (A01 + A03).replace(b"\r", b"\n"), (2, 2, 0, 2, 0), {}),
    ("CRLF", (A01 + A03).replace(b"\r", b"\r\n"), (2, 2, 0, 2, 0), {}),
    ("frames", b"\x0b" + A01 + b"\x1c\r\x0b" + A03 + b"\x1c\r", (2, 0, 0, 2, 0), {}),
    ("frames without CR", b"\x0b" + A01 + b"\x1c\x0b" + A03 + b"\x1c", (2, 0, 0, 2, 0), {}),
    ("byte order mark", b"\xef\xbb\xbf" + A01, (1, 0, 0, 1, 0), {}),
    ("batch", BATCH, (2, 0, 0, 2, 4), {}),
    ("batch with LF", BATCH.replace(b"\r", b"\n"), (2, 2, 0, 2, 4), {}),
    ("batch without trailers", BATCH[: BATCH.index(b"BTS")], (2, 0, 0, 2, 2), {}),
    ("one broken among good", A01 + BAD + A03, (2, 0, 1, 2, 0), {"bad-delimiters": 1}),
    ("with a problem", A01 + b"XX|1\r", (1, 1, 0, 1, 0), {}),
    ("text before", b"PID|1\r" + A01, (1, 0, 1, 1, 0), {"no-msh": 1}),
    ("text in an envelope", b"BHS|^~\\&\rPID|1\r" + A01, (1, 0, 1, 1, 1), {"no-msh": 1}),
    ("empty", b"", (0, 0, 1, 0, 0), {"empty": 1}),
    ("blank", b"\r\n \x1a", (0, 0, 1, 0, 0), {"empty": 1}),
    ("no MSH", b"EVN|A01\rPID|1\r", (0, 0, 1, 0, 0), {"no-msh": 1}),
    ("envelopes alone", b"FHS|^~\\&\rFTS|0\r", (0, 0, 1, 0, 2), {"no-msh": 1}),
    ("UTF-16", fixture("quirks/charset_utf16"), (1, 1, 0, 1, 0), {}),
    ("MSH in a text", A01 + b"NTE|1|L|said\nMSH is first\r", (1, 1, 0, 1, 0), {}),
]


@pytest.mark.parametrize(
    ("data", "counts", "reasons"), [row[1:] for row in FILES], ids=[row[0] for row in FILES]
)
def test_a_file_is_counted(
    data: bytes, counts: tuple[int, int, int, int, int], reasons: dict[str, int]
) -> None:
    found = check_file(data)
    assert (found.read, found.problems, found.refused, found.reproduced, found.envelopes) == counts
    assert found.reasons == reasons
    assert found.messages == found.read + found.refused


def test_problems_are_counted_by_code_once_for_each_message() -> None:
    odd = b"MSH|^~\\&|A\rx|1\ry|1\r"
    assert check_file(odd + odd) == FileCheck(2, 2, 0, 2, 0, {}, {"segment-name": 2})

"""What receivers say of files: read with no value, and held against what was sent."""

from __future__ import annotations

from typing import Any

import pytest

from bridge.formats.acknowledged import (
    Acknowledgement,
    NotAcknowledging,
    Said,
    Sent,
    Word,
    decided,
    read_back,
)
from bridge.formats.hl7v2_acknowledged import hl7v2_acknowledgement
from bridge.formats.x12_acknowledged import x12_acknowledgement
from bridge.formats.x12_file import X12File

ISA = f"ISA*00*{' ' * 10}*00*{' ' * 10}*ZZ*{'PAYER':15}*ZZ*{'ME':15}*240102*1200*^*00501*000000009*0*P*:~"
A, E, R = Word.ACCEPTED, Word.ERRORS, Word.REJECTED


def x12(inside: str, kind: str = "999") -> bytes:
    group = "GS*FA*PAYER*ME*20240102*1200*1*X*005010X231A1~"
    return f"{ISA}{group}ST*{kind}*0001~{inside}SE*9*0001~GE*1*1~IEA*1*9~".encode()


def hl7(msa: str, *more: str) -> bytes:
    lines = ["MSH|^~\\&|PAYER||ME||20240102||ACK|A1|P|2.5.1", msa, *more]
    return "".join(f"{line}\r" for line in lines).encode()


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (x12("AK1*HC*41~AK9*A*2*2*2~"), Acknowledgement(41, "41-", (), A, "AK9 A", 2)),
        (
            x12("AK1*HC*10000041~AK2*837*0002~IK3*CLM*5*2300*8~IK4*2:1*782*7*SMITH~IK5*R*5~AK9*P*2*2*1~"),
            Acknowledgement(
                41,
                "10000041-",
                (Said("10000041-0002", R, "R 5; CLM 5 2300 8; CLM 5-2:1 7"),),
                A,
                "AK9 P",
                2,
            ),
        ),
        (
            x12("AK1*HC*41~AK2*837*0001~AK3*CLM*5**8~AK5*E*5~AK9*E*1*1*1~", "997"),
            Acknowledgement(41, "41-", (Said("41-0001", E, "E 5; CLM 5 8"),), A, "AK9 E", 1),
        ),
        (x12("AK1*HC*41~AK9*R*2*2*0*4~"), Acknowledgement(41, "41-", (), R, "AK9 R; 4", 2)),
        (
            f"{ISA}TA1*000000041*240101*0900*R*006~IEA*0*9~".encode(),
            Acknowledgement(41, rest=R, codes="TA1 R 006", envelope=R),
        ),
        (
            f"{ISA}TA1*000000041*240101*0900*A*000~IEA*0*9~".encode(),
            Acknowledgement(41, codes="TA1 A 000", envelope=A),
        ),
        (hl7("MSA|AA|C1"), Acknowledgement(None, said=(Said("C1", A),))),
        (
            hl7("MSA|AE|C1|SMITH JOHN", "ERR||PID^1^3^1^4|101^missing: SMITH|E||||SMITH"),
            Acknowledgement(None, said=(Said("C1", R, "AE; 101 PID-3.4"),)),
        ),
        (
            hl7("MSA|AR|C1", "ERR|PV1^1^19^103&Table value", "BHS|^~\\&|||||||||7|41"),
            Acknowledgement(41, said=(Said("C1", R, "AR; 103 PV1-19"),)),
        ),
    ],
)
def test_what_was_said_is_read_with_codes_and_places_and_no_value(body: bytes, said: Acknowledgement) -> None:
    found = x12_acknowledgement(body) if body.startswith(b"ISA") else hl7v2_acknowledgement(body)
    assert found == said
    assert read_back(found.written()) == said
    assert b"SMITH" not in found.written()


@pytest.mark.parametrize(
    ("body", "text"),
    [
        (x12("AK1*HC*41~"), "one AK1 and one AK9"),
        (x12("AK1*HC*X~AK9*A*1*1*1~"), "control number in AK102"),
        (x12("AK1*HC*41~AK9*Q*1*1*1~"), "in AK901"),
        (x12("AK1*HC*41~AK2*837*1~AK9*A*1*1*1~"), "no result"),
        (x12("AK1*HC*41~AK2*837*1~IK5*A~AK2*837*1~IK5*A~AK9*A*2*2*2~"), "two AK2"),
        (x12("AK1*HC*41~AK2*837*1~IK5*R~AK9*A*1*1*1~"), "another thing"),
        (x12("AK1*HC*41~AK2*837*1~IK5*A~AK9*R*1*1*0~"), "another thing"),
        (x12("AK1*HC*41~IK5*A~AK9*A*1*1*1~"), "behind an AK2"),
        (x12("BHT*1~", "837"), "another transaction"),
        (f"{ISA}TA1*000000041*240101*0900*Q*000~IEA*0*9~".encode(), "in TA104"),
        (b"ISA*", "short-isa"),
        (hl7("MSA|XX|C1"), "one MSA"),
        (hl7("MSA|AA|"), "in MSA-2"),
        (hl7("PID|1"), "one MSA"),
    ],
)
def test_what_is_no_acknowledgement_is_refused_with_its_place(body: bytes, text: str) -> None:
    with pytest.raises(NotAcknowledging, match=text):
        (x12_acknowledgement if body.startswith(b"ISA") else hl7v2_acknowledgement)(body)


SENT = [Sent(1, "41-0001", None), Sent(2, "41-0002", "A"), Sent(3, "10000041-0003", None)]


@pytest.mark.parametrize(
    ("said", "places", "code"),
    [
        ({"scope": "41-", "rest": A}, [1], "acknowledged"),
        ({"scope": "41-", "rest": R}, [], "acknowledged-otherwise"),
        ({"scope": "41-", "rest": A, "count": 3}, [], "acknowledged-count-differs"),
        ({"scope": "7-", "rest": A}, [], "acknowledged-file-unknown"),
        ({"scope": "41-", "said": (Said("41-0009", A),)}, [], "acknowledged-member-unknown"),
        ({"scope": "41-", "said": (Said("41-0002", A),)}, [], "told-before"),
        ({"scope": "41-", "said": (Said("41-0002", R),), "rest": A}, [], "acknowledged-otherwise"),
        ({"said": (Said("10000041-0003", R),)}, [3], "acknowledged"),
        ({"envelope": A}, [], "acknowledged"),
    ],
)
def test_an_acknowledgement_counts_whole_or_not_at_all(
    said: dict[str, Any], places: list[int], code: str
) -> None:
    told, found = decided(Acknowledgement(41, **said), SENT)
    assert ([each.place for each in told], found) == (places, code)


@pytest.mark.parametrize("bytes_", [b"", b"null", b"[]", b'{"said": 1}', b'{"control": 1}', b"\xff"])
def test_what_is_not_written_so_is_not_read_back(bytes_: bytes) -> None:
    assert read_back(bytes_) is None


def test_each_ta1_is_an_interchange_of_its_own_where_they_are_wanted() -> None:
    inside = "TA1*000000041*240101*0900*A*000~TA1*000000042*240101*0900*R*006~"
    content = f"{ISA}{inside}IEA*0*000000009~".encode()
    for ta1, expected in ((True, [41, 42]), (False, [])):
        splitter = X12File(1000, ta1=ta1)
        pieces = [piece for at in range(0, len(content), 5) for piece in splitter.feed(content[at : at + 5])]
        pieces += splitter.end()
        assert [x12_acknowledgement(piece.body).control for piece in pieces] == expected

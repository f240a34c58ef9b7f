"""Answers to files: 999 and TA1 of X12, and batches of acknowledgements of HL7 v2."""

from __future__ import annotations

import pytest

from bridge.formats.edifact import EdifactMessage
from bridge.formats.edifact_answer import Answered, contrl
from bridge.formats.edifact_file import EdifactFile
from bridge.formats.edifact_format import EdifactFormat, EdifactOptions
from bridge.formats.hl7v2 import Hl7Message
from bridge.formats.hl7v2_batch_answer import batch_of_acknowledgements
from bridge.formats.hl7v2_file import Hl7v2File
from bridge.formats.x12 import X12Message
from bridge.formats.x12_answer import Groups, Taken, x12_answer
from bridge.formats.x12_file import X12File

AT_US = 1_704_463_445_000_000
ISA = (
    "ISA*00*          *00*          *ZZ*SENDER         *ZZ*RECEIVER       *240105*1200*^*00501*"
    "00000000{}*{}*P*:~"
)
NOTHING = Groups({}, {})


def interchange(*numbers: int, asks: str = "0", group: str = "7", isa: int = 5) -> list[X12Message]:
    text = ISA.format(isa, asks) + f"GS*HC*A*B*20240105*1200*{group}*X*005010X222A1~"
    text += "".join(
        f"ST*837*{n:04}*005010X222A1~BHT*0019*00*1*20240105*1200*CH~SE*3*{n:04}~" for n in numbers
    )
    text += f"GE*{len(numbers)}*{group}~IEA*1*00000000{isa}~"
    splitter = X12File(100_000)
    return [X12Message.read(piece.body) for piece in [*splitter.feed(text.encode()), *splitter.end()]]


def answer(taken: list[Taken], groups: Groups = NOTHING) -> list[str]:
    made = x12_answer(taken, groups, control_number=12, at_us=AT_US)
    splitter = X12File(100_000)
    pieces = [*splitter.feed(made), *splitter.end()]
    assert pieces
    assert all(batch.is_right for batch in splitter.batches), "an answer balances"
    return made.decode().split("~")[:-1]


def test_all_that_was_taken_is_accepted_and_goes_back_to_its_sender() -> None:
    lines = answer([Taken(each, accepted=True) for each in interchange(1, 2)])
    assert lines[0].split("*")[5:9] == ["ZZ", "RECEIVER       ", "ZZ", "SENDER         "]
    assert lines[0].split("*")[9:] == ["240105", "1404", "^", "00501", "000000012", "0", "P", ":"]
    assert lines[1] == "GS*FA*B*A*20240105*1404*1*X*005010X231A1"
    assert lines[2:] == [
        "ST*999*0001*005010X231A1",
        "AK1*HC*7*005010X222A1",
        "AK2*837*0001*005010X222A1",
        "IK5*A",
        "AK2*837*0002*005010X222A1",
        "IK5*A",
        "AK9*A*2*2*2",
        "SE*8*0001",
        "GE*1*1",
        "IEA*1*000000012",
    ]


@pytest.mark.parametrize(
    ("accepted", "differs", "declared", "words"),
    [
        ((True, False), ("", ""), 2, ["IK5*A", "IK5*R*5", "AK9*P*2*2*1"]),
        ((False, False), ("", ""), 2, ["IK5*R*5", "IK5*R*5", "AK9*R*2*2*0"]),
        ((True, True), ("segments", ""), 2, ["IK5*E*4", "IK5*A", "AK9*E*2*2*2"]),
        ((False, True), ("control number", ""), 2, ["IK5*R*3", "IK5*A", "AK9*P*2*2*1"]),
        ((True, True), ("", ""), 3, ["IK5*A", "IK5*A", "AK9*E*3*2*2*5"]),
    ],
)
def test_what_was_not_taken_or_differs_is_said(
    accepted: tuple[bool, ...], differs: tuple[str, ...], declared: int, words: list[str]
) -> None:
    taken = [Taken(*each) for each in zip(interchange(1, 2), accepted, differs, strict=True)]
    lines = answer(taken, Groups({"7": declared}, {}))
    assert [line for line in lines if line[:3] in ("IK5", "AK9")] == words


def test_ta1_is_written_where_it_is_asked_for_or_something_is_wrong() -> None:
    asked, wrong, quiet = interchange(1, asks="1"), interchange(2, isa=6, group="8"), interchange(3, isa=7)
    lines = answer(
        [Taken(each, accepted=True) for [each] in (asked, wrong, quiet)], Groups({}, {"000000006": "021"})
    )
    assert [line for line in lines if line.startswith("TA1")] == [
        "TA1*000000005*240105*1200*A*000",
        "TA1*000000006*240105*1200*E*021",
    ]
    assert sum(line.startswith("ST*999") for line in lines) == 3


def came(*messages: str, unb: str = "UNOC:3+SUPPLIES:14+NO?+RTH:14+240105:0812+88") -> list[EdifactMessage]:
    text = f"UNB+{unb}'" + "".join(messages) + "UNZ+1+88'"
    splitter = EdifactFile(100_000)
    return [EdifactMessage.read(each.body) for each in [*splitter.feed(text.encode()), *splitter.end()]]


def sent(reference: int) -> str:
    return f"UNH+{reference}+ORDERS:D:96A:UN:EAN008'BGM+220+SECRET+9'UNT+3+{reference}'"


def edifact_answer(answered: list[Answered]) -> list[str]:
    made = contrl(answered, reference=12, at_us=AT_US)
    splitter = EdifactFile(100_000)
    pieces = [*splitter.feed(made), *splitter.end()]
    assert all(batch.is_right for batch in splitter.batches), "an answer balances"
    read = [EdifactMessage.read(each.body) for each in pieces]
    assert {each.message_type for each in read} == {"CONTRL"}
    assert {
        EdifactFormat(EdifactOptions(charset="from-message", strict=True)).objection(each.body, ())
        for each in pieces
    } == {None}
    assert b"SECRET" not in made
    return made.decode().split("'")[:-1]


def test_of_edifact_a_contrl_names_each_message_and_goes_back_to_its_sender() -> None:
    one, two, three = came(sent(1), sent(2), sent(3))
    lines = edifact_answer([Answered(one, True), Answered(two, False), Answered(three, False, "segments")])
    assert lines == [
        "UNB+UNOC:3+NO?+RTH:14+SUPPLIES:14+240105:1404+12",
        "UNH+1+CONTRL:D:3:UN",
        "UCI+88+SUPPLIES:14+NO?+RTH:14+7",
        "UCM+1+ORDERS:D:96A:UN:EAN008+7",
        "UCM+2+ORDERS:D:96A:UN:EAN008+4+18",
        "UCM+3+ORDERS:D:96A:UN:EAN008+4+29",
        "UNT+6+1",
        "UNZ+1+12",
    ]
    assert contrl([], reference=1, at_us=0) == b""


def test_of_groups_and_of_several_interchanges_each_is_told_in_its_own_version() -> None:
    grouped = came(
        "UNG+ORDERS+A+B+240105:0812+G1+UN+D:96A'", sent(1), "UNE+1+G1'", unb="UNOB:4+A+B+20240105:0812+88"
    )
    other = came(sent(2), unb="UNOB:4+A+B+20240105:0813+89")
    lines = edifact_answer([Answered(each, accepted=False) for each in (*grouped, *other)])
    assert lines[0] == "UNB+UNOB:4+B+A+20240105:1404+12"
    assert lines[1:7] == [
        "UNH+1+CONTRL:4:1:UN", "UCI+88+A+B+4+18", "UCF+G1+A+B+4+18", "UCM+1+ORDERS:D:96A:UN:EAN008+4+18",
        "UNT+5+1", "UNH+2+CONTRL:4:1:UN",
    ]  # fmt: skip
    assert lines[-1] == "UNZ+2+12"


def test_each_message_of_a_file_has_its_acknowledgement() -> None:
    body = "MSH|^~\\&|APP|FAC|US|HERE|20240105||ORU^R01^ORU_R01|C{}|P|2.5.1\rPID|1||77\r"
    made = batch_of_acknowledgements(
        [(body.format(1).encode(), True), (body.format(2).encode(), False)], control_id="FILE9", at_us=AT_US
    )
    splitter = Hl7v2File(100_000)
    pieces = [*splitter.feed(made), *splitter.end()]
    assert [batch.balance for batch in splitter.batches] == ["balanced"]
    read = [Hl7Message.read(piece.body) for piece in pieces]
    assert [(each.value("MSA", 1), each.value("MSA", 2)) for each in read] == [("AA", "C1"), ("AE", "C2")]
    assert b"|77" not in made

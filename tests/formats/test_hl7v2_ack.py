"""Acknowledgements: what is taken from MSH, and the answer for every version and failure."""

from __future__ import annotations

import pytest
from hl7v2_fixtures import fixture

from bridge.formats.hl7v2_ack import TABLE_0357, AckCode, AckError, MshPeek, acknowledge, peek

AT_US = 1_772_618_102_345_678  # 2026-03-04 09:55:02 UTC
ERROR = AckError("101", "no patient | at all", "PID-3")


def message(version: str, event: str = "ADT^A01", charset: str = "") -> bytes:
    fields = f"MSH|^~\\&|EHR|NORTH|RCM|SOUTH|20260304101502+0100||{event}|C-7\\T\\|P|{version}"
    return (fields + ("||||||" + charset if charset else "") + "\rPID|1\r").encode()


def test_a_peek_takes_what_an_answer_needs() -> None:
    peeked = peek(fixture("hl7v2/adt_a01"))
    assert peeked == MshPeek(
        field_separator=b"|",
        encoding_characters=b"^~\\&",
        sending_application=b"EHR",
        sending_facility=b"NORTH",
        receiving_application=b"BRIDGE",
        receiving_facility=b"HUB",
        message_type=b"ADT^A01^ADT_A01",
        trigger_event=b"A01",
        control_id=b"EHR-20260304-000001",
        processing_id=b"P",
        version=b"2.5.1",
        accept_acknowledgement=b"AL",
        application_acknowledgement=b"NE",
        charset=b"",
        readable=True,
    )
    assert peeked.message_code_event == "ADT^A01"


PEEKED = [
    ("quirks/framed", "ADT^A08", b"Q-FRAME"),
    ("quirks/byte_order_mark", "ADT^A08", b"Q-BOM"),
    ("quirks/line_ends_lf", "ADT^A08", b"Q-LF"),
    ("quirks/line_ends_mixed", "ADT^A08", b"Q-MIX"),
    ("quirks/own_delimiters", "ADT^A08", b"Q-OWN"),
    ("quirks/separators_hash_star", "ADT^A08", b"Q-HASH"),
    ("quirks/empty_msh2", "ADT^A08", b"Q-EMPTY"),
    ("quirks/lost_backslash", "ADT^A08", b"Q-LOST"),
    ("quirks/charset_utf16", "ADT^A08", b"Q-U16"),
    ("quirks/two_msh", "ADT^A08", b"Q-TWO-1"),
    ("quirks/no_control_id", "ADT^A08", b""),
    ("hl7v2/ack", "ACK^A01", b"BR-1"),
]


@pytest.mark.parametrize(("name", "event", "control_id"), PEEKED)
def test_a_peek_copes_with_what_the_reader_copes_with(name: str, event: str, control_id: bytes) -> None:
    peeked = peek(fixture(name))
    assert peeked.readable
    assert (peeked.message_code_event, peeked.control_id) == (event, control_id)


@pytest.mark.parametrize(
    "body", [b"", b"\x0b\x1c\r", b"MSH", b"MSH\r", b"MSHX^~\\&X", b"MSH|^^\\&|", b"PID|1\r", b"FHS|^~\\&\r"]
)
def test_a_broken_msh_is_answered_with_the_defaults(body: bytes) -> None:
    peeked = peek(body)
    assert peeked == MshPeek()
    assert not peeked.readable
    assert peeked.message_code_event == ""
    answer = acknowledge(peeked, AckCode.AR, control_id="B-1", at_us=AT_US, error=AckError("100", "no MSH"))
    assert answer == (
        b"MSH|^~\\&|||||20260304095502+0000||ACK|B-1|P|2.5.1\rMSA|AR|\r"
        b"ERR|||100^Segment sequence error^HL70357|E||||no MSH\r"
    )


ANSWERS: list[tuple[bytes, AckCode, AckError | None, bytes]] = [
    (
        message("2.5.1"),
        AckCode.AA,
        None,
        b"MSH|^~\\&|RCM|SOUTH|EHR|NORTH|20260304095502+0000||ACK^A01^ACK|B-1|P|2.5.1\rMSA|AA|C-7\\T\\\r",
    ),
    (
        message("2.5.1", charset="8859/1"),
        AckCode.CA,
        None,
        b"MSH|^~\\&|RCM|SOUTH|EHR|NORTH|20260304095502+0000||ACK^A01^ACK|B-1|P|2.5.1||||||8859/1\r"
        b"MSA|CA|C-7\\T\\\r",
    ),
    (
        message("2.5"),
        AckCode.AE,
        ERROR,
        b"MSH|^~\\&|RCM|SOUTH|EHR|NORTH|20260304095502+0000||ACK^A01^ACK|B-1|P|2.5\rMSA|AE|C-7\\T\\\r"
        b"ERR||PID^1^3^1|101^Required field missing^HL70357|E||||no patient \\F\\ at all\r",
    ),
    (
        message("2.4"),
        AckCode.AE,
        ERROR,
        b"MSH|^~\\&|RCM|SOUTH|EHR|NORTH|20260304095502+0000||ACK^A01^ACK|B-1|P|2.4\r"
        b"MSA|AE|C-7\\T\\|no patient \\F\\ at all\rERR|PID^1^3^101&Required field missing&HL70357\r",
    ),
    (
        message("2.3"),
        AckCode.AR,
        AckError("200", "not taken here"),
        b"MSH|^~\\&|RCM|SOUTH|EHR|NORTH|20260304095502+0000||ACK^A01|B-1|P|2.3\r"
        b"MSA|AR|C-7\\T\\|not taken here\rERR|^^^200&Unsupported message type&HL70357\r",
    ),
    (
        message("2.3.1^DEU^x", "ORU"),
        AckCode.AA,
        None,
        b"MSH|^~\\&|RCM|SOUTH|EHR|NORTH|20260304095502+0000||ACK|B-1|P|2.3.1^DEU^x\rMSA|AA|C-7\\T\\\r",
    ),
    (
        message("nonsense"),
        AckCode.CR,
        AckError("203", "Müller"),
        b"MSH|^~\\&|RCM|SOUTH|EHR|NORTH|20260304095502+0000||ACK^A01^ACK|B-1|P|nonsense\rMSA|CR|C-7\\T\\\r"
        b"ERR|||203^Unsupported version id^HL70357|E||||M?ller\r",
    ),
    (
        fixture("quirks/own_delimiters"),
        AckCode.AE,
        AckError("207", "a;b"),
        b"MSH:;~\\!:BRIDGE:HUB:EHR:NORTH:20260304095502+0000::ACK;A08;ACK:B-1:P:2.5.1\rMSA:AE:Q-OWN\r"
        b"ERR:::207;Application internal error;HL70357:E::::a\\S\\b\r",
    ),
    (
        b"MSH|^~\\&|A|B",
        AckCode.AA,
        None,
        b"MSH|^~\\&|||A|B|20260304095502+0000||ACK|B-1|P|2.5.1\rMSA|AA|\r",
    ),
]


@pytest.mark.parametrize(("body", "code", "error", "expected"), ANSWERS)
def test_an_answer_follows_the_sender_and_its_version(
    body: bytes, code: AckCode, error: AckError | None, expected: bytes
) -> None:
    assert acknowledge(peek(body), code, control_id="B-1", at_us=AT_US, error=error) == expected


@pytest.mark.parametrize(
    ("location", "expected"),
    [
        ("", b""),
        ("PID", b"PID^1"),
        ("PID[2]", b"PID^2"),
        ("PID-3", b"PID^1^3^1"),
        ("PID-3[2].4", b"PID^1^3^2^4"),
        ("OBX[12]-5.1.2", b"OBX^12^5^1^1^2"),
        ("line 4", b""),
        ("pid-3", b""),
    ],
)
def test_a_location_is_written_as_erl(location: str, expected: bytes) -> None:
    error = AckError("102", "x", location)
    answer = acknowledge(peek(message("2.6")), AckCode.AE, control_id="B-1", at_us=AT_US, error=error)
    assert answer.split(b"\r")[2].split(b"|")[2] == expected


def test_a_sender_of_utf16_is_answered_in_utf16() -> None:
    answer = acknowledge(peek(fixture("quirks/charset_utf16")), AckCode.AA, control_id="B-1", at_us=AT_US)
    assert answer.decode("utf-16-le").endswith("MSA|AA|Q-U16\r")


def test_control_ids_are_returned_byte_for_byte() -> None:
    body = b"MSH|^~\\&|A|B|C|D|1||ADT^A01| \xff\\E\\~x |P|2.5\r"
    answer = acknowledge(peek(body), AckCode.AA, control_id="B-1", at_us=AT_US)
    assert answer.split(b"\r")[1] == b"MSA|AA| \xff\\E\\~x "


def test_table_0357_has_the_codes_of_the_standard() -> None:
    assert ",".join(TABLE_0357) == "0,100,101,102,103,200,201,202,203,204,205,206,207"

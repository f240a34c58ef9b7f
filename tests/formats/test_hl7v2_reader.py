"""What reading a message gives: values, the HL7 null, structure, and reasons for refusing."""

from __future__ import annotations

from pathlib import Path

import pytest
from hl7v2_fixtures import WELL_FORMED, fixture

from bridge.formats.hl7v2 import NULL, Charset, Delimiters, Hl7Message, Value

HEAD = b"MSH|^~\\&|EHR|NORTH|||20260304||ADT^A01|1|P|2.5.1\r"


def test_a_message_says_what_it_is() -> None:
    message = Hl7Message.read(fixture("hl7v2/adt_a01"))
    assert message.refused is None
    assert message.problems == ()
    assert message.message_type == "ADT^A01"
    assert message.control_id == "EHR-20260304-000001"
    assert message.version == "2.5.1"
    assert message.processing_id == "P"
    assert message.encoding == "ascii"
    assert message.delimiters == Delimiters.defaults()
    names = ",".join(segment.name for segment in message.segments)
    assert names == "MSH,EVN,PID,PD1,NK1,PV1,AL1,DG1,IN1"
    assert [segment.index for segment in message.segments] == list(range(9))


@pytest.mark.parametrize("header", [b"ACK", b"ACK^", b"ACK^^ACK"])
def test_a_message_type_without_event_is_the_code_alone(header: bytes) -> None:
    assert Hl7Message.read(b"MSH|^~\\&|A|B|||1||" + header + b"|7|P|2.3\r").message_type == "ACK"


VALUES: list[tuple[tuple[str, int, int, int, int, int], Value]] = [
    # segment, field, repetition, component, subcomponent, occurrence
    (("MSH", 1, 1, 1, 1, 1), "|"),
    (("MSH", 2, 1, 1, 1, 1), "^~\\&"),
    (("MSH", 2, 1, 2, 1, 1), None),
    (("MSH", 2, 2, 1, 1, 1), None),
    (("MSH", 3, 1, 1, 1, 1), "EHR"),
    (("MSH", 4, 1, 1, 1, 1), "NORTH"),
    (("MSH", 9, 1, 2, 1, 1), "A08"),
    (("PID", 3, 1, 1, 1, 1), "100234"),
    (("PID", 3, 1, 5, 1, 1), "MR"),
    (("PID", 3, 2, 1, 1, 1), "8876512"),
    (("PID", 3, 3, 1, 1, 1), None),
    (("PID", 3, 0, 1, 1, 1), None),
    (("PID", 3, -1, 1, 1, 1), None),
    (("PID", 3, 1, 0, 1, 1), None),
    (("PID", 3, 1, 1, 2, 1), None),
    (("PID", 0, 1, 1, 1, 1), None),
    (("PID", -1, 1, 1, 1, 1), None),
    (("PID", 99, 1, 1, 1, 1), None),
    (("PID", 2, 1, 1, 1, 1), None),
    (("PID", 18, 1, 1, 1, 1), "A-500781"),
    (("PID", 14, 1, 1, 1, 1), NULL),
    (("PID", 14, 1, 3, 1, 1), NULL),
    (("PID", 14, 2, 1, 1, 1), None),
    (("PID", 17, 1, 1, 1, 1), NULL),
    (("PV1", 19, 1, 1, 1, 1), "V-100234-1"),
    (("AL1", 5, 1, 1, 1, 1), "Hives & swelling"),
    (("AL1", 3, 1, 2, 1, 2), "Tree nuts"),
    (("AL1", 3, 1, 2, 1, 3), None),
    (("AL1", 3, 1, 2, 1, 0), None),
    (("ZPV", 2, 1, 1, 1, 1), "VIP|no"),
    (("ZZZ", 1, 1, 1, 1, 1), None),
]


@pytest.mark.parametrize(("path", "expected"), VALUES)
def test_a_value_is_the_unescaped_leaf(path: tuple[str, int, int, int, int, int], expected: Value) -> None:
    message = Hl7Message.read(fixture("hl7v2/adt_a08"))
    segment, field, repetition, component, subcomponent, occurrence = path
    found = message.value(segment, field, repetition, component, subcomponent, occurrence)
    assert found == expected
    assert (found is NULL) == (expected is NULL)


NULLS: list[tuple[bytes, tuple[int, int, int], Value]] = [
    (b'""', (1, 1, 1), NULL),
    (b'""', (1, 4, 1), NULL),
    (b'""', (2, 1, 1), None),
    (b"", (1, 1, 1), None),
    (b'a~""', (2, 1, 1), NULL),
    (b'a~""', (1, 1, 1), "a"),
    (b'a^""', (1, 2, 1), NULL),
    (b'a^""', (1, 2, 5), NULL),
    (b'a^""', (1, 3, 1), None),
    (b'a&""', (1, 1, 2), NULL),
    (b'""x', (1, 1, 1), '""x'),
    (b'"', (1, 1, 1), '"'),
    (b"\\X2222\\", (1, 1, 1), '""'),
    (b"a^^c", (1, 2, 1), None),
    (b"~b", (1, 1, 1), None),
]


@pytest.mark.parametrize(("field", "path", "expected"), NULLS)
def test_null_empty_and_value_are_three_things(
    field: bytes, path: tuple[int, int, int], expected: Value
) -> None:
    assert Hl7Message.read(HEAD + b"PID|" + field + b"|x\r").value("PID", 1, *path) == expected


def test_the_null_is_falsy_and_says_null() -> None:
    assert not NULL
    assert repr(NULL) == str(NULL) == "NULL"


def test_a_segment_gives_raw_fields_and_repetitions() -> None:
    pid = Hl7Message.read(fixture("hl7v2/adt_a01")).named("PID")[0]
    assert pid.field(3) == "100234^^^NORTH^MR~8876512^^^PAYER^NI"
    assert pid.repetitions(3) == ("100234^^^NORTH^MR", "8876512^^^PAYER^NI")
    assert pid.repetitions(2) == ()
    assert pid.field(0) == pid.field(-1) == pid.field(500) == ""
    assert pid.fields_count == 31
    assert "Marlow" not in repr(pid)


def test_msh_counts_its_separator_as_the_first_field() -> None:
    msh = Hl7Message.read(HEAD).named("MSH")[0]
    assert [msh.field(number) for number in (1, 2, 3)] == ["|", "^~\\&", "EHR"]
    assert msh.repetitions(2) == ("^~\\&",)
    assert msh.fields_count == 12


def test_repeated_segments_keep_their_order() -> None:
    message = Hl7Message.read(fixture("hl7v2/oru_r01"))
    assert [segment.field(1) for segment in message.named("OBX")] == [str(n) for n in range(1, 21)]
    assert message.value("OBX", 5, occurrence=20) == (
        "Leukocytes raised.\nCRP high & rising; repeat in 24 h.\nSample 3^4 of day"
    )
    assert message.named("OBX") is message.named("OBX")
    assert message.named("") == message.named("ZZZ") == ()


@pytest.mark.parametrize("path", WELL_FORMED, ids=lambda path: path.stem)
@pytest.mark.parametrize(("end", "noticed"), [(b"\n", "lf-line-ends"), (b"\r\n", "crlf-line-ends")])
def test_line_ends_change_no_value_and_are_noticed(path: Path, end: bytes, noticed: str) -> None:
    body = path.read_bytes()
    expected, found = Hl7Message.read(body), Hl7Message.read(body.replace(b"\r", end))
    assert [segment.serialise() for segment in found.segments] == [
        segment.serialise() for segment in expected.segments
    ]
    assert [problem.code for problem in found.problems] == [noticed]


REFUSED = [
    (b"", "empty"),
    (b"\x0b\x1c\r", "empty"),
    (b"\xef\xbb\xbf\r\n", "empty"),
    (b"hello", "no-msh"),
    (b"PID|1\rMSH|^~\\&|A\r", "no-msh"),
    (b"msh|^~\\&|A\r", "no-msh"),
    (b"FHS|^~\\&\rBHS|^~\\&\rMSH|^~\\&|A\r", "batch"),
    (b"MSH", "bad-delimiters"),
    (b"MSH\rPID|1\r", "bad-delimiters"),
    (b"MSH\n", "bad-delimiters"),
    (b"MSHX^~\\&XA\r", "bad-delimiters"),
    (b"MSH1^~\\&1A\r", "bad-delimiters"),
    (b"MSH ^~\\& A\r", "bad-delimiters"),
    (b"MSH\t^~\\&\tA\r", "bad-delimiters"),
    (b"MSH\x00^~\\&\x00A\r", "bad-delimiters"),
    (b"MSH\xa7^~\\&\xa7A\r", "bad-delimiters"),
    (b"MSH|^^\\&|A\r", "bad-delimiters"),
    (b"MSH|^~^&|A\r", "bad-delimiters"),
    (b"MSH&^~\\&&A\r", "bad-delimiters"),
    (b"MSH|A~\\&|A\r", "bad-delimiters"),
    (b"MSH|^ \\&|A\r", "bad-delimiters"),
    (b"MSH|EHR|NORTH|\r", "bad-delimiters"),
]


@pytest.mark.parametrize(("body", "code"), REFUSED)
def test_what_cannot_be_taken_apart_is_refused_with_a_reason(body: bytes, code: str) -> None:
    message = Hl7Message.read(body)
    assert message.refused is not None
    assert message.refused.code == code
    assert message.refused.text
    assert message.segments == message.named("MSH") == ()
    assert message.value("MSH", 9) is None
    assert message.message_type == message.control_id == message.version == ""
    assert message.serialise() == message.raw == body


DELIMITERS: list[tuple[bytes, Delimiters]] = [
    (b"MSH|^~\\&|", Delimiters("|", "^", "~", "\\", "&")),
    (b"MSH|^~\\&#|", Delimiters("|", "^", "~", "\\", "&", "#")),
    (b"MSH||", Delimiters("|", "^", "~", "\\", "&")),
    (b"MSH|^|", Delimiters("|", "^", "~", "\\", "&")),
    (b"MSH|^~|", Delimiters("|", "^", "~", "\\", "&")),
    (b"MSH|^~\\|", Delimiters("|", "^", "~", "\\", "&")),
    (b"MSH|^~&|", Delimiters("|", "^", "~", "\\", "&")),
    (b"MSH|@|", Delimiters("|", "@", "~", "\\", "&")),
    (b"MSH|^~\\&^~\\&|", Delimiters("|", "^", "~", "\\", "&")),
    (b"MSH:;~\\!:", Delimiters(":", ";", "~", "\\", "!")),
    (b"MSH#*~\\&#", Delimiters("#", "*", "~", "\\", "&")),
    (b"MSH|^~\\&", Delimiters("|", "^", "~", "\\", "&")),
]


@pytest.mark.parametrize(("start", "expected"), DELIMITERS)
def test_delimiters_are_those_of_the_message(start: bytes, expected: Delimiters) -> None:
    message = Hl7Message.read(start + b"\r")
    assert message.refused is None
    assert message.delimiters == expected


def test_a_segment_name_in_other_delimiters_is_found() -> None:
    message = Hl7Message.read(fixture("quirks/own_delimiters"))
    assert message.value("PID", 3, 1, 5) == "MR"
    assert message.message_type == "ADT^A08"


CHARSETS: list[tuple[Charset, bytes, str, str, str, tuple[str, ...]]] = [
    # channel, MSH-18, codec of the bytes, text of PID-5, codec decided, problems
    (Charset(), b"", "ascii", "Marlow", "ascii", ()),
    (Charset(), b"UNICODE UTF-8", "utf-8", "Müller", "utf-8", ()),
    (Charset(), b"utf8", "utf-8", "Müller", "utf-8", ()),
    (Charset(), b"8859/1", "latin-1", "Müller", "iso8859-1", ()),
    (Charset(), b"8859/2", "iso8859-2", "Łódź", "iso8859-2", ()),
    (Charset(), b"8859/5", "iso8859-5", "Иванов", "iso8859-5", ()),
    (Charset(), b"8859/15", "iso8859-15", "Müller €", "iso8859-15", ()),
    (Charset(), b"WINDOWS-1252", "cp1252", "Müller – x", "cp1252", ()),
    (Charset(), b"GB 18030-2000", "gb18030", "李明", "gb18030", ()),
    (Charset(), b"BIG-5", "big5", "李明", "big5", ()),
    (Charset(), b"ASCII", "utf-8", "Müller", "utf-8", ("charset-mismatch",)),
    (Charset(), b"UNICODE UTF-8", "cp1252", "Müller – x", "cp1252", ("charset-mismatch",)),
    (Charset(), b"UNICODE UTF-16", "utf-8", "Müller", "utf-8", ("charset-mismatch",)),
    (Charset(), b"KLINGON", "utf-8", "Müller", "utf-8", ("charset-unknown",)),
    (Charset(), b"", "utf-8", "Müller", "utf-8", ("charset-assumed",)),
    (Charset(), b"", "cp1252", "Müller", "cp1252", ("charset-assumed",)),
    (Charset(fallback=("iso-8859-5",)), b"", "iso8859-5", "Иванов", "iso8859-5", ("charset-assumed",)),
    (Charset(fallback=()), b"", "latin-1", "Müller", "iso8859-1", ("charset-assumed",)),
    (Charset(fallback=("no-such-codec",)), b"", "latin-1", "Mü", "iso8859-1", ("charset-assumed",)),
    (Charset("windows-1252"), b"UNICODE UTF-8", "cp1252", "Müller", "cp1252", ()),
    (Charset("utf-8"), b"8859/1", "latin-1", "Müller", "iso8859-1", ("charset-mismatch",)),
    (Charset("no-such-codec"), b"", "utf-8", "Müller", "utf-8", ("charset-mismatch",)),
    (Charset("utf-16"), b"", "utf-16-le", "Müller", "utf-16-le", ()),
    (Charset("utf-16"), b"", "utf-16-be", "Müller", "utf-16-be", ()),
    (Charset(), b"", "utf-16-be", "Müller", "utf-16-be", ()),
    (Charset(), b"", "utf-32-le", "Müller", "utf-32-le", ()),
    (Charset("utf-8"), b"", "utf-16-le", "Müller", "utf-16-le", ("charset-mismatch",)),
    (Charset("cp037"), b"", "cp037", "Marlow", "cp037", ()),
    (Charset(), b"~ISO IR87", "iso2022_jp_ext", "山田", "iso2022_jp_ext", ("iso-2022",)),
]


@pytest.mark.parametrize(("charset", "named", "codec", "name", "decided", "codes"), CHARSETS)
def test_the_character_set_is_decided_in_order(
    charset: Charset, named: bytes, codec: str, name: str, decided: str, codes: tuple[str, ...]
) -> None:
    head = f"MSH|^~\\&|EHR|NORTH|||1||ADT^A01|1|P|2.5.1||||||{named.decode()}\r"
    body = f"{head}PID|1||100234||{name}^Ines\r".encode(codec)
    message = Hl7Message.read(body, charset)
    assert message.refused is None
    assert message.encoding == decided
    assert message.value("PID", 5) == name
    assert tuple(problem.code for problem in message.problems) == codes
    assert message.serialise() == body


def test_a_charset_with_two_spellings_still_gives_the_bytes() -> None:
    body = b"MSH|^~\\&|A|B|||1||ADT^A01|1|P|2.5.1||||||~ISO IR87\rPID|1||\x1b$B\x1b(B\r"
    message = Hl7Message.read(body)
    assert [problem.code for problem in message.problems] == ["iso-2022", "charset-lossy"]
    assert message.serialise() == body


@pytest.mark.parametrize("secret", ["Marlow", "100234"])
def test_no_problem_shows_a_value(secret: str) -> None:
    bodies = [f"{secret}|x", f"MSH|^~\\&|A\r{secret}|x\r{secret}\r", f"MSH|{secret}|", f"MSH{secret}"]
    for body in bodies:
        message = Hl7Message.read(body.encode())
        problems = [*message.problems, *([message.refused] if message.refused else [])]
        assert problems
        assert secret not in repr(problems)

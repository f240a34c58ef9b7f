"""What holds for every message and for any bytes at all."""

from __future__ import annotations

from hl7v2_fixtures import QUIRKS, WELL_FORMED
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.formats.hl7v2 import Charset, Hl7Message
from bridge.formats.hl7v2_ack import AckCode, AckError, acknowledge, peek
from bridge.formats.hl7v2_check import check_file
from bridge.formats.hl7v2_tree import named_tree

AT_US = 1_772_618_102_000_000
SEEDS = [path.read_bytes() for path in (*WELL_FORMED, *QUIRKS)]
PIECES = (
    b"MSH|^~\\&|",
    b"MSH",
    b"MSH:;~\\!:",
    b"\rPID|",
    b"\nPID|",
    b"\r\nOBX|",
    b"\nMSH|^~\\&|A",
    b"\r",
    b"\n",
    b"\x0b",
    b"\x1c",
    b"\x1c\r",
    b"\x1a",
    b"\0",
    b"\xef\xbb\xbf",
    b"\xff\xfe",
    b"|",
    b"^",
    b"~",
    b"\\",
    b"&",
    b'""',
    b"\\T\\",
    b"|||||||ADT^A01|1|P|2.5.1||||||8859/1",
    b"\xc3\xa9",
    b"\xe9",
    b"\x1b$B",
    b"BHS|^~\\&|",
    b"text ",
)
CHARSETS = st.sampled_from(
    [Charset(), Charset("utf-8"), Charset("cp1252"), Charset("utf-16"), Charset("big5")]
)
COMPOSED = st.lists(st.sampled_from(PIECES) | st.binary(max_size=3), max_size=20).map(b"".join)
MESSAGES = COMPOSED.map(lambda rest: b"MSH|^~\\&|" + rest)


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """A fixture with some bytes cut out, put in or changed."""
    body = bytearray(draw(st.sampled_from(SEEDS)))
    for _ in range(draw(st.integers(1, 6))):
        at = draw(st.integers(0, len(body)))
        body[at : at + draw(st.integers(0, 4))] = draw(st.sampled_from(PIECES) | st.binary(max_size=2))
    return bytes(body)


ANYTHING = st.binary(max_size=60) | COMPOSED | MESSAGES | damaged()


@given(ANYTHING, CHARSETS)
@example(b"", Charset())
@example(b"MSH|\x1c", Charset())
@example(b"MSH|^~\\&|\xff\xfe", Charset("utf-16"))
def test_reading_never_fails_and_gives_the_bytes_back(body: bytes, charset: Charset) -> None:
    message = Hl7Message.read(body, charset)
    assert message.raw == body
    assert message.serialise() == body
    for segment in message.segments:
        for number in range(-1, segment.fields_count + 2):
            segment.value(number, 1, 2)
            segment.repetitions(number)
    assert message.serialise() == body
    assert (message.refused is None) == bool(message.segments)
    assert all(problem.code and problem.text for problem in message.problems)
    assert message.message_type is not None


@given(ANYTHING)
def test_peeking_agrees_with_reading(body: bytes) -> None:
    peeked, message = peek(body), Hl7Message.read(body)
    if peeked.wide:
        return
    # Switching of character sets shows behind MSH only: such a message is taken, and then in quarantine.
    if message.refused is not None and message.refused.code == "iso-2022-unreadable":
        return
    assert peeked.readable == (message.refused is None)
    if peeked.readable:
        msh = message.named("MSH")[0]
        # A frame byte inside MSH ends what is peeked at, and is data for the reader.
        if "\x1c" not in msh.serialise() and message.encoding in {"ascii", "utf-8", "iso8859-1", "cp1252"}:
            assert peeked.control_id.decode(message.encoding) == msh.field(10)
            assert peeked.charset.decode(message.encoding) == msh.field(18)


@given(ANYTHING, st.sampled_from(AckCode), st.none() | st.builds(AckError, st.text(), st.text(), st.text()))
def test_every_answer_is_a_message_that_can_be_read(
    body: bytes, code: AckCode, error: AckError | None
) -> None:
    peeked = peek(body)
    answer = acknowledge(peeked, code, control_id="B-1", at_us=AT_US, error=error)
    found = Hl7Message.read(answer)
    assert found.refused is None
    assert found.value("MSA", 1) == code
    if not peeked.wide and _plain(peeked.control_id):
        assert found.named("MSA")[0].field(2).encode() == peeked.control_id
    assert answer.endswith(b"\r" if not peeked.wide else "\r".encode(peeked.wide))


def _plain(text: bytes) -> bool:
    return all(0x20 <= byte < 0x7F for byte in text)


@given(st.lists(ANYTHING, max_size=3).map(b"\r".join))
def test_checking_a_file_never_fails_and_counts_everything(data: bytes) -> None:
    found = check_file(data)
    assert found.messages >= 1
    assert found.refused == sum(found.reasons.values())
    assert found.problems <= found.read
    assert found.reproduced == found.read


@given(ANYTHING)
def test_a_tree_is_given_or_a_reason(body: bytes) -> None:
    tree = named_tree(body)
    assert tree.segments or tree.problems

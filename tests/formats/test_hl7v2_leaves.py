"""Every value of a message with its place and its bytes, and a message that notes what is read of it."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from fuzzing import changed
from hl7v2_fixtures import QUIRKS, WELL_FORMED, fixture
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.formats.hl7v2_leaves import Leaf, RecordedMessage, leaves, text_of

FILES = [*WELL_FORMED, *QUIRKS]
BODIES = [path.read_bytes() for path in FILES]
CHANGED = changed(BODIES, (b"|", b"^", b"~", b"&", b"\\", b"\r", b'""', b"\n", b"\xc3\xa9", b"MSH"))

SMALL = rb"MSH|^~\&|HIS|NORTH|||20240102||ADT^A01|1|P|2.5" + (
    b'\rPID|1||7^^^N&U^MR~8||Mu\xc3\xb1oz^Ana~X^Y||""|F\rNTE|1\rNTE|2||caf\xc3\xa9\r'
)


def read(body: bytes) -> RecordedMessage:
    return RecordedMessage.of(Hl7Message.read(body))


PLACES = {
    "MSH-1": ("|", 3, 1),
    "MSH-2": ("^~\\&", 4, 4),
    "MSH-9.2": ("A01", 35, 3),
    "PID-3(1).4": ("N", 58, 1),
    "PID-3(1).4.2": ("U", 60, 1),
    "PID-3(2)": ("8", 65, 1),
    "PID-5(1).1": ("Muñoz", 68, 6),
    "PID-5(1).2": ("Ana", 75, 3),
    "PID-7": (NULL, 84, 2),
    "PID-8": ("F", 87, 1),
    "NTE-1": ("1", 93, 1),
    "NTE[2]-3": ("café", 102, 5),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_leaf_has_its_place_its_value_and_its_bytes(place: str) -> None:
    message = read(SMALL)
    (leaf,) = [each for each in leaves(message) if each.place == place]
    assert (text_of(message, leaf), leaf.start, leaf.size) == PLACES[place]


def test_a_line_that_is_no_segment_is_a_leaf_too() -> None:
    message = read(b"MSH|^~\\&|A\rNTE|1\rthe rest of a note\rOBXX|1\r")
    (line, name) = [leaf for leaf in leaves(message) if leaf.field == 0]
    assert (text_of(message, line), line.start, line.size) == ("the rest of a note", 17, 18)
    assert text_of(message, name) == "OBXX"


def test_where_bytes_cannot_be_told_a_leaf_says_so() -> None:
    message = read(fixture("quirks/charset_iso2022_jp"))
    told = {leaf.start is None for leaf in leaves(message)}
    assert told == {not message.parts().reversible}


def test_what_was_refused_has_no_leaves() -> None:
    assert list(leaves(read(b"no message"))) == []


@settings(max_examples=150)
@given(CHANGED)
def test_nothing_that_a_message_says_is_outside_of_its_leaves(body: bytes) -> None:
    """What is left of a message without its leaves is delimiters and the names of its segments."""
    message = Hl7Message.read(body)
    if message.refused is not None or not message.parts().reversible:
        return
    left = bytearray(body)
    for leaf in leaves(message):
        assert leaf.start is not None
        assert leaf.size > 0
        before = bytes(left[leaf.start : leaf.start + leaf.size])
        assert len(before) == leaf.size
        assert b"\xff" not in before or message.encoding not in ("ascii", "utf-8"), "two leaves share a byte"
        left[leaf.start : leaf.start + leaf.size] = b"\xff" * leaf.size
    if message.encoding not in ("ascii", "utf-8"):
        return
    given = message.delimiters
    signs = {given.field, given.component, given.repetition, given.subcomponent}
    parts = message.parts()
    text = bytes(left[len(parts.before) : len(left) - len(parts.after)])
    for line, segment in zip(
        [each for each in _lines(text, parts.lines) if each.decode("utf-8", "replace").strip()],
        message.segments,
        strict=False,
    ):
        rest = line.replace(b"\xff", b"").decode(message.encoding)
        assert set(rest.replace(segment.name, "", 1).strip()) <= signs


def _lines(text: bytes, lines: tuple[tuple[str, str, str], ...]) -> list[bytes]:
    found, at = [], 0
    for _, line, end in lines:
        size = len(line.encode("utf-8"))
        found.append(text[at : at + size])
        at += size + len(end)
    return found


@settings(max_examples=150)
@given(CHANGED, st.data())
def test_a_recorded_message_says_what_every_other_says(body: bytes, data: st.DataObject) -> None:
    plain = Hl7Message.read(body)
    message = RecordedMessage.of(plain)
    assert message.refused == plain.refused
    if message.refused is not None:
        return
    numbers = st.integers(1, 4)
    for segment, recorded in zip(plain.segments, message.segments, strict=True):
        at = (data.draw(st.integers(1, 9)), data.draw(numbers), data.draw(numbers), data.draw(numbers))
        assert recorded.value(*at) == segment.value(*at)
    assert message.serialise() == plain.serialise()
    assert message.message_type == plain.message_type


@settings(max_examples=100)
@given(CHANGED)
def test_what_is_read_is_noted_and_nothing_else(body: bytes) -> None:
    plain = Hl7Message.read(body)
    for leaf in list(leaves(plain))[:60]:
        if not leaf.field:
            continue
        message = RecordedMessage.of(plain)
        message.segments[leaf.index].value(leaf.field, leaf.repetition, leaf.component, leaf.subcomponent)
        assert list(message.read_leaves) == [leaf]


def places(message: RecordedMessage) -> list[str]:
    return [leaf.place for leaf in message.read_leaves]


READINGS: dict[str, tuple[Callable[[RecordedMessage], object], list[str]]] = {
    "a component of a field that is NULL": (lambda m: m.value("PID", 7, 1, 3), ["PID-7"]),
    "a repetition taken apart": (
        lambda m: list(m.named("PID")[0].each_repetition(3))[1].value(1, 1, 1),
        ["PID-3(2)"],
    ),
    "a field as it stands": (
        lambda m: m.named("PID")[0].field(5),
        ["PID-5(1).1", "PID-5(1).2", "PID-5(2).1", "PID-5(2).2"],
    ),
    "a whole repetition": (
        lambda m: next(m.named("PID")[0].each_repetition(5)).field(1),
        ["PID-5(1).1", "PID-5(1).2"],
    ),
    "a segment as it stands": (lambda m: m.named("NTE")[1].serialise(), ["NTE[2]-1", "NTE[2]-3"]),
    "what is not there": (lambda m: m.value("PID", 30), []),
    "its type": (lambda m: m.message_type, ["MSH-9.1", "MSH-9.2"]),
}


@pytest.mark.parametrize("what", READINGS)
def test_every_way_of_reading_is_noted(what: str) -> None:
    message = read(SMALL)
    reading, expected = READINGS[what]
    reading(message)
    assert places(message) == expected


def test_whoever_copies_a_message_reads_all_of_it() -> None:
    message = read(SMALL)
    message.parts()
    assert list(message.read_leaves) == list(leaves(message))


def test_each_reading_is_told_also_a_second_one() -> None:
    message = read(SMALL)
    told: list[Leaf] = []
    message.on_read = told.append
    message.value("PID", 8)
    message.value("PID", 8)
    assert [leaf.place for leaf in told] == ["PID-8", "PID-8"]
    assert len(message.read_leaves) == 1

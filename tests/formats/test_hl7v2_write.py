"""Messages that are written: a copy but for what was changed, or a new one, in whatever delimiters."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hl7v2_fixtures import QUIRKS, WELL_FORMED
from hypothesis import example, given
from hypothesis import strategies as st

from bridge.formats.hl7v2 import NULL, Charset, Delimiters, Hl7Message, Value
from bridge.formats.hl7v2_check import split_messages
from bridge.formats.hl7v2_delimiters import declared_delimiters
from bridge.formats.hl7v2_tree import named_tree
from bridge.formats.hl7v2_write import (
    Hl7Draft,
    NotReversible,
    NotWritable,
    Place,
    PlaceMissing,
    SeveralPlaces,
    charset_written,
    encoding_characters,
)

BODY = (
    b"MSH|^~\\&|A|B|||2024||ADT^A01|7|P|2.5\rPID|1||11^^^N^PI~22^^^N^MR||DOE^JON\rNK1|1|X\rNK1|2|Y\rZPI|1\r"
)
FIXTURES = [
    message
    for path in (*WELL_FORMED, *QUIRKS)
    for message in (path.read_bytes(), *split_messages(path.read_bytes()))
]
SIGNS = [chr(code) for code in range(0x21, 0x7F) if not chr(code).isalnum()]


def written(draft: Hl7Draft) -> bytes:
    return draft.write(codec=None, delimiters=None).body


def test_a_copy_of_which_nothing_is_changed_is_every_message_of_the_fixtures() -> None:
    read = [Hl7Message.read(body) for body in FIXTURES]
    tried = [message for message in read if message.refused is None]
    assert len(tried) > 20
    for message in tried:
        assert written(Hl7Draft.copy(message)) == message.raw


def test_a_copy_of_which_one_field_is_changed_differs_there_alone() -> None:
    for message in map(Hl7Message.read, FIXTURES):
        if message.refused is not None or not message.parts().reversible:
            continue
        draft = Hl7Draft.copy(message)
        draft.put(draft.spot(Place("MSH", 10, 1)), "CHANGED-10")
        before, after = message.parts(), Hl7Message.read(written(draft), Charset(message.encoding)).parts()
        assert (after.before, after.rest, after.after) == (before.before, before.rest, before.after)
        assert after.lines[1:] == before.lines[1:]
        assert after.lines[0][2] == before.lines[0][2]
        separator = message.delimiters.field
        old, new = before.lines[0][1].split(separator), after.lines[0][1].split(separator)
        assert new[9] == "CHANGED-10"
        assert (new[:9], new[10:]) == (old[:9], old[10:])


PID = b"PID|1||11^^^N^PI~22^^^N^MR||"
NUMBERS = b"11^^^N^PI~22^^^N^MR"
SETS: list[tuple[str, Place, Value, bytes]] = [
    ("a component", Place("PID", 5, 1, 1), "ROE", PID + b"ROE^JON"),
    ("a component that is new", Place("PID", 5, 1, 4), "DR", PID + b"DOE^JON^^DR"),
    ("a subcomponent", Place("PID", 5, 1, 1, 2), "VAN", PID + b"DOE&VAN^JON"),
    ("a repetition", Place("PID", 5, 1), "ROE", PID + b"ROE"),
    ("a repetition that is new", Place("PID", 5, 2, 1), "ROE", PID + b"DOE^JON~ROE"),
    ("by what stands in it", Place("PID", 3, (5, "MR"), 4), "S", b"PID|1||11^^^N^PI~22^^^S^MR||DOE^JON"),
    ("a field further on", Place("PID", 8, 1), "F", PID + b"DOE^JON|||F"),
    ("nothing", Place("PID", 5, 1, 2), None, PID + b"DOE^"),
    ("nothing where nothing is", Place("PID", 30, 1), None, PID + b"DOE^JON"),
    ("the HL7 null", Place("PID", 5, 1), NULL, PID + b'""'),
    ("two quotation marks", Place("PID", 5, 1), '""', PID + b"\\X2222\\"),
    ("delimiters", Place("PID", 5, 1), "a|b^c~d\\e&f",
     PID + b"a\\F\\b\\S\\c\\R\\d\\E\\e\\T\\f"),
    ("a line end and frame bytes", Place("PID", 5, 1), "a\rb\x1c\rc", PID + b"a\\X0D\\b\\X1C\\\\X0D\\c"),
]  # fmt: skip


@pytest.mark.parametrize(("place", "value", "line"), [row[1:] for row in SETS], ids=[row[0] for row in SETS])
def test_setting_changes_one_place(place: Place, value: Value, line: bytes) -> None:
    draft = Hl7Draft.copy(Hl7Message.read(BODY))
    draft.put(draft.spot(place), value)
    lines = BODY.split(b"\r")
    lines[1] = line
    assert written(draft) == b"\r".join(lines)


REMOVES: list[tuple[str, list[Place], Callable[[bytes], bytes]]] = [
    ("a segment", [Place("NK1")], lambda body: body.replace(b"NK1|1|X\rNK1|2|Y\r", b"")),
    ("the site's own", [Place("Z*")], lambda body: body.replace(b"ZPI|1\r", b"")),
    ("a field of all segments", [Place("NK1", 2)],
     lambda body: body.replace(b"|X", b"|").replace(b"|Y", b"|")),
    ("a field with its repetitions", [Place("PID", 3)], lambda body: body.replace(NUMBERS, b"")),
    ("a repetition", [Place("PID", 3, (5, "PI"))], lambda body: body.replace(b"11^^^N^PI~", b"")),
    ("two of them", [Place("PID", 3, 1), Place("PID", 3, 2)],
     lambda body: body.replace(NUMBERS, b"")),
    ("a component everywhere", [Place("PID", 3, None, 4)], lambda body: body.replace(b"^^^N^", b"^^^^")),
    ("what is not there", [Place("PV1"), Place("PID", 40), Place("PID", 3, 7)], lambda body: body),
]  # fmt: skip


@pytest.mark.parametrize(
    ("places", "expected"), [row[1:] for row in REMOVES], ids=[row[0] for row in REMOVES]
)
@pytest.mark.parametrize("ends", [b"\r", b"\n", b"\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_removing_leaves_the_rest(
    places: list[Place], expected: Callable[[bytes], bytes], ends: bytes, last: bool
) -> None:
    body = (BODY if last else BODY[:-1]).replace(b"\r", ends)
    draft = Hl7Draft.copy(Hl7Message.read(body))
    draft.remove([spot for place in places for spot in draft.everywhere(place)])
    wanted = expected(BODY)
    assert written(draft) == (wanted if last else wanted[:-1]).replace(b"\r", ends)


@pytest.mark.parametrize("last", [True, False])
def test_new_segments_stand_after_those_that_are_named_or_at_the_end(last: bool) -> None:
    draft = Hl7Draft.copy(Hl7Message.read(BODY if last else BODY[:-1]))
    draft.append("ZA1", None, [(Place("ZA1", 2, 1, 2), "x&y")])
    draft.append("NTE", "NK1", [(Place("NTE", 1, 1), "1")])
    draft.append("NTE", "NK1", [(Place("NTE", 1, 1), "2")])
    draft.append("ZA2", None, [(Place("ZA2", 1, 1), NULL)])
    wanted = BODY.replace(b"ZPI|1\r", b'NTE|1\rNTE|2\rZPI|1\rZA1||^x\\T\\y\rZA2|""\r')
    assert written(draft) == (wanted if last else wanted[:-1])
    with pytest.raises(PlaceMissing):
        draft.append("NTE", "PV1", [])


def test_what_is_not_there_or_there_twice_is_told() -> None:
    draft = Hl7Draft.copy(Hl7Message.read(BODY))
    for place in (Place("PV1", 2, 1), Place("PID", 3, (5, "SS"), 1)):
        with pytest.raises(PlaceMissing):
            draft.spot(place)
    with pytest.raises(SeveralPlaces):
        draft.spot(Place("PID", 3, (4, "N"), 1))


def test_a_new_message_grows_in_the_order_in_which_its_places_are_asked_for() -> None:
    draft = Hl7Draft.new(Delimiters(":", "^", "~", "!", "&"))
    for place, value in (
        (Place("MSH", 9, 1, 1), "ADT"),
        (Place("PID", 3, 2, 1), "7"),
        (Place("EVN", 1, 1), "a:b"),
        (Place("PID", 1, 1), "1"),
    ):
        draft.put(draft.spot(place), value)
    body = draft.write(codec="utf-8", delimiters=None).body
    assert body == b"MSH:^~!&:::::::ADT:::::::::UNICODE UTF-8\rPID:1::~7\rEVN:a!F!b\r"


def test_other_delimiters_change_no_value() -> None:
    raw = b'MSH|^~\\&|A:B|B\rPID|a!b\\T\\c|\\H\\bold\\N\\ \\.sp2\\ \\X0D0A\\ 50\\|""|x&y^z~w:\\Zlocal\\\r'
    message, target = Hl7Message.read(raw), Delimiters(":", "%", "~", "!", "@")
    written = Hl7Draft.copy(message).write(codec=None, delimiters=target).body
    assert written == (
        b"MSH:%~!@:A!F!B:B\r"
        b'PID:a!E!b&c:!H!bold!N! !.sp2! !X0D0A! 50\\:"":x@y%z~w!F!!Zlocal!\r'
    )  # fmt: skip
    again = Hl7Message.read(written)
    assert again.delimiters == target
    for place in ((1, 1, 1, 1), (3, 1, 1, 1), (4, 1, 1, 1), (4, 1, 1, 2), (4, 1, 2, 1)):
        assert again.value("PID", *place) == message.value("PID", *place)


@pytest.mark.parametrize(
    ("charset", "named", "content"),
    [
        ("utf-8", b"UNICODE UTF-8", "M\u00fcller".encode()),
        ("iso-8859-1", b"8859/1", b"M\xfcller"),
        ("windows-1252", b"WINDOWS-1252", b"M\xfcller"),
    ],
)
def test_another_character_set_is_named_and_used(charset: str, named: bytes, content: bytes) -> None:
    body = "\ufeffMSH|^~\\&|A||||||ADT^A01|1|P|2.5\rPID|M\u00fcller\r".encode()
    draft = Hl7Draft.copy(Hl7Message.read(body))
    result = draft.write(codec=charset_written(charset), delimiters=None)
    assert result.body == b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||" + named + b"\rPID|" + content + b"\r"
    assert Hl7Message.read(result.body).value("PID", 1) == "M\u00fcller"
    assert result.respelt == ()


def test_a_character_set_that_is_named_already_keeps_its_spelling() -> None:
    body = b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||utf8|\r"
    assert Hl7Draft.copy(Hl7Message.read(body)).write(codec="utf-8", delimiters=None).body == body


def test_what_cannot_be_written_is_told_by_its_place_or_spelt_otherwise_and_never_lost() -> None:
    body = "MSH|^~\\&|A|\u00e9|||||ADT^A01|1|P|2.5\rPID|1|M\u00fcller^\\H\\\u4e2d\r".encode()

    def draft() -> Hl7Draft:
        return Hl7Draft.copy(Hl7Message.read(body))

    with pytest.raises(NotWritable) as refused:
        draft().write(codec="ascii", delimiters=None)
    assert refused.value.places == ("MSH-4", "PID-2")
    escaped = draft().write(codec="ascii", delimiters=None, unwritable="escape")
    assert escaped.respelt == ("MSH-4", "PID-2")
    assert b"PID|1|M\\XC3BC\\ller^\\H\\\\XE4B8AD\\\r" in escaped.body
    assert Hl7Message.read(escaped.body).value("PID", 2) == "M\u00fcller"
    replaced = draft().write(codec="iso8859-1", delimiters=None, unwritable="replace")
    assert replaced.respelt == ("PID-2",)
    assert replaced.body.endswith(b"PID|1|M\xfcller^\\H\\?\r")


def test_a_set_with_two_spellings_is_not_changed_in_part() -> None:
    body = b"MSH|^~\\&|A||||||ADT^A01|1|P|2.5||||||ISO IR87\rPID|\x1b$B0!\x1b(B\x1b(B\r"
    message = Hl7Message.read(body)
    assert not message.parts().reversible
    draft = Hl7Draft.copy(message)
    assert written(draft) == body
    draft.put(draft.spot(Place("MSH", 3, 1)), "B")
    with pytest.raises(NotReversible):
        written(draft)
    assert "\u4e9c" in draft.write(codec="utf-8", delimiters=None).body.decode()


def test_sets_whose_bytes_hold_delimiters_are_not_written() -> None:
    assert [charset_written(name) for name in ("utf-16", "big5", "shift_jis", "klingon")] == [None] * 4


@st.composite
def delimiters(draw: st.DrawFn) -> Delimiters:
    signs = draw(st.lists(st.sampled_from(SIGNS), min_size=5, max_size=6, unique=True))
    found = declared_delimiters(signs[0], "".join(signs[1:]))
    assert found is not None
    assert encoding_characters(found) == "".join(signs[1:])
    return found


TEXTS = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=20)


@given(
    TEXTS, delimiters(), st.integers(1, 3), st.none() | st.integers(1, 3), st.sampled_from(["utf-8", "ascii"])
)
@example('""', Delimiters.defaults(), 1, None, "utf-8")
@example("\\.br\\", Delimiters.defaults(), 1, 2, "ascii")
@example("\u00e9\u00e9", Delimiters.defaults(), 1, 2, "ascii")
def test_what_is_set_is_what_is_read(
    text: str, signs: Delimiters, repetition: int, component: int | None, codec: str
) -> None:
    draft = Hl7Draft.new(signs)
    draft.put(draft.spot(Place("PID", 5, repetition, component)), text)
    draft.put(draft.spot(Place("PID", 6, 1)), "end")
    body = draft.write(codec=codec, delimiters=None, unwritable="escape").body
    found = Hl7Message.read(body)
    assert found.delimiters == signs
    assert found.value("PID", 5, repetition, component or 1) == text
    assert found.serialise() == body


@pytest.mark.parametrize("codec", ["utf-8", "iso8859-1", "cp1252"])
@pytest.mark.parametrize("signs", ['-!"#$', "/^~\\&", "|-~\\&", "|^/\\&", "|^~-&", "|^~\\&-"])
def test_a_character_set_is_read_again_whatever_parts_the_message(codec: str, signs: str) -> None:
    found = declared_delimiters(signs[0], signs[1:])
    assert found is not None
    for first, then in ((found, Delimiters.defaults()), (Delimiters.defaults(), found)):
        draft = Hl7Draft.new(first)
        draft.put(draft.spot(Place("PID", 5, 1, 1)), "Jos\u00e9 \x1b(B")
        message = Hl7Message.read(draft.write(codec=codec, delimiters=None).body)
        turned = Hl7Message.read(Hl7Draft.copy(message).write(codec=None, delimiters=then).body)
        for each in (message, turned):
            assert (each.refused, each.problems, each.encoding) == (None, (), codec)


@given(TEXTS, TEXTS, delimiters())
@example("0", "\x1b", Delimiters("-", "!", '"', "#", "$"))
def test_python_hl7_reads_what_is_written(one: str, other: str, signs: Delimiters) -> None:
    draft = Hl7Draft.new(signs)
    values = [(Place("PID", 5, 1, 1), one), (Place("PID", 5, 1, 2), other), (Place("PID", 7, 1, 1), other)]
    values.append((Place("PID", 8, 1), "end"))  # since python-hl7 cuts blanks from a segment's end
    for place, value in values:
        draft.put(draft.spot(place), value)
    (_, segment) = named_tree(draft.write(codec="utf-8", delimiters=None).body).segments
    fields = {field.number: field.repetitions for field in segment.fields}
    assert fields[5] == (((one,), (other,)),)
    assert fields[7] == (((other,),),)


@given(TEXTS, delimiters(), delimiters())
def test_a_value_outlives_any_change_of_delimiters(text: str, source: Delimiters, target: Delimiters) -> None:
    draft = Hl7Draft.new(source)
    draft.put(draft.spot(Place("PID", 5, 1, 2)), text)
    body = draft.write(codec="utf-8", delimiters=None).body
    turned = Hl7Draft.copy(Hl7Message.read(body)).write(codec=None, delimiters=target).body
    assert Hl7Message.read(turned).value("PID", 5, 1, 2) == text
    back = Hl7Draft.copy(Hl7Message.read(turned)).write(codec=None, delimiters=source).body
    assert Hl7Message.read(back).value("PID", 5, 1, 2) == text

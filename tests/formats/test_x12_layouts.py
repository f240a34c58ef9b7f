"""How X12 is laid out in lines: what others write around segments is forgiven, and no value changes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from test_x12_file import GOOD, GS, ISA, remittance, split, whole

from bridge.formats.base import Unsplittable
from bridge.formats.x12 import X12Message
from bridge.formats.x12_wrapped import width_of

FLAT = whole(GOOD, remittance(number=b"0002"))
LINES = FLAT.replace(b"~", b"~\n")


def cut(data: bytes, width: int, line_end: bytes = b"\n") -> bytes:
    """Cut into lines of a width, wherever that is."""
    return line_end.join(data[at : at + width] for at in range(0, len(data), width)) + line_end


def padded(data: bytes, width: int) -> bytes:
    return b"".join(line.ljust(width) + b"\n" for line in data.splitlines())


LAYOUTS = {
    "a blank behind each terminator": FLAT.replace(b"~", b"~ \n"),
    "tabs and blanks before segments": LINES.replace(b"\n", b"\r\n\t  ").rstrip(b"\t "),
    "lines padded to 80": padded(LINES, 80),
    "empty lines between": FLAT.replace(b"~", b"~\r\n \r\n"),
    "cut at 80": cut(FLAT, 80),
    "cut at 80 with CR and LF": cut(FLAT, 80, b"\r\n"),
    "cut at 72 with CR": cut(FLAT, 72, b"\r"),
    "cut at 128": cut(FLAT, 128),
    "a line for each segment, of which long ones are cut at 80": b"".join(
        cut(each + b"~", 80) for each in FLAT.split(b"~") if each
    ),
    "cut at 80 and padded": padded(cut(FLAT, 80), 80),
}


@pytest.mark.parametrize("step", [1, 7, 1_000_000])
@pytest.mark.parametrize("name", LAYOUTS)
def test_a_layout_changes_neither_transactions_nor_counts(name: str, step: int) -> None:
    data = LAYOUTS[name]
    pieces, batches = split(data, step=step)
    plain, expected = split(FLAT)
    assert [piece.body for piece in pieces] == [piece.body for piece in plain]
    assert [(each.kind, each.declared, each.found) for each in batches] == [
        (each.kind, each.declared, each.found) for each in expected
    ]
    assert all(batch.is_right for batch in batches)
    for piece in pieces:
        assert data[piece.offset_bytes :].replace(b"\r", b"").replace(b"\n", b"").startswith(b"ST*835*000")


@pytest.mark.parametrize("name", LAYOUTS)
def test_tools_read_a_layout_as_a_channel_does(name: str) -> None:
    found, plain = X12Message.read_all(LAYOUTS[name]), X12Message.read_all(FLAT)
    assert [each.refused for each in found] == [None, None]
    assert [[(segment.name, segment.elements()) for segment in message.segments] for message in found] == [
        [(segment.name, segment.elements()) for segment in message.segments] for message in plain
    ]


@pytest.mark.parametrize("line_end", [b"", b"\n", b"\r\n  "])
def test_blanks_behind_the_last_element_belong_to_it(line_end: bytes) -> None:
    note = b"NTE*ADD*TAKE TWO  ~"
    data = whole(remittance(segments=10, body=b"CLP*A1*1*152*152.50~" + note + b"NTE*ADD*  MORE~N9*1~"))
    [piece], _ = split(data.replace(b"~", b"~" + line_end))
    assert note in piece.body
    (first, second) = X12Message.read(piece.body).named("NTE")
    assert (first.field(2), second.field(2)) == ("TAKE TWO  ", "  MORE")


TWO = FLAT + FLAT.replace(b"*", b"|")
BODIES = [piece.body for piece in split(TWO)[0]]


@given(st.integers(20, 104), st.sampled_from([b"\n", b"\r\n"]), st.integers(1, 400))
def test_whatever_the_width_the_lines_are_put_together(width: int, line_end: bytes, step: int) -> None:
    """Interchanges that follow each other are cut as one, or each of them by itself."""
    for laid_out in (cut(TWO, width, line_end), cut(FLAT, width, line_end) + TWO[len(FLAT) :]):
        assert [piece.body for piece in split(laid_out, step=step)[0]] == BODIES


@example(241, 1)  # by chance its lines end where segments of the first interchange do
@given(st.integers(106, 512), st.integers(1, 400))
def test_what_is_wider_than_isa_and_too_short_to_be_sure_of_is_never_read_otherwise(
    width: int, step: int
) -> None:
    with suppress(Unsplittable):
        assert [piece.body for piece in split(cut(TWO, width), step=step)[0]] == BODIES


UNEVEN = {
    "words kept whole": cut(FLAT, 80).replace(b"BPR*I*", b"BPR*I\n*"),
    "a line that is longer": cut(FLAT, 80)[:400] + b"X" + cut(FLAT, 80)[400:],
    "a line that is shorter": cut(FLAT, 80)[:400] + cut(FLAT, 80)[401:],
    "one break in a short file": cut(whole(remittance()), 300),
}


@pytest.mark.parametrize("step", [1, 1_000_000])
@pytest.mark.parametrize("name", UNEVEN)
def test_line_ends_that_cannot_be_told_from_values_are_refused_as_what_they_are(name: str, step: int) -> None:
    with pytest.raises(Unsplittable, match="in the middle of") as caught:
        split(UNEVEN[name], step=step)
    assert caught.value.reason == "wrapped-unevenly"


def test_a_line_end_in_a_value_is_no_cut_line() -> None:
    data = ISA + GS + GOOD.replace(b"N1*PR*PAYER~", b"N1*PR*PA\nYER~") + b"GE*1*7~IEA*1*000000905~"
    assert width_of(data + FLAT, is_all=True) == 0
    (piece, *_), _ = split(data + FLAT, step=50)
    assert b"PA\nYER" in piece.body


@pytest.mark.parametrize(
    "isa", [ISA.replace(b"PAYER          ", b"PAYER"), ISA.replace(b"*260301*", b"*20260301*")]
)
def test_an_isa_whose_elements_have_other_widths_is_told_as_that(isa: bytes) -> None:
    data = (isa + FLAT[len(ISA) :]).replace(b"~", b"~\n")
    with pytest.raises(Unsplittable, match="106 characters"):
        split(data)
    (refused,) = X12Message.read_all(data)
    assert refused.refused is not None
    assert "106 characters" in refused.refused.text


def test_interchanges_with_other_separators_in_one_file_are_all_read() -> None:
    other = FLAT.replace(b"*", b"|").replace(b"~", b"!").replace(b":!", b">!")
    found = X12Message.read_all(FLAT + b"\r\n" + other + FLAT)
    assert [each.control_id for each in found] == ["0001", "0002"] * 3
    assert [each.delimiters.field for each in found] == ["*", "*", "|", "|", "*", "*"]

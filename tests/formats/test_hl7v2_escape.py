"""Escape sequences: what they mean, and that nothing is lost in either direction."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.formats.hl7v2_delimiters import Delimiters
from bridge.formats.hl7v2_escape import escape, unescape

STANDARD = Delimiters.defaults()
OTHERS = [STANDARD, Delimiters("|", "^", "~", "\\", "&", "#"), Delimiters(":", ";", "*", ".", "]", "-")]

MEANINGS = [
    ("", ""),
    ("plain", "plain"),
    ("\\F\\\\S\\\\T\\\\R\\\\E\\", "|^&~\\"),
    ("a\\.br\\b", "a\nb"),
    ("\\X41\\", "A"),
    ("\\X0D0A\\", "\r\n"),
    ("\\X0D\\\\X0A\\", "\r\n"),
    ("\\X000d\\", "\r"),
    ("\\XC3A9\\", "é"),
    ("\\XC3\\\\XA9\\", "é"),
    ("\\XE9\\", "é"),
    ("\\X41\\\\XE9\\\\XC3A9\\", "Aéé"),
    ("\\X00\\", "\0"),
    # kept as typed
    ("\\X4\\", "\\X4\\"),
    ("\\X\\", "\\X\\"),
    ("\\XZZ\\", "\\XZZ\\"),
    ("\\f\\", "\\f\\"),
    ("\\P\\", "\\P\\"),
    ("\\H\\T\\N\\", "\\H\\T\\N\\"),
    ("\\.sp2\\\\.in+4\\", "\\.sp2\\\\.in+4\\"),
    ("\\C2842\\\\M2A3B4C\\\\Z1\\", "\\C2842\\\\M2A3B4C\\\\Z1\\"),
    ("50\\", "50\\"),
    ("\\", "\\"),
    ("\\\\", "\\\\"),
    ("C:\\MIME\\file", "C:\\MIME\\file"),
    # a lone one before a good one
    ("50\\ of \\T\\ x", "50\\ of & x"),
    ("end\\E\\", "end\\"),
    ("\\E\\R\\", "\\R\\"),
]


@pytest.mark.parametrize(("text", "expected"), MEANINGS)
def test_a_sequence_becomes_its_characters_or_stays(text: str, expected: str) -> None:
    assert unescape(text, STANDARD) == expected


def test_the_truncation_character_needs_to_be_declared() -> None:
    assert unescape("\\P\\", OTHERS[1]) == "#"
    assert escape("#", OTHERS[1]) == "\\P\\"
    assert escape("#", STANDARD) == "#"


@given(st.sampled_from(OTHERS), st.text() | st.text('|^~\\&#:;*.]-\r\n\x0b\x1c"XFSTRE0Dé'))
def test_escaping_can_be_undone_for_every_text(delimiters: Delimiters, text: str) -> None:
    escaped = escape(text, delimiters)
    assert unescape(escaped, delimiters) == text
    assert not set(escaped) & {delimiters.field, delimiters.component, delimiters.repetition, "\r", "\n"}
    assert escaped != '""'


@given(st.text("\\XFSTREHNC.br0D9 "))
def test_unescaping_never_fails(text: str) -> None:
    unescape(text, STANDARD)


def test_a_long_run_of_escape_characters_takes_no_long_time() -> None:
    assert unescape("\\X41" * 100_001, STANDARD).startswith("AX41A")
    assert unescape("\\" * 100_000, STANDARD) == "\\" * 100_000

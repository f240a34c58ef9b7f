"""What is said to whom: every cell of mode, MSH-15, MSH-16 and fate, and the README's table of them."""

from __future__ import annotations

import re

import pytest
from code_reading import ROOT

from bridge.formats.hl7v2_ack_modes import TABLE_0155, Asked, Fate, Mode, asked, told

FATES = (Fate.DONE, Fate.FAILED, Fate.REFUSED, Fate.UNSTORED)

EXPECTED = """\
mode          MSH-15 MSH-16 done   failed refused unstored
from-message  AL     AL     CA+AA  CA+AE  CR     CE
from-message  AL     NE     CA     CA     CR     CE
from-message  AL     ER     CA     CA+AE  CR     CE
from-message  AL     SU     CA+AA  CA     CR     CE
from-message  AL     --     CA     CA     CR     CE
from-message  AL     ZZ     CA+AA  CA+AE  CR     CE
from-message  NE     AL     +AA    +AE    +AR    +AE
from-message  NE     NE     -      -      -      -
from-message  NE     ER     -      +AE    +AR    +AE
from-message  NE     SU     +AA    -      -      -
from-message  NE     --     -      -      -      -
from-message  NE     ZZ     +AA    +AE    +AR    +AE
from-message  ER     AL     +AA    +AE    CR     CE
from-message  ER     NE     -      -      CR     CE
from-message  ER     ER     -      +AE    CR     CE
from-message  ER     SU     +AA    -      CR     CE
from-message  ER     --     -      -      CR     CE
from-message  ER     ZZ     +AA    +AE    CR     CE
from-message  SU     AL     CA+AA  CA+AE  +AR    +AE
from-message  SU     NE     CA     CA     -      -
from-message  SU     ER     CA     CA+AE  +AR    +AE
from-message  SU     SU     CA+AA  CA     -      -
from-message  SU     --     CA     CA     -      -
from-message  SU     ZZ     CA+AA  CA+AE  +AR    +AE
from-message  --     AL     +AA    +AE    +AR    +AE
from-message  --     NE     -      -      -      -
from-message  --     ER     -      +AE    +AR    +AE
from-message  --     SU     +AA    -      -      -
from-message  --     --     AA     AE     AR     AE
from-message  --     ZZ     +AA    +AE    +AR    +AE
from-message  ZZ     AL     CA+AA  CA+AE  CR     CE
from-message  ZZ     NE     CA     CA     CR     CE
from-message  ZZ     ER     CA     CA+AE  CR     CE
from-message  ZZ     SU     CA+AA  CA     CR     CE
from-message  ZZ     --     CA     CA     CR     CE
from-message  ZZ     ZZ     CA+AA  CA+AE  CR     CE
enhanced      AL     AL     CA+AA  CA+AE  CR     CE
enhanced      AL     NE     CA     CA     CR     CE
enhanced      AL     ER     CA     CA+AE  CR     CE
enhanced      AL     SU     CA+AA  CA     CR     CE
enhanced      AL     --     CA     CA     CR     CE
enhanced      AL     ZZ     CA+AA  CA+AE  CR     CE
enhanced      NE     AL     +AA    +AE    +AR    +AE
enhanced      NE     NE     -      -      -      -
enhanced      NE     ER     -      +AE    +AR    +AE
enhanced      NE     SU     +AA    -      -      -
enhanced      NE     --     -      -      -      -
enhanced      NE     ZZ     +AA    +AE    +AR    +AE
enhanced      ER     AL     +AA    +AE    CR     CE
enhanced      ER     NE     -      -      CR     CE
enhanced      ER     ER     -      +AE    CR     CE
enhanced      ER     SU     +AA    -      CR     CE
enhanced      ER     --     -      -      CR     CE
enhanced      ER     ZZ     +AA    +AE    CR     CE
enhanced      SU     AL     CA+AA  CA+AE  +AR    +AE
enhanced      SU     NE     CA     CA     -      -
enhanced      SU     ER     CA     CA+AE  +AR    +AE
enhanced      SU     SU     CA+AA  CA     -      -
enhanced      SU     --     CA     CA     -      -
enhanced      SU     ZZ     CA+AA  CA+AE  +AR    +AE
enhanced      --     AL     CA+AA  CA+AE  CR     CE
enhanced      --     NE     CA     CA     CR     CE
enhanced      --     ER     CA     CA+AE  CR     CE
enhanced      --     SU     CA+AA  CA     CR     CE
enhanced      --     --     CA     CA     CR     CE
enhanced      --     ZZ     CA+AA  CA+AE  CR     CE
enhanced      ZZ     AL     CA+AA  CA+AE  CR     CE
enhanced      ZZ     NE     CA     CA     CR     CE
enhanced      ZZ     ER     CA     CA+AE  CR     CE
enhanced      ZZ     SU     CA+AA  CA     CR     CE
enhanced      ZZ     --     CA     CA     CR     CE
enhanced      ZZ     ZZ     CA+AA  CA+AE  CR     CE
original      AL     AL     AA     AE     AR     AE
original      AL     NE     AA     AE     AR     AE
original      AL     ER     AA     AE     AR     AE
original      AL     SU     AA     AE     AR     AE
original      AL     --     AA     AE     AR     AE
original      AL     ZZ     AA     AE     AR     AE
original      NE     AL     AA     AE     AR     AE
original      NE     NE     AA     AE     AR     AE
original      NE     ER     AA     AE     AR     AE
original      NE     SU     AA     AE     AR     AE
original      NE     --     AA     AE     AR     AE
original      NE     ZZ     AA     AE     AR     AE
original      ER     AL     AA     AE     AR     AE
original      ER     NE     AA     AE     AR     AE
original      ER     ER     AA     AE     AR     AE
original      ER     SU     AA     AE     AR     AE
original      ER     --     AA     AE     AR     AE
original      ER     ZZ     AA     AE     AR     AE
original      SU     AL     AA     AE     AR     AE
original      SU     NE     AA     AE     AR     AE
original      SU     ER     AA     AE     AR     AE
original      SU     SU     AA     AE     AR     AE
original      SU     --     AA     AE     AR     AE
original      SU     ZZ     AA     AE     AR     AE
original      --     AL     AA     AE     AR     AE
original      --     NE     AA     AE     AR     AE
original      --     ER     AA     AE     AR     AE
original      --     SU     AA     AE     AR     AE
original      --     --     AA     AE     AR     AE
original      --     ZZ     AA     AE     AR     AE
original      ZZ     AL     AA     AE     AR     AE
original      ZZ     NE     AA     AE     AR     AE
original      ZZ     ER     AA     AE     AR     AE
original      ZZ     SU     AA     AE     AR     AE
original      ZZ     --     AA     AE     AR     AE
original      ZZ     ZZ     AA     AE     AR     AE
"""
"""``CA+AE``: CA at once, AE later. ``+AE``: nothing at once. ``-``: nothing at all. ``--`` is an empty field,
``ZZ`` one that HL7 table 0155 does not have."""

CELLS = [
    (mode, accept, application, fate, cell)
    for mode, accept, application, *cells in (row.split() for row in EXPECTED.splitlines()[1:])
    for fate, cell in zip(FATES, cells, strict=True)
]


def test_every_combination_is_in_the_table() -> None:
    assert len({cell[:4] for cell in CELLS}) == len(CELLS) == 3 * 6 * 6 * 4


@pytest.mark.parametrize(("mode", "accept", "application", "fate", "expected"), CELLS)
def test_a_sender_is_told_what_it_asked_for_and_nothing_else(
    mode: Mode, accept: str, application: str, fate: Fate, expected: str
) -> None:
    fields = [b"" if field == "--" else field.encode() for field in (accept, application)]
    said = told(asked(mode, *fields), fate)
    first, _, later = expected.strip("-").partition("+")
    assert (said.first or "", said.later or "") == (first, later)


ODD = [
    (b"AL", b"NE", False),
    (b"", b"AL", False),
    (b'""', b'""', False),
    (b" AL ", b"SU", False),
    (b"ZZ", b"NE", True),
    (b"AL", b"al", True),
    (b"AL^X", b"NE", True),
    (b"\xff", b"", True),
]


@pytest.mark.parametrize(("accept", "application", "odd"), ODD)
def test_what_table_0155_does_not_have_is_told_apart(accept: bytes, application: bytes, odd: bool) -> None:
    assert asked("from-message", accept, application).odd is odd


def test_hl7_null_is_an_empty_field() -> None:
    assert asked("from-message", b'""', b'""') == asked("from-message", b"", b"") == Asked(False)


def test_a_channel_in_original_mode_does_not_look_at_the_fields() -> None:
    assert asked("original", b"ZZ", b"AL") == Asked(False)


def test_the_readme_says_what_the_table_says() -> None:
    text = (ROOT / "channels" / "README.md").read_text()
    rows = re.findall(r"^\| (\w\w) \| (\w\w) \| (.*?) \| (.*?) \| (.*?) \| (.*?) \|$", text, re.MULTILINE)
    assert {(row[0], row[1]) for row in rows} == {(a, b) for a in TABLE_0155 for b in TABLE_0155}
    for accept, application, *cells in rows:
        for fate, cell in zip(FATES, cells, strict=True):
            said = told(Asked(True, accept, application), fate)
            assert cell == (" then ".join(filter(None, said)) or "nothing"), (accept, application, fate)

"""Every file in legacy_fixtures/quirks, with what the reader makes of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hl7v2_fixtures import QUIRKS, WELL_FORMED, fixture

from bridge.formats.hl7v2 import NULL, SEGMENTS_MAX, Charset, Hl7Message
from bridge.formats.hl7v2_check import check_file
from bridge.formats.hl7v2_lines import LINES_NOTICED_MAX
from bridge.formats.hl7v2_tolerances import TOLERANCES

PID_5 = "Marlow"

# name: codec, problems as code@path, segments, PID-5.1
READ: dict[str, tuple[str, str, int, str | None]] = {
    "blank_lines": ("ascii", "blank-line@line 2, blank-line@line 4, blank-line@line 7", 4, PID_5),
    "byte_order_mark": ("utf-8", "byte-order-mark@", 4, "Mårlow"),
    "charset_1252_in_utf8": ("cp1252", "charset-mismatch@MSH-18", 4, "Müller – Straße"),
    "charset_8859_1": ("iso8859-1", "", 4, "Müller"),
    "charset_iso2022_jp": ("iso2022_jp_ext", "iso-2022@MSH-18", 4, "ヤマダ"),
    "charset_mixed_bytes": ("iso8859-1", "charset-assumed@MSH-18", 4, None),
    "charset_repeated": ("iso8859-1", "iso-2022@MSH-18", 4, "Müller"),
    "charset_site_name": ("cp1252", "charset-unknown@MSH-18", 4, "Müller"),
    "charset_unknown": ("utf-8", "charset-unknown@MSH-18", 4, "Müller"),
    "charset_utf16": ("utf-16-le", "byte-order-mark@", 4, "Müller"),
    "charset_utf16_named_only": ("cp1252", "charset-mismatch@MSH-18", 4, "Müller"),
    "charset_utf8_named": ("utf-8", "", 4, "Müller"),
    "charset_utf8_unnamed": ("utf-8", "charset-assumed@MSH-18", 4, "Müller"),
    "charset_vendor_name": ("iso8859-15", "", 4, "Müller €"),
    "control_z": ("ascii", "trailing-bytes@", 4, PID_5),
    "empty_msh2": ("ascii", "short-encoding-characters@MSH-2", 4, PID_5),
    "escapes": ("ascii", "", 7, "O&Brien | Co"),
    "framed": ("ascii", "leading-bytes@, trailing-bytes@", 4, PID_5),
    "leading_blanks": ("ascii", "leading-bytes@", 4, PID_5),
    "line_ends_crlf": ("ascii", "crlf-line-ends@", 4, PID_5),
    "line_ends_lf": ("ascii", "lf-line-ends@", 4, PID_5),
    "line_ends_mixed": ("ascii", "mixed-line-ends@", 4, PID_5),
    "line_feed_in_field": ("ascii", "line-feed-in-field@line 5", 5, PID_5),
    "long_msh2": ("ascii", "long-encoding-characters@MSH-2", 4, PID_5),
    "lost_backslash": ("ascii", "short-encoding-characters@MSH-2", 4, PID_5),
    "name_without_separator": ("ascii", "segment-name@line 3", 5, PID_5),
    "no_control_id": ("ascii", "", 4, PID_5),
    "no_final_cr": ("ascii", "no-final-cr@", 4, PID_5),
    "null_or_empty": ("ascii", "", 4, PID_5),
    "own_delimiters": ("ascii", "", 4, PID_5),
    "separators_hash_star": ("ascii", "", 4, PID_5),
    "short_msh2": ("ascii", "short-encoding-characters@MSH-2", 4, PID_5),
    "truncation": ("ascii", "", 4, "Marl#"),
    "two_msh": ("ascii", "several-msh@line 5", 8, PID_5),
    "version_9_9": ("ascii", "", 4, PID_5),
    "z_segments": ("ascii", "", 7, PID_5),
}
REFUSED = {
    "refused_bare_msh": "bad-delimiters",
    "refused_batch": "batch",
    "refused_duplicate_delimiters": "bad-delimiters",
    "refused_empty": "empty",
    "refused_iso2022_chinese": "iso-2022-unreadable",
    "refused_letter_separator": "bad-delimiters",
    "refused_no_msh": "no-msh",
    "refused_no_msh2": "bad-delimiters",
    "refused_not_hl7": "no-msh",
    "refused_space_separator": "bad-delimiters",
}


def test_every_quirk_has_a_row() -> None:
    assert {path.stem for path in QUIRKS} == READ.keys() | REFUSED.keys()


@pytest.mark.parametrize("name", READ)
def test_a_quirk_is_read_noticed_and_reproduced(name: str) -> None:
    codec, problems, segments, family = READ[name]
    body = fixture(f"quirks/{name}")
    message = Hl7Message.read(body)
    assert message.refused is None
    assert message.encoding == codec
    assert ", ".join(f"{problem.code}@{problem.path}" for problem in message.problems) == problems
    assert len(message.segments) == segments
    assert message.value("PID", 5) == family
    assert message.serialise() == body


def test_every_code_that_is_noticed_has_words() -> None:
    codes = {code.partition("@")[0] for _, codes, _, _ in READ.values() for code in codes.split(", ") if code}
    assert len(codes) >= 12
    assert codes <= TOLERANCES.keys()


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_message_is_refused(name: str) -> None:
    message = Hl7Message.read(fixture(f"quirks/{name}"))
    assert message.refused is not None
    assert message.refused.code == REFUSED[name]


@pytest.mark.parametrize("path", WELL_FORMED, ids=lambda path: path.stem)
def test_a_well_formed_message_has_no_problem(path: Path) -> None:
    found = check_file(path.read_bytes())
    assert (found.read, found.problems, found.refused, found.reproduced) == (1, 0, 0, 1)


DECIDED = {
    "no_control_id": "ascii default",
    "byte_order_mark": "utf-8 first-bytes",
    "charset_utf16": "utf-16-le first-bytes",
    "charset_8859_1": "iso8859-1 msh-18",
    "charset_vendor_name": "iso8859-15 msh-18",
    "charset_repeated": "iso8859-1 msh-18",
    "charset_iso2022_jp": "iso2022_jp_ext msh-18",
    "charset_1252_in_utf8": "cp1252 fallback",
    "charset_utf16_named_only": "cp1252 fallback",
    "charset_utf8_unnamed": "utf-8 fallback",
    "charset_site_name": "cp1252 fallback",
}


@pytest.mark.parametrize("name", DECIDED)
def test_who_decided_the_character_set_is_told(name: str) -> None:
    message = Hl7Message.read(fixture(f"quirks/{name}"))
    assert f"{message.encoding} {message.decided_by}" == DECIDED[name]


def test_a_channel_may_say_what_a_name_in_msh_18_means() -> None:
    charset = Charset(aliases=(("cp house", "iso-8859-2"),))
    found = Hl7Message.read(fixture("quirks/charset_site_name"), charset)
    assert (found.encoding, found.decided_by, found.problems) == ("iso8859-2", "alias", ())
    assert Hl7Message.read(fixture("quirks/charset_8859_1"), charset).decided_by == "msh-18"


def test_a_channel_that_names_its_character_set_is_believed() -> None:
    found = Hl7Message.read(fixture("quirks/refused_iso2022_chinese"), Charset("iso-8859-1"))
    assert (found.refused, found.encoding, found.decided_by) == (None, "iso8859-1", "channel")


def test_too_many_segments_are_refused_before_they_cost_memory() -> None:
    start = fixture("quirks/no_control_id")
    assert Hl7Message.read(start + b"\r" * (SEGMENTS_MAX - 4)).refused is None
    for end in (b"\r", b"\n"):
        refused = Hl7Message.read(start + end * SEGMENTS_MAX).refused
        assert refused is not None
        assert refused.code == "too-many-segments"


def test_of_many_odd_lines_only_the_first_are_told_one_by_one() -> None:
    problems = Hl7Message.read(fixture("quirks/no_control_id") + b"x|1\r" * 1000).problems
    assert [problem.code for problem in problems] == ["segment-name"] * LINES_NOTICED_MAX


def test_a_line_feed_in_a_field_is_data() -> None:
    message = Hl7Message.read(fixture("quirks/line_feed_in_field"))
    assert message.value("NTE", 3) == "first line\nsecond line\nPIDs are checked"


def test_a_lost_backslash_keeps_the_other_roles() -> None:
    message = Hl7Message.read(fixture("quirks/lost_backslash"))
    assert message.value("PID", 5, 1, 2, 1) == "Ines"
    assert message.value("PID", 5, 1, 2, 2) == "Ruth"


def test_the_truncation_character_is_text_and_has_its_escape() -> None:
    assert Hl7Message.read(fixture("quirks/truncation")).value("PID", 5, 1, 2) == "No#5"


def test_japanese_names_are_read_in_both_scripts() -> None:
    message = Hl7Message.read(fixture("quirks/charset_iso2022_jp"))
    assert [message.value("PID", 5, repetition, 2) for repetition in (1, 2)] == ["タロウ", "太郎"]


def test_null_and_empty_are_told_apart() -> None:
    message = Hl7Message.read(fixture("quirks/null_or_empty"))
    assert [message.value("PID", 5, 1, component) for component in (1, 2, 3)] == ["Marlow", NULL, None]
    assert [message.value("PID", field) for field in (6, 7, 8)] == [None, NULL, None]


def test_escapes_lose_nothing() -> None:
    message = Hl7Message.read(fixture("quirks/escapes"))
    assert [note.value(3) for note in message.named("NTE")] == [
        "line\nnext\r\nepic\r\nsplit\rwide",
        "double \\\\\\ and lone 50\\ and C:\\MIME\\file and end\\",
        "\\H\\bold\\N\\ \\Zab\\ \\C2842\\ Néé \\.sp2\\ \\",
    ]

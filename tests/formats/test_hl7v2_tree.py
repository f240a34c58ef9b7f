"""The tree for people, and python-hl7 as a second opinion on every value that our reader gives."""

from __future__ import annotations

import logging
import random
from collections.abc import Callable
from itertools import product
from pathlib import Path

import hl7
import pytest
from hl7v2_fixtures import QUIRKS, WELL_FORMED, fixture

from bridge.formats.hl7v2 import NULL, Hl7Message
from bridge.formats.hl7v2_delimiters import STANDARD
from bridge.formats.hl7v2_escape import escape
from bridge.formats.hl7v2_tree import TreeField, named_tree

Where = tuple[str, int, int, int, int, int]
"""Segment, occurrence, field, repetition, component, subcomponent: python-hl7's order."""

READS = 30
GENERATED = 300


def theirs(parsed: hl7.Message, path: Where) -> str | None:
    """The leaf that python-hl7 gives, unescaped by python-hl7, or None; '' is absent for us."""
    segment, occurrence, field, repetition, component, subcomponent = path
    try:
        return parsed.extract_field(segment, occurrence, field, repetition, component, subcomponent) or None
    except LookupError:
        return None


def ours(message: Hl7Message, path: Where) -> str | None:
    segment, occurrence, field, repetition, component, subcomponent = path
    value = message.value(segment, field, repetition, component, subcomponent, occurrence)
    return value if isinstance(value, str) else '""' if value is NULL else None


def some(message: Hl7Message, chance: random.Random) -> list[Where]:
    """Leaves by chance, some of which are not there."""
    found = []
    for _ in range(READS):
        segment = chance.choice(message.segments)
        occurrence = message.named(segment.name).index(segment) + 1
        field = chance.randint(3, segment.fields_count + 1)
        found.append(
            (
                segment.name,
                occurrence,
                field,
                chance.randint(1, 2),
                chance.randint(1, 4),
                chance.randint(1, 2),
            )
        )
    return found


def generated(chance: random.Random) -> bytes:
    """A well-formed message of plain and escaped ASCII text."""
    words = ["Marlow", "W3", "20260304", "a & b", "x|y", "50^2", "~", "12.5", "", "", "", "A b", "-"]

    def leaf() -> str:
        return escape(chance.choice(words), STANDARD)

    def joined(separator: str, most: int, part: Callable[[], str]) -> str:
        count = chance.choice([1, 1, 1, *range(1, most + 1)])
        return separator.join(part() for _ in range(count))

    def field() -> str:
        return joined("~", 3, lambda: joined("^", 5, lambda: joined("&", 3, leaf)))

    lines = [f"MSH|^~\\&|EHR|NORTH|||20260304||ADT^A01|{chance.randint(1, 9999)}|P|2.5.1"]
    for _ in range(chance.randint(1, 8)):
        name = chance.choice(["EVN", "PID", "PV1", "OBX", "ZA1"])
        # python-hl7 cuts blanks off the end of the message; a last field in every segment keeps them.
        lines.append("|".join([name, *(field() for _ in range(chance.randint(1, 12))), "end"]))
    return ("\r".join(lines) + "\r").encode()


def explained(message: Hl7Message, parsed: hl7.Message, where: Where) -> bool:
    """True for the differences that are known, and only for them."""
    segment, occurrence, field, repetition, component, _ = where
    mine, other = ours(message, where), theirs(parsed, where)
    raw = message.named(segment)[occurrence - 1].field(field)
    if mine == '""' and other is None:
        # For us everything inside a null is null; python-hl7 shows it as text at the first leaf alone.
        whole = {theirs(parsed, (segment, occurrence, field, repetition, part, 1)) for part in (1, component)}
        return '""' in whole
    if "\\.br\\" in raw and mine is not None and other is not None:
        return mine.replace("\n", "\r") == other.replace("\n", "\r")
    return False


def everywhere(message: Hl7Message) -> list[Where]:
    """Every leaf of a message, and some that it does not have."""
    found: list[Where] = []
    for segment in message.segments:
        occurrence = message.named(segment.name).index(segment) + 1
        fields = range(3 if segment.name == "MSH" else 1, segment.fields_count + 2)
        leaves = product(fields, (1, 2, 3), (1, 2, 3, 4, 5, 6), (1, 2))
        found.extend((segment.name, occurrence, *leaf) for leaf in leaves)
    return found


OTHERWISE = {"escapes", "name_without_separator", "truncation"}
"""Quirks that python-hl7 reads differently; see `LIMITS` for what it makes of each."""


@pytest.mark.parametrize(
    "path",
    [path for path in (*WELL_FORMED, *QUIRKS) if path.stem not in OTHERWISE],
    ids=lambda path: path.stem,
)
def test_python_hl7_reads_the_same_values_of_our_fixtures(path: Path) -> None:
    message = Hl7Message.read(path.read_bytes())
    if message.refused is not None:
        return
    parsed = hl7.parse("\r".join(segment.serialise() for segment in message.segments))
    for where in everywhere(message):
        if ours(message, where) != theirs(parsed, where):
            assert explained(message, parsed, where), where


def test_python_hl7_reads_the_same_values_of_generated_messages() -> None:
    chance = random.Random(20260304)
    for _ in range(GENERATED):
        body = generated(chance)
        message, parsed = Hl7Message.read(body), hl7.parse(body.decode())
        for where in some(message, chance):
            assert ours(message, where) == theirs(parsed, where), (body, where)


HEAD = "MSH|^~\\&|A|B|||1||ADT^A01|7|P|2.5\r"

# what is sent, where it is read, what python-hl7 makes of it, what it is
LIMITS: list[tuple[str, Where, str | None, str | None]] = [
    (HEAD + "NTE|1\\.br\\2|x\r", ("NTE", 1, 1, 1, 1, 1), "1\r2", "1\n2"),
    (HEAD + "NTE|\\H\\1\\N\\|x\r", ("NTE", 1, 1, 1, 1, 1), "_1_", "\\H\\1\\N\\"),
    (HEAD + "NTE|\\Z1\\2|x\r", ("NTE", 1, 1, 1, 1, 1), "2", "\\Z1\\2"),
    (HEAD + "NTE|C:\\MIME\\file|x\r", ("NTE", 1, 1, 1, 1, 1), "C:file", "C:\\MIME\\file"),
    (HEAD + "NTE|50\\|x\r", ("NTE", 1, 1, 1, 1, 1), "50", "50\\"),
    (HEAD + "NTE|\\XC3A9\\|x\r", ("NTE", 1, 1, 1, 1, 1), "Ã©", "é"),
    (HEAD + "PID |1|2\r", ("PID", 1, 2, 1, 1, 1), None, "2"),
    (HEAD.replace("&", "&#") + "NTE|\\P\\5\r", ("NTE", 1, 1, 1, 1, 1), "5", "#5"),
    (HEAD.replace("\r", "\n") + "PID|1|2\n", ("PID", 1, 2, 1, 1, 1), None, "2"),
    (HEAD.replace("\r", "\r\n") + "PID|1|2\r\n", ("PID", 1, 2, 1, 1, 1), None, "2"),
    (HEAD + "PID|1|x  ", ("PID", 1, 2, 1, 1, 1), "x", "x  "),
    (HEAD + 'PID|""|2\r', ("PID", 1, 1, 1, 2, 1), None, '""'),
]


@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")
@pytest.mark.parametrize(("text", "where", "other", "mine"), LIMITS)
def test_a_known_limit_of_python_hl7_is_not_ours(
    text: str, where: Where, other: str | None, mine: str | None
) -> None:
    assert theirs(hl7.parse(text), where) == other
    assert ours(Hl7Message.read(text.encode()), where) == mine


def test_python_hl7_refuses_a_byte_order_mark_that_we_read() -> None:
    with pytest.raises(hl7.ParseException):
        hl7.parse("\ufeff" + HEAD)
    assert named_tree(b"\xef\xbb\xbf" + HEAD.encode()).segments


def test_a_tree_names_segments_fields_and_parts() -> None:
    tree = named_tree(fixture("hl7v2/adt_a08").replace(b"\r", b"\r\n"))
    assert [problem.code for problem in tree.problems] == ["crlf-line-ends"]
    assert [(segment.name, segment.occurrence) for segment in tree.segments[-4:]] == [
        ("AL1", 1),
        ("AL1", 2),
        ("IN1", 1),
        ("ZPV", 1),
    ]
    assert tree.segments[-1].fields == (
        TreeField(1, ((("1",),),)),
        TreeField(2, ((("VIP|no",),),)),
        TreeField(3, ((("meal",), ("vegetarian",)),)),
    )
    pid = {field.number: field.repetitions for field in tree.segments[2].fields}
    assert [repetition[0] for repetition in pid[3]] == [("100234",), ("8876512",)]
    assert pid[14] == ((('""',),),)
    assert 2 not in pid
    assert tree.segments[0].fields[:2] == (TreeField(1, ((("|",),),)), TreeField(2, ((("^~\\&",),),)))


@pytest.mark.parametrize("path", QUIRKS, ids=lambda path: path.stem)
def test_a_tree_has_the_segments_that_we_read_or_the_reason(path: Path) -> None:
    message, tree = Hl7Message.read(path.read_bytes()), named_tree(path.read_bytes())
    assert [segment.name for segment in tree.segments] == [segment.name for segment in message.segments]
    if message.refused is not None:
        assert tree.problems[0] == message.refused


def test_what_python_hl7_refuses_is_a_problem(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(text: str) -> hl7.Message:
        raise AssertionError

    monkeypatch.setattr(hl7, "parse", refuse)
    tree = named_tree(fixture("hl7v2/adt_a01"))
    assert tree.segments == ()
    assert [problem.code for problem in tree.problems] == ["tree-refused"]


def test_a_tree_takes_a_short_msh_2_as_our_reader_does() -> None:
    with pytest.raises(AssertionError):
        hl7.parse("MSH|~|A\rPID|1~2\r")
    assert named_tree(b"MSH|~|A\rPID|1~2^3\r").segments[1].fields[0].repetitions == (
        (("1",),),
        (("2",), ("3",)),
    )
    pid = {field.number: field for field in named_tree(fixture("quirks/lost_backslash")).segments[2].fields}
    assert pid[5].repetitions == ((("Marlow",), ("Ines", "Ruth")),)


def test_python_hl7_logs_no_values(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        parsed = hl7.parse(HEAD + "NTE|1|Marlow \\QQ\\ Ines\r")
        parsed.extract_field("NTE", 1, 2)
        named_tree(fixture("quirks/escapes"))
    assert caplog.records == []

"""The located tree: exact places, text as typed, and what is refused."""

from __future__ import annotations

import time

import pytest
import yaml

from bridge.config import yaml_tree
from bridge.config.yaml_tree import (
    FILE_SIZE_MAX_BYTES,
    NESTING_MAX_LEVELS,
    PROBLEMS_MAX_COUNT,
    read_tree,
    read_tree_bytes,
)
from bridge.located import Mapping, Node, Place, Scalar, Sequence, plain


@pytest.fixture(params=["CSafeLoader", "SafeLoader"], autouse=True)
def _loader(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(yaml_tree, "_LOADER", getattr(yaml, request.param))


def scalar(tree: Node | None, *way: str | int) -> Scalar:
    for step in way:
        if isinstance(step, int):
            assert isinstance(tree, Sequence)
            tree = tree.items[step]
        else:
            assert isinstance(tree, Mapping)
            tree = tree.get(step)
    assert isinstance(tree, Scalar)
    return tree


@pytest.mark.parametrize(
    "text", ["NO", "012", "12:30", "1e5", "2024-01-02", "~", "null", "0x1F", "yes", "08", "1_000"]
)
def test_a_plain_value_stays_the_text_that_was_typed(text: str) -> None:
    tree, problems = read_tree(f"a: {text}\n", "f")
    assert problems == []
    assert Scalar(text, Place("f", 1, 4)) == scalar(tree, "a")


def test_keys_and_values_know_their_line_and_column_in_characters() -> None:
    tree, problems = read_tree("é: {x: 'ü', y: [1, zwei]}\nb:\n  - c: d\n", "f")
    assert problems == []
    assert Place("f", 1, 8) == scalar(tree, "é", "x").place
    assert Place("f", 1, 20) == scalar(tree, "é", "y", 1).place
    assert Place("f", 3, 8) == scalar(tree, "b", 0, "c").place
    assert isinstance(tree, Mapping)
    key = tree.key("b")
    assert key is not None
    assert Place("f", 2, 1) == key.place


@pytest.mark.parametrize(
    ("value", "offset", "column"),
    [
        ("abc", 2, 6),
        ("'abc'", 2, 7),
        ('"abc"', 2, 7),
        ("'it''s'", 3, 4),  # escapes: what stands where cannot be told, so the value's own place
        ('"\\x41bc"', 1, 4),
        ("ab\n  cd", 4, 4),
        ("|\n  abc", 1, 4),
    ],
)
def test_a_place_within_a_value_is_exact_or_that_of_the_value(value: str, offset: int, column: int) -> None:
    tree, problems = read_tree(f"a: {value}\n", "f")
    assert problems == []
    assert Place("f", 1, column) == scalar(tree, "a").at(offset)


def test_the_way_a_value_was_written_is_kept() -> None:
    tree, _ = read_tree("a: x\nb: 'x'\nc: \"x\"\nd: |\n  x\ne: >\n  x\n", "f")
    assert [scalar(tree, key).style for key in "abcde"] == ["plain", "quoted", "quoted", "block", "block"]


BROKEN = [
    ("an unclosed quote", "a: 'x\n", "1:4", "C101", "never closed"),
    ("colon and space in a value", "when: if(x, 'y: z')\n", "1:15", "C101", "quotes"),
    ("colon and space in an item", "a:\n  - b: c: d\n", "2:9", "C101", "quotes"),
    ("an unclosed list", "a: [1,\nb: 2\n", "1:4", "C101", "not closed"),
    ("an unclosed mapping", "a: {x\n", "1:4", "C101", "not closed"),
    ("an at sign", "a: @x\n", "1:4", "C101", "quotes"),
    ("a percent sign", "a: %x\n", "1:4", "C101", "quotes"),
    ("a backtick", "a: `x`\n", "1:4", "C101", "quotes"),
    ("a value that starts as a list", "a: [PID-3(5=MR)] | trim\n", "1:4", "C101", "quotes"),
    ("a value that starts as a mapping", "path: {key}/merge\n", "1:7", "C101", "quotes"),
    ("a value that starts quoted", "a: 'F' == PID-8\n", "1:4", "C101", "quotes"),
    ("a bad indent", "a: 1\n b: 2\n", "2:3", "C101", "indent"),
    ("a backslash in double quotes", 'a: "\\d+"\n', None, "C101", "single quotes"),
    ("a hash in an expression", "a: join(' #', PID-3.1)\n", "1:4", "C113", "quotes"),
    ("a comma in an expression in a list", "a: [trim(b, c)]\n", "1:5", "C113", "quotes"),
    ("a key that stands twice", "a: 1\nb: 2\na: 3\n", "3:1", "C102", "line 1"),
    ("an anchor", "a: &x 1\n", "1:4", "C103", "anchors"),
    ("an alias", "a: *x\n", "1:4", "C103", "aliases"),
    ("a merge key", "a:\n  <<: {b: c}\n", "2:3", "C103", "merge"),
    ("a tag", "a: !!python/object x\n", "1:4", "C104", "tag"),
    ("a directive", "%YAML 1.1\n---\na: 1\n", None, "C104", "directive"),
    ("a second document", "a: 1\n---\nb: 1\n", "2:1", "C105", "one document"),
    ("nothing", "", "1:1", "C106", "empty"),
    ("only a comment", "# a: 1\n", "1:1", "C106", "empty"),
    ("a tab", "a:\n\tb: 1\n", "2:1", "C109", "spaces"),
    ("a control character", "a: b\n c: \x07\n", "2:5", "C110", "U+0007"),
    ("a line break that editors do not show", "a: b\u2028c\n", "1:5", "C110", "U+2028"),
    ("a character that turns text round", "a: \u202eb\n", "1:4", "C110", "U+202E"),
    ("half a character", "a: \ud800\n", "1:4", "C110", "U+D800"),
    ("no space after a colon", "a:\u00a0b\nc: d\n", "1:3", "C110", "U+00A0 looks like a space"),
    ("no space after a colon within", "a:\n  b:\u00a0tcp:1\n", "2:5", "C110", "U+00A0 looks like a space"),
    ("no space before a value", "a: \u00a0b\n", "1:4", "C110", "U+00A0 looks like a space"),
    ("no space before a key", "a:\n  b: c\n  \u00a0d: e\n", "3:3", "C110", "U+00A0 looks like a space"),
    ("no space after a dash", "a:\n  -\u00a0b: c\n", "2:4", "C110", "U+00A0 looks like a space"),
    ("no spaces that indent", "a:\n\u3000\u3000b: c\n", "2:1", "C110", "U+3000 looks like a space"),
    ("a list as a key", "? [a]\n: b\n", "1:3", "C112", "key"),
]


@pytest.mark.parametrize(
    ("text", "at", "code", "word"), [row[1:] for row in BROKEN], ids=[r[0] for r in BROKEN]
)
def test_what_is_refused_is_told_in_plain_words_at_its_place(
    text: str, at: str | None, code: str, word: str
) -> None:
    _, problems = read_tree(text, "f")
    problem = problems[0]
    assert code == problem.code
    assert at is None or f"f:{at}" == str(problem.place)
    assert word in f"{problem.text} {problem.hint}"


@pytest.mark.parametrize(
    "text",
    [
        "a: b # it's a comment with (\n",
        "a: 10\u00a0mg\nb: '\u00a0c:\u00a0d'\n# \u00a0e\nf: |\n  \u00a0g:\u00a0h\n",
        "a: it's fine\n",
        "a: 'join('' #'', b)'\n",
        "a: [b(1=c).2, d]\n",
        "a: |\n  tab\there, 'quote, (\n",
        "---\na: 1\n",
        "\ufeffa: 1\n",
        "a: 1\r\nb: 2\r\n",
    ],
)
def test_what_only_looks_like_a_mistake_is_read(text: str) -> None:
    tree, problems = read_tree(text, "f")
    assert problems == []
    assert tree is not None


def test_the_first_value_of_a_key_that_stands_twice_is_kept() -> None:
    tree, problems = read_tree("a: 1\na: 2\nb: 3\n", "f")
    assert tree is not None
    assert plain(tree) == {"a": "1", "b": "3"}
    assert len(problems) == 1


@pytest.mark.parametrize(
    ("data", "place", "word"),
    [
        (b"a: b\nc: d\xff\n", "f:2:5", "0xff"),
        ("a: ü\n".encode("latin-1"), "f:1:4", "0xfc"),
        ("a: b\n".encode("utf-16"), "f:1:1", "UTF-16"),
    ],
)
def test_bytes_that_are_not_utf_8_are_refused_at_their_place(data: bytes, place: str, word: str) -> None:
    tree, problems = read_tree_bytes(data, "f")
    assert tree is None
    assert ("C111", place) == (problems[0].code, str(problems[0].place))
    assert word in problems[0].text


def _bomb(levels: int = 30) -> str:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, levels)]
    return "\n".join(lines) + "\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (_bomb(), "C103"),
        ("[" * 10_000, "C107"),
        ("- " * 10_000, "C107"),
        ("{a: " * 10_000, "C107"),
        ("a: 1\n" * 200_000, "C102"),
        ("x" * (50 * 1024 * 1024), "C108"),
    ],
    ids=["alias bomb", "lists", "items", "mappings", "one key", "50 MiB"],
)
def test_what_would_eat_time_or_memory_is_refused_at_once(text: str, code: str) -> None:
    started_s = time.process_time()
    tree, problems = read_tree(text, "f")
    assert code in {problem.code for problem in problems}
    assert len(problems) <= PROBLEMS_MAX_COUNT + 1
    assert tree is None
    assert time.process_time() - started_s < 5


def test_the_limits_themselves_are_allowed() -> None:
    deep = "[" * NESTING_MAX_LEVELS + "]" * NESTING_MAX_LEVELS
    assert read_tree(deep, "f")[1] == []
    assert [problem.code for problem in read_tree(f"[{deep}]", "f")[1]] == ["C107"]
    large = b"# " + b"x" * (FILE_SIZE_MAX_BYTES - 3)
    assert [problem.code for problem in read_tree_bytes(large + b"\n", "f")[1]] == ["C106"]
    assert [problem.code for problem in read_tree_bytes(large + b"\n\n", "f")[1]] == ["C108"]

"""Whatever stands in a file, the answer is a value or problems, never another exception."""

from __future__ import annotations

import tempfile
from pathlib import Path

from config_site import API, CATALOG, CHANNEL, FILES, MAPPING, write_site
from hypothesis import given, settings
from hypothesis import strategies as st

from bridge.config.codes import CODES
from bridge.config.load import load
from bridge.config.topology import Topology
from bridge.config.yaml_tree import read_tree, read_tree_bytes
from bridge.errors import ConfigurationRefused
from bridge.located import Mapping, Node, Problem, Sequence

_PIECES = st.sampled_from(
    [*"abz09 \n\t'\"[]{}()#:,-?|>&*!%@`\\<", ": ", " #", "\n  ", "- ", "é", "---", "\r"]
)


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(), st.lists(_PIECES).map("".join)))
def test_any_text_gives_a_tree_or_problems_with_known_codes(text: str) -> None:
    tree, problems = read_tree(text, "f")
    assert tree is not None or problems
    lines = text.count("\n") + text.count("\r") + 1
    for problem in problems:
        assert problem.code in CODES
        assert 1 <= problem.place.line <= lines + 1
    if tree is not None:
        _within(tree, lines)


@settings(max_examples=100, deadline=None)
@given(st.binary())
def test_any_bytes_give_a_tree_or_problems(data: bytes) -> None:
    tree, problems = read_tree_bytes(data, "f")
    assert tree is not None or all(isinstance(problem, Problem) for problem in problems)


def _within(tree: Node, lines: int) -> None:
    assert 1 <= tree.place.line <= lines + 1  # what stands empty at the end is after it
    match tree:
        case Sequence(items=items):
            for item in items:
                _within(item, lines)
        case Mapping(entries=entries):
            assert len(entries) == len({key.text for key, _ in entries})
            for _, value in entries:
                _within(value, lines)
        case _:
            pass


def _refused_or_loaded(files: dict[str, str | bytes]) -> Topology | ConfigurationRefused:
    with tempfile.TemporaryDirectory() as folder:
        try:
            return load(write_site(Path(folder), files), CATALOG)
        except ConfigurationRefused as refused:
            return refused


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(FILES)), st.one_of(st.binary(), st.text(), st.lists(_PIECES).map("".join)))
def test_any_file_may_hold_anything(path: str, content: str | bytes) -> None:
    data = content.encode("utf-8", "surrogatepass") if isinstance(content, str) else content
    assert isinstance(_refused_or_loaded({**FILES, path: data}), Topology | ConfigurationRefused)


_WORDS = sorted({word for text in (CHANNEL, API, MAPPING) for word in text.split()})
_VALUES = st.recursive(
    st.sampled_from([*_WORDS, "", "x", "none", "1", "value://x", "secret://env/X"]).map(
        lambda word: f"'{word.replace(chr(39), '')}'"
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(items)}]"),
        st.dictionaries(
            st.sampled_from(["mllp", "api", "default", "x", "tls", "key"]), inner, max_size=3
        ).map(lambda entries: "{" + ", ".join(f"{key}: {value}" for key, value in entries.items()) + "}"),
    ),
    max_leaves=6,
)


@st.composite
def _misshapen(draw: st.DrawFn) -> dict[str, str | bytes]:
    """A site in which the value of one line is another value, of any shape."""
    path = draw(st.sampled_from(sorted(FILES)))
    lines = FILES[path].splitlines()
    at = draw(st.integers(0, len(lines) - 1))
    key, colon, _ = lines[at].partition(": ")
    lines[at] = f"{key}{colon or ' '}{draw(_VALUES)}"
    return {**FILES, path: "\n".join(lines) + "\n"}


@settings(max_examples=200, deadline=None)
@given(_misshapen())
def test_any_value_may_have_any_shape(files: dict[str, str | bytes]) -> None:
    assert isinstance(_refused_or_loaded(files), Topology | ConfigurationRefused)

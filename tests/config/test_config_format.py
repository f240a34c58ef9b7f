"""`bridge map fmt`: one form for all mapping files, the same content, and every comment still there."""

from __future__ import annotations

from pathlib import Path

import pytest
from code_reading import ROOT
from command_line import bridge
from hypothesis import given
from hypothesis import strategies as st

from bridge.config.yaml_format import formatted
from bridge.config.yaml_tree import read_tree
from bridge.located import Mapping, plain

SHIPPED = sorted((ROOT / "mappings").rglob("*.yaml"))
ODD = """\
# a head

tests:
  - name: one   # of several
    input: |
      MSH|^~\\&|A

      PID|1  #no comment
    expect:
        patient: {key: "a: b"}
emit:
- record:    patient
  # above the key
  key:   PID-3.1
  set:
      given: PID-5.2
      birth_date:   {from: PID-7,
            on_error: null}
      # above the family
      family:    PID-5.1   # the family

      sex: PID-8
      # at the end of the block
mapping:   small
version: 1.0.0


source:
    format: hl7v2
    accept:
    - ADT^A01
    - ADT^A08
# at the end of the file
"""
MADE = """\
# a head

mapping: small
version: 1.0.0

source:
  format: hl7v2
  accept:
    - ADT^A01
    - ADT^A08

emit:
  - record: patient
    # above the key
    key: PID-3.1
    set:
      given: PID-5.2
      birth_date: {from: PID-7,
            on_error: null}
      # above the family
      family: PID-5.1   # the family

      sex: PID-8
      # at the end of the block

tests:
  - name: one   # of several
    input: |
      MSH|^~\\&|A

      PID|1  #no comment
    expect:
      patient: {key: "a: b"}

# at the end of the file
"""


def test_a_file_gets_its_form_and_keeps_it() -> None:
    made, problems = formatted(ODD, "m.yaml")
    assert problems == []
    assert made == MADE
    assert formatted(MADE, "m.yaml") == (MADE, [])


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.name)
def test_a_shipped_mapping_has_the_form(path: Path) -> None:
    text = path.read_text("utf-8")
    assert formatted(text, path.name) == (text, []), f"bridge map fmt {path}"


REFUSED = {
    "no YAML": "a: [",
    "no mapping": "- a\n- b\n",
    "an alias": "a: &x 1\nb: *x\n",
    "nothing": "",
    "a key twice": "a: 1\na: 2\n",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_has_mistakes_is_left_alone(name: str) -> None:
    made, problems = formatted(REFUSED[name], "m.yaml")
    assert made is None
    assert problems


TEXT = st.text(st.sampled_from("ab01:#-{}[]'\" |,\n"), max_size=12)
KEY = st.sampled_from(["set", "let", "tables", "emit", "mapping", "PID-5.1", "a b", "x"])
NODE = st.recursive(
    TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(KEY, inner, max_size=3),
    max_leaves=12,
)


def _yaml(node: object, indent: int, step: int) -> str:
    """Some YAML for a tree, with indents of any width."""
    pad = " " * indent
    if isinstance(node, dict) and node:
        return "\n" + "".join(
            f"{pad}{key}:{_yaml(value, indent + step, step)}" for key, value in node.items()
        )
    if isinstance(node, list) and node:
        return "\n" + "".join(f"{pad}-{_yaml(each, indent + step, step)}" for each in node)
    if isinstance(node, str):
        quoted = node.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        return f'   "{quoted}"  # said\n'
    return " {}\n" if isinstance(node, dict) else " []\n"


@given(st.dictionaries(KEY, NODE, min_size=1, max_size=4), st.integers(1, 5))
def test_whatever_is_formatted_says_the_same_and_is_stable(node: dict[str, object], step: int) -> None:
    text = _yaml(node, 0, step)
    tree, problems = read_tree(text, "m.yaml")
    assert isinstance(tree, Mapping), (text, problems)
    made, found = formatted(text, "m.yaml")
    if made is None:
        assert found
        return
    again, _ = read_tree(made, "m.yaml")
    assert again is not None
    assert plain(again) == plain(tree)
    assert made.count("# said") == text.count("# said")
    assert formatted(made, "m.yaml") == (made, [])


def test_the_command_writes_or_only_says(tmp_path: Path) -> None:
    path = tmp_path / "small.yaml"
    path.write_text(ODD)
    for option in ("--check", "--diff"):
        ended = bridge("map", "fmt", option, tmp_path)
        assert (ended.status, path.read_text()) == (1, ODD)
        assert ("-mapping:   small" in ended.out) is (option == "--diff")
    assert bridge("map", "fmt", path).status == 0
    assert path.read_text() == MADE
    ended = bridge("map", "fmt", "--check", path)
    assert (ended.status, ended.err) == (0, "1 file, 0 would change\n")
    path.write_text("a: [")
    ended = bridge("map", "fmt", path)
    assert (ended.status, "small.yaml:1" in ended.err, path.read_text()) == (1, True, "a: [")
    path.write_bytes(b"\xff\xfe")
    assert bridge("map", "fmt", path).status == 2

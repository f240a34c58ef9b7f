"""A second import: what changed there, what was edited here, and what both changed."""

from __future__ import annotations

from pathlib import Path

import pytest

from bridge.cli.migrate_files import CONFLICTS, write
from bridge.migration.mirth.merging import merge_file

BASE = "a\nb\nc\nd\ne\n"

CASES = {
    # base, ours, theirs: what becomes of it, and what is written
    "a new file": (None, None, BASE, "new", BASE),
    "nothing changed": (BASE, BASE, BASE, "same", None),
    "changed there": (BASE, BASE, BASE.replace("c", "C"), "updated", BASE.replace("c", "C")),
    "edited here": (BASE, BASE.replace("c", "X"), BASE, "kept", None),
    "both, in other lines": (
        BASE, BASE.replace("a", "A"), BASE.replace("e", "E"), "merged", "A\nb\nc\nd\nE\n",
    ),
    "both, the same": (BASE, BASE.replace("c", "C"), BASE.replace("c", "C"), "same", None),
    "both, one line": (BASE, BASE.replace("c", "X"), BASE.replace("c", "Y"), "conflict", None),
    "both, at one place": (BASE, BASE.replace("c", "c\nx"), BASE.replace("c", "c\ny"), "conflict", None),
    "lines that touch": (
        BASE, BASE.replace("b\nc", "B\nC"), BASE.replace("c\nd", "c2\nd2"), "conflict", None,
    ),
    "deleted here": (BASE, None, BASE, "kept", None),
    "deleted here, changed there": (BASE, None, BASE.replace("c", "C"), "kept", None),
    "gone there": (BASE, BASE, None, "gone", None),
    "gone there, edited here": (BASE, BASE + "x\n", None, "edited-gone", None),
    "there before any import": (None, "mine\n", BASE, "conflict", None),
    "an insertion and a change elsewhere": (
        BASE, BASE.replace("a", "a\na2"), BASE.replace("d", "D"), "merged", "a\na2\nb\nc\nD\ne\n",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_three_versions_of_a_file(name: str) -> None:
    base, ours, theirs, change, text = CASES[name]
    merged = merge_file(base, ours, theirs)
    assert (merged.change, merged.text) == (change, text)


def test_hand_edits_outlive_a_second_import(tmp_path: Path) -> None:
    first = {"channels/a.yaml": "one\ntwo\nthree\n", "channels/b.yaml": "b\n"}
    write(tmp_path, first, {})
    (tmp_path / "channels/a.yaml").write_text("one, edited\ntwo\nthree\n")
    changes = write(tmp_path, {"channels/a.yaml": "one\ntwo\nthree, newer\n"}, {})
    assert dict(changes.files) == {"channels/a.yaml": "merged", "channels/b.yaml": "gone"}
    assert (tmp_path / "channels/a.yaml").read_text() == "one, edited\ntwo\nthree, newer\n"
    assert not (tmp_path / "channels/b.yaml").exists()
    again = write(tmp_path, {"channels/a.yaml": "one\ntwo\nthree, newer\n"}, {})
    assert dict(again.files) == {"channels/a.yaml": "kept"}


def test_a_conflict_leaves_the_edited_file_and_is_seen_until_it_is_settled(tmp_path: Path) -> None:
    path = "mappings/a.yaml"
    write(tmp_path, {path: "one\n"}, {})
    (tmp_path / path).write_text("mine\n")
    for _ in range(2):
        changes = write(tmp_path, {path: "theirs\n"}, {})
        assert (changes.conflicts, (tmp_path / path).read_text()) == (1, "mine\n")
        assert (tmp_path / CONFLICTS / path).read_text() == "theirs\n"
    (tmp_path / path).write_text("theirs\n")
    assert write(tmp_path, {path: "theirs\n"}, {}).conflicts == 0
    assert not (tmp_path / CONFLICTS / path).exists()

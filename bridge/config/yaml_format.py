"""A mapping file in the one form that they all have: order of sections, indents, columns. Comments stay.

Lines are moved, never written anew: what a file says is the same before and after, which is looked at.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from bridge.config.yaml_tree import read_tree
from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence

SECTIONS: Final = (
    "mapping",
    "fragment",
    "version",
    "owner",
    "target",
    "source",
    "on_no_record",
    "tables",
    "let",
    "set",
    "emit",
    "ignore",
    "tests",
)
"""The order in which a file has them; what is not among them stands where it stood, behind these."""
_APART: Final = frozenset({"source", "tables", "let", "set", "emit", "ignore", "tests"})
"""Sections with an empty line before them."""
_IN_COLUMNS: Final = frozenset({"set", "let", "tables", "groups"})
"""What has one rule in each line, whose values stand below each other."""
COLUMN_MAX: Final = 30
"""Longer names stand outside of the columns."""
_INDENT: Final = 2
_KEY: Final = re.compile(
    r"^(\s*(?:- +)*)((?:\"(?:[^\"\\]|\\.)*\"|'(?:[^']|'')*'|[^\s:#\"'][^:#]*?)):( +)(?=\S)"
)


@dataclass(slots=True)
class _Line:
    """One line, how far it is to go in, and how wide its key is to be, if it has one with a value."""

    text: str
    new: int | None = None
    column: int | None = None
    verbatim: bool = False


def formatted(text: str, file: str) -> tuple[str | None, list[Problem]]:
    """The file in its form; None, and why, where it is no YAML or it would not say the same afterwards."""
    tree, problems = read_tree(text, file)
    if any(each.severity == "error" for each in problems):
        return None, problems
    if not isinstance(tree, Mapping):
        return None, [
            Problem(Place(file, 1, 1), "E204", "a mapping file is a mapping", "as in mapping: NAME")
        ]
    made = _sections(_indented(text, tree), file)
    again, _ = read_tree(made, file)
    if again is None or _bare(again) != _in_order(_bare(tree)) or _comments(made) != _comments(text):
        where = tree.place
        said = "it is written in a way that cannot be put in order without changing it"
        return None, [Problem(where, "E204", said, "write mappings and lists in lines of their own")]
    return made, []


def _indented(text: str, tree: Mapping) -> str:
    lines = [_Line(each) for each in text.replace("\r\n", "\n").split("\n")]
    _mapping(tree, 0, lines, len(lines) + 1, in_columns=False)
    return "\n".join(_written(lines))


def _is_flow(node: Node, lines: list[_Line]) -> bool:
    line = lines[node.place.line - 1].text
    return line[node.place.column - 1 : node.place.column] in ("{", "[")


def _mapping(node: Mapping, indent: int, lines: list[_Line], end: int, *, in_columns: bool) -> None:
    """Set the indents of a block's lines, up to line ``end`` (from 1, not included)."""
    starts = [key.place.line for key, _ in node.entries]
    run: list[tuple[_Line, int]] = []
    for number, (key, value) in enumerate(node.entries):
        until = starts[number + 1] if number + 1 < len(starts) else end
        line = lines[key.place.line - 1]
        if line.new is None:
            line.new = indent
        _value(key, value, indent, lines, until)
        if value.place.line != key.place.line or not _one_line(value, lines, until):
            _in_a_column(run, in_columns=in_columns)
            run = []
            line.column = len(_key_text(line.text))
            continue
        run.append((line, len(_key_text(line.text))))
        if any(not each.text.strip() for each in lines[key.place.line : until - 1]):
            _in_a_column(run, in_columns=in_columns)
            run = []
    _in_a_column(run, in_columns=in_columns)


def _in_a_column(run: list[tuple[_Line, int]], *, in_columns: bool) -> None:
    """Let the values of lines that stand together begin in one column, or each behind its key."""
    widest = max((width for _, width in run if width <= COLUMN_MAX), default=0)
    for line, width in run:
        line.column = widest if in_columns and width <= COLUMN_MAX else width


def _key_text(line: str) -> str:
    match = _KEY.match(line)
    return "" if match is None else match[2]


def _one_line(value: Node, lines: list[_Line], until: int) -> bool:
    """Whether a value ends in the line in which it begins."""
    if _is_literal(value):
        return False
    return all(_is_empty(line.text) for line in lines[value.place.line : until - 1])


def _is_empty(text: str) -> bool:
    stripped = text.strip()
    return not stripped or stripped.startswith("#")


def _value(key: Scalar, value: Node, indent: int, lines: list[_Line], until: int) -> None:
    if isinstance(value, Mapping) and value.entries and not _is_flow(value, lines):
        _mapping(value, indent + _INDENT, lines, until, in_columns=key.text in _IN_COLUMNS)
    elif isinstance(value, Sequence) and value.items and not _is_flow(value, lines):
        _list(value, indent + _INDENT, lines, until)
    else:
        first = lines[key.place.line - 1]
        _shifted(first, lines, key.place.line, until, literal=_is_literal(value))


def _is_literal(value: Node) -> bool:
    return isinstance(value, Scalar) and value.style == "block"


def _shifted(first: _Line, lines: list[_Line], start: int, until: int, *, literal: bool) -> None:
    """Lines of one value that goes over several: they move as its first line moves."""
    assert first.new is not None, "the line of a key has its place"
    by = first.new - _indent_of(first.text)
    for line in lines[start : until - 1]:
        if literal or not _is_empty(line.text):
            line.new = max(0, _indent_of(line.text) + by) if line.text.strip() else 0
            line.verbatim = literal


def _list(node: Sequence, indent: int, lines: list[_Line], end: int) -> None:
    starts = [each.place.line for each in node.items]
    for number, each in enumerate(node.items):
        until = starts[number + 1] if number + 1 < len(starts) else end
        line = lines[each.place.line - 1]
        line.new = indent
        if isinstance(each, Mapping) and each.entries and not _is_flow(each, lines):
            _mapping(each, indent + _INDENT, lines, until, in_columns=False)
        elif isinstance(each, Sequence) and each.items and not _is_flow(each, lines):
            _list(each, indent + _INDENT, lines, until)
        else:
            _shifted(line, lines, each.place.line, until, literal=_is_literal(each))


def _indent_of(text: str) -> int:
    return len(text) - len(text.lstrip(" "))


def _written(lines: list[_Line]) -> list[str]:
    found: list[str] = []
    for number, line in enumerate(lines):
        if line.verbatim:
            found.append(" " * (line.new or 0) + line.text.lstrip(" ") if line.text.strip() else "")
            continue
        text = line.text.strip()
        if not text:
            found.append("")
            continue
        indent = line.new if line.new is not None else _of_comment(lines, number)
        found.append(" " * indent + _spaced(text, line.column))
    return found


def _of_comment(lines: list[_Line], number: int) -> int:
    """A comment goes in as far as what it stands above; one at the end of a block as what it stands below."""
    mine = _indent_of(lines[number].text)
    below = next((each for each in lines[number + 1 :] if each.new is not None and each.text.strip()), None)
    if below is not None and below.new is not None and _indent_of(below.text) == mine:
        return below.new
    above = next(
        (each for each in reversed(lines[:number]) if each.new is not None and each.text.strip()), None
    )
    if above is not None and above.new is not None and mine:
        return max(0, mine + above.new - _indent_of(above.text))
    return 0 if below is None or below.new is None or not mine else below.new


def _spaced(text: str, column: int | None) -> str:
    """A line with one blank behind each dash and its key, or as many as put its value into the column."""
    dashes = ""
    while text.startswith("- "):
        dashes += "- "
        text = text[2:].lstrip()
    match = _KEY.match(text)
    if match is None or column is None or match[1]:
        return dashes + text
    gap = " " * (max(column - len(match[2]), 0) + 1)
    return f"{dashes}{match[2]}:{gap}{text[match.end() :]}"


@dataclass(slots=True)
class _Section:
    name: str
    above: list[str]
    lines: list[str]


def _sections(text: str, file: str) -> str:
    """The sections in their order, with one empty line between those that stand apart."""
    tree, _ = read_tree(text, file)
    if not isinstance(tree, Mapping):
        return ""
    lines = text.split("\n")
    starts = {key.place.line - 1: key.text for key, _ in tree.entries}
    head: list[str] = []
    sections: list[_Section] = []
    above: list[str] = []
    for number, line in enumerate(lines):
        if number in starts:
            if not sections:
                head, above = above, []
            sections.append(_Section(starts[number], above, [line]))
            above = []
        elif sections and not line.startswith("#") and (line.strip() or not above):
            sections[-1].lines += [*above, line]
            above = []
        else:
            above.append(line)
    foot = above
    order = {name: number for number, name in enumerate(SECTIONS)}
    sections.sort(key=lambda each: order.get(each.name, len(order)))
    found = [*head]
    for each in sections:
        if each.name in _APART and sections.index(each):
            found.append("")
        found += [*each.above, *each.lines]
    if any(line.strip() for line in foot):
        found += ["", *foot]
    return _single_spaced(found)


def _single_spaced(lines: list[str]) -> str:
    """Without empty lines at both ends, two after each other, or between what belongs together."""
    found: list[str] = []
    for line in lines:
        if line.strip() or (found and found[-1].strip()):
            found.append(line.rstrip() if not line.strip() else line)
    while found and not found[-1].strip():
        found.pop()
    return "\n".join(found) + "\n"


def _bare(node: Node) -> object:
    """What a tree says, without where."""
    if isinstance(node, Mapping):
        return [(key.text, _bare(value)) for key, value in node.entries]
    if isinstance(node, Sequence):
        return [_bare(each) for each in node.items]
    return (node.text, node.style)


def _in_order(bare: object) -> object:
    assert isinstance(bare, list), "the top of a file is a mapping"
    order = {name: number for number, name in enumerate(SECTIONS)}
    return sorted(bare, key=lambda each: order.get(each[0], len(order)))


def _comments(text: str) -> list[str]:
    """Every comment, in whatever order; a sign in a text is one before and after."""
    return sorted(line[line.index("#") :].rstrip() for line in text.splitlines() if "#" in line)

"""YAML text becomes a located tree: strings only, exact places, and every mistake in plain words.

What a site needs of YAML is mappings, lists and text. What makes YAML files hard to review is refused:
anchors and aliases (and with them alias bombs), tags, directives, several documents in a file, keys that
stand twice, invisible characters. Nothing is converted: ``NO``, ``012`` and ``12:30`` stay what was typed.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Final, Protocol

import yaml

from bridge.config.yaml_words import syntax_problem
from bridge.located import Mapping, Node, Place, Problem, Scalar, Sequence

FILE_SIZE_MAX_BYTES: Final = 4 * 1024 * 1024
NESTING_MAX_LEVELS: Final = 40
PROBLEMS_MAX_COUNT: Final = 100
"""Of one file. Who has more than these has one mistake many times, or no configuration file."""

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_BOM = "\ufeff"

INVISIBLE: Final = re.compile(
    "[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f"  # control characters; tab, LF and CR may stand in a file
    "\u2028\u2029"  # line breaks for YAML, not for editors: places would disagree
    "\u200b-\u200f\u202a-\u202e\u2060-\u2069"  # zero width, and what makes a line read other than it is
    "\ud800-\udfff\ufeff\ufffe\uffff]"
)
_LIKE_A_SPACE: Final = "[\xa0\u1680\u2000-\u200a\u202f\u205f\u3000]"
_IN_A_SPACES_PLACE: Final = re.compile(rf"(?:^ *(?:- *)*|:){_LIKE_A_SPACE}")
"""Where YAML wants a space, and nobody can have meant another character. Within a text they may stand."""


def read_tree_bytes(
    data: bytes, file: str, nesting_max_levels: int = NESTING_MAX_LEVELS
) -> tuple[Node | None, list[Problem]]:
    """The tree of a file's bytes, which are UTF-8 with or without a byte order mark. See `read_tree`."""
    start = Place(file, 1, 1)
    if len(data) > FILE_SIZE_MAX_BYTES:
        return None, [_too_large(start)]
    if data[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return None, [Problem(start, "C111", "the file is UTF-16", "save it as UTF-8")]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as refused:
        place = _place_of(data[: refused.start].decode("utf-8"), refused.start, file)
        text = f"byte 0x{data[refused.start]:02x} is not UTF-8"
        return None, [Problem(place, "C111", text, "save the file as UTF-8")]
    return read_tree(text, file, nesting_max_levels)


def read_tree(
    text: str, file: str, nesting_max_levels: int = NESTING_MAX_LEVELS
) -> tuple[Node | None, list[Problem]]:
    """The tree of a file's text, or None, and every problem found. Never raises on content.

    Lines and columns count from 1; a column is a character, not a byte. There can be a tree and problems:
    a key that stands twice keeps its first value, a tag is left out. Where the structure itself is in
    doubt (bad syntax, an alias, too deep, too large, empty) there is no tree.
    """
    start = Place(file, 1, 1)
    if len(text) > FILE_SIZE_MAX_BYTES:
        return None, [_too_large(start)]
    text = text.removeprefix(_BOM)
    if (found := INVISIBLE.search(text)) is not None:
        place = _place_of(text, found.start(), file)
        what = f"character U+{ord(found[0]):04X} cannot be seen and may not stand here"
        return None, [Problem(place, "C110", what, "delete it, and type the line anew")]
    reader = _Reader(file, text.splitlines(), nesting_max_levels)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            if not reader.take(event):
                break
    except yaml.MarkedYAMLError as refused:
        reader.root = None
        if (problem := _no_space(refused, text.splitlines(), file)) is not None:
            return None, [*reader.problems, problem]
        opened = next((each.place for each in reversed(reader.stack) if each.flow), None)
        reader.problems.append(syntax_problem(refused, text.splitlines(), file, opened))
    if reader.root is None and not reader.problems:
        reader.problems.append(Problem(start, "C106", "the file is empty"))
    return reader.root, reader.problems


@dataclass(slots=True)
class _Open:
    """A mapping or list whose end has not come yet. ``key`` is the mapping's key that waits for its value."""

    place: Place
    is_mapping: bool
    flow: bool
    entries: list[tuple[Scalar, Node]] = field(default_factory=list)
    items: list[Node] = field(default_factory=list)
    first: dict[str, Place] = field(default_factory=dict)
    key: Scalar | None = None
    drop: bool = False

    def closed(self) -> Node:
        if self.is_mapping:
            return Mapping(tuple(self.entries), self.place)
        return Sequence(tuple(self.items), self.place)


@dataclass(slots=True)
class _Reader:
    """Events in, a tree out. A stack of its own, so that no depth of nesting reaches Python's."""

    file: str
    lines: list[str]
    levels_max: int
    root: Node | None = None
    problems: list[Problem] = field(default_factory=list)
    stack: list[_Open] = field(default_factory=list)
    documents: int = 0

    def take(self, event: yaml.Event) -> bool:
        """Whether the file is worth reading on."""
        match event:
            case yaml.DocumentStartEvent():
                return self._document(event)
            case yaml.AliasEvent():
                self._refuse(event, "C103", "aliases (*name) are not taken: write the value out")
                self.root = None
                return False
            case yaml.ScalarEvent():
                if not event.style and (found := _IN_A_SPACES_PLACE.search(event.value)) is not None:
                    place = self._place(event)
                    self.problems.append(
                        _like_a_space(found, Place(self.file, place.line, place.column + found.end() - 1))
                    )
                    self.root = None
                    return False
                self._decoration(event)
                self._add(self._scalar(event))
            case yaml.CollectionStartEvent():
                return self._begin(event)
            case yaml.CollectionEndEvent():
                self._add(self.stack.pop().closed())
            case _:
                pass
        if len(self.problems) >= PROBLEMS_MAX_COUNT:
            self.root = None
            return False
        return True

    def _document(self, event: yaml.DocumentStartEvent) -> bool:
        self.documents += 1
        if self.documents > 1:
            self._refuse(event, "C105", "a second document begins here", "one file holds one document")
            self.root = None
            return False
        if event.version or event.tags:
            self._refuse(event, "C104", "directives (%YAML, %TAG) are not taken", "delete the line")
            return False
        return True

    def _begin(self, event: yaml.CollectionStartEvent) -> bool:
        self._decoration(event)
        if len(self.stack) >= self.levels_max:
            self._refuse(event, "C107", f"nested more than {self.levels_max} levels deep")
            self.root = None
            return False
        is_mapping = isinstance(event, yaml.MappingStartEvent)
        self.stack.append(_Open(self._place(event), is_mapping, bool(event.flow_style)))
        return True

    def _decoration(self, event: yaml.ScalarEvent | yaml.CollectionStartEvent) -> None:
        if event.anchor is not None:
            self._refuse(event, "C103", "anchors (&name) are not taken: write the value out where it is used")
        if event.tag is not None:
            self._refuse(event, "C104", "tags (!name) are not taken", "every value is text: delete the tag")

    def _scalar(self, event: yaml.ScalarEvent) -> Scalar:
        place = self._place(event)
        start, end = _marks(event)
        if event.style in ("|", ">"):
            return Scalar(event.value, place, "block", verbatim=False)
        quotes = 2 if event.style else 0
        verbatim = start.line == end.line and end.column - start.column - quotes == len(event.value)
        if event.style:
            return Scalar(event.value, place, "quoted", verbatim)
        if start.line == end.line and (cut := self._cut(event.value, end)) is not None:
            self.problems.append(Problem(place, "C113", *cut))
        return Scalar(event.value, place, "plain", verbatim)

    def _cut(self, value: str, end: _Mark) -> tuple[str, str] | None:
        """What to say where a plain value ends in the middle of an expression, or None."""
        if not _unfinished(value):
            return None
        rest = self.lines[end.line][end.column :] if end.line < len(self.lines) else ""
        if rest.lstrip(" ").startswith("#") and rest.startswith(" "):
            return "the value ends at ' #', where YAML begins a comment", "put the whole value in quotes"
        if self.stack and self.stack[-1].flow:
            return (
                "the value was cut apart: inside [ ] and { } it ends at ',', ': ', ']' or '}'",
                "put the whole value in quotes",
            )
        return None

    def _add(self, node: Node) -> None:
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if not top.is_mapping:
            top.items.append(node)
        elif top.key is None:
            self._key(top, node)
        else:
            if not top.drop:
                top.entries.append((top.key, node))
            top.key = None

    def _key(self, top: _Open, node: Node) -> None:
        if not isinstance(node, Scalar):
            self.problems.append(
                Problem(node.place, "C112", "a key is one piece of text, not a list or mapping")
            )
            top.key, top.drop = Scalar("", node.place), True
            return
        top.key, top.drop = node, False
        if node.text == "<<" and node.style == "plain":
            self.problems.append(
                Problem(node.place, "C103", "merge keys (<<) are not taken: write the keys out")
            )
            top.drop = True
        elif (first := top.first.get(node.text)) is not None:
            text = f"the key {_short(node.text)} stands twice"
            self.problems.append(Problem(node.place, "C102", text, f"it first stands in line {first.line}"))
            top.drop = True
        else:
            top.first[node.text] = node.place

    def _place(self, event: yaml.Event) -> Place:
        mark = _marks(event)[0]
        return Place(self.file, mark.line + 1, mark.column + 1)

    def _refuse(self, event: yaml.Event, code: str, text: str, hint: str | None = None) -> None:
        self.problems.append(Problem(self._place(event), code, text, hint))


class _Mark(Protocol):
    """Where the parser is; line and column count from 0."""

    line: int
    column: int


def _marks(event: yaml.Event) -> tuple[_Mark, _Mark]:
    start, end = event.start_mark, event.end_mark
    assert start is not None, "events of parsed text carry marks"
    assert end is not None, "events of parsed text carry marks"
    return start, end


_OPENING_QUOTE = re.compile(r"(?:^|(?<=[\s(,=<>!|\[]))'")


def _unfinished(text: str) -> bool:
    """Whether an expression breaks off in ``text``; the apostrophe of a word (it's) is none."""
    if text.count("(") != text.count(")"):
        return True
    return text.count("'") % 2 == 1 and _OPENING_QUOTE.search(text) is not None


def _no_space(refused: yaml.MarkedYAMLError, lines: list[str], file: str) -> Problem | None:
    """What only looks like a space in the line that the parser refused, or in the one before."""
    mark = refused.problem_mark or refused.context_mark
    last = 0 if mark is None else mark.line
    for number in range(max(0, last - 1), min(last + 1, len(lines))):
        if (found := _IN_A_SPACES_PLACE.search(lines[number])) is not None:
            return _like_a_space(found, Place(file, number + 1, found.end()))
    return None


def _like_a_space(found: re.Match[str], place: Place) -> Problem:
    text = f"character U+{ord(found[0][-1]):04X} looks like a space and is none"
    return Problem(place, "C110", text, "type a space in its place, or put a value that needs it in quotes")


def _short(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:57] + "...")


def _too_large(start: Place) -> Problem:
    limit = FILE_SIZE_MAX_BYTES // 1024**2
    return Problem(
        start,
        "C108",
        f"the file is larger than {limit} MiB",
        "split it, or see whether it is a configuration file",
    )


def _place_of(text: str, offset: int, file: str) -> Place:
    before = text[:offset]
    line = before.count("\n") + 1
    return Place(file, line, len(before) - (before.rfind("\n") + 1) + 1)

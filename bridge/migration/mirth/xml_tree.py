"""XML of exports, as hostile as any file: no entities, no document type, and limits on everything.

A whole server's configuration is taken apart unit by unit (a channel, a library), so that never more than one
of them is held as a tree.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final
from xml.parsers import expat

from bridge.units import size_text

EXPORT_MAX_BYTES: Final = 256 * 1024**2
DEPTH_MAX_LEVELS: Final = 100
NODES_MAX_COUNT: Final = 8_000_000
UNIT_NODES_MAX_COUNT: Final = 400_000
TEXT_MAX_CHARACTERS: Final = 4 * 1024**2
UNIT_TEXT_MAX_CHARACTERS: Final = 32 * 1024**2
ATTRIBUTES_MAX_COUNT: Final = 32
NAME_MAX_CHARACTERS: Final = 300
_FEED_BYTES: Final = 256 * 1024
_ZIP_BEGINS: Final = b"PK\x03\x04"

UNITS: Final = frozenset(
    {"channel", "channelGroup", "codeTemplateLibrary", "codeTemplate", "globalScripts", "alertModel", "alert"}
)
"""What is handed over by itself, and then forgotten."""
_SKIPPED: Final = frozenset({"events"})
"""What says nothing of how messages go: the old engine's own log. It is checked as XML, and not kept."""
_CONTROL: Final = re.compile(rb"&#(?:x0*([0-9a-fA-F]{1,2})|0*([0-9]{1,2}));")
_XML_WHITESPACE: Final = frozenset({9, 10, 13})


class ExportRefused(Exception):
    """A file is no export that can be read, or breaks a limit. The text says what, and where."""


class Node:
    """One element. ``index`` counts from 1 among its siblings of the same name."""

    __slots__ = ("attributes", "children", "index", "line", "parent", "prefix", "tag", "text")

    def __init__(self, tag: str, attributes: dict[str, str], parent: Node | None, index: int, line: int):
        self.tag = tag
        self.attributes = attributes
        self.parent = parent
        self.index = index
        self.line = line
        self.prefix = ""
        self.children: list[Node] = []
        self.text = ""

    def get(self, tag: str) -> Node | None:
        """The first child of a name."""
        return next((child for child in self.children if child.tag == tag), None)

    def at(self, path: str) -> str:
        """The text below ``path``, as in ``metadata/enabled``; empty where nothing is there."""
        node: Node | None = self
        for tag in path.split("/"):
            node = None if node is None else node.get(tag)
        return "" if node is None else node.text

    def every(self) -> Iterator[Node]:
        """This node and all below it, in the order of the file."""
        waiting = [self]
        while waiting:
            node = waiting.pop()
            yield node
            waiting.extend(reversed(node.children))

    @property
    def xpath(self) -> str:
        """Where it stands in its file."""
        steps: list[str] = []
        node: Node | None = self
        while node is not None:
            steps.append(f"/{node.tag}[{node.index}]")
            if node.parent is None:
                steps.append(node.prefix)
            node = node.parent
        return "".join(reversed(steps))


class _Open:
    """An element that has begun: how many children of each name there were, and its text so far."""

    __slots__ = ("counts", "node", "pieces", "size")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.counts: dict[str, int] = {}
        self.pieces: list[str] = []
        self.size = 0


class _Reading:
    def __init__(self, take: Callable[[Node], None], units: frozenset[str]) -> None:
        self._take, self._units = take, units
        self._open: list[_Open] = []
        self._skipping = 0
        self._nodes = 0
        self._unit_nodes = 0
        self._unit_text = 0
        self.root: Node | None = None
        self.parser = parser = expat.ParserCreate()
        parser.buffer_text = True
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.StartDoctypeDeclHandler = self._doctype
        parser.EntityDeclHandler = self._entity

    def refuse(self, text: str) -> ExportRefused:
        return ExportRefused(f"line {self.parser.CurrentLineNumber}: {text}")

    def _doctype(self, *_: object) -> None:
        raise self.refuse("a document type is declared: exports have none, and none is read")

    def _entity(self, *_: object) -> None:
        raise self.refuse("an entity is declared: exports have none, and none is expanded")

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        self._nodes += 1
        self._unit_nodes += 1
        if self._nodes > NODES_MAX_COUNT:
            raise self.refuse(f"more than {NODES_MAX_COUNT} elements")
        if self._unit_nodes > UNIT_NODES_MAX_COUNT:
            raise self.refuse(f"more than {UNIT_NODES_MAX_COUNT} elements in one channel or library")
        if len(self._open) + self._skipping >= DEPTH_MAX_LEVELS:
            raise self.refuse(f"elements stand in each other more than {DEPTH_MAX_LEVELS} deep")
        if len(attributes) > ATTRIBUTES_MAX_COUNT or any(
            len(value) > NAME_MAX_CHARACTERS for value in attributes.values()
        ):
            raise self.refuse("more, or longer, attributes than any export has")
        if len(tag) > NAME_MAX_CHARACTERS:
            raise self.refuse(f"a name of more than {NAME_MAX_CHARACTERS} characters")
        if self._skipping or tag in _SKIPPED:
            self._skipping += 1
            return
        if not self._open:
            node = Node(tag, attributes, None, 1, self.parser.CurrentLineNumber)
            self.root = node
        else:
            above = self._open[-1]
            index = above.counts[tag] = above.counts.get(tag, 0) + 1
            node = Node(tag, attributes, above.node, index, self.parser.CurrentLineNumber)
            above.node.children.append(node)
        self._open.append(_Open(node))

    def _text(self, text: str) -> None:
        if self._skipping or not self._open:
            return
        here = self._open[-1]
        here.size += len(text)
        self._unit_text += len(text)
        if here.size > TEXT_MAX_CHARACTERS:
            raise self.refuse(f"a text of more than {TEXT_MAX_CHARACTERS} characters")
        if self._unit_text > UNIT_TEXT_MAX_CHARACTERS:
            raise self.refuse(f"more than {UNIT_TEXT_MAX_CHARACTERS} characters in one channel or library")
        here.pieces.append(text)

    def _end(self, tag: str) -> None:
        if self._skipping:
            self._skipping -= 1
            return
        here = self._open.pop()
        node = here.node
        # Between elements stands nothing but indentation.
        node.text = "".join(here.pieces) if not node.children else ""
        if tag in self._units and not any(self._holds_units(each.node) for each in self._open):
            self._hand_over(node)

    @staticmethod
    def _holds_units(node: Node) -> bool:
        """Whether what is in it belongs to it: a channel's libraries do, a group's channels do not."""
        return node.tag in UNITS and node.tag != "channelGroup"

    def _hand_over(self, node: Node) -> None:
        above = node.parent
        if above is not None:
            node.prefix = above.xpath
            # What is left in its place says which it was, for the group around it.
            stub = Node(node.tag, {}, above, node.index, node.line)
            stub.children = [each for each in (node.get("id"),) if each is not None]
            above.children[-1] = stub
            node.parent = None
        self._take(node)
        # Parents and children hold each other; without this thousands of channels wait for the collector.
        for each in list(node.every()):
            each.parent, each.children = None, []
        self._unit_nodes = self._unit_text = 0


def read_xml(data: bytes, take: Callable[[Node], None], units: frozenset[str] = UNITS) -> Node:
    """Read an export; each of ``units`` goes to ``take`` as soon as it has ended. The root, without the "
    "units.

    Raises ExportRefused, in time and memory bounded by the limits above.
    """
    if len(data) > EXPORT_MAX_BYTES:
        raise ExportRefused(f"larger than {size_text(EXPORT_MAX_BYTES)}")
    if not data.strip():
        raise ExportRefused("an empty file")
    if data.startswith(_ZIP_BEGINS):
        raise ExportRefused("this is a zip archive: unpack it, and name its folder")
    data = _without_control_references(data)
    reading = _Reading(take, units)
    try:
        for start in range(0, len(data), _FEED_BYTES):
            reading.parser.Parse(data[start : start + _FEED_BYTES], False)
        reading.parser.Parse(b"", True)
    except expat.ExpatError as error:
        said = expat.errors.messages.get(error.code, "") or expat.ErrorString(error.code)
        raise ExportRefused(f"line {error.lineno}: this is no well-formed XML: {said}") from None
    except (LookupError, ValueError) as error:
        if isinstance(error, UnicodeError) or "encoding" in str(error):
            raise ExportRefused(
                "the encoding that its first line names is not read: save it as UTF-8"
            ) from None
        raise
    assert reading.root is not None, "what has ended without an error had an element"
    return reading.root


def _without_control_references(data: bytes) -> bytes:
    """Control characters that the old engine writes as references, and XML 1.0 forbids, as visible signs."""

    def sign(found: re.Match[bytes]) -> bytes:
        number = int(found[1], 16) if found[1] else int(found[2])
        if number >= 32 or number in _XML_WHITESPACE:
            return found[0]
        return b"&#%d;" % (0x2400 + number)

    return _CONTROL.sub(sign, data) if b"&#" in data else data

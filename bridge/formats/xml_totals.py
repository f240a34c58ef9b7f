"""What a document of XML says of its records, and what these come to, by the places of both. Pure.

A parser's texts are asked for only where one of these begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple
from xml.parsers import expat

from bridge.formats.control_totals import ControlTotals, Judged
from bridge.formats.xml_defused import (
    ATTRIBUTES_MAX_COUNT,
    DEPTH_MAX_LEVELS,
    too_deep,
    too_many_attributes,
)
from bridge.formats.xml_options import XmlTotal
from bridge.formats.xml_tree import ends, local, names_of


class Said(NamedTuple):
    """What a document says: the text, its line, and from where to where its tag or element reaches."""

    text: str
    line: int
    start_bytes: int
    end_bytes: int


class _Reading(NamedTuple):
    """An element whose text is read: how deep it stands, where it begins, and its texts so far."""

    depth: int
    start_bytes: int
    totals: Sequence[XmlTotal]
    texts: list[str]


class XmlTotals:
    """Those of one document. ``line_of`` says in which line a byte is, and ``told`` hears what is said."""

    def __init__(
        self,
        totals: Sequence[XmlTotal],
        line_of: Callable[[int], int],
        told: Callable[[str, Said], None],
    ) -> None:
        self._all, self._line_of, self._told = totals, line_of, told
        self._places = [(names_of(each.trailer), each) for each in totals]
        self._tree = _places(totals)
        self._totals = ControlTotals(totals)
        self._said: dict[str, Said] = {}
        self._reading: _Reading | None = None
        self._values: list[tuple[XmlTotal, str]] = []

    @property
    def since_bytes(self) -> int | None:
        """Where the element begins whose text is read; None where none is."""
        return None if self._reading is None else self._reading.start_bytes

    def begins(
        self,
        parser: expat.XMLParserType,
        path: Sequence[str],
        attributes: Sequence[str],
        start: int,
        end: int,
    ) -> None:
        """An element outside of records begins, with its start tag from ``start`` to ``end``."""
        wanted = []
        for place, total in self._places:
            if place[-1][0] != "@":
                if ends(path, place):
                    wanted.append(total)
            elif len(place) == 1 or ends(path, place[:-1]):
                said = _attribute(attributes, place[-1])
                if said is not None:
                    self._note(total.trailer, Said(said, self._line_of(start), start, end))
        if wanted and self._reading is None:
            self._read(parser, len(path), start, wanted)

    def ends(self, parser: expat.XMLParserType, path: Sequence[str], end: int) -> None:
        """An element outside of records ends; ``end`` is where its text does."""
        reading = self._reading
        if reading is not None and reading.depth == len(path):
            said = Said(self._text(parser), self._line_of(reading.start_bytes), reading.start_bytes, end)
            for total in reading.totals:
                self._note(total.trailer, said)

    def inner(
        self, parser: expat.XMLParserType, ends: Callable[[], None]
    ) -> tuple[Callable[[str, list[str]], None], Callable[[str], None]]:
        """What a parser tells of the elements in a record; ``ends`` is called where the record does.

        It is asked for each of them: hence all of it in one place, and little of it.
        """
        tree, nothing = self._tree, _Place()
        within = [tree]

        def begins(name: str, attributes: list[str]) -> None:
            if len(within) >= DEPTH_MAX_LEVELS:
                raise too_deep()
            here = within[-1]
            place = here.get(name)
            if place is None:
                place = here.get(local(name), nothing) if here else nothing
            within.append(place)
            if attributes:
                if len(attributes) > 2 * ATTRIBUTES_MAX_COUNT:
                    raise too_many_attributes()
                if place.attributes:
                    self._add_attributes(place, attributes)
            if place.totals and self._reading is None:
                self._read(parser, len(within), -1, place.totals)

        def ended(_: str) -> None:
            place = within.pop()
            if place.totals and self._reading is not None and self._reading.depth == len(within) + 1:
                totals, text = self._reading.totals, self._text(parser)
                self._values += [(total, text) for total in totals]
            if not within:
                within.append(tree)
                ends()

        return begins, ended

    def record_begins(self, parser: expat.XMLParserType, attributes: Sequence[str]) -> None:
        """A record begins. What stands around it says nothing by itself."""
        if self._reading is not None:
            self._text(parser)
        if self._tree.attributes:
            self._add_attributes(self._tree, attributes)

    def record_ends(self, start: int) -> None:
        """A record has ended that begins there: what it says counts. What is not taken apart says nothing."""
        for total, text in self._values:
            if not self._totals.add(total, text.strip()):
                place = f"{total.column} of the record in line {self._line_of(start)}"
                self._totals.unreadable(total, place)

    def count(self) -> None:
        """One record more, whatever it says."""
        self._totals.count += 1
        self._values, self._reading = [], None

    def judged(self) -> tuple[bool, Judged]:
        """Whether all was said that can be, and how it is."""
        whole = all(each.trailer in self._said for each in self._all)
        texts = {name: said.text for name, said in self._said.items()} if whole else None
        return whole, self._totals.judged(texts, lambda name: f"{name} in line {self._said[name].line}")

    def _note(self, name: str, said: Said) -> None:
        self._said[name] = said
        self._told(name, said)

    def _read(self, parser: expat.XMLParserType, depth: int, start: int, totals: Sequence[XmlTotal]) -> None:
        self._reading = _Reading(depth, start, totals, [])
        parser.CharacterDataHandler = self._reading.texts.append

    def _text(self, parser: expat.XMLParserType) -> str:
        assert self._reading is not None, "it has begun"
        text = "".join(self._reading.texts)
        parser.CharacterDataHandler = self._reading = None
        return text

    def _add_attributes(self, here: _Place, attributes: Sequence[str]) -> None:
        for name, total in here.attributes:
            said = _attribute(attributes, name)
            if said is not None:
                self._values.append((total, said))


class _Place(dict[str, "_Place"]):
    """A place in a record: those below it by name, and what is summed up of its text and its attributes."""

    __slots__ = ("attributes", "totals")

    def __init__(self) -> None:
        super().__init__()
        self.totals: list[XmlTotal] = []
        self.attributes: list[tuple[str, XmlTotal]] = []


def _places(totals: Sequence[XmlTotal]) -> _Place:
    tree = _Place()
    for total in totals:
        here = tree
        for name in names_of(total.column):
            if name[0] == "@":
                here.attributes.append((name, total))
                break
            here = here.setdefault(name, _Place())
        else:
            if total.of != "rows":
                here.totals.append(total)
    return tree


def _attribute(attributes: Sequence[str], name: str) -> str | None:
    """What an attribute says, named as in @count; None where it is not there."""
    wanted = name[1:]
    for at in range(0, len(attributes), 2):
        if local(attributes[at]) == wanted:
            return attributes[at + 1]
    return None

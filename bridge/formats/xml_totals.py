"""What a document of XML says of its records, and what these come to, by the places of both. Pure.

A parser's texts are asked for only where one of these begins.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final, NamedTuple
from xml.parsers import expat

from bridge.formats.control_totals import ControlTotals, Judged
from bridge.formats.xml_defused import (
    ATTRIBUTES_MAX_COUNT,
    DEPTH_MAX_LEVELS,
    too_deep,
    too_many_attributes,
)
from bridge.formats.xml_options import XmlTotal
from bridge.formats.xml_tree import Names, ends, local, names_of

TEXTS_MAX_COUNT: Final = 16
"""Of what says a number: a parser gives texts in pieces of some kilobytes, and a number is one or two."""


class Said(NamedTuple):
    """What a document says: the text, its line, and from where to where its tag or element reaches."""

    text: str
    line: int
    start_bytes: int
    end_bytes: int


class XmlTotals:
    """Those of one document.

    ``line_of`` says in which line a byte is, ``tag_end_of`` where a tag ends, and ``told`` hears what is
    said. ``reading_depth`` is how deep the element stands whose text is read and ``start_bytes`` where it
    begins; 0 and -1 where none is.
    """

    def __init__(
        self,
        totals: Sequence[XmlTotal],
        line_of: Callable[[int], int],
        tag_end_of: Callable[[int], int],
        told: Callable[[str, Said], None],
    ) -> None:
        self._all, self._line_of, self._tag_end_of, self._told = totals, line_of, tag_end_of, told
        self._elements: dict[str, list[tuple[Names, XmlTotal]]] = {}
        self._tags: list[tuple[Names, XmlTotal]] = []
        for total in totals:
            place = names_of(total.trailer)
            if place[-1][0] == "@":
                self._tags.append((place, total))
            else:
                self._elements.setdefault(place[-1], []).append((place, total))
        self._tree = _places(totals)
        self._totals = ControlTotals(totals)
        self._said: dict[str, Said] = {}
        self._values: list[tuple[XmlTotal, str]] = []
        self._wanted: Sequence[XmlTotal] = ()
        self._texts: list[str] = []
        self.reading_depth, self.start_bytes = 0, -1

    def begins(
        self, parser: expat.XMLParserType, path: Sequence[str], attributes: Sequence[str], start: int
    ) -> None:
        """An element outside of records begins at ``start``."""
        if attributes:
            for place, total in self._tags:
                if len(place) == 1 or ends(path, place[:-1]):
                    said = _attribute(attributes, place[-1])
                    if said is not None:
                        end = self._tag_end_of(start)
                        self._note(total.trailer, Said(said, self._line_of(start), start, end))
        known = self._elements.get(path[-1])
        if known is not None and not self.reading_depth:
            wanted = [total for place, total in known if ends(path, place)]
            if wanted:
                self._read(parser, len(path), start, wanted)

    def ends(self, parser: expat.XMLParserType, end: int) -> None:
        """The element ends whose text is read; ``end`` is where its text does."""
        wanted, start = self._wanted, self.start_bytes
        said = Said(self._text(parser), self._line_of(start), start, end)
        for total in wanted:
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
                raise too_deep(parser)
            here = within[-1]
            place = here.get(name)
            if place is None:
                place = here.get(local(name), nothing) if here else nothing
            within.append(place)
            if attributes:
                if len(attributes) > 2 * ATTRIBUTES_MAX_COUNT:
                    raise too_many_attributes(parser)
                if place.attributes:
                    self._add_attributes(place, attributes)
            if place.totals and not self.reading_depth:
                self._read(parser, len(within), -1, place.totals)

        def ended(_: str) -> None:
            place = within.pop()
            if place.totals and self.reading_depth == len(within) + 1:
                wanted, text = self._wanted, self._text(parser)
                self._values += [(total, text) for total in wanted]
            if not within:
                within.append(tree)
                ends()

        return begins, ended

    def record_begins(self, parser: expat.XMLParserType, attributes: Sequence[str]) -> None:
        """A record begins. What stands around it says nothing by itself."""
        if self.reading_depth:
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
        self._values, self.reading_depth, self.start_bytes = [], 0, -1

    def judged(self) -> tuple[bool, Judged]:
        """Whether all was said that can be, and how it is."""
        whole = all(each.trailer in self._said for each in self._all)
        texts = {name: said.text for name, said in self._said.items()} if whole else None
        return whole, self._totals.judged(texts, lambda name: f"{name} in line {self._said[name].line}")

    def _note(self, name: str, said: Said) -> None:
        self._said[name] = said
        self._told(name, said)

    def _read(self, parser: expat.XMLParserType, depth: int, start: int, wanted: Sequence[XmlTotal]) -> None:
        self.reading_depth, self.start_bytes, self._wanted = depth, start, wanted
        texts: list[str] = []
        self._texts = texts

        def hear(text: str) -> None:
            if len(texts) < TEXTS_MAX_COUNT:
                texts.append(text)

        parser.CharacterDataHandler = hear

    def _text(self, parser: expat.XMLParserType) -> str:
        parser.CharacterDataHandler = None
        self.reading_depth, self.start_bytes = 0, -1
        return "".join(self._texts)

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

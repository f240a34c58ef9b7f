"""An element of XML as names and values, which mappings read. Pure.

    <Charge id="C-1"><Amount currency="USD">12.50</Amount><Code>A</Code><Code>B</Code></Charge>

is ``{"@id": "C-1", "Amount": {"@currency": "USD", "#text": "12.50"}, "Code": ["A", "B"]}``: names without
their prefixes, attributes behind ``@``, what stands several times as a list. Text between elements is that of
the whole element, with what its elements say; where there is nothing but blanks, it is none.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from bridge.formats.base import ReadProblem
from bridge.formats.document import TEXT, Document
from bridge.formats.xml_defused import (
    ATTRIBUTES_MAX_COUNT,
    DEPTH_MAX_LEVELS,
    PARSE_ERRORS,
    STEP_BYTES,
    XmlRefused,
    hold_names,
    parser_of,
    too_deep,
    too_many_attributes,
    why,
)

ELEMENTS_MAX_COUNT: Final = 500_000
"""Of one message: each becomes an object."""
PLACE_MAX_CHARACTERS: Final = 300
Names = tuple[str, ...]
_NOTED: Final = re.compile(rb"<!-- [a-z-]{1,40} in line (\d{1,12}) of the file -->")
"""What `XmlFile` writes before a record that it could not read: where that was seen in the file."""
_NAME: Final = r"[^\W\d][\w.-]*"
_PLACE: Final = re.compile(rf"(?:{_NAME}/)*{_NAME}")
_SAYS: Final = re.compile(rf"(?:(?:{_NAME}/)*{_NAME}(?:/@{_NAME})?|@{_NAME})")


def element_named(text: str) -> str:
    """The text, where it names an element by the last of its names. Raises ValueError."""
    if len(text) > PLACE_MAX_CHARACTERS or _PLACE.fullmatch(text) is None:
        raise ValueError("expected an element, as in Order or Orders/Order, without prefixes")
    return text


def place_named(text: str) -> str:
    """The text, where it names an element or an attribute. Raises ValueError."""
    if len(text) > PLACE_MAX_CHARACTERS or _SAYS.fullmatch(text) is None:
        raise ValueError("expected an element or an attribute, as in Trailer/Count or Trailer/@count")
    return text


def names_of(place: str) -> Names:
    """The names of a place, the outermost first; none of none."""
    return tuple(place.split("/")) if place else ()


def local(name: str) -> str:
    """A name without its prefix."""
    return name[name.index(":") + 1 :] if ":" in name else name


class XmlReading(NamedTuple):
    """What of a document is the record, and what is its header, by their last names; all of it, and none,
    where nothing is said. ``lists`` are read as lists also where they stand once, ``charset`` is for what
    is declared wrong.
    """

    record: Names = ()
    header: Names = ()
    lists: tuple[Names, ...] = ()
    charset: str = ""


ALL_OF_IT: Final = XmlReading()
"""A document is a message."""


class _Open:
    """An element that has begun. ``pieces`` are its texts, and those of its elements, in order."""

    __slots__ = ("has_text", "name", "pieces", "values")

    def __init__(self, name: str, values: dict[str, Any]) -> None:
        self.name = name
        self.values = values
        self.pieces: list[Any] = []
        self.has_text = False


class _Tree:
    """What is read of a document: ``root`` is the record, with the first element that is one."""

    def __init__(self, reading: XmlReading) -> None:
        self._reading = reading
        self._lists: dict[str, list[Names]] = {}
        for place in reading.lists:
            self._lists.setdefault(place[-1], []).append(place)
        self._path: list[str] = []
        self._open: list[_Open] = []
        self._elements = 0
        self._record_at = self._header_at = 0
        """How deep it stands, while it has begun."""
        self.root: Mapping[str, Any] | None = None
        self.header: Mapping[str, Any] | None = None

    def start(self, name: str, attributes: list[str]) -> None:
        self._elements += 1
        if len(self._open) >= DEPTH_MAX_LEVELS:
            raise too_deep()
        if len(attributes) > 2 * ATTRIBUTES_MAX_COUNT:
            raise too_many_attributes()
        if self._elements > ELEMENTS_MAX_COUNT:
            raise XmlRefused("too-many-elements", f"It has more than {ELEMENTS_MAX_COUNT} elements.")
        name = local(name)
        self._path.append(name)
        self._open.append(_Open(name, _attributes(attributes) if attributes else {}))
        if self.root is None and not self._record_at and self._is_record(name):
            self._record_at = len(self._open)
        elif not self._record_at and not self._header_at and ends(self._path, self._reading.header):
            self._header_at = len(self._open)

    def _is_record(self, name: str) -> bool:
        record = self._reading.record
        if len(self._open) == 1 and (not record or name == record[-1]):
            return True  # the record by itself
        return ends(self._path, record)

    def text(self, text: str) -> None:
        if self._open:
            here = self._open[-1]
            here.pieces.append(text)
            if not here.has_text and not text.isspace():
                here.has_text = True

    def end(self, _: str) -> None:
        here = self._open.pop()
        value: Any = here.values
        if here.has_text:
            text = "".join(_flat(here.pieces))
            if value:
                value[TEXT] = text
            else:
                value = text
        elif not value:
            value = ""
        depth = len(self._open) + 1
        if depth == self._record_at:
            self.root, self._record_at = _named(value), 0
        elif depth == self._header_at:
            self.header, self._header_at = _named(value), 0
        elif self._open:
            above = self._open[-1]
            above.pieces.append(here.pieces)
            self._add(above.values, here.name, value)
        self._path.pop()

    def _add(self, values: dict[str, Any], name: str, value: Any) -> None:
        if name in values:
            known = values[name]
            if isinstance(known, list):
                known.append(value)
            else:
                values[name] = [known, value]
        elif any(ends(self._path, place) for place in self._lists.get(name, ())):
            values[name] = [value]
        else:
            values[name] = value


def ends(path: Sequence[str], names: Names) -> bool:
    """Whether a path ends with these names; False for none."""
    return bool(names) and path[-1] == names[-1] and tuple(path[-len(names) :]) == names


def _named(value: Any) -> Mapping[str, Any]:
    if isinstance(value, dict):
        return value
    return {TEXT: value} if value else {}


def _attributes(attributes: list[str]) -> dict[str, Any]:
    """Attributes by their names; one whose name another has too keeps its prefix."""
    found: dict[str, Any] = {}
    several = iter(attributes)
    for name, value in zip(several, several, strict=True):
        if name.startswith("xmlns") and (name == "xmlns" or name[5] == ":"):
            continue
        plain = f"@{local(name)}"
        found[f"@{name}" if plain in found else plain] = value
    return found


def _flat(pieces: list[Any]) -> list[str]:
    found: list[str] = []
    for each in pieces:
        if isinstance(each, str):
            found.append(each)
        else:
            found += _flat(each)
    return found


def read_xml(body: bytes, reading: XmlReading) -> Document:
    """The record of a document with its header; refused where it is none, or breaks a limit."""
    parser, tree, known = parser_of(reading.charset), _Tree(reading), 0
    parser.StartElementHandler = tree.start
    parser.EndElementHandler = tree.end
    parser.CharacterDataHandler = tree.text
    try:
        for at in range(0, len(body), STEP_BYTES):
            parser.Parse(body[at : at + STEP_BYTES], False)
            known = hold_names(parser, known)
        parser.Parse(b"", True)
    except PARSE_ERRORS as error:
        refused = why(error)
        place = f"line {parser.ErrorLineNumber}, column {parser.ErrorColumnNumber + 1}"
        noted = _NOTED.search(body.replace(b"\0", b""))
        if noted is not None:
            place = f"line {int(noted[1])}"
        elif refused is error:
            place = ""  # the parser has gone on without it
        return Document("xml", None, refused=ReadProblem(refused.reason, place, str(refused)))
    if tree.root is None:
        text = "The element that is a record does not stand in it."
        return Document("xml", None, refused=ReadProblem("no-record", "", text))
    return Document("xml", tree.root, header=tree.header)

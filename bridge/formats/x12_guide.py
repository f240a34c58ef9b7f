"""Whether a transaction of X12 is as its implementation guide says, by the guides that pyx12 has. Pure.

pyx12 is the extra `x12`: nothing else needs it. It is asked through those parts that give back what they
find. Its own run over a document loads the guides anew each time (45 ms), and logs each value that it objects
to. On some of what is sent in the field it raises AttributeError, which must cost one transaction only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Any, Final

from bridge.formats.x12 import X12Message

FINDINGS_MAX_COUNT: Final = 100
SEGMENTS_MAX_COUNT: Final = 20_000
"""A transaction with more is not looked at: pyx12 takes 200 µs for each segment, and others wait for it."""
NO_NAME: Final = "?"
_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{1,2}")
SEGMENTS_LIMIT: Final = 10 * SEGMENTS_MAX_COUNT
"""So many may be looked at, where somebody says so."""
_SEGMENT_CODES: Final = {
    "1": "no such segment is expected here",
    "2": "this segment is not used here",
    "3": "a segment that must be there is missing",
    "4": "the loop comes too often",
    "5": "the segment comes too often",
    "6": "the transaction has no such segment",
    "7": "the segment stands in the wrong order",
    "8": "its elements are not as they must be",
}
_ELEMENT_CODES: Final = {
    "1": "an element that must be there is missing",
    "2": "an element that another one asks for is missing",
    "3": "there are too many elements",
    "4": "the element is too short",
    "5": "the element is too long",
    "6": "it has a character that is not allowed",
    "7": "it is no code that is allowed",
    "8": "it is no date",
    "9": "it is no time",
    "10": "elements that exclude each other are there",
}
"""X12 elements 620 and 621, in words of our own."""
_COUNTED: Final = {"HL1": 1, "HL2": 2, "LX": 1}
"""What pyx12 counts itself, and the element that says another number."""
_BAD_VALUE, _ELEMENTS_WRONG = "7", "8"
_PURPOSES: Final = ("HI",)
"""Functional codes (GS01) of which BHT02 chooses between two guides."""


class Unchecked(Exception):
    """A transaction was not looked at. ``code`` says why: ``no-guide``, ``too-large``, or ``failed``."""

    def __init__(self, code: str, text: str) -> None:
        self.code = code
        super().__init__(text)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that a guide does not allow, told by places and codes, never by values.

    ``position`` counts the segments of the transaction from ST (IK302). ``element`` is 0 where the segment as
    a whole is meant: then ``code`` is of IK304 (X12 element 620), as 3 for one that is missing; else of IK403
    (621), as 7 for a code that is not allowed.
    """

    segment: str
    position: int
    code: str
    element: int = 0
    component: int = 0

    @property
    def text(self) -> str:
        """What the code says, in words."""
        return (_ELEMENT_CODES if self.element else _SEGMENT_CODES).get(self.code, "not as the guide says")

    @property
    def place(self) -> str:
        """As X12's people write it: ``CLP-02``, ``SVC-01.2``."""
        element = f"-{self.element:02}" if self.element else ""
        return f"{self.segment}{element}{f'.{self.component}' if self.component else ''}"


def need_library() -> None:
    """Raises ValueError, which says what to install, where pyx12 is not there."""
    try:
        import pyx12  # noqa: F401
    except ImportError:
        said = "needs pyx12: install the extra `x12`, pip install 'interface-bridge[x12]'"
        raise ValueError(said) from None


def findings(body: bytes, *, segments_max: int = SEGMENTS_MAX_COUNT) -> tuple[Finding, ...]:
    """What the guide of the first transaction in ``body`` does not allow, `FINDINGS_MAX_COUNT` at most.

    Raises Unchecked; ValueError without the library.
    """
    need_library()
    message = X12Message.read(body)
    if message.refused is not None:
        raise Unchecked("failed", message.refused.text)
    if len(message.segments) > segments_max:
        raise Unchecked("too-large", f"it has more than {segments_max} segments")
    guide = _guide_of(message)
    found: dict[Finding, None] = {}
    try:
        for each in _found(body, guide):
            found[each] = None
            if len(found) >= FINDINGS_MAX_COUNT:
                break
    except Exception as error:  # noqa: BLE001 - whatever the library stumbles over costs this transaction only
        raise Unchecked("failed", f"pyx12 fails on it ({type(error).__name__})") from None
    return tuple(found)


def _guide_of(message: X12Message) -> tuple[Any, Any]:
    """What stands around transactions, and the guide of this one."""
    version = (message.value("ISA", 12) or "").strip()
    code, guide = message.value("GS", 1), message.value("GS", 8)
    purpose = message.value("BHT", 2) if code in _PURPOSES else None
    file = _index().get_filename(version, guide, code, purpose)
    around = f"x12.control.{version}.xml"
    if not file or version not in ("00401", "00501"):
        raise Unchecked("no-guide", "pyx12 has no guide for this implementation")
    try:
        return _loaded(around), _loaded(file)
    except OSError:
        raise Unchecked("no-guide", "pyx12 names a guide for this implementation, and has none") from None


@cache
def _index() -> Any:
    import pyx12.map_index

    return pyx12.map_index.map_index()


@cache
def _loaded(name: str) -> Any:
    import pyx12.map_if
    import pyx12.params

    return pyx12.map_if.load_map_file(name, pyx12.params.ParamsBase())


def _found(body: bytes, guide: tuple[Any, Any]) -> Iterator[Finding]:
    from pyx12.map_walker import walk_tree
    from pyx12.x12file import X12Reader

    around, own = guide
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError:
        text = body.decode("latin-1")
    reader, walker = X12Reader(_Text(text)), walk_tree()
    reader.check_837_lx = own.id == "837"
    node = around.getnodebypath("/ISA_LOOP/ISA")
    for segment in reader:
        name, position = _named(segment), reader.get_seg_count()
        before = node
        if name == "ISA":
            walker.forceWalkCounterToLoopStart("/ISA_LOOP", "/ISA_LOOP/ISA")
        elif name == "GS":
            node = own.getnodebypath("/ISA_LOOP/GS_LOOP/GS")
            walker.forceWalkCounterToLoopStart("/ISA_LOOP/GS_LOOP", "/ISA_LOOP/GS_LOOP/GS")
        else:
            node, _, _, errors = walker.walk_errors(
                node, segment, position, reader.get_cur_line(), reader.get_ls_id()
            )
            for each in errors:
                about = name if each.seg_data is None else _named(each.seg_data)
                yield Finding(about, each.seg_count or position, each.err_cde)
        counted = [each for each in reader.pop_errors() if each[0] == "seg"]
        if name in ("ISA", "IEA", "GS", "GE"):
            continue  # these are ours to judge
        for _, code, *_ in counted:
            yield _of_count(name, position, code)
        if node is None:
            node = before
            continue
        for each in node.is_valid_errors(segment)[1]:
            yield _of_element(name, position, each)


class _Text:
    """A text that is read like a file."""

    closed = False

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0

    def read(self, size: int) -> str:
        """The next characters."""
        self._at += size
        return self._text[self._at - size : self._at]


def _named(segment: Any) -> str:
    """A segment's name; not what stands in its place where separators are amiss, which may be anything."""
    name = str(segment.get_seg_id() or "")
    return name if _NAME.fullmatch(name) else NO_NAME


def _of_count(name: str, position: int, code: str) -> Finding:
    if code in _COUNTED:
        return Finding(name, position, _BAD_VALUE, _COUNTED[code])
    return Finding(name, position, code if code in _SEGMENT_CODES else _ELEMENTS_WRONG)


def _of_element(name: str, position: int, error: Any) -> Finding:
    node = error.map_node
    if node is None:
        return Finding(name, position, _ELEMENTS_WRONG)
    if node.parent.is_composite():
        return Finding(name, position, error.err_cde, node.parent.seq, node.seq)
    return Finding(name, position, error.err_cde, node.seq)

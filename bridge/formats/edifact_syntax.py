"""How EDIFACT is written (ISO 9735, syntax versions 1 to 4): what separates, what releases, which characters.

A separator behind a release character is data. So nothing here is found by its byte alone: pieces are cut at
every separator, and joined again where it was released. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

UNA_BYTES: Final = 9
"""UNA and its six characters: component, element, decimal mark, release, repetition, terminator."""
_UNUSED: Final = b" "


class BadSeparators(Exception):
    """A file does not say, or not in a way that can be read, what separates its segments and elements."""


@dataclass(frozen=True, slots=True)
class Separators:
    """One byte each; ``release`` and ``repetition`` are empty where there are none."""

    component: bytes = b":"
    element: bytes = b"+"
    release: bytes = b"?"
    repetition: bytes = b""
    terminator: bytes = b"'"

    @classmethod
    def of_una(cls, una: bytes) -> Separators:
        """Those that a service string advice gives. Raises BadSeparators.

        The decimal mark is not kept: since version 4 both marks are right whatever it says.
        """
        signs = [una[at : at + 1] for at in range(3, UNA_BYTES)]
        component, element, _, release, repetition, terminator = signs
        used = [component, element, terminator, *(each for each in (release, repetition) if each != _UNUSED)]
        if len(set(used)) != len(used) or _UNUSED in used:
            raise BadSeparators("UNA does not name different separators.")
        if any(each.isalnum() or not each.isascii() for each in used):
            raise BadSeparators("UNA names a letter, a digit or no character of ASCII as a separator.")
        release, repetition = (b"" if each == _UNUSED else each for each in (release, repetition))
        return cls(component, element, release, repetition, terminator)

    @classmethod
    def of_unb(cls, start: bytes) -> Separators:
        """Those of an interchange without UNA, by the byte behind UNB. Raises BadSeparators.

        They are the printable ones, or those that level B had in the first versions, IS1, IS3 and IS4.
        """
        if start[3:4] == b"+":
            return cls()
        if start[3:4] == b"\x1d":
            return cls(b"\x1f", b"\x1d", b"", b"", b"\x1c")
        raise BadSeparators("What stands behind UNB is no separator, and there is no UNA that names it.")

    def with_version(self, unb: bytes) -> Separators:
        """With the repetition separator that version 4 has where no UNA names one (ISO 9735-1:2002)."""
        syntax = self.parts(self.elements(unb)[1] if len(self.elements(unb)) > 1 else b"", self.component)
        is_four = len(syntax) > 1 and syntax[1].startswith(b"4")
        if is_four and not self.repetition and self == Separators():
            return Separators(repetition=b"*")
        return self

    def parts(self, data: bytes, separator: bytes) -> list[bytes]:
        """What stands between separators, with what is released in it as it came."""
        pieces = data.split(separator)
        release = self.release
        if not release or release + separator not in data:
            return pieces
        joined: list[bytes] = []
        pending: list[bytes] = []
        for piece in pieces:
            pending.append(piece)
            if not _releases(piece, release):
                joined.append(separator.join(pending))
                pending = []
        return [*joined, separator.join(pending)] if pending else joined

    def segments(self, data: bytes) -> list[bytes]:
        """What stands between terminators; the last one is what has none yet."""
        return self.parts(data, self.terminator)

    def elements(self, segment: bytes) -> list[bytes]:
        """A segment's name and elements, as they came."""
        return self.parts(segment, self.element)

    def whole(self, data: bytearray, begin: int = 0) -> int:
        """How many bytes of ``data`` are whole segments, with their terminators; 0 where none ends behind
        ``begin``."""
        at = data.rfind(self.terminator, begin)
        while at >= 0 and self.release and self._is_released(data, at):
            at = data.rfind(self.terminator, begin, at)
        return at + 1

    def _is_released(self, data: bytearray, at: int) -> bool:
        release, first = self.release[0], at
        while first and data[first - 1] == release:
            first -= 1
        return (at - first) % 2 == 1

    def text(self, data: bytes) -> str:
        """The first component of an element, for people: at most 200 characters."""
        first = self.parts(data, self.component)[0]
        if self.release and self.release in first:
            first = (
                first.replace(self.release * 2, b"\0").replace(self.release, b"").replace(b"\0", self.release)
            )
        return first.decode("utf-8", "replace").strip()[:200]


def _releases(before: bytes, release: bytes) -> bool:
    """Whether what ends here releases what follows: a release character that is not released itself."""
    return (len(before) - len(before.rstrip(release))) % 2 == 1


CODECS: Final = {
    "UNOA": "ascii",
    "UNOB": "ascii",
    "UNOC": "iso8859-1",
    "UNOD": "iso8859-2",
    "UNOE": "iso8859-5",
    "UNOF": "iso8859-7",
    "UNOG": "iso8859-3",
    "UNOH": "iso8859-4",
    "UNOI": "iso8859-6",
    "UNOJ": "iso8859-8",
    "UNOK": "iso8859-9",
    "UNOW": "utf-8",
}
"""Data element 0001: the repertoire that UNB names (ISO 9735-1:2002, annex A; UNOW is later)."""
SWITCHING: Final = frozenset({"UNOX", "UNOY"})
"""Repertoires that change within a text, or take several bytes for each separator."""
_FALLBACK: Final = ("utf-8", "windows-1252")


def codec_of(data: bytes, own: str) -> str:
    """The codec that reads ``data``: its own, where it has one and that does; Latin-1, which always does, at
    last."""
    for codec in (own, *_FALLBACK) if own else _FALLBACK:
        try:
            data.decode(codec)
        except UnicodeDecodeError:
            continue
        return codec
    return "iso8859-1"

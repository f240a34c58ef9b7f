"""What is odd about the lines of an HL7 v2 message: how they end, and what they begin with.

HL7 v2.5.1 §2.5 ends every segment with CR and begins it with its name, three capitals or digits.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from bridge.formats.base import ReadProblem

LINES_NOTICED_MAX: Final = 100
"""Lines that are told of, one by one; of a message with more odd lines nobody reads the rest."""

_SEGMENT_NAME: Final = re.compile(r"[A-Z][A-Z0-9]{2}")
_LF = ReadProblem("lf-line-ends", "", "segments end with LF, where HL7 has CR")
_CRLF = ReadProblem("crlf-line-ends", "", "segments end with CR and LF, where HL7 has CR")
_MIXED = ReadProblem("mixed-line-ends", "", "segments end in different ways")
_UNENDED = ReadProblem("no-final-cr", "", "the last segment is not ended")


def noticed_lines(lines: Sequence[str], ends: str | Sequence[str], separator: str) -> list[ReadProblem]:
    """What is odd about ``lines``, the first of which is MSH.

    ``ends`` is what stands between all of them, or what stands after each but the last.
    """
    found = _noticed_ends(lines, ends)
    told = 0
    last = len(lines)
    for number, line in enumerate(lines, start=1):
        if line[3:4] == separator and _is_name(line[:3]) and (number == 1 or line[:3] != "MSH"):
            if "\n" in line:
                text = "a line feed within a field is taken for data"
                found.append(ReadProblem("line-feed-in-field", f"line {number}", text))
                told += 1
        elif (problem := _noticed_in(line, number, last, separator)) is not None:
            found.append(problem)
            told += 1
        if told >= LINES_NOTICED_MAX:
            break
    return found


def _noticed_ends(lines: Sequence[str], ends: str | Sequence[str]) -> list[ReadProblem]:
    found = []
    kinds = {ends} if isinstance(ends, str) else set(ends)
    if len(lines) > 1 and kinds != {"\r"}:
        found.append(_LF if kinds == {"\n"} else _CRLF if kinds == {"\r\n"} else _MIXED)
    if lines[-1] and not lines[-1].isspace():
        found.append(_UNENDED)
    return found


def _noticed_in(line: str, number: int, last: int, separator: str) -> ReadProblem | None:
    place = f"line {number}"
    if not line or line.isspace():
        if number == last and not line:
            return None
        return ReadProblem("blank-line", place, "a blank line is ignored")
    if number > 1 and line.startswith("MSH"):
        return ReadProblem("several-msh", place, "a second MSH: two messages may stand in one block")
    if not _is_name(line.split(separator, 1)[0]):
        text = "no segment name of three capitals or digits at the start of the line"
        return ReadProblem("segment-name", place, text)
    return None


@lru_cache(maxsize=1024)
def _is_name(text: str) -> bool:
    return _SEGMENT_NAME.fullmatch(text) is not None

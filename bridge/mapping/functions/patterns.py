"""Functions with regular expressions, run by RE2 alone: their time grows with the text and no further."""

from __future__ import annotations

from functools import lru_cache
from html import unescape
from typing import Annotated, Any, Final

import re2

from bridge.mapping.signature import Checked
from bridge.mapping.values import bounded_text

PATTERN_MAX_CHARACTERS: Final = 500
_QUIET: Final = re2.Options()
_QUIET.log_errors = False  # it would write the pattern to the standard error
_TAG: Final = re2.compile(r"(?s)<!--.*?-->|<[^<>]*>")
_BREAK: Final = re2.compile(r"(?i)<(?:br|/p|/div|/li|/tr)\b[^<>]*>")


def pattern_mistake(pattern: str) -> str | None:
    """What is wrong with a regular expression, or None.

    >>> pattern_mistake("[A-Z")
    'no pattern that RE2 knows: missing ]: [A-Z'
    """
    if len(pattern) > PATTERN_MAX_CHARACTERS:
        return f"a pattern has at most {PATTERN_MAX_CHARACTERS} characters"
    try:
        re2.compile(pattern, _QUIET)
    except re2.error as refused:
        reason = refused.args[0]
        said = reason.decode("utf-8", "replace") if isinstance(reason, bytes) else str(reason)
        return f"no pattern that RE2 knows: {said}"
    return None


def groups_of(pattern: str) -> int:
    """How many groups a pattern without mistakes has."""
    count: int = _compiled(pattern).groups
    return count


Pattern = Annotated[str, Checked(pattern_mistake)]


def matches(text: str, pattern: Pattern) -> bool:
    """Whether the whole text fits the pattern (RE2).

    >>> matches("V-77", "V-[0-9]+"), matches("XV-77", "V-[0-9]+")
    (True, False)
    """
    return _compiled(pattern).fullmatch(text) is not None


def replaced(text: str, pattern: Pattern, by: str) -> str:
    r"""The text with every part that fits the pattern replaced (RE2).

    >>> replaced("V-77-1", "-[0-9]$", "")
    'V-77'
    """
    return str(_compiled(pattern).sub(by, text))


def extract(text: str, pattern: Pattern, group: int | None = None) -> str:
    """The first part of the text that fits the pattern (RE2), or its ``group``, counting from 1.

    >>> extract("Room 310, bed B", "bed ([A-Z])", 1)
    'B'
    """
    found = _compiled(pattern).search(text)
    number = 0 if group is None else group
    if found is None or not 0 <= number <= found.re.groups:
        return ""
    part: str | None = found.group(number)
    return part or ""


def html_to_text(text: str) -> str:
    """Without tags and comments; line breaks and paragraphs become lines, entities their characters.

    >>> html_to_text("<p>CRP &gt; 80<br/>repeat</p>")
    'CRP > 80\\nrepeat'
    """
    plain = _TAG.sub("", _BREAK.sub("\n", text))
    return bounded_text("\n".join(line.strip() for line in unescape(plain).split("\n")).strip())


@lru_cache(maxsize=512)
def _compiled(pattern: str) -> Any:
    return re2.compile(pattern, _QUIET)

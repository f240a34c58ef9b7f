"""Whether a message is as ISO 9735 has it, for channels that are `strict`. Pure.

Our reader must have nothing to notice, each character must be of the repertoire that UNB names, and pydifact
must read the same values. pydifact is the extra `edifact`: nothing else needs it.
"""

from __future__ import annotations

from itertools import zip_longest
from typing import Any, Final

from bridge.formats.base import ReadProblem
from bridge.formats.edifact import BLANK, BYTE_ORDER_MARK, EdifactMessage
from bridge.formats.edifact_syntax import UNA_BYTES, Separators

STRICT_SEGMENTS_MAX: Final = 10_000
"""A message with more is held back: pydifact takes 50 µs for each, while the file waits."""
_LEVEL_A: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789 .,-()/=!\"%&*;<>'+:?\x1d\x1e\x1f")
_OURS: Final = frozenset("\x1d\x1e\x1f")


def need_library() -> None:
    """Raises ValueError, which says what to install, where pydifact is not there."""
    try:
        import pydifact  # noqa: F401
    except ImportError:
        said = "needs pydifact: install the extra `edifact`, pip install 'interface-bridge[edifact]'"
        raise ValueError(said) from None


def objection(body: bytes, message: EdifactMessage) -> ReadProblem | None:
    """The first thing about a message that a strict channel does not take, or None; never raises."""
    if message.refused is not None:
        return message.refused
    if message.problems:
        return message.problems[0]
    if len(message.segments) > STRICT_SEGMENTS_MAX:
        text = f"a strict channel takes at most {STRICT_SEGMENTS_MAX} segments in a message"
        return ReadProblem("too-large-for-strict", "", text)
    repertoire = message.value("UNB", 1) or ""
    for segment in message.segments:
        for number, text in enumerate(segment.elements(), 1):
            if not _is_written_in(repertoire, text):
                place = f"{segment.name}-{number:02}"
                return ReadProblem("not-in-repertoire", place, f"characters that {repertoire} does not have")
    return _second_opinion(body, message)


def _is_written_in(repertoire: str, text: str) -> bool:
    if repertoire == "UNOA":
        return _LEVEL_A.issuperset(text)
    return all(each.isprintable() or each in _OURS for each in text)


def _second_opinion(body: bytes, message: EdifactMessage) -> ReadProblem | None:
    need_library()
    from pydifact.control.characters import Characters
    from pydifact.exceptions import EDISyntaxError
    from pydifact.parser import Parser
    from pydifact.tokenizer import Tokenizer

    data = body.removeprefix(BYTE_ORDER_MARK).lstrip(BLANK)
    separators = Separators()
    if data.startswith(b"UNA"):
        separators, data = Separators.of_una(data[:UNA_BYTES]), data[UNA_BYTES:].lstrip(BLANK)
    elif data.startswith(b"UNB"):
        separators = Separators.of_unb(data)
    signs = (separators.component, separators.element, b".", separators.release, b" ", separators.terminator)
    characters: Any = Characters(*(each.decode("ascii", "replace") for each in signs))  # type: ignore[no-untyped-call]
    characters.escape_character = separators.release.decode("ascii", "replace")
    # Its own look for UNA would find one in the text of a message, so it is told what separates.
    tokens = Tokenizer().get_tokens(data.decode(message.encoding, "replace"), characters)
    try:
        read = [each for each in Parser().convert_tokens_to_raw_segments(tokens) if each != [""]]
    except EDISyntaxError:
        return ReadProblem("second-refused", "", "pydifact does not read this message")
    for ours, theirs in zip(message.segments, _of_message(read), strict=False):
        for number, (one, other) in enumerate(zip_longest(ours.elements(), theirs[1:], fillvalue=""), 1):
            if "\x1e" not in one and _trimmed(one.split("\x1f")) != _trimmed(other):
                text = "pydifact reads another value here"
                return ReadProblem("second-differs", f"{ours.name}-{number:02}", text)
    return None


def _of_message(read: list[list[str | list[str]]]) -> list[list[str | list[str]]]:
    """Without what stands around a message and is not a part of it here."""
    return [each for each in read if each[0] not in ("UNE", "UNZ")]


def _trimmed(value: str | list[str]) -> list[str]:
    parts = [value] if isinstance(value, str) else list(value)
    while parts and not parts[-1]:
        parts.pop()
    return parts

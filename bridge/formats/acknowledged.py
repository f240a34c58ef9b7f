"""What a receiver says of a file that was sent to it: of which file, and of which messages what. Pure.

An acknowledgement is applied whole or not at all: one that names what the file has not, counts otherwise, or
says another thing than was said before, is looked at by a person.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final, Literal, NamedTuple

import orjson

CODES_MAX_CHARACTERS: Final = 200
_CODE: Final = re.compile(r"[A-Za-z0-9.:_-]{1,20}")
_MORE: Final = "..."

TAKEN: Final = "acknowledged"
TOLD_BEFORE: Final = "told-before"
FILE_NOT_KNOWN: Final = "acknowledged-file-unknown"
"""No file is known by what was said; it may be that it is not known yet."""
MEMBER_NOT_KNOWN: Final = "acknowledged-member-unknown"
CONTRADICTS: Final = "acknowledged-otherwise"
COUNTS_DIFFER: Final = "acknowledged-count-differs"
AMBIGUOUS: Final = "acknowledged-ambiguous"


class Word(StrEnum):
    """What was said of one message, or of a whole file."""

    ACCEPTED = "A"
    ERRORS = "E"
    """It was accepted, and something is noted about it."""
    REJECTED = "R"


FileWord = Literal["accepted", "accepted with errors", "rejected", "rejected in part"]


class NotAcknowledging(Exception):
    """Bytes that are no acknowledgement of a file. The text names segments, never values."""


@dataclass(frozen=True, slots=True)
class Said:
    """What was said of one message: what the file calls it, the word, and codes with their places."""

    called: str
    word: Word
    codes: str = ""


@dataclass(frozen=True, slots=True)
class Acknowledgement:
    """What one acknowledgement says.

    ``control`` is the number of the file; None: it is not said. ``scope`` is what the names of those begin
    with that it is about, ``said`` what it says of some, and ``rest`` of all others, with ``codes``; None: it
    says nothing of them. ``count`` is how many its receiver has found; None: not said. With ``envelope`` it
    says that the file as such has come, and nothing yet of what is in it, unless it rejects all.
    """

    control: int | None
    scope: str = ""
    said: tuple[Said, ...] = ()
    rest: Word | None = None
    codes: str = ""
    count: int | None = None
    envelope: Word | None = None

    def written(self) -> bytes:
        """As JSON, for `read_back`."""
        return orjson.dumps(asdict(self), option=orjson.OPT_SORT_KEYS)


def read_back(written: bytes) -> Acknowledgement | None:
    """What `Acknowledgement.written` gave; None for anything else."""
    try:
        row: dict[str, Any] = orjson.loads(written)
        said = tuple(Said(each["called"], Word(each["word"]), each["codes"]) for each in row.pop("said"))
        rest, envelope = (None if (word := row.pop(name)) is None else Word(word) for name in _WORDS)
        return Acknowledgement(said=said, rest=rest, envelope=envelope, **row)
    except (orjson.JSONDecodeError, KeyError, TypeError, ValueError, AttributeError):
        return None


_WORDS: Final = ("rest", "envelope")


class Sent(NamedTuple):
    """A message of a file that was sent: its place, what the file calls it, and what was said of it."""

    place: int
    called: str
    said: str | None


class Told(NamedTuple):
    """What is now said of a message that was sent."""

    place: int
    word: Word
    codes: str


def decided(said: Acknowledgement, sent: Sequence[Sent]) -> tuple[list[Told], str]:
    """What an acknowledgement says anew of the messages of its file, and the code of what it comes to.

    >>> one = Acknowledgement(7, said=(Said("C1", Word.REJECTED, "AR 101"),))
    >>> decided(one, [Sent(3, "C1", None), Sent(4, "C2", None)])
    ([Told(place=3, word=<Word.REJECTED: 'R'>, codes='AR 101')], 'acknowledged')
    >>> decided(one, [Sent(3, "C1", "A")])
    ([], 'acknowledged-otherwise')
    """
    about = [each for each in sent if each.called.startswith(said.scope)]
    named = {each.called: each for each in said.said}
    if not about:
        return [], FILE_NOT_KNOWN
    if not named.keys() <= {each.called for each in about}:
        return [], MEMBER_NOT_KNOWN
    if said.count is not None and said.count != len(about):
        return [], COUNTS_DIFFER
    told: list[Told] = []
    for each in about:
        its = named.get(each.called)
        word, codes = (said.rest, said.codes) if its is None else (its.word, its.codes)
        if word is None:
            continue
        if each.said is None:
            told.append(Told(each.place, word, codes))
        elif each.said != word:
            return [], CONTRADICTS
    return told, TAKEN if told or said.envelope is not None else TOLD_BEFORE


def file_word(words: dict[str, int]) -> FileWord:
    """What was said of a file, by how many of its messages each was said of.

    >>> file_word({"A": 2}), file_word({"A": 2, "E": 1}), file_word({"R": 2}), file_word({"A": 1, "R": 1})
    ('accepted', 'accepted with errors', 'rejected', 'rejected in part')
    """
    rejected = words.get(Word.REJECTED, 0)
    if rejected:
        return "rejected" if rejected == sum(words.values()) else "rejected in part"
    return "accepted with errors" if words.get(Word.ERRORS) else "accepted"


def codes(*parts: Sequence[str]) -> str:
    """Codes as one text: each part is words, of which only those are kept that can be codes.

    >>> codes(["R", "5"], ["CLP", "3", "a value of somebody"], [])
    'R 5; CLP 3'
    """
    texts = (" ".join(each for each in part if _CODE.fullmatch(each)) for part in parts)
    text = "; ".join(each for each in texts if each)
    return text if len(text) <= CODES_MAX_CHARACTERS else text[: CODES_MAX_CHARACTERS - len(_MORE)] + _MORE

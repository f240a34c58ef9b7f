"""Who is answered what: HL7's two acknowledgement modes, as tables and one function.

HL7 v2.5.1 §2.9.2 is original mode: one answer, AA, AE or AR. §2.9.3 is enhanced mode: a commit
acknowledgement (CA, CE, CR) tells that the message is safe, and after it an application acknowledgement (AA,
AE, AR) what became of it; MSH-15 and MSH-16 say when the sender wants the one and the other. Original mode is
the same as NE in MSH-15 and AL in MSH-16 (§2.9.3), so what goes wrong before a message is safe is told by an
application acknowledgement where the sender wants to hear of it in that way only.
"""

from __future__ import annotations

from enum import Enum
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from bridge.formats.hl7v2_ack import AckCode

Mode = Literal["original", "enhanced", "from-message"]

TABLE_0155: Final[dict[str, tuple[bool, bool]]] = {
    "AL": (True, True),
    "NE": (False, False),
    "ER": (False, True),
    "SU": (True, False),
}
"""HL7 table 0155, accept/application acknowledgement conditions: whether success is told, and failure."""

_FIELD_MAX_BYTES: Final = 16
"""A longer field is none of table 0155, and need not be remembered whole."""
_EMPTY: Final = ("", '""')
"""Absent, or HL7's null: §2.15.9.15 takes both for a field that says nothing."""


class Fate(Enum):
    """What becomes of a message, as its sender may be told."""

    DONE = "it is on disk, and all has been done that an answer waits for"
    FAILED = "it is on disk, and what an answer waits for has failed"
    REFUSED = "it is not taken: its type, version or processing ID, or a header that cannot be read"
    UNSTORED = "the journal could not write: it should come again"


_CODES: Final[dict[Fate, tuple[AckCode, AckCode]]] = {
    Fate.DONE: (AckCode.CA, AckCode.AA),
    Fate.FAILED: (AckCode.CA, AckCode.AE),
    Fate.REFUSED: (AckCode.CR, AckCode.AR),
    Fate.UNSTORED: (AckCode.CE, AckCode.AE),
}
"""HL7 table 0008: the commit acknowledgement, and the application's. Original mode knows the second alone."""


class Asked(NamedTuple):
    """How a message's sender wants to be answered. ``commit`` and ``application`` are of HL7 table 0155, and
    empty in original mode; ``odd`` tells that a field held something else, which is taken for AL."""

    enhanced: bool
    commit: str = ""
    application: str = ""
    odd: bool = False


class Told(NamedTuple):
    """What is said: ``first`` at once and on the sender's connection, ``later`` the application
    acknowledgement of enhanced mode. None says nothing."""

    first: AckCode | None
    later: AckCode | None = None


ORIGINAL: Final = Asked(False)


def asked(mode: Mode, accept: bytes, application: bytes) -> Asked:
    """How to answer a message with this MSH-15 and MSH-16 on a channel of this mode.

    An empty field asks for nothing (NE), but that ``enhanced`` says CA, CE or CR also to a sender that leaves
    MSH-15 empty. Both empty is original mode ``from-message``.
    """
    if mode == "original":
        return ORIGINAL
    return _asked(mode, accept[:_FIELD_MAX_BYTES], application[:_FIELD_MAX_BYTES])


@lru_cache(maxsize=256)
def _asked(mode: Mode, accept: bytes, application: bytes) -> Asked:
    fields = [field.decode("ascii", "replace").strip() for field in (accept, application)]
    if mode == "from-message" and all(field in _EMPTY for field in fields):
        return ORIGINAL
    empty = ("AL" if mode == "enhanced" else "NE", "NE")
    found = [
        when_empty if field in _EMPTY else field for field, when_empty in zip(fields, empty, strict=True)
    ]
    known = [field if field in TABLE_0155 else "AL" for field in found]
    return Asked(True, known[0], known[1], known != found)


def told(asks: Asked, fate: Fate) -> Told:
    """What the sender of a message is told, by what becomes of it."""
    commit, application = _CODES[fate]
    if not asks.enhanced:
        return Told(application)
    first = commit if _wants(asks.commit, commit is AckCode.CA) else None
    if first in (AckCode.CR, AckCode.CE):
        return Told(first)  # it was not accepted, so there is nothing more to say of it
    return Told(first, application if _wants(asks.application, application is AckCode.AA) else None)


def _wants(condition: str, success: bool) -> bool:
    return TABLE_0155[condition][0 if success else 1]

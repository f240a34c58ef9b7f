"""The characters that take an HL7 v2 message apart, as its own MSH-1 and MSH-2 declare them.

HL7 v2.5.1 §2.5.4 (message delimiters). Senders leave the list short, make it too long or lose the
backslash on the way; what can be told for certain is read, the rest is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

STANDARD_ENCODING_CHARACTERS: Final = "^~\\&"
_ROLES: Final = len(STANDARD_ENCODING_CHARACTERS)


@dataclass(frozen=True, slots=True)
class Delimiters:
    """One character each; ``truncation`` is the fifth character that version 2.7 allows in MSH-2."""

    field: str
    component: str
    repetition: str
    escape: str
    subcomponent: str
    truncation: str | None = None

    @classmethod
    def defaults(cls) -> Delimiters:
        """What the standard recommends: ``|^~\\&``."""
        return STANDARD


STANDARD: Final = Delimiters("|", "^", "~", "\\", "&")


def usable(character: str) -> bool:
    """True for a character that can part things: printable ASCII, no letter, digit or space."""
    return len(character) == 1 and "!" <= character <= "~" and not character.isalnum()


@lru_cache(maxsize=256)
def declared_delimiters(separator: str, encoding_characters: str) -> Delimiters | None:
    """The delimiters that ``MSH-1`` and ``MSH-2`` declare, or None where they cannot take text apart.

    Missing characters are the standard's. Where that would give two roles to one character (``^~&``:
    the backslash was lost on the way), characters that are the standard's keep the standard's role.
    Characters after the fourth never refuse a message; a usable fifth one is the truncation character.
    """
    given = encoding_characters[:_ROLES]
    if not usable(separator) or not all(usable(character) for character in given):
        return None
    roles = given + STANDARD_ENCODING_CHARACTERS[len(given) :]
    if len(given) < _ROLES and len({separator, *roles}) <= _ROLES:
        kept = all(character in STANDARD_ENCODING_CHARACTERS for character in given)
        roles = STANDARD_ENCODING_CHARACTERS if kept and len(set(given)) == len(given) else roles
    if len({separator, *roles}) <= _ROLES:
        return None
    fifth = encoding_characters[_ROLES:]
    truncation = fifth if usable(fifth) and fifth not in {separator, *roles} else None
    return Delimiters(separator, roles[0], roles[1], roles[2], roles[3], truncation)

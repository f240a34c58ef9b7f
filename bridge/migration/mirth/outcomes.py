"""What becomes of each element, and of each connector: one of four words, with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from bridge.migration.mirth.model import Element

Word = Literal["converted", "approximated", "manual", "dropped"]
WORDS: Final[tuple[Word, ...]] = ("converted", "approximated", "manual", "dropped")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One element. ``reason`` says how the result differs, what is missing, or why nothing is needed.

    ``into`` is what it became, in words of the mapping language. ``line`` counts in its script, 0: no script.
    """

    element: Element
    word: Word
    reason: str = ""
    into: str = ""
    line: int = 0


@dataclass(frozen=True, slots=True)
class ConnectorOutcome:
    """A source or a destination: what it became, or why a person must decide."""

    name: str
    transport: str
    xpath: str
    word: Word
    reason: str = ""
    into: str = ""

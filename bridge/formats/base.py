"""What every format says about content that is not as it should be."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReadProblem:
    """One thing noticed while reading: a short code, where (``MSH-2``, ``line 4``), and a sentence.

    The text is for a person and never holds a value of the message.
    """

    code: str
    path: str
    text: str

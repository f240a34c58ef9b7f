"""Which state of a result, a document or an order is the later one. After HL7 table 0085 and FHIR R4."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

RANKS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "unknown": 0,
        "registered": 1,
        "draft": 1,
        "active": 2,
        "on-hold": 2,
        "partial": 3,
        "preliminary": 3,
        "final": 4,
        "completed": 4,
        "cancelled": 4,
        "amended": 5,
        "corrected": 5,
        "entered-in-error": 6,
    }
)
"""Preliminary comes before final, final before corrected; what was entered in error is over."""


def supersedes(new: str, old: str) -> bool:
    """Whether a state may take the place of another: an older one never does, an equal one does.

    >>> supersedes("corrected", "final"), supersedes("preliminary", "final"), supersedes("final", "final")
    (True, False, True)
    """
    return RANKS[new] >= RANKS[old]

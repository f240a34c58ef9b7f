"""All canonical records by name: the one list that a new record is added to."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.canonical.base import CanonicalRecord
from bridge.canonical.encounter import Encounter
from bridge.canonical.patient import Patient

MODEL: Final = "canonical/1"
"""The version of the records as a whole; a mapping names it as its target."""

RECORDS: Final[Mapping[str, type[CanonicalRecord]]] = MappingProxyType(
    {
        "patient": Patient,
        "encounter": Encounter,
    }
)

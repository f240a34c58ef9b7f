"""What codes of HL7's own tables become in the fields of parts, for constructors."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

HL7_TABLES: Final[Mapping[str, Mapping[str, str]]] = MappingProxyType(
    {
        # Name type, HL7 table 0200.
        "0200": {
            "L": "official",
            "B": "official",
            "C": "official",
            "I": "official",
            "NB": "official",
            "D": "usual",
            "M": "maiden",
            "N": "nickname",
            "A": "alias",
            "K": "alias",
            "R": "alias",
        },
        # Telecommunication use, HL7 table 0201.
        "0201": {"PRN": "home", "ORN": "home", "VHN": "temporary", "WPN": "work", "PRS": "mobile"},
        # Telecommunication equipment, HL7 table 0202.
        "0202": {
            "PH": "phone",
            "CP": "phone",
            "FX": "fax",
            "BP": "pager",
            "Internet": "email",
            "X.400": "email",
            "MD": "other",
            "SAT": "phone",
            "TDD": "other",
            "TTY": "other",
        },
        # Comparator of a structured numeric.
        "SN.1": {"<": "<", ">": ">", "<=": "<=", ">=": ">="},
    }
)
"""By number; what a field has no word for is not here."""

TABLE_PREFIX: Final = "HL7 "
"""Before the name of one of these, where a rule names it: no table of a file has a blank in its name."""

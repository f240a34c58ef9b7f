"""What the compiler knows of HL7 v2 segments: how many fields they have, and which are made of components.

Field counts are those of the version that has most (HL7 v2.9, chapters 2, 3, 4, 6 and 7). A segment that is
not listed, and every Z segment, may have any field.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

FIELDS_MAX: Final[Mapping[str, int]] = MappingProxyType(
    {
        "MSH": 28,
        "EVN": 7,
        "PID": 40,
        "PD1": 23,
        "NK1": 41,
        "PV1": 54,
        "PV2": 50,
        "MRG": 7,
        "AL1": 6,
        "DB1": 8,
        "ACC": 12,
        "GT1": 57,
        "IN1": 55,
        "IN2": 73,
    }
)

_COMPONENTS: Final[Mapping[str, Mapping[str, tuple[int, ...]]]] = {
    "MSH": {"HD": (3, 4, 5, 6), "MSG": (9,)},
    "PID": {"CX": (2, 3, 4, 18, 21), "XPN": (5, 6, 9), "XAD": (11,), "XTN": (13, 14)},
    "PV1": {"PL": (3, 6, 11, 42, 43), "CX": (5, 19, 50), "XCN": (7, 8, 9, 17, 52)},
    "MRG": {"CX": (1, 2, 3, 4, 5, 6), "XPN": (7,)},
    "NK1": {"XPN": (2,), "XAD": (4,), "XTN": (5, 6)},
    "GT1": {"XPN": (3,), "XAD": (5,)},
    "IN1": {"XPN": (16,), "XAD": (5, 19)},
}

COMPLEX: Final[Mapping[tuple[str, int], str]] = MappingProxyType(
    {
        (segment, field): name
        for segment, types in _COMPONENTS.items()
        for name, numbers in types.items()
        for field in numbers
    }
)
"""The data type of fields whose first component alone is seldom what is meant."""

ONCE: Final = frozenset({"MSH", "EVN", "PID", "PD1", "PV1", "PV2", "MRG"})
"""Segments that stand once for one patient or stay. Several of them are several patients or stays."""

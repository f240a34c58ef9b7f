"""What fields of HL7 v2 are made of, as far as a conversion must know."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from bridge.mapping.hl7_fields import COMPLEX
from bridge.migration.mirth.documents import Spot

_COUNTS: Final = {"HD": 3, "MSG": 3, "CX": 10, "PL": 11, "XAD": 14, "XCN": 23, "XPN": 14, "XTN": 12}
"""Components of the types that a mapping knows to be made of them (HL7 v2.7 chapter 2A)."""
_PARTED: Final[Mapping[str, tuple[int, ...]]] = {
    "CX": (4, 6, 9, 10),
    "PL": (4, 10, 11),
    "XAD": (1,),
    "XCN": (2, 9, 14),
    "XPN": (1,),
}
"""Components of these types that are made of subcomponents."""
_OF_ONE_PART: Final[Mapping[str, tuple[int, ...]]] = {
    "MSH": (7, 10, 13, 14),
    "EVN": (1, 2, 3),
    "PID": (1, 7, 8, 19, 24, 25, 29, 30),
    "PV1": (1, 2, 4, 18, 44),
    "NK1": (1,),
    "OBR": (1, 7, 8),
    "OBX": (1, 2, 11, 14),
    "DG1": (1, 5, 6),
}
"""Fields that are one value as senders fill them: sequence numbers, times, codes of one letter."""


def settable(spot: Spot) -> Spot:
    """The spot of a field as it can be set: a field that has components is set in its first."""
    if not spot.component and (spot.segment, spot.field) in COMPLEX:
        return replace(spot, component=1)
    return spot


def components_of(spot: Spot) -> int:
    """How many components the field of a spot may have, by any version; 1 where it is simple or unknown."""
    return _COUNTS.get(COMPLEX.get((spot.segment, spot.field), ""), 1)


def of_one_part(spot: Spot) -> bool:
    """Whether a field is one value: without components and repetitions."""
    return spot.field in _OF_ONE_PART.get(spot.segment, ())


def is_parted(spot: Spot) -> bool:
    """Whether a component has subcomponents, and is meant with all of them."""
    kind = COMPLEX.get((spot.segment, spot.field), "")
    return not spot.subcomponent and spot.component in _PARTED.get(kind, ())

"""What to do about each thing that is wrong with a resource, with an example. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

ADVICE: Final[Mapping[str, tuple[str, str]]] = {
    "F201": ("Name a resource that stands in mappings/fhir.", "resourceType: {const: Patient}"),
    "F202": ("Correct the name; what R4 has no element for is an extension.", "birthDate: $.birth_date"),
    "F203": (
        "Give the element, or a default that says that nothing is known.",
        "status: {from: $.status, default: unknown}",
    ),
    "F204": ("Write `list: [...]`, or leave it out.", "name: {list: [{family: $.family}]}"),
    "F205": (
        "See how the type is written: a day is 2024-01-02, a number has no quotes.",
        "value: $.value_number | decimal",
    ),
    "F206": (
        "Translate the code by a table, with a default.",
        "gender: {from: $.sex, translate: gender, default: unknown}",
    ),
    "F207": (
        "Give each a condition that excludes the other.",
        "deceasedBoolean: if(absent($.deceased_at), $.deceased = 'true')",
    ),
    "F208": (
        "The invariant's code stands beside it: hl7.org/fhir/R4 explains it.",
        "telecom: {list: [{system: {const: phone}, value: $.phone}]}",
    ),
}
"""By code, in the order of `CODES` (`check.py`)."""

"""Which parts of fields no version of HL7 v2 has."""

from __future__ import annotations

from bridge.dictionary.hl7v2 import dictionary
from bridge.dictionary.hl7v2_places import beyond


def test_nothing_that_any_version_has_is_said_to_be_beyond() -> None:
    names = dictionary()
    for segment in names.segments:
        for number in range(1, 60):
            for element in names.field_of_each_version(segment, number):
                for component in range(1, names.largest(element.data_type) + 1):
                    for part in names.component_of_each_version(element.data_type, component):
                        below = max(1, names.largest(part.data_type))
                        assert beyond(segment, number, component, below) is None, (segment, number, component)

"""Which parts of fields no version of HL7 v2 has."""

from __future__ import annotations

from functools import cache

from bridge.dictionary.hl7v2 import dictionary
from bridge.dictionary.hl7v2_places import beyond


def test_nothing_that_any_version_has_is_said_to_be_beyond() -> None:
    names = dictionary()

    @cache
    def last_parts(data_type: str) -> dict[int, int]:
        """The components of a type, each with how many parts it has in the version where it has most."""
        numbers = range(1, names.largest(data_type) + 1)
        return {
            number: max((names.largest(each.data_type) for each in versions), default=0)
            for number in numbers
            if (versions := names.component_of_each_version(data_type, number))
        }

    for segment in names.segments:
        for number in range(1, 60):
            types = {each.data_type for each in names.field_of_each_version(segment, number)}
            for component, parts in (place for data_type in types for place in last_parts(data_type).items()):
                assert beyond(segment, number, component, max(1, parts)) is None, (segment, number, component)

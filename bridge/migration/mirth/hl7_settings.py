"""How the old engine took HL7 v2 apart and put it together, where that is not as it usually did."""

from __future__ import annotations

from typing import Final

from bridge.migration.mirth.model import Connector
from bridge.migration.mirth.text import one_line

_CARRIAGE_RETURN: Final = frozenset({"", "\\r", "\r", "0x0D", "0x0d"})
_KINDS: Final = frozenset({"", "HL7V2"})
_WRITING: Final = "deserializationProperties/"


def read_otherwise(source: Connector) -> list[str]:
    """What differs in reading the messages of a channel. Repetitions matter only where steps read fields."""
    transformer = source.transformer
    if transformer.inbound not in _KINDS:
        return []
    said = transformer.properties
    found = []
    delimiter = said.get("segmentDelimiter", "").strip()
    if delimiter not in _CARRIAGE_RETURN:
        found.append(f"segments ended with {one_line(delimiter, 20)!r}; here with CR")
    if said.get("useStrictParser") == "true":
        found.append(
            "messages were taken apart by their structure, and those of another refused; here by segments"
        )
    if said.get("useStrictValidation") == "true":
        found.append("messages that differ from the standard were refused; here they are taken")
    if transformer.elements or source.filter:
        if said.get("handleRepetitions") == "false":
            found.append("`~` was part of a value; here it parts repetitions, of which the first is read")
        if said.get("handleSubcomponents") == "false":
            found.append("`&` was part of a value; here it parts subcomponents")
    return found + written_otherwise(source)


def written_otherwise(connector: Connector) -> list[str]:
    """What differs in writing what the steps of a source or destination made."""
    transformer = connector.transformer
    if (transformer.outbound or transformer.inbound) not in _KINDS:
        return []
    said = transformer.outbound_properties
    delimiter = said.get(_WRITING + "segmentDelimiter", "").strip()
    found = []
    if delimiter not in _CARRIAGE_RETURN:
        found.append(f"segments were written with {one_line(delimiter, 20)!r} at their ends; here with CR")
    if "true" in (said.get(_WRITING + "useStrictParser"), said.get(_WRITING + "useStrictValidation")):
        found.append("what is sent was held against the standard; here it is not")
    return found

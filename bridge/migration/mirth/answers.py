"""Acknowledgements: how a source gave them, how a destination read them, and what that is here."""

from __future__ import annotations

from typing import Final

from bridge.migration.mirth.model import Connector
from bridge.migration.mirth.text import one_line
from bridge.migration.mirth.ways import Way

_GENERATED: Final = "responseGenerationProperties/"
_VALIDATED: Final = "responseValidationProperties/"
_QUEUE: Final = "destinationConnectorProperties/"
_OWN: Final = {
    "successfulACKCode": ("AA", "{} for AA"),
    "errorACKCode": ("AE", "{} for AE"),
    "rejectedACKCode": ("AR", "{} for AR"),
    "successfulACKMessage": ("", "the text {} with AA"),
    "errorACKMessage": ("An Error Occurred Processing Message.", "the text {} with AE"),
    "rejectedACKMessage": ("Message Rejected.", "the text {} with AR"),
    "dateFormat": ("yyyyMMddHHmmss.SSS", "times written as {}"),
}
"""Of an acknowledgement that the old engine made: its default, and what is said of another value."""
_OLD_DEFAULTS: Final = frozenset({"An Error Occured Processing Message."})
"""As version 2 spelt it."""
_READ: Final = {
    "successfulACKCode": ("AA,CA", "{} counted as success"),
    "errorACKCode": ("AE,CE", "{} counted as errors"),
    "rejectedACKCode": ("AR,CR", "{} counted as refusals"),
}
_ATTEMPTS_MAX: Final = 100


def acknowledged(connector: Connector, way: Way) -> str:
    """When a sender is answered."""
    said = connector.text("sourceConnectorProperties/responseVariable").strip()
    word = said.lower()
    if word == "none":
        return "never"
    if "auto-generate" in word or word == "":
        _own_words(connector, way)
    if "before" in word or connector.text("sourceConnectorProperties/respondAfterProcessing") == "false":
        return "journaled"
    if "source transformer" in word:
        return "translated"
    if "destinations completed" in word or word == "":
        way.notes.append(
            "AE is said where an API refuses a message; the old engine said AE where a destination failed"
        )
        return "delivered"
    if "auto-generate" in word or word == "postprocessor":
        way.notes.append(f"the answer was {one_line(said, 60)!r}; here AA, once every API has it")
        return "delivered"
    way.notes.append(
        f"the answer of the destination or script {one_line(said, 60)!r} was passed on; here it is the "
        "bridge's own, once every API has the message"
    )
    return "delivered"


def _own_words(connector: Connector, way: Way) -> None:
    """Codes and texts that a channel had set for the acknowledgements that were made for it."""
    made = connector.transformer.properties
    found = []
    for name, (usual, words) in _OWN.items():
        text = made.get(_GENERATED + name, connector.text(name) or usual).strip()
        if text != usual and text not in _OLD_DEFAULTS:
            found.append(words.format(repr(one_line(text, 60))))
    if found:
        way.notes.append(
            f"the acknowledgement had {', '.join(found)}; here AA, AE and AR (CA, CE and CR in enhanced "
            "mode) with texts of the bridge"
        )
    if "true" in (made.get(_GENERATED + "msh15ACKAccept"), connector.text("msh15ACKAccept")):
        way.notes.append("MSH-15 said whether an acknowledgement went back: see `When a sender is answered`")


def reading(connector: Connector, way: Way) -> tuple[list[str], list[str]]:
    """How the answers of an MLLP receiver are read: lines below `mllp:`, and lines of the API.

    Neither AE nor AR was sent again by itself: the message was an error, or counted as sent. So a person
    looks at it here after as many attempts, and `goes_on` lets what follows pass it.
    """
    if _decided_by_script(connector):
        return [], []
    if not validates(connector):
        way.notes.append(
            "the receiver's answer was not looked at, and what it refused counted as sent; here an AE or AR "
            "is read, and the message waits for a person while the next ones go on"
        )
        return ["  on_ae: quarantine"], ["retry: {poison_attempts: 1}"]
    _codes(connector, way)
    retries = connector.text(_QUEUE + "retryCount").strip()
    attempts = 1 + int(retries[:3]) if retries.isdecimal() else 1
    return ["  on_ae: quarantine"], [f"retry: {{poison_attempts: {min(attempts, _ATTEMPTS_MAX)}}}"]


def validates(connector: Connector) -> bool:
    """Whether the old engine looked at MSA-1 of an answer; it does not unless that is said."""
    return (
        connector.text(_QUEUE + "validateResponse").strip() == "true"
        and connector.text("ignoreResponse") != "true"
    )


def goes_on(connector: Connector) -> bool:
    """Whether a message that a receiver refused let those behind it pass."""
    return connector.transport == "TCP Sender" and not _decided_by_script(connector)


def _decided_by_script(connector: Connector) -> bool:
    """Whether a step reads the answer and may have a message sent again."""
    return any(each.enabled and "QUEUED" in each.script for each in connector.response.elements)


def _codes(connector: Connector, way: Way) -> None:
    read = connector.response.properties
    found = []
    for name, (usual, words) in _READ.items():
        text = read.get(_VALIDATED + name, usual).strip()
        if set(text.replace(" ", "").split(",")) - set(usual.split(",")):
            found.append(words.format(one_line(text, 60)))
    if found:
        way.notes.append(
            f"{', '.join(found)}; here AA and CA are success, AE and CE errors, AR and CR refusals"
        )
    if read.get(_VALIDATED + "validateMessageControlId", "true").strip() == "false":
        way.notes.append("MSA-2 was not looked at; here an answer whose MSA-2 is not MSH-10 is none")
    elif (whose := read.get(_VALIDATED + "originalMessageControlId", "Destination_Encoded").strip()) not in (
        "",
        "Destination_Encoded",
    ):
        way.notes.append(
            f"MSA-2 was held against {one_line(whose, 40)!r}; here against MSH-10 of what was sent"
        )

"""Whom a delivery is about, as a key: of a record, or of a message that goes without one. Pure."""

from __future__ import annotations

from bridge.canonical.keys import key_of
from bridge.formats.hl7v2 import Hl7Message
from bridge.message import Record


def patient_of(record: Record) -> str:
    """The key of a record's patient; empty where it is about none.

    >>> patient_of(Record("encounter", "NORTH:V-7", "upsert", {"patient": "NORTH:1"}))
    'NORTH:1'
    """
    if record.record == "patient":
        return record.key
    found = record.fields.get("patient")
    return found if isinstance(found, str) else ""


def patient_in(message: Hl7Message) -> str:
    """The first number of PID-3 with its authority; empty where a message, or a document, has none."""
    number, authority = message.value("PID", 3), message.value("PID", 3, 1, 4)
    if not isinstance(number, str):
        return ""
    return key_of(authority, number) if isinstance(authority, str) else key_of(number)

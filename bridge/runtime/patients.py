"""Whom a delivery is about, as a key: of a record, or of a message that goes without one. Pure."""

from __future__ import annotations

from itertools import zip_longest

from bridge.canonical.keys import key_of
from bridge.formats.hl7v2 import Hl7Message
from bridge.message import Record


def patients_of(record: Record) -> tuple[str, ...]:
    """The keys of a record's patients; none where it is about none. A merge is about two.

    >>> patients_of(Record("encounter", "NORTH:V-7", "upsert", {"patient": "NORTH:1"}))
    ('NORTH:1',)
    >>> patients_of(Record("patient", "NORTH:1", "merge", {"replaces": "NORTH:2"}))
    ('NORTH:1', 'NORTH:2')
    """
    if record.record == "patient":
        replaced = record.fields.get("replaces")
        return (record.key, replaced) if isinstance(replaced, str) and replaced else (record.key,)
    found = record.fields.get("patient")
    return (found,) if isinstance(found, str) else ()


def patients_in(message: Hl7Message) -> tuple[str, ...]:
    """The first number of each PID-3 with its authority, and of each MRG-1, whose authority may be that of
    its PID; none where a message, or a document, has none."""
    found = []
    known = [segment.value(3, 1, 4) for segment in message.named("PID")]
    for segment, field in (("PID", 3), ("MRG", 1)):
        for each, authority in zip_longest(message.named(segment), known):
            number = None if each is None else each.value(field)
            own = None if each is None else each.value(field, 1, 4)
            whose = authority if own is None and segment == "MRG" else own
            if isinstance(number, str):
                found.append(key_of(whose, number) if isinstance(whose, str) else key_of(number))
    return tuple(found)

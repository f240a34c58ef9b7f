"""Who sent a message, by its own word: read from its header alone."""

from __future__ import annotations

from typing import Final

from bridge.formats.hl7v2_header import header_fields, lead_size

SENDER_MAX_CHARACTERS: Final = 60


def sender_of(body: bytes) -> str:
    """The sending facility, MSH-4.1 (HL7 v2.5.1 §2.15.9.4), the application sender of X12, GS-02, or the
    sender of EDIFACT, UNB-02; empty where the message says none, or is neither.

    >>> sender_of(b"MSH|^~\\\\&|ADT|NORTH^1.2.3^ISO|||20260102||ADT^A01\\r")
    'NORTH'
    """
    content = body[lead_size(body) :]
    said = b""
    if content.startswith(b"MSH"):
        fields = header_fields(content)
        if len(fields) > 3 and fields[1]:
            said = fields[3].split(fields[1][:1], 1)[0]
    elif content.startswith(b"ISA"):
        separator = content[3:4]
        _, _, group = content.partition(b"GS" + separator)
        said = group.split(separator, 2)[1] if group.count(separator) > 1 else b""
    elif content.startswith((b"UNA", b"UNB")):
        una = content[3:9] if content.startswith(b"UNA") else b":+.? '"
        _, _, interchange = content.partition(b"UNB" + una[1:2])
        elements = interchange.split(una[1:2], 2)
        said = elements[1].split(una[:1], 1)[0] if len(elements) > 1 else b""
    return said.decode("utf-8", "replace")[:SENDER_MAX_CHARACTERS]

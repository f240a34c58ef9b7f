"""What a mapping can read: a message of segments, or a document of names and values."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bridge.formats.document import Document
from bridge.formats.edi import EdiMessage, EdiSegment
from bridge.formats.edifact import EdifactMessage
from bridge.formats.hl7v2 import NULL, Charset, Hl7Message, Segment
from bridge.formats.hl7v2_charset import FROM_MESSAGE
from bridge.formats.x12 import X12Message
from bridge.formats.xml_tree import ALL_OF_IT, XmlReading, read_xml

AnySegment = Segment | EdiSegment
Message = Hl7Message | EdiMessage | Document


def read_record(fields: Mapping[str, Any], meta: Mapping[str, str] | None = None) -> Document:
    """A record as a mapping reads it. A field that is None is to be deleted, also one of ``ext``."""
    told = {name: NULL if value is None else value for name, value in fields.items()}
    own = told.get("ext")
    if isinstance(own, Mapping):
        told["ext"] = {name: NULL if value is None else value for name, value in own.items()}
    return Document.of_record(told, meta)


def read_message(
    form: str, body: bytes, charset: Charset | None = None, xml: XmlReading = ALL_OF_IT
) -> Message:
    """The first message in ``body``, of one format; ``xml`` says what of XML is one. Never raises."""
    match form:
        case "x12":
            return X12Message.read(body)
        case "edifact":
            declared = FROM_MESSAGE if charset is None else charset.declared
            return EdifactMessage.read(body, "" if declared == FROM_MESSAGE else declared)
        case "json" | "record":
            return Document.of_json(body)
        case "xml":
            return read_xml(body, xml)
        case "delimited" | "fixed":
            return Document.of_csv(body.decode("utf-8", "replace"))
        case _:
            return Hl7Message.read(body, charset or Charset())

"""XML as a format: what the spine asks of the records of a channel's files, or of whole documents."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import orjson

from bridge.component import Component
from bridge.formats.base import Header, Opened, ReadProblem, Rejected
from bridge.formats.document import Document
from bridge.formats.xml_file import XmlFile
from bridge.formats.xml_options import XmlOptions
from bridge.formats.xml_rejected import rejected_records
from bridge.formats.xml_tree import read_xml


class XmlFormat:
    """One channel's XML: a `Format`."""

    strict = False

    def __init__(self, options: XmlOptions) -> None:
        self._options, self._reading = options, options.reading

    def header(self, body: bytes) -> Header:  # noqa: ARG002 - a record has no type and no number of its own
        """Its format is its type; whoever sends it says nowhere that it is a test."""
        return Header(message_code_event="xml", processing_id=b"P", readable=True)

    def read(self, body: bytes) -> Document:
        """The record; refused where it is no XML, or breaks a limit."""
        return read_xml(body, self._reading)

    def objection(self, body: bytes, tolerated: Sequence[str]) -> ReadProblem | None:  # noqa: ARG002
        """None: what is no XML is a message that says so."""
        return None

    def content(self, body: bytes) -> bytes:
        """What the record says, wherever it stands in whichever file, and however that is written."""
        document = self.read(body)
        return (
            body if document.refused is not None else orjson.dumps(document.root, option=orjson.OPT_SORT_KEYS)
        )

    def rejects(self, rejected: Sequence[Rejected], opened: Callable[[], Opened]) -> bytes:
        """The file with these records alone, and with the totals of these; documents one after the other."""
        if not self._options.record:
            return b"\n".join(each.body for each in rejected)
        return rejected_records(self._options, rejected, opened)

    def splitter(self, message_max_bytes: int) -> XmlFile:
        """What takes a file apart."""
        return XmlFile(self._options, message_max_bytes)


COMPONENT = Component(
    kind="format",
    name="xml",
    summary="XML in files: each element of a name, or whole documents, with header and totals.",
    options=XmlOptions,
    example="""\
record: Charge
header: Header
lists: [Item]
totals: [{trailer: Trailer/Count}, {trailer: Trailer/Total, of: sum, column: Amount}]
""",
    takes="files",
    build=XmlFormat,
)

"""What a test of a mapping file puts in: text, or, where text would be miscounted, by position and name."""

from __future__ import annotations

import re
from collections.abc import Mapping as Dict
from typing import Any, Final

from bridge.formats.document import Document, DocumentForm
from bridge.formats.hl7v2 import Charset, Hl7Message
from bridge.formats.xml_tree import ALL_OF_IT, XmlReading
from bridge.located import Mapping, Node, Scalar, Sequence, plain
from bridge.mapping.document import Entries, Report, text_of
from bridge.mapping.messages import Message, read_message, read_record

UTF_8: Final = Charset("utf-8")
KEYS: Final = ("input", "build", "rows", "header", "trailer", "record")
_JOINED: Final = re.compile(r"\s(?P<segment>[A-Z][A-Z0-9]{2})\|")
_SEGMENT: Final = re.compile(r"[A-Z][A-Z0-9]{1,2}")
_FIELD_MAX: Final = 999
_TAKES: Final[Dict[str, tuple[str, ...]]] = {
    "hl7v2": ("input", "build"),
    "x12": ("input",),
    "edifact": ("input",),
    "delimited": ("input", "rows", "header", "trailer"),
    "fixed": ("rows", "header", "trailer"),
    "json": ("input",),
    "xml": ("input",),
    "record": ("record",),
}


class TestInput:
    """What goes in. ``text`` is it as text, where it has one."""

    __test__ = False  # Its name makes test runners take it for a test of theirs.

    def __init__(
        self, form: str, text: str, document: Document | None = None, xml: XmlReading = ALL_OF_IT
    ) -> None:
        self.form = form
        self.text = text
        self._document = document
        # Whatever it declares, here it is text of a file in UTF-8.
        self._xml = xml._replace(charset="utf-8")

    def read(self) -> Message:
        """The message, read anew."""
        return self._document or read_message(self.form, self.text.encode(), UTF_8, self._xml)


def read_input(
    node: Node, entries: Entries, form: str, report: Report, xml: XmlReading = ALL_OF_IT
) -> TestInput | None:
    """The input of a test; None, and a problem, where it is missing or cannot be read."""
    takes = _TAKES[form]
    for name in KEYS:
        if name in entries and name not in takes:
            report.add(
                entries[name].place,
                "E281",
                f"{name} is no input of a mapping of {form}",
                f"it takes {takes[0]}",
            )
            return None
    if "build" in entries:
        return _built(entries["build"], report)
    if "record" in entries or "rows" in entries:
        return _structured(entries, form, report)
    if "input" not in entries:
        hint = {"record": "record: {key: ...}", "fixed": "rows: [{...}]"}.get(form, "input: |")
        report.add(node.place, "E281", "a test needs an input: a message, line by line", hint)
        return None
    text = text_of(entries["input"], "input", report)
    if text is None:
        return None
    made = TestInput(form, text.text, xml=xml)
    message = made.read()
    refused = message.refused
    # YAML makes one line of several where nothing says that they are lines.
    if (
        isinstance(message, Hl7Message)
        and len(message.segments) == 1
        and (joined := _JOINED.search(text.text))
    ):
        said = f"the input is one line: {joined['segment']} is in the segment MSH"
        report.add(text.place, "E281", said, "write it under `input: |`, a line for each segment")
        return None
    if refused is not None:
        kind = "HL7 message" if form == "hl7v2" else f"input of {form}"
        report.add(text.place, "E281", f"the input is no {kind}: {refused.text}", "write it under `input: |`")
        return None
    return made


def _structured(entries: Entries, form: str, report: Report) -> TestInput | None:
    if "record" in entries:
        value = plain(entries["record"])
        if not isinstance(value, dict):
            report.add(entries["record"].place, "E204", "record must be a mapping from names to values")
            return None
        meta, clear = value.pop("meta", None), value.pop("clear", None)
        fields: dict[str, Any] = {**value, **dict.fromkeys(clear if isinstance(clear, list) else (), None)}
        return TestInput(form, "", read_record(fields, meta if isinstance(meta, dict) else None))
    rows, node = [], entries["rows"]
    for each in node.items if isinstance(node, Sequence) else (node,):
        if not isinstance(each, Mapping):
            report.add(each.place, "E204", "each of rows must be a mapping from columns to values")
            return None
        rows.append(_texts(each))
    around = {name: _texts(entries[name]) for name in ("header", "trailer") if name in entries}
    kind: DocumentForm = "fixed" if form == "fixed" else "delimited"
    document = Document.of_rows(rows, form=kind, header=around.get("header"), trailer=around.get("trailer"))
    return TestInput(form, "", document)


def _texts(node: Node) -> dict[str, str]:
    value: Any = plain(node)
    return (
        {name: text for name, text in value.items() if isinstance(text, str)}
        if isinstance(value, dict)
        else {}
    )


def _built(node: Node, report: Report) -> TestInput | None:
    """A message of HL7 v2 by fields with numbers: `{MSH: {9: ADT^A01}, NTE: [{3: one}, {3: two}]}`."""
    if not isinstance(node, Mapping):
        report.add(node.place, "E204", "build must be a mapping from segments to fields")
        return None
    lines: list[str] = []
    for key, value in node.entries:
        if _SEGMENT.fullmatch(key.text) is None:
            report.add(key.place, "E105", f"{key.text[:40]!r} names no segment")
            return None
        for each in value.items if isinstance(value, Sequence) else (value,):
            line = _line(key.text, each, report)
            if line is None:
                return None
            lines.append(line)
    made = TestInput("hl7v2", "\n".join(lines))
    refused = made.read().refused
    if refused is not None:
        report.add(node.place, "E281", f"what is built is no HL7 message: {refused.text}", "begin with MSH")
        return None
    return made


def _line(name: str, node: Node, report: Report) -> str | None:
    cells: dict[int, str] = {}
    for key, value in node.entries if isinstance(node, Mapping) else ():
        number = int(key.text) if key.text.isascii() and key.text.isdigit() else 0
        if not (3 if name == "MSH" else 1) <= number <= _FIELD_MAX or not isinstance(value, Scalar):
            hint = "fields by number, as in PID: {3: 7^^^N^MR}; MSH begins with 3"
            report.add(key.place, "E281", f"{name}: {key.text[:20]!r} is no field with a text", hint)
            return None
        cells[number] = value.text
    first = 3 if name == "MSH" else 1
    fields = [cells.get(number, "") for number in range(first, max(cells, default=first) + 1)]
    return "|".join((r"MSH|^~\&" if name == "MSH" else name, *fields))

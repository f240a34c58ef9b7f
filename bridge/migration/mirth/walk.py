"""The way of a message through a channel: what is known of it, before and behind the steps of a connector."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from bridge.formats.hl7v2 import Charset, Hl7Message
from bridge.formats.hl7v2_delimiters import STANDARD
from bridge.formats.hl7v2_escape import escape, unescape
from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Document, Spot
from bridge.migration.mirth.expressions import Expr, NotConverted
from bridge.migration.mirth.forms import Form
from bridge.migration.mirth.js_parse import parse
from bridge.migration.mirth.js_scope import Code, Scope
from bridge.migration.mirth.js_tree import Function, NotRead
from bridge.migration.mirth.json_text import from_template
from bridge.migration.mirth.model import Channel, Element, Transformer
from bridge.migration.mirth.outcomes import Outcome


@dataclass(slots=True)
class Let:
    """A name that a mapping gives to a value, and the element that asked for it. ``key`` is the old name."""

    name: str
    value: Expr
    element: Element
    key: str


@dataclass(slots=True)
class Walk:
    """The way through one channel, as far as a connector: what is known, and what became of each element.

    ``refused`` are elements that the language refused when they were tried, with its words.
    """

    scope: Scope
    refused: Mapping[str, str]
    lets: list[Let] = field(default_factory=list)
    outcomes: list[Outcome] = field(default_factory=list)
    marks: dict[str, Element] = field(default_factory=dict)

    def fork(self) -> Walk:
        """The way into one of several destinations."""
        return Walk(self.scope.fork(), self.refused, list(self.lets), [], dict(self.marks))


def begin(channel: Channel, form: Form, refused: Mapping[str, str], configuration: Mapping[str, str]) -> Walk:
    """Before the first step of a channel: the message as it came, and the functions of its libraries."""
    functions: dict[str, Code] = {}
    unread: dict[str, str] = {}
    for library in channel.libraries:
        for template in library.templates:
            if template.type.upper() == "DRAG_AND_DROP_CODE":
                continue
            try:
                for each in parse(template.code):
                    if isinstance(each, Function):
                        functions[each.name] = Code(each)
            except NotRead as error:
                for name in re.findall(r"\bfunction\s+([\w$]+)", template.code):
                    unread[name] = error.text
    document = Document(
        channel.source.transformer.inbound or "HL7V2",
        split=form.split,
        first_row=form.first_row,
        fixed=form.name == "fixed",
    )
    documents = {"msg": document, "tmp": document}
    return Walk(
        Scope(documents, configuration=configuration, functions=functions, unread_functions=unread), refused
    )


def enter(walk: Walk, transformer: Transformer) -> None:
    """Before the steps of a transformer: what ``msg`` and ``tmp`` are in it."""
    inbound = walk.scope.documents["tmp"]
    outbound = inbound
    kind = transformer.outbound or inbound.kind
    if kind == "JSON" != inbound.kind and not transformer.outbound_template.strip():
        # Without a template there is no `tmp`: what is sent is what the script makes of `msg`.
        kind = inbound.kind
    if transformer.outbound_template.strip() or (kind != inbound.kind and transformer.elements):
        outbound = Document(kind, "new")
        if kind == "HL7V2" and transformer.outbound_template.strip():
            _fill(outbound, transformer.outbound_template)
        if kind == "JSON":
            outbound = _json_document(transformer.outbound_template)
    walk.scope.documents = {"msg": inbound, "tmp": outbound}


def _json_document(template: str) -> Document:
    try:
        return Document("JSON", "new", made=from_template(template))
    except NotConverted as refused:
        return Document("JSON", "new", unknown=refused.reason)


def leave(walk: Walk, transformer: Transformer) -> None:
    """After them: what goes on is what they wrote."""
    made = walk.scope.documents["tmp"]
    if transformer.outbound == "JSON" != made.kind and transformer.elements:
        made = Document("JSON", "copy")
    walk.scope.documents = {"msg": made, "tmp": made}


def _fill(document: Document, template: str) -> None:
    """What stands in a template is written, unless a step writes something else.

    A blank by itself is nothing: the old engine reads a template as XML.
    """
    message = Hl7Message.read(re.sub(r"[\r\n]+", "\r", template).encode(), Charset("utf-8"))
    if message.refused is not None or message.delimiters != STANDARD:
        document.unknown = "its outbound template is none of HL7 v2, or has delimiters of its own"
        return
    for segment in message.segments:
        number = sum(name == segment.name for name, _ in document.segments) + 1
        document.segments += ((segment.name, number),)
        header = segment.name == "MSH"
        fields = segment.serialise().split("|")
        for at, text in enumerate(fields[2:] if header else fields[1:], start=3 if header else 1):
            for place, piece in _pieces(text):
                value = unescape(piece, STANDARD)
                if escape(value, STANDARD) != piece:
                    document.unknown = (
                        f"its outbound template has {segment.name}-{at}, which is no plain text"
                    )
                spot = Spot(segment.name, number if number > 1 else 0, at, *place)
                document.writes[spot] = ex.literal(value)


def _pieces(text: str) -> Iterator[tuple[tuple[int, int, int], str]]:
    """The texts of a field with their repetition, component and subcomponent, 0 for a first or only one."""
    for repetition, one in enumerate(text.split("~"), start=1):
        for component, whole in enumerate(one.split("^"), start=1):
            parts = whole.split("&")
            for number, piece in enumerate(parts, start=1):
                if piece.strip():
                    part = number if len(parts) > 1 else 0
                    yield (repetition if repetition > 1 else 0, component, part), piece

"""The way of a message through a channel: what is known of it, before and behind the steps of a connector."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from bridge.formats.hl7v2 import Charset, Hl7Message
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
        template = transformer.outbound_template if kind == "HL7V2" else ""
        outbound = Document(kind, "new", template=tuple(re.split(r"[\r\n]+", template)))
        if template:
            _fill(outbound)
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


def _fill(document: Document) -> None:
    """What stands in a template is written, unless a step writes something else."""
    message = Hl7Message.read("\r".join(document.template).encode(), Charset("utf-8"))
    for segment in message.segments:
        parts = segment.serialise().split("|")
        first = 2 if segment.name == "MSH" else 1
        for number, text in enumerate(
            parts[first:] if segment.name == "MSH" else parts[1:], start=3 if segment.name == "MSH" else 1
        ):
            for component, piece in enumerate(text.split("^"), start=1):
                if piece.strip() and "~" not in piece and "&" not in piece and "\\" not in piece:
                    document.writes[Spot(segment.name, field=number, component=component)] = ex.literal(piece)

"""Filters and transformers, as versions 2 to 3.4 write them (`step`, `rule` with `data`), and later ones."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Iterator
from typing import Final

from bridge.migration.mirth.model import Element, Kind, Transformer, Where
from bridge.migration.mirth.xml_tree import ExportRefused, Node

ELEMENTS_MAX_COUNT: Final = 20_000
ITERATORS_MAX_LEVELS: Final = 12
TYPE_PROPERTY_MAX_CHARACTERS: Final = 128 * 1024

_KINDS: Final[dict[str, Kind]] = {
    "MapperStep": "mapper",
    "MessageBuilderStep": "message-builder",
    "JavaScriptStep": "javascript",
    "XsltStep": "xslt",
    "ExternalScriptStep": "external-script",
    "IteratorStep": "iterator",
    "DestinationSetFilterStep": "destination-set",
    "RuleBuilderRule": "rule-builder",
    "JavaScriptRule": "javascript-rule",
    "ExternalScriptRule": "external-rule",
    "IteratorRule": "iterator-rule",
    # Types of versions 2 to 3.4
    "Mapper": "mapper",
    "Message Builder": "message-builder",
    "JavaScript": "javascript",
    "XSLT Step": "xslt",
    "External Script": "external-script",
    "Rule Builder": "rule-builder",
}
_CONDITIONS: Final = ("NOT_EQUAL", "EQUALS", "EXISTS", "NOT_EXIST", "CONTAINS", "NOT_CONTAIN")
"""What the numbers under `Equals` mean, from 0."""
_SCOPES: Final = {
    "connector": "CONNECTOR",
    "channel": "CHANNEL",
    "global channel": "GLOBAL_CHANNEL",
    "globalchannel": "GLOBAL_CHANNEL",
    "global": "GLOBAL",
    "response": "RESPONSE",
    "1": "GLOBAL",
    "0": "CHANNEL",
}
_FIELDS: Final = {
    "Variable": "variable",
    "Mapping": "mapping",
    "DefaultValue": "defaultValue",
    "Script": "script",
    "Field": "field",
    "XsltTemplate": "template",
    "Template": "template",
    "Source": "sourceXml",
    "Result": "resultVariable",
    "ScriptPath": "scriptPath",
}
_GROUPS: Final = frozenset(
    {"deserializationProperties", "responseGenerationProperties", "responseValidationProperties"}
)
_PROTOCOLS: Final = ("HL7V2", "X12", "XML", "HL7V3", "EDI", "NCPDP", "DICOM", "DELIMITED")
"""Data types of version 2 by number."""


def read_elements(node: Node | None, where: Where) -> tuple[Element, ...]:
    """The rules of a filter, or the steps of a transformer. Raises ExportRefused where there are too many."""
    if node is None:
        return ()
    found: list[Element] = []
    for holder in (node.get("elements"), node.get("steps"), node.get("rules")):
        found += [_element(child, where, 1) for child in ([] if holder is None else holder.children)]
    if sum(1 for each in found for _ in each.every()) > ELEMENTS_MAX_COUNT:
        raise ExportRefused(f"line {node.line}: more than {ELEMENTS_MAX_COUNT} rules or steps")
    return tuple(found)


def read_transformer(node: Node | None, where: Where) -> Transformer:
    """A transformer with its data types and the text of its templates."""
    if node is None:
        return Transformer()
    return Transformer(
        read_elements(node, where),
        _data_type(node.at("inboundDataType") or node.at("inboundProtocol")),
        _data_type(node.at("outboundDataType") or node.at("outboundProtocol")),
        _template(node.get("outboundTemplate")),
        _template(node.get("inboundTemplate")),
        _type_properties(node.get("inboundProperties")),
        _type_properties(node.get("outboundProperties")),
    )


def _type_properties(node: Node | None) -> dict[str, str]:
    """How messages of a data type are read and taken apart: flat in version 2, in groups from 3 on.

    What is said of writing and of acknowledgements has the name of its group before it, as these groups use
    the same names.
    """
    found: dict[str, str] = {}
    for child in [] if node is None else node.children:
        if child.tag in ("serializationProperties", "batchProperties"):
            found.update({each.tag: _type_property(each) for each in child.children})
        elif child.tag in _GROUPS:
            found.update({f"{child.tag}/{each.tag}": _type_property(each) for each in child.children})
        elif child.tag == "property":
            found[child.attributes.get("name", "")] = child.text[:TYPE_PROPERTY_MAX_CHARACTERS]
    return found


def _type_property(node: Node) -> str:
    """One value; several have commas between them, as in version 2. Names of columns have none."""
    text = ",".join(each.text.strip() for each in node.children) if node.children else node.text
    return text[:TYPE_PROPERTY_MAX_CHARACTERS]


def _data_type(text: str) -> str:
    text = text.strip()
    if text.isdecimal() and int(text[:4]) < len(_PROTOCOLS):
        return _PROTOCOLS[int(text)]
    return text.upper()


def _template(node: Node | None) -> str:
    if node is None or not node.text.strip():
        return ""
    if node.attributes.get("encoding") != "base64":
        return node.text
    try:
        return base64.b64decode("".join(node.text.split()), validate=True).decode("utf-8", "replace")
    except (binascii.Error, ValueError):
        return ""


def _element(node: Node, where: Where, level: int) -> Element:
    if level > ITERATORS_MAX_LEVELS:
        raise ExportRefused(f"line {node.line}: iterators stand in each other more than {level - 1} deep")
    data = node.get("data")
    if data is not None or node.tag in ("step", "rule") or node.tag.endswith((".Step", ".Rule")):
        return _of_data(node, data, where)
    short = node.tag.rpartition(".")[2]
    kind = _KINDS.get(short, "unknown")
    properties = node.get("properties")
    holder = properties if kind in ("iterator", "iterator-rule") and properties is not None else node
    children = holder.get("children")
    return Element(
        kind,
        where,
        node.at("name"),
        node.xpath,
        short,
        node.at("enabled").strip() != "false",
        node.at("operator").strip().upper(),
        {child.tag: child.text for child in holder.children if not child.children},
        _values(node, holder),
        _replacements(node.get("replacements")),
        tuple(_element(child, where, level + 1) for child in ([] if children is None else children.children)),
    )


def _values(node: Node, holder: Node) -> tuple[str, ...]:
    """The values of a rule, or the destinations of a destination set: all texts in order, typed apart."""
    found: list[str] = []
    if (values := node.get("values")) is not None:
        found += [child.text for child in values.children]
    if (ids := node.get("metaDataIds")) is not None:
        found += [f"#{child.text.strip()}" for child in ids.children]
    if (prefixes := holder.get("prefixSubstitutions")) is not None:
        found += [f"~{child.text}" for child in prefixes.children]
    return tuple(found)


def _replacements(node: Node | None) -> tuple[tuple[str, str], ...]:
    if node is None:
        return ()
    pairs = []
    for child in node.children:
        left, right = child.get("left"), child.get("right")
        if left is not None and right is not None:
            pairs.append((left.text, right.text))
        elif len(child.children) == 2:
            pairs.append((child.children[0].text, child.children[1].text))
    return tuple(pairs)


def _of_data(node: Node, data: Node | None, where: Where) -> Element:
    """A step or rule of versions 2 to 3.4: its type in words, its fields as a map."""
    rule = where in ("source-filter", "filter")
    type_name = node.at("type").strip() or ("JavaScript" if node.at("script").strip() else "")
    kind = _KINDS.get(type_name, "unknown")
    if rule and kind == "javascript":
        kind = "javascript-rule"
    elif rule and kind == "external-script":
        kind = "external-rule"
    fields: dict[str, str] = {}
    values: tuple[str, ...] = ()
    replacements: tuple[tuple[str, str], ...] = ()
    for key, value in _entries(data):
        if key == "Values":
            values = tuple(child.text for child in value.children)
        elif key == "RegularExpressions":
            replacements = _replacements(value)
        elif key == "isGlobal":
            fields["scope"] = _SCOPES.get(value.text.strip().lower(), "CHANNEL")
        elif key == "Equals":
            number = value.text.strip()
            known = re.fullmatch("[0-5]", number) is not None
            fields["condition"] = _CONDITIONS[int(number)] if known else number.upper()
        elif key in _FIELDS:
            fields[_FIELDS[key]] = value.text
    if kind == "message-builder" and "variable" in fields:
        fields["messageSegment"] = fields.pop("variable")
    if kind in ("javascript", "javascript-rule", "unknown") and not fields.get("script"):
        fields["script"] = node.at("script")
    operator = node.at("operator").strip().upper()
    name = node.at("name")
    return Element(
        kind, where, name, node.xpath, type_name or node.tag, True, operator, fields, values, replacements
    )


def _entries(data: Node | None) -> Iterator[tuple[str, Node]]:
    for entry in [] if data is None else data.children:
        if len(entry.children) == 2:
            yield entry.children[0].text.strip(), entry.children[1]

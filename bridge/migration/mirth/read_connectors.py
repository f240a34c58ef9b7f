"""Sources and destinations: classes and typed properties from version 3 on, names and texts in version 2."""

from __future__ import annotations

import re
from typing import Final

from bridge.migration.mirth.model import Connector, Element, Where
from bridge.migration.mirth.old_connectors import as_of_version_2, as_of_version_3
from bridge.migration.mirth.read_steps import read_elements, read_transformer
from bridge.migration.mirth.xml_tree import Node

PROPERTIES_MAX_COUNT: Final = 5_000
PROPERTY_MAX_CHARACTERS: Final = 16_384
"""Of one that is no script; more than that no setting has."""

TRANSPORTS: Final = {
    "tcp.TcpReceiverProperties": "TCP Listener",
    "tcp.TcpDispatcherProperties": "TCP Sender",
    "file.FileReceiverProperties": "File Reader",
    "file.FileDispatcherProperties": "File Writer",
    "http.HttpReceiverProperties": "HTTP Listener",
    "http.HttpDispatcherProperties": "HTTP Sender",
    "vm.VmReceiverProperties": "Channel Reader",
    "vm.VmDispatcherProperties": "Channel Writer",
    "js.JavaScriptReceiverProperties": "JavaScript Reader",
    "js.JavaScriptDispatcherProperties": "JavaScript Writer",
    "jdbc.DatabaseReceiverProperties": "Database Reader",
    "jdbc.DatabaseDispatcherProperties": "Database Writer",
    "ws.WebServiceReceiverProperties": "Web Service Listener",
    "ws.WebServiceDispatcherProperties": "Web Service Sender",
    "smtp.SmtpDispatcherProperties": "SMTP Sender",
    "jms.JmsReceiverProperties": "JMS Listener",
    "jms.JmsDispatcherProperties": "JMS Sender",
    "dimse.DICOMReceiverProperties": "DICOM Listener",
    "dimse.DICOMDispatcherProperties": "DICOM Sender",
    "doc.DocumentDispatcherProperties": "Document Writer",
}
_OLD_NAMES: Final = {
    "LLP Listener": "TCP Listener",
    "LLP Sender": "TCP Sender",
    "SOAP Sender": "Web Service Sender",
    "SOAP Listener": "Web Service Listener",
    "Email Sender": "SMTP Sender",
}
_SCRIPTS: Final = {
    "script": "the connector's script",
    "query": "the connector's script",
    "select": "the script that reads",
    "update": "the script that updates",
    "batchScript": "the script that splits a batch",
}
_SQL: Final = re.compile(r"\s*(select|insert|update|delete|call|exec|\{)\b", re.IGNORECASE)


def read_connector(node: Node, *, source: bool, number: int, script_fields: bool = True) -> Connector:
    """One connector. Raises ExportRefused where it breaks a limit."""
    properties_node = node.get("properties")
    class_name = "" if properties_node is None else properties_node.attributes.get("class", "")
    properties: dict[str, str] = {}
    texts: list[tuple[str, Node]] = []
    if properties_node is not None:
        _flatten(properties_node, "", properties, texts)
    named = node.at("transportName").strip() or properties.get("DataType", "")
    short = re.sub(r"^.*\.connectors\.", "", class_name)
    transport = _OLD_NAMES.get(named, named) or TRANSPORTS.get(short, short)
    transport = TRANSPORTS.get(short, transport)
    properties = as_of_version_3(properties) if class_name else as_of_version_2(properties, transport, named)
    filter_where: Where = "source-filter" if source else "filter"
    step_where: Where = "source-transformer" if source else "transformer"
    return Connector(
        int(node.at("metaDataId").strip()[:9]) if node.at("metaDataId").strip().isdecimal() else number,
        node.at("name").strip(),
        transport,
        class_name,
        node.at("enabled").strip() != "false",
        properties,
        read_elements(node.get("filter"), filter_where),
        read_transformer(node.get("transformer"), step_where),
        read_transformer(node.get("responseTransformer"), "response"),
        _scripts(texts, properties, step_where, node) if script_fields else (),
        node.xpath,
    )


def _flatten(node: Node, path: str, into: dict[str, str], texts: list[tuple[str, Node]]) -> None:
    for child in node.children:
        if len(into) >= PROPERTIES_MAX_COUNT:
            return
        name = child.attributes.get("name", "") if child.tag == "property" else child.tag
        if "." in name and child.tag != "property":
            name = name.rpartition(".")[2]
        below = f"{path}/{name}" if path else name
        if child.children:
            _flatten(child, below, into, texts)
        else:
            into.setdefault(below, child.text if name in _SCRIPTS else child.text[:PROPERTY_MAX_CHARACTERS])
            if name in _SCRIPTS and child.text.strip():
                texts.append((name, child))
        if child.tag == "transmissionModeProperties":
            into["transmissionMode"] = child.at("pluginPointName") or "MLLP"
        if child.tag == "schemeProperties":
            into["schemeProperties"] = child.attributes.get("class", "").rpartition(".")[2]


def _scripts(
    texts: list[tuple[str, Node]], properties: dict[str, str], where: Where, connector: Node
) -> tuple[Element, ...]:
    """Scripts that the connector itself runs. A query that is SQL and not a script is one as well."""
    found = []
    for name, node in texts:
        if name in ("query", "select", "update") and properties.get("useScript", "true").strip() == "false":
            kind_name = "SQL"
        else:
            kind_name = "SQL" if _SQL.match(node.text) else "script"
        fields = {"script": node.text, "language": kind_name}
        title = f"{_SCRIPTS[name]} of {connector.at('name').strip() or 'the source'}"
        found.append(Element("script", where, title, node.xpath, name, True, "", fields))
    return tuple(found)

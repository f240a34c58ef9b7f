"""Source connectors become the `source:` of a channel file, or a reason why they cannot yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.migration.mirth.answers import acknowledged
from bridge.migration.mirth.file_sources import file_source
from bridge.migration.mirth.forms import Form, in_batches
from bridge.migration.mirth.model import Connector
from bridge.migration.mirth.outcomes import ConnectorOutcome
from bridge.migration.mirth.text import item, one_line
from bridge.migration.mirth.ways import Way, charset_of, finished, manual, no_frames, value_name

OLD_SENDER: Final = "old-sender"
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]{1,100})\}")


def source_of(
    connector: Connector, channel: str, link: str | None, configuration: Mapping[str, str], form: Form
) -> Way:
    """The `source:` of a channel. ``link`` is the address at which a channel reader listens, if it is one."""
    if form.refused:
        return manual(connector, form.refused)
    way = _source(connector, channel, link, configuration, form)
    if not way.works or not form.in_files:
        return way
    way.notes += form.notes_for(way.charset)
    return finished(connector, way, f"{way.outcome.into}, {form.name}")


def _source(
    connector: Connector, channel: str, link: str | None, configuration: Mapping[str, str], form: Form
) -> Way:
    match connector.transport:
        case "TCP Listener":
            return _tcp(connector)
        case "Channel Reader" if link is not None:
            way = Way(ConnectorOutcome("", "", "", "manual"))
            way.lines = ["mllp:", f"  listen: {item(link)}", f"  acknowledge: {acknowledged(connector, way)}"]
            way.port = link
            way.notes.append(
                "another channel of the old engine hands messages over in memory; here they cross loopback, "
                "and are journaled on both sides"
            )
            return finished(connector, way, "a listener on loopback")
        case "Channel Reader":
            return manual(connector, "no channel of this export writes to it: say who sends, and over what")
        case "File Reader":
            return file_source(connector, channel, configuration, form)
        case "HTTP Listener":
            return _http(connector, channel)
        case other:
            return manual(connector, f"{one_line(other, 60) or 'an unknown connector'} has no counterpart")


def _tcp(connector: Connector) -> Way:
    way = Way(ConnectorOutcome("", "", "", "manual"))
    if connector.text("serverMode") == "false":
        return manual(connector, "it connects to the sender itself, and the bridge only listens")
    port = connector.text("listenerConnectorProperties/port").strip()
    host = connector.text("listenerConnectorProperties/host").strip()
    if unframed := no_frames(connector):
        return manual(connector, unframed)
    if connector.text("transmissionModeProperties/useMLLPv2") == "true":
        way.notes.append("MLLP v2 acknowledges each block by a byte, which the bridge does not send")
    listen = _listen(host, port, way)
    if listen is None:
        return manual(connector, f"the port is {one_line(port, 40) or 'not said'!r}")
    way.port = port
    acknowledge = acknowledged(connector, way)
    way.lines = ["mllp:", f"  listen: {listen}", f"  acknowledge: {acknowledge}"]
    most = connector.text("maxConnections").strip()
    if most.isdecimal() and 0 < int(most[:9]) < 512:
        way.lines.append(f"  max_connections: {int(most[:9])}")
        if int(most[:9]) < 32:
            way.lines.append(f"  max_connections_per_peer: {int(most[:9])}")
    idle = connector.text("receiveTimeout").strip()
    if idle.isdecimal() and int(idle[:12]) > 0:
        way.lines.append(f"  idle: {int(idle[:12])}ms")
    _block(connector, way)
    way.charset = charset_of(connector, way)
    if in_batches(connector):
        way.notes.append("batches were taken apart; here each message comes in its own block")
    if connector.text("respondOnNewConnection") in ("1", "2"):
        way.notes.append("answers went back on a connection of their own: see `application_ack`")
    if connector.text("keepConnectionOpen") == "false":
        way.notes.append("the connection was closed after each message; here its sender closes it")
    if connector.text("dataTypeBinary") == "true":
        way.notes.append("messages were taken as binary, in Base64; here as they come")
    threads = connector.text("sourceConnectorProperties/processingThreads").strip()
    if threads not in ("", "0", "1"):
        way.notes.append(
            f"{one_line(threads, 10)} threads took messages at once, in any order; here in order"
        )
    return finished(connector, way, f"source: mllp on port {port}")


def _http(connector: Connector, channel: str) -> Way:
    way = Way(ConnectorOutcome("", "", "", "manual"))
    port = connector.text("listenerConnectorProperties/port").strip()
    listen = _listen(connector.text("listenerConnectorProperties/host").strip(), port, way)
    if listen is None:
        return manual(connector, f"the port is {one_line(port, 40) or 'not said'!r}")
    if connector.text("xmlBody") == "true" or connector.text("includeMetadata") == "true":
        return manual(connector, "the request is wrapped in XML before it is read")
    path = "/" + connector.text("contextPath").strip().strip("/")
    if not re.fullmatch(r"/[A-Za-z0-9._~/-]*", path):
        return manual(connector, f"the path is {one_line(path, 60)!r}")
    way.port = port
    secret = value_name(f"{channel} token").upper().replace("-", "_")
    way.lines = ["http_in:", f"  listen: {listen}", f"  path: {item(path)}"]
    way.lines.append(f"  tokens: {{{OLD_SENDER}: secret://env/{secret}}}")
    way.notes.append(
        "whoever posts shows a token (`Authorization: Bearer`), which no export has; write `tls` as well "
        "where that network is not trusted"
    )
    way.notes.append("only POST is taken, and answered 202 once it is on disk, in words of the bridge")
    if any(name.startswith("staticResources/") for name in connector.properties):
        way.notes.append("files that it gave to whoever asked for them are not given here")
    way.charset = charset_of(connector, way)
    return finished(connector, way, f"source: http_in on port {port}")


def _listen(host: str, port: str, way: Way) -> str | None:
    found = _PLACEHOLDER.fullmatch(port)
    if found:
        name = value_name(found[1])
        way.values[name] = "tcp:6661"
        way.notes.append(f"the port is `{one_line(found[1], 60)}` of the configuration map")
        return f"value://{name}"
    if not port.isdecimal() or not 0 < int(port[:6]) < 65536:
        return None
    if host in ("", "0.0.0.0", "localhost", "*") or not re.fullmatch(r"[0-9.]+", host):  # noqa: S104 - a text
        where = ":interface=127.0.0.1" if host == "localhost" else ""
        if host and host not in ("0.0.0.0", "localhost", "*"):  # noqa: S104 - a text
            way.notes.append(f"it listened on {one_line(host, 60)}; here on every address")
        return item(f"tcp:{int(port)}{where}")
    return item(f"tcp:{int(port)}:interface={host}")


def _block(connector: Connector, way: Way) -> None:
    start = connector.text("transmissionModeProperties/startOfMessageBytes").strip().lower()
    end = connector.text("transmissionModeProperties/endOfMessageBytes").strip().lower()
    if (start, end) in (("", ""), ("0b", "1c0d")):
        return
    returns = end.endswith("0d") and len(end) == 4
    plain = end[:2] if returns else end
    if re.fullmatch("[0-9a-f]{2}", start) and re.fullmatch("[0-9a-f]{2}", plain):
        returned = "" if returns else ", carriage_return: false"
        way.lines.append(f'  block: {{start: "{start}", end: "{plain}"{returned}}}')
    else:
        way.notes.append(
            f"the frames are {one_line(start, 20) or 'nothing'} and {one_line(end, 20) or 'nothing'}, "
            "which `block` cannot say: see `framing`"
        )

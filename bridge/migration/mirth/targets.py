"""Destination connectors become API files, or a reason why they cannot yet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.migration.mirth.answers import reading
from bridge.migration.mirth.file_sources import folder_of, sftp_server
from bridge.migration.mirth.hl7_settings import written_otherwise
from bridge.migration.mirth.model import Connector
from bridge.migration.mirth.outcomes import ConnectorOutcome
from bridge.migration.mirth.steps import only_logs
from bridge.migration.mirth.text import item, one_line, quoted
from bridge.migration.mirth.ways import Way, charset_of, finished, manual, no_frames, value_name

_MESSAGE: Final = frozenset(
    {"${message.encodedData}", "${message.transformedData}", "${message.encodedData}\r", ""}
)
_ORIGINAL: Final = frozenset({"${message.rawData}"})
_PLACEHOLDER: Final = re.compile(r"\$\{([^}]{1,100})\}")
_SAFE: Final = re.compile(r"[^A-Za-z0-9._{}-]+")


def sends(connector: Connector) -> str:
    """Whether a destination sends the message as it was made, or as it came; empty: something else."""
    template = connector.text("template", "channelTemplate", "content").strip()
    if template in _ORIGINAL:
        return "original"
    return "message" if template in _MESSAGE else ""


def target_of(
    connector: Connector, links: Mapping[str, str], configuration: Mapping[str, str], name: str
) -> Way:
    """The lines of an API file after its name. ``links`` are the addresses of channel readers.

    ``name`` is what values and secrets are called after that only this destination has.
    """
    match connector.transport:
        case "TCP Sender":
            return _tcp(connector)
        case "File Writer":
            return _file(connector, configuration, name)
        case "Channel Writer":
            return _channel(connector, links)
        case "HTTP Sender":
            return _http(connector)
        case "JavaScript Writer" if only_logs(connector.text("script")):
            outcome = ConnectorOutcome(
                connector.name,
                connector.transport,
                connector.xpath,
                "dropped",
                "it writes to the log only; the journal has every message",
            )
            return Way(outcome)
        case "JavaScript Writer":
            return manual(connector, "a script sends: name the API that it should be")
        case "Database Writer":
            return manual(connector, "a database is written to: name the API of the system that owns it")
        case other:
            return manual(
                connector, f"{one_line(other, 60) or 'an unknown connector'} has no counterpart: name an API"
            )


def _whole(connector: Connector, kind: str) -> list[str] | None:
    words = sends(connector)
    if not words:
        return None
    lines = ["send: message" if words == "message" else "send: original"]
    return [*lines, "carries: {phi: true}", f"repeat_safety: {'natural_key' if kind == 'file' else 'none'}"]


def _threads(connector: Connector) -> list[str]:
    threads = connector.text("destinationConnectorProperties/threadCount").strip()
    number = int(threads[:3]) if threads.isdecimal() and int(threads[:3]) > 0 else 1
    return [f"limits: {{in_flight: {min(number, 64)}}}"]


def _queue(connector: Connector, way: Way) -> None:
    properties = "destinationConnectorProperties/"
    queued = connector.text(properties + "queueEnabled", "usePersistentQueues")
    if queued in ("false", "0"):
        way.notes.append("a receiver that is away was an error after its retries; here the message waits")
    retries = connector.text(properties + "retryCount", "maxRetryCount")
    if retries not in ("", "0"):
        way.notes.append(
            f"{one_line(retries, 10)} retries and then an error; here it is tried for as long as it takes"
        )
    if connector.text(properties + "rotate") == "true":
        way.notes.append("what could not be sent went behind the rest of the queue; here the order is kept")
    if variable := connector.text(properties + "threadAssignmentVariable").strip():
        way.notes.append(
            f"what had the same {one_line(variable, 40)!r} kept its order among the threads: see `order_by`"
        )


def _charset(connector: Connector, way: Way) -> None:
    """The character set in which a destination wrote: a mapping can, and what is sent on is as it came."""
    if not (charset := charset_of(connector, way)):
        return
    if sends(connector) == "original":
        way.notes.append(f"it was sent in {charset}; here byte for byte as it came")
    else:
        way.notes.append(f"it was sent in {charset}: write `charset: {charset}` in the mapping")


def _tcp(connector: Connector) -> Way:
    way = Way(ConnectorOutcome("", "", "", "manual"))
    host, port = connector.text("remoteAddress").strip(), connector.text("remotePort").strip()
    if connector.text("serverMode") == "true":
        return manual(connector, "the receiver connects to the sender, and the bridge only calls")
    whole = _whole(connector, "mllp")
    if whole is None:
        return manual(connector, "the text that is sent is put together by a template of the connector")
    if unframed := no_frames(connector):
        return manual(connector, unframed)
    if (
        not re.fullmatch(r"[A-Za-z0-9.-]{1,253}", host)
        or not port.isdecimal()
        or not 0 < int(port[:6]) < 65536
    ):
        if not (_PLACEHOLDER.search(host) or _PLACEHOLDER.search(port)):
            return manual(connector, f"the address is {one_line(host, 60)}:{one_line(port, 20)}")
        names = [*_PLACEHOLDER.findall(host), *_PLACEHOLDER.findall(port)]
        name = value_name("-".join(names))
        way.values[name] = "tcp:127.0.0.1:6661"
        way.notes.append(f"the address holds {one_line(', '.join(names), 80)} of the configuration map")
        connect = f"value://{name}"
    else:
        connect = item(f"tcp:{host.lower()}:{int(port)}")
    loopback = host in ("localhost", "127.0.0.1")
    lines = ["mllp:", f"  connect: {connect}"]
    if not loopback:
        lines.append("  plain: true   # as it was, without TLS: right where that network is trusted")
    answer = connector.text("responseTimeout").strip()
    if answer.isdecimal() and 0 < int(answer[:9]) <= 3_600_000:
        lines.append(f"  answer_within: {int(answer[:9])}ms")
    block = _block(connector, way)
    if connector.text("ignoreResponse") == "true":
        way.notes.append("the receiver's answer was not waited for; here it is")
    answers, retry = reading(connector, way)
    way.lines = [*lines, *answers, *block, *whole, *retry, *_threads(connector)]
    _differs(connector, way)
    _queue(connector, way)
    return finished(connector, way, f"API over MLLP, {host}:{port}")


def _differs(connector: Connector, way: Way) -> None:
    """What of a TCP sender's settings has no counterpart."""
    _charset(connector, way)
    if connector.text("keepConnectionOpen") == "false":
        way.notes.append("the connection was closed after each message; here after `idle_close`")
    way.notes += written_otherwise(connector)
    if connector.text("transmissionModeProperties/useMLLPv2") == "true":
        way.notes.append(
            "MLLP v2 waited for a byte that acknowledges each block; here only the answer counts"
        )
    if connector.text("overrideLocalBinding") == "true":
        own = ":".join(connector.text(name).strip() for name in ("localAddress", "localPort"))
        way.notes.append(
            f"it connected from {one_line(own, 60)!r}; here from whatever address the system has"
        )
    if connector.text("dataTypeBinary") == "true":
        way.notes.append("what is sent was taken for Base64; here it is sent as it is")


def _block(connector: Connector, way: Way) -> list[str]:
    start = connector.text("transmissionModeProperties/startOfMessageBytes").strip().lower()
    end = connector.text("transmissionModeProperties/endOfMessageBytes").strip().lower()
    if (start, end) in (("", ""), ("0b", "1c0d")):
        return []
    returns = len(end) == 4 and end.endswith("0d")
    if re.fullmatch("[0-9a-f]{2}", start) and re.fullmatch("[0-9a-f]{2}", end[:2] if returns else end):
        after = "" if returns else ", carriage_return: false"
        return [f'  block: {{start: "{start}", end: "{end[:2]}"{after}}}']
    way.notes.append("the frames are none that `block` can say")
    return []


def _file(connector: Connector, configuration: Mapping[str, str], label: str) -> Way:
    way = Way(ConnectorOutcome("", "", "", "manual"))
    scheme = connector.text("scheme").strip() or "FILE"
    if scheme not in ("FILE", "SFTP"):
        return manual(connector, f"files over {one_line(scheme, 20)} have no counterpart: name an API")
    whole = _whole(connector, "file")
    if whole is None:
        return manual(connector, "the text of the file is put together by a template of the connector")
    if scheme == "SFTP":
        server = sftp_server(connector, label, way)
        if server is None:
            return manual(
                connector,
                f"the server is {one_line(connector.text('host'), 60)!r}: write its API",
            )
        lines, kind = server, "API onto an SFTP server"
    else:
        folder = folder_of(connector.text("host"), f"{label} folder", configuration, way)
        lines, kind = ["file:", f"  directory: {folder}"], "API into a folder"
    name = _file_name(connector.text("outputPattern").strip())
    way.notes.append(
        f"files are called {name!r}, where the old engine called them "
        f"{one_line(connector.text('outputPattern'), 60)!r}"
    )
    if connector.text("outputAppend") in ("true", "1"):
        way.notes.append(
            "each message is a file of its own, where the old engine added to one that was there"
        )
    way.notes += written_otherwise(connector)
    if connector.text("errorOnExists") == "true":
        way.notes.append("a file that was there was an error; here no two files share a name")
    if connector.text("binary") == "true":
        way.notes.append("what is written was taken for Base64; here it is written as it is")
    _charset(connector, way)
    _queue(connector, way)
    way.lines = [*lines, f"  name: {quoted(name)}", *whole, *_threads(connector)]
    return finished(connector, way, kind)


def _file_name(pattern: str) -> str:
    """A name that holds the delivery's number, and what of the old one is fixed."""
    head, _, ending = pattern[:200].rpartition(".")
    if not head:
        head, ending = pattern, "hl7"
    head = head.replace("${message.messageId}", "{message_id}").replace("${channelName}", "{channel}")
    head = _SAFE.sub("-", _PLACEHOLDER.sub("", head)).strip("-._")
    head = re.sub(r"\{(?!message_id\}|channel\})[^}]*\}?|(?<!message_id)(?<!channel)\}", "", head)[:60]
    ending = re.sub("[^A-Za-z0-9]", "", _PLACEHOLDER.sub("", ending))[:10] or "hl7"
    return f"{head}-{{delivery}}.{ending}" if head else f"{{delivery}}.{ending}"


def _channel(connector: Connector, links: Mapping[str, str]) -> Way:
    way = Way(ConnectorOutcome("", "", "", "manual"))
    channel_id = connector.text("channelId").strip()
    if channel_id.lower() in ("", "none", "sink"):
        outcome = ConnectorOutcome(
            connector.name,
            connector.transport,
            connector.xpath,
            "dropped",
            "it hands the message to no channel",
        )
        return Way(outcome)
    if channel_id not in links:
        return manual(
            connector,
            f"the channel {one_line(channel_id, 40)} is not in this export, did not run, or is not read over "
            "MLLP",
        )
    whole = _whole(connector, "mllp")
    if whole is None:
        return manual(connector, "what is handed over is put together by a template of the connector")
    way.lines = ["mllp:", f"  connect: {item(links[channel_id])}", *whole, "limits: {in_flight: 1}"]
    way.notes.append("it was handed over in memory; here over loopback, and it is acknowledged")
    if connector.text("mapVariables/string"):
        way.notes.append("map entries that went along are not handed over")
    return finished(connector, way, "API over MLLP, on loopback")


def _http(connector: Connector) -> Way:
    url = connector.text("host").strip()
    method = connector.text("method").strip().upper() or "POST"
    found = re.match(r"https?://(?:[^/@\s]*@)?([^/?#\s]+)", url, re.IGNORECASE)
    shown = one_line(found[1] if found else "an address", 80)
    reason = f"{one_line(method, 10)} to {shown}: write its API, with the record's fields that it takes"
    return manual(connector, reason)

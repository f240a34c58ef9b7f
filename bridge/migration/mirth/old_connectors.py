"""Properties of connectors of versions 2 and 3.0, under the names and in the values of version 4.

What an old default means is said as the old engine's own import says it when it takes such a channel over.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Final

AFTER_TRANSFORMER: Final = "Auto-generate (After source transformer)"
_RESPONSE: Final = "sourceConnectorProperties/responseVariable"
_QUEUE: Final = "destinationConnectorProperties/"
_GROUPS: Final = {
    "responseConnectorProperties/": "sourceConnectorProperties/",
    "queueConnectorProperties/": _QUEUE,
}
"""Groups of version 3.0 that got another name."""
_RENAMED: Final = {
    "processHL7ACK": _QUEUE + "validateResponse",
    "processBatch": "sourceConnectorProperties/processBatch",
}
_LISTENS: Final = {
    "host": "listenerConnectorProperties/host",
    "address": "listenerConnectorProperties/host",
    "port": "listenerConnectorProperties/port",
    "responseValue": _RESPONSE,
}
_QUEUED: Final = {
    "usePersistentQueues": _QUEUE + "queueEnabled",
    "maxRetryCount": _QUEUE + "retryCount",
    "reconnectMillisecs": _QUEUE + "retryIntervalMillis",
    "rotateQueue": _QUEUE + "rotate",
}
_KEYS: Final[Mapping[str, Mapping[str, str]]] = {
    "TCP Listener": {
        **_LISTENS,
        "ackOnNewConnection": "respondOnNewConnection",
        "ackIP": "responseAddress",
        "ackPort": "responsePort",
        "processBatchFiles": "sourceConnectorProperties/processBatch",
        "ackCodeSuccessful": "successfulACKCode",
        "ackMsgSuccessful": "successfulACKMessage",
        "ackCodeError": "errorACKCode",
        "ackMsgError": "errorACKMessage",
        "ackCodeRejected": "rejectedACKCode",
        "ackMsgRejected": "rejectedACKMessage",
        "checkMSH15": "msh15ACKAccept",
    },
    "HTTP Listener": {
        **_LISTENS,
        "receiverResponse": _RESPONSE,
        "receiverContextPath": "contextPath",
        "receiverBodyOnly": "bodyOnly",
        "receiverCharset": "charset",
    },
    "TCP Sender": {
        **_QUEUED,
        "host": "remoteAddress",
        "port": "remotePort",
        "ackTimeout": "responseTimeout",
        "hl7ProcessACK": _QUEUE + "validateResponse",
    },
    "Channel Writer": {"host": "channelId", "template": "channelTemplate"},
    "File Reader": {
        "moveToPattern": "moveToFileName",
        "moveToErrorDirectory": "errorMoveToDirectory",
        "sortAttribute": "sortBy",
        "FTPAnonymous": "anonymous",
        "processBatchFiles": "sourceConnectorProperties/processBatch",
    },
    "File Writer": {"FTPAnonymous": "anonymous"},
    "Database Writer": {"URL": "url"},
    "Database Reader": {"URL": "url"},
    "HTTP Sender": {**_QUEUED, "URL": "host", "dispatcherMethod": "method", "dispatcherContent": "content"},
}
_SWITCHES: Final = frozenset(
    {
        _QUEUE + "queueEnabled",
        _QUEUE + "rotate",
        _QUEUE + "validateResponse",
        "sourceConnectorProperties/processBatch",
        "serverMode",
        "msh15ACKAccept",
        "bodyOnly",
        "regex",
        "checkFileAge",
        "binary",
        "anonymous",
        "ignoreDot",
        "outputAppend",
        "errorOnExists",
        "sendACK",
    }
)
"""Written 0 and 1 in version 2, false and true from 3 on."""


def as_of_version_3(properties: Mapping[str, str]) -> dict[str, str]:
    """Of a connector that has classes: groups and names of version 3.0 under their later names."""
    found: dict[str, str] = {}
    for name, value in properties.items():
        group = next((old for old in _GROUPS if name.startswith(old)), "")
        later = _GROUPS[group] + name.removeprefix(group) if group else _RENAMED.get(name, name)
        found.setdefault(later, value)
    if found.get("bodyOnly") == "false":
        found.setdefault("xmlBody", "true")
    return found


def as_of_version_2(properties: Mapping[str, str], transport: str, named: str) -> dict[str, str]:
    """Of a connector that is texts by names alone. ``named`` is its transport as the file has it."""
    keys = _KEYS.get(transport, {})
    renamed = {keys.get(name, name): value for name, value in properties.items()}
    found = {name: _switch(value) if name in _SWITCHES else value for name, value in renamed.items()}
    if (finish := _FINISH.get(transport)) is not None:
        finish(found, named)
    if found.get("bodyOnly") == "false":
        found["xmlBody"] = "true"
    return found


def _switch(value: str) -> str:
    return {"0": "false", "1": "true"}.get(value.strip(), value.strip().lower())


def _listener(properties: dict[str, str], named: str) -> None:
    _frames(properties)
    # `responseValue` counts only where the listener does not acknowledge by itself, as LLP does by default.
    if named.startswith("LLP") and properties.get("sendACK", "true") == "true":
        properties[_RESPONSE] = AFTER_TRANSFORMER
    else:
        properties.setdefault(_RESPONSE, "None")


def _sender(properties: dict[str, str], named: str) -> None:
    _frames(properties)
    reads = "true" if named.startswith("LLP") else "false"
    properties.setdefault(_QUEUE + "validateResponse", reads)


def _files(properties: dict[str, str], _named: str) -> None:
    properties["scheme"] = properties.get("scheme", "FILE").strip().upper()


def _reader(properties: dict[str, str], named: str) -> None:
    _files(properties, named)
    deleted = _switch(properties.pop("autoDelete", "0")) == "true"
    moved = any(properties.get(name, "").strip() for name in ("moveToDirectory", "moveToFileName"))
    properties["afterProcessingAction"] = "DELETE" if deleted else "MOVE" if moved else "NONE"
    errors = properties.get("errorMoveToDirectory", "").strip()
    properties["errorReadingAction"] = "MOVE" if errors else "NONE"
    properties.setdefault("sortBy", "date")


_FINISH: Final[Mapping[str, Callable[[dict[str, str], str], None]]] = {
    "TCP Listener": _listener,
    "TCP Sender": _sender,
    "File Reader": _reader,
    "File Writer": _files,
}


def _frames(properties: dict[str, str]) -> None:
    """Version 2 names the bytes of a frame one by one; 0x0B is a byte in hexadecimal digits."""

    def byte(name: str, otherwise: str = "") -> str:
        text = properties.get(name, otherwise).strip().lower().removeprefix("0x")
        return text.upper() if re.fullmatch("[0-9a-f]{2}", text) else ""

    start, end = byte("messageStart"), byte("messageEnd")
    if start and end:
        properties["transmissionModeProperties/startOfMessageBytes"] = start
        properties["transmissionModeProperties/endOfMessageBytes"] = end + byte("recordSeparator", "0x0D")
    properties["transmissionMode"] = "MLLP"

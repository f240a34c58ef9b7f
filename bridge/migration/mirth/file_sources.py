"""File readers become `file_drop` sources: which files, when they are whole, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.migration.mirth.model import Connector
from bridge.migration.mirth.outcomes import ConnectorOutcome
from bridge.migration.mirth.text import item, one_line, quoted
from bridge.migration.mirth.ways import Way, charset_of, finished, manual, value_name

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]{1,100})\}")
_AFTER: Final = {"MOVE": "move", "DELETE": "delete", "NONE": "keep"}
_POLL_MAX_MS: Final = 86_400_000
_STABLE_MAX_MS: Final = 3_600_000


def folder_of(text: str, name: str, configuration: Mapping[str, str], way: Way) -> str:
    """A folder as our files write it; one that is not known is a value of the environment."""
    folder = text.strip()
    for variable in _PLACEHOLDER.findall(folder):
        if variable in configuration:
            folder = folder.replace(f"${{{variable}}}", configuration[variable])
    if _PLACEHOLDER.search(folder) or not folder.startswith("/") or "/../" in f"{folder}/":
        value = value_name(name)
        way.values[value] = f"/var/spool/bridge/{value}"
        way.notes.append(f"the folder was {one_line(folder, 80)!r}: say it in the environment")
        return f"value://{value}"
    return item(folder.rstrip("/") or "/")


def file_source(connector: Connector, channel: str, configuration: Mapping[str, str]) -> Way:
    """The `source:` of a file reader, or why a person must write it."""
    scheme = connector.text("scheme").strip() or "FILE"
    if scheme == "SFTP":
        return manual(
            connector, "files over SFTP: the `sftp` source needs the server's host key, which no export has"
        )
    if scheme != "FILE":
        return manual(connector, f"files over {one_line(scheme, 20)} have no counterpart")
    way = Way(ConnectorOutcome("", "", "", "manual"))
    pattern = connector.text("fileFilter").strip() or "*"
    if connector.text("regex") == "true":
        return manual(
            connector, f"files are chosen by the expression {one_line(pattern, 80)!r}: write `include`"
        )
    folder = folder_of(connector.text("host"), f"{channel} in", configuration, way)
    lines = ["file_drop:", f"  directory: {folder}"]
    if pattern != "*":
        lines.append(
            f"  include: [{', '.join(quoted(each.strip()) for each in pattern.split(',') if each.strip())}]"
        )
    if connector.text("directoryRecursion") == "true":
        lines.append("  depth: 8")
    if connector.text("sortBy") == "date":
        lines.append("  order: time")
    lines += _times(connector)
    action = connector.text("afterProcessingAction", "autoDelete").strip().upper()
    after = _AFTER.get(action, "delete" if action == "1" else "move")
    lines.append(f"  after: {after}")
    moved = connector.text("moveToDirectory").strip()
    renamed = connector.text("moveToFileName").strip()
    if after == "move" and (moved or renamed):
        to = one_line(" as ".join(filter(None, (moved, renamed))), 100)
        way.notes.append(
            f"taken files went to {to!r}; here to the folder `done` below, under their own names"
        )
    if connector.text("checkFileAge") == "false":
        way.notes.append("a file was taken at once; here when it has been as it is for a while, `stable_for`")
    if connector.text("sourceConnectorProperties/processBatch") != "true":
        way.notes.append("a file was one message; here it is taken apart where it holds several")
    way.lines = lines
    way.charset = charset_of(connector, way)
    return finished(connector, way, f"source: file_drop, {one_line(pattern, 40)}")


def _times(connector: Connector) -> list[str]:
    lines = []
    age = connector.text("fileAge").strip()
    if age.isdecimal() and connector.text("checkFileAge") != "false" and 0 < int(age[:9]) <= _STABLE_MAX_MS:
        lines.append(f"  stable_for: {int(age[:9])}ms")
    poll = connector.text("pollConnectorProperties/pollingFrequency", "pollingFrequency").strip()
    kind = connector.text("pollConnectorProperties/pollingType", "pollingType").strip().upper()
    if poll.isdecimal() and kind in ("", "INTERVAL") and 0 < int(poll[:9]) <= _POLL_MAX_MS:
        lines.append(f"  poll: {int(poll[:9])}ms")
    elif kind not in ("", "INTERVAL"):
        lines.append(
            f"  # it looked for files by the clock ({one_line(kind, 20)}): here every few seconds, `poll`"
        )
    return lines

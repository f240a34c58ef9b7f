"""File readers become `file_drop` sources: which files, when they are whole, and what becomes of them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Final

from bridge.migration.mirth.forms import Form, in_batches
from bridge.migration.mirth.model import Connector
from bridge.migration.mirth.outcomes import ConnectorOutcome
from bridge.migration.mirth.text import item, one_line, quoted
from bridge.migration.mirth.ways import Way, charset_of, finished, manual, value_name

_PLACEHOLDER: Final = re.compile(r"\$\{([^}]{1,100})\}")
_SERVER: Final = re.compile(r"([A-Za-z0-9.-]{1,253})(?::(\d{1,5}))?((?:/[A-Za-z0-9._-]+)*/?)")
NO_HOST_KEY: Final = "SHA256:" + "A" * 43
"""A fingerprint that no key has: whoever comes by it is not connected to."""
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


def file_source(connector: Connector, channel: str, configuration: Mapping[str, str], form: Form) -> Way:
    """The `source:` of a file reader, or why a person must write it."""
    scheme = connector.text("scheme").strip() or "FILE"
    if scheme not in ("FILE", "SFTP"):
        return manual(connector, f"files over {one_line(scheme, 20)} have no counterpart")
    way = Way(ConnectorOutcome("", "", "", "manual"))
    pattern = connector.text("fileFilter").strip() or "*"
    if connector.text("regex") == "true":
        return manual(
            connector, f"files are chosen by the expression {one_line(pattern, 80)!r}: write `include`"
        )
    if scheme == "SFTP":
        server = sftp_server(connector, channel, way)
        if server is None:
            return manual(
                connector, f"the server is {one_line(connector.text('host'), 60)!r}: write the `sftp` source"
            )
        lines = server
    else:
        folder = folder_of(connector.text("host"), f"{channel} in", configuration, way)
        lines = ["file_drop:", f"  directory: {folder}"]
    if pattern != "*":
        lines.append(
            f"  include: [{', '.join(quoted(each.strip()) for each in pattern.split(',') if each.strip())}]"
        )
    if connector.text("directoryRecursion") == "true":
        lines.append("  depth: 8")
        way.notes.append("folders below were looked into however deep they are; here eight deep, `depth`")
    sorted_by = connector.text("sortBy").strip().lower()
    if sorted_by == "date":
        lines.append("  order: time")
    elif sorted_by == "size":
        way.notes.append("files came by their size; here by their names, `order`")
    lines += _sizes(connector, way)
    lines += _times(connector, way)
    after = _AFTER.get(connector.text("afterProcessingAction").strip().upper(), "keep")
    lines.append(f"  after: {after}")
    _differs(connector, form, after, way)
    way.lines = lines
    way.charset = charset_of(connector, way)
    kind = "sftp" if scheme == "SFTP" else "file_drop"
    return finished(connector, way, f"source: {kind}, {one_line(pattern, 40)}")


def _differs(connector: Connector, form: Form, after: str, way: Way) -> None:
    """What becomes otherwise of files than before."""
    moved = connector.text("moveToDirectory").strip()
    renamed = connector.text("moveToFileName").strip()
    if after == "move" and (moved or renamed):
        to = one_line(" as ".join(filter(None, (moved, renamed))), 100)
        way.notes.append(
            f"taken files went to {to!r}; here to the folder `done` below, under their own names"
        )
    if after == "keep":
        way.notes.append("a file stayed, and was taken again at each look; here it is taken once, and stays")
    _errors(connector, after, way)
    if connector.text("ignoreDot") == "false":
        way.notes.append("files whose names begin with a dot were taken; here not, see `temporary`")
    if connector.text("binary") == "true":
        way.notes.append("files were taken as binary, in Base64; here as they are")
    if connector.text("checkFileAge") == "false":
        way.notes.append("a file was taken at once; here when it has been as it is for a while, `stable_for`")
    if not form.in_files and not in_batches(connector):
        way.notes.append("a file was one message; here it is taken apart where it holds several")


def _sizes(connector: Connector, way: Way) -> list[str]:
    """How large files may be. What is outside stayed where it was in the old engine."""
    least = connector.text("fileSizeMinimum").strip()
    if least.isdecimal() and int(least[:18]) > 0:
        way.notes.append(f"files of fewer than {int(least[:18])} bytes were not taken; here they are")
    most = connector.text("fileSizeMaximum").strip()
    if connector.text("ignoreFileSizeMaximum") != "false" or not most.isdecimal() or not int(most[:18]):
        return []
    way.notes.append("a file that is too large stayed where it was; here it goes to `errors`")
    return [f"  max_size: {int(most[:18])}B"]


def _errors(connector: Connector, after: str, way: Way) -> None:
    """What became of files that could not be taken, or whose messages failed."""
    action = connector.text("errorReadingAction").strip().upper()
    to = " as ".join(
        filter(None, (connector.text(f"errorMoveTo{each}").strip() for each in ("Directory", "FileName")))
    )
    said = {"MOVE": f"went to {one_line(to, 100)!r}", "DELETE": "was deleted"}.get(action, "stayed")
    here = "it stays where it is" if after == "keep" else "it goes to `errors` below the folder"
    if not (said == "stayed" and after == "keep"):
        way.notes.append(f"a file that could not be read {said}; here {here}")
    response = connector.text("errorResponseAction").strip().upper()
    if response in ("MOVE", "DELETE"):
        became = (
            "went to the same place as one that could not be read" if response == "MOVE" else "was deleted"
        )
        way.notes.append(
            f"a file whose messages failed {became}; here it is taken, and each such message waits for a "
            "person"
        )


def sftp_server(connector: Connector, channel: str, way: Way) -> list[str] | None:
    """The lines that say which SFTP server it is; None where its address cannot be read."""
    found = _SERVER.fullmatch(connector.text("host").strip())
    user = connector.text("username").strip()
    if found is None or not re.fullmatch(r"[A-Za-z0-9._@-]{1,64}", user):
        return None
    host_key = value_name(f"{channel} host key")
    way.values[host_key] = NO_HOST_KEY
    way.notes.append(
        "the server's host key is in no export: until it stands in the environment, nothing connects"
    )
    known = connector.text("schemeProperties/knownHostsFile").strip()
    if known:
        way.notes.append(f"the old server knew it from the file {one_line(known, 80)!r}")
    return [
        "sftp:",
        f"  host: {found[1].lower()}",
        *([f"  port: {int(found[2])}"] if found[2] else []),
        f"  user: {quoted(user)}",
        *_login(connector, channel, way),
        f"  host_keys: [value://{host_key}]",
        f"  directory: {item(found[3].rstrip('/') or '.')}",
    ]


def _login(connector: Connector, channel: str, way: Way) -> list[str]:
    """By a private key, a password, or both, as the old engine logged in; each as a reference."""
    lines = []
    by_key = connector.text("schemeProperties/keyAuth") == "true"
    if not by_key or connector.text("schemeProperties/passwordAuth") == "true":
        variable = value_name(f"{channel} password").upper().replace("-", "_")
        way.notes.append(f"the password is read from the variable {variable}")
        lines.append(f"  password: secret://env/{variable}")
    if by_key:
        name = value_name(f"{channel} key")
        file = one_line(connector.text("schemeProperties/keyFile").strip(), 80)
        way.notes.append(
            f"the private key was the file {file!r} of the old server: copy it to the folder BRIDGE_SECRETS "
            f"as {name}.pem, readable by its owner alone"
        )
        lines.append(f"  key: secret://file/{name}.pem")
        if connector.text("schemeProperties/passPhrase").strip():
            lines.append(f"  key_passphrase: secret://file/{name}.passphrase")
            way.notes.append(f"its passphrase is read from {name}.passphrase in the same folder")
    return lines


def _times(connector: Connector, way: Way) -> list[str]:
    lines = []
    age = connector.text("fileAge").strip()
    if age.isdecimal() and connector.text("checkFileAge") != "false" and 0 < int(age[:9]) <= _STABLE_MAX_MS:
        lines.append(f"  stable_for: {int(age[:9])}ms")
    poll = connector.text("pollConnectorProperties/pollingFrequency", "pollingFrequency").strip()
    kind = connector.text("pollConnectorProperties/pollingType", "pollingType").strip().upper()
    if poll.isdecimal() and kind in ("", "INTERVAL") and 0 < int(poll[:9]) <= _POLL_MAX_MS:
        lines.append(f"  poll: {int(poll[:9])}ms")
    elif kind not in ("", "INTERVAL"):
        way.notes.append(
            f"it looked for files by the clock ({one_line(kind, 20)}); here every few seconds, `poll`"
        )
    if kind != "CRON" and _only_at_times(connector):
        way.notes.append("it looked for files only on some days or at some hours; here at all times")
    return lines


def _only_at_times(connector: Connector) -> bool:
    """Whether a reader was at rest on some days of the week or month, or in some hours."""
    advanced = "pollConnectorProperties/pollConnectorPropertiesAdvanced/"
    rests = any(
        name.startswith(f"{advanced}inactiveDays") and value.strip() == "true"
        for name, value in connector.properties.items()
    )
    monthly = connector.text(f"{advanced}weekly") == "false"
    return rests or monthly or connector.text(f"{advanced}allDay") == "false"

"""What a legacy engine calls, by its export or log, and the catalogue does not have. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from bridge.governance.target_guard import is_this_machine

TARGETS_MAX_COUNT: Final = 10_000
_HOST = r"(?P<host>\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9](?:[A-Za-z0-9_-]{0,62}\.){0,9}[A-Za-z0-9_-]{1,63})"
_SEEN: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"(?P<scheme>https?|sftp|ftps?|smb|mllp|jdbc:[a-z]{{2,20}}(?::[a-z]{{2,20}})?)://{_HOST}(?::(?P<port>\d{{1,5}}))?",
        rf"(?P<scheme>tcp):{_HOST}:(?P<port>\d{{1,5}})",
        rf"<remoteAddress>{_HOST}</remoteAddress>\s*<remotePort>(?P<port>\d{{1,5}})</remotePort>",
        rf"<smtpHost>{_HOST}</smtpHost>\s*<smtpPort>(?P<port>\d{{1,5}})</smtpPort>",
    )
)
_NAMESPACES: Final = frozenset(
    {"www.w3.org", "schemas.xmlsoap.org", "xml.apache.org", "schemas.microsoft.com", "java.sun.com"}
)
"""Hosts of names that look like URLs, and that nobody calls."""
_USUAL_PORTS: Final = {"https": 443, "http": 80, "sftp": 22, "ftp": 21, "ftps": 990, "smb": 445}


@dataclass(frozen=True, slots=True, order=True)
class Target:
    """A host that something calls, at a port; 0 where none is said."""

    host: str
    port: int


def targets_in(text: str) -> list[Target]:
    """The targets that a text names, each once, in order of their names; none of this machine.

    >>> targets_in("<remoteAddress>lab.example</remoteAddress> <remotePort>6661</remotePort>")
    [Target(host='lab.example', port=6661)]
    """
    found: set[Target] = set()
    for pattern in _SEEN:
        for match in pattern.finditer(text):
            host = match["host"].strip("[]").lower()
            if host in _NAMESPACES or is_this_machine(host) or len(found) >= TARGETS_MAX_COUNT:
                continue
            scheme = match.groupdict().get("scheme") or ""
            found.add(Target(host, int(match["port"] or _USUAL_PORTS.get(scheme, 0))))
    return sorted(found)


def unmanaged(seen: Iterable[Target], catalogue: Iterable[Target]) -> list[Target]:
    """Those that no API of the catalogue stands for, by host and port."""
    known = set(catalogue)
    return [each for each in seen if each not in known]

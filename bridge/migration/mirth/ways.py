"""What ways in and out have in common: their lines, what differs, and their outcome."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from bridge.migration.mirth.model import Connector
from bridge.migration.mirth.outcomes import ConnectorOutcome, Word
from bridge.migration.mirth.text import one_line, slug, unique

_PLUGINS: Final = "pluginProperties/"
VALUE_MAX_CHARACTERS: Final = 100
"""A channel's name, a route's, and what it is of them."""
_CHARSETS: Final = {
    "UTF-8": "utf-8",
    "ISO-8859-1": "iso-8859-1",
    "US-ASCII": "ascii",
    "WINDOWS-1252": "windows-1252",
    "CP1252": "windows-1252",
}


@dataclass(slots=True)
class Way:
    """One way in or out: its lines below ``source:`` or of an API file, and what a person should know.

    ``lines`` empty: it could not be written. ``values`` are values of the environment that it refers to.
    """

    outcome: ConnectorOutcome
    lines: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    values: dict[str, str] = field(default_factory=dict)
    charset: str = ""
    port: str = ""

    @property
    def works(self) -> bool:
        """Whether it could be written."""
        return bool(self.lines)


def manual(connector: Connector, reason: str) -> Way:
    """A way that a person must write."""
    return Way(ConnectorOutcome(connector.name, connector.transport, connector.xpath, "manual", reason))


def finished(connector: Connector, way: Way, into: str) -> Way:
    """A way that could be written, with its outcome: converted, or approximated where it has notes."""
    plugins = _plugins(connector)
    if plugins and plugins not in way.notes:
        way.notes.append(plugins)
    word: Word = "approximated" if way.notes else "converted"
    way.outcome = ConnectorOutcome(
        connector.name, connector.transport, connector.xpath, word, "; ".join(way.notes), into
    )
    return way


def _plugins(connector: Connector) -> str:
    """What is said of the settings that plugins keep with a connector, as of TLS or of logging in."""
    names = {
        name.split("/")[1].removesuffix("Properties")
        for name, value in connector.properties.items()
        if name.startswith(_PLUGINS) and name.count("/") > 1 and value.strip()
    }
    kept = sorted(one_line(name, 60) for name in names if not name.startswith("NoneHttpAuth"))
    return f"settings of plugins are not taken over: {', '.join(kept)}" if kept else ""


def no_frames(connector: Connector) -> str:
    """Why the frames of a TCP connector cannot be said here; empty where they can."""
    mode = connector.text("transmissionMode", "transmissionModeProperties/pluginPointName").strip()
    if mode not in ("", "MLLP", "Basic"):
        return f"the frames of the plugin {one_line(mode, 40)}"
    frames = (f"transmissionModeProperties/{each}OfMessageBytes" for each in ("start", "end"))
    if mode == "Basic" and not any(connector.text(each).strip() for each in frames):
        return "messages stand on the connection without frames: see `framing` of a source"
    return ""


def value_name(text: str) -> str:
    """The name of a value of the environment, from that of a variable or from what it belongs to."""
    return slug(text, VALUE_MAX_CHARACTERS, otherwise="value")


def route_names(connectors: Sequence[Connector]) -> list[str]:
    """A name for each route: where names differ in signs alone, each further one is numbered."""
    return unique(slug(each.name, otherwise=f"destination-{each.meta_data_id}") for each in connectors)


def charset_of(connector: Connector, way: Way) -> str:
    """The character set that was set; empty for that of the message."""
    said = connector.text("charsetEncoding", "charset").strip()
    if said in ("", "DEFAULT_ENCODING"):
        return ""
    found = _CHARSETS.get(said.upper())
    if found is None and re.fullmatch(r"(?i)(iso-8859-\d{1,2}|windows-125\d)", said):
        found = said.lower()
    if found is None:
        way.notes.append(f"the character set {one_line(said, 40)!r}: name it in `format`")
        return ""
    return found

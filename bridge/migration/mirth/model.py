"""What an export says, in the words of the latest version, whichever version wrote it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

Kind = Literal[
    "mapper",
    "message-builder",
    "javascript",
    "xslt",
    "external-script",
    "iterator",
    "destination-set",
    "rule-builder",
    "javascript-rule",
    "external-rule",
    "iterator-rule",
    "script",
    "unknown",
]
Where = Literal["source-filter", "source-transformer", "filter", "transformer", "response", "channel"]


@dataclass(frozen=True, slots=True)
class Element:
    """One filter rule, transformer step or script. ``fields`` are texts by the names of version 4.

    ``xpath`` is where it stands in its file. ``children`` are those of an iterator.
    """

    kind: Kind
    where: Where
    name: str
    xpath: str
    type_name: str
    enabled: bool = True
    operator: str = ""
    fields: Mapping[str, str] = field(default_factory=dict)
    values: tuple[str, ...] = ()
    replacements: tuple[tuple[str, str], ...] = ()
    children: tuple[Element, ...] = ()

    @property
    def script(self) -> str:
        """Its JavaScript; empty where it has none."""
        return self.fields.get("script", "")

    def every(self) -> Iterator[Element]:
        """Itself, and all below it."""
        yield self
        for child in self.children:
            yield from child.every()


@dataclass(frozen=True, slots=True)
class Transformer:
    """Steps, and what they read and write. Templates are sample messages; that of the way out is a start.

    ``properties`` are those of the data type of what comes, by name, ``outbound_properties`` those of what
    goes out; a list has commas between its values.
    """

    elements: tuple[Element, ...] = ()
    inbound: str = ""
    outbound: str = ""
    outbound_template: str = ""
    inbound_template: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    outbound_properties: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Connector:
    """A source or a destination. ``properties`` are texts by path, ``listenerConnectorProperties/port``."""

    meta_data_id: int
    name: str
    transport: str
    class_name: str
    enabled: bool
    properties: Mapping[str, str]
    filter: tuple[Element, ...]
    transformer: Transformer
    response: Transformer
    scripts: tuple[Element, ...]
    xpath: str

    def text(self, *names: str) -> str:
        """The first of some properties that is there."""
        return next((self.properties[name] for name in names if self.properties.get(name)), "")

    @property
    def elements(self) -> tuple[Element, ...]:
        """Rules, steps and scripts, in the order in which they run."""
        return (*self.filter, *self.transformer.elements, *self.scripts, *self.response.elements)


@dataclass(frozen=True, slots=True)
class CodeTemplate:
    """A function or a block of a library."""

    id: str
    name: str
    type: str
    code: str
    xpath: str


@dataclass(frozen=True, slots=True)
class Library:
    """A library of code templates, and for which channels it is."""

    id: str
    name: str
    templates: tuple[CodeTemplate, ...]
    channel_ids: frozenset[str]
    for_new_channels: bool
    excluded_ids: frozenset[str]

    def is_for(self, channel_id: str) -> bool:
        """Whether its functions can be called in a channel."""
        if channel_id in self.channel_ids:
            return True
        return self.for_new_channels and channel_id not in self.excluded_ids


@dataclass(frozen=True, slots=True)
class Channel:
    """One channel of an export. ``file`` is what it was read from."""

    id: str
    name: str
    description: str
    version: str
    revision: str
    enabled: bool
    initial_state: str
    source: Connector
    destinations: tuple[Connector, ...]
    scripts: tuple[Element, ...]
    libraries: tuple[Library, ...]
    depends_on: tuple[str, ...]
    tags: tuple[str, ...]
    attachments: str
    columns: tuple[str, ...]
    file: str
    xpath: str
    settings: Mapping[str, str] = field(default_factory=dict)

    @property
    def elements(self) -> tuple[Element, ...]:
        """All of its rules, steps and scripts; children stand below their iterators."""
        found = [*self.scripts, *self.source.elements]
        for each in self.destinations:
            found += each.elements
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Group:
    """A channel group: its name and the channels in it."""

    name: str
    channel_ids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands; never what it is."""

    channel: str
    xpath: str
    what: str


@dataclass(frozen=True, slots=True)
class ServerItem:
    """What a whole server sets beside its channels, and what becomes of that here."""

    kind: str
    name: str
    what: str


@dataclass(frozen=True, slots=True)
class Refused:
    """A file, or a channel in one, that could not be read, and why."""

    file: str
    reason: str


@dataclass(slots=True)
class Export:
    """All that was read, of whatever number of files."""

    channels: list[Channel] = field(default_factory=list)
    groups: list[Group] = field(default_factory=list)
    libraries: list[Library] = field(default_factory=list)
    loose_templates: list[CodeTemplate] = field(default_factory=list)
    configuration: dict[str, str] = field(default_factory=dict)
    global_scripts: list[Element] = field(default_factory=list)
    server: list[ServerItem] = field(default_factory=list)
    secrets: list[Secret] = field(default_factory=list)
    refused: list[Refused] = field(default_factory=list)
    stubs: set[str] = field(default_factory=set)

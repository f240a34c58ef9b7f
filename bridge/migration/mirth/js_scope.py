"""What is known while a script is followed: variables, entries of maps, the messages, and what was done."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Document, Pointer, Spot
from bridge.migration.mirth.expressions import Expr
from bridge.migration.mirth.js_tree import Function

MAPS: Final = {
    "channelMap": "channel",
    "$c": "channel",
    "connectorMap": "connector",
    "$co": "connector",
    "sourceMap": "source",
    "$s": "source",
    "responseMap": "response",
    "$r": "response",
    "globalMap": "global",
    "$g": "global",
    "globalChannelMap": "global channel",
    "$gc": "global channel",
    "configurationMap": "configuration",
    "$cfg": "configuration",
    "localMap": "channel",
}
WORK_MAX_STEPS: Final = 20_000
"""Statements and calls that are followed for one element, through all functions and branches."""
_TAKEN: Final = (
    "documents",
    "variables",
    "maps",
    "lost",
    "puts",
    "destinations",
    "notes",
    "json",
    "shared",
    "logged",
    "ended",
)
SHARED: Final = "kept for this message alone, where the old engine shared it with later messages"


@dataclass(frozen=True, slots=True)
class Record:
    """An object of JavaScript whose properties are known."""

    entries: Mapping[str, Value | Maybe]


@dataclass(frozen=True, slots=True)
class Items:
    """An array whose items are known; some are there once for each of several, or under a condition."""

    items: tuple[Value | Each, ...]


@dataclass(frozen=True, slots=True)
class Maybe:
    """What an object has under a name only where a condition holds."""

    when: Expr
    value: Value


@dataclass(frozen=True, slots=True)
class Each:
    """Items of an array: one for each of what ``place`` names, or one, where ``when`` holds."""

    place: str
    when: Expr | None
    value: Value


@dataclass(frozen=True, slots=True)
class JsonText:
    """What `JSON.stringify` gives."""

    value: Record


@dataclass(frozen=True, slots=True)
class Current:
    """The index variable of a loop: the one that it is at, of what ``place`` names, or that it finds."""

    place: str
    found: Spot | None = None


@dataclass(frozen=True, slots=True)
class Pattern:
    """A regular expression."""

    pattern: str
    flags: str


@dataclass(frozen=True, slots=True)
class Groups:
    """What `match` found in a text: item 0 is all of it, the others are its groups."""

    text: Expr
    pattern: str


@dataclass(frozen=True, slots=True)
class Pieces:
    """The pieces of a text that was split."""

    text: Expr
    separator: str


@dataclass(frozen=True, slots=True)
class Code:
    """A function: of a library, or of the script itself."""

    function: Function


@dataclass(frozen=True, slots=True)
class Index:
    """The index variable of an iterator: each of several."""


Value = Expr | Pointer | Record | Items | Pattern | Pieces | Code | Index | JsonText | Current | Groups


@dataclass(slots=True)
class Scope:
    """What a script may name, and what it has done so far.

    ``variables`` are those of JavaScript, ``maps`` those of the old engine's maps by name, ``documents`` the
    messages by root. ``puts`` are the map entries in the order in which they were put, ``destinations`` what
    was said of the set of destinations. ``lost`` says why a map entry is not known. ``json`` are map entries
    that are JSON; ``shared`` are variables whose object is known under another name too.
    ``work`` is what is left of the steps of one element; all forks share it. ``ended`` says where a step of a
    transformer has returned, and with it all steps behind, ``unsure`` which step may have, and is not
    converted; ``strange`` are the variables that such a step sets, and why they are not known. ``outside``
    has the names that functions set and do not declare, by `id`; all forks share it.
    """

    documents: dict[str, Document]
    variables: dict[str, Value] = field(default_factory=dict)
    maps: dict[str, Value] = field(default_factory=dict)
    lost: dict[str, str] = field(default_factory=dict)
    puts: list[tuple[str, Expr]] = field(default_factory=list)
    destinations: list[tuple[str, tuple[str, ...], Expr]] = field(default_factory=list)
    configuration: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, Code] = field(default_factory=dict)
    unread_functions: Mapping[str, str] = field(default_factory=dict)
    notes: set[str] = field(default_factory=set)
    json: dict[str, Record] = field(default_factory=dict)
    shared: set[str] = field(default_factory=set)
    level: int = 0
    logged: bool = False
    under: Expr = ex.TRUE
    ended: Expr = ex.FALSE
    unsure: str = ""
    strange: dict[str, str] = field(default_factory=dict)
    outside: dict[int, tuple[Function, frozenset[str]]] = field(default_factory=dict)
    work: list[int] = field(default_factory=lambda: [WORK_MAX_STEPS])

    def fork(self) -> Scope:
        """Another one that may go its own way."""
        roots: dict[int, Document] = {}
        documents = {
            root: roots.setdefault(id(document), document.copy()) for root, document in self.documents.items()
        }
        return replace(
            self,
            documents=documents,
            variables=dict(self.variables),
            maps=dict(self.maps),
            lost=dict(self.lost),
            puts=list(self.puts),
            destinations=list(self.destinations),
            notes=set(self.notes),
            json=dict(self.json),
            shared=set(self.shared),
        )

    def enter(self) -> None:
        """Into a function of its own: a rule, or all steps of a transformer."""
        self.variables, self.shared = {}, set()
        self.ended, self.unsure, self.strange = ex.FALSE, "", {}

    def worked(self) -> None:
        """One step more. Raises NotConverted once it is enough."""
        self.work[0] -= 1
        if self.work[0] < 0:
            raise ex.NotConverted("a script that is too long to be followed")

    def take(self, other: Scope) -> None:
        """Go on as another one did."""
        for name in _TAKEN:
            setattr(self, name, getattr(other, name))

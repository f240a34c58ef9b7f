"""Which files of a folder are finished, in which order they are taken, and what they are called. Pure.

Nothing here reads a clock that is not ours: whether a file still grows is seen from two looks at it, never
from what its server believes the time to be.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fnmatch import translate
from operator import attrgetter
from typing import Any, Final, Literal

Finished = Literal["stable", "marker", "renamed"]
Order = Literal["name", "time"]

TEMPORARY: Final = (".*", "*.tmp", "*.temp", "*.part", "*.partial", "*.filepart", "*.crdownload", "*~")
"""Names under which programs write what is not finished."""
OWN: Final = ".bridge-claims"
"""The folder into which a bridge moves what it takes; nothing in it is anybody's file to take."""
NAME_MAX_BYTES: Final = 255
FILES_MAX_COUNT: Final = 100_000
"""Of names that are wanted a look goes on to one more than that, so that it can be told."""

LEFT_AFTER_S: Final = 3600.0
"""What has a temporary name and was not written to for so long is told: its sender may have ended."""
PARTS_MAX_COUNT: Final = 100
"""So many files of temporary names are remembered, and no more are looked at."""


@dataclass(frozen=True, slots=True)
class Seen:
    """A plain file as a look showed it. ``name`` is below the folder, with ``/`` between.

    ``stamp`` is all that changes when somebody writes to the file or puts another in its place; ``order_s``
    its time in its own server's reckoning, by which files may be ordered and nothing else.
    """

    name: str
    size_bytes: int
    stamp: str
    order_s: float = 0.0
    whole: bool = True
    """False for a file that has a second name: whoever gives it one takes the first away when it is done."""

    @property
    def as_text(self) -> str:
        """How it is told from another of its name."""
        return f"{self.size_bytes} {self.stamp}"


_BY_NAME, _BY_TIME = attrgetter("name"), attrgetter("order_s", "name")


@dataclass(frozen=True, slots=True)
class Rules:
    """When a file is taken. Patterns with ``/`` are for the whole name, others for its last part."""

    include: tuple[str, ...] = ("*",)
    exclude: tuple[str, ...] = ()
    temporary: tuple[str, ...] = TEMPORARY
    finished: Finished = "stable"
    stable_s: float = 5.0
    markers: tuple[str, ...] = (".ok",)
    order: Order = "name"
    hold_back_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Ready:
    """A file to be taken now, with the name of the marker that said so; the marker is gone with it."""

    seen: Seen
    marker: str | None = None


@dataclass(slots=True)
class _Known:
    """What was seen of a name: as what, since when, in how many looks; and since when it is there at all."""

    as_text: str
    since_s: float
    looks: int
    first_s: float


class Watch:
    """What is remembered of a folder from one look to the next."""

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self._known: dict[str, _Known] = {}
        self._parts: dict[str, _Known | None] = {}
        self._temporary, self._excluded = _any_of(rules.temporary), _any_of(rules.exclude)
        self._included = _any_of(rules.include)

    def stuck(self, files: Iterable[Seen], now_s: float) -> list[str]:
        """Which of these are not whole for longer than anything is held back for: with a second name, for
        instance, that nobody takes away."""
        known = self._known
        return [
            each.name
            for each in files
            if not each.whole
            and each.name in known
            and now_s - known[each.name].first_s >= self.rules.hold_back_s
        ]

    def left(self, files: Iterable[Seen], now_s: float) -> list[str]:
        """Which of these have a temporary name, and have not been written to for long."""
        there = {each.name: each for each in files if each.name in self._parts}
        self._parts = {name: self._note(each, now_s, self._parts[name]) for name, each in there.items()}
        return [name for name, part in self._parts.items() if part and now_s - part.since_s >= LEFT_AFTER_S]

    def look(self, files: Iterable[Seen], now_s: float) -> tuple[list[Ready], int]:
        """The files that are finished, in order, and how many are not taken yet.

        ``now_s`` is of a clock that never goes back. An earlier file that is not finished holds back those
        after it, though not for ever.
        """
        rules = self.rules
        found = [each for each in files if not self._temporary(each.name)]
        markers = _markers(found, rules.markers) if rules.finished == "marker" else {}
        marking = set(markers.values())
        wanted = [each for each in found if each.name not in marking and self._wanted(each.name)]
        wanted.sort(key=_BY_TIME if rules.order == "time" else _BY_NAME)
        known = {each.name: self._note(each, now_s, self._known.get(each.name)) for each in wanted}
        self._known = known
        ready: list[Ready] = []
        for place, each in enumerate(wanted):
            if self._is_finished(each, known[each.name], markers, now_s):
                ready.append(Ready(each, _marker_of(each.name, markers, rules.markers)))
            elif now_s - known[each.name].first_s < rules.hold_back_s:
                return _markers_once(ready), len(wanted) - place
        return _markers_once(ready), len(wanted) - len(ready)

    def wants(self, name: str) -> bool:
        """Whether a file of this name would be taken, once it is whole."""
        return not self._temporary(name) and self._wanted(name)

    def matters(self, name: str) -> bool:
        """Whether a look has to know of a file of this name: it may be taken or left over, or a marker be."""
        if self._temporary(name):
            return self._is_part(name)
        rules = self.rules
        marker = rules.finished == "marker" and name.casefold().endswith(_folded(rules.markers))
        return marker or self._wanted(name)

    def _is_part(self, name: str) -> bool:
        """Whether a temporary name has an ending behind one that is taken. Hidden ones may be anything."""
        whole = name[:-1] if name.endswith("~") else name.rpartition(".")[0]
        if name.rpartition("/")[2].startswith(".") or not (whole and self._wanted(whole)):
            return False
        if len(self._parts) < PARTS_MAX_COUNT:
            self._parts.setdefault(name)
        return name in self._parts

    def _wanted(self, name: str) -> bool:
        rules = self.rules
        if rules.finished == "marker" and name.casefold().endswith(_folded(rules.markers)):
            return False  # a marker without its file, which may come still
        return self._included(name) and not self._excluded(name)

    def _note(self, seen: Seen, now_s: float, before: _Known | None) -> _Known:
        if before is None:
            return _Known(seen.as_text, now_s, 1, now_s)
        if before.as_text != seen.as_text:
            return _Known(seen.as_text, now_s, 1, before.first_s)
        before.looks += 1
        return before

    def _is_finished(self, seen: Seen, known: _Known, markers: dict[str, str], now_s: float) -> bool:
        if not seen.whole:
            return False
        match self.rules.finished:
            case "renamed":
                return True
            case "marker":
                return _marker_of(seen.name, markers, self.rules.markers) is not None
        return known.looks >= 2 and now_s - known.since_s >= self.rules.stable_s


def _any_of(patterns: Sequence[str]) -> Callable[[str], bool]:
    """Whether a name matches any of these. They are one expression each for whole names and for last parts:
    a folder may hold a hundred thousand names, and each look asks for all of them."""
    whole = _joined([each for each in patterns if "/" in each])
    last = _joined([each for each in patterns if "/" not in each])

    def matches(name: str) -> bool:
        return bool(
            (last is not None and last(name.rpartition("/")[2])) or (whole is not None and whole(name))
        )

    return matches


def _joined(patterns: Sequence[str]) -> Callable[[str], Any] | None:
    return re.compile("|".join(map(translate, patterns))).match if patterns else None


def _folded(markers: Sequence[str]) -> tuple[str, ...]:
    return tuple(marker.casefold() for marker in markers)


def _markers(files: Sequence[Seen], endings: Sequence[str]) -> dict[str, str]:
    """Names of markers, by themselves without regard to case. Only what marks a file that is there is one."""
    folded = _folded(endings)
    possible = {each.name.casefold(): each.name for each in files if each.name.casefold().endswith(folded)}
    wanted = {
        candidate
        for each in files
        if each.name.casefold() not in possible
        for candidate in _candidates(each.name, endings)
    }
    return {name: possible[name] for name in possible.keys() & wanted}


def _candidates(name: str, endings: Sequence[str]) -> list[str]:
    """What a marker of this file could be called: ``x.csv.ok`` or ``x.ok``."""
    folder, slash, last = name.rpartition("/")
    stem = last.rpartition(".")[0] or last
    bases = dict.fromkeys((name, f"{folder}{slash}{stem}"))
    return [f"{base}{ending}".casefold() for ending in endings for base in bases]


def _marker_of(name: str, markers: dict[str, str], endings: Sequence[str]) -> str | None:
    if not markers:
        return None
    return next((markers[each] for each in _candidates(name, endings) if each in markers), None)


def _markers_once(ready: list[Ready]) -> list[Ready]:
    """A marker that stands for several files goes with the last of them."""
    last = {each.marker: place for place, each in enumerate(ready) if each.marker is not None}
    return [
        each if each.marker is None or last[each.marker] == place else replace(each, marker=None)
        for place, each in enumerate(ready)
    ]


def is_plain_name(name: str) -> bool:
    """Whether a name can be one file in its folder, whatever a server says it is.

    >>> is_plain_name("adt.hl7"), is_plain_name(".."), is_plain_name("../adt")
    (True, False, False)
    """
    return (
        name not in ("", ".", "..")
        and not {"/", "\0"} & set(name)
        and len(name.encode("utf-8", "surrogateescape")) <= NAME_MAX_BYTES
    )

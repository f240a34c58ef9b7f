"""What an export holds: inventory, ports, links, what is dead or double, effort, waves, secrets."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.migration.mirth.channel_text import notes_of
from bridge.migration.mirth.convert import Converted, ConvertedChannel
from bridge.migration.mirth.model import Channel, Element, Export
from bridge.migration.mirth.outcomes import WORDS, ConnectorOutcome, Outcome
from bridge.migration.mirth.settings import held_back
from bridge.migration.mirth.text import one_line

POINTS: Final = {"manual": 3.0, "approximated": 0.5, "converted": 0.0, "dropped": 0.0}
"""Effort of an element; a script adds one for every ten of its lines. A point is about an hour."""
CONNECTOR_POINTS: Final = 8.0
"""Of a source or destination that a person must write."""
CHANNEL_POINTS: Final = 1.0
"""Of every channel: comparing, agreeing, cutting over."""
SECOND_WAVE_MAX_POINTS: Final = 12.0
HELD_WAVE: Final = 4
"""The last one: channels that did not run in the old engine."""


@dataclass(frozen=True, slots=True)
class Assessed:
    """One channel, looked at."""

    converted: ConvertedChannel
    counts: Mapping[str, int]
    points: float
    wave: int
    dead: str
    double_of: str
    writes_to: tuple[str, ...]
    calls: tuple[str, ...]


def assess(converted: Converted) -> list[Assessed]:
    """Every channel of an export that was converted."""
    names = {each.plan.channel.id: each.plan.channel.name for each in converted.channels}
    targets = {each.plan.channel.id: _targets(each.plan.channel) for each in converted.channels}
    written = {target for found in targets.values() for target in found}
    doubles = _doubles(converted)
    points = {each.plan.channel.id: _points(each) for each in converted.channels}
    waves = _waves(converted, targets, points)
    return [
        Assessed(
            each,
            Counter(outcome.word for outcome in each.outcomes),
            points[each.plan.channel.id],
            waves[each.plan.channel.id],
            _dead(each.plan.channel, written),
            doubles.get(each.name, ""),
            tuple(
                names.get(target, f"{target} (not in the export)") for target in targets[each.plan.channel.id]
            ),
            tuple(_calls(each.plan.channel)),
        )
        for each in converted.channels
    ]


def report(export: Export, converted: Converted) -> dict[str, Any]:
    """The whole assessment as plain values. ``elements`` is the sum of the four counts after it."""
    channels = assess(converted)
    counts = Counter(outcome.word for each in converted.channels for outcome in each.outcomes)
    counts.update(outcome.word for outcome in converted.global_outcomes)
    return {
        "channels": len(channels),
        "elements": sum(counts.values()),
        **{word: counts[word] for word in WORDS},
        "points": round(sum(each.points for each in channels) + _effort(converted.global_outcomes), 1),
        "refused": [{"file": each.file, "reason": each.reason} for each in export.refused],
        "inventory": [_inventory(each) for each in channels],
        "ports": _ports(converted),
        "connectors": _connectors(converted),
        "kinds": _kinds(converted),
        "groups": [{"name": each.name, "channels": list(each.channel_ids)} for each in export.groups],
        "libraries": [
            {"name": library.name, "templates": len(library.templates)} for library in export.libraries
        ],
        "waves": _wave_list(channels),
        "server": [
            {"kind": each.kind, "name": _with_names(each.name, export), "what": each.what}
            for each in export.server
        ],
        "secrets": [
            {"channel": each.channel, "xpath": each.xpath, "what": each.what} for each in export.secrets
        ],
        "details": [
            *(
                _detail(each.plan.channel.name, each.plan.channel.file, outcome)
                for each in converted.channels
                for outcome in each.outcomes
            ),
            *(_detail("(all channels)", "", outcome) for outcome in converted.global_outcomes),
        ],
    }


def _with_names(text: str, export: Export) -> str:
    """A text with the names of channels in the place of their ids."""
    names = {each.id: one_line(each.name, 80) for each in export.channels}
    return " ".join(names.get(word, word) for word in text.split(" "))


def _detail(channel: str, file: str, outcome: Outcome) -> dict[str, Any]:
    element = outcome.element
    return {
        "channel": channel,
        "file": file,
        "xpath": element.xpath,
        "kind": element.kind,
        "where": element.where,
        "name": one_line(element.name),
        "outcome": outcome.word,
        "reason": outcome.reason,
        "into": outcome.into,
        "line": outcome.line,
    }


def _inventory(each: Assessed) -> dict[str, Any]:
    plan = each.converted.plan
    channel = plan.channel
    return {
        "channel": channel.name,
        "name": each.converted.name,
        "id": channel.id,
        "file": channel.file,
        "version": channel.version,
        "revision": channel.revision,
        "enabled": channel.enabled,
        "initial_state": channel.initial_state,
        "tags": list(channel.tags),
        "source": channel.source.transport,
        "inbound": channel.source.transformer.inbound,
        "destinations": [destination.transport for destination in channel.destinations],
        "elements": sum(each.counts.values()),
        **{word: each.counts.get(word, 0) for word in WORDS},
        "points": each.points,
        "wave": each.wave,
        "runs": plan.runs,
        "held": plan.held,
        "differs": [one_line(note, 400) for note in notes_of(plan)[len(plan.source.notes) :]],
        "blocked": sorted({reason for route in plan.routes for reason in route.blocked}),
        "dead": each.dead,
        "double_of": each.double_of,
        "writes_to": list(each.writes_to),
        "calls": list(each.calls),
        "depends_on": list(channel.depends_on),
    }


def _ways(each: ConvertedChannel) -> Iterator[ConnectorOutcome]:
    source = each.plan.source.outcome
    connector = each.plan.channel.source
    yield ConnectorOutcome(
        "source", connector.transport, connector.xpath, source.word, source.reason, source.into
    )
    for route in each.plan.routes:
        yield route.way.outcome


def _connectors(converted: Converted) -> list[dict[str, Any]]:
    return [
        {
            "channel": each.plan.channel.name,
            "connector": one_line(outcome.name, 80),
            "transport": outcome.transport,
            "xpath": outcome.xpath,
            "outcome": outcome.word,
            "reason": outcome.reason,
            "into": outcome.into,
        }
        for each in converted.channels
        for outcome in _ways(each)
    ]


def _ports(converted: Converted) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for each in converted.channels:
        source = each.plan.channel.source
        port = source.text("listenerConnectorProperties/port").strip()
        if port:
            host = source.text("listenerConnectorProperties/host").strip()
            found.append(
                {
                    "port": port,
                    "host": host,
                    "channel": each.plan.channel.name,
                    "direction": "in",
                    "transport": source.transport,
                }
            )
        for destination in each.plan.channel.destinations:
            port = destination.text("remotePort").strip()
            if port:
                found.append(
                    {
                        "port": port,
                        "host": destination.text("remoteAddress").strip(),
                        "direction": "out",
                        "channel": each.plan.channel.name,
                        "transport": destination.transport,
                    }
                )
    numbers = Counter(row["port"] for row in found if row["direction"] == "in")
    for row in found:
        row["twice"] = row["direction"] == "in" and numbers[row["port"]] > 1
    return sorted(found, key=lambda row: (row["direction"], len(row["port"]), row["port"], row["channel"]))


def _kinds(converted: Converted) -> list[dict[str, Any]]:
    counts: dict[str, Counter[str]] = {}
    for each in converted.channels:
        for outcome in each.outcomes:
            counts.setdefault(outcome.element.kind, Counter())[outcome.word] += 1
    return [
        {"kind": kind, "elements": sum(found.values()), **{word: found[word] for word in WORDS}}
        for kind, found in sorted(counts.items())
    ]


def _targets(channel: Channel) -> tuple[str, ...]:
    found = [
        destination.text("channelId").strip()
        for destination in channel.destinations
        if destination.transport == "Channel Writer"
    ]
    return tuple(dict.fromkeys(each for each in found if each.lower() not in ("", "none", "sink")))


def _calls(channel: Channel) -> Iterator[str]:
    """The functions of libraries that a channel calls."""
    scripts = "\n".join(
        text for element in _every(channel) for text in element.fields.values() if "(" in text
    )
    for library in channel.libraries:
        for template in library.templates:
            for word in template.code.split("function ")[1:]:
                name = word.partition("(")[0].strip()
                if name.isidentifier() and f"{name}(" in scripts:
                    yield f"{library.name}: {name}"


def _every(channel: Channel) -> Iterator[Element]:
    for element in channel.elements:
        yield from element.every()


def _dead(channel: Channel, written: set[str]) -> str:
    """Why nothing seems to go through a channel; only its traffic can prove it."""
    if held := held_back(channel):
        return held
    if not any(each.enabled for each in channel.destinations):
        return "no destination is enabled"
    if channel.source.transport == "Channel Reader" and channel.id not in written:
        return "nobody in this export writes to it"
    return ""


def _doubles(converted: Converted) -> dict[str, str]:
    """Channels that do the same as one before them: all but names, ids, places and ports is equal."""
    seen: dict[str, str] = {}
    found: dict[str, str] = {}
    for each in converted.channels:
        digest = _digest(each.plan.channel)
        first = seen.setdefault(digest, each.plan.channel.name)
        if first != each.plan.channel.name or (digest in seen and seen[digest] is not first):
            found[each.name] = first
    return found


def _digest(channel: Channel) -> str:
    def element(one: Element) -> list[Any]:
        fields = sorted(one.fields.items())
        return [
            one.kind,
            one.where,
            one.enabled,
            one.operator,
            fields,
            one.values,
            one.replacements,
            [element(child) for child in one.children],
        ]

    ports = ("listenerConnectorProperties/port", "remotePort", "channelId")
    parts = [
        [
            each.transport,
            each.enabled,
            sorted(item for item in each.properties.items() if item[0] not in ports),
            [element(one) for one in each.elements],
        ]
        for each in (channel.source, *channel.destinations)
    ]
    scripts = [element(one) for one in channel.scripts]
    return hashlib.sha256(json.dumps([parts, scripts]).encode("utf-8", "surrogatepass")).hexdigest()


def _points(each: ConvertedChannel) -> float:
    connectors = CONNECTOR_POINTS * sum(outcome.word == "manual" for outcome in _ways(each))
    return CHANNEL_POINTS + _effort(each.outcomes) + connectors


def _effort(outcomes: Iterable[Outcome]) -> float:
    points = 0.0
    for outcome in outcomes:
        points += POINTS[outcome.word]
        if outcome.word == "manual":
            points += outcome.element.script.count("\n") // 10
    return points


def _waves(
    converted: Converted, targets: Mapping[str, tuple[str, ...]], points: Mapping[str, float]
) -> dict[str, int]:
    """Channels that hand on to each other move together; those that need nobody move first.

    One that did not run is by itself, and last: whether it is needed at all is the first question.
    """
    together: dict[str, str] = {
        each.plan.channel.id: each.plan.channel.id for each in converted.channels if not each.plan.held
    }

    def root(one: str) -> str:
        while together[one] != one:
            one = together[one]
        return one

    for channel_id, found in targets.items():
        for target in found:
            if target in together and channel_id in together:
                together[root(target)] = root(channel_id)
    waves: dict[str, int] = {}
    by_hand = any(outcome.word == "manual" for outcome in converted.global_outcomes)
    for each in converted.channels:
        channel_id = each.plan.channel.id
        if channel_id not in together:
            continue
        if _as_it_is(each) and not by_hand:
            own = 1
        else:
            own = 2 if points[channel_id] <= SECOND_WAVE_MAX_POINTS else 3
        waves[root(channel_id)] = max(waves.get(root(channel_id), 1), own)
    return {
        each.plan.channel.id: waves[root(each.plan.channel.id)]
        if each.plan.channel.id in together
        else HELD_WAVE
        for each in converted.channels
    }


def _as_it_is(each: ConvertedChannel) -> bool:
    """Whether all of a channel runs, and nothing of it is left to a person."""
    routes = all(route.runs or route.way.outcome.word == "dropped" for route in each.plan.routes)
    return each.plan.runs and routes and all(outcome.word != "manual" for outcome in each.outcomes)


_WAVES: Final = {
    1: "run as they are: compare them in front of the old engine",
    2: "a few things by hand",
    3: "most by hand, or parts that have no counterpart",
    HELD_WAVE: "did not run in the old engine: are they needed?",
}


def _wave_list(channels: list[Assessed]) -> list[dict[str, Any]]:
    return [
        {
            "wave": wave,
            "what": what,
            "channels": [each.converted.plan.channel.name for each in channels if each.wave == wave],
            "points": round(sum(each.points for each in channels if each.wave == wave), 1),
        }
        for wave, what in _WAVES.items()
    ]

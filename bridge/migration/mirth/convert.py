"""An export becomes the files of a configuration, and a report that counts every element.

`Trial` says what the mapping language thinks of a file. What it refuses is no conversion: the element is
marked, and the channel is followed anew without it. So assessment, import and `bridge check` cannot disagree.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence, Set
from dataclasses import dataclass, field
from typing import Final

from bridge.located import Problem
from bridge.mapping.plan import Plan
from bridge.mapping.selftest import run_tests
from bridge.migration.mirth.channel_plan import ChannelPlan, RoutePlan, plan_channel, script_outcome
from bridge.migration.mirth.channel_text import (
    accepted,
    api_names,
    api_text,
    channel_text,
    environment_text,
)
from bridge.migration.mirth.mapping_text import Written, mapping_text
from bridge.migration.mirth.model import Channel, Export
from bridge.migration.mirth.outcomes import Outcome
from bridge.migration.mirth.sample_test import sample_test
from bridge.migration.mirth.secret_texts import BLANK
from bridge.migration.mirth.secrets import LEFT_OUT, is_secret_name
from bridge.migration.mirth.settings import held_back
from bridge.migration.mirth.text import one_line, slug, unique
from bridge.migration.mirth.walk import Walk

ROUNDS_MAX_COUNT: Final = 12
"""Tries of one channel. Each refuses at least one element more, mostly all that are to be refused at once."""
LINK_PORT_FIRST, LINK_PORTS_COUNT = 27_000, 2_000
"""Ports on loopback where channels hand messages to each other."""

ENVIRONMENT_FILE: Final = "channels/environments/imported.yaml"

Trial = Callable[[str], tuple[Plan | None, Sequence[Problem]]]
"""What the text of a mapping file comes to, and what is wrong with it."""


@dataclass(frozen=True, slots=True)
class ConvertedChannel:
    """A channel with its plan and its files, by path. ``name`` is its name among ours."""

    name: str
    plan: ChannelPlan
    files: Mapping[str, str]
    values: Mapping[str, str]

    @property
    def outcomes(self) -> list[Outcome]:
        """One for each element."""
        return self.plan.outcomes


@dataclass(frozen=True, slots=True)
class Converted:
    """All of an export. ``files`` are below the folder of the configuration."""

    channels: tuple[ConvertedChannel, ...]
    global_outcomes: tuple[Outcome, ...]
    files: Mapping[str, str] = field(default_factory=dict)


def convert(export: Export, trial: Trial) -> Converted:
    """Convert an export that was read and joined. The same export gives the same files, byte for byte."""
    names = unique(slug(channel.name) for channel in export.channels)
    links = links_of(export)
    held = {channel.id for channel in export.channels if held_back(channel)}
    configuration = {
        key: value
        for key, value in export.configuration.items()
        if not is_secret_name(key) and BLANK not in value
    }
    globals_ = tuple(map(script_outcome, export.global_scripts))
    before = [
        f"the {each.element.name}, which every message of every channel passes"
        for each in globals_
        if each.word == "manual" and "preprocessor" in each.element.name
    ]
    channels = [
        _channel(channel, name, _calls(channel, links, held), configuration, trial, before)
        for channel, name in zip(export.channels, names, strict=True)
    ]
    files: dict[str, str] = {}
    values: dict[str, str] = {}
    for each in channels:
        files.update(each.files)
        values.update(each.values)
    if values:
        files[ENVIRONMENT_FILE] = environment_text(values).text
    return Converted(tuple(channels), globals_, dict(sorted(files.items())))


def links_of(export: Export) -> dict[str, str]:
    """An address on loopback for each channel reader that another channel of the export writes to."""
    written = {
        destination.text("channelId").strip()
        for channel in export.channels
        for destination in channel.destinations
        if destination.transport == "Channel Writer"
    }
    taken: set[int] = set()
    found: dict[str, str] = {}
    for channel in sorted(export.channels, key=lambda each: each.id):
        kind = channel.source.transformer.inbound
        if (
            channel.id not in written
            or channel.source.transport != "Channel Reader"
            or kind not in ("HL7V2", "")
        ):
            continue
        port = int.from_bytes(hashlib.sha256(channel.id.encode()).digest()[:4], "big") % LINK_PORTS_COUNT
        while port in taken:
            port = (port + 1) % LINK_PORTS_COUNT
        taken.add(port)
        found[channel.id] = f"tcp:127.0.0.1:{LINK_PORT_FIRST + port}"
    return found


def _calls(channel: Channel, links: Mapping[str, str], held: Set[str]) -> dict[str, str]:
    """Where a channel can hand on to, and under its own id where it listens itself."""
    calls = {key: value for key, value in links.items() if key != channel.id and key not in held}
    if channel.id in links:
        calls[channel.id] = _listening(links[channel.id])
    return calls


def _listening(address: str) -> str:
    _, host, port = address.split(":")
    return f"tcp:{port}:interface={host}"


def _channel(
    channel: Channel,
    name: str,
    calls: Mapping[str, str],
    configuration: Mapping[str, str],
    trial: Trial,
    before: Sequence[str],
) -> ConvertedChannel:
    refused: dict[str, str] = {}
    for _ in range(ROUNDS_MAX_COUNT):
        plan = plan_channel(channel, calls, configuration, refused, before, name)
        mappings, used = _mappings(plan, name)
        found = _refusals(mappings, trial, plan)
        if not found.keys() - refused.keys():
            break
        refused = {**found, **refused}
    for written in mappings.values():
        _with_test(written, trial)
    apis = dict(enumerate(api_names(name, plan.routes)))
    # What no route uses and says nothing is of no use to anybody.
    kept = {
        key: file
        for key, file in mappings.items()
        if key[0] != "." and (file.changes or key in used.values())
    }
    files = {f"mappings/{key}.yaml": file.text for key, file in kept.items()}
    values = dict(plan.source.values)
    for number, route in enumerate(plan.routes):
        if route.way.works:
            original = number not in used
            files[f"channels/apis/{apis[number]}.yaml"] = api_text(
                apis[number], route, channel.name, original
            ).text
            values.update(route.way.values)
    folder = "channels" if plan.runs else "unfinished/channels"
    idle = [key for key in kept if key not in used.values()]
    text = channel_text(name, plan, apis, used, idle, unfinished=not plan.runs).text
    files[f"{folder}/{name}.yaml"] = text
    plan.forget()
    return ConvertedChannel(name, plan, files, values)


def _with_test(written: Written, trial: Trial) -> None:
    """Add a test to a mapping, unless the mapping, or the test itself, does not do."""
    plan, _ = trial(written.text)
    test = [] if plan is None else sample_test(plan, written)
    if not test:
        return
    rest = written.rest
    written.rest = ["", *test, *rest]
    tested, problems = trial(written.text)
    wrong = any(problem.severity == "error" for problem in problems)
    if wrong or tested is None or not all(each.passed for each in run_tests(tested)):
        written.rest = rest


def _refusals(mappings: Mapping[str, Written], trial: Trial, plan: ChannelPlan) -> dict[str, str]:
    """What the language refuses, by the element that asked for it, in its own words or in plainer ones."""
    found: dict[str, str] = {}
    for written in mappings.values():
        for number, element in written.origins.items():
            if BLANK in written.lines[number - 1]:
                found.setdefault(element, LEFT_OUT)
        for problem in trial(written.text)[1]:
            if problem.severity == "error":
                origin = written.origins.get(problem.place.line)
                if origin is not None:
                    line = written.lines[problem.place.line - 1].strip()
                    said = f"the mapping language refuses it: {problem.text}"
                    if not plan.form.name and "$" in line:
                        kind = plan.channel.source.transformer.inbound
                        said = f"messages are {kind}, which no mapping reads yet; it would be `{line}`"
                    found.setdefault(origin, said)
    return found


def _mappings(plan: ChannelPlan, name: str) -> tuple[dict[str, Written], dict[int, str]]:
    """The mapping files of a channel by name, and the mapping of each destination that sends what it makes.

    One for the steps of the source; one more for each destination that has steps of its own, unless it is the
    only one. A name that begins with a dot is not written, only tried.
    """
    accept = accepted(plan)
    source_rest = [
        each
        for each in plan.outcomes
        if each.element.where in ("source-filter", "source-transformer", "channel")
    ]
    apart = [number for number, route in enumerate(plan.routes) if route.own_steps]
    single = len(plan.routes) == 1
    made: dict[str, Written] = {}
    used: dict[int, str] = {}
    rest_of = [_rest(plan, route) for route in plan.routes]
    base_rest = [
        *source_rest,
        *(each for number, rest in enumerate(rest_of) if single or number not in apart for each in rest),
    ]
    base_walk = plan.routes[0].walk if single and plan.routes[0].own_steps else plan.walk
    tried = _one(plan, name, "", plan.walk, accept, [])
    if base_rest or base_walk.lets or any(route.document.changed for route in plan.routes):
        where = "all of its steps" if single else "the steps of its source"
        made[name] = _one(plan, name, where, base_walk, accept, base_rest)
        made[f".{name}"] = tried
    for number, route in enumerate(plan.routes):
        if route.needs_mapping:
            used[number] = name
        if number in apart and not single:
            own = f"{name}-{slug(route.connector.name, 30, otherwise='destination')}"
            own = unique([own], set(made))[0]
            where = f"the steps of its source, and of its destination {route.connector.name!r}"
            made[own] = _one(plan, own, where, route.walk, accept, rest_of[number])
            if route.needs_mapping:
                used[number] = own
    return made, used


def _rest(plan: ChannelPlan, route: RoutePlan) -> list[Outcome]:
    mine = {id(element) for each in route.connector.elements for element in each.every()}
    return [each for each in plan.outcomes if id(each.element) in mine]


def _one(
    plan: ChannelPlan, name: str, where: str, walk: Walk, accept: Sequence[str], rest: Sequence[Outcome]
) -> Written:
    form = plan.form.name
    kind = one_line(plan.channel.source.transformer.inbound, 40)
    notes = [] if form else [f"Its messages are {kind}, and are not read yet: `format` is a stand-in."]
    if form not in ("", "hl7v2") and not walk.lets and walk.scope.documents["tmp"].base == "copy":
        form, notes = "", ["Nothing of it is converted yet: `format` is a stand-in."]
    return mapping_text(name, plan.channel, where, walk, accept, rest, notes, form or "hl7v2")

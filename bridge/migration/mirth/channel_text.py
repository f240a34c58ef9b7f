"""Channel and API files as text, with what differs from the old engine beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from bridge.migration.mirth.answers import goes_on
from bridge.migration.mirth.channel_plan import ChannelPlan, RoutePlan
from bridge.migration.mirth.hl7_settings import read_otherwise
from bridge.migration.mirth.mapping_text import OWNER, Written
from bridge.migration.mirth.message_types import USUAL
from bridge.migration.mirth.secrets import blanked
from bridge.migration.mirth.settings import differs
from bridge.migration.mirth.text import comment, item, listed, one_line, quoted, scalar, slug, unique
from bridge.migration.mirth.ways import route_names

NOT_FINISHED: Final = (
    "NOT FINISHED: none of its routes can run yet. Nothing reads this file where it lies; move it to "
    "channels/ once what is marked TODO is done."
)
HELD_BACK: Final = (
    "HELD BACK: {} in the old engine. Nothing reads this file where it lies; move it to channels/ once it is "
    "to run."
)
SENDS_NOTHING: Final = (
    "It sends nothing anywhere, so that it needs no channel here. Nothing reads this file where it lies; "
    "delete it, or write a route and move it to channels/."
)


def accepted(plan: ChannelPlan) -> list[str]:
    """The message types that a channel takes: those of its filter, or every one of its format."""
    if plan.form.name == "x12":
        return list(plan.form.accept)
    return plan.accept or [f"{code}^*" for code in USUAL]


def channel_text(
    name: str,
    plan: ChannelPlan,
    apis: Mapping[int, str],
    mappings: Mapping[int, str],
    idle: Iterable[str],
    *,
    unfinished: bool,
) -> Written:
    """A channel file. ``apis`` and ``mappings`` are names by the number of the destination, from 0; ``idle``
    are mappings of it that no route uses."""
    channel = plan.channel
    file = Written()
    version = f", version {channel.version}" if channel.version else ""
    file.add(*comment(f"From the channel {channel.name!r}{version}{_state(plan)}."))
    if unfinished and plan.held:
        file.add(*comment(HELD_BACK.format(plan.held)))
    if unfinished and not plan.could_run:
        file.add(*comment(SENDS_NOTHING if _sends_nothing(plan) else NOT_FINISHED))
    for each in idle:
        file.add(*comment(f"No route uses mappings/{each}.yaml, in which its steps are."))
    for note in notes_of(plan):
        file.add(*comment(f"Differs: {note}"))
    file.add(f"channel: {name}", f"owner: {OWNER}")
    if channel.description:
        file.add(f"description: {quoted(one_line(blanked(channel.description), 500))}")
    file.add("source:")
    if plan.source.works:
        file.add(*(f"  {line}" for line in plan.source.lines))
    else:
        outcome = plan.source.outcome
        file.add(*comment(f"TODO: {outcome.transport or 'the source'}, {outcome.reason}", "  "))
        file.add('  mllp: {listen: "tcp:0:interface=127.0.0.1"}')
    file.add(*plan.form.lines(plan.source.charset))
    if not plan.form.in_files:
        file.add(*listed("accept", [item(each) for each in accepted(plan)], "  "))
        file.add("processing_ids: [P, T, D]")
    elif plan.form.name == "x12":
        file.add("processing_ids: [P, T, I]")
    file.add(
        "on_no_key: serial   # in the order in which they come, as before; `order_by` lets others go ahead"
    )
    conditions = [route.when for route in plan.routes if route.runs]
    if conditions and None not in conditions:
        file.add("on_no_route: filter   # what the filters keep out, as before")
    active = [number for number, route in enumerate(plan.routes) if route.runs]
    if active:
        file.add("routes:")
    names = route_names([route.connector for route in plan.routes])
    for number, (route, title) in enumerate(zip(plan.routes, names, strict=True)):
        _route(file, route, title, apis.get(number), mappings.get(number), active=number in active)
    return file


def _sends_nothing(plan: ChannelPlan) -> bool:
    """Whether every destination is left out, so that there is nothing to finish."""
    return all(route.way.outcome.word == "dropped" for route in plan.routes)


def _state(plan: ChannelPlan) -> str:
    channel = plan.channel
    said = [f"revision {channel.revision}"] if channel.revision else []
    said += [] if channel.enabled else ["disabled there"]
    said += (
        [f"initial state {channel.initial_state}"]
        if channel.initial_state not in ("", "STARTED", "started")
        else []
    )
    return "".join(f", {each}" for each in said)


def notes_of(plan: ChannelPlan) -> list[str]:
    """What a channel does otherwise than before, beyond its elements."""
    found = [*plan.source.notes, *read_otherwise(plan.channel.source)]
    if plan.form.in_files:
        return found + _kept_of(plan)
    if not plan.accept:
        found.append(
            "the old engine took every type; here those of HL7 table 0076. `accept` should name what comes"
        )
    else:
        found.append(
            "a type that is not in `accept` is answered AR, as a message that the filter kept out was"
        )
    found.append("a message with an empty MSH-11, MSH-10 or MSH-9 is refused, where the old engine took it")
    return found + _kept_of(plan)


def _kept_of(plan: ChannelPlan) -> list[str]:
    """What the old engine kept of a message beside it."""
    found = differs(plan.channel)
    if plan.channel.attachments:
        found.append(f"attachments were taken out by {one_line(plan.channel.attachments, 40)!r}")
    if plan.channel.columns:
        columns = ", ".join(one_line(each, 40) for each in plan.channel.columns)
        found.append(f"columns by which messages were found: {columns}; see `search`")
    return found


def _route(
    file: Written, route: RoutePlan, name: str, api: str | None, mapping: str | None, *, active: bool
) -> None:
    connector = route.connector
    title = f"{one_line(connector.name, 80)!r}, {connector.transport}"
    lines = [f"  - route: {name}"]
    if route.when is not None:
        lines.append(f"    when: {scalar(route.when.flat)}")
    if mapping is not None:
        lines.append(f"    mapping: {mapping}")
    lines.append(f"    to: {{api: {api or 'TODO'}}}")
    if goes_on(connector):
        lines.append("    on_poison: quarantine_and_continue   # what was refused held nothing up, as before")
    if active:
        file.add(*comment(title, "  "))
        for note in route.way.notes:
            file.add(*comment(f"Differs: {note}", "  "))
        file.add(*lines)
        return
    outcome = route.way.outcome
    if outcome.word == "dropped":
        file.add(*comment(f"Left out: {title}: {outcome.reason}.", "  "))
        return
    reasons = list(dict.fromkeys(route.blocked))
    if not route.way.works:
        reasons.append(f"its connector: {outcome.reason}")
    file.add(*comment(f"TODO: {title} does not run yet, because of:", "  "))
    for reason in reasons:
        file.add(*comment(f"  {reason}", "  "))
    file.add(*(f"  # {line}" for line in lines))


def api_text(name: str, route: RoutePlan, channel: str, sends_original: bool) -> Written:
    """An API file."""
    file = Written()
    file.add(*comment(f"From the destination {route.connector.name!r} of the channel {channel!r}."))
    for note in route.way.notes:
        file.add(*comment(f"Differs: {note}"))
    file.add(
        *comment(
            "repeat_safety: a call that may have happened is decided by a person. `header` if this receiver "
            "knows a repeat by its MSH-10."
        )
        if route.way.lines[0] == "mllp:"
        else []
    )
    file.add(f"api: {name}", f"owner: {{team: {OWNER}}}")
    lines = [
        "send: original" if line == "send: message" and sends_original else line for line in route.way.lines
    ]
    file.add(*lines)
    return file


def environment_text(values: Mapping[str, str]) -> Written:
    """The environment that imported files refer to."""
    file = Written()
    file.add(
        *comment(
            "What the old engine took from its configuration map. Write your own; no secret belongs here, "
            "only a reference to it."
        )
    )
    file.add("environment: imported", "production: false", "values:")
    file.add(*(f"  {name}: {item(value)}" for name, value in sorted(values.items())))
    return file


def api_names(channel: str, routes: Sequence[RoutePlan]) -> list[str]:
    """A name for the API of each destination."""
    names = (slug(route.connector.name, 22, otherwise="destination") for route in routes)
    return [f"{channel}.{each}" for each in unique(names)]

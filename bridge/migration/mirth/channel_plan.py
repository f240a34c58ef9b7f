"""One channel, followed from its source to each destination: routes, and what became of each element."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bridge.located import Place, Scalar
from bridge.mapping.expression import compile_condition
from bridge.migration.mirth import expressions as ex
from bridge.migration.mirth.documents import Document
from bridge.migration.mirth.expressions import Expr
from bridge.migration.mirth.forms import Form, form_of
from bridge.migration.mirth.js_scope import Scope
from bridge.migration.mirth.message_types import types_of
from bridge.migration.mirth.model import Channel, Connector, Element
from bridge.migration.mirth.outcomes import Outcome
from bridge.migration.mirth.responses import response_outcome
from bridge.migration.mirth.secret_texts import BLANK
from bridge.migration.mirth.secrets import LEFT_OUT
from bridge.migration.mirth.settings import held_back
from bridge.migration.mirth.sources import source_of
from bridge.migration.mirth.steps import filtered, only_logs, transformed
from bridge.migration.mirth.targets import sends, target_of
from bridge.migration.mirth.walk import Walk, begin, enter, leave
from bridge.migration.mirth.ways import Way, route_names

ANSWERED_AR = "what it keeps out is answered AA here (and counted as filtered), where the old engine says AR"
_NOT_IN_THE_WAY = frozenset({"mapper"})
"""Steps without which a message still is what it was: they set a name, and who reads the name is told."""


@dataclass(slots=True)
class RoutePlan:
    """One destination. ``blocked`` says why it may not run before a person has done something."""

    connector: Connector
    way: Way
    when: Expr | None
    walk: Walk
    own_steps: bool
    sends: str = "message"
    blocked: list[str] = field(default_factory=list)

    @property
    def document(self) -> Document:
        """The message as the destination is given it."""
        return self.walk.scope.documents["tmp"]

    @property
    def runs(self) -> bool:
        """Whether it may run as it is."""
        return not self.blocked and self.way.works

    @property
    def needs_mapping(self) -> bool:
        """Whether it sends another message than the one that came."""
        return self.sends == "message" and self.document.changed


@dataclass(slots=True)
class ChannelPlan:
    """A channel as it will be written. ``accept`` empty: every type. ``walk`` ends behind the source."""

    channel: Channel
    form: Form
    source: Way
    accept: list[str]
    walk: Walk
    routes: list[RoutePlan]
    outcomes: list[Outcome]
    blocked: list[str]

    @property
    def held(self) -> str:
        """Why it did not run in the old engine, and so is not to run here by itself; empty: it ran."""
        return held_back(self.channel)

    @property
    def could_run(self) -> bool:
        """Whether nothing of it is missing."""
        return self.source.works and any(route.runs for route in self.routes)

    @property
    def runs(self) -> bool:
        """Whether it is to be written as a channel that runs."""
        return self.could_run and not self.held

    def forget(self) -> None:
        """Let go what was known on the way, once the files are written: there may be thousands."""
        nothing = Walk(Scope({}), {})
        self.walk = nothing
        for route in self.routes:
            route.walk = nothing


def plan_channel(
    channel: Channel,
    links: Mapping[str, str],
    configuration: Mapping[str, str],
    refused: Mapping[str, str],
    before: Sequence[str] = (),
    name: str = "",
) -> ChannelPlan:
    """Follow a channel. ``refused`` are elements that the language has refused, by XPath, with its words.

    ``before`` are scripts of the whole server that change its messages, and keep it from running. ``name`` is
    its name among ours, after which values and secrets are called that only it has.
    """
    source = channel.source
    link = links.get(channel.id)
    outcomes = [script_outcome(each) for each in channel.scripts]
    blocked = [*before] + [
        f"the {each.element.name}"
        for each in outcomes
        if each.word == "manual" and each.element.type_name in ("preprocessingScript", "attachment")
    ]
    form = form_of(channel)
    walk = begin(channel, form, refused, configuration)
    passes = filtered(walk, source.filter)
    if passes is None:
        blocked.append("a rule of the source's filter")
        passes = ex.TRUE
    accept = None if form.in_files else types_of(passes.flat)
    if accept is None and passes.constant is not True and not form.in_files:
        _answered_otherwise(walk)
    enter(walk, source.transformer)
    transformed(walk, source.transformer.elements)
    leave(walk, source.transformer)
    blocked += _in_the_way(walk.outcomes)
    outcomes += walk.outcomes
    outcomes += [script_outcome(each) for each in (*source.scripts, *source.response.elements)]
    way = source_of(source, name or channel.name, link, configuration, form)
    routes = []
    for destination, own in zip(channel.destinations, route_names(channel.destinations), strict=True):
        holds = passes if accept is None else ex.TRUE
        route, found = _route(channel, destination, walk, holds, links, configuration, form, f"{name} {own}")
        route.blocked[:0] = blocked
        routes.append(route)
        outcomes += found
    return ChannelPlan(channel, form, way, accept or [], walk, routes, outcomes, blocked)


def _answered_otherwise(walk: Walk) -> None:
    """A source's filter that is no matter of types becomes conditions of routes, which answer otherwise."""
    for number, each in enumerate(walk.outcomes):
        if each.word in ("converted", "approximated") and each.element.where == "source-filter":
            reason = "; ".join(filter(None, (each.reason, ANSWERED_AR)))
            walk.outcomes[number] = Outcome(each.element, "approximated", reason, each.into, each.line)


def _route(
    channel: Channel,
    destination: Connector,
    source: Walk,
    passes: Expr,
    links: Mapping[str, str],
    configuration: Mapping[str, str],
    form: Form,
    name: str,
) -> tuple[RoutePlan, list[Outcome]]:
    walk = source.fork()
    blocked: list[str] = []
    own = filtered(walk, destination.filter)
    if own is None:
        blocked.append("a rule of its filter")
        own = ex.TRUE
    asked = ex.both([passes, own, *_kept(source, destination)])
    enter(walk, destination.transformer)
    transformed(walk, destination.transformer.elements)
    leave(walk, destination.transformer)
    blocked += _in_the_way(walk.outcomes)
    when, refused = _checked(asked, form)
    if refused:
        blocked.append(f"its condition: {refused}")
        walk.outcomes = [_refused_rule(each, refused) for each in walk.outcomes]
    if destination.transformer.outbound_template.strip() and not own_steps(destination):
        blocked.append("its outbound template, which takes the place of the message, and which no step fills")
    way = target_of(destination, links, configuration, name)
    route = RoutePlan(
        destination, way, when, walk, own_steps(destination), sends(destination) or "message", blocked
    )
    if not destination.enabled:
        route.blocked.append("it was disabled")
    if way.works and route.sends == "message" and route.document.kind != "HL7V2":
        route.blocked.append(f"what it sends is {route.document.kind}, which no API takes from a channel yet")
    if route.document.unknown and route.document.kind == "HL7V2":
        route.blocked.append(route.document.unknown)
    if way.works and route.sends == "original" and form.in_files:
        route.blocked.append("it sends files as they came, and of a file its messages are kept")
    found = list(walk.outcomes)
    found += [script_outcome(each, destination) for each in destination.scripts]
    found += [_response(each, destination, channel) for each in destination.response.elements]
    return route, found


def _response(element: Element, destination: Connector, channel: Channel) -> Outcome:
    if not element.enabled or (element.script and only_logs(element.script)):
        return script_outcome(element, destination)
    return response_outcome(element, destination, channel)


def own_steps(destination: Connector) -> bool:
    """Whether a destination has steps that run."""
    return any(each.enabled for each in destination.transformer.elements)


def _refused_rule(outcome: Outcome, why: str) -> Outcome:
    if outcome.element.where == "filter" and outcome.word in ("converted", "approximated"):
        return Outcome(outcome.element, "manual", why)
    return outcome


def _checked(when: Expr, form: Form) -> tuple[Expr | None, str]:
    """The condition of a route; None for always, or where the language refuses it, and its words."""
    if when.constant is True:
        return None, ""
    if BLANK in when.flat:
        return None, LEFT_OUT
    _, problems = compile_condition(Scalar(when.flat, Place("", 1, 1)), form.name or "hl7v2")
    return (None, problems[0].text) if problems else (when, "")


def _kept(source: Walk, destination: Connector) -> list[Expr]:
    """Under which conditions the set of destinations keeps one of them."""
    names = {f"#{destination.meta_data_id}", destination.name}
    found = []
    for behavior, targets, holds in source.scope.destinations:
        named = bool(names & set(targets))
        if behavior == "REMOVE_ALL" or (behavior == "REMOVE") == named:
            found.append(ex.negate(holds))
    return found


def _in_the_way(outcomes: list[Outcome]) -> list[str]:
    return [
        f"the step {each.element.name or each.element.kind!r}"
        for each in outcomes
        if each.word == "manual"
        and each.element.where in ("source-transformer", "transformer")
        and each.element.kind not in _NOT_IN_THE_WAY
    ]


_WHY_SCRIPT = {
    "preprocessingScript": "a script changes every message before it is read",
    "postprocessingScript": "a script runs after every message",
    "deployScript": "a script runs when the channel starts",
    "undeployScript": "a script runs when the channel stops",
    "shutdownScript": "a script runs when the channel stops",
    "attachment": "a script takes attachments out of messages",
    "batchScript": "a script takes batches apart",
}


def script_outcome(element: Element, destination: Connector | None = None) -> Outcome:
    """A script of a channel or connector, or a step of a response transformer: none has a place here."""
    found = []
    if not element.enabled:
        return Outcome(element, "dropped", "disabled in the old engine")
    if element.script and only_logs(element.script):
        return Outcome(element, "dropped", "writes to the log only")
    if element.type_name == "global":
        found.append("a script for all channels: it has no place here")
    elif element.where == "response":
        found.append("the answer of a receiver is read; here its code alone decides")
    elif element.fields.get("language") == "SQL":
        found.append("a statement of SQL: name the API of the system that owns the database")
    elif destination is not None:
        found.append("a script sends: name the API that it should be")
    else:
        found.append(_WHY_SCRIPT.get(element.type_name, "a script that runs beside the messages"))
    return Outcome(element, "manual", found[0], "", 1)

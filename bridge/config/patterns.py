"""The pattern of a flow, where a channel declares one, held against how the flow is really set up.

A pattern says what the people who depend on a flow may expect. Four questions decide whether it fits: does
the sender wait longer than it must or can (latency), does more leave than must (compliance), can what
failed be repeated (resilience), and on how many APIs does it hang (dependency).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from bridge.config.channel import ReadChannel
from bridge.config.crosscheck import Site, by_name
from bridge.config.route_calls import targets_of
from bridge.config.topology import RepeatSafety
from bridge.located import Mapping, Problem


@dataclass(frozen=True, slots=True)
class Flow:
    """What decides. ``slowest_s`` is the longest that a call of any of its APIs may take, by its timeouts."""

    acknowledge: str
    answer_within_s: float
    slowest_s: float
    apis: int
    records_only: bool
    """Nothing leaves whole."""
    repeats_harmless: bool
    """Each API knows a repeated call, or can be asked."""


@dataclass(frozen=True, slots=True)
class Objection:
    """Why a pattern does not fit, by which question, and the pattern that does or what to change."""

    question: Literal["latency", "compliance", "resilience", "dependency"]
    text: str
    instead: str


def objections(pattern: str, flow: Flow) -> Iterator[Objection]:
    """All that speaks against a pattern."""
    waits = flow.acknowledge == "delivered"
    if pattern == "synchronous":
        yield from _synchronous(flow, waits=waits)
    elif waits:
        text = "the sender waits until its APIs have answered (`acknowledge: delivered`)"
        yield Objection("latency", text, "acknowledge: journaled, or pattern: synchronous")
    if pattern == "canonical" and not flow.records_only:
        text = "a message leaves whole, and not as a record of what its API may have"
        yield Objection("compliance", text, "a mapping and `send: record`, or pattern: event")
    if pattern == "orchestrated":
        if flow.apis < 2:
            text = "there is one API, and nothing to orchestrate"
            yield Objection("dependency", text, "pattern: canonical")
        if not flow.repeats_harmless:
            text = "nobody would know whether a step that broke off has happened"
            yield Objection("resilience", text, "`repeat_safety` of each API, or pattern: event")


def _synchronous(flow: Flow, *, waits: bool) -> Iterator[Objection]:
    if not waits:
        text = f"the sender hears before its API has (`acknowledge: {flow.acknowledge}`)"
        yield Objection("latency", text, "acknowledge: delivered, or pattern: event")
    elif flow.slowest_s > flow.answer_within_s:
        text = (
            f"a call may take {flow.slowest_s:g} s, and the sender is told after {flow.answer_within_s:g} s"
        )
        yield Objection("latency", text, "shorter `timeouts: {request: ...}`, or pattern: event")
    if flow.apis > 1:
        text = f"the sender waits for {flow.apis} APIs, and fails with each of them"
        yield Objection("dependency", text, "pattern: orchestrated")
    if not flow.repeats_harmless:
        text = "a sender that hears nothing sends again, and its API may do it twice"
        yield Objection("resilience", text, "`repeat_safety` of its API, or pattern: event")


def check_patterns(site: Site) -> Iterator[Problem]:
    """A problem for each declared pattern that does not fit."""
    apis = by_name(site.apis)
    for entry in site.channels:
        read = entry.value
        if entry.tree is None or read is None or read.file.pattern is None:
            continue
        node = entry.tree.get("pattern")
        assert node is not None, "what the file says stands in its tree"
        targets = set(_targets(entry.tree))
        if not targets <= set(apis):
            continue  # an API that is not known has its own problem
        used = [apis[name] for name in sorted(targets)]
        flow = Flow(
            *_answering(read),
            slowest_s=max((_slowest_s(each.destination.options) for each in used), default=0.0),
            apis=len(used),
            records_only=all(each.file.send == "record" for each in used),
            repeats_harmless=all(_harmless(each.file.repeat_safety) for each in used),
        )
        for each in objections(read.file.pattern, flow):
            text = f"`{read.file.pattern}` does not fit ({each.question}): {each.text}"
            yield Problem(node.place, "C189", text, each.instead)


def _answering(read: ReadChannel) -> tuple[str, float]:
    source = read.source.options
    within_s = getattr(getattr(source, "answer", None), "within", 0.0)
    return getattr(source, "acknowledge", "journaled"), within_s


def _slowest_s(options: object) -> float:
    return float(getattr(getattr(options, "timeouts", None), "request", 0.0))


def _harmless(safety: RepeatSafety) -> bool:
    return safety != "none"


def _targets(tree: Mapping) -> Iterator[str]:
    for route in getattr(tree.get("routes"), "items", ()):
        to = route.get("to") if isinstance(route, Mapping) else None
        if isinstance(to, Mapping):
            for target in targets_of(to):
                yield target.text

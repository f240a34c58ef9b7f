"""What is done about a flow, by how its steps are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest

from bridge.delivery.flow import Decision, Step, decide
from bridge.delivery.state import DeliveryState as D

# A flow of five: b and c after a, d after b, and e by itself.
FLOW = {"a": (), "b": ("a",), "c": ("a",), "d": ("b",), "e": ()}
NUMBERS = {name: number for number, name in enumerate(FLOW, 1)}


def step(name: str, state: str, **more: Any) -> Step:
    begun = state in ("IN_FLIGHT", "DELIVERED", "RETRY_WAIT", "QUARANTINED", "ACCEPTED")
    made = Step(NUMBERS[name], name, D(state), follows=FLOW[name], begun=begun)
    return replace(made, **more)


def decided(said: Mapping[str, str], **more: Mapping[str, Any]) -> Decision:
    return decide([step(name, said.get(name, "READY"), **more.get(name, {})) for name in FLOW])


def names(numbers: Any) -> str:
    return "".join(name for name, number in NUMBERS.items() if number in numbers)


CALL: Mapping[str, Any] = {"undo": "cancel"}
SURE: Mapping[str, Any] = {"if_fails": "undo", "surely_not": True, "reason": "unprocessable"}

TABLE: dict[str, tuple[dict[str, str], dict[str, Mapping[str, Any]], tuple[str, str, str, bool]]] = {
    # what is so, and what of it: may go, ends, is undone now, is over
    "nothing has begun": ({}, {}, ("ae", "", "", False)),
    "the first is done": ({"a": "DELIVERED"}, {}, ("abce", "", "", False)),
    "the first is filtered": ({"a": "FILTERED"}, {}, ("abce", "", "", False)),
    "the first is the old engine's": ({"a": "RECORDED"}, {}, ("abce", "", "", False)),
    "the first waits for a person": ({"a": "QUARANTINED"}, {}, ("ae", "", "", False)),
    "the first was accepted and is not done": ({"a": "ACCEPTED"}, {}, ("ae", "", "", False)),
    "one is away": ({"a": "DELIVERED", "b": "RETRY_WAIT"}, {}, ("abce", "", "", False)),
    "all are done": (dict.fromkeys(FLOW, "DELIVERED"), {}, ("abcde", "", "", True)),
    "one is refused, and a person decides": (
        {"a": "DELIVERED", "b": "QUARANTINED"},
        {"a": CALL, "b": {**SURE, "if_fails": "person"}},
        ("abce", "", "", False),
    ),
    "one may have happened": (
        {"a": "DELIVERED", "b": "QUARANTINED"},
        {"a": CALL, "b": {**SURE, "surely_not": False}},
        ("abce", "", "", False),
    ),
    "one is discarded: what follows ends, another that followed it too, what was done is undone": (
        {"a": "DELIVERED", "b": "DISCARDED"},
        {"a": CALL},
        ("abe", "cd", "a", False),
    ),
    "one is surely refused, and undone by itself": (
        {"a": "DELIVERED", "b": "QUARANTINED", "c": "DELIVERED"},
        {"a": CALL, "b": SURE},
        ("ace", "bd", "a", False),
    ),
    "another that followed is undone first": (
        {"a": "DELIVERED", "b": "DISCARDED", "c": "DELIVERED"},
        {"a": CALL, "c": CALL},
        ("abce", "d", "c", False),
    ),
    "another that followed was undone": (
        {"a": "DELIVERED", "b": "DISCARDED", "c": "DELIVERED", "d": "DISCARDED"},
        {"a": CALL, "c": {**CALL, "undone_by": D.DELIVERED}},
        ("abcde", "", "a", False),
    ),
    "another that followed is being undone": (
        {"a": "DELIVERED", "b": "DISCARDED", "c": "DELIVERED", "d": "DISCARDED"},
        {"a": CALL, "c": {**CALL, "undone_by": D.RETRY_WAIT}},
        ("abcde", "", "", False),
    ),
    "another that followed is under way: it ends first": (
        {"a": "DELIVERED", "b": "DISCARDED", "c": "RETRY_WAIT", "d": "DISCARDED"},
        {"a": CALL},
        ("abce", "", "", False),
    ),
    "nothing says how to undo what was done": (
        {"a": "DELIVERED", "b": "DISCARDED", "c": "DELIVERED", "e": "DELIVERED"},
        {},
        ("abce", "d", "", True),
    ),
    "all that is to be undone is": (
        {"a": "DELIVERED", "b": "DISCARDED", "c": "DISCARDED", "d": "DISCARDED", "e": "DELIVERED"},
        {"a": {**CALL, "undone_by": D.DELIVERED}},
        ("abcde", "", "", True),
    ),
    "a consent says no: what follows is suppressed too, and nothing is undone": (
        {"a": "DELIVERED", "b": "SUPPRESSED"},
        {"a": CALL, "b": {"reason": "consent-denied"}},
        ("abce", "d", "", False),
    ),
    "a newer state was told": (
        {"a": "DELIVERED", "b": "SUPPRESSED"},
        {"b": {"reason": "newer-was-told"}},
        ("abcde", "", "", False),
    ),
}


@pytest.mark.parametrize(("said", "more", "expected"), TABLE.values(), ids=list(TABLE))
def test_what_follows_from_how_the_steps_are(
    said: dict[str, str], more: dict[str, Mapping[str, Any]], expected: tuple[str, str, str, bool]
) -> None:
    found = decided(said, **more)
    may_go, ends, undone, over = expected
    assert (names(found.end), names(found.undo), found.over) == (ends, undone, over)
    open_now = {name for name in FLOW if said.get(name, "READY") in ("READY", "HELD", "RETRY_WAIT")}
    assert {*names(found.clear)} & open_now == {*may_go} & open_now


def test_what_a_consent_suppresses_suppresses_what_follows() -> None:
    assert decided({"a": "DELIVERED", "b": "SUPPRESSED"}).end == {4: (D.SUPPRESSED, "follows-suppressed")}


def test_what_follows_something_set_aside_is_set_aside_and_goes_when_that_has_gone() -> None:
    found = decided({"a": "QUARANTINED"}, a={"aside": True})
    assert found.aside == (2, 3)
    waits = {"reason": "follows-quarantined", "aside": True, "begun": False}
    states = {"a": "QUARANTINED", "b": "QUARANTINED", "c": "QUARANTINED"}
    assert decided(states, a={"aside": True}, b=waits, c=waits).aside == (4,)
    assert decided({**states, "a": "DELIVERED"}, b=waits, c=waits).again == (2, 3)


def test_asking_again_does_nothing_again() -> None:
    steps = [step(name, "READY") for name in FLOW]
    steps[0] = step("a", "DELIVERED", undo="cancel")
    steps[1] = step("b", "DISCARDED")
    first = decide(steps)
    after = [
        replace(each, state=first.end[each.delivery_id][0]) if each.delivery_id in first.end else each
        for each in steps
    ]
    after = [replace(each, undone_by=D.READY) if each.delivery_id in first.undo else each for each in after]
    again = decide(after)
    assert (again.end, again.undo, again.aside, again.again) == ({}, (), (), ())

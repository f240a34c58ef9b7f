"""Flows: what one message comes to at several APIs, some after others, and what follows when one fails.

Routes that follow none go side by side, and nothing of one holds up another. A step that follows others goes
once all of these are done. Where a step fails for good, what follows it is not sent any more, and what was
done before it is undone, the last first: by a call that was made with it, or by a person. A step is undone
only when nothing that follows it stands or is under way.

Pure. What is decided follows from how the steps are alone, so that asking twice does nothing twice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, Literal

from bridge.delivery.state import DELIVERY_OPEN, DeliveryState

IfFails = Literal["person", "undo"]

BY_HAND: Final = "by_hand"
"""Instead of an operation: a person undoes the step."""
UNDO_BY_HAND: Final = "undo-by-hand"
GAVE_UP: Final = "flow-undone"
"""Why a step ended that failed for good, where its flow is undone without a person."""
FOLLOWS_FAILED: Final = "follows-failed"
FOLLOWS_SUPPRESSED: Final = "follows-suppressed"
FOLLOWS_ASIDE: Final = "follows-quarantined"
NEWER_WAS_TOLD: Final = "newer-was-told"
"""Of what was suppressed: its API has taken a newer state, so that what follows may go."""

_D = DeliveryState
_DONE: Final = frozenset({_D.DELIVERED, _D.FILTERED, _D.RECORDED, _D.SUPERSEDED})
_NOT_OVER: Final = DELIVERY_OPEN | {_D.QUARANTINED}


@dataclass(frozen=True, slots=True)
class Step:
    """A delivery of a flow. ``follows`` are the routes that its own one follows.

    ``begun`` tells that a call of it was made, ``surely_not`` that it is in quarantine and its API has not
    taken it. ``undo`` is how it is undone, empty where it stands once it is done; ``undone_by`` is how what
    undoes it stands, None where nothing does.
    """

    delivery_id: int
    route: str
    state: DeliveryState
    reason: str = ""
    follows: tuple[str, ...] = ()
    begun: bool = False
    surely_not: bool = False
    aside: bool = False
    if_fails: IfFails = "person"
    undo: str = ""
    undone_by: DeliveryState | None = None

    @property
    def done(self) -> bool:
        """Whether what follows it may go."""
        overtaken = self.state is _D.SUPPRESSED and self.reason == NEWER_WAS_TOLD
        return self.state in _DONE or overtaken

    @property
    def failed(self) -> bool:
        """Whether it failed for good."""
        given_up = self.state is _D.QUARANTINED and self.surely_not and self.if_fails == "undo"
        return self.state is _D.DISCARDED or given_up

    @property
    def waits(self) -> bool:
        """Whether it has not begun and may still be kept from it."""
        return self.state in _NOT_OVER and not self.begun and self.state is not _D.IN_FLIGHT


@dataclass(frozen=True, slots=True)
class Decision:
    """What is to be done, by ids of deliveries."""

    clear: frozenset[int]
    """May go, as far as their flow is concerned."""
    end: dict[int, tuple[DeliveryState, str]] = field(default_factory=dict)
    """End unsent: in which state, and why."""
    aside: tuple[int, ...] = ()
    """Follow what a person has set aside, and must not hold up their keys: into quarantine, aside."""
    again: tuple[int, ...] = ()
    """Were set aside so, and may go now."""
    undo: tuple[int, ...] = ()
    """Are to be undone now."""
    over: bool = False
    """Nothing of the flow is left to be decided."""

    @property
    def changes(self) -> bool:
        """Whether anything is to be written."""
        return bool(self.end or self.aside or self.again or self.undo or self.over)


def decide(steps: Sequence[Step]) -> Decision:
    """What is to be done about a flow, all of whose steps these are, those of one route among them."""
    of_route: dict[str, list[Step]] = {}
    for step in steps:
        of_route.setdefault(step.route, []).append(step)
    before = {
        name: _reached(name, {each: _follows(of_route[each]) for each in of_route}) for name in of_route
    }
    after = {name: [each for each in of_route if name in before[each]] for name in of_route}
    failed = {name for name, own in of_route.items() if any(step.failed for step in own)}
    undo = _to_undo(of_route, before, after, failed)
    end = _to_end(of_route, after, failed, {step.route for step in undo})
    left = [step for step in steps if step.delivery_id not in end]

    def done(step: Step) -> bool:
        return all(each.done for name in step.follows for each in of_route.get(name, ()))

    clear = frozenset(step.delivery_id for step in left if step.begun or done(step))
    put_aside = [step for step in left if step.waits and step.reason == FOLLOWS_ASIDE and step.aside]
    aside = [
        step
        for step in left
        if step.waits
        and step.state is not _D.QUARANTINED
        and any(
            each.state is _D.QUARANTINED and each.aside
            for name in step.follows
            for each in of_route.get(name, ())
        )
    ]
    ready = [
        step for step in undo if step.undone_by is None and _stands_alone(step, after, of_route, end, undo)
    ]
    pending = any(step.undone_by is None or step.undone_by in _NOT_OVER for step in undo)
    return Decision(
        clear,
        end,
        tuple(step.delivery_id for step in aside),
        tuple(step.delivery_id for step in put_aside if step.delivery_id in clear),
        tuple(step.delivery_id for step in ready),
        over=not pending and not any(step.state in _NOT_OVER for step in left),
    )


def _follows(own: Iterable[Step]) -> set[str]:
    return {name for step in own for name in step.follows}


def _reached(name: str, follows: dict[str, set[str]]) -> set[str]:
    found: set[str] = set()
    to_see = list(follows[name])
    while to_see:
        each = to_see.pop()
        if each not in found:
            found.add(each)
            to_see += follows.get(each, ())
    return found


def _to_undo(
    of_route: dict[str, list[Step]],
    before: dict[str, set[str]],
    after: dict[str, list[str]],
    failed: set[str],
) -> list[Step]:
    """What was done before a step that failed, and whatever was done after that."""
    reached = {name for each in failed for name in before[each] if name in of_route}
    found = {name for name in reached if any(_undoable(step) for step in of_route[name])}
    found |= {name for each in found for name in after[each]}
    return [step for name, own in of_route.items() if name in found for step in own if _undoable(step)]


def _undoable(step: Step) -> bool:
    return step.state is _D.DELIVERED and bool(step.undo)


def _to_end(
    of_route: dict[str, list[Step]], after: dict[str, list[str]], failed: set[str], undone: set[str]
) -> dict[int, tuple[DeliveryState, str]]:
    end: dict[int, tuple[DeliveryState, str]] = {}
    for name, own in of_route.items():
        for step in own:
            if step.failed and step.state is not _D.DISCARDED:
                end[step.delivery_id] = _D.DISCARDED, f"{GAVE_UP}: {step.reason}"
            elif step.waits and any(name in after[each] for each in failed | undone):
                end[step.delivery_id] = _D.DISCARDED, FOLLOWS_FAILED
    for name, own in of_route.items():
        if not any(step.state is _D.SUPPRESSED and not step.done for step in own):
            continue
        for step in (each for later in after[name] for each in of_route[later]):
            if step.waits and step.state is not _D.QUARANTINED:
                end.setdefault(step.delivery_id, (_D.SUPPRESSED, FOLLOWS_SUPPRESSED))
    return end


def _stands_alone(
    step: Step,
    after: dict[str, list[str]],
    of_route: dict[str, list[Step]],
    end: dict[int, tuple[DeliveryState, str]],
    undo: list[Step],
) -> bool:
    """Whether nothing that follows a step is under way, or is still to be undone."""
    for each in (each for later in after[step.route] for each in of_route[later]):
        if each.state in _NOT_OVER and each.delivery_id not in end:
            return False
        if each in undo and (each.undone_by is None or each.undone_by in _NOT_OVER):
            return False
    return True

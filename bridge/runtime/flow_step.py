"""What a delivery is to the flow of its message, kept with it as it is made. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bridge.config.topology import Route
from bridge.delivery.flow import BY_HAND
from bridge.delivery.state import DeliveryState
from bridge.journal.flows import NewStep
from bridge.journal.messages import NewDelivery
from bridge.message import Record

UNDONE_BY_A_CALL: Final = frozenset({"upsert", "replace"})
"""What records ask for that a call can undo; what is cancelled, deleted or merged a person puts back."""
REASON_MAX_CHARACTERS: Final = 300


def as_step(
    route: Route,
    made: NewDelivery,
    record: Record | None = None,
    undo: Callable[[], NewDelivery] | None = None,
) -> NewDelivery:
    """A delivery with what it is to its flow, where its route is of one and nobody has said yet.

    ``undo`` makes the call that undoes it, of the same record. What could not be undone, because a policy
    says no to that call, is not begun.
    """
    if not route.of_flow or made.step is not None:
        return made
    step = NewStep(route.after, route.if_fails, BY_HAND if route.undo else "")
    if route.undo in ("", BY_HAND) or made.state != DeliveryState.READY or record is None or undo is None:
        return made._replace(step=step)
    if record.operation not in UNDONE_BY_A_CALL:
        return made._replace(step=step)
    call = undo()
    if call.request is not None:
        by = step._replace(
            undo=route.undo, undo_request=call.request, undo_verdicts=call.verdicts, undo_asks=call.asks
        )
        return made._replace(step=by)
    return made._replace(
        state=DeliveryState.QUARANTINED,
        reason=f"undo: {call.reason}"[:REASON_MAX_CHARACTERS],
        request=None,
        aside=route.on_poison == "quarantine_and_continue",
        verdicts=call.verdicts,
        asks=None,
        newness=None,
        step=step,
    )

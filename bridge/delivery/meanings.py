"""What each state and verdict says, in words for whoever has to act on it.

What may follow is in `state.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.delivery.outcomes import Verdict
from bridge.delivery.state import DeliveryState, MessageState

_M, _D = MessageState, DeliveryState

OF_MESSAGE: Final[Mapping[MessageState, str]] = MappingProxyType(
    {
        _M.RECEIVED: "It is on disk, and its sender has been answered AA, or waits for what becomes of it. "
        "It waits for translation.",
        _M.MAPPED: "It was translated. Its deliveries carry it from here, and say what became of it.",
        _M.QUARANTINED: "It waits for a person, and so does what came after it with its key: "
        "`bridge quarantine list` says why and what to do.",
        _M.DISCARDED: "A person has decided that it ends here; or another file has replaced its own.",
        _M.REFUSED: "Its sender heard AR or AE and has it still. It is kept and counted, and nothing is "
        "sent.",
        _M.DUPLICATE: "It repeats an earlier one, byte for byte, was answered as that was, and is not "
        "processed again.",
        _M.IGNORED: "It is of a type that its channel ignores: answered AA, kept, and not processed.",
        _M.RELAYED: "It is the old engine's alone: no route of it is beyond the stage `relay`, or the bridge "
        "has no use for it.",
    }
)

OF_DELIVERY: Final[Mapping[DeliveryState, str]] = MappingProxyType(
    {
        _D.READY: "Its request is on disk and waits for its turn: one delivery of a key is under way at a "
        "time.",
        _D.IN_FLIGHT: "Its call is under way, or was when the process ended.",
        _D.RETRY_WAIT: "Its API could not take it now. It goes again by itself; an outage uses up no "
        "attempt.",
        _D.HELD: "Its operation cannot be called as it is set up, what its path names is not there, or a "
        "policy says not yet. It goes on by itself: after a while, or when that changes. Look at its reason, "
        "the API's file, its credential and its rights; `bridge consent` where that is what is not known.",
        _D.AMBIGUOUS: "Its call may have taken effect, and nobody can say. It is only passed through: "
        "`repeat_safety` of its API decides what follows.",
        _D.ACCEPTED: "Its API has taken it, and is asked what became of it (`confirm`), while "
        "its key waits; or it goes into a file with others, and ends with that, or with what its receiver "
        "says (`collect`).",
        _D.QUARANTINED: "It waits for a person, and its key with it unless it was set aside: "
        "`bridge quarantine list` says why and what to do.",
        _D.DELIVERED: "Its API has taken it.",
        _D.FILTERED: "Nothing is sent: the condition of its route does not hold, or the message has no "
        "such record.",
        _D.RECORDED: "The old engine sends this. Its request is kept for comparison, and can never be sent.",
        _D.SUPPRESSED: "A policy keeps it from being sent, as a patient's consent does that says no. "
        "Nothing of it has left since then, and nothing will.",
        _D.SUPERSEDED: "It was the bridge's, and is the old engine's again after a step back; or another "
        "file has replaced its own.",
        _D.DISCARDED: "A person has decided that it ends here; or its message went back to its sender, who "
        "waited; or another file has replaced its own; or it is a step of a flow that failed, and a later "
        "one than the one that did.",
    }
)

AFTER_VERDICT: Final[Mapping[Verdict, str]] = MappingProxyType(
    {
        Verdict.DELIVERED: "The API took it.",
        Verdict.ACCEPTED: "The API has taken it and is asked what became of it; its key waits.",
        Verdict.RETRY: "The API's fault: it goes again by itself, and no attempt is used up.",
        Verdict.POISON: "The API refuses this request: it is tried `retry.poison_attempts` times, then a "
        "person "
        "looks at it.",
        Verdict.HOLD: "The operation cannot be called as it is set up: all of it waits, and one call tries "
        "again "
        "after a while.",
        Verdict.NOT_FOUND: "What the path names is not there: its key waits, for `retry.not_found_for`, "
        "then a "
        "person looks at it.",
        Verdict.AMBIGUOUS: "The call may have taken effect: `repeat_safety` of the API decides what follows.",
        Verdict.REFUSED: "A policy says that it may not be sent: nothing was, and a person looks at it.",
        Verdict.WITHHELD: "A policy says that it may not be sent yet: nothing was, and its key waits until "
        "that changes.",
        Verdict.SUPPRESSED: "A policy says that it is not to be sent: nothing was, and it ends here.",
    }
)

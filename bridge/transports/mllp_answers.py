"""Second answers of a connection, and what a channel says about when and where its senders are answered."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import structlog
from pydantic import Field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from bridge.component import Options
from bridge.transports.base import Answer
from bridge.units import DurationS

log = structlog.get_logger("bridge.mllp")

LATER_MAX_COUNT = 256
"""Application acknowledgements that one connection may wait for before it is read on."""

Acknowledge = Literal["journaled", "translated", "delivered", "relayed", "never"]
Mode = Literal["original", "enhanced", "from-message"]


class AnswerOptions(Options):
    """When a sender that waits for more than the disk is answered."""

    within: DurationS = Field(
        10.0,
        gt=0,
        le=300,
        description="The longest that a sender is kept waiting; less than its own patience.",
    )
    late: Literal["AE", "AA"] = Field(
        "AE",
        description="What it is told then. The message goes on all the same, and is not processed again if "
        "it is sent again.",
    )


def check_together(acknowledge: Acknowledge, mode: Mode, *, answer: bool, application_ack: bool) -> None:
    """Raise ValueError where these options contradict each other; of the last two, whether they are set."""
    if acknowledge in ("journaled", "never") and answer:
        raise ValueError(
            "`answer` is for acknowledge: translated, delivered or relayed; on disk is soon enough"
        )
    if acknowledge == "relayed" and mode != "original":
        raise ValueError("`acknowledge: relayed` says what the old engine says: leave `mode` out")
    if acknowledge == "never" and mode != "original":
        raise ValueError("`acknowledge: never` says nothing in any mode: leave `mode` out")
    if application_ack and mode == "original":
        raise ValueError("`application_ack` is for mode: enhanced or from-message; original has one answer")


class LaterAnswers:
    """The second answers that a connection waits for; ``say`` is called with each as it comes."""

    def __init__(self, say: Callable[[Answer], None]) -> None:
        self._say = say
        self._awaited: dict[Deferred[Answer], None] = {}

    def __len__(self) -> int:
        return len(self._awaited)

    @property
    def full(self) -> bool:
        """Whether the connection should not be read on until some of them have come."""
        return len(self._awaited) >= LATER_MAX_COUNT

    def add(self, more: Sequence[Deferred[Answer]]) -> None:
        """Wait for more. Those that are there already are said now, while the others count as awaited."""
        self._awaited.update(dict.fromkeys(more))
        for later in more:
            later.addCallbacks(self._came, self._failed, callbackArgs=(later,), errbackArgs=(later,))

    def _came(self, answer: Answer, later: Deferred[Answer]) -> None:
        self._awaited.pop(later, None)
        self._say(answer)

    def _failed(self, failure: Failure, later: Deferred[Answer]) -> None:
        self._awaited.pop(later, None)
        if not failure.check(CancelledError):
            log.error("intake-fault", fault=type(failure.value).__name__)
            self._say(Answer(None, None))

    def cancel(self) -> None:
        """The connection is gone: nobody hears them any more."""
        for later in tuple(self._awaited):
            later.cancel()

"""What an old engine takes and the bridge alone would send back: its sender would stop once that is gone."""

from __future__ import annotations

from typing import Final

from sqlalchemy import ColumnElement, Connection, func, literal_column, select

from bridge.delivery.state import MessageState
from bridge.journal.schema import messages
from bridge.journal.stage_schema import stages

COUNTED_MAX: Final = 1000
_PREFIX: Final = "would-be-refused: "
_REFUSALS: Final = (
    "batch", "no-message-type", "not-hl7", "not-strict", "processing-id", "type-not-accepted", "version",
)  # fmt: skip
_TAKEN: Final = ("AA", "CA")


def would_be(refusal: str) -> str:
    """The reason of a message that only the old engine takes, by why the bridge would refuse it.

    >>> would_be("not-strict: E101")
    'would-be-refused: not-strict'
    """
    return _PREFIX + refusal.partition(":")[0]


def would_refuse(connection: Connection, channel: str, route: str) -> int:
    """How many messages of a channel the engine took so since a route stands where it does, up to
    `COUNTED_MAX`."""
    since = select(stages.c.since_message_id).where(stages.c.channel == channel, stages.c.route == route)
    # The condition of the index stands in the text, so that any plan can see it.
    noted: ColumnElement[bool] = literal_column("messages.reason <> ''")
    found = (
        select(messages.c.id)
        .where(
            noted,
            messages.c.reason.in_([would_be(each) for each in _REFUSALS]),
            messages.c.id > func.coalesce(since.scalar_subquery(), 0),
            messages.c.channel == channel,
            messages.c.state == MessageState.RELAYED,
            messages.c.answer_code.in_(_TAKEN),
        )
        .limit(COUNTED_MAX)
    )
    return connection.execute(select(func.count()).select_from(found.subquery())).scalar_one()

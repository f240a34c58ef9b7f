"""Seeing all that became of one message."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection, select

from bridge.journal.actions import ActionRow, corrections
from bridge.journal.ahead import waits_for
from bridge.journal.file_places import FilePlace, places_in_files
from bridge.journal.finding import WITH_ANSWERS, Row, Wanted, find
from bridge.journal.flows import in_words, steps_of
from bridge.journal.refusals import refused_attempts
from bridge.journal.schema import (
    answers,
    attempts,
    bodies,
    deliveries,
    messages,
    owed_answers,
    requests,
    transitions,
)

P = ParamSpec("P")
T = TypeVar("T")


def _at_one_moment(
    connection: Connection, query: Callable[Concatenate[Connection, P], T], *args: P.args, **named: P.kwargs
) -> T:
    return query(connection, *args, **named)


def find_messages(
    connection: Connection,
    *,
    channel: str | None = None,
    state: str | None = None,
    control_id: str | None = None,
    limit: int = 50,
) -> list[Row]:
    """The newest messages that fit, as `finding.find` gives them, at one moment of the journal."""
    wanted = Wanted(channel=channel, state=state, control_id=control_id)
    return find(partial(_at_one_moment, connection), wanted, limit=limit)


@dataclass(frozen=True, slots=True)
class Story:
    """One message and all that became of it, oldest first.

    ``waits_for`` says, by delivery id, what stands before it in its lane: words for a person. Where an
    application acknowledgement was asked for, ``message`` has ``application_code`` and ``application_state``.
    """

    message: Row
    deliveries: Sequence[Row]
    attempts: Sequence[Row]
    transitions: Sequence[Row]
    waits_for: Mapping[int, str]
    flow: Mapping[int, str] = field(default_factory=dict)
    """What each delivery of a flow follows, and how it is undone or what it undoes: words for a person."""
    place: FilePlace | None = None
    """Where it stood, where a file brought it."""
    corrections: Sequence[ActionRow] = ()
    """Who has corrected it, when and why."""
    answers: Mapping[int, int] = field(default_factory=dict)
    """Deliveries whose API did not take the request and said why, each with the attempt."""


def story(connection: Connection, message_id: int) -> Story | None:
    """The story of one message, or None where there is none of that id."""
    whole = WITH_ANSWERS.outerjoin(bodies, bodies.c.message_id == messages.c.id)
    message = (
        connection.execute(
            select(messages, bodies.c.body, bodies.c.answer, answers.c.reached.label("answer_reached"))
            .select_from(whole)
            .where(messages.c.id == message_id)
        )
        .mappings()
        .first()
    )
    if message is None:
        return None
    found = (
        connection.execute(
            select(deliveries, requests.c.request)
            .outerjoin(requests, requests.c.delivery_id == deliveries.c.id)
            .where(deliveries.c.message_id == message_id)
            .order_by(deliveries.c.id)
        )
        .mappings()
        .all()
    )
    sent = [dict(row) for row in found]
    tried = (
        connection.execute(
            select(attempts)
            .where(attempts.c.delivery_id.in_([row["id"] for row in sent]))
            .order_by(attempts.c.delivery_id, attempts.c.number)
        )
        .mappings()
        .all()
    )
    steps = (
        connection.execute(
            select(transitions).where(transitions.c.message_id == message_id).order_by(transitions.c.id)
        )
        .mappings()
        .all()
    )
    owed = connection.execute(
        select(
            owed_answers.c.code.label("application_code"), owed_answers.c.state.label("application_state")
        ).where(owed_answers.c.message_id == message_id)
    ).mappings()
    flow = steps_of(connection, message_id)
    return Story(
        {**message, **(owed.first() or {})},
        sent,
        [dict(row) for row in tried],
        [dict(row) for row in steps],
        {row["id"]: before for row in sent if (before := waits_for(connection, flow, sent, row)) is not None},
        {number: in_words(step) for number, step in flow.items()},
        places_in_files(connection, [message_id]).get(message_id),
        corrections(connection, message_id) if message["body_revision"] else (),
        refused_attempts(connection, message_id),
    )

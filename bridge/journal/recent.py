"""The newest messages of a channel, to try another mapping on before it is used."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import Connection, select

from bridge.journal.resolutions import body_of
from bridge.journal.schema import messages

REFUSED = ("REFUSED", "DUPLICATE", "IGNORED")
"""What no mapping was asked about, or was asked before."""


def recent(
    connection: Connection, channel: str | None, types: Collection[str], limit: int
) -> list[tuple[int, bytes]]:
    """The ids and bodies of the last ``limit`` messages of some types, oldest first; None: of every channel.

    What was refused or came before is left out, and so is what has no body any more.
    """
    query = select(messages.c.id).where(
        messages.c.message_type.in_(sorted(types)), messages.c.state.notin_(REFUSED)
    )
    newest = messages.c.id.desc()
    if channel is not None:
        query, newest = query.where(messages.c.channel == channel), messages.c.seq.desc()
    ids = connection.execute(query.order_by(newest).limit(limit)).scalars().all()
    found = ((message_id, body_of(connection, message_id)) for message_id in reversed(ids))
    return [(message_id, body) for message_id, body in found if body is not None]

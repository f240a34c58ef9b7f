"""What was to be sent to an API of what came in a while: each delivery, its request, what became of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

from sqlalchemy import Connection, and_, func, select

from bridge.journal.file_schema import file_messages
from bridge.journal.ledger import entry_of
from bridge.journal.schema import deliveries, messages, requests, revised_requests
from bridge.message import Microseconds

AT_ONCE: Final = 500


class Sent(NamedTuple):
    """One delivery: its entry of the ledger, when its message came and from which place of which file, and
    the request that counts; None where none was made, or it is gone."""

    delivery_id: int
    message_id: int
    entry: str
    received_at_us: Microseconds
    request: bytes | None
    file_id: int | None
    number: int | None


def sent_to(
    connection: Connection, api: str, since_us: Microseconds, until_us: Microseconds, *, operation: str = ""
) -> Iterator[Sent]:
    """The deliveries of an API whose messages came from ``since_us`` to before ``until_us``, in order."""
    columns, found, revised, places = deliveries.c, messages.c, revised_requests.c, file_messages.c
    newest = (
        select(func.max(revised.revision))
        .where(revised.delivery_id == columns.id)
        .correlate(deliveries)
        .scalar_subquery()
    )
    query = (
        select(
            columns.id,
            columns.message_id,
            columns.state,
            found.received_at_us,
            requests.c.request,
            revised.request.label("revised"),
            places.file_id,
            places.number,
        )
        .join(messages, found.id == columns.message_id)
        .outerjoin(requests, requests.c.delivery_id == columns.id)
        .outerjoin(revised_requests, and_(revised.delivery_id == columns.id, revised.revision == newest))
        .outerjoin(file_messages, places.message_id == columns.message_id)
        .where(columns.api == api, found.received_at_us >= since_us, found.received_at_us < until_us)
        .order_by(columns.id)
    )
    if operation:
        query = query.where(columns.operation == operation)
    for rows in connection.execute(query, execution_options={"yield_per": AT_ONCE}).partitions():
        for row in rows:
            request = row.request if row.revised is None else row.revised
            place = row.file_id, row.number
            yield Sent(row.id, row.message_id, entry_of(row.state), row.received_at_us, request, *place)

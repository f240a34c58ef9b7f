"""How long deliveries took, as the journal has it."""

from __future__ import annotations

from sqlalchemy import Connection, select

from bridge.journal.schema import attempts, deliveries, messages
from bridge.message import Microseconds


def waits_us(connection: Connection, channel: str, since_us: Microseconds) -> list[Microseconds]:
    """From the arrival of each message of a channel since then to the end of each of its calls."""
    rows = connection.execute(
        select(attempts.c.ended_at_us, messages.c.received_at_us)
        .join(deliveries, deliveries.c.id == attempts.c.delivery_id)
        .join(messages, messages.c.id == deliveries.c.message_id)
        .where(messages.c.channel == channel, messages.c.received_at_us >= since_us)
    )
    return [ended_at_us - received_at_us for ended_at_us, received_at_us in rows]

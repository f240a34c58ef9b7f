"""What the journal's tests share: a journal in a folder, and arrivals to put into it."""

from __future__ import annotations

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from databases import journal_url
from twisted.internet import reactor

from bridge.delivery.state import DeliveryState, MessageState
from bridge.journal.journal import Journal
from bridge.journal.messages import NewDelivery, Translation
from bridge.journal.repeats import Arrival

NOW_US = 1_800_000_000_000_000
WINDOW_US = 7 * 86_400 * 1_000_000


def open_journal(folder: Path) -> Journal:
    return Journal(
        journal_url(folder), reactor, random_bytes=random.Random(7).randbytes, at_us=NOW_US, state=folder
    )


@asynccontextmanager
async def journal_in(folder: Path) -> AsyncIterator[Journal]:
    journal = open_journal(folder)
    try:
        yield journal
    finally:
        await journal.close()


def arrival(journal: Journal, body: bytes, control_id: str = "", **changed: Any) -> Arrival:
    made = Arrival(
        channel="adt",
        received_at_us=NOW_US,
        peer="127.0.0.1",
        message_type="ADT^A01",
        control_id=control_id,
        body=body,
        fingerprint=journal.facts.hash(body),
        repeat_hash=journal.facts.hash(b"adt", control_id.encode()) if control_id else None,
        repeats_since_us=NOW_US - WINDOW_US,
        state=MessageState.RECEIVED,
        reason="",
        flags="",
        trace_id=bytes(16),
        answer=b"answer to " + body,
        answer_code="AA",
    )
    return made._replace(**changed)


def translation(
    message_id: int, *keys: bytes, api: str = "ehr", state: str = DeliveryState.READY, records: int = 1
) -> Translation:
    """A message with these keys (``k`` where none is given), of which so many deliveries are made."""
    made = NewDelivery(
        "patient", api, "putPatient", state, "", "adt-admit@1", "d", b"request %d" % message_id
    )
    return Translation(
        message_id, "adt", NOW_US, keys or (b"k",), MessageState.MAPPED, "", "", (made,) * records
    )

"""What the MLLP tests share: a receiver that runs, destinations that are closed, and messages."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from http_peers import NOW_US, no_secrets

from bridge.cli.fake_mllp import FakeReceiver
from bridge.component import SEND_ORIGINAL, OperationOptions
from bridge.delivery.outcomes import Outcome
from bridge.destinations.base import Origin
from bridge.destinations.in_loop import in_loop
from bridge.destinations.mllp_send import MllpSend, MllpSendOptions, build

KEY = "0a1b2c3d-17-1"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = Origin("adt", 17)


def message(control_id: str = "C1", text: str = "DOE") -> bytes:
    return f"MSH|^~\\&|A|B|C|D|20240102||ADT^A01|{control_id}|P|2.5\rPID|1||77||{text}\r".encode("latin-1")


@asynccontextmanager
async def receiving(
    receiver: FakeReceiver | None = None,
    tls: ssl.SSLContext | None = None,
    options_tls: dict[str, str] | None = None,
    **options: Any,
) -> AsyncIterator[tuple[FakeReceiver, MllpSend]]:
    """A receiver, and a destination that sends to it; both are gone afterwards."""
    receiver = receiver or FakeReceiver()
    options |= {} if options_tls is None else {"tls": options_tls}
    connect: str = await in_loop(receiver.start(tls=tls))
    destination = sender(connect, **options)
    try:
        yield receiver, destination
    finally:
        await destination.close()
        assert destination.connections == 0
        await in_loop(receiver.stop())


def sender(connect: str, **options: Any) -> MllpSend:
    operations = {SEND_ORIGINAL: OperationOptions.model_validate({})}
    read = MllpSendOptions.model_validate({"mllp": {"connect": connect, **options}})
    return build(read, operations, None, no_secrets, lambda: NOW_US)


async def sent(destination: MllpSend, body: bytes) -> Outcome:
    request = destination.prepare(SEND_ORIGINAL, body, ORIGIN)
    return await destination.send(request, idempotency_key=KEY, traceparent=TRACEPARENT)

"""Release: what of a mapped message leaves, to where, and as which request. Pure.

The final request is made here and journaled; every attempt sends these bytes and maps nothing again.
"""

from __future__ import annotations

from collections.abc import Mapping

from bridge.config.topology import Route
from bridge.delivery.state import DeliveryState
from bridge.destinations.base import Destination, RequestRefused
from bridge.formats.hl7v2 import Hl7Message
from bridge.journal.messages import NewDelivery
from bridge.message import Mapped, Record


def release(
    route: Route,
    message: Hl7Message,
    mapped: Mapped | None,
    key_hash: bytes,
    destinations: Mapping[str, Destination],
) -> list[NewDelivery]:
    """The deliveries of one message on one route; one that sends nothing says why, so that all is counted.

    ``mapped`` is None where the route's mapping does not take messages of this type.
    """

    mapping = f"{route.plan.name}@{route.plan.version}"

    def delivery(
        state: DeliveryState, reason: str, operation: str = "", request: bytes | None = None
    ) -> NewDelivery:
        return NewDelivery(
            route.name,
            route.api,
            operation,
            key_hash,
            state,
            reason,
            mapping,
            route.plan.digest,
            request,
        )

    def of_record(record: Record) -> NewDelivery:
        operation = route.operations.get(record.operation)
        if operation is None:
            return delivery(DeliveryState.QUARANTINED, "operation-not-mapped")
        try:
            request = destinations[route.api].prepare(operation, record)
        except RequestRefused:
            return delivery(DeliveryState.QUARANTINED, "request-refused", operation)
        return delivery(DeliveryState.READY, "", operation, request)

    if mapped is None:
        return [delivery(DeliveryState.FILTERED, "type")]
    if route.when is not None and not route.when(message):
        return [delivery(DeliveryState.FILTERED, "when")]
    records = [record for record in mapped.records if record.record == route.record]
    if not records:
        return [delivery(DeliveryState.FILTERED, "no-record")]
    return [of_record(record) for record in records]

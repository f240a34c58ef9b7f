"""CloudEvents 1.0 of records: what is journaled of an event, and the two shapes in which one leaves. Pure.

A request is a line of JSON with the operation and the attributes that are known as it is made, and then the
data, byte for byte. The event's id is the delivery's own, and joins it as it is sent: it is the same at each
repeat, and `traceparent` alone differs, since it names the attempt.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

import orjson

from bridge.destinations.events_types import TYPE
from bridge.message import Microseconds

SPEC: Final = "1.0"
STRUCTURED: Final = "application/cloudevents+json"
BATCH: Final = "application/cloudevents-batch+json"
JSON: Final = "application/json"
NEEDED: Final = frozenset({"specversion", "type", "source", "datacontenttype", "partitionkey"})
"""What each journaled event has beside its data (CloudEvents 1.0.2, Required and Optional Attributes)."""
ATTRIBUTES: Final = NEEDED | {"subject", "dataschema", "time", "replayof"}
REPLAY_OF: Final = "replayof"
PARTITION: Final = re.compile(r"[0-9a-f]{32}")
EVENT_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,100}")
TRACEPARENT: Final = re.compile(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}")
_VALUE: Final = re.compile(r"[!-~](?:[ -~]{0,510}[!-~])?")
_RFC_3339: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(?:\.\d{1,9})?(?:Z|[+-]\d{2}:\d{2})")


@dataclass(frozen=True, slots=True)
class Event:
    """One event on its way: everything that is said of it, and its data as JSON."""

    operation: str
    attributes: Mapping[str, str]
    data: bytes = field(repr=False)

    @property
    def type(self) -> str:
        """What happened."""
        return self.attributes["type"]

    @property
    def id(self) -> str:
        """By which a repeat is known; empty before it is sent."""
        return self.attributes.get("id", "")

    @property
    def partition_key(self) -> str:
        """What order is kept for: a keyed hash, and no one's number."""
        return self.attributes["partitionkey"]

    def partition(self, count: int) -> int:
        """Which of ``count`` partitions it belongs to; the same for the same key."""
        return int(self.partition_key[:8], 16) % count


def write_event(event: Event) -> bytes:
    """The bytes to journal."""
    head = {"attributes": dict(event.attributes), "operation": event.operation}
    return orjson.dumps(head, option=orjson.OPT_SORT_KEYS) + b"\n" + event.data


def read_event(request: bytes) -> Event | None:
    """The event of `write_event`, or None where the bytes are none, or hold what can stand in no header."""
    head, found, data = request.partition(b"\n")
    if not found:
        return None
    try:
        read = orjson.loads(head)
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    match read:
        case {"attributes": dict() as attributes, "operation": str() as operation}:
            event = Event(operation, attributes, data)
            return event if _is_sound(attributes) else None
    return None


def _is_sound(attributes: Mapping[str, Any]) -> bool:
    return (
        attributes.keys() >= NEEDED
        and attributes.keys() <= ATTRIBUTES
        and all(isinstance(value, str) and _VALUE.fullmatch(value) for value in attributes.values())
        and TYPE.fullmatch(attributes["type"]) is not None
        and PARTITION.fullmatch(attributes["partitionkey"]) is not None
    )


def completed(request: bytes, arrived_at_us: Microseconds, replay_of: str) -> bytes:
    """The request with the time of its arrival, where it says no other, and with the id of the event that it
    is once more; what is no request stays as it is."""
    event = read_event(request)
    if event is None:
        return request
    attributes = {"time": moment(arrived_at_us), **event.attributes}
    if replay_of:
        attributes[REPLAY_OF] = replay_of
    return write_event(Event(event.operation, attributes, event.data))


def sent_event(event: Event, event_id: str, traceparent: str) -> Event | None:
    """The event with the id of its delivery and the trace of its attempt; None where these are no such."""
    if not EVENT_ID.fullmatch(event_id) or not TRACEPARENT.fullmatch(traceparent):
        return None
    return Event(
        event.operation, {**event.attributes, "id": event_id, "traceparent": traceparent}, event.data
    )


def structured(event: Event) -> bytes:
    """All of it as one JSON object (CloudEvents JSON Event Format 1.0.2), its data byte for byte."""
    return orjson.dumps(
        {**event.attributes, "data": orjson.Fragment(event.data)}, option=orjson.OPT_SORT_KEYS
    )


def as_headers(event: Event, prefix: str) -> dict[str, str]:
    """Its attributes as headers, for the binary mode; the type of its data is the content type's to say."""
    return {prefix + name: value for name, value in event.attributes.items() if name != "datacontenttype"}


def read_message(headers: Mapping[str, str], body: bytes, prefix: str) -> tuple[dict[str, str], bytes]:
    """The attributes and the data of an event as it stands in a stream, in either mode; none of what is no
    event of these."""
    kind = next((value for name, value in headers.items() if name.lower() == "content-type"), "")
    if not kind.startswith(STRUCTURED):
        return {
            name.removeprefix(prefix): value for name, value in headers.items() if name.startswith(prefix)
        }, body
    try:
        whole = orjson.loads(body)
    except orjson.JSONDecodeError:
        return {}, b""
    if not isinstance(whole, dict):
        return {}, b""
    said = {name: value for name, value in whole.items() if isinstance(value, str) and name != "data"}
    return said, orjson.dumps(whole.get("data"))


def is_exact(text: object) -> bool:
    """Whether this is a moment as CloudEvents wants it (RFC 3339)."""
    return isinstance(text, str) and _RFC_3339.fullmatch(text) is not None


def moment(at_us: Microseconds) -> str:
    """A moment as CloudEvents wants it (RFC 3339).

    >>> moment(1_700_000_000_000_000)
    '2023-11-14T22:13:20.000000Z'
    """
    seconds, fraction = divmod(at_us, 1_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{fraction:06d}Z"

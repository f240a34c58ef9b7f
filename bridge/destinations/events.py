"""Records as events, CloudEvents 1.0, to an HTTP endpoint, NATS JetStream or Kafka.

The journal is the outbox: an event is on disk before it is sent, and DELIVERED when the stream has it. Its id
is the delivery's own, so that a repeat after a crash or a lost answer is the same event. Order is kept as for
every API; who reads a stream in the order of its partitions sees that of each key.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

import orjson

from bridge.component import ENVELOPE, Component
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.base import (
    CredentialOptions,
    Origin,
    Permits,
    RequestRefused,
    Secrets,
    listed_fields,
)
from bridge.destinations.events_cloud import (
    JSON,
    PARTITION,
    SPEC,
    Event,
    completed,
    is_exact,
    read_event,
    sent_event,
    write_event,
)
from bridge.destinations.events_options import EventOperation, EventsOptions, EventStream
from bridge.destinations.events_stream import Stream
from bridge.destinations.events_types import type_of
from bridge.errors import PeerUnavailable
from bridge.message import Content, Microseconds, Shaped
from bridge.tls.client import Exchanges
from bridge.units import size_text

SCHEMA: Final = "urn:interface-bridge:canonical/1/"
"""Before the record's name: the version of the records that data is of, as in `bridge records --schema`."""
SHAPE: Final = "urn:interface-bridge:mapping/"
UNPARTITIONED: Final = "0" * 32
"""The partition key of an event that was made without a journal, as in a trial."""


def build(
    options: EventsOptions,
    operations: Mapping[str, EventOperation],
    credential: CredentialOptions | None,
    secrets: Secrets,
    now_us: Callable[[], Microseconds],
    permits: Permits | None = None,
) -> EventsOut:
    """The destination of one stream. Opens nothing. Raises PeerUnavailable where a library is missing."""
    stream = _stream(options.events, credential, secrets, now_us, permits)
    return EventsOut(options, operations, stream)


def _stream(
    options: EventStream,
    credential: CredentialOptions | None,
    secrets: Secrets,
    now_us: Callable[[], Microseconds],
    permits: Permits | None,
) -> Stream:
    # Each library is read only where a file needs it.
    if options.http is not None:
        from bridge.destinations.events_http import HttpStream

        return HttpStream(options.http, options.mode, credential, secrets, now_us, permits)
    assert credential is None, "who the bridge is to a stream stands in its options"
    try:
        if options.nats is not None:
            from bridge.destinations.events_nats import NatsStream

            return NatsStream(options.nats, options.mode, secrets, permits)
        assert options.kafka is not None, "the options name one of the three"
        from bridge.destinations.events_kafka import KafkaStream

        return KafkaStream(options.kafka, options.mode, secrets, permits)
    except ImportError as error:
        extra = "kafka" if options.nats is None else "nats"
        raise PeerUnavailable(
            f"events over {extra} need a library: pip install 'interface-bridge[{extra}]'"
        ) from error


class EventRequests:
    """What makes the events for one stream, and has nothing to send them with."""

    def __init__(self, options: EventsOptions, operations: Mapping[str, EventOperation]) -> None:
        self._events, self._operations = options.events, dict(operations)
        self._rows = tuple(rule.row for rule in options.events.types)

    def prepare(self, operation: str, content: Content, origin: Origin) -> bytes:
        """The event, but for its id. Raises RequestRefused as `Destination.prepare` says."""
        declared = self._operations.get(operation)
        if declared is None:
            raise RequestRefused(f"the API has no operation {operation}")
        if isinstance(content, bytes):
            raise RequestRefused("events are of records, and no message as it came")
        record = content.record if isinstance(content, Shaped) else content
        leaving = listed_fields(record, declared.send_only, nulls=declared.nulls == "send")
        if isinstance(content, Shaped):
            data, schema = content.body, _shape(declared)
        else:
            data, schema = _json(leaving), SCHEMA + record.record
        own = declared.type
        named = type_of(record.record, record.operation, leaving, self._rows, prefix=self._events.type_prefix)
        attributes = {
            "specversion": SPEC,
            "type": named if own is None else self._events.type_prefix + own,
            "source": self._events.source.replace("{channel}", origin.channel or "none"),
            "datacontenttype": JSON,
            "dataschema": schema,
            "partitionkey": origin.alias("partition", origin.lane) or UNPARTITIONED,
        }
        if is_exact(at := leaving.get("event_time")):
            attributes["time"] = str(at)
        if subject := origin.alias("subject", f"{record.record} {record.key}".encode()):
            attributes["subject"] = f"{record.record}/{subject}"
        assert PARTITION.fullmatch(attributes["partitionkey"]), "a key of another form would name somebody"
        request = write_event(Event(operation, attributes, data))
        if len(request) > self._events.max_size:
            raise RequestRefused(f"the event is larger than max_size, {size_text(self._events.max_size)}")
        return request


class EventsOut(EventRequests):
    """One stream: a `Destination`."""

    def __init__(
        self, options: EventsOptions, operations: Mapping[str, EventOperation], stream: Stream
    ) -> None:
        super().__init__(options, operations)
        self._stream = stream

    def __repr__(self) -> str:
        return f"<EventsOut {self._stream!r}>"

    async def send(self, request: bytes, *, idempotency_key: str, traceparent: str) -> Outcome:
        """One attempt: kept by the stream, or an outcome that says why not."""
        read = read_event(request)
        event = None if read is None else sent_event(read, idempotency_key, traceparent)
        if event is None:
            return Outcome(Verdict.POISON, "request-unreadable")
        if event.operation not in self._operations:
            return Outcome(Verdict.HOLD, "operation-unknown")
        return await self._stream.publish(event)

    @property
    def stream(self) -> Stream:
        """Where its events go."""
        return self._stream

    async def look(self, request: bytes, *, traceparent: str) -> Outcome | None:  # noqa: ARG002
        """Nobody can be asked here; no file of an API says otherwise."""
        return Outcome(Verdict.AMBIGUOUS, "not-to-be-asked")

    def completed(self, request: bytes, arrived_at_us: Microseconds, replay_of: str) -> bytes:
        """The event with its time, and in a replay with the id of the one that it is once more."""
        return completed(request, arrived_at_us, replay_of)

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in files of TLS and in secrets, as `Destination` says."""
        return self._stream.look_at_files()

    async def close(self) -> None:
        """Let go of the stream. Calls under way end, as AMBIGUOUS where bytes had left."""
        await self._stream.close()


def _shape(operation: EventOperation) -> str:
    return SCHEMA + ENVELOPE if operation.body == ENVELOPE else SHAPE + str(operation.body)


def _json(fields: Mapping[str, object]) -> bytes:
    try:
        return orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
    except orjson.JSONEncodeError:
        raise RequestRefused("expected values that JSON can hold in the fields of send_only") from None


COMPONENT = Component(
    kind="destination",
    name="events",
    summary="A stream that takes records as CloudEvents: an HTTP endpoint, NATS JetStream or Kafka.",
    options=EventsOptions,
    example="""\
events:
  nats:
    servers: ["nats-1.example:4222", "nats-2.example:4222", "nats-3.example:4222"]
    monitors: ["https://nats-1.example:8222", "https://nats-2.example:8222", "https://nats-3.example:8222"]
    stream: BRIDGE
    tls: {ca: /etc/bridge/hospital-ca.pem}
    nkey: secret://file/nats.nk
""",
    marker="events",
    operation=EventOperation,
    repeat_safety=("header", "none"),
    build=build,
    prepares=EventRequests,
)

"""Events into a topic of Kafka, keyed by their partition key, each until all replicas in sync have it.

The producer is idempotent: what the library sends again within a connection is known there. An event whose
outcome is unknown takes its producer with it, so that nothing which was given up goes out behind others.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from typing import Any, Final

from aiokafka import AIOKafkaProducer
from aiokafka import errors as kafka
from aiokafka.conn import create_conn

from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations.addresses import Addresses, AddressRefused
from bridge.destinations.base import TARGET_REFUSED, Permits, Secrets, usable_secret
from bridge.destinations.events_cloud import Event
from bridge.destinations.events_options import KafkaOptions
from bridge.destinations.events_stream import (
    Attempt,
    Looked,
    LoopStream,
    Mode,
    NotReady,
    payload,
    server_of,
)
from bridge.tls.client import (
    Exchanges,
    Stamp,
    client_certificate_refused,
    client_context,
    look_again,
    stamp,
    untrusted,
)

PREFIX: Final = "ce_"
"""Of the headers in binary mode (CloudEvents Kafka Protocol Binding 1.0.2)."""
REQUEST_MAX_BYTES: Final = 64 * 1024**2
ABORT_WAIT_MAX_S: Final = 0.3


class KafkaStream(LoopStream):
    """One topic: a `Stream`."""

    def __init__(self, options: KafkaOptions, mode: Mode, secrets: Secrets, permits: Permits | None) -> None:
        super().__init__(options.within, guarded=permits is not None)
        self._options, self._mode, self._secrets, self._permits = options, mode, secrets, permits
        self._producer: AIOKafkaProducer | None = None
        self._gone: asyncio.Future[None] | None = None
        self._one_at_a_time: asyncio.Lock | None = None
        self._targets: dict[tuple[str, int], Addresses] = {}
        self._aborting: set[asyncio.Task[None]] = set()
        self._stamp: Stamp = ()

    def __repr__(self) -> str:
        return f"kafka {self._options.topic}"

    async def attempt(self, event: Event, attempt: Attempt) -> Outcome:
        """Publish one event. The library tries again by itself what is its brokers' trouble, until its time
        is up."""
        try:
            producer, gone = await self._ready()
        except NotReady as error:
            return error.outcome
        said = payload(event, self._mode, PREFIX)
        headers = [(name, value.encode()) for name, value in said.headers.items()]
        try:
            if (missing := await self._find_topic(producer)) is not None:
                return missing
            attempt.left = True
            kept = await producer.send(
                self._options.topic, said.body, key=event.partition_key.encode(), headers=headers
            )
            await asyncio.wait({kept, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not kept.done():
                return Outcome(Verdict.AMBIGUOUS, "disconnected")
            kept.result()
        except kafka.KafkaError as error:
            # The producer counts what it has sent, also what was refused, and brokers take no gap.
            self._abort(producer)
            return _failed(error, left=attempt.left)
        return Outcome(Verdict.DELIVERED, "kept-there")

    def doubt(self) -> None:
        """Nothing came back in time: what the producer still has of it must not go out later."""
        if self._producer is not None:
            self._abort(self._producer)

    async def _ready(self) -> tuple[AIOKafkaProducer, asyncio.Future[None]]:
        """A producer, and what fires when it is given up."""
        if self._one_at_a_time is None:
            self._one_at_a_time = asyncio.Lock()
        async with self._one_at_a_time:
            if self._producer is None:
                await self._guard(self._options.servers)
                self._producer = await self._start()
                self._gone = asyncio.get_running_loop().create_future()
            else:
                await self._guard(self._options.servers)
            # A broker may name any other as its partitions' leader.
            brokers = self._producer.client.cluster.brokers()
            await self._guard(tuple(f"{_bracketed(each.host)}:{each.port}" for each in brokers))
            assert self._gone is not None, "each producer has its end"
            return self._producer, self._gone

    async def _guard(self, servers: tuple[str, ...]) -> None:
        """See to it that all of these are at addresses of the target's own. Raises NotReady."""
        if self._permits is None:
            return
        for each in servers:
            server = server_of(each)
            target = self._targets.setdefault(server, Addresses(*server, self._permits))
            try:
                await target.look_up(self._options.connect_within)
            except AddressRefused:
                raise NotReady(Outcome(Verdict.HOLD, TARGET_REFUSED)) from None
            except (OSError, UnicodeError, TimeoutError):
                continue  # one broker's name; the library says whether it can do without

    async def _start(self) -> AIOKafkaProducer:
        options = self._options
        context = self._tls()
        login: dict[str, Any] = {}
        if options.user is not None and options.password is not None:
            user = usable_secret(self._secrets, options.user)
            password = usable_secret(self._secrets, options.password)
            if user is None or password is None:
                raise NotReady(Outcome(Verdict.HOLD, "auth-unavailable"))
            login = {"sasl_plain_username": user, "sasl_plain_password": password}
        kind = ("SASL_" if login else "") + ("PLAINTEXT" if context is None else "SSL")
        producer = AIOKafkaProducer(
            bootstrap_servers=list(options.servers),
            client_id="interface-bridge",
            acks="all",
            enable_idempotence=True,
            request_timeout_ms=round(options.within * 1000),
            max_request_size=REQUEST_MAX_BYTES,
            security_protocol=kind,
            ssl_context=context,
            sasl_mechanism=options.mechanism,
            **login,
        )
        try:
            async with asyncio.timeout(options.connect_within):
                await producer.start()
        except (kafka.KafkaError, OSError) as error:
            self._abort(producer)
            why = await self._why(error, security_protocol=kind, ssl_context=context, **login)
            raise NotReady(_not_connected(why)) from None
        except BaseException:
            self._abort(producer)
            raise
        return producer

    async def _why(self, error: BaseException, **options: Any) -> BaseException:
        """Why no broker could be used, of which the library says no more than that."""
        host, port = server_of(self._options.servers[0])
        try:
            async with asyncio.timeout(self._options.connect_within):
                made = await create_conn(host, port, sasl_mechanism=self._options.mechanism, **options)
        except (kafka.KafkaError, OSError) as found:
            return found
        made.close()
        return error

    def _tls(self) -> ssl.SSLContext | None:
        if (tls := self._options.tls) is None:
            return None
        try:
            self._stamp = stamp(tls)
            return client_context(tls)
        except OSError:
            self._stamp = ()
            raise NotReady(Outcome(Verdict.HOLD, "tls-files-unusable")) from None

    async def _find_topic(self, producer: AIOKafkaProducer) -> Outcome | None:
        """See that the topic is there before anything is given to the library, which would wait for it."""
        topic, cluster = self._options.topic, producer.client.cluster
        if cluster.partitions_for_topic(topic):
            return None
        producer.client.add_topic(topic)
        known = await producer.client.force_metadata_update()
        if cluster.partitions_for_topic(topic):
            return None
        if topic in cluster.unauthorized_topics:
            return Outcome(Verdict.HOLD, "not-permitted")
        return Outcome(Verdict.HOLD, "topic-missing") if known else Outcome(Verdict.RETRY, "connect-failed")

    def _abort(self, producer: AIOKafkaProducer) -> None:
        if self._producer is producer:
            self._producer = None
            if self._gone is not None and not self._gone.done():
                self._gone.set_result(None)
        aborting = asyncio.get_running_loop().create_task(_cut(producer))
        self._aborting.add(aborting)
        aborting.add_done_callback(self._aborting.discard)

    async def look(self) -> Looked:
        """Whether brokers take the bridge, and have its topic; nothing is published."""
        try:
            producer, _ = await self._ready()
        except NotReady as error:
            return Looked(error.outcome)
        if (missing := await self._find_topic(producer)) is not None:
            return Looked(missing)
        topic, cluster = self._options.topic, producer.client.cluster
        partitions = cluster.partitions_for_topic(topic) or set()
        text = f"{topic}: {len(partitions)} partitions on {len(cluster.brokers())} brokers"
        doubt = "how many replicas must have an event, and when they sync it, is the topic's: "
        return Looked(None, text, (f"{doubt}see `min.insync.replicas` and what a power cut of all takes",))

    def look_at_files(self) -> Exchanges:
        """Take up what has changed in the files of TLS, with a producer of its own for what follows."""
        if self._calls:
            return ()
        made, found = look_again(self._options.tls, self._stamp or None)
        if made is not None:
            self._stamp = ()
            if self._producer is not None:
                self._abort(self._producer)
        return found

    async def end(self) -> None:
        """Let go of all connections."""
        if self._producer is not None:
            self._abort(self._producer)
        while self._aborting:
            await asyncio.wait(set(self._aborting))


async def _cut(producer: AIOKafkaProducer) -> None:
    """End a producer without sending what it still has, which its own `stop` would do."""
    sender = producer._sender
    producer._closed = True
    ending = asyncio.get_running_loop().create_task(sender.close())
    await producer.client.close()
    await asyncio.wait({ending}, timeout=ABORT_WAIT_MAX_S)
    ending.cancel()


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _not_connected(error: BaseException) -> Outcome:
    """Why there is no producer: no byte of an event has left."""
    seen: BaseException | None = error
    while seen is not None:
        match seen:
            case ssl.SSLCertVerificationError():
                return Outcome(Verdict.HOLD, untrusted(seen))
            case ssl.SSLError() if client_certificate_refused(seen):
                return Outcome(Verdict.HOLD, "tls-client-certificate")
            case kafka.SaslAuthenticationFailed() | kafka.AuthenticationFailedError():
                return Outcome(Verdict.HOLD, "auth-refused")
            case kafka.UnsupportedSaslMechanismError() | kafka.IllegalSaslStateError():
                return Outcome(Verdict.HOLD, "auth-unusable")
            case kafka.ClusterAuthorizationFailedError():
                return Outcome(Verdict.HOLD, "not-permitted")
            case kafka.UnsupportedVersionError() | kafka.IncompatibleBrokerVersion():
                return Outcome(Verdict.HOLD, "broker-too-old")
            case socket.gaierror():
                return Outcome(Verdict.RETRY, "name-not-resolved")
            case TimeoutError():
                return Outcome(Verdict.RETRY, "connect-timeout")
        seen = seen.__cause__ or seen.__context__
    return Outcome(Verdict.RETRY, "connect-failed")


def _failed(error: BaseException, *, left: bool) -> Outcome:
    """What became of a publication that was not kept, or perhaps was."""
    match error:
        case kafka.MessageSizeTooLargeError() | kafka.RecordListTooLargeError() | kafka.InvalidMessageError():
            return Outcome(Verdict.POISON, "too-large")
        case kafka.TopicAuthorizationFailedError() | kafka.ClusterAuthorizationFailedError():
            return Outcome(Verdict.HOLD, "not-permitted")
        case kafka.UnknownTopicOrPartitionError() | kafka.InvalidTopicError():
            return Outcome(Verdict.HOLD, "topic-missing")
        case kafka.OutOfOrderSequenceNumber():
            return Outcome(Verdict.RETRY, "sequence-lost")
        case kafka.NotEnoughReplicasError():
            # Refused before it was written (error 19); the one after that (20) may have been.
            return Outcome(Verdict.RETRY, "too-few-replicas")
        case kafka.PolicyViolationError() | kafka.UnsupportedForMessageFormatError():
            return Outcome(Verdict.HOLD, "topic-refuses")
    return Outcome(Verdict.AMBIGUOUS if left else Verdict.RETRY, f"kafka-error-{getattr(error, 'errno', '')}")

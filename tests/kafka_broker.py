"""Brokers that are not there: what of Kafka's protocol a producer needs, written from the protocol's guide.

They keep batches in memory, know a producer's repeats by sequence, have leaders that move, ask for a
password, and break on demand. They are no Kafka: nothing is replicated, synced or elected here.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import ssl
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

PRODUCE, METADATA, SASL_HANDSHAKE, API_VERSIONS, INIT_PRODUCER_ID, SASL_AUTHENTICATE = 0, 3, 17, 18, 22, 36
VERSIONS = {
    PRODUCE: (3, 7),
    METADATA: (0, 1),
    SASL_HANDSHAKE: (0, 1),
    API_VERSIONS: (0, 0),
    INIT_PRODUCER_ID: (0, 0),
    SASL_AUTHENTICATE: (0, 0),
}
NOT_LEADER, TOO_LARGE, TOO_FEW_REPLICAS, NOT_AUTHORIZED, BAD_LOGIN, OUT_OF_ORDER, DUPLICATE = (
    6, 10, 19, 29, 58, 45, 46,
)  # fmt: skip
UNKNOWN_TOPIC, BAD_CRC = 3, 2
ITERATIONS = 4096


class Wire:
    """Bytes of the protocol, read one after the other."""

    def __init__(self, data: bytes) -> None:
        self._data, self._at = data, 0

    def take(self, size: int) -> bytes:
        found = self._data[self._at : self._at + size]
        assert len(found) == size, "the request ends before its end"
        self._at += size
        return found

    def number(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big", signed=True)

    def text(self) -> str | None:
        size = self.number(2)
        return None if size < 0 else self.take(size).decode()

    def block(self) -> bytes:
        return self.take(self.number(4))

    def varint(self) -> int:
        value = shift = 0
        while True:
            byte = self.take(1)[0]
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return (value >> 1) ^ -(value & 1)
            shift += 7

    def varblock(self) -> bytes | None:
        size = self.varint()
        return None if size < 0 else self.take(size)

    @property
    def left(self) -> int:
        return len(self._data) - self._at


def text(value: str | None) -> bytes:
    if value is None:
        return b"\xff\xff"
    return struct.pack(">h", len(value.encode())) + value.encode()


def array(items: list[bytes]) -> bytes:
    return struct.pack(">i", len(items)) + b"".join(items)


@dataclass(frozen=True, slots=True)
class Kept:
    """One record as it was kept."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes
    headers: dict[str, str]


@dataclass(frozen=True, slots=True)
class Batch:
    """One batch of records, format 2."""

    producer: int
    epoch: int
    sequence: int
    records: list[tuple[bytes | None, bytes, dict[str, str]]] = field(repr=False)


def _table() -> list[int]:
    made = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ 0x82F63B78 if value & 1 else value >> 1
        made.append(value)
    return made


_CRC32C = _table()


def crc32c(data: bytes) -> int:
    value = 0xFFFFFFFF
    for byte in data:
        value = _CRC32C[(value ^ byte) & 0xFF] ^ (value >> 8)
    return value ^ 0xFFFFFFFF


def read_batch(data: bytes) -> Batch | None:
    """The batch, or None where its checksum does not fit."""
    wire = Wire(data)
    wire.take(8 + 4 + 4)
    assert wire.number(1) == 2, "batches are of format 2"
    checksum = int.from_bytes(wire.take(4), "big")
    if crc32c(data[21:]) != checksum:
        return None
    attributes = wire.number(2)
    assert attributes & 0x07 == 0, "batches are not compressed"
    wire.take(4 + 8 + 8)
    producer, epoch, sequence, count = wire.number(8), wire.number(2), wire.number(4), wire.number(4)
    records = []
    for _ in range(count):
        record = Wire(wire.take(wire.varint()))
        record.take(1)
        record.varint()
        record.varint()
        key, value = record.varblock(), record.varblock()
        headers = {}
        for _ in range(record.varint()):
            name, said = record.varblock(), record.varblock()
            assert name is not None
            headers[name.decode()] = (said or b"").decode()
        assert value is not None
        records.append((key, value, headers))
    assert wire.left == 0
    return Batch(producer, epoch, sequence, records)


class FakeKafka:
    """Brokers of one cluster, with one topic. ``faults`` are for the next productions, one each: ``cut`` (the
    connection ends, nothing is kept), ``lose`` (kept, and the connection ends), ``hang`` (kept, and no answer
    ever), ``hang empty`` (not kept), or the number of an error."""

    def __init__(
        self,
        *,
        brokers: int = 1,
        partitions: int = 4,
        topic: str = "bridge.events",
        login: tuple[str, str] | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.topic, self.partitions, self.login = topic, partitions, login
        self.leaders = {at: at % brokers for at in range(partitions)}
        self.kept: list[Kept] = []
        self.faults: list[str | int] = []
        self.ports: list[int] = []
        self.produced = 0
        self._count, self._tls = brokers, tls
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[Any]] = set()
        self._producers = 0
        self._sequences: dict[tuple[int, int], tuple[int, int]] = {}

    async def start(self) -> list[str]:
        """Listen; the addresses."""
        ports = self.ports or [0] * self._count
        self.ports = []
        for node in range(self._count):
            server = await asyncio.start_server(self._of(node), "127.0.0.1", ports[node], ssl=self._tls)
            self._servers.append(server)
            self.ports.append(server.sockets[0].getsockname()[1])
        return [f"127.0.0.1:{port}" for port in self.ports]

    async def stop(self) -> None:
        """Cut everything; what was kept stays, for another `start` on the same ports."""
        for server in self._servers:
            server.close()
        self._servers.clear()
        for each in tuple(self._tasks):
            each.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _of(self, node: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]:
        async def came(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            try:
                with suppress(OSError, asyncio.IncompleteReadError):
                    await self._serve(node, reader, writer)
            finally:
                writer.transport.abort()
                self._tasks.discard(task)

        return came

    async def _serve(self, node: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        known, scram = self.login is None, _Scram(self.login or ("", ""))
        while True:
            wire = Wire(await reader.readexactly(struct.unpack(">i", await reader.readexactly(4))[0]))
            api, version, correlation, _ = wire.number(2), wire.number(2), wire.number(4), wire.text()
            low, high = VERSIONS[api]
            assert low <= version <= high, f"version {version} of {api} was not offered"
            match api:
                case 18:
                    rows = [struct.pack(">hhh", each, *span) for each, span in VERSIONS.items()]
                    answer = struct.pack(">h", 0) + array(rows)
                case 17:
                    answer = struct.pack(">h", 0) + array([text("SCRAM-SHA-256"), text("SCRAM-SHA-512")])
                    scram.mechanism = wire.text() or ""
                case 36:
                    said = scram.step(wire.block().decode())
                    known = known or scram.done
                    error = BAD_LOGIN if said is None else 0
                    back = (said or "").encode()
                    answer = (
                        struct.pack(">h", error)
                        + text("no" if error else None)
                        + struct.pack(">i", len(back))
                        + back
                    )
                case _ if not known:
                    return
                case 3:
                    answer = self._metadata(version)
                case 22:
                    self._producers += 1
                    answer = struct.pack(">ihqh", 0, 0, self._producers, 0)
                case _:
                    made = self._produce(node, wire)
                    if made is None:
                        return
                    if made == b"":
                        await asyncio.Event().wait()
                    answer = made
            head = struct.pack(">i", correlation)
            writer.write(struct.pack(">i", len(head) + len(answer)) + head + answer)

    def _metadata(self, version: int) -> bytes:
        assert version == 1
        brokers = [
            struct.pack(">i", node) + text("127.0.0.1") + struct.pack(">i", port) + text(None)
            for node, port in enumerate(self.ports)
        ]
        partitions = [
            struct.pack(">hii", 0, at, leader) + array([struct.pack(">i", leader)]) * 2
            for at, leader in self.leaders.items()
        ]
        topics = [struct.pack(">h", 0) + text(self.topic) + b"\0" + array(partitions)] if self.topic else []
        return array(brokers) + struct.pack(">i", 0) + array(topics)

    def _produce(self, node: int, wire: Wire) -> bytes | None:
        """The answer; empty for none ever, None for the end of the connection."""
        assert wire.text() is None, "no transaction was begun"
        assert wire.number(2) == -1, "every replica in sync must have it"
        wire.number(4)
        fault = self.faults.pop(0) if self.faults else ""
        self.produced += 1
        if fault == "cut":
            return None
        if fault == "hang empty":
            return b""
        topics = []
        for _ in range(wire.number(4)):
            topic, partitions = wire.text(), []
            for _ in range(wire.number(4)):
                partition, data = wire.number(4), wire.block()
                error = fault if isinstance(fault, int) else self._keep(node, topic or "", partition, data)
                partitions.append(struct.pack(">ihqqq", partition, error, len(self.kept), -1, 0))
            topics.append(text(topic) + array(partitions))
        if fault == "lose":
            return None
        return b"" if fault == "hang" else array(topics) + struct.pack(">i", 0)

    def _keep(self, node: int, topic: str, partition: int, data: bytes) -> int:
        if topic != self.topic or partition not in self.leaders:
            return UNKNOWN_TOPIC
        if self.leaders[partition] != node:
            return NOT_LEADER
        batch = read_batch(data)
        if batch is None:
            return BAD_CRC
        assert batch.producer > 0, "the producer is an idempotent one"
        last = self._sequences.get((batch.producer, partition))
        if last is not None and batch.sequence == last[0]:
            return 0  # known by its sequence, and kept once
        if batch.sequence != (0 if last is None else last[1]):
            return OUT_OF_ORDER
        self._sequences[batch.producer, partition] = batch.sequence, batch.sequence + len(batch.records)
        self.kept += [Kept(topic, partition, key, value, headers) for key, value, headers in batch.records]
        return 0


class _Scram:
    """The server's side of SCRAM (RFC 5802), for one user."""

    def __init__(self, login: tuple[str, str]) -> None:
        self._user, self._password = login
        self.mechanism = ""
        self.done = False
        self._first = ""

    def step(self, said: str) -> str | None:
        if not self._first:
            bare = said.partition(",,")[2]
            fields = dict(each.split("=", 1) for each in bare.split(","))
            if fields["n"] != self._user:
                return None
            self._salt = b"salt-of-a-test"
            server = f"r={fields['r']}server,s={base64.b64encode(self._salt).decode()},i={ITERATIONS}"
            self._first = f"{bare},{server}"
            return server
        name = "sha512" if self.mechanism.endswith("512") else "sha256"
        without, _, proof = said.rpartition(",p=")
        salted = hashlib.pbkdf2_hmac(name, self._password.encode(), self._salt, ITERATIONS)
        key = hmac.digest(salted, b"Client Key", name)
        whole = f"{self._first},{without}".encode()
        signature = hmac.digest(hashlib.new(name, key).digest(), whole, name)
        expected = bytes(one ^ other for one, other in zip(key, signature, strict=True))
        if not hmac.compare_digest(base64.b64decode(proof), expected):
            return None
        self.done = True
        ours = hmac.digest(hmac.digest(salted, b"Server Key", name), whole, name)
        return f"v={base64.b64encode(ours).decode()}"

"""What every destination promises, held by one suite against each kind and its real peer.

`prepare` is pure. What it gave is what leaves, at each attempt the same bytes. `send` never raises: every
fault is an outcome, and DELIVERED is said only of what had its effect. Cancelling and closing end calls.
"""

from __future__ import annotations

import hashlib
import json
import os
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from event_peers import PUBLISH, NatsProxy, encounter, events_out
from http_peers import NOW_US, calling, no_secrets
from hypothesis import given, settings
from hypothesis import strategies as st
from kafka_broker import NOT_AUTHORIZED, NOT_LEADER, TOO_LARGE, FakeKafka
from mllp_peers import message, sender
from nats_server import NatsServer, connected, make_stream
from reactor_tests import in_reactor, until
from twisted.internet.defer import CancelledError, Deferred

from bridge.catalog import STANDARD
from bridge.cli import fake_api, fake_fhir, fake_mllp
from bridge.cli.fake_api import FakeApi
from bridge.cli.fake_fhir import FakeFhir
from bridge.cli.fake_mllp import FakeReceiver
from bridge.cli.fake_sftp import PASSWORD, USER, FakeSftp
from bridge.component import SEND_ORIGINAL, OperationOptions, RecordOperationOptions
from bridge.delivery.outcomes import Outcome, Verdict
from bridge.destinations import fhir_r4, file_out, file_out_writing, sftp_out
from bridge.destinations.acknowledgements import Acknowledgements, AcknowledgementsOptions
from bridge.destinations.base import Destination, Origin, RequestRefused
from bridge.destinations.confirmations import Confirmations, ConfirmationsOptions
from bridge.destinations.consent_table import ConsentTable, ConsentTableOptions
from bridge.destinations.events import EventsOut
from bridge.destinations.in_loop import in_loop
from bridge.errors import JournalUnavailable
from bridge.fhir.digits import write_json
from bridge.formats.acknowledged import Acknowledgement
from bridge.message import Content, Record, Shaped

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
ORIGIN = Origin("adt", 17)
SECRET = "KANARIE"


def key(number: int) -> str:
    return f"0a1b2c3d-{number}-1"


class Peer(ABC):
    """One kind of destination with its peer: what the suite must know of it."""

    operation = ""
    destination: Destination
    faults: tuple[Any, ...] = ()
    hanging: Any = None
    """A fault with which a call goes on for ever; None where no peer can do that."""

    @abstractmethod
    async def start(self, folder: Path) -> None:
        """Start the peer, and make the destination."""

    @abstractmethod
    async def stop(self) -> None:
        """Stop the peer."""

    @abstractmethod
    def content(self, number: int) -> Content:
        """Something to send; another for each number."""

    @abstractmethod
    def too_large(self) -> Content:
        """Something that is above the limit, and holds `SECRET`."""

    @abstractmethod
    def break_once(self, fault: Any) -> None:
        """Plant a fault for the next attempt."""

    def broke(self) -> bool:
        """Whether what was to break once has."""
        return True

    @abstractmethod
    def arrived(self) -> list[Any]:
        """What came to the peer, in order."""

    @abstractmethod
    def effects(self) -> int:
        """How many had an effect."""

    @abstractmethod
    async def unreachable(self, folder: Path) -> Destination:
        """A destination whose peer is not there."""

    def at_rest(self) -> bool:
        """Whether nothing of the destination is open."""
        return True


class Http(Peer):
    operation = "putEncounter"
    hanging = fake_api.Fault("hang")
    faults = (
        *(fake_api.Fault("status", status=status) for status in (400, 401, 403, 404, 409, 410, 422, 429)),
        *(fake_api.Fault("status", status=status) for status in (500, 502, 503, 504)),
        fake_api.Fault("lose"),
        fake_api.Fault("cut"),
        fake_api.Fault("delay", seconds=0.02),
        fake_api.Fault("redirect", location="http://127.0.0.1:9/"),
    )

    async def start(self, folder: Path) -> None:
        self.api = FakeApi()
        self.url: str = await in_loop(self.api.start())
        self._calling = calling(self.url, max_body="1KiB")
        self.destination = await self._calling.__aenter__()

    async def stop(self) -> None:
        await self._calling.__aexit__(None, None, None)
        await in_loop(self.api.stop())

    def content(self, number: int) -> Record | bytes:
        return Record("encounter", f"V-{number}", "upsert", {"patient": "P-1", "ward": "W"})

    def too_large(self) -> Record | bytes:
        return Record("encounter", "V-1", "upsert", {"ward": SECRET * 1000})

    def break_once(self, fault: Any) -> None:
        self.api.plant(fault)

    def arrived(self) -> list[Any]:
        return [(each.method, each.path, each.idempotency_key, each.body) for each in self.api.attempts]

    def effects(self) -> int:
        return len(self.api.applied)

    async def unreachable(self, folder: Path) -> Destination:
        async with calling("http://127.0.0.1:9") as api:
            pass
        async with calling("http://127.0.0.1:9", timeouts={"connect": "1s"}) as api:
            return api


class Mllp(Peer):
    operation = SEND_ORIGINAL
    hanging = fake_mllp.Fault("never")
    faults = (
        *(fake_mllp.Fault("answer", code) for code in ("AE", "AR", "CE", "CR", "XX", "")),
        *(
            fake_mllp.Fault(kind)
            for kind in ("lose", "cut", "close", "twice", "stranger", "before", "garbage")
        ),
        fake_mllp.Fault("ahead", text="C2"),
        fake_mllp.Fault("split"),
        fake_mllp.Fault("late", seconds=0.02),
        fake_mllp.Fault("commit", seconds=0.02),
        fake_mllp.Fault("raw", text="\x0b\x1c\r"),
    )

    async def start(self, folder: Path) -> None:
        self.receiver = FakeReceiver()
        self._sender = sender(await in_loop(self.receiver.start()), max_message="1KiB")
        self.destination = self._sender

    async def stop(self) -> None:
        await self.destination.close()
        await in_loop(self.receiver.stop())

    def content(self, number: int) -> Record | bytes:
        return message(f"C{number}")

    def too_large(self) -> Record | bytes:
        return message("C1", SECRET * 1000)

    def break_once(self, fault: Any) -> None:
        self.receiver.plant(fault)

    def arrived(self) -> list[Any]:
        return [each.body for each in self.receiver.blocks]

    def effects(self) -> int:
        return len(self.receiver.applied)

    async def unreachable(self, folder: Path) -> Destination:
        return sender("tcp:127.0.0.1:9")

    def at_rest(self) -> bool:
        return self._sender.connections == 0


class Folder(Peer):
    operation = SEND_ORIGINAL
    faults: tuple[str, ...] = ("missing", "taken", "half before")

    async def start(self, folder: Path) -> None:
        self.folder = folder / "out"
        self.folder.mkdir(parents=True)
        self.destination = self._made(self.folder)
        self._before: set[str] = set()
        self._missing = False

    def _made(self, folder: Path) -> Destination:
        options = {"directory": str(folder), "name": "{channel}-{delivery}.hl7", "max_size": "1KiB"}
        return file_out.build(
            file_out.FileOutOptions.model_validate({"file": options}),
            {SEND_ORIGINAL: OperationOptions.model_validate({})},
            None,
            no_secrets,
            lambda: NOW_US,
        )

    async def stop(self) -> None:
        await self.destination.close()

    def content(self, number: int) -> Record | bytes:
        return message(f"C{number}")

    def too_large(self) -> Record | bytes:
        return message("C1", SECRET * 1000)

    def break_once(self, fault: Any) -> None:
        name = f"adt-{key(1)}.hl7"
        match fault:
            case "missing":
                self.folder.rename(self.folder.with_name("gone"))
            case "taken":
                (self.folder / name).write_bytes(b"another's")
                self._before.add(name)
            case "half before":
                with pytest.MonkeyPatch.context() as patch:
                    patch.setattr(os, "link", _stopped)
                    with pytest.raises(KeyboardInterrupt):
                        file_out_writing.write_once(
                            file_out_writing.Folder(str(self.folder), 0o600, True), name, b"half", 1
                        )

    def arrived(self) -> list[Any]:
        return [(self.folder / name).read_bytes() for name in self._files()]

    def effects(self) -> int:
        return len(self._files())

    def _files(self) -> list[str]:
        names = os.listdir(self.folder) if self.folder.exists() else []
        return sorted(name for name in names if name not in self._before and not name.startswith("."))

    async def unreachable(self, folder: Path) -> Destination:
        return self._made(folder / "nowhere")


class Server(Folder):
    """A folder on a real SFTP server."""

    faults = ("missing", "taken", "half before", "cut", "full")

    async def start(self, folder: Path) -> None:
        root = folder / "root"
        root.mkdir(parents=True)
        self.server = FakeSftp(root)
        self.folder = root / "out"
        self.folder.mkdir()
        self.destination = self._made(self.folder)
        self._before: set[str] = set()

    def _made(self, folder: Path) -> Destination:
        options = {
            "host": "127.0.0.1", "port": self.server.port, "user": USER, "password": "secret://env/SFTP",
            "host_keys": [self.server.fingerprint], "directory": f"/{folder.name}",
            "name": "{channel}-{delivery}.hl7", "max_size": "1KiB", "connections": 2,
        }  # fmt: skip
        return sftp_out.build(
            sftp_out.SftpOutOptions.model_validate({"sftp": options}),
            {SEND_ORIGINAL: OperationOptions.model_validate({})},
            None,
            lambda _reference: PASSWORD,
            lambda: NOW_US,
        )

    async def stop(self) -> None:
        await super().stop()
        self.server.close()

    def break_once(self, fault: Any) -> None:
        match fault:
            case "half before":
                stem = hashlib.sha256(f"adt-{key(1)}.hl7".encode()).hexdigest()[:32]
                (self.folder / f".{stem}.1.part").write_bytes(b"half")
            case "cut":
                self.server.faults.cut_once_at = "write"
            case "full":
                self.server.faults.full_once = True
            case _:
                super().break_once(fault)


def _stopped(*_: Any, **__: Any) -> None:
    raise KeyboardInterrupt


class Fhir(Peer):
    operation = "putPatient"
    hanging = fake_fhir.Fault("hang")
    faults = (
        *(fake_fhir.Fault("status", status) for status in (400, 401, 403, 404, 409, 410, 412, 422, 429)),
        *(fake_fhir.Fault("status", status) for status in (500, 502, 503, 504)),
        *(fake_fhir.Fault("status", 422, code, SECRET) for code in ("value", "not-found", "processing", "?")),
        fake_fhir.Fault("lose"),
        fake_fhir.Fault("cut"),
        fake_fhir.Fault("delay", seconds=0.02),
    )
    options: dict[str, Any] = {}  # noqa: RUF012 - not changed

    async def start(self, folder: Path) -> None:
        self.server = FakeFhir()
        self.url: str = await in_loop(self.server.start())
        self.destination = self._made(self.url, max_body="1KiB", **self.options)

    def _made(self, url: str, **options: Any) -> Destination:
        operation = {"interaction": "update", "send_only": ["family"], "body": "fhir-patient"}
        return fhir_r4.build(
            fhir_r4.FhirOptions.model_validate({"fhir": url, **options}),
            {self.operation: fhir_r4.FhirOperation.model_validate(operation)},
            None,
            no_secrets,
            lambda: NOW_US,
        )

    async def stop(self) -> None:
        await self.destination.close()
        await in_loop(self.server.stop())

    def content(self, number: int) -> Content:
        return self._patient(f"P-{number}", "OKAFOR")

    def too_large(self) -> Content:
        return self._patient("P-1", SECRET * 1000)

    def _patient(self, number: str, family: str) -> Shaped:
        told = {
            "resourceType": "Patient",
            "identifier": [{"system": "urn:example:mrn", "value": number}],
            "name": [{"family": family}],
        }
        return Shaped(Record("patient", number, "upsert", {}), write_json(told))

    def break_once(self, fault: Any) -> None:
        self.server.plant(fault)

    def arrived(self) -> list[Any]:
        return [(each.method, each.target, each.body) for each in self.server.attempts]

    def effects(self) -> int:
        return len(self.server.store.kept)

    async def unreachable(self, folder: Path) -> Destination:
        return self._made("http://127.0.0.1:9/fhir", timeouts={"connect": "1s"})


class Events(Peer):
    """A stream of events, whichever it is."""

    operation = PUBLISH

    def content(self, number: int) -> Record | bytes:
        return encounter(number)

    def too_large(self) -> Record | bytes:
        return encounter(1, ward=SECRET * 1000)


class EventEndpoint(Events):
    hanging = fake_api.Fault("hang")
    faults = (
        *(fake_api.Fault("status", status=status) for status in (400, 401, 404, 410, 413, 429, 500, 503)),
        fake_api.Fault("lose"),
        fake_api.Fault("cut"),
        fake_api.Fault("redirect", location="http://127.0.0.1:9/"),
    )

    async def start(self, folder: Path) -> None:
        self.api = FakeApi()
        url: str = await in_loop(self.api.start())
        self.destination = events_out({"http": {"url": f"{url}/events"}}, max_size="2KiB")

    async def stop(self) -> None:
        await self.destination.close()
        await in_loop(self.api.stop())

    def break_once(self, fault: Any) -> None:
        self.api.plant(fault)

    def arrived(self) -> list[Any]:
        return [(each.method, each.path, each.idempotency_key, each.body) for each in self.api.attempts]

    def effects(self) -> int:
        return len(self.api.applied)

    async def unreachable(self, folder: Path) -> Destination:
        return events_out({"http": {"url": "http://127.0.0.1:9"}})


class Jetstream(Events):
    """A real server, behind a proxy that breaks on demand."""

    hanging = "hang"
    faults = ("cut", "lose", "delay")

    async def start(self, folder: Path) -> None:
        self.server = NatsServer(folder / "nats")
        self.server.start()
        self.proxy = NatsProxy(self.server.port)
        port = await in_loop(self.proxy.start())
        await in_loop(self._make())
        self._events = self._made(port)
        self.destination = self._events

    async def _make(self) -> None:
        client = await connected(self.server)
        await make_stream(client)
        await client.close()

    def _made(self, port: int) -> EventsOut:
        way = {"servers": [f"127.0.0.1:{port}"], "monitors": [self.server.monitor], "stream": "BRIDGE"}
        return events_out({"nats": way}, max_size="2KiB")

    async def stop(self) -> None:
        await self.destination.close()
        await in_loop(self.proxy.stop())
        self.server.stop()

    def break_once(self, fault: Any) -> None:
        self.proxy.faults.append(fault)

    def broke(self) -> bool:
        return not self.proxy.faults

    def arrived(self) -> list[Any]:
        return list(self.proxy.published)

    def effects(self) -> int:
        return len(self.proxy.kept)

    async def unreachable(self, folder: Path) -> Destination:
        return self._made(9)


class Table(Peer):
    operation = "keep"
    faults = ("away",)

    async def start(self, folder: Path) -> None:
        self.kept: list[bytes] = []
        self.away = 0
        self.destination = self._made()

    def _made(self) -> ConsentTable:
        keep = RecordOperationOptions.model_validate({"send_only": ["patient", "ward"]})
        made = ConsentTable(ConsentTableOptions.model_validate({"consents": "adt"}), {"keep": keep})
        made.keep_with(self.keep)
        return made

    async def keep(self, table: str, content: bytes) -> str:
        assert table == "adt"
        if self.away:
            self.away -= 1
            raise JournalUnavailable("away")
        if b'"patient":"P-' not in content:
            return "consent-unreadable"
        self.kept.append(content)
        return ""

    async def stop(self) -> None:
        await self.destination.close()

    def content(self, number: int) -> Record | bytes:
        return Record("encounter", f"V-{number}", "upsert", {"patient": f"P-{number}", "ward": "W"})

    def too_large(self) -> Record | bytes:
        return Record("encounter", "V-1", "upsert", {"ward": SECRET * 10_000})

    def break_once(self, fault: Any) -> None:
        self.away += 1

    def arrived(self) -> list[Any]:
        return list(self.kept)

    def effects(self) -> int:
        return len(set(self.kept))

    async def unreachable(self, folder: Path) -> Destination:
        self.away = 1_000_000
        return self._made()


class CalledBack(Peer):
    operation = "tell"
    faults = ("away",)

    async def start(self, folder: Path) -> None:
        self.told: list[tuple[str, str]] = []
        self.away = 0
        self.destination = self._made()

    def _made(self) -> Confirmations:
        tell = RecordOperationOptions.model_validate({"send_only": ["key", "ward"]})
        made = Confirmations(ConfirmationsOptions.model_validate({"confirms": "ehr"}), {"tell": tell})
        made.tell_with(self.tell)
        return made

    async def tell(self, api: str, called: str, word: str) -> str:
        assert api == "ehr"
        if self.away:
            self.away -= 1
            raise JournalUnavailable("away")
        self.told.append((called, word))
        return "confirmed"

    async def stop(self) -> None:
        await self.destination.close()

    def content(self, number: int) -> Record | bytes:
        return Record("encounter", f"V-{number}", "upsert", {"patient": f"P-{number}", "ward": "W"})

    def too_large(self) -> Record | bytes:
        return Record("encounter", "V-1", "upsert", {"ward": SECRET * 10_000})

    def break_once(self, fault: Any) -> None:
        self.away += 1

    def arrived(self) -> list[Any]:
        return list(self.told)

    def effects(self) -> int:
        return len(set(self.told))

    async def unreachable(self, folder: Path) -> Destination:
        self.away = 1_000_000
        return self._made()


class ToldOfFiles(Peer):
    operation = SEND_ORIGINAL
    faults = ("away",)

    async def start(self, folder: Path) -> None:
        self.told: list[Acknowledgement] = []
        self.away = 0
        self.destination = self._made()

    def _made(self) -> Acknowledgements:
        options = AcknowledgementsOptions.model_validate({"acknowledges": "payer"})
        made = Acknowledgements(options, {SEND_ORIGINAL: OperationOptions.model_validate({})})
        made.acknowledge_with(self.acknowledge)
        return made

    async def acknowledge(self, api: str, said: Acknowledgement) -> str:
        assert api == "payer"
        if self.away:
            self.away -= 1
            raise JournalUnavailable("away")
        self.told.append(said)
        return "acknowledged"

    async def stop(self) -> None:
        await self.destination.close()

    def content(self, number: int) -> Record | bytes:
        return f"MSH|^~\\&|A||B||||ACK|{number}|P|2.5\rMSA|AA|C{number}\r".encode()

    def too_large(self) -> Record | bytes:
        return b"MSH|^~\\&|A||B||||ACK|1|P|2.5\rMSA|AA|" + SECRET.encode() * 10_000

    def break_once(self, fault: Any) -> None:
        self.away += 1

    def arrived(self) -> list[Any]:
        return list(self.told)

    def effects(self) -> int:
        return len(set(self.told))

    async def unreachable(self, folder: Path) -> Destination:
        self.away = 1_000_000
        return self._made()


class KafkaTopic(Events):
    """Brokers of our own. An event that is there twice is one effect: its readers know it by its id."""

    hanging = "hang"
    faults: tuple[str | int, ...] = ("cut", "lose", NOT_LEADER, TOO_LARGE, NOT_AUTHORIZED)

    async def start(self, folder: Path) -> None:
        self.kafka = FakeKafka()
        servers: list[str] = await in_loop(self.kafka.start())
        self.destination = self._made(servers)

    def _made(self, servers: list[str]) -> EventsOut:
        way = {"servers": servers, "topic": self.kafka.topic, "within": "5s"}
        return events_out({"kafka": way}, max_size="2KiB")

    async def stop(self) -> None:
        await self.destination.close()
        await in_loop(self.kafka.stop())

    def break_once(self, fault: Any) -> None:
        self.kafka.faults.append(fault)

    def arrived(self) -> list[Any]:
        return [(each.key, each.value) for each in self.kafka.kept]

    def effects(self) -> int:
        return len({json.loads(each.value)["id"] for each in self.kafka.kept})

    async def unreachable(self, folder: Path) -> Destination:
        return self._made(["127.0.0.1:9"])


PEERS: dict[str, Callable[[], Peer]] = {
    "http_api": Http,
    "consent_table": Table,
    "confirmations": CalledBack,
    "acknowledgements": ToldOfFiles,
    "fhir_r4": Fhir,
    "mllp_send": Mllp,
    "file_out": Folder,
    "sftp_out": Server,
    "events to an endpoint": EventEndpoint,
    "events to NATS": Jetstream,
    "events to Kafka": KafkaTopic,
}


@asynccontextmanager
async def peered(name: str, folder: Path) -> AsyncIterator[Peer]:
    peer = PEERS[name]()
    await peer.start(folder)
    try:
        yield peer
    finally:
        await peer.stop()
    assert peer.at_rest()


async def send(destination: Destination, request: bytes, number: int = 1) -> Outcome:
    return await destination.send(request, idempotency_key=key(number), traceparent=TRACEPARENT)


NO_REQUEST = (
    b"",
    b"{}",
    b"\x0b",
    b'{"channel":"adt","message_id":1,"operation":"none"}\nx',
    b'{"body":{},"method":"PUT","operation":"none","path":"/x"}',
)
EACH = pytest.mark.parametrize("name", PEERS)


def test_the_suite_runs_over_every_destination_of_the_catalog() -> None:
    assert sorted({name.partition(" ")[0] for name in PEERS}) == STANDARD.names("destination")


@EACH
@in_reactor
async def test_the_same_content_gives_the_same_request(name: str, tmp_path: Path) -> None:
    async with peered(name, tmp_path) as one, peered(name, tmp_path / "other") as other:
        made = one.destination.prepare(one.operation, one.content(1), ORIGIN)
        assert made == one.destination.prepare(one.operation, one.content(1), ORIGIN)
        assert made == other.destination.prepare(one.operation, one.content(1), ORIGIN)
        assert made != one.destination.prepare(one.operation, one.content(2), ORIGIN)


@EACH
@in_reactor
async def test_what_cannot_be_sent_is_refused_without_a_value_in_the_text(name: str, tmp_path: Path) -> None:
    async with peered(name, tmp_path) as peer:
        of_records = isinstance(peer.content(1), Record)
        other = message(SECRET) if of_records else Record("patient", SECRET, "upsert", {"family": SECRET})
        for operation, content in (
            ("none", peer.content(1)),
            (peer.operation, peer.too_large()),
            (peer.operation, other),
        ):
            with pytest.raises(RequestRefused) as refused:
                peer.destination.prepare(operation, content, ORIGIN)
            assert SECRET not in str(refused.value)
        assert peer.arrived() == []


@EACH
@in_reactor
async def test_each_delivery_has_its_effect_once_and_a_repeat_sends_the_same(
    name: str, tmp_path: Path
) -> None:
    async with peered(name, tmp_path) as peer:
        for number in (1, 2, 3):
            request = peer.destination.prepare(peer.operation, peer.content(number), ORIGIN)
            for _ in range(2):
                outcome = await send(peer.destination, request, number)
                assert outcome.verdict is Verdict.DELIVERED
                assert outcome.steps == "iuso", "each policy that it keeps has its letter; here none guards"
        assert peer.effects() == 3
        assert len(set(map(str, peer.arrived()))) == 3, "a repeat said something else"


FAULTS = [(name, fault) for name, peer in PEERS.items() for fault in peer().faults]


@pytest.mark.parametrize(("name", "fault"), FAULTS, ids=[f"{name}-{fault}" for name, fault in FAULTS])
@in_reactor
async def test_every_fault_is_an_outcome_and_delivered_is_only_what_was(
    name: str, fault: Any, tmp_path: Path
) -> None:
    async with peered(name, tmp_path) as peer:
        request = peer.destination.prepare(peer.operation, peer.content(1), ORIGIN)
        peer.break_once(fault)
        outcome = await send(peer.destination, request)
        assert isinstance(outcome, Outcome)
        assert outcome.reason
        assert SECRET not in outcome.reason
        if outcome.verdict is Verdict.DELIVERED:
            assert peer.effects() == 1
        elif peer.effects():
            assert outcome.verdict is Verdict.AMBIGUOUS, "it had its effect, and this says that it had none"
        again = peer.destination.prepare(peer.operation, peer.content(2), ORIGIN)
        if fault != "missing":
            assert (await send(peer.destination, again, 2)).verdict is Verdict.DELIVERED, (
                "one fault, one attempt"
            )


@settings(max_examples=40, deadline=None)
@given(  # type: ignore[arg-type]
    name=st.sampled_from(sorted(PEERS)),
    request=st.one_of(st.binary(max_size=60), st.sampled_from(NO_REQUEST)),
)
@in_reactor
async def test_any_bytes_as_a_request_are_an_outcome(
    tmp_path_factory: pytest.TempPathFactory, name: str, request: bytes
) -> None:
    async with peered(name, tmp_path_factory.mktemp("any")) as peer:
        outcome = await send(peer.destination, request)
        assert outcome.verdict in {Verdict.POISON, Verdict.HOLD}
        assert peer.arrived() == []


@EACH
@in_reactor
async def test_a_peer_that_is_not_there_has_not_got_it(name: str, tmp_path: Path) -> None:
    async with peered(name, tmp_path) as peer:
        destination = await peer.unreachable(tmp_path)
        request = peer.destination.prepare(peer.operation, peer.content(1), ORIGIN)
        assert (await send(destination, request)).verdict in {Verdict.RETRY, Verdict.HOLD}
        await destination.close()


@EACH
@in_reactor
async def test_closing_twice_is_closing_and_nothing_goes_out_after_it(name: str, tmp_path: Path) -> None:
    async with peered(name, tmp_path) as peer:
        request = peer.destination.prepare(peer.operation, peer.content(1), ORIGIN)
        assert (await send(peer.destination, request)).verdict is Verdict.DELIVERED
        await peer.destination.close()
        await peer.destination.close()
        assert await send(peer.destination, request, 2) == Outcome(Verdict.RETRY, "closing")
        assert len(peer.arrived()) == 1


HANGING = pytest.mark.parametrize(
    "name", [name for name, peer in PEERS.items() if peer().hanging is not None]
)


@HANGING
@in_reactor
async def test_closing_ends_a_call_that_hangs_and_leaves_its_outcome_open(name: str, tmp_path: Path) -> None:
    async with peered(name, tmp_path) as peer:
        peer.break_once(peer.hanging)
        request = peer.destination.prepare(peer.operation, peer.content(1), ORIGIN)
        call = Deferred.fromCoroutine(send(peer.destination, request))
        await until(lambda: len(peer.arrived()) == 1, "it has arrived")
        await peer.destination.close()
        assert (await call).verdict is Verdict.AMBIGUOUS


@HANGING
@in_reactor
async def test_a_call_that_is_cancelled_ends_and_costs_no_other_anything(name: str, tmp_path: Path) -> None:
    async with peered(name, tmp_path) as peer:
        peer.break_once(peer.hanging)
        request = peer.destination.prepare(peer.operation, peer.content(1), ORIGIN)
        call = Deferred.fromCoroutine(send(peer.destination, request))
        await until(lambda: len(peer.arrived()) == 1 and peer.broke(), "it has arrived")
        call.cancel()
        with pytest.raises(CancelledError):
            await call
        other = peer.destination.prepare(peer.operation, peer.content(2), ORIGIN)
        assert (await send(peer.destination, other, 2)).verdict is Verdict.DELIVERED


@EACH
@in_reactor
async def test_many_calls_at_once_each_have_their_own_outcome(name: str, tmp_path: Path) -> None:
    async with peered(name, tmp_path) as peer:
        requests = [peer.destination.prepare(peer.operation, peer.content(n), ORIGIN) for n in range(20)]
        calls = [Deferred.fromCoroutine(send(peer.destination, each, n)) for n, each in enumerate(requests)]
        assert {(await call).verdict for call in calls} == {Verdict.DELIVERED}
        assert peer.effects() == 20

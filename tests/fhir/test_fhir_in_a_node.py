"""Admissions and results, each sent twice through a node to a FHIR server: once there, rightly named."""

from __future__ import annotations

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fhir.resources.R4B import get_fhir_model_class
from fhir_site import MAPPINGS, site_of, written
from nodes import Hospital
from reactor_tests import in_reactor_for, pause

from bridge.cli.demo import send_all
from bridge.cli.fake_fhir import FakeFhir
from bridge.cli.generated import messages
from bridge.cli.synthetic import Synthetic
from bridge.config.load import load_mapping
from bridge.destinations.in_loop import in_loop
from bridge.fhir.check import faults
from bridge.fhir.digits import write_json
from bridge.fhir.exchange import identity_of
from bridge.formats.hl7v2 import Hl7Message
from bridge.journal.ledger import Ledger

CHANNELS = {"ADT": "ehr-adt", "ORU": "lab-results"}
TEST_MAX_S = 3000.0
"""For a thousand messages on a machine that has much else to do; forty take seconds."""
FEEDS = {"ADT": "adt-admit", "ORU": "lab-results"}


@asynccontextmanager
async def site_with(folder: Path, server: FakeFhir, more: str = "") -> AsyncIterator[Hospital]:
    site = Hospital(folder)
    site_of(folder / "site", await in_loop(server.start()), more=more)
    try:
        await site.start()
        yield site
    finally:
        await site.stop()
        await in_loop(server.stop())
        await in_loop(asyncio.sleep(0))


def numbered(kind: str, bodies: list[bytes], round_: int) -> list[Synthetic]:
    """Messages with control IDs of their round: sent again they are no repeats to the bridge."""
    found = []
    for number, body in enumerate(bodies):
        fields = body.split(b"|")
        fields[9] = f"{kind}-{round_}-{number}".encode()
        found.append(Synthetic("", round_, fields[9].decode(), b"|".join(fields)))
    return found


def accepted(kind: str, count: int) -> list[bytes]:
    """Generated messages that channel and mapping take, with a patient that is known by a number."""
    (channel,) = (text for text in written() if f"channel: {CHANNELS[kind]}" in text)
    taken = channel.split("accept: [")[1].split("]")[0].split(", ")
    plan = load_mapping(MAPPINGS / f"{FEEDS[kind]}.yaml", test=False)
    found: list[bytes] = []
    for body in messages(kind, 11, count * 6):
        message = Hl7Message.read(body)
        if message.message_type in taken and not plan.run(message).failed:
            found.append(body)
        if len(found) == count:
            return found
    raise AssertionError("too few messages can be mapped")


def keys_of(bodies: dict[str, list[bytes]]) -> dict[str, set[str]]:
    """The keys of the records that the messages come to, by the type of resource that they become."""
    found: dict[str, set[str]] = {
        "Patient": set(),
        "Encounter": set(),
        "ServiceRequest": set(),
        "Observation": set(),
    }
    kinds = {
        "patient": "Patient",
        "encounter": "Encounter",
        "order": "ServiceRequest",
        "result": "Observation",
    }
    for kind, all_ in bodies.items():
        plan = load_mapping(MAPPINGS / f"{FEEDS[kind]}.yaml", test=False)
        for body in all_:
            for record in plan.run(Hl7Message.read(body)).records:
                found[kinds[record.record]].add(record.key)
                if record.operation == "merge":
                    found["Patient"].add(record.fields["replaces"])
    return found


def named(resource: dict[str, Any]) -> str:
    """The key that a resource is known by: of a number of somebody's, with who gave it."""
    identity = identity_of(resource)
    of = re.fullmatch(r"urn:interface-bridge:(?:mrn|visit):(.+)", identity.system)
    return f"{of[1]}:{identity.value}" if of else identity.value


def references(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield value
        for each in value.values():
            yield from references(each)
    elif isinstance(value, list):
        for each in value:
            yield from references(each)


def wrong_references(server: FakeFhir) -> list[str]:
    """References to what is not there, or to another resource than the one whose identifier stands beside."""
    wrong = []
    for (kind, name), (_, resource) in server.store.kept.items():
        for each in references(resource):
            of, _, number = each["reference"].partition("/")
            target = server.store.kept.get((of, number), (0, {}))[1]
            said = each.get("identifier", {})
            there = {(it.get("system"), it.get("value")) for it in target.get("identifier", [])}
            if (said.get("system"), said.get("value")) not in there or each.get("type") != of:
                wrong.append(f"{kind}/{name}: {each['reference']}")
    return wrong


def invalid(server: FakeFhir) -> list[str]:
    """Resources that a second reader of FHIR, or our own check, does not take."""
    wrong = []
    for (kind, name), (_, resource) in server.store.kept.items():
        wrong += [f"{kind}/{name}: {fault}" for fault in faults(resource)]
        try:
            get_fhir_model_class(kind).model_validate_json(write_json(resource))
        except ValueError as error:
            wrong.append(f"{kind}/{name}: {error}")
    return wrong


def duplicates(server: FakeFhir) -> list[str]:
    told = Counter(
        f"{kind} {identity_of(resource)}" for (kind, _), (_, resource) in server.store.kept.items()
    )
    return [name for name, count in told.items() if count > 1]


async def all_done(site: Hospital) -> Ledger:
    """The ledger once nothing is open any more."""
    while True:
        counts = await site.settled()
        if not any(entries["open"] for entries in counts.channels.values()):
            return counts
        await pause(0.1)


async def send(site: Hospital, bodies: dict[str, list[bytes]], round_: int) -> None:
    assert site.node is not None
    for kind, all_ in bodies.items():
        sent = numbered(kind, all_, round_)
        answers = await in_loop(send_all(site.node.addresses()[CHANNELS[kind]], sent))
        assert {each.answer.code for each in answers} == {"AA"}


@in_reactor_for(TEST_MAX_S)
async def test_messages_that_come_twice_make_each_resource_once_with_its_references_right(
    tmp_path: Path, fhir_messages: int
) -> None:
    server = FakeFhir()
    bodies = {kind: accepted(kind, fhir_messages // 2) for kind in CHANNELS}
    async with site_with(tmp_path, server) as site:
        await send(site, bodies, 1)
        await all_done(site)
        first = {name: version for name, (version, _) in server.store.kept.items()}
        await send(site, bodies, 2)
        ledger = await all_done(site)
    assert not [
        (channel, name)
        for channel, counts in ledger.channels.items()
        for name, count in counts.items()
        if count and name not in ("delivered", "filtered")
    ]
    assert sorted(first) == sorted(server.store.kept), "the second time made another resource"
    assert duplicates(server) == []
    assert wrong_references(server) == []
    assert invalid(server) == []
    for kind, keys in keys_of(bodies).items():
        assert {named(each) for each in server.store.all_of(kind)} == keys
    results = {(kind, name) for kind, name in first if kind == "Observation"}
    reported = [each for each in server.store.all_of("DiagnosticReport") for _ in each.get("result", [])]
    assert len(reported) == len(results), "each result stands in its report, once"
    sent = 2 * sum(map(len, bodies.values()))
    print(f"{sent} messages, {len(server.attempts)} calls, {server.store.writes} writes")
    print(Counter(kind for kind, _ in server.store.kept))

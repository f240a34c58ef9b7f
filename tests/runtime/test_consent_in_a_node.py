"""A whole node that asks for consent: what is denied never leaves, what is unknown waits, and goes on."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from lane_messages import ORDER_BY_MERGE, merge, message
from nodes import Hospital, entries, steps_of
from reactor_tests import in_reactor, pause, until
from shapes_held import holds
from test_commands import command

from bridge.catalog import STANDARD
from bridge.cli.checks import of_node
from bridge.cli.fake_api import Fault
from bridge.destinations.in_loop import in_loop
from bridge.governance.order import left_out, notices_in
from bridge.journal.actions import latest
from bridge.journal.compliance import said
from bridge.journal.search import story
from bridge.runtime import consents as consents_module
from bridge.runtime.commands import Commands

US = "Organization/ehr"


def consent(patient: int, kind: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "id": f"{kind}-{patient}",
        "status": "active",
        "patient": {"identifier": {"system": "NORTH", "value": str(100000 + patient)}},
        "provision": {"type": kind, **more},
    }


class Asking(Hospital):
    """A hospital whose EHR may be told of a patient only where the patient agrees."""

    def write(self, *consents: dict[str, Any]) -> None:
        """The consents of now, in the place of those before."""
        file = self.folder / "site" / "consents.ndjson"
        aside = file.with_suffix(".new")
        aside.write_bytes(b"".join(orjson.dumps(each) + b"\n" for each in consents))
        os.replace(aside, file)

    async def declare(
        self,
        mode: str,
        *consents: dict[str, Any],
        more: str = "",
        change: Callable[[str], str] = lambda text: text,
    ) -> None:
        await self.open(change)
        file = self.folder / "site" / "channels" / "apis" / "ehr.patients.yaml"
        options = f"mode: {mode}, purpose: TREAT, recipient: [{US}], file: consents.ndjson"
        file.write_text(file.read_text() + f"consent: {{{options}}}\n{more}")
        self.write(*consents)

    async def story_of(self, number: int) -> Mapping[str, Any]:
        """The delivery to the EHR of message ``number``."""
        assert self.node is not None
        found = await self.node.journal.read(story, number)
        assert found is not None
        return next(row for row in found.deliveries if row["api"] == "ehr.patients")

    async def look(self) -> None:
        """Look for other consents now."""
        assert self.node is not None
        await self.node.parts.consents.look_now()

    async def verdicts(self) -> list[str]:
        assert self.node is not None
        return [each.verdicts for each in await self.node.journal.read(said) if each.api == "ehr.patients"]

    async def held(self, number: int, reason: str) -> None:
        """Wait until the delivery to the EHR of message ``number`` stands as held for this reason."""
        for _ in range(600):
            row = await self.story_of(number)
            if (row["state"], row["reason"]) == ("HELD", reason):
                return
            await pause(0.05)
        raise AssertionError(f"{row['state']} {row['reason']}, not held because of {reason}")


@asynccontextmanager
async def asking(
    folder: Path,
    *consents: dict[str, Any],
    mode: str = "strict",
    change: Callable[[str], str] = lambda text: text,
) -> AsyncIterator[Asking]:
    made = Asking(folder)
    await made.declare(mode, *consents, change=change)
    try:
        await made.start(STANDARD)
        yield made
    finally:
        await made.close()


class Sink:
    """Something that listens and counts what arrives, below any protocol."""

    def __init__(self) -> None:
        self.connections, self.received_bytes = 0, 0
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        self._server = await asyncio.start_server(self._take, "127.0.0.1", 0)
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"http://{host}:{port}"

    async def _take(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        while data := await reader.read(65536):
            self.received_bytes += len(data)
        writer.close()

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()


@in_reactor
async def test_what_is_denied_ends_without_a_byte_on_the_wire_and_its_key_goes_on(tmp_path: Path) -> None:
    async with asking(tmp_path, consent(1, "deny"), consent(2, "permit")) as site:
        await site.send(message(1, 1), message(2, 1), message(1, 2))
        ledger = await site.settled()
        assert ledger.balanced
        assert ledger.routes["ehr-adt", "patient"]["suppressed"] == 2
        assert {each.path for each in site.patients.attempts} == {"/patients/NORTH%3A100002"}
        row = await site.story_of(1)
        assert (row["state"], row["reason"]) == ("SUPPRESSED", "consent-denied")
        assert not any(map(left_out, await site.verdicts()))


@in_reactor
async def test_no_byte_of_what_is_denied_reaches_a_listening_socket_and_of_what_is_permitted_some_do(
    tmp_path: Path,
) -> None:
    sink = Sink()
    url = await in_loop(sink.start())
    site = Asking(tmp_path)
    await site.declare("strict", consent(1, "deny"), more="timeouts: {connect: 1s, request: 1s}\n")
    file = tmp_path / "site" / "channels" / "apis" / "ehr.patients.yaml"
    file.write_text("\n".join(f"base_url: {url}" if line.startswith("base_url") else line
                              for line in file.read_text().splitlines()) + "\n")  # fmt: skip
    try:
        await site.start()
        await site.send(*(message(1, step) for step in range(1, 6)))
        ledger = await site.settled()
        assert ledger.routes["ehr-adt", "patient"]["suppressed"] == 5
        assert (sink.connections, sink.received_bytes) == (0, 0)
        site.write(consent(1, "permit"))
        await site.look()
        await site.send(message(1, 6))
        await until(lambda: sink.received_bytes > 0, "the sink gets what is permitted")
    finally:
        await site.close()
        await in_loop(sink.stop())


@in_reactor
async def test_what_is_unknown_waits_with_its_key_alone_and_goes_on_in_order_once_it_is_decided(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path, consent(2, "permit")) as site:
        assert site.node is not None
        await site.send(*(message(patient, step) for step in (1, 2, 3) for patient in (1, 2)))
        await until(lambda: len(site.patients.applied) == 3, "the other patient's go")
        outlet = site.node.outlets["ehr.patients"]
        await until(lambda: outlet.waits.withheld.status()["count"] == 1, "the first of the unknown waits")
        await site.held(1, "consent-unknown")
        assert (await site.story_of(1))["attempts"] == 0
        assert len(site.encounters.applied) == 6
        site.write(consent(1, "permit"), consent(2, "permit"))
        await site.look()
        ledger = await site.settled()
        assert entries(ledger) == {"delivered": 6}
        assert steps_of(site.patients, "100001") == [1, 2, 3]
        assert not any(map(left_out, await site.verdicts()))


@in_reactor
async def test_what_was_held_is_suppressed_where_the_decision_is_no(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        assert site.node is not None
        await site.send(message(1, 1))
        outlet = site.node.outlets["ehr.patients"]
        await until(lambda: outlet.waits.withheld.status()["count"] == 1, "it waits")
        site.write(consent(1, "deny"))
        await site.look()
        ledger = await site.settled()
        assert ledger.routes["ehr-adt", "patient"]["suppressed"] == 1
        assert site.patients.attempts == []


@in_reactor
async def test_what_waits_waits_across_a_start_and_goes_on_after_it(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        await site.send(message(1, 1), message(1, 2))
        await until(lambda: site.node is not None and _waiting(site) == 1, "it waits")
        await site.stop()
        await site.start()
        await until(lambda: _waiting(site) == 1, "it waits again")
        assert site.patients.attempts == []
        site.write(consent(1, "permit"))
        await site.look()
        await site.settled()
        assert steps_of(site.patients, "100001") == [1, 2]


def _waiting(site: Hospital) -> int:
    assert site.node is not None
    count: int = site.node.outlets["ehr.patients"].waits.withheld.status()["count"]
    return count


@in_reactor
async def test_a_consent_that_is_withdrawn_between_two_attempts_holds_for_the_second(tmp_path: Path) -> None:
    async with asking(tmp_path, consent(1, "permit")) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        await site.send(message(1, 1))
        await until(lambda: len(site.patients.attempts) >= 1, "a first attempt")
        site.write(consent(1, "deny"))
        await site.look()
        ledger = await site.settled()
        assert ledger.routes["ehr-adt", "patient"]["suppressed"] == 1
        row = await site.story_of(1)
        assert (row["state"], row["reason"]) == ("SUPPRESSED", "consent-denied")
        assert site.patients.applied == []


@in_reactor
async def test_what_may_have_been_taken_before_it_was_denied_needs_a_person(tmp_path: Path) -> None:
    async with asking(tmp_path, consent(1, "permit")) as site:
        site.patients.plant(Fault("lose", times=None))
        await site.send(message(1, 1))
        await until(lambda: len(site.patients.attempts) >= 1, "a first attempt, whose answer is lost")
        site.write(consent(1, "deny"))
        await site.look()
        await site.settled()
        row = await site.story_of(1)
        assert (row["state"], row["reason"]) == ("QUARANTINED", "consent-denied")


@in_reactor
async def test_lenient_sends_what_is_unknown_says_so_and_still_sends_nothing_that_is_denied(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path, consent(2, "deny"), mode="lenient") as site:
        await site.send(message(1, 1), message(2, 1))
        ledger = await site.settled()
        of_route = ledger.routes["ehr-adt", "patient"]
        assert (of_route["delivered"], of_route["suppressed"]) == (1, 1)
        told = [notices_in(each) for each in await site.verdicts()]
        assert sorted(told) == [[], ["consent-unknown"]]


@in_reactor
async def test_a_file_that_is_broken_or_gone_leaves_what_was_read_and_after_its_time_permits_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(tmp_path, consent(1, "permit"), consent(2, "deny")) as site:
        assert site.node is not None
        file = tmp_path / "site" / "consents.ndjson"
        for number, trouble in enumerate(("consent-source-broken", "consent-source-away")):
            if number:
                file.unlink()
            else:
                file.write_text("{")
            await site.look()
            assert site.node.parts.consents.status() == {"consents.ndjson": trouble}
            await site.send(message(1, 10 + number))
            await until(lambda n=number: len(site.patients.applied) == n + 1, "what was read stays in force")  # type: ignore[misc]
        monkeypatch.setattr(consents_module, "KEPT_S", 0.0)
        await site.send(message(1, 20), message(2, 20))
        await until(lambda: _waiting(site) == 1, "permits are too old to count")
        await site.held(3, "consent-source-away")
        await until(lambda: len(site.encounters.applied) == 4, "the other API has all")
        row = await site.story_of(4)
        assert (row["state"], row["reason"]) == ("SUPPRESSED", "consent-denied")
        site.write(consent(1, "permit"))
        await site.look()
        await site.settled()
        assert len(site.patients.applied) == 3


@in_reactor
async def test_a_file_that_was_away_and_comes_back_as_it_was_counts_again_and_is_told_of_meanwhile(
    tmp_path: Path,
) -> None:
    async with asking(tmp_path, consent(1, "permit")) as site:
        node = site.node
        assert node is not None
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        file = tmp_path / "site" / "consents.ndjson"
        aside = file.rename(file.with_suffix(".aside"))
        await site.look()
        [told] = of_node(await commands("somebody", "status", {}))
        assert told.startswith("consents of consents.ndjson cannot be had (consent-source-away)")
        assert "bridge_consent_sources_in_trouble 1.0" in node.parts.metrics.exposition().decode()
        aside.rename(file)
        await site.look()
        assert node.parts.consents.status() == {}
        assert of_node(await commands("somebody", "status", {})) == []


@in_reactor
async def test_a_merge_needs_both_patients(tmp_path: Path) -> None:
    async with asking(tmp_path, consent(1, "permit"), change=ORDER_BY_MERGE) as site:
        await site.send(merge(1, 2))
        await until(lambda: _waiting(site) == 1, "the second is not known")
        site.write(consent(1, "permit"), consent(2, "permit"))
        await site.look()
        await site.settled()
        assert len(site.patients.applied) == 1


@in_reactor
async def test_a_person_lets_data_through_for_a_while_with_a_reason_that_is_kept(tmp_path: Path) -> None:
    async with asking(tmp_path, consent(1, "deny")) as site:
        assert site.node is not None
        node = site.node
        commands = Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)
        now_us = site.node.parts.world.now_us()
        wanted = {"patient": "NORTH:100001", "api": "ehr.patients", "reason": "emergency"}
        refused = await commands("user:x", "consent-override", {**wanted, "until_us": now_us + 10**13})
        assert refused["exit"] == 2
        done = await commands("user:x", "consent-override", {**wanted, "until_us": now_us + 3_600_000_000})
        assert "whatever was decided" in done["done"]
        told = await commands("user:x", "consent", {"patient": "NORTH:100001"})
        holds("consent", told)
        assert {each["reason"] for each in told["apis"][0]["decisions"]} == {"consent-overridden"}
        await site.send(message(1, 1))
        await until(lambda: len(site.patients.applied) == 1, "it goes")
        in_force = await command(site, "consent", "--format", "json")
        (row,) = orjson.loads(in_force)
        assert (row["api"], row["actor"], row["reason"]) == ("ehr.patients", "user:x", "emergency")
        assert "100001" not in in_force
        await commands("user:x", "consent-override", {**wanted, "until_us": None})
        assert await command(site, "consent") == "no override is in force\n"
        await site.send(message(1, 2))
        await site.settled()
        assert len(site.patients.applied) == 1
        assert [notices_in(each) for each in await site.verdicts() if "!" not in each] == [
            ["consent-overridden"]
        ]
        rows = await site.node.journal.read(latest)
        assert [(row.action, row.actor, row.reason) for row in rows] == [
            ("consent-override-end", "user:x", "emergency"),
            ("consent-override", "user:x", "emergency"),
        ]
        assert not any("100001" in row.subject for row in rows)


@in_reactor
async def test_what_was_made_before_its_api_asked_waits_for_a_person(tmp_path: Path) -> None:
    async with asking(tmp_path) as site:
        assert site.node is not None
        file = tmp_path / "site" / "channels" / "apis" / "ehr.patients.yaml"
        whole = file.read_text()
        file.write_text(whole.partition("consent:")[0] + "lifecycle: {state: blocked}\n")
        await site.node.reload()
        await site.send(message(1, 1))
        await until(lambda: len(site.encounters.applied) == 1, "the other API takes its own")
        file.write_text(whole)
        await site.node.reload()
        await site.settled()
        row = await site.story_of(1)
        assert (row["state"], row["reason"]) == ("QUARANTINED", "consent-not-asked")
        assert site.patients.attempts == []


@in_reactor
async def test_an_api_that_asks_nobody_is_held_to_none_of_it(tmp_path: Path) -> None:
    async with asking(tmp_path, consent(1, "permit")) as site:
        assert site.node is not None
        await site.send(message(1, 1))
        await site.settled()
        kept = {each.api: each.verdicts for each in await site.node.journal.read(said)}
        assert "q" in kept["ehr.patients"]
        assert "q" not in kept["ehr.encounters"]
        assert not any(map(left_out, kept.values()))

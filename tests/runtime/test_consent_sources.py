"""Consents from a registry that is asked, and from a table that messages feed, in a whole node."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from aiohttp import web
from lane_messages import line, message
from nodes import Hospital, steps_of
from reactor_tests import in_reactor, pause, until

from bridge.cli.synthetic import Synthetic
from bridge.destinations.in_loop import in_loop
from bridge.journal.search import story

APIS = Path("site") / "channels" / "apis"


class Registry:
    """A FHIR server that knows consents; ``answers`` may be changed by what tests want of it."""

    def __init__(self) -> None:
        self.kinds: dict[str, str] = {}
        self.spoilt = ""
        self.entries: list[dict[str, Any]] | None = None
        """What is answered whoever is asked about, as a server does that does not know the parameter."""
        self.asked: list[str] = []
        self._runner: web.AppRunner | None = None

    async def start(self) -> str:
        app = web.Application()
        app.router.add_get("/Consent", self._answer)
        self._runner = web.AppRunner(app)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", 0)
        await site.start()
        return f"http://127.0.0.1:{self._runner.addresses[0][1]}"

    async def _answer(self, request: web.Request) -> web.Response:
        patient = request.query["patient"]
        self.asked.append(patient)
        match self.spoilt:
            case "slow":
                await asyncio.sleep(0.5)
            case "garbage":
                return web.Response(text="<html>sorry</html>")
            case "error":
                return web.Response(status=500)
            case "elsewhere":
                return web.Response(status=302, headers={"Location": "/Consent?patient=NORTH:1"})
            case "endless":
                return web.Response(body=b"[" + b" " * 2_000_000 + b"]")
        kind = self.kinds.get(patient)
        entries = [] if kind is None else [{"resource": _consent(patient, kind)}]
        entries = entries if self.entries is None else self.entries
        bundle: dict[str, Any] = {"resourceType": "Bundle", "entry": entries}
        if self.spoilt == "pages":
            bundle["link"] = [{"relation": "next", "url": "/Consent?page=2"}]
        return web.Response(body=orjson.dumps(bundle), content_type="application/fhir+json")

    async def stop(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()


def _consent(patient: str, kind: str) -> dict[str, Any]:
    return {
        "resourceType": "Consent",
        "status": "active",
        "patient": {"reference": f"Patient/{patient}"},
        "provision": {"type": kind},
    }


class Asked(Hospital):
    """A hospital whose EHR asks for consent, as ``options`` say."""

    async def declare(self, options: str) -> None:
        file = self.folder / APIS / "ehr.patients.yaml"
        file.write_text(file.read_text() + f"consent: {{purpose: TREAT, recipient: [ehr], {options}}}\n")

    async def row_of(self, number: int) -> Mapping[str, Any]:
        assert self.node is not None
        found = await self.node.journal.read(story, number)
        assert found is not None
        ours = [row for row in found.deliveries if row["api"] == "ehr.patients"]
        return ours[0] if ours else {"state": "not translated yet", "reason": ""}

    async def rests(self, number: int, state: str, reason: str) -> None:
        """Wait until the delivery to the EHR of message ``number`` stands so."""
        row: Mapping[str, Any] = {}
        for _ in range(600):
            row = await self.row_of(number)
            if (row["state"], row["reason"]) == (state, reason):
                return
            await pause(0.05)
        raise AssertionError(f"{row['state']} {row['reason']}, and not {state} {reason}")


@asynccontextmanager
async def asked(
    folder: Path, registry: Registry, more: str = "", *, within: str = "5s"
) -> AsyncIterator[Asked]:
    site = Asked(folder)
    await site.open()
    url = await in_loop(registry.start())
    await site.declare(f'registry: {{url: "{url}/Consent?patient={{patient}}", timeout: {within}{more}}}')
    try:
        await site.start()
        yield site
    finally:
        await site.close()
        await in_loop(registry.stop())


@in_reactor
async def test_a_registry_is_asked_once_for_a_patient_and_what_it_says_decides(tmp_path: Path) -> None:
    registry = Registry()
    registry.kinds = {"NORTH:100001": "permit", "NORTH:100002": "deny"}
    async with asked(tmp_path, registry) as site:
        await site.send(*(message(patient, step) for step in (1, 2, 3) for patient in (1, 2, 3)))
        await site.rests(2, "SUPPRESSED", "consent-denied")
        await site.rests(3, "HELD", "consent-unknown")
        await until(lambda: len(site.patients.applied) == 3, "what is permitted goes")
        assert steps_of(site.patients, "100001") == [1, 2, 3]
        assert sorted(registry.asked) == ["NORTH:100001", "NORTH:100002", "NORTH:100003"]


SPOILT = ("slow", "garbage", "error", "elsewhere", "endless", "pages")


@in_reactor
async def test_what_a_registry_did_not_say_permits_nothing_and_what_waits_goes_on_once_it_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.runtime.consent_sources.ASKED_AGAIN_S", 0.1)
    registry = Registry()
    registry.kinds = {f"NORTH:{100000 + patient}": "permit" for patient in range(1, 7)}
    async with asked(tmp_path, registry, within="200ms") as site:
        assert site.node is not None
        for patient, registry.spoilt in enumerate(SPOILT, start=1):
            await site.send(message(patient, 1))
            await site.rests(patient, "HELD", "consent-source-away")
            assert site.node.parts.consents.status() == {"registry": "consent-source-away"}
        assert site.patients.attempts == []
        registry.spoilt = ""
        await site.settled()
        assert len(site.patients.applied) == len(SPOILT)


PATIENT_7 = {
    "fullUrl": "https://fhir.example/Patient/7",
    "resource": {
        "resourceType": "Patient",
        "id": "7",
        "identifier": [{"system": "urn:oid:1.2.3", "value": "100001"}],
    },
}
UNSAID = {"reference": "Patient/7"}
OTHER = {"identifier": {"system": "NORTH", "value": "100009"}}


def entry(kind: str, patient: dict[str, Any]) -> dict[str, Any]:
    return {"resource": {**_consent("7", kind), "patient": patient}}


@pytest.mark.parametrize(
    ("entries", "state", "reason"),
    [
        ([entry("permit", OTHER)], "HELD", "consent-source-away"),
        ([entry("deny", OTHER)], "HELD", "consent-source-away"),
        (
            [entry("permit", UNSAID), entry("permit", OTHER)],
            "HELD",
            "consent-source-away",
        ),
        ([entry("permit", UNSAID)], "HELD", "consent-patient-unsaid"),
        ([entry("deny", UNSAID)], "SUPPRESSED", "consent-denied"),
        ([entry("permit", UNSAID), PATIENT_7], "DELIVERED", "delivered"),
        ([entry("permit", {"reference": PATIENT_7["fullUrl"]}), PATIENT_7], "DELIVERED", "delivered"),
        ([entry("permit", {"identifier": {"value": "100001"}})], "DELIVERED", "delivered"),
    ],
)
@in_reactor
async def test_what_a_registry_says_of_somebody_else_permits_nothing(
    tmp_path: Path, entries: list[dict[str, Any]], state: str, reason: str
) -> None:
    registry = Registry()
    registry.entries = entries
    async with asked(tmp_path, registry) as site:
        await site.send(message(1, 1))
        await site.rests(1, state, reason)


@in_reactor
async def test_an_answer_counts_for_its_time_and_then_the_registry_is_asked_again(tmp_path: Path) -> None:
    registry = Registry()
    registry.kinds = {"NORTH:100001": "permit"}
    async with asked(tmp_path, registry, ", cache: 100ms") as site:
        await site.send(message(1, 1))
        await site.settled()
        await pause(0.15)
        registry.kinds = {"NORTH:100001": "deny"}
        await site.send(message(1, 2))
        await site.settled()
        await site.rests(2, "SUPPRESSED", "consent-denied")
        # What was denied stays so while nobody can be asked.
        await pause(0.15)
        registry.spoilt = "error"
        await site.send(message(1, 3))
        await site.settled()
        await site.rests(3, "SUPPRESSED", "consent-denied")
        assert len(site.patients.applied) == 1


@pytest.mark.parametrize(("keep", "goes"), [("1h", True), ("0s", False)])
@in_reactor
async def test_what_was_permitted_counts_for_as_long_as_the_file_says_while_nobody_can_be_asked(
    tmp_path: Path, keep: str, goes: bool
) -> None:
    registry = Registry()
    registry.kinds = {"NORTH:100001": "permit"}
    async with asked(tmp_path, registry, f", cache: 100ms, keep: {keep}") as site:
        await site.send(message(1, 1))
        await site.settled()
        await pause(0.15)
        registry.spoilt = "error"
        await site.send(message(1, 2))
        if goes:
            await site.settled()
            assert len(site.patients.applied) == 2
        else:
            await site.rests(2, "HELD", "consent-source-away")


def deciding(patient: int, step: int, word: str) -> Synthetic:
    """A message that says what its patient has decided."""
    made = message(patient, step)
    return Synthetic(made.patient, step, made.control_id, made.body + f"ZCO|{word}".encode() + b"\r")


ROUTE = """\
  - route: consent
    when: ZCO-1 in ['permit', 'deny', 'other']
    mapping: adt-admit
    record: patient
    to: {api: consents, operation: keep}
  - route: patient
"""
TABLE = """\
api: consents
consents: adt
repeat_safety: natural_key
carries: {phi: true}
owner: {team: privacy}
operations: {keep: {send_only: [key, ext.decision]}}
"""


@asynccontextmanager
async def fed(folder: Path) -> AsyncIterator[Asked]:
    site = Asked(folder)
    await site.open(line("  - route: patient\n", ROUTE))
    (folder / APIS / "consents.yaml").write_text(TABLE)
    mapping = folder / "site" / "mappings" / "adt-admit.yaml"
    text = mapping.read_text()
    begin = "    on_reject: fail_message\n    set:\n      identifiers:"
    assert begin in text
    own = "    ext:\n      decision: {from: ZCO-1, tag: PHI}\n"
    mapping.write_text(text.replace(begin, own + begin, 1))
    await site.declare("table: adt")
    try:
        await site.start()
        yield site
    finally:
        await site.close()


@in_reactor
async def test_a_table_that_messages_feed_decides_about_the_message_itself_and_all_after_it(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path) as site:
        await site.send(message(1, 1))
        await site.rests(1, "HELD", "consent-unknown")
        await site.send(deciding(1, 2, "permit"), message(1, 3), deciding(2, 1, "deny"), message(2, 2))
        await site.settled()
        assert steps_of(site.patients, "100001") == [1, 2, 3]
        for number in (4, 5):
            await site.rests(number, "SUPPRESSED", "consent-denied")
        # The newest of a patient counts, also across a start.
        await site.send(deciding(1, 4, "deny"))
        await site.settled()
        await site.stop()
        await site.start()
        await site.send(message(1, 5), deciding(2, 3, "permit"), message(2, 4))
        await site.settled()
        assert steps_of(site.patients, "100001") == [1, 2, 3]
        assert steps_of(site.patients, "100002") == [3, 4]


@in_reactor
async def test_a_decision_that_nobody_can_read_keeps_its_patients_data_back(
    tmp_path: Path,
) -> None:
    async with fed(tmp_path) as site:
        await site.send(
            deciding(1, 1, "permit"), deciding(1, 2, "other"), message(1, 3), deciding(2, 1, "permit")
        )
        await site.rests(2, "HELD", "consent-quarantined")
        await until(lambda: len(site.patients.applied) == 2, "what came before goes, and the other patient's")
        assert steps_of(site.patients, "100001") == [1]

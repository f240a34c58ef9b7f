"""Calls that an API accepts and tells about later: it calls back as any sender does, and it counts once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from lane_messages import message
from reactor_tests import in_reactor, until
from test_confirmed_in_a_node import Site, Slow

from bridge.catalog import STANDARD
from bridge.config.load import load
from bridge.destinations.in_loop import in_loop
from bridge.errors import ConfigurationRefused

TOKEN = "an-invented-token"
API = """\
api: ehr.patients
base_url: {url}/v1
repeat_safety: natural_key
carries: {{phi: true}}
owner: {{team: ehr}}
retry: {{base: 50ms, cap: 100ms}}
operations:
  putPatient:
    method: PUT
    path: /patients/{{key}}
    send_only: [key, line1]
    confirm: {{callback: header Location, within: {within}, done: [F1], failed: [F2]}}
  mergePatients: {{method: POST, path: "/patients/{{key}}/merge", send_only: [key, replaces]}}
"""
TOLD = """\
api: ehr.patients.told
confirms: ehr.patients
repeat_safety: natural_key
carries: {phi: true, financial: true}
retry: {base: 50ms, cap: 100ms}
operations:
  tell: {send_only: [key, category]}
"""
CHANNEL = """\
channel: told
owner: ehr
source:
  http_in: {listen: "tcp:0:interface=127.0.0.1", path: /told, tokens: {ehr: secret://env/EHR}}
format: {json: {records: array}}
order_by: $.job
routes:
  - {route: told, mapping: told, record: claim_status, to: {api: ehr.patients.told, operation: tell}}
"""
MAPPING = """\
mapping: told
version: 1.0.0
owner: ehr
target: canonical/1
source: {format: json, timezone: America/New_York}
emit:
  - record: claim_status
    key: $.job
    set:
      category: $.state
      status_code: {const: "65"}
      effective_date: {const: 2026-03-09}
      trace_number: $.job
tests: []
"""


@asynccontextmanager
async def called_back(folder: Path, api: Slow, within: str = "1h") -> AsyncIterator[Site]:
    site = Site(folder)
    site.secrets = lambda _reference: TOKEN
    await site.open()
    url = await in_loop(api.start())
    root = folder / "site"
    for path, text in {
        "channels/apis/ehr.patients.yaml": API.format(url=url, within=within),
        "channels/apis/ehr.patients.told.yaml": TOLD,
        "channels/told.yaml": CHANNEL,
        "mappings/told.yaml": MAPPING,
    }.items():
        (root / path).write_text(text)
    try:
        await site.start()
        yield site
    finally:
        await site.close()
        await in_loop(api.stop())


async def tell(site: Site, job: str, word: str, token: str = TOKEN) -> int:
    """The API calls back; the status of our answer."""
    assert site.node is not None
    url = f"http://127.0.0.1:{site.node.addresses()['told']}/told"

    async def call() -> int:
        headers = {"Authorization": f"Bearer {token}"}
        body = [{"job": job, "state": word}]
        async with (
            aiohttp.ClientSession() as session,
            session.post(url, json=body, headers=headers) as answer,
        ):
            return answer.status

    status: int = await in_loop(call())
    return status


def jobs(api: Slow) -> None:
    api.location = "/jobs/job-{number}"


@in_reactor
async def test_what_an_api_calls_back_with_ends_the_call_and_its_key_goes_on(tmp_path: Path) -> None:
    api = Slow()
    jobs(api)
    async with called_back(tmp_path, api) as site:
        await site.send(message(1, 1), message(1, 2), message(2, 1))
        await site.rests(1, "ACCEPTED", "accepted")
        await site.rests(3, "ACCEPTED", "accepted")
        assert len(api.accepted) == 2
        first = next(n for n, path in enumerate(api.accepted, 1) if "100001" in path)
        assert await tell(site, f"job-{first}", "P1") == 202
        assert await tell(site, f"job-{first}", "F1") == 202
        await site.rests(1, "DELIVERED", "confirmed")
        await until(lambda: len(api.accepted) == 3, "the next of its key goes")
        assert await tell(site, "job-3", "F2") == 202
        await site.rests(2, "QUARANTINED", "confirmed-failed")
        assert api.asked == []
        await site.rests(3, "ACCEPTED", "accepted")


@in_reactor
async def test_after_a_start_it_is_known_as_before_and_who_is_not_known_says_nothing(tmp_path: Path) -> None:
    api = Slow()
    jobs(api)
    async with called_back(tmp_path, api) as site:
        await site.send(message(1, 1))
        await site.rests(1, "ACCEPTED", "accepted")
        await site.stop()
        await site.start()
        assert await tell(site, "job-1", "F1", token="another") == 401
        await site.rests(1, "ACCEPTED", "accepted")
        assert await tell(site, "job-1", "F1") == 202
        await site.rests(1, "DELIVERED", "confirmed")


@in_reactor
async def test_a_call_that_nobody_tells_about_needs_a_person_in_time(tmp_path: Path) -> None:
    api = Slow()
    jobs(api)
    async with called_back(tmp_path, api, within="50ms") as site:
        await site.send(message(1, 1))
        await site.rests(1, "QUARANTINED", "confirm-unknown")
        assert api.asked == []


@in_reactor
async def test_an_api_that_is_to_call_back_and_that_nothing_listens_to_is_found(tmp_path: Path) -> None:
    api = Slow()
    async with called_back(tmp_path, api) as site:
        root = site.folder / "site"
        (root / "channels" / "told.yaml").unlink()
        (root / "channels" / "apis" / "ehr.patients.told.yaml").unlink()
        (root / "mappings" / "told.yaml").unlink()
        with pytest.raises(ConfigurationRefused) as refused:
            load(root, STANDARD)
        assert [problem.code for problem in refused.value.problems] == ["C209"]

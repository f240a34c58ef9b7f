"""A node that publishes events into a real stream: one for each record, kept for it, and sent once more."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from databases import journal_url
from lane_messages import message
from nats_server import NatsServer, connected, kept
from nodes import Hospital, entries, hospital
from reactor_tests import in_reactor, until
from test_commands import command
from test_governed import compliance
from twisted.internet.threads import deferToThread

from bridge.cli.demo import CHANNEL
from bridge.cli.reading import Said, ask
from bridge.destinations.in_loop import in_loop
from bridge.journal.search import story

STREAM = """\
api: ehr.patients
events:
  nats: {{servers: ["{server}"], monitors: ["{monitor}"], stream: BRIDGE, within: 5s, connect_within: 2s}}
repeat_safety: header
retry: {{base: 50ms, cap: 200ms}}
breaker: {{open: 50ms, open_max: 200ms}}
operations:
  putPatient: {{send_only: [key, family, line1]}}
  mergePatients: {{send_only: [key, replaces]}}
"""
"""In the place of one of the site's APIs; the other stays what it is."""
WINDOW_S = 0.2
PROBE = "bridge.evt.probe"


class EventSite:
    """A hospital, one of whose APIs is a stream."""

    def __init__(self, site: Hospital, server: NatsServer) -> None:
        self.site, self.server = site, server

    async def events(self) -> list[dict[str, Any]]:
        """All that the stream holds, in order."""

        async def ask() -> list[dict[str, Any]]:
            client = await connected(self.server)
            try:
                return [event for _, event, _ in await kept(client)]
            finally:
                await client.close()

        return await in_loop(ask())

    async def forgets_ids(self) -> None:
        """Wait until the stream's duplicate window is over for all that it holds.

        The server forgets in the order of arrival: once it forgot the id of a later message it forgot all.
        """

        async def ask() -> None:
            client = await connected(self.server)
            stream = client.jetstream()
            headers = {"Nats-Msg-Id": str(uuid4())}
            try:
                await stream.publish(PROBE, b"", headers=headers)
                known: bool | None = True
                async with asyncio.timeout(60):
                    while known:
                        await asyncio.sleep(WINDOW_S / 4)
                        known = (await stream.publish(PROBE, b"", headers=headers)).duplicate
                await stream.purge_stream("BRIDGE", subject=PROBE)
            finally:
                await client.close()

        await in_loop(ask())


async def _make(server: NatsServer) -> None:
    client = await connected(server)
    await client.jetstream().add_stream(name="BRIDGE", subjects=["bridge.evt.>"], duplicate_window=WINDOW_S)
    await client.close()


async def asked(site: Hospital, **arguments: Any) -> dict[str, Any]:
    """What the node says to a replay."""
    said: dict[str, Any] = await deferToThread(
        ask, journal_url(site.folder), "replay", dry_run=False, force=False, **arguments
    )
    return said


@asynccontextmanager
async def publishing(folder: Path, *, sync: str = "always") -> AsyncIterator[EventSite]:
    server = NatsServer(folder / "nats", sync=sync)
    server.start()
    try:
        await in_loop(_make(server))
        async with hospital(folder) as site:
            await site.stop()
            api = folder / "site" / "channels" / "apis" / "ehr.patients.yaml"
            api.write_text(STREAM.format(server=server.address, monitor=server.monitor))
            channel = folder / "site" / "channels" / f"{CHANNEL}.yaml"
            channel.write_text(
                channel.read_text().replace("order_by:", "search: {account: PID-18.1}\norder_by:")
            )
            await site.start()
            yield EventSite(site, server)
    finally:
        server.stop()


@in_reactor
async def test_each_record_is_one_event_and_others_go_where_they_went(tmp_path: Path) -> None:
    async with publishing(tmp_path) as made:
        await made.site.send(message(1, 1), message(1, 2), message(2, 1))
        assert entries(await made.site.settled()) == {"delivered": 3}
        events = await made.events()
        assert made.site.node is not None
        journal_id = made.site.node.journal.facts.journal_id
        assert len(made.site.encounters.applied) == 3
        assert set(await compliance(made.site)) == {""}, "every policy was passed, in its order"
    assert [event["data"]["line1"].split()[0] for event in events if "100001" in event["data"]["key"]] == [
        "1",
        "2",
    ]
    assert all(event["id"].startswith(f"{journal_id}-") for event in events)
    assert len({event["id"] for event in events}) == 3
    assert {event["type"] for event in events} == {"patient.updated"}
    assert {event["source"] for event in events} == {f"urn:interface-bridge:{CHANNEL}"}
    assert len({event["partitionkey"] for event in events}) == 2
    for event in events:
        outside = json.dumps({name: value for name, value in event.items() if name != "data"})
        assert "10000" not in outside.replace(journal_id, "").partition("traceparent")[0]


@in_reactor
async def test_a_stream_that_syncs_now_and_then_gets_nothing_and_costs_only_its_own_way_out(
    tmp_path: Path,
) -> None:
    async with publishing(tmp_path, sync="") as made:
        site = made.site
        answers = await site.send(message(1, 1), message(2, 1))
        assert [each.code for each in answers] == ["AA", "AA"]
        await until(lambda: len(site.encounters.applied) == 2, "the other API has its calls")
        assert site.node is not None
        operation = site.node.outlets["ehr.patients"].gates["putPatient"]
        await until(lambda: operation.breaker.reason == "stream-not-sync-always", "the reason is told")
        assert await made.events() == []


@in_reactor
async def test_an_outage_of_the_stream_is_waited_for_in_order(tmp_path: Path) -> None:
    async with publishing(tmp_path) as made:
        await made.site.send(message(1, 1))
        await made.site.settled()
        made.server.kill()
        await made.site.send(*(message(patient, step) for step in range(2, 6) for patient in (1, 2, 3)))
        made.server.start()
        assert entries(await made.site.settled()) == {"delivered": 13}
        events = await made.events()
    steps: dict[str, list[int]] = {}
    for event in {event["id"]: event for event in events}.values():
        steps.setdefault(event["data"]["key"], []).append(int(event["data"]["line1"].split()[0]))
    assert sorted(steps.values()) == [[1, 2, 3, 4, 5], [2, 3, 4, 5], [2, 3, 4, 5]]


@in_reactor
async def test_a_replay_to_a_stream_alone_has_the_same_id_says_so_and_touches_no_other_api(
    tmp_path: Path,
) -> None:
    async with publishing(tmp_path) as made:
        site = made.site
        await site.send(message(1, 1), message(1, 2), message(2, 1))
        await site.settled()
        first = await made.events()
        plan = await command(
            site, "replay", "--since", "1h", "--api", "ehr.patients", "--event", "patient.updated"
        )
        assert "3 messages would be taken in once more\nto ehr.patients: 3, of which it has taken 3\n" in plan
        calls = len(site.encounters.attempts)
        for again in (1, 2):
            await made.forgets_ids()
            said = await asked(site, ids=[1, 2], api="ehr.patients", reason="a new reader")
            assert len(said["replayed"]) == 2
            await site.settled()
            events = await made.events()
            new = events[3 + 2 * (again - 1) :]
            known = {event["id"]: event for event in first}
            assert len(new) == 2, "both are in the stream once more"
            assert [event["replayof"] for event in new] == [event["id"] for event in new]
            for event in new:
                original = known[event["id"]]
                same = {
                    name: value for name, value in event.items() if name not in ("replayof", "traceparent")
                }
                assert same == {name: value for name, value in original.items() if name != "traceparent"}
        assert len(site.encounters.attempts) == calls, "another API was called again"
        assert site.node is not None
        replay = await site.node.journal.read(story, 4)
        assert replay is not None
        assert replay.message["flags"] == "replay only:ehr.patients"
        assert [each["reason"] for each in replay.deliveries] == ["kept-there", "not-replayed"]
        with pytest.raises(Said, match="did you mean"):
            await asked(site, ids=[1], api="ehr.patient", reason="a slip")


@in_reactor
async def test_a_replay_of_what_is_now_mapped_otherwise_is_another_event_that_names_the_first(
    tmp_path: Path,
) -> None:
    async with publishing(tmp_path) as made:
        site = made.site
        await site.send(message(1, 1))
        await site.settled()
        await site.stop()
        api = tmp_path / "site" / "channels" / "apis" / "ehr.patients.yaml"
        api.write_text(api.read_text().replace("[key, family, line1]", "[key, line1]"))
        await site.start()
        await asked(site, ids=[1], api="ehr.patients", reason="less of it")
        await site.settled()
        first, second = await made.events()
    assert second["id"] != first["id"]
    assert second["replayof"] == first["id"]
    assert "family" not in second["data"]

"""Retention and legal holds in a node that takes messages meanwhile."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from command_line import Ended, bridge_process
from databases import journal_url
from lane_messages import message
from nodes import hospital
from reactor_tests import in_reactor
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from bridge.journal.history import check
from bridge.journal.search import find_messages
from bridge.runtime.retention import Retention
from bridge.runtime.service import real_surroundings

pytestmark = pytest.mark.both_databases

DAY_US = 86_400_000_000


def kept(text: str) -> str:
    return text + "retention: {messages: 30d, bodies: 10d}\n"


@in_reactor
async def test_a_round_deletes_what_is_over_and_leaves_what_is_held(tmp_path: Path) -> None:
    async with hospital(tmp_path, kept) as site:
        await site.send(*(message(patient, 1) for patient in range(1, 7)))
        before = await site.settled()
        node = site.node
        assert node is not None
        key = message(2, 1).body.split(b"PID|")[1].split(b"|")[2].split(b"^")[0].decode()
        url = journal_url(tmp_path)
        ended = await deferToThread(
            bridge_process, "legal-hold", "add", key, "--reason", "case 1", "--journal", url
        )
        assert ended.out == "this key is under legal hold: 1 message now\n", ended.said
        ended = await deferToThread(
            bridge_process, "legal-hold", "add", key, "--reason", "case 2", "--journal", url
        )
        assert (ended.status, "under legal hold already" in ended.err) == (1, True), "none replaces another"
        ended = await deferToThread(
            bridge_process, "legal-hold", "list", "--journal", url, "--format", "json"
        )
        (row,) = json.loads(ended.out)
        assert (row["scope"], row["reason"], row["messages"]) == ("key", "case 1", 1)
        assert key not in ended.out
        world = real_surroundings(reactor)
        channels = node.parts.topology.channels

        async def after(days: int) -> tuple[int, int]:
            then = replace(world, now_us=lambda: world.now_us() + days * DAY_US, believed=None)
            later = Retention(node.journal, then)
            done = await later.round(channels)
            return done["messages"], done["bodies"]

        assert await after(9) == (0, 0)
        assert await after(11) == (0, 5)
        await site.send(message(7, 1))
        await site.settled()
        assert await after(31) == (5, 1)
        rows = await node.journal.read(find_messages)
        assert [row["id"] for row in rows] == [7, 2]
        now = await site.settled()
        assert now.balanced
        name = next(iter(before.received))
        assert now.channels[name]["delivered"] == before.channels[name]["delivered"] + 1
        assert (await node.journal.read(check)).violations == ()
        ended = await deferToThread(
            bridge_process, "legal-hold", "end", key, "--reason", "closed", "--journal", url
        )
        assert ended.status == 0, ended.said
        ended = await deferToThread(
            bridge_process, "legal-hold", "end", key, "--reason", "closed", "--journal", url
        )
        assert (ended.status, "there was no legal hold" in ended.err) == (1, True)
        assert await after(31) == (1, 0)


@in_reactor
async def test_a_hold_that_covers_nothing_says_so_and_stands(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        await site.send(message(1, 1))
        await site.settled()
        key = message(1, 1).body.split(b"PID|")[1].split(b"|")[2].split(b"^")[0].decode()

        async def said(*words: str) -> Ended:
            return await deferToThread(
                bridge_process, "legal-hold", *words, "--journal", journal_url(tmp_path)
            )

        for wrong, more in ((f"NORTH:{key}", "1 has what stands behind the colon"), ("nobody", "capital")):
            ended = await said("add", wrong, "--reason", "case 1")
            assert (ended.status, ended.out) == (1, "this key is under legal hold: 0 messages now\n")
            assert "warning: the hold covers nothing now" in ended.err
            assert more in ended.err
            assert "`bridge trace KEY`" in ended.err
        right = await said("add", key, "--reason", "case 1")
        assert (right.status, right.err) == (0, "")
        listed = await said("list")
        assert listed.out.count("nothing now") == 2
        held = json.loads((await said("list", "--format", "json")).out)
        assert sorted(row["messages"] for row in held) == [0, 0, 1]

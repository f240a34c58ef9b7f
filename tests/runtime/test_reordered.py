"""Another ``order_by``: nothing overtakes what was made under the one before, at a reload and at a start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from lane_messages import ORDER_BY_MERGE, line, message
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, pause
from sqlalchemy import Connection, select
from test_commands import command
from twisted.internet.defer import Deferred

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_api import Fault
from bridge.journal.files import KEEP
from bridge.journal.schema import messages
from bridge.journal.search import find_messages
from bridge.runtime.commands import Commands
from bridge.runtime.reload import ReloadRefused
from bridge.runtime.service import Node


def node_of(site: Hospital) -> Node:
    assert site.node is not None
    return site.node


async def status(site: Hospital) -> Any:
    node = node_of(site)
    return await Commands(node.parts, node.traffic, node.reload, node.stages, node.approving)(
        "user:anna", "status", {}
    )


def by_visit(site: Hospital) -> None:
    """Order is kept for another thing."""
    file = site.folder / "site" / "channels" / f"{CHANNEL}.yaml"
    file.write_text(line("order_by: PID-3(5=MR)", "order_by: PV1-19.1")(file.read_text()))


async def keys(site: Hospital) -> list[bytes | None]:
    """What each message keeps its order by."""
    assert site.node is not None

    def of_messages(connection: Connection) -> list[bytes | None]:
        rows = connection.execute(select(messages.c.key_hash).order_by(messages.c.id))
        return list(rows.scalars())

    return await site.node.journal.read(of_messages)


@in_reactor
async def test_what_arrives_while_the_order_is_exchanged_has_the_new_one(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        journal = site.node.journal
        whole = journal.submit

        def meanwhile(work: Any, item: Any, **more: Any) -> Any:
            if work is not KEEP:
                return whole(work, item, **more)
            arrived = Deferred.fromCoroutine(site.send(message(1, 1)))
            arrived.addCallback(lambda _: Deferred.fromCoroutine(pause(0.2)))
            return arrived.addCallback(lambda _: whole(work, item, **more))

        by_visit(site)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(journal, "submit", meanwhile)
            assert (await node_of(site).reload()).difference.reordered == (CHANNEL,)
        await site.send(message(1, 2))
        assert entries(await site.settled()) == {"delivered": 2}
        first, second = await keys(site)
        assert first == second


@in_reactor
async def test_a_reload_that_is_refused_leaves_translation_as_it_was(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        await site.send(message(1, 1))
        await pause(0.2)
        by_visit(site)
        with pytest.raises(ReloadRefused):
            await node_of(site).reload()
        site.patients._faults.clear()
        await site.send(message(1, 2))
        assert entries(await site.settled()) == {"delivered": 2}
        first, second = await keys(site)
        assert first == second


@in_reactor
async def test_a_start_with_another_order_lets_what_is_open_end_first(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("bridge.runtime.order.LOOK_AGAIN_S", 0.05)
    async with hospital(tmp_path) as site:
        site.patients.plant(Fault("status", status=503, times=None))
        await site.send(message(1, 1))
        await pause(0.2)
        await site.stop()
        by_visit(site)
        node = await site.start()
        assert [each.code for each in await site.send(message(1, 2))] == ["AA"]
        await pause(0.3)
        assert await keys(site) == [(await keys(site))[0], None], "the second waits for its translation"
        assert (await status(site))["channels"][CHANNEL]["keeps_old_order"] == 1
        site.patients._faults.clear()
        assert entries(await site.settled()) == {"delivered": 2}
        assert steps_of(site.patients, "100001") == [1, 2]
        assert node.parts.reordered == {}
        first, second = await keys(site)
        assert first != second
        await site.stop()
        await site.start()
        assert site.node is not None
        assert site.node.parts.reordered == {}


@pytest.mark.both_databases
@in_reactor
async def test_an_order_that_finds_no_key_is_mended_while_what_it_kept_back_waits(tmp_path: Path) -> None:
    wrong = line("order_by: PID-3(5=MR)", "order_by: PID-3(5=XX)")
    async with hospital(tmp_path, wrong) as site:
        journal = node_of(site).journal
        await site.send(message(1, 1), message(1, 2))
        while len(found := await journal.read(find_messages, state="QUARANTINED")) < 2:
            await pause(0.05)
        assert {row["reason"] for row in found} == {"no-key"}
        file = site.folder / "site" / "channels" / f"{CHANNEL}.yaml"
        file.write_text(line("order_by: PID-3(5=XX)", "order_by: PID-3(5=MR)")(file.read_text()))
        assert "`order_by`" in await command(site, "quarantine", "list")
        assert (await node_of(site).reload()).difference.reordered == (CHANNEL,)
        await command(site, "quarantine", "retry", "m1", "m2", "--reason", "order_by was wrong")
        assert entries(await site.settled()) == {"delivered": 2}
        assert steps_of(site.patients, "100001") == [1, 2]


@in_reactor
async def test_what_has_only_some_of_its_keys_keeps_their_order_until_it_is_set_aside(tmp_path: Path) -> None:
    async with hospital(tmp_path, ORDER_BY_MERGE) as site:
        journal = node_of(site).journal
        await site.send(message(1, 1, "A40"))
        while not await journal.read(find_messages, state="QUARANTINED"):
            await pause(0.05)
        file = site.folder / "site" / "channels" / f"{CHANNEL}.yaml"
        file.write_text(line("MRG-1]}}", "MRG-4]}}")(file.read_text()))
        with pytest.raises(ReloadRefused, match="bridge quarantine skip"):
            await node_of(site).reload()
        await command(site, "quarantine", "skip", "m1", "--reason", "another order comes")
        assert (await node_of(site).reload()).difference.reordered == (CHANNEL,)

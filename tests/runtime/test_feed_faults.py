"""A fault of the bridge's own in feeding an old engine costs a pause, and no message."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import test_files_relayed as files_relayed
from captured_logs import captured_logs
from file_hospital import drop, some, whole
from mllp_doors import Peer
from nodes import Hospital
from reactor_tests import in_reactor, until
from test_relayed_answers import codes, feeds, relaying

from bridge.cli.demo import CHANNEL
from bridge.cli.synthetic import Synthetic, admission
from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import END, START
from bridge.journal.feeding import owed_feeds
from bridge.runtime.feed import Feed
from bridge.runtime.file_feed import FileFeed

FAULTY, NEXT = admission(1, 1, "A01", control_id="FAULTY"), admission(2, 1, "A01", control_id="NEXT")
OTHER = admission(3, 1, "A01", control_id="OTHER")


async def connected(site: Hospital, source: str) -> Peer:
    """A sender of that address."""
    assert site.node is not None
    port = site.node.addresses()[CHANNEL]
    return Peer(*await in_loop(asyncio.open_connection("127.0.0.1", port, local_addr=(source, 0))))


def send(peer: Peer, *messages: Synthetic) -> None:
    peer.send(b"".join(START + each.body + END + b"\r" for each in messages))


class Broken:
    """A step of ours that fails wherever it is about the message `FAULTY`, until it is mended."""

    def __init__(self, patched: pytest.MonkeyPatch, kind: type, step: str) -> None:
        self.failed, self.mended = 0, False
        works = getattr(kind, step)

        def breaks(*arguments: Any) -> Any:
            about = any(b"FAULTY" in getattr(each, "body", b"") for each in arguments)
            if not self.mended and (about or kind is FileFeed):
                self.failed += 1
                raise ZeroDivisionError("CASTRO^ADA")
            return works(*arguments)

        patched.setattr(kind, step, breaks)


@pytest.mark.parametrize("step", ["_ask", "_judged"])
@in_reactor
async def test_a_message_with_a_fault_is_kept_and_tried_again_and_other_senders_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    with captured_logs() as log:
        async with relaying(tmp_path) as (site, engine):
            broken = Broken(monkeypatch, Feed, step)
            one, another = await connected(site, "127.0.0.1"), await connected(site, "127.0.0.2")
            send(one, FAULTY, NEXT)
            await until(lambda: broken.failed > 1, "it is tried again")
            send(another, OTHER)
            (answer,) = await another.answers(1)
            assert b"MSA|AA|OTHER" in answer
            assert [each.control_id for each in engine.applied if each.control_id == "NEXT"] == []
            await until(lambda: broken.failed > 2, "and again")
            assert (await feeds(site))["OWED"] == 2
            broken.mended = True
            await until(lambda: len(engine.applied) == 3, "it goes, and what follows it")
            # What the engine had answered before the fault it is not asked once more.
            order = [each.control_id for each in engine.blocks if each.control_id != "OTHER"]
            assert order == ["FAULTY", "NEXT"]
            one.close()
            another.close()
    said = log.getvalue()
    assert said.count("feed-fault") == 1, "told once"
    assert "CASTRO" not in said
    assert "task-failed" not in said


@in_reactor
async def test_a_fault_in_reading_what_is_owed_ends_no_feeding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    failed: list[Any] = []

    def breaks(*arguments: Any) -> Any:
        if len(failed) < 2:
            failed.append(arguments)
            raise ZeroDivisionError
        return owed_feeds(*arguments)

    monkeypatch.setattr("bridge.runtime.feed.owed_feeds", breaks)
    with captured_logs() as log:
        async with relaying(tmp_path) as (site, engine):
            await until(lambda: len(failed) == 2, "it is read again")
            await codes(site, OTHER)
            await until(lambda: len(engine.applied) == 1, "the engine is given what comes")
    assert log.getvalue().count("feed-fault") == 1


@in_reactor
async def test_a_file_with_a_fault_is_kept_and_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with captured_logs() as log:
        async with files_relayed.relaying(tmp_path) as (_, incoming, job):
            broken = Broken(monkeypatch, FileFeed, "_hidden")
            drop(incoming, "a.hl7", whole(some(1)))
            await until(lambda: broken.failed > 2, "it is tried again")
            broken.mended = True
            await until(lambda: list(files_relayed.lies_in(job)) == ["a.hl7"], "the job has it")
    assert log.getvalue().count("feed-fault") == 1

"""What a sender hears of the old engine's answer, and when: before or after the journal has it."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from certificates import make
from nodes import Hospital
from reactor_tests import in_reactor, until

from bridge.cli.demo import CHANNEL
from bridge.cli.fake_mllp import FakeReceiver, Fault
from bridge.cli.synthetic import Synthetic, admission
from bridge.destinations.in_loop import in_loop
from bridge.journal.feeding import FED, feed_counts
from bridge.journal.search import story
from bridge.runtime.feed import Feed

SITE = """\
channel: {channel}
source:
  mllp:
    listen: "tcp:0:interface=127.0.0.1"
    acknowledge: relayed
    answer: {{within: 400ms, late: AE}}
accept: [ADT^*]
order_by: PID-3.1
legacy: {{mllp: "{engine}"{more}}}
routes:
  - route: copy
    to: {{api: receiver}}
"""
API = """\
api: receiver
mllp: {connect: "tcp:127.0.0.1:1"}
send: original
carries: {phi: true}
repeat_safety: header
"""
ADMISSION = admission(7, 1, "A08", control_id="M1")


@asynccontextmanager
async def relaying(
    folder: Path, *, tls: ssl.SSLContext | None = None, more: str = ""
) -> AsyncIterator[tuple[Hospital, FakeReceiver]]:
    """A node before an engine."""
    engine, site = FakeReceiver(), Hospital(folder)
    address = await in_loop(engine.start(tls=tls))
    apis = folder / "site" / "channels" / "apis"
    apis.mkdir(parents=True)
    (folder / "site" / "mappings").mkdir()
    (apis.parent / f"{CHANNEL}.yaml").write_text(SITE.format(channel=CHANNEL, engine=address, more=more))
    (apis / "receiver.yaml").write_text(API)
    await site.start()
    try:
        yield site, engine
    finally:
        await site.stop()
        await in_loop(engine.stop())


async def codes(site: Hospital, *messages: Synthetic) -> list[str]:
    return [each.code for each in await site.send(*messages)]


async def feeds(site: Hospital) -> dict[str, int]:
    assert site.node is not None
    return dict((await site.node.journal.read(feed_counts)).get(CHANNEL, {}))


def write_no_answers(site: Hospital, why: str) -> None:
    assert site.node is not None
    site.node.journal.refuse(FED, why)


@in_reactor
async def test_an_acceptance_is_heard_before_it_is_written_and_so_it_is_by_a_repeat(tmp_path: Path) -> None:
    async with relaying(tmp_path) as (site, engine):
        write_no_answers(site, "not now")
        assert await codes(site, ADMISSION) == ["AA"]
        assert await feeds(site) == {"OWED": 1}
        assert await codes(site, ADMISSION) == ["AA"], "who asks again hears the same"
        assert len(engine.blocks) == 1
        write_no_answers(site, "")
        await until(lambda: site.node is not None and not site.node.parts.feeds[CHANNEL].owed, "written")
        assert await feeds(site) == {"GIVEN": 1}
        found = await site.node.journal.read(story, 1) if site.node is not None else None
        assert found is not None
        assert found.message["answer_code"] == "AA"


@in_reactor
async def test_what_was_heard_and_not_written_goes_to_the_engine_again_after_a_crash(tmp_path: Path) -> None:
    async with relaying(tmp_path) as (site, engine):
        write_no_answers(site, "not now")
        assert await codes(site, ADMISSION) == ["AA"]
        # As a crash leaves it: the journal does not know of the answer.
        assert site.node is not None
        feed = site.node.parts.feeds[CHANNEL]
        assert isinstance(feed, Feed)
        feed._writing.cancel()
        await site.stop()
        await site.start()
        await until(lambda: len(engine.blocks) == 2, "the engine gets it once more")
        assert len(engine.applied) == 1, "and knows it again"


@in_reactor
async def test_a_refusal_is_written_before_it_is_heard(tmp_path: Path) -> None:
    async with relaying(tmp_path) as (site, engine):
        engine.plant(Fault("answer", code="AE"))
        write_no_answers(site, "not now")
        (late,) = await site.send(ADMISSION)
        assert late.code == "AE"
        assert "has not answered yet" in late.text, "not the engine's refusal, but that it is late"
        write_no_answers(site, "")
        await until(lambda: site.node is not None and not site.node.parts.feeds[CHANNEL].owed, "written")
        assert await codes(site, ADMISSION) == ["AA"], "the same again is new"
        assert len(engine.applied) == 1


@in_reactor
async def test_an_answer_that_is_no_hl7_is_heard_as_it_is_and_the_same_again_goes_to_the_engine(
    tmp_path: Path,
) -> None:
    async with relaying(tmp_path) as (site, engine):
        engine.plant(Fault("garbage"))
        assert await codes(site, ADMISSION) != ["AA"]
        await until(lambda: site.node is not None and not site.node.parts.feeds[CHANNEL].owed, "written")
        assert site.node is not None
        found = await site.node.journal.read(story, 1)
        assert found is not None
        assert found.message["answer_code"] == "?"
        assert await codes(site, ADMISSION) == ["AA"], "the same again is new"
        assert len(engine.blocks) == 2


@pytest.mark.parametrize(("trusted", "code"), [("ca", "AA"), ("stranger", "AE")])
@in_reactor
async def test_an_engine_is_spoken_to_over_tls_if_it_is_the_one(
    tmp_path: Path, trusted: str, code: str
) -> None:
    authority, stranger = make(tmp_path, "ca"), make(tmp_path, "stranger")
    own = make(tmp_path, "engine", authority)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.path, own.key_path)
    ca = {"ca": authority, "stranger": stranger}[trusted].path
    async with relaying(tmp_path, tls=context, more=f", tls: {{ca: {ca}}}") as (site, engine):
        assert await codes(site, ADMISSION) == [code]
        assert len(engine.blocks) == (code == "AA"), "no byte goes to another"
        assert site.node is not None
        away = site.node.parts.feeds[CHANNEL].away
        assert ("tls-untrusted: " in away) == (code == "AE")


@in_reactor
async def test_half_of_a_renewed_certificate_keeps_messages_until_the_other_half_is_there(
    tmp_path: Path,
) -> None:
    ca, ours = make(tmp_path, "ca"), make(tmp_path, "ours", purpose="client", fresh=True)
    half = ours.key_path.read_bytes()
    ours = make(tmp_path, "ours", purpose="client", fresh=True)
    whole = ours.key_path.read_bytes()
    ours.key_path.write_bytes(half)
    own = make(tmp_path, "engine", ca)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own.path, own.key_path)
    files = f", tls: {{ca: {ca.path}, certificate: {ours.path}, key: {ours.key_path}}}"
    async with relaying(tmp_path, tls=context, more=files) as (site, engine):
        assert await codes(site, ADMISSION) == ["AE"]
        assert site.node is not None
        feed = site.node.parts.feeds[CHANNEL]
        assert f"{ours.path} and {ours.key_path} do not belong together" in feed.away
        ours.key_path.write_bytes(whole)
        await until(lambda: not feed.owed, "the engine has it")
        assert (len(engine.applied), feed.away) == (1, "")

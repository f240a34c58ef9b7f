"""Application acknowledgements that are owed to a sender's listener survive `kill -9`."""

from __future__ import annotations

from pathlib import Path

import pytest
from ack_listener import AckListener
from command_line import bridge
from databases import journal_url
from reactor_tests import in_reactor, pause, until

from bridge.cli.demo_site import write_site
from bridge.cli.fake_api import FakeApi
from bridge.cli.processes import BridgeProcess
from bridge.cli.send import Sender
from bridge.cli.synthetic import Synthetic, admissions
from bridge.destinations.in_loop import in_loop
from bridge.formats.hl7v2_reply import Acknowledged

MESSAGES = 40
DEAD = "http://127.0.0.1:9"


def site_with(folder: Path, options: str) -> Path:
    site = write_site(folder / "site", patients_url=DEAD, encounters_url=DEAD)
    channel = site / "channels" / "ehr-adt.yaml"
    text = channel.read_text()
    assert 'interface=127.0.0.1"}' in text
    channel.write_text(text.replace('interface=127.0.0.1"}', f'interface=127.0.0.1", {options}}}'))
    return site


def asking(message: Synthetic) -> bytes:
    assert b"|||AL|NE|" in message.body
    return message.body.replace(b"|||AL|NE|", b"|||AL|AL|")


@pytest.mark.live
@pytest.mark.both_databases
@in_reactor
async def test_what_is_owed_is_sent_after_kills_in_order_and_none_is_lost(tmp_path: Path) -> None:
    # It confirms a few, then lets one wait: the first process dies with that one under way.
    listener = AckListener(["confirm"] * 5 + ["silent"])
    port = await in_loop(listener.start())
    site = site_with(tmp_path, f'mode: from-message, application_ack: "tcp:127.0.0.1:{port}"')
    journal, log = journal_url(tmp_path), tmp_path / "node.log"
    messages = list(admissions(MESSAGES, steps=1))
    node = BridgeProcess(site, journal, log)
    try:
        sender = Sender("127.0.0.1", node.ports["ehr-adt"], wait_s=10)
        for message in messages:
            assert Acknowledged.read(sender.send(asking(message))).code == "CA"
        sender.close()
        await until(lambda: len(listener.blocks) >= 6, "some are told, and one is under way")
        node.kill()
        await in_loop(listener.stop())
        node = BridgeProcess(site, journal, log)
        await pause(0.2)  # nobody listens now; whatever it tries comes to nothing
        node.kill()
        await in_loop(listener.start(port))
        node = BridgeProcess(site, journal, log)
        await until(lambda: len(listener.blocks) > MESSAGES, "all are told")
        assert node.stop() == 0
    finally:
        node.stop()
        await in_loop(listener.stop())
    told = list(dict.fromkeys(listener.blocks))
    assert [Acknowledged.read(block).control_id for block in told] == [each.control_id for each in messages]
    assert {Acknowledged.read(block).code for block in told} == {"AA"}
    assert len(listener.blocks) - len(told) == 1, "only the one that was under way is told twice"


@pytest.mark.live
@pytest.mark.both_databases
@in_reactor
async def test_what_was_not_known_yet_when_the_process_died_is_told_when_it_is(tmp_path: Path) -> None:
    listener, api = AckListener(), FakeApi()
    port = await in_loop(listener.start())
    waits = "acknowledge: delivered, answer: {within: 1m}"
    site = site_with(tmp_path, f'mode: enhanced, application_ack: "tcp:127.0.0.1:{port}", {waits}')
    journal, log = journal_url(tmp_path), tmp_path / "node.log"
    messages = list(admissions(5, steps=1))
    node = BridgeProcess(site, journal, log)
    try:
        sender = Sender("127.0.0.1", node.ports["ehr-adt"], wait_s=10)
        for message in messages:
            assert Acknowledged.read(sender.send(asking(message))).code == "CA"
        sender.close()
        node.kill()
        assert listener.blocks == [], "no API was there to take a message"
        url = await in_loop(api.start())
        for file in (site / "channels" / "apis").iterdir():
            file.write_text(file.read_text().replace(DEAD, url))
        node = BridgeProcess(site, journal, log)
        await until(lambda: len(listener.blocks) == 5, "all are told")
        assert node.stop() == 0
    finally:
        node.stop()
        await in_loop(api.stop())
        await in_loop(listener.stop())
    assert sorted(listener.heard) == sorted(("AA", each.control_id) for each in messages)


@pytest.mark.live
@pytest.mark.both_databases
def test_bridge_send_shows_both_answers(tmp_path: Path) -> None:
    site = site_with(tmp_path, "mode: from-message")
    file = tmp_path / "two.hl7"
    file.write_bytes(b"".join(asking(message) for message in admissions(2, steps=1)))
    node = BridgeProcess(site, journal_url(tmp_path), tmp_path / "node.log")
    try:
        address = f"127.0.0.1:{node.ports['ehr-adt']}"
        both = bridge("send", file, address, "--wait-application")
        first = bridge("send", file, address)
    finally:
        assert node.stop() == 0
    assert (both.status, first.status) == (0, 0)
    assert [row.split()[:2] for row in both.out.splitlines()] == [
        [code, f"MSG0000{number}00001"] for number in (0, 1) for code in ("CA", "AA")
    ]
    assert [row.split()[0] for row in first.out.splitlines()] == ["CA", "CA"]
    assert "2 sent, 2 accepted, 0 not" in both.err

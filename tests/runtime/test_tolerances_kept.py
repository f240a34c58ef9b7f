"""What was tolerated of a message stays known, across a restart and a translation once more."""

from __future__ import annotations

from pathlib import Path

import pytest
from nodes import entries, hospital
from odd_sender import Connection
from reactor_tests import in_reactor, until

from bridge.cli.demo import CHANNEL
from bridge.cli.synthetic import admission
from bridge.delivery.state import MessageState
from bridge.destinations.in_loop import in_loop
from bridge.formats.mllp_framing import frame
from bridge.journal.search import find_messages
from bridge.journal.tolerances import charsets, tolerated
from bridge.runtime.service import Node

BODY = admission(1, 1, "A01", control_id="ODD1").body
KEYLESS = b"\r".join(line for line in BODY.split(b"\r") if not line.startswith(b"PID|"))
ODD = b"junk" + frame(KEYLESS.replace(b"\r", b"\n"))
CODES = {"bytes-before-block": 1, "lf-line-ends": 1}


async def send(port: int) -> None:
    connection = await Connection.to(port)
    await connection.write(ODD)
    await connection.answers(1)
    await connection.close()


async def known(node: Node) -> tuple[object, object]:
    """What the journal has of the channel: tolerances and character sets."""
    odd, sets = await node.journal.read(tolerated), await node.journal.read(charsets)
    return odd.get(CHANNEL), sets.get(CHANNEL)


@pytest.mark.both_databases
@in_reactor
async def test_what_was_tolerated_stays_known(tmp_path: Path) -> None:
    expected = CODES, {"utf-8 msh-18": 1}
    async with hospital(tmp_path) as site:
        assert site.node is not None
        await in_loop(send(site.node.addresses()[CHANNEL]))
        counts = await site.settled()
        assert entries(counts) == {"quarantined": 1}
        assert await known(site.node) == expected
        await site.stop()
        node = await site.start()
        assert await known(node) == expected

        (row,) = await node.journal.read(find_messages)
        state, reason = await node.translators[CHANNEL].again(row["id"], BODY, actor="somebody", at_us=1)
        assert (state, reason) == (MessageState.MAPPED, "")
        await until(lambda: site.patients.applied != [], "the corrected message went through")
        (row,) = await node.journal.read(find_messages)
        assert row["tolerated"] == "bytes-before-block lf-line-ends", "what its sender had sent"

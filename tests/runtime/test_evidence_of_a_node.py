"""Evidence that a node's journal gives: it verifies where there is no journal, and holds no content."""

from __future__ import annotations

import json
import os
import random
import shlex
from pathlib import Path

import pytest
from approved_node import approved
from command_line import bridge, bridge_process
from databases import journal_url
from lane_messages import message
from reactor_tests import in_reactor
from twisted.internet.threads import deferToThread

from bridge.journal.actions import NOTE, ActionRow

pytestmark = pytest.mark.both_databases
PAGE = Path(__file__).parents[2] / "deploy" / "README.md"


def shown_on_the_page() -> list[list[str]]:
    """The commands of the page, as somebody types them."""
    block = PAGE.read_text().partition("<!-- evidence -->\n```sh\n")[2].partition("```")[0]
    return [shlex.split(line)[1:] for line in block.splitlines()]


@in_reactor
async def test_evidence_verifies_without_a_journal_and_not_with_a_byte_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, flips: int
) -> None:
    monkeypatch.setenv("BRIDGE_SECRETS", str(tmp_path / "secrets"))
    monkeypatch.setenv("BRIDGE_AUDIT_KEY", "secret://file/audit-key")
    made = bridge("audit", "key", "new", "hospital-north")
    assert made.status == 0, made.said
    key = next(line for line in made.out.splitlines() if line.startswith("hospital-north+"))
    async with approved(tmp_path) as (site, _):
        assert site.node is not None
        await site.send(*(message(number, number % 5) for number in range(1, 31)))
        await site.settled()
        now_us = site.node.parts.world.now_us()
        looked = ActionRow(now_us, "user:anna", "reveal", "message 3", "asked")
        await site.node.journal.submit(NOTE, looked)
    monkeypatch.setenv("BRIDGE_JOURNAL", journal_url(tmp_path))
    monkeypatch.chdir(tmp_path)
    write, verify = shown_on_the_page()
    written = await deferToThread(bridge, *write)
    assert written.status == 0, written.said
    assert key in written.out
    content = (tmp_path / "quarter.evidence").read_bytes()
    assert (tmp_path / "quarter.evidence").stat().st_mode & 0o777 == 0o600
    again = await deferToThread(bridge, *write)
    assert (again.status, "is there already, and is not written over" in again.err) == (2, True), again.said
    assert (tmp_path / "quarter.evidence").read_bytes() == content
    # No value of any message, and none of the words that its fields hold.
    for value in (b"MSH|", b"PID|", b"Testfamilie"):
        assert value not in content
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "north.pub").write_text(key + "\n")
    (elsewhere / "quarter.evidence").write_bytes(content)
    alone = {"BRIDGE_JOURNAL": "sqlite:///nowhere/none.db", "BRIDGE_SECRETS": "no", "BRIDGE_AUDIT_KEY": ""}
    good = bridge_process(*verify, "--format", "json", cwd=elsewhere, **alone)
    assert good.status == 0, good.said
    told = json.loads(good.out)
    assert told["problems"] == []
    assert told["counts"]["step"] >= 30 * 5
    assert told["counts"]["access"] == 1
    assert (told["counts"]["bundle"], told["counts"]["statement"]) == (2, 2)
    assert told["counts"]["verdicts"] >= 1
    assert told["counts"]["account"] >= 1
    assert sorted(os.listdir(elsewhere)) == ["north.pub", "quarter.evidence"]
    chance = random.Random(3)
    parts = first_bytes(content)
    assert {"evidence", "checkpoint", "commit", "step", "action", "bundle", "statement", "note"} <= {*parts}
    places = [at + 20 for at in parts.values()] + chance.choices(range(len(content)), k=flips)
    for place in places:
        changed = bytearray(content)
        changed[place] ^= 1 << chance.randrange(8)
        (elsewhere / "changed").write_bytes(changed)
        ended = await deferToThread(bridge, "evidence", "verify", elsewhere / "changed", "--key", key)
        assert ended.status == 1, place
        assert "WRONG: " in ended.out
    print(
        f"{len(places)} flips in {len(content)} bytes, at least one in each of {', '.join(parts)}: all fail"
    )


def first_bytes(content: bytes) -> dict[str, int]:
    """Where each section of the file begins, and the note behind them."""
    found: dict[str, int] = {}
    at = 0
    for line in content.splitlines(keepends=True):
        name = line.split(b'"')[1].decode() if line.startswith(b'{"') else "note"
        found.setdefault(name, at)
        at += len(line)
    return found


def test_evidence_needs_a_key_a_time_and_a_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BRIDGE_SECRETS", str(tmp_path))
    monkeypatch.delenv("BRIDGE_AUDIT_KEY", raising=False)
    file = tmp_path / "x"
    assert "say --from and --out" in bridge("evidence").err
    assert "`bridge audit key new` makes one" in bridge("evidence", "--from", "1h", "--out", file).err
    assert "this is not before --to" in bridge("evidence", "--from", "1h", "--to", "2h", "--out", file).err
    file.write_text("{}\n")
    assert "expected a public key" in bridge("evidence", "verify", file, "--key", "a+b+c").err

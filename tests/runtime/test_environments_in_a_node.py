"""The environment of a node: whose values it works with, and where that is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from captured_logs import captured_logs
from command_line import Ended, bridge_process
from lane_messages import message
from nodes import Hospital, hospital
from reactor_tests import in_reactor
from twisted.internet import reactor
from twisted.internet.threads import deferToThread

from bridge.catalog import STANDARD
from bridge.cli.demo import CHANNEL, no_secrets
from bridge.config.load import load
from bridge.errors import JournalRefused
from bridge.journal.sealing import Key
from bridge.runtime.service import Plan, real_surroundings, start
from bridge.units import SecretRef

KEY = Key.made("first", bytes(32)).line

ENVIRONMENT = "environment: {}\nproduction: {}\nvalues:\n  patients: {}\n"


async def status(site: Hospital) -> dict[str, Any]:
    url = f"sqlite:///{site.folder / 'journal.db'}"
    ended: Ended = await deferToThread(
        bridge_process, "status", "--journal", url, "--format", "json", NO_COLOR="1"
    )
    assert ended.status == 0, ended.said
    node: dict[str, Any] = json.loads(ended.out)["node"]
    return node


@in_reactor
async def test_a_node_calls_where_its_environment_says_and_tells_which_it_is(tmp_path: Path) -> None:
    made = Hospital(tmp_path)
    await made.open()
    try:
        site = tmp_path / "site"
        api = site / "channels" / "apis" / "ehr.patients.yaml"
        text = api.read_text()
        (url,) = (line for line in text.splitlines() if line.startswith("base_url: "))
        api.write_text(text.replace(url, "base_url: value://patients"))
        environments = site / "channels" / "environments"
        environments.mkdir()
        (environments / "prod.yaml").write_text(ENVIRONMENT.format("prod", "true", url.partition(": ")[2]))
        (environments / "test.yaml").write_text(ENVIRONMENT.format("test", "false", "http://127.0.0.1:9"))
        topology = load(site, STANDARD, environment="prod")
        journal = f"sqlite:///{tmp_path / 'journal.db'}"
        with pytest.raises(JournalRefused, match="BRIDGE_JOURNAL_KEYS"):
            await start(Plan(topology, journal, no_secrets, 0), real_surroundings(reactor))
        assert not (tmp_path / "journal.db").exists()
        plan = Plan(topology, journal, lambda _: KEY, 0, journal_keys=SecretRef("env", "JOURNAL_KEYS"))
        with captured_logs() as logs:
            made.node = await start(plan, real_surroundings(reactor))
        events = [json.loads(line) for line in logs.getvalue().splitlines() if line.startswith("{")]
        (began,) = (each for each in events if each["event"] == "started")
        assert began["environment"] == "prod"
        await made.send(message(1, 1))
        assert (await made.settled()).balanced
        assert len(made.patients.applied) == 1
        told = await status(made)
        assert (told["environment"], told["production"]) == ("prod", True)
        for words in (("apis",), ("apis", "sunset"), ("cutover", CHANNEL)):
            named = ("--config", site, "--journal", journal)
            kept = "secret://env/JOURNAL_KEYS"
            ended = await deferToThread(
                bridge_process, *words, *named, BRIDGE_JOURNAL_KEYS=kept, JOURNAL_KEYS=KEY
            )
            assert ended.status == 0, ended.said
    finally:
        await made.close()


@in_reactor
async def test_a_node_without_an_environment_says_that_it_has_none(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        told = await status(site)
        assert (told["environment"], told["production"]) == (None, False)

"""A code that no table has: its messages wait, are listed, and go in order once the table has it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from command_line import Ended, bridge_process
from databases import journal_url
from lane_messages import message
from nodes import Hospital, entries, hospital, steps_of
from reactor_tests import in_reactor, pause, until
from sqlalchemy import Connection, func, select
from twisted.internet.threads import deferToThread

from bridge.journal.schema import actions

MAPPING = "mappings/adt-admit.yaml"
NULL, REJECT = "translate: sex, unmapped: null", "translate: sex, unmapped: reject"
ODD = {"19410211|M|": b"19410211|Q|"}


async def command(site: Hospital, *arguments: object, status: int = 0) -> Ended:
    url = journal_url(site.folder)
    ended: Ended = await deferToThread(bridge_process, *arguments, "--journal", url, NO_COLOR="1")
    assert ended.status == status, ended.said
    return ended


def change(site: Hospital, old: str, new: str) -> None:
    file = site.folder / "site" / MAPPING
    # Its tests say what the tables were.
    text = file.read_text().partition("\ntests:\n")[0] + "\n"
    assert old in text
    file.write_text(text.replace(old, new))


def tries(connection: Connection) -> int:
    """How often a reload has tried again what waits for codes."""
    count = select(func.count()).select_from(actions).where(actions.c.actor == "bridge")
    return int(connection.execute(count).scalar_one())


@pytest.mark.both_databases
@in_reactor
async def test_what_waits_for_a_code_is_listed_and_goes_in_order_once_the_table_has_it(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        change(site, NULL, REJECT)
        await site.node.reload()
        await site.send(
            message(1, 1),
            message(1, 2, changed=ODD),
            message(1, 3, changed=ODD),
            message(1, 4),
            message(2, 1),
        )
        await until(lambda: steps_of(site.patients, "100002") == [1], "other patients go on")
        await until(lambda: steps_of(site.patients, "100001") == [1], "what came before goes")
        listed = await command(site, "codes", "list", "--format", "json", status=1)
        (row,) = json.loads(listed.out)
        assert (row["mapping"], row["field"], row["source"]) == ("adt-admit", "patient.sex", "PID-8")
        assert (row["count"], row["waiting"]) == (2, [2, 3])
        shown = await command(site, "codes", "list", status=1)
        assert "m2" in shown.out
        assert "100001" not in shown.out
        tried = await command(site, "codes", "retry", "--reason", "to see", status=1)
        assert tried.out.count("it is in quarantine again: mapping-failed") == 2
        await until(lambda: steps_of(site.patients, "100001") == [1], "the table has it not yet")
        change(site, "{F: female, M: male, O: other", "{Q: other, F: female, M: male, O: other")
        await site.node.reload()
        await command(site, "codes", "retry", "--reason", "Q is other", "--channel", "ehr-adt")
        assert entries(await site.settled()) == {"delivered": 5}
        assert steps_of(site.patients, "100001") == [1, 2, 3, 4]
        assert (await command(site, "codes", "retry", "--reason", "again")).out == ""


HOLD = "translate: sex, unmapped: hold"


@in_reactor
async def test_what_is_held_for_a_code_goes_by_itself_once_a_reload_brings_it(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        # A record that is refused harms no other, and a message that is held waits whole all the same.
        change(site, NULL, HOLD)
        change(site, "on_reject: fail_message", "on_reject: skip")
        await site.node.reload()
        await site.send(*(message(1, step, changed=ODD if step in (2, 3) else {}) for step in range(1, 5)))
        await until(lambda: steps_of(site.patients, "100001") == [1], "what came before goes")
        (row,) = json.loads((await command(site, "codes", "list", "--format", "json", status=1)).out)
        assert (row["table"], row["sender"], row["count"], row["waiting"]) == ("sex", "NORTH", 2, [2, 3])
        shown = (await command(site, "codes", "list", status=1)).out
        assert "NORTH" in shown
        assert "sex" in shown
        # Another change of the same mapping tries them, and what still has no code waits on.
        change(site, "{F: female, M: male, O: other", "{Y: other, F: female, M: male, O: other")
        await site.node.reload()
        while await site.node.journal.read(tries) < 2:
            await pause(0.05)
        assert steps_of(site.patients, "100001") == [1]
        change(site, "{Y: other", "{Q: other, Y: other")
        await site.node.reload()
        assert entries(await site.settled()) == {"delivered": 4}
        assert steps_of(site.patients, "100001") == [1, 2, 3, 4]
        assert (await command(site, "codes", "retry", "--reason", "again")).out == ""


@pytest.mark.both_databases
@in_reactor
async def test_what_is_held_for_a_code_goes_by_itself_once_a_start_brings_it(tmp_path: Path) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        change(site, NULL, HOLD)
        await site.node.reload()
        await site.send(*(message(1, step, changed=ODD if step in (2, 3) else {}) for step in range(1, 5)))
        await until(lambda: steps_of(site.patients, "100001") == [1], "what came before goes")
        # By the same files nothing is worth another try.
        await site.stop()
        node = await site.start()
        await site.send(message(2, 1))
        await until(lambda: steps_of(site.patients, "100002") == [1], "it runs")
        assert await node.journal.read(tries) == 0
        await site.stop()
        change(site, "{F: female, M: male, O: other", "{Q: other, F: female, M: male, O: other")
        await site.start()
        assert entries(await site.settled()) == {"delivered": 5}
        assert steps_of(site.patients, "100001") == [1, 2, 3, 4]


BODY = """\
mapping: ehr-patient
version: 1.0.0
owner: team
target: canonical/1
source: {format: record, record: patient}
tables:
  sex: {female: F, male: M}
emit:
  - json: object
    set:
      family: $.family
      line1: $.line1
      sex: {from: $.sex, translate: sex, unmapped: hold}
"""
OTHER = {"19410211|M|": b"19410211|O|"}


@pytest.mark.both_databases
@in_reactor
async def test_a_request_whose_body_waits_for_a_code_goes_by_itself_once_a_reload_brings_it(
    tmp_path: Path,
) -> None:
    async with hospital(tmp_path) as site:
        assert site.node is not None
        body = site.folder / "site" / "mappings" / "ehr-patient.yaml"
        body.write_text(BODY)
        api = site.folder / "site" / "channels" / "apis" / "ehr.patients.yaml"
        put = "    method: PUT\n    path: /patients/{key}\n"
        api.write_text(api.read_text().replace(put, f"{put}    body: ehr-patient\n"))
        await site.node.reload()
        await site.send(*(message(1, step, changed=OTHER if step in (2, 3) else {}) for step in range(1, 5)))
        await until(lambda: steps_of(site.encounters, "100001") == [1, 2, 3, 4], "the other API has all")
        assert steps_of(site.patients, "100001") == [1]
        (row,) = json.loads((await command(site, "codes", "list", "--format", "json", status=1)).out)
        assert (row["mapping"], row["table"], row["waiting"]) == ("ehr-patient", "sex", [2, 3])
        # Another table of the mapping has it not yet; then it has, and nothing else needs to be said.
        body.write_text(BODY.replace("{female", "{unknown: U, female"))
        await site.node.reload()
        tried = await command(site, "codes", "retry", "--reason", "to see", status=1)
        assert tried.out.count("no request could be made: request-refused: R031 in ehr-patient") == 2
        assert steps_of(site.patients, "100001") == [1]
        body.write_text(BODY.replace("{female", "{other: O, female"))
        await site.node.reload()
        assert entries(await site.settled()) == {"delivered": 4}
        assert steps_of(site.patients, "100001") == [1, 2, 3, 4]
        assert (await command(site, "codes", "retry", "--reason", "again")).out == ""

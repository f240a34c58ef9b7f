"""Live messages beside a large file, at an API that both of them need."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from charge_files import CHANNEL_FILE, FIXED, fixed, write_charges
from file_hospital import drop, left_in
from nodes import Hospital
from reactor_tests import in_reactor, until
from sqlalchemy import func, select
from test_reload import command

from bridge.cli.demo import CHANNEL
from bridge.cli.synthetic import admission
from bridge.delivery import ready
from bridge.journal.schema import deliveries, transitions
from bridge.runtime import refill

ROWS = 100


@asynccontextmanager
async def both(folder: Path, priority: str = "bulk") -> AsyncIterator[tuple[Hospital, Path]]:
    """A hospital with a channel of admissions and one of charges, which share an API."""
    incoming = folder / "incoming"
    incoming.mkdir()
    made = Hospital(folder)
    await made.open()
    site = folder / "site"
    admissions = site / "channels" / f"{CHANNEL}.yaml"
    kept = admissions.read_text()
    write_charges(site, incoming, FIXED)
    admissions.write_text(kept)
    text = CHANNEL_FILE.format(name="charges", folder=incoming, format=FIXED).replace("$.account", "$.code")
    (site / "channels" / "charges.yaml").write_text(f"{text}priority: {priority}\n")
    try:
        await made.start()
        yield made, incoming
    finally:
        await made.close()


async def place_of_the_admission(made: Hospital, folder: Path) -> int:
    """How many calls of the shared API begin before that of an admission, which came after a whole file."""
    await command(made, "pause", "ehr.encounters", "--reason", "a test")
    drop(folder, "a.txt", fixed(ROWS))
    await until(lambda: left_in(folder) == ["done/a.txt"], "it is put away")
    node = made.node
    assert node is not None
    query = select(func.count()).select_from(deliveries).where(deliveries.c.channel == "charges")
    count: Callable[..., int] = lambda connection: connection.execute(query).scalar_one()  # noqa: E731
    while await node.journal.read(count) < ROWS:
        await until(lambda: True, "all of it is translated")
    await made.send(admission(1, 1, "A01", control_id="LIVE"))
    await until(lambda: len(made.patients.applied) == 1, "the other API has it")
    await command(made, "resume", "ehr.encounters", "--reason", "a test")
    await made.settled()
    assert len(made.encounters.attempts) == ROWS + 1
    # As the node began them: several are under way at once, and which comes first is the network's.
    begun = select(deliveries.c.channel).join(transitions, transitions.c.delivery_id == deliveries.c.id)
    begun = begun.where(deliveries.c.api == "ehr.encounters", transitions.c.to_state == "IN_FLIGHT")
    channels: Callable[..., list[str]] = lambda connection: list(  # noqa: E731
        connection.execute(begun.order_by(transitions.c.id)).scalars()
    )
    return (await node.journal.read(channels)).index(CHANNEL)


@in_reactor
async def test_an_admission_does_not_wait_behind_a_file(tmp_path: Path) -> None:
    async with both(tmp_path) as (made, folder):
        assert await place_of_the_admission(made, folder) <= 2


@in_reactor
async def test_an_admission_does_not_wait_behind_what_of_a_file_is_in_the_journal_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(refill, "LIVE_MAX_ENTRIES", 8)
    monkeypatch.setattr(refill, "LIVE_LEAST_ENTRIES", 8)
    async with both(tmp_path) as (made, folder):
        assert await place_of_the_admission(made, folder) <= 2


@in_reactor
async def test_without_turns_it_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A negative control: as if all were of one channel, and that one live."""
    add = ready.Ready.add
    monkeypatch.setattr(
        ready.Ready, "add", lambda self, _channel, token, *, first=False: add(self, "", token, first=first)
    )
    async with both(tmp_path, "live") as (made, folder):
        assert await place_of_the_admission(made, folder) > ROWS // 2

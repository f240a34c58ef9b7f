"""A real node on the tests' own reactor, with two fake APIs and a site in a folder."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from databases import journal_url
from reactor_tests import pause
from twisted.internet import reactor

from bridge.catalog import STANDARD
from bridge.cli.demo import CHANNEL, drained, no_secrets, send_all
from bridge.cli.demo_site import write_site
from bridge.cli.fake_api import FakeApi
from bridge.cli.synthetic import Synthetic
from bridge.component import Catalog
from bridge.config.compiled import Compiled
from bridge.config.load import load
from bridge.config.settings import DiskReserve
from bridge.config.topology import Topology
from bridge.destinations.in_loop import in_loop
from bridge.formats.hl7v2_reply import Acknowledged
from bridge.journal.ledger import Ledger
from bridge.runtime.service import Node, Plan, real_surroundings, start
from bridge.units import SecretRef

BREAKER = "{open: 1s, open_max: 5s}"
"""What the site says, for people; tests are in more of a hurry."""


BEFORE = Compiled()
"""Sites of tests have the same mappings, nearly all."""


class Hospital:
    """A node, its APIs, and ways to send to it and to see what became of it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.patients = FakeApi(mark="line1")
        self.encounters = FakeApi(mark="bed")
        self.node: Node | None = None
        self.secrets: Callable[[SecretRef], str] = no_secrets
        self.keys: SecretRef | None = None
        self.disk_reserve = DiskReserve()

    async def open(self, change: Callable[[str], str] = lambda text: text) -> None:
        """Start the APIs and write the site; ``change`` may alter the channel file."""
        site = write_site(
            self.folder / "site",
            patients_url=await in_loop(self.patients.start()),
            encounters_url=await in_loop(self.encounters.start()),
        )
        channel = site / "channels" / f"{CHANNEL}.yaml"
        channel.write_text(change(channel.read_text()))
        for api in (site / "channels" / "apis").iterdir():
            text = api.read_text()
            assert BREAKER in text
            api.write_text(text.replace(BREAKER, "{open: 50ms, open_max: 200ms}"))

    async def start(self, catalog: Catalog = STANDARD) -> Node:
        """Start a node on the journal in the folder, whatever is in it."""
        world = replace(real_surroundings(reactor), chance=lambda: 0.1)

        def read() -> Topology:
            return load(self.folder / "site", catalog, before=BEFORE)

        plan = Plan(read(), journal_url(self.folder), self.secrets, 0, self.folder, load=read)
        plan = replace(plan, journal_keys=self.keys, disk_reserve=self.disk_reserve)
        self.node = await start(plan, world)
        return self.node

    async def stop(self) -> None:
        """Stop the node, as SIGTERM does."""
        if self.node is not None:
            node, self.node = self.node, None
            await node.stop()

    async def send(self, *messages: Synthetic) -> list[Acknowledged]:
        """Send over one connection; the answers, in order."""
        assert self.node is not None
        sent: list[Any] = await in_loop(send_all(self.node.addresses()[CHANNEL], list(messages)))
        return [each.answer for each in sent]

    async def settled(self) -> Ledger:
        """The ledger once nothing is open any more."""
        assert self.node is not None
        return await drained(self.node, pause)

    async def close(self) -> None:
        """Stop everything."""
        await self.stop()
        for api in (self.patients, self.encounters):
            await in_loop(api.stop())
        await in_loop(asyncio.sleep(0))


@asynccontextmanager
async def hospital(
    folder: Path, change: Callable[[str], str] = lambda text: text, *, disk_reserve: DiskReserve | None = None
) -> AsyncIterator[Hospital]:
    """A hospital with its node started."""
    made = Hospital(folder)
    made.disk_reserve = disk_reserve or made.disk_reserve
    await made.open(change)
    try:
        await made.start()
        yield made
    finally:
        await made.close()


def steps_of(api: FakeApi, patient: str) -> list[int]:
    """The steps of one patient as an API applied them."""
    return [int(each.mark.split()[0]) for each in api.applied if patient in each.path]


def entries(ledger: Ledger) -> dict[str, int]:
    """The channel's entries that are above zero."""
    return {name: count for name, count in ledger.channels[CHANNEL].items() if count}
